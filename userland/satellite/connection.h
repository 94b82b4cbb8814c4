// SPDX-License-Identifier: GPL-2.0-or-later
//
// A TCP connection to another node: TLS, then messages, each a length (four bytes, lowest first)
// and so many bytes. Or messages until the socket is taken out, for the kernel.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <string>

#include "satellite/hello.h"
#include "sys/event_loop.h"
#include "sys/tcp.h"
#include "sys/tls.h"

namespace braid::satellite {

/// Bytes of the first messages, before it is known what the connection is for.
inline constexpr std::size_t first_message_max = 4096;
/// Bytes of a message between satellites.
inline constexpr std::size_t message_max = 1 << 20;
/// Bytes that wait to be sent before the peer counts as stuck.
inline constexpr std::size_t backlog_max = 8 << 20;

/// A peer that is silent for so long is gone.
inline constexpr std::chrono::seconds peer_timeout{6};

/// Kept by a shared_ptr, and disposed of by EventLoop::dispose().
class Connection {
  public:
    struct Callbacks {
        std::function<void()> ready;  ///< the peer is known and accepted
        std::function<void(std::string message)> message;
        std::function<void()> sent;  ///< nothing waits to be sent any more
        /// It has ended, with the reason; the last call. Not after close() or release().
        std::function<void(const std::string& why)> closed;
    };

    /// `fd` is connecting (client) or connected. Ends unless settle() is called within `deadline`.
    Connection(sys::EventLoop& loop, sys::Fd fd, sys::TlsSession::Role role,
               std::shared_ptr<const sys::TlsCredentials> credentials, sys::TlsSession::Check check,
               sys::EventLoop::Clock::duration deadline, Callbacks callbacks);
    ~Connection();
    Connection(const Connection&) = delete;
    Connection& operator=(const Connection&) = delete;

    void send(const std::string& message);

    /// From now on it lasts, and messages may be long.
    void settle();

    /// Ends it: what was sent may still arrive.
    void close();
    /// Ends it so that nothing more arrives.
    void abort();

    /// Takes the socket out of TLS and of this connection, to hand it to the kernel. Only after
    /// the last message in both directions, which message() and sent() tell.
    [[nodiscard]] sys::Result<sys::Fd> release(Transport transport);

    /// The certificate that the peer showed, once it did.
    [[nodiscard]] const sys::CertificateInfo& peer() const { return tls_.peer(); }
    [[nodiscard]] const sys::Address& address() const { return address_; }
    [[nodiscard]] std::string cipher() const { return tls_.cipher(); }

    /// Other callbacks from the next event on.
    void hand_to(Callbacks callbacks) { callbacks_ = std::move(callbacks); }

  private:
    enum class Stage { connecting, handshake, open };

    void progress();
    void shake_hands();
    void receive();
    bool take_messages();
    void flush();
    void wait_for();
    void fail(const std::string& why);
    void detach();

    sys::EventLoop& loop_;
    sys::Fd fd_;
    sys::Address address_;
    sys::TlsSession tls_;
    Callbacks callbacks_;
    sys::Timer deadline_;
    Stage stage_;
    std::size_t message_max_ = first_message_max;
    std::string in_;
    std::string out_;
    /// Of out_, what TLS was given and has to be given again.
    std::size_t offered_ = 0;
    bool working_ = false;
};

}  // namespace braid::satellite
