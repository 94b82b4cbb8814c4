// SPDX-License-Identifier: GPL-2.0-or-later
//
// What a service tells systemd and its journal. Without systemd everything here does nothing, but
// for the journal, which becomes stderr.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "sys/fd.h"

namespace braid::sys {

/// It serves: at the start, and again after reloading.
void notify_ready();
/// A line for systemctl status.
void notify_status(const std::string& text);
/// It reads its configuration again; notify_ready() ends that.
void notify_reloading();
void notify_stopping();
/// For the watchdog.
void notify_alive();

/// How often to call notify_alive(), half of what the service manager allows; nothing: never.
[[nodiscard]] std::optional<std::chrono::microseconds> watchdog_interval();

/// As syslog's.
enum class Priority : std::uint8_t { error = 3, warning = 4, notice = 5, info = 6, debug = 7 };

/// Writes to the journal in its own protocol, so that fields stay fields. libsystemd would wait
/// while the journal cannot take more, which may be because of the disk that this program is to
/// help; here such messages are lost, and counted.
class Journal {
  public:
    /// Names of capitals, digits and underscores; journald ignores others.
    using Fields = std::vector<std::pair<std::string, std::string>>;

    /// Bytes of a field that are kept.
    static constexpr std::size_t value_max = 16384;

    /// The journal at this path if the descriptor (stderr) leads to it, as $JOURNAL_STREAM tells.
    explicit Journal(int error_output = 2, std::string path = "/run/systemd/journal/socket");

    /// One entry, elsewhere than in the journal one line. It begins with what it is about, as the
    /// fields BRAID_RESOURCE and BRAID_PEER say: "r0/b: text", "r0: text", "b: text".
    void write(Priority priority, const std::string& text, const Fields& fields = {});

  private:
    enum class Sent { yes, later, never };

    [[nodiscard]] Sent send(const std::string& entry) const;
    void write_line(std::string line) const;

    int error_output_;
    std::string path_;
    Fd socket_;  ///< none: lines
    std::uint64_t lost_ = 0;
};

}  // namespace braid::sys
