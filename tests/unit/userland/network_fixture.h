// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <fcntl.h>
#include <gmock/gmock.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "satellite/network.h"
#include "satellite/pki.h"
#include "sys/file_content.h"
#include "sys/netlink_gen.h"
#include "temporary_directory.h"

namespace braid::test {

/// In the kernel's place: keeps the sockets that it is handed, and has one peer, node 1.
class FakeKernel final : public sys::Netlink {
  public:
    using Replies = sys::NetlinkResult<std::vector<sys::NetlinkMessage>>;

    struct Stream {
        std::uint64_t session;
        sys::Fd fd;
    };

    sys::NetlinkResult<std::uint16_t> resolve(std::string_view family) override {
        static_cast<void>(family);
        return std::uint16_t{0x20};
    }

    Replies transact(const sys::NetlinkMessage& request) override {
        namespace peer = netlink::attr::peer;
        if (request.command() == netlink::op::peer_retire.id) {
            if (retire_error != 0) {
                return refuse(retire_error);
            }
            retired.push_back(request.u32(peer::stream_id).value());
            streams.erase(streams.begin());
            return {};
        }
        EXPECT_EQ(request.command(), netlink::op::peer_connect.id);
        EXPECT_EQ(request.string(peer::name), "r0");
        EXPECT_EQ(request.u32(peer::node_id), 1U);
        if (connect_error != 0) {
            return refuse(connect_error);
        }
        const std::uint64_t session = request.u64(peer::session).value();
        if (session != this->session) {
            streams.clear();
            sessions++;
        }
        this->session = session;
        state = netlink::enums::link_state::connected;
        const int fd = static_cast<int>(request.u32(peer::fd).value());
        streams.push_back({session, sys::Fd(fcntl(fd, F_DUPFD_CLOEXEC, 0))});
        return {};
    }

    Replies dump(const sys::NetlinkMessage& request) override {
        namespace peer = netlink::attr::peer;
        static_cast<void>(request);
        std::vector<sys::NetlinkMessage> replies;
        auto& reply = replies.emplace_back(0x20, netlink::op::peer_get.id, std::uint8_t{1});
        reply.put(peer::name, std::string_view("r0"));
        reply.put(peer::node_id, std::uint32_t{1});
        reply.put(peer::link_state, static_cast<std::uint32_t>(state));
        reply.put(peer::session, session);
        reply.put(peer::lease_ms, std::uint32_t{0});
        reply.put(peer::streams, static_cast<std::uint32_t>(streams.size()));
        return replies;
    }

    void lose() {
        streams.clear();
        state = netlink::enums::link_state::disconnected;
    }

    std::vector<Stream> streams;
    std::vector<std::uint32_t> retired;
    std::uint64_t session = 0;
    std::uint64_t state = netlink::enums::link_state::disconnected;
    int sessions = 0;
    int connect_error = 0;
    int retire_error = 0;

  private:
    static Replies refuse(int number) {
        return tl::unexpected(
            sys::NetlinkError{sys::NetlinkError::Kind::refused, number, "as told", {}});
    }
};

inline std::chrono::sys_seconds now() {
    return std::chrono::floor<std::chrono::seconds>(std::chrono::system_clock::now());
}

/// Addresses of this process, so that tests can run side by side.
inline std::string network_of_test() {
    const auto pid = static_cast<unsigned>(getpid());
    return "127." + std::to_string(64 + pid / 256 % 128) + "." + std::to_string(pid % 256) + ".";
}

/// A node of a cluster whose nodes all live in this process.
struct Node {
    Node(sys::EventLoop& loop, std::string node_name, int number, std::string node_pem)
        : name(std::move(node_name)),
          ip(network_of_test() + std::to_string(number)),
          pem(std::move(node_pem)),
          client(kernel),
          seed(static_cast<std::uint64_t>(number) << 32),
          network(loop, client, pem, [this] { return ++seed * 0x9e3779b97f4a7c15; },
                  {[this](const std::string& peer) { up.push_back(peer); },
                   [this](const std::string& peer, const std::string&) { down.push_back(peer); },
                   [this](const std::string& peer, const std::string& message) {
                       messages.push_back(peer + ": " + message);
                   },
                   [this](const satellite::Subject& about, const std::string& text) {
                       log.push_back(about.resource + "/" + about.peer + ": " + text);
                   }}) {}

