// SPDX-License-Identifier: GPL-2.0-or-later
#include "satellite/settings.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

namespace braid::satellite {

namespace {

using membership::Role;

/// A member that has not adopted a configuration by then counts as lost; a lease may have to run
/// out before it can.
constexpr std::int64_t adopt_after_leases = 2;
constexpr std::int64_t adopt_margin_ms = 2000;

sys::Result<sys::Address> address_of(const config::Address& address) {
    return sys::Address::parse(address.ip, address.port);
}

/// Paths of several resources to one peer: each once, in the order of the files.
sys::Result<void> add_path(PeerSettings& peer, const config::Path& path) {
    auto local = address_of(path.first);
    auto remote = address_of(path.second);
    if (!local || !remote) {
        return tl::unexpected(local ? remote.error() : local.error());
    }
    const Path made{*local, *remote};
    if (std::ranges::find(peer.paths, made.text(), &Path::text) == peer.paths.end()) {
        peer.paths.push_back(made);
    }
    return {};
}

LinkSettings link_of(const config::NodeResource& resource, const config::Peer& peer) {
    return {.resource = resource.name,
            .peer = peer.name,
            .node = peer.node_id,
            .streams = peer.net.streams,
            .transport = peer.net.tls ? Transport::ktls : Transport::plain,
            .checksums = peer.net.checksums(),
            .key_limit = std::nullopt};
}

ResyncSettings resync_of(const config::DiskOptions& disk) {
    return {disk.resync_compare, disk.c_max_rate};
}

}  // namespace

Role role_of(const config::NodeResource& resource) {
    const bool diskful = !resource.volumes.empty() && !resource.volumes.front().disk.empty();
    return resource.witness ? Role::witness : diskful ? Role::diskful : Role::diskless;
}

Role role_of(const config::Peer& peer) {
    return peer.witness ? Role::witness : peer.diskful ? Role::diskful : Role::diskless;
}

ResourceSettings resource_settings(const std::string& host, const config::NodeResource& resource,
                                   const std::string& state) {
    const config::ResourceOptions& options = resource.settings.options;
    ResourceSettings settings{.name = resource.name,
                              .node = resource.node_id,
                              .role = role_of(resource),
                              .vote_file = fmt::format("{}/{}.vote", state, resource.name)};
    if (!resource.volumes.empty()) {
        settings.vote_volume = resource.volumes.front().number;
    }
    settings.options.lease_ms = options.lease.count();
    settings.options.adopt_ms = std::max(
        settings.options.adopt_ms, adopt_after_leases * options.lease.count() + adopt_margin_ms);
    settings.options.promote_after_ms = options.promote_after.count();
    settings.options.auto_promote = options.auto_promote;
    settings.options.quorum_off = options.quorum == config::Quorum::off;
    settings.options.names[resource.node_id] = host;
    settings.resyncs[resource.node_id] = resync_of(resource.settings.disk);
    for (const config::Peer& peer : resource.peers) {
        settings.options.names[peer.node_id] = peer.name;
        settings.resyncs[peer.node_id] = resync_of(peer.disk);
    }
    return settings;
}

sys::Result<NetworkSettings> network_settings(
    const std::string& host, const std::vector<config::NodeResource>& resources,
    const std::function<bool(const config::NodeResource&, const config::Peer&)>& linked) {
    NetworkSettings settings;
    settings.name = host;
    std::set<std::string> listening;
    for (const config::NodeResource& resource : resources) {
        for (const config::Peer& peer : resource.peers) {
            auto found = std::ranges::find(settings.peers, peer.name, &PeerSettings::name);
            if (found == settings.peers.end()) {
                found = settings.peers.insert(found, PeerSettings{peer.name, {}});
            }
            for (const config::Path& path : peer.paths) {
                if (const auto added = add_path(*found, path); !added) {
                    return tl::unexpected(added.error());
                }
                const auto own = address_of(path.first);
                if (own && listening.insert(own->text()).second) {
                    settings.listen.push_back(*own);
                }
            }
            if (linked(resource, peer)) {
                settings.links.push_back(link_of(resource, peer));
            }
        }
    }
    return settings;
}

std::vector<membership::Seat> seats_of(const config::NodeResource& resource) {
    std::vector<membership::Seat> seats{{.node = resource.node_id, .role = role_of(resource)}};
    for (const config::Peer& peer : resource.peers) {
        seats.push_back({.node = peer.node_id, .role = role_of(peer)});
    }
    return seats;
}

}  // namespace braid::satellite
