// SPDX-License-Identifier: GPL-2.0-or-later
//
// From files to the model. All errors of a run are found, as far as one does not
// hide another; with any error there is no configuration.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "config/model.h"
#include "sys/result.h"

namespace braid::config {

/// Bounds for what is read, so that no file can exhaust memory or the stack.
inline constexpr std::size_t file_bytes_max = std::size_t{1} << 20;
inline constexpr std::size_t total_bytes_max = std::size_t{16} << 20;
inline constexpr std::size_t files_max = 4096;
inline constexpr unsigned include_depth_max = 8;
inline constexpr std::size_t diagnostics_max = 100;
/// Volumes, counted on each host.
inline constexpr std::size_t volumes_max = std::size_t{1} << 18;

/// Where files come from.
struct Source {
    /// The content of a file; refuses one of more than `file_bytes_max`.
    std::function<sys::Result<std::string>(const std::string& path)> read;
    /// The files that a glob(7) pattern stands for, sorted; a name without
    /// wildcards stands for itself.
    std::function<sys::Result<std::vector<std::string>>(const std::string& pattern)> match;
};

struct Diagnostic {
    enum class Severity : std::uint8_t { error, warning };

    Severity severity = Severity::error;
    std::string file;
    std::uint32_t line = 0;    ///< from 1; 0: the file as a whole
    std::uint32_t column = 0;  ///< in bytes, from 1
    std::string word;          ///< the word in question, shortened; may be empty
    std::string message;

    bool operator==(const Diagnostic&) const = default;
};

/// "FILE:LINE:COLUMN: 'WORD' MESSAGE", in one line whatever the file contains.
[[nodiscard]] std::string to_string(const Diagnostic& diagnostic);

struct Loaded {
    Config config;  ///< empty if there are errors
    std::vector<Diagnostic> diagnostics;
    std::vector<std::string> files;  ///< that were read
    /// "FILE:LINE" of each resource of the configuration.
    std::vector<std::string> origins;

    [[nodiscard]] bool has_errors() const;
};

[[nodiscard]] Loaded load(const std::string& path, const Source& source);

}  // namespace braid::config
