// SPDX-License-Identifier: GPL-2.0-or-later
//
// Random schedules. Guards P1 to P5 at each step, and that a healed cluster goes on.
//
//   BRAID_SIM_SEEDS=200000 sim_test --gtest_filter='Random*'     many
//   BRAID_SIM_FIRST=17 BRAID_SIM_SEEDS=1 ...                     one of them again, with its trace
#include <gtest/gtest.h>

#include <cstdlib>

#include "cluster.h"

namespace braid::sim {
namespace {

using membership::Role;

#ifdef __SANITIZE_ADDRESS__
constexpr std::uint64_t seeds_by_default = 25;  // sanitizers make them slow
#else
constexpr std::uint64_t seeds_by_default = 300;
#endif

std::uint64_t from_environment(const char* name, std::uint64_t otherwise) {
    const char* text = std::getenv(name);  // NOLINT(concurrency-mt-unsafe): one thread
    return text == nullptr ? otherwise : std::strtoull(text, nullptr, 10);
}

Recipe recipe_for(std::uint64_t seed) {
    static const std::vector<std::vector<Role>> shapes{
        {Role::diskful, Role::diskful, Role::diskful},
        {Role::diskful, Role::diskful, Role::witness},
        {Role::diskful, Role::diskful},
        {Role::diskful, Role::diskful, Role::diskful, Role::diskless},
        {Role::diskful, Role::diskful, Role::witness, Role::diskless},
        {Role::diskful, Role::diskful, Role::diskful, Role::diskful, Role::diskful}};
    Recipe recipe{.seed = seed, .roles = shapes[seed % shapes.size()]};
    recipe.volatile_caches = seed % 3 != 0;
    recipe.loss = seed % 5 == 0 ? 15 : 2;
    return recipe;
}

bool serves(Cluster& cluster) {
    return cluster.run_until(300000, [&] {
        if (cluster.serving() != no_node)
            return true;
        for (NodeId node = 0; node < cluster.size(); node++)
            if (cluster.up(node) && cluster.pick(100) == 0 && cluster.can_promote(node))
                cluster.command(node, {.verb = membership::Verb::promote});
        return false;
    });
}

/// And does so still after a while: what serves at first may not know that it was deposed.
bool is_promoted(Cluster& cluster) {
    if (!serves(cluster))
        return false;
    cluster.run(5000);
    return serves(cluster);
}

/// What went wrong, or nothing.
std::string schedule(Cluster& cluster) {
    cluster.initialise(0, cluster.pick(2) == 0);
    cluster.run_until(30000, [&] { return cluster.all_in_sync(); });
    for (std::uint64_t n = 8 + cluster.pick(20); n > 0 && cluster.violation().empty(); n--) {
        cluster.mishap();
        cluster.run(static_cast<std::int64_t>(cluster.pick(cluster.pick(4) == 0 ? 12000 : 1500)));
    }
    // Healed, it serves again wherever it is asked to, and all replicas become equal.
    cluster.heal();
    bool promoted = is_promoted(cluster);
    if (!promoted && cluster.violation().empty() && cluster.size() > 2) {
        cluster.swap_disk();  // the one in sync may be out of the host
        promoted = is_promoted(cluster);
    }
    if (!cluster.violation().empty())
        return cluster.violation();
    if (!promoted)
        return "progress: nobody serves";
    if (!cluster.run_until(120000, [&] { return cluster.all_in_sync(); }) &&
        cluster.violation().empty())
        return "progress: not all replicas are in sync";
    cluster.run(500);
    return cluster.violation();
}

TEST(RandomSchedules, KeepThePromises) {
    const std::uint64_t first = from_environment("BRAID_SIM_FIRST", 1);
    const std::uint64_t seeds = from_environment("BRAID_SIM_SEEDS", seeds_by_default);
    std::uint64_t acknowledged = 0;
    for (std::uint64_t seed = first; seed < first + seeds; seed++) {
        Recipe recipe = recipe_for(seed);
        recipe.tracing = seeds == 1;
        Cluster cluster(recipe);
        const std::string wrong = schedule(cluster);
        acknowledged += cluster.acknowledged();
        if (wrong.empty())
            continue;
        recipe.tracing = true;
        Cluster again(recipe);
        EXPECT_EQ(schedule(again), wrong) << "a replay differs";
        FAIL() << "seed " << seed << ": " << wrong << "\n" << again.describe();
    }
    EXPECT_GT(acknowledged, seeds * 20) << "too little was written to mean anything";
}

}  // namespace
}  // namespace braid::sim
