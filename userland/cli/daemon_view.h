// SPDX-License-Identifier: GPL-2.0-or-later
//
// What the node daemon knows beyond the kernel: its answer to the request "show".
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "cli/verb.h"

namespace braid::cli {

/// Why something is not possible, or waits; cause "none" where there is nothing.
struct DaemonReason {
    std::string cause = "none";
    std::string text{};  ///< with what to do
};

struct DaemonMember {
    std::string name{};
    std::uint32_t node = 0;
    std::string role{};  ///< diskful, diskless or witness
    bool in_sync = false;
    std::uint64_t joined = 0;  ///< epoch in which its replica came in sync
    bool up = false;
    bool votes = false;
    bool diskful = false;  ///< its disks are attached
    bool suspect = false;
    std::uint64_t epoch = 0;  ///< of its kernel's configuration
};

/// A lineage that ended where the one of now, or one in between, began.
struct DaemonAncestor {
    std::string lineage{};
    std::uint64_t epoch = 0;  ///< the last one that was taken over
    std::string id{};         ///< of that
    std::int64_t ended = 0;   ///< seconds since 1970
    bool complete = false;    ///< with all that was acknowledged
    bool discarded = false;   ///< its own changes were dropped
};

/// A peer whose replica has another history (R8).
struct DaemonFork {
    std::string name{};
    std::string relation{};
    std::string lineage{};
    std::uint64_t epoch = 0;  ///< where they parted; 0: not known
    std::int64_t age_ms = 0;
    std::uint64_t ours = 0;    ///< bytes that the other lacks
    std::uint64_t theirs = 0;  ///< and the other way round
};

struct DaemonResource {
    std::string name{};
    std::uint32_t node = 0;
    std::string role{};
    bool ready = false;
    std::string why{};        ///< it is not
    std::string lineage{};    ///< empty: none is known
    std::uint64_t epoch = 0;  ///< 0: none is known
    std::string id{};
    std::optional<std::string> writer{};
    DaemonReason promotion{};
    DaemonReason held{};
    std::vector<DaemonMember> members{};
    std::vector<DaemonFork> forks{};
    std::vector<DaemonAncestor> history{};  ///< newest first
};

struct DaemonPeer {
    std::string name{};
    bool connected = false;
    std::string why{};  ///< it is not
    std::string address{};
};

/// Somebody who was not let in.
struct DaemonRefusal {
    std::string address{};
    std::string node{};
    std::string why{};
    std::uint64_t count = 0;
    std::int64_t last = 0;  ///< seconds since 1970
};

struct DaemonView {
    std::string node{};
    std::vector<DaemonResource> resources{};
    std::vector<DaemonPeer> peers{};
    std::vector<DaemonRefusal> refusals{};

    [[nodiscard]] const DaemonResource* resource(const std::string& name) const;
    [[nodiscard]] const DaemonPeer* peer(const std::string& name) const;
};

/// Asks, for two seconds at most.
[[nodiscard]] sys::Result<DaemonView, Failure> ask_daemon_view(const Context& context);

}  // namespace braid::cli
