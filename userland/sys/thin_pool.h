// SPDX-License-Identifier: GPL-2.0-or-later
//
// What the kernel says of thin pools of LVM, through libdevmapper: without a process, without I/O
// and without waiting, so that a daemon whose memory is locked can look each second.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "sys/result.h"

namespace braid::sys {

struct ThinPoolState {
    std::uint64_t data_used = 0;  ///< blocks, as all of these
    std::uint64_t data_total = 0;
    std::uint64_t metadata_used = 0;
    std::uint64_t metadata_total = 0;
    bool full = false;       ///< no more is given out: writes to new blocks fail
    bool read_only = false;  ///< because of its metadata: all writes fail
    bool failed = false;     ///< not even reads work
    bool errors_when_full = false;

    [[nodiscard]] bool takes_writes() const { return !full && !read_only && !failed; }
    bool operator==(const ThinPoolState&) const = default;
};

/// The interface; its mock is in thin_pool_mock.h.
class ThinPools {
  public:
    virtual ~ThinPools() = default;
    ThinPools() = default;
    ThinPools(const ThinPools&) = delete;
    ThinPools& operator=(const ThinPools&) = delete;

    /// Nothing if it is not active.
    [[nodiscard]] virtual Result<std::optional<ThinPoolState>> state(const std::string& group,
                                                                     const std::string& pool) = 0;
};

class LibDevmapper final : public ThinPools {
  public:
    [[nodiscard]] Result<std::optional<ThinPoolState>> state(const std::string& group,
                                                             const std::string& pool) override;
};

/// What the kernel writes of one: "0 12/1024 3/100 - rw discard_passdown error_if_no_space - 256".
[[nodiscard]] std::optional<ThinPoolState> parse_thin_pool(const std::string& status);

}  // namespace braid::sys
