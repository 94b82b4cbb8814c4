// SPDX-License-Identifier: GPL-2.0-or-later
//
// create-md, dump-md and wipe-md. What they write is also read by another decoder, in
// braidadm_cli_test.py.
#include <algorithm>
#include <cerrno>
#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>

#include "cli/metadata.h"
#include "cli_fixture.h"

namespace braid::cli {
namespace {

using nlohmann::json;
using sys::BlockDevice;
using testing::HasSubstr;
using testing::Return;

constexpr std::uint64_t mib = 1 << 20;

/// A file that has 4 KiB blocks, as some disks do.
class LargeBlocks : public BlockDevice {
  public:
    explicit LargeBlocks(std::unique_ptr<BlockDevice> file) : file_(std::move(file)) {}
    [[nodiscard]] const std::string& path() const override { return file_->path(); }
    [[nodiscard]] std::uint64_t size() const override { return file_->size(); }
    [[nodiscard]] std::uint32_t logical_block_size() const override { return 4096; }
    [[nodiscard]] sys::Result<std::vector<std::uint8_t>> read(std::uint64_t offset,
                                                              std::size_t length) const override {
        return file_->read(offset, length);
    }
    [[nodiscard]] sys::Result<void> write(std::uint64_t offset,
                                          std::span<const std::uint8_t> bytes) override {
        return file_->write(offset, bytes);
    }
    [[nodiscard]] sys::Result<void> sync() override { return file_->sync(); }

  private:
    std::unique_ptr<BlockDevice> file_;
};

class MetadataTest : public test::CliTest {
  protected:
    MetadataTest() {
        make("disk", 64 * mib);
        make("meta", 2 * mib);
    }

    void make(const std::string& name, std::uint64_t size) const {
        root_.write(name, "");
        std::filesystem::resize_file(root_.path() / name, size);
    }
    [[nodiscard]] std::string path(const std::string& name) const {
        return (root_.path() / name).string();
    }
    [[nodiscard]] std::string content(const std::string& name) const {
        std::string bytes(std::filesystem::file_size(root_.path() / name), 'x');
        std::ifstream file(root_.path() / name, std::ios::binary);
        file.read(bytes.data(), static_cast<std::streamsize>(bytes.size()));
        return bytes;
    }
    ExitCode create(std::vector<std::string> more = {}) {
        std::vector<std::string> arguments{"create-md", "--device", path("disk"), "--node",
                                           "3",         "--volume", "1"};
        std::ranges::move(more, std::back_inserter(arguments));
        return run(arguments);
    }
    void poke(const std::string& name, std::uint64_t offset, const std::string& bytes) const {
        std::fstream file(root_.path() / name, std::ios::binary | std::ios::in | std::ios::out);
        file.seekp(static_cast<std::streamoff>(offset));
        file << bytes;
    }
    json dumped(std::vector<std::string> more = {}) {
        std::vector<std::string> arguments{"dump-md", "--device", path("disk"), "--json"};
        std::ranges::move(more, std::back_inserter(arguments));
        const std::size_t before = out().size();
        dump_status_ = run(arguments);
        return json::parse(out().substr(before));
    }

