// SPDX-License-Identifier: GPL-2.0-or-later
#include "membership/proposer.h"

#include <algorithm>

namespace braid::membership {

namespace {

/// Adds the voters of a value. A removed one is listed in the value before only.
void add_voters(std::map<VoterId, NodeId>& asked, const Value& value) {
    for (const Seat& seat : value.seats)
        if (seat.voter != 0)
            asked.emplace(seat.voter, seat.node);
}

bool covers(const std::map<VoterId, NodeId>& asked, const VoterSet& set) {
    return std::all_of(set.begin(), set.end(),
                       [&asked](VoterId voter) { return asked.count(voter) != 0; });
}

/// Enough have refused that no majority is left.
bool hopeless(const VoterSet& set, const VoterSet& no) {
    VoterSet left;
    std::set_difference(set.begin(), set.end(), no.begin(), no.end(), std::back_inserter(left));
    return !majority(set, left);
}

}  // namespace

void Proposer::forget() {
    abandon();
    fast_ = {};
    outgoing_.clear();
}

void Proposer::ask(VoterId voter) {
    const NodeId node = asked_.at(voter);
    if (stage_ == Stage::preparing)
        outgoing_.push_back(
            {node, Prepare{.lineage = basis_.lineage, .voter = voter, .ballot = ballot_}});
    else
        outgoing_.push_back(
            {node, Accept{.voter = voter, .ballot = ballot_, .next = next_, .value = proposed_}});
}

void Proposer::resend() {
    if (stage_ != Stage::preparing && stage_ != Stage::accepting)
        return;
    for (const auto& [voter, node] : asked_)
        if (!std::binary_search(yes_.begin(), yes_.end(), voter) &&
            !std::binary_search(no_.begin(), no_.end(), voter))
            ask(voter);
}

std::vector<NodeId> Proposer::silent() const {
    std::vector<NodeId> nodes;
    for (const auto& [voter, node] : asked_)
        if (!std::binary_search(yes_.begin(), yes_.end(), voter) &&
            !std::binary_search(no_.begin(), no_.end(), voter))
            nodes.push_back(node);
    return nodes;
}

Proposer::Step Proposer::begin(const Value& basis, bool chosen, std::uint64_t nonce) {
    if (chosen && fast_.round != 0 && basis.is(proposed_)) {
        // Those who accepted it have promised this ballot, and nothing else was accepted since.
        stage_ = Stage::reading;
        ballot_ = fast_;
        fast_ = {};
        basis_ = best_ = proposed_;
        basis_chosen_ = best_chosen_ = true;
        return Step::read;
    }
    fast_ = {};
    stage_ = Stage::preparing;
    ballot_ = {.round = ++highest_round_, .node = self_, .nonce = nonce};
    if (!basis.is(basis_))
        basis_ballot_ = {};
    basis_ = basis;
    basis_chosen_ = chosen;
    best_ = basis;
    best_chosen_ = chosen;
    best_ballot_.reset();
    yes_.clear();
    no_.clear();
    asked_.clear();
    add_voters(asked_, basis);
    for (const auto& [voter, node] : asked_)
        ask(voter);
    return Step::none;
}

bool Proposer::settled() const {
    return best_chosen_ || best_.read_under == best_.voters();
}

bool Proposer::may_have(const VoterSet& voters) const {
    // An unsettled change may be taken back: under the voters before it, as it was proposed.
    return settled() ? difference(voters, best_.voters()) <= 1
                     : voters == best_.voters() || voters == best_.read_under;
}

bool Proposer::promised() const {
    // What is known to be chosen is known to some voter of each majority of its voters.
    if (basis_chosen_ && !majority(basis_.voters(), yes_))
        return false;
    // Sets that differ by one voter have no majorities apart: whatever was chosen from the best
    // value, or beside it, is known to some voter of these.
    return majority(settled() ? best_.voters() : best_.read_under, yes_);
}

Proposer::Step Proposer::on(const Promise& message) {
    if (stage_ != Stage::preparing || message.ballot != ballot_ ||
        message.lineage != basis_.lineage || asked_.count(message.voter) == 0)
        return Step::none;
    insert(yes_, message.voter);
    if (message.value && (!best_ballot_ || message.accepted > *best_ballot_)) {
        best_ballot_ = message.accepted;
        best_ = *message.value;
        best_chosen_ = message.chosen || (basis_chosen_ && best_.is(basis_));
    }
    // A basis that nobody is known to have accepted is hearsay.
    if (!best_ballot_ && !basis_chosen_)
        return Step::none;
    const bool newer =
        basis_chosen_ ? best_.epoch > basis_.epoch : best_ballot_ && *best_ballot_ > basis_ballot_;
    if (newer && !covers(asked_, best_.voters())) {
        basis_ = best_;
        basis_ballot_ = best_ballot_.value_or(Ballot{});
        basis_chosen_ = best_chosen_;
        stage_ = Stage::idle;
        return Step::restart;
    }
    if (!promised())
        return Step::none;
    stage_ = Stage::reading;
    return Step::read;
}

bool Proposer::propose(Value next, std::uint64_t nonce) {
    if (stage_ != Stage::reading || next.lineage != best_.lineage)
        return false;
    const bool again = next.is(best_);
    const VoterSet voters = next.voters();
    if (!again) {
        if (next.epoch != best_.epoch + 1 || !may_have(voters))
            return false;
        next.read_under = settled() ? best_.voters() : best_.read_under;
    }
    if (fault(next))
        return false;
    stage_ = Stage::accepting;
    asked_.clear();
    yes_.clear();
    no_.clear();
    add_voters(asked_, next);
    add_voters(asked_, best_);
    next_ = {.round = ballot_.round + 1, .node = self_, .nonce = nonce};
    highest_round_ = std::max(highest_round_, next_.round);
    proposed_ = std::move(next);
    for (const auto& [voter, node] : asked_)
        ask(voter);
    return true;
}

Proposer::Step Proposer::on(const Accepted& message) {
    if (stage_ != Stage::accepting || message.ballot != ballot_ ||
        message.lineage != proposed_.lineage || asked_.count(message.voter) == 0)
        return Step::none;
    insert(yes_, message.voter);
    if (!majority(proposed_.read_under, yes_) || !majority(proposed_.voters(), yes_))
        return Step::none;
    stage_ = Stage::idle;
    fast_ = next_;
    return Step::chosen;
}

Proposer::Step Proposer::on(const Refused& message) {
    if ((stage_ != Stage::preparing && stage_ != Stage::accepting) || message.ballot != ballot_)
        return Step::none;
    highest_round_ = std::max(highest_round_, message.promised.round);
    if (asked_.count(message.voter) != 0)
        insert(no_, message.voter);
    const Value& asked_for = stage_ == Stage::accepting ? proposed_ : best_;
    if (message.why != Refusal::promised && !hopeless(asked_for.voters(), no_) &&
        !hopeless(asked_for.read_under, no_))
        return Step::none;
    stage_ = Stage::idle;
    return Step::conflict;
}

}  // namespace braid::membership
