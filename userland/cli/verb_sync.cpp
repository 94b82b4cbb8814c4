// SPDX-License-Identifier: GPL-2.0-or-later
//
// braidadm verify, pause-sync and resume-sync: what the Primary's node does with a peer's replica.
#include <fmt/format.h>

#include <CLI/App.hpp>
#include <algorithm>
#include <memory>
#include <optional>
#include <ostream>
#include <string>
#include <vector>

#include "cli/configuration.h"
#include "cli/kernel_facts.h"
#include "cli/module.h"
#include "cli/verb.h"

namespace braid::cli {

namespace {

namespace attr = netlink::attr::peer;
namespace op = netlink::op;
namespace sync_state = netlink::enums::sync_state;

std::string name_of(const config::Resource& resource, std::uint32_t node) {
    const auto host = std::ranges::find(resource.hosts, node, &config::Host::node_id);
    return host == resource.hosts.end() ? fmt::format("node {}", node) : host->name;
}

Attempt<void> run(Module& module, const netlink::Operation& operation,
                  const config::Resource& resource, std::uint32_t node, std::uint64_t rate = 0) {
    std::vector<sys::Argument> arguments{{attr::name, std::string_view(resource.name)},
                                         {attr::node_id, node}};
    if (rate != 0) {
        arguments.push_back({attr::max_rate, rate});
    }
    const auto done = module.client().run(operation, arguments);
    if (done) {
        return {};
    }
    Failure failure = module_failure(
        fmt::format("{} {}:{}", operation.name, resource.name, name_of(resource, node)),
        done.error());
    if (done.error().number == EPERM && failure.remedy.empty()) {
        failure.remedy = "Run this on the node that is Primary.";
    }
    return tl::unexpected(std::move(failure));
}

// ---- verify ----

struct VerifyOptions {
    PeerName name;
    bool cancel = false;
};

Attempt<void> verify(const Context& context, const VerifyOptions& options) {
    const auto chosen = choose_peer(context, options.name);
    if (!chosen) {
        return tl::unexpected(chosen.error());
    }
    const auto& [resource, host] = *chosen;
    if (!host) {
        return tl::unexpected(Failure{ExitCode::usage, resource.name, "which peer is not said",
                                      "Name it: 'braidadm verify RES PEER'."});
    }
    if (!host->diskful()) {
        return tl::unexpected(Failure{
            ExitCode::failure, host->name, fmt::format("has no replica of {}", resource.name), {}});
    }
    const auto module = Module::open(context);
    if (!module) {
        return tl::unexpected(module.error());
    }
    if (options.cancel) {
        auto done = run(**module, op::verify_stop, resource, host->node_id);
        if (done) {
            context.out << fmt::format("{}: verify of {} ended\n", resource.name, host->name);
        }
        return done;
    }
    std::uint64_t rate = 0;
    if (const auto here = on_host(resource, context.host)) {
        const auto peer = std::ranges::find(here->peers, host->node_id, &config::Peer::node_id);
        rate = peer == here->peers.end() ? 0 : peer->disk.verify_rate;
    }
    auto done = run(**module, op::verify_start, resource, host->node_id, rate);
    if (done) {
        context.out << fmt::format(
            "{}: verify of {} has begun; 'braidadm status {}' shows what it finds\n", resource.name,
            host->name, resource.name);
    }
    return done;
}

// ---- pause-sync, resume-sync ----

Attempt<std::vector<std::uint32_t>> nodes_in(Module& module, const std::string& resource,
                                             std::uint32_t state) {
    const auto peers = module.client().peers();
    if (!peers) {
        return tl::unexpected(module_failure("state of the kernel", peers.error()));
    }
    std::vector<std::uint32_t> nodes;
    for (const sys::PeerState& peer : *peers) {
        if (peer.resource == resource && peer.sync.state == state) {
            nodes.push_back(peer.node);
        }
    }
    return nodes;
}

Attempt<void> set_paused(const Context& context, const PeerName& name, bool pause) {
    const auto chosen = choose_peer(context, name);
    if (!chosen) {
        return tl::unexpected(chosen.error());
    }
    const auto& [resource, host] = *chosen;
    const auto module = Module::open(context);
    if (!module) {
        return tl::unexpected(module.error());
    }
    std::vector<std::uint32_t> nodes;
    if (host) {
        nodes.push_back(host->node_id);
    } else {
        auto found =
            nodes_in(**module, resource.name, pause ? sync_state::running : sync_state::paused);
        if (!found) {
            return tl::unexpected(found.error());
        }
        nodes = std::move(*found);
    }
    if (nodes.empty()) {
        return tl::unexpected(Failure{ExitCode::failure, resource.name,
                                      pause ? "no resync is running" : "no resync is paused",
                                      "Resyncs are the business of the node that is Primary."});
    }
    for (const std::uint32_t node : nodes) {
        if (auto done = run(**module, pause ? op::sync_pause : op::sync_resume, resource, node);
            !done) {
            return done;
        }
        context.out << fmt::format("{}: resync of {} {}\n", resource.name, name_of(resource, node),
                                   pause ? "paused" : "resumed");
    }
    return {};
}

Action configure_paused(CLI::App& command, bool pause) {
    auto name = std::make_shared<PeerName>();
    name->add_to(command, "The resource, and the member that is resynced; else all of them");
    return [name, pause](Context& context) {
        return finish(context, set_paused(context, *name, pause));
    };
}

}  // namespace

Action configure_verify(CLI::App& command) {
    auto options = std::make_shared<VerifyOptions>();
    options->name.add_to(command, "The resource, and the peer that is compared");
    command.add_flag("--cancel", options->cancel, "End a verify that is under way");
    return [options](Context& context) { return finish(context, verify(context, *options)); };
}

Action configure_pause_sync(CLI::App& command) {
    return configure_paused(command, true);
}

Action configure_resume_sync(CLI::App& command) {
    return configure_paused(command, false);
}

}  // namespace braid::cli
