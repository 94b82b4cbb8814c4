// SPDX-License-Identifier: GPL-2.0-or-later
#include "sys/process.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <sys/mman.h>
#include <sys/wait.h>

#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <fstream>
#include <optional>

#include "variable.h"

namespace braid::sys {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using testing::ElementsAre;
using testing::IsEmpty;

constexpr seconds plenty{60};

class ProcessTest : public testing::Test {
  protected:
    /// What other tests killed and whose loop ended before it could be reaped.
    void SetUp() override {
        while (waitpid(-1, nullptr, 0) > 0) {
        }
    }

    void start(Process::Setup setup) {
        end_.reset();
        if (setup.limit == seconds(0)) {
            setup.limit = plenty;
        }
        auto started = Process::start(loop_, std::move(setup), [this](const ProcessEnd& end) {
            end_ = end;
            process_.reset();  // as its owner may
        });
        ASSERT_TRUE(started) << started.error().message;
        process_ = std::move(*started);
    }

    template <class Condition>
    [[nodiscard]] bool until(Condition condition) {
        const auto deadline = EventLoop::Clock::now() + plenty;
        while (!condition()) {
            if (EventLoop::Clock::now() > deadline) {
                return false;
            }
            loop_.run_once(milliseconds(10));
        }
        return true;
    }

    ProcessEnd run(Process::Setup setup) {
        start(std::move(setup));
        EXPECT_TRUE(until([this] { return end_.has_value(); })) << "the command does not end";
        return end_.value_or(ProcessEnd{});
    }
    ProcessEnd run(const std::string& command) { return run(Process::Setup{command}); }

    EventLoop loop_;
    std::unique_ptr<Process> process_;
    std::optional<ProcessEnd> end_;
};

/// No process of the group that the command wrote to a file is alive.
bool group_is_gone(const std::string& pid) {
    return kill(-std::stoi(pid), 0) != 0 && errno == ESRCH;
}

bool no_children() {
    return waitpid(-1, nullptr, WNOHANG) == -1 && errno == ECHILD;
}

TEST_F(ProcessTest, TellsStatusSignalAndOutput) {
    ProcessEnd end = run("echo one; echo two >&2; printf three; exit 7");
    EXPECT_EQ(end.how, ProcessEnd::How::exited);
    EXPECT_EQ(end.number, 7);
    EXPECT_FALSE(end.success());
    EXPECT_EQ(to_string(end), "exit status 7");
    EXPECT_THAT(end.output, ElementsAre("one", "two", "three"));

    end = run("kill -9 $$");
    EXPECT_EQ(end.how, ProcessEnd::How::killed);
    EXPECT_EQ(to_string(end), "killed by signal 9 (Killed)");
    EXPECT_THAT(end.output, IsEmpty());

    EXPECT_TRUE(run("true").success());
    EXPECT_TRUE(no_children());
}

TEST_F(ProcessTest, KeepsTheLastLinesOfMuchOutput) {
    const ProcessEnd end = run("i=0; while [ $i -lt 20000 ]; do i=$((i+1)); echo line-$i; done");
    EXPECT_TRUE(end.success());
    ASSERT_FALSE(end.output.empty());
    EXPECT_EQ(end.output.back(), "line-20000");
    EXPECT_THAT(end.output.front(), testing::MatchesRegex("line-19[0-9]+"));
    EXPECT_LE(end.output.size(), Process::output_max / 10);
}

TEST_F(ProcessTest, ALineThatIsTooLongLosesItsBeginning) {
    const ProcessEnd end = run("head -c 10000 /dev/zero | tr '\\0' x; echo end");
    ASSERT_EQ(end.output.size(), 1U);
    EXPECT_EQ(end.output[0].size(), Process::output_max - 1);
    EXPECT_TRUE(end.output[0].ends_with("xend"));
}

TEST_F(ProcessTest, HasTheEnvironmentAndReplacesVariables) {
    const Variable inherited("BRAID_TEST_INHERITED", "old");
    const Variable replaced("BRAID_TEST_REPLACED", "old");
    Process::Setup setup{
        "echo \"$BRAID_TEST_INHERITED/$BRAID_TEST_REPLACED/$BRAID_TEST_NEW\"; "
        "env | grep -c BRAID_TEST_REPLACED="};
    setup.environment = {"BRAID_TEST_REPLACED=a b", "BRAID_TEST_NEW=$(false) 'x'"};
    EXPECT_THAT(run(setup).output, ElementsAre("old/a b/$(false) 'x'", "1"));
}

TEST_F(ProcessTest, InheritsNoInputDescriptorOrSignal) {
    const Fd leak(open("/dev/null", O_RDONLY));  // without CLOEXEC
    sigset_t all{};
    sigset_t before{};
    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, &before);
    auto* const old = std::signal(SIGUSR1, SIG_IGN);
    const ProcessEnd end =
        // No pipe, whose ends the shell would have; and it blocks signals while it waits.
        run("readlink /proc/$$/fd/0; cat; ls /proc/$$/fd; while read -r line; do "
            "case $line in Sig[BI]*) echo \"$line\" ;; esac; done </proc/$$/status");
    std::signal(SIGUSR1, old);
    pthread_sigmask(SIG_SETMASK, &before, nullptr);
    // The C library keeps two signals of its own, 32 and 33, from all programs.
    EXPECT_THAT(end.output, ElementsAre("/dev/null", "0", "1", "2", "SigBlk:\t0000000000000000",
                                        testing::MatchesRegex("SigIgn:.*[08]0000000")));
}

