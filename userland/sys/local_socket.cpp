// SPDX-License-Identifier: GPL-2.0-or-later
#include "sys/local_socket.h"

#include <fmt/format.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <system_error>

namespace braid::sys {

namespace {

using Clock = std::chrono::steady_clock;

Error error_of(int number, const std::string& path) {
    return {number, fmt::format("{}: {}", path, std::generic_category().message(number))};
}

/// A socket and the address for it.
struct Local {
    Fd fd;
    sockaddr_un address{};

    static Result<Local> make(const std::string& path, int flags);
    [[nodiscard]] const sockaddr* generic() const {
        return reinterpret_cast<const sockaddr*>(&address);
    }
};

Result<Local> Local::make(const std::string& path, int flags) {
    Local local;
    local.address.sun_family = AF_UNIX;
    if (path.size() >= sizeof(local.address.sun_path)) {
        return tl::unexpected(error_of(ENAMETOOLONG, path));
    }
    path.copy(static_cast<char*>(local.address.sun_path), path.size());
    local.fd = Fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | flags, 0));
    if (!local.fd) {
        return tl::unexpected(error_of(errno, path));
    }
    return local;
}

/// Whether a socket is there that nobody listens on.
bool is_left_over(const std::string& path) {
    struct stat found {};
    if (::lstat(path.c_str(), &found) != 0 || !S_ISSOCK(found.st_mode)) {
        return false;
    }
    const auto probe = Local::make(path, SOCK_NONBLOCK);
    return probe && ::connect(probe->fd.get(), probe->generic(), sizeof(probe->address)) != 0 &&
           errno == ECONNREFUSED;
}

Result<void> wait_for(const Fd& fd, short what, Clock::time_point until, const std::string& path) {
    for (;;) {
        const auto left =
            std::chrono::duration_cast<std::chrono::milliseconds>(until - Clock::now()).count();
        pollfd poll{fd.get(), what, 0};
        const int ready = ::poll(&poll, 1, left > 0 ? static_cast<int>(left) : 0);
        if (ready > 0) {
            return {};
        }
        if (ready == 0) {
            return tl::unexpected(error_of(ETIMEDOUT, path));
        }
        if (errno != EINTR) {
            return tl::unexpected(error_of(errno, path));
        }
    }
}

Result<std::string> receive_line(const Fd& fd, Clock::time_point until, const std::string& path) {
    std::string answer;
    std::array<char, 4096> part{};
    for (;;) {
        if (const auto ready = wait_for(fd, POLLIN, until, path); !ready) {
            return tl::unexpected(ready.error());
        }
        const ssize_t got = ::recv(fd.get(), part.data(), part.size(), 0);
        if (got < 0 && (errno == EINTR || errno == EAGAIN)) {
            continue;
        }
        if (got < 0) {
            return tl::unexpected(error_of(errno, path));
        }
        if (got == 0) {
            return tl::unexpected(Error{EPIPE, fmt::format("{}: closed before it answered", path)});
        }
        answer.append(part.data(), static_cast<std::size_t>(got));
        if (const auto end = answer.find('\n'); end != std::string::npos) {
            return answer.substr(0, end);
        }
        if (answer.size() > answer_max) {
            return tl::unexpected(error_of(EMSGSIZE, path));
        }
    }
}

}  // namespace

Result<Fd> listen_local(const std::string& path) {
    auto local = Local::make(path, SOCK_NONBLOCK);
    if (!local) {
        return tl::unexpected(local.error());
    }
    if (is_left_over(path)) {
        ::unlink(path.c_str());
    }
    // Of a socket the mode of its descriptor is that of the file which bind(2) makes.
    if (::fchmod(local->fd.get(), S_IRUSR | S_IWUSR) != 0 ||
        ::bind(local->fd.get(), local->generic(), sizeof(local->address)) != 0 ||
        ::listen(local->fd.get(), SOMAXCONN) != 0) {
        return tl::unexpected(error_of(errno, path));
    }
    return std::move(local->fd);
}

Result<Fd> accept_local(const Fd& listening) {
    Fd fd(::accept4(listening.get(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
    if (!fd && errno != EAGAIN && errno != ECONNABORTED && errno != EINTR) {
        return tl::unexpected(error_of(errno, "accept"));
    }
    return fd;
}

Result<uid_t> peer_user(const Fd& connection) {
    ucred who{};
    socklen_t size = sizeof(who);
    if (::getsockopt(connection.get(), SOL_SOCKET, SO_PEERCRED, &who, &size) != 0) {
        return tl::unexpected(error_of(errno, "SO_PEERCRED"));
    }
    return who.uid;
}

Result<std::string> ask_local(const std::string& path, const std::string& line,
                              std::chrono::milliseconds most) {
    const auto until = Clock::now() + most;
    const auto local = Local::make(path, 0);
    if (!local) {
        return tl::unexpected(local.error());
    }
    if (::connect(local->fd.get(), local->generic(), sizeof(local->address)) != 0) {
        return tl::unexpected(error_of(errno, path));
    }
    const std::string text = line + '\n';
    for (std::size_t sent = 0; sent < text.size();) {
        if (const auto ready = wait_for(local->fd, POLLOUT, until, path); !ready) {
            return tl::unexpected(ready.error());
        }
        const ssize_t more = ::send(local->fd.get(), text.data() + sent, text.size() - sent,
                                    MSG_NOSIGNAL | MSG_DONTWAIT);
        if (more > 0) {
            sent += static_cast<std::size_t>(more);
        } else if (errno != EINTR && errno != EAGAIN) {
            return tl::unexpected(error_of(errno, path));
        }
    }
    return receive_line(local->fd, until, path);
}

}  // namespace braid::sys
