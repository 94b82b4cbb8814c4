// SPDX-License-Identifier: GPL-2.0-or-later
//
// braidadm pool, and volumes of pools in create-md and adjust; LVM and ZFS are replayed.
#include <filesystem>
#include <fstream>
#include <sstream>

#include "cli/pools.h"
#include "command_replay.h"
#include "kernel_fixture.h"
#include "sys/zfs.h"

namespace braid::cli {
namespace {

using test::CommandReplay;
using testing::AllOf;
using testing::Each;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

constexpr std::uint64_t mib = 1 << 20;

class VerbPool : public test::KernelTest {
  protected:
    VerbPool() {
        context_.run_command = replay_.run();
        std::filesystem::create_directory(root_.path() / "braid.d");
        configure_pools("");
    }

    /// `more` stands beside the include.
    void configure_pools(const std::string& more) const {
        root_.write("braid.conf", "include \"braid.d/*.res\";\n" + more);
    }
    void configure_volume(const std::string& size) const {
        configure_pools("resource r0 { volume 0 { device minor 10; pool fast; size " + size +
                        "; }\n on alice { node-id 0; address 10.0.0.1; }\n"
                        " on bob { node-id 1; address 10.0.0.2; } }\n");
    }
    void have_pool() const {
        root_.write("braid.d/pool-fast.res", "pool fast { lvmthin vga/thin; }\n");
    }
    [[nodiscard]] bool recorded() const {
        return std::filesystem::exists(root_.path() / "braid.d/pool-fast.res");
    }
    void expect_report(const std::string& volumes = test::full_pool) {
        replay_.expect(test::lvmconfig, test::lvm_settings);
        replay_.expect(test::vgs, test::two_groups);
        replay_.expect(test::lvs, volumes);
    }
    ExitCode pool(std::vector<std::string> arguments) {
        arguments.insert(arguments.begin(), "pool");
        return braidadm(std::move(arguments));
    }

