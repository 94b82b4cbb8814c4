// SPDX-License-Identifier: GPL-2.0-or-later
//
// braidadm explain: why a resource is as it is, how each member sees it, and what to do.
#include <fmt/format.h>

#include <CLI/App.hpp>
#include <algorithm>
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
    std::string resource;
    bool json = false;
};

/// What the daemon says, which may begin with a host's name, after a colon.
std::string clause(const std::string& text) {
    return text + (text.ends_with('.') ? "" : ".");
}

std::string yes(bool value, const char* word, const char* otherwise) {
    return value ? word : otherwise;
}

void print_members(std::ostream& out, const json& members) {
    std::size_t width = 0;
    for (const json& each : members) {
        width = std::max(width, each.value("name", "").size());
    }
    for (const json& each : members) {
        std::string line =
            fmt::format("    {:<{}}  {:<8}", each.value("name", ""), width, each.value("role", ""));
        line += yes(each.value("up", false), "  up  ", "  away");
        if (each.value("voter", false)) {
            line += yes(each.value("votes", false), "  votes       ", "  cannot vote ");
        } else {
            line += "  has no vote ";
        }
        if (each.value("role", "") == "diskful") {
            line += yes(each.value("in-sync", false), "  in sync    ", "  not in sync");
            line += yes(each.value("suspect", false), "  suspect", "");
        }
        if (const auto epoch = each.value("epoch", 0UL); epoch != 0) {
            line += fmt::format("  epoch {}", epoch);
        }
        out << line << '\n';
    }
}

void print_fork(std::ostream& out, const json& fork, const std::string& resource,
                const std::string& self) {
    const std::string name = fork.value("name", "");
    const auto minutes = fork.value("age-ms", 0L) / 60000;
    out << fmt::format(
        "  {} follows another lineage{}{}: {} bytes differ by what was written here, {} by what "
        "was "
        "written there.\n"
        "    'braidadm resolve {} --discard {}' here drops the changes of {}; the same on {} with "
        "--discard {} those of {}.\n",
        name,
        fork.value("epoch", 0UL) == 0 ? "" : fmt::format(" since epoch {}", fork["epoch"].dump()),
        minutes == 0 ? "" : fmt::format(", {} minutes ago", minutes), fork["ours"].dump(),
        fork["theirs"].dump(), resource, name, name, name, self, self);
}

void print_resource(std::ostream& out, const json& each, const std::string& self) {
    const std::string name = each.value("name", "");
    out << name << ": ";
    if (!each.value("ready", false)) {
        out << clause(each.value("why", "")) << '\n';
        return;
    }
    const json& writer = each["writer"];
    out << fmt::format("epoch {}, Primary: {}\n", each.value("epoch", 0UL),
                       writer.is_string() ? writer.get<std::string>() : "nobody");
    print_members(out, each["members"]);
    const json& held = each["held"];
    if (held.value("cause", "none") != "none") {
        out << "  I/O is held: " << clause(held.value("text", "")) << '\n';
    }
    if (each.value("suspended", false) && held.value("cause", "") != "suspended") {
        out << fmt::format(
            "  I/O is suspended by an administrator: 'braidadm resume-io {}' ends that.\n", name);
    }
    const json& promotion = each["promotion"];
    const bool primary = writer.is_string() && writer.get<std::string>() == self;
    if (promotion.value("cause", "none") != "none") {
        out << "  This node cannot become Primary now: " << clause(promotion.value("text", ""))
            << '\n';
    } else if (!primary) {
        out << "  This node can become Primary.\n";
    }
    for (const json& fork : each["forks"]) {
        print_fork(out, fork, name, self);
    }
    for (const json& link : each["links"]) {
        if (link.value("standalone", false)) {
            out << fmt::format("  {} was disconnected: 'braidadm connect {}:{}'.\n",
                               link.value("name", ""), name, link.value("name", ""));
        } else if (!link.value("up", false) && !link.value("why", "").empty()) {
            out << fmt::format("  No replication with {}: {}.\n", link.value("name", ""),
                               link.value("why", ""));
        }
    }
}

void print_peers(std::ostream& out, const json& all) {
    for (const json& peer : all["peers"]) {
        if (!peer.value("connected", false)) {
            out << fmt::format("The daemon of {} is not reached: {}\n", peer.value("name", ""),
                               clause(peer.value("why", "").empty() ? "it has not connected"
                                                                    : peer.value("why", "")));
        }
    }
    for (const json& refusal : all["refusals"]) {
        out << fmt::format("Refused {} times: {}{}: {}\n", refusal.value("count", 0UL),
                           refusal.value("address", ""),
                           refusal.value("node", "").empty()
                               ? ""
                               : fmt::format(" ({})", refusal.value("node", "")),
                           clause(refusal.value("why", "")));
    }
}

ExitCode explain(Context& context, const Options& options) {
    const auto answer =
        tell_daemon(context, options.resource, {{"verb", "show"}, {"resource", options.resource}});
    if (!answer) {
        print(context.err, answer.error());
        return answer.error().code;
    }
    const json& resources = (*answer)["resources"];
    if (!options.resource.empty() && resources.empty()) {
        print(context.err,
              {ExitCode::failure, options.resource,
               "no such resource in the configuration that braid-satellite runs with",
               "See 'braidadm sh-resources'; 'braidadm adjust' has it read the files anew."});
        return ExitCode::failure;
    }
    if (options.json) {
        context.out << answer->dump(2, ' ', false, json::error_handler_t::replace) << '\n';
        return ExitCode::ok;
    }
    if (answer->value("drained", false)) {
        context.out << fmt::format("{} is drained: 'braidadm undrain' ends that.\n",
                                   answer->value("node", ""));
    }
    for (const json& each : resources) {
        print_resource(context.out, each, answer->value("node", ""));
    }
    print_peers(context.out, *answer);
    return ExitCode::ok;
}

}  // namespace

Action configure_explain(CLI::App& command) {
    auto options = std::make_shared<Options>();
    command.add_option("RES", options->resource, "Name of the resource; else all");
    command.add_flag("--json", options->json, "Print one JSON object instead of text");
    return [options](Context& context) { return explain(context, *options); };
}

}  // namespace braid::cli
