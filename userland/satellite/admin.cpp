// SPDX-License-Identifier: GPL-2.0-or-later
#include "satellite/admin.h"

#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>

#include "sys/local_socket.h"

namespace braid::satellite {

namespace {

constexpr std::chrono::milliseconds accept_pause{100};

}  // namespace

Admin::~Admin() {
    for (const auto& [id, connection] : connections_) {
        loop_.forget(connection.fd.get());
    }
    if (listening_) {
        loop_.forget(listening_.get());
        ::unlink(path_.c_str());
    }
}

sys::Result<void> Admin::listen(const std::string& path) {
    auto fd = sys::listen_local(path);
    if (!fd) {
        return tl::unexpected(fd.error());
    }
    path_ = path;
    listening_ = std::move(*fd);
    loop_.watch(listening_.get(), EPOLLIN, [this] { accept(); });
    return {};
}

/// Only this user and root get in by the socket's mode; the mode can be changed, so look again.
void Admin::accept() {
    auto fd = sys::accept_local(listening_);
    if (!fd) {
        // Out of descriptors, say: else the loop would do nothing but ask again.
        loop_.change(listening_.get(), 0);
        pause_.start(accept_pause, [this] { loop_.change(listening_.get(), EPOLLIN); });
        return;
    }
    if (!*fd) {
        return;
    }
    const auto user = sys::peer_user(*fd);
    if (!user || (*user != 0 && *user != ::geteuid()) || connections_.size() >= connections_max) {
        return;
    }
    const Id id = ++next_;
    const int number = fd->get();
    connections_[id].fd = std::move(*fd);
    loop_.watch(number, EPOLLIN, [this, id] { ready(id); });
}

void Admin::ready(Id id) {
    const auto found = connections_.find(id);
    if (found == connections_.end()) {
        return;
    }
    if (!read(found->second) || !write(found->second)) {
        drop(id);
        return;
    }
    next(id);
}

/// False when the other end has gone, or says too much.
bool Admin::read(Connection& connection) {
    std::array<char, 4096> part{};
    for (;;) {
        const ssize_t got = ::recv(connection.fd.get(), part.data(), part.size(), MSG_DONTWAIT);
        if (got < 0) {
            return errno == EAGAIN || errno == EINTR;
        }
        if (got == 0) {
            return false;
        }
        connection.input.append(part.data(), static_cast<std::size_t>(got));
        if (connection.input.size() > request_max) {
            return false;
        }
    }
}

bool Admin::write(Connection& connection) {
    while (!connection.output.empty()) {
        const ssize_t sent = ::send(connection.fd.get(), connection.output.data(),
                                    connection.output.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
        if (sent < 0 && errno == EAGAIN) {
            break;
        }
        if (sent < 0 && errno != EINTR) {
            return false;
        }
        connection.output.erase(0, sent < 0 ? 0 : static_cast<std::size_t>(sent));
    }
    const bool more = !connection.output.empty();
    loop_.change(connection.fd.get(), more ? EPOLLIN | EPOLLOUT : EPOLLIN);
    return true;
}

void Admin::next(Id id) {
    Connection& connection = connections_.at(id);
    const auto end = connection.input.find('\n');
    if (connection.busy || !connection.output.empty() || end == std::string::npos) {
        return;
    }
    const std::string line = connection.input.substr(0, end);
    connection.input.erase(0, end + 1);
    connection.busy = true;
    asked_(id, line);
}

void Admin::answer(Id id, const std::string& line) {
    const auto found = connections_.find(id);
    if (found == connections_.end()) {
        return;
    }
    found->second.busy = false;
    found->second.output += line + '\n';
    // From the loop: the receiver may be in the middle of something.
    loop_.change(found->second.fd.get(), EPOLLIN | EPOLLOUT);
}

void Admin::drop(Id id) {
    loop_.forget(connections_.at(id).fd.get());
    connections_.erase(id);
}

}  // namespace braid::satellite
