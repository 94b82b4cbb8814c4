// SPDX-License-Identifier: GPL-2.0-or-later
//
// Two ranges out of any 16 bytes: the answer is the same from both sides, and
// what was agreed on is the highest version in both.
#include "core/version.h"

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>

namespace {

constexpr std::uint32_t untouched = 0xdead;

bool is_range(const braid_version_range& range) {
    return range.min > 0 && range.min <= range.max;
}

bool contains(const braid_version_range& range, std::uint64_t version) {
    return range.min <= version && version <= range.max;
}

braid_version_result mirrored(braid_version_result result) {
    switch (result) {
        case BRAID_VERSION_TOO_OLD:
            return BRAID_VERSION_TOO_NEW;
        case BRAID_VERSION_TOO_NEW:
            return BRAID_VERSION_TOO_OLD;
        default:
            return result;
    }
}

void demand(bool property) {
    if (!property)
        std::abort();
}

void check(const braid_version_range& a, const braid_version_range& b) {
    std::uint32_t agreed = untouched;
    std::uint32_t reverse = untouched;
    const auto result = braid_version_agree(&a, &b, &agreed);

    demand(braid_version_agree(&b, &a, &reverse) == mirrored(result));
    demand(agreed == reverse);
    demand((result == BRAID_VERSION_MALFORMED) == !(is_range(a) && is_range(b)));
    if (result == BRAID_VERSION_AGREED) {
        // Both are intervals: if the next one is not in both, no higher one is.
        demand(contains(a, agreed) && contains(b, agreed));
        demand(!contains(a, std::uint64_t{agreed} + 1) || !contains(b, std::uint64_t{agreed} + 1));
        return;
    }
    demand(agreed == untouched);
    demand((result == BRAID_VERSION_TOO_OLD) == (is_range(a) && is_range(b) && b.max < a.min));
    demand((result == BRAID_VERSION_TOO_NEW) == (is_range(a) && is_range(b) && b.min > a.max));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    std::array<std::uint32_t, 4> words;
    if (size != sizeof(words))
        return -1;
    std::memcpy(words.data(), data, sizeof(words));
    check({words[0], words[1]}, {words[2], words[3]});
    // Random words hardly ever meet; small ones do.
    for (auto& word : words)
        word %= 8;
    check({words[0], words[1]}, {words[2], words[3]});
    return 0;
}
