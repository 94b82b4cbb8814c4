// SPDX-License-Identifier: GPL-2.0-or-later
#include "satellite/handlers.h"

#include <gmock/gmock.h>
#include <sys/wait.h>

#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <stdexcept>

namespace braid::satellite {
namespace {

namespace enums = netlink::enums;
using std::chrono::milliseconds;
using std::chrono::seconds;
using testing::AllOf;
using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;
using testing::StartsWith;

constexpr seconds plenty{60};

config::NodeResource sample() {
    config::NodeResource resource{"r0", 1};
    resource.volumes = {{0, 10, "/dev/vg/a"}, {3, 13, "/dev/vg/b"}};
    config::Peer peer{"b", 2};
    peer.paths = {{{false, "10.0.0.1"}, {false, "10.0.0.2"}},
                  {{false, "10.1.0.1"}, {false, "10.1.0.2"}}};
    config::Peer other{"c", 5};
    other.paths = {{{true, "fd00::1"}, {true, "fd00::3"}}};
    resource.peers = {peer, other};
    return resource;
}

// ---- what causes what ----

sys::KernelEvent event(std::uint64_t kind) {
    sys::KernelEvent made;
    made.kind = static_cast<std::uint32_t>(kind);
    made.resource = "r0";
    made.volume = 3;
    return made;
}

TEST(HandlerFor, AVerifyThatFindsADifference) {
    sys::KernelEvent verify = event(enums::event_kind::verify);
    verify.node = 2;
    EXPECT_EQ(handler_for(verify), (HandlerCall{Handler::out_of_sync, 2, 3}));
}

TEST(HandlerFor, ADiskThatFailsButNotOneThatIsDetached) {
    sys::KernelEvent disk = event(enums::event_kind::disk);
    disk.before = "attached";
    disk.after = "failed";
    disk.cause = "write error";
    EXPECT_EQ(handler_for(disk), (HandlerCall{Handler::local_io_error, std::nullopt, 3}));
    disk.cause = "requested";
    EXPECT_EQ(handler_for(disk), std::nullopt);
    disk.after = "diskless";
    disk.cause = "write error";
    EXPECT_EQ(handler_for(disk), std::nullopt) << "it was told when it failed";
    EXPECT_EQ(handler_for(event(enums::event_kind::link)), std::nullopt);
}

/// Node 1 of three diskful ones, with both volumes attached and all connected.
sys::ResourceView replies(std::uint32_t writer, const std::set<std::uint32_t>& in_sync) {
    sys::ResourceView made;
    made.resource.name = "r0";
    made.resource.node = 1;
    made.resource.config.emplace();
    made.resource.config->writer = writer;
    for (const std::uint32_t node : {1, 2, 5}) {
        made.resource.config->members.push_back({node, true, in_sync.contains(node)});
    }
    for (const std::uint32_t volume : {0, 3}) {
        made.volumes.push_back({"r0", volume});
        made.volumes.back().disk_state = enums::disk_state::attached;
    }
    for (const std::uint32_t node : {2, 5}) {
        made.peers.push_back({"r0", node, enums::link_state::connected});
    }
    return made;
}

std::vector<HandlerCall> caused(const sys::ResourceView& before, const sys::ResourceView& now) {
    return handlers_for(*standing_of(before), *standing_of(now), 1);
}

TEST(HandlersFor, TheWriterTellsWhoWasLeftBehind) {
    const auto all = replies(1, {1, 2, 5});
    EXPECT_THAT(caused(all, replies(1, {1, 5})), ElementsAre(HandlerCall{Handler::degraded, 2}));
    auto diskless = replies(1, {2, 5});
    diskless.volumes[0].disk_state = enums::disk_state::failed;
    EXPECT_THAT(caused(all, diskless), ElementsAre(HandlerCall{Handler::degraded}))
        << "this node itself, which goes on without a disk";
    EXPECT_THAT(caused(all, all), IsEmpty());
    EXPECT_THAT(caused(all, replies(2, {1, 2})), IsEmpty()) << "the writer is another node";
    EXPECT_THAT(caused(replies(2, {1, 2, 5}), replies(1, {1, 5})),
                ElementsAre(HandlerCall{Handler::degraded, 2}))
        << "the old writer";
    auto removed = replies(1, {1, 5});
    removed.resource.config->members.erase(removed.resource.config->members.begin() + 1);
    EXPECT_THAT(caused(all, removed), IsEmpty()) << "it was taken out of the configuration";
}

TEST(HandlersFor, AResyncBeginsWhenTheWriterReachesThisNode) {
    const auto target = replies(2, {2, 5});
    auto alone = target;
    alone.peers[0].link = enums::link_state::greeting;
    auto diskless = target;
    diskless.volumes[1].disk_state = enums::disk_state::attaching;
    const auto begins = ElementsAre(HandlerCall{Handler::before_resync_target, std::nullopt, 0},
                                    HandlerCall{Handler::before_resync_target, std::nullopt, 3});
    EXPECT_THAT(caused(alone, target), begins);
    EXPECT_THAT(caused(diskless, target), begins);
    EXPECT_THAT(caused(alone, diskless), IsEmpty());
    EXPECT_THAT(caused(target, target), IsEmpty());
    EXPECT_THAT(caused(target, alone), IsEmpty());
    EXPECT_THAT(caused(alone, replies(1, {2, 5})), begins) << "the writer resyncs its own";
}

TEST(HandlersFor, AResyncEndsWhenThisNodeIsInSync) {
    EXPECT_THAT(caused(replies(2, {2, 5}), replies(2, {1, 2, 5})),
                ElementsAre(HandlerCall{Handler::after_resync_target, std::nullopt, 0},
                            HandlerCall{Handler::after_resync_target, std::nullopt, 3}));
    EXPECT_THAT(caused(replies(2, {1, 2}), replies(2, {1, 2, 5})), IsEmpty());
}

TEST(HandlersFor, WithoutAConfigurationThereIsNothingToTell) {
    auto none = replies(1, {});
    none.resource.config.reset();
    EXPECT_EQ(standing_of(none), std::nullopt);
}

TEST(HandlerEnvironment, OfAPeer) {
    const auto environment = handler_environment(sample(), "a", {Handler::fence_peer, 2});
    for (const std::string variable :
         {"RESOURCE=r0", "MY_NODE_ID=1", "NODE_ID_1=a", "NODE_ID_2=b", "NODE_ID_5=c", "VOLUME=0 3",
          "MINOR=10 13", "MINOR_3=13", "BACKING_DEV=/dev/vg/a /dev/vg/b", "BACKING_DEV_0=/dev/vg/a",
          "LL_DISK=/dev/vg/a /dev/vg/b", "PEER_NODE_ID=2", "PEER=b", "PEERS=b", "MY_AF=ipv4",
          "MY_ADDRESS=10.0.0.1", "PEER_AF=ipv4", "PEER_ADDRESS=10.0.0.2"}) {
        EXPECT_THAT(environment, Contains("DRBD_" + variable));
        EXPECT_THAT(environment, Contains("BRAID_" + variable));
    }
    EXPECT_THAT(handler_environment(sample(), "a", {Handler::fence_peer, 5}),
                AllOf(Contains("DRBD_MY_AF=ipv6"), Contains("DRBD_PEER_ADDRESS=fd00::3")));
}

TEST(HandlerEnvironment, OfAVolumeAndOfNoPeer) {
    const auto environment =
        handler_environment(sample(), "a", {Handler::local_io_error, std::nullopt, 3});
    EXPECT_THAT(environment, AllOf(Contains("DRBD_VOLUME=3"), Contains("DRBD_MINOR=13"),
                                   Contains("DRBD_BACKING_DEV=/dev/vg/b")));
    EXPECT_THAT(environment, Not(Contains(StartsWith("DRBD_PEER"))));
}

// ---- running them ----

class HandlersTest : public testing::Test {
  public:
    HandlersTest() : directory_(testing::TempDir() + "handlers.XXXXXX") {
        if (mkdtemp(directory_.data()) == nullptr) {
            throw std::runtime_error(directory_);
        }
    }
    ~HandlersTest() override { std::filesystem::remove_all(directory_); }
    HandlersTest(const HandlersTest&) = delete;
    HandlersTest& operator=(const HandlersTest&) = delete;

