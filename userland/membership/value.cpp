// SPDX-License-Identifier: GPL-2.0-or-later
#include "membership/value.h"

#include <algorithm>

namespace braid::membership {

const Seat* Value::seat(NodeId node) const {
    const auto found = std::find_if(seats.begin(), seats.end(),
                                    [node](const Seat& seat) { return seat.node == node; });
    return found == seats.end() ? nullptr : &*found;
}

Seat* Value::seat(NodeId node) {
    const auto found = std::find_if(seats.begin(), seats.end(),
                                    [node](const Seat& seat) { return seat.node == node; });
    return found == seats.end() ? nullptr : &*found;
}

NodeId Value::node_of(VoterId voter) const {
    for (const Seat& seat : seats)
        if (seat.voter == voter && voter != 0)
            return seat.node;
    return no_node;
}

VoterSet Value::voters() const {
    VoterSet set;
    for (const Seat& seat : seats)
        if (seat.voter != 0)
            insert(set, seat.voter);
    return set;
}

bool Value::in_sync(NodeId node) const {
    const Seat* found = seat(node);
    return found != nullptr && found->instance != 0;
}

std::vector<NodeId> Value::in_sync_nodes() const {
    std::vector<NodeId> nodes;
    for (const Seat& seat : seats)
        if (seat.instance != 0)
            nodes.push_back(seat.node);
    return nodes;
}

bool Value::is(const Value& other) const {
    return lineage == other.lineage && epoch == other.epoch && id == other.id;
}

bool Value::follows(const Value& other) const {
    return lineage == other.lineage && epoch > other.epoch;
}

bool majority(const VoterSet& set, const VoterSet& voters) {
    const auto present = std::count_if(set.begin(), set.end(), [&voters](VoterId voter) {
        return std::binary_search(voters.begin(), voters.end(), voter);
    });
    // A tie is none: the other half may decide otherwise.
    return 2 * static_cast<std::size_t>(present) > set.size();
}

std::size_t difference(const VoterSet& a, const VoterSet& b) {
    VoterSet found;
    std::set_symmetric_difference(a.begin(), a.end(), b.begin(), b.end(),
                                  std::back_inserter(found));
    return found.size();
}

void insert(VoterSet& set, VoterId voter) {
    const auto at = std::lower_bound(set.begin(), set.end(), voter);
    if (at == set.end() || *at != voter)
        set.insert(at, voter);
}

namespace {

std::optional<std::string> fault_of_seats(const Value& value) {
    if (value.seats.empty() || value.seats.size() > node_max + 1)
        return "it has no member, or more than 32";
    std::size_t voters = 0;
    for (std::size_t i = 0; i < value.seats.size(); i++) {
        const Seat& seat = value.seats[i];
        const std::string name = "node " + std::to_string(seat.node);
        if (seat.node > node_max)
            return name + " is above 31";
        if (i > 0 && value.seats[i - 1].node >= seat.node)
            return name + " is listed twice, or out of order";
        if (seat.role == Role::diskless && seat.voter != 0)
            return name + " votes but is diskless";
        if (seat.instance != 0 && (seat.before != 0 || seat.dropped != 0))
            return name + " is in sync and dropped";
        if (seat.instance != 0 && (seat.joined == 0 || seat.joined > value.epoch))
            return name + " joined in epoch " + std::to_string(seat.joined) + " of " +
                   std::to_string(value.epoch);
        if (seat.role != Role::diskful && seat.instance != 0)
            return name + " is in sync but has no replica";
        if (seat.voter != 0 && value.node_of(seat.voter) != seat.node)
            return name + " has another node's voter id";
        voters += seat.voter != 0 ? 1 : 0;
    }
    if (voters == 0)
        return "it has no voter";
    return std::nullopt;
}

}  // namespace

std::optional<std::string> fault(const Value& value) {
    if (value.lineage == Lineage{})
        return "its lineage is zero";
    if (value.epoch == 0 || value.id == 0)
        return "its epoch or id is zero";
    if (auto wrong = fault_of_seats(value))
        return wrong;
    if (value.in_sync_nodes().empty())
        return "no replica is in sync";
    if (value.writer != no_node && value.seat(value.writer) == nullptr)
        return "its writer, node " + std::to_string(value.writer) + ", is no member";
    if (value.writer != no_node && value.seat(value.writer)->role == Role::witness)
        return "its writer, node " + std::to_string(value.writer) + ", is a witness";
    if (value.read_under.empty() || value.read_under.size() > node_max + 1 ||
        value.read_under.front() == 0 ||
        std::adjacent_find(value.read_under.begin(), value.read_under.end(),
                           std::greater_equal<>()) != value.read_under.end())
        return "the voters under which it was read are no sorted set";
    if (difference(value.read_under, value.voters()) > 1)
        return "it changes more than one voter";
    if (value.grant.number != 0 &&
        (value.grant.from != value.writer || value.grant.to == value.grant.from ||
         value.seat(value.grant.to) == nullptr))
        return "its migration is not from its writer to another member";
    if (value.history.size() > ancestors_max)
        return "its history is too long";
    for (const Ancestor& ancestor : value.history)
        if (ancestor.lineage == value.lineage || ancestor.lineage == Lineage{})
            return "its history names its own lineage";
    return std::nullopt;
}

}  // namespace braid::membership
