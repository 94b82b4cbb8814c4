// SPDX-License-Identifier: GPL-2.0-or-later
#include "cli/metadata.h"

#include <fmt/format.h>

#include <CLI/App.hpp>
#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <iterator>
#include <span>
#include <system_error>
#include <utility>

namespace braid::cli {

namespace {

using Access = sys::BlockDevice::Access;
using Bytes = std::vector<std::uint8_t>;

Attempt<Bytes> read(const sys::BlockDevice& device, std::uint64_t offset, std::size_t length) {
    return device.read(offset, length).map_error(device_failure);
}

Attempt<void> write(sys::BlockDevice& device, std::uint64_t offset, const Bytes& bytes) {
    return device.write(offset, bytes).map_error(device_failure);
}

Attempt<void> sync(sys::BlockDevice& device) {
    return device.sync().map_error(device_failure);
}

Attempt<std::unique_ptr<sys::BlockDevice>> open_one(const Context& context, const std::string& path,
                                                    Access access) {
    auto device = context.open_device(path, access);
    if (!device) {
        Failure failure = device_failure(device.error());
        if (device.error().number == EBUSY) {
            failure.cause = "in use: mounted, or part of another device";
            failure.remedy = "Unmount it or take it out of that device first.";
        }
        return tl::unexpected(std::move(failure));
    }
    return std::move(*device);
}

/// Blocks of a region that lie within the volume.
std::uint64_t blocks_of(const braid_superblock& sb, std::uint32_t region) {
    const std::uint64_t first = std::uint64_t{region} * BRAID_REGION_BLOCKS;
    const std::uint64_t all = sb.data_bytes / BRAID_BLOCK_SIZE;
    return std::min<std::uint64_t>(all - first, BRAID_REGION_BLOCKS);
}

Attempt<std::uint64_t> dirty_blocks(const sys::BlockDevice& device, const braid_superblock& sb,
                                    std::uint64_t slot, std::uint32_t region, unsigned state) {
    if (state == BRAID_REGION_CLEAN) {
        return 0;
    }
    const std::uint64_t most = blocks_of(sb, region);
    if (state == BRAID_REGION_ALL) {
        return most;
    }
    const auto block =
        read(device, slot + braid_leaf_offset(sb.data_bytes, region), BRAID_BLOCK_SIZE);
    if (!block) {
        return tl::unexpected(block.error());
    }
    std::array<std::uint8_t, BRAID_LEAF_BYTES> bits{};
    if (braid_leaf_decode(block->data(), region, bits.data()) != BRAID_ONDISK_OK) {
        return most;
    }
    std::uint64_t count = 0;
    for (std::uint64_t bit = 0; bit < most; bit++) {
        count += bits.at(bit / 8) >> bit % 8 & 1U;
    }
    return count;
}

/// Has the replica ask for every region when it is resynced, whatever its peers know of it. Where
/// no slot is free that is left to the stamp.
Attempt<void> mark_all(sys::BlockDevice& device, braid_superblock& sb) {
    const std::span slots(sb.slots, sb.max_slots);
    auto slot = std::ranges::find(slots, sb.node, &braid_slot::node);
    if (slot == slots.end()) {
        slot = std::ranges::find(slots, BRAID_NO_NODE, &braid_slot::node);
    }
    if (slot == slots.end()) {
        return {};
    }
    const std::uint64_t base =
        sb.slots_offset + static_cast<std::uint64_t>(slot - slots.begin()) * sb.slot_bytes;
    const std::uint32_t regions = braid_regions(sb.data_bytes);
    Bytes summary(braid_summary_area(sb.data_bytes));
    for (std::uint32_t first = 0; first < regions; first += BRAID_SUMMARY_REGIONS) {
        std::array<u8, BRAID_SUMMARY_REGIONS / 4> states{};
        const std::uint32_t count = std::min(regions - first, std::uint32_t{BRAID_SUMMARY_REGIONS});
        for (std::uint32_t i = 0; i < count; i++) {
            states.at(i / 4) |= static_cast<u8>(BRAID_REGION_ALL << i % 4 * 2);
        }
        const std::uint32_t index = first / BRAID_SUMMARY_REGIONS;
        braid_summary_encode(&summary.at(braid_summary_offset(index)), index, states.data());
    }
    slot->node = sb.node;
    slot->base = {};
    if (auto written = write(device, base, summary); !written) {
        return written;
    }
    return sync(device);
}

}  // namespace

CLI::Option* ReplicaOptions::add_to(CLI::App& command) {
    add_config_option(command, file);
    CLI::Option* by_name =
        command.add_option("RES[/VOL]", names, "Replicas that the configuration gives this host");
    CLI::Option* disk =
        command.add_option("--device", devices.disk, "The disk, or file, that holds the data");
    disk->excludes(by_name);
    command.add_option("--meta-device", devices.meta, "The device of external metadata")
        ->needs(disk);
    return by_name;
}

Attempt<std::vector<OwnVolume>> ReplicaOptions::choose(const Context& context) const {
    if (!devices.disk.empty()) {
        OwnVolume own;
        own.volume.disk = devices.disk;
        own.volume.meta_disk = devices.meta;
        return std::vector{own};
    }
    if (names.empty()) {
        return tl::unexpected(Failure{ExitCode::usage, "arguments", "which replica is not said",
                                      "Name a resource, RES or RES/VOL, or a disk with --device."});
    }
    const auto loaded = load_valid_config(context, file);
    if (!loaded) {
        return tl::unexpected(loaded.error());
    }
    auto chosen = choose_volumes(*loaded, context, file, names, Having::disk);
    if (chosen && chosen->empty()) {
        return tl::unexpected(Failure{ExitCode::failure,
                                      names.front(),
                                      fmt::format("this host, {}, has no disks", context.host),
                                      {}});
    }
    return chosen;
}

Attempt<OwnVolume> ReplicaOptions::choose_one(const Context& context) const {
    const auto chosen = choose(context);
    if (!chosen) {
        return tl::unexpected(chosen.error());
    }
    if (chosen->size() > 1) {
        std::string all;
        for (const OwnVolume& own : *chosen) {
            all += (all.empty() ? "" : ", ") + own.name();
        }
        return tl::unexpected(Failure{ExitCode::usage, names.front(), "has more than one volume",
                                      fmt::format("Name one: {}.", all)});
    }
    return chosen->front();
}

Attempt<Devices> Devices::open(const Context& context, const DeviceOptions& options,
                               Access access) {
    Devices devices;
    std::error_code ignored;
    if (!options.meta.empty() && std::filesystem::equivalent(options.disk, options.meta, ignored)) {
        return tl::unexpected(Failure{ExitCode::failure, options.meta,
                                      "is the device of the data too",
                                      "Leave --meta-device out for internal metadata."});
    }
    auto disk = open_one(context, options.disk, access);
    if (!disk) {
        return tl::unexpected(disk.error());
    }
    devices.disk = std::move(*disk);
    if (!options.meta.empty()) {
        auto meta = open_one(context, options.meta, access);
        if (!meta) {
            return tl::unexpected(meta.error());
        }
        devices.meta = std::move(*meta);
    }
    return devices;
}

Failure device_failure(const sys::Error& error) {
    const auto colon = error.message.find(": ");
    return {ExitCode::failure,
            error.message.substr(0, colon),
            colon == std::string::npos ? std::string("failed") : error.message.substr(colon + 2),
            {}};
}

Attempt<std::array<SuperblockCopy, 2>> read_superblocks(const sys::BlockDevice& device,
                                                        bool external) {
    std::array<SuperblockCopy, 2> copies;
    for (std::uint32_t number = 0; number < 2; number++) {
        SuperblockCopy& copy = copies.at(number);
        copy.offset = braid_superblock_offset(device.size(), external, number);
        if (device.size() < 2ULL * BRAID_BLOCK_SIZE) {
            continue;
        }
        const auto block = read(device, copy.offset, BRAID_BLOCK_SIZE);
        if (!block) {
            return tl::unexpected(block.error());
        }
        copy.result = braid_superblock_decode(&copy.superblock, block->data());
        if (copy.result == BRAID_ONDISK_OK &&
            ((copy.superblock.flags & BRAID_SB_EXTERNAL) != 0) != external) {
            copy.result = BRAID_ONDISK_INVALID;
        }
    }
    return copies;
}

const SuperblockCopy* current(const std::array<SuperblockCopy, 2>& copies) {
    const SuperblockCopy* best = nullptr;
    for (const SuperblockCopy& copy : copies) {
        if (copy.result == BRAID_ONDISK_OK &&
            (best == nullptr || copy.superblock.sequence > best->superblock.sequence)) {
            best = &copy;
        }
    }
    return best;
}

Attempt<std::optional<std::uint32_t>> read_vote_length(const sys::BlockDevice& device,
                                                       const braid_superblock& sb) {
    std::optional<std::uint32_t> result;
    std::uint64_t best = 0;
    for (std::uint64_t copy = 0; copy < 2; copy++) {
        const auto record =
            read(device, sb.votes_offset + copy * BRAID_VOTE_BYTES, BRAID_VOTE_BYTES);
        if (!record) {
            return tl::unexpected(record.error());
        }
        u64 sequence = 0;
        u32 length = 0;
        const u8* value = nullptr;
        if (braid_vote_decode(record->data(), &sequence, &value, &length) == BRAID_ONDISK_OK &&
            sequence > best) {
            best = sequence;
            result = length;
        }
    }
    return result;
}

Attempt<LogContent> read_log(const sys::BlockDevice& device, const braid_superblock& sb) {
    LogContent content;
    for (std::uint32_t index = 0; index < sb.log_blocks; index++) {
        std::array<u32, BRAID_LOG_SLOTS> best_regions{};
        u64 best = 0;
        for (std::uint64_t copy = 0; copy < 2; copy++) {
            const auto block =
                read(device, sb.log_offset + (copy * sb.log_blocks + index) * BRAID_BLOCK_SIZE,
                     BRAID_BLOCK_SIZE);
            if (!block) {
                return tl::unexpected(block.error());
            }
            std::array<u32, BRAID_LOG_SLOTS> regions{};
            u64 sequence = 0;
            u64 instance = 0;
            if (braid_log_decode(block->data(), index, &sequence, &instance, regions.data()) ==
                    BRAID_ONDISK_OK &&
                sequence > best) {
                best = sequence;
                best_regions = regions;
            }
        }
        if (best == 0) {
            content.invalid_blocks++;
            continue;
        }
        std::ranges::copy_if(best_regions, std::back_inserter(content.active),
                             [](u32 region) { return region != BRAID_LOG_FREE; });
    }
    std::ranges::sort(content.active);
    content.active.erase(std::unique(content.active.begin(), content.active.end()),
                         content.active.end());
    return content;
}

Attempt<std::uint64_t> dirty_bytes(const sys::BlockDevice& device, const braid_superblock& sb,
                                   std::uint32_t slot) {
    const std::uint64_t base = sb.slots_offset + slot * sb.slot_bytes;
    const std::uint32_t regions = braid_regions(sb.data_bytes);
    std::uint64_t blocks = 0;
    std::array<u8, BRAID_SUMMARY_REGIONS / 4> states{};
    for (std::uint32_t region = 0; region < regions; region++) {
        const std::uint32_t number = region % BRAID_SUMMARY_REGIONS;
        if (number == 0) {
            const std::uint32_t index = region / BRAID_SUMMARY_REGIONS;
            const auto sector =
                read(device, base + braid_summary_offset(index), BRAID_SUMMARY_BYTES);
            if (!sector) {
                return tl::unexpected(sector.error());
            }
            if (braid_summary_decode(sector->data(), index, states.data()) != BRAID_ONDISK_OK) {
                states.fill(0xaa);  // four times BRAID_REGION_ALL
            }
        }
        auto more =
            dirty_blocks(device, sb, base, region, states.at(number / 4) >> number % 4 * 2 & 3U);
        if (!more) {
            return more;
        }
        blocks += *more;
    }
    return blocks * BRAID_BLOCK_SIZE;
}

Attempt<void> erase_superblocks(sys::BlockDevice& device, bool external) {
    const Bytes zeros(BRAID_BLOCK_SIZE);
    for (const std::uint32_t copy : {0U, 1U}) {
        auto done = write(device, braid_superblock_offset(device.size(), external, copy), zeros);
        if (!done) {
            return done;
        }
    }
    return sync(device);
}

Attempt<void> write_new(sys::BlockDevice& device, braid_superblock sb) {
    const bool external = (sb.flags & BRAID_SB_EXTERNAL) != 0;
    std::vector<std::pair<std::uint64_t, Bytes>> areas;
    std::vector<std::pair<std::uint64_t, Bytes>> superblocks;
    std::array<u32, BRAID_LOG_SLOTS> free_regions{};
    free_regions.fill(BRAID_LOG_FREE);
    for (const std::uint32_t copy : {0U, 1U}) {
        const std::uint64_t sequence = 2 - copy;  // copy 0 is the newer one
        Bytes record(BRAID_VOTE_BYTES);
        braid_vote_encode(record.data(), sequence, nullptr, 0);
        areas.emplace_back(sb.votes_offset + std::uint64_t{copy} * BRAID_VOTE_BYTES, record);
        for (std::uint32_t index = 0; index < sb.log_blocks; index++) {
            Bytes block(BRAID_BLOCK_SIZE);
            braid_log_encode(block.data(), sequence, index, 0, free_regions.data());
            const std::uint64_t number = std::uint64_t{copy} * sb.log_blocks + index;
            areas.emplace_back(sb.log_offset + number * BRAID_BLOCK_SIZE, block);
        }
        sb.sequence = sequence;
        Bytes block(BRAID_BLOCK_SIZE);
        braid_superblock_encode(&sb, block.data());
        superblocks.emplace_back(braid_superblock_offset(device.size(), external, copy), block);
    }
    for (const auto* list : {&areas, &superblocks}) {
        for (const auto& [offset, bytes] : *list) {
            if (auto done = write(device, offset, bytes); !done) {
                return done;
            }
        }
        if (auto done = sync(device); !done) {
            return done;
        }
    }
    return {};
}

Attempt<void> write_invalid(sys::BlockDevice& device, bool external) {
    const auto copies = read_superblocks(device, external);
    if (!copies) {
        return tl::unexpected(copies.error());
    }
    const SuperblockCopy* newest = current(*copies);
    if (newest == nullptr) {
        return tl::unexpected(
            Failure{ExitCode::failure, device.path(), "has no valid Braid superblock", {}});
    }
    braid_superblock sb = newest->superblock;
    // Never in sync: no dirty map of a peer counts from there (R6a), and it is never promoted.
    sb.last = {};
    sb.flags |= BRAID_SB_INCONSISTENT;
    if (auto marked = mark_all(device, sb); !marked) {
        return marked;
    }
    // The older copy first: one of them is valid all the time.
    const std::size_t older = newest == &copies->front() ? 1 : 0;
    for (const std::size_t copy : {older, 1 - older}) {
        sb.sequence++;
        Bytes block(BRAID_BLOCK_SIZE);
        braid_superblock_encode(&sb, block.data());
        if (auto done = write(device, copies->at(copy).offset, block); !done) {
            return done;
        }
        if (auto done = sync(device); !done) {
            return done;
        }
    }
    return {};
}

std::string to_text(braid_ondisk_result result) {
    switch (result) {
        case BRAID_ONDISK_OK:
            return "valid";
        case BRAID_ONDISK_NONE:
            return "none";
        case BRAID_ONDISK_CORRUPT:
            return "corrupt";
        case BRAID_ONDISK_VERSION:
            return "of a newer version";
        case BRAID_ONDISK_INVALID:
            break;
    }
    return "invalid";
}

std::string uuid_text(const std::uint8_t* uuid) {
    std::string text;
    for (int i = 0; i < 16; i++) {
        const bool dash = i == 4 || i == 6 || i == 8 || i == 10;
        text += fmt::format("{}{:02x}", dash ? "-" : "", uuid[i]);
    }
    return text;
}

}  // namespace braid::cli
