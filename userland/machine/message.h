// SPDX-License-Identifier: GPL-2.0-or-later
//
// What the satellites of a resource's members tell one another about its virtual machine.
#pragma once

#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <variant>

#include "membership/value.h"

namespace braid::machine {

using membership::no_node;
using membership::NodeId;

/// undefined: Braid has nothing to do with the machine.
enum class Wanted : std::uint8_t { undefined, stopped, running };

/// What people want. The newer one counts, on all nodes: higher stamp, then higher node.
struct Record {
    Wanted wanted = Wanted::undefined;
    std::uint64_t stamp = 0;
    NodeId by = 0;

    [[nodiscard]] bool newer(const Record& other) const {
        return stamp != other.stamp ? stamp > other.stamp : by > other.by;
    }
    bool operator==(const Record&) const = default;
};

/// What a node says of itself, whenever it changes.
struct Offer {
    Record record{};
    /// It could run the machine: libvirt answers, it has the volumes, it is not drained.
    bool able = false;
    /// The machine is there, in whatever state, or is being started.
    bool runs = false;
    /// It has a replica in sync.
    bool data = false;
    /// It started the machine too often in vain, as wanted by the record of this stamp; 0: not.
    std::uint64_t gave_up = 0;
    /// Bytes that are free, roughly.
    std::uint64_t memory = 0;
    /// Nodes whose daemon or kernel it is connected to.
    std::set<NodeId> sees{};

    bool operator==(const Offer&) const = default;
};

/// Of a migration, from the source.
struct Receive {
    std::uint64_t number = 0;
    bool operator==(const Receive&) const = default;
};

/// From the target: it is ready for it, or why not.
struct Ready {
    std::uint64_t number = 0;
    std::string why{};
    bool operator==(const Ready&) const = default;
};

/// From the source: its machine has ended, the target's is the only one.
struct Go {
    std::uint64_t number = 0;
    bool operator==(const Go&) const = default;
};

/// From the source: it was for nothing.
struct Cancel {
    std::uint64_t number = 0;
    bool operator==(const Cancel&) const = default;
};

using Message = std::variant<Offer, Receive, Ready, Go, Cancel>;

[[nodiscard]] std::string encode(const Message& message);
/// Nothing if it makes no sense.
[[nodiscard]] std::optional<Message> decode(std::string_view text);

/// A record as it is kept in a file.
[[nodiscard]] std::string encode_record(const Record& record);
[[nodiscard]] std::optional<Record> decode_record(std::string_view text);

}  // namespace braid::machine
