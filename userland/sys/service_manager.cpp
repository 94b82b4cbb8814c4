// SPDX-License-Identifier: GPL-2.0-or-later
#include "sys/service_manager.h"

#include <fmt/format.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <systemd/sd-daemon.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <string_view>

namespace braid::sys {

namespace {

/// Who listens, if anybody, has no say in what this program does: errors are nobody's.
void notify(const std::string& state) {
    sd_notify(0, state.c_str());
}

/// Whether systemd says that it connected the descriptor to the journal.
bool leads_to_journal(int fd) {
    // NOLINTNEXTLINE(concurrency-mt-unsafe): nobody changes the environment
    const char* stream = std::getenv("JOURNAL_STREAM");
    struct stat found {};
    return stream != nullptr && fstat(fd, &found) == 0 &&
           stream == fmt::format("{}:{}", found.st_dev, found.st_ino);
}

/// A field of the journal's protocol; one with line breaks has its length before it.
void append(std::string& entry, std::string_view name, std::string_view value) {
    value = value.substr(0, Journal::value_max);
    entry += name;
    if (value.find('\n') == std::string_view::npos) {
        entry += '=';
    } else {
        entry += '\n';
        for (unsigned shift = 0; shift < 64; shift += 8) {
            entry += static_cast<char>(static_cast<std::uint64_t>(value.size()) >> shift & 0xff);
        }
    }
    entry += value;
    entry += '\n';
}

std::string entry_of(Priority priority, std::string_view message, const Journal::Fields& fields) {
    std::string entry;
    append(entry, "PRIORITY", std::to_string(static_cast<int>(priority)));
    append(entry, "SYSLOG_IDENTIFIER", program_invocation_short_name);
    append(entry, "MESSAGE", message);
    for (const auto& [name, value] : fields) {
        append(entry, name, value);
    }
    return entry;
}

/// What an entry begins with.
std::string about(const Journal::Fields& fields) {
    std::string begin;
    for (const char* name : {"BRAID_RESOURCE", "BRAID_PEER"}) {
        for (const auto& [field, value] : fields) {
            if (field == name) {
                begin += (begin.empty() ? "" : "/") + value;
            }
        }
    }
    return begin.empty() ? begin : begin + ": ";
}

}  // namespace

void notify_ready() {
    notify("READY=1");
}

void notify_status(const std::string& text) {
    std::string line = text;
    std::replace(line.begin(), line.end(), '\n', ' ');  // would begin another assignment
    notify("STATUS=" + line);
}

void notify_reloading() {
    // The time is for newer systemd, which compares it with that of its request.
    const auto now = std::chrono::steady_clock::now().time_since_epoch();
    notify(fmt::format("RELOADING=1\nMONOTONIC_USEC={}",
                       std::chrono::duration_cast<std::chrono::microseconds>(now).count()));
}

void notify_stopping() {
    notify("STOPPING=1");
}

void notify_alive() {
    notify("WATCHDOG=1");
}

std::optional<std::chrono::microseconds> watchdog_interval() {
    std::uint64_t limit = 0;
    if (sd_watchdog_enabled(0, &limit) <= 0) {
        return std::nullopt;
    }
    return std::chrono::microseconds(limit / 2);
}

Journal::Journal(int error_output, std::string path)
    : error_output_(error_output), path_(std::move(path)) {
    if (leads_to_journal(error_output)) {
        socket_ = Fd(socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    }
}

Journal::Sent Journal::send(const std::string& entry) const {
    // By its path each time: whoever listens there may be another than before.
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    if (!socket_ || path_.size() >= sizeof(address.sun_path)) {
        return Sent::never;
    }
    path_.copy(static_cast<char*>(address.sun_path), path_.size());
    for (;;) {
        if (sendto(socket_.get(), entry.data(), entry.size(), MSG_NOSIGNAL,
                   reinterpret_cast<const sockaddr*>(&address), sizeof(address)) >= 0) {
            return Sent::yes;
        }
        if (errno != EINTR) {
            return errno == EAGAIN || errno == ENOBUFS ? Sent::later : Sent::never;
        }
    }
}

void Journal::write(Priority priority, const std::string& text, const Fields& fields) {
    const std::string message = about(fields) + text;
    if (lost_ > 0) {
        const std::string lost =
            fmt::format("the journal took no more: messages lost here: {}", lost_);
        if (send(entry_of(Priority::warning, lost, {})) == Sent::yes) {
            lost_ = 0;
        }
    }
    switch (send(entry_of(priority, message, fields))) {
        case Sent::yes:
            break;
        case Sent::later:
            lost_++;
            break;
        case Sent::never:
            write_line(message);
            break;
    }
}

void Journal::write_line(std::string line) const {
    std::replace(line.begin(), line.end(), '\n', ' ');
    line += '\n';
    std::string_view left = line;
    while (!left.empty()) {
        const ssize_t written = ::write(error_output_, left.data(), left.size());
        if (written < 0 && errno == EINTR) {
            continue;
        }
        if (written <= 0) {
            return;
        }
        left.remove_prefix(static_cast<std::size_t>(written));
    }
}

}  // namespace braid::sys
