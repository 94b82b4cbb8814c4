// SPDX-License-Identifier: GPL-2.0-or-later
#include "cli/configuration.h"

#include <fmt/format.h>

#include <CLI/App.hpp>
#include <algorithm>
#include <charconv>
#include <ostream>
#include <utility>

#include "config/nearest.h"
#include "sys/config_files.h"
#include "sys/file_content.h"

namespace braid::cli {

void add_config_option(CLI::App& command, std::string& file) {
    command.add_option("-c,--config-file", file, "Read this file, not /etc/braid.conf");
}

config::Loaded read_config(const std::string& file) {
    const config::Source source{
        [](const std::string& path) { return sys::read_file(path, config::file_bytes_max); },
        &sys::match_paths,
    };
    return config::load(file, source);
}

config::Loaded load_config(const Context& context, const std::string& file) {
    config::Loaded loaded = read_config(file);
    for (const config::Diagnostic& each : loaded.diagnostics) {
        context.err << to_string(each) << '\n';
    }
    return loaded;
}

sys::Result<config::Config, Failure> load_valid_config(const Context& context,
                                                       const std::string& file) {
    config::Loaded loaded = load_config(context, file);
    if (loaded.has_errors()) {
        return tl::unexpected(
            Failure{ExitCode::config_invalid, file, "has errors", "Nothing was changed."});
    }
    return std::move(loaded.config);
}

sys::Result<std::vector<std::size_t>, Failure> choose_resources(
    const config::Config& config, const std::string& file, const std::vector<std::string>& names) {
    const auto& all = config.resources;
    const bool every = names.empty() || std::ranges::find(names, "all") != names.end();
    for (const std::string& name : names) {
        if (name == "all" || std::ranges::find(all, name, &config::Resource::name) != all.end()) {
            continue;
        }
        const auto nearest = std::ranges::min_element(all, {}, [&](const config::Resource& each) {
            return config::edit_distance(name, each.name);
        });
        return tl::unexpected(Failure{
            ExitCode::failure, name, fmt::format("{} has no such resource", file),
            nearest == all.end() ? "" : fmt::format("The nearest is '{}'.", nearest->name)});
    }
    std::vector<std::size_t> chosen;
    for (std::size_t i = 0; i < all.size(); i++) {
        if (every || std::ranges::find(names, all[i].name) != names.end()) {
            chosen.push_back(i);
        }
    }
    return chosen;
}

namespace {

using config::Host;
using config::Resource;

Failure nothing_here(const Resource& resource, const Context& context) {
    std::string hosts;
    for (const Host& host : resource.hosts) {
        if (host.diskful()) {
            hosts += (hosts.empty() ? "" : ", ") + host.name;
        }
    }
    const auto here = std::ranges::find(resource.hosts, context.host, &Host::name);
    const std::string cause =
        here == resource.hosts.end() ? fmt::format("this host, {}, is no member", context.host)
        : here->witness ? fmt::format("this host, {}, is its witness and has no disk", context.host)
                        : fmt::format("this host, {}, is diskless", context.host);
    return {ExitCode::failure, resource.name, cause, fmt::format("It has disks on: {}.", hosts)};
}

/// "r0/1" apart; nothing if there is no number behind the stroke.
std::optional<std::pair<std::string, std::optional<std::uint32_t>>> split(const std::string& name) {
    const auto stroke = name.find('/');
    if (stroke == std::string::npos) {
        return {{name, std::nullopt}};
    }
    std::uint32_t number = 0;
    const char* end = name.data() + name.size();
    const auto read = std::from_chars(name.data() + stroke + 1, end, number);
    if (read.ec != std::errc() || read.ptr != end) {
        return std::nullopt;
    }
    return {{name.substr(0, stroke), number}};
}

void add_once(const OwnVolume& volume, std::vector<OwnVolume>& volumes) {
    const auto same = std::ranges::find(volumes, volume.name(), &OwnVolume::name);
    if (same == volumes.end()) {
        volumes.push_back(volume);
    }
}

sys::Result<void, Failure> add_volumes(const Resource& resource, const Context& context,
                                       std::optional<std::uint32_t> number, Having having,
                                       std::vector<OwnVolume>& volumes) {
    const auto here = std::ranges::find(resource.hosts, context.host, &Host::name);
    if (here == resource.hosts.end() || here->volumes.empty() ||
        (having == Having::disk && !here->diskful())) {
        return tl::unexpected(nothing_here(resource, context));
    }
    const auto others = std::ranges::count_if(
        resource.hosts, [&](const Host& host) { return host.diskful() && &host != &*here; });
    std::string numbers;
    bool found = false;
    for (const config::Volume& volume : here->volumes) {
        numbers += fmt::format("{}{}", numbers.empty() ? "" : ", ", volume.number);
        if (number.value_or(volume.number) == volume.number) {
            found = true;
            add_once({resource.name, here->node_id, static_cast<std::uint32_t>(others), volume},
                     volumes);
        }
    }
    if (!found) {
        return tl::unexpected(Failure{
            ExitCode::failure, fmt::format("{}/{}", resource.name, number.value_or(0)),
            "the resource has no such volume", fmt::format("Its volumes are: {}.", numbers)});
    }
    return {};
}

}  // namespace

std::string OwnVolume::name() const {
    return fmt::format("{}/{}", resource, volume.number);
}

sys::Result<std::vector<OwnVolume>, Failure> choose_volumes(const config::Config& config,
                                                            const Context& context,
                                                            const std::string& file,
                                                            const std::vector<std::string>& names,
                                                            Having having) {
    std::vector<OwnVolume> volumes;
    for (const std::string& name : names) {
        const auto parts = split(name);
        if (!parts) {
            return tl::unexpected(Failure{ExitCode::usage, name,
                                          "neither a resource nor RESOURCE/VOLUME",
                                          "A volume has a number, 0 to 65535: 'r0/1'."});
        }
        const auto chosen = choose_resources(config, file, {parts->first});
        if (!chosen) {
            return tl::unexpected(chosen.error());
        }
        for (const std::size_t i : *chosen) {
            auto added = add_volumes(config.resources[i], context, parts->second, having, volumes);
            if (!added && name != "all") {
                return tl::unexpected(added.error());
            }
        }
    }
    for (OwnVolume& volume : volumes) {
        volume.pools = config.pools;
    }
    return volumes;
}

sys::Result<const Host*, Failure> find_host(const Resource& resource, const std::string& name) {
    const auto found = std::ranges::find(resource.hosts, name, &Host::name);
    if (found != resource.hosts.end()) {
        return &*found;
    }
    const auto nearest = std::ranges::min_element(resource.hosts, {}, [&](const Host& each) {
        return config::edit_distance(name, each.name);
    });
    return tl::unexpected(Failure{ExitCode::failure, name,
                                  fmt::format("{} has no such member", resource.name),
                                  fmt::format("The nearest is '{}'.", nearest->name)});
}

void PeerName::add_to(CLI::App& command, const std::string& help) {
    add_config_option(command, file);
    command.add_option("RES[:PEER]", words, help)->required()->expected(1, 2);
}

sys::Result<ChosenPeer, Failure> choose_peer(const Context& context, const PeerName& name) {
    const auto loaded = load_valid_config(context, name.file);
    if (!loaded) {
        return tl::unexpected(loaded.error());
    }
    std::string resource = name.words.front();
    std::string peer = name.words.size() > 1 ? name.words[1] : "";
    if (const auto colon = resource.find(':'); colon != std::string::npos && peer.empty()) {
        peer = resource.substr(colon + 1);
        resource.resize(colon);
    }
    const auto chosen = choose_resources(*loaded, name.file, {resource});
    if (!chosen) {
        return tl::unexpected(chosen.error());
    }
    if (chosen->size() != 1) {
        return tl::unexpected(Failure{ExitCode::usage, resource, "not the name of one resource",
                                      "Name the resource."});
    }
    ChosenPeer result{.resource = loaded->resources[chosen->front()]};
    if (!peer.empty()) {
        const auto host = find_host(result.resource, peer);
        if (!host) {
            return tl::unexpected(host.error());
        }
        result.host = **host;
    }
    return result;
}

}  // namespace braid::cli
