// SPDX-License-Identifier: GPL-2.0-or-later
#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "cli_fixture.h"

namespace braid::cli {
namespace {

using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

class VerbDump : public test::CliTest {
  protected:
    VerbDump() {
        root_.write("braid.conf", "include \"braid.d/*.res\"; common { net { tls no; } }");
        for (const std::string name : {"r0", "r1"}) {
            root_.write(fmt::format("braid.d/{}.res", name),
                        fmt::format("resource {0} {{\n  device minor {1}; disk /dev/{0};\n"
                                    "  on a {{ node-id 0; address 10.0.0.1; }}\n}}\n",
                                    name, name.substr(1)));
        }
    }

    ExitCode run_file(std::vector<std::string> arguments) {
        arguments.insert(arguments.end(), {"-c", root_.path() / "braid.conf"});
        return run(arguments);
    }
};

TEST_F(VerbDump, ShowsAllResources) {
    EXPECT_EQ(run_file({"dump"}), ExitCode::ok) << err();
    EXPECT_THAT(out(),
                StartsWith("# " + root_.path().string() + "/braid.conf\n\n# resource r0 on "));
    EXPECT_THAT(out(), HasSubstr(": no member\n# defined at " + root_.path().string() +
                                 "/braid.d/r0.res:1\nresource r0 {\n    net {\n        tls no;"));
    EXPECT_THAT(out(), HasSubstr("resource r1 {"));
    EXPECT_EQ(err(), "");
}

TEST_F(VerbDump, ShowsTheResourcesAskedFor) {
    EXPECT_EQ(run_file({"dump", "r1"}), ExitCode::ok);
    EXPECT_THAT(out(), HasSubstr("resource r1 {"));
    EXPECT_THAT(out(), Not(HasSubstr("r0")));
}

TEST_F(VerbDump, WhatItShowsIsAConfiguration) {
    EXPECT_EQ(run_file({"dump", "all", "--show-defaults"}), ExitCode::ok);
    const std::string first = out();
    EXPECT_THAT(first, HasSubstr("quorum majority;"));
    root_.write("again", first);
    EXPECT_EQ(run({"sh-resources", "-c", root_.path() / "again"}), ExitCode::ok);
    EXPECT_EQ(out(), first + "r0\nr1\n");
}

TEST_F(VerbDump, JsonHasWhatIsAskedFor) {
    EXPECT_EQ(run_file({"dump", "--json", "r1"}), ExitCode::ok);
    const auto json = nlohmann::json::parse(out());
    ASSERT_EQ(json.at("resources").size(), 1U);
    EXPECT_EQ(json.at("resources").at(0).at("net").at("tls"), false);
}

TEST_F(VerbDump, AnUnknownResourceIsNamedWithTheNearest) {
    EXPECT_EQ(run_file({"dump", "r11"}), ExitCode::failure);
    EXPECT_EQ(out(), "");
    EXPECT_EQ(err(), "braidadm: r11: " + root_.path().string() +
                         "/braid.conf has no such resource\nThe nearest is 'r1'.\n");
}

TEST_F(VerbDump, ErrorsHaveAnExitStatusOfTheirOwn) {
    root_.write("braid.d/r1.res", "resource r1 {\n  dsk /dev/x;\n}\n");
    for (const std::string verb : {"dump", "sh-nop", "sh-resources"}) {
        EXPECT_EQ(run_file({verb}), ExitCode::config_invalid);
    }
    EXPECT_EQ(out(), "");
    EXPECT_THAT(err(), StartsWith(root_.path().string() +
                                  "/braid.d/r1.res:2:3: 'dsk' is no keyword of resource; the "
                                  "nearest is 'disk'\n"));
}

TEST_F(VerbDump, AWarningIsNoError) {
    root_.write("braid.conf", R"(resource r { device minor 1; disk /dev/a; options { quorum off; }
        on a { node-id 0; address 10.0.0.1; } on b { node-id 1; address 10.0.0.2; }
        handlers { fence-peer /bin/fence; } })");
    EXPECT_EQ(run_file({"sh-nop"}), ExitCode::ok);
    EXPECT_EQ(out(), "");
    EXPECT_THAT(err(), HasSubstr("braid.conf:1:53: warning: 'quorum' is off"));
}

TEST_F(VerbDump, AMissingFileIsNamed) {
    EXPECT_EQ(run({"dump", "--config-file", "/nowhere/x"}), ExitCode::config_invalid);
    EXPECT_EQ(err(), "/nowhere/x: cannot be opened: No such file or directory\n");
}

}  // namespace
}  // namespace braid::cli
