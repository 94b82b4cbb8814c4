// SPDX-License-Identifier: GPL-2.0-or-later
#include <deque>
#include <nlohmann/json.hpp>
#include <vector>

#include "cli_fixture.h"

namespace braid::test {

namespace {

using cli::ExitCode;
using nlohmann::json;
using testing::ElementsAre;
using testing::HasSubstr;

json member(const char* name, bool up, bool in_sync) {
    return {{"name", name},       {"up", up},      {"diskful", in_sync},
            {"in-sync", in_sync}, {"voter", true}, {"votes", up}};
}

json resource(const json& writer, const json& members) {
    return {{"name", "r0"}, {"ready", true}, {"writer", writer}, {"members", members}};
}

class VerbDrainTest : public CliTest {
  protected:
    VerbDrainTest() {
        context_.host = "alice";
        context_.ask_daemon = [this](const std::string& line,
                                     std::chrono::milliseconds) -> sys::Result<std::string> {
            asked_.push_back(json::parse(line));
            const std::string verb = asked_.back()["verb"];
            if (verb == "show") {
                return json{{"ok", true}, {"node", "alice"}, {"resources", resources_}}.dump();
            }
            return verb == "demote" ? demoted_ : R"({"ok":true})";
        };
    }

    std::vector<json> asked_;
    json resources_ = json::array();
    std::string demoted_ = R"({"ok":true})";
};

const json three = {member("alice", true, true), member("bob", true, true),
                    member("carol", true, false)};

TEST_F(VerbDrainTest, DemotesWhatIsPrimaryHere) {
    resources_ = {resource("alice", three), resource("bob", three), resource(json(), three)};
    resources_[1]["name"] = "r1";
    EXPECT_EQ(run({"drain"}), ExitCode::ok) << err();
    EXPECT_THAT(asked_,
                ElementsAre(json{{"verb", "drain"}, {"on", true}}, json{{"verb", "show"}},
                            json{{"verb", "demote"}, {"resource", "r0"}, {"force", false}}));
    EXPECT_EQ(out(),
              "r0: this host is Secondary now\n"
              "alice becomes Primary of nothing until 'braidadm undrain'; it is not needed for "
              "anything\n");
}

TEST_F(VerbDrainTest, SaysWhatTheHostIsNeededFor) {
    resources_ = {resource("alice", three)};
    demoted_ = R"j({"ok":false,"cause":"device-open","text":"a device is open"})j";
    EXPECT_EQ(run({"drain", "alice"}), ExitCode::refused);
    EXPECT_THAT(err(), HasSubstr("r0: a device is open"));
    EXPECT_THAT(out(), HasSubstr("it is still needed"));
    resources_ = {resource("bob", {member("alice", true, true), member("bob", true, false),
                                   member("carol", true, false)})};
    EXPECT_EQ(run({"drain"}), ExitCode::refused);
    EXPECT_THAT(err(), HasSubstr("r0: no other host that is up has all its data"));
    resources_ = {resource("bob", {member("alice", true, true), member("bob", true, true),
                                   member("carol", false, false)})};
    EXPECT_EQ(run({"drain"}), ExitCode::refused);
    EXPECT_THAT(err(), HasSubstr("without this host 1 of 3 voters would be up: too few\n"));
    resources_ = {resource("bob", {member("alice", true, true), member("bob", true, true)})};
    EXPECT_EQ(run({"drain"}), ExitCode::refused);
    EXPECT_THAT(err(), HasSubstr("unless 'quorum off' is configured"));
    resources_ = {{{"name", "r0"}, {"ready", false}, {"why", "not up on this node"}}};
    EXPECT_EQ(run({"drain"}), ExitCode::ok) << err();
}

TEST_F(VerbDrainTest, OnlyThisHost) {
    EXPECT_EQ(run({"drain", "bob"}), ExitCode::usage);
    EXPECT_EQ(err(), "braidadm: bob: this host is alice\nRun 'braidadm drain' on bob.\n");
    EXPECT_TRUE(asked_.empty());
    EXPECT_EQ(run({"undrain"}), ExitCode::ok);
    EXPECT_THAT(asked_, ElementsAre(json{{"verb", "drain"}, {"on", false}}));
}

}  // namespace

}  // namespace braid::test
