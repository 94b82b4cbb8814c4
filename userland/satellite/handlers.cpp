// SPDX-License-Identifier: GPL-2.0-or-later
#include "satellite/handlers.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <string_view>
#include <utility>

namespace braid::satellite {

namespace {

namespace enums = netlink::enums;

/// Exit status of fence-peer, as DRBD has it.
constexpr int peer_is_outdated = 4;
constexpr int peer_is_stopped = 7;

struct Row {
    std::string_view name;
    std::string config::Handlers::*command;
};

/// In the order of Handler.
constexpr std::array<Row, 9> rows{{
    {"fence-peer", &config::Handlers::fence_peer},
    {"split-brain", &config::Handlers::split_brain},
    {"out-of-sync", &config::Handlers::out_of_sync},
    {"quorum-lost", &config::Handlers::quorum_lost},
    {"degraded", &config::Handlers::degraded},
    {"local-io-error", &config::Handlers::local_io_error},
    {"before-resync-target", &config::Handlers::before_resync_target},
    {"after-resync-target", &config::Handlers::after_resync_target},
    {"vm-failed", &config::Handlers::vm_failed},
}};

const Row& row_of(Handler handler) {
    return rows.at(static_cast<std::size_t>(handler));
}

class Environment {
  public:
    template <class T>
    void add(std::string_view name, const T& value) {
        for (const std::string_view prefix : {"DRBD", "BRAID"}) {
            variables_.push_back(fmt::format("{}_{}={}", prefix, name, value));
        }
    }
    [[nodiscard]] std::vector<std::string> take() { return std::move(variables_); }

