// SPDX-License-Identifier: GPL-2.0-or-later
//
// Events, what is learned from them, and what the kernel and the other members are told.
#include "membership/member.h"

#include <algorithm>

namespace braid::membership {

namespace {

Acceptor acceptor_of(const Bytes& stored, VoterId fresh) {
    if (const auto vote = decode_vote(stored))
        return Acceptor(*vote);
    // One that cannot be read has promised nobody knows what: it is another voter from now on.
    Acceptor blank{Vote{}};
    blank.renew(fresh);
    return blank;
}

}  // namespace

Member::Member(NodeId self, bool voter, const Options& options, const Bytes& stored,
               const Moment& moment)
    : self_(self), options_(options), proposer_(self), moment_(moment) {
    run_ = draw();  // NOLINT(cppcoreguidelines-prefer-member-initializer): needs the moment
    if (!voter)
        return;
    acceptor_.emplace(acceptor_of(stored, draw()));
    const Vote& vote = acceptor_->vote();
    if (vote.chosen)
        known_ = vote.value;
}

std::uint64_t Member::draw() {
    // SplitMix64 (Steele, Lea, Flood 2014), from the random number of the event. Never 0.
    std::uint64_t z = 0;
    while (z == 0) {
        moment_.random += 0x9e3779b97f4a7c15U;
        z = moment_.random;
        z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9U;
        z = (z ^ z >> 27) * 0x94d049bb133111ebU;
        z ^= z >> 31;
    }
    return z;
}

bool Member::again(const std::string& what) {
    const auto [at, is_new] = told_.emplace(what, moment_.now_ms);
    if (!is_new && moment_.now_ms - at->second < options_.retry_ms)
        return false;
    at->second = moment_.now_ms;
    return true;
}

std::string Member::name(NodeId node) const {
    const auto found = options_.names.find(node);
    return found == options_.names.end() ? "node " + std::to_string(node) : found->second;
}

void Member::journal(std::string text, bool warning) {
    act(Journal{.warning = warning, .text = std::move(text)});
}

void Member::send(NodeId to, const Message& message) {
    if (to == self_)
        on_message(self_, message);
    else if (peers_[to].up)
        act(Send{.to = to, .bytes = encode(message)});
}

void Member::tell_all(const Message& message) {
    for (const auto& [node, peer] : peers_)
        if (peer.up)
            act(Send{.to = node, .bytes = encode(message)});
}

std::vector<Action> Member::handle(const Moment& moment, const Event& event) {
    moment_ = moment;
    std::visit([this](const auto& e) { on(e); }, event);
    step();
    return std::exchange(actions_, {});
}

void Member::step() {
    // Also one that accepted a value late, which lists it but was never chosen.
    if (acceptor_ && known_ && acceptor_->removed_by(*known_))
        acceptor_->renew(draw());
    tell_kernel();
    drive_openers();
    drive_office();
    drive_syncs();
    drive_migration();
    drive_commands();
    drive_register();
    tell_kernel();
    flush();
    report_changes();
    arm_timer();
}

/// Sends what proposer and acceptor have to say, to this node's own other half at once.
void Member::flush() {
    for (bool more = true; more;) {
        more = false;
        for (const Outgoing& out : proposer_.take_outgoing()) {
            send(out.to, out.message);
            more = true;
        }
        if (!acceptor_)
            continue;
        for (const Outgoing& out : acceptor_->take_answers()) {
            send(out.to, out.message);
            more = true;
        }
    }
    if (acceptor_)
        if (auto bytes = acceptor_->take_store())
            act(StoreVote{.bytes = std::move(*bytes)});
}

// ---- events ----

void Member::on(const KernelView& view) {
    // A voter that was removed while its disk was away took its new id then, and could not store
    // it: nobody has enrolled that one, and another can be stored now.
    if (acceptor_ && acceptor_->failed() && acceptor_->blank() && view.diskful &&
        view.instance != kernel_.instance)
        acceptor_->renew(draw());
    kernel_ = view;
    kernel_seen_ = true;
    refused_openers_ = false;
}

void Member::on(const KernelRefused& refused) {
    kernel_refusal_ = refused.what;
    journal("the kernel refused: " + refused.what, true);
    if (!refused.open)
        return;
    // Whoever has the device open uses it: a caretaker's office becomes an ordinary one.
    if (want_ == Want::nothing && (is_active() || kernel_.service == Service::preparing))
        want_ = Want::primary;
    std::erase_if(commands_, [this](const Pending& pending) {
        if (pending.command.verb != Verb::demote)
            return false;
        Reply reply = refusal(Cause::device_open);
        reply.command = pending.command.number;
        act(std::move(reply));
        return true;
    });
}

void Member::on(const PeerUp& peer) {
    peers_[peer.node].up = true;
    late_.erase(peer.node);
    send(peer.node, report());
    send(peer.node, Query{});
}

void Member::on(const PeerDown& peer) {
    peers_[peer.node].up = false;
    peers_[peer.node].report.reset();
}

void Member::on(const PeerBytes& peer) {
    if (peer.node > node_max || peer.node == self_)
        return;
    const auto message = decode_message(peer.bytes);
    if (message)
        on_message(peer.node, *message);
    else
        journal("a message of " + name(peer.node) + " is dropped: " + message.error(), true);
}

void Member::on(const VoteStored& vote) {
    if (!acceptor_)
        return;
    if (vote.ok) {
        acceptor_->stored();
        if (acceptor_->settled())
            begun_.reset();
    } else {
        acceptor_->fail();
        journal("this node's vote cannot be stored: it votes no more until it is enrolled again",
                true);
    }
}

void Member::on(const TimerExpired& /*timer*/) {
    // Whoever waits asks: what was said once may have been lost. At rest there is no timer.
    if (again("query"))
        tell_all(Query{});
    if (proposer_.idle())
        return;
    if (moment_.now_ms - round_since_ < 4 * options_.retry_ms) {
        if (again("round"))
            proposer_.resend();
        return;
    }
    proposer_.abandon();
    refused_ = {.cause = Cause::no_quorum, .nodes = proposer_.silent()};
    back_off();
}

void Member::on(const Fenced& fenced) {
    if (fenced.node != fencing_)
        return;
    fencing_ = no_node;
    fence_failed_ = !fenced.ok;
    if (!fenced.ok)
        return journal("the fence command for " + name(fenced.node) + " failed", true);
    // What it promises holds only as long as nothing of that node was seen since.
    const Seat* own = known_ ? known_->seat(self_) : nullptr;
    if (own != nullptr && own->instance == kernel_.instance && !peers_[fenced.node].up)
        force(name(fenced.node) + " is fenced");
}

void Member::on_message(NodeId from, const Message& message) {
    if (const auto* prepare = std::get_if<Prepare>(&message)) {
        if (acceptor_)
            acceptor_->prepare(from, *prepare);
    } else if (const auto* accept = std::get_if<Accept>(&message)) {
        if (acceptor_)
            acceptor_->accept(from, *accept);
    } else if (const auto* promise = std::get_if<Promise>(&message)) {
        went(proposer_.on(*promise));
    } else if (const auto* accepted = std::get_if<Accepted>(&message)) {
        went(proposer_.on(*accepted));
    } else if (const auto* refused = std::get_if<Refused>(&message)) {
        went(proposer_.on(*refused));
    } else if (const auto* chosen = std::get_if<Chosen>(&message)) {
        meet(from, chosen->value);
    } else if (std::holds_alternative<Query>(message)) {
        send(from, report());
    } else if (const auto* said = std::get_if<Report>(&message)) {
        on_report(from, *said);
    }
}

void Member::on_report(NodeId from, const Report& said) {
    std::optional<Report>& last = peers_[from].report;
    if (last && last->run == said.run && last->sequence > said.sequence)
        return;
    last = said;
    if (known_ && said.epoch == known_->epoch && said.id == known_->id)
        late_.erase(from);
    if (said.known)
        meet(from, *said.known);
    // It is behind, or new here.
    if (known_ && !unstored() && (!said.known || known_->follows(*said.known)))
        send(from, Chosen{*known_});
}

// ---- what is known to be chosen ----

/// A member knows a value to be chosen, perhaps of another lineage.
void Member::meet(NodeId from, const Value& value) {
    std::optional<Value> mine = known_;
    if (!mine && acceptor_)
        mine = acceptor_->vote().value;
    if (!mine && kernel_.adopted) {
        mine.emplace();
        mine->lineage = kernel_.adopted->lineage;
        mine->epoch = kernel_.adopted->epoch;
        mine->id = kernel_.adopted->id;
    }
    const Kinship kinship = mine ? compare(*mine, value) : Kinship{};
    switch (kinship.relation) {
        case Relation::same:
            forks_.erase(from);
            return learn(value);
        case Relation::behind:
            forks_.erase(from);
            return follow(value);
        case Relation::ahead:
            forks_.erase(from);
            if (again("ahead of " + std::to_string(from)) && known_ && !unstored())
                send(from, Chosen{*known_});
            return;
        case Relation::forked:
        case Relation::unrelated:
            break;
    }
    if (forks_.count(from) == 0)
        journal(name(from) +
                    " has another lineage, with changes that this one lacks: decide which is "
                    "dropped",
                true);
    forks_.insert_or_assign(from, Fork{value, kinship});
}

void Member::learn(const Value& chosen) {
    if (known_ && !chosen.follows(*known_))
        return;
    const bool was_writer = known_ && known_->writer == self_;
    known_ = chosen;
    conflicts_ = 0;
    if (acceptor_)
        acceptor_->learn(chosen);
    if (was_writer && chosen.writer != self_ && want_ != Want::nothing) {
        want_ = Want::nothing;
        journal("this node is no longer the writer");
    }
    std::string in_sync;
    for (const NodeId node : chosen.in_sync_nodes())
        in_sync += (in_sync.empty() ? "" : ", ") + name(node);
    journal("epoch " + std::to_string(chosen.epoch) + ": Primary: " +
            (chosen.writer == no_node ? "nobody" : name(chosen.writer)) + "; in sync: " + in_sync);
}

/// The other lineage has all that this node has, or a person said so (R8): this node goes over to
/// it, as another voter, to be enrolled.
void Member::follow(const Value& chosen) {
    journal("this node follows the lineage that " + name(chosen.writer) + " began", true);
    proposer_.forget();
    if (acceptor_)
        acceptor_->renew(draw());
    known_.reset();
    elected_ = 0;
    want_ = Want::nothing;
    forks_.clear();
    learn(chosen);
}

void Member::tell_kernel() {
    if (!known_ || !kernel_.present)
        return;
    const auto& now = kernel_.adopted;
    const bool same = now && now->lineage == known_->lineage;
    // A new lineage's first vote is stored before anything relies on it.
    if (!same && acceptor_ && (!acceptor_->settled() || unstored()))
        return;
    if (same && now->epoch >= known_->epoch)
        return;
    Value restored = *known_;
    if (decide_restored(restored))
        return;  // first: what it adopts is the proof
    if (again("configure " + std::to_string(known_->epoch) + " " + std::to_string(known_->id)))
        act(Configure{
            .value = *known_,
            .common = same ? std::nullopt
                           : std::optional(now ? common_epoch(*known_, now->lineage) : 0)});
}

Report Member::report() const {
    Report report;
    report.run = run_;
    report.sequence = sequence_;
    if (acceptor_) {
        report.blank = acceptor_->blank();
        report.tentative = acceptor_->tentative();
        // Not to be enrolled before its id is stored: a restart would leave a voter that never
        // votes.
        if (!report.blank || acceptor_->settled())
            report.voter = acceptor_->vote().voter;
        report.vote_failed = acceptor_->failed();
    }
    if (!unstored())
        report.known = known_;
    report.wants = want_ == Want::primary && !serves();
    if (!kernel_.present)
        return report;
    if (kernel_.adopted) {
        report.lineage = kernel_.adopted->lineage;
        report.epoch = kernel_.adopted->epoch;
        report.id = kernel_.adopted->id;
    }
    report.instance = kernel_.instance;
    report.last_epoch = kernel_.last_epoch;
    report.diskful = kernel_.diskful;
    report.suspect = kernel_.suspect;
    report.active = is_active();
    report.done = kernel_.done;
    if (kernel_.stage == Stage::prepared || kernel_.stage == Stage::asked)
        report.prepared = kernel_.grant;
    for (const auto& [node, peer] : kernel_.peers) {
        if (node > node_max || peer.dirty == 0)
            continue;
        if (report.dirty.size() <= node)
            report.dirty.resize(node + 1);
        report.dirty[node] = peer.dirty;
    }
    return report;
}

void Member::report_changes() {
    Report now = report();
    if (reported_ == now)
        return;
    sequence_++;
    reported_ = report();
    tell_all(*reported_);
}

/// Whether something is left to do that no event announces.
bool Member::unsettled() {
    if (!proposer_.idle() || !commands_.empty() || want_ == Want::caretaker || replicas_differ())
        return true;
    if (!known_)
        return basis().has_value();
    if (behind())
        return true;
    for (const Seat& seat : known_->seats) {
        const auto peer = peers_.find(seat.node);
        if (seat.voter == 0 && seat.role != Role::diskless && peer != peers_.end() &&
            peer->second.up && coordinates(*known_))
            return true;
    }
    if (kernel_.present && !adopted(*known_))
        return true;
    if ((want_ == Want::primary && !serves()) || fencing_ != no_node || known_->grant.number != 0)
        return true;
    if (holds(*known_)) {
        for (const Seat& seat : known_->seats)
            if (seat.role == Role::diskful && (lost(seat) || seat.instance == 0))
                return true;
    }
    return (is_active() && (want_ == Want::nothing || !serves())) || decide(*known_).has_value();
}

void Member::arm_timer() {
    if (unsettled())
        act(SetTimer{.after_ms = options_.retry_ms + static_cast<std::int64_t>(
                                                         draw() % static_cast<std::uint64_t>(
                                                                      options_.retry_ms / 2 + 1))});
}

}  // namespace braid::membership
