// SPDX-License-Identifier: GPL-2.0-or-later
//
// braidadm history: the lineage of a resource, and those that it goes on from.
#include <fmt/chrono.h>
#include <fmt/format.h>

#include <CLI/App.hpp>
#include <algorithm>
#include <ctime>
#include <memory>
#include <nlohmann/json.hpp>
#include <ostream>
#include <string>
#include <vector>

#include "cli/daemon_view.h"
#include "cli/verb.h"

namespace braid::cli {

namespace {

using Json = nlohmann::ordered_json;

struct Options {
    std::vector<std::string> resources;
    bool json = false;
};

std::string local_date(std::int64_t seconds) {
    const std::time_t time = seconds;
    std::tm parts{};
    if (seconds == 0 || localtime_r(&time, &parts) == nullptr) {
        return "at an unknown time";
    }
    return fmt::format("{:%Y-%m-%d %H:%M:%S}", parts);
}

// ---- text ----

void print_members(std::ostream& out, const std::vector<DaemonMember>& members) {
    std::size_t width = 0;
    for (const DaemonMember& each : members) {
        width = std::max(width, each.role == "diskful" ? each.name.size() : 0);
    }
    for (const DaemonMember& each : members) {
        if (each.role == "diskful") {
            out << fmt::format(
                "    {:<{}}  {}\n", each.name, width,
                each.in_sync ? fmt::format("in sync since epoch {}", each.joined) : "not in sync");
        }
    }
}

std::string what_became_of(const DaemonAncestor& ancestor) {
    if (ancestor.discarded) {
        return "its own changes were dropped";
    }
    return ancestor.complete ? "complete" : "perhaps not all of it";
}

void print_ancestors(std::ostream& out, const std::vector<DaemonAncestor>& history) {
    std::size_t width = 0;
    for (const DaemonAncestor& each : history) {
        width = std::max(width, std::to_string(each.epoch).size());
    }
    if (!history.empty()) {
        out << "  It goes on from:\n";
    }
    for (const DaemonAncestor& each : history) {
        out << fmt::format("    lineage {}  up to epoch {:>{}}  ended {}  {}\n", each.lineage,
                           each.epoch, width, local_date(each.ended), what_became_of(each));
    }
}

void print_text(std::ostream& out, const DaemonResource& resource) {
    if (!resource.ready) {
        out << fmt::format("{}: {}\n", resource.name, resource.why);
        return;
    }
    if (resource.lineage.empty()) {
        out << fmt::format(
            "{}: no lineage is known: it was not initialised, or no member was met\n",
            resource.name);
    } else {
        out << fmt::format("{}: lineage {}, epoch {}, id {}, Primary: {}\n", resource.name,
                           resource.lineage, resource.epoch, resource.id,
                           resource.writer.value_or("nobody"));
    }
    print_members(out, resource.members);
    print_ancestors(out, resource.history);
    for (const DaemonFork& fork : resource.forks) {
        out << fmt::format(
            "  {} follows lineage {}{}: see 'braidadm explain {}'.\n", fork.name, fork.lineage,
            fork.epoch == 0 ? "" : fmt::format(", since epoch {}", fork.epoch), resource.name);
    }
}

// ---- JSON ----

Json json_of(const DaemonResource& resource) {
    Json shown{{"name", resource.name}, {"ready", resource.ready}};
    if (!resource.ready) {
        shown["why"] = resource.why;
        return shown;
    }
    const bool known = !resource.lineage.empty();
    shown["lineage"] = known ? Json(resource.lineage) : Json();
    shown["epoch"] = resource.epoch;
    shown["id"] = known ? Json(resource.id) : Json();
    shown["writer"] = resource.writer ? Json(*resource.writer) : Json();
    shown["in-sync"] = Json::array();
    for (const DaemonMember& each : resource.members) {
        if (each.in_sync) {
            shown["in-sync"].push_back(
                {{"name", each.name}, {"node-id", each.node}, {"since", each.joined}});
        }
    }
    shown["history"] = Json::array();
    for (const DaemonAncestor& each : resource.history) {
        shown["history"].push_back({{"lineage", each.lineage},
                                    {"epoch", each.epoch},
                                    {"id", each.id},
                                    {"ended", each.ended},
                                    {"complete", each.complete},
                                    {"discarded", each.discarded}});
    }
    shown["forks"] = Json::array();
    for (const DaemonFork& each : resource.forks) {
        shown["forks"].push_back(
            {{"name", each.name}, {"lineage", each.lineage}, {"epoch", each.epoch}});
    }
    return shown;
}

ExitCode history(Context& context, const Options& options) {
    const auto daemon = ask_daemon_view(context);
    if (!daemon) {
        print(context.err, daemon.error());
        return daemon.error().code;
    }
    const bool every = options.resources.empty() ||
                       std::ranges::find(options.resources, "all") != options.resources.end();
    for (const std::string& name : options.resources) {
        if (name != "all" && daemon->resource(name) == nullptr) {
            print(context.err,
                  {ExitCode::failure, name,
                   "no such resource in the configuration that braid-satellite runs with",
                   "See 'braidadm sh-resources'; 'braidadm adjust' has it read the files anew."});
            return ExitCode::failure;
        }
    }
    Json all = Json::array();
    for (const DaemonResource& each : daemon->resources) {
        if (!every && std::ranges::find(options.resources, each.name) == options.resources.end()) {
            continue;
        }
        if (options.json) {
            all.push_back(json_of(each));
        } else {
            print_text(context.out, each);
        }
    }
    if (options.json) {
        context.out << all.dump(2, ' ', false, Json::error_handler_t::replace) << '\n';
    }
    return ExitCode::ok;
}

}  // namespace

Action configure_history(CLI::App& command) {
    auto options = std::make_shared<Options>();
    command.add_option("RES", options->resources, "Names of resources; else all");
    command.add_flag("--json", options->json, "Print a JSON array instead of text");
    return [options](Context& context) { return history(context, *options); };
}

}  // namespace braid::cli
