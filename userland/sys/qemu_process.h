// SPDX-License-Identifier: GPL-2.0-or-later
//
// The process of a virtual machine, found without libvirt and held by a descriptor, so that it can
// be killed while libvirtd is stuck, and nothing else is ever killed in its place.
#pragma once

#include <optional>
#include <string>

#include "sys/fd.h"
#include "sys/result.h"

namespace braid::sys {

/// Where libvirt writes the numbers of QEMU's processes, as NAME.pid.
inline constexpr const char* qemu_run_directory = "/run/libvirt/qemu";

/// A pidfd, readable once the process has ended; empty if no process runs the machine `name`. The
/// number in the file may be an old one: the process's own arguments have to name the machine.
[[nodiscard]] Fd find_qemu(const std::string& name,
                           const std::string& directory = qemu_run_directory);

/// SIGKILL. No error if it has ended already.
[[nodiscard]] Result<void> kill_process(const Fd& pidfd);

}  // namespace braid::sys
