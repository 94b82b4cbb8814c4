// SPDX-License-Identifier: GPL-2.0-or-later
//
// What members say to one another, and what a voter stores; as bytes.
//
// All of it may come from a stranger, an older or a newer version, or a damaged disk (P7): decode()
// takes only what it would have encoded itself.
#pragma once

#include <span>
#include <string>
#include <tl/expected.hpp>
#include <variant>

#include "membership/value.h"

namespace braid::membership {

/// Never used twice: a proposer that restarts has forgotten its own, hence the nonce.
struct Ballot {
    std::uint64_t round = 0;
    NodeId node = 0;
    std::uint64_t nonce = 0;

    // The check mistakes the comparison's result for a pointer.
    auto operator<=>(const Ballot&) const = default;  // NOLINT(modernize-use-nullptr)
};

/// What a voter stores, durably before it answers.
struct Vote {
    VoterId voter = 0;
    /// Epoch of the first value that is chosen, or that it accepted, and lists this voter (V1); 0:
    /// none.
    std::uint64_t enrolled = 0;
    Ballot promised{};
    Ballot accepted{};
    std::optional<Value> value{};
    /// `value` is known to be chosen.
    bool chosen = false;

    bool operator==(const Vote&) const = default;
};

// Messages of the register. `voter` is the id of the voter that is asked or answers (V1), `lineage`
// the one within which the vote counts (R8).

struct Prepare {
    Lineage lineage{};
    VoterId voter = 0;
    Ballot ballot{};

    bool operator==(const Prepare&) const = default;
};

struct Promise {
    Lineage lineage{};
    VoterId voter = 0;
    Ballot ballot{};
    Ballot accepted{};
    std::optional<Value> value{};
    bool chosen = false;

    bool operator==(const Promise&) const = default;
};

struct Accept {
    VoterId voter = 0;
    Ballot ballot{};
    /// Promised along with it, for the proposer's next round: that one needs no Prepare.
    Ballot next{};
    Value value{};

    bool operator==(const Accept&) const = default;
};

struct Accepted {
    Lineage lineage{};
    VoterId voter = 0;
    Ballot ballot{};

    bool operator==(const Accepted&) const = default;
};

enum class Refusal : std::uint8_t {
    promised,  ///< a higher ballot
    voter,     ///< it has another voter id
    lineage,   ///< it is of another lineage
    blank,     ///< not enrolled yet
    failed,    ///< it cannot store its vote
};

struct Refused {
    /// As it was asked, also where that is the reason.
    VoterId voter = 0;
    Ballot ballot{};
    Refusal why = Refusal::promised;
    Ballot promised{};

    bool operator==(const Refused&) const = default;
};

/// A value was chosen.
struct Chosen {
    Value value{};

    bool operator==(const Chosen&) const = default;
};

/// Asks for a Report.
struct Query {
    bool operator==(const Query&) const = default;
};

/// A node's view of itself; sent at each change, to whoever comes up, and when asked.
struct Report {
    /// Random for each start of the program; within one, the highest sequence counts.
    std::uint64_t run = 0;
    std::uint64_t sequence = 0;
    VoterId voter = 0;
    /// Its voter was never enrolled; or cannot store its vote any more.
    bool blank = false;
    /// It may be enrolled: it is blank, or accepted a value for that which may never be chosen.
    bool tentative = false;
    bool vote_failed = false;
    /// The last value that it knows to be chosen.
    std::optional<Value> known{};
    /// The kernel's adopted configuration; epoch 0 is none.
    Lineage lineage{};
    std::uint64_t epoch = 0;
    std::uint64_t id = 0;
    /// Of its replicas now, and the last epoch in which they were in sync.
    Instance instance = 0;
    std::uint64_t last_epoch = 0;
    bool diskful = false;
    bool suspect = false;
    /// The kernel's service as a writer has begun and not ended.
    bool active = false;
    bool done = false;
    /// It wants to be promoted.
    bool wants = false;
    /// Number of the grant that its kernel has prepared as the target.
    std::uint64_t prepared = 0;
    /// Bytes that each node lacks, as the dirty maps here say; by node.
    std::vector<std::uint64_t> dirty{};

    bool operator==(const Report&) const = default;
};

using Message = std::variant<Prepare, Promise, Accept, Accepted, Refused, Chosen, Query, Report>;

/// To a node; over which path is not decided here.
struct Outgoing {
    NodeId to = no_node;
    Message message{};
};

/// Longest that the kernel stores for us (vote-bytes-max).
inline constexpr std::size_t vote_bytes_max = 16352;

[[nodiscard]] Bytes encode(const Vote& vote);
[[nodiscard]] Bytes encode(const Message& message);
/// The error says what is wrong with the bytes.
[[nodiscard]] tl::expected<Vote, std::string> decode_vote(std::span<const std::uint8_t> bytes);
[[nodiscard]] tl::expected<Message, std::string> decode_message(
    std::span<const std::uint8_t> bytes);

}  // namespace braid::membership
