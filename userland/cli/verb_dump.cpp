// SPDX-License-Identifier: GPL-2.0-or-later
//
// braidadm dump, sh-nop and sh-resources: what the configuration files say.
#include <fmt/format.h>

#include <CLI/App.hpp>
#include <algorithm>
#include <memory>
#include <ostream>
#include <string>
#include <vector>

#include "cli/verb.h"
#include "config/dump.h"
#include "config/load.h"
#include "config/nearest.h"
#include "sys/config_files.h"
#include "sys/file_content.h"

namespace braid::cli {

namespace {

struct Options {
    std::string file = "/etc/braid.conf";
    std::vector<std::string> resources;
    bool json = false;
    bool defaults = false;
};

void add_file_option(CLI::App& command, Options& options) {
    command.add_option("-c,--config-file", options.file, "Read this file, not /etc/braid.conf");
}

/// Prints what is wrong with the files, if anything.
config::Loaded load(const Context& context, const Options& options) {
    const config::Source source{
        [](const std::string& path) { return sys::read_file(path, config::file_bytes_max); },
        &sys::match_paths,
    };
    config::Loaded loaded = config::load(options.file, source);
    for (const config::Diagnostic& each : loaded.diagnostics) {
        context.err << to_string(each) << '\n';
    }
    return loaded;
}

ExitCode check(Context& context, const Options& options) {
    return load(context, options).has_errors() ? ExitCode::config_invalid : ExitCode::ok;
}

ExitCode list(Context& context, const Options& options) {
    const config::Loaded loaded = load(context, options);
    for (const config::Resource& resource : loaded.config.resources) {
        context.out << resource.name << '\n';
    }
    return loaded.has_errors() ? ExitCode::config_invalid : ExitCode::ok;
}

/// Indexes of the resources that are asked for, in the order of the files.
sys::Result<std::vector<std::size_t>, Failure> choose(const config::Config& config,
                                                      const Options& options) {
    const auto& all = config.resources;
    const auto& names = options.resources;
    const bool every = names.empty() || std::ranges::find(names, "all") != names.end();
    for (const std::string& name : names) {
        if (name == "all" || std::ranges::find(all, name, &config::Resource::name) != all.end()) {
            continue;
        }
        const auto nearest = std::ranges::min_element(all, {}, [&](const config::Resource& each) {
            return config::edit_distance(name, each.name);
        });
        return tl::unexpected(Failure{
            ExitCode::failure, name, fmt::format("{} has no such resource", options.file),
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

std::string heading(const config::Resource& resource, const std::string& origin,
                    const std::string& host) {
    const auto here = config::on_host(resource, host);
    const std::string role = !here           ? "no member"
                             : here->witness ? fmt::format("witness, node {}", here->node_id)
                                             : fmt::format("node {}", here->node_id);
    return fmt::format("# resource {} on {}: {}\n# defined at {}\n", resource.name, host, role,
                       origin);
}

ExitCode dump(Context& context, const Options& options) {
    const config::Loaded loaded = load(context, options);
    if (loaded.has_errors()) {
        return ExitCode::config_invalid;
    }
    const auto chosen = choose(loaded.config, options);
    if (!chosen) {
        print(context.err, chosen.error());
        return chosen.error().code;
    }
    if (options.json) {
        config::Config config;
        for (const std::size_t i : *chosen) {
            config.resources.push_back(loaded.config.resources[i]);
        }
        context.out << config::dump_json(config);
        return ExitCode::ok;
    }
    context.out << "# " << options.file << '\n';
    for (const std::size_t i : *chosen) {
        const config::Resource& resource = loaded.config.resources[i];
        context.out << '\n'
                    << heading(resource, loaded.origins[i], sys::host_name())
                    << config::dump_text(resource, options.defaults);
    }
    return ExitCode::ok;
}

}  // namespace

Action configure_dump(CLI::App& command) {
    auto options = std::make_shared<Options>();
    add_file_option(command, *options);
    command.add_option("RES", options->resources, "Names of resources; else all");
    command.add_flag("--json", options->json, "Print one JSON object instead of text");
    command.add_flag("--show-defaults", options->defaults, "Also options that have their default");
    return [options](Context& context) { return dump(context, *options); };
}

Action configure_sh_nop(CLI::App& command) {
    auto options = std::make_shared<Options>();
    add_file_option(command, *options);
    return [options](Context& context) { return check(context, *options); };
}

Action configure_sh_resources(CLI::App& command) {
    auto options = std::make_shared<Options>();
    add_file_option(command, *options);
    return [options](Context& context) { return list(context, *options); };
}

}  // namespace braid::cli
