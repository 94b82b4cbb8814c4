// SPDX-License-Identifier: GPL-2.0-or-later
//
// braidadm pool: storage pools of this host, recorded in a file of their own beside the
// configuration.
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <unistd.h>

#include <CLI/App.hpp>
#include <CLI/Validators.hpp>
#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>
#include <ostream>
#include <string>
#include <utility>
#include <vector>

#include "cli/configuration.h"
#include "cli/daemon.h"
#include "cli/kernel_facts.h"
#include "cli/module.h"
#include "cli/pools.h"
#include "cli/verb.h"
#include "sys/file_content.h"
#include "sys/lvm.h"
#include "sys/zfs.h"

namespace braid::cli {

namespace {

namespace fs = std::filesystem;
using config::Pool;
using config::PoolKind;
using Json = nlohmann::ordered_json;

struct Options {
    std::string file = default_config_file;
    std::string kind;
    std::string name;
    std::vector<std::string> words;  ///< devices, or what is adopted; replicas
    std::string group;
    std::uint64_t size = 0;
    bool metadata = false;
    bool destroy = false;
    bool json = false;
};

/// What LVM's own default is for extending a thin pool.
constexpr std::uint64_t extension_percent = 20;

tl::unexpected<Failure> failure(std::string what, std::string cause, std::string remedy = {}) {
    return tl::unexpected(
        Failure{ExitCode::failure, std::move(what), std::move(cause), std::move(remedy)});
}

tl::unexpected<Failure> failure(const Options& options, const sys::Error& error) {
    return failure(fmt::format("pool {}", options.name), error.message, "Nothing was changed.");
}

// ---- the file of a pool ----

fs::path file_of(const std::string& config, const std::string& pool) {
    return fs::path(config).parent_path() / "braid.d" / fmt::format("pool-{}.res", pool);
}

/// Before the storage is made, so that a file that nobody would read is found in time.
Attempt<void> record(const Context& context, const Options& options, const Pool& pool) {
    const fs::path path = file_of(options.file, pool.name);
    const std::string text = fmt::format(
        "# SPDX-License-Identifier: GPL-2.0-or-later\n"
        "# Written by 'braidadm pool create' for this host; not to be copied to others.\n"
        "pool {} {{\n\t{} {};\n}}\n",
        pool.name, name_of(pool.kind), pool.place());
    constexpr mode_t mode = 0644;
    const auto written = sys::write_file(path.string(), text, mode, sys::Existing::refuse);
    if (!written) {
        return failure(path.string(), written.error().message, "Nothing was changed.");
    }
    const auto loaded = load_valid_config(context, options.file);
    if (!loaded ||
        std::ranges::find(loaded->pools, pool.name, &Pool::name) == loaded->pools.end()) {
        fs::remove(path);
        return loaded ? failure(options.file, fmt::format("does not include {}", path.string()),
                                "Add 'include \"braid.d/*.res\";' to it. Nothing was changed.")
                      : tl::unexpected(loaded.error());
    }
    return {};
}

// ---- create ----

/// That nothing uses them, and that nothing is on them.
Attempt<void> check_devices(const Context& context, const std::vector<std::string>& devices) {
    for (const std::string& device : devices) {
        std::error_code none;
        const std::string real = fs::canonical(device, none).string();
        if (none) {
            return failure(device, none.message(), "Nothing was changed.");
        }
        if (real.starts_with("/dev/braid")) {
            return failure(device, "is a volume of Braid, which cannot hold a pool for Braid",
                           "Nothing was changed.");
        }
        const auto opened = context.open_device(device, sys::BlockDevice::Access::exclusive);
        if (!opened) {
            return failure(device, opened.error().message, "Nothing was changed.");
        }
        const auto signatures = context.blkid->signatures(device);
        if (!signatures) {
            return failure(device, signatures.error().message, "Nothing was changed.");
        }
        if (!signatures->empty()) {
            return failure(device, fmt::format("carries {}", signatures->front().type),
                           "If that is not needed any more: 'wipefs -a'. Nothing was changed.");
        }
    }
    return {};
}

bool made_of_devices(const Options& options) {
    return options.words.front().starts_with('/');
}

/// What the words mean, before anything is looked at.
Attempt<Pool> plan_pool(const Options& options) {
    Pool pool{.name = options.name, .kind = *config::pool_kind(options.kind)};
    const bool thin = pool.kind == PoolKind::lvmthin;
    if (made_of_devices(options)) {
        pool.group = options.group.empty() ? options.name : options.group;
        pool.thin = thin ? "thin" : "";
        return pool;
    }
    if (options.words.size() != 1 || !options.group.empty()) {
        return tl::unexpected(
            Failure{ExitCode::usage, options.words.back(),
                    "expected the paths of devices, or the name of what is to be adopted",
                    "Run 'braidadm pool create --help' for usage."});
    }
    const std::string& place = options.words.front();
    const auto stroke = place.find('/');
    pool.group = pool.zfs() ? place : place.substr(0, stroke);
    if (thin) {
        pool.thin = stroke == std::string::npos ? "thin" : place.substr(stroke + 1);
    } else if (!pool.zfs() && stroke != std::string::npos) {
        return failure(place, "is no volume group",
                       "For a thin pool in one, the kind is lvmthin. Nothing was changed.");
    }
    return pool;
}

template <class Range>
const auto* find_named(const Range& range, const std::string& name) {
    const auto found =
        std::ranges::find_if(range, [&](const auto& each) { return each.name == name; });
    return found == range.end() ? nullptr : &*found;
}

Attempt<void> make_thin_pool(const Context& context, const Options& options, sys::Lvm& lvm,
                             const Pool& pool, const sys::VolumeGroup& group) {
    const auto sizes = thin_sizes(group.free, group.extent, options.size);
    if (!sizes) {
        return failure(group.name,
                       fmt::format("has {} free, too little for the thin pool and its metadata",
                                   size_text(group.free)),
                       "Add a device ('vgextend'), or use a smaller --size.");
    }
    const auto made =
        lvm.create_thin_pool({pool.group, pool.thin, sizes->data, sizes->metadata, sizes->chunk});
    if (!made) {
        return failure(options, made.error());
    }
    context.out << fmt::format(
        "{}: thin pool {} of {}, metadata {}, chunks {}; full, it fails "
        "writes at once\n",
        pool.name, pool.place(), size_text(sizes->data), size_text(sizes->metadata),
        size_text(sizes->chunk));
    return {};
}

/// In a group that is there: the thin pool is adopted, or made.
Attempt<void> thin_pool(const Context& context, const Options& options, sys::Lvm& lvm,
                        const Pool& pool) {
    const auto groups = lvm.groups();
    const auto volumes = lvm.volumes();
    if (!groups || !volumes) {
        return failure(options, groups ? volumes.error() : groups.error());
    }
    const sys::VolumeGroup* group = find_named(*groups, pool.group);
    if (group == nullptr) {
        return failure(pool.group, "there is no such volume group",
                       "Give the paths of devices to make one. Nothing was changed.");
    }
    const auto volume = std::ranges::find(*volumes, pool.place(), &sys::LogicalVolume::path);
    if (volume == volumes->end()) {
        return make_thin_pool(context, options, lvm, pool, *group);
    }
    if (!volume->thin_pool) {
        return failure(pool.place(), "is a logical volume, but no thin pool",
                       "Nothing was changed.");
    }
    if (!volume->errors_when_full || !volume->zeroes) {
        if (const auto safe = lvm.make_thin_pool_safe(*volume); !safe) {
            return failure(options, safe.error());
        }
        context.out << fmt::format(
            "{}: it fails writes at once when it is full now, and zeroes "
            "what it gives out\n",
            pool.place());
    }
    context.out << fmt::format("{}: adopted thin pool {} of {}\n", pool.name, pool.place(),
                               size_text(volume->size));
    return {};
}

Attempt<void> create_lvm(const Context& context, const Options& options, const Pool& pool) {
    sys::Lvm lvm(context.run_command);
    const auto settings = lvm.settings();
    const auto groups = settings ? lvm.groups() : tl::unexpected(settings.error());
    if (!groups) {
        return failure(options, groups.error());
    }
    const bool exists = find_named(*groups, pool.group) != nullptr;
    const bool make = made_of_devices(options);
    if (make == exists) {
        return failure(pool.group,
                       exists ? "there is a volume group of that name already"
                              : "there is no such volume group",
                       exists ? "Adopt it by its name, or use --vg. Nothing was changed."
                              : "Give the paths of devices to make one. Nothing was changed.");
    }
    if (make) {
        if (const auto made = lvm.create_group(pool.group, options.words); !made) {
            return failure(options, made.error());
        }
    }
    if (pool.kind == PoolKind::lvmthin) {
        if (auto done = thin_pool(context, options, lvm, pool); !done) {
            if (make) {
                static_cast<void>(lvm.remove_group(pool.group));
            }
            return done;
        }
    } else {
        context.out << fmt::format("{}: {} volume group {}\n", pool.name, make ? "made" : "adopted",
                                   pool.group);
    }
    for (const std::string& advice : settings->advice()) {
        context.err << "braidadm: warning: /etc/lvm/lvm.conf: " << advice << '\n';
    }
    return {};
}

Attempt<void> create_zfs(const Context& context, const Options& options, const Pool& pool) {
    sys::Zfs zfs(context.run_command);
    const auto datasets = zfs.datasets();
    if (!datasets) {
        return failure(options, datasets.error());
    }
    const sys::Zdataset* found = find_named(*datasets, pool.group);
    if (made_of_devices(options)) {
        if (found != nullptr) {
            return failure(pool.group, "there is a ZFS pool of that name already",
                           "Adopt it by its name. Nothing was changed.");
        }
        if (const auto made = zfs.create_pool(pool.group, options.words); !made) {
            return failure(options, made.error());
        }
        context.out << fmt::format("{}: made ZFS pool {}\n", pool.name, pool.group);
        return {};
    }
    if (found == nullptr || found->volume) {
        return failure(pool.group,
                       found == nullptr ? "there is no such ZFS pool or dataset" : "is a volume",
                       "Nothing was changed.");
    }
    context.out << fmt::format("{}: adopted {}\n", pool.name, pool.group);
    return {};
}

Attempt<void> create(Context& context, const Options& options) {
    const auto loaded = load_valid_config(context, options.file);
    if (!loaded) {
        return tl::unexpected(loaded.error());
    }
    if (find_named(loaded->pools, options.name) != nullptr) {
        return failure(fmt::format("pool {}", options.name), "this host has it already",
                       "'braidadm pool list' shows it. Nothing was changed.");
    }
    const auto pool = plan_pool(options);
    if (!pool) {
        return tl::unexpected(pool.error());
    }
    if (made_of_devices(options)) {
        if (auto good = check_devices(context, options.words); !good) {
            return good;
        }
    }
    if (auto recorded = record(context, options, *pool); !recorded) {
        return recorded;
    }
    auto done =
        pool->zfs() ? create_zfs(context, options, *pool) : create_lvm(context, options, *pool);
    if (!done) {
        fs::remove(file_of(options.file, pool->name));
        return done;
    }
    static_cast<void>(reload_daemon(context));
    return {};
}

// ---- list ----

std::string percent_text(std::uint64_t part, std::uint64_t whole) {
    return whole == 0 ? "-"
                      : fmt::format("{:.1f}%",
                                    100.0 * static_cast<double>(part) / static_cast<double>(whole));
}

Json json_of(const Pool& pool, const Attempt<PoolReport>& report) {
    Json json{{"pool", pool.name}, {"kind", name_of(pool.kind)}, {"place", pool.place()}};
    if (!report) {
        json["health"] = {report.error().cause};
        return json;
    }
    json["size"] = report->size;
    json["used"] = report->used;
    json["promised"] = report->promised();
    if (report->metadata_percent) {
        json["metadata-size"] = report->metadata_size;
        json["metadata-percent"] = *report->metadata_percent;
    }
    json["room"] = report->room;
    json["health"] = report->problems;
    json["volumes"] = Json::array();
    for (const PoolVolume& volume : report->volumes) {
        json["volumes"].push_back(
            {{"name", volume.name},
             {"size", volume.size},
             {"used", volume.used},
             {"replica", volume.tag.empty() ? Json(nullptr)
                                            : Json(volume.tag.substr(volume.tag.find(':') + 1))}});
    }
    return json;
}

std::string line_of(const Pool& pool, const Attempt<PoolReport>& report) {
    const std::string start =
        fmt::format("{:<16}{:<9}{:<20}", pool.name, name_of(pool.kind), pool.place());
    if (!report) {
        return fmt::format("{}{}\n", start, report.error().cause);
    }
    return fmt::format(
        "{}{:>10}  {:>6}  {:>8}  {:>8}  {:>7}  {}\n", start, size_text(report->size),
        percent_text(report->used, report->size),
        report->metadata_percent ? fmt::format("{:.1f}%", *report->metadata_percent) : "-",
        percent_text(report->promised(), report->size), report->volumes.size(),
        report->problems.empty() ? "ok" : fmt::format("{}", fmt::join(report->problems, "; ")));
}

Attempt<void> list(Context& context, const Options& options) {
    const auto loaded = load_valid_config(context, options.file);
    if (!loaded) {
        return tl::unexpected(loaded.error());
    }
    std::vector<Pool> pools = loaded->pools;
    if (!options.name.empty()) {
        const auto pool = find_pool(pools, options.name);
        if (!pool) {
            return tl::unexpected(pool.error());
        }
        pools = {*pool};
    }
    Json all = Json::array();
    std::string text =
        fmt::format("{:<16}{:<9}{:<20}{:>10}  {:>6}  {:>8}  {:>8}  {:>7}  {}\n", "POOL", "KIND",
                    "PLACE", "SIZE", "USED", "METADATA", "PROMISED", "VOLUMES", "HEALTH");
    for (const Pool& pool : pools) {
        const auto report = Storage::of(context, pool)->report();
        all.push_back(json_of(pool, report));
        text += line_of(pool, report);
    }
    context.out << (options.json    ? Json{{"pools", all}}.dump(2) + '\n'
                    : pools.empty() ? "no pools; 'braidadm pool create' makes one\n"
                                    : text);
    return {};
}

// ---- extend ----

Attempt<void> extend_thin_pool(const Context& context, const Options& options, sys::Lvm& lvm,
                               const Pool& pool) {
    const auto groups = lvm.groups();
    const auto report = Storage::of(context, pool)->report();
    if (!groups || !report) {
        return groups ? tl::unexpected(report.error()) : failure(options, groups.error());
    }
    const sys::VolumeGroup* group = find_named(*groups, pool.group);
    const std::uint64_t size = options.metadata ? report->metadata_size : report->size;
    const std::uint64_t extent = std::max<std::uint64_t>(group == nullptr ? 0 : group->extent, 1);
    std::uint64_t more =
        options.size != 0 ? options.size : std::max(size * extension_percent / 100, extent);
    more = (more + extent - 1) / extent * extent;
    if (group != nullptr && options.size == 0) {
        more = std::min(more, group->free / extent * extent);
    }
    if (group == nullptr || more == 0 || more > group->free) {
        return failure(fmt::format("pool {}", pool.name),
                       fmt::format("the volume group {} has {} left", pool.group,
                                   size_text(group == nullptr ? 0 : group->free)),
                       fmt::format("Add a device: 'braidadm pool extend {} DEVICE'.", pool.name));
    }
    const auto extended = options.metadata ? lvm.extend_thin_pool_metadata(pool.place(), more)
                                           : lvm.extend_volume(pool.place(), size + more);
    if (!extended) {
        return failure(options, extended.error());
    }
    context.out << fmt::format("{}: {} extended by {} to {}\n", pool.name,
                               options.metadata ? "metadata" : "thin pool", size_text(more),
                               size_text(size + more));
    return {};
}

Attempt<void> extend(Context& context, const Options& options) {
    const auto loaded = load_valid_config(context, options.file);
    const auto pool =
        loaded ? find_pool(loaded->pools, options.name) : tl::unexpected(loaded.error());
    if (!pool) {
        return tl::unexpected(pool.error());
    }
    if (!options.words.empty()) {
        if (auto good = check_devices(context, options.words); !good) {
            return good;
        }
    } else if (pool->kind != PoolKind::lvmthin) {
        return failure(fmt::format("pool {}", pool->name), "is extended by devices only",
                       fmt::format("'braidadm pool extend {} DEVICE'.", pool->name));
    }
    if (pool->zfs()) {
        sys::Zfs zfs(context.run_command);
        const auto done =
            zfs.extend_pool(pool->group.substr(0, pool->group.find('/')), options.words);
        return done ? Attempt<void>() : failure(options, done.error());
    }
    sys::Lvm lvm(context.run_command);
    if (!options.words.empty()) {
        if (const auto done = lvm.extend_group(pool->group, options.words); !done) {
            return failure(options, done.error());
        }
    }
    return pool->kind == PoolKind::lvmthin ? extend_thin_pool(context, options, lvm, *pool)
                                           : Attempt<void>();
}

// ---- free and delete ----

/// Nothing that the kernel may have attached.
Attempt<void> check_not_attached(const std::vector<config::KernelResource>& kernel,
                                 const std::string& tag) {
    namespace disk_state = netlink::enums::disk_state;
    for (const config::KernelResource& resource : kernel) {
        for (const config::KernelVolume& volume : resource.volumes) {
            if (volume_tag(resource.name, volume.volume) == tag &&
                volume.disk_state != disk_state::diskless) {
                return failure(fmt::format("{}/{}", resource.name, volume.volume),
                               "its disk is attached",
                               fmt::format("First 'braidadm down {}' or 'detach'. Nothing was "
                                           "removed.",
                                           resource.name));
            }
        }
    }
    return {};
}

struct Freed {
    Pool pool;
    PoolVolume volume;
};

/// By the tags, so that it does not matter whether the configuration still has the resource.
Attempt<std::vector<Freed>> find_freed(const Context& context, const std::vector<Pool>& pools,
                                       const std::string& name) {
    std::vector<Freed> found;
    const bool one = name.find('/') != std::string::npos;
    for (const Pool& pool : pools) {
        const auto report = Storage::of(context, pool)->report();
        if (!report) {
            return tl::unexpected(report.error());
        }
        for (const PoolVolume& volume : report->volumes) {
            const std::string wanted = "braid:" + name;
            if (one ? volume.tag == wanted : volume.tag.starts_with(wanted + "/")) {
                found.push_back({pool, volume});
            }
        }
    }
    if (found.empty()) {
        return failure(name, "no pool of this host has a volume of it",
                       "'braidadm pool list --json' shows the volumes.");
    }
    return found;
}

Attempt<void> free_volumes(Context& context, const Options& options) {
    const auto loaded = load_valid_config(context, options.file);
    if (!loaded) {
        return tl::unexpected(loaded.error());
    }
    const auto module = Module::open(context);
    auto kernel = module ? read_kernel((*module)->client()) : tl::unexpected(module.error());
    if (!kernel && kernel.error().code == ExitCode::module_not_loaded) {
        kernel = std::vector<config::KernelResource>();
    }
    if (!kernel) {
        return tl::unexpected(kernel.error());
    }
    std::vector<Freed> all;
    for (const std::string& name : options.words) {
        const auto found = find_freed(context, loaded->pools, name);
        if (!found) {
            return tl::unexpected(found.error());
        }
        for (const Freed& each : *found) {
            if (auto may = check_not_attached(*kernel, each.volume.tag); !may) {
                return may;
            }
            all.push_back(each);
        }
    }
    for (const Freed& each : all) {
        if (auto done = Storage::of(context, each.pool)->remove(each.volume.name); !done) {
            return done;
        }
        context.out << fmt::format("{}: volume {} removed, with its data\n", each.pool.name,
                                   each.volume.name);
    }
    return {};
}

/// Who still needs the pool, in words; empty: nobody.
std::string user_of(const Context& context, const config::Config& config, const Pool& pool) {
    for (const config::Resource& resource : config.resources) {
        const auto here = on_host(resource, context.host);
        for (const config::Volume& volume : here ? here->volumes : std::vector<config::Volume>()) {
            if (volume.pool == pool.name) {
                return fmt::format("{}/{} is configured to be in it", resource.name, volume.number);
            }
        }
    }
    const auto report = Storage::of(context, pool)->report();
    for (const PoolVolume& volume : report ? report->volumes : std::vector<PoolVolume>()) {
        if (!volume.tag.empty()) {
            return fmt::format("it has the volume {}", volume.name);
        }
    }
    return {};
}

Attempt<void> destroy(const Context& context, const Options& options, const Pool& pool) {
    const auto report = Storage::of(context, pool)->report();
    if (!report) {
        return tl::unexpected(report.error());
    }
    if (!report->volumes.empty()) {
        return failure(fmt::format("pool {}", pool.name),
                       fmt::format("it has the volume {}", report->volumes.front().name),
                       "Remove that first, or use it without --destroy. Nothing was changed.");
    }
    sys::Result<void> done;
    if (pool.zfs()) {
        if (pool.group.find('/') != std::string::npos) {
            return failure(pool.group, "is a dataset, not a ZFS pool", "Nothing was changed.");
        }
        done = sys::Zfs(context.run_command).destroy_pool(pool.group);
    } else {
        sys::Lvm lvm(context.run_command);
        if (!pool.thin.empty()) {
            done = lvm.remove_volume(pool.place());
        }
        // Refused by LVM while there is anything else in it.
        if (done) {
            done = lvm.remove_group(pool.group);
        }
    }
    return done ? Attempt<void>()
                : failure(fmt::format("pool {}", pool.name), done.error().message);
}

Attempt<void> remove(Context& context, const Options& options) {
    const auto loaded = load_valid_config(context, options.file);
    const auto pool =
        loaded ? find_pool(loaded->pools, options.name) : tl::unexpected(loaded.error());
    if (!pool) {
        return tl::unexpected(pool.error());
    }
    if (const std::string user = user_of(context, *loaded, *pool); !user.empty()) {
        return failure(fmt::format("pool {}", pool->name), "is in use: " + user,
                       "'braidadm pool free' removes volumes. Nothing was changed.");
    }
    const fs::path path = file_of(options.file, pool->name);
    std::error_code none;
    if (!fs::exists(path, none)) {
        return failure(fmt::format("pool {}", pool->name),
                       fmt::format("is not from {}", path.string()),
                       "Take it out of the file that it is in. Nothing was changed.");
    }
    if (options.destroy) {
        if (auto done = destroy(context, options, *pool); !done) {
            return done;
        }
    }
    if (!fs::remove(path, none)) {
        return failure(path.string(), none.message());
    }
    context.out << fmt::format("{}: {}\n", pool->name,
                               options.destroy
                                   ? "destroyed"
                                   : fmt::format("forgotten; {} is left as it is", pool->place()));
    static_cast<void>(reload_daemon(context));
    return {};
}

// ---- the command line ----

using Step = Attempt<void> (*)(Context&, const Options&);

struct Row {
    const char* name;
    const char* summary;
    Step step;
    void (*configure)(CLI::App& command, Options& options);
};

void add_name(CLI::App& command, Options& options) {
    command.add_option("NAME", options.name, "Name of the pool")->required();
}

void add_size(CLI::App& command, Options& options, const char* help) {
    command.add_option("--size", options.size, help)
        ->transform(CLI::AsSizeValue(false))
        ->type_name("SIZE");
}

const Row rows[] = {
    {"create", "Make a pool of devices, or adopt a volume group, thin pool or ZFS pool", create,
     [](CLI::App& command, Options& options) {
         command.add_option("KIND", options.kind, "lvmthin, lvm, zfsthin or zfs")
             ->required()
             ->check(CLI::IsMember({"lvmthin", "lvm", "zfsthin", "zfs"}));
         add_name(command, options);
         command
             .add_option("DEVICE", options.words,
                         "Devices; or VG, VG/LV, or a ZFS pool or dataset that is there")
             ->required();
         command.add_option("--vg", options.group,
                            "Name of the new volume group or ZFS pool (else that of the pool)");
         add_size(command, options, "Of a new thin pool (else all that is free)");
     }},
    {"list", "Show use, promises and health of pools", list,
     [](CLI::App& command, Options& options) {
         command.add_option("NAME", options.name, "Name of a pool; else all");
         command.add_flag("--json", options.json, "Print JSON instead of text");
     }},
    {"extend", "Give a pool more room: devices, or what its volume group has left", extend,
     [](CLI::App& command, Options& options) {
         add_name(command, options);
         command.add_option("DEVICE", options.words, "Devices that are added");
         add_size(command, options, "By how much (else by a fifth of the thin pool)");
         command.add_flag("--metadata", options.metadata, "The metadata of the thin pool");
     }},
    {"free", "Remove the volumes of replicas, with their data", free_volumes,
     [](CLI::App& command, Options& options) {
         command.add_option("RES[/VOL]", options.words, "Replicas that are not attached")
             ->required();
     }},
    {"delete", "Forget a pool that has no volumes of Braid", remove,
     [](CLI::App& command, Options& options) {
         add_name(command, options);
         command.add_flag("--destroy", options.destroy,
                          "Remove the thin pool and its volume group, or the ZFS pool, too");
     }},
};

}  // namespace

Action configure_pool(CLI::App& command) {
    command.require_subcommand(0, 1);
    std::vector<std::pair<const CLI::App*, std::function<Attempt<void>(Context&)>>> steps;
    for (const Row& row : rows) {
        auto options = std::make_shared<Options>();
        CLI::App* own = command.add_subcommand(row.name, row.summary);
        own->allow_extras();
        add_config_option(*own, options->file);
        row.configure(*own, *options);
        steps.emplace_back(
            own, [options, step = row.step](Context& context) { return step(context, *options); });
    }
    return [steps](Context& context) {
        for (const auto& [own, step] : steps) {
            if (own->parsed()) {
                return finish(context, step(context));
            }
        }
        print(context.err, {ExitCode::usage, "pool", "what is to be done is missing",
                            "Run 'braidadm pool --help' for usage."});
        return ExitCode::usage;
    };
}

}  // namespace braid::cli
