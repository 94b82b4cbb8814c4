// SPDX-License-Identifier: GPL-2.0-or-later
#include "satellite/vmd_link.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <utility>

#include "sys/local_socket.h"

namespace braid::satellite {

namespace {

using nlohmann::json;

constexpr std::chrono::seconds start_again{1};
/// It runs as long as it likes.
constexpr std::chrono::hours no_limit{24 * 365};
constexpr std::size_t line_max = std::size_t{4} << 20;

std::string shell_word(const std::string& word) {
    std::string text = "'";
    for (const char each : word) {
        text += each == '\'' ? std::string("'\\''") : std::string(1, each);
    }
    return text + "'";
}

}  // namespace

VmdLink::VmdLink(sys::EventLoop& loop, std::string program, std::string socket, Callbacks callbacks)
    : loop_(loop),
      program_(std::move(program)),
      socket_(std::move(socket)),
      callbacks_(std::move(callbacks)),
      again_(loop) {
    again_.start({}, [this] { start(); });
}

VmdLink::~VmdLink() {
    if (connection_) {
        loop_.forget(connection_.get());
    }
    if (listening_) {
        loop_.forget(listening_.get());
        ::unlink(socket_.c_str());
    }
}

void VmdLink::start() {
    if (!listening_) {
        auto listening = sys::listen_local(socket_);
        if (!listening) {
            return lost(listening.error().message);
        }
        listening_ = std::move(*listening);
        loop_.watch(listening_.get(), EPOLLIN, [this] { accept(); });
    }
    auto process = sys::Process::start(
        loop_,
        {.command = fmt::format("exec {} {}", shell_word(program_), shell_word(socket_)),
         .limit = std::chrono::duration_cast<std::chrono::seconds>(no_limit)},
        [this](const sys::ProcessEnd& end) {
            lost(fmt::format("{} has ended: {}{}{}", program_, to_string(end),
                             end.output.empty() ? "" : ": ", fmt::join(end.output, " | ")));
        });
    if (!process) {
        return lost(process.error().message);
    }
    process_ = std::move(*process);
}

void VmdLink::accept() {
    auto fd = sys::accept_local(listening_);
    if (!fd || !*fd || connection_) {
        return;
    }
    connection_ = std::move(*fd);
    loop_.watch(connection_.get(), EPOLLIN, [this] { ready(); });
    if (!write()) {
        lost("its connection has ended");
    }
}

void VmdLink::lost(const std::string& why) {
    if (connection_) {
        loop_.forget(connection_.get());
        connection_.reset();
    }
    loop_.dispose(std::shared_ptr<sys::Process>(std::move(process_)));
    input_.clear();
    output_.clear();
    for (auto& [id, done] : std::exchange(waiting_, {})) {
        done(false, "braid-vmd: " + why);
    }
    callbacks_.down(why);
    again_.start(start_again, [this] { start(); });
}

void VmdLink::ready() {
    if (!read() || !write()) {
        return lost("its connection has ended");
    }
    for (auto end = input_.find('\n'); end != std::string::npos; end = input_.find('\n')) {
        const std::string each = input_.substr(0, end);
        input_.erase(0, end + 1);
        line(each);
    }
}

bool VmdLink::read() {
    std::array<char, 16384> part{};
    for (;;) {
        const ssize_t got = ::recv(connection_.get(), part.data(), part.size(), MSG_DONTWAIT);
        if (got < 0) {
            return errno == EAGAIN || errno == EINTR;
        }
        if (got == 0) {
            return false;
        }
        input_.append(part.data(), static_cast<std::size_t>(got));
        if (input_.size() > line_max) {
            return false;
        }
    }
}

bool VmdLink::write() {
    while (!output_.empty()) {
        const ssize_t sent =
            ::send(connection_.get(), output_.data(), output_.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
        if (sent < 0 && errno == EAGAIN) {
            break;
        }
        if (sent < 0 && errno != EINTR) {
            return false;
        }
        output_.erase(0, sent < 0 ? 0 : static_cast<std::size_t>(sent));
    }
    loop_.change(connection_.get(), output_.empty() ? EPOLLIN : EPOLLIN | EPOLLOUT);
    return true;
}

void VmdLink::line(const std::string& line) {
    const json message = json::parse(line, nullptr, false);
    if (!message.is_object()) {
        return;
    }
    const auto id = message.find("id");
    if (id == message.end() || !id->is_number_unsigned()) {
        callbacks_.said(message);
        return;
    }
    if (const auto waiting = waiting_.extract(id->get<std::uint64_t>())) {
        waiting.mapped()(message.value("ok", false), message.value("text", ""));
    }
}

void VmdLink::ask(json request, Done done) {
    const std::uint64_t id = ++next_;
    request["id"] = id;
    waiting_[id] = std::move(done);
    output_ += request.dump(-1, ' ', false, json::error_handler_t::replace) + '\n';
    if (connection_) {
        // From the loop: whoever asks may be in the middle of something.
        loop_.change(connection_.get(), EPOLLIN | EPOLLOUT);
    }
}

}  // namespace braid::satellite
