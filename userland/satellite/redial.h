// SPDX-License-Identifier: GPL-2.0-or-later
//
// When to try again to connect, and over which path. Pure: time and randomness come from outside.
//
// All paths are tried in turn without waiting; a round that failed is followed by a pause that
// doubles from round to round, with jitter so that nodes which lost one another together do not
// come back together. A connection that lasted starts the count afresh.
#pragma once

#include <chrono>
#include <cstddef>
#include <functional>

namespace braid::satellite {

class Redial {
  public:
    using Clock = std::chrono::steady_clock;
    using Duration = Clock::duration;

    static constexpr std::chrono::milliseconds first_pause{200};
    /// Short enough for an administrator who waits for a node, and for a writer that holds I/O.
    static constexpr std::chrono::milliseconds longest_pause{3000};
    /// One that lasts for less counts as failed.
    static constexpr std::chrono::seconds lasting{10};

    /// `random` gives numbers from 0 up to but not 1.
    Redial(std::size_t paths, std::function<double()> random);

    /// The path for the next attempt.
    [[nodiscard]] std::size_t path() const { return path_; }

    /// How long to wait before the next attempt.
    Duration failed();
    void connected(Clock::time_point now) { since_ = now; }
    Duration lost(Clock::time_point now);

    /// The network has changed: what was learnt about it is void.
    void forget();

  private:
    std::size_t paths_;
    std::function<double()> random_;
    std::size_t path_ = 0;
    Duration pause_{first_pause};
    Clock::time_point since_{};
};

}  // namespace braid::satellite
