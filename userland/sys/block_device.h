// SPDX-License-Identifier: GPL-2.0-or-later
//
// A block device, or a regular file in its place.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "sys/result.h"

namespace braid::sys {

class BlockDevice {
  public:
    enum class Access {
        read,        ///< beside whoever else uses it, as it is by now
        exclusive,   ///< to write; EBUSY if the kernel uses the device (mounted, part of another)
        write_used,  ///< to write, even so
    };

    virtual ~BlockDevice() = default;
    BlockDevice() = default;
    BlockDevice(const BlockDevice&) = delete;
    BlockDevice& operator=(const BlockDevice&) = delete;

    /// Opens it; errors name the path. A regular file counts as never in use.
    [[nodiscard]] static Result<std::unique_ptr<BlockDevice>> open(const std::string& path,
                                                                   Access access);

    [[nodiscard]] virtual const std::string& path() const = 0;
    /// In bytes.
    [[nodiscard]] virtual std::uint64_t size() const = 0;
    /// In bytes; 512 for a regular file.
    [[nodiscard]] virtual std::uint32_t logical_block_size() const = 0;
    [[nodiscard]] virtual bool regular_file() const { return false; }
    /// All of the bytes, or an error that names the path and the offset.
    [[nodiscard]] virtual Result<std::vector<std::uint8_t>> read(std::uint64_t offset,
                                                                 std::size_t length) const = 0;
    [[nodiscard]] virtual Result<void> write(std::uint64_t offset,
                                             std::span<const std::uint8_t> bytes) = 0;
    /// Returns when all that was written is on stable storage.
    [[nodiscard]] virtual Result<void> sync() = 0;
};

}  // namespace braid::sys
