// SPDX-License-Identifier: GPL-2.0-or-later
#include "satellite/pool_watch.h"

#include <gmock/gmock.h>

#include "sys/thin_pool_mock.h"

namespace braid::satellite {
namespace {

using sys::ThinPoolState;
using testing::_;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using Clock = sys::EventLoop::Clock;
using Words = std::vector<std::string>;

/// On a host with the resource r0 in the pool fast, of 100 blocks.
class PoolWatchTest : public testing::Test {
  protected:
    PoolWatchTest() {
        ON_CALL(pools_, state("vg", "thin")).WillByDefault([this](auto&, auto&) {
            return sys::Result<std::optional<ThinPoolState>>(state_);
        });
        state_ = ThinPoolState{
            .data_used = 10, .data_total = 100, .metadata_used = 1, .metadata_total = 100};
    }

    void configure() {
        config::NodeResource resource{.name = "r0"};
        resource.volumes = {{.number = 0, .disk = "/dev/vg/r0_00000", .pool = "fast", .size = 1},
                            {.number = 1, .disk = "/dev/sdb"}};
        watch_.configure({{.name = "fast", .group = "vg", .thin = "thin"}}, {resource});
    }
    /// Lets the watch look a few times.
    void look() {
        const auto until = Clock::now() + std::chrono::milliseconds(30);
        while (Clock::now() < until) {
            loop_.run_once(std::chrono::milliseconds(5));
        }
    }
    void fail_disk(std::uint32_t volume, const std::string& cause = "a write failed") {
        sys::KernelEvent event;
        event.kind = netlink::enums::event_kind::disk;
        event.resource = "r0";
        event.volume = volume;
        event.after = "failed";
        event.cause = cause;
        watch_.kernel_event(event);
    }
    /// Ends the program that runs.
    void end(int status, const std::string& output = "") {
        ASSERT_TRUE(ended_);
        sys::ProcessEnd process;
        process.number = status;
        process.output = {output};
        std::exchange(ended_, nullptr)(process);
    }
    /// What was run and told since the last call.
    std::vector<Words> ran() { return std::exchange(ran_, {}); }
    std::vector<std::string> told() { return std::exchange(told_, {}); }

    sys::EventLoop loop_;
    testing::NiceMock<sys::ThinPoolsMock> pools_;
    std::optional<ThinPoolState> state_;
    std::vector<Words> ran_;
    std::vector<std::string> told_;
    std::function<void(const sys::ProcessEnd&)> ended_;
    PoolWatch watch_{
        {.loop = loop_,
         .pools = pools_,
         .journal = [this](bool, const std::string&,
                           const std::string& text) { told_.push_back(text); },
         .braidadm =
             [this](const Words& words, std::function<void(const sys::ProcessEnd&)> end) {
                 ran_.push_back(words);
                 ended_ = std::move(end);
             },
         .limits = {.interval = std::chrono::milliseconds(2),
                    .again = std::chrono::milliseconds(60),
                    .blamed = std::chrono::milliseconds(60)}}};
};

TEST_F(PoolWatchTest, ThresholdsAreToldOnce) {
    configure();
    look();
    EXPECT_THAT(told(), IsEmpty());
    state_->data_used = 81;
    look();
    EXPECT_THAT(told(), ElementsAre("pool fast: data 81% used, metadata 1%"));
    EXPECT_THAT(ran(), ElementsAre(Words{"pool", "extend", "fast"}));
    state_->data_used = 79;
    look();
    state_->data_used = 80;
    look();
    EXPECT_THAT(told(), IsEmpty());
    state_->metadata_used = 96;
    look();
    EXPECT_THAT(told(), ElementsAre("pool fast: data 80% used, metadata 96%"));
    EXPECT_THAT(ran(), IsEmpty());  // the extension still runs
}

TEST_F(PoolWatchTest, AnExtensionThatFailsIsToldOnceAndTriedAgain) {
    state_->metadata_used = 85;
    configure();
    told();
    EXPECT_THAT(ran(), ElementsAre(Words{"pool", "extend", "fast", "--metadata"}));
    end(1, "no room");
    EXPECT_THAT(told(), ElementsAre("pool fast: cannot be extended: no room"));
    look();
    EXPECT_THAT(ran(), IsEmpty());
    look();
    look();
    look();
    EXPECT_THAT(ran(), ElementsAre(_));
    end(1, "no room");
    EXPECT_THAT(told(), IsEmpty());
}

TEST_F(PoolWatchTest, WhatAFullPoolCostIsAttachedOnceThereIsRoom) {
    configure();
    state_->data_used = 100;
    state_->full = true;
    fail_disk(0);
    EXPECT_THAT(told(),
                testing::Contains(HasSubstr("r0/0 was detached because the pool was full")));
    ran();
    end(1, "no room");
    look();
    EXPECT_THAT(ran(), IsEmpty());
    told();
    state_ = ThinPoolState{.data_used = 50, .data_total = 200, .metadata_total = 100};
    look();
    EXPECT_THAT(told(), ElementsAre("pool fast: takes writes again"));
    EXPECT_THAT(ran(), ElementsAre(Words{"attach", "r0/0"}));
    end(1, "busy");
    EXPECT_THAT(told(), ElementsAre("pool fast: r0/0 cannot be attached: busy"));
    look();
    EXPECT_THAT(ran(), IsEmpty());
    look();
    look();
    look();
    EXPECT_THAT(ran(), ElementsAre(Words{"attach", "r0/0"}));
    end(0);
    look();
    EXPECT_THAT(ran(), IsEmpty());
}

TEST_F(PoolWatchTest, OtherFailuresAreLeftAlone) {
    configure();
    fail_disk(0);  // the pool has room: it is the disk
    state_->full = true;
    fail_disk(0, "requested");
    fail_disk(1);  // not of the pool
    state_->full = false;
    look();
    EXPECT_THAT(ran(), IsEmpty());
    EXPECT_THAT(told(), testing::Not(testing::Contains(HasSubstr("was detached"))));
}

TEST_F(PoolWatchTest, WhatFailedJustBeforeAnExtensionWasDoneIsOfThePool) {
    state_->data_used = 90;
    configure();
    state_->data_used = 70;
    end(0, "extended");
    fail_disk(0);
    look();
    ran();
    EXPECT_THAT(told(),
                testing::Contains(HasSubstr("r0/0 was detached because the pool was full")));
}

TEST(ThinPool, TheKernelsStatusIsRead) {
    using sys::parse_thin_pool;
    const auto full = parse_thin_pool(
        "1 218/2048 768/768 - out_of_data_space discard_passdown error_if_no_space - 512 ");
    ASSERT_TRUE(full);
    EXPECT_EQ(full->data_used, 768U);
    EXPECT_EQ(full->metadata_total, 2048U);
    EXPECT_TRUE(full->full && full->errors_when_full && !full->takes_writes());
    const auto good =
        parse_thin_pool("1 218/2048 768/960 - rw discard_passdown queue_if_no_space - 512 ");
    ASSERT_TRUE(good);
    EXPECT_TRUE(good->takes_writes() && !good->errors_when_full);
    EXPECT_FALSE(
        parse_thin_pool("1 5/8 7/9 - ro discard_passdown error_if_no_space needs_check 512 ")
            ->takes_writes());
    EXPECT_TRUE(parse_thin_pool("Fail")->failed);
    EXPECT_FALSE(parse_thin_pool("0 1/2"));
}

}  // namespace
}  // namespace braid::satellite
