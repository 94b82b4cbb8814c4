// SPDX-License-Identifier: GPL-2.0-or-later
//
// What goes into the state machine of a member (events) and what comes out (actions).
#pragma once

#include <map>
#include <string>
#include <variant>

#include "membership/message.h"
#include "membership/plan.h"

namespace braid::membership {

// ---- events ----

/// As in kernel/spec/braid.yaml.
enum class Service : std::uint8_t {
    secondary,
    preparing,
    reconciling,
    serving,
    held,
    draining,
    failed,
    incoming,
    outgoing
};

/// Of a resync, from the writer's kernel; busy: from linking to flushing.
enum class SyncState : std::uint8_t { none, busy, done, joining };

enum class Stage : std::uint8_t {
    none,
    granted,
    draining,
    prepared,
    asked,
    handed_over,
    swapped,
};

/// A configuration that a kernel has adopted.
struct Adopted {
    Lineage lineage{};
    std::uint64_t epoch = 0;
    std::uint64_t id = 0;
    NodeId writer = no_node;
    std::map<NodeId, Instance> in_sync{};
};

/// A peer as this node's kernel sees it.
struct KernelPeer {
    bool connected = false;
    /// All its volumes have their disks.
    bool diskful = false;
    bool suspect = false;
    bool done = false;
    std::uint64_t epoch = 0;
    std::uint64_t id = 0;
    Instance instance = 0;
    SyncState sync = SyncState::none;
    /// Bytes that it lacks.
    std::uint64_t dirty = 0;
};

/// All of this node's kernel, taken anew after each of its events: no event may be missed for it to
/// be right. A witness has none of it (present is false).
struct KernelView {
    bool present = false;
    std::optional<Adopted> adopted{};
    Service service = Service::secondary;
    /// An administrator holds the I/O.
    bool suspended = false;
    bool done = false;
    bool diskful = false;
    bool suspect = false;
    Instance instance = 0;
    /// Epoch at which this node's replicas were last in sync; 0: never, or one was replaced.
    std::uint64_t last_epoch = 0;
    /// How often its devices are open.
    std::uint32_t opens = 0;
    /// Programs that wait for this node to become the writer, to open one of them for writing.
    std::uint32_t waiting_opens = 0;
    Stage stage = Stage::none;
    std::uint64_t grant = 0;
    /// Of this node's own replica.
    SyncState sync = SyncState::none;
    std::map<NodeId, KernelPeer> peers{};
};

/// A kernel operation was refused; `what` names it and the reason.
struct KernelRefused {
    std::string what;
    /// EBUSY of a demotion: a device is open.
    bool open = false;
};

struct PeerUp {
    NodeId node = 0;
};

struct PeerDown {
    NodeId node = 0;
};

struct PeerBytes {
    NodeId node = 0;
    Bytes bytes{};
};

/// The vote that was to be stored last is durable; or cannot be stored.
struct VoteStored {
    bool ok = true;
};

struct TimerExpired {};

/// An administrator wants this node to become nobody's Primary from now on; or lets it again.
struct Drained {
    bool on = false;
};

/// The fence command for a node has ended: `ok` promises that the node runs nothing any more.
struct Fenced {
    NodeId node = 0;
    bool ok = false;
};

enum class Verb : std::uint8_t {
    initialise,   ///< the register's first value; `seats`; `equal`: all replicas are equal already
    promote,      ///< `force`
    demote,       ///< `force`
    migrate,      ///< to `node`, within `deadline_ms`
    end_migrate,  ///< withdraws it
    add,          ///< `node` as `role`
    remove,       ///< `node`
    replace,      ///< `node` loses vote and replica and may come back with new ones
    resolve,      ///< a fork: drop what only `node`'s lineage has
};

struct Command {
    /// Returned with the reply.
    std::uint64_t number = 0;
    Verb verb = Verb::promote;
    NodeId node = no_node;
    Role role = Role::diskful;
    bool force = false;
    bool equal = false;
    std::uint32_t deadline_ms = 60000;
    std::vector<Seat> seats{};
};

using Event = std::variant<KernelView, KernelRefused, PeerUp, PeerDown, PeerBytes, VoteStored,
                           TimerExpired, Drained, Fenced, Command>;

/// When an event happens, and a random number for it.
struct Moment {
    /// CLOCK_BOOTTIME, ms.
    std::int64_t now_ms = 0;
    /// Since 1970; may jump. For people, and for deadlines of migrations.
    std::int64_t wall_ms = 0;
    std::uint64_t random = 0;
};

// ---- actions ----

struct Configure {
    Value value{};
    /// If the kernel has not adopted this lineage: the last epoch that it has in common with the
    /// one adopted, 0 if none is.
    std::optional<std::uint64_t> common;
};

struct Serve {
    std::uint64_t epoch = 0;
    NodeId reference = no_node;
};

struct Demote {
    bool force = false;
};

struct SyncStart {
    NodeId node = 0;
};

struct SyncJoin {
    NodeId node = 0;
};

struct Migrate {
    std::uint64_t epoch = 0;
    NodeId target = no_node;
    std::uint64_t grant = 0;
    std::uint32_t deadline_ms = 0;
};

struct MigrateEnd {
    std::uint64_t grant = 0;
};

/// Who waits to open a device is refused: this node does not become the writer now.
struct RefuseOpens {};

struct Send {
    NodeId to = no_node;
    Bytes bytes{};
};

/// Followed by a VoteStored; there is one at a time.
struct StoreVote {
    Bytes bytes{};
};

/// There is one timer; setting it replaces what was set.
struct SetTimer {
    std::int64_t after_ms = 0;
};

/// Followed by a Fenced.
struct Fence {
    NodeId node = no_node;
};

struct Reply {
    std::uint64_t command = 0;
    Cause cause = Cause::none;
    std::vector<NodeId> nodes{};
    /// For people: what is wrong, and what to do; empty if nothing is.
    std::string text{};
};

struct Journal {
    bool warning = false;
    std::string text{};
};

using Action = std::variant<Configure, Serve, Demote, SyncStart, SyncJoin, Migrate, MigrateEnd,
                            RefuseOpens, Send, StoreVote, SetTimer, Fence, Reply, Journal>;

/// Times in ms.
struct Options {
    std::int64_t lease_ms = 3000;
    /// What is unanswered is asked again.
    std::int64_t retry_ms = 500;
    /// A member that has not adopted a configuration by then counts as lost. Longer than a lease.
    std::int64_t adopt_ms = 8000;
    /// A command that has not succeeded by then fails.
    std::int64_t command_ms = 20000;
    /// How long replicas wait for a person before a caretaker makes them equal.
    std::int64_t caretaker_ms = 2000;
    /// After a loss of all power, how long a promotion waits for a replica that may have more
    /// before it is forced; 0: for ever.
    std::int64_t promote_after_ms = 0;
    /// Who opens a device for writing makes this node the writer, until all are closed.
    bool auto_promote = false;
    /// As the event of this name says, from the start.
    bool drained = false;
    /// Two nodes go on alone once the fence command has succeeded (R9).
    bool quorum_off = false;
    /// For messages; a node without one is called by its number.
    std::map<NodeId, std::string> names{};

    bool operator==(const Options&) const = default;
};

}  // namespace braid::membership
