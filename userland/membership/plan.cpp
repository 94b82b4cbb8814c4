// SPDX-License-Identifier: GPL-2.0-or-later
#include "membership/plan.h"

#include <algorithm>

namespace braid::membership {

namespace {

/// Whether `replica` is the one that has `instance` in this seat: attached since, or not.
bool is_one(const Seat& seat, Instance instance, const Replica& replica) {
    return instance != 0 && replica.diskful && replica.instance != 0 &&
           (replica.instance == instance ||
            (replica.last_epoch != 0 && replica.last_epoch >= seat.joined));
}

/// Whether the value dropped a replica that is here, and its writer has not adopted that: it may
/// never have come into force.
bool writer_may_take_back(const Value& value, const std::map<NodeId, Replica>& replicas) {
    const auto writer = replicas.find(value.writer);
    if (writer == replicas.end() || writer->second.epoch == 0)
        return false;
    for (const Seat& seat : value.seats) {
        const auto found = replicas.find(seat.node);
        if (found != replicas.end() && found->second.reached &&
            is_one(seat, seat.before, found->second) && writer->second.epoch < seat.dropped)
            return true;
    }
    return false;
}

/// Whether what dropped the replica of `seat` never came into force: another one, in sync then and
/// since, was started anew before it adopted that, so that no write completed without the first one
/// (R3a). That one has all that was acknowledged, which cannot be said of the other.
bool dropped_in_vain(const Value& value, const Seat& seat,
                     const std::map<NodeId, Replica>& replicas) {
    if (seat.instance != 0 || seat.before == 0)
        return false;
    return std::ranges::any_of(value.seats, [&](const Seat& other) {
        const auto found = replicas.find(other.node);
        return found != replicas.end() && is_one(other, other.instance, found->second) &&
               found->second.instance != other.instance && found->second.last_epoch < seat.dropped;
    });
}

}  // namespace

bool is_listed(const Value& value, NodeId node, const Replica& replica) {
    const Seat* seat = value.seat(node);
    return seat != nullptr && is_one(*seat, seat->instance, replica);
}

Plan plan_promotion(const Value& value, NodeId self, const std::map<NodeId, Replica>& replicas) {
    Plan plan;
    std::vector<NodeId> missing;
    bool intact = false;
    for (const Seat& seat : value.seats) {
        const NodeId node = seat.node;
        const Instance instance =
            dropped_in_vain(value, seat, replicas) ? seat.before : seat.instance;
        if (instance == 0)
            continue;
        const auto found = replicas.find(node);
        if (found == replicas.end() || !found->second.reached || !found->second.diskful ||
            found->second.instance == 0) {
            missing.push_back(node);
            continue;
        }
        const Replica& replica = found->second;
        // Another disk, or one that crashed before its kernel knew that it had joined: whether it
        // is the one that is in sync cannot be told, and no write has completed on it since.
        if (!is_one(seat, instance, replica))
            continue;
        plan.in_sync.emplace(node, replica.instance);
        // The reference: an intact one if there is any, and this node's own before others.
        const bool better = plan.reference == no_node || (!replica.suspect && !intact) ||
                            (node == self && replica.suspect != intact);
        intact = intact || !replica.suspect;
        if (better)
            plan.reference = node;
    }
    if (plan.in_sync.empty())
        plan.cause = Cause::not_in_sync;
    else if (!intact && value.writer != self && writer_may_take_back(value, replicas))
        missing.push_back(value.writer);  // it takes that back
    if (plan.cause == Cause::none && !intact && !missing.empty())
        // One that is missing may be intact, and have acknowledged writes that these lost.
        plan.cause = Cause::only_suspect;
    if (plan.cause != Cause::none)
        plan.nodes = missing;
    return plan;
}

}  // namespace braid::membership
