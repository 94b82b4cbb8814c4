// SPDX-License-Identifier: GPL-2.0-or-later
//
// Who may hold a connection on which nobody is known yet. Pure: time comes from the caller.
//
// The addresses of configured peers have a share each that others cannot take from. All others
// share a small rest, of which one address (or IPv6 network) gets a part, at a limited rate. Where
// a share is full, the oldest connection of the same share makes room: a node needs milliseconds
// to say who it is, and whoever has not done so for longest is least likely to be one.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>

namespace braid::satellite {

struct AdmissionLimits {
    std::size_t peer = 32;             ///< for each address of a configured peer
    std::size_t strangers = 32;        ///< for all other addresses together
    std::size_t stranger = 4;          ///< for one of these; more are refused
    double strangers_per_second = 20;  ///< after a burst of as many as fit
};

class Admission {
  public:
    using Time = std::chrono::steady_clock::time_point;

    explicit Admission(AdmissionLimits limits = {})
        : limits_(limits), tokens_(static_cast<double>(limits.strangers)) {}

    struct Verdict {
        bool admitted = false;
        /// The connection that has to go for it.
        std::optional<std::uint64_t> instead_of;
    };

    /// A connection with a number that no other has. `who` is the address or network it comes
    /// from, `peer` whether that is configured.
    [[nodiscard]] Verdict arrive(std::uint64_t id, const std::string& who, bool peer, Time now);

    /// It has ended or is somebody's.
    void leave(std::uint64_t id);

    [[nodiscard]] std::size_t size() const { return places_.size(); }

  private:
    struct Place {
        std::string who;
        bool peer = false;
    };

    [[nodiscard]] bool take_token(Time now);
    [[nodiscard]] std::size_t count(const std::string& who) const;

    AdmissionLimits limits_;
    double tokens_;
    Time counted_{};
    /// By number, which grows: the first is the oldest.
    std::map<std::uint64_t, Place> places_;
};

}  // namespace braid::satellite
