// SPDX-License-Identifier: GPL-2.0-or-later
//
// The register: V1, V2, R8, R9a, one value after another whatever is lost, doubled or forgotten.
#include <gtest/gtest.h>

#include <map>
#include <random>
#include <set>
#include <sstream>

#include "membership/acceptor.h"
#include "membership/member.h"
#include "membership/proposer.h"
#include "membership_values.h"

namespace braid::membership {
namespace {

Vote enrolled(const Value& value, NodeId node) {
    return {.voter = value.seat(node)->voter,
            .enrolled = 1,
            .promised = {},
            .accepted = {.round = 1, .node = 0, .nonce = 1},
            .value = value,
            .chosen = true};
}

/// Stores at once.
template <class T>
std::vector<T> answers(Acceptor& acceptor) {
    if (acceptor.take_store())
        acceptor.stored();
    std::vector<T> found;
    for (const Outgoing& answer : acceptor.take_answers())
        found.push_back(std::get<T>(answer.message));
    return found;
}

const Ballot low{.round = 2, .node = 0, .nonce = 1};
const Ballot high{.round = 3, .node = 1, .nonce = 1};

TEST(MembershipAcceptor, AnswersOnlyWhatIsDurable) {
    const Value value = value_of(3);
    Acceptor acceptor(enrolled(value, 0));
    acceptor.prepare(1, {first_lineage, 100, low});
    const auto bytes = acceptor.take_store();
    ASSERT_TRUE(bytes.has_value());
    EXPECT_EQ(decode_vote(*bytes)->promised, low);
    EXPECT_TRUE(acceptor.take_answers().empty()) << "promised before it was stored";
    acceptor.accept(1, {100, low, {}, after(value)});
    EXPECT_FALSE(acceptor.take_store().has_value()) << "one at a time";
    acceptor.stored();
    auto first = acceptor.take_answers();
    ASSERT_EQ(first.size(), 1U);
    EXPECT_TRUE(std::holds_alternative<Promise>(first[0].message));
    ASSERT_TRUE(acceptor.take_store().has_value());
    EXPECT_TRUE(acceptor.take_answers().empty()) << "accepted before it was stored";
    acceptor.stored();
    EXPECT_EQ(acceptor.take_answers().size(), 1U);
}

TEST(MembershipAcceptor, KeepsItsPromise) {
    const Value value = value_of(3);
    Acceptor acceptor(enrolled(value, 0));
    acceptor.prepare(1, {first_lineage, 100, high});
    ASSERT_EQ(answers<Promise>(acceptor).size(), 1U);
    acceptor.prepare(0, {first_lineage, 100, low});
    acceptor.accept(0, {100, low, {}, after(value)});
    for (const Refused& refused : answers<Refused>(acceptor)) {
        EXPECT_EQ(refused.why, Refusal::promised);
        EXPECT_EQ(refused.promised, high);
    }
    EXPECT_EQ(acceptor.vote().value, value);
}

TEST(MembershipAcceptor, ABlankVoterDoesNotVoteBeforeItIsEnrolled) {
    Acceptor acceptor(Vote{.voter = 555});
    acceptor.prepare(1, {first_lineage, 555, low});
    acceptor.accept(1, {555, low, {}, value_of(3)});
    const auto refused = answers<Refused>(acceptor);
    ASSERT_EQ(refused.size(), 2U);
    EXPECT_EQ(refused[0].why, Refusal::blank);
    EXPECT_EQ(refused[1].why, Refusal::blank);
    Value enrolling = value_of(2);
    enrolling.seats[1].voter = 555;
    enrolling.read_under = {100};
    acceptor.accept(1, {555, low, {}, enrolling});
    EXPECT_EQ(answers<Accepted>(acceptor).size(), 1U) << "the value that enrols it";
    Acceptor other(Vote{.voter = 555});
    other.learn(enrolling);
    other.prepare(1, {first_lineage, 555, low});
    EXPECT_EQ(answers<Promise>(other).size(), 1U) << "after a CAS that enrolled it";
}

TEST(MembershipAcceptor, AnotherVoterIdOrLineageIsNoVote) {
    const Value value = value_of(3);
    Acceptor acceptor(enrolled(value, 0));
    acceptor.prepare(1, {first_lineage, 101, low});
    acceptor.accept(1, {101, low, {}, after(value)});
    acceptor.prepare(1, {second_lineage, 100, low});
    Value foreign = after(value);
    foreign.lineage = second_lineage;
    acceptor.accept(1, {100, low, {}, foreign});
    const auto refused = answers<Refused>(acceptor);
    ASSERT_EQ(refused.size(), 4U);
    EXPECT_EQ(refused[0].why, Refusal::voter);
    EXPECT_EQ(refused[1].why, Refusal::voter);
    EXPECT_EQ(refused[2].why, Refusal::lineage);
    EXPECT_EQ(refused[3].why, Refusal::lineage);
    EXPECT_EQ(acceptor.vote().value, value);
}

TEST(MembershipAcceptor, WithoutADiskItOnlyAcceptsItsOwnRemoval) {
    const Value value = value_of(2);
    Acceptor acceptor(enrolled(value, 1));
    acceptor.prepare(0, {first_lineage, 101, low});
    ASSERT_TRUE(acceptor.take_store().has_value());
    acceptor.fail();
    EXPECT_TRUE(acceptor.take_answers().empty()) << "its promise was not stored";
    acceptor.accept(0, {101, low, {}, after(value)});
    EXPECT_EQ(answers<Refused>(acceptor).at(0).why, Refusal::failed);
    Value without = after(value);
    without.seats[1].voter = without.seats[1].instance = 0;
    without.read_under = {100, 101};
    acceptor.accept(0, {101, high, {}, without});
    EXPECT_EQ(answers<Accepted>(acceptor).size(), 1U);
}

/// A proposer that has read `value` under its voters.
Proposer reader(const Value& value) {
    Proposer proposer(0);
    EXPECT_EQ(proposer.begin(value, true, 7), Proposer::Step::none);
    Proposer::Step step = Proposer::Step::none;
    for (const Outgoing& out : proposer.take_outgoing()) {
        const auto& prepare = std::get<Prepare>(out.message);
        step = proposer.on(
            Promise{value.lineage, prepare.voter, prepare.ballot, {1, 0, 1}, value, true});
        if (step == Proposer::Step::read)
            break;
    }
    EXPECT_EQ(step, Proposer::Step::read);
    return proposer;
}

TEST(MembershipProposer, ChoosesOnlyWithAMajority) {
    const Value value = value_of(4);
    Proposer proposer = reader(value);
    ASSERT_TRUE(proposer.propose(after(value), 8));
    const auto out = proposer.take_outgoing();
    ASSERT_EQ(out.size(), 4U);
    const Ballot ballot = std::get<Accept>(out[0].message).ballot;
    using Step = Proposer::Step;
    EXPECT_EQ(proposer.on(Accepted{first_lineage, 100, ballot}), Step::none);
    EXPECT_EQ(proposer.on(Accepted{first_lineage, 100, ballot}), Step::none) << "the same voter";
    EXPECT_EQ(proposer.on(Accepted{first_lineage, 999, ballot}), Step::none) << "no voter";
    EXPECT_EQ(proposer.on(Accepted{second_lineage, 101, ballot}), Step::none) << "R8";
    EXPECT_EQ(proposer.on(Accepted{first_lineage, 101, low}), Step::none) << "another ballot";
    EXPECT_EQ(proposer.on(Accepted{first_lineage, 101, ballot}), Step::none) << "a tie";
    EXPECT_EQ(proposer.on(Accepted{first_lineage, 102, ballot}), Step::chosen);
    EXPECT_EQ(proposer.begin(proposer.value(), true, 9), Step::read) << "one round trip";
}

TEST(MembershipProposer, ChangesOneVoterAtATime) {
    const Value value = value_of(4);
    Proposer proposer = reader(value);
    Value two = after(value);
    two.seats[2].voter = two.seats[3].voter = 0;
    EXPECT_FALSE(proposer.propose(two, 8));
    Value replaced = after(value);
    replaced.seats[3].voter = 999;
    EXPECT_FALSE(proposer.propose(replaced, 8)) << "one goes and one comes";
    Value one = after(value);
    one.seats[3].voter = 0;
    EXPECT_TRUE(proposer.propose(one, 8));
    EXPECT_EQ(proposer.value().read_under, value.voters());
    EXPECT_EQ(proposer.take_outgoing().size(), 4U) << "the one that goes is asked, too (V2)";
}

TEST(MembershipProposer, ChangesNoMoreVotersWhileTheLastChangeMayNotBeChosen) {
    Value value = after(value_of(3));
    value.read_under = {100, 101};
    Proposer proposer(0);
    ASSERT_EQ(proposer.begin(value, false, 7), Proposer::Step::none);
    const Ballot ballot = std::get<Prepare>(proposer.take_outgoing()[0].message).ballot;
    const Promise promise{first_lineage, 100, ballot, low, value, false};
    EXPECT_EQ(proposer.on(promise), Proposer::Step::none);
    Promise other = promise;
    other.voter = 102;
    EXPECT_EQ(proposer.on(other), Proposer::Step::none) << "no majority of the set before";
    other.voter = 101;
    ASSERT_EQ(proposer.on(other), Proposer::Step::read);
    Value next = after(value);
    next.seats[0].voter = 0;
    EXPECT_FALSE(proposer.propose(next, 8));
    next = after(value);
    next.seats[2].voter = 0;
    EXPECT_TRUE(proposer.may_have(next.voters())) << "the change may be taken back";
    next = after(value);
    ASSERT_TRUE(proposer.propose(next, 8));
    EXPECT_EQ(proposer.value().read_under, (VoterSet{100, 101}));
}

/// A cluster of voters and proposers whose messages are lost, doubled, delayed, and which crash.
class RegisterRun {
  public:
    RegisterRun(std::uint64_t seed, std::size_t nodes) : random_(seed), nodes_(nodes) {
        const Value first = value_of(1 + pick(nodes), 1);
        for (NodeId node = 0; node < nodes; node++) {
            const bool votes = first.seat(node) != nullptr;
            disks_.push_back(votes ? encode(enrolled(first, node)) : Bytes{});
            acceptors_.emplace_back(votes ? enrolled(first, node) : Vote{.voter = random_()});
            proposers_.emplace_back(node);
            known_.push_back(first);
        }
        parent_[first.id] = 0;
        choose(first);
    }

