// SPDX-License-Identifier: GPL-2.0-or-later
//
// Which replicas a new writer takes along, and which of them the others are made equal to: R4, R4a
// and R5.
#pragma once

#include <map>

#include "membership/value.h"

namespace braid::membership {

/// Why something cannot be done, or does not go on.
enum class Cause : std::uint8_t {
    none,
    not_member,         ///< this node is no member of the resource
    no_register,        ///< there is no value yet: initialise the resource
    no_quorum,          ///< too few voters answer
    writer_elsewhere,   ///< another node is the writer
    no_replica_here,    ///< it needs a replica of this node
    not_in_sync,        ///< no replica that is in sync is reached
    only_suspect,       ///< replicas that are reached may lack acknowledged writes
    waits_for_members,  ///< members have not adopted the configuration yet
    forked,             ///< there are two lineages
    not_writer,         ///< only the writer can do it
    last_in_sync,       ///< no replica in sync would be left
    is_writer,          ///< it is the writer: demote it first
    busy,               ///< another command is at work
    unknown_node,       ///< there is no such member, or it exists already
    device_open,        ///< a device is open
    kernel_refused,     ///< the kernel refused an operation
    no_fork,            ///< that node has no other lineage
    fencing,            ///< the fence command has not succeeded
    suspended,          ///< an administrator suspended the I/O
    drained,            ///< an administrator wants this node to be nobody's Primary
};
inline constexpr std::size_t causes = static_cast<std::size_t>(Cause::drained) + 1;

/// A replica as the promoting node sees it.
struct Replica {
    /// Its kernel and its daemon can be told of a configuration.
    bool reached = false;
    bool diskful = false;
    bool suspect = false;
    Instance instance = 0;
    /// Epoch that its kernel has adopted; 0: none, or of another lineage.
    std::uint64_t epoch = 0;
    /// In which it was last in sync; 0: never.
    std::uint64_t last_epoch = 0;
};

struct Plan {
    Cause cause = Cause::none;
    /// Nodes that the cause is about.
    std::vector<NodeId> nodes{};
    /// New in_sync.
    std::map<NodeId, Instance> in_sync{};
    NodeId reference = no_node;
};

/// For a promotion of `self` from the register's latest value.
[[nodiscard]] Plan plan_promotion(const Value& value, NodeId self,
                                  const std::map<NodeId, Replica>& replicas);

/// Whether this is the replica that the value lists: it may have been attached again since.
[[nodiscard]] bool is_listed(const Value& value, NodeId node, const Replica& replica);

}  // namespace braid::membership