  private:
    std::vector<std::string> variables_;
};

std::string list(const std::vector<std::string>& words) {
    return fmt::format("{}", fmt::join(words, " "));
}

/// Those of one volume, or lists of all.
void add_volumes(Environment& environment, const std::vector<config::Volume>& volumes,
                 std::optional<std::uint32_t> only) {
    std::vector<std::string> numbers;
    std::vector<std::string> minors;
    std::vector<std::string> disks;
    for (const config::Volume& volume : volumes) {
        environment.add(fmt::format("MINOR_{}", volume.number), volume.minor);
        if (!volume.disk.empty()) {
            environment.add(fmt::format("BACKING_DEV_{}", volume.number), volume.disk);
        }
        if (only && *only != volume.number) {
            continue;
        }
        numbers.push_back(std::to_string(volume.number));
        minors.push_back(std::to_string(volume.minor));
        if (!volume.disk.empty()) {
            disks.push_back(volume.disk);
        }
    }
    environment.add("VOLUME", list(numbers));
    environment.add("MINOR", list(minors));
    environment.add("BACKING_DEV", list(disks));
    environment.add("LL_DISK", list(disks));
}

void add_peer(Environment& environment, const config::Peer& peer) {
    environment.add("PEER_NODE_ID", peer.node_id);
    environment.add("PEER", peer.name);
    // Scripts for fencing stop all that are named here.
    environment.add("PEERS", peer.name);
    const auto add = [&](std::string_view end, const config::Address& address) {
        environment.add(fmt::format("{}_AF", end), address.v6 ? "ipv6" : "ipv4");
        environment.add(fmt::format("{}_ADDRESS", end), address.ip);
    };
    if (!peer.paths.empty()) {
        add("MY", peer.paths.front().first);
        add("PEER", peer.paths.front().second);
    }
}

const config::Peer* find_peer(const config::NodeResource& resource, std::uint32_t node) {
    const auto found =
        std::find_if(resource.peers.begin(), resource.peers.end(),
                     [node](const config::Peer& peer) { return peer.node_id == node; });
    return found == resource.peers.end() ? nullptr : &*found;
}

/// How a command ended, with what it wrote.
std::string text_of(Handler handler, const sys::ProcessEnd& end) {
    std::string text = to_string(end);
    if (handler == Handler::fence_peer && end.how == sys::ProcessEnd::How::exited) {
        if (end.number == peer_is_stopped) {
            text += ": the peer is stopped";
        } else if (end.number == peer_is_outdated) {
            text += fmt::format(
                ": the peer is outdated, which is not enough: only {} says that it is stopped",
                peer_is_stopped);
        } else {
            text += fmt::format(": only {} says that the peer is stopped", peer_is_stopped);
        }
    }
    if (!end.output.empty()) {
        text += fmt::format("; output: {}", fmt::join(end.output, " | "));
    }
    return text;
}

}  // namespace

// ---- what causes what ----

std::optional<HandlerCall> handler_for(const sys::KernelEvent& event) {
    if (event.kind == enums::event_kind::verify) {
        return HandlerCall{Handler::out_of_sync, event.node, event.volume};
    }
    // Whoever detaches by force asked for it.
    if (event.kind == enums::event_kind::disk && event.after == "failed" &&
        event.cause != "requested") {
        return HandlerCall{Handler::local_io_error, std::nullopt, event.volume};
    }
    return std::nullopt;
}

std::optional<Standing> standing_of(const sys::ResourceView& replies) {
    const sys::ResourceState& resource = replies.resource;
    if (!resource.config) {
        return std::nullopt;
    }
    Standing standing;
    for (const sys::KernelConfig::Member& member : resource.config->members) {
        if (member.diskful) {
            standing.diskful_nodes.insert(member.node);
        }
        if (member.in_sync) {
            standing.in_sync_nodes.insert(member.node);
        }
    }
    const std::uint32_t writer = resource.config->writer;
    standing.writer = writer == resource.node;
    standing.in_sync = standing.in_sync_nodes.contains(resource.node);
    bool attached = !replies.volumes.empty();
    for (const sys::VolumeState& volume : replies.volumes) {
        standing.volumes.push_back(volume.volume);
        attached = attached && volume.disk_state == enums::disk_state::attached;
    }
    const bool reached = std::any_of(
        replies.peers.begin(), replies.peers.end(), [writer](const sys::PeerState& peer) {
            return peer.node == writer && peer.link == enums::link_state::connected;
        });
    standing.target = !standing.in_sync && standing.diskful_nodes.contains(resource.node) &&
                      attached && (standing.writer || reached);
    return standing;
}

std::vector<HandlerCall> handlers_for(const Standing& before, const Standing& now,
                                      std::uint32_t self) {
    std::vector<HandlerCall> calls;
    // The writer alone tells, so that it is told once.
    for (const std::uint32_t node : before.in_sync_nodes) {
        if (now.writer && now.diskful_nodes.contains(node) && !now.in_sync_nodes.contains(node)) {
            calls.push_back({Handler::degraded, node == self ? std::nullopt : std::optional(node)});
        }
    }
    for (const std::uint32_t volume : now.volumes) {
        if (now.target && !before.target) {
            calls.push_back({Handler::before_resync_target, std::nullopt, volume});
        }
        if (now.in_sync && !before.in_sync) {
            calls.push_back({Handler::after_resync_target, std::nullopt, volume});
        }
    }
    return calls;
}

std::vector<std::string> handler_environment(const config::NodeResource& resource,
                                             const std::string& host, const HandlerCall& call) {
    Environment environment;
    environment.add("RESOURCE", resource.name);
    environment.add("MY_NODE_ID", resource.node_id);
    environment.add(fmt::format("NODE_ID_{}", resource.node_id), host);
    for (const config::Peer& peer : resource.peers) {
        environment.add(fmt::format("NODE_ID_{}", peer.node_id), peer.name);
    }
    add_volumes(environment, resource.volumes, call.volume);
    if (call.peer) {
        if (const config::Peer* peer = find_peer(resource, *call.peer)) {
            add_peer(environment, *peer);
        } else {
            environment.add("PEER_NODE_ID", *call.peer);
        }
    }
    return environment.take();
}

// ---- running them ----

Handlers::Handlers(sys::EventLoop& loop, std::string host, Log log, HandlerLimits limits)
    : loop_(loop), host_(std::move(host)), log_(std::move(log)), limits_(limits) {}

void Handlers::update(const config::NodeResource& resource) {
    resources_[resource.name].config = resource;
}

void Handlers::remove(const std::string& resource) {
    resources_.erase(resource);
}

void Handlers::kernel_event(const sys::KernelEvent& event) {
    if (const auto caused = handler_for(event)) {
        call({event.resource, *caused});
    }
}

void Handlers::kernel_state(const sys::ResourceView& replies) {
    const auto found = resources_.find(replies.resource.name);
    if (found == resources_.end()) {
        return;
    }
    const auto now = standing_of(replies);
    const auto before = std::exchange(found->second.standing, now);
    if (!before || !now) {
        return;
    }
    for (const HandlerCall& caused : handlers_for(*before, *now, replies.resource.node)) {
        call({replies.resource.name, caused});
    }
}

void Handlers::quorum_lost(const std::string& resource) {
    call({resource, {Handler::quorum_lost}});
}

void Handlers::vm_failed(const std::string& resource) {
    call({resource, {Handler::vm_failed}});
}

void Handlers::split_brain(const std::string& resource, std::uint32_t peer) {
    call({resource, {Handler::split_brain, peer}});
}

void Handlers::fence(const std::string& resource, std::uint32_t peer, Fenced done) {
    const Key key{resource, {Handler::fence_peer, peer}};
    const auto known = resources_.find(resource);
    const bool is_peer =
        known != resources_.end() && find_peer(known->second.config, peer) != nullptr;
    if (!is_peer || command_of(key) == nullptr) {
        log(sys::Priority::error, key,
            is_peer ? "the configuration has no such handler: nothing is fenced"
                    : "the configuration has no such peer: nothing is fenced");
        tell({std::move(done)}, false);
        return;
    }
    const auto run = runs_.find(key);
    if (run != runs_.end()) {
        // What runs may have looked at the peer before it was started again.
        run->second.again = true;
        run->second.fenced_again.push_back(std::move(done));
        return;
    }
    runs_[key].fenced.push_back(std::move(done));
    start(key);
}

/// Null where there is no command.
const std::string* Handlers::command_of(const Key& key) const {
    const auto known = resources_.find(key.resource);
    if (known == resources_.end()) {
        return nullptr;
    }
    const std::string& command =
        known->second.config.settings.handlers.*row_of(key.call.handler).command;
    return command.empty() ? nullptr : &command;
}

void Handlers::call(const Key& key) {
    if (command_of(key) == nullptr) {
        return;
    }
    const auto run = runs_.find(key);
    if (run != runs_.end()) {
        // One that only waits for its turn has not begun, and serves for this one, too.
        run->second.again = run->second.process != nullptr;
        return;
    }
    begin(key);
}

/// At once, or in its turn.
void Handlers::begin(const Key& key) {
    runs_[key];
    if (running_ < limits_.at_once) {
        start(key);
    } else {
        waiting_.push_back(key);
    }
}

void Handlers::start(const Key& key) {
    const std::string* command = command_of(key);
    if (command == nullptr) {  // it was removed while this waited
        over(key, false);
        return;
    }
    const bool fences = key.call.handler == Handler::fence_peer;
    sys::Process::Setup setup{*command};
    setup.environment =
        handler_environment(resources_.find(key.resource)->second.config, host_, key.call);
    setup.limit = fences ? limits_.fence : limits_.handler;
    auto process = sys::Process::start(
        loop_, std::move(setup), [this, key](const sys::ProcessEnd& end) { ended(key, end); });
    if (!process) {
        log(sys::Priority::error, key, "it cannot be run: " + process.error().message);
        over(key, false);
        return;
    }
    runs_[key].process = std::move(*process);
    running_ += fences ? 0 : 1;
    log(sys::Priority::info, key, "begins");
}

void Handlers::ended(const Key& key, const sys::ProcessEnd& end) {
    const bool fences = key.call.handler == Handler::fence_peer;
    const bool success =
        fences ? end.how == sys::ProcessEnd::How::exited && end.number == peer_is_stopped
               : end.success();
    running_ -= fences ? 0 : 1;
    log(success ? sys::Priority::info : sys::Priority::error, key, text_of(key.call.handler, end));
    over(key, success);
}

/// A run has ended, or could not begin; and the next one may begin.
void Handlers::over(const Key& key, bool success) {
    Run run = std::move(runs_.extract(key).mapped());
    tell(run.fenced, success);
    const bool again = run.again && command_of(key) != nullptr;
    if (!again) {
        tell(run.fenced_again, false);
    } else if (key.call.handler == Handler::fence_peer) {
        runs_[key].fenced = std::move(run.fenced_again);
        start(key);
    } else {
        begin(key);
    }
    start_waiting();
}

void Handlers::start_waiting() {
    while (!waiting_.empty() && running_ < limits_.at_once) {
        const Key key = std::move(waiting_.front());
        waiting_.pop_front();
        start(key);
    }
}

/// From the loop: whoever is told may call anything here.
void Handlers::tell(const std::vector<Fenced>& fenced, bool stopped) {
    for (const Fenced& done : fenced) {
        loop_.after(sys::EventLoop::Clock::duration::zero(), [done, stopped] { done(stopped); });
    }
}

void Handlers::log(sys::Priority priority, const Key& key, const std::string& text) const {
    sys::Journal::Fields fields{{"BRAID_RESOURCE", key.resource},
                                {"BRAID_HANDLER", std::string(row_of(key.call.handler).name)}};
    std::string message = fmt::format("handler {}", row_of(key.call.handler).name);
    if (key.call.peer) {
        const auto known = resources_.find(key.resource);
        const config::Peer* peer =
            known == resources_.end() ? nullptr : find_peer(known->second.config, *key.call.peer);
        const std::string name = peer != nullptr ? peer->name : std::to_string(*key.call.peer);
        fields.emplace_back("BRAID_PEER", name);
    }
    if (key.call.volume) {
        message += fmt::format(", volume {}", *key.call.volume);
        fields.emplace_back("BRAID_VOLUME", std::to_string(*key.call.volume));
    }
    log_(priority, message + ": " + text, fields);
}

}  // namespace braid::satellite
