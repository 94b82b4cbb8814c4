// SPDX-License-Identifier: GPL-2.0-or-later
//
// P4 for machines: no machine runs on two nodes, and one that should run does. The rules and the
// points of failure of userland/machine/README.md.
#include "machine/machine.h"

#include <gmock/gmock.h>

#include "machine/place.h"

namespace braid::machine {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

constexpr NodeId self = 0;
constexpr NodeId other = 1;
constexpr NodeId witness = 2;
constexpr std::uint64_t gib = std::uint64_t{1} << 30;

class MachineTest : public testing::Test {
  protected:
    explicit MachineTest(Wanted wanted = Wanted::stopped) {
        policy_.memory = gib;
        policy_.names = {{self, "a"}, {other, "b"}, {witness, "w"}};
        machine_.emplace(self, true, policy_, Record{wanted, 1, self}, now_);
        view_ = {.ready = true,
                 .epoch = 5,
                 .lease_left_ms = -1,
                 .promotable = true,
                 .data = true,
                 .sees = {other, witness}};
        give(view_);
        give(Seen{true, Power::off, 8 * gib});
    }

    void give(const Event& event) {
        for (Action& action : machine_->handle(now_, event)) {
            if (const auto* reply = std::get_if<Reply>(&action)) {
                replies_.push_back(*reply);
            }
            actions_.push_back(std::move(action));
        }
    }
    /// Time passes, as the timer sees it.
    void pass(std::int64_t ms) {
        for (const std::int64_t end = now_ + ms; now_ < end;) {
            now_ += 100;
            const std::size_t before = actions_.size();
            give(Tick{});
            // What is looked at anew is as it was.
            for (std::size_t i = before; i < actions_.size(); i++) {
                if (std::holds_alternative<Look>(actions_[i])) {
                    give(view_);
                    break;
                }
            }
        }
    }
    template <class T>
    std::optional<T> did() {
        std::optional<T> found;
        for (const Action& action : actions_) {
            if (const auto* each = std::get_if<T>(&action)) {
                found = *each;
            }
        }
        return found;
    }
    template <class T>
    std::optional<T> told() {
        for (const Action& action : actions_) {
            const auto* tell = std::get_if<Tell>(&action);
            if (tell != nullptr && std::holds_alternative<T>(tell->message)) {
                return std::get<T>(tell->message);
            }
        }
        return std::nullopt;
    }
    void forget() { actions_.clear(); }

    /// The kernel: this node is the writer in the next epoch, and serves.
    void serve() {
        view_.epoch++;
        view_.writer = self;
        view_.holds = view_.serves = true;
        view_.promotable = false;
        give(view_);
    }
    void lose_office(NodeId writer) {
        view_.epoch++;
        view_.writer = writer;
        view_.holds = view_.serves = false;
        give(view_);
    }
    Offer peer(bool runs, std::set<NodeId> sees) {
        return {.record = {Wanted::stopped, 1, self},
                .able = true,
                .runs = runs,
                .data = true,
                .memory = 4 * gib,
                .sees = std::move(sees)};
    }
    /// From nothing to a machine that runs here.
    void run() {
        give(Command{1, Order::start, no_node});
        ASSERT_TRUE(did<Promote>());
        give(Done{Operation::promote});
        serve();
        ASSERT_TRUE(did<Launch>());
        give(Done{Operation::launch});
        give(ProcessIs{true});
        give(Seen{true, Power::running, 7 * gib});
        ASSERT_THAT(replies_, testing::SizeIs(1));
        EXPECT_TRUE(replies_[0].ok);
        forget();
        replies_.clear();
    }
    void end(const std::string& why) {
        give(Ended{why});
        give(ProcessIs{false});
        give(Seen{true, Power::off, 8 * gib});
    }

