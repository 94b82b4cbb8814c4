// SPDX-License-Identifier: GPL-2.0-or-later
#include <nlohmann/json.hpp>

#include "kernel_dumps.h"

namespace braid::cli {
namespace {

namespace enums = netlink::enums;
using nlohmann::json;
using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

class VerbStatus : public test::KernelCliTest {
  protected:
    void daemon_says(json answer) {
        context_.ask_daemon = [this, answer = std::move(answer)](const std::string& line,
                                                                 std::chrono::milliseconds) {
            asked_ = json::parse(line);
            return sys::Result<std::string>(answer.dump());
        };
    }

    /// The daemon's answer about r0, with all well.
    static json daemon_answer() {
        return {{"ok", true},
                {"node", "alice"},
                {"resources",
                 {{{"name", "r0"},
                   {"node-id", 0},
                   {"role", "diskful"},
                   {"ready", true},
                   {"why", ""},
                   {"epoch", 9},
                   {"writer", "alice"},
                   {"promotion", {{"cause", "none"}, {"nodes", json::array()}, {"text", ""}}},
                   {"held", {{"cause", "none"}, {"nodes", json::array()}, {"text", ""}}},
                   {"members",
                    {{{"name", "dave"},
                      {"node-id", 3},
                      {"role", "witness"},
                      {"in-sync", false},
                      {"up", true},
                      {"votes", true},
                      {"suspect", false},
                      {"epoch", 9}}}},
                   {"forks", json::array()}}}},
                {"peers", json::array()},
                {"refusals", json::array()}};
    }

    [[nodiscard]] json shown() const { return json::parse(out()).at(0); }

