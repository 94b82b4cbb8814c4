// SPDX-License-Identifier: GPL-2.0-or-later
//
// braidadm drain and undrain: a host that is to be shut down uses nothing, and it is said what it
// is needed for.
#include <fmt/format.h>

#include <CLI/App.hpp>
#include <memory>
#include <ostream>
#include <string>

#include "cli/daemon.h"
#include "cli/metadata.h"
#include "cli/verb.h"

namespace braid::cli {

namespace {

using nlohmann::json;

/// Of a machine's memory.
constexpr std::chrono::hours migration_patience{1};

/// The daemon of a host decides for that host.
Attempt<void> check_host(const Context& context, const std::string& host, const char* verb) {
    if (host.empty() || host == context.host) {
        return {};
    }
    return tl::unexpected(Failure{ExitCode::usage, host,
                                  fmt::format("this host is {}", context.host),
                                  fmt::format("Run 'braidadm {}' on {}.", verb, host)});
}

/// What is lost, for this resource, when this host goes; empty if nothing is.
std::string need_of(const json& resource, const std::string& self) {
    bool has_data = false;
    bool others_have = false;
    std::size_t voters = 0;
    std::size_t others_vote = 0;
    for (const json& each : resource["members"]) {
        const bool own = each.value("name", "") == self;
        const bool up = each.value("up", false) && !own;
        const bool in_sync = each.value("in-sync", false);
        has_data = has_data || (own && in_sync);
        others_have = others_have || (up && in_sync && each.value("diskful", false));
        voters += each.value("voter", false) ? 1 : 0;
        others_vote += up && each.value("votes", false) ? 1 : 0;
    }
    if (has_data && !others_have) {
        return "no other host that is up has all its data";
    }
    if (others_vote * 2 <= voters) {
        return fmt::format("without this host {} of {} voters would be up: too few{}", others_vote,
                           voters, voters == 2 ? ", unless 'quorum off' is configured" : "");
    }
    return {};
}

/// Whether this host can go, as far as one resource is concerned. Says why not, and goes on.
bool drain_resource(Context& context, const json& resource, const std::string& self) {
    const std::string name = resource.value("name", "");
    if (!resource.value("ready", false)) {
        return true;
    }
    if (resource.contains("vm") && resource["vm"].value("here", false)) {
        const auto moved =
            tell_daemon(context, name, {{"verb", "vm"}, {"do", "migrate"}, {"resource", name}},
                        migration_patience);
        if (!moved) {
            print(context.err, moved.error());
            return false;
        }
        context.out << fmt::format("{}: its machine has moved\n", name);
    } else if (resource["writer"].is_string() && resource["writer"].get<std::string>() == self) {
        const auto demoted =
            tell_daemon(context, name, {{"verb", "demote"}, {"resource", name}, {"force", false}});
        if (!demoted) {
            print(context.err, demoted.error());
            return false;
        }
        context.out << fmt::format("{}: this host is Secondary now\n", name);
    }
    const std::string need = need_of(resource, self);
    if (need.empty()) {
        return true;
    }
    print(context.err, {ExitCode::refused, name, need,
                        fmt::format("'braidadm explain {}' says which members are away.", name)});
    return false;
}

ExitCode drain(Context& context, const std::string& host) {
    if (const auto here = check_host(context, host, "drain"); !here) {
        return finish(context, here);
    }
    // First, so that nobody opens what was just closed.
    const auto told = tell_daemon(context, context.host, {{"verb", "drain"}, {"on", true}});
    if (!told) {
        print(context.err, told.error());
        return told.error().code;
    }
    const auto shown = tell_daemon(context, context.host, {{"verb", "show"}});
    if (!shown) {
        print(context.err, shown.error());
        return shown.error().code;
    }
    ExitCode code = ExitCode::ok;
    for (const json& each : (*shown)["resources"]) {
        if (!drain_resource(context, each, shown->value("node", ""))) {
            code = ExitCode::refused;
        }
    }
    context.out << fmt::format("{} becomes Primary of nothing until 'braidadm undrain'; it is {}\n",
                               context.host,
                               code == ExitCode::ok ? "not needed for anything" : "still needed");
    return code;
}

ExitCode undrain(Context& context, const std::string& host) {
    if (const auto here = check_host(context, host, "undrain"); !here) {
        return finish(context, here);
    }
    const auto told = tell_daemon(context, context.host, {{"verb", "drain"}, {"on", false}});
    if (!told) {
        print(context.err, told.error());
        return told.error().code;
    }
    return ExitCode::ok;
}

Action configure(CLI::App& command, ExitCode (*action)(Context&, const std::string&)) {
    auto host = std::make_shared<std::string>();
    command.add_option("HOST", *host, "This host; no other can be meant");
    return [host, action](Context& context) { return action(context, *host); };
}

}  // namespace

Action configure_drain(CLI::App& command) {
    return configure(command, drain);
}

Action configure_undrain(CLI::App& command) {
    return configure(command, undrain);
}

}  // namespace braid::cli
