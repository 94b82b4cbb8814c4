// SPDX-License-Identifier: GPL-2.0-or-later
#include "sys/tls.h"

#include <gmock/gmock.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <new>
#include <optional>

#include "sys/fd.h"

namespace braid::sys {
namespace {

using std::chrono::hours;
using testing::HasSubstr;
using Role = TlsSession::Role;
using Credentials = std::shared_ptr<const TlsCredentials>;

const auto now = std::chrono::floor<std::chrono::seconds>(std::chrono::system_clock::now());
const Validity valid{now - hours(1), now + hours(1)};
const Validity expired{now - hours(2), now - hours(1)};

std::string authority() {
    static const std::string made =
        make_authority("cluster", {now - hours(24), now + hours(24)}).value();
    return made;
}

Credentials credentials(const std::string& node, const Validity& validity = valid,
                        const std::string& by = authority()) {
    return TlsCredentials::from_pem(issue_certificate(by, node, validity).value()).value();
}

/// Two ends, each driven when the test says so.
class TlsTest : public testing::Test {
  protected:
    TlsTest() {
        int ends[2];
        if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends) != 0) {
            throw std::bad_alloc();
        }
        fds_[0] = Fd(ends[0]);
        fds_[1] = Fd(ends[1]);
    }

    void make(Credentials client, Credentials server, const TlsSession::Check& of_server = yes()) {
        client_.emplace(Role::client, std::move(client), fds_[0].get(), yes());
        server_.emplace(Role::server, std::move(server), fds_[1].get(), of_server);
    }

    static TlsSession::Check yes() {
        return [](const CertificateInfo&) { return std::string(); };
    }

    /// Until both are done or failed; the messages, "" for success.
    std::pair<std::string, std::string> shake_hands() {
        std::optional<std::string> client;
        std::optional<std::string> server;
        for (int i = 0; i < 20 && (!client || !server); i++) {
            step(*client_, client);
            step(*server_, server);
        }
        return {client.value_or("waits"), server.value_or("waits")};
    }

    static void step(TlsSession& session, std::optional<std::string>& outcome) {
        if (outcome) {
            return;
        }
        const auto done = session.handshake();
        if (done) {
            outcome = "";
        } else if (done.error().number != EAGAIN) {
            outcome = done.error().message;
        }
    }

    static std::string receive(TlsSession& session) {
        std::array<char, 100> room{};
        const auto got = session.receive(room);
        return got ? std::string(room.data(), *got) : got.error().message;
    }

    [[nodiscard]] std::string raw(int end) const {
        std::array<char, 100> room{};
        const ssize_t got = recv(fds_[end].get(), room.data(), room.size(), MSG_DONTWAIT);
        return got < 0 ? "" : std::string(room.data(), static_cast<std::size_t>(got));
    }

    std::array<Fd, 2> fds_;
    std::optional<TlsSession> client_;
    std::optional<TlsSession> server_;
};

TEST_F(TlsTest, BothKnowEachOther) {
    make(credentials("a"), credentials("b"));
    EXPECT_EQ(shake_hands(), std::make_pair(std::string(), std::string()));
    EXPECT_EQ(client_->peer().node, "b");
    EXPECT_EQ(server_->peer().node, "a");
    EXPECT_THAT(client_->cipher(), testing::AnyOf("AES-128-GCM", "CHACHA20-POLY1305"));
    EXPECT_EQ(client_->send(std::string("to b")), 4U);
    EXPECT_EQ(receive(*server_), "to b");
}

TEST_F(TlsTest, NothingFollowsTheHandshake) {
    make(credentials("a"), credentials("b"));
    shake_hands();
    EXPECT_EQ(raw(0), "") << "session tickets would be the first records that a kernel gets";
    EXPECT_EQ(raw(1), "");
}

TEST_F(TlsTest, AServerOfAnotherAuthorityIsRefused) {
    const std::string other = make_authority("cluster", {now - hours(2), now + hours(2)}).value();
    make(credentials("a"), credentials("b", valid, other));
    EXPECT_THAT(shake_hands().first, HasSubstr("not of this cluster's authority"));
}

TEST_F(TlsTest, AStrangersCertificateIsRefusedByTheServer) {
    const std::string other = make_authority("cluster", {now - hours(2), now + hours(2)}).value();
    // A client that trusts the server's authority but is of another one.
    const std::string mixed = issue_certificate(other, "a", valid).value() + authority();
    make(TlsCredentials::from_pem(mixed).value(), credentials("b"));
    EXPECT_THAT(shake_hands().second, HasSubstr("not of this cluster's authority"));
    EXPECT_EQ(server_->peer().node, "a") << "for the log";
    EXPECT_THAT(receive(*client_), HasSubstr("it refuses"));
}

