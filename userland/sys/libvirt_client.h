// SPDX-License-Identifier: GPL-2.0-or-later
//
// The local libvirt, by its library.
#pragma once

#include <memory>
#include <string>

#include "sys/libvirt.h"

namespace braid::sys {

/// Connects when it is first needed, and again after libvirtd was away.
[[nodiscard]] std::unique_ptr<Hypervisor> open_libvirt(std::string uri);

}  // namespace braid::sys
