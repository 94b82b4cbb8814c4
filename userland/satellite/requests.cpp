// SPDX-License-Identifier: GPL-2.0-or-later
//
// What braidadm asks of a node's daemon, and what it is told.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <nlohmann/json.hpp>
#include <optional>

#include "membership/explain.h"
#include "satellite/node.h"
#include "satellite/settings.h"
#include "sys/netlink_gen.h"

namespace braid::satellite {

namespace {

using membership::Cause;
using membership::Command;
using membership::NodeId;
using membership::Role;
using membership::Verb;
using nlohmann::json;

constexpr std::array cause_names{
    "none",
    "not-member",
    "no-register",
    "no-quorum",
    "writer-elsewhere",
    "no-replica",
    "not-in-sync",
    "only-suspect",
    "waits-for-members",
    "forked",
    "not-writer",
    "last-in-sync",
    "is-writer",
    "busy",
    "unknown-node",
    "device-open",
    "kernel",
    "no-fork",
    "fencing",
    "suspended",
    "drained",
};

constexpr std::array role_names{"diskful", "diskless", "witness"};
constexpr std::array relation_names{"same", "behind", "ahead", "forked", "unrelated"};
static_assert(cause_names.size() == membership::causes);
static_assert(role_names.size() == static_cast<std::size_t>(Role::witness) + 1);
static_assert(relation_names.size() ==
              static_cast<std::size_t>(membership::Relation::unrelated) + 1);

template <class Names, class Value>
std::string name_in(const Names& names, Value value) {
    const auto i = static_cast<std::size_t>(value);
    return i < names.size() ? names[i] : fmt::format("{}", i);
}

struct VerbName {
    std::string_view name;
    Verb verb;
    bool takes_node;
};

constexpr std::array verb_names{
    VerbName{"initialise", Verb::initialise, false},
    VerbName{"promote", Verb::promote, false},
    VerbName{"demote", Verb::demote, false},
    VerbName{"migrate", Verb::migrate, true},
    VerbName{"end-migrate", Verb::end_migrate, false},
    VerbName{"add", Verb::add, true},
    VerbName{"remove", Verb::remove, true},
    VerbName{"replace", Verb::replace, true},
    VerbName{"resolve", Verb::resolve, true},
};

std::string host_of(const config::NodeResource& resource, const std::string& self, NodeId node) {
    if (node == resource.node_id) {
        return self;
    }
    const auto peer = std::ranges::find(resource.peers, node, &config::Peer::node_id);
    return peer == resource.peers.end() ? fmt::format("node {}", node) : peer->name;
}

/// A name of the configuration, or the number of a member that is not in it any more.
std::optional<NodeId> node_of(const config::NodeResource& resource, const std::string& self,
                              const std::string& word) {
    if (word == self) {
        return resource.node_id;
    }
    const auto peer = std::ranges::find(resource.peers, word, &config::Peer::name);
    if (peer != resource.peers.end()) {
        return peer->node_id;
    }
    NodeId node = 0;
    const auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), node);
    const bool number = error == std::errc() && end == word.data() + word.size();
    return number && node <= membership::node_max ? std::optional(node) : std::nullopt;
}

std::vector<std::string> hosts_of(const config::NodeResource& resource, const std::string& self,
                                  const std::vector<NodeId>& nodes) {
    std::vector<std::string> names;
    names.reserve(nodes.size());
    for (const NodeId node : nodes) {
        names.push_back(node == membership::no_node ? "?" : host_of(resource, self, node));
    }
    return names;
}

json cause_json(Cause cause, const std::vector<std::string>& nodes) {
    const std::string which =
        nodes.empty() ? "another node" : fmt::format("{}", fmt::join(nodes, ", "));
    return {{"cause", name_in(cause_names, cause)},
            {"nodes", nodes},
            {"text", membership::remedy(cause, which)}};
}

