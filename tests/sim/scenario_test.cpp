// SPDX-License-Identifier: GPL-2.0-or-later
//
// Histories that people know, on a simulated cluster.
#include <gtest/gtest.h>

#include "cluster.h"

namespace braid::sim {
namespace {

using membership::Cause;
using membership::Role;
using membership::Verb;

Recipe recipe_of(std::vector<Role> roles) {
    return {.seed = 4, .roles = std::move(roles), .tracing = true};
}

TEST(Scenario, AFreshClusterEnrolsItsVotersAndServes) {
    Cluster cluster(recipe_of({Role::diskful, Role::diskful, Role::witness}));
    cluster.initialise(0, false);
    EXPECT_TRUE(cluster.run_until(30000, [&] { return cluster.all_in_sync(); }))
        << cluster.describe();
    cluster.open(1);
    cluster.command(1, {.verb = Verb::promote});
    EXPECT_TRUE(cluster.run_until(10000, [&] { return cluster.serving() == 1; }))
        << cluster.describe();
    cluster.run(1000);
    EXPECT_GT(cluster.acknowledged(), 10U);
    EXPECT_EQ(cluster.violation(), "");
}

/// Up, equal, and served by node 0.
void begin(Cluster& cluster) {
    cluster.initialise(0, true);
    ASSERT_TRUE(cluster.run_until(30000, [&] { return cluster.all_in_sync(); }))
        << cluster.describe();
    cluster.open(0);
    cluster.command(0, {.verb = Verb::promote});
    ASSERT_TRUE(cluster.run_until(10000, [&] { return cluster.serving() == 0; }))
        << cluster.describe();
    cluster.run(1000);
    ASSERT_GT(cluster.acknowledged(), 10U);
}

const std::vector<Role> with_witness{Role::diskful, Role::diskful, Role::witness};

TEST(Scenario, TheWriterGoesOnWithoutALostReplicaWhichThenJoinsAgain) {
    Cluster cluster(recipe_of(with_witness));
    begin(cluster);
    cluster.power(1, false);
    EXPECT_TRUE(cluster.run_until(
        10000, [&] { return cluster.member(0).known()->in_sync_nodes().size() == 1; }))
        << "R3: " << cluster.describe();
    const std::uint64_t before = cluster.acknowledged();
    cluster.run(1000);
    EXPECT_GT(cluster.acknowledged(), before);
    cluster.power(1, true);
    EXPECT_TRUE(cluster.run_until(20000, [&] { return cluster.all_in_sync(); }))
        << "R6: " << cluster.describe();
    EXPECT_EQ(cluster.violation(), "");
}

TEST(Scenario, TheOtherReplicaTakesOver) {
    Cluster cluster(recipe_of(with_witness));
    begin(cluster);
    cluster.power(0, false);
    cluster.run(3000);
    cluster.open(1);
    cluster.command(1, {.verb = Verb::promote});
    EXPECT_TRUE(cluster.run_until(15000, [&] { return cluster.serving() == 1; }))
        << cluster.describe();
    cluster.run(1000);
    EXPECT_EQ(cluster.violation(), "");
}

TEST(Scenario, WhoOpensADeviceMakesItsNodePrimaryUntilItIsClosed) {
    Recipe recipe = recipe_of(with_witness);
    recipe.options.auto_promote = true;
    Cluster cluster(recipe);
    begin(cluster);
    cluster.open_when_writer(1);
    EXPECT_TRUE(cluster.run_until(1000, [&] { return !cluster.kernel(1).waits_to_open(); }));
    EXPECT_FALSE(cluster.kernel(1).is_open()) << "P4: node 0 is Primary";
    // It was told to be: closing does not end that.
    cluster.close(0);
    cluster.run(5000);
    EXPECT_EQ(cluster.serving(), 0U);
    cluster.command(0, {.verb = Verb::demote});
    EXPECT_TRUE(cluster.run_until(10000, [&] { return cluster.serving() == membership::no_node; }));
    for (const NodeId node : {NodeId{1}, NodeId{0}}) {
        cluster.open_when_writer(node);
        EXPECT_TRUE(cluster.run_until(10000, [&] { return cluster.kernel(node).is_open(); }))
            << cluster.describe();
        EXPECT_TRUE(cluster.run_until(1000, [&] { return cluster.serving() == node; }));
        // Its daemon goes on after a restart.
        cluster.daemon(node, false);
        cluster.daemon(node, true);
        cluster.run(1000);
        cluster.close(node);
        EXPECT_TRUE(cluster.run_until(10000, [&] {
            return cluster.serving() == membership::no_node;
        })) << cluster.describe();
    }
    EXPECT_EQ(cluster.violation(), "");
}

TEST(Scenario, WhoWasElectedIsGivenTimeToBegin) {
    for (std::uint64_t seed = 1; seed <= 40; seed++) {
        Recipe recipe = recipe_of(with_witness);
        recipe.seed = seed;
        Cluster cluster(recipe);
        cluster.initialise(0, false);
        ASSERT_TRUE(cluster.run_until(30000, [&] { return cluster.all_in_sync(); }))
            << cluster.describe();
        cluster.command(1, {.verb = Verb::promote});
        ASSERT_TRUE(cluster.run_until(10000, [&] {
            return cluster.member(0).known()->writer == 1;
        })) << cluster.describe();
        cluster.command(0, {.verb = Verb::promote});
        ASSERT_TRUE(cluster.run_until(30000, [&] { return cluster.reply(0).has_value(); }))
            << cluster.describe();
        EXPECT_EQ(cluster.reply(0)->cause, Cause::writer_elsewhere)
            << "it may be in use there already, seed " << seed;
        EXPECT_EQ(cluster.violation(), "");
    }
}

TEST(Scenario, ADrainedNodeBecomesNobodysPrimary) {
    Recipe recipe = recipe_of(with_witness);
    recipe.options.auto_promote = true;
    Cluster cluster(recipe);
    begin(cluster);
    cluster.drain(0, true);
    cluster.run(3000);
    EXPECT_EQ(cluster.serving(), 0U) << "whoever uses it does not lose it";
    cluster.close(0);
    cluster.command(0, {.verb = Verb::demote});
    EXPECT_TRUE(cluster.run_until(10000, [&] { return cluster.serving() == membership::no_node; }));
    cluster.open_when_writer(0);
    EXPECT_TRUE(cluster.run_until(1000, [&] { return !cluster.kernel(0).waits_to_open(); }));
    for (const bool force : {false, true}) {
        cluster.command(0, {.verb = Verb::promote, .force = force});
        cluster.run(3000);
        EXPECT_EQ(cluster.serving(), membership::no_node);
        EXPECT_EQ(cluster.reply(0)->cause, membership::Cause::drained);
    }
    cluster.open_when_writer(1);
    EXPECT_TRUE(cluster.run_until(10000, [&] { return cluster.kernel(1).is_open(); }))
        << "another one can: " << cluster.describe();
    cluster.close(1);
    EXPECT_TRUE(cluster.run_until(10000, [&] { return cluster.serving() == membership::no_node; }));
    cluster.drain(0, false);
    cluster.open_when_writer(0);
    EXPECT_TRUE(cluster.run_until(10000, [&] { return cluster.serving() == 0; }))
        << cluster.describe();
    EXPECT_EQ(cluster.violation(), "");
}

TEST(Scenario, WithoutAQuorumWhoOpensADeviceIsRefused) {
    Recipe recipe = recipe_of(with_witness);
    recipe.options.auto_promote = true;
    Cluster cluster(recipe);
    begin(cluster);
    cluster.power(0, false);
    cluster.power(2, false);
    cluster.open_when_writer(1);
    EXPECT_TRUE(cluster.run_until(30000, [&] { return !cluster.kernel(1).waits_to_open(); }));
    EXPECT_FALSE(cluster.kernel(1).is_open());
    cluster.power(2, true);
    cluster.run(5000);
    EXPECT_NE(cluster.serving(), 1U) << "nobody waits any more";
    cluster.open_when_writer(1);
    EXPECT_TRUE(cluster.run_until(15000, [&] { return cluster.kernel(1).is_open(); }))
        << cluster.describe();
    EXPECT_EQ(cluster.violation(), "");
}

TEST(Scenario, TwoNodesWaitForOneAnother) {
    Cluster cluster(recipe_of({Role::diskful, Role::diskful}));
    begin(cluster);
    cluster.power(1, false);
    cluster.run(30000);
    const std::uint64_t before = cluster.acknowledged();
    cluster.run(10000);
    EXPECT_EQ(cluster.acknowledged(), before) << "R9: a tie is no majority";
    EXPECT_EQ(cluster.member(0).explain().held, Cause::no_quorum);
    cluster.power(1, true);
    EXPECT_TRUE(cluster.run_until(20000, [&] { return cluster.all_in_sync(); }))
        << cluster.describe();
    EXPECT_EQ(cluster.violation(), "");
}

TEST(Scenario, QuorumOffGoesOnAfterTheFenceCommandOnly) {
    Recipe recipe = recipe_of({Role::diskful, Role::diskful});
    recipe.options.quorum_off = true;
    recipe.may_fork = true;
    Cluster cluster(recipe);
    begin(cluster);
    cluster.power(1, false);
    ASSERT_TRUE(cluster.run_until(30000, [&] { return !cluster.fence_requests().empty(); }))
        << cluster.describe();
    const std::uint64_t before = cluster.acknowledged();
    cluster.run(2000);
    EXPECT_EQ(cluster.acknowledged(), before);
    cluster.fenced(0, 1, true);
    cluster.run(3000);
    EXPECT_GT(cluster.acknowledged(), before) << cluster.describe();
    cluster.power(1, true);
    EXPECT_TRUE(cluster.run_until(30000, [&] { return cluster.all_in_sync(); }))
        << "what was fenced follows: " << cluster.describe();
    EXPECT_EQ(cluster.violation(), "");
}

TEST(Scenario, AForkIsNamedAndEndedByOneCommand) {
    Recipe recipe = recipe_of({Role::diskful, Role::diskful});
    recipe.may_fork = true;
    Cluster cluster(recipe);
    begin(cluster);
    // Node 1 loses touch, node 0 goes on by force, then it dies and node 1 is forced, too.
    cluster.cut_both(0, 1, true);
    cluster.run(5000);
    cluster.command(0, {.verb = Verb::demote, .force = true});
    cluster.run(3000);
    cluster.command(0, {.verb = Verb::promote, .force = true});
    EXPECT_TRUE(cluster.run_until(20000, [&] { return cluster.serving() == 0; }))
        << cluster.describe();
    cluster.run(1000);
    cluster.power(0, false);
    cluster.run(5000);
    cluster.open(1);
    cluster.command(1, {.verb = Verb::promote, .force = true});
    EXPECT_TRUE(cluster.run_until(20000, [&] { return cluster.serving() == 1; }))
        << cluster.describe();
    cluster.run(1000);
    cluster.power(0, true);
    cluster.heal();
    EXPECT_TRUE(
        cluster.run_until(10000, [&] { return !cluster.member(1).explain().forks.empty(); }))
        << "R8: " << cluster.describe();
    const auto fork = cluster.member(1).explain().forks.at(0);
    EXPECT_EQ(fork.node, 0U);
    EXPECT_GT(fork.age_ms, 0);
    EXPECT_EQ(fork.lineage, cluster.member(0).known()->lineage);
    cluster.run(5000);
    EXPECT_NE(cluster.member(0).known()->lineage, cluster.member(1).known()->lineage)
        << "nothing is merged by itself";
    cluster.command(1, {.verb = Verb::resolve, .node = 0});
    EXPECT_TRUE(cluster.run_until(30000, [&] { return cluster.all_in_sync(); }))
        << cluster.describe();
    EXPECT_EQ(cluster.member(0).known()->lineage, cluster.member(1).known()->lineage);
    const auto why = cluster.member(0).explain();
    EXPECT_EQ(why.lineage, cluster.member(1).known()->lineage);
    EXPECT_EQ(why.id, cluster.member(0).known()->id);
    ASSERT_FALSE(why.history.empty());
    EXPECT_EQ(why.history.back().lineage, fork.lineage);
    EXPECT_TRUE(why.history.back().discarded);
    for (int block = 0; block < blocks; block++)
        EXPECT_GE(cluster.disk(1).view(block), 0);
    EXPECT_EQ(cluster.violation(), "");
}

TEST(Scenario, TheWriterMovesWhileItWrites) {
    Cluster cluster(recipe_of(with_witness));
    begin(cluster);
    cluster.open(1);
    cluster.command(0, {.verb = Verb::migrate, .node = 1});
    EXPECT_TRUE(cluster.run_until(15000, [&] { return cluster.serving() == 1; }))
        << "M1: " << cluster.describe();
    cluster.run(500);
    ASSERT_TRUE(cluster.reply(0).has_value());
    EXPECT_EQ(cluster.reply(0)->cause, Cause::none);
    EXPECT_EQ(cluster.violation(), "");
}

TEST(Scenario, AfterLossOfAllPowerASuspectReplicaWaitsForTheOther) {
    Cluster cluster(recipe_of(with_witness));
    begin(cluster);
    cluster.all_power_off();
    cluster.power(1, true);
    cluster.power(2, true);
    cluster.run(5000);
    cluster.open(1);
    cluster.command(1, {.verb = Verb::promote});
    cluster.run(22000);
    ASSERT_TRUE(cluster.reply(1).has_value());
    EXPECT_EQ(cluster.reply(1)->cause, Cause::only_suspect) << "R4a";
    cluster.power(0, true);
    EXPECT_TRUE(cluster.run_until(30000, [&] { return cluster.all_in_sync(); }))
        << cluster.describe();
    EXPECT_EQ(cluster.violation(), "");
}

/// P1, R3a: the writer drops a replica before it knows that the other one has just lost its cache.
TEST(Scenario, AReplicaThatWasDroppedInVainIsWaitedFor) {
    Cluster cluster(recipe_of({Role::diskful, Role::diskful, Role::witness, Role::witness,
                               Role::witness, Role::diskless}));
    constexpr NodeId whole = 0, crashed = 1, writer = 5;
    cluster.initialise(whole, true);
    ASSERT_TRUE(cluster.run_until(30000, [&] { return cluster.all_in_sync(); }))
        << cluster.describe();
    cluster.open(writer);
    cluster.command(writer, {.verb = Verb::promote});
    ASSERT_TRUE(cluster.run_until(10000, [&] { return cluster.serving() == writer; }))
        << cluster.describe();
    cluster.run(1000);
    for (NodeId other = 1; other < cluster.size(); other++)
        cluster.cut_both(whole, other, true);
    cluster.run(1900);
    cluster.power(crashed, false);
    ASSERT_TRUE(cluster.run_until(10000, [&] {
        return cluster.member(writer).known()->in_sync_nodes() == std::vector<NodeId>{crashed};
    })) << cluster.describe();
    cluster.power(crashed, true);
    cluster.run(5000);
    EXPECT_EQ(cluster.serving(), membership::no_node);
    cluster.command(writer, {.verb = Verb::promote});
    cluster.run(40000);
    EXPECT_EQ(cluster.serving(), membership::no_node);
    ASSERT_TRUE(cluster.reply(writer));
    EXPECT_EQ(cluster.reply(writer)->cause, Cause::only_suspect) << cluster.describe();

    cluster.heal();
    cluster.command(writer, {.verb = Verb::promote});
    EXPECT_TRUE(cluster.run_until(20000, [&] { return cluster.serving() == writer; }))
        << cluster.describe();
    cluster.run(3000);
    EXPECT_EQ(cluster.violation(), "");
}

TEST(Scenario, AReplacedHostIsEnrolledAgainAsAnotherVoter) {
    Cluster cluster(recipe_of({Role::diskful, Role::diskful, Role::diskful}));
    begin(cluster);
    const auto before = cluster.member(0).known()->seat(2)->voter;
    cluster.power(2, false);
    cluster.run(5000);
    cluster.replace_disk(2);
    cluster.power(2, true);
    // As a replica and as a voter, in whichever order.
    EXPECT_TRUE(cluster.run_until(40000,
                                  [&] {
                                      const auto* seat = cluster.member(0).known()->seat(2);
                                      return cluster.all_in_sync() && seat != nullptr &&
                                             seat->voter != before;
                                  }))
        << "V1\n"
        << cluster.describe();
    EXPECT_EQ(cluster.violation(), "");
}

TEST(Scenario, AnOldDiskThatIsPutBackIsNotTheOneInSync) {
    // Witnesses enough that the votes of the disks are not needed.
    Recipe recipe =
        recipe_of({Role::diskful, Role::diskful, Role::witness, Role::witness, Role::witness});
    recipe.volatile_caches = false;
    Cluster cluster(recipe);
    begin(cluster);
    cluster.power(1, false);
    cluster.run(5000);
    const Disk old = cluster.replace_disk(1);
    cluster.power(1, true);
    ASSERT_TRUE(cluster.run_until(40000, [&] { return cluster.all_in_sync(); }))
        << cluster.describe();
    cluster.run(2000);
    cluster.all_power_off();
    cluster.put_disk(1, old);
    for (const NodeId node : {1U, 2U, 3U, 4U})
        cluster.power(node, true);
    cluster.open(1);
    cluster.command(1, {.verb = Verb::promote});
    cluster.run(30000);
    EXPECT_EQ(cluster.serving(), no_node) << "P1: it has what was acknowledged long ago";
    cluster.power(0, true);
    EXPECT_TRUE(cluster.run_until(60000, [&] { return cluster.all_in_sync(); }))
        << cluster.describe();
    EXPECT_EQ(cluster.violation(), "");
}

TEST(Scenario, MembersAreRemovedAndAdded) {
    Cluster cluster(recipe_of({Role::diskful, Role::diskful, Role::diskful}));
    begin(cluster);
    cluster.command(0, {.verb = Verb::remove, .node = 2});
    EXPECT_TRUE(
        cluster.run_until(5000, [&] { return cluster.member(0).known()->seat(2) == nullptr; }));
    cluster.command(0, {.verb = Verb::remove, .node = 0});
    cluster.run(100);
    EXPECT_EQ(cluster.reply(0)->cause, Cause::is_writer);
    cluster.command(0, {.verb = Verb::add, .node = 2, .role = Role::diskful});
    cluster.run(100);
    cluster.power(2, false);
    cluster.replace_disk(2);
    cluster.power(2, true);
    EXPECT_TRUE(cluster.run_until(40000, [&] { return cluster.all_in_sync(); }))
        << cluster.describe();
    EXPECT_EQ(cluster.violation(), "");
}

TEST(Scenario, KillingAllDaemonsStallsNoWrites) {
    Cluster cluster(recipe_of(with_witness));
    begin(cluster);
    for (const NodeId node : {0U, 1U, 2U})
        cluster.daemon(node, false);
    const std::uint64_t before = cluster.acknowledged();
    cluster.run(20000);
    EXPECT_GT(cluster.acknowledged(), before + 500) << "P9";
    cluster.heal();
    cluster.run(5000);
    EXPECT_EQ(cluster.serving(), 0U) << "and a new daemon leaves it as it is";
    EXPECT_EQ(cluster.violation(), "");
}

}  // namespace
}  // namespace braid::sim