    CommandReplay replay_;
};

TEST_F(VerbPool, CreateMakesAPoolThatFailsAtOnceAndZeroes) {
    replay_.expect(test::lvmconfig, test::lvm_settings);
    replay_.expect(test::lvmconfig, test::lvm_settings);
    replay_.expect(test::vgs, R"({"report":[{"vg":[]}]})");
    replay_.expect("vgcreate vga " + path("a"));
    replay_.expect(test::vgs, R"({"report":[{"vg":[{"vg_name":"vga", "vg_size":"130023424",)"
                              R"( "vg_free":"130023424", "vg_extent_size":"4194304"}]}]})");
    replay_.expect(test::lvs, test::no_volumes);
    replay_.expect(
        "lvcreate --type thin-pool --name thin --size 104857600b --poolmetadatasize "
        "8388608b --chunksize 65536b --zero y --discards passdown vga");
    replay_.expect("lvchange --errorwhenfull y vga/thin");
    EXPECT_EQ(pool({"create", "lvmthin", "fast", path("a"), "--vg", "vga"}), ExitCode::ok) << err();
    EXPECT_THAT(out(), HasSubstr("fast: thin pool vga/thin of 100.0 MiB, metadata 8.0 MiB"));
    EXPECT_THAT(err(), IsEmpty());
    // No command may scan what guests keep, and the administrator's filter holds, too.
    EXPECT_THAT(replay_.configs,
                AllOf(testing::SizeIs(6),
                      Each("devices { global_filter=[\"r|^/dev/braid|\",\"r|^/dev/ram1|\"] "
                           "scan_lvs=0 }")));
    std::ifstream file(root_.path() / "braid.d/pool-fast.res");
    std::stringstream text;
    text << file.rdbuf();
    EXPECT_THAT(text.str(), HasSubstr("pool fast {\n\tlvmthin vga/thin;\n}\n"));
    EXPECT_THAT(asked_, ElementsAre(HasSubstr("reload")));
}

TEST_F(VerbPool, CreateAdoptsAndMakesSafe) {
    std::string unsafe = test::full_pool;
    unsafe.replace(unsafe.find("\"error\""), 7, "\"queue\"");
    unsafe.replace(unsafe.rfind("\"zero\":\"zero\""), 13, "\"zero\":\"\"");
    replay_.expect(test::lvmconfig,
                   "devices {\n\tscan_lvs=1\n\ttypes=[\"braid\",16]\n\tuse_devicesfile=0\n}\n");
    replay_.expect(test::lvmconfig, test::lvm_settings);
    replay_.expect(test::vgs, test::two_groups);
    replay_.expect(test::vgs, test::two_groups);
    replay_.expect(test::lvs, unsafe);
    replay_.expect("lvchange --errorwhenfull y --zero y vga/thin");
    EXPECT_EQ(pool({"create", "lvmthin", "fast", "vga/thin"}), ExitCode::ok) << err();
    EXPECT_THAT(out(), HasSubstr("fast: adopted thin pool vga/thin of 48.0 MiB"));
    EXPECT_THAT(err(), AllOf(HasSubstr("devices/types lets LVM look at devices of Braid"),
                             HasSubstr("devices/scan_lvs is 1")));
    EXPECT_EQ(pool({"create", "lvmthin", "fast", "vga/thin"}), ExitCode::failure);
    EXPECT_THAT(err(), HasSubstr("pool fast: this host has it already"));
}

TEST_F(VerbPool, WhatFailsLeavesNothingBehind) {
    replay_.expect(test::lvmconfig, test::lvm_settings);
    replay_.expect(test::lvmconfig, test::lvm_settings);
    replay_.expect(test::vgs, R"({"report":[{"vg":[]}]})");
    replay_.expect("vgcreate fast " + path("a"), "", 5, "  Cannot use " + path("a"));
    EXPECT_EQ(pool({"create", "lvm", "fast", path("a")}), ExitCode::failure);
    EXPECT_THAT(err(), HasSubstr("pool fast: vgcreate: exit status 5:   Cannot use"));
    EXPECT_FALSE(recorded());

    EXPECT_CALL(*blkid_, signatures(path("b")))
        .WillOnce(testing::Return(std::vector<sys::Signature>{{"ext4", "filesystem"}}));
    EXPECT_EQ(pool({"create", "lvm", "fast", path("b")}), ExitCode::failure);
    EXPECT_THAT(err(), HasSubstr("carries ext4\nIf that is not needed any more: 'wipefs -a'"));

    root_.write("braid.conf", "# includes nothing\n");
    EXPECT_EQ(pool({"create", "lvm", "fast", path("a")}), ExitCode::failure);
    EXPECT_THAT(err(), HasSubstr("Add 'include \"braid.d/*.res\";' to it. Nothing was changed."));
    EXPECT_FALSE(recorded());
}

TEST_F(VerbPool, ListShowsUsePromisesAndHealth) {
    EXPECT_EQ(pool({"list"}), ExitCode::ok);
    EXPECT_THAT(out(), HasSubstr("no pools"));
    have_pool();
    expect_report();
    EXPECT_EQ(pool({"list"}), ExitCode::ok) << err();
    EXPECT_THAT(out(), testing::ContainsRegex("fast +lvmthin +vga/thin +48.0 MiB +100.0% +10.6% "
                                              "+133.3% +1 +full: new blocks are refused\n"));
    expect_report();
    EXPECT_EQ(pool({"list", "fast", "--json"}), ExitCode::ok) << err();
    const auto json = nlohmann::json::parse(out()).at("pools").at(0);
    EXPECT_EQ(json.at("used"), 48 * mib);
    EXPECT_EQ(json.at("promised"), 64 * mib);
    EXPECT_EQ(json.at("room"), 52 * mib);
    EXPECT_EQ(json.at("volumes").at(0).at("replica"), "r0/0");
    EXPECT_EQ(pool({"list", "fats"}), ExitCode::failure);
    EXPECT_THAT(err(), HasSubstr("The nearest is 'fast'"));
}

TEST_F(VerbPool, AGroupThatIsAwayIsSaid) {
    root_.write("braid.d/pool-fast.res", "pool fast { lvm vgx; }\n");
    expect_report();
    EXPECT_EQ(pool({"list"}), ExitCode::ok);
    EXPECT_THAT(out(), HasSubstr("there is no volume group vgx"));
    replay_.expect(test::lvmconfig, "", 127);
    EXPECT_EQ(pool({"list"}), ExitCode::ok);
    EXPECT_THAT(out(), HasSubstr("lvmconfig: there is no such program"));
}

TEST_F(VerbPool, ExtendTakesAFifthOrWhatIsLeft) {
    have_pool();
    replay_.expect(test::lvmconfig, test::lvm_settings);
    replay_.expect(test::vgs, test::two_groups);
    expect_report();
    replay_.expect("lvextend --size 62914560b vga/thin");
    EXPECT_EQ(pool({"extend", "fast"}), ExitCode::ok) << err();
    EXPECT_EQ(out(), "fast: thin pool extended by 12.0 MiB to 60.0 MiB\n");

    std::string little = test::two_groups;
    little.replace(little.find("54525952"), 8, "4194304");
    replay_.expect(test::lvmconfig, test::lvm_settings);
    replay_.expect(test::vgs, little);
    expect_report();
    replay_.expect("lvextend --size 54525952b vga/thin");
    EXPECT_EQ(pool({"extend", "fast"}), ExitCode::ok) << err();

    little.replace(little.find("4194304\", \"vg_extent"), 7, "0");
    replay_.expect(test::lvmconfig, test::lvm_settings);
    replay_.expect(test::vgs, little);
    expect_report();
    EXPECT_EQ(pool({"extend", "fast", "--metadata"}), ExitCode::failure);
    EXPECT_THAT(err(), HasSubstr("the volume group vga has 0 B left\nAdd a device: 'braidadm pool "
                                 "extend fast DEVICE'."));
}

TEST_F(VerbPool, DeleteIsRefusedWhileInUse) {
    have_pool();
    configure_volume("16M");
    EXPECT_EQ(pool({"delete", "fast", "--destroy"}), ExitCode::failure);
    EXPECT_THAT(err(), HasSubstr("is in use: r0/0 is configured to be in it"));
    configure_pools("");
    expect_report();
    EXPECT_EQ(pool({"delete", "fast"}), ExitCode::failure);
    EXPECT_THAT(err(), HasSubstr("is in use: it has the volume r0_00000"));
    EXPECT_TRUE(recorded());
    expect_report(test::no_volumes);
    EXPECT_EQ(pool({"delete", "fast", "--destroy"}), ExitCode::failure);
    EXPECT_THAT(err(), HasSubstr("there is no logical volume vga/thin"));
}

TEST_F(VerbPool, FreeRemovesOnlyWhatIsBraidsAndNotAttached) {
    have_pool();
    expect_report();
    replay_.expect(test::lvmconfig, test::lvm_settings);
    replay_.expect("lvremove --yes vga/r0_00000");
    EXPECT_EQ(pool({"free", "r0"}), ExitCode::ok) << err();
    EXPECT_EQ(out(), "fast: volume r0_00000 removed, with its data\n");
    expect_report();
    EXPECT_EQ(pool({"free", "r1"}), ExitCode::failure);  // in the group, but not in the pool
    EXPECT_THAT(err(), HasSubstr("no pool of this host has a volume of it"));
}

TEST_F(VerbPool, CreateMdMakesTheVolumeOnce) {
    have_pool();
    configure_volume("16M");
    expect_report(R"({"report":[{"lv":[)" + test::full_pool.substr(test::full_pool.find(
                                                "{\"vg_name\":\"vga\", \"lv_name\":\"thin\"")));
    const std::uint64_t size = disk_bytes(16 * mib, 8);
    replay_.expect(fmt::format("lvcreate --name r0_00000 --addtag braid:r0/0 --virtualsize {}b "
                               "--thinpool thin vga",
                               size),
                   "", 5, "no room");
    EXPECT_EQ(braidadm({"create-md", "r0"}), ExitCode::failure);
    EXPECT_THAT(err(), HasSubstr("pool fast: lvcreate: exit status 5: no room"));
    // A replica's metadata are at its end: it must not grow under them.
    configure_volume("80M");
    expect_report();
    EXPECT_EQ(braidadm({"create-md", "r0"}), ExitCode::failure);
    EXPECT_THAT(err(), HasSubstr("r0/0: its volume r0_00000 has 67108864 bytes, and"));
    // Nor is another's volume taken.
    std::string other = test::full_pool;
    other.replace(other.find("braid:r0/0"), 10, "");
    configure_volume("16M");
    expect_report(other);
    EXPECT_EQ(braidadm({"create-md", "r0"}), ExitCode::failure);
    EXPECT_THAT(err(), HasSubstr("has a volume r0_00000 that Braid did not make for it"));
}

TEST_F(VerbPool, APoolThatThisHostDoesNotHaveIsAnError) {
    configure_volume("16M");
    EXPECT_EQ(braidadm({"up", "r0"}), ExitCode::failure);
    EXPECT_THAT(err(),
                HasSubstr("pool fast: this host has no such pool\nMake it with 'braidadm pool "
                          "create'"));
}

TEST_F(VerbPool, ZfsIsDrivenByItsCommands) {
    const std::string zfs_list =
        "zfs list -Hp -t filesystem,volume -o name,type,volsize,used,available,braid:volume";
    replay_.expect(zfs_list, "");
    replay_.expect("zpool create -o ashift=12 -m none tank " + path("a"));
    EXPECT_EQ(pool({"create", "zfsthin", "fast", path("a"), "--vg", "tank"}), ExitCode::ok)
        << err();
    EXPECT_EQ(out(), "fast: made ZFS pool tank\n");
    const std::string datasets =
        "tank\tfilesystem\t-\t20971520\t80000000\t-\n"
        "tank/r0_00000\tvolume\t18874368\t1048576\t80000000\tbraid:r0/0\n"
        "tank/home\tvolume\t4096\t4096\t80000000\t-\n";
    replay_.expect("zpool list -Hp -o name,size,allocated,free,health",
                   "tank\t104857600\t20971520\t83886080\tDEGRADED\n");
    replay_.expect(zfs_list, datasets);
    EXPECT_EQ(pool({"list"}), ExitCode::ok) << err();
    EXPECT_THAT(out(),
                testing::ContainsRegex("fast +zfsthin +tank +96.3 MiB +20.8% .* 2  DEGRADED"));

    configure_volume("16M");
    replay_.expect("zpool list -Hp -o name,size,allocated,free,health",
                   "tank\t104857600\t20971520\t83886080\tONLINE\n");
    replay_.expect(zfs_list, "tank\tfilesystem\t-\t20971520\t80000000\t-\n");
    const std::uint64_t blocks = (disk_bytes(16 * mib, 8) + 16383) / 16384 * 16384;
    replay_.expect(
        fmt::format("zfs create -V {} -b 16384 -o braid:volume=braid:r0/0 -s tank/r0_00000",
                    blocks),
        "", 1, "cannot create");
    EXPECT_EQ(braidadm({"create-md", "r0"}), ExitCode::failure);
    EXPECT_THAT(err(), HasSubstr("zfs: exit status 1: cannot create"));
}

TEST(Pools, SizesOfThinPoolsAreSane) {
    constexpr std::uint64_t gib = 1 << 30;
    constexpr std::uint64_t extent = 4 * mib;
    EXPECT_FALSE(thin_sizes(24 * mib, extent, 0));
    const auto small = thin_sizes(124 * mib, extent, 0);
    ASSERT_TRUE(small);
    EXPECT_EQ(small->data, 100 * mib);
    EXPECT_EQ(small->metadata, 8 * mib);
    EXPECT_EQ(small->chunk, 65536U);
    const auto large = thin_sizes(16384 * gib, extent, 0);
    ASSERT_TRUE(large);
    EXPECT_EQ(large->chunk, mib);
    EXPECT_EQ(large->metadata, 2 * gib);
    EXPECT_EQ(large->data, 16378 * gib);
    EXPECT_FALSE(thin_sizes(100 * mib, extent, 96 * mib));
    EXPECT_EQ(thin_sizes(116 * mib, extent, 99 * mib)->data, 100 * mib);
}

TEST(Pools, DisksHaveRoomForDataAndMetadata) {
    for (const std::uint64_t data : {mib, 10 * mib, 10240 * mib, 20971520 * mib}) {
        braid_superblock sb{};
        sb.max_slots = 8;
        sb.block_size = 512;
        const std::uint64_t disk = disk_bytes(data, 8);
        ASSERT_TRUE(braid_ondisk_layout(&sb, disk, disk));
        EXPECT_GE(sb.data_bytes, data);
        EXPECT_LT(sb.data_bytes, data + 2 * mib);
    }
}

}  // namespace
}  // namespace braid::cli
