// SPDX-License-Identifier: GPL-2.0-or-later
//
// The register (V1, V2): every history of three voters and two proposers, up to a bound.
//
// Breadth first over all that may happen next: a letter arrives (also again, late, or never: what
// was sent stays in the network), a vote becomes durable, a voter crashes and forgets what was not,
// a proposer begins a round, also in place of one that goes on, or restarts and has forgotten all.
// Acceptor and Proposer are those of the daemon; each state that one of them can be in is computed
// once for each thing that can happen to it, and a state of the whole is made of their numbers.
//
// Promised: of each epoch one value is chosen; each chosen value descends from those before it, so
// none is lost; what a vote says to be chosen is; what a proposer says to be chosen has the durable
// votes of a majority of its voters and of those under which it was read. A failure prints the
// shortest history that leads to it.
//
// Bounded are the rounds of each proposer (the bounds of each test). Voters crash, and messages are
// doubled, as often as it makes a difference. Left out, because it adds no history:
// - What happens between a step that nobody else can notice and the next of the same voter or
//   proposer: that step could as well have come just before that one.
// - What a proposer would ignore now: its ballots do not come back.
// - A refusal that is late: it arrives at once or never, and who asks again is refused again.
// - A vote that reached the disk just before a crash: it is as if the crash came just after.
// A proposer that has no rounds left is not restarted; no disk fails (R9a), there is one lineage.
//
// 50,000, 145,000 and 24,000 states in some 15 s with the sanitizers. BRAID_EXHAUSTIVE=1 in the
// environment adds searches of 0.2, 0.9 and 0.7 million.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <deque>
#include <iostream>
#include <map>
#include <set>
#include <unordered_map>

#include "membership/acceptor.h"
#include "membership/proposer.h"
#include "membership_values.h"

namespace braid::membership {

/// Everything that is inside, as bytes. Does not compile once a member is added: add it here.
struct Inside {
    static std::string of(const Acceptor& acceptor) {
        const auto& [vote, failed, changes, storing, durable, held] = acceptor;
        std::string all = bytes(encode(vote));
        all += static_cast<char>(failed);
        all += number(changes - durable) + number(storing - durable);
        // Messages may be doubled anyway: how often an answer waits, and behind which, is nothing.
        std::set<std::string> waiting;
        for (const auto& [change, answer] : held)
            waiting.insert(number(change - durable) + number(answer.to) +
                           bytes(encode(answer.message)));
        for (const std::string& answer : waiting)
            all += number(answer.size()) + answer;
        return all;
    }

    static std::string of(const Proposer& proposer) {
        const auto& [self, stage, ballot, highest_round, basis, basis_chosen, basis_ballot, best,
                     best_ballot, best_chosen, proposed, next, fast, asked, yes, no, outgoing] =
            proposer;
        EXPECT_TRUE(outgoing.empty());
        std::string all = number(self) + number(static_cast<std::uint64_t>(stage)) +
                          number(highest_round) + number(basis_chosen) + number(best_chosen) +
                          number(best_ballot.has_value());
        for (const Ballot& each :
             {ballot, basis_ballot, best_ballot.value_or(Ballot{}), next, fast})
            all += number(each.round) + number(each.node) + number(each.nonce);
        for (const Value* each : {&basis, &best, &proposed})
            all += bytes(encode(Message{Chosen{*each}}));
        for (const auto& [voter, node] : asked)
            all += number(voter) + number(node);
        for (const VoterSet* each : {&yes, &no}) {
            all += number(each->size());
            for (const VoterId voter : *each)
                all += number(voter);
        }
        return all;
    }

    static const Ballot& ballot(const Proposer& proposer) { return proposer.ballot_; }
    /// What it read is known to be chosen.
    static bool is_chosen(const Proposer& proposer) { return proposer.best_chosen_; }

    static std::string number(std::uint64_t n) {
        return {reinterpret_cast<const char*>(&n), sizeof(n)};
    }
    static std::string bytes(const Bytes& bytes) {
        return number(bytes.size()) + std::string(bytes.begin(), bytes.end());
    }
};

namespace {

/// Gives each state that differs a small number.
template <class T>
class Numbers {
  public:
    std::uint32_t of(std::string key, T item) {
        const auto [at, is_new] =
            numbers_.try_emplace(std::move(key), static_cast<std::uint32_t>(items_.size()));
        if (is_new)
            items_.push_back(std::move(item));
        return at->second;
    }
    const T& operator[](std::uint32_t number) const { return items_[number]; }
    [[nodiscard]] std::size_t size() const { return items_.size(); }

