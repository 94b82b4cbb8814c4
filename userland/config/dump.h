// SPDX-License-Identifier: GPL-2.0-or-later
//
// The model as text and as JSON. Everything is inherited already: there is no
// section common, and what is printed for a resource is all that holds for it.
#pragma once

#include <string>

#include "config/model.h"

namespace braid::config {

/// In the grammar of the files: load() of it gives the same model. Options that
/// have their default are left out unless `defaults`.
[[nodiscard]] std::string dump_text(const Resource& resource, bool defaults = false);

/// {"resources": [...]}, with the names of the grammar and all options; sizes in
/// bytes, times in milliseconds. Ends with a line feed.
[[nodiscard]] std::string dump_json(const Config& config);

}  // namespace braid::config
