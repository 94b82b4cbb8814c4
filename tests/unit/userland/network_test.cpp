// SPDX-License-Identifier: GPL-2.0-or-later
//
// P7: whole nodes' connections over loopback; strangers and wrong certificates among them.
#include <chrono>

#include "network_fixture.h"

namespace braid::satellite {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using test::Node;
using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

class ControlTest : public test::NetworkTest {
  protected:
    /// Sockets of strangers, connected to a node: from one address, or several that begin alike.
    std::vector<sys::Fd> strangers(const Node& to, int count, const std::string& prefix,
                                   int addresses) {
        std::vector<sys::Fd> made;
        for (int i = 0; i < count; i++) {
            const int address = i % addresses;
            const std::string from = addresses == 1 ? prefix
                                                    : prefix + std::to_string(1 + address / 250) +
                                                          "." + std::to_string(1 + address % 250);
            auto fd = sys::connect_tcp(to.address(), sys::Address::parse(from, 0).value());
            EXPECT_TRUE(fd) << fd.error().message;
            made.push_back(std::move(*fd));
            loop_.run_once({});
        }
        return made;
    }

    static bool closed(const sys::Fd& fd) {
        char byte = 0;
        const ssize_t got = recv(fd.get(), &byte, 1, MSG_DONTWAIT);
        return got == 0 || (got < 0 && errno != EAGAIN);
    }
};

TEST_F(ControlTest, MessagesArriveInOrder) {
    Node& a = add("a");
    Node& b = add("b");
    join(a, b);
    ASSERT_TRUE(wait([&] { return are_up(a, b); }));
    const std::string big(message_max, 'x');
    EXPECT_TRUE(a.network.send("b", "one"));
    EXPECT_TRUE(a.network.send("b", big));
    EXPECT_TRUE(a.network.send("b", ""));
    EXPECT_TRUE(b.network.send("a", "back"));
    EXPECT_FALSE(a.network.send("b", big + "x")) << "too long";
    EXPECT_FALSE(a.network.send("c", "x")) << "no such peer";
    ASSERT_TRUE(wait([&] { return b.messages.size() == 3 && a.messages.size() == 1; }));
    EXPECT_THAT(b.messages, ElementsAre("a: one", "a: " + big, "a: "));
    EXPECT_THAT(a.messages, ElementsAre("b: back"));
}

TEST_F(ControlTest, ANodeThatGoesIsNoticedAndTriedAgain) {
    Node& a = add("a");
    Node& b = add("b");
    join(a, b);
    ASSERT_TRUE(wait([&] { return are_up(a, b); }));
    ASSERT_TRUE(b.network.apply({"b", {}, {}, {}}));
    ASSERT_TRUE(wait([&] { return !a.network.control("b")->is_up(); }));
    EXPECT_THAT(a.down, ElementsAre("b"));
    ASSERT_TRUE(wait([&] { return why(a, b).find("onnection refused") != std::string::npos; }));
    EXPECT_THAT(why(a, b), HasSubstr(a.ip + " -> " + b.ip + ":7791"));
    ASSERT_TRUE(b.network.apply(settings(b, a)));
    ASSERT_TRUE(wait([&] { return are_up(a, b); }));
    EXPECT_THAT(a.up, ElementsAre("b", "b"));
}

TEST_F(ControlTest, SettingsThatStayDisturbNothing) {
    Node& a = add("a");
    Node& b = add("b");
    Node& c = add("c");
    join(a, b);
    ASSERT_TRUE(wait([&] { return are_up(a, b); }));
    auto more = settings(a, b);
    more.peers.push_back(peer(a, c));
    ASSERT_TRUE(a.network.apply(more));
    ASSERT_TRUE(c.network.apply(settings(c, a)));
    ASSERT_TRUE(wait([&] { return are_up(a, c); }));
    EXPECT_THAT(a.down, IsEmpty());
}

TEST_F(ControlTest, AnotherPathIsTakenWhereOneFails) {
    Node& a = add("a");
    Node& b = add("b");
    auto of_a = settings(a, b);
    of_a.peers[0].paths.insert(of_a.peers[0].paths.begin(),
                               {a.address(), sys::Address::parse("127.7.9.9", 7791).value()});
    ASSERT_TRUE(a.network.apply(of_a));
    ASSERT_TRUE(b.network.apply(settings(b, a)));
    ASSERT_TRUE(wait([&] { return are_up(a, b); }));
    EXPECT_EQ(a.network.control("b")->address(), b.ip + ":7791");
}

TEST_F(ControlTest, ANodeOfAnotherClusterIsRefused) {
    Node& a = add("a");
    Node& b = add("b");
    const auto other =
        sys::make_authority("x", {test::now() - seconds(9), test::now() + seconds(99)});
    const auto bundle =
        sys::issue_certificate(*other, "a", {test::now() - seconds(9), test::now() + seconds(99)});
    ASSERT_TRUE(sys::write_file(a.pem, *bundle, 0600, sys::Existing::replace));
    join(a, b);
    ASSERT_TRUE(wait([&] { return !why(a, b).empty(); }));
    EXPECT_THAT(why(a, b), HasSubstr("not of this cluster's authority"));
    ASSERT_TRUE(wait([&] { return !refusals(b).empty(); }));
}

TEST_F(ControlTest, ACertificateOfAStrangeAuthorityIsRefusedByTheServer) {
    Node& a = add("a");
    Node& b = add("b");
    const auto other =
        sys::make_authority("x", {test::now() - seconds(9), test::now() + seconds(99)});
    const auto bundle =
        sys::issue_certificate(*other, "a", {test::now() - seconds(9), test::now() + seconds(99)});
    const std::string trusts = sys::read_file(b.pem).value();
    const std::string both = *bundle + trusts.substr(trusts.rfind("-----BEGIN"));
    ASSERT_TRUE(sys::write_file(a.pem, both, 0600, sys::Existing::replace));
    join(a, b);
    ASSERT_TRUE(wait([&] { return !refusals(b).empty(); }));
    EXPECT_THAT(refusals(b), ElementsAre("a: its certificate is not of this cluster's authority"));
    EXPECT_THAT(b.log, Contains("/a: refused, " + a.ip +
                                ": its certificate is not of this cluster's authority"));
    ASSERT_TRUE(wait([&] { return !why(a, b).empty(); }));
    EXPECT_THAT(why(a, b), HasSubstr("it refuses"));
    EXPECT_FALSE(b.network.control("a")->is_up());
}

TEST_F(ControlTest, AnExpiredCertificateIsRefusedAndARenewedOneTaken) {
    Node& a = add("a");
    Node& b = add("b");
    issue("a", test::now() - std::chrono::hours(5));
    join(a, b);
    ASSERT_TRUE(wait([&] { return !refusals(b).empty(); }));
    EXPECT_THAT(refusals(b), ElementsAre("a: its certificate or the authority's has expired"));
    EXPECT_THAT(a.log, Contains(HasSubstr("the certificate of a expired at")));
    issue("a");
    ASSERT_TRUE(wait([&] { return are_up(a, b); })) << "without a restart";
}

TEST_F(ControlTest, ABrokenNewFileLeavesTheOldOneInUse) {
    Node& a = add("a");
    Node& b = add("b");
    join(a, b);
    ASSERT_TRUE(wait([&] { return are_up(a, b); }));
    ASSERT_TRUE(sys::write_file(b.pem, "rubbish", 0600, sys::Existing::replace));
    ASSERT_TRUE(a.network.apply({"a", {}, {}, {}}));
    ASSERT_TRUE(a.network.apply(settings(a, b)));
    ASSERT_TRUE(wait([&] { return are_up(a, b); }));
    EXPECT_THAT(b.log, Contains(HasSubstr("has no certificate that can be read")));
}

TEST_F(ControlTest, ANodeThatIsNoMemberIsRefused) {
    Node& a = add("a");
    Node& b = add("b");
    Node& c = add("c");
    ASSERT_TRUE(a.network.apply(settings(a, b)));
    ASSERT_TRUE(b.network.apply(settings(b, c)));
    ASSERT_TRUE(wait([&] { return !refusals(b).empty(); }));
    EXPECT_THAT(refusals(b), Contains("a: a is not a node that b is configured to talk to"));
}

TEST_F(ControlTest, AnotherNodeAtAPeersAddressIsRefused) {
    Node& a = add("a");
    Node& b = add("b");
    Node& c = add("c");
    auto of_a = settings(a, b);
    of_a.peers[0].paths[0].remote = c.address();
    ASSERT_TRUE(a.network.apply(of_a));
    ASSERT_TRUE(c.network.apply(settings(c, a)));
    ASSERT_TRUE(wait([&] { return !why(a, b).empty(); }));
    EXPECT_THAT(why(a, b), HasSubstr("node c answers there"));
    EXPECT_FALSE(c.network.control("a")->is_up());
}

TEST_F(ControlTest, StrangersDoNotKeepMembersOut) {
    Node& a = add("a");
    Node& b = add("b");
    ASSERT_TRUE(b.network.apply(settings(b, a)));
    // From 3,000 addresses, all held open.
    const auto held = strangers(b, 10000, "127.9.", 3000);
    loop_.run_once({});
    EXPECT_LE(b.network.listener().half_open(), AdmissionLimits{}.strangers);
    ASSERT_TRUE(a.network.apply(settings(a, b)));
    const auto begin = sys::EventLoop::Clock::now();
    ASSERT_TRUE(wait([&] { return are_up(a, b); }, seconds(3)));
    EXPECT_LT(sys::EventLoop::Clock::now() - begin, seconds(2));
    EXPECT_GE(b.network.listener().turned_away(), 9900U);
    EXPECT_LE(refusals(b).size(), Refusals::kept);
    // And while they are there, again and again.
    for (int i = 0; i < 5; i++) {
        ASSERT_TRUE(a.network.apply({"a", {}, {}, {}}));
        const auto more = strangers(b, 100, "127.10.", 100);
        ASSERT_TRUE(a.network.apply(settings(a, b)));
        ASSERT_TRUE(wait([&] { return are_up(a, b); }, seconds(3)));
    }
}

TEST_F(ControlTest, AStrangerAtAPeersAddressDoesNotKeepItOut) {
    Node& a = add("a");
    Node& b = add("b");
    ASSERT_TRUE(b.network.apply(settings(b, a)));
    const auto held = strangers(b, 500, a.ip, 1);
    ASSERT_TRUE(a.network.apply(settings(a, b)));
    ASSERT_TRUE(wait([&] { return are_up(a, b); }, seconds(3)));
}

TEST_F(ControlTest, WhoSaysNothingOrTooSlowlyIsDropped) {
    Node& a = add("a");
    Node& b = add("b");
    ASSERT_TRUE(b.network.apply(settings(b, a)));
    const auto silent = strangers(b, 1, "127.9.0.1", 1);
    const auto slow = strangers(b, 1, "127.10.0.1", 1);
    const std::string start("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 11);
    std::size_t said = 0;
    const auto begin = sys::EventLoop::Clock::now();
    ASSERT_TRUE(wait([&] {
        // A byte now and then, to look alive.
        const auto due =
            static_cast<std::size_t>((sys::EventLoop::Clock::now() - begin) / milliseconds(300));
        if (said < due && said < start.size()) {
            send(slow[0].get(), &start[said++], 1, MSG_NOSIGNAL);
        }
        return closed(silent[0]) && closed(slow[0]);
    }));
    EXPECT_LT(sys::EventLoop::Clock::now() - begin, Listener::deadline + seconds(3));
    EXPECT_EQ(b.network.listener().half_open(), 0U);
    EXPECT_THAT(refusals(b), Contains(": it took too long to say who it is"));
}

TEST_F(ControlTest, GarbageAndHalfAHandshakeAreRefused) {
    Node& a = add("a");
    Node& b = add("b");
    ASSERT_TRUE(b.network.apply(settings(b, a)));
    auto held = strangers(b, 3, "127.9.", 3);
    const std::string http = "GET / HTTP/1.1\r\nHost: b\r\n\r\n";
    ASSERT_GT(send(held[0].get(), http.data(), http.size(), 0), 0);
    const std::string truncated("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 11);
    ASSERT_GT(send(held[1].get(), truncated.data(), truncated.size(), 0), 0);
    shutdown(held[1].get(), SHUT_WR);
    held[2].reset();
    ASSERT_TRUE(wait([&] { return closed(held[0]) && closed(held[1]); }, seconds(4)));
    ASSERT_TRUE(wait([&] { return b.network.listener().half_open() == 0; }, seconds(4)));
    EXPECT_EQ(refusals(b).size(), 3U);
    ASSERT_TRUE(a.network.apply(settings(a, b)));
    ASSERT_TRUE(wait([&] { return are_up(a, b); }));
}

}  // namespace
}  // namespace braid::satellite