  private:
    std::unordered_map<std::string, std::uint32_t> numbers_;
    std::deque<T> items_;
};

/// A vote that became durable.
struct Cast {
    Ballot ballot;
    std::uint64_t value = 0;
    VoterId voter = 0;

    auto operator<=>(const Cast&) const = default;  // NOLINT(modernize-use-nullptr)
};

/// What a voter has on its disk, and all the votes that it ever had there.
struct Disk {
    Vote vote;
    std::set<Cast> cast;
};

struct Voter {
    NodeId node = 0;
    Acceptor acceptor;
    std::uint32_t disk = 0;
    /// Under way to the disk, with the votes that it says or that were overtaken before it left.
    std::optional<Bytes> storing{};
    std::set<Cast> covered{};
    /// Cast after that, in memory only.
    std::set<Cast> later{};
};

struct Client {
    NodeId node = 0;
    Proposer proposer;
    Value known;
    unsigned rounds = 0;
};

/// On its way to a voter or to a proposer.
struct Letter {
    bool to_proposer = false;
    NodeId from = 0;
    NodeId to = 0;
    Message message;
};

/// What a step of one of them led to.
struct Outcome {
    std::uint32_t after = 0;
    std::vector<std::uint32_t> sent{};
    /// It says that this was chosen.
    std::optional<Cast> chosen{};
};

struct State {
    std::array<std::uint32_t, 3> voters{};
    std::array<std::uint32_t, 2> clients{};
    std::uint32_t network = 0;
    /// The one that has the next step: a voter, or 3 and a proposer; or nobody in particular.
    std::uint32_t turn = anyone;

    bool operator==(const State&) const = default;
    static constexpr std::uint32_t anyone = 9;
};

struct Step {
    enum class What : std::uint8_t { start, deliver, stored, crash, begin, forget };
    What what = What::start;
    std::uint32_t which = 0;
    /// Of what may be proposed after a read.
    std::uint32_t choice = 0;
};

struct Bounds {
    /// Of each proposer.
    std::array<unsigned, 2> rounds{};
    /// A proposer may give up a round before it ends, and be started again.
    bool impatient = true;
    /// A voter hears messages while its vote is under way to the disk.
    bool overlapping = false;
    /// Voters are told what was chosen.
    bool learn = false;
    /// A proposer may take this node's voter out, or another one in.
    std::array<NodeId, 2> changes{no_node, no_node};
};

class Search {
  public:
    explicit Search(Bounds bounds) : bounds_(bounds), first_(value_of(3)) {
        State start;
        values_.emplace(first_.id, Known{first_, 0});
        for (NodeId node = 0; node < 3; node++) {
            const Vote vote{.voter = 100 + node,
                            .enrolled = 1,
                            .promised = {},
                            .accepted = {.round = 1, .node = 0, .nonce = 0},
                            .value = first_,
                            .chosen = true};
            Disk disk{vote, {{vote.accepted, first_.id, vote.voter}}};
            start.voters[node] = number({node, Acceptor(vote), number(disk)});
        }
        for (NodeId node = 0; node < 2; node++)
            start.clients[node] = number({node, Proposer(node), first_});
        start.network = networks_.of("", {});
        visit(start, 0, {});
    }

    /// What goes wrong in the shortest history in which something does; or nothing.
    std::string run() {
        for (std::uint32_t at = 0; at < states_.size() && wrong_.empty(); at++)
            expand(at);
        return wrong_;
    }
    [[nodiscard]] std::size_t states() const { return states_.size(); }
    [[nodiscard]] std::size_t steps() const { return steps_; }
    [[nodiscard]] std::size_t longest() const { return chain_; }

  private:
    using What = Step::What;
    struct Known {
        Value value;
        std::uint64_t parent = 0;
    };
    struct Reached {
        State state;
        std::uint32_t from = 0;
        Step step;
    };

    // ---- numbers ----

