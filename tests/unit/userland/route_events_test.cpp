// SPDX-License-Identifier: GPL-2.0-or-later
#include "sys/route_events.h"

#include <gmock/gmock.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include <cerrno>
#include <functional>

namespace braid::sys {
namespace {

/// What the child ends with where there are no namespaces for it.
constexpr int forbidden = 77;

/// In a process of its own with a network of its own; 0, or what of it failed.
int in_own_network(const std::function<int()>& test) {
    const pid_t child = fork();
    if (child == 0) {
        const bool own = unshare(CLONE_NEWNET) == 0 || unshare(CLONE_NEWUSER | CLONE_NEWNET) == 0;
        _exit(own ? test() : forbidden);
    }
    int status = 0;
    waitpid(child, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
}

bool set_loopback_mtu(int mtu) {
    const Fd socket(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    ifreq request{};
    request.ifr_name[0] = 'l';
    request.ifr_name[1] = 'o';
    request.ifr_mtu = mtu;
    return ioctl(socket.get(), SIOCSIFMTU, &request) == 0;
}

bool set_loopback(bool up) {
    const Fd socket(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    ifreq request{};
    request.ifr_name[0] = 'l';
    request.ifr_name[1] = 'o';
    request.ifr_flags = static_cast<short>(up ? IFF_UP : 0);
    return ioctl(socket.get(), SIOCSIFFLAGS, &request) == 0;
}

bool readable(const RouteEvents& events, int ms) {
    pollfd poll{events.fd(), POLLIN, 0};
    return ::poll(&poll, 1, ms) == 1;
}

#define SKIP_IF_FORBIDDEN(result)                                \
    if ((result) == forbidden) {                                 \
        GTEST_SKIP() << "network namespaces are forbidden here"; \
    }                                                            \
    ASSERT_EQ(result, 0)

TEST(RouteEvents, TellsThatAnInterfaceComesAndGoes) {
    const int result = in_own_network([] {
        const auto events = RouteEvents::open();
        if (!events || events->drain() || readable(*events, 0)) {
            return 1;
        }
        // Of the interface alone.
        if (!set_loopback_mtu(1400) || !readable(*events, 10000) || !events->drain()) {
            return 5;
        }
        if (!set_loopback(true) || !readable(*events, 10000) || !events->drain()) {
            return 2;
        }
        if (events->drain()) {
            return 3;
        }
        return set_loopback(false) && readable(*events, 10000) && events->drain() ? 0 : 4;
    });
    SKIP_IF_FORBIDDEN(result);
}

TEST(RouteEvents, WhatIsLostIsAChange) {
    const int result = in_own_network([] {
        const auto events = RouteEvents::open();
        const int least = 1;
        setsockopt(events->fd(), SOL_SOCKET, SO_RCVBUF, &least, sizeof(least));
        for (int i = 0; i < 50; i++) {
            if (!set_loopback(true) || !set_loopback(false)) {
                return 1;
            }
        }
        char byte = 0;
        if (recv(events->fd(), &byte, 1, MSG_PEEK) >= 0 || errno != ENOBUFS) {
            return 2;  // nothing was lost: this test would be worth nothing
        }
        // That the error was taken is what drain() would have seen first; the next ones overflow
        // again.
        for (int i = 0; i < 50; i++) {
            set_loopback(true);
            set_loopback(false);
        }
        return events->drain() && !events->drain() ? 0 : 3;
    });
    SKIP_IF_FORBIDDEN(result);
}

}  // namespace
}  // namespace braid::sys
