// SPDX-License-Identifier: GPL-2.0-or-later
//
// What has to be done for the kernel of this host to have what the configuration
// says: 'adjust'. Without I/O: the caller reads the kernel and the disks, and
// carries the operations out in their order.
//
// Who is a member, in sync, or the writer is decided by the membership, not here.
// Connections are made by the node daemon; here they are only ended.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "config/model.h"
#include "sys/netlink_gen.h"

namespace braid::config {

using Uuid = std::array<std::uint8_t, 16>;

/// A volume, as volume-get tells.
struct KernelVolume {
    std::uint32_t volume = 0;
    std::uint32_t minor = 0;
    std::uint64_t disk_state = netlink::enums::disk_state::diskless;
    std::uint32_t opens = 0;
    std::optional<Uuid> uuid{};   ///< of the replica; nothing unless it is attached
    std::uint64_t disk_size = 0;  ///< in bytes

    bool operator==(const KernelVolume&) const = default;
};

/// A peer, as peer-get tells, and whoever connected it. What is not known is not compared.
struct KernelPeer {
    std::uint32_t node_id = 0;
    std::uint64_t link_state = netlink::enums::link_state::disconnected;
    std::optional<bool> tls{};        ///< of its streams
    std::optional<bool> checksums{};  ///< of its streams
    std::optional<Path> path{};

    bool operator==(const KernelPeer&) const = default;
};

/// A resource, as resource-get tells.
struct KernelResource {
    std::string name;
    std::uint32_t node_id = 0;
    std::uint32_t lease_ms = 0;
    std::uint32_t timeout_ms = 0;
    std::uint32_t request_timeout_ms = 0;
    std::uint64_t policy = netlink::enums::policy::suspend;
    std::uint32_t open_wait_ms = 0;
    /// Of the adopted configuration, if there is one.
    std::uint32_t writer = netlink::writer_none;
    std::uint32_t in_sync = 0;  ///< bits of node ids
    std::vector<KernelVolume> volumes{};
    std::vector<KernelPeer> peers{};

    bool operator==(const KernelResource&) const = default;
};

/// What is on a disk that the configuration names.
struct DiskFacts {
    std::optional<Uuid> uuid{};  ///< of the replica; nothing: not known
    std::string problem;         ///< why it cannot be attached; empty: it can
    std::uint64_t room = 0;      ///< bytes of data that fit by now; 0: not known
};

/// An operation of kernel/spec/braid.yaml.
struct Operation {
    struct Attribute {
        std::uint16_t id;
        std::variant<std::uint32_t, std::string> value;

        bool operator==(const Attribute&) const = default;
    };

    const netlink::Operation* operation;
    std::vector<Attribute> attributes;
    /// The kind of the event that tells its end, "disk" say; empty: it ends at once.
    std::string_view awaits;
};

/// "volume-attach name=r0 volume=0 disk=/dev/vg/a", as --dry-run shows it.
[[nodiscard]] std::string to_string(const Operation& operation);

[[nodiscard]] Operation down_operation(const std::string& resource);
[[nodiscard]] Operation attach_operation(const std::string& resource, const Volume& volume);
[[nodiscard]] Operation detach_operation(const std::string& resource, std::uint32_t volume);
[[nodiscard]] Operation resize_operation(const std::string& resource, std::uint32_t volume);

/// Something that cannot be changed while things are as they are.
struct Refusal {
    std::string what;
    std::string cause;
    std::string remedy;

    bool operator==(const Refusal&) const = default;
};

struct Plan {
    std::vector<Operation> operations;  ///< none if something is refused
    std::vector<Refusal> refusals;
    std::vector<std::string> notes;  ///< what is left as it is, a sentence each
};

struct Wanted {
    std::vector<NodeResource> resources;     ///< all of this host
    std::map<std::string, DiskFacts> disks;  ///< by path; one that is missing is not known
    std::string only;                        ///< only this resource; empty: all
    bool remove_unknown = false;             ///< take down what no file has
};

/// Whether the I/O of a Primary depends on this node's disks alone.
[[nodiscard]] bool serves_alone(const KernelResource& resource);

[[nodiscard]] Plan plan(const Wanted& wanted, const std::vector<KernelResource>& kernel);

}  // namespace braid::config