    std::uint32_t number(const Disk& disk) {
        return disks_.of(Inside::bytes(encode(disk.vote)) + bytes(disk.cast), disk);
    }
    static std::string bytes(const std::set<Cast>& casts) {
        std::string all = Inside::number(casts.size());
        for (const Cast& cast : casts)
            for (const std::uint64_t each : {cast.ballot.round, std::uint64_t{cast.ballot.node},
                                             cast.ballot.nonce, cast.value, cast.voter})
                all += Inside::number(each);
        return all;
    }
    std::uint32_t number(const Voter& voter) {
        std::string key = Inside::number(voter.node) + Inside::number(voter.disk) +
                          Inside::bytes(voter.storing.value_or(Bytes{})) + bytes(voter.covered) +
                          bytes(voter.later) + Inside::of(voter.acceptor);
        return voters_.of(std::move(key), voter);
    }
    std::uint32_t number(const Client& client) {
        std::string key = Inside::number(client.rounds) + Inside::number(client.known.id) +
                          Inside::of(client.proposer);
        return clients_.of(std::move(key), client);
    }
    std::uint32_t letter(bool to_proposer, NodeId from, NodeId to, const Message& message) {
        const Bytes bytes = encode(message);
        const auto decoded = decode_message(bytes);
        EXPECT_TRUE(decoded.has_value()) << decoded.error();
        return letters_.of(Inside::number(to_proposer) + Inside::number(from) + Inside::number(to) +
                               Inside::bytes(bytes),
                           {to_proposer, from, to, *decoded});
    }
    std::uint32_t sent(std::uint32_t network, std::uint32_t letter) {
        const std::uint64_t key = std::uint64_t{network} << 32 | letter;
        const auto found = sending_.find(key);
        if (found != sending_.end())
            return found->second;
        std::vector<std::uint32_t> all = networks_[network];
        const auto at = std::lower_bound(all.begin(), all.end(), letter);
        if (at == all.end() || *at != letter)
            all.insert(at, letter);
        return sending_.emplace(key, number(std::move(all))).first->second;
    }
    /// The network without what this proposer would not hear any more.
    std::uint32_t without_useless(std::uint32_t network, NodeId node, std::uint32_t client) {
        const std::uint64_t key = std::uint64_t{network} << 32 | client;
        const auto found = useful_.find(key);
        if (found != useful_.end())
            return found->second;
        std::vector<std::uint32_t> all;
        for (const std::uint32_t each : networks_[network])
            if (!letters_[each].to_proposer || letters_[each].to != node || is_useful(client, each))
                all.push_back(each);
        return useful_.emplace(key, number(std::move(all))).first->second;
    }
    bool is_useful(std::uint32_t client, std::uint32_t letter) {
        const Outcome& outcome = outcome_of({What::deliver, letter}, true, client);
        return outcome.after != client || !outcome.sent.empty();
    }
    std::uint32_t number(std::vector<std::uint32_t> letters) {
        std::string name(reinterpret_cast<const char*>(letters.data()),
                         letters.size() * sizeof(letters[0]));
        return networks_.of(std::move(name), std::move(letters));
    }

    // ---- steps of a voter ----

    Outcome settle(Voter voter) {
        Outcome outcome;
        if (auto bytes = voter.acceptor.take_store()) {
            voter.storing = std::move(bytes);
            voter.covered = std::exchange(voter.later, {});
        }
        for (const Outgoing& out : voter.acceptor.take_answers())
            outcome.sent.push_back(letter(true, voter.node, out.to, out.message));
        outcome.after = number(voter);
        return outcome;
    }

    Outcome hear(Voter voter, const Letter& letter) {
        if (const auto* prepare = std::get_if<Prepare>(&letter.message))
            voter.acceptor.prepare(letter.from, *prepare);
        else if (const auto* accept = std::get_if<Accept>(&letter.message))
            vote(voter, letter.from, *accept);
        else if (const auto* chosen = std::get_if<Chosen>(&letter.message)) {
            voter.acceptor.learn(chosen->value);
            if (voter.acceptor.removed_by(chosen->value))
                voter.acceptor.renew(fresh_voter(voter.node));
        }
        return settle(std::move(voter));
    }

    static void vote(Voter& voter, NodeId from, const Accept& accept) {
        const Ballot before = voter.acceptor.vote().accepted;
        voter.acceptor.accept(from, accept);
        if (voter.acceptor.vote().accepted != before)
            voter.later.insert({accept.ballot, accept.value.id, accept.voter});
    }

