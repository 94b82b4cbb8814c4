// SPDX-License-Identifier: GPL-2.0-or-later
//
// What somebody probably meant by a word that is not known.
#pragma once

#include <cstddef>
#include <string_view>

namespace braid::config {

/// Insertions, deletions and substitutions that turn `from` into `to`
/// (Wagner and Fischer 1974).
[[nodiscard]] std::size_t edit_distance(std::string_view from, std::string_view to);

}  // namespace braid::config
