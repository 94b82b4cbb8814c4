// SPDX-License-Identifier: GPL-2.0-or-later
//
// connect, disconnect, verify, pause-sync and resume-sync.
#include <nlohmann/json.hpp>

#include "kernel_fixture.h"

namespace braid::cli {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::StartsWith;
namespace sync_state = netlink::enums::sync_state;

class VerbSync : public test::KernelTest {
  protected:
    VerbSync() {
        module_.resources["r0"] = {.node = 0, .writer = 0, .in_sync = {0, 1}};
        module_.resources["r0"].peers = {{1, {}}, {3, {}}};
    }
    test::FakeModule::Peer& bob() { return module_.resources.at("r0").peers.at(1); }
};

TEST_F(VerbSync, TheDaemonConnectsAndDisconnects) {
    EXPECT_EQ(braidadm({"connect", "r0"}), ExitCode::ok) << err();
    EXPECT_THAT(asked_, ElementsAre(R"({"resource":"r0","verb":"connect"})"));
    EXPECT_EQ(out(), "r0: connecting to all peers\n");
    EXPECT_EQ(braidadm({"disconnect", "r0:bob"}), ExitCode::ok) << err();
    EXPECT_THAT(asked_, ElementsAre(R"({"node":"bob","resource":"r0","verb":"disconnect"})"));
    EXPECT_EQ(out(), "r0: disconnected from bob\n");
    EXPECT_EQ(braidadm({"disconnect", "r0:bop"}), ExitCode::failure);
    EXPECT_EQ(err(), "braidadm: bop: r0 has no such member\nThe nearest is 'bob'.\n");
    EXPECT_EQ(braidadm({"disconnect", "r0:alice"}), ExitCode::usage);
    EXPECT_THAT(err(), HasSubstr("alice: is this host"));
    EXPECT_EQ(braidadm({"disconnect", "r3"}), ExitCode::failure);
    EXPECT_THAT(asked_, IsEmpty());
    daemon_ = R"({"ok":false,"text":"bob is the only replica in sync: demote first"})";
    EXPECT_EQ(braidadm({"disconnect", "r0"}), ExitCode::refused);
    EXPECT_EQ(err(), "braidadm: r0: bob is the only replica in sync: demote first\n");
    daemon_.reset();
    EXPECT_EQ(braidadm({"connect", "r0"}), ExitCode::no_daemon);
    EXPECT_EQ(out(), "");
}

TEST_F(VerbSync, VerifyBeginsAndEnds) {
    EXPECT_EQ(braidadm({"verify", "r0", "bob"}), ExitCode::ok) << err();
    EXPECT_THAT(module_.calls, ElementsAre("verify-start name=r0 node-id=1 max-rate=5120000"));
    EXPECT_THAT(out(), StartsWith("r0: verify of bob has begun"));
    EXPECT_EQ(braidadm({"verify", "r0:bob", "--cancel"}), ExitCode::ok) << err();
    EXPECT_THAT(module_.calls, ElementsAre("verify-stop name=r0 node-id=1"));
    EXPECT_EQ(braidadm({"verify", "r0"}), ExitCode::usage);
    EXPECT_EQ(braidadm({"verify", "r0", "carol"}), ExitCode::failure);
    EXPECT_THAT(err(), StartsWith("braidadm: carol: has no replica of r0"));
    EXPECT_THAT(module_.calls, IsEmpty());
    module_.resources.at("r0").writer = 1;
    EXPECT_EQ(braidadm({"verify", "r0", "bob"}), ExitCode::failure);
    EXPECT_EQ(err(),
              "braidadm: verify-start r0:bob: node-id: this node does not serve the resource\n"
              "Run this on the node that is Primary.\n");
}

TEST_F(VerbSync, VerifyOfAPart) {
    EXPECT_EQ(braidadm({"verify", "r0", "bob", "--start", "1M", "--stop", "2097152"}), ExitCode::ok)
        << err();
    EXPECT_THAT(module_.calls,
                ElementsAre("verify-start name=r0 node-id=1 start=1048576 stop=2097152 "
                            "max-rate=5120000"));
    EXPECT_EQ(braidadm({"verify", "r0", "bob", "--start", "1Q"}), ExitCode::usage);
    EXPECT_EQ(braidadm({"verify", "r0", "bob", "--start", "-1"}), ExitCode::usage);
    EXPECT_THAT(err(), HasSubstr("'-1' is no number of bytes"));
    EXPECT_EQ(braidadm({"verify", "r0", "bob", "--start", "0", "--cancel"}), ExitCode::usage);
    EXPECT_THAT(module_.calls, IsEmpty());
}

TEST_F(VerbSync, WhatVerifyFoundIsListed) {
    EXPECT_EQ(braidadm({"verify", "r0", "--list"}), ExitCode::ok) << err();
    EXPECT_EQ(out(), "");
    bob().differing = {{4096, 12288}, {1048576, 1052672}};
    EXPECT_EQ(braidadm({"verify", "r0", "bob", "--list"}), ExitCode::ok) << err();
    EXPECT_EQ(out(), "r0/0 bob 4096 12288\nr0/0 bob 1048576 1052672\n");
    module_.resources.at("r0").peers.at(3).differing = {{0, 4096}};
    EXPECT_EQ(braidadm({"verify", "r0", "--list", "--json"}), ExitCode::ok) << err();
    const auto all = nlohmann::json::parse(out());
    ASSERT_EQ(all.size(), 3U);
    EXPECT_EQ(all[2]["name"], "dora");
    EXPECT_EQ(all[2]["stop"], 4096);
    EXPECT_EQ(braidadm({"verify", "r0", "bob", "--json"}), ExitCode::usage);
    EXPECT_EQ(braidadm({"verify", "r0", "bob", "--list", "--stop", "4k"}), ExitCode::usage);
}

TEST_F(VerbSync, ResyncsArePausedAndResumed) {
    EXPECT_EQ(braidadm({"pause-sync", "r0"}), ExitCode::failure);
    EXPECT_THAT(err(), StartsWith("braidadm: r0: no resync is running\n"));
    bob().sync = sync_state::running;
    EXPECT_EQ(braidadm({"pause-sync", "r0"}), ExitCode::ok) << err();
    EXPECT_THAT(module_.calls, ElementsAre("sync-pause name=r0 node-id=1"));
    EXPECT_EQ(out(), "r0: resync of bob paused\n");
    EXPECT_EQ(bob().sync, sync_state::paused);
    EXPECT_EQ(braidadm({"resume-sync", "r0", "dora"}), ExitCode::failure);
    EXPECT_THAT(err(), StartsWith("braidadm: sync-resume r0:dora: no resync of it is paused\n"));
    EXPECT_EQ(braidadm({"resume-sync", "r0:bob"}), ExitCode::ok) << err();
    EXPECT_EQ(bob().sync, sync_state::running);
}

}  // namespace
}  // namespace braid::cli