  protected:
    void make(HandlerLimits limits = {}) {
        handlers_.emplace(
            loop_, "a",
            [this](sys::Priority priority, const std::string& message,
                   const sys::Journal::Fields& fields) {
                log_.push_back(message);
                errors_ += priority == sys::Priority::error ? 1 : 0;
                fields_ = fields;
            },
            limits);
    }
    [[nodiscard]] std::string file(const std::string& name) const {
        return directory_ + "/" + name;
    }
    [[nodiscard]] std::vector<std::string> lines(const std::string& name) const {
        std::ifstream read(file(name));
        std::vector<std::string> found;
        for (std::string line; std::getline(read, line);) {
            found.push_back(line);
        }
        return found;
    }
    /// Says that it began, and waits until the file `go` is there.
    [[nodiscard]] std::string waiting() const {
        return "echo $BRAID_RESOURCE >>" + file("begun") + "; until [ -e " + file("go") +
               " ]; do sleep 0.01; done";
    }
    void go() const { std::ofstream(file("go")); }

    template <class Condition>
    [[nodiscard]] bool until(Condition condition) {
        const auto deadline = sys::EventLoop::Clock::now() + plenty;
        while (!condition()) {
            if (sys::EventLoop::Clock::now() > deadline) {
                return false;
            }
            loop_.run_once(milliseconds(10));
        }
        return true;
    }
    [[nodiscard]] bool until_logged(std::size_t count) {
        return until([&] { return log_.size() >= count; });
    }
    /// What a fence command promises.
    bool fence(const std::string& command, std::uint32_t peer = 2) {
        config::NodeResource resource = sample();
        resource.settings.handlers.fence_peer = command;
        handlers_->update(resource);
        std::optional<bool> stopped;
        handlers_->fence("r0", peer, [&](bool said) { stopped = said; });
        EXPECT_FALSE(stopped) << "not before fence() returns";
        EXPECT_TRUE(until([&] { return stopped.has_value(); }));
        return stopped.value_or(false);
    }

