// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <string>

namespace braid::satellite {

/// What a message of the journal is about; each empty where it is about no particular one.
struct Subject {
    std::string resource{};
    std::string peer{};
};

}  // namespace braid::satellite