template <class T>
T value_or(const json& object, const char* name, T otherwise) {
    const auto found = object.find(name);
    if constexpr (std::is_same_v<T, bool>) {
        return found != object.end() && found->is_boolean() ? found->template get<T>() : otherwise;
    } else if constexpr (std::is_integral_v<T>) {
        return found != object.end() && found->is_number_unsigned() ? found->template get<T>()
                                                                    : otherwise;
    } else {
        return found != object.end() && found->is_string() ? found->template get<T>() : otherwise;
    }
}

/// As dump-md shows it.
std::string lineage_text(const membership::Lineage& lineage) {
    std::string text;
    for (std::size_t i = 0; i < lineage.size(); i++) {
        const bool dash = i == 4 || i == 6 || i == 8 || i == 10;
        text += fmt::format("{}{:02x}", dash ? "-" : "", lineage.at(i));
    }
    return text;
}

/// Random 64-bit numbers as text: many readers of JSON have 53 bits.
std::string id_text(std::uint64_t id) {
    return fmt::format("{:016x}", id);
}

json members_json(const config::NodeResource& resource, const std::string& self,
                  const membership::Explanation& why) {
    json members = json::array();
    for (const membership::MemberView& each : why.members) {
        members.push_back({{"name", host_of(resource, self, each.seat.node)},
                           {"node-id", each.seat.node},
                           {"role", name_in(role_names, each.seat.role)},
                           {"voter", each.seat.voter != 0},
                           {"in-sync", each.seat.instance != 0},
                           {"joined", each.seat.joined},
                           {"up", each.up},
                           {"votes", each.votes},
                           {"diskful", each.diskful},
                           {"suspect", each.suspect},
                           {"epoch", each.epoch}});
    }
    return members;
}

json forks_json(const config::NodeResource& resource, const std::string& self,
                const membership::Explanation& why) {
    json forks = json::array();
    for (const membership::ForkView& each : why.forks) {
        forks.push_back({{"name", host_of(resource, self, each.node)},
                         {"relation", name_in(relation_names, each.relation)},
                         {"lineage", lineage_text(each.lineage)},
                         {"epoch", each.epoch},
                         {"age-ms", each.age_ms},
                         {"ours", each.ours},
                         {"theirs", each.theirs}});
    }
    return forks;
}

/// Newest first.
json history_json(const membership::Explanation& why) {
    json history = json::array();
    for (auto each = why.history.rbegin(); each != why.history.rend(); ++each) {
        history.push_back({{"lineage", lineage_text(each->lineage)},
                           {"epoch", each->epoch},
                           {"id", id_text(each->id)},
                           {"ended", each->when_ms / 1000},
                           {"complete", each->complete},
                           {"discarded", each->discarded}});
    }
    return history;
}

}  // namespace

// ---- answers ----

void Node::answer(RequestId id, const json& answer) {
    env_.answer(id, answer.dump(-1, ' ', false, json::error_handler_t::replace));
}

void Node::refuse(RequestId id, const std::string& cause, const std::string& text) {
    answer(id, {{"ok", false}, {"cause", cause}, {"nodes", json::array()}, {"text", text}});
}

void Node::accept(RequestId id) {
    answer(id, {{"ok", true}});
}

void Node::reply(const membership::Reply& reply) {
    if (const auto machine = commanded_.extract(reply.command)) {
        machine.mapped()(reply.cause == Cause::none, reply.text);
        return;
    }
    const auto waiting = waiting_.extract(reply.command);
    if (!waiting) {
        return;
    }
    const auto& [request, name] = waiting.mapped();
    const auto* resource = configured(name);
    if (reply.cause == Cause::none) {
        accept(request);
    } else if (resource == nullptr || reply.cause == Cause::kernel_refused) {
        refuse(request, name_in(cause_names, reply.cause), reply.text);
    } else {
        json why = cause_json(reply.cause, hosts_of(*resource, settings_.host, reply.nodes));
        why["ok"] = false;
        answer(request, why);
    }
}

// ---- requests ----

