// SPDX-License-Identifier: GPL-2.0-or-later
#include "satellite/machines.h"

#include <fmt/format.h>
#include <sys/epoll.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "membership/explain.h"
#include "sys/file_content.h"
#include "sys/netlink_gen.h"

namespace braid::satellite {

namespace {

namespace enums = netlink::enums;
using machine::Operation;
using membership::NodeId;
using nlohmann::json;
using std::chrono::milliseconds;

constexpr mode_t record_mode = 0600;
constexpr std::int64_t progress_ms = 1000;
/// Of a migration's grant: copying the memory of a busy machine takes its time.
constexpr std::uint32_t grant_ms = 3600000;

machine::Power power_of(const std::string& state) {
    return state == "running"  ? machine::Power::running
           : state == "paused" ? machine::Power::paused
                               : machine::Power::off;
}

const char* name_of(machine::Power power) {
    return power == machine::Power::running  ? "running"
           : power == machine::Power::paused ? "paused"
                                             : "off";
}

const char* name_of(machine::Wanted wanted) {
    return wanted == machine::Wanted::running   ? "running"
           : wanted == machine::Wanted::stopped ? "stopped"
                                                : "undefined";
}

}  // namespace

// ---- what a machine is made of, and is told ----

machine::View machine_view(const membership::Member* member, const sys::ResourceView& seen,
                           std::int64_t age_ms, bool drained, const std::set<NodeId>& up) {
    machine::View view{.drained = drained, .sees = up};
    for (const sys::PeerState& peer : seen.peers) {
        if (peer.link == enums::link_state::connected) {
            view.sees.insert(peer.node);
        }
    }
    if (member == nullptr || seen.resource.name.empty()) {
        return view;
    }
    const sys::ResourceState& resource = seen.resource;
    const membership::Explanation why = member->explain();
    view.ready = true;
    view.epoch = why.epoch;
    view.writer = why.writer;
    if (member->known() && member->known()->grant.number != 0) {
        view.grant_to = member->known()->grant.to;
        view.grant = member->known()->grant.number;
    }
    view.stage = membership::Stage(resource.migration);
    view.holds = resource.config && resource.config->writer == resource.node && !resource.done;
    view.serves = resource.service == enums::service::serving ||
                  resource.service == enums::service::held ||
                  resource.service == enums::service::draining;
    view.promotable = why.promotion == membership::Cause::none && !view.holds;
    view.lease_left_ms = -1;
    for (const auto& each :
         resource.config ? resource.config->members : std::vector<sys::KernelConfig::Member>()) {
        if (!each.in_sync || each.node == resource.node) {
            view.data = view.data || each.in_sync;
            continue;
        }
        const auto peer = std::ranges::find(seen.peers, each.node, &sys::PeerState::node);
        const std::int64_t left =
            peer == seen.peers.end() ? 0 : std::max<std::int64_t>(peer->lease_ms - age_ms, 0);
        view.lease_left_ms = view.lease_left_ms < 0 ? left : std::min(view.lease_left_ms, left);
    }
    for (const sys::VolumeState& volume : seen.volumes) {
        view.opens += volume.opens;
    }
    return view;
}

machine::Policy machine_policy(const std::string& host, const config::NodeResource& resource) {
    const config::Vm& vm = resource.settings.vm;
    machine::Policy policy{.ha = vm.ha,
                           .restarts = vm.restarts,
                           .window_ms = vm.restart_window.count(),
                           .stop_ms = vm.stop_timeout.count(),
                           .fence_ms = vm.fence_after.count(),
                           .lease_ms = resource.settings.options.lease.count(),
                           .memory = vm.memory};
    policy.names[resource.node_id] = host;
    for (const config::Peer& peer : resource.peers) {
        policy.names[peer.node_id] = peer.name;
    }
    for (const std::string& name : config::words_of(vm.prefer)) {
        for (const auto& [node, known] : policy.names) {
            if (known == name) {
                policy.prefer.push_back(node);
            }
        }
    }
    return policy;
}

json machine_spec(const config::NodeResource& resource) {
    const config::Vm& vm = resource.settings.vm;
    json disks = json::array();
    for (const config::Volume& volume : resource.volumes) {
        disks.push_back({{"device", fmt::format("/dev/braid{}", volume.minor)},
                         {"serial", fmt::format("{}-{}", resource.name, volume.number)}});
    }
    return {{"name", resource.name},
            {"domain", vm.domain},
            {"memory", vm.memory},
            {"vcpus", vm.vcpus},
            {"cpu", vm.cpu},
            {"network", vm.network},
            {"efi", vm.firmware == config::Firmware::efi},
            {"kernel", vm.kernel},
            {"initrd", vm.initrd},
            {"cmdline", vm.cmdline},
            {"emulated", vm.virtualization == config::Virtualization::emulated},
            {"disks", std::move(disks)}};
}

// ---- which there are ----

Machines::~Machines() {
    for (auto& [name, entry] : all_) {
        forget_process(*entry);
    }
}

std::string Machines::record_file(const std::string& name) const {
    return fmt::format("{}/{}.vm", settings_.state, name);
}

machine::Record Machines::stored(const std::string& name) {
    const auto content = sys::read_file(record_file(name));
    if (!content) {
        if (content.error().number != ENOENT) {
            env_.journal(true, name, content.error().message);
        }
        return {};
    }
    const auto record = machine::decode_record(*content);
    if (!record) {
        env_.journal(true, name,
                     fmt::format("{}: makes no sense; the machine counts as undefined until "
                                 "another host or a person says more",
                                 record_file(name)));
    }
    return record.value_or(machine::Record{});
}

void Machines::configure(const std::vector<config::NodeResource>& resources) {
    std::map<std::string, const config::NodeResource*> wanted;
    bool here = false;
    for (const config::NodeResource& each : resources) {
        if (each.settings.vm.exists()) {
            wanted.emplace(each.name, &each);
            here = here || !each.witness;
        }
    }
    for (auto each = all_.begin(); each != all_.end();) {
        if (wanted.contains(each->first)) {
            ++each;
            continue;
        }
        if (each->second->machine.status().here) {
            env_.journal(true, each->first,
                         "the configuration has no machine any more, but it runs: nothing looks "
                         "after it");
        }
        forget_process(*each->second);
        each = all_.erase(each);
    }
    for (const auto& [name, resource] : wanted) {
        machine::Policy policy = machine_policy(settings_.host, *resource);
        if (Entry* entry = find(name)) {
            entry->configured = *resource;
            entry->machine.configure(std::move(policy));
            continue;
        }
        all_.emplace(name, std::make_unique<Entry>(
                               env_.loop, *resource,
                               machine::Machine(resource->node_id, !resource->witness,
                                                std::move(policy), stored(name), env_.now_ms())));
        look_at_process(name, *find(name));
        give(name, machine::Tick{});
    }
    if (here && !vmd_ && !settings_.vmd.empty()) {
        vmd_ = std::make_unique<VmdLink>(
            env_.loop, settings_.vmd, settings_.socket,
            VmdLink::Callbacks{[this](const json& message) { said(message); },
                               [this](const std::string& why) { vmd_down(why); }});
    } else if (!here) {
        vmd_.reset();
    }
}

Machines::Entry* Machines::find(const std::string& name) {
    const auto found = all_.find(name);
    return found == all_.end() ? nullptr : found->second.get();
}

// ---- what happens ----

void Machines::give(const std::string& name, machine::Event event) {
    if (Entry* entry = find(name)) {
        entry->events.push_back(std::move(event));
        work(name, *entry);
    }
}

/// One event after the other: what is done about one may cause another.
void Machines::work(const std::string& name, Entry& entry) {
    if (entry.working) {
        return;
    }
    entry.working = true;
    while (!entry.events.empty()) {
        const machine::Event event = std::move(entry.events.front());
        entry.events.pop_front();
        for (const machine::Action& action : entry.machine.handle(env_.now_ms(), event)) {
            std::visit([&](const auto& each) { act(name, entry, each); }, action);
        }
    }
    entry.working = false;
}

void Machines::look(const std::string& resource) {
    if (has(resource)) {
        give(resource, env_.view(resource));
    }
}

void Machines::peer_found(const std::string& resource, NodeId node) {
    give(resource, machine::PeerFound{node});
}

void Machines::peer_lost(const std::string& resource, NodeId node) {
    give(resource, machine::PeerLost{node});
}

void Machines::peer_said(const std::string& resource, NodeId node, std::string_view text) {
    const auto message = machine::decode(text);
    if (message) {
        give(resource, machine::Heard{node, *message});
    } else if (has(resource)) {
        env_.journal(true, resource,
                     fmt::format("node {} said something about the machine that makes no sense; "
                                 "is it a newer version?",
                                 node));
    }
}

void Machines::command(const std::string& resource, machine::Order order, NodeId node,
                       Answered done) {
    Entry* entry = find(resource);
    if (entry == nullptr) {
        done(false, fmt::format("{} has no virtual machine: give it a section 'vm' with 'domain' "
                                "or 'memory'",
                                resource));
        return;
    }
    const std::uint64_t number = ++next_command_;
    const auto begin = [this, resource, order, node, number] {
        give(resource, machine::Command{number, order, node});
    };
    if (order != machine::Order::define) {
        entry->waiting[number] = std::move(done);
        return begin();
    }
    // Defined is what libvirt could start here.
    if (!vmd_) {
        done(false, "this host has no braid-vmd to ask libvirt with");
        return;
    }
    vmd_->ask(
        {{"do", "check"}, {"vm", machine_spec(entry->configured)}},
        [this, resource, number, begin, done = std::move(done)](bool ok, const std::string& text) {
            Entry* still = find(resource);
            if (!ok || still == nullptr) {
                done(false, ok ? "it is not in the configuration any more" : text);
                return;
            }
            still->waiting[number] = done;
            begin();
        });
}

void Machines::tick(const std::string& name) {
    Entry* entry = find(name);
    if (entry == nullptr) {
        return;
    }
    if (entry->moving && vmd_ && env_.now_ms() - entry->asked_progress >= progress_ms) {
        entry->asked_progress = env_.now_ms();
        vmd_->ask({{"do", "progress"}, {"name", name}}, [](bool, const std::string&) {});
    }
    give(name, machine::Tick{});
}

// ---- braid-vmd ----

void Machines::said(const json& message) {
    if (const auto state = message.find("state"); state != message.end()) {
        vmd_why_ = state->value("text", "");
        for (auto& [name, entry] : all_) {
            machine::Seen seen{.ok = state->value("ok", false),
                               .memory = state->value("memory", std::uint64_t{0})};
            for (const json& each : state->value("domains", json::array())) {
                if (each.value("name", "") == name) {
                    seen.power = power_of(each.value("state", ""));
                }
            }
            entry->seen = seen;
            if (seen.power != machine::Power::off) {
                look_at_process(name, *entry);
            }
            give(name, seen);
        }
    } else if (const auto ended = message.find("ended"); ended != message.end()) {
        give(ended->value("name", ""), machine::Ended{ended->value("why", "")});
    } else if (const auto progress = message.find("progress"); progress != message.end()) {
        if (Entry* entry = find(progress->value("name", ""))) {
            entry->done = progress->value("done", std::uint64_t{0});
            entry->total = progress->value("total", std::uint64_t{0});
        }
    }
}

void Machines::vmd_down(const std::string& why) {
    if (std::exchange(vmd_why_, why) != why) {
        env_.journal(true, "", "virtual machines: " + why);
    }
    for (auto& [name, entry] : all_) {
        entry->seen.ok = false;
        give(name, machine::Seen{});
    }
}

void Machines::ask_vmd(const std::string& name, json request, Operation operation) {
    if (!vmd_) {
        give(name, machine::Done{operation, false, "this host has no braid-vmd"});
        return;
    }
    vmd_->ask(std::move(request), [this, name, operation](bool ok, const std::string& text) {
        if (Entry* entry = find(name); entry != nullptr && operation == Operation::move) {
            entry->moving = false;
        }
        give(name, machine::Done{operation, ok, text});
    });
}

// ---- the process ----

void Machines::forget_process(Entry& entry) {
    if (entry.process) {
        env_.loop.forget(entry.process.get());
        entry.process.reset();
    }
}

void Machines::look_at_process(const std::string& name, Entry& entry) {
    if (entry.process || entry.configured.witness) {
        return;
    }
    entry.process = sys::find_qemu(name, settings_.run);
    if (!entry.process) {
        return;
    }
    env_.loop.watch(entry.process.get(), EPOLLIN, [this, name] {
        if (Entry* ended = find(name)) {
            forget_process(*ended);
            give(name, machine::ProcessIs{false});
        }
    });
    give(name, machine::ProcessIs{true});
}

// ---- what is done ----

void Machines::member_command(const std::string& name, membership::Verb verb, bool force,
                              NodeId node, Operation operation) {
    env_.command(name, {.verb = verb, .node = node, .force = force, .deadline_ms = grant_ms},
                 [this, name, operation](bool ok, const std::string& text) {
                     if (operation != Operation::none) {
                         give(name, machine::Done{operation, ok, text});
                     }
                 });
}

void Machines::act(const std::string& name, Entry& /*entry*/, const machine::Promote& /*action*/) {
    member_command(name, membership::Verb::promote, false, membership::no_node, Operation::promote);
}

void Machines::act(const std::string& name, Entry& /*entry*/, const machine::Demote& action) {
    member_command(name, membership::Verb::demote, action.force, membership::no_node,
                   Operation::demote);
}

void Machines::act(const std::string& name, Entry& entry, const machine::Launch& /*action*/) {
    ask_vmd(name, {{"do", "start"}, {"vm", machine_spec(entry.configured)}}, Operation::launch);
}

void Machines::act(const std::string& name, Entry& /*entry*/, const machine::Shutdown& /*action*/) {
    ask_vmd(name, {{"do", "shutdown"}, {"name", name}}, Operation::shutdown);
}

void Machines::act(const std::string& name, Entry& entry, const machine::Kill& /*action*/) {
    look_at_process(name, entry);
    if (!entry.process) {
        ask_vmd(name, {{"do", "destroy"}, {"name", name}}, Operation::none);
    } else if (const auto killed = sys::kill_process(entry.process); !killed) {
        env_.journal(true, name, killed.error().message);
    }
}

void Machines::act(const std::string& name, Entry& /*entry*/, const machine::Resume& /*action*/) {
    ask_vmd(name, {{"do", "resume"}, {"name", name}}, Operation::resume);
}

void Machines::act(const std::string& name, Entry& entry, const machine::Grant& action) {
    entry.done = entry.total = 0;
    member_command(name, membership::Verb::migrate, false, action.to, Operation::grant);
}

void Machines::act(const std::string& name, Entry& /*entry*/,
                   const machine::WithdrawGrant& /*action*/) {
    member_command(name, membership::Verb::end_migrate, false, membership::no_node,
                   Operation::none);
}

std::string Machines::uri_of(const Entry& entry, NodeId to) const {
    std::string uri = entry.configured.settings.vm.migration_uri;
    const auto peer = std::ranges::find(entry.configured.peers, to, &config::Peer::node_id);
    if (peer == entry.configured.peers.end() || peer->paths.empty()) {
        return uri;
    }
    const config::Address& address = peer->paths.front().second;
    if (const auto at = uri.find("%s"); at != std::string::npos) {
        uri.replace(at, 2, address.v6 ? "[" + address.ip + "]" : address.ip);
    }
    return uri;
}

void Machines::act(const std::string& name, Entry& entry, const machine::Move& action) {
    entry.moving = true;
    ask_vmd(name,
            {{"do", "migrate"},
             {"name", name},
             {"uri", uri_of(entry, action.to)},
             {"tls", entry.configured.settings.vm.migration_tls}},
            Operation::move);
}

void Machines::act(const std::string& name, Entry& /*entry*/,
                   const machine::AbortMove& /*action*/) {
    ask_vmd(name, {{"do", "abort"}, {"name", name}}, Operation::none);
}

void Machines::act(const std::string& name, Entry& /*entry*/, const machine::AskToken& action) {
    env_.ask_token(name, action.grant);
}

void Machines::act(const std::string& name, Entry& entry, const machine::Look& /*action*/) {
    look_at_process(name, entry);
    env_.look(name);
}

void Machines::act(const std::string& name, Entry& /*entry*/, const machine::Store& action) {
    const auto written = sys::write_file(record_file(name), machine::encode_record(action.record),
                                         record_mode, sys::Existing::replace);
    if (!written) {
        env_.journal(true, name, written.error().message);
    }
}

void Machines::act(const std::string& name, Entry& /*entry*/, const machine::Tell& action) {
    env_.tell(name, action.to, machine::encode(action.message));
}

void Machines::act(const std::string& /*name*/, Entry& entry, const machine::Reply& action) {
    if (const auto waiting = entry.waiting.extract(action.number)) {
        waiting.mapped()(action.ok, action.text);
    }
}

void Machines::act(const std::string& name, Entry& /*entry*/, const machine::Journal& action) {
    env_.journal(action.warning, name, action.text);
}

void Machines::act(const std::string& name, Entry& /*entry*/, const machine::GaveUp& /*action*/) {
    env_.gave_up(name);
}

void Machines::act(const std::string& name, Entry& entry, const machine::SetTimer& action) {
    entry.timer.start(milliseconds(action.after_ms), [this, name] { tick(name); });
}

// ---- for people ----

json Machines::show(const std::string& resource) const {
    const auto found = all_.find(resource);
    if (found == all_.end()) {
        return nullptr;
    }
    const Entry& entry = *found->second;
    const machine::Status status = entry.machine.status();
    const auto host = [this, &entry](NodeId node) -> json {
        if (node == membership::no_node) {
            return nullptr;
        }
        const auto peer = std::ranges::find(entry.configured.peers, node, &config::Peer::node_id);
        return peer == entry.configured.peers.end() ? settings_.host : peer->name;
    };
    return {{"wanted", name_of(status.wanted)},
            {"here", status.here},
            {"state", name_of(status.power)},
            {"where", host(status.where)},
            {"able", status.able},
            {"libvirt", entry.seen.ok      ? ""
                        : vmd_why_.empty() ? "it was not reached yet"
                                           : vmd_why_},
            {"doing", status.doing},
            {"why", status.why},
            {"restarts", status.restarts},
            {"gave-up", status.gave_up},
            {"migration",
             {{"to", host(status.migrates_to)}, {"done", entry.done}, {"total", entry.total}}}};
}

}  // namespace braid::satellite
