// SPDX-License-Identifier: GPL-2.0-or-later
#include "satellite/kernel_view.h"

#include <algorithm>

#include "sys/netlink_gen.h"

namespace braid::satellite {

namespace {

namespace enums = netlink::enums;
using membership::KernelPeer;
using membership::KernelView;
using membership::Service;
using membership::Stage;
using membership::SyncState;

static_assert(membership::no_node == netlink::writer_none);
static_assert(static_cast<std::uint64_t>(Service::secondary) == enums::service::secondary);
static_assert(static_cast<std::uint64_t>(Service::preparing) == enums::service::preparing);
static_assert(static_cast<std::uint64_t>(Service::reconciling) == enums::service::reconciling);
static_assert(static_cast<std::uint64_t>(Service::serving) == enums::service::serving);
static_assert(static_cast<std::uint64_t>(Service::held) == enums::service::held);
static_assert(static_cast<std::uint64_t>(Service::draining) == enums::service::draining);
static_assert(static_cast<std::uint64_t>(Service::failed) == enums::service::failed);
static_assert(static_cast<std::uint64_t>(Service::incoming) == enums::service::incoming);
static_assert(static_cast<std::uint64_t>(Service::outgoing) == enums::service::outgoing);
static_assert(static_cast<std::uint64_t>(Stage::none) == enums::migration::none);
static_assert(static_cast<std::uint64_t>(Stage::granted) == enums::migration::granted);
static_assert(static_cast<std::uint64_t>(Stage::draining) == enums::migration::draining);
static_assert(static_cast<std::uint64_t>(Stage::prepared) == enums::migration::prepared);
static_assert(static_cast<std::uint64_t>(Stage::asked) == enums::migration::asked);
static_assert(static_cast<std::uint64_t>(Stage::handed_over) == enums::migration::handed_over);
static_assert(static_cast<std::uint64_t>(Stage::swapped) == enums::migration::swapped);

/// A verify is none of the membership's business: its peer is in sync, and stays so.
SyncState sync_of(const sys::SyncProgress& sync) {
    switch (sync.state) {
        case enums::sync_state::linking:
        case enums::sync_state::running:
        case enums::sync_state::paused:
        case enums::sync_state::flushing:
            return SyncState::busy;
        case enums::sync_state::done:
            return SyncState::done;
        case enums::sync_state::joining:
            return SyncState::joining;
        default:
            return SyncState::none;
    }
}

membership::Adopted adopted_of(const sys::KernelConfig& config) {
    membership::Adopted adopted;
    std::ranges::transform(config.lineage, adopted.lineage.begin(),
                           [](std::byte each) { return std::to_integer<std::uint8_t>(each); });
    adopted.epoch = config.epoch;
    adopted.id = config.id;
    adopted.writer = config.writer;
    for (const sys::KernelConfig::Member& member : config.members) {
        if (member.in_sync) {
            adopted.in_sync.emplace(member.node, member.instance);
        }
    }
    return adopted;
}

KernelPeer peer_of(const sys::PeerState& state) {
    KernelPeer peer;
    for (const sys::ReplicaState& replica : state.replicas) {
        peer.dirty += replica.dirty;
    }
    peer.sync = sync_of(state.sync);
    // Its instance is what it announced first; before that nothing is known of it.
    peer.connected = state.link == enums::link_state::connected && state.instance != 0;
    if (peer.connected) {
        peer.diskful = !state.replicas.empty() &&
                       std::ranges::all_of(state.replicas, &sys::ReplicaState::attached);
        peer.suspect = state.suspect;
        peer.done = state.done;
        peer.epoch = state.epoch;
        peer.id = state.config_id;
        peer.instance = state.instance;
    }
    return peer;
}

}  // namespace

KernelView view_of(const sys::ResourceView& replies) {
    const sys::ResourceState& resource = replies.resource;
    KernelView view;
    view.present = true;
    if (resource.config) {
        view.adopted = adopted_of(*resource.config);
    }
    // Values of a newer module that this program does not know serve nothing.
    view.service = resource.service <= enums::service::outgoing
                       ? static_cast<Service>(resource.service)
                       : Service::failed;
    view.suspended = resource.suspended;
    view.done = resource.done;
    view.suspect = resource.suspect;
    view.instance = resource.instance;
    view.last_epoch = resource.last_epoch;
    view.stage = resource.migration <= enums::migration::swapped
                     ? static_cast<Stage>(resource.migration)
                     : Stage::none;
    view.grant = resource.grant;
    view.diskful = !replies.volumes.empty();
    for (const sys::VolumeState& volume : replies.volumes) {
        view.diskful = view.diskful && volume.disk_state == enums::disk_state::attached;
        view.opens += volume.opens;
        view.waiting_opens += volume.waiting_opens;
    }
    for (const sys::PeerState& peer : replies.peers) {
        if (peer.node == resource.node) {
            view.sync = sync_of(peer.sync);
        } else {
            view.peers.emplace(peer.node, peer_of(peer));
        }
    }
    return view;
}

sys::KernelConfig config_of(const membership::Value& value) {
    sys::KernelConfig config;
    std::ranges::transform(value.lineage, config.lineage.begin(),
                           [](std::uint8_t each) { return std::byte{each}; });
    config.epoch = value.epoch;
    config.id = value.id;
    config.writer = value.writer;
    for (const membership::Seat& seat : value.seats) {
        if (seat.role == membership::Role::witness) {
            continue;
        }
        config.members.push_back({.node = seat.node,
                                  .diskful = seat.role == membership::Role::diskful,
                                  .in_sync = seat.instance != 0,
                                  .instance = seat.instance});
    }
    return config;
}

}  // namespace braid::satellite
