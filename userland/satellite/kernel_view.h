// SPDX-License-Identifier: GPL-2.0-or-later
//
// What the module tells of a resource, in the terms of the membership; and the membership's values
// in the module's. Without I/O.
#pragma once

#include "membership/io.h"
#include "sys/kernel_state.h"

namespace braid::satellite {

[[nodiscard]] membership::KernelView view_of(const sys::ResourceView& replies);

/// Of a value as far as a kernel enforces it: witnesses and votes are not in it.
[[nodiscard]] sys::KernelConfig config_of(const membership::Value& value);

}  // namespace braid::satellite
