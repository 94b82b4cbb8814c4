// SPDX-License-Identifier: GPL-2.0-or-later
#include "cli/braidadm.h"

#include "cli_fixture.h"

namespace braid::cli {
namespace {

using testing::HasSubstr;
using testing::StartsWith;

class BraidadmTest : public test::CliTest {};

TEST_F(BraidadmTest, UnknownVerbIsNamedWithTheNearest) {
    EXPECT_EQ(run({"verzion"}), ExitCode::usage);
    EXPECT_EQ(out(), "");
    EXPECT_EQ(err(),
              "braidadm: verzion: no such verb; the nearest is 'version'\n"
              "Run 'braidadm --help' for usage.\n");
}

TEST_F(BraidadmTest, UnknownVerbIsNamedBeforeItsOptions) {
    EXPECT_EQ(run({"--frob", "nope", "--json"}), ExitCode::usage);
    EXPECT_THAT(err(), StartsWith("braidadm: nope: no such verb"));
}

TEST_F(BraidadmTest, NoVerbIsAUsageError) {
    EXPECT_EQ(run({}), ExitCode::usage);
    EXPECT_THAT(err(), StartsWith("braidadm: arguments: no verb given\n"));
}

TEST_F(BraidadmTest, UnknownOptionIsNamed) {
    EXPECT_EQ(run({"version", "--jsn"}), ExitCode::usage);
    EXPECT_EQ(out(), "");
    EXPECT_EQ(err(),
              "braidadm: --jsn: not an argument of 'braidadm version'\n"
              "Run 'braidadm version --help' for usage.\n");
}

TEST_F(BraidadmTest, UnknownOptionBeforeTheVerbIsNamed) {
    EXPECT_EQ(run({"--frob", "version"}), ExitCode::usage);
    EXPECT_THAT(err(), StartsWith("braidadm: --frob: not an argument of"));
}

TEST_F(BraidadmTest, SuperfluousArgumentIsNamed) {
    EXPECT_EQ(run({"version", "version"}), ExitCode::usage);
    EXPECT_THAT(err(), StartsWith("braidadm: version: not an argument of"));
}

TEST_F(BraidadmTest, OptionWithAWrongValueIsAUsageError) {
    EXPECT_EQ(run({"version", "--json=perhaps"}), ExitCode::usage);
    EXPECT_THAT(err(), HasSubstr("perhaps"));
}

TEST_F(BraidadmTest, HelpListsEveryVerb) {
    EXPECT_EQ(run({"--help"}), ExitCode::ok);
    EXPECT_EQ(err(), "");
    for (const Verb& verb : verbs()) {
        EXPECT_THAT(out(), HasSubstr(std::string(verb.name)));
        EXPECT_THAT(out(), HasSubstr(std::string(verb.summary)));
    }
}

TEST_F(BraidadmTest, VerbsHaveTheirOwnHelp) {
    EXPECT_EQ(run({"version", "--help"}), ExitCode::ok);
    EXPECT_THAT(out(), HasSubstr("--json"));
}

TEST_F(BraidadmTest, VersionOptionSucceedsWithoutTheModule) {
    EXPECT_EQ(run({"--version"}), ExitCode::ok);
    EXPECT_THAT(out(), StartsWith("braidadm: "));
    EXPECT_THAT(err(), HasSubstr("not loaded"));
}

}  // namespace
}  // namespace braid::cli
