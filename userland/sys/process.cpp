// SPDX-License-Identifier: GPL-2.0-or-later
#include "sys/process.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <spawn.h>
#include <sys/epoll.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <string_view>
#include <system_error>
#include <utility>

namespace braid::sys {

namespace {

constexpr const char* shell = "/bin/sh";

/// What a pipe holds at the most: so much can be left when the shell has ended.
constexpr std::size_t pipe_bytes = 65536;

Error error_of(int number, std::string_view what) {
    return {number, fmt::format("{}: {}", what, std::generic_category().message(number))};
}

std::string_view name_of(std::string_view variable) {
    return variable.substr(0, variable.find('='));
}

/// This program's variables and, in the place of those of the same name, the given ones.
std::vector<std::string> complete(std::vector<std::string> variables) {
    const auto given = static_cast<std::ptrdiff_t>(variables.size());
    for (char** at = environ; at != nullptr && *at != nullptr; at++) {
        const auto same = [at](const std::string& other) { return name_of(other) == name_of(*at); };
        if (std::none_of(variables.begin(), variables.begin() + given, same)) {
            variables.emplace_back(*at);
        }
    }
    return variables;
}

/// What happens in the child before it becomes the shell.
class Preparation {
  public:
    Preparation(int output, int standard_output) {
        posix_spawn_file_actions_init(&actions_);
        posix_spawnattr_init(&attributes_);
        // In this order it does not matter if the pipe is one of the three itself.
        check(posix_spawn_file_actions_adddup2(
            &actions_, standard_output < 0 ? output : standard_output, STDOUT_FILENO));
        check(posix_spawn_file_actions_adddup2(&actions_, output, STDERR_FILENO));
        check(posix_spawn_file_actions_addopen(&actions_, STDIN_FILENO, "/dev/null", O_RDONLY, 0));
        check(posix_spawn_file_actions_addclosefrom_np(&actions_, STDERR_FILENO + 1));
        sigset_t all{};
        sigset_t none{};
        sigfillset(&all);
        sigemptyset(&none);
        check(posix_spawnattr_setsigdefault(&attributes_, &all));
        check(posix_spawnattr_setsigmask(&attributes_, &none));
        check(posix_spawnattr_setpgroup(&attributes_, 0));
        check(posix_spawnattr_setflags(
            &attributes_, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK));
    }
    ~Preparation() {
        posix_spawn_file_actions_destroy(&actions_);
        posix_spawnattr_destroy(&attributes_);
    }
    Preparation(const Preparation&) = delete;
    Preparation& operator=(const Preparation&) = delete;

    [[nodiscard]] Result<pid_t> spawn(std::string command, std::vector<std::string> environment) {
        std::string name = "sh";
        std::string option = "-c";
        const std::array<char*, 4> arguments{name.data(), option.data(), command.data(), nullptr};
        std::vector<char*> variables;
        variables.reserve(environment.size() + 1);
        for (std::string& variable : environment) {
            variables.push_back(variable.data());
        }
        variables.push_back(nullptr);
        pid_t child = 0;
        if (error_ == 0) {
            error_ = posix_spawn(&child, shell, &actions_, &attributes_, arguments.data(),
                                 variables.data());
        }
        if (error_ != 0) {
            return tl::unexpected(error_of(error_, shell));
        }
        return child;
    }

  private:
    void check(int error) {
        if (error_ == 0) {
            error_ = error;
        }
    }

    posix_spawn_file_actions_t actions_{};
    posix_spawnattr_t attributes_{};
    int error_ = 0;
};

/// A service that memory shortage must not end passes that on to its children.
void let_memory_shortage_kill(pid_t child) {
    const std::string path = fmt::format("/proc/{}/oom_score_adj", child);
    const Fd file(open(path.c_str(), O_WRONLY | O_CLOEXEC));
    // Refused only where it has a higher one already.
    if (file && write(file.get(), "0", 1) < 0) {
        return;
    }
}

std::vector<std::string> lines_of(std::string_view text) {
    std::vector<std::string> lines;
    while (!text.empty()) {
        const std::string_view line = text.substr(0, text.find('\n'));
        if (!line.empty()) {
            lines.emplace_back(line);
        }
        text.remove_prefix(std::min(line.size() + 1, text.size()));
    }
    return lines;
}

}  // namespace

/// The child as the loop knows it, until it is reaped: also when its process is gone.
struct Process::Child {
    pid_t pid = 0;  ///< 0: reaped
    Fd pidfd;
    std::function<void(ProcessEnd::How how, int number)> ended{};

