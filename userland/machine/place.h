// SPDX-License-Identifier: GPL-2.0-or-later
//
// Where a machine is started: the same answer on every node that knows the same.
#pragma once

#include <cstdint>
#include <map>
#include <vector>

#include "machine/message.h"

namespace braid::machine {

/// Those that could run it, best first: with the data, with room for `memory`, as preferred, with
/// more that is free, with the lower number. None that gave the same record up.
[[nodiscard]] std::vector<NodeId> best_first(const std::map<NodeId, Offer>& offers,
                                             std::uint64_t memory,
                                             const std::vector<NodeId>& prefer,
                                             const Record& record);

}  // namespace braid::machine
