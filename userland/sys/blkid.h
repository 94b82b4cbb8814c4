// SPDX-License-Identifier: GPL-2.0-or-later
//
// What a device holds, as libblkid tells it; the only file (with its .cpp) that calls it.
#pragma once

#include <string>
#include <vector>

#include "sys/result.h"

namespace braid::sys {

struct Signature {
    /// "filesystem", "raid", "crypto", "partition table", "other".
    std::string usage;
    /// As blkid(8) prints it: "ext4", "LVM2_member", "gpt".
    std::string type;
};

class Blkid {
  public:
    virtual ~Blkid() = default;

    /// All signatures on a device or file; none if it is empty. Reads the device only.
    [[nodiscard]] virtual Result<std::vector<Signature>> signatures(const std::string& path) = 0;
};

class LibBlkid : public Blkid {
  public:
    [[nodiscard]] Result<std::vector<Signature>> signatures(const std::string& path) override;
};

}  // namespace braid::sys
