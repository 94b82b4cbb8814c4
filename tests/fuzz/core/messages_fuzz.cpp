// SPDX-License-Identifier: GPL-2.0-or-later
//
// Any bytes as messages, as they are and with a header that is accepted: no decoder reads or writes
// out of bounds, what it accepts is within the bounds that messages.h names and is encoded again as
// the same bytes.
#include "core/messages.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <span>
#include <vector>

#include "core/bytes.h"

namespace {

using Bytes = std::vector<u8>;
using HeaderBytes = std::array<u8, BRAID_HEADER_BYTES>;

constexpr u64 regions = 1ULL << 28;
constexpr u64 region_bytes = 1ULL << 22;
constexpr u32 mib = 1U << 20;

void demand(bool property) {
    if (!property)
        std::abort();
}

/// Exactly so many on the heap, so that reading one more is found.
Bytes filled(std::span<const u8> data, std::size_t size) {
    Bytes bytes(size);
    std::copy_n(data.begin(), std::min(data.size(), size), bytes.begin());
    return bytes;
}

template <class Value>
void demand_same(void (*encode)(const Value*, u8*), const Value& value, const Bytes& bytes) {
    Bytes again(bytes.size(), 0xee);
    encode(&value, again.data());
    demand(again == bytes);
}

bool accepts(const HeaderBytes& bytes, bool greeted, braid_header& header) {
    if (braid_header_decode(&header, bytes.data(), greeted) != BRAID_MESSAGE_OK)
        return false;
    const u32 body = braid_body_bytes(header.type);
    const bool request = braid_is_request(header.type);
    const bool payload = header.type == BRAID_MSG_WRITE || header.type == BRAID_MSG_REPLY;
    demand(header.type >= BRAID_MSG_HELLO && header.type < BRAID_MSG_COUNT);
    demand(greeted == (header.type != BRAID_MSG_HELLO));
    demand(body <= BRAID_BODY_MAX && header.length >= body);
    demand(header.length - body <= (payload ? mib : 0));
    demand(header.tag == 0 || ((request || header.type == BRAID_MSG_REPLY) && header.tag < 1024));
    demand(header.volume == 0 || request || header.type == BRAID_MSG_REPLY ||
           header.type == BRAID_MSG_VOLUME || header.type == BRAID_MSG_STABLE);
    HeaderBytes again;
    braid_header_encode(&header, again.data());
    demand(again == bytes);
    return true;
}

void check_hello(const Bytes& bytes) {
    braid_hello hello{};
    if (braid_hello_decode(&hello, bytes.data()) != BRAID_MESSAGE_OK)
        return;
    demand(hello.protocol_min > 0 && hello.protocol_min <= hello.protocol_max);
    demand(hello.node < 32 && hello.peer < 32);
    demand(hello.window_requests > 0 && hello.window_requests <= 1024);
    demand(hello.window_bytes >= mib && hello.flags <= 1);
    auto* const end = std::find(std::begin(hello.name), std::end(hello.name), '\0');
    demand(end != std::end(hello.name));
    demand(std::all_of(end, std::end(hello.name), [](char byte) { return byte == 0; }));
    demand_same(braid_hello_encode, hello, bytes);
}

void check_state(const Bytes& bytes) {
    braid_state state{};
    if (braid_state_decode(&state, bytes.data()) != BRAID_MESSAGE_OK)
        return;
    demand(state.writer < 32 || state.writer == BRAID_NO_WRITER);
    demand(state.flags <= BRAID_STATE_FLAGS);
    demand_same(braid_state_encode, state, bytes);
}

void check_volume(const Bytes& bytes) {
    braid_volume_state volume{};
    if (braid_volume_decode(&volume, bytes.data()) != BRAID_MESSAGE_OK)
        return;
    demand(volume.size % 4096 == 0 && volume.size <= regions * region_bytes);
    demand(volume.flags <= BRAID_VOLUME_FLAGS);
    demand((volume.flags & BRAID_VOLUME_ATTACHED) == 0 || volume.block_size == 512 ||
           volume.block_size == 4096);
    demand_same(braid_volume_encode, volume, bytes);
}

void check_ping(const Bytes& bytes) {
    braid_ping ping{};
    if (braid_ping_decode(&ping, bytes.data()) != BRAID_MESSAGE_OK)
        return;
    demand(ping.flags <= 1);
    demand_same(braid_ping_encode, ping, bytes);
}

void check_token(const Bytes& bytes) {
    braid_token token{};
    if (braid_token_decode(&token, bytes.data()) != BRAID_MESSAGE_OK)
        return;
    demand(token.flags <= 1);
    demand_same(braid_token_encode, token, bytes);
}

void check_data(const braid_header& header, const Bytes& bytes) {
    braid_data data{};
    if (braid_data_decode(&data, &header, bytes.data()) != BRAID_MESSAGE_OK)
        return;
    switch (header.type) {
        case BRAID_MSG_WRITE:
            demand(header.length == BRAID_DATA_BYTES + data.bytes);
            [[fallthrough]];
        case BRAID_MSG_READ:
        case BRAID_MSG_CSUM:
            demand(data.bytes <= mib);
            [[fallthrough]];
        case BRAID_MSG_ZEROES:
            demand(data.bytes > 0 && data.bytes % 512 == 0 && data.offset % 512 == 0);
            demand(data.offset < regions * region_bytes);
            demand(data.offset / region_bytes == (data.offset + data.bytes - 1) / region_bytes);
            break;
        case BRAID_MSG_DIRTY:
            demand(data.bytes < 32);
            [[fallthrough]];
        case BRAID_MSG_MARKS:
            demand(data.offset <= regions);
            break;
        case BRAID_MSG_SETTLED:
            demand(data.offset % 4096 == 0 && data.offset <= regions * region_bytes);
            break;
        default:
            break;
    }
    demand_same(braid_data_encode, data, bytes);
}

void check_marks(std::span<const u8> data) {
    for (std::size_t at = 0; at < data.size(); at += BRAID_MARK_BYTES) {
        const Bytes bytes = filled(data.subspan(at), BRAID_MARK_BYTES);
        u32 region = 0;
        u32 kind = 0;
        const u8* bits = nullptr;
        if (!braid_mark_decode(bytes.data(), &region, &kind, &bits))
            continue;
        demand(region < regions && bits == &bytes[8]);
        demand(kind == BRAID_REGION_LEAF || kind == BRAID_REGION_ALL);
        Bytes again(bytes.size(), 0xee);
        braid_mark_encode(again.data(), region, kind, kind == BRAID_REGION_LEAF ? bits : nullptr);
        demand(again == bytes);
    }
}

void check_reply(const braid_header& header, const Bytes& bytes) {
    braid_reply reply{};
    if (braid_reply_decode(&reply, &header, bytes.data()) != BRAID_MESSAGE_OK)
        return;
    demand(reply.status < BRAID_STATUS_COUNT && reply.next <= regions);
    demand(reply.status == BRAID_STATUS_OK || header.length == BRAID_REPLY_BYTES);
    demand_same(braid_reply_encode, reply, bytes);
}

/// A message whose header was accepted, as a stream would go on with it.
void check_body(const braid_header& header, std::span<const u8> data) {
    const Bytes bytes = filled(data, braid_body_bytes(header.type));
    switch (header.type) {
        case BRAID_MSG_HELLO:
            return check_hello(bytes);
        case BRAID_MSG_STATE:
            return check_state(bytes);
        case BRAID_MSG_VOLUME:
            return check_volume(bytes);
        case BRAID_MSG_PING:
        case BRAID_MSG_PONG:
            return check_ping(bytes);
        case BRAID_MSG_TOKEN:
            return check_token(bytes);
        case BRAID_MSG_GOODBYE:
            return demand(bytes.empty());
        case BRAID_MSG_REPLY:
            check_reply(header, bytes);
            return check_marks(data.subspan(std::min(data.size(), bytes.size())));
        default:
            return check_data(header, bytes);
    }
}

void check(HeaderBytes bytes, std::span<const u8> body) {
    braid_header header{};
    for (const bool greeted : {false, true})
        if (accepts(bytes, greeted, header))
            check_body(header, body);

    // Random headers hardly ever pass; with these numbers all types do, and most lengths.
    braid_put_le16(bytes.data(), BRAID_WIRE_MAGIC);
    bytes[2] = static_cast<u8>(1 + bytes[2] % (BRAID_MSG_COUNT - 1));
    std::fill_n(&bytes[6], 2, u8{0});
    const u8 type = bytes[2];
    if (type == BRAID_MSG_HELLO)
        std::fill_n(&bytes[BRAID_HEADER_CRC], 4, u8{0});
    const u32 length = braid_body_bytes(type);
    braid_put_le32(&bytes[8], braid_get_le16(&bytes[8]) % 1024);
    if (type == BRAID_MSG_WRITE && body.size() >= BRAID_DATA_BYTES)
        braid_put_le32(&bytes[12], length + (braid_get_le32(&body[40]) & (2 * mib - 1)));
    else if (type == BRAID_MSG_REPLY && body.size() >= BRAID_REPLY_BYTES)
        braid_put_le32(&bytes[12], static_cast<u32>(body.size()));
    else
        braid_put_le32(&bytes[12], length);
    if (accepts(bytes, type != BRAID_MSG_HELLO, header))
        check_body(header, body);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    HeaderBytes header{};
    if (size < header.size())
        return -1;
    std::copy_n(data, header.size(), header.begin());
    check(header, std::span(data, size).subspan(header.size()));
    return 0;
}

// Mutations start from a header that is accepted: random bytes hardly ever come near one.
extern "C" std::size_t LLVMFuzzerMutate(std::uint8_t* data, std::size_t size, std::size_t most);

extern "C" std::size_t LLVMFuzzerCustomMutator(std::uint8_t* data, std::size_t size,
                                               std::size_t most, unsigned int seed) {
    if (size >= BRAID_HEADER_BYTES && seed % 16 == 0) {
        braid_header header{};
        header.type = static_cast<u8>(1 + seed / 16 % (BRAID_MSG_COUNT - 1));
        header.length = braid_body_bytes(header.type);
        braid_header_encode(&header, data);
        return size;
    }
    return LLVMFuzzerMutate(data, size, most);
}
