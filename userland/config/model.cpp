// SPDX-License-Identifier: GPL-2.0-or-later
#include "config/model.h"

#include <fmt/format.h>

#include <algorithm>
#include <sstream>
#include <utility>

namespace braid::config {

std::string to_string(const Address& address) {
    return address.v6 ? fmt::format("ipv6 [{}]:{}", address.ip, address.port)
                      : fmt::format("ipv4 {}:{}", address.ip, address.port);
}

std::vector<std::string> words_of(std::string_view list) {
    std::istringstream stream{std::string(list)};
    std::vector<std::string> words;
    for (std::string word; stream >> word;) {
        words.push_back(word);
    }
    return words;
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

}  // namespace braid::config
