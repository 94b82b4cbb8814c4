// SPDX-License-Identifier: GPL-2.0-or-later
//
// A loop over epoll for one thread: descriptors, timers and signals.
//
// Callbacks may add and remove anything, also themselves. Whoever may be called once more in this
// round is handed to dispose() instead of being destroyed.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <initializer_list>
#include <map>
#include <memory>
#include <unordered_map>
#include <utility>
#include <vector>

#include "sys/fd.h"

namespace braid::sys {

class EventLoop {
  public:
    using Clock = std::chrono::steady_clock;
    using Callback = std::function<void()>;

    /// Throws std::system_error where the kernel has no descriptors left.
    EventLoop();
    ~EventLoop() = default;
    EventLoop(const EventLoop&) = delete;
    EventLoop& operator=(const EventLoop&) = delete;

    /// Calls when the descriptor is ready: EPOLLIN, EPOLLOUT or both, level-triggered. Errors and
    /// hang-ups call, too. forget() it before it is closed.
    void watch(int fd, std::uint32_t events, Callback ready);
    void change(int fd, std::uint32_t events);
    void forget(int fd);

    using TimerId = std::pair<Clock::time_point, std::uint64_t>;
    TimerId after(Clock::duration delay, Callback due);
    void cancel(const TimerId& timer) { timers_.erase(timer); }

    /// Blocks these signals for the thread and calls with the number of each that comes.
    void on_signals(std::initializer_list<int> signals, std::function<void(int)> call);

    /// Destroys it once nobody is being called any more.
    void dispose(std::shared_ptr<void> object) { disposed_.push_back(std::move(object)); }

    /// Until stop().
    void run();
    void stop() { stopped_ = true; }

    /// One round: waits for something to happen, for `most` at the longest.
    void run_once(Clock::duration most);

  private:
    struct Watch {
        int fd = -1;
        std::shared_ptr<Callback> ready;
    };

    void run_timers();

    Fd epoll_;
    Fd signals_;
    /// By number and not by descriptor, so that an event of one that is gone finds nobody.
    std::unordered_map<std::uint64_t, Watch> watches_;
    std::unordered_map<int, std::uint64_t> numbers_;
    std::map<TimerId, Callback> timers_;
    std::vector<std::shared_ptr<void>> disposed_;
    std::uint64_t next_ = 0;
    bool stopped_ = false;
};

/// A timer that ends with its owner.
class Timer {
  public:
    explicit Timer(EventLoop& loop) : loop_(loop) {}
    ~Timer() { stop(); }
    Timer(const Timer&) = delete;
    Timer& operator=(const Timer&) = delete;

    /// Again, or for the first time.
    void start(EventLoop::Clock::duration delay, EventLoop::Callback due) {
        stop();
        id_ = loop_.after(delay, std::move(due));
    }
    void stop() { loop_.cancel(id_); }

  private:
    EventLoop& loop_;
    EventLoop::TimerId id_;
};

}  // namespace braid::sys
