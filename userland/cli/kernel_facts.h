// SPDX-License-Identifier: GPL-2.0-or-later
//
// What the kernel of this host has, and what is on the disks that the configuration names, in the
// terms of config/plan.h.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "cli/metadata.h"
#include "cli/verb.h"
#include "config/plan.h"
#include "sys/braid_client.h"

namespace braid::cli {

/// Why the module did not do `what`; where it cannot be asked at all, that.
[[nodiscard]] Failure module_failure(std::string what, const sys::ClientError& error);

/// All resources of this network namespace.
[[nodiscard]] Attempt<std::vector<config::KernelResource>> read_kernel(sys::BraidClient& client);

[[nodiscard]] const config::KernelResource* find_resource(
    const std::vector<config::KernelResource>& kernel, const std::string& name);

/// What is on the disk of a volume of a resource in which this host is `node`. The disk may be
/// attached.
[[nodiscard]] config::DiskFacts read_disk(const Context& context, const config::Volume& volume,
                                          std::uint32_t node);

}  // namespace braid::cli
