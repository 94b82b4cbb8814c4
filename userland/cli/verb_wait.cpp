// SPDX-License-Identifier: GPL-2.0-or-later
//
// braidadm wait-connect and wait-sync: until the kernel's events say that it is so.
#include <fmt/format.h>

#include <CLI/App.hpp>
#include <CLI/Validators.hpp>
#include <algorithm>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "cli/configuration.h"
#include "cli/kernel_reader.h"

namespace braid::cli {

namespace {

struct Options {
    std::string file = default_config_file;
    std::vector<std::string> resources;
    std::uint32_t timeout = 0;
};

constexpr std::uint32_t timeout_max = 365 * 86400;

/// What a resource still waits for, in words; empty: nothing.
using Missing = std::function<std::string(const ResourceView& view)>;

/// Peers that have to be connected: those of the kernel, and those of the configuration that it
/// does not have yet. A witness has no connection in the kernel.
Missing not_connected(const Context& context, const std::string& file) {
    return [config = read_config(file).config, host = context.host,
            name_of = node_names(file)](const ResourceView& view) {
        const auto& name = view.resource.name;
        std::vector<std::uint32_t> nodes;
        for (const auto& peer : view.peers) {
            if (peer.node != view.resource.node && connection_state(peer) != "Connected") {
                nodes.push_back(peer.node);
            }
        }
        const auto found = std::ranges::find(config.resources, name, &config::Resource::name);
        const auto here =
            found == config.resources.end() ? std::nullopt : config::on_host(*found, host);
        for (const auto& peer : here ? here->peers : std::vector<config::Peer>{}) {
            if (!peer.witness && std::ranges::find(view.peers, peer.node_id,
                                                   &sys::PeerState::node) == view.peers.end()) {
                nodes.push_back(peer.node_id);
            }
        }
        std::string text;
        for (const auto node : nodes) {
            text += (text.empty() ? "" : ", ") + name_of(name, node);
        }
        return text.empty() ? text : "not connected to " + text;
    };
}

Missing not_in_sync(const std::string& file) {
    return [name_of = node_names(file)](const ResourceView& view) -> std::string {
        if (all_in_sync(view)) {
            return {};
        }
        if (!view.resource.config) {
            return "no configuration yet: it was not initialised, or no member was met";
        }
        std::string text;
        for (const auto& each : view.resource.config->members) {
            if (each.diskful && !each.in_sync) {
                text += (text.empty() ? "" : ", ") + name_of(view.resource.name, each.node);
            }
        }
        return text.empty() ? "a resync or a change of members is under way"
                            : "not in sync: " + text;
    };
}

Failure not_up(const std::string& name) {
    return {ExitCode::failure, name, "not up", "Bring it up with 'braidadm up'."};
}

/// The first resource that still waits, and for what; empty names: none does.
sys::Result<std::pair<std::string, std::string>, Failure> first_missing(
    KernelReader& reader, const std::vector<std::string>& names, const Missing& missing) {
    const bool every = names.empty() || std::ranges::find(names, "all") != names.end();
    const auto views = reader.read(names.size() == 1 && !every ? names.front() : "");
    if (!views) {
        return tl::unexpected(views.error());
    }
    for (const auto& name : names) {
        if (name != "all" && std::ranges::none_of(*views, [&](const ResourceView& each) {
                return each.resource.name == name;
            })) {
            return tl::unexpected(not_up(name));
        }
    }
    for (const auto& view : *views) {
        if (every || std::ranges::find(names, view.resource.name) != names.end()) {
            if (auto what = missing(view); !what.empty()) {
                return std::pair(view.resource.name, std::move(what));
            }
        }
    }
    return std::pair<std::string, std::string>();
}

sys::Result<void, Failure> wait(const Context& context, const Options& options,
                                const Missing& missing) {
    std::optional<KernelWatch::Clock::time_point> until;
    if (options.timeout > 0) {
        until = KernelWatch::Clock::now() + std::chrono::seconds(options.timeout);
    }
    // First the events, then the state: what happens in between is not missed.
    auto watch = KernelWatch::open(context);
    if (!watch) {
        return tl::unexpected(watch.error());
    }
    auto reader = KernelReader::open(context);
    if (!reader) {
        return tl::unexpected(reader.error());
    }
    while (true) {
        const auto left = first_missing(*reader, options.resources, missing);
        if (!left) {
            return tl::unexpected(left.error());
        }
        if (left->first.empty()) {
            return {};
        }
        const auto batch = watch->wait(until);
        if (!batch) {
            return tl::unexpected(batch.error());
        }
        if (!*batch) {
            return tl::unexpected(
                Failure{ExitCode::timed_out, left->first,
                        fmt::format("{}, after {} s", left->second, options.timeout),
                        fmt::format("See 'braidadm status {}'.", left->first)});
        }
    }
}

ExitCode run_wait(Context& context, const Options& options, const Missing& missing) {
    return finish(context, wait(context, options, missing));
}

std::shared_ptr<Options> add_options(CLI::App& command) {
    auto options = std::make_shared<Options>();
    add_config_option(command, options->file);
    command.add_option("RES", options->resources, "Names of resources; else all that are up");
    command.add_option("--timeout", options->timeout, "Give up after so many seconds; 0: never")
        ->check(CLI::Range(std::uint32_t{0}, timeout_max));
    return options;
}

}  // namespace

Action configure_wait_connect(CLI::App& command) {
    return [options = add_options(command)](Context& context) {
        return run_wait(context, *options, not_connected(context, options->file));
    };
}

Action configure_wait_sync(CLI::App& command) {
    return [options = add_options(command)](Context& context) {
        return run_wait(context, *options, not_in_sync(options->file));
    };
}

}  // namespace braid::cli
