// SPDX-License-Identifier: GPL-2.0-or-later
#include "sys/config_files.h"

#include <gmock/gmock.h>

#include "temporary_directory.h"

namespace braid::sys {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

TEST(ConfigFiles, PatternsStandForFilesInOrder) {
    const test::TemporaryDirectory root;
    const std::string folder = root.path();
    root.write("d/b.res", "");
    root.write("d/a.res", "");
    root.write("d/a.res~", "");
    EXPECT_THAT(*match_paths(folder + "/d/*.res"),
                ElementsAre(folder + "/d/a.res", folder + "/d/b.res"));
    EXPECT_THAT(*match_paths(folder + "/d/*.x"), IsEmpty());
    EXPECT_THAT(*match_paths(folder + "/nowhere/*.res"), IsEmpty());
    EXPECT_THAT(*match_paths(folder + "/nowhere"), ElementsAre(folder + "/nowhere"));
}

}  // namespace
}  // namespace braid::sys
