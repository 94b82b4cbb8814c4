// SPDX-License-Identifier: GPL-2.0-or-later
//
// What the module says of its resources, volumes and peers, and its events: the replies of
// kernel/spec/braid.yaml as plain values.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "sys/client_error.h"

namespace braid::sys {

using Lineage = std::array<std::byte, 16>;
using Uuid = std::array<std::byte, 16>;

/// A configuration: the register's value as far as a kernel enforces it.
struct KernelConfig {
    struct Member {
        std::uint32_t node = 0;
        bool diskful = false;
        bool in_sync = false;
        std::uint64_t instance = 0;  ///< of a replica in sync

        bool operator==(const Member&) const = default;
    };

    Lineage lineage{};
    std::uint64_t epoch = 0;
    std::uint64_t id = 0;
    std::uint32_t writer = netlink::writer_none;
    std::vector<Member> members{};

    bool operator==(const KernelConfig&) const = default;
};

struct ResourceState {
    std::string name;
    std::uint32_t node = 0;
    std::uint32_t lease_ms = 0;
    std::uint32_t timeout_ms = 0;
    std::uint32_t request_timeout_ms = 0;
    std::uint32_t policy = 0;  ///< netlink::enums::policy
    /// The adopted one.
    std::optional<KernelConfig> config{};
    std::uint64_t instance = 0;
    /// When this node's replicas were last in sync; 0: never, or one of them is another since.
    std::uint64_t last_epoch = 0;
    std::uint32_t service = 0;  ///< netlink::enums::service
    std::string reason;         ///< why service is what it is
    bool adopting = false;
    bool suspect = false;
    /// It was the writer of the adopted configuration and has irrevocably stopped.
    bool done = false;
    bool suspended = false;          ///< by an administrator
    std::uint64_t held = 0;          ///< requests that wait
    std::uint32_t open_wait_ms = 0;  ///< that opening waits for this node to be the writer
    std::uint32_t in_flight = 0;     ///< requests that do not
    std::uint64_t sequence = 0;      ///< of the last event
    std::uint32_t migration = 0;     ///< netlink::enums::migration
    std::optional<std::uint32_t> source{};
    std::optional<std::uint32_t> target{};
    std::uint64_t grant = 0;
    std::uint32_t deadline_ms = 0;  ///< what is left of it

    bool operator==(const ResourceState&) const = default;
};

struct VolumeState {
    std::string resource;
    std::uint32_t volume = 0;
    std::uint32_t minor = 0;
    std::uint64_t size = 0;        ///< bytes
    std::uint32_t block_size = 0;  ///< 0: not known yet
    std::uint32_t disk_state = 0;  ///< netlink::enums::disk_state
    std::uint32_t opens = 0;
    std::uint32_t waiting_opens = 0;  ///< until this node is the writer
    std::uint32_t active_regions = 0;
    std::uint64_t generation = 0;
    std::uint64_t stable = 0;
    std::uint32_t in_flight = 0;
    /// Of the attached replica.
    std::optional<Uuid> uuid{};
    std::uint32_t replica_flags = 0;
    std::uint64_t disk_size = 0;  ///< bytes that the disk has room for

    bool operator==(const VolumeState&) const = default;
};

struct StreamState {
    std::uint32_t id = 0;
    std::uint64_t sent = 0;  ///< bytes that count for its key
    bool tls = false;
    bool retiring = false;

    bool operator==(const StreamState&) const = default;
};

/// The state of a resync or verify of all volumes of a node.
struct SyncProgress {
    std::uint32_t state = 0;  ///< netlink::enums::sync_state
    std::uint64_t total = 0;  ///< bytes
    std::uint64_t left = 0;
    std::uint64_t same = 0;  ///< needed no copy
    std::uint64_t rate = 0;  ///< bytes per second
    std::optional<std::uint64_t> seconds_left{};
    std::uint64_t differing = 0;  ///< bytes that the last verify found
    std::string waits_for;

    bool operator==(const SyncProgress&) const = default;
};

/// A replica of a volume.
struct ReplicaState {
    std::uint32_t volume = 0;
    bool attached = false;
    std::uint64_t size = 0;   ///< bytes
    std::uint64_t dirty = 0;  ///< bytes that it lacks

    bool operator==(const ReplicaState&) const = default;
};

/// Bytes of a peer's replica that a verify found to differ from this node's.
struct DifferingRange {
    std::string resource;
    std::uint32_t node = 0;
    std::uint32_t volume = 0;
    std::uint64_t start = 0;
    std::uint64_t stop = 0;  ///< exclusive

    bool operator==(const DifferingRange&) const = default;
};

/// A peer as this node's kernel sees it; or this node itself, of which only `sync` and `replicas`
/// are told, after a resync of its own replicas.
struct PeerState {
    std::string resource;
    std::uint32_t node = 0;
    std::uint32_t link = 0;          ///< netlink::enums::link_state
    std::uint64_t session = 0;       ///< of the last connection; 0 before the first
    std::uint32_t stream_count = 0;  ///< that are up
    std::vector<StreamState> streams{};
    /// What it announced last; 0 before that.
    std::uint64_t epoch = 0;
    std::uint64_t config_id = 0;
    std::uint64_t instance = 0;
    std::uint64_t last_epoch = 0;
    bool suspect = false;
    bool done = false;
    std::uint32_t lease_ms = 0;  ///< how long the lease that it granted still holds
    SyncProgress sync{};
    std::vector<ReplicaState> replicas{};

    bool operator==(const PeerState&) const = default;
};

/// What the module says of one resource.
struct ResourceView {
    ResourceState resource{};
    std::vector<VolumeState> volumes{};
    std::vector<PeerState> peers{};

    bool operator==(const ResourceView&) const = default;
};

/// An event. What it is not about is empty.
struct KernelEvent {
    std::uint64_t sequence = 0;  ///< a gap means that some were lost
    std::uint32_t kind = 0;      ///< netlink::enums::event_kind
    std::string resource;
    std::optional<std::uint32_t> volume{};
    std::optional<std::uint32_t> node{};
    std::string before;  ///< states by name
    std::string after;
    std::string cause;
    std::optional<std::uint64_t> epoch{};
    std::uint64_t offset = 0;
    std::uint64_t length = 0;
    int error = 0;  ///< errno value, > 0, if something failed
    std::optional<std::uint32_t> stream{};

    bool operator==(const KernelEvent&) const = default;
};

/// A reply of resource-get, of volume-get, or an event.
[[nodiscard]] ClientResult<ResourceState> decode_resource(const NetlinkMessage& reply);
[[nodiscard]] ClientResult<VolumeState> decode_volume(const NetlinkMessage& reply);
/// A reply of verify-get.
[[nodiscard]] ClientResult<DifferingRange> decode_range(const NetlinkMessage& reply);
[[nodiscard]] ClientResult<KernelEvent> decode_event(const NetlinkMessage& message);

/// The replies of peer-get: one for each peer, and one for each of its volumes.
[[nodiscard]] ClientResult<std::vector<PeerState>> decode_peers(
    const std::vector<NetlinkMessage>& replies);

}  // namespace braid::sys
