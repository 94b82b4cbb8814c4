// SPDX-License-Identifier: GPL-2.0-or-later
//
// ondisk_sample DISK META SEED: writes metadata with random contents into two existing files, or,
// where META is "-", into one, and prints as JSON what it is. For test_metadata.py, which builds
// it.
#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "core/ondisk.h"

namespace {

using Bits = std::array<u8, BRAID_LEAF_BYTES>;

std::mt19937_64 rng;

u64 below(u64 bound) {
    return rng() % bound;
}

void demand(bool condition, const char* what) {
    if (!condition) {
        std::perror(what);
        std::exit(1);
    }
}

void write_at(int file, const void* data, std::size_t size, u64 offset) {
    demand(pwrite(file, data, size, static_cast<off_t>(offset)) == static_cast<ssize_t>(size),
           "pwrite");
}

u64 size_of(int file) {
    return static_cast<u64>(lseek(file, 0, SEEK_END));
}

std::string hex(const u8* bytes, std::size_t size) {
    std::string text;
    for (std::size_t i = 0; i < size; i++) {
        std::array<char, 3> digits{};
        std::snprintf(digits.data(), digits.size(), "%02x", bytes[i]);
        text += digits.data();
    }
    return text;
}

std::string number(u64 value) {
    return std::to_string(value);
}

std::string stamp(const braid_stamp& it) {
    return "[" + number(it.epoch) + ", " + number(it.id) + ", " + number(it.instance) + "]";
}

braid_superblock random_superblock(bool external) {
    braid_superblock sb{};
    sb.sequence = 1 + below(1000000);
    for (u8& byte : sb.uuid)
        byte = static_cast<u8>(rng());
    sb.volume = static_cast<u32>(below(65536));
    sb.node = static_cast<u32>(below(BRAID_MAX_NODES));
    sb.flags = static_cast<u32>(below(16)) | (external ? BRAID_SB_EXTERNAL : 0);
    sb.block_size = below(2) != 0 ? 512 : 4096;
    sb.max_slots = static_cast<u32>(1 + below(BRAID_MAX_SLOTS));
    sb.voter = rng();
    sb.instance = rng();
    sb.last = {rng(), rng(), rng()};
    sb.volume_bytes = below(2) << BRAID_BLOCK_SHIFT;
    for (u8& byte : sb.config.lineage)
        byte = static_cast<u8>(rng());
    sb.config.epoch = rng();
    sb.config.id = rng();
    sb.config.members = static_cast<u32>(rng()) | 1U << sb.node;
    sb.config.diskful = sb.config.members & static_cast<u32>(rng());
    sb.config.in_sync = sb.config.diskful & static_cast<u32>(rng());
    sb.config.writer = below(2) != 0 ? BRAID_NO_WRITER : sb.node;
    for (u32 node = 0; node < BRAID_MAX_NODES; node++)
        sb.config.instance[node] = (sb.config.in_sync >> node & 1U) != 0 ? rng() : 0;
    for (u32 i = 0; i < BRAID_MAX_SLOTS; i++) {
        sb.slots[i].node = BRAID_NO_NODE;
        if (i < sb.max_slots && below(3) == 0)
            sb.slots[i] = {(sb.node + 1 + i) % BRAID_MAX_NODES, {rng(), rng(), rng()}};
    }
    return sb;
}

void print_superblock(const braid_superblock& sb) {
    const braid_config& config = sb.config;
    std::printf("\"sequence\": %s, \"uuid\": \"%s\", \"volume\": %u, \"node\": %u, \"flags\": %u, ",
                number(sb.sequence).c_str(), hex(sb.uuid, 16).c_str(), sb.volume, sb.node,
                sb.flags);
    std::printf("\"block_size\": %u, \"data_bytes\": %s, \"max_slots\": %u, \"voter\": %s, ",
                sb.block_size, number(sb.data_bytes).c_str(), sb.max_slots,
                number(sb.voter).c_str());
    std::printf("\"instance\": %s, \"last\": %s, \"volume_bytes\": %s, \"slots\": {",
                number(sb.instance).c_str(), stamp(sb.last).c_str(),
                number(sb.volume_bytes).c_str());
    const char* comma = "";
    for (u32 i = 0; i < sb.max_slots; i++) {
        if (sb.slots[i].node == BRAID_NO_NODE)
            continue;
        std::printf("%s\"%u\": [%u, %s]", comma, i, sb.slots[i].node,
                    stamp(sb.slots[i].base).c_str());
        comma = ", ";
    }
    std::printf("}, \"config\": [\"%s\", %s, %s, %u, %u, %u, %u], \"instances\": [0",
                hex(config.lineage, 16).c_str(), number(config.epoch).c_str(),
                number(config.id).c_str(), config.writer, config.in_sync, config.diskful,
                config.members);
    for (const u64 instance : config.instance)
        std::printf(", %s", number(instance).c_str());
    std::printf("]");
}

void write_superblocks(int file, braid_superblock sb) {
    const u64 size = size_of(file);
    const bool external = (sb.flags & BRAID_SB_EXTERNAL) != 0;
    const u32 newer = static_cast<u32>(below(2));
    std::array<u8, BRAID_BLOCK_SIZE> block{};
    braid_superblock_encode(&sb, block.data());
    write_at(file, block.data(), block.size(), braid_superblock_offset(size, external, newer));
    sb.sequence--;
    sb.config.epoch++;  // the older copy says something else
    if (sb.sequence == 0)
        return;
    braid_superblock_encode(&sb, block.data());
    if (below(3) == 0)
        block[below(block.size())] ^= 1;  // or is torn
    write_at(file, block.data(), block.size(), braid_superblock_offset(size, external, 1 - newer));
}

void write_vote(int file, const braid_superblock& sb) {
    std::vector<u8> value(below(BRAID_VOTE_MAX + 1));
    for (u8& byte : value)
        byte = static_cast<u8>(rng());
    std::vector<u8> record(BRAID_VOTE_BYTES);
    braid_vote_encode(record.data(), 5, value.data(), static_cast<u32>(value.size()));
    write_at(file, record.data(), record.size(), sb.votes_offset + BRAID_VOTE_BYTES);
    std::printf(", \"vote\": \"%s\"", hex(value.data(), value.size()).c_str());
    braid_vote_encode(record.data(), 4, value.data(), 0);
    write_at(file, record.data(), record.size(), sb.votes_offset);
}

void write_log(int file, const braid_superblock& sb) {
    std::set<u32> active;
    std::array<u8, BRAID_BLOCK_SIZE> block{};
    for (u32 index = 0; index < sb.log_blocks; index++) {
        const u32 newer = static_cast<u32>(below(2));
        std::array<u32, BRAID_LOG_SLOTS> regions{};
        for (u32 copy = 0; copy < 2; copy++) {
            for (u32& region : regions) {
                region = below(20) != 0 ? BRAID_LOG_FREE
                                        : static_cast<u32>(below(braid_regions(sb.data_bytes)));
                if (copy == newer && region != BRAID_LOG_FREE)
                    active.insert(region);
            }
            braid_log_encode(block.data(), copy == newer ? 8 : 7, index, sb.instance,
                             regions.data());
            write_at(file, block.data(), block.size(),
                     sb.log_offset + u64{BRAID_BLOCK_SIZE} * (copy * sb.log_blocks + index));
        }
    }
    const char* comma = ", \"active\": [";
    for (const u32 region : active) {
        std::printf("%s%u", comma, region);
        comma = ", ";
    }
    std::printf(active.empty() ? ", \"active\": []" : "]");
}

void write_leaf(int file, u64 slot, const braid_superblock& sb, u32 region, const Bits& bits) {
    std::array<u8, BRAID_BLOCK_SIZE> block{};
    const u64 at = slot + braid_leaf_offset(sb.data_bytes, region);
    demand(pread(file, block.data(), block.size(), static_cast<off_t>(at)) == BRAID_BLOCK_SIZE,
           "pread");
    braid_leaf_encode(block.data(), region, bits.data());
    write_at(file, block.data(), block.size(), at);
}

/// Prints each dirty block's number.
void write_slot(int file, const braid_superblock& sb, u32 slot, const char* comma) {
    const u64 base = sb.slots_offset + slot * sb.slot_bytes;
    const u32 regions = braid_regions(sb.data_bytes);
    std::vector<u8> states(u64{regions} / 4 + BRAID_SUMMARY_REGIONS);
    std::printf("%s\"%u\": [-1", comma, sb.slots[slot].node);
    for (u32 region = 0; region < regions; region++) {
        const u64 draw = below(40);
        if (draw > 3)
            continue;
        const bool all = draw == 0;
        states[region / 4] |= (all ? BRAID_REGION_ALL : BRAID_REGION_LEAF) << 2 * (region % 4);
        Bits bits{};
        for (u8& byte : bits)
            byte = below(8) != 0 ? 0 : static_cast<u8>(rng());
        if (!all)
            write_leaf(file, base, sb, region, bits);
        for (u32 bit = 0; bit < BRAID_REGION_BLOCKS; bit++) {
            const u64 block = u64{region} * BRAID_REGION_BLOCKS + bit;
            if (block < sb.data_bytes / BRAID_BLOCK_SIZE &&
                (all || (bits[bit / 8] >> bit % 8 & 1) != 0))
                std::printf(", %s", number(block).c_str());
        }
    }
    for (u32 index = 0; index * BRAID_SUMMARY_REGIONS < regions; index++) {
        std::array<u8, BRAID_SUMMARY_BYTES> sector{};
        braid_summary_encode(sector.data(), index,
                             &states[u64{index} * (BRAID_SUMMARY_REGIONS / 4)]);
        write_at(file, sector.data(), sector.size(), base + braid_summary_offset(index));
    }
    std::printf("]");
}

}  // namespace

int main(int argc, char** argv) {
    demand(argc == 4, "usage: ondisk_sample DISK META SEED");
    rng.seed(std::strtoull(argv[3], nullptr, 10));
    const bool external = std::string(argv[2]) != "-";
    const int disk = open(argv[1], O_RDWR | O_CLOEXEC);
    const int file = external ? open(argv[2], O_RDWR | O_CLOEXEC) : disk;
    demand(disk >= 0 && file >= 0, "open");
    braid_superblock sb = random_superblock(external);
    demand(braid_ondisk_layout(&sb, size_of(disk), size_of(file)), "layout");
    std::printf("{");
    print_superblock(sb);
    write_superblocks(file, sb);
    write_vote(file, sb);
    write_log(file, sb);
    std::printf(", \"dirty\": {");
    const char* comma = "";
    for (u32 slot = 0; slot < sb.max_slots; slot++) {
        if (sb.slots[slot].node == BRAID_NO_NODE)
            continue;
        write_slot(file, sb, slot, comma);
        comma = ", ";
    }
    std::printf("}}\n");
    return 0;
}
