// SPDX-License-Identifier: GPL-2.0-or-later
//
// Why a node cannot be promoted, why I/O is held, how each member sees it, and what to do.
#pragma once

#include "membership/fork.h"
#include "membership/io.h"

namespace braid::membership {

struct ForkView {
    NodeId node = no_node;
    Relation relation = Relation::forked;
    /// The other one.
    Lineage lineage{};
    /// Where they parted; epoch 0 if that is not known. The age in ms.
    std::uint64_t epoch = 0;
    std::int64_t age_ms = 0;
    /// Bytes that the other lacks as this node's dirty map says, and the other way round.
    std::uint64_t ours = 0;
    std::uint64_t theirs = 0;
};

struct MemberView {
    Seat seat{};
    bool up = false;
    /// Its voter has another id than the register's, is blank, or cannot store its vote.
    bool votes = false;
    bool diskful = false;
    bool suspect = false;
    /// Epoch of its kernel's configuration.
    std::uint64_t epoch = 0;
};

struct Explanation {
    /// Why this node cannot be promoted now; none: it can, or is the writer.
    Cause promotion = Cause::none;
    std::vector<NodeId> promotion_nodes{};
    /// Why a writer's I/O waits here; none: it does not, or this node is not the writer.
    Cause held = Cause::none;
    std::vector<NodeId> held_nodes{};
    /// An administrator suspended it, whatever else it waits for.
    bool suspended = false;
    /// Sentences for both, with what to do; empty if there is nothing.
    std::string promotion_text{};
    std::string held_text{};
    /// Of the last value that is known to be chosen; epoch 0: none is.
    Lineage lineage{};
    std::uint64_t epoch = 0;
    std::uint64_t id = 0;
    NodeId writer = no_node;
    /// Oldest first.
    std::vector<Ancestor> history{};
    std::vector<MemberView> members{};
    std::vector<ForkView> forks{};
};

/// What is wrong, and what to do, as one sentence or two. `which` are the nodes it is about, in
/// words.
[[nodiscard]] std::string remedy(Cause cause, const std::string& which);
[[nodiscard]] std::string remedy(Cause cause, const std::vector<NodeId>& nodes);

}  // namespace braid::membership
