// SPDX-License-Identifier: GPL-2.0-or-later
//
// Which files and which host a configuration is about.
#pragma once

#include <string>
#include <vector>

#include "sys/result.h"

namespace braid::sys {

/// The paths that a glob(7) pattern stands for, sorted; none is no error. A path
/// without wildcards stands for itself, whether it exists or not.
[[nodiscard]] Result<std::vector<std::string>> match_paths(const std::string& pattern);

/// The name of this host, as uname -n prints it.
[[nodiscard]] std::string host_name();

/// The path of a program in the directory that this one is in.
[[nodiscard]] std::string beside_this_program(const std::string& name);

}  // namespace braid::sys