    json asked_;
};

TEST_F(VerbStatus, AllIsWell) {
    daemon_says(daemon_answer());
    EXPECT_EQ(run_file({"status"}), ExitCode::ok) << err();
    EXPECT_EQ(out(),
              "r0 role:Primary\n"
              "  disk:UpToDate\n"
              "  bob   role:Secondary\n"
              "    peer-disk:UpToDate\n"
              "  carol role:Secondary\n"
              "    peer-disk:Diskless peer-client:yes\n"
              "  dave  role:Witness reached\n\n");
    EXPECT_EQ(asked_, json({{"verb", "show"}}));
    EXPECT_EQ(err(), "");
}

TEST_F(VerbStatus, SaysThatThereIsNoDaemon) {
    EXPECT_EQ(run_file({"status"}), ExitCode::ok);
    EXPECT_THAT(out(), HasSubstr("\nbraid-satellite: not running ("));
    EXPECT_THAT(out(), HasSubstr("nothing connects lost peers"));
    EXPECT_THAT(out(), StartsWith("r0 role:Primary\n"));
}

TEST_F(VerbStatus, WithoutAConfigurationNodesHaveNumbersOrTheDaemonsNames) {
    EXPECT_EQ(run({"status", "-c", "/nonexistent"}), ExitCode::ok);
    EXPECT_THAT(out(), HasSubstr("  node-1 role:Secondary\n"));
    json answer = daemon_answer();
    answer["resources"][0]["members"].push_back({{"name", "bob"}, {"node-id", 1}});
    daemon_says(answer);
    EXPECT_EQ(run({"status", "--json", "-c", "/nonexistent"}), ExitCode::ok);
    EXPECT_THAT(out(), HasSubstr(R"("name": "bob")"));
}

TEST_F(VerbStatus, AResyncHasABar) {
    r0().resource.config->members.at(1).in_sync = false;
    auto& bob = r0().peers.at(0);
    bob.replicas.at(0).dirty = 1U << 28;
    bob.sync = {.state = enums::sync_state::running,
                .total = 1U << 30,
                .left = 1U << 28,
                .rate = 100U << 20,
                .seconds_left = 3665,
                .waits_for = "the upper bound of its rate"};
    daemon_says(daemon_answer());
    EXPECT_EQ(run_file({"status"}), ExitCode::ok);
    EXPECT_THAT(out(), HasSubstr("    replication:SyncSource peer-disk:Inconsistent "
                                 "out-of-sync:256.0 MiB\n"
                                 "    resync [===============>....] 75.0%, 256.0 MiB of 1.0 GiB "
                                 "left, 100.0 MiB/s, 1:01:05 to go, waits for the upper bound of "
                                 "its rate\n"));
}

TEST_F(VerbStatus, HeldIOHasItsReason) {
    r0().resource.service = enums::service::held;
    r0().resource.reason = "a lease has run out";
    r0().peers.at(0).link = enums::link_state::disconnected;
    json answer = daemon_answer();
    answer["resources"][0]["held"] = {
        {"cause", "no-quorum"}, {"nodes", {"bob"}}, {"text", "bring bob back"}};
    answer["peers"] = {{{"name", "bob"},
                        {"connected", false},
                        {"why", "its certificate has expired"},
                        {"address", "10.0.0.2:7780"}}};
    answer["refusals"] = {{{"address", "10.9.9.9"},
                           {"node", nullptr},
                           {"why", "no certificate"},
                           {"count", 3},
                           {"last", 1700000000}}};
    daemon_says(answer);
    EXPECT_EQ(run_file({"status", "r0"}), ExitCode::ok);
    EXPECT_THAT(out(), StartsWith("r0 role:Primary suspended:yes\n  disk:UpToDate quorum:no\n"
                                  "  bob   connection:Connecting\n"
                                  "    not connected: its certificate has expired "
                                  "(10.0.0.2:7780)\n"
                                  "    peer-disk:DUnknown\n"));
    EXPECT_THAT(out(), HasSubstr("  I/O is held: a lease has run out\n"
                                 "  to go on: bring bob back\n"));
    EXPECT_THAT(out(), HasSubstr("refused: 10.9.9.9: no certificate (3 times, last "
                                 "2023-11-14 22:13:20 UTC)\n"));
}

TEST_F(VerbStatus, AnAdministratorsSuspensionIsTold) {
    r0().resource.service = enums::service::held;
    r0().resource.suspended = true;
    r0().resource.reason = "suspended by an administrator";
    json answer = daemon_answer();
    answer["resources"][0]["held"] = {
        {"cause", "suspended"}, {"nodes", json::array()}, {"text", "resume-io"}};
    daemon_says(answer);
    EXPECT_EQ(run_file({"status", "r0"}), ExitCode::ok);
    EXPECT_THAT(out(), StartsWith("r0 role:Primary suspended:user\n  disk:UpToDate\n"));
    EXPECT_THAT(out(),
                HasSubstr("  I/O is held: suspended by an administrator\n"
                          "  suspended: by an administrator; 'braidadm resume-io r0' ends that\n"
                          "  to go on: resume-io\n"));
    forget_output();
    EXPECT_EQ(run_file({"status", "--json"}), ExitCode::ok);
    EXPECT_EQ(shown()["suspended"], true);
    EXPECT_EQ(shown()["suspended-user"], true);
    EXPECT_EQ(shown()["suspended-quorum"], false);
}

TEST_F(VerbStatus, ForksAreShown) {
    json answer = daemon_answer();
    answer["resources"][0]["forks"] = {{{"name", "bob"},
                                        {"relation", "forked"},
                                        {"epoch", 7},
                                        {"age-ms", 61000},
                                        {"ours", 4096},
                                        {"theirs", 8192}}};
    daemon_says(answer);
    EXPECT_EQ(run_file({"status"}), ExitCode::ok);
    EXPECT_THAT(out(), HasSubstr("  other history: bob (forked), parted 0:01:01 ago, at epoch 7; "
                                 "4.0 KiB changed here, 8.0 KiB there\n"));
    EXPECT_EQ(run_file({"status", "--json"}), ExitCode::ok);
    EXPECT_THAT(out(), HasSubstr(R"("relation": "forked")"));
}

TEST_F(VerbStatus, WhyItCannotBePromoted) {
    r0().resource.config->writer = netlink::writer_none;
    json answer = daemon_answer();
    answer["resources"][0]["promotion"] = {{"cause", "not-in-sync"}, {"text", "bring bob back"}};
    daemon_says(answer);
    EXPECT_EQ(run_file({"status"}), ExitCode::ok);
    EXPECT_THAT(out(), HasSubstr("  cannot become Primary: bring bob back\n"));
}

TEST_F(VerbStatus, ThatAnotherIsPrimaryIsNoTrouble) {
    r0().resource.config->writer = 1;
    json answer = daemon_answer();
    answer["resources"][0]["promotion"] = {{"cause", "writer-elsewhere"}, {"text", "demote it"}};
    daemon_says(answer);
    EXPECT_EQ(run_file({"status"}), ExitCode::ok);
    EXPECT_THAT(out(), Not(HasSubstr("demote it")));
    EXPECT_EQ(run_file({"status", "--verbose"}), ExitCode::ok);
    EXPECT_THAT(out(), HasSubstr("cannot become Primary: demote it"));
}

TEST_F(VerbStatus, ColourIsForTerminals) {
    EXPECT_EQ(run_file({"status"}), ExitCode::ok);
    EXPECT_EQ(run_file({"status", "--color=auto"}), ExitCode::ok);
    context_.terminal = true;
    EXPECT_EQ(run_file({"status", "--color=never"}), ExitCode::ok);
    EXPECT_THAT(out(), Not(HasSubstr("\033")));
    EXPECT_EQ(run_file({"status"}), ExitCode::ok);
    EXPECT_THAT(out(), HasSubstr("disk:\033[32mUpToDate\033[0m"));
    context_.terminal = false;
    EXPECT_EQ(run_file({"status", "--color=sometimes"}), ExitCode::usage);
    EXPECT_THAT(err(), HasSubstr("sometimes"));
}

TEST_F(VerbStatus, JsonHasTheFieldsThatMonitorsKnow) {
    auto& bob = r0().peers.at(0);
    bob.replicas.at(0).dirty = 4096;
    bob.sync = {.state = enums::sync_state::verifying,
                .total = 3000,
                .left = 1000,
                .seconds_left = 7,
                .waits_for = {}};
    daemon_says(daemon_answer());
    EXPECT_EQ(run_file({"status", "--json"}), ExitCode::ok);
    const json r0 = shown();
    EXPECT_EQ(r0["name"], "r0");
    EXPECT_EQ(r0["node-id"], 0);
    EXPECT_EQ(r0["role"], "Primary");
    EXPECT_EQ(r0["suspended"], false);
    EXPECT_EQ(r0["suspended-user"], false);
    EXPECT_EQ(r0["suspended-quorum"], false);
    EXPECT_EQ(r0["epoch"], 9);
    EXPECT_EQ(r0["writer"], "alice");
    EXPECT_EQ(r0["service"], "serving");
    EXPECT_EQ(r0["devices"], json::parse(R"([{"volume": 0, "minor": 7, "disk-state": "UpToDate",
        "client": false, "open": true, "quorum": true, "size": 1048576}])"));
    const json& first = r0["connections"][0];
    EXPECT_EQ(first["peer-node-id"], 1);
    EXPECT_EQ(first["name"], "bob");
    EXPECT_EQ(first["connection-state"], "Connected");
    EXPECT_EQ(first["peer-role"], "Secondary");
    EXPECT_EQ(first["tls"], true);
    EXPECT_EQ(first["lease-ms"], 2500);
    EXPECT_EQ(first["peer_devices"], json::parse(R"([{"volume": 0, "replication-state": "VerifyS",
        "peer-disk-state": "UpToDate", "peer-client": false, "resync-suspended": "no",
        "out-of-sync": 4, "percent-in-sync": 99.99, "done": 66.66,
        "estimated-seconds-to-finish": 7}])"));
    const json& client = r0["connections"][1]["peer_devices"][0];
    EXPECT_EQ(client["peer-client"], true);
    EXPECT_FALSE(client.contains("out-of-sync"));
}

