// SPDX-License-Identifier: GPL-2.0-or-later
#include "membership/explain.h"

#include <algorithm>

#include "membership/member.h"

namespace braid::membership {

namespace {

std::string names(const std::vector<NodeId>& nodes) {
    std::string text;
    for (const NodeId node : nodes)
        text += (text.empty() ? "" : ", ") + (node == no_node ? "?" : std::to_string(node));
    return text.empty() ? "no node" : (nodes.size() == 1 ? "node " : "nodes ") + text;
}

}  // namespace

std::string remedy(Cause cause, const std::vector<NodeId>& nodes) {
    return remedy(cause, names(nodes));
}

std::string remedy(Cause cause, const std::string& which) {
    switch (cause) {
        case Cause::none:
            return "";
        case Cause::not_member:
            return "this node is no member of the resource: add it from a node that is one";
        case Cause::no_register:
            return "the resource was never initialised, or none of its members is known here: "
                   "initialise it, or connect to a member";
        case Cause::no_quorum:
            return "too few voters answer (" + which +
                   " missing): bring them back; or promote by force and lose what only they have";
        case Cause::writer_elsewhere:
            return which + " is Primary: demote it there first, or migrate";
        case Cause::no_replica_here:
            return "this node has no replica that could be used: do it on one that has";
        case Cause::not_in_sync:
            return "no replica in sync is reached (" + which +
                   " missing): bring one back; or force, and lose what only they have";
        case Cause::only_suspect:
            return "the replicas that are reached lost power with volatile caches, and " + which +
                   " may have writes that they lack: bring it back; or force";
        case Cause::waits_for_members:
            return which + " has not adopted the configuration yet: see to its daemon and links";
        case Cause::forked:
            return which +
                   " has changes that this node lacks, and the other way round: decide "
                   "whose are dropped with resolve --discard";
        case Cause::not_writer:
            return "this node is not Primary: do it on the one that is";
        case Cause::last_in_sync:
            return which + " has the only replica in sync, or the only vote: add another first";
        case Cause::is_writer:
            return which + " is Primary: demote it first";
        case Cause::busy:
            return "another command is at work: wait for it, or look at explain";
        case Cause::unknown_node:
            return which + " is no such member, or one already with another role";
        case Cause::device_open:
            return "a device is open: close it, or force, and its I/O fails";
        case Cause::kernel_refused:
            return "the kernel refused it: see the journal";
        case Cause::no_fork:
            return which + " has no other lineage than this node";
        case Cause::fencing:
            return "the fence command for " + which + " has not succeeded: see its output";
        case Cause::suspended:
            return "an administrator suspended its I/O: 'braidadm resume-io' lets it go on";
        case Cause::drained:
            return "this node is drained: 'braidadm undrain' ends that";
    }
    return "";
}

/// What stands in the way of being the writer, now.
Plan Member::obstacle() const {
    const std::optional<Value> value = basis();
    if (!value)
        return {.cause = Cause::no_register};
    if (value->seat(self_) == nullptr)
        return {.cause = Cause::not_member};
    if (fence_failed_)
        return {.cause = Cause::fencing};
    VoterSet votes;
    Plan plan;
    for (const Seat& seat : value->seats) {
        if (seat.voter == 0)
            continue;
        const auto peer = peers_.find(seat.node);
        const bool own = seat.node == self_;
        const bool answers = own ? acceptor_ && !acceptor_->failed()
                                 : peer != peers_.end() && peer->second.up && peer->second.report &&
                                       peer->second.report->voter == seat.voter &&
                                       !peer->second.report->vote_failed;
        if (answers)
            insert(votes, seat.voter);
        else
            plan.nodes.push_back(seat.node);
    }
    if (!majority(value->voters(), votes)) {
        plan.cause = forks_.empty() ? Cause::no_quorum : Cause::forked;
        return plan;
    }
    if (writer_is_active(*value))
        return {.cause = Cause::writer_elsewhere, .nodes = {value->writer}};
    if (holds(*value))
        return {};
    plan = plan_promotion(*value, self_, replicas());
    if (plan.cause == Cause::none && options_.drained)
        plan.cause = Cause::drained;
    return plan;
}

/// Whether `node` is the one by which its lineage, another one than this node's, is shown.
bool Member::shown_for_lineage(NodeId node, const Value& value) const {
    const auto has_data = [&value](NodeId which) { return value.in_sync(which); };
    for (const auto& [other, fork] : forks_)
        if (fork.value.lineage == value.lineage && other != node &&
            (has_data(other) != has_data(node) ? has_data(other) : other < node))
            return false;
    return true;
}

Explanation Member::explain() const {
    Explanation all;
    const Plan plan = obstacle();
    all.promotion = plan.cause;
    all.promotion_nodes = plan.nodes;
    all.promotion_text = remedy(plan.cause, plan.nodes);
    if (!known_)
        return all;
    all.lineage = known_->lineage;
    all.epoch = known_->epoch;
    all.id = known_->id;
    all.writer = known_->writer;
    all.history = known_->history;
    for (const Seat& seat : known_->seats) {
        const auto peer = peers_.find(seat.node);
        MemberView view{.seat = seat};
        const bool own = seat.node == self_;
        if (own || (peer != peers_.end() && peer->second.report)) {
            const Report now = own ? report() : *peer->second.report;
            view.up = own || peer->second.up;
            view.votes = seat.voter != 0 && now.voter == seat.voter && !now.vote_failed;
            view.diskful = now.diskful;
            view.suspect = now.suspect;
            view.epoch = now.epoch;
        }
        all.members.push_back(view);
        const auto link = kernel_.peers.find(seat.node);
        if (!holds(*known_) || kernel_.service != Service::held || seat.instance == 0 || own)
            continue;
        const bool follows = link != kernel_.peers.end() && link->second.epoch == known_->epoch;
        if (lost(seat) || !follows)
            all.held_nodes.push_back(seat.node);
    }
    all.suspended = kernel_.suspended;
    if (kernel_.service == Service::held && kernel_.suspended && all.held_nodes.empty())
        all.held = Cause::suspended;
    else if (kernel_.service == Service::held)
        all.held = plan.cause == Cause::no_quorum ? plan.cause : Cause::waits_for_members;
    all.held_text = remedy(all.held, all.held_nodes);
    for (const auto& [node, fork] : forks_) {
        // One of a lineage is enough, and who has data tells more than who votes.
        if (!shown_for_lineage(node, fork.value))
            continue;
        ForkView view{
            .node = node,
            .relation = fork.kinship.relation,
            .lineage = fork.value.lineage,
            .epoch = fork.kinship.epoch,
            .age_ms = fork.kinship.when_ms == 0 ? 0 : moment_.wall_ms - fork.kinship.when_ms};
        const auto link = kernel_.peers.find(node);
        if (link != kernel_.peers.end())
            view.ours = link->second.dirty;
        const auto peer = peers_.find(node);
        if (peer != peers_.end() && peer->second.report &&
            peer->second.report->dirty.size() > self_)
            view.theirs = peer->second.report->dirty[self_];
        all.forks.push_back(view);
    }
    return all;
}

}  // namespace braid::membership
