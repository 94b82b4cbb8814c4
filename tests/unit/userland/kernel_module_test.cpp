// SPDX-License-Identifier: GPL-2.0-or-later
#include "sys/kernel_module.h"

#include <gmock/gmock.h>
#include <sys/utsname.h>

#include <cerrno>

#include "temporary_directory.h"

namespace braid::sys {
namespace {

using testing::HasSubstr;

class KernelModuleTest : public testing::Test {
  protected:
    [[nodiscard]] KernelModule module() const {
        return KernelModule("braid", "6.1.0-9", root_.path());
    }

    test::TemporaryDirectory root_;
};

TEST_F(KernelModuleTest, LoadedModuleShowsItsVersion) {
    root_.write("sys/module/braid/version", "0.1.0\n");
    EXPECT_EQ(module().loaded_version().value(), "0.1.0");
}

TEST_F(KernelModuleTest, OtherModulesAreNotThisOne) {
    root_.write("sys/module/braid_extra/version", "9\n");
    EXPECT_EQ(module().loaded_version().value(), std::nullopt);
}

TEST_F(KernelModuleTest, MissingSysfsIsNotTakenForAMissingModule) {
    const auto version = module().loaded_version();
    ASSERT_FALSE(version);
    EXPECT_EQ(version.error().number, ENOENT);
    EXPECT_THAT(version.error().message, HasSubstr("sysfs is not mounted"));
}

TEST_F(KernelModuleTest, LoadedModuleWithoutVersionIsAnErrorThatNamesTheFile) {
    root_.write("sys/module/braid/initstate", "live\n");
    const auto version = module().loaded_version();
    ASSERT_FALSE(version);
    EXPECT_EQ(version.error().number, ENOENT);
    EXPECT_THAT(version.error().message, HasSubstr("sys/module/braid/version: No such file"));
}

TEST_F(KernelModuleTest, EmptyVersionFileIsAnError) {
    root_.write("sys/module/braid/version", "");
    EXPECT_FALSE(module().loaded_version());
}

TEST_F(KernelModuleTest, KernelWithoutModuleDirectoryHasNoModules) {
    EXPECT_EQ(module().installed().value(), false);
}

TEST_F(KernelModuleTest, ModuleDirectoryWithoutIndexIsAnError) {
    root_.write("lib/modules/6.1.0-9/updates/dkms/braid.ko", "");
    const auto installed = module().installed();
    ASSERT_FALSE(installed);
    EXPECT_EQ(installed.error().number, ENOENT);
    EXPECT_THAT(installed.error().message, HasSubstr("6.1.0-9/modules.dep: No such file"));
}

struct Index {
    const char* name;
    const char* content;
    bool installed;
};

class ModuleIndexTest : public KernelModuleTest, public testing::WithParamInterface<Index> {};

TEST_P(ModuleIndexTest, FindsTheModuleByItsFileName) {
    root_.write("lib/modules/6.1.0-9/modules.dep", GetParam().content);
    EXPECT_EQ(module().installed().value(), GetParam().installed);
}

INSTANTIATE_TEST_SUITE_P(
    Lines, ModuleIndexTest,
    testing::Values(Index{"empty", "", false},
                    Index{"second_line", "kernel/a.ko:\nupdates/dkms/braid.ko: kernel/t.ko\n",
                          true},
                    Index{"xz", "updates/dkms/braid.ko.xz:\n", true},
                    Index{"no_directory", "braid.ko:\n", true},
                    Index{"no_end_of_line", "extra/braid.ko.zst: kernel/net/tls/tls.ko.zst", true},
                    Index{"similar_names", "kernel/braids.ko:\nkernel/abraid.ko:\n", false},
                    Index{"directory", "kernel/braid/other.ko:\n", false},
                    Index{"dependency_only", "kernel/other.ko: updates/dkms/braid.ko\n", false}),
    [](const auto& info) { return info.param.name; });

TEST_F(KernelModuleTest, AnotherKernelsModuleDoesNotCount) {
    root_.write("lib/modules/6.1.0-8/modules.dep", "updates/dkms/braid.ko:\n");
    EXPECT_EQ(module().installed().value(), false);
}

TEST(RunningKernelRelease, IsWhatUnameSays) {
    utsname names{};
    ASSERT_EQ(uname(&names), 0);
    EXPECT_EQ(running_kernel_release(), names.release);
}

}  // namespace
}  // namespace braid::sys
