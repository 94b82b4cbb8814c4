// SPDX-License-Identifier: GPL-2.0-or-later
//
// braidadm dump-md: everything that a replica's metadata says.
#include <fmt/format.h>

#include <CLI/App.hpp>
#include <array>
#include <memory>
#include <nlohmann/json.hpp>
#include <ostream>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "cli/metadata.h"
#include "cli/verb.h"

namespace braid::cli {

namespace {

using Json = nlohmann::ordered_json;

Json nodes(std::uint32_t mask) {
    Json list = Json::array();
    for (std::uint32_t node = 0; node < BRAID_MAX_NODES; node++) {
        if ((mask >> node & 1U) != 0) {
            list.push_back(node);
        }
    }
    return list;
}

Json flags(std::uint32_t mask) {
    constexpr std::array<std::pair<std::uint32_t, std::string_view>, 5> names{
        {{BRAID_SB_IN_USE, "in-use"},
         {BRAID_SB_VOLATILE, "volatile"},
         {BRAID_SB_SUSPECT, "suspect"},
         {BRAID_SB_INCONSISTENT, "inconsistent"},
         {BRAID_SB_EXTERNAL, "external"}}};
    Json list = Json::array();
    for (const auto& [bit, name] : names) {
        if ((mask & bit) != 0) {
            list.push_back(name);
        }
    }
    return list;
}

/// Random 64-bit numbers as text: many readers of JSON have 53 bits.
std::string hex(std::uint64_t number) {
    return fmt::format("{:016x}", number);
}

Json stamp(const braid_stamp& it) {
    return {{"epoch", it.epoch}, {"id", hex(it.id)}, {"instance", hex(it.instance)}};
}

Json config(const braid_config& it) {
    Json instances = Json::object();
    for (std::uint32_t node = 0; node < BRAID_MAX_NODES; node++) {
        if ((it.in_sync >> node & 1U) != 0) {
            instances[std::to_string(node)] = hex(it.instance[node]);
        }
    }
    return {{"lineage", uuid_text(it.lineage)},
            {"epoch", it.epoch},
            {"id", hex(it.id)},
            {"writer", it.writer == BRAID_NO_WRITER ? Json() : Json(it.writer)},
            {"in-sync", nodes(it.in_sync)},
            {"diskful", nodes(it.diskful)},
            {"members", nodes(it.members)},
            {"instances", instances}};
}

Json superblock(const braid_superblock& sb) {
    return {{"uuid", uuid_text(sb.uuid)},
            {"volume", sb.volume},
            {"node", sb.node},
            {"flags", flags(sb.flags)},
            {"block-size", sb.block_size},
            {"data-bytes", sb.data_bytes},
            {"volume-bytes", sb.volume_bytes},
            {"votes-offset", sb.votes_offset},
            {"log-offset", sb.log_offset},
            {"log-blocks", sb.log_blocks},
            {"slots-offset", sb.slots_offset},
            {"slot-bytes", sb.slot_bytes},
            {"max-slots", sb.max_slots},
            {"voter", hex(sb.voter)},
            {"instance", hex(sb.instance)},
            {"last", stamp(sb.last)},
            {"config", config(sb.config)}};
}

Attempt<Json> slots(const sys::BlockDevice& device, const braid_superblock& sb) {
    Json list = Json::array();
    for (std::uint32_t number = 0; number < sb.max_slots; number++) {
        const braid_slot& slot = sb.slots[number];
        if (slot.node == BRAID_NO_NODE) {
            continue;
        }
        const auto dirty = dirty_bytes(device, sb, number);
        if (!dirty) {
            return tl::unexpected(dirty.error());
        }
        list.push_back({{"slot", number},
                        {"node", slot.node},
                        {"base", stamp(slot.base)},
                        {"dirty-bytes", *dirty}});
    }
    return list;
}

Attempt<Json> gather(const Devices& devices) {
    const sys::BlockDevice& device = devices.holder();
    const auto copies = read_superblocks(device, devices.external());
    if (!copies) {
        return tl::unexpected(copies.error());
    }
    Json document{{"device", device.path()}, {"copies", Json::array()}};
    for (const SuperblockCopy& copy : *copies) {
        Json entry{{"offset", copy.offset}, {"state", to_text(copy.result)}};
        if (copy.result == BRAID_ONDISK_OK) {
            entry["sequence"] = copy.superblock.sequence;
        }
        document["copies"].push_back(entry);
    }
    const SuperblockCopy* copy = current(*copies);
    if (copy == nullptr) {
        return document;
    }
    const braid_superblock& sb = copy->superblock;
    document["superblock"] = superblock(sb);
    if (!braid_superblock_fits(&sb, devices.disk->size(), device.size())) {
        document["fits"] = false;
        return document;
    }
    const auto vote = read_vote_length(device, sb);
    const auto log = read_log(device, sb);
    auto maps = slots(device, sb);
    if (!vote || !log || !maps) {
        return tl::unexpected(!vote ? vote.error() : !log ? log.error() : maps.error());
    }
    document["fits"] = true;
    document["vote-bytes"] = *vote ? Json(**vote) : Json();
    document["active-count"] = log->active.size();
    document["active-regions"] = log->active;
    document["invalid-log-blocks"] = log->invalid_blocks;
    document["slots"] = std::move(*maps);
    return document;
}

/// The document as lines of "name: value", without the list of regions.
void print_text(std::ostream& out, const Json& value, const std::string& indent) {
    for (const auto& [name, member] : value.items()) {
        if (name == "active-regions") {
            continue;
        }
        const bool list = member.is_array() && !member.empty() && member.front().is_object();
        const std::string label = value.is_array() ? "- " + name : name;
        if (!member.is_object() && !list) {
            out << indent << label << ": "
                << (member.is_string() ? member.get<std::string>()
                    : member.is_null() ? "none"
                                       : member.dump())
                << '\n';
            continue;
        }
        out << indent << label << ":\n";
        print_text(out, member, indent + "  ");
    }
}

Failure problem(const Json& document) {
    const std::string device = document["device"];
    if (document.contains("superblock")) {
        return {ExitCode::failure, device, "the metadata is about devices of another size",
                "Check --device and --meta-device; was one of them resized?"};
    }
    return {ExitCode::failure, device, "has no valid Braid superblock",
            "Check --device and --meta-device, or make one with 'braidadm create-md'."};
}

ExitCode dump(Context& context, const ReplicaOptions& options, bool json) {
    const auto own = options.choose_one(context);
    if (!own) {
        print(context.err, own.error());
        return own.error().code;
    }
    const auto devices = Devices::open(context, {own->volume.disk, own->volume.meta_disk},
                                       sys::BlockDevice::Access::read);
    if (!devices) {
        print(context.err, devices.error());
        return devices.error().code;
    }
    const auto document = gather(*devices);
    if (!document) {
        print(context.err, document.error());
        return document.error().code;
    }
    if (json) {
        context.out << document->dump(2, ' ', false, Json::error_handler_t::replace) << '\n';
    } else {
        print_text(context.out, *document, "");
    }
    if (document->value("fits", false)) {
        return ExitCode::ok;
    }
    print(context.err, problem(*document));
    return ExitCode::failure;
}

}  // namespace

Action configure_dump_md(CLI::App& command) {
    auto options = std::make_shared<ReplicaOptions>();
    auto json = std::make_shared<bool>(false);
    options->add_to(command);
    command.add_flag("--json", *json, "Print one JSON object instead of text");
    return [options, json](Context& context) { return dump(context, *options, *json); };
}

}  // namespace braid::cli
