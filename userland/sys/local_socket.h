// SPDX-License-Identifier: GPL-2.0-or-later
//
// Unix stream sockets between programs of one host, with a line of text as a message.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <string>

#include "sys/fd.h"
#include "sys/result.h"

namespace braid::sys {

/// Where the node daemon listens; how long an answer may take: longer than a command of the
/// membership that fails.
inline constexpr const char* daemon_socket = "/run/braid/satellite.sock";
inline constexpr std::chrono::seconds daemon_patience{90};

/// Listens, non-blocking, where only this user may connect (0600). Takes the place of a socket that
/// nobody listens on; EADDRINUSE where somebody does.
[[nodiscard]] Result<Fd> listen_local(const std::string& path);

/// A connection that waits, non-blocking; an empty one if there is none.
[[nodiscard]] Result<Fd> accept_local(const Fd& listening);

/// The user that a connection's other end ran as when it connected.
[[nodiscard]] Result<uid_t> peer_user(const Fd& connection);

/// Sends a line and waits for one. ENOENT or ECONNREFUSED where nobody listens, ETIMEDOUT after
/// `most`; an answer of more than `answer_max` bytes is an error.
inline constexpr std::size_t answer_max = std::size_t{16} << 20;
[[nodiscard]] Result<std::string> ask_local(const std::string& path, const std::string& line,
                                            std::chrono::milliseconds most);

}  // namespace braid::sys
