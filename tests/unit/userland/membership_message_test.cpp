// SPDX-License-Identifier: GPL-2.0-or-later
//
// Bytes of messages and votes. Guards P7: what a peer or a disk gives is taken exactly if it is
// what would have been written, and never read beyond its end.
#include "membership/message.h"

#include <gtest/gtest.h>

#include <random>

#include "core/bytes.h"
#include "membership_values.h"

namespace braid::membership {
namespace {

Value rich_value() {
    Value value = value_of(3, 7);
    value.writer = 1;
    value.caretaker = true;
    value.seats[2].instance = 0;
    value.seats.push_back({.node = 9, .role = Role::witness, .voter = 109, .instance = 0});
    value.seats.push_back({.node = 31, .role = Role::diskless, .voter = 0, .instance = 0});
    value.grant = {.number = 77, .from = 1, .to = 31, .deadline_ms = -5};
    value.history.push_back({.lineage = second_lineage,
                             .epoch = 3,
                             .id = 4,
                             .when_ms = 1700000000000,
                             .complete = true,
                             .discarded = false});
    return value;
}

std::vector<Message> samples() {
    const Ballot ballot{.round = 5, .node = 2, .nonce = 99};
    const Ballot next{.round = 6, .node = 2, .nonce = 98};
    Report report;
    report.voter = 5;
    report.known = rich_value();
    report.instance = 3;
    report.active = true;
    report.prepared = 8;
    report.dirty = {0, 4096};
    return {Prepare{first_lineage, 100, ballot},
            Promise{first_lineage, 100, ballot, next, rich_value(), true},
            Promise{first_lineage, 100, ballot, {}, std::nullopt, false},
            Accept{101, ballot, next, rich_value()},
            Accepted{first_lineage, 102, ballot},
            Refused{103, ballot, Refusal::failed, next},
            Chosen{rich_value()},
            Query{},
            report};
}

/// With the checksum that belongs to what is before it.
Bytes sealed(Bytes bytes) {
    const std::size_t body = bytes.size() - 4;
    braid_put_le32(bytes.data() + body, braid_crc32c(~0U, bytes.data(), body));
    return bytes;
}

TEST(MembershipMessage, EveryMessageComesBackAsItWas) {
    for (const Message& message : samples()) {
        const auto back = decode_message(encode(message));
        ASSERT_TRUE(back.has_value()) << back.error();
        EXPECT_EQ(*back, message);
    }
}

TEST(MembershipMessage, AVoteComesBackAsItWasAndFitsIntoMetadata) {
    Vote vote{.voter = 3, .enrolled = 7, .promised = {9, 1, 2}, .accepted = {8, 1, 3}};
    vote.value = rich_value();
    EXPECT_EQ(decode_vote(encode(vote)).value(), vote);
    vote.value->seats.clear();
    for (NodeId node = 0; node <= node_max; node++)
        vote.value->seats.push_back({node, Role::diskful, 1 + node, 1, 1});
    vote.value->writer = 0;
    vote.value->grant = {};
    vote.value->read_under = vote.value->voters();
    vote.value->history.assign(ancestors_max, Ancestor{.lineage = second_lineage});
    EXPECT_EQ(decode_vote(encode(vote)).value(), vote);
    EXPECT_LE(encode(vote).size(), vote_bytes_max);
}

TEST(MembershipMessage, NothingShorterOrLongerIsTaken) {
    for (const Message& message : samples()) {
        const Bytes bytes = encode(message);
        for (std::size_t length = 0; length < bytes.size(); length++) {
            Bytes part(bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(length));
            EXPECT_FALSE(decode_message(part).has_value());
            if (length >= 10) {
                EXPECT_FALSE(decode_message(sealed(part)).has_value());
            }
        }
        Bytes longer = bytes;
        longer.push_back(0);
        EXPECT_FALSE(decode_message(sealed(longer)).has_value());
    }
}

TEST(MembershipMessage, AFlippedBitIsNoticed) {
    Bytes bytes = encode(samples()[1]);
    for (std::size_t bit = 0; bit < bytes.size() * 8; bit++) {
        bytes[bit / 8] ^= static_cast<std::uint8_t>(1 << bit % 8);
        EXPECT_FALSE(decode_message(bytes).has_value());
        bytes[bit / 8] ^= static_cast<std::uint8_t>(1 << bit % 8);
    }
}

TEST(MembershipMessage, WhatIsTakenIsWrittenTheSame) {
    std::mt19937_64 random(1);
    const auto messages = samples();
    int taken = 0;
    for (int i = 0; i < 20000; i++) {
        Bytes bytes = encode(messages[random() % messages.size()]);
        for (std::uint64_t n = random() % 3; n < 3; n++)
            bytes[4 + random() % (bytes.size() - 4)] = static_cast<std::uint8_t>(random());
        bytes = sealed(std::move(bytes));
        if (const auto message = decode_message(bytes)) {
            EXPECT_EQ(encode(*message), bytes);
            taken++;
        }
        if (const auto vote = decode_vote(bytes)) {
            EXPECT_EQ(encode(*vote), bytes);
        }
    }
    EXPECT_GT(taken, 100);
}

TEST(MembershipMessage, AVoteIsNoMessageAndOtherVersionsAreNamed) {
    const Bytes vote = encode(Vote{.voter = 3});
    EXPECT_EQ(decode_message(vote).error(), "it is a vote, and not a message");
    EXPECT_EQ(decode_vote(encode(Message(Query{}))).error(), "it is a message, and not a vote");
    Bytes newer = vote;
    newer[4] = 2;
    EXPECT_EQ(decode_vote(sealed(newer)).error(),
              "it has version 2, but this program knows only 1");
    EXPECT_FALSE(decode_vote(encode(Vote{})).has_value()) << "a vote has a voter";
}

TEST(MembershipMessage, AValueThatCannotBeIsRefused) {
    const std::vector<void (*)(Value&)> wrongs{
        [](Value& v) { v.lineage = {}; },
        [](Value& v) { v.epoch = 0; },
        [](Value& v) { v.id = 0; },
        [](Value& v) { v.writer = 30; },
        [](Value& v) { v.writer = 9; },
        [](Value& v) { v.seats[1].node = 0; },
        [](Value& v) { v.seats[4].node = 32; },
        [](Value& v) { v.seats[4].voter = 1; },
        [](Value& v) { v.seats[3].instance = 1; },
        [](Value& v) { v.seats[0].joined = 0; },
        [](Value& v) { v.seats[0].joined = v.epoch + 1; },
        [](Value& v) { v.seats[1].voter = 100; },
        [](Value& v) { v.seats[0].instance = v.seats[1].instance = 0; },
        [](Value& v) { v.read_under = {}; },
        [](Value& v) {
            v.read_under = {102, 101, 100, 109};
        },
        [](Value& v) {
            v.read_under = {100, 101};
        },
        [](Value& v) { v.grant.to = 1; },
        [](Value& v) { v.grant.from = 0; },
        [](Value& v) { v.history[0].lineage = v.lineage; }};
    Value good = rich_value();
    good.read_under = good.voters();
    ASSERT_EQ(fault(good), std::nullopt);
    for (const auto& wrong : wrongs) {
        Value value = good;
        wrong(value);
        EXPECT_TRUE(fault(value).has_value()) << "fault " << (&wrong - wrongs.data());
        EXPECT_FALSE(decode_message(encode(Message(Chosen{value}))).has_value());
    }
}

TEST(MembershipValue, ATieIsNoMajority) {
    EXPECT_FALSE(majority({1, 2}, {1}));
    EXPECT_TRUE(majority({1, 2}, {1, 2}));
    EXPECT_FALSE(majority({1, 2, 3, 4}, {1, 2}));
    EXPECT_TRUE(majority({1, 2, 3}, {1, 3}));
    EXPECT_FALSE(majority({1, 2, 3}, {1, 7, 8, 9})) << "only members of the set count";
    EXPECT_FALSE(majority({}, {1}));
}

}  // namespace
}  // namespace braid::membership