TEST_F(TlsTest, ExpiredOnesAreRefused) {
    make(credentials("a"), credentials("b", expired));
    EXPECT_THAT(shake_hands().first, HasSubstr("has expired"));
}

TEST_F(TlsTest, ExpiredClientsAreRefused) {
    make(credentials("a", expired), credentials("b"));
    EXPECT_THAT(shake_hands().second, HasSubstr("has expired"));
}

TEST_F(TlsTest, NotYetValid) {
    make(credentials("a", {now + hours(1), now + hours(2)}), credentials("b"));
    EXPECT_THAT(shake_hands().second, HasSubstr("clocks"));
}

TEST_F(TlsTest, AnExpiredAuthorityIsRefused) {
    const std::string old = make_authority("cluster", {now - hours(9), now - hours(1)}).value();
    // issue_certificate() would shorten it, so the certificate has to be of that time.
    make(credentials("a", {now - hours(9), now + hours(1)}, old),
         credentials("b", {now - hours(9), now + hours(1)}, old));
    EXPECT_THAT(shake_hands().first, HasSubstr("has expired"));
}

TEST_F(TlsTest, TheCheckDecidesBeforeThePeerIsTold) {
    make(credentials("a"), credentials("b"),
         [](const CertificateInfo& peer) { return peer.node + " is no member"; });
    EXPECT_EQ(shake_hands().second, "a is no member");
    EXPECT_THAT(receive(*client_), HasSubstr("it refuses"));
}

TEST_F(TlsTest, AnAuthoritysCertificateIsNobodys) {
    EXPECT_FALSE(TlsCredentials::from_pem(authority()));
    EXPECT_FALSE(TlsCredentials::from_pem("x"));
}

TEST_F(TlsTest, GarbageEndsIt) {
    make(credentials("a"), credentials("b"));
    const std::string garbage = "GET / HTTP/1.1\r\n\r\n";
    ASSERT_EQ(send(fds_[0].get(), garbage.data(), garbage.size(), 0), 18);
    std::optional<std::string> outcome;
    step(*server_, outcome);
    EXPECT_NE(outcome.value_or(""), "");
}

TEST_F(TlsTest, AStrangerCannotMakeItReadForEver) {
    make(credentials("a"), credentials("b"));
    // Records that TLS 1.3 has to pass over, for the sake of older middleboxes.
    const std::string record("\x14\x03\x03\x00\x01\x01", 6);
    std::optional<std::string> outcome;
    std::size_t sent = 0;
    while (!outcome && sent < 1 << 20) {
        const ssize_t part = send(fds_[0].get(), record.data(), record.size(), MSG_DONTWAIT);
        sent += part > 0 ? static_cast<std::size_t>(part) : 0;
        step(*server_, outcome);
    }
    EXPECT_TRUE(outcome);
    EXPECT_LT(sent, 64U << 10);
}

TEST_F(TlsTest, WhatFollowsTheLastRecordIsLeftInTheSocket) {
    make(credentials("a"), credentials("b"));
    shake_hands();
    ASSERT_TRUE(server_->send(std::string("last")));
    const std::string next = "\x17\x03\x03 the kernel's";
    ASSERT_GT(send(fds_[1].get(), next.data(), next.size(), 0), 0);
    EXPECT_EQ(receive(*client_), "last");
    ASSERT_TRUE(client_->to_plain());
    EXPECT_EQ(raw(0), next);
}

TEST_F(TlsTest, ItIsNotLeftWithinARecord) {
    make(credentials("a"), credentials("b"));
    EXPECT_FALSE(client_->to_plain()) << "before the handshake";
    shake_hands();
    ASSERT_TRUE(server_->send(std::string("two parts")));
    std::array<char, 3> room{};
    ASSERT_EQ(client_->receive(room), 3U);
    EXPECT_FALSE(client_->to_plain()) << "GnuTLS holds the rest";
    EXPECT_EQ(receive(*client_), " parts");
    EXPECT_TRUE(client_->to_plain());
}

TEST_F(TlsTest, ItIsNotLeftWithinAHeader) {
    make(credentials("a"), credentials("b"));
    shake_hands();
    ASSERT_EQ(send(fds_[1].get(), "\x17\x03", 2, 0), 2);
    EXPECT_EQ(receive(*client_), "");
    EXPECT_FALSE(client_->to_plain());
}

}  // namespace
}  // namespace braid::sys
