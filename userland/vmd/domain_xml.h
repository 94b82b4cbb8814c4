// SPDX-License-Identifier: GPL-2.0-or-later
//
// The XML of a libvirt domain: from a few parameters, or from a file, with the volumes of a
// resource as its disks.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "sys/result.h"

namespace braid::vmd {

struct Disk {
    std::string device{};  ///< as /dev/braid1
    std::string serial{};

    bool operator==(const Disk&) const = default;
};

struct DomainSpec {
    std::string name{};
    /// XML of a domain; empty: the parameters are used.
    std::string text{};
    std::uint64_t memory = 0;  ///< bytes
    std::uint32_t vcpus = 1;
    std::string cpu{};
    std::string network{};
    bool efi = false;
    std::string kernel{};
    std::string initrd{};
    std::string cmdline{};
    bool emulated = false;
    std::vector<Disk> disks{};

    bool operator==(const DomainSpec&) const = default;
};

/// The same on all hosts, so that the guest of a machine that moved finds itself where it was. An
/// error says what is wrong with the file.
[[nodiscard]] sys::Result<std::string> domain_xml(const DomainSpec& spec);

}  // namespace braid::vmd
