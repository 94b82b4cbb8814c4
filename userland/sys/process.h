// SPDX-License-Identifier: GPL-2.0-or-later
//
// A command of sh(1) that runs while the program goes on.
#pragma once

#include <chrono>
#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "sys/event_loop.h"
#include "sys/result.h"

namespace braid::sys {

/// How a command ended.
struct ProcessEnd {
    enum class How {
        exited,     ///< `number` is its status
        killed,     ///< by the signal `number`
        timed_out,  ///< it was given `number` seconds
    };

    How how = How::exited;
    int number = 0;
    /// The last lines of what it wrote to stdout and stderr.
    std::vector<std::string> output{};

    [[nodiscard]] bool success() const { return how == How::exited && number == 0; }
};

/// "exit status 3", "killed by signal 9 (Killed)", "not done after 60 s".
[[nodiscard]] std::string to_string(const ProcessEnd& end);

/// A running command. It is a process group of its own, has no input, no descriptor of this program
/// and no signal blocked or ignored, and may be killed when memory is short.
///
/// To end it counts that the shell does: processes that it leaves in the background may go on, and
/// lose their output.
class Process {
  public:
    struct Setup {
        std::string command;
        /// NAME=VALUE, besides what this program has in its own environment.
        std::vector<std::string> environment{};
        /// Then the group gets SIGTERM, and after `grace`, or when the shell ends, SIGKILL.
        std::chrono::seconds limit{};
        std::chrono::milliseconds grace{5000};
        /// Takes what it writes to stdout, which is then not in the output; -1: none.
        int standard_output = -1;
    };
    using Ended = std::function<void(const ProcessEnd&)>;

    /// Bytes of output that are kept.
    static constexpr std::size_t output_max = 4096;

    /// Returns once the kernel has loaded the shell. `ended` is called from the loop, once, at the
    /// latest when limit and grace are over; it may destroy the process.
    [[nodiscard]] static Result<std::unique_ptr<Process>> start(EventLoop& loop, Setup setup,
                                                                Ended ended);

    /// Kills the group, and does not wait for its end: the loop reaps it.
    ~Process();
    Process(const Process&) = delete;
    Process& operator=(const Process&) = delete;

  private:
    struct Child;

    Process(EventLoop& loop, Setup setup, Ended ended, std::shared_ptr<Child> child, Fd output);

    void read_output(std::size_t most);
    void child_ended(ProcessEnd::How how, int number);
    void time_over();
    void report(ProcessEnd end);

    EventLoop& loop_;
    Setup setup_;
    Ended ended_;
    std::shared_ptr<Child> child_;
    Fd pipe_;
    std::string output_;
    bool cut_ = false;  ///< the beginning of output_ is not the beginning of a line
    bool over_ = false;
    Timer timer_;
};

}  // namespace braid::sys
