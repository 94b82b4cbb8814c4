// SPDX-License-Identifier: GPL-2.0-or-later
//
// Who was refused lately, and why; for status and log. Bounded, whatever strangers do.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

namespace braid::satellite {

struct Refusal {
    std::string address;  ///< without the port
    /// What its certificate says, if it showed one; proven only if the reason is not the
    /// certificate.
    std::string node;
    std::string why;
    std::uint64_t count = 0;
    std::chrono::system_clock::time_point last;
    std::chrono::system_clock::time_point logged;
};

class Refusals {
  public:
    static constexpr std::size_t kept = 32;
    /// For one kind of refusal, and for so many lines in all.
    static constexpr std::chrono::minutes log_interval{1};
    static constexpr int lines = 10;

    /// The refusal if it is worth a line in the log: the first of its kind, then once a minute.
    const Refusal* note(const std::string& address, const std::string& node, const std::string& why,
                        std::chrono::system_clock::time_point now) {
        const auto same = [&](const Refusal& each) {
            return each.address == address && each.node == node && each.why == why;
        };
        auto found = std::ranges::find_if(list_, same);
        if (found == list_.end()) {
            if (list_.size() == kept) {
                list_.erase(std::ranges::min_element(list_, {}, &Refusal::last));
            }
            found = list_.insert(list_.end(), {address, node, why, 0, now, {}});
        }
        found->count++;
        found->last = now;
        if (now - found->logged < log_interval || !take_line(now)) {
            return nullptr;
        }
        found->logged = now;
        return &*found;
    }

    [[nodiscard]] const std::vector<Refusal>& list() const { return list_; }

  private:
    bool take_line(std::chrono::system_clock::time_point now) {
        if (now - minute_ >= log_interval || now < minute_) {
            minute_ = now;
            lines_ = 0;
        }
        return lines_++ < lines;
    }

    std::vector<Refusal> list_;
    std::chrono::system_clock::time_point minute_;
    int lines_ = 0;
};

}  // namespace braid::satellite
