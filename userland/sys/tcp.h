// SPDX-License-Identifier: GPL-2.0-or-later
//
// TCP sockets; none of these calls blocks.
#pragma once

#include <netinet/in.h>
#include <sys/socket.h>

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>

#include "sys/fd.h"
#include "sys/result.h"

namespace braid::sys {

/// An IPv4 or IPv6 address and a port.
class Address {
  public:
    /// `ip` as a number ("10.0.0.1", "fd00::1", "fe80::1%eth0"): names are not looked up, which
    /// would wait for the network. EINVAL names what is wrong.
    [[nodiscard]] static Result<Address> parse(const std::string& ip, std::uint16_t port);

    /// Of a socket: its own end, or its peer's.
    [[nodiscard]] static Address of_socket(int fd);
    [[nodiscard]] static Address of_peer(int fd);

    [[nodiscard]] const sockaddr* get() const {
        return reinterpret_cast<const sockaddr*>(&storage_);
    }
    [[nodiscard]] socklen_t size() const { return size_; }
    [[nodiscard]] int family() const { return storage_.ss_family; }
    [[nodiscard]] std::uint16_t port() const;
    [[nodiscard]] Address with_port(std::uint16_t port) const;

    /// "10.0.0.1", "fd00::1"; empty for no address.
    [[nodiscard]] std::string ip() const;
    /// "10.0.0.1:7700", "[fd00::1]:7700".
    [[nodiscard]] std::string text() const;

    /// Those who may share one host's share: the address, or an IPv6 network of 64 bits.
    [[nodiscard]] std::string neighbourhood() const;

  private:
    friend struct Accepted accept_tcp(int);

    sockaddr_storage storage_{};
    socklen_t size_ = 0;
};

/// A listening socket. The address need not exist yet: at boot it may come later.
[[nodiscard]] Result<Fd> listen_tcp(const Address& address);

struct Accepted {
    Fd fd;
    Address peer;
    /// 0, or the errno of accept(2); EAGAIN if nobody waits.
    int number = 0;
};
[[nodiscard]] Accepted accept_tcp(int listener);

/// Begins to connect; the socket is writable when that has ended. `from`'s port is not used.
[[nodiscard]] Result<Fd> connect_tcp(const Address& to, const std::optional<Address>& from);

/// How a connect ended, or why a socket failed: an errno or 0.
[[nodiscard]] int socket_error(int fd);

/// The socket's other end counts as gone after so long without an answer, also when nothing is
/// sent. Zero for the system's own, long times.
void set_tcp_timeout(int fd, std::chrono::milliseconds timeout);

/// From now on close() sends a reset and drops what was not sent.
void set_abort_on_close(int fd);

}  // namespace braid::sys
