// SPDX-License-Identifier: GPL-2.0-or-later
#include "satellite/kernel_watch.h"

#include <sys/epoll.h>

#include <chrono>

#include "sys/netlink_gen.h"

namespace braid::satellite {

namespace {

constexpr const char* controller_family = "nlctrl";
constexpr const char* controller_group = "notify";
constexpr const char* events_group = "events";
/// What cannot be opened is tried again after this.
constexpr std::chrono::seconds again{2};

}  // namespace

KernelWatch::KernelWatch(sys::EventLoop& loop, Open open, Callbacks callbacks)
    : loop_(loop), open_(std::move(open)), callbacks_(std::move(callbacks)), again_(loop) {
    open_families();
    open_events();
}

KernelWatch::~KernelWatch() {
    close(families_);
    close(events_);
}

void KernelWatch::close(std::unique_ptr<sys::NetlinkEvents>& events) {
    if (events) {
        loop_.forget(events->fd());
        events.reset();
    }
}

void KernelWatch::open_families() {
    auto opened = open_(controller_family, controller_group);
    if (opened) {
        families_ = std::move(*opened);
        loop_.watch(families_->fd(), EPOLLIN, [this] { take_families(); });
    }
}

/// A module that is loaded again is another family: the group it had is gone with it.
void KernelWatch::open_events() {
    close(events_);
    auto opened = open_(std::string(netlink::family_name), events_group);
    if (opened) {
        events_ = std::move(*opened);
        loop_.watch(events_->fd(), EPOLLIN, [this] { take_events(); });
    } else if (opened.error().kind != sys::NetlinkError::Kind::no_family) {
        callbacks_.failed(opened.error().cause());
    }
    if (!events_ && (!families_ || opened.error().kind != sys::NetlinkError::Kind::no_family)) {
        again_.start(again, [this] {
            open_events();
            callbacks_.changed();
        });
    }
}

void KernelWatch::take_families() {
    // Which one it was does not matter: they come and go with modules.
    (void)families_->receive();
    open_events();
    callbacks_.changed();
}

void KernelWatch::take_events() {
    const auto messages = events_->receive();
    if (!messages) {
        if (messages.error().kind != sys::NetlinkError::Kind::lost) {
            open_events();
        }
        callbacks_.changed();
        return;
    }
    bool lost = false;
    for (const sys::NetlinkMessage& message : *messages) {
        const auto event = sys::decode_event(message);
        if (event) {
            callbacks_.event(*event);
        } else {
            lost = true;
        }
    }
    if (lost) {
        callbacks_.changed();
    }
}

}  // namespace braid::satellite
