// SPDX-License-Identifier: GPL-2.0-or-later
#include "config/model.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <utility>

namespace braid::config {

std::string to_string(const Address& address) {
    return address.v6 ? fmt::format("ipv6 [{}]:{}", address.ip, address.port)
                      : fmt::format("ipv4 {}:{}", address.ip, address.port);
}

namespace {

bool joins(const Connection& connection, std::uint32_t a, std::uint32_t b) {
    return std::ranges::binary_search(connection.hosts, a) &&
           std::ranges::binary_search(connection.hosts, b);
}

Peer peer_of(const Resource& resource, std::uint32_t self, std::uint32_t other) {
    const Host& host = resource.hosts[other];
    Peer peer{host.name, host.node_id,          host.witness,          host.diskful(),
              {},        resource.settings.net, resource.settings.disk};
    for (const Connection& connection : resource.connections) {
        if (!joins(connection, self, other)) {
            continue;
        }
        peer.net = connection.net;
        peer.disk = connection.disk;
        for (Path path : connection.paths) {
            if (self > other) {
                std::swap(path.first, path.second);
            }
            peer.paths.push_back(std::move(path));
        }
    }
    if (peer.paths.empty()) {
        peer.paths.push_back({resource.hosts[self].address, host.address});
    }
    return peer;
}

}  // namespace

std::optional<NodeResource> on_host(const Resource& resource, std::string_view host) {
    const auto found = std::ranges::find(resource.hosts, host, &Host::name);
    if (found == resource.hosts.end()) {
        return std::nullopt;
    }
    const auto self = static_cast<std::uint32_t>(found - resource.hosts.begin());
    NodeResource node{resource.name,     found->node_id, found->witness,
                      resource.settings, found->volumes, {}};
    for (std::uint32_t other = 0; other < resource.hosts.size(); other++) {
        if (other != self) {
            node.peers.push_back(peer_of(resource, self, other));
        }
    }
    return node;
}

namespace {

/// In the order of PoolKind.
constexpr std::array pool_kinds{std::string_view("lvmthin"), std::string_view("lvm"),
                                std::string_view("zfsthin"), std::string_view("zfs")};

}  // namespace

std::string_view name_of(PoolKind kind) {
    return pool_kinds.at(static_cast<std::size_t>(kind));
}

std::optional<PoolKind> pool_kind(std::string_view name) {
    const auto found = std::ranges::find(pool_kinds, name);
    if (found == pool_kinds.end()) {
        return std::nullopt;
    }
    return static_cast<PoolKind>(found - pool_kinds.begin());
}

std::string Pool::place() const {
    return kind == PoolKind::lvmthin ? fmt::format("{}/{}", group, thin) : group;
}

std::string Pool::device(const std::string& volume) const {
    return fmt::format("{}/{}/{}", zfs() ? "/dev/zvol" : "/dev", group, volume);
}

std::string pool_volume(const std::string& resource, std::uint32_t volume) {
    return fmt::format("{}_{:05}", resource, volume);
}

}  // namespace braid::config
