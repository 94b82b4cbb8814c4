// SPDX-License-Identifier: GPL-2.0-or-later
//
// Values of the register for tests.
#pragma once

#include <initializer_list>

#include "membership/value.h"

namespace braid::membership {

inline constexpr Lineage first_lineage{1};
inline constexpr Lineage second_lineage{2};

/// Nodes 0, 1, ... that all hold a replica in sync: voter id 100 + node, instance 1000 + node.
inline Value value_of(std::size_t nodes, std::uint64_t epoch = 1) {
    Value value;
    value.lineage = first_lineage;
    value.epoch = epoch;
    value.id = 10 * epoch + 1;
    for (NodeId node = 0; node < nodes; node++)
        value.seats.push_back({.node = node,
                               .role = Role::diskful,
                               .voter = 100 + node,
                               .instance = 1000 + node,
                               .joined = epoch});
    value.read_under = value.voters();
    return value;
}

/// The value after another, with one epoch more.
inline Value after(Value value) {
    value.epoch++;
    value.id = 10 * value.epoch + 1;
    return value;
}

}  // namespace braid::membership
