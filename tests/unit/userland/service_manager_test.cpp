// SPDX-License-Identifier: GPL-2.0-or-later
#include "sys/service_manager.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <array>
#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <stdexcept>

#include "variable.h"

namespace braid::sys {
namespace {

using testing::HasSubstr;
using testing::MatchesRegex;

/// A socket for datagrams, as systemd and its journal have.
class Listener {
  public:
    Listener()
        : directory_(testing::TempDir() + "service.XXXXXX"),
          fd_(socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)) {
        sockaddr_un address{};
        address.sun_family = AF_UNIX;
        if (mkdtemp(directory_.data()) == nullptr) {
            throw std::runtime_error(directory_);
        }
        path().copy(static_cast<char*>(address.sun_path), sizeof(address.sun_path) - 1);
        if (bind(fd_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0) {
            throw std::runtime_error(path());
        }
    }
    ~Listener() { std::filesystem::remove_all(directory_); }
    Listener(const Listener&) = delete;
    Listener& operator=(const Listener&) = delete;

    [[nodiscard]] std::string path() const { return directory_ + "/socket"; }

    /// What came, "" if nothing has.
    [[nodiscard]] std::string next() const {
        std::array<char, 65536> buffer{};
        const ssize_t size = recv(fd_.get(), buffer.data(), buffer.size(), 0);
        return {buffer.data(), size > 0 ? static_cast<std::size_t>(size) : 0};
    }

  private:
    std::string directory_;
    Fd fd_;
};

TEST(ServiceManager, IsTold) {
    const Listener manager;
    const Variable socket("NOTIFY_SOCKET", manager.path());
    notify_ready();
    EXPECT_EQ(manager.next(), "READY=1");
    notify_status("2 resources\nREADY=1");
    EXPECT_EQ(manager.next(), "STATUS=2 resources READY=1");
    notify_reloading();
    EXPECT_THAT(manager.next(), MatchesRegex("RELOADING=1\nMONOTONIC_USEC=[0-9]+"));
    notify_alive();
    EXPECT_EQ(manager.next(), "WATCHDOG=1");
    notify_stopping();
    EXPECT_EQ(manager.next(), "STOPPING=1");
    EXPECT_EQ(manager.next(), "");
}

TEST(ServiceManager, NobodyIsNoError) {
    notify_ready();
    const Variable socket("NOTIFY_SOCKET", "/nonexistent/socket");
    notify_ready();
}

TEST(ServiceManager, TheWatchdogIsFedTwiceAsOftenAsAsked) {
    EXPECT_FALSE(watchdog_interval());
    const Variable usec("WATCHDOG_USEC", "30000000");
    EXPECT_EQ(watchdog_interval(), std::chrono::seconds(15));
    const Variable pid("WATCHDOG_PID", "1");
    EXPECT_FALSE(watchdog_interval()) << "it is meant for another process";
}

/// A file in the place of stderr.
class JournalTest : public testing::Test {
  public:
    JournalTest() : path_(testing::TempDir() + "journal.XXXXXX"), stderr_(mkstemp(path_.data())) {}
    ~JournalTest() override { std::filesystem::remove(path_); }
    JournalTest(const JournalTest&) = delete;
    JournalTest& operator=(const JournalTest&) = delete;

  protected:
    [[nodiscard]] std::string stream() const {
        struct stat found {};
        fstat(stderr_.get(), &found);
        return std::to_string(found.st_dev) + ":" + std::to_string(found.st_ino);
    }
    [[nodiscard]] std::string lines() const {
        std::array<char, 4096> buffer{};
        const ssize_t size = pread(stderr_.get(), buffer.data(), buffer.size(), 0);
        return {buffer.data(), static_cast<std::size_t>(size)};
    }

    std::string path_;
    Fd stderr_;
    Listener journald_;
};

TEST_F(JournalTest, FieldsStayFields) {
    const Variable variable("JOURNAL_STREAM", stream());
    Journal journal(stderr_.get(), journald_.path());
    journal.write(Priority::warning, "it broke",
                  {{"BRAID_RESOURCE", "r0"}, {"BRAID_OUTPUT", "a\nb"}});
    EXPECT_EQ(journald_.next(), std::string("PRIORITY=4\nSYSLOG_IDENTIFIER=") +
                                    program_invocation_short_name +
                                    "\nMESSAGE=r0: it broke\nBRAID_RESOURCE=r0\nBRAID_OUTPUT\n" +
                                    std::string("\3\0\0\0\0\0\0\0", 8) + "a\nb\n");
    EXPECT_EQ(lines(), "");
}

TEST_F(JournalTest, ElsewhereItIsALine) {
    const Variable variable("JOURNAL_STREAM", "1:2");
    Journal journal(stderr_.get(), journald_.path());
    journal.write(Priority::info, "up", {{"BRAID_NODE", "a"}, {"BRAID_RESOURCE", "r0"}});
    journal.write(Priority::info, "down", {{"BRAID_PEER", "b"}, {"BRAID_RESOURCE", "r0"}});
    journal.write(Priority::info, "away", {{"BRAID_PEER", "b"}});
    journal.write(Priority::info, "two\nlines");
    EXPECT_EQ(lines(), "r0: up\nr0/b: down\nb: away\ntwo lines\n");
    EXPECT_EQ(journald_.next(), "");
}

TEST_F(JournalTest, WithoutJournaldItIsALine) {
    const Variable variable("JOURNAL_STREAM", stream());
    Journal journal(stderr_.get(), "/nonexistent/socket");
    journal.write(Priority::info, "up");
    EXPECT_EQ(lines(), "up\n");
}

TEST_F(JournalTest, NeverWaitsForTheJournal) {
    const Variable variable("JOURNAL_STREAM", stream());
    Journal journal(stderr_.get(), journald_.path());
    constexpr int count = 2000;  // more than any queue of datagrams
    for (int i = 0; i < count; i++) {
        journal.write(Priority::info, std::string(2 * Journal::value_max, 'x'));
    }
    int kept = 0;
    while (!journald_.next().empty()) {
        kept++;
    }
    EXPECT_GT(kept, 0);
    EXPECT_LT(kept, count);
    journal.write(Priority::info, "again");
    EXPECT_THAT(journald_.next(),
                HasSubstr("messages lost here: " + std::to_string(count - kept) + "\n"));
    EXPECT_THAT(journald_.next(), HasSubstr("MESSAGE=again\n"));
    EXPECT_EQ(lines(), "");
}

}  // namespace
}  // namespace braid::sys
