// SPDX-License-Identifier: GPL-2.0-or-later
//
// braidadm attach, detach and resize: the disks of volumes that are up.
#include <fmt/format.h>

#include <CLI/App.hpp>
#include <algorithm>
#include <memory>
#include <ostream>
#include <string>
#include <vector>

#include "cli/configuration.h"
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
    std::vector<std::string> names;
};

/// A volume that is meant, and what the kernel has of it.
struct Subject {
    OwnVolume own;
    const KernelResource& resource;
    const KernelVolume& is;
};

Attempt<Subject> subject_of(const OwnVolume& own, const std::vector<KernelResource>& kernel) {
    if (const KernelResource* resource = find_resource(kernel, own.resource)) {
        const auto is =
            std::ranges::find(resource->volumes, own.volume.number, &KernelVolume::volume);
        if (is != resource->volumes.end()) {
            return Subject{own, *resource, *is};
        }
    }
    return tl::unexpected(
        Failure{ExitCode::failure, own.name(), "not up",
                fmt::format("Bring it up first: 'braidadm up {}'.", own.resource)});
}

Attempt<void> attach(const Context& context, const Subject& subject, Operations& operations) {
    const auto& [own, resource, is] = subject;
    if (is.disk_state == disk_state::attached) {
        context.out << own.name() << ": attached already\n";
        return {};
    }
    const config::DiskFacts facts = read_disk(context, own.volume, resource.node_id);
    if (!facts.problem.empty()) {
        return tl::unexpected(Failure{
            ExitCode::failure, own.name(),
            fmt::format("{} cannot be attached: {}", own.volume.disk, facts.problem),
            fmt::format("If it is to be a new replica, use 'braidadm create-md {}'.", own.name())});
    }
    if (is.disk_state == disk_state::failed || is.disk_state == disk_state::detaching) {
        operations.push_back(config::detach_operation(own.resource, own.volume.number));
    }
    operations.push_back(config::attach_operation(own.resource, own.volume));
    return {};
}

Attempt<void> detach(const Context& context, const Subject& subject, Operations& operations) {
    const auto& [own, resource, is] = subject;
    if (is.disk_state == disk_state::diskless) {
        context.out << own.name() << ": diskless already\n";
        return {};
    }
    if (is.disk_state == disk_state::attached && serves_alone(resource)) {
        return tl::unexpected(
            Failure{ExitCode::failure, own.name(),
                    "its disk is the only one in sync that the Primary, this node, reaches",
                    "Bring another replica in sync first, or make this node Secondary."});
    }
    operations.push_back(config::detach_operation(own.resource, own.volume.number));
    return {};
}

Attempt<void> resize(const Context&, const Subject& subject, Operations& operations) {
    operations.push_back(config::resize_operation(subject.own.resource, subject.own.volume.number));
    return {};
}

/// What came of it.
Attempt<void> report(const Context& context, Module& module, const std::vector<OwnVolume>& volumes,
                     bool sizes) {
    const auto states = module.client().volumes();
    if (!states) {
        return tl::unexpected(module_failure("state of the kernel", states.error()));
    }
    for (const OwnVolume& own : volumes) {
        const auto state = std::ranges::find_if(*states, [&](const sys::VolumeState& each) {
            return each.resource == own.resource && each.volume == own.volume.number;
        });
        if (state == states->end()) {
            continue;
        }
        const auto& names = netlink::enumeration::disk_state.entries;
        const auto name =
            std::ranges::find(names, std::uint64_t{state->disk_state}, &netlink::EnumEntry::value);
        context.out << fmt::format("{}: ", own.name());
        if (sizes) {
            context.out << fmt::format(
                "the volume has {} bytes{}\n", state->size,
                state->disk_size == 0 ? std::string()
                                      : fmt::format(", its disk room for {}", state->disk_size));
        } else {
            context.out << (name == names.end() ? "of an unknown state" : name->name) << '\n';
        }
    }
    return {};
}

using Prepare = Attempt<void> (*)(const Context&, const Subject&, Operations&);

/// All are looked at before the first is changed.
Attempt<void> change(const Context& context, const Options& options, Prepare prepare) {
    const auto loaded = load_valid_config(context, options.file);
    if (!loaded) {
        return tl::unexpected(loaded.error());
    }
    // A diskless Primary makes a volume larger when all disks have grown.
    const auto volumes = choose_volumes(*loaded, context, options.file, options.names,
                                        prepare == &resize ? Having::volume : Having::disk);
    if (!volumes) {
        return tl::unexpected(volumes.error());
    }
    const auto module = Module::open(context);
    if (!module) {
        return tl::unexpected(module.error());
    }
    const auto kernel = read_kernel((*module)->client());
    if (!kernel) {
        return tl::unexpected(kernel.error());
    }
    Operations operations;
    std::vector<OwnVolume> changed;
    for (const OwnVolume& own : *volumes) {
        const auto subject = subject_of(own, *kernel);
        if (!subject) {
            return tl::unexpected(subject.error());
        }
        const std::size_t before = operations.size();
        if (auto prepared = prepare(context, *subject, operations); !prepared) {
            return prepared;
        }
        if (operations.size() > before) {
            changed.push_back(own);
        }
    }
    if (auto done = (*module)->run(operations); !done) {
        return done;
    }
    return report(context, **module, changed, prepare == &resize);
}

Action configure(CLI::App& command, Prepare prepare) {
    auto options = std::make_shared<Options>();
    add_config_option(command, options->file);
    command.add_option("RES[/VOL]", options->names, "Resources or volumes, or all")->required();
    return [options, prepare](Context& context) {
        return finish(context, change(context, *options, prepare));
    };
}

}  // namespace

Action configure_attach(CLI::App& command) {
    return configure(command, &attach);
}

Action configure_detach(CLI::App& command) {
    return configure(command, &detach);
}

Action configure_resize(CLI::App& command) {
    return configure(command, &resize);
}

}  // namespace braid::cli
