// SPDX-License-Identifier: GPL-2.0-or-later
#include <cerrno>
#include <nlohmann/json.hpp>
#include <vector>

#include "cli_fixture.h"

namespace braid::test {

namespace {

using cli::ExitCode;
using nlohmann::json;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;

class VerbDecideTest : public CliTest {
  protected:
    VerbDecideTest() {
        context_.host = "alice";
        context_.ask_daemon = [this](const std::string& line,
                                     std::chrono::milliseconds) -> sys::Result<std::string> {
            asked_.push_back(json::parse(line));
            return answer_;
        };
    }

    std::vector<json> asked_;
    std::string answer_ = R"({"ok":true})";
};

TEST_F(VerbDecideTest, AsksTheDaemonForEachResource) {
    EXPECT_EQ(run({"primary", "r0", "r1"}), ExitCode::ok);
    EXPECT_EQ(run({"primary", "--force", "r0"}), ExitCode::ok);
    EXPECT_EQ(run({"secondary", "r0"}), ExitCode::ok);
    EXPECT_EQ(run({"init", "--equal", "r0"}), ExitCode::ok);
    EXPECT_EQ(run({"migrate", "r0", "bob", "--deadline", "5"}), ExitCode::ok);
    EXPECT_EQ(run({"end-migrate", "r0"}), ExitCode::ok);
    EXPECT_EQ(run({"add-peer", "r0", "bob"}), ExitCode::ok);
    EXPECT_EQ(run({"forget-peer", "r0", "3"}), ExitCode::ok);
    EXPECT_EQ(run({"replace", "r0", "bob"}), ExitCode::ok);
    EXPECT_EQ(run({"resolve", "r0", "--discard", "bob"}), ExitCode::ok);
    EXPECT_THAT(
        asked_,
        ElementsAre(
            json{{"verb", "promote"}, {"resource", "r0"}, {"force", false}},
            json{{"verb", "promote"}, {"resource", "r1"}, {"force", false}},
            json{{"verb", "promote"}, {"resource", "r0"}, {"force", true}},
            json{{"verb", "demote"}, {"resource", "r0"}, {"force", false}},
            json{{"verb", "initialise"}, {"resource", "r0"}, {"equal", true}},
            json{{"verb", "migrate"}, {"resource", "r0"}, {"node", "bob"}, {"deadline_ms", 5000}},
            json{{"verb", "end-migrate"}, {"resource", "r0"}},
            json{{"verb", "add"}, {"resource", "r0"}, {"node", "bob"}},
            json{{"verb", "remove"}, {"resource", "r0"}, {"node", "3"}},
            json{{"verb", "replace"}, {"resource", "r0"}, {"node", "bob"}},
            json{{"verb", "resolve"}, {"resource", "r0"}, {"node", "bob"}}));
    EXPECT_EQ(err(), "");
}

TEST_F(VerbDecideTest, InitMayMakeItPrimaryToo) {
    EXPECT_EQ(run({"init", "--primary", "r0"}), ExitCode::ok);
    EXPECT_THAT(asked_,
                ElementsAre(json{{"verb", "initialise"}, {"resource", "r0"}, {"equal", false}},
                            json{{"verb", "promote"}, {"resource", "r0"}, {"force", false}}));
    asked_.clear();
    answer_ = R"j({"ok":false,"cause":"busy","text":"it is busy"})j";
    EXPECT_EQ(run({"init", "--primary", "r0"}), ExitCode::refused);
    EXPECT_EQ(asked_.size(), 1U);
}

TEST_F(VerbDecideTest, SaysWhyItWasRefused) {
    answer_ = R"j({"ok":false,"cause":"no-quorum","text":"too few voters answer (bob missing)"})j";
    EXPECT_EQ(run({"primary", "r0", "r1"}), ExitCode::refused);
    EXPECT_EQ(asked_.size(), 2U) << "one does not keep the others from it";
    EXPECT_EQ(err(),
              "braidadm: r0: too few voters answer (bob missing)\n"
              "braidadm: r1: too few voters answer (bob missing)\n");
}

TEST_F(VerbDecideTest, SaysThatTheDaemonDoesNotRun) {
    context_.ask_daemon = [](const std::string&,
                             std::chrono::milliseconds) -> sys::Result<std::string> {
        return tl::unexpected(sys::Error{ENOENT, "/run/x: No such file or directory"});
    };
    EXPECT_EQ(run({"primary", "r0"}), ExitCode::no_daemon);
    EXPECT_THAT(err(), HasSubstr("braid-satellite: not running"));
    EXPECT_THAT(err(), HasSubstr("systemctl start braid-satellite"));
}

TEST_F(VerbDecideTest, AnAnswerWithoutSenseIsAFailure) {
    for (const char* answer : {"", "7", "{}", R"({"ok":1})", "\xff"}) {
        answer_ = answer;
        EXPECT_EQ(run({"primary", "r0"}), ExitCode::failure) << answer;
    }
    EXPECT_THAT(err(), HasSubstr("its answer makes no sense"));
}

TEST_F(VerbDecideTest, NothingIsAskedForAWrongCommandLine) {
    EXPECT_EQ(run({"primary"}), ExitCode::usage);
    EXPECT_EQ(run({"migrate", "r0"}), ExitCode::usage);
    EXPECT_EQ(run({"migrate", "r0", "bob", "--deadline", "0"}), ExitCode::usage);
    EXPECT_EQ(run({"resolve", "r0"}), ExitCode::usage);
    EXPECT_EQ(run({"resolve", "r0", "--discard", "alice"}), ExitCode::usage);
    EXPECT_THAT(err(), HasSubstr("on a host whose data stays"));
    EXPECT_THAT(asked_, ElementsAre());
}

// ---- explain ----

json resource(const std::string& writer) {
    return {{"name", "r0"},
            {"ready", true},
            {"epoch", 7},
            {"writer", writer.empty() ? json() : json(writer)},
            {"promotion", {{"cause", "none"}, {"text", ""}}},
            {"held", {{"cause", "none"}, {"text", ""}}},
            {"members",
             {{{"name", "alice"},
               {"role", "diskful"},
               {"up", true},
               {"voter", true},
               {"votes", true},
               {"in-sync", true},
               {"epoch", 7}},
              {{"name", "bob"},
               {"role", "witness"},
               {"up", false},
               {"voter", true},
               {"votes", false}}}},
            {"forks", json::array()},
            {"links", json::array()}};
}

class VerbExplainTest : public VerbDecideTest {
  protected:
    std::string explain(const json& resource) {
        answer_ = json{{"ok", true},
                       {"node", "alice"},
                       {"resources", {resource}},
                       {"peers", {{{"name", "bob"}, {"connected", false}, {"why", "no route"}}}},
                       {"refusals", json::array()}}
                      .dump();
        EXPECT_EQ(run({"explain", "r0"}), ExitCode::ok) << err();
        return out();
    }
};

TEST_F(VerbExplainTest, ShowsMembersAndPeers) {
    const std::string text = explain(resource("alice"));
    EXPECT_THAT(text, HasSubstr("r0: epoch 7, Primary: alice\n"));
    EXPECT_THAT(text, HasSubstr("alice  diskful   up    votes         in sync      epoch 7\n"));
    EXPECT_THAT(text, HasSubstr("bob    witness   away  cannot vote"));
    EXPECT_THAT(text, HasSubstr("The daemon of bob is not reached: no route.\n"));
    EXPECT_THAT(text, Not(HasSubstr("can become Primary"))) << "it is";
}

TEST_F(VerbExplainTest, SaysWhatStandsInTheWay) {
    json held = resource("alice");
    held["held"] = {{"cause", "no-quorum"}, {"text", "too few voters answer"}};
    EXPECT_THAT(explain(held), HasSubstr("I/O is held: too few voters answer.\n"));
    EXPECT_THAT(out(), Not(HasSubstr("suspended")));
    held["suspended"] = true;
    EXPECT_THAT(explain(held), HasSubstr("I/O is held: too few voters answer.\n"
                                         "  I/O is suspended by an administrator: 'braidadm "
                                         "resume-io r0' ends that.\n"));
    forget_output();
    held["held"] = {{"cause", "suspended"}, {"text", "an administrator suspended its I/O"}};
    EXPECT_THAT(explain(held), HasSubstr("I/O is held: an administrator suspended its I/O.\n"));
    EXPECT_THAT(out(), Not(HasSubstr("ends that")));
    json refused = resource("");
    refused["promotion"] = {{"cause", "not-in-sync"}, {"text", "bring one back"}};
    EXPECT_THAT(explain(refused),
                HasSubstr("This node cannot become Primary now: bring one back.\n"));
    EXPECT_THAT(explain(resource("")), HasSubstr("This node can become Primary.\n"));
}

TEST_F(VerbExplainTest, SaysHowToEndAFork) {
    json forked = resource("alice");
    forked["forks"] = {{{"name", "bob"},
                        {"relation", "forked"},
                        {"epoch", 5},
                        {"age-ms", 120000},
                        {"ours", 4096},
                        {"theirs", 8192}}};
    const std::string text = explain(forked);
    EXPECT_THAT(text, HasSubstr("since epoch 5, 2 minutes ago"));
    EXPECT_THAT(text, HasSubstr("4096 bytes differ by what was written here, 8192 by"));
    EXPECT_THAT(text,
                HasSubstr("'braidadm resolve r0 --discard bob' here drops the changes of bob"));
}

TEST_F(VerbExplainTest, AResourceThatIsNotThere) {
    answer_ = R"({"ok":true,"node":"alice","resources":[],"peers":[],"refusals":[]})";
    EXPECT_EQ(run({"explain", "r9"}), ExitCode::failure);
    EXPECT_THAT(err(), HasSubstr("r9: no such resource"));
}

}  // namespace

}  // namespace braid::test
