// SPDX-License-Identifier: GPL-2.0-or-later
#include "membership/acceptor.h"

#include <algorithm>

namespace braid::membership {

namespace {

bool contains(const VoterSet& set, VoterId voter) {
    return std::binary_search(set.begin(), set.end(), voter);
}

}  // namespace

void Acceptor::refuse(NodeId to, VoterId asked, const Ballot& ballot, Refusal why) {
    answer(to, Refused{.voter = asked, .ballot = ballot, .why = why, .promised = vote_.promised});
}

void Acceptor::prepare(NodeId from, const Prepare& message) {
    if (message.voter != vote_.voter)
        return refuse(from, message.voter, message.ballot, Refusal::voter);
    if (failed_)
        return refuse(from, message.voter, message.ballot, Refusal::failed);
    if (blank())
        return refuse(from, message.voter, message.ballot, Refusal::blank);
    if (vote_.value && vote_.value->lineage != message.lineage)
        return refuse(from, message.voter, message.ballot, Refusal::lineage);
    if (message.ballot < vote_.promised)
        return refuse(from, message.voter, message.ballot, Refusal::promised);
    if (message.ballot > vote_.promised) {
        vote_.promised = message.ballot;
        changes_++;
    }
    answer(from, Promise{.lineage = message.lineage,
                         .voter = vote_.voter,
                         .ballot = message.ballot,
                         .accepted = vote_.accepted,
                         .value = vote_.value,
                         .chosen = vote_.chosen});
}

void Acceptor::accept(NodeId from, const Accept& message) {
    const VoterSet voters = message.value.voters();
    if (message.voter != vote_.voter)
        return refuse(from, message.voter, message.ballot, Refusal::voter);
    if (vote_.value && vote_.value->lineage != message.value.lineage)
        return refuse(from, message.voter, message.ballot, Refusal::lineage);
    if (failed_ &&
        (contains(voters, vote_.voter) || !contains(message.value.read_under, vote_.voter)))
        return refuse(from, message.voter, message.ballot, Refusal::failed);
    // The value that enrols it is the first that it votes for.
    if (blank() && !contains(voters, vote_.voter))
        return refuse(from, message.voter, message.ballot, Refusal::blank);
    const bool again = vote_.value && message.ballot == vote_.accepted;
    if (message.ballot < vote_.promised && !again)
        return refuse(from, message.voter, message.ballot, Refusal::promised);
    const Accepted yes{
        .lineage = message.value.lineage, .voter = vote_.voter, .ballot = message.ballot};
    if (again)
        return answer(from, yes);
    vote_.accepted = message.ballot;
    vote_.promised = std::max(message.ballot, message.next);
    vote_.chosen = vote_.chosen && vote_.value && vote_.value->is(message.value);
    vote_.value = message.value;
    if (blank())
        vote_.enrolled = message.value.epoch;
    changes_++;
    if (failed_)
        durable_ = changes_;
    answer(from, yes);
}

void Acceptor::learn(const Value& chosen) {
    const bool enrols = blank() && contains(chosen.voters(), vote_.voter);
    const bool mine = !vote_.chosen && vote_.value && vote_.value->is(chosen);
    if (failed_ || (!enrols && !mine))
        return;
    if (enrols)
        vote_.enrolled = chosen.epoch;
    vote_.chosen = vote_.chosen || mine;
    changes_++;
}

bool Acceptor::removed_by(const Value& chosen) const {
    return !blank() && chosen.epoch >= vote_.enrolled &&
           (!vote_.value || chosen.lineage == vote_.value->lineage) &&
           !contains(chosen.voters(), vote_.voter);
}

void Acceptor::renew(VoterId fresh) {
    vote_ = Vote{};
    vote_.voter = fresh;
    restart();
}

void Acceptor::begin(VoterId fresh, const Value& value) {
    vote_ = Vote{.voter = fresh,
                 .enrolled = value.epoch,
                 .promised = {},
                 .accepted = {},
                 .value = value,
                 .chosen = true};
    restart();
}

void Acceptor::restart() {
    held_.clear();
    if (failed_)
        durable_ = storing_ = changes_;
    failed_ = false;
    changes_++;
}

std::optional<Bytes> Acceptor::take_store() {
    if (failed_ || storing_ != durable_ || changes_ == durable_)
        return std::nullopt;
    storing_ = changes_;
    return encode(vote_);
}

void Acceptor::stored() {
    durable_ = storing_;
}

void Acceptor::fail() {
    failed_ = true;
    // What was not durable is not answered: nobody may rely on it.
    held_.clear();
    durable_ = storing_ = changes_;
}

std::vector<Outgoing> Acceptor::take_answers() {
    std::vector<Outgoing> answers;
    while (!held_.empty() && held_.front().change <= durable_) {
        answers.push_back(std::move(held_.front().answer));
        held_.pop_front();
    }
    return answers;
}

}  // namespace braid::membership
