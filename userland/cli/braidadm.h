// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <span>
#include <string>

#include "cli/verb.h"

namespace braid::cli {

/// All verbs, in the order in which --help shows them.
[[nodiscard]] std::span<const Verb> verbs();

/// Runs braidadm with the arguments that follow the program's name.
[[nodiscard]] ExitCode run(std::span<const std::string> arguments, Context& context);

}  // namespace braid::cli
