// SPDX-License-Identifier: GPL-2.0-or-later
//
// The states that administrators and monitors know (Primary, UpToDate, SyncSource), derived from
// what the module says of a resource. Without I/O; what is derived from what stands at each
// function.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "sys/kernel_state.h"

namespace braid::cli {

using sys::ResourceView;

/// This node's part of a volume.
struct DeviceStatus {
    std::uint32_t volume = 0;
    std::uint32_t minor = 0;
    std::string disk{};
    bool client = false;  ///< without a replica on purpose
    bool open = false;
    std::uint64_t size = 0;  ///< bytes

    bool operator==(const DeviceStatus&) const = default;
};

/// A peer's part of a volume.
struct PeerDeviceStatus {
    std::uint32_t volume = 0;
    std::string replication{};
    std::string disk{};
    bool client = false;
    bool resync_suspended = false;
    /// Bytes that it lacks; nothing where this node has no map of it.
    std::optional<std::uint64_t> out_of_sync{};
    std::optional<double> percent_in_sync{};

    bool operator==(const PeerDeviceStatus&) const = default;
};

struct ConnectionStatus {
    std::uint32_t node = 0;
    std::string name{};
    std::string state{};
    std::string role{};
    bool tls = false;  ///< all of its streams
    /// A resync or verify by this node, of all volumes of the peer together.
    std::optional<sys::SyncProgress> sync{};
    std::vector<PeerDeviceStatus> devices{};
    sys::PeerState kernel{};

    bool operator==(const ConnectionStatus&) const = default;
};

struct ResourceStatus {
    std::string name{};
    std::uint32_t node = 0;
    std::string role{};
    bool suspended = false;  ///< I/O waits
    bool failing = false;    ///< I/O fails
    std::optional<std::string> writer{};
    std::vector<DeviceStatus> devices{};
    std::vector<ConnectionStatus> connections{};
    /// The resync of this node's own replicas, while it is the writer.
    std::optional<sys::SyncProgress> own_sync{};
    sys::ResourceState kernel{};

    bool operator==(const ResourceStatus&) const = default;
};

/// The name of a node of a resource.
using NodeName = std::function<std::string(const std::string& resource, std::uint32_t node)>;

[[nodiscard]] ResourceStatus derive(const ResourceView& view, const NodeName& name_of);

/// What derive() is made of; tested one by one.
[[nodiscard]] std::string_view role(const ResourceView& view);
[[nodiscard]] std::string_view peer_role(const ResourceView& view, const sys::PeerState& peer);
[[nodiscard]] std::string_view disk_state(const ResourceView& view, const sys::VolumeState& volume);
[[nodiscard]] std::string_view peer_disk_state(const ResourceView& view, const sys::PeerState& peer,
                                               std::uint32_t volume);
[[nodiscard]] std::string_view connection_state(const sys::PeerState& peer);
[[nodiscard]] std::string_view replication_state(const ResourceView& view,
                                                 const sys::PeerState& peer);
[[nodiscard]] bool io_waits(const sys::ResourceState& resource);

/// All replicas of the adopted configuration are in sync, and none is being resynced from here.
[[nodiscard]] bool all_in_sync(const ResourceView& view);

/// Per cent, 0 to 100, of what a resync or verify has to do.
[[nodiscard]] double percent_done(const sys::SyncProgress& sync);

}  // namespace braid::cli
