// SPDX-License-Identifier: GPL-2.0-or-later
#include "cli/pools.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <limits>
#include <numeric>
#include <ostream>
#include <utility>

#include "config/nearest.h"
#include "sys/lvm.h"
#include "sys/zfs.h"

namespace braid::cli {

namespace {

using config::Pool;
using config::PoolKind;

constexpr std::uint64_t kib = 1024;
constexpr std::uint64_t mib = kib * kib;
constexpr std::uint64_t gib = mib * kib;

/// The most that dm-thin can use, which is a little less than 16 GiB.
constexpr std::uint64_t metadata_max = 16192 * mib;

std::uint64_t round_up(std::uint64_t number, std::uint64_t unit) {
    return (number + unit - 1) / unit * unit;
}

Failure storage_failure(const Pool& pool, const sys::Error& error) {
    return {ExitCode::failure, fmt::format("pool {}", pool.name), error.message, {}};
}

/// Its error says which pool it is about.
template <class T>
Attempt<T> about(const Pool& pool, sys::Result<T> result) {
    if (!result) {
        return tl::unexpected(storage_failure(pool, result.error()));
    }
    return std::move(*result);
}
template <>
Attempt<void> about(const Pool& pool, sys::Result<void> result) {
    if (!result) {
        return tl::unexpected(storage_failure(pool, result.error()));
    }
    return {};
}

std::uint64_t part_of(std::uint64_t size, std::optional<double> percent) {
    return static_cast<std::uint64_t>(static_cast<double>(size) * percent.value_or(0) / 100);
}

std::string tag_of(const sys::LogicalVolume& volume) {
    const auto tag = std::ranges::find_if(
        volume.tags, [](const std::string& each) { return each.starts_with("braid:"); });
    return tag == volume.tags.end() ? "" : *tag;
}

class LvmStorage final : public Storage {
  public:
    LvmStorage(sys::RunCommand run, Pool pool) : lvm_(std::move(run)), pool_(std::move(pool)) {}

    Attempt<PoolReport> report() override;
    Attempt<void> create(const std::string& name, std::uint64_t size,
                         const std::string& tag) override {
        return about(pool_, lvm_.create_volume(pool_.group, pool_.thin, name, size, tag));
    }
    Attempt<void> grow(const std::string& name, std::uint64_t size) override {
        return about(pool_, lvm_.extend_volume(path(name), size));
    }
    Attempt<void> activate(const std::string& name) override {
        return about(pool_, lvm_.activate(path(name)));
    }
    Attempt<void> remove(const std::string& name) override {
        return about(pool_, lvm_.remove_volume(path(name)));
    }

  private:
    [[nodiscard]] std::string path(const std::string& name) const {
        return fmt::format("{}/{}", pool_.group, name);
    }
    Attempt<void> add_thin_pool(const std::vector<sys::LogicalVolume>& volumes,
                                PoolReport& report) const;

