// SPDX-License-Identifier: GPL-2.0-or-later
//
// braidadm dump, sh-nop and sh-resources: what the configuration files say.
#include <fmt/format.h>

#include <CLI/App.hpp>
#include <memory>
#include <ostream>
#include <string>
#include <vector>

#include "cli/configuration.h"
#include "cli/verb.h"
#include "config/dump.h"
#include "sys/config_files.h"

namespace braid::cli {

namespace {

struct Options {
    std::string file = default_config_file;
    std::vector<std::string> resources;
    bool json = false;
    bool defaults = false;
};

ExitCode check(Context& context, const Options& options) {
    return load_config(context, options.file).has_errors() ? ExitCode::config_invalid
                                                           : ExitCode::ok;
}

ExitCode list(Context& context, const Options& options) {
    const config::Loaded loaded = load_config(context, options.file);
    for (const config::Resource& resource : loaded.config.resources) {
        context.out << resource.name << '\n';
    }
    return loaded.has_errors() ? ExitCode::config_invalid : ExitCode::ok;
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
    const config::Loaded loaded = load_config(context, options.file);
    if (loaded.has_errors()) {
        return ExitCode::config_invalid;
    }
    const auto chosen = choose_resources(loaded.config, options.file, options.resources);
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
    add_config_option(command, options->file);
    command.add_option("RES", options->resources, "Names of resources; else all");
    command.add_flag("--json", options->json, "Print one JSON object instead of text");
    command.add_flag("--show-defaults", options->defaults, "Also options that have their default");
    return [options](Context& context) { return dump(context, *options); };
}

Action configure_sh_nop(CLI::App& command) {
    auto options = std::make_shared<Options>();
    add_config_option(command, options->file);
    return [options](Context& context) { return check(context, *options); };
}

Action configure_sh_resources(CLI::App& command) {
    auto options = std::make_shared<Options>();
    add_config_option(command, options->file);
    return [options](Context& context) { return list(context, *options); };
}

}  // namespace braid::cli
