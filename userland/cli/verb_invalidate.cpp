// SPDX-License-Identifier: GPL-2.0-or-later
//
// braidadm invalidate: this host's replica is worth nothing any more, and is copied anew. Its disks
// are detached, their metadata say so, and they are attached again; the vote in it stays.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <CLI/App.hpp>
#include <algorithm>
#include <functional>
#include <memory>
#include <ostream>
#include <string>
#include <thread>
#include <vector>

#include "cli/configuration.h"
#include "cli/daemon_view.h"
#include "cli/kernel_facts.h"
#include "cli/module.h"
#include "cli/verb.h"
#include "config/plan.h"

namespace braid::cli {

namespace {

namespace disk_state = netlink::enums::disk_state;
using config::KernelResource;
using config::KernelVolume;
using Operations = std::vector<config::Operation>;

struct Options {
    std::string file = default_config_file;
    std::string resource;
};

/// This host's replica: all volumes of a resource, which are in sync together or not at all.
struct Replica {
    std::string resource{};
    std::uint32_t node = 0;
    std::vector<OwnVolume> volumes{};
};

Attempt<Replica> choose(const Context& context, const Options& options) {
    const auto stroke = options.resource.find('/');
    if (stroke != std::string::npos || options.resource == "all") {
        return tl::unexpected(
            Failure{ExitCode::usage, options.resource, "not the name of one resource",
                    stroke == std::string::npos
                        ? "Name the resource."
                        : fmt::format("All volumes of a replica are given up together: 'braidadm "
                                      "invalidate {}'.",
                                      options.resource.substr(0, stroke))});
    }
    const auto loaded = load_valid_config(context, options.file);
    if (!loaded) {
        return tl::unexpected(loaded.error());
    }
    auto volumes = choose_volumes(*loaded, context, options.file, {options.resource}, Having::disk);
    if (!volumes) {
        return tl::unexpected(volumes.error());
    }
    return Replica{options.resource, volumes->front().node, std::move(*volumes)};
}

/// The daemon's view of the resource: what all depends on.
Attempt<DaemonResource> ask(const Context& context, const Replica& replica) {
    const auto view = ask_daemon_view(context);
    if (!view) {
        Failure failure = view.error();
        failure.remedy += failure.remedy.empty() ? "" : " ";
        failure.remedy += "Without it nobody knows who else has the data.";
        return tl::unexpected(std::move(failure));
    }
    const DaemonResource* found = view->resource(replica.resource);
    if (found == nullptr || found->epoch == 0) {
        const bool silent = found == nullptr || found->why.empty();
        return tl::unexpected(
            Failure{ExitCode::failure, replica.resource,
                    silent ? "braid-satellite knows no members of it" : found->why,
                    fmt::format("'braidadm explain {}' says more.", replica.resource)});
    }
    return *found;
}

/// Members that have all that was acknowledged, as far as their daemons and the register say.
/// One that is suspect may have lost what this one has. Without a Primary nobody drops a replica
/// that goes, so there the others have to stand where the register stands.
std::vector<std::string> others(const DaemonResource& resource, std::uint32_t self) {
    std::vector<std::string> names;
    for (const DaemonMember& each : resource.members) {
        if (each.node != self && each.in_sync && each.up && each.diskful && !each.suspect &&
            (resource.writer || each.epoch == resource.epoch)) {
            names.push_back(each.name);
        }
    }
    return names;
}

bool listed(const DaemonResource& resource, std::uint32_t self) {
    return std::ranges::any_of(resource.members, [self](const DaemonMember& each) {
        return each.node == self && each.in_sync;
    });
}

Failure no_other(const Replica& replica) {
    return {ExitCode::failure, replica.resource,
            "no other replica in sync is reached: this one may be the only one with all the data",
            fmt::format("Bring another one in sync first; 'braidadm explain {}' shows them.",
                        replica.resource)};
}

/// Asks again until it is so, for as long as an end is waited for. False: it has not come.
bool become(const Context& context, const std::function<bool()>& so) {
    constexpr std::chrono::milliseconds pause{50};
    const auto until = std::chrono::steady_clock::now() + context.patience;
    while (!so()) {
        if (std::chrono::steady_clock::now() >= until) {
            return false;
        }
        std::this_thread::sleep_for(pause);
    }
    return true;
}

/// The volumes of the replica as the kernel has them; all is looked at before anything is changed.
Attempt<Operations> detaching(const Context& context, const Replica& replica,
                              const KernelResource& kernel) {
    Operations operations;
    for (const OwnVolume& own : replica.volumes) {
        const auto is = std::ranges::find(kernel.volumes, own.volume.number, &KernelVolume::volume);
        if (is == kernel.volumes.end()) {
            return tl::unexpected(
                Failure{ExitCode::failure, own.name(), "not up",
                        fmt::format("Bring it up first: 'braidadm up {}'.", own.resource)});
        }
        const config::DiskFacts facts = read_disk(context, own.volume, replica.node);
        if (!facts.problem.empty()) {
            return tl::unexpected(Failure{
                ExitCode::failure, own.name(),
                fmt::format("{} cannot be attached again: {}", own.volume.disk, facts.problem),
                "Nothing was changed."});
        }
        if (is->disk_state != disk_state::diskless) {
            operations.push_back(config::detach_operation(own.resource, own.volume.number));
        }
    }
    if (!operations.empty() && serves_alone(kernel)) {
        return tl::unexpected(no_other(replica));
    }
    return operations;
}

/// From here on nothing that is acknowledged counts on this replica: the register says so, or there
/// is no Primary whose writes could. Then another one still has to be there.
Attempt<std::vector<std::string>> await_dropped(const Context& context, const Replica& replica) {
    Attempt<DaemonResource> resource;
    const bool dropped = become(context, [&] {
        resource = ask(context, replica);
        return resource && (!listed(*resource, replica.node) || !resource->writer);
    });
    if (!resource) {
        return tl::unexpected(resource.error());
    }
    auto names = others(*resource, replica.node);
    if (names.empty()) {
        return tl::unexpected(no_other(replica));
    }
    if (!dropped) {
        return tl::unexpected(Failure{
            ExitCode::failure, replica.resource,
            fmt::format("{}, the Primary, has not gone on without this replica", *resource->writer),
            fmt::format("'braidadm explain {}' says what it waits for.", replica.resource)});
    }
    return names;
}

/// The kernel says that a disk is gone a little before it lets go of it.
Attempt<Devices> open(const Context& context, const OwnVolume& own) {
    Attempt<Devices> devices;
    become(context, [&] {
        devices = Devices::open(context, {own.volume.disk, own.volume.meta_disk},
                                sys::BlockDevice::Access::exclusive);
        return devices || !devices.error().cause.starts_with("in use");
    });
    return devices;
}

Attempt<std::vector<std::string>> give_up(const Context& context, const Replica& replica) {
    auto names = await_dropped(context, replica);
    if (!names) {
        return names;
    }
    std::vector<Devices> all;
    for (const OwnVolume& own : replica.volumes) {
        auto devices = open(context, own);
        if (!devices) {
            return tl::unexpected(devices.error());
        }
        all.push_back(std::move(*devices));
    }
    for (const Devices& devices : all) {
        if (auto written = write_invalid(devices.holder(), devices.external()); !written) {
            return tl::unexpected(written.error());
        }
    }
    return names;
}

Attempt<void> invalidate(const Context& context, const Options& options) {
    const auto replica = choose(context, options);
    if (!replica) {
        return tl::unexpected(replica.error());
    }
    const auto before = ask(context, *replica);
    if (!before) {
        return tl::unexpected(before.error());
    }
    if (others(*before, replica->node).empty()) {
        return tl::unexpected(no_other(*replica));
    }
    const auto module = Module::open(context);
    const auto kernel = module
                            ? read_kernel((*module)->client())
                            : Attempt<std::vector<KernelResource>>(tl::unexpected(module.error()));
    if (!kernel) {
        return tl::unexpected(kernel.error());
    }
    const KernelResource* resource = find_resource(*kernel, replica->resource);
    const auto detach =
        detaching(context, *replica, resource == nullptr ? KernelResource{} : *resource);
    if (!detach) {
        return tl::unexpected(detach.error());
    }
    if (auto done = (*module)->run(*detach); !done) {
        return done;
    }
    auto names = give_up(context, *replica);
    // In any case: what a failure has left of it counts as it is.
    Operations attach;
    for (const OwnVolume& own : replica->volumes) {
        attach.push_back(config::attach_operation(own.resource, own.volume));
    }
    auto attached = (*module)->run(attach);
    if (!names) {
        names.error().remedy += fmt::format(
            "{}The replica is {}.", names.error().remedy.empty() ? "" : "\n",
            attached ? "attached again" : "detached: 'braidadm attach' attaches it again");
        return tl::unexpected(names.error());
    }
    if (!attached) {
        return attached;
    }
    context.out << fmt::format(
        "{0}: this replica is copied anew from {1}; 'braidadm wait-sync {0}' waits for that\n",
        replica->resource, fmt::join(*names, " or "));
    return {};
}

}  // namespace

Action configure_invalidate(CLI::App& command) {
    auto options = std::make_shared<Options>();
    add_config_option(command, options->file);
    command.add_option("RES", options->resource, "Name of the resource")->required();
    return [options](Context& context) { return finish(context, invalidate(context, *options)); };
}

}  // namespace braid::cli
