// SPDX-License-Identifier: GPL-2.0-or-later
//
// Any bytes as metadata, as they are and with the magic numbers and a crc that match: no decoder
// reads or writes out of bounds, and what it accepts is encoded again as the same bytes.
#include "core/ondisk.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <span>
#include <vector>

#include "core/bytes.h"

namespace {

using Block = std::array<u8, BRAID_BLOCK_SIZE>;
using Record = std::array<u8, BRAID_VOTE_BYTES>;
using Sector = std::array<u8, BRAID_SUMMARY_BYTES>;

constexpr std::size_t leaf_record = 8 + BRAID_LEAF_BYTES;

void demand(bool property) {
    if (!property)
        std::abort();
}

void seal(std::span<u8> bytes, std::size_t crc_at) {
    braid_put_le32(&bytes[crc_at], 0);
    braid_put_le32(&bytes[crc_at], ~braid_crc32c(~0U, bytes.data(), bytes.size()));
}

void check_superblock(const Block& block) {
    braid_superblock sb{};
    if (braid_superblock_decode(&sb, block.data()) != BRAID_ONDISK_OK)
        return;
    Block again;
    braid_superblock_encode(&sb, again.data());
    demand(again == block);
    if (braid_superblock_fits(&sb, 1ULL << 45, 1ULL << 45)) {
        demand(sb.slots_offset + sb.max_slots * sb.slot_bytes <= 1ULL << 45);
        demand(sb.data_bytes <= 1ULL << 45);
    }
}

void check_vote(const Record& record) {
    u64 sequence = 0;
    const u8* value = nullptr;
    u32 length = 0;
    if (braid_vote_decode(record.data(), &sequence, &value, &length) != BRAID_ONDISK_OK)
        return;
    demand(length <= BRAID_VOTE_MAX && value == record.data() + BRAID_VOTE_HEADER);
    Record again;
    braid_vote_encode(again.data(), sequence, value, length);
    demand(again == record);
}

void check_log(const Block& block, u32 index) {
    u64 sequence = 0;
    u64 instance = 0;
    std::array<u32, BRAID_LOG_SLOTS> regions{};
    if (braid_log_decode(block.data(), index, &sequence, &instance, regions.data()) !=
        BRAID_ONDISK_OK)
        return;
    Block again;
    braid_log_encode(again.data(), sequence, index, instance, regions.data());
    demand(again == block);
}

void check_summary(const Sector& sector, u32 index) {
    std::array<u8, BRAID_SUMMARY_REGIONS / 4> states{};
    if (braid_summary_decode(sector.data(), index, states.data()) != BRAID_ONDISK_OK)
        return;
    Sector again;
    braid_summary_encode(again.data(), index, states.data());
    demand(again == sector);
}

void check_leaf(const Block& block, u32 region) {
    std::array<u8, BRAID_LEAF_BYTES> bits{};
    if (braid_leaf_decode(block.data(), region, bits.data()) != BRAID_ONDISK_OK)
        return;
    Block again = block;
    braid_leaf_encode(again.data(), region, bits.data());
    demand(again == block);
}

void check_layout(u64 device, u64 data, u32 word) {
    braid_superblock sb{};
    sb.flags = (word & 1U) != 0 ? BRAID_SB_EXTERNAL : 0;
    sb.max_slots = word >> 1 & 63U;
    sb.data_bytes = data;
    if (braid_ondisk_layout(&sb, device, device))
        demand(braid_superblock_fits(&sb, device, device));
}

template <class Bytes>
Bytes filled(std::span<const u8> data) {
    Bytes bytes{};
    std::copy_n(data.begin(), std::min(data.size(), bytes.size()), bytes.begin());
    return bytes;
}

template <class Bytes>
Bytes begun(Bytes bytes, const char* magic) {
    std::memcpy(bytes.data(), magic, BRAID_MAGIC_BYTES);
    braid_put_le16(&bytes[12], BRAID_META_VERSION);
    seal(bytes, 8);
    return bytes;
}

/// The first two words choose a number and a structure; the rest is its bytes.
void check(u32 number, std::span<const u8> data) {
    Block block = filled<Block>(data);
    check_superblock(block);
    check_superblock(begun(block, BRAID_SUPERBLOCK_MAGIC));
    check_vote(filled<Record>(data));
    check_vote(begun(filled<Record>(data), BRAID_VOTE_MAGIC));
    check_log(block, number);
    check_log(begun(block, BRAID_LOG_MAGIC), braid_get_le16(&block[14]));
    Sector sector = filled<Sector>(data);
    check_summary(sector, number);
    seal(sector, 4);
    check_summary(sector, braid_get_le32(sector.data()));
    check_leaf(block, number);
    const std::size_t at = number % BRAID_LEAVES_PER_BLOCK * leaf_record;
    braid_put_le32(&block[at], number);
    seal(std::span(block).subspan(at, leaf_record), 4);
    check_leaf(block, number);
    check_layout(braid_get_le64(&block[64]), braid_get_le64(&block[56]), number);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size < 4)
        return -1;
    check(braid_get_le32(data), std::span(data, size).subspan(4));
    return 0;
}

// Mutations start from a superblock that is accepted: random bytes never come near one.
extern "C" std::size_t LLVMFuzzerMutate(std::uint8_t* data, std::size_t size, std::size_t most);

extern "C" std::size_t LLVMFuzzerCustomMutator(std::uint8_t* data, std::size_t size,
                                               std::size_t most, unsigned int seed) {
    constexpr std::size_t whole = 4 + sizeof(Block);
    if (most >= whole && seed % 16 == 0) {
        braid_superblock sb{};
        sb.sequence = 1;
        sb.block_size = BRAID_BLOCK_SIZE;
        sb.max_slots = seed / 16 % 32;
        sb.flags = (seed & 512U) != 0 ? BRAID_SB_EXTERNAL : 0;
        sb.config.writer = BRAID_NO_WRITER;
        for (auto& slot : sb.slots)
            slot.node = BRAID_NO_NODE;
        demand(braid_ondisk_layout(&sb, 1ULL << 40, 1ULL << 40));
        braid_superblock_encode(&sb, data + 4);
        return whole;
    }
    return LLVMFuzzerMutate(data, size, most);
}
