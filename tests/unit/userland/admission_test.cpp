// SPDX-License-Identifier: GPL-2.0-or-later
#include "satellite/admission.h"

#include <gmock/gmock.h>

#include "satellite/refusals.h"

namespace braid::satellite {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

class AdmissionTest : public testing::Test {
  protected:
    Admission::Verdict arrive(const std::string& who, bool peer = false) {
        return admission_.arrive(++id_, who, peer, now_);
    }

    Admission admission_{{.peer = 2, .strangers = 3, .stranger = 2, .strangers_per_second = 10}};
    Admission::Time now_{seconds(1000)};
    std::uint64_t id_ = 0;
};

TEST_F(AdmissionTest, OneAddressHasItsPart) {
    EXPECT_TRUE(arrive("x").admitted);
    EXPECT_TRUE(arrive("x").admitted);
    EXPECT_FALSE(arrive("x").admitted);
    EXPECT_TRUE(arrive("y").admitted);
    admission_.leave(1);
    now_ += seconds(1);
    EXPECT_TRUE(arrive("x").admitted);
}

TEST_F(AdmissionTest, TheOldestStrangerMakesRoom) {
    for (const char* who : {"x", "y", "z"}) {
        EXPECT_TRUE(arrive(who).admitted);
    }
    now_ += seconds(1);
    const auto verdict = arrive("u");
    EXPECT_TRUE(verdict.admitted);
    EXPECT_EQ(verdict.instead_of, 1U);
    EXPECT_EQ(admission_.size(), 3U);
}

TEST_F(AdmissionTest, StrangersComeAtALimitedRate) {
    for (const char* who : {"x", "y", "z"}) {
        EXPECT_TRUE(arrive(who).admitted);
    }
    EXPECT_FALSE(arrive("u").admitted) << "the burst is used";
    now_ += milliseconds(101);
    EXPECT_TRUE(arrive("u").admitted);
    EXPECT_FALSE(arrive("v").admitted);
    now_ += seconds(3600);
    for (const char* who : {"1", "2", "3"}) {
        EXPECT_TRUE(arrive(who).admitted);
    }
    EXPECT_FALSE(arrive("4").admitted) << "a long silence saves up one burst";
}

TEST_F(AdmissionTest, StrangersTakeNothingFromPeers) {
    for (int i = 0; i < 1000; i++) {
        arrive("x" + std::to_string(i));
        now_ += milliseconds(50);
    }
    const auto verdict = arrive("peer", true);
    EXPECT_TRUE(verdict.admitted);
    EXPECT_FALSE(verdict.instead_of);
    EXPECT_EQ(admission_.size(), 4U);
}

TEST_F(AdmissionTest, APeersOldestMakesRoomForItsOwn) {
    EXPECT_TRUE(arrive("other", true).admitted);
    EXPECT_TRUE(arrive("peer", true).admitted);
    EXPECT_TRUE(arrive("peer", true).admitted);
    const auto verdict = arrive("peer", true);
    EXPECT_TRUE(verdict.admitted);
    EXPECT_EQ(verdict.instead_of, 2U) << "not the other peer's";
}

TEST(Refusals, AreCountedAndBounded) {
    Refusals refusals;
    std::chrono::system_clock::time_point now{seconds(100'000)};
    const Refusal* news = refusals.note("10.0.0.1", "", "why", now);
    ASSERT_NE(news, nullptr);
    EXPECT_EQ(news->address, "10.0.0.1");
    EXPECT_EQ(refusals.note("10.0.0.1", "", "why", now), nullptr) << "said already";
    EXPECT_EQ(refusals.list().front().count, 2U);
    now += Refusals::log_interval;
    EXPECT_NE(refusals.note("10.0.0.1", "", "why", now), nullptr) << "said again";
    int lines = 0;
    for (int i = 0; i < 1000; i++) {
        now += milliseconds(1);
        lines += refusals.note("192.0.2." + std::to_string(i), "", "why", now) == nullptr ? 0 : 1;
    }
    EXPECT_LE(lines, Refusals::lines);
    EXPECT_EQ(refusals.list().size(), Refusals::kept);
    EXPECT_EQ(refusals.list().back().address, "192.0.2.999") << "the latest are kept";
}

}  // namespace
}  // namespace braid::satellite