    Outcome store(Voter voter) {
        if (!voter.storing)
            return {number(voter)};
        Disk disk = disks_[voter.disk];
        disk.vote = *decode_vote(*voter.storing);
        disk.cast.merge(voter.covered);
        voter.disk = number(disk);
        voter.storing.reset();
        voter.covered.clear();
        voter.acceptor.stored();
        return settle(std::move(voter));
    }

    /// What was under way to the disk is lost. (Had it arrived there: as if it crashed just after.)
    Outcome crash(const Voter& voter) {
        return settle({voter.node, Acceptor(disks_[voter.disk].vote), voter.disk});
    }

    // ---- steps of a proposer ----

    static VoterId fresh_voter(NodeId node) { return 1100 + node; }

    /// Never used twice. Those of one go up, those of the other down.
    static std::uint64_t nonce(Client& client) {
        client.rounds++;
        return client.node == 0 ? client.rounds : 100 - client.rounds;
    }

    bool may_begin(const Client& client) const {
        return client.rounds < bounds_.rounds[client.node];
    }

    Outcome begin(Client client) {
        client.proposer.abandon();
        const std::uint64_t fresh = nonce(client);
        Outcome outcome;
        went(client, client.proposer.begin(client.known, true, fresh), 0, outcome);
        return settle(client, std::move(outcome));
    }

    /// It is started again; what it told others it may hear again.
    Outcome forget(const Client& client) {
        return settle({client.node, Proposer(client.node), first_, client.rounds}, {});
    }

    Outcome hear(Client client, const Letter& letter, std::uint32_t choice) {
        Outcome outcome;
        Proposer& proposer = client.proposer;
        if (const auto* promise = std::get_if<Promise>(&letter.message))
            went(client, proposer.on(*promise), choice, outcome);
        else if (const auto* accepted = std::get_if<Accepted>(&letter.message))
            went(client, proposer.on(*accepted), choice, outcome);
        else if (const auto* refused = std::get_if<Refused>(&letter.message))
            went(client, proposer.on(*refused), choice, outcome);
        else if (const auto* chosen = std::get_if<Chosen>(&letter.message))
            know(client, chosen->value);
        return settle(client, std::move(outcome));
    }

    static void know(Client& client, const Value& value) {
        if (value.follows(client.known))
            client.known = value;
    }

    void went(Client& client, Proposer::Step step, std::uint32_t choice, Outcome& outcome) {
        Proposer& proposer = client.proposer;
        if (step == Proposer::Step::restart && may_begin(client)) {
            const Value from = proposer.basis();
            const std::uint64_t fresh = nonce(client);
            went(client, proposer.begin(from, client.known.is(from), fresh), choice, outcome);
        } else if (step == Proposer::Step::read) {
            // What is known to be chosen need not be chosen again.
            if (choice != 1 || !client.known.is(proposer.read()))
                propose(client, choice);
            else
                proposer.abandon();
        } else if (step == Proposer::Step::chosen) {
            const Value& value = proposer.value();
            outcome.chosen = Cast{Inside::ballot(proposer), value.id};
            know(client, value);
            outcome.sent.push_back(letter(true, client.node, 1 - client.node, Chosen{value}));
            for (NodeId node = 0; node < 3 && bounds_.learn; node++)
                outcome.sent.push_back(letter(false, client.node, node, Chosen{value}));
        }
    }

    /// What may be proposed: the next value, this one again, another set of voters.
    void propose(Client& client, std::uint32_t choice) {
        Proposer& proposer = client.proposer;
        const Value read = proposer.read();
        Value next = read;
        if (choice != 1) {
            next = after(read);
            const Ballot& ballot = Inside::ballot(proposer);
            // Another one for each round, and for each read_under that propose() may give it.
            const std::uint64_t round = (ballot.round * 8 + client.rounds) * 2 + client.node;
            next.id = read.id * 1024 + round * 8 + std::uint64_t{choice} * 2 +
                      (Inside::is_chosen(proposer) ? 1 : 0);
        }
        if (choice == 2 && !change(next, bounds_.changes[client.node]))
            return proposer.abandon();
        if (!proposer.may_have(next.voters()))
            next = read;
        if (!proposer.propose(next, client.rounds + 1000))
            return proposer.abandon();
        values_.emplace(proposer.value().id, Known{proposer.value(), read.id});
    }

