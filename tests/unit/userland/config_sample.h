// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <random>

#include "config/model.h"

namespace braid::test {

/// Makes up configurations that have no errors.
class ConfigSample {
  public:
    explicit ConfigSample(std::uint32_t seed) : random_(seed) {}

    config::Config config(unsigned resources);
    /// Up to `most`, and 0.
    unsigned below(unsigned most) { return static_cast<unsigned>(random_() % most); }
    bool chance(unsigned percent) { return below(100) < percent; }

  private:
    config::Resource resource(unsigned index);
    void settings(config::Settings& settings);
    void net(config::NetOptions& net);
    void disk(config::DiskOptions& disk);
    void hosts(config::Resource& resource, unsigned index);
    void connections(config::Resource& resource);
    std::string text();

    std::mt19937 random_;
};

}  // namespace braid::test
