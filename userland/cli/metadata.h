// SPDX-License-Identifier: GPL-2.0-or-later
//
// Braid's metadata on devices, read and written with the module's own code (kernel/core/ondisk.h).
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "cli/configuration.h"
#include "cli/verb.h"
#include "core/ondisk.h"
#include "sys/block_device.h"

namespace CLI {
class Option;
}

namespace braid::cli {

template <class T>
using Attempt = sys::Result<T, Failure>;

/// Where a replica is.
struct DeviceOptions {
    std::string disk{};
    std::string meta{};  ///< empty: internal metadata
};

/// Which replicas are meant: those of the configuration, or one by its devices.
struct ReplicaOptions {
    std::vector<std::string> names{};
    std::string file = default_config_file;
    DeviceOptions devices{};

    /// The option of the names.
    CLI::Option* add_to(CLI::App& command);
    /// At least one. Of a replica that is named by its devices nothing else is known.
    [[nodiscard]] Attempt<std::vector<OwnVolume>> choose(const Context& context) const;
    [[nodiscard]] Attempt<OwnVolume> choose_one(const Context& context) const;
};

/// The devices of one replica.
struct Devices {
    std::unique_ptr<sys::BlockDevice> disk;
    std::unique_ptr<sys::BlockDevice> meta;  ///< null: internal metadata

    [[nodiscard]] static Attempt<Devices> open(const Context& context, const DeviceOptions& options,
                                               sys::BlockDevice::Access access);

    [[nodiscard]] bool external() const { return meta != nullptr; }
    [[nodiscard]] sys::BlockDevice& holder() const { return external() ? *meta : *disk; }
};

/// One of the two copies of a superblock.
struct SuperblockCopy {
    std::uint64_t offset = 0;
    braid_ondisk_result result = BRAID_ONDISK_NONE;
    braid_superblock superblock{};
};

struct LogContent {
    std::vector<std::uint32_t> active;
    std::uint32_t invalid_blocks = 0;
};

[[nodiscard]] Failure device_failure(const sys::Error& error);
[[nodiscard]] Attempt<std::array<SuperblockCopy, 2>> read_superblocks(
    const sys::BlockDevice& device, bool external);
/// The valid copy that counts, or null.
[[nodiscard]] const SuperblockCopy* current(const std::array<SuperblockCopy, 2>& copies);
/// Length of the vote's value; nothing if neither copy is valid.
[[nodiscard]] Attempt<std::optional<std::uint32_t>> read_vote_length(const sys::BlockDevice& device,
                                                                     const braid_superblock& sb);
[[nodiscard]] Attempt<LogContent> read_log(const sys::BlockDevice& device,
                                           const braid_superblock& sb);
/// Bytes that a slot's map calls dirty; what is not valid counts as dirty.
[[nodiscard]] Attempt<std::uint64_t> dirty_bytes(const sys::BlockDevice& device,
                                                 const braid_superblock& sb, std::uint32_t slot);

/// Zeroes a superblock's copies wherever they are; durable when it returns.
[[nodiscard]] Attempt<void> erase_superblocks(sys::BlockDevice& device, bool external);
/// Writes all metadata of a new replica; `sb` has its layout. Superblocks come last, so that a
/// crash leaves none.
[[nodiscard]] Attempt<void> write_new(sys::BlockDevice& device, braid_superblock sb);

/// Makes what a replica holds worth nothing, durably; it stays the replica that it is, with its
/// vote. Nobody may have it attached.
[[nodiscard]] Attempt<void> write_invalid(sys::BlockDevice& device, bool external);

[[nodiscard]] std::string to_text(braid_ondisk_result result);
[[nodiscard]] std::string uuid_text(const std::uint8_t* uuid);

}  // namespace braid::cli
