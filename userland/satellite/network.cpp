// SPDX-License-Identifier: GPL-2.0-or-later
#include "satellite/network.h"

#include <fmt/format.h>

#include <algorithm>

namespace braid::satellite {

namespace {

bool same_paths(const PeerSettings& a, const PeerSettings& b) {
    return std::ranges::equal(a.paths, b.paths,
                              [](const Path& x, const Path& y) { return x.text() == y.text(); });
}

}  // namespace

Network::Network(sys::EventLoop& loop, sys::BraidClient& kernel, std::string credentials,
                 std::function<std::uint64_t()> random, Callbacks callbacks)
    : loop_(loop),
      kernel_(kernel),
      random_(std::move(random)),
      callbacks_(std::move(callbacks)),
      credentials_(std::move(credentials),
                   [this](const std::string& text) { callbacks_.log({}, "certificate: " + text); }),
      listener_(loop, {[this] { return credentials_.current(); },
                       [this](const sys::CertificateInfo& peer) { return check(peer); },
                       [this](const std::shared_ptr<Connection>& connection, const Hello& hello) {
                           accepted(connection, hello);
                       },
                       [this](const Refusal& refusal) {
                           callbacks_.log(
                               {.peer = refusal.node},
                               fmt::format("refused, {}: {}", refusal.address, refusal.why));
                       }}) {}

double Network::fraction() const {
    return static_cast<double>(random_() >> 11) / static_cast<double>(std::uint64_t{1} << 53);
}

std::string Network::check(const sys::CertificateInfo& peer) const {
    return peers_.contains(peer.node)
               ? ""
               : fmt::format("{} is not a node that {} is configured to talk to", peer.node, name_);
}

void Network::accepted(const std::shared_ptr<Connection>& connection, const Hello& hello) {
    if (const std::string why = route(connection, hello); !why.empty()) {
        refuse(connection, why);
    }
}

/// Gives it to whom it is for; or says why there is nobody.
std::string Network::route(const std::shared_ptr<Connection>& connection, const Hello& hello) {
    const auto peer = peers_.find(connection->peer().node);
    if (peer == peers_.end()) {
        return "it is no peer any more";
    }
    if (!hello.stream) {
        if (peer->second->connects()) {
            return "the other node connects";
        }
        peer->second->offered(connection);
        return {};
    }
    for (const auto& [key, link] : links_) {
        if (key.first == hello.stream->resource && link->settings().peer == peer->first) {
            return link->offered(connection, *hello.stream);
        }
    }
    return fmt::format("resource {} is not up with {} here", hello.stream->resource, peer->first);
}

void Network::refuse(const std::shared_ptr<Connection>& connection, const std::string& why) {
    listener_.note(*connection, why);
    connection->send(encode(Answer{why}));
    // Lives by its own callbacks until that has been sent, at the longest for its deadline.
    auto self = std::make_shared<std::shared_ptr<Connection>>(connection);
    const auto end = [this, self] { loop_.dispose(std::exchange(*self, nullptr)); };
    connection->hand_to({[] {}, [](const std::string&) {},
                         [self, end] {
                             (*self)->close();
                             end();
                         },
                         [end](const std::string&) { end(); }});
}

std::unique_ptr<Control> Network::make_control(const PeerSettings& peer) {
    return std::make_unique<Control>(
        loop_, credentials_, name_, peer, [this] { return fraction(); },
        Control::Callbacks{[this, name = peer.name] {
                               callbacks_.log({.peer = name}, "connected");
                               callbacks_.up(name);
                           },
                           [this, name = peer.name](const std::string& why) {
                               callbacks_.log({.peer = name}, "disconnected: " + why);
                               callbacks_.down(name, why);
                           },
                           [this, name = peer.name](const std::string& message) {
                               callbacks_.message(name, message);
                           },
                           [this, name = peer.name](const std::string& why) {
                               callbacks_.log({.peer = name}, why);
                           }});
}

std::unique_ptr<Link> Network::make_link(Control& control, const LinkSettings& settings) {
    return std::make_unique<Link>(
        Link::Environment{loop_, kernel_, credentials_,
                          [this] {
                              const std::uint64_t session = random_();
                              return session == 0 ? 1 : session;
                          },
                          [this] { return fraction(); },
                          [this, about = Subject{settings.resource, settings.peer}](
                              const std::string& text) { callbacks_.log(about, text); }},
        control, settings);
}

sys::Result<void> Network::apply(const NetworkSettings& settings) {
    for (const LinkSettings& link : settings.links) {
        if (std::ranges::find(settings.peers, link.peer, &PeerSettings::name) ==
            settings.peers.end()) {
            return tl::unexpected(sys::Error{
                EINVAL, fmt::format("resource {}: node {} is no peer", link.resource, link.peer)});
        }
    }
    if (name_ != settings.name) {
        links_.clear();
        peers_.clear();
        name_ = settings.name;
    }
    apply_peers(settings);
    apply_links(settings);
    std::vector<sys::Address> expected;
    for (const PeerSettings& peer : settings.peers) {
        for (const Path& path : peer.paths) {
            expected.push_back(path.remote);
        }
    }
    listener_.expect(expected);
    return listener_.listen(settings.listen);
}

void Network::apply_peers(const NetworkSettings& settings) {
    std::map<std::string, std::unique_ptr<Control>> kept;
    for (const PeerSettings& peer : settings.peers) {
        const auto old = peers_.find(peer.name);
        if (old != peers_.end() && same_paths(old->second->peer(), peer)) {
            kept[peer.name] = std::move(old->second);
        }
    }
    // Links go before the control connections that they refer to.
    std::erase_if(links_,
                  [&](const auto& link) { return !kept.contains(link.second->settings().peer); });
    peers_ = std::move(kept);
    for (const PeerSettings& peer : settings.peers) {
        if (!peers_.contains(peer.name) && peer.name != name_ && !peer.paths.empty()) {
            peers_[peer.name] = make_control(peer);
        }
    }
}

void Network::apply_links(const NetworkSettings& settings) {
    std::map<LinkKey, std::unique_ptr<Link>> kept;
    for (const LinkSettings& link : settings.links) {
        const LinkKey key{link.resource, link.node};
        auto old = links_.extract(key);
        if (old && old.mapped()->settings() == link) {
            kept[key] = std::move(old.mapped());
        } else if (peers_.contains(link.peer)) {
            old = {};
            kept[key] = make_link(*peers_.at(link.peer), link);
        }
    }
    links_ = std::move(kept);
}

bool Network::send(const std::string& peer, const std::string& message) {
    const auto found = peers_.find(peer);
    return found != peers_.end() && found->second->send(message);
}

void Network::link_changed(const std::string& resource, std::uint32_t node) {
    if (const auto found = links_.find({resource, node}); found != links_.end()) {
        found->second->refresh();
    }
}

void Network::key_used(const std::string& resource, std::uint32_t node, std::uint32_t stream) {
    if (const auto found = links_.find({resource, node}); found != links_.end()) {
        found->second->key_used(stream);
    }
}

void Network::network_changed() {
    for (const auto& [name, peer] : peers_) {
        peer->network_changed();
    }
    for (const auto& [key, link] : links_) {
        link->network_changed();
    }
}

const Control* Network::control(const std::string& peer) const {
    const auto found = peers_.find(peer);
    return found == peers_.end() ? nullptr : found->second.get();
}

const Link* Network::link(const std::string& resource, std::uint32_t node) const {
    const auto found = links_.find({resource, node});
    return found == links_.end() ? nullptr : found->second.get();
}

}  // namespace braid::satellite