    static bool change(Value& next, NodeId node) {
        Seat* seat = next.seat(node);
        if (seat == nullptr || seat->voter == fresh_voter(node))
            return false;
        seat->voter = seat->voter == 0 ? fresh_voter(node) : 0;
        return true;
    }

    Outcome settle(Client client, Outcome outcome) {
        for (const Outgoing& out : client.proposer.take_outgoing())
            outcome.sent.push_back(letter(false, client.node, out.to, out.message));
        // It can do nothing any more.
        if (ended(client))
            client = {client.node, Proposer(client.node), first_, client.rounds};
        outcome.after = number(client);
        return outcome;
    }

    bool ended(const Client& client) const { return client.proposer.idle() && !may_begin(client); }

    // ---- the search ----

    void expand(std::uint32_t at) {
        const State state = states_[at].state;
        // A copy: networks are added meanwhile.
        for (const std::uint32_t each : std::vector(networks_[state.network])) {
            const Letter& letter = letters_[each];
            if (!has_turn(state, letter.to_proposer, letter.to))
                continue;
            if (!bounds_.overlapping && !letter.to_proposer &&
                voters_[state.voters[letter.to]].storing)
                continue;
            const std::uint32_t choices = letter.to_proposer ? 2 + bounds_.learn : 1;
            for (std::uint32_t choice = 0; choice < choices; choice++)
                take(at, state, {What::deliver, each, choice}, letter.to_proposer, letter.to);
        }
        for (std::uint32_t node = 0; node < 3; node++) {
            if (!has_turn(state, false, node))
                continue;
            take(at, state, {What::stored, node}, false, node);
            take(at, state, {What::crash, node}, false, node);
        }
        for (std::uint32_t node = 0; node < 2; node++) {
            const Client& client = clients_[state.clients[node]];
            if (!has_turn(state, true, node) || !may_begin(client))
                continue;
            if (bounds_.impatient || client.proposer.idle())
                take(at, state, {What::begin, node}, true, node);
            if (bounds_.impatient)
                take(at, state, {What::forget, node}, true, node);
        }
    }

    static bool has_turn(const State& state, bool proposer, NodeId node) {
        return state.turn == State::anyone || state.turn == (proposer ? 3 + node : node);
    }

    void take(std::uint32_t at, State state, const Step& step, bool proposer, NodeId node) {
        std::uint32_t& part = proposer ? state.clients[node] : state.voters[node];
        const Outcome& outcome = outcome_of(step, proposer, part);
        if (outcome.after == part && outcome.sent.empty())
            return;
        const bool same = outcome.after == part;
        part = outcome.after;
        if (outcome.chosen && !is_chosen(state, *outcome.chosen))
            fail("what a proposer says to be chosen has no majority of durable votes");
        if (proposer)
            state.network = without_useless(state.network, node, part);
        bool silent = step.what != What::stored;
        std::vector<std::uint32_t> refusals;
        for (const std::uint32_t each : outcome.sent) {
            const Letter& letter = letters_[each];
            if (letter.to_proposer && !is_useful(state.clients[letter.to], each))
                continue;
            silent = false;
            if (std::holds_alternative<Refused>(letter.message))
                refusals.push_back(each);
            else
                state.network = sent(state.network, each);
        }
        const std::uint32_t self = proposer ? 3 + node : node;
        state.turn = silent ? self : State::anyone;
        for (const std::uint32_t each : refusals)
            refuse(at, state, each, step);
        if (!same || state.network != states_[at].state.network)
            reach(state, at, step);
    }

    /// A refusal arrives at once, or never: one that is asked later says as much.
    void refuse(std::uint32_t at, State state, std::uint32_t letter, const Step& step) {
        const NodeId to = letters_[letter].to;
        std::uint32_t& part = state.clients[to];
        part = outcome_of({What::deliver, letter}, true, part).after;
        state.network = without_useless(state.network, to, part);
        reach(state, at, step);
    }

    void reach(const State& state, std::uint32_t at, const Step& step) {
        steps_++;
        visit(state, at, step);
        if (!wrong_.empty() && trace_.empty())
            wrong_ += trace(at, step);
    }

