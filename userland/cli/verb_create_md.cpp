// SPDX-License-Identifier: GPL-2.0-or-later
//
// braidadm create-md: metadata of a new replica, on a disk that nothing else uses.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cerrno>
#include <memory>
#include <optional>
#include <ostream>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "cli/metadata.h"
#include "cli/pools.h"
#include "cli/verb.h"
#include "core/bytes.h"

namespace braid::cli {

namespace {

using Access = sys::BlockDevice::Access;

struct Options {
    ReplicaOptions replicas;
    std::optional<std::uint32_t> node;
    std::optional<std::uint32_t> volume;
    std::uint64_t size = 0;
    std::uint32_t block_size = 0;
    std::optional<std::uint32_t> max_peers;
    bool force = false;
};

/// Metadata that is only to be written yet.
struct Draft {
    Devices devices;
    braid_superblock superblock;
};

Failure about(const sys::BlockDevice& device, std::string cause, std::string remedy = {}) {
    return {ExitCode::failure, device.path(), std::move(cause), std::move(remedy)};
}

/// Where the file system at the start of a device ends; 0 if that is not known.
Attempt<std::uint64_t> file_system_end(const sys::BlockDevice& device) {
    constexpr std::size_t enough = 4096;
    if (device.size() < enough) {
        return 0;
    }
    const auto read = device.read(0, enough);
    if (!read) {
        return tl::unexpected(device_failure(read.error()));
    }
    const auto& bytes = *read;
    if (std::equal(bytes.begin(), bytes.begin() + 4, "XFSB")) {  // big-endian
        std::uint64_t blocks = 0;
        std::uint64_t block_size = 0;
        for (std::size_t i = 0; i < 8; i++) {
            block_size = i < 4 ? block_size << 8 | bytes[4 + i] : block_size;
            blocks = blocks << 8 | bytes[8 + i];
        }
        return blocks * block_size;
    }
    const std::uint8_t* ext = &bytes[1024];
    if (braid_get_le16(ext + 56) == 0xef53 && braid_get_le32(ext + 24) <= 6) {
        const bool wide = (braid_get_le32(ext + 96) & 0x80) != 0;
        const std::uint64_t high = wide ? braid_get_le32(ext + 336) : 0;
        return (high << 32 | braid_get_le32(ext + 4)) << (10 + braid_get_le32(ext + 24));
    }
    return 0;
}

Attempt<std::uint32_t> choose_block_size(const Options& options, const sys::BlockDevice& disk) {
    const std::uint32_t of_disk = disk.logical_block_size();
    if (options.block_size == 0) {
        return of_disk == 4096 ? 4096 : 512;
    }
    if (of_disk > options.block_size) {
        return tl::unexpected(
            about(disk,
                  fmt::format("its logical blocks have {} bytes, more than the volume's {}",
                              of_disk, options.block_size),
                  "Use --block-size 4096."));
    }
    return options.block_size;
}

/// What a device carries, in words; empty if nothing.
Attempt<std::string> contents(const Context& context, const sys::BlockDevice& device) {
    const auto signatures = context.blkid->signatures(device.path());
    if (!signatures) {
        return tl::unexpected(device_failure(signatures.error()));
    }
    std::string words;
    for (const sys::Signature& signature : *signatures) {
        words += fmt::format("{}{} ({})", words.empty() ? "" : ", ", signature.type,
                             signature.usage.empty() ? "other" : signature.usage);
    }
    for (const bool external : {false, true}) {
        const auto copies = read_superblocks(device, external);
        if (!copies) {
            return tl::unexpected(copies.error());
        }
        for (const SuperblockCopy& copy : *copies) {
            if (copy.result == BRAID_ONDISK_NONE) {
                continue;
            }
            words += fmt::format("{}Braid metadata ({}, at {})", words.empty() ? "" : ", ",
                                 to_text(copy.result), copy.offset);
            break;
        }
    }
    return words;
}

Attempt<void> refuse_contents(const Context& context, const Devices& devices) {
    for (const sys::BlockDevice* device : {devices.disk.get(), devices.meta.get()}) {
        if (device == nullptr) {
            continue;
        }
        const auto words = contents(context, *device);
        if (!words) {
            return tl::unexpected(words.error());
        }
        if (!words->empty()) {
            const std::string remedy =
                device == devices.disk.get()
                    ? "Clear it with 'wipefs -a' or 'braidadm wipe-md', or use --force: then what "
                      "it holds becomes the volume's data."
                    : "Clear it with 'wipefs -a' or 'braidadm wipe-md', or use --force: then it is "
                      "overwritten.";
            return tl::unexpected(about(*device, "carries " + *words, remedy));
        }
    }
    return {};
}

std::uint32_t slots_of(const Options& options, const OwnVolume& own) {
    return options.max_peers ? 1 + *options.max_peers : default_slots(own.peers);
}

braid_superblock new_superblock(const Options& options, const OwnVolume& own, bool external) {
    braid_superblock sb{};
    std::random_device random;
    std::ranges::generate(sb.uuid, [&] { return static_cast<u8>(random()); });
    sb.uuid[6] = static_cast<u8>((sb.uuid[6] & 0x0f) | 0x40);  // a random one, says RFC 4122
    sb.uuid[8] = static_cast<u8>((sb.uuid[8] & 0x3f) | 0x80);
    sb.node = own.node;
    sb.volume = own.volume.number;
    sb.flags = external ? BRAID_SB_EXTERNAL : 0;
    // One more: for what this replica itself had open in a crash.
    sb.max_slots = slots_of(options, own);
    sb.data_bytes = options.size;
    sb.config.writer = BRAID_NO_WRITER;
    for (auto& slot : sb.slots) {
        slot.node = BRAID_NO_NODE;
    }
    return sb;
}

Attempt<void> lay_out(braid_superblock& sb, const Devices& devices) {
    if (braid_ondisk_layout(&sb, devices.disk->size(), devices.holder().size())) {
        return {};
    }
    const std::string wanted =
        sb.data_bytes != 0 ? fmt::format("{} bytes of data", sb.data_bytes) : std::string("data");
    const sys::BlockDevice& device = devices.holder();
    return tl::unexpected(about(
        device,
        fmt::format("too small: {} and the metadata for {} peers do not fit ({} bytes{})", wanted,
                    sb.max_slots - 1, devices.disk->size(),
                    devices.external() ? fmt::format(" for data, {} for metadata", device.size())
                                       : std::string()),
        "Use a larger device, a smaller --size or fewer --max-peers."));
}

Attempt<void> keep_file_system(const braid_superblock& sb, const Devices& devices) {
    const auto end = file_system_end(*devices.disk);
    if (!end) {
        return tl::unexpected(end.error());
    }
    if (*end <= sb.data_bytes) {
        return {};
    }
    return tl::unexpected(
        about(*devices.disk,
              fmt::format("its file system of {} bytes does not fit into the volume's {} bytes",
                          *end, sb.data_bytes),
              fmt::format("Shrink it by at least {} bytes, or use --meta-device; or clear it with "
                          "'wipefs -a'.",
                          *end - sb.data_bytes)));
}

/// Also of earlier uses, in the other place: they would be taken for this one's.
Attempt<void> erase_old(const Devices& devices) {
    for (sys::BlockDevice* device : {devices.disk.get(), devices.meta.get()}) {
        for (const bool external : {false, true}) {
            if (device == nullptr) {
                continue;
            }
            const auto copies = read_superblocks(*device, external);
            if (!copies) {
                return tl::unexpected(copies.error());
            }
            const bool none = std::ranges::all_of(*copies, [](const SuperblockCopy& copy) {
                return copy.result == BRAID_ONDISK_NONE;
            });
            if (none) {
                continue;
            }
            if (auto erased = erase_superblocks(*device, external); !erased) {
                return erased;
            }
        }
    }
    return {};
}

Attempt<Draft> draft(Context& context, const Options& options, const OwnVolume& own) {
    auto devices = Devices::open(context, {own.volume.disk, own.volume.meta_disk},
                                 options.force ? Access::write_used : Access::exclusive);
    if (!devices) {
        return tl::unexpected(devices.error());
    }
    const auto block_size = choose_block_size(options, *devices->disk);
    if (!block_size) {
        return tl::unexpected(block_size.error());
    }
    braid_superblock sb = new_superblock(options, own, devices->external());
    sb.block_size = *block_size;
    if (auto laid_out = lay_out(sb, *devices); !laid_out) {
        return tl::unexpected(laid_out.error());
    }
    if (auto fits = keep_file_system(sb, *devices); !fits) {
        return tl::unexpected(fits.error());
    }
    if (!options.force) {
        if (auto empty = refuse_contents(context, *devices); !empty) {
            return tl::unexpected(empty.error());
        }
    }
    return Draft{std::move(*devices), sb};
}

Attempt<void> write(Context& context, const Draft& draft) {
    const auto& [devices, sb] = draft;
    if (auto erased = erase_old(devices); !erased) {
        return erased;
    }
    if (auto written = write_new(devices.holder(), sb); !written) {
        return written;
    }
    context.out << fmt::format(
        "{}: metadata of node {}, volume {} created: {} bytes of data, "
        "blocks of {}, {} peers\n",
        devices.holder().path(), sb.node, sb.volume, sb.data_bytes, sb.block_size,
        sb.max_slots - 1);
    return {};
}

/// With --device node and volume have to be said, too.
Attempt<std::vector<OwnVolume>> choose(const Context& context, const Options& options) {
    auto chosen = options.replicas.choose(context);
    if (!chosen || options.replicas.devices.disk.empty()) {
        return chosen;
    }
    for (const auto& [name, value] :
         {std::pair{"--node", options.node}, std::pair{"--volume", options.volume}}) {
        if (!value) {
            return tl::unexpected(Failure{ExitCode::usage, name, "is required with --device",
                                          "Run 'braidadm create-md --help' for usage."});
        }
    }
    chosen->front().node = options.node.value_or(0);
    chosen->front().volume.number = options.volume.value_or(0);
    return chosen;
}

/// All are looked at before the first is written.
Attempt<void> create(Context& context, const Options& options) {
    const auto chosen = choose(context, options);
    if (!chosen) {
        return tl::unexpected(chosen.error());
    }
    for (const OwnVolume& own : *chosen) {
        if (own.volume.pool.empty()) {
            continue;
        }
        auto provided = provide_volume(context, own.pools, {own.resource, own.peers, own.volume},
                                       slots_of(options, own));
        if (!provided) {
            return provided;
        }
    }
    std::vector<Draft> drafts;
    for (const OwnVolume& own : *chosen) {
        auto one = draft(context, options, own);
        if (!one) {
            return tl::unexpected(one.error());
        }
        drafts.push_back(std::move(*one));
    }
    for (const Draft& each : drafts) {
        if (auto written = write(context, each); !written) {
            return written;
        }
    }
    return {};
}

}  // namespace

Action configure_create_md(CLI::App& command) {
    auto options = std::make_shared<Options>();
    CLI::Option* by_name = options->replicas.add_to(command);
    command.add_option("--node", options->node, "With --device: node id, 0 to 31")
        ->excludes(by_name)
        ->check(CLI::Range(0, BRAID_MAX_NODES - 1));
    command.add_option("--volume", options->volume, "With --device: number of the volume")
        ->excludes(by_name)
        ->check(CLI::Range(0, 65535));
    command.add_option("--size", options->size, "Size of the data in bytes (else all that fits)");
    command.add_option("--block-size", options->block_size, "Logical block size: 512 or 4096")
        ->check(CLI::IsMember({512, 4096}));
    command.add_option("--max-peers", options->max_peers, "Replicas that may be absent at once")
        ->check(CLI::Range(0, BRAID_MAX_SLOTS - 1));
    command.add_flag("--force", options->force, "Also on a device that is in use or not empty");
    return [options](Context& context) { return finish(context, create(context, *options)); };
}

}  // namespace braid::cli
