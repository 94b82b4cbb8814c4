// SPDX-License-Identifier: GPL-2.0-or-later
//
// braidadm vm: the virtual machine of a resource. The node daemon does it; console is virsh's.
#include <fmt/format.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cerrno>
#include <memory>
#include <ostream>
#include <string>
#include <system_error>

#include "cli/daemon.h"
#include "cli/verb.h"

namespace braid::cli {

namespace {

using nlohmann::json;
template <class T>
using Attempt = sys::Result<T, Failure>;

/// Longer than a machine may take to shut down, or to be copied.
constexpr std::chrono::hours order_patience{25};

struct Options {
    std::string order;
    std::string resource;
    std::string host;
    bool cancel = false;
    bool json = false;
};

/// What the daemon says of the resource's machine.
Attempt<json> machine_of(const Context& context, const std::string& resource) {
    const auto shown = tell_daemon(context, resource, {{"verb", "show"}, {"resource", resource}});
    if (!shown) {
        return tl::unexpected(shown.error());
    }
    for (const json& each : shown->value("resources", json::array())) {
        if (each.value("name", "") == resource && each.contains("vm")) {
            return each["vm"];
        }
    }
    return tl::unexpected(
        Failure{ExitCode::failure, resource, "it has no virtual machine in the configuration",
                "Give it a section 'vm', see braid.res(5); 'braidadm adjust' has it read."});
}

std::string text_in(const json& object, const char* name) {
    const auto found = object.find(name);
    return found != object.end() && found->is_string() ? found->get<std::string>() : "";
}

ExitCode show(Context& context, const Options& options) {
    const auto machine = machine_of(context, options.resource);
    if (!machine) {
        return finish(context, tl::unexpected(machine.error()));
    }
    if (options.json) {
        context.out << machine->dump(2) << '\n';
        return ExitCode::ok;
    }
    const std::string where = text_in(*machine, "where");
    std::string line = where.empty() ? "off" : "on " + where;
    if (machine->value("here", false)) {
        line = fmt::format("{} here", text_in(*machine, "state"));
    }
    context.out << fmt::format("{}: {}; wanted: {}\n", options.resource, line,
                               text_in(*machine, "wanted"));
    const auto more = [&](const char* name, const std::string& label) {
        if (const std::string text = text_in(*machine, name); !text.empty()) {
            context.out << fmt::format("  {}: {}\n", label, text);
        }
    };
    more("doing", "now");
    more("why", "last trouble");
    more("libvirt", "libvirt");
    if (machine->value("gave-up", false)) {
        context.out << "  this host has given it up; 'braidadm vm start' tries again\n";
    }
    return ExitCode::ok;
}

ExitCode order(Context& context, const Options& options) {
    const json request{{"verb", "vm"},
                       {"do", options.cancel ? "cancel" : options.order},
                       {"resource", options.resource},
                       {"node", options.host}};
    const auto told = tell_daemon(context, options.resource, request, order_patience);
    if (!told) {
        return finish(context, tl::unexpected(told.error()));
    }
    if (const std::string text = text_in(*told, "text"); !text.empty()) {
        context.out << fmt::format("{}: {}\n", options.resource, text);
    }
    return ExitCode::ok;
}

/// Does not return if it can be had.
ExitCode console(Context& context, const Options& options) {
    const auto machine = machine_of(context, options.resource);
    if (!machine) {
        return finish(context, tl::unexpected(machine.error()));
    }
    if (!machine->value("here", false)) {
        const std::string where = text_in(*machine, "where");
        return finish(context,
                      tl::unexpected(Failure{
                          ExitCode::failure, options.resource,
                          where.empty() ? "the machine is off" : "the machine runs on " + where,
                          where.empty() ? "Start it with 'braidadm vm start'."
                                        : "Run 'braidadm vm console' there."}));
    }
    context.out.flush();
    ::execlp("virsh", "virsh", "-c", "qemu:///system", "console", options.resource.c_str(),
             static_cast<char*>(nullptr));
    return finish(context, tl::unexpected(Failure{ExitCode::failure, "virsh",
                                                  std::generic_category().message(errno),
                                                  "Install the package libvirt-clients."}));
}

}  // namespace

Action configure_vm(CLI::App& command) {
    auto options = std::make_shared<Options>();
    command
        .add_option("ORDER", options->order,
                    "define, start, stop, kill, migrate, console, status or undefine")
        ->required()
        ->check(CLI::IsMember(
            {"define", "start", "stop", "kill", "migrate", "console", "status", "undefine"}));
    command.add_option("RES", options->resource, "Name of the resource")->required();
    command.add_option("HOST", options->host, "Of migrate: where to; without, the best host");
    command.add_flag("--cancel", options->cancel, "Of migrate: end the one that goes on");
    command.add_flag("--json", options->json, "Of status: print one JSON object");
    return [options](Context& context) {
        if ((options->cancel || !options->host.empty()) && options->order != "migrate") {
            return finish(context, tl::unexpected(Failure{ExitCode::usage, options->order,
                                                          "HOST and --cancel are for 'vm migrate'",
                                                          "Run 'braidadm vm --help' for usage."}));
        }
        if (options->order == "status") {
            return show(context, *options);
        }
        return options->order == "console" ? console(context, *options) : order(context, *options);
    };
}

}  // namespace braid::cli
