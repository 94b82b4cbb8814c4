// SPDX-License-Identifier: GPL-2.0-or-later
#include "sys/route_events.h"

#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <sys/socket.h>

#include <cerrno>
#include <system_error>

namespace braid::sys {

Result<RouteEvents> RouteEvents::open() {
    sockaddr_nl address{};
    address.nl_family = AF_NETLINK;
    address.nl_groups = RTMGRP_LINK | RTMGRP_IPV4_IFADDR | RTMGRP_IPV6_IFADDR;
    Fd fd(socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_ROUTE));
    if (!fd || bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0) {
        const int number = errno;
        return tl::unexpected(Error{number, std::string("cannot hear of changes of interfaces: ") +
                                                std::generic_category().message(number)});
    }
    return RouteEvents(std::move(fd));
}

bool RouteEvents::drain() const {
    bool changed = false;
    for (;;) {
        sockaddr_nl sender{};
        socklen_t size = sizeof(sender);
        char first = 0;  // that there is a message is all that is of interest
        if (recvfrom(socket_.get(), &first, sizeof(first), 0, reinterpret_cast<sockaddr*>(&sender),
                     &size) >= 0) {
            // Root's processes may send to this socket; only the kernel has port 0.
            changed = changed || sender.nl_pid == 0;
        } else if (errno == ENOBUFS) {
            changed = true;
        } else if (errno != EINTR) {
            return changed;
        }
    }
}

}  // namespace braid::sys
