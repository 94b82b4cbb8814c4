// SPDX-License-Identifier: GPL-2.0-or-later
#include <nlohmann/json.hpp>

#include "kernel_dumps.h"

namespace braid::cli {
namespace {

namespace enums = netlink::enums;
using testing::ElementsAre;
using testing::EndsWith;
using testing::HasSubstr;
using testing::MatchesRegex;
using testing::StartsWith;

const std::string present =
    "exists resource name:r0 role:Primary suspended:no suspended-user:no force-io-failures:no "
    "service:serving epoch:9 writer:alice migration:none\n"
    "exists connection name:r0 peer-node-id:1 conn-name:bob connection:Connected role:Secondary\n"
    "exists connection name:r0 peer-node-id:2 conn-name:carol connection:Connected "
    "role:Secondary\n"
    "exists device name:r0 volume:0 minor:7 disk:UpToDate client:no open:yes size:1048576\n"
    "exists peer-device name:r0 peer-node-id:1 conn-name:bob volume:0 replication:Established "
    "peer-disk:UpToDate peer-client:no resync-suspended:no\n"
    "exists peer-device name:r0 peer-node-id:2 conn-name:carol volume:0 replication:Established "
    "peer-disk:Diskless peer-client:yes resync-suspended:no\n"
    "exists -\n";

class VerbEvents : public test::KernelCliTest {
  protected:
    /// What followed the present state, until the test's socket failed.
    std::string follow(std::vector<std::string> arguments = {"events"}) {
        EXPECT_EQ(run_file(std::move(arguments)), ExitCode::failure);
        EXPECT_THAT(err(), HasSubstr("the test ends"));
        EXPECT_THAT(out(), StartsWith(present));
        return out().substr(std::min(present.size(), out().size()));
    }
};

TEST_F(VerbEvents, NowEndsAfterThePresentState) {
    EXPECT_EQ(run_file({"events", "--now"}), ExitCode::ok) << err();
    EXPECT_EQ(out(), present);
    EXPECT_THAT(order_, ElementsAre("events", "state")) << "what happens in between is missed";
}

TEST_F(VerbEvents, ASuspensionIsAChangeAlsoWhereIOIsHeld) {
    then([this] { r0().resource.service = enums::service::held; });
    then([this] { r0().resource.suspended = true; });
    EXPECT_EQ(follow(),
              "change resource name:r0 suspended:yes service:held\n"
              "change resource name:r0 suspended-user:yes\n");
}

TEST_F(VerbEvents, OnlyWhatHasChangedIsShown) {
    then([this] {
        r0().peers.at(0).link = enums::link_state::disconnected;
        r0().resource.service = enums::service::held;
    });
    then([] {});
    then([this] { r0().volumes.at(0).disk_state = enums::disk_state::failed; });
    EXPECT_EQ(follow(),
              "change resource name:r0 suspended:yes service:held\n"
              "change connection name:r0 peer-node-id:1 conn-name:bob connection:Connecting "
              "role:Unknown\n"
              "change peer-device name:r0 peer-node-id:1 conn-name:bob volume:0 replication:Off "
              "peer-disk:DUnknown\n"
              "change device name:r0 volume:0 minor:7 disk:Failed\n");
}

TEST_F(VerbEvents, ObjectsComeAndGo) {
    then([this] { r0().peers.pop_back(); });
    then([this] {
        r0().volumes.push_back(r0().volumes.front());
        r0().volumes.back().volume = 1;
        r0().volumes.back().minor = 8;
    });
    EXPECT_EQ(follow(),
              "destroy peer-device name:r0 peer-node-id:2 conn-name:carol volume:0\n"
              "destroy connection name:r0 peer-node-id:2 conn-name:carol\n"
              "create device name:r0 volume:1 minor:8 disk:UpToDate client:no open:yes "
              "size:1048576\n"
              "create peer-device name:r0 peer-node-id:1 conn-name:bob volume:1 "
              "replication:Established peer-disk:UpToDate peer-client:no resync-suspended:no\n");
}

TEST_F(VerbEvents, AResourceThatIsGoneIsDestroyed) {
    then([this] { views_->clear(); });
    EXPECT_THAT(follow({"events", "r0"}), EndsWith("\ndestroy resource name:r0\n"));
}

TEST_F(VerbEvents, AGapMeansThatAllIsShownAgain) {
    then([] {}, 1);
    EXPECT_EQ(follow(), "lost -\n" + present);
}

TEST_F(VerbEvents, SoDoEventsThatDidNotFit) {
    steps_->push_back([]() -> test::ScriptedEvents::Messages {
        return tl::unexpected(
            sys::NetlinkError{sys::NetlinkError::Kind::lost, ENOBUFS, "they did not fit", {}});
    });
    then([this] { r0().resource.done = true; });
    EXPECT_EQ(follow(), "lost -\n" + present + "change resource name:r0 role:Secondary\n");
}

TEST_F(VerbEvents, OtherResourcesAreLeftOut) {
    auto other = test::sample_view();
    other.resource.name = other.volumes.at(0).resource = "r1";
    other.peers.clear();
    views_->push_back(other);
    then([this] { r0().resource.done = true; });
    EXPECT_EQ(run_file({"events", "r1"}), ExitCode::failure);
    EXPECT_THAT(out(), StartsWith("exists resource name:r1 "));
    EXPECT_THAT(out(), EndsWith("\nexists -\n"));
    EXPECT_THAT(out(), testing::Not(HasSubstr("r0")));
}

TEST_F(VerbEvents, AConfiguredResourceMayComeLater) {
    EXPECT_EQ(run_file({"events", "r1", "--now"}), ExitCode::ok) << err();
    EXPECT_EQ(out(), "exists -\n");
    EXPECT_EQ(run_file({"events", "r9", "--now"}), ExitCode::failure);
    EXPECT_THAT(err(), HasSubstr("braidadm: r9: "));
}

TEST_F(VerbEvents, LinesMayBeObjectsAndHaveTimes) {
    EXPECT_EQ(run_file({"events", "--now", "--json", "--timestamps"}), ExitCode::ok);
    const auto line = nlohmann::json::parse(out().substr(0, out().find('\n')));
    EXPECT_EQ(line["event"], "exists");
    EXPECT_EQ(line["type"], "resource");
    EXPECT_EQ(line["name"], "r0");
    EXPECT_EQ(line["suspended"], false);
    EXPECT_EQ(line["epoch"], 9);
    EXPECT_THAT(line["timestamp"].get<std::string>(), MatchesRegex("20[0-9-]+T[0-9:]+\\.[0-9]+Z"));
}

TEST_F(VerbEvents, TextMayHaveTimes) {
    EXPECT_EQ(run_file({"events", "--now", "--timestamps"}), ExitCode::ok);
    EXPECT_THAT(out().substr(0, out().find(" resource")),
                MatchesRegex("20[0-9-]+T[0-9:]+\\.[0-9]+Z exists"));
}

TEST_F(VerbEvents, WithoutTheModuleThereIsNothingToFollow) {
    std::filesystem::remove_all(root_.path() / "sys/module/braid");
    EXPECT_EQ(run_file({"events"}), ExitCode::module_not_loaded);
    EXPECT_TRUE(order_.empty());
}

}  // namespace
}  // namespace braid::cli
