// SPDX-License-Identifier: GPL-2.0-or-later
//
// braidadm connect and disconnect: whether the node daemon makes the connections of a resource.
#include <fmt/format.h>

#include <CLI/App.hpp>
#include <memory>
#include <nlohmann/json.hpp>
#include <ostream>
#include <string>

#include "cli/configuration.h"
#include "cli/daemon.h"
#include "cli/verb.h"

namespace braid::cli {

namespace {

ExitCode tell(const Context& context, const PeerName& name, bool connect) {
    const auto chosen = choose_peer(context, name);
    if (!chosen) {
        print(context.err, chosen.error());
        return chosen.error().code;
    }
    const std::string& resource = chosen->resource.name;
    nlohmann::json request{{"verb", connect ? "connect" : "disconnect"}, {"resource", resource}};
    if (chosen->host && chosen->host->name == context.host) {
        print(context.err,
              {ExitCode::usage, chosen->host->name, "is this host", "Name one of its peers."});
        return ExitCode::usage;
    }
    if (chosen->host) {
        request["node"] = chosen->host->name;
    }
    const auto told = tell_daemon(context, resource, request);
    if (!told) {
        print(context.err, told.error());
        return told.error().code;
    }
    context.out << fmt::format("{}: {} {}\n", resource,
                               connect ? "connecting to" : "disconnected from",
                               chosen->host ? chosen->host->name : "all peers");
    return ExitCode::ok;
}

Action configure(CLI::App& command, bool connect) {
    auto name = std::make_shared<PeerName>();
    name->add_to(command, "The resource, and one of its peers; else all of them");
    return [name, connect](Context& context) { return tell(context, *name, connect); };
}

}  // namespace

Action configure_connect(CLI::App& command) {
    return configure(command, true);
}

Action configure_disconnect(CLI::App& command) {
    return configure(command, false);
}

}  // namespace braid::cli
