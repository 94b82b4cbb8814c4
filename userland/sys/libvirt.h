// SPDX-License-Identifier: GPL-2.0-or-later
//
// What Braid needs of libvirt. Every call may wait, as long as libvirt likes: nothing of this is
// for the node daemon, which has braid-vmd for it. Calls may come from several threads.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "sys/result.h"

namespace braid::sys {

struct Domain {
    enum class State : std::uint8_t { running, paused, off };

    std::string name{};
    State state = State::off;

    bool operator==(const Domain&) const = default;
};

/// A domain has ended: as libvirt's events say it, "shutdown", "destroyed", "crashed", "migrated",
/// "saved" or "failed".
struct DomainEnd {
    std::string name{};
    std::string why{};

    bool operator==(const DomainEnd&) const = default;
};

struct MigrationProgress {
    std::uint64_t done = 0;  ///< bytes
    std::uint64_t total = 0;
    std::uint64_t downtime_ms = 0;  ///< as libvirt expects it

    bool operator==(const MigrationProgress&) const = default;
};

class Hypervisor {
  public:
    virtual ~Hypervisor() = default;

    /// Those that are active. Connects if need be.
    [[nodiscard]] virtual Result<std::vector<Domain>> domains() = 0;
    /// Starts a transient domain: it is gone when it ends, and nobody else starts it.
    [[nodiscard]] virtual Result<void> start(const std::string& xml) = 0;
    /// Whether libvirt could make a domain of it.
    [[nodiscard]] virtual Result<void> check(const std::string& xml) = 0;
    /// Asks the guest.
    [[nodiscard]] virtual Result<void> shutdown(const std::string& name) = 0;
    [[nodiscard]] virtual Result<void> destroy(const std::string& name) = 0;
    [[nodiscard]] virtual Result<void> resume(const std::string& name) = 0;
    /// Moves it to another libvirt, alive, where it stays paused. Returns when that is done.
    [[nodiscard]] virtual Result<void> migrate(const std::string& name, const std::string& uri,
                                               bool tls) = 0;
    [[nodiscard]] virtual Result<void> abort(const std::string& name) = 0;
    /// Of a migration that goes on; nothing if there is none.
    [[nodiscard]] virtual std::optional<MigrationProgress> progress(const std::string& name) = 0;
    /// What has ended since the last call; waits for something to happen, for `most` at the
    /// longest.
    [[nodiscard]] virtual std::vector<DomainEnd> wait(std::chrono::milliseconds most) = 0;
};

}  // namespace braid::sys
