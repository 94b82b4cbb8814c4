// SPDX-License-Identifier: GPL-2.0-or-later
//
// Changes the register by compare-and-swap: reads its latest value in a Prepare phase and has the
// next one accepted (CASPaxos, as acceptor.h). One round at a time.
//
// Voters change with the values, by joint majorities (V2). A value names the voters under which the
// value before it was read (read_under) besides its own, and both have to accept it. As long as it
// is not known to be chosen the former have to promise, and the values after it are read under
// them, too; the first value after one that is known to be chosen is read under its voters.
#pragma once

#include <map>

#include "membership/message.h"

namespace braid::membership {

class Proposer {
  public:
    /// What the last call led to.
    enum class Step {
        none,      ///< more answers are needed
        read,      ///< read() is the latest value: propose() the next one, or abandon()
        restart,   ///< there is a newer set of voters: begin() again, from basis()
        conflict,  ///< another proposer is at it, or too many refused: begin() again later
        chosen,    ///< value() was chosen
    };

    explicit Proposer(NodeId self) : self_(self) {}

    [[nodiscard]] bool idle() const { return stage_ == Stage::idle; }
    /// Begins a round. `basis` is the latest value that is known here; `chosen`: to be chosen.
    /// `nonce` is random. Step::read at once if the last round leads to this one (fast path).
    Step begin(const Value& basis, bool chosen, std::uint64_t nonce);
    [[nodiscard]] const Value& basis() const { return basis_; }
    [[nodiscard]] const Value& read() const { return best_; }
    /// Whether the value after read() may have these voters: one may differ; or, if read() changed
    /// one and is not known to be chosen, that change may be taken back.
    [[nodiscard]] bool may_have(const VoterSet& voters) const;
    /// Proposes the value after read(): its epoch one higher, its voters as may_have(); or read()
    /// itself, to have it chosen. Sets read_under. False, and nothing is proposed, if the value
    /// breaks these rules. `nonce` is random.
    [[nodiscard]] bool propose(Value next, std::uint64_t nonce);
    [[nodiscard]] const Value& value() const { return proposed_; }
    /// Forgets the round; what was proposed may still be chosen by a later one.
    void abandon() { stage_ = Stage::idle; }
    /// Nothing of an earlier lineage counts (R8).
    void forget();

    Step on(const Promise& message);
    Step on(const Accepted& message);
    Step on(const Refused& message);

    /// Messages to voters that wait to be sent.
    [[nodiscard]] std::vector<Outgoing> take_outgoing() { return std::exchange(outgoing_, {}); }
    /// Sends again what is unanswered in this round.
    void resend();
    /// Voters that have not answered in this round, by node.
    [[nodiscard]] std::vector<NodeId> silent() const;

  private:
    /// Tests that have to tell whether two of them are in the same state.
    friend struct Inside;

    enum class Stage : std::uint8_t { idle, preparing, reading, accepting };

    [[nodiscard]] bool settled() const;
    [[nodiscard]] bool promised() const;
    void ask(VoterId voter);

    NodeId self_;
    Stage stage_ = Stage::idle;
    Ballot ballot_;
    std::uint64_t highest_round_ = 0;
    Value basis_;
    bool basis_chosen_ = false;
    /// With which it was accepted, as far as that is known.
    Ballot basis_ballot_;
    /// The value with the highest ballot among those that were promised, and that ballot.
    Value best_;
    std::optional<Ballot> best_ballot_;
    bool best_chosen_ = false;
    Value proposed_;
    Ballot next_;
    /// Ballot promised for the round after proposed_, which was chosen. Round 0: none.
    Ballot fast_;
    /// Voters asked in this phase with their nodes; those that said yes, and no.
    std::map<VoterId, NodeId> asked_;
    VoterSet yes_;
    VoterSet no_;
    std::vector<Outgoing> outgoing_;
};

}  // namespace braid::membership
