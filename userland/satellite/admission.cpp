// SPDX-License-Identifier: GPL-2.0-or-later
#include "satellite/admission.h"

#include <algorithm>

namespace braid::satellite {

std::size_t Admission::count(const std::string& who) const {
    return static_cast<std::size_t>(
        std::ranges::count_if(places_, [&](const auto& place) { return place.second.who == who; }));
}

bool Admission::take_token(Time now) {
    const double seconds = std::chrono::duration<double>(now - counted_).count();
    tokens_ = std::min(static_cast<double>(limits_.strangers),
                       tokens_ + seconds * limits_.strangers_per_second);
    counted_ = now;
    if (tokens_ < 1) {
        return false;
    }
    tokens_ -= 1;
    return true;
}

Admission::Verdict Admission::arrive(std::uint64_t id, const std::string& who, bool peer,
                                     Time now) {
    if (!peer && (count(who) >= limits_.stranger || !take_token(now))) {
        return {};
    }
    const auto shares = [&](const auto& place) {
        return peer ? place.second.who == who : !place.second.peer;
    };
    Verdict verdict{true, {}};
    const auto used = static_cast<std::size_t>(std::ranges::count_if(places_, shares));
    if (used >= (peer ? limits_.peer : limits_.strangers)) {
        const auto oldest = std::ranges::find_if(places_, shares);
        verdict.instead_of = oldest->first;
        places_.erase(oldest);
    }
    places_[id] = {who, peer};
    return verdict;
}

void Admission::leave(std::uint64_t id) {
    places_.erase(id);
}

}  // namespace braid::satellite
