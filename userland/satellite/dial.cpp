// SPDX-License-Identifier: GPL-2.0-or-later
#include "satellite/dial.h"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <utility>

namespace braid::satellite {

void DialGate::enter(const void* who, std::function<void()> pass) {
    if (inside_ < most) {
        inside_++;
        pass();
    } else {
        waiting_.push_back({who, std::move(pass)});
    }
}

void DialGate::leave(const void* who) {
    const auto waiting = std::ranges::find(waiting_, who, &Waiting::who);
    if (waiting != waiting_.end()) {
        waiting_.erase(waiting);
        return;
    }
    if (waiting_.empty()) {
        inside_--;
        return;
    }
    const auto pass = std::move(waiting_.front().pass);  // takes the place of who leaves
    waiting_.pop_front();
    pass();
}

Dial::Dial(sys::EventLoop& loop, DialGate& gate, std::shared_ptr<const sys::TlsCredentials> own,
           To to, Done done)
    : loop_(loop),
      gate_(gate),
      own_(std::move(own)),
      to_(std::move(to)),
      done_(std::move(done)),
      start_(loop) {
    // begin() may fail, and is not to call back from here.
    gate_.enter(this, [this] { start_.start({}, [this] { begin(); }); });
}

Dial::~Dial() {
    if (connection_) {
        connection_->abort();
        loop_.dispose(std::move(connection_));
    }
    if (inside_) {
        gate_.leave(this);
    }
}

void Dial::begin() {
    auto fd = sys::connect_tcp(to_.path.remote, to_.path.local);
    if (!fd) {
        fail(fd.error().message);
        return;
    }
    connection_ = std::make_shared<Connection>(
        loop_, std::move(*fd), sys::TlsSession::Role::client, own_,
        [peer = to_.peer](const sys::CertificateInfo& shown) {
            return shown.node == peer ? std::string()
                                      : fmt::format("node {} answers there", shown.node);
        },
        deadline,
        Connection::Callbacks{[this] { connection_->send(encode(to_.hello)); },
                              [this](const std::string& message) { answered(message); },
                              {},
                              [this](const std::string& why) { fail(why); }});
}

void Dial::answered(const std::string& message) {
    const auto answer = decode_answer(message);
    if (!answer) {
        fail(answer.error().message);
    } else if (!answer->refusal.empty()) {
        fail("it refuses: " + answer->refusal);
    } else {
        finish(std::exchange(connection_, nullptr));
    }
}

void Dial::fail(const std::string& why) {
    finish(tl::unexpected(sys::Error{ECONNREFUSED, fmt::format("{}: {}", to_.path.text(), why)}));
}

/// Its last act: whoever is called may destroy this.
void Dial::finish(sys::Result<std::shared_ptr<Connection>> result) {
    if (connection_) {
        connection_->close();
        loop_.dispose(std::move(connection_));
    }
    inside_ = false;
    gate_.leave(this);
    const Done done = std::move(done_);
    done(std::move(result));
}

}  // namespace braid::satellite
