// SPDX-License-Identifier: GPL-2.0-or-later
//
// braidadm status: the kernel's state of resources, and the node daemon's reasons for it.
#include <fmt/format.h>

#include <CLI/App.hpp>
#include <CLI/Validators.hpp>
#include <algorithm>
#include <memory>
#include <ostream>
#include <string>
#include <vector>

#include "cli/configuration.h"
#include "cli/kernel_reader.h"
#include "cli/status_report.h"
#include "config/nearest.h"

namespace braid::cli {

namespace {

struct Options {
    std::string file = default_config_file;
    std::vector<std::string> resources;
    std::string colour = "auto";
    bool json = false;
    bool verbose = false;
};

/// What the daemon calls a node goes for what the configuration does not name.
NodeName with_daemon(NodeName names, const std::optional<DaemonView>& daemon) {
    return [names = std::move(names), &daemon](const std::string& resource, std::uint32_t node) {
        if (const auto* known = daemon ? daemon->resource(resource) : nullptr) {
            const auto found = std::ranges::find(known->members, node, &DaemonMember::node);
            if (found != known->members.end() && !found->name.empty()) {
                return found->name;
            }
        }
        return names(resource, node);
    };
}

bool is_witness(const DaemonResource& resource) {
    return resource.role == "witness";
}

/// Without the module there may still be resources of which this node is a witness.
sys::Result<std::vector<ResourceView>, Failure> read_kernel(const Context& context,
                                                            const StatusReport& report) {
    auto reader = KernelReader::open(context);
    if (!reader) {
        if (reader.error().code == ExitCode::module_not_loaded && report.daemon &&
            std::ranges::any_of(report.daemon->resources, is_witness)) {
            return {};
        }
        return tl::unexpected(reader.error());
    }
    return reader->read();
}

class Gatherer {
  public:
    Gatherer(const Context& context, const Options& options)
        : context_(context),
          options_(options),
          every_(options.resources.empty() ||
                 std::ranges::find(options.resources, "all") != options.resources.end()) {}

    sys::Result<StatusReport, Failure> gather() {
        StatusReport report;
        auto daemon = ask_daemon_view(context_);
        if (daemon) {
            report.daemon = std::move(*daemon);
        } else {
            report.daemon_problem = daemon.error();
        }
        const auto views = read_kernel(context_, report);
        if (!views) {
            return tl::unexpected(views.error());
        }
        const NodeName name_of = with_daemon(node_names(options_.file), report.daemon);
        for (const auto& view : *views) {
            if (chosen(view.resource.name)) {
                report.resources.push_back(derive(view, name_of));
            }
        }
        if (report.daemon) {
            std::ranges::copy_if(
                report.daemon->resources, std::back_inserter(report.witnesses),
                [&](const auto& each) { return is_witness(each) && chosen(each.name); });
        }
        if (auto failure = find_down(report)) {
            return tl::unexpected(std::move(*failure));
        }
        return report;
    }

  private:
    [[nodiscard]] bool chosen(const std::string& name) const {
        return every_ || std::ranges::find(options_.resources, name) != options_.resources.end();
    }

    /// Names that were asked for and not found are down, or nobody knows them.
    [[nodiscard]] std::optional<Failure> find_down(StatusReport& report) const {
        std::optional<config::Config> config;
        for (const auto& name : options_.resources) {
            if (name == "all" || found(report, name)) {
                continue;
            }
            if (!config) {
                config = read_config(options_.file).config;
            }
            const auto known = choose_resources(*config, options_.file, {name});
            if (!known) {
                Failure failure = known.error();
                failure.cause =
                    fmt::format("no such resource in the kernel or in {}", options_.file);
                return failure;
            }
            report.down.push_back(name);
        }
        return std::nullopt;
    }

    static bool found(const StatusReport& report, const std::string& name) {
        return std::ranges::find(report.resources, name, &ResourceStatus::name) !=
                   report.resources.end() ||
               std::ranges::find(report.witnesses, name, &DaemonResource::name) !=
                   report.witnesses.end();
    }

    const Context& context_;
    const Options& options_;
    bool every_;
};

ExitCode status(Context& context, const Options& options) {
    const auto report = Gatherer(context, options).gather();
    if (!report) {
        print(context.err, report.error());
        return report.error().code;
    }
    if (options.json) {
        print_status_json(context.out, *report);
        for (const auto& name : report->down) {
            print(context.err,
                  {ExitCode::failure, name, "not up", "Bring it up with 'braidadm up'."});
        }
    } else {
        const bool colour =
            options.colour == "always" || (options.colour == "auto" && context.terminal);
        print_status_text(context.out, *report, {.colour = colour, .verbose = options.verbose});
    }
    return report->down.empty() ? ExitCode::ok : ExitCode::failure;
}

}  // namespace

Action configure_status(CLI::App& command) {
    auto options = std::make_shared<Options>();
    add_config_option(command, options->file);
    command.add_option("RES", options->resources, "Names of resources; else all");
    command.add_flag("--json", options->json, "Print a JSON array instead of text");
    command.add_flag("--verbose", options->verbose, "Also what is as usual, and numbers");
    command.add_option("--color", options->colour, "auto (on a terminal), always or never")
        ->check(CLI::IsMember({"auto", "always", "never"}));
    return [options](Context& context) { return status(context, *options); };
}

}  // namespace braid::cli
