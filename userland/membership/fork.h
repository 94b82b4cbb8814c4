// SPDX-License-Identifier: GPL-2.0-or-later
//
// How two values of a resource's registers stand to one another: R8. Votes and data count within
// one lineage; whether one lineage has all of another is told by their histories.
#pragma once

#include "membership/value.h"

namespace braid::membership {

enum class Relation : std::uint8_t {
    same,       ///< one lineage: the later epoch counts
    behind,     ///< the other lineage has all that ours has, or a person decided so: follow it
    ahead,      ///< ours has all of the other
    forked,     ///< both have what the other lacks
    unrelated,  ///< nothing in common
};

struct Kinship {
    Relation relation = Relation::same;
    /// Of forks: where they parted; epoch 0 if not known.
    std::uint64_t epoch = 0;
    /// Wall clock, ms.
    std::int64_t when_ms = 0;
};

[[nodiscard]] Kinship compare(const Value& ours, const Value& theirs);

/// The last epoch that the lineage of `value` has in common with `lineage`, so that what was in
/// sync under the latter later than this says nothing of the former. UINT64_MAX for the same one,
/// 0 for one that it does not come from, such as a discarded one.
[[nodiscard]] std::uint64_t common_epoch(const Value& value, const Lineage& lineage);

/// The first value of a new lineage that goes on from `last` without its voters: `writer` alone
/// votes and is in sync. `base` is what of `last`'s lineage its replica has (lineage and when are
/// filled in). `last` may be null: the first of all.
struct Beginning {
    Lineage lineage{};
    std::uint64_t id = 0;
    NodeId writer = 0;
    VoterId voter = 0;
    Instance instance = 0;
    /// When its replica was last in sync; 0: never, or there was no lineage before.
    std::uint64_t joined = 0;
    std::int64_t when_ms = 0;
};
[[nodiscard]] Value begin_lineage(const Beginning& beginning, const Value* last, Ancestor base);

/// Adds an ancestor; the oldest is forgotten if there are too many.
void remember(Value& value, const Ancestor& ancestor);

}  // namespace braid::membership
