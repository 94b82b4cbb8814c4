// SPDX-License-Identifier: GPL-2.0-or-later
#include "satellite/connection.h"

#include <sys/epoll.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <system_error>
#include <utility>

namespace braid::satellite {

namespace {

constexpr std::size_t length_bytes = 4;
constexpr std::size_t record_bytes = 16384;

std::string length_of(const std::string& message) {
    std::string bytes;
    for (std::size_t i = 0; i < length_bytes; i++) {
        bytes += static_cast<char>(message.size() >> (8 * i) & 0xff);
    }
    return bytes;
}

std::size_t read_length(const std::string& from) {
    std::size_t length = 0;
    for (std::size_t i = 0; i < length_bytes; i++) {
        length |= std::size_t{static_cast<unsigned char>(from[i])} << (8 * i);
    }
    return length;
}

}  // namespace

Connection::Connection(sys::EventLoop& loop, sys::Fd fd, sys::TlsSession::Role role,
                       std::shared_ptr<const sys::TlsCredentials> credentials,
                       sys::TlsSession::Check check, sys::EventLoop::Clock::duration deadline,
                       Callbacks callbacks)
    : loop_(loop),
      fd_(std::move(fd)),
      address_(sys::Address::of_peer(fd_.get())),
      tls_(role, std::move(credentials), fd_.get(), std::move(check)),
      callbacks_(std::move(callbacks)),
      deadline_(loop),
      stage_(role == sys::TlsSession::Role::client ? Stage::connecting : Stage::handshake) {
    loop_.watch(fd_.get(), stage_ == Stage::connecting ? EPOLLOUT : EPOLLIN,
                [this] { progress(); });
    deadline_.start(deadline, [this] {
        fail(stage_ == Stage::connecting ? "no answer" : "it took too long to say who it is");
    });
}

Connection::~Connection() {
    detach();
}

void Connection::progress() {
    if (stage_ == Stage::connecting) {
        if (const int number = sys::socket_error(fd_.get()); number != 0) {
            fail(std::generic_category().message(number));
            return;
        }
        address_ = sys::Address::of_peer(fd_.get());
        stage_ = Stage::handshake;
    }
    if (stage_ == Stage::handshake) {
        shake_hands();
        return;
    }
    working_ = true;
    receive();
    working_ = false;
    flush();
}

void Connection::shake_hands() {
    const auto done = tls_.handshake();
    if (!done && done.error().number != EAGAIN) {
        fail(done.error().message);
        return;
    }
    if (done) {
        stage_ = Stage::open;
        const auto call = callbacks_.ready;  // may be replaced by whoever is called
        call();
    }
    wait_for();
}

void Connection::receive() {
    std::array<char, record_bytes> room{};
    // Others have their turn after this many.
    for (int records = 0; fd_ && records < 16; records++) {
        const auto got = tls_.receive(room);
        if (!got) {
            if (got.error().number != EAGAIN) {
                fail(got.error().message);
            }
            return;
        }
        if (*got == 0) {
            fail("it closed the connection");
            return;
        }
        in_.append(room.data(), *got);
        if (!take_messages()) {
            return;
        }
    }
}

/// False once the connection has ended or is somebody else's.
bool Connection::take_messages() {
    while (in_.size() >= length_bytes) {
        const std::size_t length = read_length(in_);
        if (length > message_max_) {
            fail("it sends too long a message");
            return false;
        }
        if (in_.size() < length_bytes + length) {
            break;
        }
        std::string message = in_.substr(length_bytes, length);
        in_.erase(0, length_bytes + length);
        // By copy: whoever is called may hand the connection over.
        const auto call = callbacks_.message;
        call(std::move(message));
        if (!fd_) {
            return false;
        }
    }
    return true;
}

void Connection::send(const std::string& message) {
    if (!fd_) {
        return;
    }
    out_ += length_of(message) + message;
    if (out_.size() > backlog_max) {
        // Not from within the sender's call.
        deadline_.start({}, [this] { fail("it does not take what it is sent"); });
        return;
    }
    if (stage_ == Stage::open && !working_) {
        // Not at once: who sends several messages has them in one record, and is not called.
        wait_for();
    }
}

void Connection::flush() {
    if (!fd_ || stage_ != Stage::open) {
        return;
    }
    const bool waited = !out_.empty();
    while (!out_.empty()) {
        offered_ = offered_ == 0 ? std::min(out_.size(), record_bytes) : offered_;
        const auto sent = tls_.send(std::span(out_).first(offered_));
        if (!sent) {
            if (sent.error().number != EAGAIN) {
                fail(sent.error().message);
                return;
            }
            break;
        }
        offered_ = 0;
        out_.erase(0, *sent);
    }
    wait_for();
    if (waited && out_.empty() && callbacks_.sent) {
        const auto call = callbacks_.sent;
        call();
    }
}

void Connection::wait_for() {
    if (!fd_) {
        return;
    }
    const bool write = stage_ == Stage::open ? !out_.empty() : tls_.wants_write();
    const bool read = stage_ == Stage::open || !write;
    loop_.change(fd_.get(), (read ? unsigned{EPOLLIN} : 0U) | (write ? unsigned{EPOLLOUT} : 0U));
}

void Connection::settle() {
    deadline_.stop();
    message_max_ = message_max;
    if (fd_) {
        sys::set_tcp_timeout(fd_.get(), peer_timeout);
    }
}

void Connection::detach() {
    deadline_.stop();
    if (fd_) {
        loop_.forget(fd_.get());
    }
}

void Connection::close() {
    if (fd_) {
        if (stage_ == Stage::open) {
            tls_.bye();
        }
        detach();
        fd_.reset();
    }
}

void Connection::abort() {
    if (fd_) {
        sys::set_abort_on_close(fd_.get());
        detach();
        fd_.reset();
    }
}

void Connection::fail(const std::string& why) {
    if (!fd_) {
        return;
    }
    detach();
    fd_.reset();
    const auto call = callbacks_.closed;
    call(why);
}

sys::Result<sys::Fd> Connection::release(Transport transport) {
    if (!in_.empty() || !out_.empty()) {
        return tl::unexpected(sys::Error{EPROTO, "it sent more than its last message"});
    }
    const auto done = transport == Transport::ktls ? tls_.to_kernel() : tls_.to_plain();
    if (!done) {
        return tl::unexpected(done.error());
    }
    detach();
    return std::move(fd_);
}

}  // namespace braid::satellite