    ExitCode dump_status_ = ExitCode::ok;
};

TEST_F(MetadataTest, CreatedMetadataIsDumped) {
    ASSERT_EQ(create({"--max-peers", "1"}), ExitCode::ok);
    EXPECT_EQ(out(), path("disk") +
                         ": metadata of node 3, volume 1 created: 67043328 bytes of data, blocks "
                         "of 512, 1 peers\n");
    json document = dumped();
    EXPECT_EQ(dump_status_, ExitCode::ok);
    EXPECT_EQ(document["superblock"]["uuid"].get<std::string>().size(), 36U);
    document["superblock"].erase("uuid");
    const std::string zero = "0000000000000000";
    const json expected = {{"device", path("disk")},
                           {"copies",
                            {{{"offset", 67104768}, {"state", "valid"}, {"sequence", 2}},
                             {{"offset", 67100672}, {"state", "valid"}, {"sequence", 1}}}},
                           {"superblock",
                            {{"volume", 1},
                             {"node", 3},
                             {"flags", json::array()},
                             {"block-size", 512},
                             {"data-bytes", 67043328},
                             {"volume-bytes", 0},
                             {"votes-offset", 67043328},
                             {"log-offset", 67076096},
                             {"log-blocks", 1},
                             {"slots-offset", 67084288},
                             {"slot-bytes", 8192},
                             {"max-slots", 2},
                             {"voter", zero},
                             {"instance", zero},
                             {"last", {{"epoch", 0}, {"id", zero}, {"instance", zero}}},
                             {"config",
                              {{"lineage", "00000000-0000-0000-0000-000000000000"},
                               {"epoch", 0},
                               {"id", zero},
                               {"writer", nullptr},
                               {"in-sync", json::array()},
                               {"diskful", json::array()},
                               {"members", json::array()},
                               {"instances", json::object()}}}}},
                           {"fits", true},
                           {"vote-bytes", 0},
                           {"active-count", 0},
                           {"active-regions", json::array()},
                           {"invalid-log-blocks", 0},
                           {"slots", json::array()}};
    EXPECT_EQ(document, expected);
}

TEST_F(MetadataTest, ExternalMetadataLeavesTheDiskAlone) {
    const std::string before = content("disk");
    ASSERT_EQ(create({"--meta-device", path("meta")}), ExitCode::ok);
    EXPECT_EQ(content("disk"), before);
    const json document = dumped({"--meta-device", path("meta")});
    EXPECT_EQ(document["superblock"]["data-bytes"], 64 * mib);
    EXPECT_EQ(document["superblock"]["flags"], json({"external"}));
    EXPECT_EQ(run({"wipe-md", "--device", path("disk"), "--meta-device", path("meta")}),
              ExitCode::ok);
    EXPECT_EQ(content("meta").substr(0, 8192), std::string(8192, '\0'));
}

TEST_F(MetadataTest, StateOfAReplicaInUseIsShown) {
    ASSERT_EQ(create({"--max-peers", "1"}), ExitCode::ok);
    const auto device = BlockDevice::open(path("disk"), BlockDevice::Access::write_used).value();
    braid_superblock sb = (*read_superblocks(*device, false))[0].superblock;
    sb.sequence = 3;
    sb.flags = BRAID_SB_IN_USE | BRAID_SB_SUSPECT;
    sb.config.epoch = 9;
    sb.config.members = 0xb;
    sb.config.diskful = sb.config.in_sync = 0x9;
    sb.config.writer = 3;
    sb.config.instance[3] = 0xabc;
    sb.slots[1] = {1, {4, 5, 6}};
    std::vector<std::uint8_t> block(4096);
    braid_superblock_encode(&sb, block.data());
    ASSERT_TRUE(device->write(braid_superblock_offset(64 * mib, false, 1), block));
    std::array<u32, BRAID_LOG_SLOTS> regions{};
    regions.fill(BRAID_LOG_FREE);
    regions[7] = 12;
    regions[9] = 3;
    regions[10] = 12;
    braid_log_encode(block.data(), 7, 0, 1, regions.data());
    ASSERT_TRUE(device->write(sb.log_offset, block));
    std::array<u8, BRAID_SUMMARY_REGIONS / 4> states{};
    states[0] = BRAID_REGION_LEAF | BRAID_REGION_ALL << 2 | BRAID_REGION_LEAF << 4;
    std::vector<std::uint8_t> sector(BRAID_SUMMARY_BYTES);
    braid_summary_encode(sector.data(), 0, states.data());
    const std::uint64_t slot = sb.slots_offset + sb.slot_bytes;
    ASSERT_TRUE(device->write(slot, sector));
    std::array<u8, BRAID_LEAF_BYTES> bits{0x81, 0x01};
    std::ranges::fill(block, 0);
    braid_leaf_encode(block.data(), 0, bits.data());  // region 2 has no valid leaf: all dirty
    ASSERT_TRUE(device->write(slot + braid_leaf_offset(sb.data_bytes, 0), block));

    const json document = dumped();
    EXPECT_EQ(document["copies"][1]["sequence"], 3);
    EXPECT_EQ(document["superblock"]["flags"], json({"in-use", "suspect"}));
    EXPECT_EQ(document["superblock"]["config"]["writer"], 3);
    EXPECT_EQ(document["superblock"]["config"]["in-sync"], json({0, 3}));
    EXPECT_EQ(document["superblock"]["config"]["instances"]["3"], "0000000000000abc");
    EXPECT_EQ(document["active-regions"], json({3, 12}));
    EXPECT_EQ(document["slots"].size(), 1U);
    EXPECT_EQ(document["slots"][0]["node"], 1);
    EXPECT_EQ(document["slots"][0]["dirty-bytes"], 8 * mib + 12288);
    EXPECT_EQ(run({"dump-md", "--device", path("disk")}), ExitCode::ok);
    EXPECT_THAT(out(), HasSubstr("active-count: 2\n"));
    EXPECT_THAT(out(), HasSubstr("dirty-bytes: 8400896\n"));
}

TEST_F(MetadataTest, TornCopiesAreShown) {
    ASSERT_EQ(create(), ExitCode::ok);
    poke("disk", 64 * mib - 4000, "x");
    EXPECT_EQ(dumped()["copies"][0]["state"], "corrupt");
    EXPECT_EQ(dump_status_, ExitCode::ok);
    poke("disk", 64 * mib - 8000, "x");
    EXPECT_FALSE(dumped().contains("superblock"));
    EXPECT_EQ(dump_status_, ExitCode::failure);
    EXPECT_THAT(err(), HasSubstr("has no valid Braid superblock"));
    EXPECT_EQ(create(), ExitCode::failure);
    EXPECT_THAT(err(), HasSubstr("carries Braid metadata (corrupt, at 67104768)\n"));
}

TEST_F(MetadataTest, SignaturesAreRefusedUnlessForced) {
    EXPECT_CALL(*blkid_, signatures(path("disk")))
        .WillOnce(Return(
            std::vector<sys::Signature>{{"raid", "LVM2_member"}, {"partition table", "gpt"}}));
    const std::string before = content("disk");
    EXPECT_EQ(create(), ExitCode::failure);
    EXPECT_EQ(err(), "braidadm: " + path("disk") +
                         ": carries LVM2_member (raid), gpt (partition table)\n"
                         "Clear it with 'wipefs -a' or 'braidadm wipe-md', or use --force: then "
                         "what it holds becomes the volume's data.\n");
    EXPECT_EQ(content("disk"), before);
    EXPECT_EQ(create({"--force"}), ExitCode::ok);
}

TEST_F(MetadataTest, AFileSystemThatReachesTooFarIsRefusedAlsoWithForce) {
    poke("disk", 1024 + 4, std::string("\0\x40\0\0", 4));  // 16384 blocks
    poke("disk", 1024 + 24, std::string("\2\0\0\0", 4));   // of 4 KiB
    poke("disk", 1024 + 56, "\x53\xef");
    EXPECT_EQ(create({"--force", "--max-peers", "1"}), ExitCode::failure);
    EXPECT_THAT(err(), HasSubstr("its file system of 67108864 bytes does not fit into the "
                                 "volume's 67043328 bytes\nShrink it by at least 65536 bytes"));
    EXPECT_EQ(create({"--force", "--meta-device", path("meta")}), ExitCode::ok);
}

TEST_F(MetadataTest, XfsIsMeasuredToo) {
    poke("disk", 0, std::string("XFSB\0\0\x10\0\0\0\0\0\0\0\x40\0", 16));
    EXPECT_EQ(create({"--force", "--max-peers", "1"}), ExitCode::failure);
    EXPECT_THAT(err(), HasSubstr("Shrink it by at least 65536 bytes"));
}

TEST_F(MetadataTest, ADeviceInUseIsRefused) {
    open_device_ = [&](const std::string& name,
                       BlockDevice::Access access) -> sys::Result<std::unique_ptr<BlockDevice>> {
        if (access == BlockDevice::Access::exclusive) {
            return tl::unexpected(sys::Error{EBUSY, name + ": Device or resource busy"});
        }
        return BlockDevice::open(name, access);
    };
    EXPECT_EQ(create(), ExitCode::failure);
    EXPECT_THAT(err(), HasSubstr(path("disk") + ": in use: mounted, or part of another device\n"));
    EXPECT_EQ(create({"--force"}), ExitCode::ok);
    EXPECT_EQ(run({"wipe-md", "--device", path("disk")}), ExitCode::failure);
}

TEST_F(MetadataTest, LargeLogicalBlocksDecide) {
    open_device_ = [&](const std::string& name,
                       BlockDevice::Access access) -> sys::Result<std::unique_ptr<BlockDevice>> {
        return std::make_unique<LargeBlocks>(std::move(*BlockDevice::open(name, access)));
    };
    EXPECT_EQ(create({"--block-size", "512"}), ExitCode::failure);
    EXPECT_THAT(err(), HasSubstr("its logical blocks have 4096 bytes"));
    EXPECT_EQ(create(), ExitCode::ok);
    EXPECT_EQ(dumped()["superblock"]["block-size"], 4096);
}

TEST_F(MetadataTest, WhatDoesNotFitIsRefused) {
    EXPECT_EQ(create({"--size", "67108864"}), ExitCode::failure);
    EXPECT_THAT(err(), HasSubstr("too small: 67108864 bytes of data and the metadata for 7 peers"));
    make("disk", 4096);
    EXPECT_EQ(create(), ExitCode::failure);
    EXPECT_EQ(create({"--meta-device", path("disk")}), ExitCode::failure);
    EXPECT_THAT(err(), HasSubstr("is the device of the data too"));
}

TEST_F(MetadataTest, WrongOptionsAreUsageErrors) {
    EXPECT_EQ(create({"--max-peers", "31"}), ExitCode::usage);
    EXPECT_EQ(create({"--block-size", "1024"}), ExitCode::usage);
    EXPECT_EQ(run({"create-md", "--device", path("disk"), "--node", "32", "--volume", "0"}),
              ExitCode::usage);
    EXPECT_EQ(run({"dump-md"}), ExitCode::usage);
    EXPECT_EQ(content("disk"), std::string(64 * mib, '\0'));
}

TEST_F(MetadataTest, OtherSizesOfTheDiskAreTold) {
    ASSERT_EQ(create({"--meta-device", path("meta")}), ExitCode::ok);
    make("disk", 32 * mib);
    EXPECT_EQ(dumped({"--meta-device", path("meta")})["fits"], false);
    EXPECT_EQ(dump_status_, ExitCode::failure);
    EXPECT_THAT(err(), HasSubstr("the metadata is about devices of another size"));
}

TEST_F(MetadataTest, NothingToWipeIsAnError) {
    EXPECT_EQ(run({"wipe-md", "--device", path("disk")}), ExitCode::failure);
    EXPECT_THAT(err(), HasSubstr("has no internal Braid metadata\n"));
    EXPECT_EQ(run({"wipe-md", "--device", path("none")}), ExitCode::failure);
    EXPECT_THAT(err(), HasSubstr(path("none") + ": No such file or directory\n"));
}

}  // namespace
}  // namespace braid::cli
