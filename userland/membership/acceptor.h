// SPDX-License-Identifier: GPL-2.0-or-later
//
// A voter of the register: the acceptor of single-decree Paxos per value (Rystsov, "CASPaxos:
// Replicated State Machines without logs", 2018).
//
// Nothing is answered before what it says is durable: an answer waits here from the change of the
// vote until the vote that contains it was stored.
#pragma once

#include <deque>

#include "membership/message.h"

namespace braid::membership {

class Acceptor {
  public:
    explicit Acceptor(Vote vote) : vote_(std::move(vote)) {}

    [[nodiscard]] const Vote& vote() const { return vote_; }
    /// All that the vote says is durable, or never will be.
    [[nodiscard]] bool settled() const { return failed_ || durable_ == changes_; }
    [[nodiscard]] bool failed() const { return failed_; }
    /// Nobody counts its votes yet, and it gives none (V1).
    [[nodiscard]] bool blank() const { return vote_.enrolled == 0; }
    /// Blank, or it accepted the value that enrols it and does not know that to be chosen.
    [[nodiscard]] bool tentative() const {
        return blank() || (!vote_.chosen && vote_.value && vote_.value->epoch == vote_.enrolled);
    }

    void prepare(NodeId from, const Prepare& message);
    void accept(NodeId from, const Accept& message);
    /// A value was chosen: if it lists this voter, the voter may vote from now on (V1).
    void learn(const Value& chosen);
    /// Whether a chosen value shows that this voter was removed: an id never comes back.
    [[nodiscard]] bool removed_by(const Value& chosen) const;
    /// Begins anew as another, blank voter, which has promised nothing.
    void renew(VoterId fresh);
    /// As the only voter of a new lineage (R8), which begins with `value`.
    void begin(VoterId fresh, const Value& value);

    /// The vote to store, if it changed and none is being stored; then stored() or fail() follows.
    [[nodiscard]] std::optional<Bytes> take_store();
    /// What was taken last is durable.
    void stored();
    /// It cannot be stored. From now on this voter does one thing only, from memory: it accepts a
    /// value by which it ceases to be one (R9a).
    void fail();
    /// Answers that may leave now.
    [[nodiscard]] std::vector<Outgoing> take_answers();

  private:
    /// Tests that have to tell whether two of them are in the same state.
    friend struct Inside;

    struct Held {
        std::uint64_t change;
        Outgoing answer;
    };

    void restart();
    void refuse(NodeId to, VoterId asked, const Ballot& ballot, Refusal why);
    void answer(NodeId to, Message message) {
        held_.push_back({changes_, {to, std::move(message)}});
    }

    Vote vote_;
    bool failed_ = false;
    /// Changes of the vote so far, how many the store under way covers, how many are durable.
    std::uint64_t changes_ = 0;
    std::uint64_t storing_ = 0;
    std::uint64_t durable_ = 0;
    std::deque<Held> held_;
};

}  // namespace braid::membership