TEST_F(VerbStatus, JsonLeavesOutWhatOnlyTheDaemonKnows) {
    EXPECT_EQ(run_file({"status", "--json"}), ExitCode::ok);
    EXPECT_FALSE(shown().contains("suspended-quorum"));
    EXPECT_FALSE(shown()["devices"][0].contains("quorum"));
    EXPECT_FALSE(shown().contains("members"));
}

TEST_F(VerbStatus, AResourceThatIsDownIsSaidToBe) {
    EXPECT_EQ(run_file({"status", "r1"}), ExitCode::failure);
    EXPECT_THAT(out(), StartsWith("r1 down\n"));
    EXPECT_EQ(err(), "");
    EXPECT_EQ(run_file({"status"}), ExitCode::ok);
    EXPECT_THAT(out(), Not(HasSubstr("r1 down\nr1")));
}

TEST_F(VerbStatus, AResourceThatIsDownIsNotInTheJson) {
    EXPECT_EQ(run_file({"status", "r1", "--json"}), ExitCode::failure);
    EXPECT_EQ(json::parse(out()), json::array());
    EXPECT_EQ(err(), "braidadm: r1: not up\nBring it up with 'braidadm up'.\n");
}

TEST_F(VerbStatus, AnUnknownResourceIsAnError) {
    EXPECT_EQ(run_file({"status", "r9"}), ExitCode::failure);
    EXPECT_EQ(out(), "");
    EXPECT_THAT(err(), StartsWith("braidadm: r9: no such resource in the kernel or in "));
    EXPECT_THAT(err(), HasSubstr("The nearest is 'r0'."));
}

