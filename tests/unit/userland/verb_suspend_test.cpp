// SPDX-License-Identifier: GPL-2.0-or-later
//
// suspend-io and resume-io.
#include "kernel_fixture.h"

namespace braid::cli {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::StartsWith;
namespace service = netlink::enums::service;

class VerbSuspend : public test::KernelTest {
  protected:
    VerbSuspend() {
        module_.resources["r0"] = {.node = 0, .writer = 0, .in_sync = {0, 1}};
        module_.resources["r1"] = {.node = 4, .writer = 4, .in_sync = {4}};
        for (const auto* name : {"r0", "r1"}) {
            module_.resources.at(name).service = service::serving;
        }
    }
    ExitCode adm(const std::vector<std::string>& arguments) {
        forget_output();
        module_.calls.clear();
        return run(arguments);
    }
    test::FakeModule::Resource& r0() { return module_.resources.at("r0"); }
    test::FakeModule::Resource& r1() { return module_.resources.at("r1"); }
};

TEST_F(VerbSuspend, WhatIsUnderWayIsAwaited) {
    r0().in_flight = {7, 7, 3, 1, 0};
    EXPECT_EQ(adm({"suspend-io", "r0"}), ExitCode::ok) << err();
    EXPECT_THAT(module_.calls, ElementsAre("resource-suspend name=r0"));
    EXPECT_EQ(out(), "r0: I/O is suspended until 'braidadm resume-io r0'\n");
    EXPECT_TRUE(r0().suspended);
    EXPECT_EQ(r0().in_flight.size(), 1U) << "it did not wait";
    EXPECT_EQ(adm({"suspend-io", "r0"}), ExitCode::ok) << "it is so already";
    EXPECT_EQ(adm({"resume-io", "r0"}), ExitCode::ok) << err();
    EXPECT_THAT(module_.calls, ElementsAre("resource-resume name=r0"));
    EXPECT_EQ(out(), "r0: I/O goes on\n");
    EXPECT_FALSE(r0().suspended);
}

TEST_F(VerbSuspend, IsBoundedAndTakenBack) {
    r0().in_flight = {2};
    r0().reason = "a member in sync is away";
    context_.patience = std::chrono::milliseconds(30);
    EXPECT_EQ(adm({"suspend-io", "r0"}), ExitCode::timed_out);
    EXPECT_THAT(module_.calls, ElementsAre("resource-suspend name=r0", "resource-resume name=r0"));
    EXPECT_EQ(err(),
              "braidadm: r0: not suspended: requests that are still under way: 2 (a member in sync "
              "is away)\nr0: I/O goes on.\n");
    EXPECT_FALSE(r0().suspended);
    // Another administrator's suspension stays.
    r0().suspended = true;
    EXPECT_EQ(adm({"suspend-io", "r0"}), ExitCode::timed_out);
    EXPECT_THAT(module_.calls, ElementsAre("resource-suspend name=r0"));
    EXPECT_TRUE(r0().suspended);
    EXPECT_EQ(adm({"suspend-io", "r0", "--timeout", "0"}), ExitCode::usage);
}

TEST_F(VerbSuspend, SeveralAreOfOneMomentAllOrNone) {
    r0().in_flight = {5, 5, 0};
    EXPECT_EQ(adm({"suspend-io", "r0", "r1"}), ExitCode::ok) << err();
    EXPECT_THAT(module_.calls, ElementsAre("resource-suspend name=r0", "resource-suspend name=r1"));
    EXPECT_EQ(adm({"resume-io", "r0", "r1"}), ExitCode::ok) << err();
    r1().writer = 1;
    EXPECT_EQ(adm({"suspend-io", "r0", "r1"}), ExitCode::failure);
    EXPECT_THAT(module_.calls, ElementsAre("resource-suspend name=r0", "resource-suspend name=r1",
                                           "resource-resume name=r0"));
    EXPECT_EQ(err(),
              "braidadm: r1: this node is not the writer\nRun this on the node that is Primary.\n"
              "r0: I/O goes on.\n");
    EXPECT_FALSE(r0().suspended);
    r0().suspended = true;
    EXPECT_EQ(adm({"resume-io", "r1", "r0"}), ExitCode::failure) << "one of them failed";
    EXPECT_FALSE(r0().suspended);
}

TEST_F(VerbSuspend, ItMayEndMeanwhile) {
    r0().in_flight = {1};
    r0().deaf = true;
    EXPECT_EQ(adm({"suspend-io", "r0"}), ExitCode::failure);
    EXPECT_THAT(err(), StartsWith("braidadm: r0: the suspension was ended meanwhile ("));
}

TEST_F(VerbSuspend, WhatElseHoldsItIsTold) {
    r0().suspended = true;
    r0().service = service::held;
    r0().reason = "a lease has run out";
    EXPECT_EQ(adm({"resume-io", "r0"}), ExitCode::ok) << err();
    EXPECT_EQ(out(), "r0: resumed, but I/O is held: a lease has run out\n");
}

TEST_F(VerbSuspend, WhatIsNotThereIsTold) {
    EXPECT_EQ(adm({"suspend-io", "r7"}), ExitCode::failure);
    EXPECT_EQ(err(), "braidadm: r7: not up\nBring it up with 'braidadm up'.\n");
    EXPECT_EQ(adm({"resume-io", "r7"}), ExitCode::failure);
    EXPECT_THAT(err(), HasSubstr("r7: no such resource"));
    EXPECT_EQ(adm({"suspend-io"}), ExitCode::usage);
    module_.loaded = false;
    EXPECT_EQ(adm({"suspend-io", "r0"}), ExitCode::module_not_loaded);
    EXPECT_EQ(adm({"resume-io", "r0"}), ExitCode::module_not_loaded);
}

}  // namespace
}  // namespace braid::cli
