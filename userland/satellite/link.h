// SPDX-License-Identifier: GPL-2.0-or-later
//
// The streams of one resource to one peer: made here, used by the kernel.
//
// A connection is a session: a random number that both kernels are given with each of its
// streams. The node that connects (the one with the lower name) draws it, and makes the streams
// one after the other. When the kernel gives the session up, there is a new one. A stream whose
// key was used enough is replaced under the same session by the node whose kernel says so.
#pragma once

#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "satellite/control.h"
#include "sys/braid_client.h"

namespace braid::satellite {

struct LinkSettings {
    std::string resource;
    std::string peer;
    std::uint32_t node = 0;  ///< the peer's id in the resource
    std::uint32_t streams = 2;
    Transport transport = Transport::ktls;
    bool checksums = false;
    std::optional<std::uint64_t> key_limit;

    bool operator==(const LinkSettings&) const = default;
};

class Link {
  public:
    struct Environment {
        sys::EventLoop& loop;
        sys::BraidClient& kernel;
        CredentialsFile& credentials;
        /// Random numbers > 0.
        std::function<std::uint64_t()> session;
        std::function<double()> random;
        /// A state change or a failure, in words.
        std::function<void(const std::string&)> log;
    };

    /// `control` is the peer's, and outlives this.
    Link(Environment environment, Control& control, LinkSettings settings);
    ~Link();
    Link(const Link&) = delete;
    Link& operator=(const Link&) = delete;

    [[nodiscard]] const LinkSettings& settings() const { return settings_; }
    [[nodiscard]] std::uint64_t session() const { return session_; }
    [[nodiscard]] bool is_up() const { return up_; }
    /// Why it is not up; empty if it is, or was not tried yet.
    [[nodiscard]] const std::string& why() const { return why_; }

    /// Looks how the kernel's connection is: at an event about it, or when events were lost.
    void refresh();

    /// The kernel's event key-use: replaces the stream.
    void key_used(std::uint32_t stream);

    /// A stream that the peer offers. Takes the connection, or says why not.
    [[nodiscard]] std::string offered(const std::shared_ptr<Connection>& offer,
                                      const StreamHello& hello);

    void network_changed();

  private:
    struct Replacement {
        std::uint32_t stream = 0;
        bool made = false;  ///< the other stream was handed over; this one is to be retired
    };

    void begin();
    void dial();
    void dialled(sys::Result<std::shared_ptr<Connection>> result, const StreamHello& hello);
    bool hand_over(Connection& connection, const StreamHello& hello);
    void made(std::uint32_t number);
    void failed(const std::string& why);
    void lost();
    void wait(sys::EventLoop::Clock::duration pause, std::function<void()> then);
    void retire();
    [[nodiscard]] std::string objection(const StreamHello& hello);
    std::shared_ptr<Connection> take(const Connection* connection);
    [[nodiscard]] std::optional<sys::PeerState> look();

    Environment env_;
    Control& control_;
    LinkSettings settings_;
    Redial redial_;
    sys::Timer again_;
    sys::Timer retire_again_;
    std::unique_ptr<Dial> dial_;
    /// Between the answer and the hand-over.
    std::vector<std::shared_ptr<Connection>> handing_;
    std::uint64_t session_ = 0;
    /// Streams of the session that this node has made.
    std::uint32_t made_ = 0;
    bool up_ = false;
    bool waiting_ = false;
    std::deque<Replacement> replacements_;
    std::string why_;
    std::string logged_;
};

}  // namespace braid::satellite
