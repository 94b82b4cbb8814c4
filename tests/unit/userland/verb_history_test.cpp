// SPDX-License-Identifier: GPL-2.0-or-later
#include <ctime>
#include <nlohmann/json.hpp>
#include <vector>

#include "cli_fixture.h"
#include "variable.h"

namespace braid::cli {
namespace {

using nlohmann::json;
using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

constexpr const char* own = "0b7e1c5a-0000-4000-8000-00000000000a";
constexpr const char* first = "0b7e1c5a-0000-4000-8000-000000000001";
constexpr const char* second = "0b7e1c5a-0000-4000-8000-000000000002";

json resource() {
    return {{"name", "r0"},
            {"ready", true},
            {"lineage", own},
            {"epoch", 112},
            {"id", "00000000000000ff"},
            {"writer", "alice"},
            {"members",
             {{{"name", "alice"}, {"role", "diskful"}, {"in-sync", true}, {"joined", 101}},
              {{"name", "bobby"}, {"node-id", 1}, {"role", "diskful"}, {"in-sync", false}},
              {{"name", "carolina"}, {"role", "witness"}}}},
            {"history",
             {{{"lineage", second},
               {"epoch", 100},
               {"id", "0000000000000002"},
               {"ended", 1790000000},
               {"complete", false},
               {"discarded", true}},
              {{"lineage", first},
               {"epoch", 9},
               {"id", "0000000000000001"},
               {"ended", 1780000000},
               {"complete", true},
               {"discarded", false}}}},
            {"forks", json::array()}};
}

class VerbHistory : public test::CliTest {
  protected:
    VerbHistory() {
        tzset();
        context_.ask_daemon = [this](const std::string& line,
                                     std::chrono::milliseconds) -> sys::Result<std::string> {
            EXPECT_EQ(json::parse(line)["verb"], "show");
            return json{{"ok", true}, {"node", "alice"}, {"resources", resources_}}.dump();
        };
    }

    Variable zone_{"TZ", "UTC-2"};
    std::vector<json> resources_{resource()};
};

TEST_F(VerbHistory, ShowsTheLineageAndThoseBeforeIt) {
    EXPECT_EQ(run({"history", "r0"}), ExitCode::ok) << err();
    EXPECT_EQ(out(),
              "r0: lineage 0b7e1c5a-0000-4000-8000-00000000000a, epoch 112, id 00000000000000ff, "
              "Primary: alice\n"
              "    alice  in sync since epoch 101\n"
              "    bobby  not in sync\n"
              "  It goes on from:\n"
              "    lineage 0b7e1c5a-0000-4000-8000-000000000002  up to epoch 100  ended 2026-09-21 "
              "16:13:20  its own changes were dropped\n"
              "    lineage 0b7e1c5a-0000-4000-8000-000000000001  up to epoch   9  ended 2026-05-28 "
              "22:26:40  complete\n");
}

TEST_F(VerbHistory, ShowsTheOtherLineageOfAFork) {
    resources_.front()["forks"] = {{{"name", "bobby"}, {"lineage", second}, {"epoch", 100}}};
    resources_.front()["history"] = json::array();
    EXPECT_EQ(run({"history"}), ExitCode::ok) << err();
    EXPECT_THAT(out(), HasSubstr("  bobby follows lineage 0b7e1c5a-0000-4000-8000-000000000002, "
                                 "since epoch 100: see 'braidadm explain r0'.\n"));
    EXPECT_THAT(out(), Not(HasSubstr("goes on from")));
}

TEST_F(VerbHistory, JsonHasTheSame) {
    json other = resource();
    other["name"] = "r1";
    other["ready"] = false;
    other["why"] = "not up on this node";
    resources_.push_back(other);
    EXPECT_EQ(run({"history", "--json"}), ExitCode::ok) << err();
    const json shown = json::parse(out());
    ASSERT_EQ(shown.size(), 2U);
    EXPECT_EQ(shown[0]["lineage"], own);
    EXPECT_EQ(shown[0]["id"], "00000000000000ff");
    EXPECT_EQ(shown[0]["in-sync"],
              json::array({{{"name", "alice"}, {"node-id", 0}, {"since", 101}}}));
    EXPECT_EQ(shown[0]["history"], resource()["history"]);
    EXPECT_EQ(shown[1], (json{{"name", "r1"}, {"ready", false}, {"why", "not up on this node"}}));
}

TEST_F(VerbHistory, WhatDrbdCallsItIsUnderstood) {
    EXPECT_EQ(run({"get-gi", "r0"}), ExitCode::ok) << err();
    EXPECT_THAT(out(), StartsWith("r0: lineage "));
    forget_output();
    EXPECT_EQ(run({"show-gi", "--json", "r0"}), ExitCode::ok) << err();
    EXPECT_EQ(json::parse(out()).size(), 1U);
}

TEST_F(VerbHistory, NothingIsKnown) {
    resources_.front() = {
        {"name", "r0"}, {"ready", true}, {"lineage", json()}, {"epoch", 0}, {"id", json()}};
    EXPECT_EQ(run({"history", "r0"}), ExitCode::ok) << err();
    EXPECT_THAT(out(), StartsWith("r0: no lineage is known: "));
    forget_output();
    EXPECT_EQ(run({"history", "r7"}), ExitCode::failure);
    EXPECT_THAT(err(), StartsWith("braidadm: r7: no such resource in the configuration that "));
    EXPECT_EQ(out(), "");
}

TEST_F(VerbHistory, ADaemonThatDoesNotAnswerIsSaid) {
    context_.ask_daemon = [](const std::string&,
                             std::chrono::milliseconds) -> sys::Result<std::string> {
        return tl::unexpected(sys::Error{ECONNREFUSED, "/run/x: Connection refused"});
    };
    EXPECT_EQ(run({"history"}), ExitCode::no_daemon);
    EXPECT_THAT(err(), HasSubstr("systemctl start braid-satellite"));
}

}  // namespace
}  // namespace braid::cli
