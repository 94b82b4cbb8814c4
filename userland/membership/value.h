// SPDX-License-Identifier: GPL-2.0-or-later
//
// The value of a resource's register: who writes, which replicas are in sync, who votes.
#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace braid::membership {

using Bytes = std::vector<std::uint8_t>;
/// 0 to 31, as in kernel/spec/braid.yaml; or no_node.
using NodeId = std::uint32_t;
/// Random; 0 is "none" (V1).
using VoterId = std::uint64_t;
/// Random; a replica's, new at every attach. 0 is "none".
using Instance = std::uint64_t;
using Lineage = std::array<std::uint8_t, 16>;
/// Sorted, without repetition.
using VoterSet = std::vector<VoterId>;

inline constexpr NodeId node_max = 31;
inline constexpr NodeId no_node = 255;
inline constexpr std::size_t ancestors_max = 16;

enum class Role : std::uint8_t { diskful, diskless, witness };

/// A member of the resource.
struct Seat {
    NodeId node = 0;
    Role role = Role::diskful;
    /// Its id as a voter; 0: it does not vote (yet).
    VoterId voter = 0;
    /// Of its replica, if that is in sync; otherwise 0.
    Instance instance = 0;
    /// Epoch in which that replica began to be in sync, without a break since; kept while it is
    /// dropped. A disk that was last in sync before that is another one, which was put back.
    std::uint64_t joined = 0;
    /// Of its replica when a value dropped it, and that value's epoch; 0 if it is in sync or never
    /// was. No write completes in that epoch before its writer, and those that stay in sync, have
    /// adopted it: if that never happened, the dropped one still has all that was acknowledged.
    Instance before = 0;
    std::uint64_t dropped = 0;

    bool operator==(const Seat&) const = default;
};

/// A live migration that the writer granted (M1). Used by one swap.
struct Grant {
    /// Random, never used again; 0: there is none.
    std::uint64_t number = 0;
    NodeId from = no_node;
    NodeId to = no_node;
    /// Wall clock, ms. Takes effect by a CAS only.
    std::int64_t deadline_ms = 0;

    bool operator==(const Grant&) const = default;
};

/// A lineage that ended where this one began (R8): of forced promotions, or of forks that were
/// resolved.
struct Ancestor {
    Lineage lineage{};
    /// The last value of it whose acknowledged writes this lineage has.
    std::uint64_t epoch = 0;
    std::uint64_t id = 0;
    /// When it ended, wall clock in ms, of the node that ended it.
    std::int64_t when_ms = 0;
    /// All that was acknowledged up to and under exactly (epoch, id) is in this lineage, too.
    bool complete = false;
    /// A person decided that what it has besides is dropped.
    bool discarded = false;

    bool operator==(const Ancestor&) const = default;
};

struct Value {
    Lineage lineage{};
    /// From 1; grows by one with each change.
    std::uint64_t epoch = 0;
    /// Random: tells values of one epoch apart.
    std::uint64_t id = 0;
    NodeId writer = no_node;
    /// The writer was promoted to make replicas equal, and serves no application (R6b).
    bool caretaker = false;
    /// Sorted by node.
    std::vector<Seat> seats{};
    /// Voters under which the value before it was read: its quorums need them, too (V2).
    VoterSet read_under{};
    Grant grant{};
    /// Oldest first.
    std::vector<Ancestor> history{};

    bool operator==(const Value&) const = default;

    [[nodiscard]] const Seat* seat(NodeId node) const;
    [[nodiscard]] Seat* seat(NodeId node);
    /// The node of a voter; no_node if it is none of these.
    [[nodiscard]] NodeId node_of(VoterId voter) const;
    [[nodiscard]] VoterSet voters() const;
    [[nodiscard]] bool in_sync(NodeId node) const;
    [[nodiscard]] std::vector<NodeId> in_sync_nodes() const;
    /// Whether both are the same value of the same register.
    [[nodiscard]] bool is(const Value& other) const;
    /// Same lineage, and a later epoch.
    [[nodiscard]] bool follows(const Value& other) const;
};

/// More than half of `set` is in `voters`; an empty set has no majority.
[[nodiscard]] bool majority(const VoterSet& set, const VoterSet& voters);
/// Voters that are in one of the sets but not in the other.
[[nodiscard]] std::size_t difference(const VoterSet& a, const VoterSet& b);
void insert(VoterSet& set, VoterId voter);

/// What is wrong with a value that came from outside; nothing if it may be used.
[[nodiscard]] std::optional<std::string> fault(const Value& value);

}  // namespace braid::membership
