// SPDX-License-Identifier: GPL-2.0-or-later
#include "sys/block_device.h"

#include <gmock/gmock.h>

#include <cerrno>

#include "sys/blkid.h"
#include "temporary_directory.h"

namespace braid::sys {
namespace {

using Access = BlockDevice::Access;
using testing::HasSubstr;

class BlockDeviceTest : public testing::Test {
  protected:
    BlockDeviceTest() { root_.write("disk", std::string(8192, 'x')); }

    [[nodiscard]] std::string path(const std::string& name = "disk") const {
        return (root_.path() / name).string();
    }

    test::TemporaryDirectory root_;
};

TEST_F(BlockDeviceTest, AFileIsReadAndWritten) {
    auto device = BlockDevice::open(path(), Access::exclusive).value();
    EXPECT_EQ(device->size(), 8192U);
    EXPECT_EQ(device->logical_block_size(), 512U);
    ASSERT_TRUE(device->write(4096, std::vector<std::uint8_t>{'a', 'b'}));
    ASSERT_TRUE(device->sync());
    const auto other = BlockDevice::open(path(), Access::read).value();
    EXPECT_EQ(other->read(4095, 4).value(), (std::vector<std::uint8_t>{'x', 'a', 'b', 'x'}));
}

TEST_F(BlockDeviceTest, ErrorsNameThePathAndTheOffset) {
    auto device = BlockDevice::open(path(), Access::read).value();
    EXPECT_THAT(device->read(8000, 4096).error().message,
                HasSubstr(path() + ": cannot read at 8192: "));
    const std::vector<std::uint8_t> bytes(1);
    EXPECT_THAT(device->write(5, bytes).error().message, HasSubstr(": cannot write at 5: "));
    EXPECT_EQ(BlockDevice::open(path("none"), Access::read).error().number, ENOENT);
    EXPECT_THAT(BlockDevice::open("/dev/null", Access::read).error().message,
                HasSubstr("/dev/null: neither a block device nor a regular file"));
}

TEST_F(BlockDeviceTest, BlkidFindsWhatItKnows) {
    LibBlkid blkid;
    EXPECT_TRUE(blkid.signatures(path()).value().empty());
    EXPECT_FALSE(blkid.signatures(path("none")));
    std::string disk(1 << 20, '\0');
    disk.replace(512, 8, "LABELONE");  // of LVM
    disk.replace(512 + 8, 8, std::string("\1\0\0\0\0\0\0\0", 8));
    disk.replace(510, 2, "\x55\xaa");  // and a partition table
    disk.replace(446 + 4, 12, std::string("\x83\0\0\0\1\0\0\0\1\0\0\0", 12));
    root_.write("dos", disk);
    const auto found = blkid.signatures(path("dos")).value();
    ASSERT_FALSE(found.empty());
    EXPECT_EQ(found.back().type, "dos");
    EXPECT_EQ(found.back().usage, "partition table");
}

}  // namespace
}  // namespace braid::sys