    sys::Lvm lvm_;
    Pool pool_;
};

Attempt<void> LvmStorage::add_thin_pool(const std::vector<sys::LogicalVolume>& volumes,
                                        PoolReport& report) const {
    const auto found = std::ranges::find(volumes, pool_.place(), &sys::LogicalVolume::path);
    if (found == volumes.end() || !found->thin_pool) {
        return tl::unexpected(Failure{
            ExitCode::failure, fmt::format("pool {}", pool_.name),
            found == volumes.end() ? fmt::format("there is no logical volume {}", pool_.place())
                                   : fmt::format("{} is no thin pool", pool_.place()),
            fmt::format("'braidadm pool delete {}' forgets the pool.", pool_.name)});
    }
    report.room = report.size - report.used;
    report.size = found->size;
    report.used = part_of(found->size, found->data_percent);
    report.metadata_size = found->metadata_size;
    report.metadata_percent = found->metadata_percent;
    if (!found->active) {
        report.problems.emplace_back("not active");
    }
    if (!found->health.empty()) {
        report.problems.push_back(found->health == "out_of_data" ? "full: new blocks are refused"
                                                                 : found->health);
    }
    if (!found->errors_when_full) {
        report.problems.emplace_back("holds I/O when it is full: lvchange --errorwhenfull y");
    }
    if (!found->zeroes) {
        report.problems.emplace_back("gives out old data: lvchange --zero y");
    }
    return {};
}

Attempt<PoolReport> LvmStorage::report() {
    const auto groups = lvm_.groups();
    const auto volumes = lvm_.volumes();
    if (!groups || !volumes) {
        return tl::unexpected(storage_failure(pool_, groups ? volumes.error() : groups.error()));
    }
    const auto group = std::ranges::find(*groups, pool_.group, &sys::VolumeGroup::name);
    if (group == groups->end()) {
        return tl::unexpected(
            Failure{ExitCode::failure, fmt::format("pool {}", pool_.name),
                    fmt::format("there is no volume group {}", pool_.group),
                    "A disk of it may be away: 'pvs' shows those that are there."});
    }
    PoolReport report{.size = group->size, .used = group->size - group->free};
    if (pool_.kind == PoolKind::lvmthin) {
        if (auto added = add_thin_pool(*volumes, report); !added) {
            return tl::unexpected(added.error());
        }
    }
    for (const sys::LogicalVolume& volume : *volumes) {
        if (volume.group != pool_.group || volume.pool != pool_.thin || volume.thin_pool) {
            continue;
        }
        const bool thin = !pool_.thin.empty();
        report.volumes.push_back({volume.name, volume.size,
                                  thin ? part_of(volume.size, volume.data_percent) : volume.size,
                                  volume.active, tag_of(volume)});
    }
    return report;
}

class ZfsStorage final : public Storage {
  public:
    ZfsStorage(sys::RunCommand run, Pool pool) : zfs_(std::move(run)), pool_(std::move(pool)) {}

    Attempt<PoolReport> report() override;
    Attempt<void> create(const std::string& name, std::uint64_t size,
                         const std::string& tag) override {
        return about(pool_,
                     zfs_.create_volume(path(name), size, pool_.kind == PoolKind::zfsthin, tag));
    }
    Attempt<void> grow(const std::string& name, std::uint64_t size) override {
        return about(pool_, zfs_.resize_volume(path(name), size));
    }
    Attempt<void> activate(const std::string&) override { return {}; }
    Attempt<void> remove(const std::string& name) override {
        return about(pool_, zfs_.destroy_volume(path(name)));
    }

  private:
    [[nodiscard]] std::string path(const std::string& name) const {
        return fmt::format("{}/{}", pool_.group, name);
    }

