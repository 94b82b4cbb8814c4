// SPDX-License-Identifier: GPL-2.0-or-later
//
// The replication protocol's bytes. Guards P7 (hostile bytes: a decoder refuses all that cannot be)
// and the format itself: what one version sends, all understand.
#include "core/messages.h"

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
#include <string_view>
#include <utility>
#include <vector>

#include "core/bytes.h"

namespace {

using Bytes = std::vector<u8>;
using Header = std::array<u8, 20>;
using Mark = std::array<u8, 136>;

constexpr u32 mib = 1U << 20;
constexpr u64 pib = 1ULL << 50;
constexpr u64 regions = 1ULL << 28;

/// "a1 b7" and so on; ".n" is n zeroes.
Bytes hex(std::string_view text) {
    Bytes bytes;
    for (std::size_t at = 0; at < text.size();) {
        const std::size_t end = std::min(text.find(' ', at), text.size());
        const std::string word(text.substr(at, end - at));
        if (word.starts_with('.'))
            bytes.resize(bytes.size() + std::stoul(word.substr(1)));
        else if (!word.empty())
            bytes.push_back(static_cast<u8>(std::stoul(word, nullptr, 16)));
        at = end + 1;
    }
    return bytes;
}

/// What an encoder writes over bytes that were something else.
template <class Value>
Bytes written(void (*encode)(const Value*, u8*), const Value& value, std::size_t size) {
    Bytes bytes(size + 8, 0xee);
    encode(&value, bytes.data());
    EXPECT_EQ(Bytes(bytes.end() - 8, bytes.end()), Bytes(8, 0xee)) << "writes past its end";
    bytes.resize(size);
    return bytes;
}

// Header

constexpr u8 other_flags(u8 flags) {
    return static_cast<u8>(~flags);
}

/// The tables of messages.h in this test's words.
struct Type {
    u8 number;
    const char* name;
    u32 body;
    u32 payload;
    u8 flags;
    bool volume;
    bool tag;
};

constexpr u8 fua = 1;
constexpr u8 resync = 2;
constexpr u8 unmap = 4;
constexpr u8 more = 8;

constexpr std::array types{
    Type{1, "HELLO", 160, 0, 0, false, false},
    Type{2, "STATE", 88, 0, 0, false, false},
    Type{3, "VOLUME", 32, 0, 0, true, false},
    Type{4, "PING", 32, 0, 0, false, false},
    Type{5, "PONG", 32, 0, 0, false, false},
    Type{6, "GOODBYE", 0, 0, 0, false, false},
    Type{7, "STABLE", 56, 0, 0, true, false},
    Type{8, "TOKEN", 32, 0, 0, false, false},
    Type{9, "REPLY", 16, mib, more, true, true},
    Type{10, "WRITE", 56, mib, fua | resync, true, true},
    Type{11, "ZEROES", 56, 0, resync | unmap, true, true},
    Type{12, "READ", 56, 0, resync, true, true},
    Type{13, "FLUSH", 56, 0, resync, true, true},
    Type{14, "CSUM", 56, 0, resync, true, true},
    Type{15, "MARKS", 56, 0, resync, true, true},
    Type{16, "DIRTY", 56, 0, resync, true, true},
    Type{17, "SETTLED", 56, 0, resync, true, true},
};

braid_header header_of(const Type& type) {
    return {.type = type.number, .flags = 0, .volume = 0, .tag = 0, .length = type.body, .crc = 0};
}

Header encoded(const braid_header& header) {
    Header bytes;
    bytes.fill(0xee);
    braid_header_encode(&header, bytes.data());
    return bytes;
}

braid_message_result decoded(const Header& bytes, bool greeted) {
    braid_header header{};
    return braid_header_decode(&header, bytes.data(), greeted);
}

/// Where the type belongs.
braid_message_result decoded(const braid_header& header) {
    return decoded(encoded(header), header.type != BRAID_MSG_HELLO);
}

bool same(const braid_header& a, const braid_header& b) {
    return a.type == b.type && a.flags == b.flags && a.volume == b.volume && a.tag == b.tag &&
           a.length == b.length && a.crc == b.crc;
}

TEST(MessageHeader, BytesAreThoseOfTheDocument) {
    const braid_header header{.type = 10,
                              .flags = 0x03,
                              .volume = 0x0102,
                              .tag = 0x3fe,
                              .length = 0x00080038,
                              .crc = 0x61626364};
    const Bytes bytes = hex("a1 b7 0a 03 02 01 00 00 fe 03 00 00 38 00 08 00 64 63 62 61");
    EXPECT_EQ(braid_get_le32(&bytes[BRAID_HEADER_CRC]), header.crc);
    EXPECT_EQ(written(braid_header_encode, header, BRAID_HEADER_BYTES), bytes);
    braid_header back{};
    ASSERT_EQ(braid_header_decode(&back, bytes.data(), true), BRAID_MESSAGE_OK);
    EXPECT_TRUE(same(back, header));
}

TEST(MessageHeader, EachTypeIsKnownWithItsLength) {
    EXPECT_EQ(types.size() + 1, std::size_t{BRAID_MSG_COUNT});
    for (const auto& type : types) {
        EXPECT_STREQ(braid_message_name(type.number), type.name);
        EXPECT_EQ(braid_body_bytes(type.number), type.body) << type.name;
        EXPECT_LE(type.body, u32{BRAID_BODY_MAX}) << type.name;
        EXPECT_EQ(braid_is_request(type.number), type.number >= 10) << type.name;
        EXPECT_EQ(decoded(header_of(type)), BRAID_MESSAGE_OK) << type.name;
    }
}

TEST(MessageHeader, OtherTypesAreRefused) {
    for (u32 number = 0; number < 256; number++) {
        if (number >= 1 && number <= 17)
            continue;
        const auto type = static_cast<u8>(number);
        for (const bool greeted : {false, true}) {
            EXPECT_EQ(
                decoded(
                    encoded(
                        {.type = type, .flags = 0, .volume = 0, .tag = 0, .length = 0, .crc = 0}),
                    greeted),
                BRAID_MESSAGE_TYPE)
                << number;
        }
        EXPECT_STREQ(braid_message_name(type), "unknown");
        EXPECT_EQ(braid_body_bytes(type), 0U);
        EXPECT_FALSE(braid_is_request(type));
    }
}

TEST(MessageHeader, HelloIsFirstAndOnlyFirst) {
    for (const auto& type : types) {
        const bool hello = type.number == BRAID_MSG_HELLO;
        EXPECT_EQ(decoded(encoded(header_of(type)), false),
                  hello ? BRAID_MESSAGE_OK : BRAID_MESSAGE_EARLY)
            << type.name;
        EXPECT_EQ(decoded(encoded(header_of(type)), true),
                  hello ? BRAID_MESSAGE_EARLY : BRAID_MESSAGE_OK)
            << type.name;
    }
}

TEST(MessageHeader, AnotherMagicIsRefused) {
    const auto good = encoded(header_of(types[3]));
    for (std::size_t bit = 0; bit < 16; bit++) {
        Header bad = good;
        bad[bit / 8] ^= static_cast<u8>(1U << bit % 8);
        EXPECT_EQ(decoded(bad, true), BRAID_MESSAGE_MAGIC) << bit;
    }
}

/// Who refuses a message names its type.
TEST(MessageHeader, ARefusedOneIsFilledInToo) {
    Header bad = encoded(header_of(types[3]));
    bad[0] = 0;
    braid_header header{
        .type = 0xee, .flags = 0xee, .volume = 0xee, .tag = 0xee, .length = 0xee, .crc = 0xee};
    ASSERT_EQ(braid_header_decode(&header, bad.data(), true), BRAID_MESSAGE_MAGIC);
    EXPECT_TRUE(same(header, header_of(types[3])));
}

TEST(MessageHeader, FlagsGoWithTheirTypes) {
    for (const auto& type : types) {
        for (u32 bit = 0; bit < 8; bit++) {
            auto header = header_of(type);
            header.flags = static_cast<u8>(1U << bit);
            EXPECT_EQ(decoded(header),
                      (header.flags & type.flags) != 0 ? BRAID_MESSAGE_OK : BRAID_MESSAGE_FLAGS)
                << type.name << " " << bit;
        }
        auto header = header_of(type);
        header.flags = type.flags;
        EXPECT_EQ(decoded(header), BRAID_MESSAGE_OK) << type.name;
        header.flags = other_flags(0);
        EXPECT_EQ(decoded(header), BRAID_MESSAGE_FLAGS) << type.name;
    }
}

TEST(MessageHeader, ReservedBytesAreZero) {
    for (const auto& type : types) {
        for (const std::size_t at : {6, 7}) {
            auto bad = encoded(header_of(type));
            ASSERT_EQ(bad[at], 0);
            bad[at] = 0x80;
            EXPECT_EQ(decoded(bad, type.number != BRAID_MSG_HELLO), BRAID_MESSAGE_FLAGS)
                << type.name;
        }
    }
}

TEST(MessageHeader, HelloHasNoCrc) {
    for (const auto& type : types) {
        auto header = header_of(type);
        header.crc = 1;
        EXPECT_EQ(decoded(header),
                  type.number == BRAID_MSG_HELLO ? BRAID_MESSAGE_FLAGS : BRAID_MESSAGE_OK)
            << type.name;
    }
}

TEST(MessageHeader, VolumeIsZeroWhereThereIsNone) {
    for (const auto& type : types) {
        for (const u16 volume : {u16{1}, u16{0x100}, u16{0xffff}}) {
            auto header = header_of(type);
            header.volume = volume;
            EXPECT_EQ(decoded(header), type.volume ? BRAID_MESSAGE_OK : BRAID_MESSAGE_FIELD)
                << type.name << " " << volume;
        }
    }
}

TEST(MessageHeader, TagIsOfRequestsAndWithinTheLargestWindow) {
    for (const auto& type : types) {
        for (const u32 tag : {1U, 1023U}) {
            auto header = header_of(type);
            header.tag = tag;
            EXPECT_EQ(decoded(header), type.tag ? BRAID_MESSAGE_OK : BRAID_MESSAGE_FIELD)
                << type.name << " " << tag;
        }
        for (const u32 tag : {1024U, 0x10000U, UINT32_MAX}) {
            auto header = header_of(type);
            header.tag = tag;
            EXPECT_EQ(decoded(header), BRAID_MESSAGE_FIELD) << type.name << " " << tag;
        }
    }
}

TEST(MessageHeader, LengthIsThatOfTheType) {
    for (const auto& type : types) {
        const auto with = [&](u32 length) {
            auto header = header_of(type);
            header.length = length;
            return decoded(header);
        };
        const u32 most = type.body + type.payload;
        for (u32 length = 0; length < type.body; length++)
            EXPECT_EQ(with(length), BRAID_MESSAGE_LENGTH) << type.name << " " << length;
        EXPECT_EQ(with(type.body), BRAID_MESSAGE_OK) << type.name;
        EXPECT_EQ(with(most), BRAID_MESSAGE_OK) << type.name;
        for (const u32 length : {most + 1, most + 512, most + mib, UINT32_MAX, 1U << 31})
            EXPECT_EQ(with(length), BRAID_MESSAGE_LENGTH) << type.name << " " << length;
    }
}

TEST(MessageHeader, EachResultHasItsWords) {
    std::vector<std::string> names;
    for (int result = BRAID_MESSAGE_OK; result <= BRAID_MESSAGE_WINDOW; result++) {
        names.emplace_back(braid_message_result_name(static_cast<braid_message_result>(result)));
        EXPECT_FALSE(names.back().empty());
    }
    std::ranges::sort(names);
    EXPECT_EQ(std::ranges::adjacent_find(names), names.end());
}

// HELLO

braid_hello hello() {
    braid_hello hello{};
    hello.protocol_min = 0x01020304;
    hello.protocol_max = 0x05060708;
    hello.session = 0x1112131415161718;
    hello.node = 31;
    hello.peer = 9;
    hello.window_requests = 0x0123;
    hello.window_bytes = 0x21222324;
    hello.flags = BRAID_HELLO_CRC;
    std::memcpy(hello.name, "mail", 4);
    return hello;
}

Bytes encoded(const braid_hello& hello) {
    return written(braid_hello_encode, hello, BRAID_HELLO_BYTES);
}

braid_message_result decoded_hello(const Bytes& bytes) {
    braid_hello hello{};
    return braid_hello_decode(&hello, bytes.data());
}

TEST(MessageHello, BytesAreThoseOfTheDocument) {
    const Bytes bytes =
        hex("04 03 02 01 08 07 06 05 .8 18 17 16 15 14 13 12 11 1f 00 00 00 09 00 00 00 "
            "23 01 00 00 24 23 22 21 01 00 00 00 .4 6d 61 69 6c .60 .48");
    ASSERT_EQ(bytes.size(), 160U);
    EXPECT_EQ(encoded(hello()), bytes);
    braid_hello back{};
    ASSERT_EQ(braid_hello_decode(&back, bytes.data()), BRAID_MESSAGE_OK);
    EXPECT_EQ(back.protocol_min, 0x01020304U);
    EXPECT_EQ(back.protocol_max, 0x05060708U);
    EXPECT_EQ(back.session, 0x1112131415161718U);
    EXPECT_EQ(back.node, 31U);
    EXPECT_EQ(back.peer, 9U);
    EXPECT_EQ(back.window_requests, 0x123U);
    EXPECT_EQ(back.window_bytes, 0x21222324U);
    EXPECT_EQ(back.flags, 1U);
    EXPECT_STREQ(back.name, "mail");
}

void expect_reserved(const Bytes& good, std::size_t from, std::size_t to,
                     const std::function<braid_message_result(const Bytes&)>& decode) {
    ASSERT_EQ(decode(good), BRAID_MESSAGE_OK);
    for (std::size_t at = from; at < to; at++) {
        for (const u8 value : {u8{1}, u8{0x80}}) {
            Bytes bad = good;
            ASSERT_EQ(bad[at], 0) << at;
            bad[at] = value;
            EXPECT_EQ(decode(bad), BRAID_MESSAGE_FLAGS) << at;
        }
    }
}

TEST(MessageHello, ReservedBytesAreZero) {
    expect_reserved(encoded(hello()), 8, 16, decoded_hello);
    expect_reserved(encoded(hello()), 44, 48, decoded_hello);
    expect_reserved(encoded(hello()), 112, 160, decoded_hello);
}

TEST(MessageHello, UnknownFlagsAreRefused) {
    for (u32 bit = 1; bit < 32; bit++) {
        auto it = hello();
        it.flags |= 1U << bit;
        EXPECT_EQ(decoded_hello(encoded(it)), BRAID_MESSAGE_FLAGS) << bit;
    }
    auto it = hello();
    it.flags = 0;
    EXPECT_EQ(decoded_hello(encoded(it)), BRAID_MESSAGE_OK);
}

template <class Value>
struct Case {
    const char* name;
    std::function<void(Value&)> make;
};

TEST(MessageHello, FieldsThatCannotBeAreRefused) {
    using Hello = braid_hello;
    for (const auto& mistake : std::initializer_list<Case<Hello>>{
             {"no version", [](Hello& it) { it.protocol_min = 0; }},
             {"no versions", [](Hello& it) { it.protocol_min = it.protocol_max = 0; }},
             {"empty range", [](Hello& it) { it.protocol_max = it.protocol_min - 1; }},
             {"node 32", [](Hello& it) { it.node = 32; }},
             {"node -1", [](Hello& it) { it.node = UINT32_MAX; }},
             {"peer 32", [](Hello& it) { it.peer = 32; }},
             {"peer -1", [](Hello& it) { it.peer = UINT32_MAX; }},
             {"no window", [](Hello& it) { it.window_requests = 0; }},
             {"window 1025", [](Hello& it) { it.window_requests = 1025; }},
             {"window 2^32 - 1", [](Hello& it) { it.window_requests = UINT32_MAX; }},
             {"no bytes", [](Hello& it) { it.window_bytes = 0; }},
             {"bytes too few", [](Hello& it) { it.window_bytes = mib - 1; }},
             {"name without end", [](Hello& it) { std::memset(it.name, 'a', 64); }},
             {"name with a tail", [](Hello& it) { it.name[5] = 'a'; }},
             {"last byte", [](Hello& it) { it.name[63] = 'a'; }},
         }) {
        auto it = hello();
        ASSERT_EQ(decoded_hello(encoded(it)), BRAID_MESSAGE_OK);
        mistake.make(it);
        EXPECT_EQ(decoded_hello(encoded(it)), BRAID_MESSAGE_FIELD) << mistake.name;
    }
}

TEST(MessageHello, LimitsAreWithin) {
    auto it = hello();
    it.protocol_min = it.protocol_max = 1;
    it.node = it.peer = 0;
    it.window_requests = 1;
    it.window_bytes = mib;
    it.name[0] = 0;
    std::memset(it.name, 0, sizeof(it.name));
    EXPECT_EQ(decoded_hello(encoded(it)), BRAID_MESSAGE_OK);
    it.protocol_min = it.protocol_max = UINT32_MAX;
    it.node = it.peer = 31;
    it.window_requests = 1024;
    it.window_bytes = UINT32_MAX;
    std::memset(it.name, 'a', 63);
    EXPECT_EQ(decoded_hello(encoded(it)), BRAID_MESSAGE_OK);
}

// STATE

braid_state state() {
    braid_state state{};
    for (std::size_t i = 0; i < 16; i++)
        state.lineage[i] = static_cast<u8>(0xa0 + i);
    state.epoch = 0x0102030405060708;
    state.id = 0x1112131415161718;
    state.instance = 0x2122232425262728;
    state.last = {0x3132333435363738, 0x4142434445464748, 0x5152535455565758};
    state.flags = BRAID_STATE_SUSPECT | BRAID_STATE_SERVING;
    state.lease_ms = 0x61626364;
    state.writer = 7;
    state.stamp = 0x7172737475767778;
    return state;
}

Bytes encoded(const braid_state& state) {
    return written(braid_state_encode, state, BRAID_STATE_BYTES);
}

braid_message_result decoded_state(const Bytes& bytes) {
    braid_state state{};
    return braid_state_decode(&state, bytes.data());
}

TEST(MessageState, BytesAreThoseOfTheDocument) {
    const Bytes bytes =
        hex("a0 a1 a2 a3 a4 a5 a6 a7 a8 a9 aa ab ac ad ae af 08 07 06 05 04 03 02 01 "
            "18 17 16 15 14 13 12 11 28 27 26 25 24 23 22 21 38 37 36 35 34 33 32 31 "
            "48 47 46 45 44 43 42 41 58 57 56 55 54 53 52 51 09 00 00 00 64 63 62 61 "
            "07 00 00 00 .4 78 77 76 75 74 73 72 71");
    ASSERT_EQ(bytes.size(), 88U);
    EXPECT_EQ(encoded(state()), bytes);
    braid_state back{};
    ASSERT_EQ(braid_state_decode(&back, bytes.data()), BRAID_MESSAGE_OK);
    const auto want = state();
    EXPECT_TRUE(std::ranges::equal(back.lineage, want.lineage));
    EXPECT_EQ(back.epoch, want.epoch);
    EXPECT_EQ(back.id, want.id);
    EXPECT_EQ(back.instance, want.instance);
    EXPECT_EQ(back.last.epoch, want.last.epoch);
    EXPECT_EQ(back.last.id, want.last.id);
    EXPECT_EQ(back.last.instance, want.last.instance);
    EXPECT_EQ(back.flags, want.flags);
    EXPECT_EQ(back.lease_ms, want.lease_ms);
    EXPECT_EQ(back.writer, want.writer);
    EXPECT_EQ(back.stamp, want.stamp);
}

TEST(MessageState, ReservedBytesAreZero) {
    expect_reserved(encoded(state()), 76, 80, decoded_state);
}

TEST(MessageState, UnknownFlagsAreRefused) {
    for (u32 bit = 0; bit < 32; bit++) {
        auto it = state();
        it.flags = 1U << bit;
        EXPECT_EQ(decoded_state(encoded(it)), bit < 4 ? BRAID_MESSAGE_OK : BRAID_MESSAGE_FLAGS)
            << bit;
    }
}

TEST(MessageState, WriterIsANodeOrNone) {
    for (const auto& [writer, result] : {std::pair<u32, braid_message_result>{0, BRAID_MESSAGE_OK},
                                         {31, BRAID_MESSAGE_OK},
                                         {0xff, BRAID_MESSAGE_OK},
                                         {32, BRAID_MESSAGE_FIELD},
                                         {0xfe, BRAID_MESSAGE_FIELD},
                                         {0x100, BRAID_MESSAGE_FIELD},
                                         {UINT32_MAX, BRAID_MESSAGE_FIELD}}) {
        auto it = state();
        it.writer = writer;
        EXPECT_EQ(decoded_state(encoded(it)), result) << writer;
    }
}

// VOLUME

braid_volume_state volume() {
    braid_volume_state volume{};
    volume.size = 0x0001020304051000;
    volume.block_size = 512;
    volume.flags = BRAID_VOLUME_ATTACHED | BRAID_VOLUME_DISCARDS;
    volume.discard_granularity = 0x21222324;
    volume.physical_block_size = 0x31323334;
    volume.volume_bytes = 0x0000010203044000;
    return volume;
}

Bytes encoded(const braid_volume_state& volume) {
    return written(braid_volume_encode, volume, BRAID_VOLUME_BYTES);
}

braid_message_result decoded_volume(const Bytes& bytes) {
    braid_volume_state volume{};
    return braid_volume_decode(&volume, bytes.data());
}

TEST(MessageVolume, BytesAreThoseOfTheDocument) {
    const Bytes bytes =
        hex("00 10 05 04 03 02 01 00 00 02 00 00 05 00 00 00 24 23 22 21 34 33 32 31 "
            "00 40 04 03 02 01 00 00");
    ASSERT_EQ(bytes.size(), 32U);
    EXPECT_EQ(encoded(volume()), bytes);
    braid_volume_state back{};
    ASSERT_EQ(braid_volume_decode(&back, bytes.data()), BRAID_MESSAGE_OK);
    EXPECT_EQ(back.size, volume().size);
    EXPECT_EQ(back.block_size, 512U);
    EXPECT_EQ(back.flags, 5U);
    EXPECT_EQ(back.discard_granularity, 0x21222324U);
    EXPECT_EQ(back.physical_block_size, 0x31323334U);
    EXPECT_EQ(back.volume_bytes, 0x0000010203044000U);
}

TEST(MessageVolume, UnknownFlagsAreRefused) {
    for (u32 bit = 0; bit < 32; bit++) {
        auto it = volume();
        it.flags = 1U << bit;
        EXPECT_EQ(decoded_volume(encoded(it)), bit < 3 ? BRAID_MESSAGE_OK : BRAID_MESSAGE_FLAGS)
            << bit;
    }
}

TEST(MessageVolume, SizeIsOfBlocksAndAtMostAPebibyte) {
    for (const auto& [size, result] : {std::pair<u64, braid_message_result>{0, BRAID_MESSAGE_OK},
                                       {4096, BRAID_MESSAGE_OK},
                                       {pib, BRAID_MESSAGE_OK},
                                       {1, BRAID_MESSAGE_FIELD},
                                       {4096 + 512, BRAID_MESSAGE_FIELD},
                                       {pib + 4096, BRAID_MESSAGE_FIELD},
                                       {1ULL << 63, BRAID_MESSAGE_FIELD}}) {
        for (u64 braid_volume_state::*const field :
             {&braid_volume_state::size, &braid_volume_state::volume_bytes}) {
            auto it = volume();
            it.*field = size;
            EXPECT_EQ(decoded_volume(encoded(it)), result) << size;
        }
    }
}

TEST(MessageVolume, BlockSizeIsThatOfADiskIfThereIsOne) {
    for (const u32 size : {0U, 1U, 512U, 1024U, 4096U, 8192U, UINT32_MAX}) {
        auto it = volume();
        it.block_size = size;
        EXPECT_EQ(decoded_volume(encoded(it)),
                  size == 512 || size == 4096 ? BRAID_MESSAGE_OK : BRAID_MESSAGE_FIELD)
            << size;
    }
    EXPECT_EQ(decoded_volume(encoded(braid_volume_state{})), BRAID_MESSAGE_OK);
}

// PING and PONG

braid_ping ping() {
    return {.time = 0x0102030405060708,
            .epoch = 0x1112131415161718,
            .id = 0x2122232425262728,
            .flags = BRAID_PING_LEASE,
            .term_ms = 0x31323334};
}

Bytes encoded(const braid_ping& ping) {
    return written(braid_ping_encode, ping, BRAID_PING_BYTES);
}

TEST(MessagePing, BytesAreThoseOfTheDocument) {
    const Bytes bytes =
        hex("08 07 06 05 04 03 02 01 18 17 16 15 14 13 12 11 28 27 26 25 24 23 22 21 "
            "01 00 00 00 34 33 32 31");
    ASSERT_EQ(bytes.size(), 32U);
    EXPECT_EQ(encoded(ping()), bytes);
    braid_ping back{};
    ASSERT_EQ(braid_ping_decode(&back, bytes.data()), BRAID_MESSAGE_OK);
    EXPECT_EQ(back.time, ping().time);
    EXPECT_EQ(back.epoch, ping().epoch);
    EXPECT_EQ(back.id, ping().id);
    EXPECT_EQ(back.flags, 1U);
    EXPECT_EQ(back.term_ms, ping().term_ms);
}

TEST(MessagePing, UnknownFlagsAreRefused) {
    for (u32 bit = 0; bit < 32; bit++) {
        auto it = ping();
        it.flags = 1U << bit;
        EXPECT_EQ(braid_ping_decode(&it, encoded(it).data()),
                  bit == 0 ? BRAID_MESSAGE_OK : BRAID_MESSAGE_FLAGS)
            << bit;
    }
}

// TOKEN

braid_token token() {
    return {.epoch = 0x0102030405060708,
            .id = 0x1112131415161718,
            .grant = 0x2122232425262728,
            .flags = BRAID_TOKEN_WITHDRAWN};
}

Bytes encoded(const braid_token& token) {
    return written(braid_token_encode, token, BRAID_TOKEN_BYTES);
}

TEST(MessageToken, BytesAreThoseOfTheDocument) {
    const Bytes bytes =
        hex("08 07 06 05 04 03 02 01 18 17 16 15 14 13 12 11 28 27 26 25 24 23 22 21 "
            "01 00 00 00 .4");
    ASSERT_EQ(bytes.size(), 32U);
    EXPECT_EQ(encoded(token()), bytes);
    braid_token back{};
    ASSERT_EQ(braid_token_decode(&back, bytes.data()), BRAID_MESSAGE_OK);
    EXPECT_EQ(back.epoch, token().epoch);
    EXPECT_EQ(back.id, token().id);
    EXPECT_EQ(back.grant, token().grant);
    EXPECT_EQ(back.flags, 1U);
}

TEST(MessageToken, UnknownFlagsAndReservedBytesAreRefused) {
    for (u32 bit = 0; bit < 64; bit++) {
        auto it = token();
        it.flags = 0;
        Bytes bytes = encoded(it);
        bytes[24 + bit / 8] |= static_cast<u8>(1U << bit % 8);
        EXPECT_EQ(braid_token_decode(&it, bytes.data()),
                  bit == 0 ? BRAID_MESSAGE_OK : BRAID_MESSAGE_FLAGS)
            << bit;
    }
}

// STABLE and requests

braid_data data() {
    return {.epoch = 0x0102030405060708,
            .id = 0x1112131415161718,
            .generation = 0x3132333435363738,
            .stable = 0x2122232425262728,
            .offset = 0x0001424344401200,
            .bytes = 0x00015200,
            .instance = 0};
}

Bytes encoded(const braid_data& data) {
    return written(braid_data_encode, data, BRAID_DATA_BYTES);
}

braid_message_result decoded_data(const braid_data& data, u8 type, u32 payload) {
    const braid_header header{.type = type,
                              .flags = 0,
                              .volume = 0,
                              .tag = 0,
                              .length = BRAID_DATA_BYTES + payload,
                              .crc = 0};
    braid_data back{};
    return braid_data_decode(&back, &header, encoded(data).data());
}

/// With the payload that goes with it.
braid_message_result decoded_data(const braid_data& data, u8 type) {
    return decoded_data(data, type, type == BRAID_MSG_WRITE ? data.bytes : 0);
}

constexpr std::array data_types{u8{BRAID_MSG_STABLE}, u8{BRAID_MSG_WRITE}, u8{BRAID_MSG_ZEROES},
                                u8{BRAID_MSG_READ},   u8{BRAID_MSG_FLUSH}, u8{BRAID_MSG_CSUM},
                                u8{BRAID_MSG_MARKS},  u8{BRAID_MSG_DIRTY}, u8{BRAID_MSG_SETTLED}};
constexpr std::array range_types{u8{BRAID_MSG_WRITE}, u8{BRAID_MSG_ZEROES}, u8{BRAID_MSG_READ},
                                 u8{BRAID_MSG_CSUM}};

/// Valid for each type.
braid_data sample(u8 type) {
    auto it = data();
    if (type == BRAID_MSG_MARKS || type == BRAID_MSG_DIRTY) {
        it.offset = 0x0abcdef;
        it.bytes = 31;
    }
    if (type == BRAID_MSG_SETTLED)
        it.offset = 0x0abcdef000;
    return it;
}

TEST(MessageData, BytesAreThoseOfTheDocument) {
    const auto want = data();
    const Bytes bytes =
        hex("08 07 06 05 04 03 02 01 18 17 16 15 14 13 12 11 38 37 36 35 34 33 32 31 "
            "28 27 26 25 24 23 22 21 00 12 40 44 43 42 01 00 00 52 01 00 .12");
    ASSERT_EQ(bytes.size(), 56U);
    EXPECT_EQ(encoded(want), bytes);
    const braid_header header{.type = BRAID_MSG_WRITE,
                              .flags = 0,
                              .volume = 0,
                              .tag = 0,
                              .length = 56 + 0x15200,
                              .crc = 0};
    braid_data back{};
    ASSERT_EQ(braid_data_decode(&back, &header, bytes.data()), BRAID_MESSAGE_OK);
    EXPECT_EQ(back.epoch, want.epoch);
    EXPECT_EQ(back.id, want.id);
    EXPECT_EQ(back.generation, want.generation);
    EXPECT_EQ(back.stable, want.stable);
    EXPECT_EQ(back.offset, want.offset);
    EXPECT_EQ(back.bytes, want.bytes);
}

TEST(MessageData, EachTypeHasOneThatIsAccepted) {
    for (const u8 type : data_types)
        EXPECT_EQ(decoded_data(sample(type), type), BRAID_MESSAGE_OK) << braid_message_name(type);
}

TEST(MessageData, ReservedBytesAreZero) {
    for (const u8 type : data_types) {
        const auto it = sample(type);
        const braid_header header{
            .type = type,
            .flags = 0,
            .volume = 0,
            .tag = 0,
            .length = BRAID_DATA_BYTES + (type == BRAID_MSG_WRITE ? it.bytes : 0),
            .crc = 0};
        const std::size_t end = type == BRAID_MSG_DIRTY ? 48 : 56;
        expect_reserved(encoded(it), 44, end, [&](const Bytes& bytes) {
            braid_data back{};
            return braid_data_decode(&back, &header, bytes.data());
        });
    }
}

TEST(MessageData, DirtyIsAboutAReplica) {
    auto it = sample(BRAID_MSG_DIRTY);
    it.instance = 0xa1a2a3a4a5a6a7a8;
    const Bytes bytes = encoded(it);
    EXPECT_EQ(Bytes(bytes.begin() + 48, bytes.end()), hex("a8 a7 a6 a5 a4 a3 a2 a1"));
    const braid_header header{.type = BRAID_MSG_DIRTY,
                              .flags = 0,
                              .volume = 0,
                              .tag = 0,
                              .length = BRAID_DATA_BYTES,
                              .crc = 0};
    braid_data back{};
    ASSERT_EQ(braid_data_decode(&back, &header, bytes.data()), BRAID_MESSAGE_OK);
    EXPECT_EQ(back.instance, it.instance);
}

TEST(MessageData, GenerationsAreBelow2To63) {
    for (const u8 type : data_types)
        for (u64 braid_data::*const field : {&braid_data::generation, &braid_data::stable}) {
            auto it = sample(type);
            it.stable = 0;
            it.*field = BRAID_GENERATION_MAX + 1;
            EXPECT_EQ(decoded_data(it, type), BRAID_MESSAGE_FIELD) << int{type};
        }
    auto last = data();
    last.generation = BRAID_GENERATION_MAX;
    last.stable = BRAID_GENERATION_MAX - 1;
    EXPECT_EQ(decoded_data(last, BRAID_MSG_WRITE), BRAID_MESSAGE_OK);
}

TEST(MessageData, AWriteIsNotStableYet) {
    for (const u8 type : data_types) {
        const bool writes = type == BRAID_MSG_WRITE || type == BRAID_MSG_ZEROES;
        auto it = sample(type);
        it.stable = it.generation;
        EXPECT_EQ(decoded_data(it, type), writes ? BRAID_MESSAGE_FIELD : BRAID_MESSAGE_OK)
            << int{type};
    }
}

TEST(MessageData, PayloadOfAWriteIsItsBytes) {
    for (const u32 payload : {0U, 512U, 0x15200U - 1, 0x15200U + 1, mib})
        EXPECT_EQ(decoded_data(data(), BRAID_MSG_WRITE, payload), BRAID_MESSAGE_LENGTH) << payload;
}

struct Range {
    u64 offset;
    u32 bytes;
    bool ok;
};

TEST(MessageData, RangesLieOnSectorsWithinARegion) {
    constexpr u64 region = 4ULL * mib;
    for (const auto& [offset, bytes, ok] : std::initializer_list<Range>{
             {0, 512, true},
             {512, 512, true},
             {0, mib, true},
             {region - 512, 512, true},
             {region - mib, mib, true},
             {7 * region, mib, true},
             {pib - mib, mib, true},
             {pib - 512, 512, true},
             {0, 0, false},
             {region, 0, false},
             {0, 1, false},
             {0, 511, false},
             {0, 513, false},
             {1, 512, false},
             {256, 512, false},
             {region - 512, 1024, false},
             {region - mib + 512, mib, false},
             {7 * region - 512, 1024, false},
             {pib - 512, 1024, false},
             {pib, 512, false},
             {1ULL << 63, 512, false},
             {UINT64_MAX - 511, 512, false},
             {UINT64_MAX, 512, false},
             {512, UINT32_MAX - 511, false},
             {512, UINT32_MAX, false},
         }) {
        for (const u8 type : range_types) {
            auto it = data();
            it.offset = offset;
            it.bytes = bytes;
            EXPECT_EQ(decoded_data(it, type), ok ? BRAID_MESSAGE_OK : BRAID_MESSAGE_FIELD)
                << braid_message_name(type) << " " << offset << " " << bytes;
        }
    }
}

TEST(MessageData, OnlyZeroesMayBeLongerThanAPayload) {
    for (const u32 bytes : {mib + 512, 2 * mib, 4 * mib}) {
        for (const u8 type : {BRAID_MSG_READ, BRAID_MSG_CSUM, BRAID_MSG_ZEROES}) {
            auto it = data();
            it.offset = 0;
            it.bytes = bytes;
            EXPECT_EQ(decoded_data(it, type),
                      type == BRAID_MSG_ZEROES ? BRAID_MESSAGE_OK : BRAID_MESSAGE_FIELD)
                << braid_message_name(type) << " " << bytes;
        }
        // A WRITE of that many: its header is refused.
        EXPECT_EQ(decoded({.type = BRAID_MSG_WRITE,
                           .flags = 0,
                           .volume = 0,
                           .tag = 0,
                           .length = BRAID_DATA_BYTES + bytes,
                           .crc = 0}),
                  BRAID_MESSAGE_LENGTH);
    }
    auto it = data();
    it.offset = 0;
    for (const u32 bytes : {4 * mib + 512, 8 * mib}) {
        it.bytes = bytes;
        EXPECT_EQ(decoded_data(it, BRAID_MSG_ZEROES), BRAID_MESSAGE_FIELD) << bytes;
    }
}

TEST(MessageData, MarksAndDirtyStartAtARegion) {
    for (const u8 type : {BRAID_MSG_MARKS, BRAID_MSG_DIRTY}) {
        for (const auto& [region, ok] : {std::pair<u64, bool>{0, true},
                                         {1, true},
                                         {regions - 1, true},
                                         {regions, true},
                                         {regions + 1, false},
                                         {UINT32_MAX, false},
                                         {1ULL << 32, false},
                                         {UINT64_MAX, false}}) {
            auto it = sample(type);
            it.offset = region;
            EXPECT_EQ(decoded_data(it, type), ok ? BRAID_MESSAGE_OK : BRAID_MESSAGE_FIELD)
                << braid_message_name(type) << " " << region;
        }
    }
}

TEST(MessageData, DirtyIsAboutANode) {
    auto it = sample(BRAID_MSG_DIRTY);
    for (const u32 node : {0U, 31U, 32U, 0xffU, UINT32_MAX}) {
        it.bytes = node;
        EXPECT_EQ(decoded_data(it, BRAID_MSG_DIRTY),
                  node < 32 ? BRAID_MESSAGE_OK : BRAID_MESSAGE_FIELD)
            << node;
    }
}

/// A FLUSH may say which write it goes before; of the others they mean nothing.
TEST(MessageData, OffsetAndBytesOfOthersMeanNothing) {
    for (const u8 type : {BRAID_MSG_STABLE, BRAID_MSG_FLUSH}) {
        auto it = data();
        it.offset = UINT64_MAX;
        it.bytes = UINT32_MAX;
        EXPECT_EQ(decoded_data(it, type), BRAID_MESSAGE_OK) << braid_message_name(type);
    }
}

TEST(MessageData, SettledCarriesASize) {
    for (const auto& [size, result] : {std::pair<u64, braid_message_result>{0, BRAID_MESSAGE_OK},
                                       {pib, BRAID_MESSAGE_OK},
                                       {512, BRAID_MESSAGE_FIELD},
                                       {pib + 4096, BRAID_MESSAGE_FIELD}}) {
        auto it = data();
        it.offset = size;
        EXPECT_EQ(decoded_data(it, BRAID_MSG_SETTLED), result) << size;
    }
}

// REPLY

Bytes encoded(const braid_reply& reply) {
    return written(braid_reply_encode, reply, BRAID_REPLY_BYTES);
}

braid_message_result decoded_reply(const braid_reply& reply, u32 payload) {
    const braid_header header{.type = BRAID_MSG_REPLY,
                              .flags = 0,
                              .volume = 0,
                              .tag = 0,
                              .length = BRAID_REPLY_BYTES + payload,
                              .crc = 0};
    braid_reply back{};
    return braid_reply_decode(&back, &header, encoded(reply).data());
}

TEST(MessageReply, BytesAreThoseOfTheDocument) {
    const braid_reply reply{.status = 0, .next = 0x0a0b0c0d};
    const Bytes bytes = hex(".8 0d 0c 0b 0a 00 00 00 00");
    ASSERT_EQ(bytes.size(), 16U);
    EXPECT_EQ(encoded(reply), bytes);
    EXPECT_EQ(encoded(braid_reply{.status = 3, .next = 0}), hex("03 .15"));
    const braid_header header{.type = BRAID_MSG_REPLY,
                              .flags = BRAID_MF_MORE,
                              .volume = 0,
                              .tag = 0,
                              .length = 16 + 136,
                              .crc = 0};
    braid_reply back{};
    ASSERT_EQ(braid_reply_decode(&back, &header, bytes.data()), BRAID_MESSAGE_OK);
    EXPECT_EQ(back.status, reply.status);
    EXPECT_EQ(back.next, reply.next);
}

TEST(MessageReply, ReservedBytesAreZero) {
    const braid_header header{.type = BRAID_MSG_REPLY,
                              .flags = 0,
                              .volume = 0,
                              .tag = 0,
                              .length = BRAID_REPLY_BYTES,
                              .crc = 0};
    expect_reserved(encoded(braid_reply{.status = 0, .next = 0}), 4, 8, [&](const Bytes& bytes) {
        braid_reply back{};
        return braid_reply_decode(&back, &header, bytes.data());
    });
}

TEST(MessageReply, StatusIsOneOfSeven) {
    for (u32 status = 0; status < 16; status++)
        EXPECT_EQ(decoded_reply({.status = status, .next = 0}, 0),
                  status < 7 ? BRAID_MESSAGE_OK : BRAID_MESSAGE_FIELD)
            << status;
    EXPECT_EQ(decoded_reply({.status = UINT32_MAX, .next = 0}, 0), BRAID_MESSAGE_FIELD);
}

TEST(MessageReply, OnlySuccessHasAPayload) {
    for (u32 status = 0; status < 7; status++)
        for (const u32 payload : {1U, 512U, mib})
            EXPECT_EQ(decoded_reply({.status = status, .next = 0}, payload),
                      status == 0 ? BRAID_MESSAGE_OK : BRAID_MESSAGE_LENGTH)
                << status << " " << payload;
}

TEST(MessageReply, NextIsARegion) {
    for (const u64 next : {u64{0}, regions, regions + 1, u64{UINT32_MAX}, UINT64_MAX})
        EXPECT_EQ(decoded_reply({.status = 0, .next = next}, 136),
                  next <= regions ? BRAID_MESSAGE_OK : BRAID_MESSAGE_FIELD)
            << next;
}

// Entries of the replies to MARKS and DIRTY

using Leaf = std::array<u8, BRAID_LEAF_BYTES>;

Leaf leaf() {
    Leaf bits{};
    for (std::size_t i = 0; i < bits.size(); i++)
        bits[i] = static_cast<u8>(i + 1);
    return bits;
}

bool mark_ok(const Mark& mark) {
    u32 region = 0;
    u32 kind = 0;
    const u8* bits = nullptr;
    return braid_mark_decode(mark.data(), &region, &kind, &bits);
}

TEST(MessageMark, BytesAreThoseOfTheDocument) {
    static_assert(BRAID_MARK_BYTES == 136);
    const Leaf bits = leaf();
    for (const u32 kind : {1U, 2U}) {
        Mark mark;
        mark.fill(0xee);
        braid_mark_encode(mark.data(), 0x0a0b0c0d, kind, kind == 1 ? bits.data() : nullptr);
        Bytes want = hex("0d 0c 0b 0a");
        want.insert(want.end(), {static_cast<u8>(kind), 0, 0, 0});
        for (const u8 byte : bits)
            want.push_back(kind == 1 ? byte : 0);
        EXPECT_TRUE(std::ranges::equal(mark, want)) << kind;
        u32 region = 0;
        u32 back = 0;
        const u8* at = nullptr;
        ASSERT_TRUE(braid_mark_decode(mark.data(), &region, &back, &at));
        EXPECT_EQ(region, 0x0a0b0c0dU);
        EXPECT_EQ(back, kind);
        EXPECT_EQ(at, &mark[8]);
    }
}

TEST(MessageMark, KindIsLeafOrAll) {
    const Leaf bits{};
    for (const u32 kind : {0U, 1U, 2U, 3U, 0x101U, UINT32_MAX}) {
        Mark mark;
        braid_mark_encode(mark.data(), 5, kind, bits.data());
        EXPECT_EQ(mark_ok(mark), kind == 1 || kind == 2) << kind;
    }
}

TEST(MessageMark, RegionIsOneThatAVolumeCanHave) {
    for (const u64 region : {u64{0}, regions - 1, regions, u64{BRAID_LOG_FREE}}) {
        Mark mark;
        braid_mark_encode(mark.data(), static_cast<u32>(region), BRAID_REGION_ALL, nullptr);
        EXPECT_EQ(mark_ok(mark), region < regions) << region;
    }
}

TEST(MessageMark, AllHasNoBitmap) {
    for (std::size_t at = 8; at < 136; at++) {
        Mark mark;
        braid_mark_encode(mark.data(), 5, BRAID_REGION_ALL, nullptr);
        mark[at] = 0x40;
        EXPECT_FALSE(mark_ok(mark)) << at;
        mark[4] = BRAID_REGION_LEAF;
        EXPECT_TRUE(mark_ok(mark)) << at;
    }
}

TEST(MessageMark, AFullReplyIsAPayload) {
    static_assert(BRAID_MARKS_MAX == 120);
    EXPECT_LE(BRAID_MARKS_MAX * BRAID_MARK_BYTES, BRAID_PAYLOAD_MAX);
}

}  // namespace