TEST_F(ProcessTest, IsAGroupOfItsOwn) {
    EXPECT_TRUE(run("[ $(cut -d' ' -f5 /proc/$$/stat) = $$ ]").success());
}

TEST_F(ProcessTest, MayBeKilledWhenMemoryIsShort) {
    const auto read = [] {
        int value = 0;
        std::ifstream("/proc/self/oom_score_adj") >> value;
        return value;
    };
    const int before = read();
    std::ofstream("/proc/self/oom_score_adj") << -500;
    if (read() != -500) {
        GTEST_SKIP() << "CAP_SYS_RESOURCE is needed to lower oom_score_adj";
    }
    const ProcessEnd end = run("until [ $(cat /proc/$$/oom_score_adj) = 0 ]; do :; done");
    std::ofstream("/proc/self/oom_score_adj") << before;
    EXPECT_TRUE(end.success()) << to_string(end);
}

TEST_F(ProcessTest, TheGroupIsKilledWhenItsTimeIsOver) {
    Process::Setup setup{
        "echo $$; trap 'echo cleaned; exit 0' TERM; (trap '' TERM; sleep 1000) & wait; echo no"};
    setup.limit = seconds(1);
    const ProcessEnd end = run(setup);
    EXPECT_EQ(end.how, ProcessEnd::How::timed_out);
    EXPECT_EQ(to_string(end), "not done after 1 s");
    ASSERT_THAT(end.output, ElementsAre(testing::_, "cleaned"));
    EXPECT_TRUE(until([&] { return group_is_gone(end.output[0]); }));
    EXPECT_TRUE(no_children());
}

TEST_F(ProcessTest, WhoIgnoresTheEndIsKilled) {
    Process::Setup setup{"echo $$; trap '' TERM; while :; do sleep 1000; done"};
    setup.limit = seconds(1);
    setup.grace = milliseconds(50);
    const ProcessEnd end = run(setup);
    EXPECT_EQ(end.how, ProcessEnd::How::timed_out);
    ASSERT_EQ(end.output.size(), 1U);
    EXPECT_TRUE(until([&] { return group_is_gone(end.output[0]); }));
    EXPECT_TRUE(until(no_children)) << "the loop reaps it";
}

TEST_F(ProcessTest, ABackgroundProcessKeepsNobodyWaiting) {
    // It holds the pipe; and it lives on, as nothing was wrong.
    const ProcessEnd end = run("sleep 1000 & echo $!; exit 0");
    EXPECT_TRUE(end.success());
    ASSERT_EQ(end.output.size(), 1U);
    EXPECT_EQ(kill(std::stoi(end.output[0]), SIGKILL), 0);
}

TEST_F(ProcessTest, ACommandThatWritesForEverLeavesOthersTheirTurn) {
    int turns = 0;
    std::function<void()> turn;
    Timer timer(loop_);
    turn = [&] {
        turns++;
        timer.start(milliseconds(1), turn);
    };
    turn();
    Process::Setup setup{"yes"};
    setup.limit = seconds(1);
    EXPECT_EQ(run(setup).how, ProcessEnd::How::timed_out);
    EXPECT_GT(turns, 20);
}

TEST_F(ProcessTest, DestroyedItsGroupIsKilledAndReaped) {
    // It says its number through a file, as nobody is left to hear it.
    std::string path = testing::TempDir() + "process_test.XXXXXX";
    const Fd file(mkstemp(path.data()));
    ASSERT_TRUE(file);
    start({"sleep 1000 & echo $$ >" + path + "; wait"});
    std::string pid;
    ASSERT_TRUE(until([&] {
        std::ifstream read(path);
        return static_cast<bool>(std::getline(read, pid));
    }));
    process_.reset();
    EXPECT_TRUE(until([&] { return group_is_gone(pid); }));
    EXPECT_TRUE(until(no_children));
    EXPECT_FALSE(end_) << "nobody is told";
    unlink(path.c_str());
}

TEST_F(ProcessTest, RunsWhereSignalsOfChildrenAreIgnoredAndMemoryIsLocked) {
    std::signal(SIGCHLD, SIG_IGN);
    // The sanitizers' shadow is not to be locked: a mapping is enough to have VM_LOCKED.
    std::vector<char> page(1 << 16);
    ASSERT_EQ(mlock(page.data(), page.size()), 0);
    EXPECT_EQ(run("exit 3").number, 3);
    const ProcessEnd end = run("grep VmLck /proc/$$/status | tr -d '\\t '");
    EXPECT_THAT(end.output, ElementsAre("VmLck:0kB"));
    munlock(page.data(), page.size());
}

}  // namespace
}  // namespace braid::sys