    sys::Zfs zfs_;
    Pool pool_;
};

Attempt<PoolReport> ZfsStorage::report() {
    const auto pools = zfs_.pools();
    const auto datasets = zfs_.datasets();
    if (!pools || !datasets) {
        return tl::unexpected(storage_failure(pool_, pools ? datasets.error() : pools.error()));
    }
    const std::string top = pool_.group.substr(0, pool_.group.find('/'));
    const auto zpool = std::ranges::find(*pools, top, &sys::Zpool::name);
    const auto dataset = std::ranges::find(*datasets, pool_.group, &sys::Zdataset::name);
    if (zpool == pools->end() || dataset == datasets->end()) {
        return tl::unexpected(
            Failure{ExitCode::failure, fmt::format("pool {}", pool_.name),
                    fmt::format("there is no ZFS pool or dataset {}", pool_.group),
                    "'zpool import' shows pools that are not imported."});
    }
    // What a dataset can use, which is less than the disks have.
    PoolReport report{.size = dataset->used + dataset->available, .used = dataset->used};
    if (zpool->health != "ONLINE") {
        report.problems.push_back(zpool->health);
    }
    for (const sys::Zdataset& each : *datasets) {
        const auto stroke = each.name.rfind('/');
        if (each.volume && stroke != std::string::npos &&
            each.name.substr(0, stroke) == pool_.group) {
            report.volumes.push_back({each.name.substr(stroke + 1), each.size, each.used, true,
                                      each.tag.starts_with("braid:") ? each.tag : ""});
        }
    }
    return report;
}

}  // namespace

std::uint64_t PoolReport::promised() const {
    return std::accumulate(
        volumes.begin(), volumes.end(), std::uint64_t{0},
        [](std::uint64_t sum, const PoolVolume& volume) { return sum + volume.size; });
}

std::unique_ptr<Storage> Storage::of(const Context& context, const Pool& pool) {
    if (pool.zfs()) {
        return std::make_unique<ZfsStorage>(context.run_command, pool);
    }
    return std::make_unique<LvmStorage>(context.run_command, pool);
}

std::optional<ThinSizes> thin_sizes(std::uint64_t free, std::uint64_t extent,
                                    std::uint64_t wanted) {
    // Of each chunk that is in use the metadata have 64 bytes; twice as much, for snapshots.
    constexpr std::uint64_t bytes_per_chunk = 128;
    constexpr std::uint64_t metadata_min = 8 * mib;
    constexpr std::uint64_t metadata_good = 2 * gib;
    const std::uint64_t size = wanted != 0 ? wanted : free;
    ThinSizes sizes{.chunk = 64 * kib};
    while (sizes.chunk < gib && size / sizes.chunk * bytes_per_chunk > metadata_good) {
        sizes.chunk *= 2;
    }
    sizes.metadata = round_up(
        std::clamp(size / sizes.chunk * bytes_per_chunk, metadata_min, metadata_max), extent);
    // LVM takes as much again for a repair; the third part is for an extension.
    const std::uint64_t beside = sizes.metadata * (wanted != 0 ? 2 : 3);
    if (free < beside + extent) {
        return std::nullopt;
    }
    const std::uint64_t most = (free - beside) / extent * extent;
    sizes.data = wanted != 0 ? round_up(wanted, extent) : most;
    return sizes.data == 0 || sizes.data > most ? std::nullopt : std::optional(sizes);
}

std::uint32_t default_slots(std::uint32_t peers) {
    constexpr std::uint32_t peers_default = 7;
    return 1 + std::clamp<std::uint32_t>(peers, peers_default, BRAID_MAX_SLOTS - 1);
}

std::uint64_t disk_bytes(std::uint64_t data, std::uint32_t slots) {
    data = round_up(data, 4 * kib);
    const auto fits = [&](std::uint64_t disk) {
        braid_superblock sb{};
        sb.max_slots = slots;
        sb.block_size = 512;
        sb.data_bytes = data;
        return braid_ondisk_layout(&sb, disk, disk);
    };
    std::uint64_t extra = mib;
    while (!fits(data + extra) && extra < data + 64 * mib) {
        extra *= 2;
    }
    for (std::uint64_t step = extra / 2; step >= mib; step /= 2) {
        extra -= fits(data + extra - step) ? step : 0;
    }
    return data + extra;
}

std::string volume_tag(const std::string& resource, std::uint32_t volume) {
    return fmt::format("braid:{}/{}", resource, volume);
}

std::string PooledReplica::name() const {
    return fmt::format("{}/{}", resource, volume.number);
}

std::uint64_t PooledReplica::disk_size(std::uint32_t slots) const {
    return volume.meta_disk.empty() ? disk_bytes(volume.size, slots) : volume.size;
}

Attempt<Pool> find_pool(const std::vector<Pool>& pools, const std::string& name) {
    const auto found = std::ranges::find(pools, name, &Pool::name);
    if (found != pools.end()) {
        return *found;
    }
    const auto nearest = std::ranges::min_element(
        pools, {}, [&](const Pool& each) { return config::edit_distance(name, each.name); });
    return tl::unexpected(
        Failure{ExitCode::failure, fmt::format("pool {}", name), "this host has no such pool",
                nearest == pools.end()
                    ? "Make it with 'braidadm pool create', or adopt what is there."
                    : fmt::format("The nearest is '{}'; 'braidadm pool create' makes one.",
                                  nearest->name)});
}

Attempt<std::optional<PoolVolume>> find_volume(Storage& storage, const Pool& pool,
                                               const PooledReplica& replica) {
    auto report = storage.report();
    if (!report) {
        return tl::unexpected(report.error());
    }
    const std::string name = config::pool_volume(replica.resource, replica.volume.number);
    const auto found = std::ranges::find(report->volumes, name, &PoolVolume::name);
    if (found == report->volumes.end()) {
        return std::nullopt;
    }
    if (found->tag != volume_tag(replica.resource, replica.volume.number)) {
        return tl::unexpected(
            Failure{ExitCode::failure, replica.name(),
                    fmt::format("the pool {} has a volume {} that Braid did not make for it",
                                pool.name, name),
                    "Rename or remove that volume, or use 'disk' instead of 'pool'."});
    }
    return *found;
}

Attempt<void> provide_volume(const Context& context, const std::vector<Pool>& pools,
                             const PooledReplica& replica, std::uint32_t slots) {
    const auto pool = find_pool(pools, replica.volume.pool);
    if (!pool) {
        return tl::unexpected(pool.error());
    }
    const auto storage = Storage::of(context, *pool);
    const auto found = find_volume(*storage, *pool, replica);
    if (!found) {
        return tl::unexpected(found.error());
    }
    const std::string name = config::pool_volume(replica.resource, replica.volume.number);
    const std::uint64_t size = replica.disk_size(slots);
    if (*found && (*found)->size < size) {
        // Metadata are at the end of what there was.
        return tl::unexpected(Failure{
            ExitCode::failure, replica.name(),
            fmt::format("its volume {} has {} bytes, and {} are needed", name, (*found)->size,
                        size),
            fmt::format("'braidadm adjust {}' makes a replica that is up larger; 'braidadm pool "
                        "free {}' removes the volume.",
                        replica.resource, replica.name())});
    }
    Attempt<void> done;
    if (!*found) {
        done = storage->create(name, size, volume_tag(replica.resource, replica.volume.number));
    } else if (!(*found)->active) {
        done = storage->activate(name);
    }
    if (done && !*found) {
        context.out << fmt::format("{}: volume {} of {} made in the pool {}\n", replica.name(),
                                   name, size_text(size), pool->name);
    }
    return done;
}

Attempt<std::vector<Growth>> find_growth(const Context& context, const std::vector<Pool>& pools,
                                         const std::vector<PooledReplica>& replicas) {
    std::vector<Growth> growth;
    for (const PooledReplica& replica : replicas) {
        const auto pool = find_pool(pools, replica.volume.pool);
        if (!pool) {
            return tl::unexpected(pool.error());
        }
        const auto storage = Storage::of(context, *pool);
        const auto found = find_volume(*storage, *pool, replica);
        if (!found) {
            return tl::unexpected(found.error());
        }
        if (!*found) {
            continue;  // create-md makes it
        }
        if (!(*found)->active) {
            if (auto active = storage->activate((*found)->name); !active) {
                return tl::unexpected(active.error());
            }
        }
        const std::uint64_t size = replica.disk_size(default_slots(replica.peers));
        if ((*found)->size < size) {
            growth.push_back({*pool, replica, (*found)->name, size});
        }
    }
    return growth;
}

std::string size_text(std::uint64_t bytes) {
    constexpr std::array units{"B", "KiB", "MiB", "GiB", "TiB", "PiB"};
    auto number = static_cast<double>(bytes);
    std::size_t unit = 0;
    while (number >= 1024 && unit + 1 < units.size()) {
        number /= 1024;
        unit++;
    }
    return fmt::format("{:.{}f} {}", number, unit == 0 ? 0 : 1, units.at(unit));
}

}  // namespace braid::cli