TEST_F(VerbStatus, AWitnessIsTheDaemonsWord) {
    views_->clear();
    json answer = daemon_answer();
    auto& r0 = answer["resources"][0];
    r0["role"] = "witness";
    r0["node-id"] = 3;
    r0["members"].push_back(
        {{"name", "alice"}, {"node-id", 0}, {"role", "diskful"}, {"in-sync", true}, {"up", true}});
    r0["members"].push_back(
        {{"name", "bob"}, {"node-id", 1}, {"role", "diskful"}, {"in-sync", false}, {"up", false}});
    daemon_says(answer);
    // Also on a host without the module, which a witness does not need.
    std::filesystem::remove_all(root_.path() / "sys/module/braid");
    EXPECT_EQ(run_file({"status"}), ExitCode::ok) << err();
    EXPECT_EQ(out(),
              "r0 role:Witness epoch:9 writer:alice\n"
              "  alice role:Primary reached in-sync:yes\n"
              "  bob   role:Secondary not reached in-sync:no\n\n");
    EXPECT_EQ(run_file({"status", "--json", "r0"}), ExitCode::ok);
    EXPECT_THAT(out(), HasSubstr(R"("role": "Witness")"));
}

TEST_F(VerbStatus, WithoutTheModuleThereIsNothingToShow) {
    std::filesystem::remove_all(root_.path() / "sys/module/braid");
    EXPECT_EQ(run_file({"status"}), ExitCode::module_not_loaded);
    EXPECT_THAT(err(), HasSubstr("modprobe braid"));
    EXPECT_TRUE(order_.empty()) << "asking would load it";
}

TEST_F(VerbStatus, ADaemonThatMakesNoSenseHidesNothing) {
    json answer = daemon_answer();
    answer["resources"] = 5;
    daemon_says(answer);
    EXPECT_EQ(run_file({"status"}), ExitCode::ok);
    EXPECT_THAT(out(), StartsWith("r0 role:Primary\n"));
    EXPECT_THAT(out(), HasSubstr("braid-satellite: its answer makes no sense: "));
}

TEST_F(VerbStatus, SeveralVolumesHaveNumbers) {
    r0().volumes.push_back(r0().volumes.front());
    r0().volumes.back().volume = 1;
    r0().volumes.back().disk_state = enums::disk_state::failed;
    EXPECT_EQ(run_file({"status"}), ExitCode::ok);
    EXPECT_THAT(out(), HasSubstr("  volume:0 disk:UpToDate\n  volume:1 disk:Failed\n"));
    EXPECT_THAT(out(), HasSubstr("    volume:1 peer-disk:UpToDate\n"));
}

class VerbState : public test::KernelCliTest {};

TEST_F(VerbState, ShortForms) {
    r0().peers.at(1).link = enums::link_state::disconnected;
    for (const auto& [arguments, expected] :
         std::vector<std::pair<std::vector<std::string>, std::string>>{
             {{"role", "r0"}, "Primary\n"},
             {{"role", "r0:bob"}, "Secondary\n"},
             {{"role", "r0:carol"}, "Unknown\n"},
             {{"dstate", "r0"}, "UpToDate/UpToDate/Diskless\n"},
             {{"dstate", "r0/0:bob"}, "UpToDate\n"},
             {{"dstate", "r0:carol/0"}, "Diskless\n"},
             {{"cstate", "r0"}, "Connected\nConnecting\n"},
             {{"cstate", "r0:bob"}, "Connected\n"},
             {{"cstate", "r0/0:bob"}, "Established\n"}}) {
        const std::string before = out();
        EXPECT_EQ(run_file(arguments), ExitCode::ok) << err();
        EXPECT_EQ(out(), before + expected) << arguments.at(0) << ' ' << arguments.at(1);
    }
}

TEST_F(VerbState, WhatIsNotThereIsNamed) {
    for (const auto& [target, code, message] :
         std::vector<std::tuple<std::string, ExitCode, std::string>>{
             {"r1", ExitCode::failure, "braidadm: r1: not up\n"},
             {"r0:eve", ExitCode::failure, "braidadm: eve: no peer of resource r0 in the kernel\n"},
             {"r0/5", ExitCode::failure, "braidadm: r0/5: no such volume in the kernel\n"},
             {"r0/x", ExitCode::usage, "braidadm: r0/x: 'x' is no volume\n"},
             {"r0/-1", ExitCode::usage, "braidadm: r0/-1: '-1' is no volume\n"},
             {"r0/0/0", ExitCode::usage, "braidadm: r0/0/0: not a resource, volume or peer\n"},
             {"r0:", ExitCode::usage, "braidadm: r0:: not a resource, volume or peer\n"}}) {
        EXPECT_EQ(run_file({"dstate", target}), code);
        EXPECT_THAT(err(), HasSubstr(message));
    }
    EXPECT_EQ(run_file({"role"}), ExitCode::usage);
}

}  // namespace
}  // namespace braid::cli
