// SPDX-License-Identifier: GPL-2.0-or-later
//
// braidadm verify, pause-sync and resume-sync: what the Primary's node does with a peer's replica.
#include <fmt/format.h>

#include <CLI/App.hpp>
#include <CLI/Validators.hpp>
#include <algorithm>
#include <memory>
#include <nlohmann/json.hpp>
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
using Json = nlohmann::ordered_json;

std::string name_of(const config::Resource& resource, std::uint32_t node) {
    const auto host = std::ranges::find(resource.hosts, node, &config::Host::node_id);
    return host == resource.hosts.end() ? fmt::format("node {}", node) : host->name;
}

Attempt<void> run(Module& module, const netlink::Operation& operation,
                  const config::Resource& resource, std::uint32_t node,
                  const std::vector<sys::Argument>& more = {}) {
    std::vector<sys::Argument> arguments{{attr::name, std::string_view(resource.name)},
                                         {attr::node_id, node}};
    arguments.insert(arguments.end(), more.begin(), more.end());
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
    std::optional<std::uint64_t> start{};
    std::optional<std::uint64_t> stop{};
    bool cancel = false;
    bool list = false;
    bool json = false;
};

/// The ranges of one peer, or where `host` is empty of all of them.
Attempt<void> list_differing(const Context& context, Module& module, const VerifyOptions& options,
                             const ChosenPeer& chosen) {
    const config::Resource& resource = chosen.resource;
    const auto ranges = module.client().differing(resource.name);
    if (!ranges) {
        return tl::unexpected(
            module_failure(fmt::format("verify-get {}", resource.name), ranges.error()));
    }
    Json all = Json::array();
    for (const sys::DifferingRange& range : *ranges) {
        if (chosen.host && range.node != chosen.host->node_id) {
            continue;
        }
        const std::string name = name_of(resource, range.node);
        if (options.json) {
            all.push_back({{"peer-node-id", range.node},
                           {"name", name},
                           {"volume", range.volume},
                           {"start", range.start},
                           {"stop", range.stop}});
        } else {
            context.out << fmt::format("{}/{} {} {} {}\n", resource.name, range.volume, name,
                                       range.start, range.stop);
        }
    }
    if (options.json) {
        context.out << all.dump(2) << '\n';
    }
    return {};
}

/// What the configuration and the command line say of a verify of this peer.
std::vector<sys::Argument> verify_arguments(const Context& context, const VerifyOptions& options,
                                            const config::Resource& resource, std::uint32_t node) {
    std::vector<sys::Argument> arguments;
    if (const auto here = on_host(resource, context.host)) {
        const auto peer = std::ranges::find(here->peers, node, &config::Peer::node_id);
        if (peer != here->peers.end() && peer->disk.verify_rate != 0) {
            arguments.push_back({attr::max_rate, peer->disk.verify_rate});
        }
    }
    if (options.start) {
        arguments.push_back({attr::start, *options.start});
    }
    if (options.stop) {
        arguments.push_back({attr::stop, *options.stop});
    }
    return arguments;
}

Attempt<void> verify(const Context& context, const VerifyOptions& options) {
    const auto chosen = choose_peer(context, options.name);
    if (!chosen) {
        return tl::unexpected(chosen.error());
    }
    const auto& [resource, host] = *chosen;
    if (!host && !options.list) {
        return tl::unexpected(Failure{ExitCode::usage, resource.name, "which peer is not said",
                                      "Name it: 'braidadm verify RES PEER'."});
    }
    if (host && !host->diskful()) {
        return tl::unexpected(Failure{
            ExitCode::failure, host->name, fmt::format("has no replica of {}", resource.name), {}});
    }
    const auto module = Module::open(context);
    if (!module) {
        return tl::unexpected(module.error());
    }
    if (options.list) {
        return list_differing(context, **module, options, *chosen);
    }
    auto done = options.cancel ? run(**module, op::verify_stop, resource, host->node_id)
                               : run(**module, op::verify_start, resource, host->node_id,
                                     verify_arguments(context, options, resource, host->node_id));
    if (done && options.cancel) {
        context.out << fmt::format("{}: verify of {} ended\n", resource.name, host->name);
    } else if (done) {
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
    // AsSizeValue takes -1 for the largest number; what is added last is asked first.
    const CLI::Validator digits(
        [](const std::string& text) {
            const bool number = !text.empty() && text.front() >= '0' && text.front() <= '9';
            return number ? std::string() : fmt::format("'{}' is no number of bytes", text);
        },
        "BYTES");
    auto* start = command
                      .add_option("-s,--start", options->start,
                                  "Where to begin, in bytes; 4k, 3M, 2G and so on are taken")
                      ->transform(CLI::AsSizeValue(false))
                      ->transform(digits);
    auto* stop = command.add_option("-S,--stop", options->stop, "Where to end, exclusively")
                     ->transform(CLI::AsSizeValue(false))
                     ->transform(digits);
    auto* cancel = command.add_flag("--cancel", options->cancel, "End a verify that is under way");
    auto* list = command.add_flag("--list", options->list,
                                  "Print the ranges that the last verify found to differ");
    command.add_flag("--json", options->json, "With --list: print a JSON array")->needs(list);
    cancel->excludes(list)->excludes(start)->excludes(stop);
    list->excludes(start)->excludes(stop);
    return [options](Context& context) { return finish(context, verify(context, *options)); };
}

Action configure_pause_sync(CLI::App& command) {
    return configure_paused(command, true);
}

Action configure_resume_sync(CLI::App& command) {
    return configure_paused(command, false);
}

}  // namespace braid::cli