    std::string directory_;
    sys::EventLoop loop_;
    std::vector<std::string> log_;
    int errors_ = 0;
    sys::Journal::Fields fields_;
    std::optional<Handlers> handlers_;
};

TEST_F(HandlersTest, RunAndAreLogged) {
    make();
    config::NodeResource resource = sample();
    resource.settings.handlers.split_brain = "echo $DRBD_RESOURCE $BRAID_PEER";
    resource.settings.handlers.local_io_error = "echo bad; echo worse >&2; exit 3";
    handlers_->update(resource);
    handlers_->split_brain("r0", 2);
    ASSERT_TRUE(until_logged(2));
    EXPECT_THAT(log_, ElementsAre("handler split-brain: begins",
                                  "handler split-brain: exit status 0; output: r0 b"));
    EXPECT_EQ(errors_, 0);
    EXPECT_EQ(fields_, (sys::Journal::Fields{{"BRAID_RESOURCE", "r0"},
                                             {"BRAID_HANDLER", "split-brain"},
                                             {"BRAID_PEER", "b"}}));

    sys::KernelEvent failed = event(enums::event_kind::disk);
    failed.after = "failed";
    failed.cause = "write error";
    handlers_->kernel_event(failed);
    ASSERT_TRUE(until_logged(4));
    EXPECT_EQ(log_.back(), "handler local-io-error, volume 3: exit status 3; output: bad | worse");
    EXPECT_EQ(errors_, 1);
}

TEST_F(HandlersTest, ChangesOfTheKernelsStateAreToldFromTheSecondOn) {
    make();
    config::NodeResource resource = sample();
    resource.settings.handlers.degraded = "true";
    handlers_->update(resource);
    handlers_->kernel_state(replies(1, {1, 5}));
    EXPECT_THAT(log_, IsEmpty());
    handlers_->kernel_state(replies(1, {1}));
    EXPECT_THAT(log_, ElementsAre("handler degraded: begins"));
}

TEST_F(HandlersTest, CallsWhileOneRunsAreOneMore) {
    make();
    config::NodeResource resource = sample();
    resource.settings.handlers.quorum_lost = waiting();
    handlers_->update(resource);
    for (int i = 0; i < 5; i++) {
        handlers_->quorum_lost("r0");
    }
    ASSERT_TRUE(until([this] { return lines("begun").size() == 1; }));
    handlers_->quorum_lost("r0");
    EXPECT_EQ(log_.size(), 1U);
    go();
    ASSERT_TRUE(until_logged(4));
    EXPECT_EQ(lines("begun").size(), 2U);
    handlers_->quorum_lost("r0");
    ASSERT_TRUE(until_logged(6));
    EXPECT_EQ(lines("begun").size(), 3U);
}

TEST_F(HandlersTest, SoManyRunAtOnceAndFencesBesides) {
    make({.at_once = 1});
    config::NodeResource resource = sample();
    resource.settings.handlers.quorum_lost = waiting();
    resource.settings.handlers.fence_peer = "exit 7";
    for (const std::string name : {"r0", "r1", "r2", "r3"}) {
        resource.name = name;
        handlers_->update(resource);
        handlers_->quorum_lost(name);
        handlers_->quorum_lost(name);
    }
    handlers_->remove("r1");
    ASSERT_TRUE(until([this] { return lines("begun").size() == 1; }));
    bool stopped = false;
    handlers_->fence("r2", 2, [&](bool said) { stopped = said; });
    ASSERT_TRUE(until([&] { return stopped; }));
    EXPECT_THAT(lines("begun"), ElementsAre("r0"));
    go();
    // r0 runs once more, after those that waited; one of r1 is not begun any more.
    ASSERT_TRUE(until([this] { return lines("begun").size() == 4; }));
    EXPECT_THAT(lines("begun"), testing::UnorderedElementsAre("r0", "r0", "r2", "r3"));
}

TEST_F(HandlersTest, OnlyStatusSevenSaysThatAPeerIsStopped) {
    make({.fence = seconds(1)});
    EXPECT_TRUE(fence("[ $DRBD_PEERS = b ] && exit 7"));
    EXPECT_EQ(errors_, 0);
    EXPECT_FALSE(fence("exit 0"));
    EXPECT_EQ(log_.back(),
              "handler fence-peer: exit status 0: only 7 says that the peer "
              "is stopped");
    EXPECT_FALSE(fence("exit 4"));
    EXPECT_THAT(log_.back(), HasSubstr("the peer is outdated, which is not enough"));
    EXPECT_FALSE(fence("kill -7 $$"));
    EXPECT_FALSE(fence("trap 'exit 7' TERM; sleep 1000 & wait"));
    EXPECT_THAT(log_.back(), HasSubstr("not done after 1 s"));
    EXPECT_EQ(errors_, 4);
    EXPECT_FALSE(fence(""));
    EXPECT_THAT(log_.back(), HasSubstr("no such handler"));
    EXPECT_FALSE(fence("exit 7", 9));
    EXPECT_EQ(log_.back(),
              "handler fence-peer: the configuration has no such peer: "
              "nothing is fenced");
}

TEST_F(HandlersTest, AFenceDoesNotCountForOnesThatAreAskedForLater) {
    make();
    config::NodeResource resource = sample();
    resource.settings.handlers.fence_peer =
        waiting() + "; [ $(wc -l <" + file("begun") + ") = 1 ] && exit 7";
    handlers_->update(resource);
    std::vector<std::string> told;
    const auto teller = [&](const std::string& name) {
        return [&told, name](bool stopped) { told.push_back(name + (stopped ? "+" : "-")); };
    };
    handlers_->fence("r0", 2, teller("first"));
    handlers_->fence("r0", 2, teller("second"));
    handlers_->fence("r0", 2, teller("third"));
    go();
    ASSERT_TRUE(until([&] { return told.size() == 3; }));
    EXPECT_THAT(told, ElementsAre("first+", "second-", "third-"));
    EXPECT_EQ(lines("begun").size(), 2U);
}

TEST_F(HandlersTest, AResourceThatGoesAwayIsFencedNoMore) {
    make();
    config::NodeResource resource = sample();
    resource.settings.handlers.fence_peer = waiting() + "; exit 7";
    handlers_->update(resource);
    std::vector<bool> told;
    handlers_->fence("r0", 2, [&](bool stopped) { told.push_back(stopped); });
    handlers_->fence("r0", 2, [&](bool stopped) { told.push_back(stopped); });
    handlers_->remove("r0");
    go();
    ASSERT_TRUE(until([&] { return told.size() == 2; }));
    EXPECT_THAT(told, ElementsAre(true, false));
}

TEST_F(HandlersTest, EndWithTheirOwner) {
    make();
    config::NodeResource resource = sample();
    resource.settings.handlers.fence_peer = "echo $$ >" + file("pid") + "; sleep 1000; exit 7";
    handlers_->update(resource);
    bool told = false;
    handlers_->fence("r0", 2, [&](bool) { told = true; });
    ASSERT_TRUE(until([this] { return !lines("pid").empty(); }));
    handlers_.reset();
    ASSERT_TRUE(
        until([this] { return kill(-std::stoi(lines("pid")[0]), 0) != 0 && errno == ESRCH; }));
    EXPECT_FALSE(told);
}

}  // namespace
}  // namespace braid::satellite