void Node::ask(RequestId id, const std::string& line) {
    const json request = json::parse(line, nullptr, false);
    const std::string verb = request.is_object() ? value_or(request, "verb", std::string()) : "";
    const std::string name =
        request.is_object() ? value_or(request, "resource", std::string()) : "";
    if (verb == "show") {
        answer(id, show(name));
        return;
    }
    if (verb == "reload") {
        reload(id);
        return;
    }
    if (verb == "drain") {
        drain(id, value_or(request, "on", true));
        return;
    }
    const auto* resource = configured(name);
    if (resource == nullptr) {
        refuse(id, "usage",
               fmt::format("{}: no such resource in the configuration that {} runs with; 'braidadm "
                           "adjust' has it read anew",
                           name, settings_.host));
        return;
    }
    if (verb == "connect" || verb == "disconnect") {
        connection(id, request, *resource, verb == "connect");
        return;
    }
    if (verb == "vm") {
        vm(id, request, *resource);
        return;
    }
    command(id, request, *resource);
}

void Node::reload(RequestId id) {
    const auto loaded = load();
    if (!loaded) {
        refuse(id, "configuration", loaded.error().message);
        return;
    }
    settle();
    accept(id);
}

void Node::command(RequestId id, const json& request, const config::NodeResource& resource) {
    const std::string word = value_or(request, "verb", std::string());
    const auto verb = std::ranges::find(verb_names, word, &VerbName::name);
    if (verb == verb_names.end()) {
        refuse(id, "usage", fmt::format("'{}': braid-satellite knows no such verb", word));
        return;
    }
    Command command{.number = ++next_command_,
                    .verb = verb->verb,
                    .force = value_or(request, "force", false),
                    .equal = value_or(request, "equal", false)};
    if (verb->takes_node) {
        const std::string host = value_or(request, "node", std::string());
        const auto node = node_of(resource, settings_.host, host);
        if (!node) {
            refuse(id, "unknown-node",
                   fmt::format("{}: no such host in resource {}", host, resource.name));
            return;
        }
        command.node = *node;
        const auto peer = std::ranges::find(resource.peers, *node, &config::Peer::node_id);
        if (verb->verb == Verb::add && peer == resource.peers.end()) {
            refuse(id, "unknown-node",
                   fmt::format("{}: a member that is added must be in the configuration", host));
            return;
        }
        command.role = peer == resource.peers.end() ? Role::diskful : role_of(*peer);
    }
    command.deadline_ms = value_or(request, "deadline_ms", command.deadline_ms);
    if (verb->verb == Verb::initialise) {
        command.seats = seats_of(resource);
    }
    const auto running = running_.find(resource.name);
    if (running == running_.end()) {
        refuse(id, "down",
               fmt::format("{} is not up on {}: 'braidadm up {}'", resource.name, settings_.host,
                           resource.name));
        return;
    }
    waiting_[command.number] = {id, resource.name};
    running->second.resource->command(command);
}

/// The streams to one peer or to all: made, or ended and not made again.
void Node::connection(RequestId id, const json& request, const config::NodeResource& resource,
                      bool connect) {
    const std::string host = value_or(request, "node", std::string());
    const bool found =
        host.empty() ||
        std::ranges::find(resource.peers, host, &config::Peer::name) != resource.peers.end();
    if (!found) {
        refuse(id, "unknown-node",
               fmt::format("{}: no such peer in resource {}", host, resource.name));
        return;
    }
    std::string failed;
    for (const config::Peer& peer : resource.peers) {
        if ((!host.empty() && peer.name != host) || peer.witness) {
            continue;
        }
        if (connect) {
            standalone_.erase({resource.name, peer.name});
            continue;
        }
        standalone_.insert({resource.name, peer.name});
        if (present_.contains(resource.name)) {
            const auto ended = env_.kernel.run(netlink::op::peer_disconnect,
                                               {{netlink::attr::peer::name, resource.name},
                                                {netlink::attr::peer::node_id, peer.node_id}});
            if (!ended && ended.error().number != ENOTCONN) {
                failed = fmt::format("{}: {}", peer.name, ended.error().cause);
            }
        }
    }
    settle();
    store_standalone();
    if (failed.empty()) {
        accept(id);
    } else {
        refuse(id, "kernel", failed);
    }
}

