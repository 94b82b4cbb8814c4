// SPDX-License-Identifier: GPL-2.0-or-later
//
// Between a node's resources and their virtual machines.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>

#include "satellite/node.h"

namespace braid::satellite {

namespace {

using membership::NodeId;
using nlohmann::json;

constexpr std::array order_names{"define",  "start",  "stop",    "kill",
                                 "migrate", "cancel", "undefine"};
static_assert(order_names.size() == static_cast<std::size_t>(machine::Order::undefine) + 1);

std::string text_in(const json& request, const char* name) {
    const auto found = request.find(name);
    return found != request.end() && found->is_string() ? found->get<std::string>() : "";
}

}  // namespace

Machines::Environment Node::machine_environment() {
    return {
        .loop = env_.loop,
        .now_ms = [this] { return env_.moment().now_ms; },
        .journal = [this](bool warning, const std::string& resource,
                          const std::string& text) { env_.journal(warning, {resource}, text); },
        .command =
            [this](const std::string& resource, const membership::Command& command,
                   Machines::Answered done) { member_command(resource, command, std::move(done)); },
        .look =
            [this](const std::string& resource) {
                if (const auto found = running_.find(resource); found != running_.end()) {
                    found->second.resource->look_anew();
                }
            },
        .view = [this](const std::string& resource) { return machine_view_of(resource); },
        .ask_token =
            [this](const std::string& resource, std::uint64_t grant) {
                if (const auto found = running_.find(resource); found != running_.end()) {
                    found->second.resource->ask_token(grant);
                }
            },
        .tell = [this](const std::string& resource, NodeId to,
                       const std::string& text) { send_machine(resource, to, text); },
        .gave_up = [this](const std::string& resource) { env_.machine_lost(resource); }};
}

machine::View Node::machine_view_of(const std::string& resource) const {
    const auto found = running_.find(resource);
    if (found == running_.end()) {
        return {.drained = drained_};
    }
    const Running& running = found->second;
    return machine_view(running.resource->member(), running.seen,
                        env_.moment().now_ms - running.seen_ms, drained_, running.up);
}

/// Once for all that came together, and from the loop: the members are at work.
void Node::look_at_machines() {
    if (machines_due_) {
        return;
    }
    machines_due_ = true;
    machine_timer_.start(std::chrono::milliseconds(0), [this] {
        machines_due_ = false;
        for (const config::NodeResource& each : resources_) {
            machines_.look(each.name);
        }
    });
}

void Node::member_command(const std::string& resource, membership::Command command,
                          Machines::Answered done) {
    const auto running = running_.find(resource);
    if (running == running_.end()) {
        done(false,
             fmt::format("{0} is not up on {1}: 'braidadm up {0}'", resource, settings_.host));
        return;
    }
    command.number = ++next_command_;
    commanded_[command.number] = std::move(done);
    running->second.resource->command(command);
}

void Node::send_machine(const std::string& resource, NodeId to, const std::string& text) {
    const auto* here = configured(resource);
    const auto running = running_.find(resource);
    if (here == nullptr || running == running_.end() || !running->second.up.contains(to)) {
        return;
    }
    const auto peer = std::ranges::find(here->peers, to, &config::Peer::node_id);
    if (peer != here->peers.end()) {
        network_.send(peer->name, encode({.kind = PeerMessage::Kind::machine,
                                          .from = here->node_id,
                                          .to = to,
                                          .resource = resource,
                                          .bytes = {text.begin(), text.end()}}));
    }
}

/// {"verb":"vm","do":"start","resource":"r0"}; of a migration also "node".
void Node::vm(RequestId id, const json& request, const config::NodeResource& resource) {
    const std::string word = text_in(request, "do");
    const auto* order = std::ranges::find(order_names, word);
    if (order == order_names.end()) {
        refuse(id, "usage", fmt::format("'{}': braid-satellite cannot do that to a machine", word));
        return;
    }
    NodeId node = membership::no_node;
    if (const std::string host = text_in(request, "node"); !host.empty()) {
        const auto peer = std::ranges::find(resource.peers, host, &config::Peer::name);
        if (peer == resource.peers.end()) {
            refuse(id, "unknown-node",
                   fmt::format("{}: no such peer in resource {}", host, resource.name));
            return;
        }
        node = peer->node_id;
    }
    machines_.command(resource.name, machine::Order(order - order_names.begin()), node,
                      [this, id](bool ok, const std::string& text) {
                          if (ok) {
                              answer(id, {{"ok", true}, {"text", text}});
                          } else {
                              refuse(id, "vm", text);
                          }
                      });
}

}  // namespace braid::satellite
