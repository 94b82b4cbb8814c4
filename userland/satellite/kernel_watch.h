// SPDX-License-Identifier: GPL-2.0-or-later
//
// The module's events, also when the module comes later, goes, and comes back.
#pragma once

#include <functional>
#include <memory>

#include "sys/event_loop.h"
#include "sys/kernel_state.h"
#include "sys/netlink.h"

namespace braid::satellite {

class KernelWatch {
  public:
    using Open = std::function<sys::NetlinkResult<std::unique_ptr<sys::NetlinkEvents>>(
        const std::string& family, const std::string& group)>;

    struct Callbacks {
        std::function<void(const sys::KernelEvent&)> event;
        /// The module came or went, or events were lost: all may be otherwise.
        std::function<void()> changed;
        /// The module is there and its events cannot be had.
        std::function<void(const std::string& why)> failed;
    };

    KernelWatch(sys::EventLoop& loop, Open open, Callbacks callbacks);
    ~KernelWatch();
    KernelWatch(const KernelWatch&) = delete;
    KernelWatch& operator=(const KernelWatch&) = delete;

    /// Whether the module's events come.
    [[nodiscard]] bool is_open() const { return events_ != nullptr; }

  private:
    void open_families();
    void open_events();
    void take_events();
    void take_families();
    void close(std::unique_ptr<sys::NetlinkEvents>& events);

    sys::EventLoop& loop_;
    Open open_;
    Callbacks callbacks_;
    /// What tells of families that come and go.
    std::unique_ptr<sys::NetlinkEvents> families_;
    std::unique_ptr<sys::NetlinkEvents> events_;
    sys::Timer again_;
};

}  // namespace braid::satellite