    /// What went wrong, or nothing.
    std::string run(int steps) {
        for (int i = 0; i < steps && wrong_.empty(); i++)
            step();
        return wrong_;
    }
    [[nodiscard]] std::size_t chosen() const { return chosen_.size(); }

  private:
    std::size_t pick(std::size_t n) { return static_cast<std::size_t>(random_() % n); }

    void step() {
        const auto node = static_cast<NodeId>(pick(nodes_));
        const std::size_t what = pick(100);
        if (what < 55 && !network_.empty())
            deliver();
        else if (what < 75)
            store(node);
        else if (what < 78)
            proposers_[node].resend();
        else if (what < 80)
            restart(node);
        else if (what < 81 && wipes_ < 2)
            wipe(node);
        else if (what < 87)
            gossip(node);
        else
            begin(node);
        flush(node);
    }

    void flush(NodeId node) {
        for (Outgoing& out : proposers_[node].take_outgoing())
            network_.emplace_back(node, std::move(out));
        for (Outgoing& out : acceptors_[node].take_answers())
            network_.emplace_back(node, std::move(out));
        while (network_.size() > 24)
            network_.erase(network_.begin() + static_cast<std::ptrdiff_t>(pick(12)));
    }

    void store(NodeId node) {
        if (auto bytes = acceptors_[node].take_store())
            storing_[node] = *bytes;
        if (storing_.count(node) != 0 && pick(3) > 0) {
            disks_[node] = storing_[node];
            storing_.erase(node);
            acceptors_[node].stored();
        }
    }

