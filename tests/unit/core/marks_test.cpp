// SPDX-License-Identifier: GPL-2.0-or-later
//
// Bitmaps of a region and the unstable map. Guards F1: a block that may differ is always marked, so
// that sets are rounded outwards, clears inwards, and no unstable write is ever forgotten.
#include "core/marks.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <bitset>
#include <cstdint>
#include <cstring>
#include <initializer_list>
#include <map>
#include <optional>
#include <random>
#include <utility>

namespace {

constexpr u32 blocks = 1024;
constexpr u32 block_size = 4096;
constexpr u32 region = blocks * block_size;

using Model = std::bitset<blocks>;
using Span = std::pair<u32, u32>;

static_assert(BRAID_REGION_BLOCKS == blocks && BRAID_REGION_SIZE == region);

Model model_of(const braid_bits& bits) {
    Model model;
    for (u32 block = 0; block < blocks; block++)
        model[block] = (bits.bytes[block / 8] >> block % 8 & 1) != 0;
    return model;
}

braid_bits bits_of(const Model& model) {
    braid_bits bits{};
    for (u32 block = 0; block < blocks; block++)
        if (model[block])
            bits.bytes[block / 8] |= static_cast<u8>(1U << block % 8);
    return bits;
}

/// Blocks [first, end).
Model run(u32 first, u32 end) {
    Model model;
    for (u32 block = first; block < end; block++)
        model.set(block);
    return model;
}

Model touched(u32 offset, u32 bytes) {
    Model model;
    for (u32 block = 0; block < blocks; block++)
        model[block] = block * block_size < offset + bytes && (block + 1) * block_size > offset;
    return model;
}

Model covered(u32 offset, u32 bytes) {
    Model model;
    for (u32 block = 0; block < blocks; block++)
        model[block] = block * block_size >= offset && (block + 1) * block_size <= offset + bytes;
    return model;
}

Model set(u32 offset, u32 bytes) {
    braid_bits bits{};
    EXPECT_TRUE(braid_bits_set(&bits, offset, bytes));
    EXPECT_FALSE(braid_bits_set(&bits, offset, bytes));
    return model_of(bits);
}

Model cleared(u32 offset, u32 bytes) {
    braid_bits bits{};
    std::memset(&bits, 0xff, sizeof(bits));
    braid_bits_clear(&bits, offset, bytes);
    return ~model_of(bits);
}

std::optional<Span> next(const braid_bits& bits, u32 from) {
    u32 first = 0xdead;
    u32 count = 0xdead;
    if (!braid_bits_next(&bits, from, &first, &count))
        return std::nullopt;
    return Span{first, count};
}

std::optional<Span> next(const Model& model, u32 from) {
    u32 first = from;
    while (first < blocks && !model[first])
        first++;
    u32 end = first;
    while (end < blocks && model[end])
        end++;
    return first < blocks ? std::optional(Span{first, end - first}) : std::nullopt;
}

class Random {
  public:
    u32 below(u32 bound) { return static_cast<u32>(engine_() % bound); }

    /// Of sectors, short or long, now and then up to an end or over everything.
    std::pair<u32, u32> range() {
        constexpr u32 sectors = region / 512;
        const u32 most = 1U << below(14);
        const u32 first = below(8) == 0 ? 0 : below(sectors);
        const u32 count =
            below(8) == 0 ? sectors - first : std::min(1 + below(most), sectors - first);
        return {first * 512, count * 512};
    }

