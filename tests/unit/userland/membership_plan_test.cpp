// SPDX-License-Identifier: GPL-2.0-or-later
//
// The choice of replicas (R4, R4a, R5) and how lineages compare (R8).
#include "membership/plan.h"

#include <gtest/gtest.h>

#include "membership/fork.h"
#include "membership_values.h"

namespace braid::membership {
namespace {

/// All replicas as the value lists them.
std::map<NodeId, Replica> all_of(const Value& value) {
    std::map<NodeId, Replica> replicas;
    for (const Seat& seat : value.seats)
        replicas[seat.node] = {.reached = true,
                               .diskful = true,
                               .suspect = false,
                               .instance = seat.instance,
                               .epoch = value.epoch,
                               .last_epoch = value.epoch};
    return replicas;
}

TEST(MembershipPlan, TakesWhatIsReachedAndPrefersItsOwn) {
    const Value value = value_of(3);
    auto replicas = all_of(value);
    replicas[2].reached = false;
    const Plan plan = plan_promotion(value, 1, replicas);
    EXPECT_EQ(plan.cause, Cause::none);
    EXPECT_EQ(plan.in_sync, (std::map<NodeId, Instance>{{0, 1000}, {1, 1001}}));
    EXPECT_EQ(plan.reference, 1U);
    replicas[0].reached = replicas[1].reached = false;
    EXPECT_EQ(plan_promotion(value, 1, replicas).cause, Cause::not_in_sync);
}

TEST(MembershipPlan, ASuspectReplicaIsNoReference) {
    const Value value = value_of(3);
    for (NodeId intact = 0; intact < 3; intact++) {
        auto replicas = all_of(value);
        for (auto& [node, replica] : replicas)
            replica.suspect = node != intact;
        for (NodeId self = 0; self < 3; self++) {
            const Plan plan = plan_promotion(value, self, replicas);
            EXPECT_EQ(plan.cause, Cause::none);
            EXPECT_EQ(plan.reference, intact);
            EXPECT_EQ(plan.in_sync.size(), 3U) << "it is made equal";
        }
    }
}

TEST(MembershipPlan, OnlySuspectReplicasWaitForTheOthers) {
    const Value value = value_of(2);
    auto replicas = all_of(value);
    replicas[0].suspect = true;
    replicas[1].reached = false;
    const Plan plan = plan_promotion(value, 0, replicas);
    EXPECT_EQ(plan.cause, Cause::only_suspect);
    EXPECT_EQ(plan.nodes, std::vector<NodeId>{1});
    replicas[1] = {
        .reached = true, .diskful = true, .suspect = true, .instance = 7, .last_epoch = 1};
    EXPECT_EQ(plan_promotion(value, 0, replicas).cause, Cause::none) << "all are known to be";
}

/// R3a: 1 was dropped while 0 was down, before anybody knew of that.
TEST(MembershipPlan, WhatWasDroppedInVainHasAllThatWasAcknowledged) {
    Value value = after(value_of(2));
    Seat& dropped = value.seats[1];
    dropped.before = dropped.instance;
    dropped.instance = 0;
    dropped.dropped = value.epoch;
    auto replicas = all_of(value);
    replicas[0].suspect = true;
    replicas[0].instance = 77;
    replicas[0].last_epoch = value.epoch - 1;
    replicas[1].instance = dropped.before;
    replicas[1].last_epoch = value.epoch - 1;
    const Plan plan = plan_promotion(value, 0, replicas);
    EXPECT_EQ(plan.cause, Cause::none);
    EXPECT_EQ(plan.reference, 1U);
    EXPECT_EQ(plan.in_sync, (std::map<NodeId, Instance>{{0, 77}, {1, dropped.before}}));

    replicas[1].reached = false;
    EXPECT_EQ(plan_promotion(value, 0, replicas).cause, Cause::only_suspect);
    EXPECT_EQ(plan_promotion(value, 0, replicas).nodes, std::vector<NodeId>{1});

    // 0 had adopted it: writes may have completed without 1.
    replicas[1].reached = true;
    replicas[0].last_epoch = value.epoch;
    EXPECT_EQ(plan_promotion(value, 0, replicas).reference, 0U);
    // Or may adopt it yet.
    replicas[0].last_epoch = value.epoch - 1;
    replicas[0].instance = value.seats[0].instance;
    EXPECT_EQ(plan_promotion(value, 0, replicas).in_sync.count(1), 0U);
}

TEST(MembershipPlan, ADiskThatIsNotTheOneInSyncDoesNotCount) {
    Value value = value_of(2, 5);
    auto replicas = all_of(value);
    value.epoch = 9;
    replicas[1].instance = 7;
    EXPECT_EQ(plan_promotion(value, 0, replicas).in_sync.at(1), 7U) << "attached again";
    replicas[1].last_epoch = 4;
    EXPECT_EQ(plan_promotion(value, 0, replicas).in_sync.count(1), 0U) << "one of before";
    replicas[1].last_epoch = 0;
    EXPECT_EQ(plan_promotion(value, 0, replicas).in_sync.count(1), 0U) << "a new one";
    EXPECT_EQ(plan_promotion(value, 1, replicas).reference, 0U);
}

Beginning forced(NodeId node) {
    return {.lineage = second_lineage,
            .id = 99,
            .writer = node,
            .voter = 500,
            .instance = 1000 + node,
            .when_ms = 1234};
}

TEST(MembershipFork, AForcedLineageHasWhatItBeganFrom) {
    const Value old = value_of(2, 5);
    const Value next = begin_lineage(forced(1), &old, {.epoch = 5, .id = old.id, .complete = true});
    ASSERT_EQ(fault(next), std::nullopt);
    EXPECT_EQ(next.voters(), VoterSet{500});
    EXPECT_EQ(next.in_sync_nodes(), std::vector<NodeId>{1});
    EXPECT_EQ(compare(old, next).relation, Relation::behind);
    EXPECT_EQ(compare(next, old).relation, Relation::ahead);
    Value sibling = old;
    sibling.id++;
    EXPECT_EQ(compare(sibling, next).relation, Relation::forked) << "the exact (epoch, id) counts";
    const Kinship fork = compare(after(old), next);
    EXPECT_EQ(fork.relation, Relation::forked) << "it went on";
    EXPECT_EQ(fork.epoch, 5U);
    EXPECT_EQ(fork.when_ms, 1234);
}

TEST(MembershipFork, ForcingAReplicaOutsideInSyncIsAFork) {
    const Value old = value_of(2, 5);
    const Value next = begin_lineage(forced(1), &old, {.epoch = 3});
    EXPECT_EQ(compare(old, next).relation, Relation::forked);
    EXPECT_EQ(compare(value_of(2, 2), next).relation, Relation::behind);
}

TEST(MembershipFork, WhatWasDiscardedFollows) {
    const Value old = value_of(2, 5);
    Value next = begin_lineage(forced(1), &old, {.epoch = 3});
    remember(next, {.lineage = old.lineage, .epoch = 5, .id = old.id, .discarded = true});
    EXPECT_EQ(compare(value_of(2, 9), next).relation, Relation::behind);
    Value stranger = value_of(2);
    stranger.lineage = {7};
    EXPECT_EQ(compare(stranger, next).relation, Relation::unrelated);
}

}  // namespace
}  // namespace braid::membership
