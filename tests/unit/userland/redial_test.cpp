// SPDX-License-Identifier: GPL-2.0-or-later
#include "satellite/redial.h"

#include <gmock/gmock.h>

#include "satellite/hello.h"

namespace braid::satellite {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr Redial::Clock::time_point start{seconds(1000)};

TEST(Redial, AllPathsInTurnThenAPauseThatDoubles) {
    Redial redial(2, [] { return 0.9999999; });
    EXPECT_EQ(redial.path(), 0U);
    EXPECT_EQ(redial.failed(), milliseconds(0));
    EXPECT_EQ(redial.path(), 1U);
    milliseconds expected = Redial::first_pause;
    for (int round = 0; round < 8; round++) {
        const auto pause = redial.failed();
        EXPECT_EQ(redial.path(), 0U);
        EXPECT_LE(pause, expected);
        EXPECT_GT(pause, expected - milliseconds(1));
        expected = std::min(expected * 2, Redial::longest_pause);
        EXPECT_EQ(redial.failed(), milliseconds(0));
    }
}

TEST(Redial, JitterTakesUpToHalf) {
    Redial redial(1, [] { return 0.0; });
    EXPECT_EQ(redial.failed(), Redial::first_pause / 2);
    EXPECT_EQ(redial.failed(), Redial::first_pause);
}

TEST(Redial, AConnectionThatLastedIsMadeAgainAtOnce) {
    Redial redial(1, [] { return 0.0; });
    redial.failed();
    redial.failed();
    redial.connected(start);
    EXPECT_EQ(redial.lost(start + Redial::lasting), milliseconds(0));
    EXPECT_EQ(redial.failed(), Redial::first_pause / 2) << "the count starts afresh";
}

TEST(Redial, OneThatDidNotLastCountsAsAFailure) {
    Redial redial(1, [] { return 0.0; });
    redial.connected(start);
    EXPECT_EQ(redial.lost(start + seconds(1)), Redial::first_pause / 2);
    redial.connected(start + seconds(2));
    EXPECT_EQ(redial.lost(start + seconds(3)), Redial::first_pause);
}

TEST(Redial, AChangedNetworkIsTriedFromTheFirstPath) {
    Redial redial(2, [] { return 0.0; });
    for (int i = 0; i < 7; i++) {
        redial.failed();
    }
    redial.forget();
    EXPECT_EQ(redial.path(), 0U);
    redial.failed();
    EXPECT_EQ(redial.failed(), Redial::first_pause / 2);
}

TEST(Hello, WhatIsEncodedIsDecoded) {
    const Hello control;
    const Hello stream{StreamHello{"r0", 0xffffffffffffffff, 3, Transport::plain}};
    for (const Hello& hello : {control, stream}) {
        EXPECT_EQ(decode_hello(encode(hello)).value(), hello);
    }
    for (const Answer& answer : {Answer{}, Answer{"why \"so\"\n"}}) {
        EXPECT_EQ(decode_answer(encode(answer)).value(), answer);
    }
}

TEST(Hello, WhatNewerVersionsAddIsPassedOver) {
    EXPECT_EQ(decode_hello(R"({"kind":"control","more":[1]})").value(), Hello{});
    EXPECT_EQ(decode_answer(R"({"accepted":true,"more":{}})").value(), Answer{});
}

TEST(Hello, WhatMakesNoSenseIsRefused) {
    const std::string good = encode(Hello{StreamHello{"r0", 1, 0, Transport::ktls}});
    ASSERT_TRUE(decode_hello(good));
    for (const char* text :
         {"", "[]", "{}", "{", "\xff", R"({"kind":1})", R"({"kind":"other"})",
          R"({"kind":"stream"})",
          R"({"kind":"stream","resource":"r","session":0,"number":0,"transport":"ktls"})",
          R"({"kind":"stream","resource":"r","session":-1,"number":0,"transport":"ktls"})",
          R"({"kind":"stream","resource":"r","session":1.5,"number":0,"transport":"ktls"})",
          R"({"kind":"stream","resource":"r","session":1,"number":4294967296,"transport":"ktls"})",
          R"({"kind":"stream","resource":"r","session":1,"number":0,"transport":"none"})",
          R"({"kind":"stream","resource":5,"session":1,"number":0,"transport":"ktls"})"}) {
        EXPECT_FALSE(decode_hello(text)) << text;
        EXPECT_FALSE(decode_answer(text)) << text;
    }
    // Deep nesting is an error and not a stack overflow.
    EXPECT_FALSE(decode_hello(std::string(4096, '[')));
}

}  // namespace
}  // namespace braid::satellite
