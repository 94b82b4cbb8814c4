// SPDX-License-Identifier: GPL-2.0-or-later
//
// The metadata on a disk. Guards P7 (hostile bytes: a decoder refuses all that cannot be) and the
// format itself: what one version writes, all read.
#include "core/ondisk.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstring>
#include <functional>
#include <initializer_list>
#include <random>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "core/bytes.h"

namespace {

using Block = std::array<u8, BRAID_BLOCK_SIZE>;
using Record = std::array<u8, BRAID_VOTE_BYTES>;
using Sector = std::array<u8, BRAID_SUMMARY_BYTES>;
using Leaf = std::array<u8, BRAID_LEAF_BYTES>;
using Regions = std::array<u32, BRAID_LOG_SLOTS>;

constexpr u64 kib = 1024;
constexpr u64 mib = 1024 * kib;
constexpr u64 gib = 1024 * mib;
constexpr u64 tib = 1024 * gib;
constexpr u64 pib = 1024 * tib;

constexpr std::size_t header_crc = 8;
constexpr std::size_t map_crc = 4;

void seal(std::span<u8> bytes, std::size_t crc_at) {
    braid_put_le32(&bytes[crc_at], 0);
    braid_put_le32(&bytes[crc_at], ~braid_crc32c(~0U, bytes.data(), bytes.size()));
}

/// Different in each byte that a field has.
u64 filler(u64 seed) {
    return seed * 0x0102030405060708ULL + 0x1122334455667788ULL;
}

braid_superblock sample(bool external = false) {
    braid_superblock sb{};
    sb.sequence = filler(1);
    for (std::size_t i = 0; i < sizeof(sb.uuid); i++)
        sb.uuid[i] = static_cast<u8>(0xa0 + i);
    sb.volume = 0x01020304;
    sb.node = 7;
    sb.flags = BRAID_SB_IN_USE | BRAID_SB_SUSPECT | (external ? BRAID_SB_EXTERNAL : 0);
    sb.block_size = 512;
    sb.max_slots = 5;
    EXPECT_TRUE(braid_ondisk_layout(&sb, 40 * gib, 1 * gib));
    sb.voter = filler(2);
    sb.instance = filler(3);
    sb.last = {filler(4), filler(5), filler(6)};
    sb.volume_bytes = 0x8403000;
    for (std::size_t i = 0; i < sizeof(sb.config.lineage); i++)
        sb.config.lineage[i] = static_cast<u8>(0x30 + i);
    sb.config.epoch = filler(7);
    sb.config.id = filler(8);
    sb.config.writer = 9;
    sb.config.members = 0x80000283;
    sb.config.diskful = 0x80000083;
    sb.config.in_sync = 0x80000081;
    for (const u32 node : {0U, 7U, 31U})
        sb.config.instance[node] = filler(100 + node);
    for (auto& slot : sb.slots)
        slot.node = BRAID_NO_NODE;
    sb.slots[0] = {1, {filler(10), filler(11), filler(12)}};
    sb.slots[4] = {31, {filler(13), filler(14), filler(15)}};
    return sb;
}

Block encoded(const braid_superblock& sb) {
    Block block;
    block.fill(0xee);
    braid_superblock_encode(&sb, block.data());
    return block;
}

braid_ondisk_result decoded(const Block& block) {
    braid_superblock sb{};
    return braid_superblock_decode(&sb, block.data());
}

bool same(const braid_stamp& a, const braid_stamp& b) {
    return a.epoch == b.epoch && a.id == b.id && a.instance == b.instance;
}

void expect_same(const braid_superblock& a, const braid_superblock& b) {
    EXPECT_EQ(a.sequence, b.sequence);
    EXPECT_TRUE(std::ranges::equal(a.uuid, b.uuid));
    EXPECT_EQ(a.volume, b.volume);
    EXPECT_EQ(a.node, b.node);
    EXPECT_EQ(a.flags, b.flags);
    EXPECT_EQ(a.block_size, b.block_size);
    EXPECT_EQ(a.data_bytes, b.data_bytes);
    EXPECT_EQ(a.votes_offset, b.votes_offset);
    EXPECT_EQ(a.log_offset, b.log_offset);
    EXPECT_EQ(a.log_blocks, b.log_blocks);
    EXPECT_EQ(a.max_slots, b.max_slots);
    EXPECT_EQ(a.slots_offset, b.slots_offset);
    EXPECT_EQ(a.slot_bytes, b.slot_bytes);
    EXPECT_EQ(a.voter, b.voter);
    EXPECT_EQ(a.instance, b.instance);
    EXPECT_TRUE(same(a.last, b.last));
    EXPECT_EQ(a.volume_bytes, b.volume_bytes);
    EXPECT_TRUE(std::ranges::equal(a.config.lineage, b.config.lineage));
    EXPECT_EQ(a.config.epoch, b.config.epoch);
    EXPECT_EQ(a.config.id, b.config.id);
    EXPECT_EQ(a.config.writer, b.config.writer);
    EXPECT_EQ(a.config.in_sync, b.config.in_sync);
    EXPECT_EQ(a.config.diskful, b.config.diskful);
    EXPECT_EQ(a.config.members, b.config.members);
    EXPECT_TRUE(std::ranges::equal(a.config.instance, b.config.instance));
    for (u32 i = 0; i < BRAID_MAX_SLOTS; i++) {
        EXPECT_EQ(a.slots[i].node, b.slots[i].node) << i;
        EXPECT_TRUE(same(a.slots[i].base, b.slots[i].base)) << i;
    }
}

// CRC-32C

TEST(Ondisk, CrcIsCastagnolis) {
    // The check value, and examples of RFC 3720, appendix B.4.
    EXPECT_EQ(~braid_crc32c(~0U, "123456789", 9), 0xe3069283U);
    std::array<u8, 32> bytes{};
    EXPECT_EQ(~braid_crc32c(~0U, bytes.data(), bytes.size()), 0x8a9136aaU);
    bytes.fill(0xff);
    EXPECT_EQ(~braid_crc32c(~0U, bytes.data(), bytes.size()), 0x62a8ab43U);
    for (std::size_t i = 0; i < bytes.size(); i++)
        bytes[i] = static_cast<u8>(i);
    EXPECT_EQ(~braid_crc32c(~0U, bytes.data(), bytes.size()), 0x46dd794eU);
}

TEST(Ondisk, CrcGoesOnWhereItStopped) {
    for (std::size_t cut = 0; cut <= 9; cut++) {
        const u32 first = braid_crc32c(~0U, "123456789", cut);
        EXPECT_EQ(~braid_crc32c(first, &"123456789"[cut], 9 - cut), 0xe3069283U);
    }
}

// Superblock

TEST(Superblock, EachFieldComesBack) {
    for (const bool external : {false, true}) {
        const auto sb = sample(external);
        braid_superblock back{};
        const Block block = encoded(sb);
        ASSERT_EQ(braid_superblock_decode(&back, block.data()), BRAID_ONDISK_OK);
        expect_same(sb, back);
        EXPECT_EQ(encoded(back), block);
    }
}

/// The tables of ondisk.h, field by field: what they say must never change.
TEST(Superblock, FieldsAreWhereTheDocumentSays) {
    const auto sb = sample();
    const Block block = encoded(sb);
    EXPECT_EQ(std::memcmp(block.data(), "BRAID-SB", 8), 0);
    EXPECT_EQ(braid_get_le16(&block[12]), 1);
    EXPECT_EQ(braid_get_le16(&block[14]), 0);
    EXPECT_EQ(braid_get_le64(&block[16]), sb.sequence);
    EXPECT_EQ(block[24], 0xa0);
    EXPECT_EQ(block[39], 0xaf);
    EXPECT_EQ(braid_get_le32(&block[40]), sb.volume);
    EXPECT_EQ(braid_get_le32(&block[44]), sb.node);
    EXPECT_EQ(braid_get_le32(&block[48]), sb.flags);
    EXPECT_EQ(braid_get_le32(&block[52]), sb.block_size);
    EXPECT_EQ(braid_get_le64(&block[56]), sb.data_bytes);
    EXPECT_EQ(braid_get_le64(&block[64]), sb.votes_offset);
    EXPECT_EQ(braid_get_le64(&block[72]), sb.log_offset);
    EXPECT_EQ(braid_get_le32(&block[80]), sb.log_blocks);
    EXPECT_EQ(braid_get_le32(&block[84]), sb.max_slots);
    EXPECT_EQ(braid_get_le64(&block[88]), sb.slots_offset);
    EXPECT_EQ(braid_get_le64(&block[96]), sb.slot_bytes);
    EXPECT_EQ(braid_get_le64(&block[104]), sb.voter);
    EXPECT_EQ(braid_get_le64(&block[112]), sb.instance);
    EXPECT_EQ(braid_get_le64(&block[120]), sb.last.epoch);
    EXPECT_EQ(braid_get_le64(&block[128]), sb.last.id);
    EXPECT_EQ(braid_get_le64(&block[136]), sb.last.instance);
    EXPECT_EQ(braid_get_le64(&block[144]), sb.volume_bytes);
    EXPECT_EQ(block[256], 0x30);
    EXPECT_EQ(braid_get_le64(&block[272]), sb.config.epoch);
    EXPECT_EQ(braid_get_le64(&block[280]), sb.config.id);
    EXPECT_EQ(braid_get_le32(&block[288]), sb.config.writer);
    EXPECT_EQ(braid_get_le32(&block[292]), sb.config.in_sync);
    EXPECT_EQ(braid_get_le32(&block[296]), sb.config.diskful);
    EXPECT_EQ(braid_get_le32(&block[300]), sb.config.members);
    EXPECT_EQ(braid_get_le64(&block[304 + 31 * 8]), sb.config.instance[31]);
    EXPECT_EQ(braid_get_le32(&block[1024 + 4 * 32]), 31U);
    EXPECT_EQ(braid_get_le64(&block[1024 + 4 * 32 + 8]), sb.slots[4].base.epoch);
    EXPECT_EQ(braid_get_le64(&block[1024 + 4 * 32 + 16]), sb.slots[4].base.id);
    EXPECT_EQ(braid_get_le64(&block[1024 + 4 * 32 + 24]), sb.slots[4].base.instance);
    EXPECT_EQ(braid_get_le32(&block[1024 + 30 * 32]), 0xffU);
}

/// The areas of a layout, the superblocks' included, as (start, end).
std::vector<std::pair<u64, u64>> areas(const braid_superblock& sb, u64 device_bytes) {
    const bool external = (sb.flags & BRAID_SB_EXTERNAL) != 0;
    const u64 super = braid_superblock_offset(device_bytes, external, external ? 0 : 1);
    return {{super, super + 8192},
            {sb.votes_offset, sb.votes_offset + 2ULL * BRAID_VOTE_BYTES},
            {sb.log_offset, sb.log_offset + 2ULL * sb.log_blocks * 4096},
            {sb.slots_offset, sb.slots_offset + sb.max_slots * sb.slot_bytes}};
}

TEST(Grow, NewPlacesAreBesideTheOldOnes) {
    for (const bool external : {false, true}) {
        auto sb = sample(external);
        u64 size = 40 * gib;
        u64 grown = 0;
        const u64 meta = 1 * gib;
        for (const u64 more : {44 * gib, 60 * gib, 61 * gib, 200 * gib, 201 * gib}) {
            const auto old = sb;
            ASSERT_EQ(braid_ondisk_grow(&sb, external ? meta : size, more, meta), BRAID_GROW_OK);
            EXPECT_GT(sb.data_bytes, old.data_bytes);
            EXPECT_EQ(sb.log_blocks, old.log_blocks);
            EXPECT_TRUE(braid_superblock_fits(&sb, more, meta));
            for (const auto& [start, end] : areas(sb, external ? meta : more))
                for (const auto& [old_start, old_end] : areas(old, external ? meta : size))
                    EXPECT_TRUE(start >= old_end || old_start >= end || (external && start == 0))
                        << external << " " << more;
            size = more;
            grown++;
        }
        EXPECT_EQ(grown, 5U);
        EXPECT_EQ(braid_ondisk_grow(&sb, external ? meta : size, size, meta), BRAID_GROW_NONE);
    }
}

TEST(Grow, WithoutRoomNothingChanges) {
    auto sb = sample();
    EXPECT_EQ(braid_ondisk_grow(&sb, 40 * gib, 40 * gib + 65536, 0), BRAID_GROW_NO_ROOM);
    expect_same(sb, sample());
    sb = sample(true);
    EXPECT_EQ(braid_ondisk_grow(&sb, 8 << 20, 44 * gib, 8 << 20), BRAID_GROW_NO_ROOM);
    expect_same(sb, sample(true));
}

TEST(Superblock, WhatDoesNotCountIsNotWritten) {
    auto sb = sample();
    sb.config.instance[1] = 77;    // not in sync
    sb.slots[1].base = {1, 2, 3};  // free
    sb.slots[5] = {2, {1, 2, 3}};  // beyond max_slots
    EXPECT_EQ(encoded(sb), encoded(sample()));
}

TEST(Superblock, EachSingleBitFlipIsFound) {
    Block block = encoded(sample());
    for (std::size_t bit = 0; bit < 8 * block.size(); bit++) {
        block[bit / 8] ^= 1U << bit % 8;
        ASSERT_EQ(decoded(block), bit < 64 ? BRAID_ONDISK_NONE : BRAID_ONDISK_CORRUPT) << bit;
        block[bit / 8] ^= 1U << bit % 8;
    }
    EXPECT_EQ(decoded(block), BRAID_ONDISK_OK);
}

TEST(Superblock, ATornWriteIsFound) {
    auto sb = sample();
    const Block old = encoded(sb);
    sb.sequence++;
    sb.config.epoch++;
    sb.slots[4].base.epoch++;
    const Block young = encoded(sb);
    for (std::size_t cut = 512; cut <= 1024; cut += 512) {
        Block torn = young;
        std::copy(old.begin() + static_cast<std::ptrdiff_t>(cut), old.end(),
                  torn.begin() + static_cast<std::ptrdiff_t>(cut));
        EXPECT_EQ(decoded(torn), BRAID_ONDISK_CORRUPT) << cut;
    }
}

TEST(Superblock, NothingIsNothing) {
    Block block{};
    EXPECT_EQ(decoded(block), BRAID_ONDISK_NONE);
    block.fill(0xff);
    EXPECT_EQ(decoded(block), BRAID_ONDISK_NONE);
}

TEST(Superblock, VersionsAreToldApart) {
    Block block = encoded(sample());
    for (const auto& [version, result] :
         {std::pair<u16, braid_ondisk_result>{0, BRAID_ONDISK_INVALID},
          {1, BRAID_ONDISK_OK},
          {2, BRAID_ONDISK_VERSION},
          {0xffff, BRAID_ONDISK_VERSION}}) {
        braid_put_le16(&block[12], version);
        seal(block, header_crc);
        EXPECT_EQ(decoded(block), result) << version;
    }
}

TEST(Superblock, ReservedBytesAreZero) {
    const Block good = encoded(sample());
    const auto try_range = [&](std::size_t from, std::size_t to) {
        for (std::size_t at = from; at < to; at++) {
            Block bad = good;
            ASSERT_EQ(bad[at], 0) << at;
            bad[at] = 0x80;
            seal(bad, header_crc);
            ASSERT_EQ(decoded(bad), BRAID_ONDISK_INVALID) << at;
        }
    };
    try_range(14, 16);
    try_range(152, 256);
    try_range(560, 1024);
    try_range(2016, 4096);
    for (std::size_t slot = 0; slot < BRAID_MAX_SLOTS; slot++)
        try_range(1024 + slot * 32 + 4, 1024 + slot * 32 + 8);
    for (const std::size_t slot : {1, 5, 30})  // free: the base counts as reserved
        try_range(1024 + slot * 32 + 8, 1024 + slot * 32 + 32);
    for (const std::size_t node : {1, 6, 9, 30})  // not in sync
        try_range(304 + node * 8, 304 + node * 8 + 8);
}

struct Mistake {
    const char* name;
    std::function<void(braid_superblock&)> make;
};

class SuperblockMistake : public testing::TestWithParam<Mistake> {};

TEST_P(SuperblockMistake, IsRefused) {
    auto sb = sample();
    ASSERT_EQ(decoded(encoded(sb)), BRAID_ONDISK_OK);
    GetParam().make(sb);
    EXPECT_EQ(decoded(encoded(sb)), BRAID_ONDISK_INVALID);
}

using Sb = braid_superblock;

INSTANTIATE_TEST_SUITE_P(
    Fields, SuperblockMistake,
    testing::Values(
        Mistake{"sequence_0", [](Sb& sb) { sb.sequence = 0; }},
        Mistake{"node_32", [](Sb& sb) { sb.node = 32; }},
        Mistake{"node_none", [](Sb& sb) { sb.node = BRAID_NO_NODE; }},
        Mistake{"flag_unknown", [](Sb& sb) { sb.flags |= BRAID_SB_INTERNAL_FLAGS + 1; }},
        Mistake{"flag_highest", [](Sb& sb) { sb.flags |= 0x80000000; }},
        Mistake{"block_size_0", [](Sb& sb) { sb.block_size = 0; }},
        Mistake{"block_size_1024", [](Sb& sb) { sb.block_size = 1024; }},
        Mistake{"block_size_8192", [](Sb& sb) { sb.block_size = 8192; }},
        Mistake{"data_0", [](Sb& sb) { sb.data_bytes = 0; }},
        Mistake{"data_odd", [](Sb& sb) { sb.data_bytes -= 512; }},
        Mistake{"data_huge", [](Sb& sb) { sb.data_bytes = pib + 4096; }},
        Mistake{"data_2_to_63", [](Sb& sb) { sb.data_bytes = 1ULL << 63; }},
        Mistake{"volume_larger", [](Sb& sb) { sb.volume_bytes = sb.data_bytes + 4096; }},
        Mistake{"volume_odd", [](Sb& sb) { sb.volume_bytes -= 512; }},
        Mistake{"data_into_votes", [](Sb& sb) { sb.data_bytes = sb.votes_offset + 4096; }},
        Mistake{"votes_in_data", [](Sb& sb) { sb.votes_offset = 0; }},
        Mistake{"votes_odd", [](Sb& sb) { sb.votes_offset -= 1; }},
        Mistake{"votes_huge", [](Sb& sb) { sb.votes_offset = 0xfffffffffffff000; }},
        Mistake{"votes_in_log", [](Sb& sb) { sb.votes_offset = sb.log_offset - 4096; }},
        Mistake{"votes_in_slots", [](Sb& sb) { sb.votes_offset = sb.slots_offset + 4096; }},
        Mistake{"log_odd", [](Sb& sb) { sb.log_offset += 512; }},
        Mistake{"log_huge", [](Sb& sb) { sb.log_offset = 0xfffffffffffff000; }},
        Mistake{"log_in_votes", [](Sb& sb) { sb.log_offset = sb.votes_offset; }},
        Mistake{"log_in_slots", [](Sb& sb) { sb.log_offset += 4096; }},
        Mistake{"log_in_last_slot",
                [](Sb& sb) { sb.log_offset = sb.slots_offset + 5 * sb.slot_bytes - 4096; }},
        Mistake{"log_empty", [](Sb& sb) { sb.log_blocks = 0; }},
        Mistake{"log_longer", [](Sb& sb) { sb.log_blocks++; }},
        Mistake{"log_17", [](Sb& sb) { sb.log_blocks = 17; }},
        Mistake{"log_2_to_32", [](Sb& sb) { sb.log_blocks = UINT32_MAX; }},
        Mistake{"slots_odd", [](Sb& sb) { sb.slots_offset += 8; }},
        Mistake{"slots_huge", [](Sb& sb) { sb.slots_offset = 0xfffffffffffff000; }},
        Mistake{"slots_in_data", [](Sb& sb) { sb.slots_offset = sb.data_bytes - 4096; }},
        Mistake{"slots_over_votes",
                [](Sb& sb) { sb.slots_offset = sb.votes_offset - 4 * sb.slot_bytes; }},
        Mistake{"slots_32", [](Sb& sb) { sb.max_slots = 32; }},
        Mistake{"slots_2_to_32", [](Sb& sb) { sb.max_slots = UINT32_MAX; }},
        Mistake{"slot_small", [](Sb& sb) { sb.slot_bytes -= 4096; }},
        Mistake{"slot_odd", [](Sb& sb) { sb.slot_bytes += 512; }},
        Mistake{"slot_0", [](Sb& sb) { sb.slot_bytes = 0; }},
        Mistake{"slot_huge", [](Sb& sb) { sb.slot_bytes = 1ULL << 63; }}),
    [](const auto& info) { return info.param.name; });

INSTANTIATE_TEST_SUITE_P(
    Config, SuperblockMistake,
    testing::Values(Mistake{"writer_32", [](Sb& sb) { sb.config.writer = 32; }},
                    Mistake{"writer_256", [](Sb& sb) { sb.config.writer = 256; }},
                    Mistake{"writer_2_to_32", [](Sb& sb) { sb.config.writer = UINT32_MAX; }},
                    Mistake{"writer_no_member", [](Sb& sb) { sb.config.writer = 2; }},
                    Mistake{"in_sync_not_diskful", [](Sb& sb) { sb.config.in_sync |= 1U << 9; }},
                    Mistake{"in_sync_no_member", [](Sb& sb) { sb.config.in_sync |= 1U << 30; }},
                    Mistake{"diskful_no_member", [](Sb& sb) { sb.config.diskful |= 1U << 8; }},
                    Mistake{"member_missing", [](Sb& sb) { sb.config.members &= ~(1U << 31); }},
                    Mistake{"slot_of_32", [](Sb& sb) { sb.slots[2].node = 32; }},
                    Mistake{"slot_of_2_to_32", [](Sb& sb) { sb.slots[2].node = UINT32_MAX; }},
                    Mistake{"slot_twice", [](Sb& sb) { sb.slots[2].node = 1; }},
                    Mistake{"last_slot_twice", [](Sb& sb) { sb.slots[3].node = 31; }}),
    [](const auto& info) { return info.param.name; });

TEST(Superblock, SlotsInUseBeyondTheirNumberAreRefused) {
    Block block = encoded(sample());
    braid_put_le32(&block[1024 + 5 * 32], 3);
    seal(block, header_crc);
    EXPECT_EQ(decoded(block), BRAID_ONDISK_INVALID);
}

TEST(Superblock, ExternalAreasStartAfterTheSuperblocks) {
    for (u64 Sb::*offset : {&Sb::votes_offset, &Sb::log_offset, &Sb::slots_offset}) {
        auto sb = sample(true);
        sb.votes_offset = 10 * gib;
        sb.log_offset = 20 * gib;
        sb.slots_offset = 30 * gib;
        sb.*offset = 8192;
        EXPECT_EQ(decoded(encoded(sb)), BRAID_ONDISK_OK);
        sb.*offset = 4096;
        EXPECT_EQ(decoded(encoded(sb)), BRAID_ONDISK_INVALID);
    }
}

TEST(Superblock, NoWriterAndNoConfigurationAreValid) {
    auto sb = sample();
    sb.config = {};
    sb.config.writer = BRAID_NO_WRITER;
    EXPECT_EQ(decoded(encoded(sb)), BRAID_ONDISK_OK);
    sb.config.writer = 0;  // which is no member
    EXPECT_EQ(decoded(encoded(sb)), BRAID_ONDISK_INVALID);
}

TEST(Superblock, AllMembersAndSlotsAreValid) {
    auto sb = sample(true);
    sb.max_slots = BRAID_MAX_SLOTS;
    sb.data_bytes = 0;
    ASSERT_TRUE(braid_ondisk_layout(&sb, pib, 2 * tib));
    sb.config.members = sb.config.diskful = sb.config.in_sync = UINT32_MAX;
    sb.config.writer = 31;
    for (u32 i = 0; i < BRAID_MAX_SLOTS; i++)
        sb.slots[i] = {31 - i, {1, 2, 3}};
    EXPECT_EQ(decoded(encoded(sb)), BRAID_ONDISK_OK);
    EXPECT_TRUE(braid_superblock_fits(&sb, pib, 2 * tib));
}

/// Whatever bytes come with a right crc: what is accepted is written again as it was.
TEST(Superblock, WhatIsAcceptedIsCanonical) {
    std::mt19937 random(1);
    const Block good = encoded(sample());
    int accepted = 0;
    for (int i = 0; i < 20000; i++) {
        Block block = good;
        const int changes = 1 + static_cast<int>(random() % 3);
        for (int change = 0; change < changes; change++)
            block[12 + random() % 2010] = static_cast<u8>(random());
        seal(block, header_crc);
        braid_superblock sb{};
        if (braid_superblock_decode(&sb, block.data()) == BRAID_ONDISK_OK) {
            accepted++;
            ASSERT_EQ(encoded(sb), block);
        }
    }
    EXPECT_GT(accepted, 100);
}

// Layout

struct Area {
    u64 start;
    u64 end;
};

/// All of the device that holds the metadata which the volume uses; fails if any two overlap.
void expect_sound(const Sb& sb, u64 data_device, u64 meta_device) {
    const bool external = (sb.flags & BRAID_SB_EXTERNAL) != 0;
    const u64 device = external ? meta_device : data_device;
    std::vector<Area> areas;
    if (!external)
        areas.push_back({0, sb.data_bytes});
    for (const u32 copy : {0U, 1U}) {
        const u64 at = braid_superblock_offset(device, external, copy);
        areas.push_back({at, at + 4096});
    }
    areas.push_back({sb.votes_offset, sb.votes_offset + 2 * u64{BRAID_VOTE_BYTES}});
    areas.push_back({sb.log_offset, sb.log_offset + u64{sb.log_blocks} * 2 * 4096});
    for (u32 slot = 0; slot < sb.max_slots; slot++) {
        const u64 at = sb.slots_offset + slot * sb.slot_bytes;
        areas.push_back({at, at + sb.slot_bytes});
    }
    std::ranges::sort(areas, {}, &Area::start);
    for (std::size_t i = 0; i < areas.size(); i++) {
        EXPECT_EQ(areas[i].start % 4096, 0U);
        EXPECT_LT(areas[i].start, areas[i].end);
        EXPECT_LE(areas[i].end, i + 1 < areas.size() ? areas[i + 1].start : device);
    }
    EXPECT_GT(sb.data_bytes, 0U);
    EXPECT_LE(sb.data_bytes, std::min(data_device, pib));
    EXPECT_TRUE(braid_superblock_fits(&sb, data_device, meta_device));
}

const std::vector<u64> sizes{48 * kib, 64 * kib,       100 * kib + 512, 1 * mib,
                             4 * mib,  5 * mib + 4096, 100 * mib,       3 * gib - 512,
                             10 * gib, 64 * gib,       1 * tib,         64 * tib,
                             pib,      pib + 123 * gib};

TEST(Layout, InternalTakesAsMuchDataAsFits) {
    int laid_out = 0;
    for (const u64 device : sizes) {
        for (u32 slots = 0; slots <= BRAID_MAX_SLOTS; slots++) {
            Sb sb{};
            sb.max_slots = slots;
            if (!braid_ondisk_layout(&sb, device, 0)) {
                EXPECT_LE(device, 100 * kib + 512 + 8 * kib * slots);
                continue;
            }
            SCOPED_TRACE(std::to_string(device) + " bytes, slots " + std::to_string(slots));
            expect_sound(sb, device, 0);
            laid_out++;
            Sb more = sb;  // one block more does not fit
            more.data_bytes += 4096;
            EXPECT_FALSE(braid_ondisk_layout(&more, device, 0));
            Sb again = sb;
            EXPECT_TRUE(braid_ondisk_layout(&again, device, 0));
            EXPECT_EQ(again.votes_offset, sb.votes_offset);
        }
    }
    EXPECT_GT(laid_out, 300);
}

TEST(Layout, ExternalTakesTheWholeDisk) {
    for (const u64 device : sizes) {
        for (const u32 slots : {0U, 1U, 7U, 31U}) {
            SCOPED_TRACE(std::to_string(device) + " bytes, slots " + std::to_string(slots));
            Sb sb{};
            sb.flags = BRAID_SB_EXTERNAL;
            sb.max_slots = slots;
            ASSERT_TRUE(braid_ondisk_layout(&sb, device, 2 * tib));
            EXPECT_EQ(sb.data_bytes, std::min(device / 4096 * 4096, pib));
            expect_sound(sb, device, 2 * tib);
            const u64 needs = std::max(sb.slots_offset + slots * sb.slot_bytes,
                                       sb.log_offset + sb.log_blocks * u64{8192});
            Sb exact = sb;
            EXPECT_TRUE(braid_ondisk_layout(&exact, device, needs));
            EXPECT_TRUE(braid_superblock_fits(&exact, device, needs));
            EXPECT_FALSE(braid_ondisk_layout(&exact, device, needs - 1));
            EXPECT_FALSE(braid_superblock_fits(&exact, device, needs - 1));
        }
    }
}

TEST(Layout, SizesThatAreGivenAreKept) {
    Sb sb{};
    sb.max_slots = 3;
    sb.data_bytes = 8 * mib;
    ASSERT_TRUE(braid_ondisk_layout(&sb, 1 * gib, 0));
    EXPECT_EQ(sb.data_bytes, 8 * mib);
    EXPECT_EQ(sb.slots_offset + 3 * sb.slot_bytes, 1 * gib - 8192);
    expect_sound(sb, 1 * gib, 0);
}

TEST(Layout, WhatDoesNotFitIsRefused) {
    for (const u32 flags : {0U, BRAID_SB_EXTERNAL}) {
        for (const u64 data : {1 * gib + 4096, u64{512}, 8 * mib + 512, pib + 4096, ~u64{4095}}) {
            Sb sb{};
            sb.flags = flags;
            sb.data_bytes = data;
            EXPECT_FALSE(braid_ondisk_layout(&sb, 1 * gib, 1 * gib)) << flags << " " << data;
        }
        Sb many{};
        many.flags = flags;
        many.max_slots = BRAID_MAX_SLOTS + 1;
        EXPECT_FALSE(braid_ondisk_layout(&many, 1 * gib, 1 * gib));
        for (const u64 device : {u64{0}, u64{512}, u64{4095}}) {
            Sb tiny{};
            tiny.flags = flags;
            EXPECT_FALSE(braid_ondisk_layout(&tiny, device, device)) << device;
        }
        Sb largest{};
        largest.flags = flags;
        largest.max_slots = BRAID_MAX_SLOTS;
        ASSERT_TRUE(braid_ondisk_layout(&largest, 1024 * pib, 1024 * pib));
        EXPECT_EQ(largest.data_bytes, pib);
        expect_sound(largest, 1024 * pib, 1024 * pib);
    }
    Sb beyond{};  // its metadata would be beyond the highest offset
    EXPECT_FALSE(braid_ondisk_layout(&beyond, UINT64_MAX, 0));
}

TEST(Layout, TheLogGrowsWithTheVolumeUpToItsLimit) {
    const auto log_blocks = [](u64 data) {
        Sb sb{};
        sb.data_bytes = data;
        EXPECT_TRUE(braid_ondisk_layout(&sb, 2 * data + 1 * gib, 0));
        return sb.log_blocks;
    };
    EXPECT_EQ(log_blocks(4096), 1U);
    EXPECT_EQ(log_blocks(4 * mib * 1016), 1U);
    EXPECT_EQ(log_blocks(4 * mib * 1016 + 4096), 2U);
    EXPECT_EQ(log_blocks(15 * mib * 4 * 1016 + 4096), 16U);
    EXPECT_EQ(log_blocks(64 * tib), 16U);
}

TEST(Layout, SuperblocksAreAtTheDocumentedPlaces) {
    EXPECT_EQ(braid_superblock_offset(1 * gib, true, 0), 0U);
    EXPECT_EQ(braid_superblock_offset(1 * gib, true, 1), 4096U);
    EXPECT_EQ(braid_superblock_offset(1 * gib, false, 0), 1 * gib - 4096);
    EXPECT_EQ(braid_superblock_offset(1 * gib, false, 1), 1 * gib - 8192);
    EXPECT_EQ(braid_superblock_offset(1 * gib + 4095, false, 0), 1 * gib - 4096);
    EXPECT_EQ(braid_superblock_offset(8192, false, 1), 0U);
    EXPECT_EQ(braid_superblock_offset(4096, false, 1), 0U);
    EXPECT_EQ(braid_superblock_offset(0, false, 0), 0U);
}

TEST(Layout, FitsComparesWithTheDevices) {
    const Sb internal = sample();
    EXPECT_TRUE(braid_superblock_fits(&internal, 40 * gib, 0));
    EXPECT_TRUE(braid_superblock_fits(&internal, 41 * gib, 0));
    EXPECT_FALSE(braid_superblock_fits(&internal, 40 * gib - 4096, 0));
    EXPECT_FALSE(braid_superblock_fits(&internal, 1 * gib, 0));
    EXPECT_FALSE(braid_superblock_fits(&internal, 0, 0));
    const Sb external = sample(true);
    EXPECT_TRUE(braid_superblock_fits(&external, 40 * gib, 1 * gib));
    EXPECT_FALSE(braid_superblock_fits(&external, 40 * gib - 4096, 1 * gib));
    EXPECT_FALSE(braid_superblock_fits(&external, 40 * gib, 1 * mib));
    Sb broken = internal;
    broken.slot_bytes = 1ULL << 60;
    EXPECT_FALSE(braid_superblock_fits(&broken, UINT64_MAX, 0));
}

TEST(Layout, SlotPartsFollowOneAnother) {
    EXPECT_EQ(braid_regions(4096), 1U);
    EXPECT_EQ(braid_regions(4 * mib), 1U);
    EXPECT_EQ(braid_regions(4 * mib + 4096), 2U);
    EXPECT_EQ(braid_regions(pib), 1U << 28);
    EXPECT_EQ(braid_summary_offset(0), 0U);
    EXPECT_EQ(braid_summary_offset(9), 9U * 512);
    EXPECT_EQ(braid_summary_offset(133152), 133152ULL * 512);
    EXPECT_EQ(braid_summary_area(4096), 4096U);
    EXPECT_EQ(braid_summary_area(8 * mib * 2016 * 4), 4096U);
    EXPECT_EQ(braid_summary_area(8 * mib * 2016 * 4 + 4096), 8192U);
    EXPECT_EQ(braid_slot_area(4096), 8192U);
    for (const u64 data : {u64{4096}, 120 * mib, 120 * mib + 4096, 64 * tib, pib}) {
        const u32 last = braid_regions(data) - 1;
        EXPECT_EQ(braid_leaf_offset(data, 0), braid_summary_area(data));
        EXPECT_EQ(braid_leaf_offset(data, last) + 4096, braid_slot_area(data));
        EXPECT_EQ(braid_slot_area(data) % 4096, 0U);
        if (last >= 30) {
            EXPECT_EQ(braid_leaf_offset(data, 29), braid_leaf_offset(data, 0));
            EXPECT_EQ(braid_leaf_offset(data, 30), braid_leaf_offset(data, 0) + 4096);
        }
    }
}

// Votes

std::vector<u8> noise(std::size_t length) {
    std::mt19937 random(static_cast<unsigned>(length));
    std::vector<u8> bytes(length);
    std::ranges::generate(bytes, [&] { return static_cast<u8>(random() | 1U); });
    return bytes;
}

Record vote(u64 sequence, const std::vector<u8>& value) {
    Record record;
    record.fill(0xee);
    braid_vote_encode(record.data(), sequence, value.data(), static_cast<u32>(value.size()));
    return record;
}

braid_ondisk_result decoded(const Record& record) {
    u64 sequence = 0;
    const u8* value = nullptr;
    u32 length = 0;
    return braid_vote_decode(record.data(), &sequence, &value, &length);
}

TEST(Vote, ValuesComeBack) {
    for (const std::size_t size : {0, 1, 479, 4096, BRAID_VOTE_MAX}) {
        const auto value = noise(size);
        const Record record = vote(filler(1), value);
        u64 sequence = 0;
        const u8* back = nullptr;
        u32 length = 0;
        ASSERT_EQ(braid_vote_decode(record.data(), &sequence, &back, &length), BRAID_ONDISK_OK);
        EXPECT_EQ(sequence, filler(1));
        EXPECT_EQ(std::vector<u8>(back, back + length), value);
        EXPECT_EQ(std::memcmp(record.data(), "BRAIDVOT", 8), 0);
        EXPECT_EQ(back, record.data() + 32);
        EXPECT_EQ(braid_get_le32(&record[24]), size);
    }
}

TEST(Vote, WhatIsTooLongIsCutOff) {
    const auto value = noise(BRAID_VOTE_MAX + 100);
    const Record record = vote(1, value);
    EXPECT_EQ(braid_get_le32(&record[24]), BRAID_VOTE_MAX);
    EXPECT_EQ(decoded(record), BRAID_ONDISK_OK);
}

TEST(Vote, EachSingleBitFlipIsFound) {
    Record record = vote(1, noise(5000));
    for (std::size_t bit = 0; bit < 8 * record.size(); bit++) {
        // Each byte, each bit number, not each pair of both: 16 KiB are long under sanitizers.
        if (bit % 8 != bit / 8 % 8 && bit >= 8UL * 40)
            continue;
        record[bit / 8] ^= 1U << bit % 8;
        ASSERT_EQ(decoded(record), bit < 64 ? BRAID_ONDISK_NONE : BRAID_ONDISK_CORRUPT) << bit;
        record[bit / 8] ^= 1U << bit % 8;
    }
    EXPECT_EQ(decoded(record), BRAID_ONDISK_OK);
}

TEST(Vote, FieldsThatCannotBeAreRefused) {
    const Record good = vote(1, noise(100));
    const auto with = [&](std::size_t at, u8 value) {
        Record bad = good;
        bad[at] = value;
        seal(bad, header_crc);
        return decoded(bad);
    };
    EXPECT_EQ(with(12, 1), BRAID_ONDISK_OK);
    EXPECT_EQ(with(12, 0), BRAID_ONDISK_INVALID);
    EXPECT_EQ(with(12, 2), BRAID_ONDISK_VERSION);
    EXPECT_EQ(with(14, 1), BRAID_ONDISK_INVALID);
    EXPECT_EQ(with(15, 1), BRAID_ONDISK_INVALID);
    EXPECT_EQ(with(16, 0), BRAID_ONDISK_INVALID);   // sequence 0
    EXPECT_EQ(with(24, 99), BRAID_ONDISK_INVALID);  // a byte of the value after its end
    EXPECT_EQ(with(27, 0xff), BRAID_ONDISK_INVALID);
    for (std::size_t at = 28; at < 32; at++)
        EXPECT_EQ(with(at, 1), BRAID_ONDISK_INVALID);
    for (std::size_t at = 132; at < good.size(); at += 61)
        EXPECT_EQ(with(at, 1), BRAID_ONDISK_INVALID);
    EXPECT_EQ(with(good.size() - 1, 1), BRAID_ONDISK_INVALID);
    Record longer = good;
    braid_put_le32(&longer[24], BRAID_VOTE_MAX + 1);
    seal(longer, header_crc);
    EXPECT_EQ(decoded(longer), BRAID_ONDISK_INVALID);
}

// Log

Regions some_regions() {
    Regions regions;
    for (u32 i = 0; i < BRAID_LOG_SLOTS; i++)
        regions[i] = i % 3 == 0 ? BRAID_LOG_FREE : i * 264207;
    regions[1] = (1U << 28) - 1;
    return regions;
}

Block log_block(u32 index = 15) {
    Block block;
    block.fill(0xee);
    braid_log_encode(block.data(), filler(1), index, filler(2), some_regions().data());
    return block;
}

braid_ondisk_result decoded_log(const Block& block, u32 index = 15) {
    u64 sequence = 0;
    u64 instance = 0;
    Regions regions;
    return braid_log_decode(block.data(), index, &sequence, &instance, regions.data());
}

TEST(Log, RegionsComeBack) {
    const Block block = log_block();
    u64 sequence = 0;
    u64 instance = 0;
    Regions regions;
    ASSERT_EQ(braid_log_decode(block.data(), 15, &sequence, &instance, regions.data()),
              BRAID_ONDISK_OK);
    EXPECT_EQ(sequence, filler(1));
    EXPECT_EQ(instance, filler(2));
    EXPECT_EQ(regions, some_regions());
    EXPECT_EQ(std::memcmp(block.data(), "BRAIDLOG", 8), 0);
    EXPECT_EQ(braid_get_le16(&block[14]), 15);
    EXPECT_EQ(braid_get_le64(&block[24]), filler(2));
    EXPECT_EQ(braid_get_le32(&block[32]), 0xffffffffU);
    EXPECT_EQ(braid_get_le32(&block[4092]), some_regions()[1015]);
}

TEST(Log, EachSingleBitFlipIsFound) {
    Block block = log_block();
    for (std::size_t bit = 0; bit < 8 * block.size(); bit++) {
        block[bit / 8] ^= 1U << bit % 8;
        ASSERT_EQ(decoded_log(block), bit < 64 ? BRAID_ONDISK_NONE : BRAID_ONDISK_CORRUPT) << bit;
        block[bit / 8] ^= 1U << bit % 8;
    }
}

TEST(Log, AnotherBlocksPlaceIsRefused) {
    for (u32 index = 0; index < BRAID_LOG_BLOCKS_MAX; index++)
        EXPECT_EQ(decoded_log(log_block(3), index),
                  index == 3 ? BRAID_ONDISK_OK : BRAID_ONDISK_INVALID);
    EXPECT_EQ(decoded_log(log_block(3), 0x10003), BRAID_ONDISK_INVALID);
}

TEST(Log, FieldsThatCannotBeAreRefused) {
    const Block good = log_block();
    const auto with = [&](std::size_t at, u64 value) {
        Block bad = good;
        at == 12  ? braid_put_le16(&bad[at], static_cast<u16>(value))
        : at < 32 ? braid_put_le64(&bad[at], value)
                  : braid_put_le32(&bad[at], static_cast<u32>(value));
        seal(bad, header_crc);
        return decoded_log(bad);
    };
    EXPECT_EQ(with(12, 0), BRAID_ONDISK_INVALID);
    EXPECT_EQ(with(12, 2), BRAID_ONDISK_VERSION);
    EXPECT_EQ(with(16, 0), BRAID_ONDISK_INVALID);
    EXPECT_EQ(with(24, 0), BRAID_ONDISK_OK);
    for (const std::size_t at : {32U, 2000U, 4092U}) {
        EXPECT_EQ(with(at, (1U << 28) - 1), BRAID_ONDISK_OK);
        EXPECT_EQ(with(at, 1U << 28), BRAID_ONDISK_INVALID);
        EXPECT_EQ(with(at, 0xfffffffe), BRAID_ONDISK_INVALID);
        EXPECT_EQ(with(at, 0xffffffff), BRAID_ONDISK_OK);
    }
}

// Dirty maps

using States = std::array<u8, BRAID_SUMMARY_REGIONS / 4>;

States some_states() {
    States states;
    for (std::size_t i = 0; i < states.size(); i++)
        states[i] = static_cast<u8>(std::array{0x00, 0x24, 0x81, 0x6a, 0x9a}.at(i % 5));
    return states;
}

Sector summary(u32 index = 7) {
    Sector sector;
    sector.fill(0xee);
    braid_summary_encode(sector.data(), index, some_states().data());
    return sector;
}

TEST(Summary, StatesComeBack) {
    for (const u32 index : {0U, 7U, 133152U}) {
        const Sector sector = summary(index);
        States states;
        ASSERT_EQ(braid_summary_decode(sector.data(), index, states.data()), BRAID_ONDISK_OK);
        EXPECT_EQ(states, some_states());
        EXPECT_EQ(braid_get_le32(sector.data()), index);
        EXPECT_EQ(std::memcmp(&sector[8], states.data(), states.size()), 0);
    }
}

TEST(Summary, EachSingleBitFlipIsFound) {
    Sector sector = summary();
    States states;
    for (std::size_t bit = 0; bit < 8 * sector.size(); bit++) {
        sector[bit / 8] ^= 1U << bit % 8;
        ASSERT_EQ(braid_summary_decode(sector.data(), 7, states.data()), BRAID_ONDISK_CORRUPT);
        sector[bit / 8] ^= 1U << bit % 8;
    }
}

TEST(Summary, WhatCannotBeIsRefusedAndNothingIsWritten) {
    States states;
    states.fill(0x55);
    const States before = states;
    Sector sector = summary();
    EXPECT_EQ(braid_summary_decode(sector.data(), 8, states.data()), BRAID_ONDISK_INVALID);
    EXPECT_EQ(braid_summary_decode(Sector{}.data(), 7, states.data()), BRAID_ONDISK_NONE);
    EXPECT_EQ(braid_summary_decode(Sector{}.data(), 0, states.data()), BRAID_ONDISK_NONE);
    for (std::size_t at = 8; at < sector.size(); at++) {
        for (const unsigned three : {0x03U, 0x0cU, 0x30U, 0xc0U, 0xffU}) {
            Sector bad = sector;
            bad[at] = static_cast<u8>(three);
            seal(bad, map_crc);
            ASSERT_EQ(braid_summary_decode(bad.data(), 7, states.data()), BRAID_ONDISK_INVALID);
        }
    }
    EXPECT_EQ(states, before);
}

Leaf some_bits(u32 region) {
    Leaf bits;
    for (std::size_t i = 0; i < bits.size(); i++)
        bits[i] = static_cast<u8>(std::size_t{region} * 31 + i);
    return bits;
}

TEST(LeafRecord, ThirtyShareABlock) {
    Block block;
    block.fill(0xee);
    for (u32 region = 300; region < 330; region++)
        braid_leaf_encode(block.data(), region, some_bits(region).data());
    for (u32 region = 300; region < 330; region++) {
        Leaf bits;
        ASSERT_EQ(braid_leaf_decode(block.data(), region, bits.data()), BRAID_ONDISK_OK);
        EXPECT_EQ(bits, some_bits(region));
        EXPECT_EQ(braid_get_le32(&block[std::size_t{region - 300} * 136]), region);
        EXPECT_EQ(std::memcmp(&block[std::size_t{region - 300} * 136 + 8], bits.data(), 128), 0);
    }
    const Block before = block;
    braid_leaf_encode(block.data(), 310, some_bits(1).data());
    for (std::size_t i = 0; i < block.size(); i++) {
        if (i / 136 != 10) {
            EXPECT_EQ(block[i], before[i]);
        }
    }
}

TEST(LeafRecord, AnUnwrittenNeighbourIsTold) {
    Block block{};
    Leaf bits;
    braid_leaf_encode(block.data(), 3, Leaf{}.data());
    EXPECT_EQ(braid_leaf_decode(block.data(), 3, bits.data()), BRAID_ONDISK_OK);
    EXPECT_EQ(braid_leaf_decode(block.data(), 0, bits.data()), BRAID_ONDISK_NONE);
    EXPECT_EQ(braid_leaf_decode(block.data(), 29, bits.data()), BRAID_ONDISK_NONE);
    EXPECT_EQ(braid_leaf_decode(block.data(), 33, bits.data()), BRAID_ONDISK_INVALID);
    block.fill(0xee);
    braid_leaf_encode(block.data(), 3, Leaf{}.data());
    EXPECT_EQ(braid_leaf_decode(block.data(), 3, bits.data()), BRAID_ONDISK_OK);
    EXPECT_EQ(braid_leaf_decode(block.data(), 4, bits.data()), BRAID_ONDISK_CORRUPT);
}

TEST(LeafRecord, EachSingleBitFlipIsFound) {
    Block block{};
    braid_leaf_encode(block.data(), 29, some_bits(29).data());
    Leaf bits;
    for (std::size_t bit = 8UL * 29 * 136; bit < 8 * block.size(); bit++) {
        block[bit / 8] ^= 1U << bit % 8;
        ASSERT_EQ(braid_leaf_decode(block.data(), 29, bits.data()),
                  bit < 8UL * 4080 ? BRAID_ONDISK_CORRUPT : BRAID_ONDISK_INVALID)
            << bit;
        block[bit / 8] ^= 1U << bit % 8;
    }
}

}  // namespace
