// SPDX-License-Identifier: GPL-2.0-or-later
//
// When the register is changed, and to what. All that this node may want is decided on in one
// place, as a function of the value that was read: a value that was read anew gets the same look.
#include <algorithm>

#include "membership/member.h"

namespace braid::membership {

/// What a round may begin from, chosen or not.
std::optional<Value> Member::basis() const {
    if (known_)
        return known_;
    return acceptor_ && !acceptor_->blank() ? acceptor_->vote().value : std::nullopt;
}

/// Whether this node's own kernel or voter has seen more than is known to be chosen. A voter that
/// the known value does not list is not asked in a round, which would so never end this; whoever
/// enrols it tells what was chosen.
bool Member::behind() const {
    if (!known_)
        return false;
    const auto later = [this](const Lineage& lineage, std::uint64_t epoch) {
        return lineage == known_->lineage && epoch > known_->epoch;
    };
    const Seat* seat = known_->seat(self_);
    const bool votes =
        acceptor_ && seat != nullptr && seat->voter != 0 && seat->voter == acceptor_->vote().voter;
    return (kernel_.adopted && later(kernel_.adopted->lineage, kernel_.adopted->epoch)) ||
           (votes && acceptor_->vote().value &&
            later(acceptor_->vote().value->lineage, acceptor_->vote().value->epoch));
}

void Member::back_off() {
    // Twice as long each time, and somewhere within: two proposers do not meet for ever.
    conflicts_ = std::min(conflicts_ + 1, 5U);
    const auto most = static_cast<std::uint64_t>(options_.retry_ms) << conflicts_;
    round_after_ = moment_.now_ms + static_cast<std::int64_t>(draw() % (most / 4 + 1));
}

void Member::drive_register() {
    if (!proposer_.idle() || moment_.now_ms < round_after_)
        return;
    // Without a kernel's view nothing is known of what this node's own state is.
    const auto from = basis();
    if (!from || !kernel_seen_ || (known_ && !behind() && !decide(*known_)))
        return;
    round_since_ = moment_.now_ms;
    told_["round"] = moment_.now_ms;
    went(proposer_.begin(*from, known_.has_value(), draw()));
    flush();
}

void Member::went(Proposer::Step step) {
    switch (step) {
        case Proposer::Step::none:
            return;
        case Proposer::Step::restart: {
            const Value from = proposer_.basis();
            return went(proposer_.begin(from, known_ && known_->is(from), draw()));
        }
        case Proposer::Step::conflict:
            return back_off();
        case Proposer::Step::read:
            return propose();
        case Proposer::Step::chosen: {
            const Value chosen = proposer_.value();
            if (!known_ || known_->lineage == chosen.lineage)
                learn(chosen);
            return tell_all(Chosen{chosen});
        }
    }
}

void Member::propose() {
    const Value read = proposer_.read();
    std::optional<Value> next = decide(read);
    if (!next && known_ && known_->is(read) && !behind())
        return proposer_.abandon();
    // Nothing is to be changed, or not before what was read is known to be chosen: have it chosen.
    const bool first = next && !proposer_.may_have(next->voters());
    if (!proposer_.propose(next && !first ? *next : read, draw())) {
        proposer_.abandon();
        return back_off();
    }
    if (proposer_.value().writer == self_ && !proposer_.value().is(read))
        elected_ = proposer_.value().epoch;
}

// ---- decisions ----

std::optional<Value> Member::decide(const Value& value) {
    if (value.seat(self_) == nullptr || !kernel_seen_)
        return std::nullopt;
    Value next = value;
    refused_ = {};
    if (!decide_restored(next)) {
        decide_office(next);
        decide_replicas(next);
        decide_grant(next, value);
        decide_seats(next);
        decide_voters(next, value);
    }
    // A join that was proposed may be chosen yet, until a later value is (R6b): so there is one.
    bool later = false;
    if (holds(value) && adopted(value))
        for (const Seat& seat : next.seats)
            later = later || (seat.instance == 0 && sync_of(seat.node) == SyncState::joining);
    if (next == value && !later)
        return std::nullopt;
    for (Seat& seat : next.seats) {
        const Seat* was = value.seat(seat.node);
        if (seat.instance != 0) {
            seat.before = seat.dropped = 0;
        } else if (was != nullptr && was->instance != 0) {
            seat.before = was->instance;
            seat.dropped = value.epoch + 1;
        }
    }
    next.epoch = value.epoch + 1;
    next.id = draw();
    next.read_under = value.voters();  // the proposer knows better
    if (next.grant.number != 0)
        next.grant.number = draw();
    return fault(next) ? std::nullopt : std::optional(next);
}

/// A writer may propose to drop a replica, die, and come back when that was chosen after all. Its
/// disk tells that it was never in force (R3a): so the replica was in sync all the time, and this
/// node's own may have lost what the other has. It is taken back before anything else.
bool Member::takes_back(const Value& value, const Seat& seat) const {
    if (value.writer != self_ || holds(value) || is_active() || !kernel_.adopted ||
        kernel_.adopted->lineage != value.lineage || seat.instance != 0 || seat.before == 0 ||
        kernel_.adopted->epoch >= seat.dropped)
        return false;
    // Only what was in sync stored each configuration before it came into force.
    const auto all = replicas();
    const auto own = all.find(self_);
    return own != all.end() && is_listed(value, self_, own->second);
}

bool Member::decide_restored(Value& next) const {
    const Value before = next;
    for (Seat& seat : next.seats)
        if (takes_back(before, seat))
            seat.instance = seat.before;
    return next.in_sync_nodes() != before.in_sync_nodes();
}

/// R4: becomes the writer, with replicas that are reached; or, after a full drain, none.
void Member::decide_office(Value& next) {
    const bool in_office = holds(next);
    if (in_office && (serves() || kernel_.service == Service::failed)) {
        next.caretaker = next.caretaker && want_ != Want::primary;
        return;
    }
    if (want_ == Want::nothing) {
        const bool stopped = next.writer == self_ && kernel_.done && adopted(next);
        if (stopped && kernel_.stage != Stage::handed_over) {
            next.writer = no_node;
            next.caretaker = false;
            next.grant = {};
        }
        return;
    }
    // The token was handed over: the target is given time to swap the register.
    if (kernel_.stage == Stage::handed_over && next.grant.from == self_ && reached(next.grant.to) &&
        moment_.now_ms - handed_since_ < options_.adopt_ms)
        return;
    // An earlier office is over for this node's kernel, too: otherwise it would take the new one
    // for the same, and go on without a look at what others wrote in between.
    if (!in_office && (next.writer == self_ ? is_active() : !adopted(next)))
        return;
    if (writer_is_active(next)) {
        refused_ = {.cause = Cause::writer_elsewhere, .nodes = {next.writer}};
        return;
    }
    if (writer_begins(next)) {
        refused_ = {};
        return;
    }
    const Plan plan = plan_promotion(next, self_, replicas());
    refused_ = plan;
    if (plan.cause != Cause::none)
        return;
    bool same = true;
    for (Seat& seat : next.seats) {
        const auto found = plan.in_sync.find(seat.node);
        const Instance instance = found == plan.in_sync.end() ? 0 : found->second;
        same = same && instance == seat.instance;
        seat.instance = instance;
    }
    // Elected already, and still with all that it was elected with: it waits for them to adopt.
    if (in_office && same)
        return;
    next.writer = self_;
    next.caretaker = want_ == Want::caretaker;
    next.grant = {};
}

/// R3, R6: replicas that are lost leave, those whose join was announced enter.
void Member::decide_replicas(Value& next) {
    if (!holds(next) || !serves())
        return;
    const Value before = next;
    bool left = false;
    for (Seat& seat : next.seats) {
        const auto join = joining_.find(seat.node);
        // What the kernel was seen to do may be over: it ends a join as it adopts a later value.
        const bool joins = seat.instance == 0 && adopted(before) && join != joining_.end() &&
                           join->second.epoch == before.epoch &&
                           sync_of(seat.node) == SyncState::joining;
        if (seat.instance != 0 && lost(seat))
            seat.instance = 0;
        if (!joins)
            continue;
        Seat as_joined = seat;
        as_joined.instance = join->second.instance;
        as_joined.joined = before.epoch + 1;
        if (!lost(as_joined))
            seat = as_joined;
    }
    for (const Seat& seat : next.seats) {
        left = left || seat.instance != 0;
    }
    if (!left)
        next = before;
}

/// M1: a grant, given by command and ended by a value without it.
void Member::decide_grant(Value& next, const Value& value) {
    if (!holds(value) || !serves() || next.writer != self_)
        return;
    for (const Pending& pending : commands_) {
        const Command& command = pending.command;
        if (command.verb == Verb::migrate && next.grant.number == 0 && !pending.begun)
            next.grant = {.number = 1,
                          .from = self_,
                          .to = command.node,
                          .deadline_ms = moment_.wall_ms + command.deadline_ms};
    }
    const bool passed = next.grant.number != 0 && moment_.wall_ms >= next.grant.deadline_ms;
    // Once the kernel has handed the token over this node does not serve.
    if ((withdraw_ || passed) && kernel_.stage == Stage::none)
        next.grant = {};
}

/// Commands that change members.
void Member::decide_seats(Value& next) {
    for (const Pending& pending : commands_) {
        const Command& command = pending.command;
        if (check_edit(command) != Cause::none || edited(command, next))
            continue;
        if (command.verb == Verb::add) {
            next.seats.push_back({.node = command.node, .role = command.role});
            std::sort(next.seats.begin(), next.seats.end(),
                      [](const Seat& a, const Seat& b) { return a.node < b.node; });
        } else if (command.verb == Verb::remove) {
            std::erase_if(next.seats, [&](const Seat& seat) { return seat.node == command.node; });
        } else if (command.verb == Verb::replace) {
            next.seat(command.node)->voter = 0;
            next.seat(command.node)->instance = 0;
        } else if (command.verb == Verb::resolve) {
            const auto fork = forks_.find(command.node);
            if (fork == forks_.end())
                continue;
            remember(next, {.lineage = fork->second.value.lineage,
                            .epoch = fork->second.value.epoch,
                            .id = fork->second.value.id,
                            .when_ms = moment_.wall_ms,
                            .complete = false,
                            .discarded = true});
        }
        return;
    }
}

/// Whether it is this node's to enrol voters: one does, so that proposers seldom meet.
bool Member::coordinates(const Value& value) const {
    if (value.writer != no_node && value.writer != self_) {
        const auto peer = peers_.find(value.writer);
        if (peer != peers_.end() && peer->second.up)
            return false;
    }
    if (value.writer == self_)
        return true;
    for (const Seat& seat : value.seats) {
        if (seat.node == self_)
            return seat.voter != 0;
        const auto peer = peers_.find(seat.node);
        if (seat.voter != 0 && peer != peers_.end() && peer->second.up)
            return false;
    }
    return false;
}

/// V1, V2: enrols blank voters and lets go of those that are gone for good, one at a time.
void Member::decide_voters(Value& next, const Value& value) {
    if (!coordinates(value) || next.voters() != value.voters())
        return;
    for (Seat& seat : next.seats) {
        const auto peer = peers_.find(seat.node);
        const bool own = seat.node == self_;
        if (seat.role == Role::diskless || (!own && (peer == peers_.end() || !peer->second.report)))
            continue;
        const Report now = own ? report() : *peer->second.report;
        const VoterId before = seat.voter;
        // A voter of before, or of another lineage, has to come back with a new id.
        if (before == 0 && now.voter != 0 && now.tentative && !now.vote_failed)
            seat.voter = now.voter;
        else if (before != 0 &&
                 (now.vote_failed || (now.blank && now.voter != 0 && now.voter != before)))
            seat.voter = 0;
        if (next.voters().empty())
            seat.voter = before;
        if (seat.voter != before)
            return;
    }
}

}  // namespace braid::membership
