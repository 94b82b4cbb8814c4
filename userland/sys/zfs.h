// SPDX-License-Identifier: GPL-2.0-or-later
//
// ZFS, by its commands.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "sys/command.h"

namespace braid::sys {

/// Sizes are in bytes.
struct Zpool {
    std::string name{};
    std::uint64_t size = 0;
    std::uint64_t allocated = 0;
    std::uint64_t free = 0;
    std::string health{};  ///< "ONLINE" if nothing is wrong

    bool operator==(const Zpool&) const = default;
};

/// A volume, or a dataset that has others.
struct Zdataset {
    std::string name{};  ///< "tank/vm1_00000"
    bool volume = false;
    std::uint64_t size = 0;  ///< of a volume
    std::uint64_t used = 0;  ///< with what is reserved for it
    std::uint64_t available = 0;
    std::string tag{};  ///< whose it is; empty: not Braid's

    bool operator==(const Zdataset&) const = default;
};

class Zfs {
  public:
    explicit Zfs(RunCommand run) : run_(std::move(run)) {}

    [[nodiscard]] Result<std::vector<Zpool>> pools();
    [[nodiscard]] Result<std::vector<Zdataset>> datasets();
    /// A device that carries anything is refused.
    [[nodiscard]] Result<void> create_pool(const std::string& name,
                                           const std::vector<std::string>& devices);
    [[nodiscard]] Result<void> extend_pool(const std::string& name,
                                           const std::vector<std::string>& devices);
    [[nodiscard]] Result<void> destroy_pool(const std::string& name);
    /// Its size is rounded up to whole blocks.
    [[nodiscard]] Result<void> create_volume(const std::string& name, std::uint64_t size,
                                             bool sparse, const std::string& tag);
    [[nodiscard]] Result<void> resize_volume(const std::string& name, std::uint64_t size);
    /// With all that is on it; one with snapshots is refused.
    [[nodiscard]] Result<void> destroy_volume(const std::string& name);

  private:
    Result<std::vector<std::vector<std::string>>> table(const std::vector<std::string>& words,
                                                        std::size_t columns);
    Result<void> change(const std::vector<std::string>& words);

    RunCommand run_;
};

}  // namespace braid::sys
