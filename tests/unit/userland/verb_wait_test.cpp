// SPDX-License-Identifier: GPL-2.0-or-later
#include <chrono>

#include "kernel_dumps.h"

namespace braid::cli {
namespace {

namespace enums = netlink::enums;
using testing::ElementsAre;
using testing::HasSubstr;

class VerbWait : public test::KernelCliTest {
  protected:
    VerbWait() { ends_ = false; }

    void cut_off_bob() { r0().peers.at(0).link = enums::link_state::disconnected; }
    void connect_bob() { r0().peers.at(0).link = enums::link_state::connected; }

    void resync_bob() {
        r0().resource.config->members.at(1).in_sync = false;
        r0().peers.at(0).sync.state = enums::sync_state::running;
    }
};

TEST_F(VerbWait, WhatIsSoNeedsNoEvent) {
    EXPECT_EQ(run_file({"wait-connect", "r0"}), ExitCode::ok) << err();
    EXPECT_THAT(order_, ElementsAre("events", "state")) << "what happens in between is missed";
    EXPECT_EQ(run_file({"wait-sync", "r0"}), ExitCode::ok) << err();
    EXPECT_EQ(run_file({"wait-sync"}), ExitCode::ok) << err();
    EXPECT_EQ(out() + err(), "");
}

TEST_F(VerbWait, AnEventEndsIt) {
    cut_off_bob();
    then([this] { r0().peers.at(0).link = enums::link_state::greeting; });
    then([this] { connect_bob(); });
    EXPECT_EQ(run_file({"wait-connect", "r0", "--timeout", "60"}), ExitCode::ok) << err();
    EXPECT_TRUE(steps_->empty());
}

TEST_F(VerbWait, GivesUpInTime) {
    cut_off_bob();
    const auto start = std::chrono::steady_clock::now();
    EXPECT_EQ(run_file({"wait-connect", "r0", "--timeout", "1"}), ExitCode::timed_out);
    EXPECT_GE(std::chrono::steady_clock::now() - start, std::chrono::seconds(1));
    EXPECT_EQ(err(), "braidadm: r0: not connected to bob, after 1 s\nSee 'braidadm status r0'.\n");
}

TEST_F(VerbWait, AConfiguredPeerThatTheKernelDoesNotHaveIsNotConnected) {
    r0().peers.pop_back();
    EXPECT_EQ(run_file({"wait-connect", "r0", "--timeout", "1"}), ExitCode::timed_out);
    EXPECT_THAT(err(), HasSubstr("not connected to carol, after"));
}

TEST_F(VerbWait, AResyncIsWaitedFor) {
    resync_bob();
    then([this] { r0().peers.at(0).sync.state = enums::sync_state::done; });
    then([this] { r0().resource.config->members.at(1).in_sync = true; });
    EXPECT_EQ(run_file({"wait-sync", "r0", "--timeout", "60"}), ExitCode::ok) << err();
    EXPECT_TRUE(steps_->empty());
}

TEST_F(VerbWait, WhoIsNotInSyncIsNamed) {
    resync_bob();
    EXPECT_EQ(run_file({"wait-sync", "r0", "--timeout", "1"}), ExitCode::timed_out);
    EXPECT_THAT(err(), HasSubstr("braidadm: r0: not in sync: bob, after 1 s\n"));
}

TEST_F(VerbWait, LostEventsAreNoEnd) {
    cut_off_bob();
    steps_->push_back([this]() -> test::ScriptedEvents::Messages {
        connect_bob();
        return tl::unexpected(
            sys::NetlinkError{sys::NetlinkError::Kind::lost, ENOBUFS, "they did not fit", {}});
    });
    EXPECT_EQ(run_file({"wait-connect", "all", "--timeout", "60"}), ExitCode::ok) << err();
}

TEST_F(VerbWait, AResourceThatIsNotUpIsAnError) {
    EXPECT_EQ(run_file({"wait-sync", "r0", "r1"}), ExitCode::failure);
    EXPECT_EQ(err(), "braidadm: r1: not up\nBring it up with 'braidadm up'.\n");
}

TEST_F(VerbWait, AResourceThatIsTakenDownMeanwhileToo) {
    cut_off_bob();
    then([this] { views_->clear(); });
    EXPECT_EQ(run_file({"wait-connect", "r0"}), ExitCode::failure);
    EXPECT_THAT(err(), HasSubstr("braidadm: r0: not up\n"));
}

TEST_F(VerbWait, ATimeoutIsANumber) {
    EXPECT_EQ(run_file({"wait-sync", "r0", "--timeout", "soon"}), ExitCode::usage);
    EXPECT_EQ(run_file({"wait-sync", "r0", "--timeout", "-1"}), ExitCode::usage);
}

}  // namespace
}  // namespace braid::cli
