// SPDX-License-Identifier: GPL-2.0-or-later
#include "sys/qemu_process.h"

#include <fmt/format.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <csignal>
#include <system_error>

#include "sys/file_content.h"

namespace braid::sys {

namespace {

/// libvirt passes "guest=NAME" as (a part of) an argument of its own.
bool runs(const std::string& arguments, const std::string& name) {
    const std::string wanted = "guest=" + name;
    for (auto at = arguments.find(wanted); at != std::string::npos;
         at = arguments.find(wanted, at + 1)) {
        const auto after = at + wanted.size();
        const bool begins = at == 0 || arguments[at - 1] == '\0';
        if (begins &&
            (after == arguments.size() || arguments[after] == ',' || arguments[after] == '\0')) {
            return true;
        }
    }
    return false;
}

}  // namespace

Fd find_qemu(const std::string& name, const std::string& directory) {
    const auto content = read_file(fmt::format("{}/{}.pid", directory, name));
    if (!content) {
        return {};
    }
    pid_t pid = 0;
    const auto [end, error] =
        std::from_chars(content->data(), content->data() + content->size(), pid);
    if (error != std::errc() || pid <= 1) {
        return {};
    }
    // First the descriptor: what is read then is of this process, or of one that has ended since.
    Fd pidfd(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)));
    const auto arguments = read_file(fmt::format("/proc/{}/cmdline", pid));
    if (!pidfd || !arguments || !runs(*arguments, name) ||
        ::syscall(SYS_pidfd_send_signal, pidfd.get(), 0, nullptr, 0) != 0) {
        return {};
    }
    return pidfd;
}

Result<void> kill_process(const Fd& pidfd) {
    if (::syscall(SYS_pidfd_send_signal, pidfd.get(), SIGKILL, nullptr, 0) != 0 && errno != ESRCH) {
        return tl::unexpected(Error{errno, fmt::format("the machine's process cannot be killed: {}",
                                                       std::generic_category().message(errno))});
    }
    return {};
}

}  // namespace braid::sys
