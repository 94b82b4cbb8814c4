// SPDX-License-Identifier: GPL-2.0-or-later
#include "membership/fork.h"

#include <algorithm>
#include <limits>

namespace braid::membership {

namespace {

const Ancestor* find(const Value& value, const Lineage& lineage) {
    const Ancestor* found = nullptr;
    for (const Ancestor& ancestor : value.history)
        if (ancestor.lineage == lineage && (found == nullptr || ancestor.discarded))
            found = &ancestor;
    return found;
}

/// Whether a lineage with this ancestor has all that was acknowledged under `value`.
bool contains(const Ancestor& ancestor, const Value& value) {
    return ancestor.discarded || value.epoch < ancestor.epoch ||
           (value.epoch == ancestor.epoch && value.id == ancestor.id && ancestor.complete);
}

}  // namespace

Kinship compare(const Value& ours, const Value& theirs) {
    if (ours.lineage == theirs.lineage)
        return {};
    const Ancestor* in_theirs = find(theirs, ours.lineage);
    const Ancestor* in_ours = find(ours, theirs.lineage);
    if (in_theirs != nullptr && contains(*in_theirs, ours))
        return {.relation = Relation::behind, .epoch = 0, .when_ms = 0};
    if (in_ours != nullptr && contains(*in_ours, theirs))
        return {.relation = Relation::ahead, .epoch = 0, .when_ms = 0};
    for (const Ancestor* parted : {in_theirs, in_ours})
        if (parted != nullptr)
            return {Relation::forked, parted->epoch, parted->when_ms};
    // Both began where a third lineage ended, the last one that they have in common.
    for (auto mine = ours.history.rbegin(); mine != ours.history.rend(); ++mine)
        if (const Ancestor* other = find(theirs, mine->lineage))
            return {Relation::forked, std::min(mine->epoch, other->epoch),
                    std::min(mine->when_ms, other->when_ms)};
    return {.relation = Relation::unrelated, .epoch = 0, .when_ms = 0};
}

std::uint64_t common_epoch(const Value& value, const Lineage& lineage) {
    if (value.lineage == lineage)
        return std::numeric_limits<std::uint64_t>::max();
    const auto at = std::ranges::find(value.history, lineage, &Ancestor::lineage);
    if (at == value.history.end() || at->discarded)
        return 0;
    // Each later one began where it has left the one before it, which may be further back.
    std::uint64_t common = at->epoch;
    for (auto later = at; later != value.history.end(); ++later)
        if (!later->discarded)
            common = std::min(common, later->epoch);
    return common;
}

void remember(Value& value, const Ancestor& ancestor) {
    std::erase_if(value.history,
                  [&](const Ancestor& old) { return old.lineage == ancestor.lineage; });
    if (value.history.size() == ancestors_max)
        value.history.erase(value.history.begin());
    value.history.push_back(ancestor);
}

Value begin_lineage(const Beginning& beginning, const Value* last, Ancestor base) {
    Value value;
    if (last != nullptr) {
        value = *last;
        base.lineage = last->lineage;
        base.when_ms = beginning.when_ms;
        remember(value, base);
    }
    value.lineage = beginning.lineage;
    value.epoch++;
    value.id = beginning.id;
    value.writer = beginning.writer;
    value.caretaker = false;
    value.grant = {};
    if (value.seat(beginning.writer) == nullptr)
        value.seats.push_back({.node = beginning.writer});
    for (Seat& seat : value.seats) {
        const bool mine = seat.node == beginning.writer;
        seat.voter = mine ? beginning.voter : 0;
        seat.instance = mine ? beginning.instance : 0;
        // The same replica, should its kernel stop before it has adopted this value.
        seat.joined = mine ? (beginning.joined != 0 ? beginning.joined : value.epoch) : 0;
        seat.before = seat.dropped = 0;
    }
    value.read_under = value.voters();
    return value;
}

}  // namespace braid::membership
