// SPDX-License-Identifier: GPL-2.0-or-later
#include "satellite/node.h"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <sstream>

#include "membership/explain.h"
#include "satellite/settings.h"
#include "sys/file_content.h"
#include "sys/netlink_gen.h"

namespace braid::satellite {

namespace {

namespace event_kind = netlink::enums::event_kind;
using membership::NodeId;
using std::chrono::milliseconds;

/// What could not be had of the kernel or the network is asked for again after this.
constexpr milliseconds settle_again{1000};
/// Alarms are for people and scripts: what is over as soon is none.
constexpr milliseconds alarm_delay{100};
/// Resources of one peer, so that a peer gone mad cannot fill the memory.
constexpr std::size_t here_max = 16384;
/// Of a stream: it wants to be replaced.
constexpr std::string_view key_use = "key-use";

constexpr mode_t state_mode = 0600;

std::string standalone_file(const std::string& state) {
    return state + "/standalone";
}

std::string drained_file(const std::string& state) {
    return state + "/drained";
}

const config::Peer* find_peer(const config::NodeResource& resource, const std::string& name) {
    const auto found = std::ranges::find(resource.peers, name, &config::Peer::name);
    return found == resource.peers.end() ? nullptr : &*found;
}

}  // namespace

Node::Node(Environment environment, NodeSettings settings)
    : env_(std::move(environment)),
      settings_(std::move(settings)),
      settle_(env_.loop),
      alarms_(env_.loop),
      machine_timer_(env_.loop),
      machines_(machine_environment(),
                {settings_.host, settings_.state, settings_.vmd, settings_.vmd_socket}),
      network_(
          env_.loop, env_.kernel, settings_.credentials, env_.random,
          {[this](const std::string& peer) { peer_up(peer); },
           [this](const std::string& peer, const std::string&) { peer_down(peer); },
           [this](const std::string& peer, const std::string& text) { peer_message(peer, text); },
           [this](const Subject& about, const std::string& text) {
               env_.journal(false, about, text);
           }}) {
    load_standalone();
    load_drained();
}

// ---- draining ----

/// A host may be restarted while it is drained, and is still drained then.
void Node::load_drained() {
    const auto content = sys::read_file(drained_file(settings_.state));
    drained_ = content && !content->empty();
    if (!content && content.error().number != ENOENT) {
        env_.journal(true, {}, content.error().message);
    }
}

/// Those that are Primary stay it until they are demoted.
void Node::drain(RequestId id, bool on) {
    const auto written = sys::write_file(drained_file(settings_.state), on ? "drained\n" : "",
                                         state_mode, sys::Existing::replace);
    if (!written) {
        refuse(id, "state", written.error().message);
        return;
    }
    if (drained_ != on) {
        env_.journal(false, {},
                     on ? "drained by an administrator: it becomes nobody's Primary"
                        : "not drained any more");
    }
    drained_ = on;
    for (const auto& [name, running] : running_) {
        running.resource->drain(on);
    }
    look_at_machines();
    accept(id);
}

// ---- connections that an administrator ended ----

/// Lines of a resource and a peer. A daemon that starts anew must not connect what is to be apart.
void Node::load_standalone() {
    const auto content = sys::read_file(standalone_file(settings_.state));
    if (!content) {
        if (content.error().number != ENOENT) {
            env_.journal(true, {}, content.error().message);
        }
        return;
    }
    std::istringstream lines(*content);
    for (Pair pair; lines >> pair.first >> pair.second;) {
        standalone_.insert(pair);
    }
}

void Node::store_standalone() {
    std::string lines;
    for (const auto& [resource, peer] : standalone_) {
        lines += fmt::format("{} {}\n", resource, peer);
    }
    const auto written = sys::write_file(standalone_file(settings_.state), lines, state_mode,
                                         sys::Existing::replace);
    if (!written) {
        env_.journal(true, {}, written.error().message);
    }
}

/// What was taken down, also by a reboot, connects when it is up again.
void Node::forget_standalone() {
    const auto forgotten = std::erase_if(
        standalone_, [this](const Pair& pair) { return !present_.contains(pair.first); });
    if (forgotten != 0) {
        store_standalone();
    }
}

// ---- what runs ----

sys::Result<void> Node::load() {
    auto loaded = env_.load();
    if (!loaded) {
        return tl::unexpected(loaded.error());
    }
    resources_.clear();
    for (const config::Resource& resource : loaded->resources) {
        if (auto here = config::on_host(resource, settings_.host)) {
            resources_.push_back(std::move(*here));
        }
    }
    env_.configured(resources_);
    machines_.configure(resources_);
    settle_soon();
    return {};
}

const config::NodeResource* Node::configured(const std::string& resource) const {
    const auto found = std::ranges::find(resources_, resource, &config::NodeResource::name);
    return found == resources_.end() ? nullptr : &*found;
}

void Node::kernel_event(const sys::KernelEvent& event) {
    const auto running = running_.find(event.resource);
    if (event.kind == event_kind::resource) {
        gone_.insert(event.resource);
    }
    if (event.kind == event_kind::resource || running == running_.end()) {
        settle_soon();
    }
    if (event.kind == event_kind::link && event.node) {
        network_.link_changed(event.resource, *event.node);
    } else if (event.kind == event_kind::stream && event.node && event.stream &&
               event.after == key_use) {
        network_.key_used(event.resource, *event.node, *event.stream);
    }
    if (running != running_.end()) {
        running->second.resource->kernel_event(event);
    }
}

void Node::kernel_changed() {
    settle_soon();
    for (const auto& [name, running] : running_) {
        running.resource->events_lost();
    }
    for (const config::NodeResource& resource : resources_) {
        for (const config::Peer& peer : resource.peers) {
            network_.link_changed(resource.name, peer.node_id);
        }
    }
}

/// From the loop, because resources and connections must not end in their own callbacks.
void Node::settle_soon() {
    if (!settling_) {
        settling_ = true;
        settle_.start(milliseconds(0), [this] { settle(); });
    }
}

bool Node::look_at_kernel() {
    const auto found = env_.kernel.resources();
    if (!found && found.error().kind != sys::NetlinkError::Kind::no_family) {
        return false;
    }
    present_.clear();
    if (found) {
        for (const sys::ResourceState& each : *found) {
            present_.insert(each.name);
        }
    }
    return true;
}

/// Brings what runs in line with the configuration and with what the kernel has.
void Node::settle() {
    settling_ = false;
    const bool looked = look_at_kernel();
    std::map<std::string, ResourceSettings> wanted;
    for (const config::NodeResource& each : resources_) {
        if (each.witness || present_.contains(each.name)) {
            wanted.emplace(each.name, resource_settings(settings_.host, each, settings_.state));
        }
    }
    std::vector<std::pair<std::string, std::string>> ended;
    for (const auto& [name, running] : running_) {
        const auto should = wanted.find(name);
        if (should == wanted.end()) {
            ended.emplace_back(name, "it is not up on this node any more");
        } else if (gone_.contains(name)) {
            ended.emplace_back(name, "it, or its disk, was away and is back");
        } else if (should->second != running.settings) {
            ended.emplace_back(name, "its configuration changed");
        }
    }
    gone_.clear();
    if (looked) {
        forget_standalone();
    }
    for (const auto& [name, why] : ended) {
        end(name, why);
    }
    for (const config::NodeResource& each : resources_) {
        const auto should = wanted.find(each.name);
        if (should != wanted.end() && !running_.contains(each.name)) {
            start(each, should->second);
        }
    }
    apply_network();
    if (!looked) {
        settling_ = true;
        settle_.start(settle_again, [this] { settle(); });
    }
}

void Node::apply_network() {
    const auto linked = [this](const config::NodeResource& resource, const config::Peer& peer) {
        return !resource.witness && !peer.witness && present_.contains(resource.name) &&
               !standalone_.contains({resource.name, peer.name});
    };
    const auto settings = network_settings(settings_.host, resources_, linked);
    const auto applied = settings ? network_.apply(*settings) : tl::unexpected(settings.error());
    if (applied) {
        said_.erase("network");
        return;
    }
    if (said_["network"] != applied.error().message) {
        said_["network"] = applied.error().message;
        env_.journal(true, {}, "network: " + applied.error().message);
    }
    settling_ = true;
    settle_.start(settle_again, [this] { settle(); });
}

void Node::start(const config::NodeResource& resource, const ResourceSettings& settings) {
    const std::string& name = resource.name;
    Running& running = running_[name];
    running.configured = resource;
    running.settings = settings;
    running.resource = std::make_unique<Resource>(
        Resource::Environment{
            .loop = env_.loop,
            .kernel = env_.kernel,
            .moment = env_.moment,
            .send = [this, name](NodeId to,
                                 const membership::Bytes& bytes) { send(name, to, bytes); },
            .reply = [this](const membership::Reply& each) { reply(each); },
            .journal = [this, name](
                           bool warning,
                           const std::string& text) { env_.journal(warning, {name}, text); },
            .fence =
                [this, name](NodeId node, std::function<void(bool)> done) {
                    env_.fence(name, node, std::move(done));
                },
            .disk_is_back =
                [this, name] {
                    gone_.insert(name);
                    settle_soon();
                },
            .changed =
                [this] {
                    look_for_alarms();
                    look_at_machines();
                },
            .seen =
                [this, name](const sys::ResourceView& replies) {
                    env_.seen(replies);
                    Running& each = running_.at(name);
                    each.seen = replies;
                    each.seen_ms = env_.moment().now_ms;
                    look_at_machines();
                },
        },
        settings);
    running.resource->drain(drained_);
    for (const config::Peer& peer : resource.peers) {
        tell(peer.name, resource, PeerMessage::Kind::here);
        meet(peer.name, name);
    }
}

void Node::end(const std::string& name, const std::string& why) {
    // By the numbers that it began with; also to peers whose own has not said anything.
    const config::NodeResource was = running_.at(name).configured;
    running_.erase(name);
    look_at_machines();
    for (const config::Peer& peer : was.peers) {
        machines_.peer_lost(name, peer.node_id);
        tell(peer.name, was, PeerMessage::Kind::gone);
    }
    for (auto each = waiting_.begin(); each != waiting_.end();) {
        const Waiting waiting = each->second;
        if (waiting.resource != name) {
            ++each;
            continue;
        }
        each = waiting_.erase(each);
        refuse(waiting.request, "ended", fmt::format("{}: {}", name, why));
    }
}

// ---- alarms ----

void Node::look_for_alarms() {
    if (looking_) {
        return;
    }
    looking_ = true;
    alarms_.start(alarm_delay, [this] {
        looking_ = false;
        for (auto& [name, running] : running_) {
            alarms(name, running);
        }
    });
}

void Node::alarms(const std::string& name, Running& running) {
    const membership::Member* member = running.resource->member();
    if (member == nullptr) {
        return;
    }
    const membership::Explanation now = member->explain();
    const bool held = now.held == membership::Cause::no_quorum;
    if (held && !running.held) {
        env_.quorum_lost(name);
    }
    running.held = held;
    std::set<NodeId> forks;
    for (const membership::ForkView& fork : now.forks) {
        forks.insert(fork.node);
        if (!running.forks.contains(fork.node)) {
            env_.forked(name, fork.node);
        }
    }
    running.forks = std::move(forks);
}

// ---- peers ----

void Node::tell(const std::string& peer, const config::NodeResource& resource,
                PeerMessage::Kind kind) {
    if (const config::Peer* to = find_peer(resource, peer)) {
        network_.send(peer, encode({.kind = kind,
                                    .from = resource.node_id,
                                    .to = to->node_id,
                                    .resource = resource.name}));
    }
}

void Node::send(const std::string& resource, NodeId to, const membership::Bytes& bytes) {
    const auto* here = configured(resource);
    if (here == nullptr) {
        return;
    }
    const auto peer = std::ranges::find(here->peers, to, &config::Peer::node_id);
    if (peer != here->peers.end()) {
        network_.send(peer->name, encode({.kind = PeerMessage::Kind::said,
                                          .from = here->node_id,
                                          .to = to,
                                          .resource = resource,
                                          .bytes = bytes}));
    }
}

void Node::peer_up(const std::string& peer) {
    for (const auto& [name, running] : running_) {
        if (const auto* resource = configured(name)) {
            tell(peer, *resource, PeerMessage::Kind::here);
        }
    }
}

void Node::peer_down(const std::string& peer) {
    std::vector<std::string> gone;
    for (const auto& [pair, ids] : here_) {
        if (pair.first == peer) {
            gone.push_back(pair.second);
        }
    }
    for (const std::string& resource : gone) {
        part(peer, resource);
        here_.erase({peer, resource});
    }
}

void Node::peer_message(const std::string& peer, const std::string& text) {
    const auto message = decode_peer_message(text);
    if (!message) {
        env_.journal(true, {.peer = peer},
                     "said something that makes no sense; is it a newer version?");
        return;
    }
    const Pair pair{peer, message->resource};
    switch (message->kind) {
        case PeerMessage::Kind::here:
            here(peer, *message);
            return;
        case PeerMessage::Kind::gone:
            part(peer, message->resource);
            here_.erase(pair);
            return;
        case PeerMessage::Kind::said:
        case PeerMessage::Kind::machine:
            break;
    }
    const auto running = running_.find(message->resource);
    const auto ids = here_.find(pair);
    if (running != running_.end() && ids != here_.end() &&
        ids->second == Ids{message->from, message->to} &&
        running->second.up.contains(message->from)) {
        if (message->kind == PeerMessage::Kind::machine) {
            machines_.peer_said(message->resource, message->from,
                                std::string(message->bytes.begin(), message->bytes.end()));
            return;
        }
        running->second.resource->peer_said(message->from, message->bytes);
    }
}

/// Its member has begun, perhaps anew: what was told to the one before is not known to it.
void Node::here(const std::string& peer, const PeerMessage& message) {
    part(peer, message.resource);
    const auto of_peer =
        std::ranges::count_if(here_, [&](const auto& each) { return each.first.first == peer; });
    if (static_cast<std::size_t>(of_peer) >= here_max) {
        return;
    }
    here_[{peer, message.resource}] = {message.from, message.to};
    meet(peer, message.resource);
}

/// Tells the member of a peer's, if both run and call one another by the same numbers.
void Node::meet(const std::string& peer, const std::string& resource) {
    const auto ids = here_.find({peer, resource});
    const auto running = running_.find(resource);
    const auto* here = configured(resource);
    if (ids == here_.end() || running == running_.end() || here == nullptr) {
        return;
    }
    const config::Peer* known = find_peer(*here, peer);
    if (known == nullptr) {
        return;
    }
    if (ids->second != Ids{known->node_id, here->node_id}) {
        env_.journal(
            true, {resource, peer},
            fmt::format("{} says that it is node {} and this one node {}, but the "
                        "configuration here says {} and {}: correct one of them",
                        peer, ids->second.from, ids->second.to, known->node_id, here->node_id));
        return;
    }
    running->second.up.insert(known->node_id);
    running->second.resource->peer_up(known->node_id);
    machines_.peer_found(resource, known->node_id);
    look_at_machines();
}

void Node::part(const std::string& peer, const std::string& resource) {
    const auto ids = here_.find({peer, resource});
    const auto running = running_.find(resource);
    if (ids != here_.end() && running != running_.end() &&
        running->second.up.erase(ids->second.from) != 0) {
        running->second.resource->peer_down(ids->second.from);
        machines_.peer_lost(resource, ids->second.from);
        look_at_machines();
    }
}

}  // namespace braid::satellite
