// SPDX-License-Identifier: GPL-2.0-or-later
//
// The node's port: takes connections, finds out who is there and what for, refuses strangers.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "satellite/admission.h"
#include "satellite/connection.h"
#include "satellite/refusals.h"

namespace braid::satellite {

class Listener {
  public:
    /// From connecting to the first message. Strangers hold their places no longer than this.
    static constexpr std::chrono::seconds deadline{5};

    struct Callbacks {
        /// What to show and whom to believe, for a new connection; null refuses all.
        std::function<std::shared_ptr<const sys::TlsCredentials>()> credentials;
        sys::TlsSession::Check check;
        /// A peer whose certificate passed, and what it wants.
        std::function<void(std::shared_ptr<Connection>, const Hello&)> accepted;
        /// Worth a line in the log.
        std::function<void(const Refusal&)> refused;
    };

    Listener(sys::EventLoop& loop, Callbacks callbacks, AdmissionLimits limits = {})
        : loop_(loop), callbacks_(std::move(callbacks)), admission_(limits), pause_(loop) {}
    ~Listener();
    Listener(const Listener&) = delete;
    Listener& operator=(const Listener&) = delete;

    /// Where to listen, instead of where it was before; addresses that stay are not touched.
    /// Takes all that can be had; the first error otherwise.
    [[nodiscard]] sys::Result<void> listen(const std::vector<sys::Address>& addresses);

    /// The addresses that configured peers connect from.
    void expect(const std::vector<sys::Address>& peers);

    [[nodiscard]] std::size_t half_open() const { return admission_.size(); }
    [[nodiscard]] const std::vector<Refusal>& refusals() const { return refusals_.list(); }
    /// Connections that were closed at once, for want of a place.
    [[nodiscard]] std::uint64_t turned_away() const { return turned_away_; }

    /// Notes a refusal that was decided elsewhere.
    void note(const Connection& connection, const std::string& why);

  private:
    void accept_some(int fd);
    void begin(sys::Accepted accepted);
    void end(std::uint64_t id, const std::string& why);
    void first_message(std::uint64_t id, const std::string& message);
    std::shared_ptr<Connection> take(std::uint64_t id);

    sys::EventLoop& loop_;
    Callbacks callbacks_;
    Admission admission_;
    Refusals refusals_;
    std::map<std::string, sys::Fd> listening_;
    std::set<std::string> peers_;
    std::map<std::uint64_t, std::shared_ptr<Connection>> half_open_;
    std::uint64_t next_ = 0;
    std::uint64_t turned_away_ = 0;
    sys::Timer pause_;
};

}  // namespace braid::satellite