    const Outcome& outcome_of(const Step& step, bool proposer, std::uint32_t part) {
        const std::uint64_t key = std::uint64_t{part} << 32 | step.which << 6 | step.choice << 4 |
                                  static_cast<std::uint32_t>(step.what) << 1 | proposer;
        const auto found = outcomes_.find(key);
        if (found != outcomes_.end())
            return found->second;
        return outcomes_.emplace(key, step_of(step, proposer, part)).first->second;
    }

    Outcome step_of(const Step& step, bool proposer, std::uint32_t part) {
        switch (step.what) {
            case What::deliver:
                return proposer ? hear(clients_[part], letters_[step.which], step.choice)
                                : hear(voters_[part], letters_[step.which]);
            case What::stored:
                return store(voters_[part]);
            case What::crash:
                return crash(voters_[part]);
            case What::begin:
                return begin(clients_[part]);
            case What::forget:
            case What::start:
                break;
        }
        return forget(clients_[part]);
    }

    void visit(const State& state, std::uint32_t from, const Step& step) {
        if (2 * states_.size() >= table_.size())
            grow();
        std::size_t slot = hash(state) & (table_.size() - 1);
        for (; table_[slot] != 0; slot = (slot + 1) & (table_.size() - 1))
            if (states_[table_[slot] - 1].state == state)
                return;
        states_.push_back({state, from, step});
        table_[slot] = static_cast<std::uint32_t>(states_.size());
        check(state);
    }

    static std::size_t hash(const State& state) {
        std::uint64_t mixed = state.network * 16 + state.turn;
        for (const std::uint32_t each : state.voters)
            mixed = (mixed ^ each) * 0x9e3779b97f4a7c15 ^ mixed >> 29;
        for (const std::uint32_t each : state.clients)
            mixed = (mixed ^ each) * 0x9e3779b97f4a7c15 ^ mixed >> 29;
        return mixed ^ mixed >> 32;
    }

    void grow() {
        table_.assign(std::max<std::size_t>(1024, 4 * table_.size()), 0);
        for (std::uint32_t i = 0; i < states_.size(); i++) {
            std::size_t slot = hash(states_[i].state) & (table_.size() - 1);
            while (table_[slot] != 0)
                slot = (slot + 1) & (table_.size() - 1);
            table_[slot] = i + 1;
        }
    }

    // ---- promises ----

    using Durable = std::array<std::uint32_t, 3>;

    Durable durable(const State& state) const {
        return {voters_[state.voters[0]].disk, voters_[state.voters[1]].disk,
                voters_[state.voters[2]].disk};
    }

    bool is_chosen(const State& state, const Cast& what) const {
        VoterSet yes;
        for (const std::uint32_t disk : durable(state))
            for (const Cast& cast : disks_[disk].cast)
                if (cast.ballot == what.ballot && cast.value == what.value)
                    insert(yes, cast.voter);
        const Value& value = values_.at(what.value).value;
        return majority(value.voters(), yes) && majority(value.read_under, yes);
    }

    /// Of each epoch one value, which descends from those before it.
    void check(const State& state) {
        if (!checked_.insert(durable(state)).second)
            return;
        std::map<std::uint64_t, const Known*> chosen;
        for (const std::uint32_t disk : durable(state))
            for (const Cast& cast : disks_[disk].cast) {
                if (!is_chosen(state, cast))
                    continue;
                const Known& known = values_.at(cast.value);
                const auto [at, is_new] = chosen.emplace(known.value.epoch, &known);
                if (at->second != &known)
                    fail("two values of epoch " + std::to_string(known.value.epoch));
            }
        for (const std::uint32_t each : durable(state)) {
            const Vote& vote = disks_[each].vote;
            if (!vote.chosen || !vote.value)
                continue;
            const auto found = chosen.find(vote.value->epoch);
            if (found == chosen.end() || !found->second->value.is(*vote.value))
                fail("a vote says that its value is chosen, and it is not");
        }
        const Known* last = nullptr;
        for (const auto& [epoch, known] : chosen) {
            if (last != nullptr && !descends(known->value.id, last->value.id))
                fail("epoch " + std::to_string(epoch) + " does not follow from the one before");
            last = known;
        }
        chain_ = std::max(chain_, chosen.size());
    }