    void begin(NodeId node) {
        if (proposers_[node].idle() || pick(20) == 0)
            went(node, proposers_[node].begin(known_[node], true, random_()));
    }

    void restart(NodeId node) {
        const auto vote = decode_vote(disks_[node]);
        acceptors_[node] = Acceptor(vote ? *vote : Vote{.voter = random_()});
        proposers_[node] = Proposer(node);
        storing_.erase(node);
    }

    /// A disk that was replaced: the voter is another one.
    void wipe(NodeId node) {
        // More than a minority of replaced disks is not survived: only if no other is not enrolled.
        const Value& last = chosen_.rbegin()->second;
        if (last.voters().size() < 3)
            return;
        for (const Seat& seat : last.seats)
            if (seat.voter != acceptors_[seat.node].vote().voter)
                return;
        wipes_++;
        disks_[node].clear();
        restart(node);
    }

    void gossip(NodeId node) {
        const Value& other = known_[pick(nodes_)];
        if (other.epoch > known_[node].epoch)
            known_[node] = other;
        acceptors_[node].learn(known_[node]);
        if (acceptors_[node].removed_by(known_[node]))
            acceptors_[node].renew(random_());
    }

    void deliver() {
        const auto it = network_.begin() + static_cast<std::ptrdiff_t>(pick(network_.size()));
        const auto [from, out] = *it;
        if (pick(8) > 0)
            network_.erase(it);
        if (pick(10) == 0)
            return;
        const auto message = decode_message(encode(out.message));
        ASSERT_TRUE(message.has_value()) << message.error();
        if (const auto* prepare = std::get_if<Prepare>(&*message))
            acceptors_[out.to].prepare(from, *prepare);
        else if (const auto* accept = std::get_if<Accept>(&*message))
            acceptors_[out.to].accept(from, *accept);
        else if (const auto* promise = std::get_if<Promise>(&*message))
            went(out.to, proposers_[out.to].on(*promise));
        else if (const auto* accepted = std::get_if<Accepted>(&*message))
            went(out.to, proposers_[out.to].on(*accepted));
        else if (const auto* refused = std::get_if<Refused>(&*message))
            went(out.to, proposers_[out.to].on(*refused));
        if (pick(4) > 0)
            store(out.to);
        flush(out.to);
    }

