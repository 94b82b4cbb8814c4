// SPDX-License-Identifier: GPL-2.0-or-later
//
// What satellites say to one another on their control connection: README.md, "Messages".
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "membership/value.h"

namespace braid::satellite {

struct PeerMessage {
    enum class Kind : std::uint8_t {
        here = 1,     ///< the sender's member of the resource runs: said when either side begins
        gone = 2,     ///< it does not any more
        said = 3,     ///< from member to member
        machine = 4,  ///< about the resource's virtual machine: machine/message.h
    };

    Kind kind = Kind::said;
    /// Ids in the resource, as the sender's configuration has them.
    membership::NodeId from = 0;
    membership::NodeId to = 0;
    std::string resource{};
    membership::Bytes bytes{};

    bool operator==(const PeerMessage&) const = default;
};

/// Of a resource's name.
inline constexpr std::size_t resource_name_max = 63;

[[nodiscard]] std::string encode(const PeerMessage& message);
/// Nothing if it makes no sense.
[[nodiscard]] std::optional<PeerMessage> decode_peer_message(std::string_view text);

}  // namespace braid::satellite