  private:
    std::mt19937 engine_{1};
};

// Bitmaps

TEST(Bits, TheLowestBitIsTheFirstBlock) {
    braid_bits bits{};
    braid_bits_set(&bits, 0, 512);
    EXPECT_EQ(bits.bytes[0], 0x01);
    braid_bits_set(&bits, 9 * block_size, 2 * block_size);
    EXPECT_EQ(bits.bytes[1], 0x06);
    braid_bits_set(&bits, region - 512, 512);
    EXPECT_EQ(bits.bytes[127], 0x80);
    EXPECT_EQ(braid_bits_count(&bits), 4U);
}

TEST(Bits, SetRoundsOutwards) {
    EXPECT_EQ(set(0, 1), run(0, 1));
    EXPECT_EQ(set(0, block_size), run(0, 1));
    EXPECT_EQ(set(0, block_size + 1), run(0, 2));
    EXPECT_EQ(set(block_size - 1, 1), run(0, 1));
    EXPECT_EQ(set(block_size - 1, 2), run(0, 2));
    EXPECT_EQ(set(block_size - 512, 1024), run(0, 2));
    EXPECT_EQ(set(3 * block_size + 512, 512), run(3, 4));
    EXPECT_EQ(set(6 * block_size + 512, 20 * block_size), run(6, 27));
    EXPECT_EQ(set(8 * block_size, 8 * block_size), run(8, 16));
    EXPECT_EQ(set(region - 1, 1), run(1023, 1024));
    EXPECT_EQ(set(0, region), run(0, blocks));
    EXPECT_EQ(set(512, region - 1024), run(0, blocks));
}

TEST(Bits, SetSaysWhetherAnythingChanged) {
    for (u32 hole = 0; hole < blocks; hole++) {
        braid_bits bits = bits_of(~run(hole, hole + 1));
        EXPECT_EQ(braid_bits_set(&bits, block_size, region - 2 * block_size),
                  hole > 0 && hole < blocks - 1)
            << hole;
    }
}

TEST(Bits, ClearRoundsInwards) {
    EXPECT_EQ(cleared(0, block_size), run(0, 1));
    EXPECT_EQ(cleared(0, block_size - 1), run(0, 0));
    EXPECT_EQ(cleared(1, block_size - 1), run(0, 0));
    EXPECT_EQ(cleared(1, block_size), run(0, 0));
    EXPECT_EQ(cleared(1, 2 * block_size - 1), run(1, 2));
    EXPECT_EQ(cleared(512, block_size), run(0, 0));
    EXPECT_EQ(cleared(512, 3 * block_size), run(1, 3));
    EXPECT_EQ(cleared(3 * block_size + 512, 512), run(0, 0));
    EXPECT_EQ(cleared(5 * block_size, 0), run(0, 0));
    EXPECT_EQ(cleared(7 * block_size, 10 * block_size), run(7, 17));
    EXPECT_EQ(cleared(region - block_size, block_size), run(1023, 1024));
    EXPECT_EQ(cleared(region - block_size + 512, block_size - 512), run(0, 0));
    EXPECT_EQ(cleared(0, region), run(0, blocks));
    EXPECT_EQ(cleared(512, region - 1024), run(1, 1023));
}

TEST(Bits, NextFindsRuns) {
    const braid_bits none{};
    const braid_bits all = bits_of(run(0, blocks));
    EXPECT_EQ(next(none, 0), std::nullopt);
    EXPECT_EQ(next(none, 1023), std::nullopt);
    EXPECT_EQ(next(all, 0), (Span{0, 1024}));
    EXPECT_EQ(next(all, 3), (Span{3, 1021}));
    EXPECT_EQ(next(all, 1023), (Span{1023, 1}));
    EXPECT_EQ(next(all, 1024), std::nullopt);
    EXPECT_EQ(next(all, UINT32_MAX), std::nullopt);
    const braid_bits some = bits_of(run(15, 33) | run(1023, 1024));
    EXPECT_EQ(next(some, 0), (Span{15, 18}));
    EXPECT_EQ(next(some, 14), (Span{15, 18}));
    EXPECT_EQ(next(some, 20), (Span{20, 13}));
    EXPECT_EQ(next(some, 33), (Span{1023, 1}));
    EXPECT_EQ(next(some, 1024), std::nullopt);
}

/// What is not found is not written.
TEST(Bits, NextLeavesItsAnswerAlone) {
    const braid_bits none{};
    u32 first = 7;
    u32 count = 8;
    EXPECT_FALSE(braid_bits_next(&none, 0, &first, &count));
    EXPECT_EQ(first, 7U);
    EXPECT_EQ(count, 8U);
}

TEST(Bits, RandomOperationsDoAsTheModel) {
    Random random;
    std::array<braid_bits, 2> bits{};
    std::array<Model, 2> model;
    for (int i = 0; i < 6000; i++) {
        const u32 which = random.below(2);
        const auto [offset, bytes] = random.range();
        switch (random.below(5)) {
            case 0:
            case 1: {
                const Model was = model[which];
                model[which] |= touched(offset, bytes);
                ASSERT_EQ(braid_bits_set(&bits[which], offset, bytes), model[which] != was) << i;
                break;
            }
            case 2:
            case 3:
                model[which] &= ~covered(offset, bytes);
                braid_bits_clear(&bits[which], offset, bytes);
                break;
            default:
                model[which] |= model[1 - which];
                braid_bits_or(&bits[which], &bits[1 - which]);
                if (random.below(2) == 0) {
                    model[1 - which].reset();
                    bits[1 - which] = {};
                }
        }
        ASSERT_EQ(model_of(bits[which]), model[which]) << i;
        ASSERT_EQ(braid_bits_count(&bits[which]), model[which].count()) << i;
        const u32 from = random.below(blocks + 2);
        ASSERT_EQ(next(bits[which], from), next(model[which], from)) << i << " " << from;
    }
}

TEST(Bits, NextVisitsEachSetBlockOnce) {
    Random random;
    for (int i = 0; i < 200; i++) {
        Model model;
        const u32 density = 1 + random.below(40);
        for (u32 block = 0; block < blocks; block++)
            model[block] = random.below(density) == 0;
        const braid_bits bits = bits_of(model);
        Model seen;
        u32 from = 0;
        while (const auto found = next(bits, from)) {
            seen |= run(found->first, found->first + found->second);
            from = found->first + found->second;
        }
        ASSERT_EQ(seen, model);
    }
}

// The unstable map

Model collected(const braid_marks& marks, u64 stable) {
    braid_bits bits{};
    braid_marks_collect(&marks, stable, &bits);
    return model_of(bits);
}

TEST(Marks, NothingIsUnstableAtFirst) {
    const braid_marks marks{};
    for (const u64 stable : {u64{0}, u64{1}, UINT64_MAX}) {
        EXPECT_FALSE(braid_marks_unstable(&marks, stable));
        EXPECT_TRUE(collected(marks, stable).none());
    }
}

TEST(Marks, AWriteIsUnstableUntilItsGenerationIsStable) {
    braid_marks marks{};
    ASSERT_TRUE(braid_marks_note(&marks, 512, block_size, 5, 4));
    EXPECT_TRUE(braid_marks_unstable(&marks, 4));
    EXPECT_EQ(collected(marks, 4), run(0, 2));
    EXPECT_FALSE(braid_marks_unstable(&marks, 5));
    EXPECT_TRUE(collected(marks, 5).none());
}

TEST(Marks, TwoGenerationsAreKeptApart) {
    braid_marks marks{};
    ASSERT_TRUE(braid_marks_note(&marks, 0, block_size, 5, 4));
    ASSERT_TRUE(braid_marks_note(&marks, 2 * block_size, block_size, 6, 4));
    ASSERT_TRUE(braid_marks_note(&marks, 4 * block_size, block_size, 5, 4));  // the older, late
    EXPECT_EQ(collected(marks, 4), run(0, 1) | run(2, 3) | run(4, 5));
    EXPECT_EQ(collected(marks, 5), run(2, 3));
    EXPECT_TRUE(collected(marks, 6).none());
}

TEST(Marks, AStableSetIsEmptiedForTheNextGeneration) {
    braid_marks marks{};
    ASSERT_TRUE(braid_marks_note(&marks, 0, block_size, 5, 4));
    ASSERT_TRUE(braid_marks_note(&marks, 2 * block_size, block_size, 6, 4));
    ASSERT_TRUE(braid_marks_note(&marks, 4 * block_size, block_size, 7, 5));
    EXPECT_EQ(collected(marks, 5), run(2, 3) | run(4, 5));
    EXPECT_EQ(collected(marks, 6), run(4, 5));
    ASSERT_TRUE(braid_marks_note(&marks, 6 * block_size, block_size, 9, 8));
    EXPECT_EQ(collected(marks, 8), run(6, 7));
}

TEST(Marks, AThirdUnstableGenerationIsRefused) {
    braid_marks marks{};
    ASSERT_TRUE(braid_marks_note(&marks, 0, block_size, 5, 4));
    ASSERT_TRUE(braid_marks_note(&marks, 2 * block_size, block_size, 6, 4));
    const braid_marks before = marks;
    EXPECT_FALSE(braid_marks_note(&marks, 4 * block_size, block_size, 7, 4));
    EXPECT_EQ(std::memcmp(&marks, &before, sizeof(marks)), 0) << "refused, yet changed";
    EXPECT_TRUE(braid_marks_note(&marks, 4 * block_size, block_size, 6, 4));
    EXPECT_TRUE(braid_marks_note(&marks, 4 * block_size, block_size, 7, 5));
}

TEST(Marks, AHeldRegionIsUnstableWithoutABlock) {
    braid_marks marks{};
    ASSERT_TRUE(braid_marks_hold(&marks, 1, 0));
    EXPECT_TRUE(braid_marks_unstable(&marks, 0));
    EXPECT_FALSE(braid_marks_unstable(&marks, 1));
    EXPECT_TRUE(collected(marks, 0).none());
    ASSERT_TRUE(braid_marks_note(&marks, 0, 4096, 1, 0));
    ASSERT_TRUE(braid_marks_hold(&marks, 1, 0));
    EXPECT_EQ(collected(marks, 0).count(), 1U) << "what was noted stays";
    ASSERT_TRUE(braid_marks_hold(&marks, 2, 0));
    EXPECT_FALSE(braid_marks_hold(&marks, 3, 0));
}

TEST(Marks, CollectAdds) {
    braid_marks marks{};
    ASSERT_TRUE(braid_marks_note(&marks, 0, block_size, 1, 0));
    braid_bits bits = bits_of(run(9, 12));
    braid_marks_collect(&marks, 0, &bits);
    EXPECT_EQ(model_of(bits), run(0, 1) | run(9, 12));
}

/// Writers that mostly keep to the rule, against all generations kept apart.
TEST(Marks, RandomWritesDoAsTheModel) {
    Random random;
    braid_marks marks{};
    std::map<u64, Model> model;
    u64 stable = 0;
    int refused = 0;
    for (int i = 0; i < 8000; i++) {
        if (random.below(6) == 0) {
            stable += 1 + (random.below(8) == 0 ? random.below(3) : 0);
            model.erase(model.begin(), model.upper_bound(stable));
        }
        const auto [offset, bytes] = random.range();
        const u64 generation = stable + 1 + random.below(random.below(4) == 0 ? 4 : 2);
        const bool fits = model.contains(generation) || model.size() < 2;
        ASSERT_EQ(braid_marks_note(&marks, offset, bytes, generation, stable), fits) << i;
        if (fits)
            model[generation] |= touched(offset, bytes);
        else
            refused++;
        for (u64 to = stable; to < stable + 5; to++) {
            Model want;
            for (const auto& [number, blocks_of] : model)
                if (number > to)
                    want |= blocks_of;
            ASSERT_EQ(collected(marks, to), want) << i;
            ASSERT_EQ(braid_marks_unstable(&marks, to), want.any()) << i;
        }
    }
    EXPECT_GT(refused, 50);
}

}  // namespace
