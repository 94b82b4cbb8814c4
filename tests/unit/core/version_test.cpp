// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/version.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <initializer_list>
#include <optional>

namespace {

using Range = braid_version_range;

constexpr std::uint32_t untouched = 0xdead;
constexpr std::uint32_t highest = UINT32_MAX;

struct Answer {
    braid_version_result result;
    std::uint32_t agreed;

    bool operator==(const Answer&) const = default;
};

Answer agree(Range ours, Range theirs) {
    Answer answer{BRAID_VERSION_MALFORMED, untouched};
    answer.result = braid_version_agree(&ours, &theirs, &answer.agreed);
    return answer;
}

TEST(Version, HighestCommonOneIsTaken) {
    EXPECT_EQ(agree({1, 1}, {1, 1}), (Answer{BRAID_VERSION_AGREED, 1}));
    EXPECT_EQ(agree({1, 4}, {2, 7}), (Answer{BRAID_VERSION_AGREED, 4}));
    EXPECT_EQ(agree({2, 7}, {1, 4}), (Answer{BRAID_VERSION_AGREED, 4}));
    EXPECT_EQ(agree({1, 9}, {3, 5}), (Answer{BRAID_VERSION_AGREED, 5}));
    EXPECT_EQ(agree({1, highest}, {1, highest}), (Answer{BRAID_VERSION_AGREED, highest}));
}

TEST(Version, RangesThatTouchAgree) {
    EXPECT_EQ(agree({3, 5}, {5, 8}), (Answer{BRAID_VERSION_AGREED, 5}));
    EXPECT_EQ(agree({3, 5}, {1, 3}), (Answer{BRAID_VERSION_AGREED, 3}));
}

TEST(Version, DisjointRangesSayWhoIsBehind) {
    EXPECT_EQ(agree({3, 5}, {1, 2}), (Answer{BRAID_VERSION_TOO_OLD, untouched}));
    EXPECT_EQ(agree({3, 5}, {6, 8}), (Answer{BRAID_VERSION_TOO_NEW, untouched}));
    EXPECT_EQ(agree({highest, highest}, {1, 1}), (Answer{BRAID_VERSION_TOO_OLD, untouched}));
    EXPECT_EQ(agree({1, 1}, {highest, highest}), (Answer{BRAID_VERSION_TOO_NEW, untouched}));
}

TEST(Version, WhatIsNoRangeIsMalformed) {
    for (const Range bad : {Range{0, 0}, Range{0, 3}, Range{4, 3}, Range{highest, 1}}) {
        EXPECT_EQ(agree({1, 5}, bad), (Answer{BRAID_VERSION_MALFORMED, untouched}));
        EXPECT_EQ(agree(bad, {1, 5}), (Answer{BRAID_VERSION_MALFORMED, untouched}));
    }
}

/// All ranges up to a bound, against the definition: the largest number that is in both.
TEST(Version, AgreesWithTheDefinitionForAllSmallRanges) {
    constexpr std::uint32_t bound = 6;
    int compared = 0;
    for (std::uint32_t a = 1; a <= bound; a++) {
        for (std::uint32_t b = a; b <= bound; b++) {
            for (std::uint32_t c = 1; c <= bound; c++) {
                for (std::uint32_t d = c; d <= bound; d++) {
                    std::optional<std::uint32_t> common;
                    for (std::uint32_t version = 1; version <= bound; version++) {
                        if (a <= version && version <= b && c <= version && version <= d)
                            common = version;
                    }
                    const Answer expected = common  ? Answer{BRAID_VERSION_AGREED, *common}
                                            : d < a ? Answer{BRAID_VERSION_TOO_OLD, untouched}
                                                    : Answer{BRAID_VERSION_TOO_NEW, untouched};
                    EXPECT_EQ(agree({a, b}, {c, d}), expected)
                        << a << ".." << b << " and " << c << ".." << d;
                    compared++;
                }
            }
        }
    }
    EXPECT_EQ(compared, 21 * 21);
}

TEST(Version, OwnRangesAreRanges) {
    EXPECT_EQ(agree({BRAID_API_VERSION_MIN, BRAID_API_VERSION_MAX},
                    {BRAID_API_VERSION_MAX, BRAID_API_VERSION_MAX}),
              (Answer{BRAID_VERSION_AGREED, BRAID_API_VERSION_MAX}));
    EXPECT_EQ(agree({BRAID_PROTOCOL_VERSION_MIN, BRAID_PROTOCOL_VERSION_MAX},
                    {BRAID_PROTOCOL_VERSION_MAX, BRAID_PROTOCOL_VERSION_MAX}),
              (Answer{BRAID_VERSION_AGREED, BRAID_PROTOCOL_VERSION_MAX}));
}

}  // namespace
