// SPDX-License-Identifier: GPL-2.0-or-later
#include "sys/file_content.h"

#include <gmock/gmock.h>
#include <sys/stat.h>

#include <cerrno>
#include <filesystem>

#include "temporary_directory.h"

namespace braid::sys {
namespace {

using testing::HasSubstr;

class FileTest : public testing::Test {
  protected:
    [[nodiscard]] std::string path(const std::string& name = "file") const {
        return (root_.path() / name).string();
    }
    [[nodiscard]] std::ptrdiff_t files() const {
        return std::distance(std::filesystem::directory_iterator(root_.path()), {});
    }

    test::TemporaryDirectory root_;
};

TEST_F(FileTest, WrittenWithItsModeWhateverTheUmask) {
    const mode_t before = umask(0077);
    const auto written = write_file(path(), "content", 0644, Existing::refuse);
    umask(before);
    ASSERT_TRUE(written) << written.error().message;
    struct stat status {};
    ASSERT_EQ(stat(path().c_str(), &status), 0);
    EXPECT_EQ(status.st_mode & 07777U, 0644U);
    EXPECT_EQ(read_file(path()).value(), "content");
    EXPECT_EQ(files(), 1) << "nothing else is left";
}

TEST_F(FileTest, AFifoIsNotWaitedFor) {
    ASSERT_EQ(mkfifo(path().c_str(), 0600), 0);
    EXPECT_EQ(read_file(path()).value(), "");
}

TEST_F(FileTest, AnExistingFileIsRefusedAndUntouched) {
    root_.write("file", "old");
    const auto refused = write_file(path(), "new", 0600, Existing::refuse);
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().number, EEXIST);
    EXPECT_THAT(refused.error().message, HasSubstr(path()));
    EXPECT_EQ(read_file(path()).value(), "old");
    EXPECT_EQ(files(), 1) << "the temporary file is gone";
}

TEST_F(FileTest, ReplacedAsAWhole) {
    root_.write("file", "a longer old content");
    ASSERT_TRUE(write_file(path(), "new", 0600, Existing::replace));
    EXPECT_EQ(read_file(path()).value(), "new");
    EXPECT_EQ(files(), 1);
}

TEST_F(FileTest, WhatCannotBeReadOrWrittenIsNamed) {
    EXPECT_EQ(read_file(path()).error().number, ENOENT);
    EXPECT_THAT(read_file(path()).error().message, HasSubstr(path()));
    EXPECT_EQ(write_file(path("no/file"), "", 0600, Existing::refuse).error().number, ENOENT);
    root_.write("long", std::string(5000, 'x'));
    EXPECT_EQ(read_file(path("long"), 4999).error().number, EFBIG);
    EXPECT_EQ(read_file(path("long"), 5000).value().size(), 5000U);
}

}  // namespace
}  // namespace braid::sys
