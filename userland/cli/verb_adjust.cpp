// SPDX-License-Identifier: GPL-2.0-or-later
//
// braidadm up, down and adjust: what the kernel of this host has, as the configuration says.
#include <fmt/format.h>

#include <CLI/App.hpp>
#include <algorithm>
#include <iterator>
#include <memory>
#include <ostream>
#include <string>
#include <vector>

#include "cli/configuration.h"
#include "cli/daemon.h"
#include "cli/kernel_facts.h"
#include "cli/module.h"
#include "cli/pools.h"
#include "cli/verb.h"
#include "config/plan.h"

namespace braid::cli {

namespace {

using config::KernelResource;
using config::NodeResource;

struct Options {
    std::string file = default_config_file;
    std::vector<std::string> names;
    bool dry_run = false;
    bool up = false;

    [[nodiscard]] bool every() const {
        return names.empty() || std::ranges::find(names, "all") != names.end();
    }
};

/// What is meant, and what this host is to have.
struct Task {
    config::Wanted wanted{};
    std::vector<NodeResource> chosen{};
    std::vector<std::string> strangers{};  ///< chosen, but this host is no member
    std::vector<config::Pool> pools{};

    [[nodiscard]] bool needs_kernel() const {
        return !std::ranges::all_of(chosen, &NodeResource::witness);
    }
};

Attempt<Task> read_task(const Context& context, const Options& options) {
    const auto loaded = load_valid_config(context, options.file);
    if (!loaded) {
        return tl::unexpected(loaded.error());
    }
    const auto chosen = choose_resources(*loaded, options.file, options.names);
    if (!chosen) {
        return tl::unexpected(chosen.error());
    }
    Task task;
    task.pools = loaded->pools;
    for (std::size_t i = 0; i < loaded->resources.size(); i++) {
        const config::Resource& resource = loaded->resources[i];
        const auto here = on_host(resource, context.host);
        const bool meant = std::ranges::find(*chosen, i) != chosen->end();
        if (here) {
            task.wanted.resources.push_back(*here);
        }
        if (here && meant) {
            task.chosen.push_back(*here);
        } else if (meant && !options.every()) {
            task.strangers.push_back(resource.name);
        }
    }
    return task;
}

/// A host that is only a witness need not have the module.
Attempt<std::vector<KernelResource>> kernel_for(Module& module, bool needed) {
    auto kernel = read_kernel(module.client());
    if (!kernel && !needed && kernel.error().code == ExitCode::module_not_loaded) {
        return std::vector<KernelResource>();
    }
    return kernel;
}

config::Plan make_plan(const Context& context, const Options& options, Task& task,
                       const std::vector<KernelResource>& kernel) {
    for (const NodeResource& resource : task.chosen) {
        for (const config::Volume& volume : resource.volumes) {
            if (!volume.disk.empty()) {
                task.wanted.disks[volume.disk] = read_disk(context, volume, resource.node_id);
            }
        }
    }
    if (options.every()) {
        return plan(task.wanted, kernel);
    }
    config::Plan all;
    const auto add = [&](const std::string& name) {
        task.wanted.only = name;
        config::Plan one = plan(task.wanted, kernel);
        std::ranges::move(one.operations, std::back_inserter(all.operations));
        std::ranges::move(one.refusals, std::back_inserter(all.refusals));
        std::ranges::move(one.notes, std::back_inserter(all.notes));
    };
    for (const NodeResource& resource : task.chosen) {
        add(resource.name);
    }
    for (const std::string& name : task.strangers) {
        if (find_resource(kernel, name) != nullptr) {
            add(name);
            continue;
        }
        all.refusals.push_back({name, fmt::format("this host, {}, is no member", context.host),
                                "The names of members are host names, as 'uname -n' prints them."});
    }
    return all;
}

ExitCode refuse(const Context& context, const config::Plan& plan) {
    for (const config::Refusal& refusal : plan.refusals) {
        print(context.err, {ExitCode::failure, refusal.what, refusal.cause, refusal.remedy});
    }
    context.err << "Nothing was changed.\n";
    return ExitCode::failure;
}

void report(const Context& context, const Options& options, const Task& task,
            const config::Plan& plan) {
    for (const NodeResource& resource : task.chosen) {
        if (resource.witness) {
            context.out << resource.name
                        << ": this host is its witness, and has nothing of it in the kernel\n";
        } else if (options.up) {
            context.out << resource.name << ": up\n";
        }
    }
    if (options.up) {
        return;
    }
    if (plan.operations.empty()) {
        context.out << "nothing to do: the kernel has what the configuration says\n";
    } else if (!options.dry_run) {
        context.out << fmt::format("adjusted, operations: {}\n", plan.operations.size());
    }
}

// ---- volumes of pools ----

std::vector<PooledReplica> pooled(const Task& task) {
    std::vector<PooledReplica> replicas;
    for (const NodeResource& resource : task.chosen) {
        const auto peers = std::ranges::count_if(resource.peers, &config::Peer::diskful);
        for (const config::Volume& volume : resource.volumes) {
            if (!volume.pool.empty()) {
                replicas.push_back({resource.name, static_cast<std::uint32_t>(peers), volume});
            }
        }
    }
    return replicas;
}

/// Only what is attached: its metadata move to the new end with the kernel's resize.
Attempt<void> grow(const Context& context, Module& module, const std::vector<Growth>& growth) {
    namespace disk_state = netlink::enums::disk_state;
    if (growth.empty()) {
        return {};
    }
    const auto kernel = read_kernel(module.client());
    if (!kernel) {
        return tl::unexpected(kernel.error());
    }
    for (const Growth& each : growth) {
        const KernelResource* resource = find_resource(*kernel, each.replica.resource);
        const auto attached =
            resource != nullptr &&
            std::ranges::any_of(resource->volumes, [&](const config::KernelVolume& volume) {
                return volume.volume == each.replica.volume.number &&
                       volume.disk_state == disk_state::attached;
            });
        if (!attached) {
            context.err << fmt::format(
                "braidadm: note: {} grows when it is attached: run 'braidadm adjust' then\n",
                each.replica.name());
            continue;
        }
        if (auto done = Storage::of(context, each.pool)->grow(each.name, each.size); !done) {
            return done;
        }
        const auto resized =
            module.run(config::resize_operation(each.replica.resource, each.replica.volume.number));
        if (!resized) {
            return resized;
        }
        context.out << fmt::format("{}: its volume has {} now\n", each.replica.name(),
                                   size_text(each.size));
    }
    return {};
}

Attempt<ExitCode> adjust(const Context& context, const Options& options) {
    auto task = read_task(context, options);
    if (!task) {
        return tl::unexpected(task.error());
    }
    const auto growth = find_growth(context, task->pools, pooled(*task));
    if (!growth) {
        return tl::unexpected(growth.error());
    }
    const auto module = Module::open(context);
    if (!module) {
        return tl::unexpected(module.error());
    }
    const auto kernel = kernel_for(**module, task->needs_kernel());
    if (!kernel) {
        return tl::unexpected(kernel.error());
    }
    const config::Plan plan = make_plan(context, options, *task, *kernel);
    for (const std::string& note : plan.notes) {
        context.err << "braidadm: note: " << note << '\n';
    }
    if (!plan.refusals.empty()) {
        return refuse(context, plan);
    }
    if (options.dry_run) {
        for (const config::Operation& operation : plan.operations) {
            context.out << to_string(operation) << '\n';
        }
        for (const Growth& each : *growth) {
            context.out << fmt::format("pool-grow name={} to={}\n", each.replica.name(), each.size);
        }
        report(context, options, *task, plan);
        return ExitCode::ok;
    }
    if (auto done = (*module)->run(plan.operations); !done) {
        return tl::unexpected(done.error());
    }
    if (auto grown = grow(context, **module, *growth); !grown) {
        return tl::unexpected(grown.error());
    }
    report(context, options, *task, plan);
    // Also where the kernel has it all: what is new may be the daemon's alone.
    return reload_daemon(context);
}

// ---- down ----

/// What keeps a resource from being taken down.
Attempt<void> may_go(const KernelResource& resource) {
    const auto open = std::ranges::find_if(
        resource.volumes, [](const config::KernelVolume& volume) { return volume.opens != 0; });
    if (open != resource.volumes.end()) {
        return tl::unexpected(Failure{ExitCode::failure, resource.name,
                                      fmt::format("/dev/braid{} is open", open->minor),
                                      "Stop what uses it first."});
    }
    return {};
}

/// A Primary hands its office back first, so that others need not wait for it.
Attempt<void> demote(const Context& context, const KernelResource& resource) {
    if (resource.writer != resource.node_id) {
        return {};
    }
    auto told = tell_daemon(context, resource.name,
                            {{"verb", "demote"}, {"resource", resource.name}, {"force", false}});
    if (told) {
        return {};
    }
    told.error().remedy = fmt::format(
        "It is Primary here. 'braidadm secondary --force {}' gives up without the others.",
        resource.name);
    return tl::unexpected(told.error());
}

/// Names of those that are up. What is in no file can be taken down, too.
Attempt<std::vector<std::string>> choose_down(const Context& context, const Options& options,
                                              const std::vector<KernelResource>& kernel) {
    const config::Loaded loaded = load_config(context, options.file);
    std::vector<std::string> chosen;
    for (const KernelResource& resource : kernel) {
        if (options.every() ||
            std::ranges::find(options.names, resource.name) != options.names.end()) {
            chosen.push_back(resource.name);
        }
    }
    for (const std::string& name : options.names) {
        if (name == "all" || find_resource(kernel, name) != nullptr) {
            continue;
        }
        if (loaded.has_errors()) {
            return tl::unexpected(Failure{ExitCode::config_invalid, name,
                                          "not in the kernel, and the configuration has errors",
                                          "Nothing was changed."});
        }
        const auto known = choose_resources(loaded.config, options.file, {name});
        if (!known) {
            return tl::unexpected(known.error());
        }
        const auto here = on_host(loaded.config.resources[known->front()], context.host);
        context.out << name
                    << (here && here->witness
                            ? ": this host is its witness, and has nothing of it in the kernel\n"
                            : ": not up\n");
    }
    return chosen;
}

Attempt<ExitCode> down(const Context& context, const Options& options) {
    const auto module = Module::open(context);
    if (!module) {
        return tl::unexpected(module.error());
    }
    // Without the module nothing is up.
    const auto kernel = kernel_for(**module, false);
    if (!kernel) {
        return tl::unexpected(kernel.error());
    }
    const auto chosen = choose_down(context, options, *kernel);
    if (!chosen) {
        return tl::unexpected(chosen.error());
    }
    bool all = true;
    std::vector<config::Operation> operations;
    for (const std::string& name : *chosen) {
        const auto may = may_go(*find_resource(*kernel, name));
        if (!may) {
            print(context.err, may.error());
            all = false;
        }
        operations.push_back(config::down_operation(name));
    }
    if (!all) {
        context.err << "Nothing was changed.\n";
        return ExitCode::failure;
    }
    for (const std::string& name : *chosen) {
        if (const auto demoted = demote(context, *find_resource(*kernel, name)); !demoted) {
            return tl::unexpected(demoted.error());
        }
    }
    if (auto done = (*module)->run(operations); !done) {
        return tl::unexpected(done.error());
    }
    for (const std::string& name : *chosen) {
        context.out << name << ": down\n";
    }
    return reload_daemon(context);
}

template <class Do>
Action action(std::shared_ptr<Options> options, Do what) {
    return [options = std::move(options), what](Context& context) {
        const auto done = what(context, *options);
        if (!done) {
            print(context.err, done.error());
            return done.error().code;
        }
        return *done;
    };
}

}  // namespace

Action configure_up(CLI::App& command) {
    auto options = std::make_shared<Options>();
    options->up = true;
    add_config_option(command, options->file);
    command.add_option("RES", options->names, "Names of resources, or all")->required();
    return action(options, adjust);
}

Action configure_down(CLI::App& command) {
    auto options = std::make_shared<Options>();
    add_config_option(command, options->file);
    command.add_option("RES", options->names, "Names of resources, or all: what the kernel has")
        ->required();
    return action(options, down);
}

Action configure_adjust(CLI::App& command) {
    auto options = std::make_shared<Options>();
    add_config_option(command, options->file);
    command.add_option("RES", options->names, "Names of resources; else all");
    command.add_flag("--dry-run", options->dry_run, "Show what would be done, and do nothing");
    return action(options, adjust);
}

}  // namespace braid::cli
