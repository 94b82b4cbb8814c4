// SPDX-License-Identifier: GPL-2.0-or-later
//
// Commands of a person or of a cluster manager: what each of them waits for, and how it fails.
#include <algorithm>

#include "membership/explain.h"
#include "membership/member.h"

namespace braid::membership {

Reply Member::refusal(Cause cause, std::vector<NodeId> nodes) const {
    Reply reply{.command = 0, .cause = cause, .nodes = std::move(nodes)};
    reply.text = remedy(cause, reply.nodes);
    return reply;
}

void Member::on(const Command& command) {
    if (auto reply = begin_command(command))
        return answer(command, std::move(*reply));
    commands_.push_back({.command = command, .since_ms = moment_.now_ms});
}

void Member::on(const Drained& drained) {
    options_.drained = drained.on;
}

void Member::drive_commands() {
    for (auto pending = commands_.begin(); pending != commands_.end();) {
        std::optional<Reply> reply = progress(*pending);
        if (!reply && moment_.now_ms - pending->since_ms >= options_.command_ms &&
            pending->command.verb != Verb::migrate) {
            const Plan why = obstacle();
            reply = refusal(why.cause == Cause::none ? Cause::no_quorum : why.cause, why.nodes);
            // What did not succeed is not tried any longer behind the caller's back.
            if (pending->command.verb == Verb::promote && !(known_ && holds(*known_)))
                want_ = Want::nothing;
        }
        if (!reply) {
            ++pending;
            continue;
        }
        answer(pending->command, std::move(*reply));
        pending = commands_.erase(pending);
    }
}

void Member::answer(const Command& command, Reply reply) {
    reply.command = command.number;
    if (command.number != opener)
        return act(std::move(reply));
    if (reply.cause == Cause::none)
        return;
    journal("a device cannot be opened for writing: " + reply.text, true);
    act(RefuseOpens{});
    refused_openers_ = true;
}

/// Who opens a device for writing gives a command, so to speak; and takes it back.
void Member::drive_openers() {
    if (!options_.auto_promote || !kernel_.present)
        return;
    // Should one open it meanwhile, the kernel refuses, and all is as before.
    if (automatic_ && want_ == Want::primary && serves() && kernel_.opens == 0 &&
        kernel_.waiting_opens == 0 && kernel_.stage == Stage::none)
        want_ = Want::nothing;
    const bool told = std::any_of(commands_.begin(), commands_.end(), [](const Pending& pending) {
        return pending.command.verb == Verb::promote;
    });
    if (kernel_.waiting_opens == 0 || refused_openers_ || told || want_ == Want::primary ||
        is_active())
        return;
    journal("a program opens a device for writing: this node is to become Primary");
    on(Command{.number = opener, .verb = Verb::promote});
    automatic_ = want_ == Want::primary;
}

/// A refusal at once, or an answer; nothing if it has to be waited for.
std::optional<Reply> Member::begin_command(const Command& command) {
    if (command.verb == Verb::initialise)
        return initialise(command);
    if (!basis() && command.verb != Verb::demote)
        return refusal(Cause::no_register);
    for (const Pending& pending : commands_)
        if (pending.command.verb == command.verb && command.verb != Verb::demote)
            return refusal(Cause::busy);
    if (known_ && known_->seat(self_) == nullptr)
        return refusal(Cause::not_member);
    switch (command.verb) {
        case Verb::promote:
            // Not by force either: that would give up data for what a word can end.
            if (options_.drained)
                return refusal(Cause::drained);
            if (known_ && writer_is_active(*known_) && !known_->caretaker)
                return refusal(Cause::writer_elsewhere, {known_->writer});
            want_ = Want::primary;
            automatic_ = false;
            took_over_ = true;
            suspect_since_ = 0;
            return std::nullopt;
        case Verb::demote:
            want_ = Want::nothing;
            took_over_ = true;
            force_demote_ = command.force;
            told_.erase("demote");
            return std::nullopt;
        case Verb::migrate:
            if (!known_ || !holds(*known_) || !serves())
                return refusal(Cause::not_writer);
            if (known_->seat(command.node) == nullptr || command.node == self_ ||
                known_->seat(command.node)->role == Role::witness)
                return refusal(Cause::unknown_node, {command.node});
            // The kernel would refuse it, too, but only once the register names the target.
            if (kernel_.suspended)
                return refusal(Cause::suspended);
            withdraw_ = false;
            return std::nullopt;
        case Verb::end_migrate:
            withdraw_ = true;
            return std::nullopt;
        default:
            break;
    }
    const Cause cause = check_edit(command);
    return cause == Cause::none ? std::nullopt : std::optional(refusal(cause, {command.node}));
}

/// Whether a change of members may be made to the value that is known.
Cause Member::check_edit(const Command& command) const {
    if (!known_)
        return Cause::none;
    const Seat* seat = known_->seat(command.node);
    switch (command.verb) {
        case Verb::add:
            return command.node > node_max || (seat != nullptr && seat->role != command.role)
                       ? Cause::unknown_node
                       : Cause::none;
        case Verb::remove:
        case Verb::replace: {
            if (seat == nullptr)
                return command.verb == Verb::remove ? Cause::none : Cause::unknown_node;
            if (known_->writer == command.node)
                return Cause::is_writer;
            const bool only_voter = seat->voter != 0 && known_->voters().size() == 1;
            const bool only_copy = seat->instance != 0 && known_->in_sync_nodes().size() == 1;
            return only_voter || only_copy ? Cause::last_in_sync : Cause::none;
        }
        case Verb::resolve: {
            const auto fork = forks_.find(command.node);
            if (fork == forks_.end())
                return Cause::no_fork;
            const auto peer = peers_.find(command.node);
            const bool active =
                peer != peers_.end() && peer->second.report && peer->second.report->active;
            return active && !fork->second.value.caretaker ? Cause::is_writer : Cause::none;
        }
        default:
            return Cause::none;
    }
}

/// Whether a value is as the command wants it.
bool Member::edited(const Command& command, const Value& value) const {
    const Seat* seat = value.seat(command.node);
    switch (command.verb) {
        case Verb::add:
            return seat != nullptr;
        case Verb::remove:
            return seat == nullptr;
        case Verb::replace:
            return seat == nullptr || (seat->voter == 0 && seat->instance == 0);
        case Verb::resolve: {
            const auto fork = forks_.find(command.node);
            return fork == forks_.end() ||
                   std::any_of(value.history.begin(), value.history.end(),
                               [&](const Ancestor& ancestor) {
                                   return ancestor.discarded &&
                                          ancestor.lineage == fork->second.value.lineage;
                               });
        }
        default:
            return true;
    }
}

std::optional<Reply> Member::progress(Pending& pending) {
    switch (pending.command.verb) {
        case Verb::initialise:
            return progress_initialise();
        case Verb::promote:
            return progress_promote(pending);
        case Verb::demote:
            return progress_demote(pending);
        case Verb::migrate:
            if (known_ && known_->grant.number != 0 && known_->grant.to == pending.command.node)
                pending.begun = true;
            return progress_migrate(pending);
        case Verb::end_migrate:
            if (known_ && known_->grant.number != 0)
                return std::nullopt;
            withdraw_ = false;
            return Reply{};
        default:
            break;
    }
    if (!known_ || !edited(pending.command, *known_)) {
        const Cause cause = check_edit(pending.command);
        return cause == Cause::none ? std::nullopt
                                    : std::optional(refusal(cause, {pending.command.node}));
    }
    if (pending.command.verb == Verb::resolve) {
        forks_.erase(pending.command.node);
        send(pending.command.node, Chosen{*known_});
    }
    return Reply{};
}

/// Done once it is durable, as a vote and as the kernel's configuration.
std::optional<Reply> Member::progress_initialise() const {
    if (acceptor_->failed())
        return refusal(Cause::kernel_refused);
    return known_ && kernel_.adopted && kernel_.adopted->lineage == known_->lineage
               ? std::optional(Reply{})
               : std::nullopt;
}

std::optional<Reply> Member::progress_promote(Pending& pending) {
    const std::int64_t waited = moment_.now_ms - pending.since_ms;
    if (known_ && holds(*known_) && serves() && !known_->caretaker && adopted(*known_))
        return Reply{};
    if (want_ != Want::primary)
        return refusal(Cause::busy);
    if (known_ && writer_is_active(*known_) && !known_->caretaker && known_->grant.to != self_) {
        want_ = Want::nothing;
        return refusal(Cause::writer_elsewhere, {known_->writer});
    }
    const bool stuck = !(known_ && holds(*known_)) && refused_.cause != Cause::none;
    if (refused_.cause != Cause::only_suspect)
        suspect_since_ = 0;
    else if (suspect_since_ == 0)
        suspect_since_ = moment_.now_ms;
    if (options_.promote_after_ms > 0 && suspect_since_ != 0 &&
        moment_.now_ms - suspect_since_ >= options_.promote_after_ms)
        force("replicas that may have more stayed away");
    if (!pending.command.force || !stuck || waited < 8 * options_.retry_ms)
        return std::nullopt;
    const Cause cause = may_force();
    if (cause != Cause::none) {
        want_ = Want::nothing;
        return refusal(cause);
    }
    force("by command");
    pending.command.force = false;
    return std::nullopt;
}

/// Done once this node's I/O has stopped for good; the register follows when it can.
std::optional<Reply> Member::progress_demote(const Pending& /*pending*/) {
    if (is_active() || (known_ && holds(*known_) && !kernel_.done && kernel_.present))
        return std::nullopt;
    return Reply{};
}

std::optional<Reply> Member::progress_migrate(const Pending& pending) {
    if (known_ && known_->writer == pending.command.node)
        return Reply{};
    if (pending.begun && known_ && known_->grant.number == 0)
        return refusal(Cause::waits_for_members, {pending.command.node});
    if (!known_ || known_->writer != self_)
        return refusal(Cause::not_writer);
    return std::nullopt;
}

/// The first value: this node votes and is in sync, the others are enrolled and made equal; or are
/// equal already, if the caller says so and they hold nothing yet.
std::optional<Reply> Member::initialise(const Command& command) {
    if (basis() || kernel_.adopted)
        return refusal(Cause::busy);
    if (!acceptor_ || !kernel_.diskful || kernel_.instance == 0)
        return refusal(Cause::no_replica_here);
    Beginning beginning{.id = draw(),
                        .writer = self_,
                        .voter = draw(),
                        .instance = kernel_.instance,
                        .when_ms = moment_.wall_ms};
    for (std::size_t i = 0; i < beginning.lineage.size(); i++)
        beginning.lineage[i] = static_cast<std::uint8_t>(draw());
    Value value = begin_lineage(beginning, nullptr, {});
    for (const Seat& seat : command.seats) {
        if (seat.node == self_)
            continue;
        const auto peer = peers_.find(seat.node);
        const Report* said =
            peer == peers_.end() || !peer->second.report ? nullptr : &*peer->second.report;
        const bool equal = command.equal && seat.role == Role::diskful && said != nullptr &&
                           said->blank && !said->known && said->epoch == 0 && said->diskful;
        value.seats.push_back({.node = seat.node,
                               .role = seat.role,
                               .voter = 0,
                               .instance = equal ? said->instance : 0,
                               .joined = equal ? value.epoch : 0});
    }
    std::sort(value.seats.begin(), value.seats.end(),
              [](const Seat& a, const Seat& b) { return a.node < b.node; });
    value.writer = no_node;
    if (fault(value))
        return refusal(Cause::unknown_node);
    acceptor_->begin(beginning.voter, value);
    begun_ = value.lineage;
    known_ = value;
    return std::nullopt;
}

}  // namespace braid::membership
