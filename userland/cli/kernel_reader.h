// SPDX-License-Identifier: GPL-2.0-or-later
//
// What the module says, for verbs: read as a whole, and followed by its events.
#pragma once

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "cli/states.h"
#include "cli/verb.h"
#include "sys/braid_client.h"

namespace braid::cli {

class KernelReader {
  public:
    /// Fails where the module is not loaded; asking does not load it.
    [[nodiscard]] static sys::Result<KernelReader, Failure> open(const Context& context);

    /// One resource, or all where it is empty, as they were at one moment each.
    [[nodiscard]] sys::Result<std::vector<ResourceView>, Failure> read(
        const std::string& resource = {});

  private:
    explicit KernelReader(std::unique_ptr<sys::Netlink> netlink)
        : netlink_(std::move(netlink)), client_(std::make_unique<sys::BraidClient>(*netlink_)) {}

    std::unique_ptr<sys::Netlink> netlink_;
    std::unique_ptr<sys::BraidClient> client_;  // not in place: it refers to netlink_
};

/// The module's events. To miss none, open it before the first read().
class KernelWatch {
  public:
    struct Batch {
        std::vector<sys::KernelEvent> events{};
        bool lost = false;  ///< some did not fit: anything may have changed
    };

    [[nodiscard]] static sys::Result<KernelWatch, Failure> open(const Context& context);

    /// Waits for events; nothing if there was none until `until` (never, if empty).
    using Clock = std::chrono::steady_clock;
    [[nodiscard]] sys::Result<std::optional<Batch>, Failure> wait(
        std::optional<Clock::time_point> until);

  private:
    explicit KernelWatch(std::unique_ptr<sys::NetlinkEvents> events) : events_(std::move(events)) {}

    std::unique_ptr<sys::NetlinkEvents> events_;
};

/// A resource's node as the configuration names it; "node-1" where that cannot be read, or has
/// none.
[[nodiscard]] NodeName node_names(const std::string& config_file);

}  // namespace braid::cli