    void went(NodeId node, Proposer::Step step) {
        Proposer& proposer = proposers_[node];
        if (step == Proposer::Step::restart)
            went(node, proposer.begin(proposer.basis(), false, random_()));
        else if (step == Proposer::Step::read)
            propose(node);
        else if (step == Proposer::Step::chosen)
            choose(proposer.value());
        if (step == Proposer::Step::chosen && proposer.value().epoch > known_[node].epoch)
            known_[node] = proposer.value();
    }

    void propose(NodeId node) {
        Proposer& proposer = proposers_[node];
        const Value& read = proposer.read();
        Value next = after(read);
        next.id = random_() | 1;
        if (pick(4) == 0)
            next = read;
        else if (pick(2) == 0)
            change_voter(next);
        if (!proposer.may_have(next.voters()))
            next = read;
        parent_.emplace(next.id, read.id);
        if (!proposer.propose(next, random_()))
            proposer.abandon();
    }

    void change_voter(Value& next) {
        const auto node = static_cast<NodeId>(pick(nodes_));
        Seat* seat = next.seat(node);
        if (seat != nullptr && seat->voter != 0 && next.voters().size() > 1) {
            seat->voter = 0;
        } else if (acceptors_[node].blank()) {
            if (seat == nullptr) {
                next.seats.push_back({.node = node});
                std::sort(next.seats.begin(), next.seats.end(),
                          [](const Seat& a, const Seat& b) { return a.node < b.node; });
                seat = next.seat(node);
            }
            if (seat->voter == 0)
                seat->voter = acceptors_[node].vote().voter;
        }
    }

    /// Of each epoch one value, and each descends from those before it.
    void choose(const Value& value) {
        const auto [at, is_new] = chosen_.emplace(value.epoch, value);
        if (at->second.id != value.id)
            return fail(value, "another value was chosen for this epoch");
        for (const auto& [epoch, other] : chosen_) {
            const auto& [older, newer] =
                epoch < value.epoch ? std::pair(other, value) : std::pair(value, other);
            std::uint64_t id = newer.id;
            while (id != older.id && id != 0)
                id = parent_[id];
            if (id == 0)
                return fail(newer, "it does not follow from epoch " + std::to_string(older.epoch));
        }
    }

    void fail(const Value& value, const std::string& why) {
        wrong_ = "epoch " + std::to_string(value.epoch) + ": " + why;
    }

    std::mt19937_64 random_;
    std::size_t nodes_;
    std::vector<Bytes> disks_;
    std::vector<Acceptor> acceptors_;
    std::vector<Proposer> proposers_;
    std::vector<Value> known_;
    std::map<NodeId, Bytes> storing_;
    /// With their senders.
    std::vector<std::pair<NodeId, Outgoing>> network_;
    std::map<std::uint64_t, std::uint64_t> parent_;
    std::map<std::uint64_t, Value> chosen_;
    std::string wrong_;
    int wipes_ = 0;
};

TEST(MembershipRegister, OneValueAfterAnother) {
    std::size_t chosen = 0;
    for (std::uint64_t seed = 1; seed <= 400; seed++) {
        RegisterRun run(seed, 2 + seed % 4);
        ASSERT_EQ(run.run(800), "") << "seed " << seed;
        chosen += run.chosen();
    }
    EXPECT_GT(chosen, 400U * 4) << "too little happened";
}

/// V1: an id that could not be stored is nobody's; whoever has its disk back takes another one.
TEST(MembershipRegister, AVoterWhoseDiskIsBackCanBeEnrolledAgain) {
    Member member(0, true, {}, {}, {.now_ms = 1000, .wall_ms = 1000, .random = 1});
    const auto stores = [&member](const Event& event) {
        std::vector<VoterId> voters;
        for (const Action& action :
             member.handle({.now_ms = 1000, .wall_ms = 1000, .random = 2}, event))
            if (const auto* store = std::get_if<StoreVote>(&action))
                voters.push_back(decode_vote(store->bytes)->voter);
        return voters;
    };
    KernelView view{.present = true, .diskful = true, .instance = 1};
    const auto first = stores(view);
    ASSERT_EQ(first.size(), 1U);
    view.diskful = false;
    view.instance = 2;
    EXPECT_TRUE(stores(view).empty());
    EXPECT_TRUE(stores(VoteStored{.ok = false}).empty());
    EXPECT_TRUE(stores(view).empty()) << "nothing has changed";
    view.diskful = true;
    view.instance = 3;
    const auto second = stores(view);
    ASSERT_EQ(second.size(), 1U);
    EXPECT_NE(second, first);
    EXPECT_TRUE(stores(VoteStored{.ok = true}).empty());
    EXPECT_TRUE(stores(view).empty());
}

}  // namespace
}  // namespace braid::membership
