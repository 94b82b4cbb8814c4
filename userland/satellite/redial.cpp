// SPDX-License-Identifier: GPL-2.0-or-later
#include "satellite/redial.h"

#include <algorithm>
#include <utility>

namespace braid::satellite {

Redial::Redial(std::size_t paths, std::function<double()> random)
    : paths_(std::max<std::size_t>(paths, 1)), random_(std::move(random)) {}

Redial::Duration Redial::failed() {
    path_ = (path_ + 1) % paths_;
    if (path_ != 0) {
        return Duration::zero();
    }
    // From half of the pause to all of it.
    const auto pause = std::chrono::duration_cast<Duration>(pause_ * (0.5 + random_() / 2));
    pause_ = std::min<Duration>(pause_ * 2, longest_pause);
    return pause;
}

Redial::Duration Redial::lost(Clock::time_point now) {
    if (now - since_ < lasting) {
        return failed();
    }
    forget();
    return Duration::zero();
}

void Redial::forget() {
    path_ = 0;
    pause_ = first_pause;
}

}  // namespace braid::satellite
