// SPDX-License-Identifier: GPL-2.0-or-later
//
// What is said first on a connection, inside TLS: README.md, "What is said".
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "sys/result.h"

namespace braid::satellite {

enum class Transport {
    ktls,   ///< the kernel goes on with the TLS session
    plain,  ///< the rest is in the clear
};

[[nodiscard]] std::string_view name_of(Transport transport);

/// A stream of a resource's replication.
struct StreamHello {
    std::string resource;
    /// Random, > 0, shared by the streams of one connection.
    std::uint64_t session = 0;
    /// The first one of a session (0) ends an earlier session; others belong to the current one.
    std::uint32_t number = 0;
    Transport transport = Transport::ktls;

    bool operator==(const StreamHello&) const = default;
};

/// The first message of who connected: what the connection is for.
struct Hello {
    std::optional<StreamHello> stream;  ///< or else messages between the satellites

    bool operator==(const Hello&) const = default;
};

/// The first message of who was connected to.
struct Answer {
    std::string refusal;  ///< empty if it is accepted

    bool operator==(const Answer&) const = default;
};

/// The second message of who connected, for a stream; what follows is the stream's.
inline constexpr std::string_view go = "go";

[[nodiscard]] std::string encode(const Hello& hello);
[[nodiscard]] std::string encode(const Answer& answer);
/// EPROTO if it makes no sense. What newer versions added is passed over.
[[nodiscard]] sys::Result<Hello> decode_hello(std::string_view text);
[[nodiscard]] sys::Result<Answer> decode_answer(std::string_view text);

}  // namespace braid::satellite
