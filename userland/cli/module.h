// SPDX-License-Identifier: GPL-2.0-or-later
//
// The kernel module, told to change what it has: operations one after the other, each to its end.
#pragma once

#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include "cli/metadata.h"
#include "cli/verb.h"
#include "config/plan.h"
#include "sys/braid_client.h"
#include "sys/event_loop.h"

namespace braid::cli {

class Module {
  public:
    [[nodiscard]] static Attempt<std::unique_ptr<Module>> open(const Context& context);

    [[nodiscard]] sys::BraidClient& client() { return client_; }

    /// Returns when the operation has ended, or with why it failed or was not waited for any more.
    [[nodiscard]] Attempt<void> run(const config::Operation& operation);

    /// All of them in their order, up to the first that fails; the error says what was done and
    /// what was not.
    [[nodiscard]] Attempt<void> run(const std::vector<config::Operation>& operations);

  private:
    /// What events have told about the operation that is waited for.
    struct Heard {
        bool ended = false;  ///< by an event that is told once, at the end
        int error = 0;
        std::string cause;
    };

    Module(const Context& context, std::unique_ptr<sys::Netlink> netlink)
        : context_(context), netlink_(std::move(netlink)), client_(*netlink_) {}

    Attempt<void> subscribe();
    sys::ClientResult<void> start(const config::Operation& operation);
    Attempt<void> await(const config::Operation& operation);
    Attempt<bool> has_ended(const config::Operation& operation, Heard& heard);
    Attempt<bool> is_gone(const config::Operation& operation);
    Attempt<bool> disk_has_ended(const config::Operation& operation, Heard& heard);
    Attempt<bool> size_has_ended(const config::Operation& operation, Heard& heard);
    void listen(const config::Operation& operation, Heard& heard);

    const Context& context_;
    std::unique_ptr<sys::Netlink> netlink_;
    sys::BraidClient client_;
    /// From before the first operation whose end an event tells.
    std::unique_ptr<sys::NetlinkEvents> events_;
    sys::EventLoop loop_;
};

}  // namespace braid::cli
