// SPDX-License-Identifier: GPL-2.0-or-later
#include "sys/tcp.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <netdb.h>
#include <netinet/tcp.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <system_error>

namespace braid::sys {

namespace {

tl::unexpected<Error> failure(const char* what, const Address& address) {
    const int number = errno;
    return tl::unexpected(Error{number, fmt::format("{} {}: {}", what, address.text(),
                                                    std::generic_category().message(number))});
}

void set(int fd, int level, int option, int value) {
    // Only known options: they cannot fail.
    setsockopt(fd, level, option, &value, sizeof(value));
}

Fd tcp_socket(int family) {
    return Fd(socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, IPPROTO_TCP));
}

}  // namespace

Result<Address> Address::parse(const std::string& ip, std::uint16_t port) {
    addrinfo hints{};
    hints.ai_flags = AI_NUMERICHOST;
    hints.ai_socktype = SOCK_STREAM;
    addrinfo* found = nullptr;
    if (getaddrinfo(ip.c_str(), nullptr, &hints, &found) != 0) {
        return tl::unexpected(
            Error{EINVAL, fmt::format("'{}' is not an IPv4 or IPv6 address in numbers", ip)});
    }
    Address address;
    address.size_ = found->ai_addrlen;
    std::memcpy(&address.storage_, found->ai_addr, found->ai_addrlen);
    freeaddrinfo(found);
    return address.with_port(port);
}

Address Address::of_socket(int fd) {
    Address address;
    address.size_ = sizeof(address.storage_);
    getsockname(fd, reinterpret_cast<sockaddr*>(&address.storage_), &address.size_);
    return address;
}

Address Address::of_peer(int fd) {
    Address address;
    address.size_ = sizeof(address.storage_);
    getpeername(fd, reinterpret_cast<sockaddr*>(&address.storage_), &address.size_);
    return address;
}

std::uint16_t Address::port() const {
    // At the same place in both families.
    return ntohs(reinterpret_cast<const sockaddr_in*>(&storage_)->sin_port);
}

Address Address::with_port(std::uint16_t port) const {
    Address copy = *this;
    reinterpret_cast<sockaddr_in*>(&copy.storage_)->sin_port = htons(port);
    return copy;
}

std::string Address::ip() const {
    std::array<char, NI_MAXHOST> name{};
    if (getnameinfo(get(), size_, name.data(), name.size(), nullptr, 0, NI_NUMERICHOST) != 0) {
        return {};
    }
    return name.data();
}

std::string Address::text() const {
    return family() == AF_INET6 ? fmt::format("[{}]:{}", ip(), port())
                                : fmt::format("{}:{}", ip(), port());
}

std::string Address::neighbourhood() const {
    if (family() != AF_INET6) {
        return ip();
    }
    Address network = *this;
    auto* v6 = reinterpret_cast<sockaddr_in6*>(&network.storage_);
    if (IN6_IS_ADDR_LINKLOCAL(&v6->sin6_addr)) {
        return ip();  // all of them are in one network
    }
    std::fill(std::begin(v6->sin6_addr.s6_addr) + 8, std::end(v6->sin6_addr.s6_addr), 0);
    return network.ip() + "/64";
}

Result<Fd> listen_tcp(const Address& address) {
    Fd fd = tcp_socket(address.family());
    if (!fd) {
        return failure("no socket for", address);
    }
    set(fd.get(), SOL_SOCKET, SO_REUSEADDR, 1);
    set(fd.get(), IPPROTO_IP, IP_FREEBIND, 1);
    if (address.family() == AF_INET6) {
        set(fd.get(), IPPROTO_IPV6, IPV6_V6ONLY, 1);
    }
    if (bind(fd.get(), address.get(), address.size()) != 0 || listen(fd.get(), SOMAXCONN) != 0) {
        return failure("cannot listen at", address);
    }
    return fd;
}

Accepted accept_tcp(int listener) {
    Accepted accepted;
    accepted.peer.size_ = sizeof(accepted.peer.storage_);
    accepted.fd = Fd(accept4(listener, reinterpret_cast<sockaddr*>(&accepted.peer.storage_),
                             &accepted.peer.size_, SOCK_NONBLOCK | SOCK_CLOEXEC));
    if (accepted.fd) {
        set(accepted.fd.get(), IPPROTO_TCP, TCP_NODELAY, 1);
    } else {
        accepted.number = errno;
    }
    return accepted;
}

Result<Fd> connect_tcp(const Address& to, const std::optional<Address>& from) {
    Fd fd = tcp_socket(to.family());
    if (!fd) {
        return failure("no socket for", to);
    }
    set(fd.get(), IPPROTO_TCP, TCP_NODELAY, 1);
    if (from) {
        // Ports are chosen when connecting, so that one serves for several peers.
        set(fd.get(), IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, 1);
        const Address own = from->with_port(0);
        if (bind(fd.get(), own.get(), own.size()) != 0) {
            return failure("cannot connect from", own);
        }
    }
    if (connect(fd.get(), to.get(), to.size()) != 0 && errno != EINPROGRESS) {
        return failure("cannot connect to", to);
    }
    return fd;
}

int socket_error(int fd) {
    int number = 0;
    socklen_t size = sizeof(number);
    getsockopt(fd, SOL_SOCKET, SO_ERROR, &number, &size);
    return number;
}

void set_tcp_timeout(int fd, std::chrono::milliseconds timeout) {
    const int on = timeout.count() > 0 ? 1 : 0;
    set(fd, SOL_SOCKET, SO_KEEPALIVE, on);
    set(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, static_cast<int>(timeout.count()));
    if (on != 0) {
        // In seconds, which is as fine as it gets; the first after a third of the time.
        const int third = std::max(1, static_cast<int>(timeout.count() / 3000));
        set(fd, IPPROTO_TCP, TCP_KEEPIDLE, third);
        set(fd, IPPROTO_TCP, TCP_KEEPINTVL, third);
        set(fd, IPPROTO_TCP, TCP_KEEPCNT, 3);
    }
}

void set_abort_on_close(int fd) {
    const linger now{1, 0};
    setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
}

}  // namespace braid::sys
