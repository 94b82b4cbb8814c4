// SPDX-License-Identifier: GPL-2.0-or-later
#include "machine/place.h"

#include <algorithm>
#include <tuple>

namespace braid::machine {

std::vector<NodeId> best_first(const std::map<NodeId, Offer>& offers, std::uint64_t memory,
                               const std::vector<NodeId>& prefer, const Record& record) {
    std::vector<NodeId> nodes;
    for (const auto& [node, offer] : offers) {
        if (offer.able && (offer.gave_up == 0 || offer.gave_up != record.stamp)) {
            nodes.push_back(node);
        }
    }
    const auto key = [&](NodeId node) {
        const Offer& offer = offers.at(node);
        const auto preferred = std::find(prefer.begin(), prefer.end(), node) - prefer.begin();
        return std::tuple(!offer.data, offer.memory < memory, preferred, ~offer.memory, node);
    };
    std::sort(nodes.begin(), nodes.end(), [&](NodeId a, NodeId b) { return key(a) < key(b); });
    return nodes;
}

}  // namespace braid::machine
