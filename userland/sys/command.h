// SPDX-License-Identifier: GPL-2.0-or-later
//
// A program that is run to its end, for what it prints: LVM's and ZFS's commands.
#pragma once

#include <chrono>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "sys/process.h"

namespace braid::sys {

struct CommandEnd {
    ProcessEnd end{};  ///< `output` is what it wrote to stderr
    std::string out{};
};

/// A word for sh(1) that stands for `text`, whatever is in it.
[[nodiscard]] std::string shell_word(std::string_view text);
/// The words as a command of sh(1).
[[nodiscard]] std::string shell_command(const std::vector<std::string>& words);

/// Runs a program, found in PATH, with these arguments; messages are in English. Whatever its
/// status is, that is no error.
[[nodiscard]] Result<CommandEnd> run_command(
    const std::vector<std::string>& words, std::chrono::seconds limit = std::chrono::seconds(120));

/// As run_command(), or what a test has in its place.
using RunCommand = std::function<Result<CommandEnd>(const std::vector<std::string>& words)>;

/// What it printed; that it failed is an error, which names the program and has its own words.
[[nodiscard]] Result<std::string> output_of(const RunCommand& run,
                                            const std::vector<std::string>& words);

}  // namespace braid::sys