    /// Until it is reaped nobody else can have the number.
    void kill_group(int signal) const {
        if (pid != 0) {
            kill(-pid, signal);
        }
    }
    void reap(EventLoop& loop);
};

void Process::Child::reap(EventLoop& loop) {
    siginfo_t info{};
    if (waitid(P_PIDFD, static_cast<id_t>(pidfd.get()), &info, WEXITED | WNOHANG | WNOWAIT) != 0 ||
        info.si_pid == 0) {
        return;
    }
    const auto call = std::exchange(ended, nullptr);
    if (call) {
        call(info.si_code == CLD_EXITED ? ProcessEnd::How::exited : ProcessEnd::How::killed,
             info.si_status);
    }
    loop.forget(pidfd.get());
    waitid(P_PIDFD, static_cast<id_t>(pidfd.get()), &info, WEXITED | WNOHANG);
    pid = 0;
}

std::string to_string(const ProcessEnd& end) {
    switch (end.how) {
        case ProcessEnd::How::exited:
            return fmt::format("exit status {}", end.number);
        case ProcessEnd::How::killed: {
            const char* text = sigdescr_np(end.number);
            return fmt::format("killed by signal {} ({})", end.number, text ? text : "unknown");
        }
        case ProcessEnd::How::timed_out:
            break;
    }
    return fmt::format("not done after {} s", end.number);
}

Result<std::unique_ptr<Process>> Process::start(EventLoop& loop, Setup setup, Ended ended) {
    std::array<int, 2> ends{};
    if (pipe2(ends.data(), O_CLOEXEC) != 0) {
        return tl::unexpected(error_of(errno, "pipe"));
    }
    Fd from(ends[0]);
    const Fd to(ends[1]);
    // The child's end waits for room as programs expect; ours never does.
    if (fcntl(from.get(), F_SETFL, O_NONBLOCK) != 0) {
        return tl::unexpected(error_of(errno, "pipe"));
    }
    // Where whoever started this program has it ignored the kernel would reap before we ask.
    std::signal(SIGCHLD, SIG_DFL);
    const auto pid = Preparation(to.get(), setup.standard_output)
                         .spawn(setup.command, complete(std::move(setup.environment)));
    if (!pid) {
        return tl::unexpected(pid.error());
    }
    auto child = std::make_shared<Child>();
    child->pid = *pid;
    child->pidfd = Fd(static_cast<int>(syscall(SYS_pidfd_open, *pid, 0)));
    if (!child->pidfd) {
        const int number = errno;
        child->kill_group(SIGKILL);
        waitpid(*pid, nullptr, 0);
        return tl::unexpected(error_of(number, "pidfd_open"));
    }
    let_memory_shortage_kill(*pid);
    loop.watch(child->pidfd.get(), EPOLLIN, [&loop, child] { child->reap(loop); });
    return std::unique_ptr<Process>(
        new Process(loop, std::move(setup), std::move(ended), std::move(child), std::move(from)));
}

Process::Process(EventLoop& loop, Setup setup, Ended ended, std::shared_ptr<Child> child, Fd output)
    : loop_(loop),
      setup_(std::move(setup)),
      ended_(std::move(ended)),
      child_(std::move(child)),
      pipe_(std::move(output)),
      timer_(loop) {
    child_->ended = [this](ProcessEnd::How how, int number) { child_ended(how, number); };
    loop_.watch(pipe_.get(), EPOLLIN, [this] { read_output(output_max); });
    timer_.start(setup_.limit, [this] { time_over(); });
}

Process::~Process() {
    if (child_->ended) {
        child_->ended = nullptr;
        child_->kill_group(SIGKILL);
    }
    if (pipe_) {
        loop_.forget(pipe_.get());
    }
}

/// At most so much at a time, so that a command that writes for ever leaves others their turn.
void Process::read_output(std::size_t most) {
    std::array<char, output_max> buffer{};
    while (pipe_ && most > 0) {
        const ssize_t count = read(pipe_.get(), buffer.data(), std::min(buffer.size(), most));
        if (count < 0 && errno == EINTR) {
            continue;
        }
        if (count < 0 && errno == EAGAIN) {
            return;
        }
        if (count <= 0) {
            loop_.forget(pipe_.get());
            pipe_.reset();
            return;
        }
        output_.append(buffer.data(), static_cast<std::size_t>(count));
        most -= static_cast<std::size_t>(count);
        if (output_.size() > output_max) {
            const std::size_t old = output_.size() - output_max;
            cut_ = output_[old - 1] != '\n';
            output_.erase(0, old);
        }
    }
}

void Process::child_ended(ProcessEnd::How how, int number) {
    if (over_) {
        child_->kill_group(SIGKILL);
        report({ProcessEnd::How::timed_out, static_cast<int>(setup_.limit.count())});
    } else {
        report({how, number});
    }
}

void Process::time_over() {
    if (!std::exchange(over_, true)) {
        child_->kill_group(SIGTERM);
        timer_.start(setup_.grace, [this] { time_over(); });
        return;
    }
    // What waits in the kernel for a dead disk may not die even now; nobody waits for that.
    child_->kill_group(SIGKILL);
    child_->ended = nullptr;
    report({ProcessEnd::How::timed_out, static_cast<int>(setup_.limit.count())});
}

void Process::report(ProcessEnd end) {
    timer_.stop();
    read_output(pipe_bytes);
    std::string_view text = output_;
    if (cut_) {
        // A line longer than all that is kept is better shown without its beginning than not.
        const std::size_t first = text.find('\n');
        text.remove_prefix(first < text.size() - 1 ? first + 1 : 0);
    }
    end.output = lines_of(text);
    const auto call = std::exchange(ended_, nullptr);
    call(end);  // may destroy this
}

}  // namespace braid::sys
