// SPDX-License-Identifier: GPL-2.0-or-later
#include "sys/event_loop.h"

#include <sys/epoll.h>
#include <sys/signalfd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <system_error>

namespace braid::sys {

namespace {

[[noreturn]] void fail(const char* what) {
    throw std::system_error(errno, std::generic_category(), what);
}

void control(int epoll, int operation, int fd, std::uint32_t events, std::uint64_t number) {
    epoll_event event{};
    event.events = events;
    event.data.u64 = number;
    if (epoll_ctl(epoll, operation, fd, &event) != 0) {
        fail("epoll_ctl");
    }
}

}  // namespace

EventLoop::EventLoop() : epoll_(epoll_create1(EPOLL_CLOEXEC)) {
    if (!epoll_) {
        fail("epoll_create1");
    }
}

void EventLoop::watch(int fd, std::uint32_t events, Callback ready) {
    const std::uint64_t number = ++next_;
    control(epoll_.get(), EPOLL_CTL_ADD, fd, events, number);
    watches_[number] = {fd, std::make_shared<Callback>(std::move(ready))};
    numbers_[fd] = number;
}

void EventLoop::change(int fd, std::uint32_t events) {
    control(epoll_.get(), EPOLL_CTL_MOD, fd, events, numbers_.at(fd));
}

void EventLoop::forget(int fd) {
    const auto number = numbers_.find(fd);
    if (number == numbers_.end()) {
        return;
    }
    control(epoll_.get(), EPOLL_CTL_DEL, fd, 0, 0);
    watches_.erase(number->second);
    numbers_.erase(number);
}

EventLoop::TimerId EventLoop::after(Clock::duration delay, Callback due) {
    const TimerId id{Clock::now() + delay, ++next_};
    timers_[id] = std::move(due);
    return id;
}

void EventLoop::on_signals(std::initializer_list<int> signals, std::function<void(int)> call) {
    sigset_t set{};
    sigemptyset(&set);
    for (const int signal : signals) {
        sigaddset(&set, signal);
    }
    pthread_sigmask(SIG_BLOCK, &set, nullptr);
    signals_ = Fd(signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC));
    if (!signals_) {
        fail("signalfd");
    }
    watch(signals_.get(), EPOLLIN, [fd = signals_.get(), call = std::move(call)] {
        signalfd_siginfo info{};
        while (read(fd, &info, sizeof(info)) == sizeof(info)) {
            call(static_cast<int>(info.ssi_signo));
        }
    });
}

void EventLoop::run() {
    stopped_ = false;
    while (!stopped_) {
        run_once(std::chrono::hours(1));
    }
}

void EventLoop::run_once(Clock::duration most) {
    if (!timers_.empty()) {
        most = std::min(most, timers_.begin()->first.first - Clock::now());
    }
    const auto wait = std::chrono::ceil<std::chrono::milliseconds>(most).count();
    std::array<epoll_event, 64> events{};
    const int count = epoll_wait(epoll_.get(), events.data(), events.size(),
                                 static_cast<int>(std::max<std::int64_t>(wait, 0)));
    if (count < 0 && errno != EINTR) {
        fail("epoll_wait");
    }
    for (int i = 0; i < count; i++) {
        const auto found = watches_.find(events[static_cast<std::size_t>(i)].data.u64);
        if (found != watches_.end()) {
            const std::shared_ptr<Callback> ready = found->second.ready;  // may forget itself
            (*ready)();
        }
    }
    run_timers();
    // What is destroyed may dispose of more.
    for (auto ended = std::exchange(disposed_, {}); !ended.empty();
         ended = std::exchange(disposed_, {})) {
        ended.clear();
    }
}

void EventLoop::run_timers() {
    // One that is started by these waits for the next round, so that sockets have their turn.
    const TimerId end{Clock::now(), next_ + 1};
    while (!timers_.empty() && timers_.begin()->first < end) {
        const Callback due = std::move(timers_.begin()->second);
        timers_.erase(timers_.begin());
        due();
    }
}

}  // namespace braid::sys
