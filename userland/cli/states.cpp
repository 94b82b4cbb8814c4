// SPDX-License-Identifier: GPL-2.0-or-later
#include "cli/states.h"

#include <algorithm>

#include "core/ondisk.h"

namespace braid::cli {

namespace {

namespace enums = netlink::enums;
using sys::KernelConfig;
using sys::PeerState;
using sys::ResourceState;
using sys::SyncProgress;

const KernelConfig::Member* member(const ResourceView& view, std::uint32_t node) {
    if (!view.resource.config) {
        return nullptr;
    }
    const auto& members = view.resource.config->members;
    const auto found = std::ranges::find(members, node, &KernelConfig::Member::node);
    return found == members.end() ? nullptr : &*found;
}

/// A member that holds no replica, as opposed to one of which nothing is known.
bool is_client(const ResourceView& view, std::uint32_t node) {
    const auto* found = member(view, node);
    return found != nullptr && !found->diskful;
}

bool is_connected(const PeerState& peer) {
    return peer.link == enums::link_state::connected;
}

/// What it announced is known; it does so first of all on a new connection.
bool is_known(const PeerState& peer) {
    return is_connected(peer) && peer.instance != 0;
}

/// A resync, and not a verify, is under way.
bool resyncs(const SyncProgress& sync) {
    return sync.state != enums::sync_state::none && sync.state != enums::sync_state::verifying;
}

/// How the target of a resync is shown while this node works on it.
bool copies(const SyncProgress& sync) {
    return resyncs(sync) && sync.state != enums::sync_state::done &&
           sync.state != enums::sync_state::joining;
}

const sys::ReplicaState* replica(const PeerState& peer, std::uint32_t volume) {
    const auto found = std::ranges::find(peer.replicas, volume, &sys::ReplicaState::volume);
    return found == peer.replicas.end() ? nullptr : &*found;
}

/// What this node's kernel does for its own replicas.
const SyncProgress* own_sync(const ResourceView& view) {
    const auto found = std::ranges::find(view.peers, view.resource.node, &PeerState::node);
    return found == view.peers.end() ? nullptr : &found->sync;
}

/// In sync as the adopted configuration says, and since then not started anew.
bool same_instance(const KernelConfig::Member& member, std::uint64_t instance) {
    return member.in_sync && member.instance == instance;
}

/// Whether a replica that the configuration calls in sync says that it never was: it was
/// invalidated or replaced, and there was no Primary since who would have dropped it.
bool given_up(const KernelConfig::Member& member, std::uint64_t instance,
              std::uint64_t last_epoch) {
    return !same_instance(member, instance) && last_epoch == 0;
}

bool was_given_up(const ResourceView& view, const KernelConfig::Member& member) {
    const sys::ResourceState& own = view.resource;
    if (member.node == own.node) {
        return given_up(member, own.instance, own.last_epoch);
    }
    const auto peer = std::ranges::find(view.peers, member.node, &PeerState::node);
    return peer != view.peers.end() && is_known(*peer) &&
           given_up(member, peer->instance, peer->last_epoch);
}

/// The kernel of a target does not follow its resync; its metadata says that one has begun and not
/// ended, and only the writer makes one.
bool is_target(const ResourceView& view, const PeerState& peer) {
    const auto* own = member(view, view.resource.node);
    return own != nullptr && !own->in_sync && view.resource.config->writer == peer.node &&
           std::ranges::any_of(view.volumes, [](const sys::VolumeState& volume) {
               return (volume.replica_flags & BRAID_SB_INCONSISTENT) != 0;
           });
}

std::string_view source_state(std::uint32_t state) {
    switch (state) {
        case enums::sync_state::linking:
            return "WFBitMapS";
        case enums::sync_state::running:
        case enums::sync_state::flushing:
            return "SyncSource";
        case enums::sync_state::paused:
            return "PausedSyncS";
        case enums::sync_state::verifying:
            return "VerifyS";
        default:
            return "Established";
    }
}

std::string_view target_state(std::uint32_t state) {
    switch (state) {
        case enums::sync_state::linking:
            return "WFBitMapT";
        case enums::sync_state::paused:
            return "PausedSyncT";
        default:
            return "SyncTarget";
    }
}

PeerDeviceStatus derive_peer_device(const ResourceView& view, const PeerState& peer,
                                    const sys::VolumeState& volume) {
    PeerDeviceStatus status{
        .volume = volume.volume,
        .replication = std::string(replication_state(view, peer)),
        .disk = std::string(peer_disk_state(view, peer, volume.volume)),
        .client = is_client(view, peer.node),
        .resync_suspended = peer.sync.state == enums::sync_state::paused,
    };
    // The map is in the metadata of this node's own disk.
    const auto* row = replica(peer, volume.volume);
    if (row != nullptr && volume.disk_state == enums::disk_state::attached && !status.client) {
        status.out_of_sync = row->dirty;
        if (volume.size > 0) {
            const auto lacks = static_cast<double>(std::min(row->dirty, volume.size));
            status.percent_in_sync = 100.0 - 100.0 * lacks / static_cast<double>(volume.size);
        }
    }
    return status;
}

ConnectionStatus derive_connection(const ResourceView& view, const PeerState& peer,
                                   const NodeName& name_of) {
    ConnectionStatus status{
        .node = peer.node,
        .name = name_of(view.resource.name, peer.node),
        .state = std::string(connection_state(peer)),
        .role = std::string(peer_role(view, peer)),
        .tls = !peer.streams.empty() && std::ranges::all_of(peer.streams, &sys::StreamState::tls),
        .kernel = peer,
    };
    if (peer.sync.state != enums::sync_state::none) {
        status.sync = peer.sync;
    }
    for (const auto& volume : view.volumes) {
        status.devices.push_back(derive_peer_device(view, peer, volume));
    }
    return status;
}

}  // namespace

/// The writer of the adopted configuration, until it has stopped for good.
std::string_view role(const ResourceView& view) {
    const auto& config = view.resource.config;
    return config && config->writer == view.resource.node && !view.resource.done ? "Primary"
                                                                                 : "Secondary";
}

/// The same of a peer, as far as it can be known: not without a connection, and not where it has
/// adopted a newer configuration than this node.
std::string_view peer_role(const ResourceView& view, const PeerState& peer) {
    const auto& config = view.resource.config;
    if (!is_known(peer) || !config || peer.epoch > config->epoch) {
        return "Unknown";
    }
    const bool stopped = peer.done && peer.epoch == config->epoch;
    return config->writer == peer.node && !stopped ? "Primary" : "Secondary";
}

/// An attached replica is UpToDate where the adopted configuration has it in sync, as this instance
/// of it. Consistent: it was in sync when it was last attached, or may have lost writes since
/// (suspect), and nobody has confirmed it yet. Otherwise its metadata tells: Inconsistent in the
/// middle of a resync, or if it was never in sync; else Outdated.
std::string_view disk_state(const ResourceView& view, const sys::VolumeState& volume) {
    switch (volume.disk_state) {
        case enums::disk_state::diskless:
            return "Diskless";
        case enums::disk_state::attaching:
            return "Attaching";
        case enums::disk_state::detaching:
            return "Detaching";
        case enums::disk_state::failed:
            return "Failed";
        default:
            break;
    }
    const auto* own = member(view, view.resource.node);
    if (own != nullptr && own->in_sync) {
        if (given_up(*own, view.resource.instance, view.resource.last_epoch)) {
            return "Inconsistent";
        }
        return same_instance(*own, view.resource.instance) && !view.resource.suspect ? "UpToDate"
                                                                                     : "Consistent";
    }
    if ((volume.replica_flags & BRAID_SB_INCONSISTENT) != 0 || view.resource.last_epoch == 0) {
        return "Inconsistent";
    }
    return view.resource.config ? "Outdated" : "Consistent";
}

/// As disk_state(), from what the peer announced. Out of reach it is Outdated where the others went
/// on without it, and else not known. One that is not in sync is Outdated if it ever was, and
/// Inconsistent if it never was or is resynced from here; after a resync that was broken off only
/// its own node knows better.
std::string_view peer_disk_state(const ResourceView& view, const PeerState& peer,
                                 std::uint32_t volume) {
    const auto* other = member(view, peer.node);
    if (other == nullptr) {
        return "DUnknown";
    }
    if (!other->diskful) {
        return "Diskless";
    }
    if (!is_known(peer)) {
        return other->in_sync ? "DUnknown" : "Outdated";
    }
    const auto* row = replica(peer, volume);
    if (row != nullptr && !row->attached) {
        return "Diskless";
    }
    if (other->in_sync) {
        if (given_up(*other, peer.instance, peer.last_epoch)) {
            return "Inconsistent";
        }
        return same_instance(*other, peer.instance) && !peer.suspect ? "UpToDate" : "Consistent";
    }
    if (copies(peer.sync)) {
        return "Inconsistent";
    }
    if (resyncs(peer.sync)) {
        return "Consistent";  // equal, but not counted as in sync yet
    }
    return peer.last_epoch > 0 ? "Outdated" : "Inconsistent";
}

/// Connecting also where the hellos are being exchanged, and where nothing is: whether anybody
/// tries is known to the node daemon only.
std::string_view connection_state(const PeerState& peer) {
    return is_connected(peer) ? "Connected" : "Connecting";
}

/// The writer's kernel knows its resyncs and verifies. It reads from every replica in sync where
/// its own is the target. The other end of a resync is told from is_target(); that of a verify, and
/// of a resync that is paused, is not.
std::string_view replication_state(const ResourceView& view, const PeerState& peer) {
    if (!is_connected(peer)) {
        return "Off";
    }
    if (peer.sync.state != enums::sync_state::none) {
        return source_state(peer.sync.state);
    }
    const auto* other = member(view, peer.node);
    const auto* own = own_sync(view);
    if (own != nullptr && copies(*own) && other != nullptr && other->in_sync) {
        return target_state(own->state);
    }
    return is_target(view, peer) ? "SyncTarget" : "Established";
}

/// The service holds I/O, or requests wait for another one.
bool io_waits(const ResourceState& resource) {
    return resource.service == enums::service::held ||
           resource.service == enums::service::outgoing || resource.held > 0;
}

bool all_in_sync(const ResourceView& view) {
    const auto& config = view.resource.config;
    return config && !view.resource.adopting &&
           std::ranges::all_of(config->members,
                               [&](const KernelConfig::Member& each) {
                                   return !each.diskful ||
                                          (each.in_sync && !was_given_up(view, each));
                               }) &&
           std::ranges::none_of(view.peers,
                                [](const PeerState& each) { return copies(each.sync); });
}

double percent_done(const SyncProgress& sync) {
    if (sync.total == 0) {
        return 100.0;
    }
    const auto left = static_cast<double>(std::min(sync.left, sync.total));
    return 100.0 - 100.0 * left / static_cast<double>(sync.total);
}

ResourceStatus derive(const ResourceView& view, const NodeName& name_of) {
    const auto& resource = view.resource;
    ResourceStatus status{
        .name = resource.name,
        .node = resource.node,
        .role = std::string(role(view)),
        .suspended = io_waits(resource),
        .failing = resource.service == enums::service::failed,
        .kernel = resource,
    };
    if (resource.config && resource.config->writer != netlink::writer_none) {
        status.writer = name_of(resource.name, resource.config->writer);
    }
    for (const auto& volume : view.volumes) {
        status.devices.push_back({
            .volume = volume.volume,
            .minor = volume.minor,
            .disk = std::string(disk_state(view, volume)),
            .client =
                volume.disk_state == enums::disk_state::diskless && is_client(view, resource.node),
            .open = volume.opens > 0,
            .size = volume.size,
        });
    }
    for (const auto& peer : view.peers) {
        if (peer.node != resource.node) {
            status.connections.push_back(derive_connection(view, peer, name_of));
        } else if (peer.sync.state != enums::sync_state::none) {
            status.own_sync = peer.sync;
        }
    }
    return status;
}

}  // namespace braid::cli