    void fail(const std::string& what) {
        if (wrong_.empty())
            wrong_ = what;
    }

    bool descends(std::uint64_t id, std::uint64_t from) const {
        while (id != from && id != 0)
            id = values_.at(id).parent;
        return id == from;
    }

    // ---- what a person reads ----

    static std::string name(const Ballot& ballot) {
        return std::to_string(ballot.round) + "." + std::to_string(ballot.node) + "." +
               std::to_string(ballot.nonce);
    }
    static std::string name(const Value& value) {
        return std::to_string(value.epoch) + "/" + std::to_string(value.id);
    }
    static std::string name(const Message& message) {
        if (const auto* prepare = std::get_if<Prepare>(&message))
            return "prepare " + name(prepare->ballot);
        if (const auto* promise = std::get_if<Promise>(&message))
            return "promise " + name(promise->ballot) +
                   (promise->value ? " of " + name(*promise->value) : "");
        if (const auto* accept = std::get_if<Accept>(&message))
            return "accept " + name(accept->ballot) + " of " + name(accept->value);
        if (const auto* accepted = std::get_if<Accepted>(&message))
            return "accepted " + name(accepted->ballot);
        if (const auto* refused = std::get_if<Refused>(&message))
            return "refused " + name(refused->ballot);
        return "chosen " + name(std::get<Chosen>(message).value);
    }
    std::string name(const Step& step) const {
        static const std::array words{"start",    "deliver",  "stored at",
                                      "crash of", "begin at", "restart of proposer"};
        std::string text =
            std::string("\n  ") + words.at(static_cast<std::size_t>(step.what)) + " ";
        if (step.what != What::deliver)
            return text + std::to_string(step.which);
        const Letter& letter = letters_[step.which];
        return text + name(letter.message) + (letter.to_proposer ? " to proposer " : " to voter ") +
               std::to_string(letter.to);
    }
    std::string trace(std::uint32_t at, const Step& last) {
        trace_ = name(last);
        for (; at != 0; at = states_[at].from)
            trace_ = name(states_[at].step) + trace_;
        return ":" + trace_;
    }

    Bounds bounds_;
    Value first_;
    std::map<std::uint64_t, Known> values_;
    Numbers<Disk> disks_;
    Numbers<Voter> voters_;
    Numbers<Client> clients_;
    Numbers<Letter> letters_;
    Numbers<std::vector<std::uint32_t>> networks_;
    std::unordered_map<std::uint64_t, std::uint32_t> sending_;
    std::unordered_map<std::uint64_t, std::uint32_t> useful_;
    std::unordered_map<std::uint64_t, Outcome> outcomes_;
    std::vector<Reached> states_;
    /// Open addressing: positions in states_, from 1.
    std::vector<std::uint32_t> table_;
    std::set<Durable> checked_;
    std::size_t steps_ = 0;
    std::size_t chain_ = 0;
    std::string wrong_;
    std::string trace_;
};

void search(const Bounds& bounds, std::size_t values) {
    Search search(bounds);
    EXPECT_EQ(search.run(), "");
    EXPECT_GE(search.longest(), values) << "too little happened";
    std::cout << search.states() << " states, " << search.steps() << " steps\n";
}

bool wider() {
    return std::getenv("BRAID_EXHAUSTIVE") != nullptr;  // NOLINT(concurrency-mt-unsafe)
}

TEST(MembershipExhaustive, StoresThatOverlap) {
    search({.rounds = {1, 1}, .overlapping = true}, 2);
}

TEST(MembershipExhaustive, OneValueAfterAnother) {
    search({.rounds = {2, 1}}, 3);
    if (wider())
        search({.rounds = {1, 2}}, 3);
}

/// Each proposer would take node 2's voter out, or a new one of it in.
TEST(MembershipExhaustive, VotersThatChange) {
    search({.rounds = {1, 1}, .impatient = false, .learn = true, .changes = {2, 2}}, 2);
    if (wider()) {
        search({.rounds = {2, 1}, .impatient = false, .learn = true, .changes = {2, 2}}, 3);
        search({.rounds = {1, 1}, .overlapping = true, .learn = true, .changes = {2, 2}}, 2);
    }
}

}  // namespace
}  // namespace braid::membership
