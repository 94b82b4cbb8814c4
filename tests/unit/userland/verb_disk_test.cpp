// SPDX-License-Identifier: GPL-2.0-or-later
//
// attach, detach and resize; create-md, dump-md and wipe-md by the names of the configuration.
#include "kernel_fixture.h"

namespace braid::cli {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::StartsWith;
namespace disk_state = netlink::enums::disk_state;
namespace link_state = netlink::enums::link_state;

class VerbDisk : public test::KernelTest {
  protected:
    test::FakeModule::Resource& r0() { return module_.resources.at("r0"); }
};

TEST_F(VerbDisk, DetachAndAttach) {
    bring_up();
    EXPECT_EQ(braidadm({"detach", "r0"}), ExitCode::ok) << err();
    EXPECT_THAT(module_.calls,
                ElementsAre("volume-detach name=r0 volume=0", "volume-detach name=r0 volume=1"));
    EXPECT_EQ(out(), "r0/0: diskless\nr0/1: diskless\n");
    EXPECT_EQ(braidadm({"detach", "r0/1"}), ExitCode::ok);
    EXPECT_EQ(out(), "r0/1: diskless already\n");
    EXPECT_EQ(braidadm({"attach", "r0/1", "r0/1"}), ExitCode::ok) << err();
    EXPECT_THAT(module_.calls, ElementsAre("volume-attach name=r0 volume=1 disk=" + path("b")));
    EXPECT_EQ(out(), "r0/1: attached\n");
    EXPECT_EQ(braidadm({"attach", "all"}), ExitCode::ok) << err();
    EXPECT_EQ(out(), "r0/1: attached already\nr1/0: attached already\nr0/0: attached\n");
    EXPECT_THAT(asked_, IsEmpty()) << "the kernel's resources are the same";
}

TEST_F(VerbDisk, AFailedDiskIsAwaitedAndAttachedAgain) {
    bring_up();
    r0().volumes.at(0).state = disk_state::failed;
    EXPECT_EQ(braidadm({"attach", "r0/0"}), ExitCode::ok) << err();
    EXPECT_THAT(module_.calls, ElementsAre("volume-detach name=r0 volume=0",
                                           "volume-attach name=r0 volume=0 disk=" + path("a")));
    // It was gone by the time that it was to be detached.
    r0().volumes.at(0).state = disk_state::detaching;
    module_.refusals["volume-detach"] = {
        sys::NetlinkError::Kind::refused, ENODEV, "the volume has no disk", {}};
    EXPECT_EQ(braidadm({"detach", "r0/0"}), ExitCode::ok) << err();
}

TEST_F(VerbDisk, TheOnlyReplicaOfAPrimaryStays) {
    bring_up();
    r0().writer = 0;
    r0().in_sync = {0, 1};
    EXPECT_EQ(braidadm({"detach", "r0/0"}), ExitCode::failure);
    EXPECT_THAT(err(), StartsWith("braidadm: r0/0: its disk is the only one in sync that"));
    EXPECT_THAT(module_.calls, IsEmpty());
    r0().peers.at(1).link = link_state::connected;
    EXPECT_EQ(braidadm({"detach", "r0/0"}), ExitCode::ok) << err();
}

TEST_F(VerbDisk, WhatCannotBeMeantIsTold) {
    const auto refused = [&](const std::string& name, const std::string& words) {
        EXPECT_NE(braidadm({"attach", name}), ExitCode::ok);
        EXPECT_THAT(err(), HasSubstr(words));
        EXPECT_THAT(module_.calls, IsEmpty());
    };
    refused("r0/0", "braidadm: r0/0: not up\nBring it up first: 'braidadm up r0'.\n");
    refused("r0/7", "braidadm: r0/7: the resource has no such volume\nIts volumes are: 0, 1.\n");
    refused("r0/x", "neither a resource nor RESOURCE/VOLUME");
    refused("r8/0", "The nearest is 'r0'.");
    refused("w0", "this host, alice, is its witness and has no disk\nIt has disks on: bob.\n");
    refused("x0", "this host, alice, is no member\n");
    context_.host = "dora";
    refused("r0", "this host, dora, is diskless\nIt has disks on: alice, bob.\n");
    context_.host = "alice";
    bring_up();
    ASSERT_EQ(braidadm({"detach", "r0"}), ExitCode::ok);
    ASSERT_EQ(braidadm({"wipe-md", "r0/1"}), ExitCode::ok);
    refused("r0",
            "has no metadata of Braid\nIf it is to be a new replica, use 'braidadm create-md "
            "r0/1'.");
    EXPECT_EQ(r0().volumes.at(0).state, disk_state::diskless) << "half of it was done";
}

TEST_F(VerbDisk, ResizeTellsTheSizes) {
    bring_up();
    auto& volume = r0().volumes.at(0);
    volume.size = 4096;
    volume.disk_size = 8192;
    EXPECT_EQ(braidadm({"resize", "r0/0"}), ExitCode::ok) << err();
    EXPECT_EQ(module_.calls.front(), "volume-resize name=r0 volume=0");
    EXPECT_EQ(out(), "r0/0: the volume has 8192 bytes, its disk room for 8192\n");
    EXPECT_EQ(braidadm({"resize", "r0/0"}), ExitCode::ok) << "it has not grown";
    EXPECT_EQ(out(), "r0/0: the volume has 8192 bytes, its disk room for 8192\n");
    volume.disk_size = 12288;
    module_.mute = true;
    EXPECT_EQ(braidadm({"resize", "r0/0"}), ExitCode::ok) << err();
    EXPECT_EQ(out(), "r0/0: the volume has 12288 bytes, its disk room for 12288\n");
    module_.refusals["volume-resize"] = {sys::NetlinkError::Kind::refused,
                                         ENOSPC,
                                         "a peer in sync has no more room",
                                         {netlink::attr::volume::volume}};
    EXPECT_EQ(braidadm({"resize", "r0"}), ExitCode::failure);
    EXPECT_THAT(err(),
                StartsWith("braidadm: volume-resize name=r0 volume=0: volume: a peer in sync "
                           "has no more room\n"));
}

TEST_F(VerbDisk, AResizeThatFailsLaterIsAnError) {
    bring_up();
    r0().volumes.at(0).disk_size = 8192;
    module_.stuck = true;
    module_.tell(netlink::enums::event_kind::size, "r0", 0, "no room for metadata", ENOSPC);
    module_.tell(netlink::enums::event_kind::size, "r1", 0, "of another resource", EIO);
    module_.tell(netlink::enums::event_kind::size, "r0", 1, "of another volume", EIO);
    EXPECT_EQ(braidadm({"resize", "r0/0"}), ExitCode::failure);
    EXPECT_THAT(err(),
                StartsWith("braidadm: volume-resize name=r0 volume=0: no room for metadata\n"));
}

// ---- metadata ----

TEST_F(VerbDisk, MetadataIsMadeByResource) {
    EXPECT_EQ(braidadm({"create-md", "r0", "r1/0"}), ExitCode::ok) << err();
    EXPECT_THAT(out(), HasSubstr(path("a") + ": metadata of node 0, volume 0 created"));
    EXPECT_THAT(out(), HasSubstr(path("b") + ": metadata of node 0, volume 1 created"));
    EXPECT_THAT(out(),
                HasSubstr(path("meta") + ": metadata of node 4, volume 0 created: 67108864"));
    EXPECT_THAT(out(), HasSubstr(", 7 peers\n"));
    EXPECT_EQ(braidadm({"dump-md", "r0/1", "--json"}), ExitCode::ok) << err();
    const auto dumped = nlohmann::json::parse(out());
    EXPECT_EQ(dumped["device"], path("b"));
    EXPECT_EQ(dumped["superblock"]["volume"], 1);
    EXPECT_EQ(braidadm({"dump-md", "r0"}), ExitCode::usage);
    EXPECT_THAT(err(), HasSubstr("Name one: r0/0, r0/1.\n"));
    EXPECT_EQ(braidadm({"wipe-md", "r0/1"}), ExitCode::ok) << err();
    EXPECT_FALSE(uuid_on(path("b")));
    EXPECT_TRUE(uuid_on(path("a")));
}

TEST_F(VerbDisk, MetadataIsMadeOfAllOrNone) {
    ASSERT_EQ(braidadm({"create-md", "r0/1"}), ExitCode::ok);
    const auto before = uuid_on(path("b"));
    EXPECT_EQ(braidadm({"create-md", "r0"}), ExitCode::failure);
    EXPECT_THAT(err(), HasSubstr(path("b") + ": carries Braid metadata"));
    EXPECT_FALSE(uuid_on(path("a")));
    EXPECT_EQ(uuid_on(path("b")), before);
}

TEST_F(VerbDisk, MetadataNeedsAReplicaHere) {
    EXPECT_EQ(braidadm({"create-md", "w0"}), ExitCode::failure);
    EXPECT_THAT(err(), HasSubstr("is its witness and has no disk"));
    EXPECT_EQ(braidadm({"create-md", "x0"}), ExitCode::failure);
    EXPECT_THAT(err(), HasSubstr("is no member"));
    EXPECT_EQ(braidadm({"create-md"}), ExitCode::usage);
    EXPECT_THAT(err(), HasSubstr("Name a resource, RES or RES/VOL, or a disk with --device."));
    EXPECT_EQ(braidadm({"create-md", "--device", path("a"), "--node", "1"}), ExitCode::usage);
    EXPECT_THAT(err(), HasSubstr("--volume: is required with --device"));
    EXPECT_EQ(braidadm({"create-md", "r0", "--device", path("a")}), ExitCode::usage);
    EXPECT_EQ(braidadm({"create-md", "r0", "--node", "1"}), ExitCode::usage);
    EXPECT_FALSE(uuid_on(path("a")));
}

}  // namespace
}  // namespace braid::cli