    [[nodiscard]] sys::Address address(std::uint16_t port = 7791) const {
        return sys::Address::parse(ip, port).value();
    }

    std::string name;
    std::string ip;
    std::string pem;
    FakeKernel kernel;
    sys::BraidClient client;
    std::uint64_t seed;
    std::vector<std::string> up;
    std::vector<std::string> down;
    std::vector<std::string> messages;
    std::vector<std::string> log;
    satellite::Network network;
};

class NetworkTest : public testing::Test {
  protected:
    NetworkTest() : pki_((root_.path() / "pki").string()) {
        rlimit files{};
        getrlimit(RLIMIT_NOFILE, &files);
        files.rlim_cur = files.rlim_max;
        setrlimit(RLIMIT_NOFILE, &files);
        EXPECT_TRUE(pki_.init("authority", sys::Existing::refuse, now()));
    }

    std::string issue(const std::string& node, std::chrono::sys_seconds at = now()) {
        std::string file = (root_.path() / (node + ".pem")).string();
        const auto bundle =
            sys::issue_certificate(sys::read_file(pki_.authority_file()).value(), node,
                                   {at - std::chrono::hours(1), at + std::chrono::hours(1)});
        EXPECT_TRUE(sys::write_file(file, bundle.value(), 0600, sys::Existing::replace));
        return file;
    }

    Node& add(const std::string& name) {
        const int number = static_cast<int>(nodes_.size()) + 1;
        return *nodes_.emplace_back(std::make_unique<Node>(loop_, name, number, issue(name)));
    }

    static satellite::PeerSettings peer(const Node& from, const Node& to) {
        return {to.name, {{from.address(), to.address()}}};
    }

    static satellite::NetworkSettings settings(const Node& of, const Node& other,
                                               bool link = false) {
        satellite::NetworkSettings made{of.name, {of.address()}, {peer(of, other)}, {}};
        if (link) {
            made.links.push_back(
                {"r0", other.name, 1, 2, satellite::Transport::plain, false, std::nullopt});
        }
        return made;
    }

    /// Both know each other.
    void join(Node& a, Node& b, bool link = false) {
        ASSERT_TRUE(a.network.apply(settings(a, b, link)));
        ASSERT_TRUE(b.network.apply(settings(b, a, link)));
    }

    template <class Condition>
    bool wait(Condition condition, std::chrono::seconds most = std::chrono::seconds(20)) {
        const auto end = sys::EventLoop::Clock::now() + most;
        while (!condition()) {
            if (sys::EventLoop::Clock::now() > end) {
                return false;
            }
            loop_.run_once(std::chrono::milliseconds(20));
        }
        return true;
    }

    static bool are_up(const Node& a, const Node& b) {
        const auto* forth = a.network.control(b.name);
        const auto* back = b.network.control(a.name);
        return forth != nullptr && back != nullptr && forth->is_up() && back->is_up();
    }

    static std::string why(const Node& node, const Node& peer) {
        return node.network.control(peer.name)->why();
    }

    /// What the listener has refused, as "node: why".
    static std::vector<std::string> refusals(const Node& node) {
        std::vector<std::string> texts;
        for (const auto& refusal : node.network.listener().refusals()) {
            texts.push_back(refusal.node + ": " + refusal.why);
        }
        return texts;
    }

    TemporaryDirectory root_;
    satellite::Pki pki_;
    sys::EventLoop loop_;
    std::vector<std::unique_ptr<Node>> nodes_;
};

}  // namespace braid::test
