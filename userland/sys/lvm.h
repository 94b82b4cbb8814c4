// SPDX-License-Identifier: GPL-2.0-or-later
//
// LVM, by its commands. No command looks at devices of Braid, nor for physical volumes within
// logical ones: what guests keep there is none of the host's.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "sys/command.h"

namespace braid::sys {

/// Sizes are in bytes.
struct VolumeGroup {
    std::string name{};
    std::uint64_t size = 0;
    std::uint64_t free = 0;
    std::uint64_t extent = 0;

    bool operator==(const VolumeGroup&) const = default;
};

struct LogicalVolume {
    std::string group{};
    std::string name{};
    std::uint64_t size = 0;
    std::string pool{};  ///< the thin pool that it is of
    bool thin_pool = false;
    bool active = false;
    std::vector<std::string> tags{};
    // Of a thin pool; percentages are not known while it is not active.
    std::uint64_t metadata_size = 0;
    std::uint64_t chunk = 0;
    std::optional<double> data_percent{};  ///< also of a thin volume
    std::optional<double> metadata_percent{};
    std::string health{};  ///< empty: nothing is wrong
    bool errors_when_full = false;
    bool zeroes = false;

    [[nodiscard]] std::string path() const { return group + "/" + name; }
    bool operator==(const LogicalVolume&) const = default;
};

/// What lvm.conf says that Braid depends on.
struct LvmSettings {
    std::vector<std::string> global_filter{};
    std::vector<std::string> filter{};
    bool scans_volumes = false;  ///< looks for physical volumes in logical ones
    bool knows_braid = false;    ///< `types` has devices of Braid among those to look at
    bool devices_file = false;

    /// What an administrator should change, a line each; empty: nothing.
    [[nodiscard]] std::vector<std::string> advice() const;
};

class Lvm {
  public:
    explicit Lvm(RunCommand run) : run_(std::move(run)) {}

    [[nodiscard]] Result<LvmSettings> settings();
    [[nodiscard]] Result<std::vector<VolumeGroup>> groups();
    [[nodiscard]] Result<std::vector<LogicalVolume>> volumes();

    /// Takes whole devices; one that carries anything is refused.
    [[nodiscard]] Result<void> create_group(const std::string& name,
                                            const std::vector<std::string>& devices);
    [[nodiscard]] Result<void> extend_group(const std::string& name,
                                            const std::vector<std::string>& devices);
    /// Without volumes.
    [[nodiscard]] Result<void> remove_group(const std::string& name);

    struct ThinPool {
        std::string group{};
        std::string name{};
        std::uint64_t size = 0;
        std::uint64_t metadata_size = 0;
        std::uint64_t chunk = 0;
    };
    /// One that fails writes at once when it is full, and zeroes what it gives out.
    [[nodiscard]] Result<void> create_thin_pool(const ThinPool& pool);
    /// The same for one that is there; changes what is not so.
    [[nodiscard]] Result<void> make_thin_pool_safe(const LogicalVolume& pool);
    [[nodiscard]] Result<void> extend_thin_pool_metadata(const std::string& path, std::uint64_t by);

    /// In the group, or in a thin pool of it.
    [[nodiscard]] Result<void> create_volume(const std::string& group, const std::string& pool,
                                             const std::string& name, std::uint64_t size,
                                             const std::string& tag);
    /// Also a thin pool; to this size at least.
    [[nodiscard]] Result<void> extend_volume(const std::string& path, std::uint64_t size);
    [[nodiscard]] Result<void> activate(const std::string& path);
    /// With all that is on it.
    [[nodiscard]] Result<void> remove_volume(const std::string& path);

  private:
    Result<std::string> run(std::vector<std::string> words);
    Result<void> change(std::vector<std::string> words);

    RunCommand run_;
    std::optional<std::string> devices_{};  ///< the section of that name, for --config
};

}  // namespace braid::sys
