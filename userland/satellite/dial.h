// SPDX-License-Identifier: GPL-2.0-or-later
//
// One attempt to connect to a peer, up to its answer.
#pragma once

#include <deque>
#include <functional>
#include <memory>
#include <string>

#include "satellite/connection.h"

namespace braid::satellite {

/// A way to a peer.
struct Path {
    sys::Address local;  ///< the port does not matter
    sys::Address remote;

    [[nodiscard]] std::string text() const { return local.ip() + " -> " + remote.text(); }
};

/// How many attempts to one peer run at once: many resources that connect together must not look
/// like a flood to it.
class DialGate {
  public:
    static constexpr std::size_t most = 8;

    /// `pass` is called at once, or when another has left.
    void enter(const void* who, std::function<void()> pass);
    void leave(const void* who);

  private:
    struct Waiting {
        const void* who;
        std::function<void()> pass;
    };

    std::size_t inside_ = 0;
    std::deque<Waiting> waiting_;
};

class Dial {
  public:
    static constexpr std::chrono::seconds deadline{5};

    struct To {
        std::string peer;
        Path path;
        Hello hello;
    };
    /// The accepted connection, whose callbacks are the receiver's to set; or why there is none.
    /// Never called from within the constructor.
    using Done = std::function<void(sys::Result<std::shared_ptr<Connection>>)>;

    Dial(sys::EventLoop& loop, DialGate& gate, std::shared_ptr<const sys::TlsCredentials> own,
         To to, Done done);
    /// Gives it up.
    ~Dial();
    Dial(const Dial&) = delete;
    Dial& operator=(const Dial&) = delete;

  private:
    void begin();
    void answered(const std::string& message);
    void finish(sys::Result<std::shared_ptr<Connection>> result);
    void fail(const std::string& why);

    sys::EventLoop& loop_;
    DialGate& gate_;
    std::shared_ptr<const sys::TlsCredentials> own_;
    To to_;
    Done done_;
    sys::Timer start_;
    std::shared_ptr<Connection> connection_;
    bool inside_ = true;
};

}  // namespace braid::satellite
