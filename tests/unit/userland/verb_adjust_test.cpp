// SPDX-License-Identifier: GPL-2.0-or-later
//
// up, down and adjust.
#include "kernel_fixture.h"

namespace braid::cli {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;
using testing::StartsWith;
namespace disk_state = netlink::enums::disk_state;

constexpr const char* reload = R"({"verb":"reload"})";

class VerbAdjust : public test::KernelTest {
  protected:
    test::FakeModule::Resource& r0() { return module_.resources.at("r0"); }
    [[nodiscard]] std::string attach_a() const {
        return "volume-attach name=r0 volume=0 disk=" + path("a");
    }
};

TEST_F(VerbAdjust, UpMakesWhatTheConfigurationSays) {
    ASSERT_EQ(braidadm({"create-md", "r0", "r1"}), ExitCode::ok) << err();
    EXPECT_EQ(braidadm({"up", "r0"}), ExitCode::ok) << err();
    EXPECT_THAT(module_.calls,
                ElementsAre("resource-new name=r0 node-id=0 lease-ms=3000 timeout-ms=3000 policy=0 "
                            "request-timeout-ms=30000",
                            "peer-new name=r0 node-id=1", "peer-new name=r0 node-id=3",
                            "volume-new name=r0 volume=0 minor=10", attach_a(),
                            "volume-new name=r0 volume=1 minor=11",
                            "volume-attach name=r0 volume=1 disk=" + path("b")));
    EXPECT_EQ(r0().volumes.at(0).state, disk_state::attached);
    EXPECT_EQ(r0().volumes.at(1).state, disk_state::attached);
    EXPECT_THAT(asked_, ElementsAre(reload));
    EXPECT_EQ(out(), "r0: up\n");
    EXPECT_EQ(err(), "");
    EXPECT_FALSE(module_.resources.contains("r1"));
    // What is there already stays.
    EXPECT_EQ(braidadm({"up", "all"}), ExitCode::ok) << err();
    ASSERT_THAT(module_.calls, SizeIs(3));
    EXPECT_EQ(module_.calls.back(),
              "volume-attach name=r1 volume=0 disk=" + path("c") + " meta-disk=" + path("meta"));
}

TEST_F(VerbAdjust, TheSecondTimeThereIsNothingToDo) {
    bring_up();
    for (const std::string name : {"r0", "r1", "all"}) {
        EXPECT_EQ(braidadm({"adjust", name}), ExitCode::ok) << err();
        EXPECT_THAT(module_.calls, IsEmpty());
        EXPECT_THAT(out(), HasSubstr("nothing to do: the kernel has what the configuration says"));
        EXPECT_EQ(err(), "");
        EXPECT_THAT(asked_, ElementsAre(reload)) << "what is new may be the daemon's";
    }
}

TEST_F(VerbAdjust, DryRunShowsAndChangesNothing) {
    bring_up();
    configure("lease 20;");
    r0().volumes.at(1) = {.minor = 11};
    EXPECT_EQ(braidadm({"adjust", "--dry-run"}), ExitCode::ok) << err();
    EXPECT_THAT(out(), AllOf(HasSubstr("resource-set name=r0 lease-ms=2000\n"),
                             HasSubstr("volume-attach name=r0 volume=1 disk=" + path("b") + "\n"),
                             HasSubstr("resource-set name=r1 lease-ms=2000\n")));
    EXPECT_THAT(module_.calls, IsEmpty());
    EXPECT_THAT(asked_, IsEmpty());
    EXPECT_EQ(braidadm({"adjust", "r1"}), ExitCode::ok) << err();
    EXPECT_THAT(module_.calls, ElementsAre("resource-set name=r1 lease-ms=2000"));
    EXPECT_EQ(out(), "adjusted, operations: 1\n");
}

TEST_F(VerbAdjust, WithoutADaemonThereIsAWarning) {
    daemon_.reset();
    ASSERT_EQ(braidadm({"create-md", "r0"}), ExitCode::ok);
    EXPECT_EQ(braidadm({"up", "r0"}), ExitCode::ok);
    EXPECT_EQ(out(), "r0: up\n");
    EXPECT_THAT(err(), StartsWith("braidadm: warning: braid-satellite: not running ("));
    EXPECT_THAT(err(), HasSubstr("nothing connects this node to its peers"));
    EXPECT_THAT(err(), HasSubstr("systemctl start braid-satellite"));
    daemon_ = R"({"ok":false,"text":"line 7 of /etc/braid.conf has an error"})";
    EXPECT_EQ(braidadm({"adjust", "r0"}), ExitCode::refused);
    EXPECT_EQ(err(), "braidadm: braid-satellite: line 7 of /etc/braid.conf has an error\n");
}

TEST_F(VerbAdjust, TheFirstErrorEndsItAndSaysWhatWasDone) {
    ASSERT_EQ(braidadm({"create-md", "r0"}), ExitCode::ok);
    module_.refusals["volume-new"] = {sys::NetlinkError::Kind::refused,
                                      EEXIST,
                                      "the minor is in use on this host",
                                      {netlink::attr::volume::minor}};
    EXPECT_EQ(braidadm({"up", "r0"}), ExitCode::failure);
    EXPECT_THAT(err(),
                StartsWith("braidadm: volume-new name=r0 volume=0 minor=10: minor: the minor "
                           "is in use on this host\n"));
    EXPECT_THAT(err(), HasSubstr("Done before that: resource-new name=r0"));
    EXPECT_THAT(err(), HasSubstr("; peer-new name=r0 node-id=3.\nNot done: " + attach_a() +
                                 "; volume-new name=r0 volume=1"));
    EXPECT_EQ(out(), "");
    // Once the cause is removed the rest is done.
    module_.refusals.clear();
    EXPECT_EQ(braidadm({"up", "r0"}), ExitCode::ok) << err();
    EXPECT_THAT(module_.calls, SizeIs(4));
}

TEST_F(VerbAdjust, AnAttachThatFailsLaterIsAnError) {
    ASSERT_EQ(braidadm({"create-md", "r0"}), ExitCode::ok);
    module_.attach_error = "the replica is of another lineage";
    EXPECT_EQ(braidadm({"up", "r0"}), ExitCode::failure);
    EXPECT_THAT(err(), StartsWith("braidadm: " + attach_a() +
                                  ": the replica is of another lineage\nDone before that: "));
    EXPECT_THAT(module_.calls, SizeIs(5));
    // Nobody heard why.
    module_.mute = true;
    EXPECT_EQ(braidadm({"up", "r0"}), ExitCode::failure);
    EXPECT_THAT(err(), HasSubstr("the disk was not attached; the kernel's log (dmesg) says why"));
    EXPECT_THAT(err(), HasSubstr("Done before that: nothing.\n"));
}

TEST_F(VerbAdjust, LostEventsAreMadeUpFor) {
    ASSERT_EQ(braidadm({"create-md", "r0"}), ExitCode::ok);
    module_.mute = true;
    EXPECT_EQ(braidadm({"up", "r0"}), ExitCode::ok) << err();
    EXPECT_EQ(r0().volumes.at(1).state, disk_state::attached);
    // Nor is it known that some were lost.
    module_.silent = true;
    EXPECT_EQ(braidadm({"down", "r0"}), ExitCode::ok) << err();
    EXPECT_THAT(module_.resources, IsEmpty());
}

TEST_F(VerbAdjust, PatienceEndsAndSaysWhatIsWaitedFor) {
    ASSERT_EQ(braidadm({"create-md", "r0"}), ExitCode::ok);
    module_.stuck = true;
    context_.patience = std::chrono::milliseconds(30);
    EXPECT_EQ(braidadm({"up", "r0"}), ExitCode::failure);
    EXPECT_THAT(err(), StartsWith("braidadm: " + attach_a() +
                                  ": its end (event disk) did not come within 0.03 s"));
    EXPECT_THAT(err(), HasSubstr("Not done: volume-new name=r0 volume=1"));
}

TEST_F(VerbAdjust, DisksThatCannotBeAttachedAreToldBeforeAnythingIsDone) {
    const auto refused = [&](const std::string& cause) {
        EXPECT_EQ(braidadm({"up", "r0"}), ExitCode::failure);
        EXPECT_THAT(err(), HasSubstr("braidadm: r0/0: " + path("a") + " cannot be attached: "));
        EXPECT_THAT(err(), HasSubstr(cause));
        EXPECT_THAT(err(), HasSubstr("'braidadm create-md r0'"));
        EXPECT_THAT(err(), HasSubstr("Nothing was changed.\n"));
        EXPECT_THAT(module_.calls, IsEmpty());
        EXPECT_THAT(asked_, IsEmpty());
    };
    const auto create = [&](const std::string& node, const std::string& volume) {
        ASSERT_EQ(run({"create-md", "--device", path("a"), "--node", node, "--volume", volume,
                       "--force"}),
                  ExitCode::ok);
    };
    ASSERT_EQ(braidadm({"create-md", "r0"}), ExitCode::ok);
    create("7", "0");
    refused("its metadata is of node 7, and this host is node 0");
    create("0", "1");
    refused("its metadata is of volume 1");
    create("0", "0");
    block_devices_ = false;
    refused("is a regular file");
    block_devices_ = true;
    ASSERT_EQ(braidadm({"wipe-md", "r0/0"}), ExitCode::ok) << err();
    refused("has no metadata of Braid");
    std::filesystem::remove(path("a"));
    refused("No such file or directory");
}

TEST_F(VerbAdjust, ADiskSmallerThanItsMetadataSaysIsToldBefore) {
    ASSERT_EQ(braidadm({"create-md", "r1"}), ExitCode::ok);
    std::filesystem::resize_file(path("c"), std::uint64_t{32} << 20);
    EXPECT_EQ(braidadm({"up", "r1"}), ExitCode::failure);
    EXPECT_THAT(err(),
                HasSubstr("smaller than its metadata says: 33554432 bytes, of which 67108864"));
}

TEST_F(VerbAdjust, ADiskWithExternalMetadataThatHasGrownIsUsed) {
    bring_up();
    EXPECT_EQ(braidadm({"adjust", "r1"}), ExitCode::ok);
    EXPECT_THAT(module_.calls, IsEmpty());
    std::filesystem::resize_file(path("c"), std::uint64_t{96} << 20);
    EXPECT_EQ(braidadm({"adjust", "r1", "--dry-run"}), ExitCode::ok) << err();
    EXPECT_EQ(out(), "volume-resize name=r1 volume=0\n");
}

TEST_F(VerbAdjust, AnotherDiskWithoutMetadataIsNoted) {
    bring_up();
    ASSERT_EQ(braidadm({"wipe-md", "r0/0"}), ExitCode::ok);
    EXPECT_EQ(braidadm({"adjust", "r0"}), ExitCode::ok);
    EXPECT_THAT(module_.calls, IsEmpty());
    EXPECT_THAT(err(), HasSubstr("note: r0/0 keeps the disk that is attached; whether that is " +
                                 path("a") + " cannot be told"));
}

TEST_F(VerbAdjust, AWitnessHasNothingInTheKernel) {
    module_.loaded = false;
    for (const std::string verb : {"up", "adjust"}) {
        EXPECT_EQ(braidadm({verb, "w0"}), ExitCode::ok) << err();
        EXPECT_THAT(out(), HasSubstr("w0: this host is its witness"));
        EXPECT_THAT(asked_, ElementsAre(reload));
    }
    EXPECT_EQ(braidadm({"down", "w0"}), ExitCode::ok) << err();
    EXPECT_EQ(out(), "w0: this host is its witness, and has nothing of it in the kernel\n");
    EXPECT_THAT(asked_, ElementsAre(reload));
    EXPECT_EQ(braidadm({"up", "r0"}), ExitCode::module_not_loaded);
    EXPECT_THAT(err(), HasSubstr("modprobe braid"));
}

TEST_F(VerbAdjust, WhoIsNoMemberIsTold) {
    EXPECT_EQ(braidadm({"up", "x0"}), ExitCode::failure);
    EXPECT_THAT(err(), HasSubstr("braidadm: x0: this host, alice, is no member\n"));
    EXPECT_EQ(braidadm({"up", "r9"}), ExitCode::failure);
    EXPECT_THAT(err(), AllOf(HasSubstr("no such resource"), HasSubstr("The nearest is 'r0'.")));
    EXPECT_EQ(braidadm({"up"}), ExitCode::usage);
}

TEST_F(VerbAdjust, WithAnErrorInTheConfigurationNothingIsDone) {
    root_.write("braid.conf", "resource r0 { nonsense; }");
    EXPECT_EQ(braidadm({"adjust"}), ExitCode::config_invalid);
    EXPECT_THAT(err(), HasSubstr("nonsense"));
    EXPECT_THAT(module_.calls, IsEmpty());
}

TEST_F(VerbAdjust, WhatIsInNoFileIsNotedAndStays) {
    module_.resources["old"] = {.node = 5};
    EXPECT_EQ(braidadm({"adjust", "--dry-run", "w0", "all"}), ExitCode::failure);
    ASSERT_EQ(braidadm({"create-md", "r0", "r1"}), ExitCode::ok);
    EXPECT_EQ(braidadm({"adjust"}), ExitCode::ok) << err();
    EXPECT_THAT(err(), HasSubstr("note: old is in the kernel, but not in the configuration"));
    EXPECT_TRUE(module_.resources.contains("old"));
    EXPECT_EQ(braidadm({"down", "old"}), ExitCode::ok) << err();
    EXPECT_FALSE(module_.resources.contains("old"));
}

TEST_F(VerbAdjust, OnlyRootMay) {
    ASSERT_EQ(braidadm({"create-md", "r0"}), ExitCode::ok);
    module_.refusals["resource-new"] = {
        sys::NetlinkError::Kind::refused, EPERM, "Operation not permitted", {}};
    EXPECT_EQ(braidadm({"up", "r0"}), ExitCode::failure);
    EXPECT_THAT(err(), HasSubstr("Run braidadm as root"));
}

// ---- down ----

TEST_F(VerbAdjust, DownWaitsUntilTheResourceIsGone) {
    bring_up();
    EXPECT_EQ(braidadm({"down", "r0"}), ExitCode::ok) << err();
    EXPECT_THAT(module_.calls, ElementsAre("resource-del name=r0"));
    EXPECT_FALSE(module_.resources.contains("r0"));
    EXPECT_EQ(out(), "r0: down\n");
    EXPECT_THAT(asked_, ElementsAre(reload));
    EXPECT_EQ(braidadm({"down", "r0"}), ExitCode::ok);
    EXPECT_EQ(out(), "r0: not up\n");
    EXPECT_EQ(braidadm({"down", "r9"}), ExitCode::failure);
    EXPECT_THAT(err(), HasSubstr("The nearest is 'r0'."));
    EXPECT_EQ(braidadm({"down", "all"}), ExitCode::ok);
    EXPECT_THAT(module_.resources, IsEmpty());
}

TEST_F(VerbAdjust, ThePrimaryIsMadeSecondaryFirst) {
    bring_up();
    r0().writer = 0;
    r0().volumes.at(1).opens = 1;
    EXPECT_EQ(braidadm({"down", "all"}), ExitCode::failure);
    EXPECT_THAT(err(), HasSubstr("braidadm: r0: /dev/braid11 is open\nStop what uses it first.\n"));
    EXPECT_THAT(module_.calls, IsEmpty()) << "r1 could go, but that would be half of it";
    EXPECT_THAT(asked_, IsEmpty());
    r0().volumes.at(1).opens = 0;
    daemon_ = R"({"ok":false,"text":"it is busy"})";
    EXPECT_EQ(braidadm({"down", "all"}), ExitCode::refused);
    EXPECT_THAT(err(), HasSubstr("braidadm: r0: it is busy\nIt is Primary here. "));
    EXPECT_THAT(module_.calls, IsEmpty());
    daemon_ = R"({"ok":true})";
    asked_.clear();
    EXPECT_EQ(braidadm({"down", "r0"}), ExitCode::ok) << err();
    EXPECT_THAT(asked_, ElementsAre(R"({"force":false,"resource":"r0","verb":"demote"})", reload));
    EXPECT_THAT(module_.calls, ElementsAre("resource-del name=r0"));
}

TEST_F(VerbAdjust, WhatIsOpenIsNotTakenDown) {
    bring_up();
    r0().volumes.at(1).opens = 1;
    // Opened for a migration, or read by a Secondary that may.
    r0().writer = 1;
    EXPECT_EQ(braidadm({"down", "r0"}), ExitCode::failure);
    EXPECT_THAT(err(), HasSubstr("braidadm: r0: /dev/braid11 is open\n"));
    r0().volumes.at(1).opens = 0;
    r0().writer = 0;
    r0().done = true;
    EXPECT_EQ(braidadm({"down", "r0"}), ExitCode::ok) << "it has stopped for good";
}

TEST_F(VerbAdjust, DownNeedsNoConfiguration) {
    bring_up();
    root_.write("braid.conf", "resource r0 { nonsense; }");
    EXPECT_EQ(braidadm({"down", "r9"}), ExitCode::config_invalid);
    EXPECT_THAT(module_.calls, IsEmpty());
    EXPECT_EQ(braidadm({"down", "r0", "r1"}), ExitCode::ok) << err();
    EXPECT_THAT(module_.resources, IsEmpty());
    EXPECT_THAT(err(), HasSubstr("nonsense"));
}

}  // namespace
}  // namespace braid::cli