// ---- show ----

json Node::show(const std::string& only) const {
    json resources = json::array();
    for (const config::NodeResource& each : resources_) {
        if (!only.empty() && only != each.name) {
            continue;
        }
        const auto running = running_.find(each.name);
        resources.push_back(
            show(each.name, running == running_.end() ? nullptr : &running->second));
    }
    json refusals = json::array();
    for (const Refusal& each : network_.listener().refusals()) {
        refusals.push_back({{"address", each.address},
                            {"node", each.node},
                            {"why", each.why},
                            {"count", each.count},
                            {"last", std::chrono::system_clock::to_time_t(each.last)}});
    }
    return {{"ok", true},
            {"node", settings_.host},
            {"drained", drained_},
            {"resources", std::move(resources)},
            {"peers", show_peers()},
            {"refusals", std::move(refusals)}};
}

json Node::show(const std::string& name, const Running* running) const {
    const config::NodeResource& resource = *configured(name);
    json links = json::array();
    for (const config::Peer& peer : resource.peers) {
        const Link* link = network_.link(name, peer.node_id);
        const bool standalone = standalone_.contains({name, peer.name});
        if (link != nullptr || standalone) {
            links.push_back({{"name", peer.name},
                             {"node-id", peer.node_id},
                             {"up", link != nullptr && link->is_up()},
                             {"standalone", standalone},
                             {"why", link == nullptr ? "" : link->why()}});
        }
    }
    json shown{{"name", name},
               {"node-id", resource.node_id},
               {"role", name_in(role_names, role_of(resource))},
               {"ready", false},
               {"why", "not up on this node"},
               {"links", std::move(links)}};
    if (json machine = machines_.show(name); !machine.is_null()) {
        shown["vm"] = std::move(machine);
    }
    if (running == nullptr) {
        return shown;
    }
    const membership::Member* member = running->resource->member();
    shown["why"] = running->resource->why();
    if (member == nullptr) {
        return shown;
    }
    const membership::Explanation why = member->explain();
    const std::string& self = settings_.host;
    shown["ready"] = true;
    shown["lineage"] = why.epoch == 0 ? json() : json(lineage_text(why.lineage));
    shown["epoch"] = why.epoch;
    shown["id"] = why.epoch == 0 ? json() : json(id_text(why.id));
    shown["writer"] =
        why.writer == membership::no_node ? json() : json(host_of(resource, self, why.writer));
    shown["promotion"] = cause_json(why.promotion, hosts_of(resource, self, why.promotion_nodes));
    shown["held"] = cause_json(why.held, hosts_of(resource, self, why.held_nodes));
    shown["suspended"] = why.suspended;
    shown["members"] = members_json(resource, self, why);
    shown["forks"] = forks_json(resource, self, why);
    shown["history"] = history_json(why);
    return shown;
}

json Node::show_peers() const {
    std::set<std::string> names;
    for (const config::NodeResource& resource : resources_) {
        for (const config::Peer& peer : resource.peers) {
            names.insert(peer.name);
        }
    }
    json peers = json::array();
    for (const std::string& name : names) {
        const Control* control = network_.control(name);
        peers.push_back({{"name", name},
                         {"connected", control != nullptr && control->is_up()},
                         {"why", control == nullptr ? "" : control->why()},
                         {"address", control == nullptr ? "" : control->address()}});
    }
    return peers;
}

std::string Node::summary() const {
    std::size_t connected = 0;
    const json peers = show_peers();
    for (const json& peer : peers) {
        connected += peer["connected"].get<bool>() ? 1 : 0;
    }
    return fmt::format("{} of {} resources run, {} of {} peers are connected", running_.size(),
                       resources_.size(), connected, peers.size());
}

}  // namespace braid::satellite
