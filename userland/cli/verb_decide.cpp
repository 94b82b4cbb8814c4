// SPDX-License-Identifier: GPL-2.0-or-later
//
// The verbs on which the members of a resource have to agree: the node daemon carries them out.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <memory>
#include <ostream>
#include <string>
#include <vector>

#include "cli/daemon.h"
#include "cli/verb.h"

namespace braid::cli {

namespace {

using nlohmann::json;

struct Options {
    std::vector<std::string> resources;
    std::string host;
    bool force = false;
    bool equal = false;
    bool primary = false;
    std::uint32_t deadline_s = 60;
};

void add_resources(CLI::App& command, Options& options) {
    command.add_option("RES", options.resources, "Names of resources")->required();
}

void add_resource(CLI::App& command, Options& options) {
    command.add_option("RES", options.resources.emplace_back(), "Name of the resource")->required();
}

void add_resource_and_host(CLI::App& command, Options& options, const std::string& meaning) {
    add_resource(command, options);
    command.add_option("HOST", options.host, meaning)->required();
}

/// Tells the daemon for each resource; goes on after a failure, so that one does not keep the
/// others from what is asked for. The last failure's exit status.
ExitCode tell_all(Context& context, const Options& options, const json& request,
                  const std::string& done = {},
                  std::chrono::milliseconds most = sys::daemon_patience) {
    ExitCode code = ExitCode::ok;
    for (const std::string& resource : options.resources) {
        json each = request;
        each["resource"] = resource;
        if (const auto answer = tell_daemon(context, resource, each, most); !answer) {
            print(context.err, answer.error());
            code = answer.error().code;
        } else if (!done.empty()) {
            context.out << resource << ": " << done << '\n';
        }
    }
    return code;
}

}  // namespace

Action configure_init(CLI::App& command) {
    auto options = std::make_shared<Options>();
    add_resources(command, *options);
    command.add_flag("--equal", options->equal,
                     "All connected replicas are new and equal, as of zeroes; nothing is copied");
    command.add_flag("--primary", options->primary, "Make this node Primary, too");
    return [options](Context& context) {
        const std::string done = fmt::format("initialised, with the data of {}", context.host);
        const ExitCode code =
            tell_all(context, *options, {{"verb", "initialise"}, {"equal", options->equal}},
                     options->primary ? done : done + "; 'braidadm primary' lets it be used");
        if (code != ExitCode::ok || !options->primary) {
            return code;
        }
        return tell_all(context, *options, {{"verb", "promote"}, {"force", false}},
                        "this node is Primary");
    };
}

Action configure_primary(CLI::App& command) {
    auto options = std::make_shared<Options>();
    add_resources(command, *options);
    command.add_flag("--force", options->force,
                     "Where it cannot become Primary otherwise: go on with the data of this node, "
                     "and lose what only others have");
    return [options](Context& context) {
        return tell_all(context, *options, {{"verb", "promote"}, {"force", options->force}});
    };
}

Action configure_secondary(CLI::App& command) {
    auto options = std::make_shared<Options>();
    add_resources(command, *options);
    command.add_flag("--force", options->force, "Also while a device is open: its I/O fails");
    return [options](Context& context) {
        return tell_all(context, *options, {{"verb", "demote"}, {"force", options->force}});
    };
}

Action configure_migrate(CLI::App& command) {
    auto options = std::make_shared<Options>();
    add_resource_and_host(command, *options, "Where its machine goes");
    command.add_option("--deadline", options->deadline_s, "Seconds until it is withdrawn")
        ->check(CLI::Range(1U, 86400U))
        ->capture_default_str();
    return [options](Context& context) {
        return tell_all(context, *options,
                        {{"verb", "migrate"},
                         {"node", options->host},
                         {"deadline_ms", options->deadline_s * 1000}},
                        {}, std::chrono::seconds(options->deadline_s) + sys::daemon_patience);
    };
}

Action configure_end_migrate(CLI::App& command) {
    auto options = std::make_shared<Options>();
    add_resources(command, *options);
    return [options](Context& context) {
        return tell_all(context, *options, {{"verb", "end-migrate"}});
    };
}

Action configure_add_peer(CLI::App& command) {
    auto options = std::make_shared<Options>();
    add_resource_and_host(command, *options, "The new member, as the configuration has it");
    return [options](Context& context) {
        return tell_all(context, *options, {{"verb", "add"}, {"node", options->host}});
    };
}

Action configure_forget_peer(CLI::App& command) {
    auto options = std::make_shared<Options>();
    add_resource_and_host(command, *options, "The member that leaves: its name or node id");
    return [options](Context& context) {
        return tell_all(context, *options, {{"verb", "remove"}, {"node", options->host}});
    };
}

Action configure_replace(CLI::App& command) {
    auto options = std::make_shared<Options>();
    add_resource_and_host(command, *options,
                          "The member whose vote and replica are given up for new ones");
    return [options](Context& context) {
        return tell_all(context, *options, {{"verb", "replace"}, {"node", options->host}});
    };
}

Action configure_resolve(CLI::App& command) {
    auto options = std::make_shared<Options>();
    add_resource(command, *options);
    command.add_option("--discard", options->host, "The host whose changes are dropped")
        ->required();
    return [options](Context& context) {
        // The side that stays decides: asked on the one that is dropped it would drop itself from
        // a lineage that nobody else follows.
        if (options->host == context.host) {
            print(context.err,
                  {ExitCode::usage, options->host, "the changes of this host are to be dropped",
                   fmt::format("Run 'braidadm resolve {} --discard {}' on a host whose data stays.",
                               options->resources.front(), options->host)});
            return ExitCode::usage;
        }
        return tell_all(context, *options, {{"verb", "resolve"}, {"node", options->host}});
    };
}

}  // namespace braid::cli
