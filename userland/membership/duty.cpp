// SPDX-License-Identifier: GPL-2.0-or-later
//
// What a writer does for replicas that are not in sync (R6), and both ends of a migration (M1).
#include <algorithm>

#include "membership/member.h"

namespace braid::membership {

/// Whether a replica cannot complete writes: away, another one, or without its disk.
bool Member::lost(const Seat& seat) const {
    if (seat.node == self_)
        return !kernel_.diskful || (seat.instance != 0 && seat.instance != kernel_.instance);
    const auto link = kernel_.peers.find(seat.node);
    if (link == kernel_.peers.end() || !link->second.connected || late_.count(seat.node) != 0)
        return true;
    return !link->second.diskful || (seat.instance != 0 && seat.instance != link->second.instance);
}

SyncState Member::sync_of(NodeId node) const {
    if (node == self_)
        return kernel_.sync;
    const auto link = kernel_.peers.find(node);
    return link == kernel_.peers.end() ? SyncState::none : link->second.sync;
}

/// R6: starts resyncs, and announces a join to the kernel before it is proposed (R6b). From then on
/// the kernel counts the replica as in sync until it adopts a later value; decide() sees to that.
void Member::drive_syncs() {
    if (!known_ || !holds(*known_) || !serves() || !adopted(*known_))
        return;
    for (const Seat& seat : known_->seats) {
        if (seat.role != Role::diskful || seat.instance != 0) {
            joining_.erase(seat.node);
            continue;
        }
        const SyncState state = sync_of(seat.node);
        if (state != SyncState::joining && state != SyncState::done)
            joining_.erase(seat.node);
        if (lost(seat))
            continue;
        const bool own = seat.node == self_;
        const KernelPeer& link = kernel_.peers[seat.node];
        const bool adopted_too = own || (link.epoch == known_->epoch && link.id == known_->id);
        const std::string name = std::to_string(seat.node);
        if (!adopted_too) {
            if (again("tell " + name))
                send(seat.node, Chosen{*known_});
        } else if (state == SyncState::none && again("sync " + name)) {
            act(SyncStart{.node = seat.node});
        } else if (state == SyncState::done && again("join " + name)) {
            joining_[seat.node] = {own ? kernel_.instance : link.instance, known_->epoch};
            act(SyncJoin{.node = seat.node});
        }
    }
}

void Member::drive_migration() {
    if (!known_)
        return;
    const Grant& grant = known_->grant;
    if (kernel_.stage != Stage::handed_over)
        handed_since_ = moment_.now_ms;
    const bool is_over = kernel_.grant != grant.number || grant.number == 0;
    // The target took the token: the register is swapped by a promotion of its own.
    if (grant.number != 0 && grant.to == self_ && !is_over && kernel_.stage == Stage::handed_over &&
        want_ != Want::primary)
        want_ = Want::primary;
    if (grant.number == 0 || !adopted(*known_))
        return;
    const std::int64_t left = std::clamp<std::int64_t>(grant.deadline_ms - moment_.wall_ms, 1,
                                                       std::int64_t{7} * 24 * 3600 * 1000);
    const Migrate migrate{.epoch = known_->epoch,
                          .target = grant.to,
                          .grant = grant.number,
                          .deadline_ms = static_cast<std::uint32_t>(left)};
    if (grant.to == self_ && kernel_.grant != grant.number && again("migrate")) {
        act(migrate);
    } else if (grant.from == self_ && holds(*known_) && serves()) {
        const auto peer = peers_.find(grant.to);
        const bool prepared = peer != peers_.end() && peer->second.report &&
                              peer->second.report->prepared == grant.number;
        const bool passed = moment_.wall_ms >= grant.deadline_ms;
        // First the target: a token is not given to one that does not wait for it.
        if (kernel_.grant != grant.number && prepared && !withdraw_ && !passed && again("migrate"))
            act(migrate);
        else if (kernel_.grant == grant.number && (withdraw_ || passed) &&
                 kernel_.stage != Stage::none && again("migrate-end"))
            act(MigrateEnd{.grant = grant.number});
    }
}

}  // namespace braid::membership
