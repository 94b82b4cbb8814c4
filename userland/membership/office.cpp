// SPDX-License-Identifier: GPL-2.0-or-later
//
// Promotion and demotion, up to the moment when the kernel serves: R4, R4a, R5, R8, R9.
#include <algorithm>

#include "membership/member.h"

namespace braid::membership {

bool Member::is_active() const {
    switch (kernel_.service) {
        case Service::reconciling:
        case Service::serving:
        case Service::held:
        case Service::draining:
        case Service::failed:
            return true;
        default:
            return false;
    }
}

/// It has served in this epoch; new I/O may have to wait.
bool Member::serves() const {
    return kernel_.service == Service::serving || kernel_.service == Service::held ||
           kernel_.service == Service::draining;
}

bool Member::adopted(const Value& value) const {
    return kernel_.adopted && kernel_.adopted->lineage == value.lineage &&
           kernel_.adopted->epoch == value.epoch && kernel_.adopted->id == value.id;
}

/// Whether `value` makes this node the writer by a promotion that is not over: not one from before
/// the host was started anew, which is over without anybody having said so.
bool Member::holds(const Value& value) const {
    if (value.writer != self_ || (kernel_.done && adopted(value)))
        return false;
    return elected_ == value.epoch ||
           (is_active() && kernel_.adopted && kernel_.adopted->lineage == value.lineage &&
            kernel_.adopted->epoch <= value.epoch && kernel_.adopted->writer == self_);
}

/// To reach a member means that its kernel can be had to adopt: by its daemon, and seen by ours.
bool Member::reached(NodeId node) const {
    if (node == self_)
        return kernel_.present;
    const auto peer = peers_.find(node);
    const auto link = kernel_.peers.find(node);
    return peer != peers_.end() && peer->second.up && peer->second.report &&
           link != kernel_.peers.end() && link->second.connected && late_.count(node) == 0;
}

std::map<NodeId, Replica> Member::replicas() const {
    std::map<NodeId, Replica> found;
    const std::optional<Value> value = basis();
    const auto same_lineage = [&value](const Lineage& lineage) {
        return value && value->lineage == lineage;
    };
    // What a replica has of a lineage counts up to where the present one parted from it.
    const auto last_epoch = [&value](const Report& of) {
        return value && of.last_epoch <= common_epoch(*value, of.lineage) ? of.last_epoch : 0;
    };
    for (const auto& [node, peer] : peers_) {
        const auto link = kernel_.peers.find(node);
        if (!peer.report || link == kernel_.peers.end())
            continue;
        // Both must speak of the same attach of the replica.
        if (link->second.instance != peer.report->instance)
            continue;
        found[node] = {.reached = reached(node),
                       .diskful = link->second.diskful && peer.report->diskful,
                       .suspect = link->second.suspect || peer.report->suspect,
                       .instance = link->second.instance,
                       .epoch = same_lineage(peer.report->lineage) ? peer.report->epoch : 0,
                       .last_epoch = last_epoch(*peer.report)};
    }
    if (kernel_.present) {
        const Report own = report();
        found[self_] = {.reached = true,
                        .diskful = own.diskful,
                        .suspect = own.suspect,
                        .instance = own.instance,
                        .epoch = same_lineage(own.lineage) ? own.epoch : 0,
                        .last_epoch = last_epoch(own)};
    }
    return found;
}

bool Member::writer_is_active(const Value& value) const {
    if (value.writer == no_node || value.writer == self_)
        return false;
    const auto peer = peers_.find(value.writer);
    return peer != peers_.end() && peer->second.up && peer->second.report &&
           peer->second.report->active;
}

bool Member::peer_wants() const {
    return std::any_of(peers_.begin(), peers_.end(), [](const auto& peer) {
        return peer.second.up && peer.second.report && peer.second.report->wants;
    });
}

void Member::drive_office() {
    if (!known_ || !kernel_seen_ || !kernel_.present)
        return;
    if (!took_over_ && kernel_.adopted) {
        took_over_ = true;
        // The kernel went on while this program was away (P9).
        if (is_active() && want_ == Want::nothing && kernel_.adopted->writer == self_ &&
            known_->writer == self_) {
            want_ = known_->caretaker ? Want::caretaker : Want::primary;
            automatic_ = options_.auto_promote && kernel_.opens > 0;
        }
    }
    drive_caretaker();
    watch_adoption();
    watch_loss();
    drive_serve();
    const Seat* own = known_->seat(self_);
    // An office of before a restart is left as it is: who is promoted next looks at the replicas.
    const bool idle_office = kernel_.service == Service::preparing && adopted(*known_) &&
                             own != nullptr &&
                             (own->instance == 0 || own->instance == kernel_.instance);
    // One that drains is told again by force only: what it waits for may never end.
    const bool to_tell = kernel_.service != Service::draining || force_demote_;
    if (want_ == Want::nothing && !kernel_.done && (is_active() || idle_office) && to_tell &&
        took_over_ && again("demote"))
        act(Demote{.force = force_demote_});
    if (!is_active() && kernel_.service != Service::preparing)
        force_demote_ = false;
    maybe_fence();
}

/// Members that stay away from a configuration are not waited for ever: they count as lost.
void Member::watch_adoption() {
    if (!adopted(*known_) || !holds(*known_)) {
        adopted_since_ = 0;
        return;
    }
    if (adopted_since_ == 0 || adopted_epoch_ != known_->epoch) {
        adopted_since_ = moment_.now_ms;
        adopted_epoch_ = known_->epoch;
    }
    for (const Seat& seat : known_->seats) {
        if (seat.instance == 0 || seat.node == self_)
            continue;
        const KernelPeer& link = kernel_.peers[seat.node];
        if (link.epoch == known_->epoch && link.id == known_->id) {
            late_.erase(seat.node);
            continue;
        }
        if (again("adopt " + std::to_string(seat.node))) {
            send(seat.node, Chosen{*known_});
            send(seat.node, Query{});
        }
        if (moment_.now_ms - adopted_since_ >= options_.adopt_ms &&
            late_.emplace(seat.node, known_->epoch).second)
            journal(name(seat.node) + " does not adopt epoch " + std::to_string(known_->epoch) +
                        ": it counts as lost",
                    true);
    }
}

/// R4a: when each replica in sync was attached anew, what they had not made durable is lost, and
/// no write of this epoch can complete.
void Member::watch_loss() {
    if (!holds(*known_) || !serves() || !adopted(*known_))
        return;
    for (const Seat& seat : known_->seats) {
        if (seat.instance == 0)
            continue;
        const bool own = seat.node == self_;
        const KernelPeer& link = kernel_.peers[seat.node];
        const Instance now = own ? kernel_.instance : link.instance;
        if (now == 0 || now == seat.instance || (!own && !link.connected))
            return;
    }
    journal("all replicas in sync were started anew under the writer: its I/O fails", true);
    want_ = Want::nothing;
    force_demote_ = true;
}

/// R4a, R5: looks once more at what it was promoted with, just before it serves.
void Member::drive_serve() {
    if (want_ == Want::nothing || !holds(*known_) || !adopted(*known_) ||
        kernel_.service != Service::preparing)
        return;
    const Plan plan = plan_promotion(*known_, self_, replicas());
    if (plan.cause != Cause::none)
        return;
    for (const Seat& seat : known_->seats) {
        if (seat.instance == 0)
            continue;
        const auto found = plan.in_sync.find(seat.node);
        if (found == plan.in_sync.end() || found->second != seat.instance)
            return;
        const KernelPeer& link = kernel_.peers[seat.node];
        if (seat.node != self_ && (link.epoch != known_->epoch || link.id != known_->id))
            return;
    }
    if (again("serve " + std::to_string(known_->epoch)))
        act(Serve{.epoch = known_->epoch, .reference = plan.reference});
}

/// A replica that is reached is not in sync, or not as the register lists it; and this node could
/// see to it, as the first of those that could.
bool Member::replicas_differ() const {
    if (!known_ || !kernel_.present || !kernel_.diskful)
        return false;
    const auto all = replicas();
    bool some = false;
    for (const Seat& seat : known_->seats) {
        const auto found = all.find(seat.node);
        if (seat.role != Role::diskful || found == all.end() || !found->second.reached ||
            !found->second.diskful)
            continue;
        if (is_listed(*known_, seat.node, found->second) && seat.node < self_)
            return false;
        some = some || found->second.instance != seat.instance;
    }
    return some && plan_promotion(*known_, self_, all).cause == Cause::none;
}

/// And nobody is at it: R6b.
bool Member::needs_caretaker() const {
    if (!replicas_differ() || peer_wants())
        return false;
    if (known_->writer == no_node || known_->writer == self_)
        return true;
    // One that is away may well be writing: its kernel needs no daemon.
    const auto peer = peers_.find(known_->writer);
    return peer != peers_.end() && peer->second.up && peer->second.report &&
           !peer->second.report->active;
}

void Member::drive_caretaker() {
    if (want_ == Want::nothing && !is_active() && needs_caretaker()) {
        if (needed_since_ == 0)
            needed_since_ = moment_.now_ms;
        if (moment_.now_ms - needed_since_ >= options_.caretaker_ms) {
            journal("replicas are to be made equal: this node sees to it");
            want_ = Want::caretaker;
        }
        return;
    }
    needed_since_ = 0;
    if (want_ != Want::caretaker)
        return;
    if (kernel_.opens > 0 && serves()) {
        want_ = Want::primary;
        automatic_ = options_.auto_promote;
        return;
    }
    bool left = !serves();
    for (const Seat& seat : known_->seats)
        left = left || (seat.role == Role::diskful && seat.instance == 0 && !lost(seat)) ||
               sync_of(seat.node) == SyncState::joining;
    if (!left || peer_wants() || (!holds(*known_) && writer_is_active(*known_)))
        want_ = Want::nothing;
}

// ---- forced ----

Cause Member::may_force() const {
    if (!acceptor_ || !kernel_.diskful || kernel_.instance == 0)
        return Cause::no_replica_here;
    if (known_ && writer_is_active(*known_))
        return Cause::writer_elsewhere;
    return Cause::none;
}

/// R8: goes on without the others, in a lineage of its own.
void Member::force(const std::string& why) {
    const std::optional<Value> last = basis();
    if (may_force() != Cause::none || !last)
        return;
    const Replica own = replicas().at(self_);
    const bool had_all = is_listed(*last, self_, own) && !own.suspect;
    // Where it was not in sync, or lost writes, others have more than it up to here.
    const Ancestor base{
        .lineage = {},
        .epoch = had_all || is_listed(*last, self_, own) ? last->epoch : own.last_epoch,
        .id = had_all ? last->id : 0,
        .when_ms = 0,
        .complete = had_all,
        .discarded = false};
    Beginning beginning{.id = draw(),
                        .writer = self_,
                        .voter = draw(),
                        .instance = kernel_.instance,
                        .joined = own.last_epoch,
                        .when_ms = moment_.wall_ms};
    for (std::size_t i = 0; i < beginning.lineage.size(); i++)
        beginning.lineage[i] = static_cast<std::uint8_t>(draw());
    const Value value = begin_lineage(beginning, &*last, base);
    journal(
        "forced: a new lineage begins with epoch " + std::to_string(value.epoch) + " (" + why + ")",
        true);
    proposer_.forget();
    acceptor_->begin(beginning.voter, value);
    begun_ = value.lineage;
    known_ = value;
    elected_ = value.epoch;
    want_ = Want::primary;
}

/// R9: two nodes without a witness go on alone if told so (quorum off), once the other one runs
/// nothing any more. Only a replica that was in sync ever since may: the other one would have had
/// this node fenced before it went on without it.
void Member::maybe_fence() {
    if (!options_.quorum_off || fencing_ != no_node || want_ != Want::primary)
        return;
    const Seat* own = known_->seat(self_);
    if (known_->voters().size() != 2 || own == nullptr || own->voter == 0 || own->instance == 0 ||
        own->instance != kernel_.instance || refused_.cause != Cause::no_quorum)
        return;
    for (const Seat& seat : known_->seats) {
        if (seat.voter == 0 || seat.node == self_ || seat.role != Role::diskful)
            continue;
        const bool stuck = holds(*known_) ? lost(seat) : !peers_[seat.node].up;
        if (stuck && !peers_[seat.node].up && again("fence")) {
            fencing_ = seat.node;
            journal(name(seat.node) + " is to be fenced", true);
            act(Fence{.node = seat.node});
        }
    }
}

}  // namespace braid::membership
