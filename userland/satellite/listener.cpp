// SPDX-License-Identifier: GPL-2.0-or-later
#include "satellite/listener.h"

#include <sys/epoll.h>

#include <cerrno>
#include <utility>

namespace braid::satellite {

namespace {

/// Connections that are taken in one go; others have their turn in between.
constexpr int accept_batch = 128;

constexpr std::chrono::milliseconds no_descriptors_pause{100};

}  // namespace

Listener::~Listener() {
    for (const auto& [name, fd] : listening_) {
        loop_.forget(fd.get());
    }
}

sys::Result<void> Listener::listen(const std::vector<sys::Address>& addresses) {
    std::map<std::string, sys::Fd> kept;
    sys::Result<void> result;
    for (const sys::Address& address : addresses) {
        const std::string name = address.text();
        if (auto old = listening_.extract(name)) {
            kept.insert(std::move(old));
            continue;
        }
        auto fd = sys::listen_tcp(address);
        if (!fd) {
            result = result ? tl::unexpected(fd.error()) : result;
            continue;
        }
        loop_.watch(fd->get(), EPOLLIN, [this, number = fd->get()] { accept_some(number); });
        kept[name] = std::move(*fd);
    }
    for (const auto& [name, fd] : listening_) {
        loop_.forget(fd.get());
    }
    listening_ = std::move(kept);
    return result;
}

void Listener::expect(const std::vector<sys::Address>& peers) {
    peers_.clear();
    for (const sys::Address& peer : peers) {
        peers_.insert(peer.ip());
    }
}

void Listener::accept_some(int fd) {
    for (int i = 0; i < accept_batch; i++) {
        sys::Accepted accepted = sys::accept_tcp(fd);
        if (accepted.fd) {
            begin(std::move(accepted));
            continue;
        }
        if (accepted.number == EMFILE || accepted.number == ENFILE || accepted.number == ENOMEM ||
            accepted.number == ENOBUFS) {
            // Else the loop would do nothing but ask again.
            loop_.change(fd, 0);
            pause_.start(no_descriptors_pause, [this] {
                for (const auto& [name, listening] : listening_) {
                    loop_.change(listening.get(), EPOLLIN);
                }
            });
        }
        if (accepted.number != ECONNABORTED) {
            return;
        }
    }
}

void Listener::begin(sys::Accepted accepted) {
    const std::uint64_t id = ++next_;
    const bool peer = peers_.contains(accepted.peer.ip());
    const auto verdict =
        admission_.arrive(id, peer ? accepted.peer.ip() : accepted.peer.neighbourhood(), peer,
                          sys::EventLoop::Clock::now());
    if (verdict.instead_of) {
        turned_away_++;
        take(*verdict.instead_of)->abort();
    }
    auto credentials = callbacks_.credentials();
    if (!verdict.admitted || credentials == nullptr) {
        turned_away_++;
        admission_.leave(id);
        sys::set_abort_on_close(accepted.fd.get());
        return;
    }
    half_open_[id] = std::make_shared<Connection>(
        loop_, std::move(accepted.fd), sys::TlsSession::Role::server, std::move(credentials),
        callbacks_.check, deadline,
        Connection::Callbacks{
            [] {},
            [this, id](const std::string& message) { first_message(id, message); },
            {},
            [this, id](const std::string& why) { end(id, why); }});
}

std::shared_ptr<Connection> Listener::take(std::uint64_t id) {
    auto connection = std::move(half_open_.extract(id).mapped());
    admission_.leave(id);
    loop_.dispose(connection);
    return connection;
}

void Listener::note(const Connection& connection, const std::string& why) {
    const std::string ip = connection.address().ip();
    const auto now = std::chrono::system_clock::now();
    if (const Refusal* news = refusals_.note(ip, connection.peer().node, why, now)) {
        callbacks_.refused(*news);
    }
}

void Listener::end(std::uint64_t id, const std::string& why) {
    note(*take(id), why);
}

void Listener::first_message(std::uint64_t id, const std::string& message) {
    const auto connection = take(id);
    const auto hello = decode_hello(message);
    if (!hello) {
        note(*connection, hello.error().message);
        connection->close();
        return;
    }
    callbacks_.accepted(connection, *hello);
}

}  // namespace braid::satellite
