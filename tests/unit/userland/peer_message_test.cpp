// SPDX-License-Identifier: GPL-2.0-or-later
#include "satellite/peer_message.h"

#include <gmock/gmock.h>

#include <string>

namespace braid::satellite {

namespace {

using Kind = PeerMessage::Kind;

PeerMessage sample(Kind kind) {
    PeerMessage message{.kind = kind, .from = 3, .to = 31, .resource = "vm-1"};
    if (kind == Kind::said) {
        message.bytes = {0, 1, 255, '\n'};
    }
    return message;
}

TEST(PeerMessageTest, IsWhatWasSaid) {
    for (const Kind kind : {Kind::here, Kind::gone, Kind::said}) {
        const auto read = decode_peer_message(encode(sample(kind)));
        ASSERT_TRUE(read.has_value());
        EXPECT_EQ(*read, sample(kind));
    }
}

TEST(PeerMessageTest, TheBytesAreThoseOfTheDocument) {
    EXPECT_EQ(encode(sample(Kind::said)), std::string("\3\3\x1f\4vm-1\0\1\xff\n", 12));
}

TEST(PeerMessageTest, NonsenseIsNoMessage) {
    const std::string good = encode(sample(Kind::said));
    const auto with = [&](std::size_t at, char byte) {
        std::string text = good;
        text[at] = byte;
        return decode_peer_message(text);
    };
    EXPECT_FALSE(decode_peer_message(""));
    for (std::size_t length = 0; length < 8; length++) {
        EXPECT_FALSE(decode_peer_message(good.substr(0, length))) << length;
    }
    EXPECT_TRUE(decode_peer_message(good.substr(0, 8))) << "bytes may be none";
    EXPECT_FALSE(with(0, 0)) << "no such kind";
    EXPECT_FALSE(with(0, 5)) << "no such kind";
    EXPECT_FALSE(with(1, 32)) << "no such node";
    EXPECT_FALSE(with(2, 32)) << "no such node";
    EXPECT_FALSE(with(3, 0)) << "no name";
    EXPECT_FALSE(with(3, 64)) << "a name that is too long";
    EXPECT_FALSE(with(0, 1)) << "here says no more than that";
}

}  // namespace

}  // namespace braid::satellite
