// SPDX-License-Identifier: GPL-2.0-or-later
#include "satellite/admin.h"

#include <gmock/gmock.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <chrono>
#include <filesystem>
#include <future>
#include <optional>
#include <string>
#include <vector>

#include "sys/local_socket.h"
#include "temporary_directory.h"

namespace braid::satellite {

namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using testing::ElementsAre;
using testing::HasSubstr;

constexpr seconds plenty{30};

class AdminTest : public testing::Test {
  protected:
    AdminTest() {
        admin_.emplace(loop_, [this](Admin::Id id, const std::string& line) {
            asked_.push_back(line);
            last_ = id;
            if (answers_) {
                admin_->answer(id, "to " + line);
            }
        });
    }

    [[nodiscard]] std::string path() const { return (directory_.path() / "socket").string(); }

    /// Of another thread, as braidadm is another program.
    [[nodiscard]] std::future<sys::Result<std::string>> ask(const std::string& line,
                                                            milliseconds most = plenty) const {
        return std::async(std::launch::async,
                          [=, path = path()] { return sys::ask_local(path, line, most); });
    }

    template <class T>
    T wait(std::future<T> future) {
        while (future.wait_for(seconds(0)) != std::future_status::ready) {
            loop_.run_once(milliseconds(5));
        }
        return future.get();
    }

    test::TemporaryDirectory directory_;
    sys::EventLoop loop_;
    std::vector<std::string> asked_;
    bool answers_ = true;
    Admin::Id last_ = 0;
    std::optional<Admin> admin_;
};

TEST_F(AdminTest, AnswersALineWithALine) {
    ASSERT_TRUE(admin_->listen(path()));
    EXPECT_EQ(wait(ask("one")).value(), "to one");
    const std::string much(60000, 'x');
    EXPECT_EQ(wait(ask(much)).value(), "to " + much);
    EXPECT_THAT(asked_, ElementsAre("one", much));
}

TEST_F(AdminTest, AnswersLater) {
    ASSERT_TRUE(admin_->listen(path()));
    answers_ = false;
    auto first = ask("first");
    while (asked_.empty()) {
        loop_.run_once(milliseconds(5));
    }
    const Admin::Id id = last_;
    answers_ = true;
    EXPECT_EQ(wait(ask("second")).value(), "to second") << "one that waits holds nobody up";
    admin_->answer(id, "at last");
    EXPECT_EQ(wait(std::move(first)).value(), "at last");
    admin_->answer(id, "once more");
    admin_->answer(9999, "nobody");
}

TEST_F(AdminTest, WhoeverGoesIsForgotten) {
    ASSERT_TRUE(admin_->listen(path()));
    answers_ = false;
    const auto gone = wait(ask("never mind", milliseconds(50)));
    ASSERT_FALSE(gone);
    EXPECT_EQ(gone.error().number, ETIMEDOUT);
    loop_.run_once(milliseconds(5));
    admin_->answer(last_, "nobody listens");
    answers_ = true;
    EXPECT_EQ(wait(ask("still here")).value(), "to still here");
}

TEST_F(AdminTest, TooMuchIsRefused) {
    ASSERT_TRUE(admin_->listen(path()));
    const auto answer = wait(ask(std::string(Admin::request_max + 1, 'x')));
    ASSERT_FALSE(answer);
    EXPECT_THAT(asked_, ElementsAre());
}

TEST_F(AdminTest, OnlyItsUserGetsIn) {
    ASSERT_TRUE(admin_->listen(path()));
    struct stat found {};
    ASSERT_EQ(::stat(path().c_str(), &found), 0);
    EXPECT_EQ(found.st_mode & 07777U, 0600U);
}

TEST_F(AdminTest, TakesThePlaceOfWhatACrashLeft) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    path().copy(static_cast<char*>(address.sun_path), sizeof(address.sun_path) - 1);
    {
        const sys::Fd left(::socket(AF_UNIX, SOCK_STREAM, 0));
        ASSERT_EQ(::bind(left.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)),
                  0);
    }
    ASSERT_TRUE(admin_->listen(path()));
    EXPECT_EQ(wait(ask("one")).value(), "to one");

    Admin second(loop_, [](Admin::Id, const std::string&) {});
    const auto refused = second.listen(path());
    ASSERT_FALSE(refused) << "somebody listens there";
    EXPECT_EQ(refused.error().number, EADDRINUSE);
    EXPECT_EQ(wait(ask("two")).value(), "to two");

    admin_.reset();
    EXPECT_FALSE(std::filesystem::exists(path()));
    const auto nobody = sys::ask_local(path(), "three", milliseconds(50));
    ASSERT_FALSE(nobody);
    EXPECT_EQ(nobody.error().number, ENOENT);
    EXPECT_THAT(nobody.error().message, HasSubstr(path()));
}

}  // namespace

}  // namespace braid::satellite
