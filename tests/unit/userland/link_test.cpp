// SPDX-License-Identifier: GPL-2.0-or-later
//
// Streams made by two nodes in this process, with something in the kernels' place: which session,
// how many, when again. What a kernel does with them is tested in the lab.
#include "satellite/link.h"

#include <chrono>

#include "network_fixture.h"

namespace braid::satellite {
namespace {

using std::chrono::seconds;
using test::Node;
using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;

class LinkTest : public test::NetworkTest {
  protected:
    LinkTest() : a_(add("a")), b_(add("b")) {}

    bool wait_up(std::size_t streams = 2) {
        return wait([&] {
            return a_.kernel.streams.size() == streams && b_.kernel.streams.size() == streams;
        });
    }

    static void lose(Node& node) {
        node.kernel.lose();
        node.network.link_changed("r0", 1);
    }

    static std::string why(const Node& node) { return node.network.link("r0", 1)->why(); }

    static std::string receive(const sys::Fd& fd) {
        std::array<char, 100> room{};
        const ssize_t got = recv(fd.get(), room.data(), room.size(), MSG_DONTWAIT);
        return got < 0 ? "" : std::string(room.data(), static_cast<std::size_t>(got));
    }

    Node& a_;
    Node& b_;
};

TEST_F(LinkTest, BothKernelsGetTheSameSocketsUnderOneSession) {
    join(a_, b_, true);
    ASSERT_TRUE(wait_up());
    EXPECT_NE(a_.kernel.session, 0U);
    EXPECT_EQ(a_.kernel.session, b_.kernel.session);
    for (std::size_t i = 0; i < 2; i++) {
        EXPECT_EQ(receive(b_.kernel.streams[i].fd), "") << "nothing of TLS is left in it";
        const std::string text = "stream " + std::to_string(i);
        ASSERT_GT(send(a_.kernel.streams[i].fd.get(), text.data(), text.size(), 0), 0);
        ASSERT_TRUE(wait([&] {
            std::array<char, 1> peeked{};
            return recv(b_.kernel.streams[i].fd.get(), peeked.data(), 1, MSG_PEEK | MSG_DONTWAIT) >
                   0;
        }));
        EXPECT_EQ(receive(b_.kernel.streams[i].fd), text);
    }
    a_.network.link_changed("r0", 1);
    EXPECT_TRUE(a_.network.link("r0", 1)->is_up());
    EXPECT_THAT(a_.log, Contains("r0/b: connected"));
}

TEST_F(LinkTest, OneThatIsLostIsMadeAgainUnderANewSession) {
    join(a_, b_, true);
    ASSERT_TRUE(wait_up());
    const std::uint64_t before = a_.kernel.session;
    lose(b_);
    EXPECT_THAT(why(b_), HasSubstr("a has not connected"));
    lose(a_);
    ASSERT_TRUE(wait_up());
    EXPECT_NE(a_.kernel.session, before);
    EXPECT_EQ(a_.kernel.session, b_.kernel.session);
}

TEST_F(LinkTest, WhoIsNotThereAtFirstIsReachedLater) {
    ASSERT_TRUE(a_.network.apply(settings(a_, b_, true)));
    ASSERT_TRUE(wait([&] { return !why(a_).empty(); }));
    ASSERT_TRUE(b_.network.apply(settings(b_, a_, true)));
    ASSERT_TRUE(wait_up()) << why(a_);
    EXPECT_EQ(a_.kernel.session, b_.kernel.session);
}

TEST_F(LinkTest, ARestartedDaemonLeavesWhatIsUpAlone) {
    join(a_, b_, true);
    ASSERT_TRUE(wait_up());
    const std::uint64_t session = a_.kernel.session;
    for (Node* node : {&a_, &b_}) {
        ASSERT_TRUE(node->network.apply({node->name, {}, {}, {}}));
    }
    join(a_, b_, true);
    ASSERT_TRUE(wait([&] { return are_up(a_, b_); }));
    a_.network.link_changed("r0", 1);
    EXPECT_TRUE(a_.network.link("r0", 1)->is_up());
    EXPECT_EQ(a_.network.link("r0", 1)->session(), session);
    EXPECT_EQ(a_.kernel.sessions, 1);
    EXPECT_EQ(a_.kernel.streams.size(), 2U);
}

TEST_F(LinkTest, ARestartedDaemonMakesTheStreamsThatLack) {
    join(a_, b_, true);
    ASSERT_TRUE(wait_up());
    ASSERT_TRUE(a_.network.apply({"a", {}, {}, {}}));
    a_.kernel.streams.pop_back();
    b_.kernel.streams.pop_back();
    ASSERT_TRUE(a_.network.apply(settings(a_, b_, true)));
    ASSERT_TRUE(wait_up());
    EXPECT_EQ(b_.kernel.sessions, 1);
}

TEST_F(LinkTest, WhoIsConfiguredDifferentlyIsRefused) {
    auto of_a = settings(a_, b_, true);
    of_a.links[0].transport = Transport::ktls;
    ASSERT_TRUE(a_.network.apply(of_a));
    ASSERT_TRUE(b_.network.apply(settings(b_, a_, true)));
    ASSERT_TRUE(wait([&] { return !why(a_).empty(); }));
    EXPECT_THAT(why(a_), HasSubstr("transport ktls there, plain here, for resource r0"));
    EXPECT_TRUE(b_.kernel.streams.empty());
    EXPECT_THAT(refusals(b_), Contains(HasSubstr("transport ktls there")));
}

TEST_F(LinkTest, AnUnknownResourceIsRefused) {
    ASSERT_TRUE(a_.network.apply(settings(a_, b_, true)));
    ASSERT_TRUE(b_.network.apply(settings(b_, a_)));
    ASSERT_TRUE(wait([&] { return !why(a_).empty(); }));
    EXPECT_THAT(why(a_), HasSubstr("resource r0 is not up with a here"));
}

TEST_F(LinkTest, WhoAsksForTheStateDoesNotCutAPauseShort) {
    ASSERT_TRUE(a_.network.apply(settings(a_, b_, true)));
    const std::uint64_t before = a_.seed;
    const auto end = sys::EventLoop::Clock::now() + seconds(1);
    wait([&] {
        a_.network.link_changed("r0", 1);
        return sys::EventLoop::Clock::now() > end;
    });
    // A session and a pause for each attempt, a pause for each of the control connection.
    EXPECT_GE(a_.seed - before, 4U);
    EXPECT_LE(a_.seed - before, 24U) << "nobody listens there";
}

TEST_F(LinkTest, ALinkNeedsAPeer) {
    auto of_a = settings(a_, b_, true);
    of_a.links[0].peer = "c";
    EXPECT_FALSE(a_.network.apply(of_a));
}

TEST_F(LinkTest, AKernelThatRefusesIsAskedAgain) {
    b_.kernel.connect_error = ENOENT;
    join(a_, b_, true);
    ASSERT_TRUE(wait([&] {
        return why(b_) == "the kernel does not take the socket: as told" && a_.kernel.sessions > 0;
    })) << why(b_);
    EXPECT_TRUE(wait([&] {
        std::array<char, 1> byte{};
        return a_.kernel.streams.empty() ||
               recv(a_.kernel.streams[0].fd.get(), byte.data(), 1, MSG_DONTWAIT) == 0;
    })) << "a's kernel learns that b's has not got it";
    b_.kernel.connect_error = 0;
    lose(a_);
    ASSERT_TRUE(wait_up());
}

TEST_F(LinkTest, AUsedKeyHasItsStreamReplacedByEitherSide) {
    join(a_, b_, true);
    ASSERT_TRUE(wait_up());
    for (Node* node : {&a_, &b_}) {
        Node& other = node == &a_ ? b_ : a_;
        node->kernel.retire_error = EBUSY;
        node->network.key_used("r0", 1, 7);
        node->network.key_used("r0", 1, 7);  // said twice
        ASSERT_TRUE(wait_up(3)) << "make before break";
        node->kernel.retire_error = 0;
        ASSERT_TRUE(wait([&] { return !node->kernel.retired.empty(); }));
        EXPECT_THAT(node->kernel.retired, ElementsAre(7U));
        other.kernel.streams.erase(other.kernel.streams.begin());
    }
    EXPECT_EQ(a_.kernel.sessions, 1);
    EXPECT_EQ(b_.kernel.sessions, 1);
    EXPECT_EQ(a_.kernel.streams.size(), 2U);
}

TEST_F(LinkTest, TwoUsedKeysAreReplacedOneAfterTheOther) {
    join(a_, b_, true);
    ASSERT_TRUE(wait_up());
    a_.network.key_used("r0", 1, 3);
    a_.network.key_used("r0", 1, 4);
    ASSERT_TRUE(wait([&] { return a_.kernel.retired.size() == 2; }));
    EXPECT_THAT(a_.kernel.retired, ElementsAre(3U, 4U));
    EXPECT_EQ(a_.kernel.streams.size(), 2U);
}

TEST_F(LinkTest, WithOneStreamTooManyNoneIsMade) {
    join(a_, b_, true);
    ASSERT_TRUE(wait_up());
    a_.kernel.streams.push_back({a_.kernel.session, sys::Fd()});
    a_.network.key_used("r0", 1, 5);
    EXPECT_THAT(a_.kernel.retired, ElementsAre(5U));
}

TEST_F(LinkTest, AStreamOfAnEarlierSessionEndsNothing) {
    join(a_, b_, true);
    ASSERT_TRUE(wait_up());
    b_.kernel.session++;  // as if there were a newer one
    a_.network.key_used("r0", 1, 7);
    ASSERT_TRUE(wait([&] { return !why(a_).empty(); }));
    EXPECT_THAT(why(a_), HasSubstr("it is of an earlier connection"));
    EXPECT_EQ(b_.kernel.sessions, 1);
    EXPECT_EQ(b_.kernel.streams.size(), 2U);
}

TEST(DialGate, LetsInAsManyAsFit) {
    DialGate gate;
    std::array<int, DialGate::most + 3> who{};
    std::vector<const int*> inside;
    for (const int& each : who) {
        gate.enter(&each, [&inside, &each] { inside.push_back(&each); });
    }
    EXPECT_EQ(inside.size(), DialGate::most);
    gate.leave(&who[DialGate::most]);  // one that waits gives up
    gate.leave(&who[0]);
    EXPECT_EQ(inside.back(), &who[DialGate::most + 1]);
    gate.leave(&who[1]);
    EXPECT_EQ(inside.back(), &who[DialGate::most + 2]);
    gate.leave(&who[2]);
    gate.enter(&who[0], [&] { inside.push_back(&who[0]); });
    EXPECT_EQ(inside.back(), &who[0]);
}

}  // namespace
}  // namespace braid::satellite
