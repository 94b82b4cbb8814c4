// SPDX-License-Identifier: GPL-2.0-or-later
//
// braidadm role, dstate and cstate: one state of a resource, for scripts.
#include <fmt/format.h>

#include <CLI/App.hpp>
#include <algorithm>
#include <charconv>
#include <memory>
#include <optional>
#include <ostream>
#include <string>
#include <vector>

#include "cli/configuration.h"
#include "cli/kernel_reader.h"

namespace braid::cli {

namespace {

struct Options {
    std::string file = default_config_file;
    std::string target;
};

/// RES[/VOLUME][:PEER], or RES[:PEER]/VOLUME.
struct Target {
    std::string resource{};
    std::optional<std::uint32_t> volume{};
    std::optional<std::string> peer{};
};

Failure bad_target(const std::string& text, std::string cause) {
    return {ExitCode::usage, text, std::move(cause), "Write RES, RES/VOLUME, RES:PEER or both."};
}

sys::Result<Target, Failure> parse_target(const std::string& text) {
    Target target{.resource = text.substr(0, text.find_first_of("/:"))};
    std::size_t at = target.resource.size();
    while (at < text.size()) {
        const char kind = text[at];
        const std::size_t end = std::min(text.find_first_of("/:", at + 1), text.size());
        const std::string part = text.substr(at + 1, end - at - 1);
        if (kind == ':' && !target.peer && !part.empty()) {
            target.peer = part;
        } else if (kind == '/' && !target.volume) {
            std::uint32_t number = 0;
            const char* last = part.data() + part.size();
            if (std::from_chars(part.data(), last, number).ptr != last || part.empty()) {
                return tl::unexpected(bad_target(text, fmt::format("'{}' is no volume", part)));
            }
            target.volume = number;
        } else {
            return tl::unexpected(bad_target(text, "not a resource, volume or peer"));
        }
        at = end;
    }
    return target;
}

Failure nothing_there(const std::string& what, std::string cause) {
    return {ExitCode::failure, what, std::move(cause), {}};
}

sys::Result<ResourceStatus, Failure> find_resource(const Context& context, const Options& options,
                                                   const Target& target) {
    auto reader = KernelReader::open(context);
    if (!reader) {
        return tl::unexpected(reader.error());
    }
    const auto views = reader->read(target.resource);
    if (!views) {
        return tl::unexpected(views.error());
    }
    if (views->empty()) {
        return tl::unexpected(Failure{ExitCode::failure, target.resource, "not up",
                                      "Bring it up with 'braidadm up'."});
    }
    ResourceStatus status = derive(views->front(), node_names(options.file));
    if (target.peer) {
        std::erase_if(status.connections,
                      [&](const ConnectionStatus& each) { return each.name != *target.peer; });
        if (status.connections.empty()) {
            return tl::unexpected(nothing_there(
                *target.peer, fmt::format("no peer of resource {} in the kernel", status.name)));
        }
    }
    if (target.volume && std::ranges::find(status.devices, *target.volume, &DeviceStatus::volume) ==
                             status.devices.end()) {
        return tl::unexpected(nothing_there(fmt::format("{}/{}", status.name, *target.volume),
                                            "no such volume in the kernel"));
    }
    return status;
}

using Show = void (*)(std::ostream& out, const ResourceStatus& status, const Target& target);

void show_role(std::ostream& out, const ResourceStatus& status, const Target& target) {
    if (!target.peer) {
        out << status.role << '\n';
        return;
    }
    out << status.connections.front().role << '\n';
}

void show_dstate(std::ostream& out, const ResourceStatus& status, const Target& target) {
    for (std::size_t i = 0; i < status.devices.size(); i++) {
        if (target.volume && status.devices[i].volume != *target.volume) {
            continue;
        }
        std::string line = target.peer ? "" : status.devices[i].disk;
        for (const auto& each : status.connections) {
            line += (line.empty() ? "" : "/") + each.devices.at(i).disk;
        }
        out << line << '\n';
    }
}

void show_cstate(std::ostream& out, const ResourceStatus& status, const Target& target) {
    for (const auto& each : status.connections) {
        if (!target.volume) {
            out << each.state << '\n';
            continue;
        }
        for (const auto& device : each.devices) {
            if (device.volume == *target.volume) {
                out << device.replication << '\n';
            }
        }
    }
}

ExitCode show_state(Context& context, const Options& options, Show show) {
    const auto target = parse_target(options.target);
    if (!target) {
        print(context.err, target.error());
        return target.error().code;
    }
    const auto status = find_resource(context, options, *target);
    if (!status) {
        print(context.err, status.error());
        return status.error().code;
    }
    show(context.out, *status, *target);
    return ExitCode::ok;
}

Action configure(CLI::App& command, Show show) {
    auto options = std::make_shared<Options>();
    add_config_option(command, options->file);
    command.add_option("RES", options->target, "RES[/VOLUME][:PEER]")->required();
    return [options, show](Context& context) { return show_state(context, *options, show); };
}

}  // namespace

Action configure_role(CLI::App& command) {
    return configure(command, &show_role);
}

Action configure_dstate(CLI::App& command) {
    return configure(command, &show_dstate);
}

Action configure_cstate(CLI::App& command) {
    return configure(command, &show_cstate);
}

}  // namespace braid::cli