    std::int64_t now_ = 1000000;
    Policy policy_;
    View view_;
    std::optional<Machine> machine_;
    std::vector<Action> actions_;
    std::vector<Reply> replies_;
};

class WantedMachineTest : public MachineTest {
  protected:
    WantedMachineTest() : MachineTest(Wanted::running) {}
};

TEST_F(MachineTest, NothingStartsByItselfUnlessItIsWanted) {
    pass(20000);
    EXPECT_FALSE(did<Promote>());
    EXPECT_FALSE(did<Launch>());
}

TEST_F(MachineTest, StartsOnlyAsTheWriter) {
    give(Command{1, Order::start, no_node});
    EXPECT_TRUE(did<Promote>());
    EXPECT_FALSE(did<Launch>());
    give(Done{Operation::promote});
    pass(1000);
    EXPECT_FALSE(did<Launch>());
    serve();
    EXPECT_TRUE(did<Launch>());
}

TEST_F(MachineTest, AStartThatIsRefusedDoesNotHappenLater) {
    give(Command{1, Order::start, no_node});
    give(Done{Operation::promote, false, "too few voters answer"});
    ASSERT_THAT(replies_, testing::SizeIs(1));
    EXPECT_FALSE(replies_[0].ok);
    forget();
    pass(20000);
    EXPECT_FALSE(did<Promote>());
}

TEST_F(MachineTest, IsNotStartedWhereADeviceIsInUse) {
    give(Command{1, Order::start, no_node});
    give(Done{Operation::promote});
    view_.opens = 1;
    serve();
    EXPECT_FALSE(did<Launch>());
    ASSERT_THAT(replies_, testing::SizeIs(1));
    EXPECT_THAT(replies_[0].text, HasSubstr("open by another program"));
}

TEST_F(MachineTest, StopShutsDownAndGivesTheOfficeBack) {
    run();
    give(Command{2, Order::stop, no_node});
    EXPECT_TRUE(did<Shutdown>());
    EXPECT_FALSE(did<Demote>());
    end("shutdown");
    ASSERT_TRUE(did<Demote>());
    EXPECT_FALSE(did<Demote>()->force);
    EXPECT_EQ(did<Store>()->record.wanted, Wanted::stopped);
    lose_office(no_node);
    ASSERT_THAT(replies_, testing::SizeIs(1));
    EXPECT_TRUE(replies_[0].ok);
    pass(20000);
    EXPECT_FALSE(did<Launch>());
}

TEST_F(MachineTest, AStopThatTakesTooLongLeavesItRunning) {
    run();
    give(Command{2, Order::stop, no_node});
    pass(policy_.stop_ms + 200);
    ASSERT_THAT(replies_, testing::SizeIs(1));
    EXPECT_FALSE(replies_[0].ok);
    EXPECT_FALSE(did<Kill>());
}

TEST_F(MachineTest, AKillThatIsStuckInIoHasThatFail) {
    run();
    give(Command{2, Order::kill, no_node});
    EXPECT_TRUE(did<Kill>());
    EXPECT_FALSE(did<Demote>());
    pass(2500);
    ASSERT_TRUE(did<Demote>());
    EXPECT_TRUE(did<Demote>()->force);
}

TEST_F(MachineTest, IsKilledWhereTheNodeIsNotTheWriter) {
    run();
    lose_office(other);
    EXPECT_TRUE(did<Kill>());
    EXPECT_THAT(did<Journal>()->text, HasSubstr("must not run here"));
}

TEST_F(MachineTest, OneThatSomebodyStartedElsewhereIsKilled) {
    give(Seen{true, Power::running, gib});
    EXPECT_TRUE(did<Kill>());
}

/// Kernel: the lease ended; SIGKILL first, then its I/O fails, so that the guest sees no error.
TEST_F(MachineTest, AnIsolatedHostKillsItBeforeAnotherMayStartIt) {
    run();
    view_.lease_left_ms = 2500;
    give(view_);
    now_ += 500;
    view_.lease_left_ms = 0;
    give(view_);
    // Leases and the office's first term; then fence-after.
    pass(policy_.lease_ms - 500 + policy_.fence_ms - 200);
    EXPECT_FALSE(did<Kill>());
    forget();
    pass(300);
    ASSERT_TRUE(did<Kill>());
    const auto kill = std::find_if(actions_.begin(), actions_.end(), [](const Action& each) {
        return std::holds_alternative<Kill>(each);
    });
    const auto demote = std::find_if(actions_.begin(), actions_.end(), [](const Action& each) {
        return std::holds_alternative<Demote>(each);
    });
    ASSERT_NE(demote, actions_.end());
    EXPECT_LT(kill - actions_.begin(), demote - actions_.begin());
    EXPECT_TRUE(std::get<Demote>(*demote).force);
}

TEST_F(MachineTest, LeasesThatAreRenewedKeepItRunning) {
    run();
    view_.lease_left_ms = 2500;
    for (int i = 0; i < 60; i++) {
        pass(1000);
        give(view_);
    }
    EXPECT_FALSE(did<Kill>());
}

TEST_F(MachineTest, ACrashIsRestartedThenGivenUp) {
    run();
    for (std::uint32_t i = 0; i < policy_.restarts; i++) {
        forget();
        end("crashed");
        ASSERT_TRUE(did<Launch>()) << i;
        give(Done{Operation::launch});
        give(ProcessIs{true});
        give(Seen{true, Power::running, gib});
    }
    forget();
    end("crashed");
    EXPECT_FALSE(did<Launch>());
    EXPECT_TRUE(did<Demote>());
    EXPECT_FALSE(did<GaveUp>());
    // Nobody else could: that is told, once.
    lose_office(no_node);
    EXPECT_TRUE(did<GaveUp>());
    forget();
    pass(60000);
    EXPECT_FALSE(did<GaveUp>());
    EXPECT_FALSE(did<Promote>());
}

TEST_F(MachineTest, AGuestThatShutsDownStaysOff) {
    run();
    end("shutdown");
    EXPECT_EQ(did<Store>()->record.wanted, Wanted::stopped);
    EXPECT_FALSE(did<Launch>());
    EXPECT_TRUE(did<Demote>());
}

// ---- failover ----

TEST_F(WantedMachineTest, TheBestStartsWhatRunsNowhere) {
    give(Heard{
        other,
        Offer{
            .record = {Wanted::running, 1, self}, .able = true, .data = true, .memory = 4 * gib}});
    pass(4000);
    EXPECT_TRUE(did<Promote>());
}

TEST_F(WantedMachineTest, TheSecondBestWaitsForTheBest) {
    give(Heard{other, Offer{.record = {Wanted::running, 1, self},
                            .able = true,
                            .data = true,
                            .memory = 100 * gib}});
    pass(3300);
    EXPECT_FALSE(did<Promote>());
    pass(3000);
    EXPECT_TRUE(did<Promote>());
}

/// P9: a writer whose daemon is dead goes on.
TEST_F(WantedMachineTest, AWriterThatAnybodySeesIsLeftAlone) {
    view_.writer = other;
    view_.sees = {witness};
    give(view_);
    give(Heard{witness, Offer{.sees = {other}}});
    pass(20000);
    EXPECT_FALSE(did<Promote>());
    give(Heard{witness, Offer{}});
    pass(1000);
    EXPECT_TRUE(did<Promote>());
}

TEST_F(WantedMachineTest, ADeposedWritersMachineIsGivenTheTimeToEnd) {
    view_.writer = other;
    view_.epoch++;
    view_.sees = {witness};
    give(view_);
    pass(4000);
    ASSERT_TRUE(did<Promote>());
    give(Done{Operation::promote});
    serve();
    pass(policy_.fence_ms);
    EXPECT_FALSE(did<Launch>());
    pass(600);
    EXPECT_TRUE(did<Launch>());
}

TEST_F(WantedMachineTest, AnotherEpochInBetweenMayHaveHadAnotherWriter) {
    pass(4000);
    give(Done{Operation::promote});
    view_.epoch += 1;
    serve();
    EXPECT_FALSE(did<Launch>());
    pass(policy_.fence_ms + 600);
    EXPECT_TRUE(did<Launch>());
}

TEST_F(WantedMachineTest, NeverWhileAPeerSaysThatItRunsThere) {
    give(Heard{other, peer(true, {})});
    serve();
    pass(20000);
    EXPECT_FALSE(did<Launch>());
    give(PeerLost{other});
    pass(500);
    EXPECT_TRUE(did<Launch>());
}

TEST(MachinePlace, DataThenRoomThenPreferenceThenMemoryThenNumber) {
    const Record record{Wanted::running, 7, 0};
    std::map<NodeId, Offer> offers{
        {0, {.able = true, .data = false, .memory = 9 * gib}},
        {1, {.able = true, .data = true, .memory = gib / 2}},
        {2, {.able = true, .data = true, .memory = 2 * gib}},
        {3, {.able = true, .data = true, .memory = 3 * gib}},
        {4, {.able = true, .data = true, .gave_up = 7, .memory = 9 * gib}},
        {5, {.able = false, .data = true, .memory = 9 * gib}},
        {6, {.able = true, .data = true, .gave_up = 6, .memory = 3 * gib}},
    };
    EXPECT_THAT(best_first(offers, gib, {}, record), ElementsAre(3, 6, 2, 1, 0));
    EXPECT_THAT(best_first(offers, gib, {2, 1, 0}, record), ElementsAre(2, 3, 6, 1, 0));
}

// ---- migration ----

class MigrationTest : public MachineTest {
  protected:
    void begin() {
        run();
        give(Heard{other, peer(false, {self, witness})});
        give(Command{7, Order::migrate, other});
        ASSERT_TRUE(told<Receive>());
        number_ = told<Receive>()->number;
    }
    void grant() {
        give(Heard{other, Ready{number_, ""}});
        ASSERT_TRUE(did<Grant>());
        view_.stage = membership::Stage::granted;
        view_.grant_to = other;
        give(view_);
        ASSERT_TRUE(did<Move>());
    }
    std::uint64_t number_ = 0;
};

TEST_F(MigrationTest, TheTargetIsTakenOnlyAfterTheSourcesEnd) {
    begin();
    EXPECT_FALSE(did<Grant>());
    grant();
    give(Done{Operation::move});
    EXPECT_FALSE(told<Go>());
    give(ProcessIs{false});
    EXPECT_TRUE(told<Go>());
    EXPECT_TRUE(replies_.empty());
    lose_office(other);
    ASSERT_THAT(replies_, testing::SizeIs(1));
    EXPECT_TRUE(replies_[0].ok);
}

TEST_F(MigrationTest, ARefusalOfTheTargetChangesNothing) {
    begin();
    give(Heard{other, Ready{number_, "not enough memory is free"}});
    ASSERT_THAT(replies_, testing::SizeIs(1));
    EXPECT_FALSE(replies_[0].ok);
    EXPECT_FALSE(did<Grant>());
    EXPECT_FALSE(did<Kill>());
}

TEST_F(MigrationTest, AFailedCopyLeavesItHereAndClosesTheWindow) {
    begin();
    grant();
    give(Done{Operation::move, false, "connection reset"});
    EXPECT_TRUE(did<WithdrawGrant>());
    EXPECT_TRUE(told<Cancel>());
    EXPECT_FALSE(did<Kill>());
    ASSERT_THAT(replies_, testing::SizeIs(1));
    EXPECT_FALSE(replies_[0].ok);
}

TEST_F(MigrationTest, ATargetThatIsLostAfterTheEndHasItStartedAnewHere) {
    begin();
    grant();
    give(Done{Operation::move});
    give(ProcessIs{false});
    give(PeerLost{other});
    forget();
    pass(14000);
    EXPECT_FALSE(did<Launch>());
    pass(2000);
    EXPECT_TRUE(did<WithdrawGrant>());
    view_.stage = membership::Stage::none;
    view_.grant_to = no_node;
    give(view_);
    EXPECT_TRUE(did<Launch>());
}

class TargetTest : public MachineTest {
  protected:
    TargetTest() : MachineTest(Wanted::running) {
        give(Heard{other, peer(true, {})});
        give(Heard{other, Receive{3}});
        view_.writer = other;
        view_.grant_to = self;
        view_.grant = 99;
        view_.stage = membership::Stage::prepared;
        give(view_);
        give(Seen{true, Power::paused, 7 * gib});
    }
};

TEST_F(TargetTest, GoesOnOnceItHasTheDevices) {
    EXPECT_EQ(told<Ready>()->why, "");
    pass(2000);
    EXPECT_FALSE(did<AskToken>());
    EXPECT_FALSE(did<Kill>());
    give(Heard{other, Go{3}});
    ASSERT_TRUE(did<AskToken>());
    EXPECT_EQ(did<AskToken>()->grant, 99);
    EXPECT_FALSE(did<Resume>());
    view_.stage = membership::Stage::swapped;
    serve();
    EXPECT_TRUE(did<Resume>());
    EXPECT_FALSE(did<Kill>());
}

/// The source may have gone on after the copy: the memory here is older than the disks.
TEST_F(TargetTest, AMachineThatCameIsNotResumedAfterAnotherPromotion) {
    view_.stage = membership::Stage::none;
    serve();
    EXPECT_FALSE(did<Resume>());
    EXPECT_TRUE(did<Kill>());
}

TEST_F(TargetTest, WhatIsLeftOfAWithdrawnMigrationIsKilled) {
    view_.grant_to = no_node;
    give(view_);
    EXPECT_TRUE(did<Kill>());
}

TEST_F(TargetTest, OneThatRunsBeforeItsTimeIsKilled) {
    give(Seen{true, Power::running, 7 * gib});
    EXPECT_TRUE(did<Kill>());
}

TEST(MachineMessage, AreReadBackAndNonsenseIsRefused) {
    const std::vector<Message> all{
        Offer{{Wanted::running, 9, 1}, true, true, true, 9, 4 * gib, {0, 2}}, Receive{1},
        Ready{2, "why"}, Go{3}, Cancel{4}};
    for (const Message& each : all) {
        EXPECT_EQ(decode(encode(each)), each);
    }
    for (const char* text : {"", "{", "[]", "{}", R"({"kind":"offer"})", R"({"kind":"go"})",
                             R"({"kind":"other","number":1})", R"({"kind":"go","number":"x"})"}) {
        EXPECT_FALSE(decode(text)) << text;
    }
    const Record record{Wanted::stopped, 12, 3};
    EXPECT_EQ(decode_record(encode_record(record)), record);
    EXPECT_FALSE(decode_record(R"({"wanted":7,"stamp":1,"by":0})"));
    EXPECT_FALSE(decode_record(R"({"wanted":1,"stamp":1,"by":99})"));
}

}  // namespace
}  // namespace braid::machine
