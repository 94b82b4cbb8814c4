// SPDX-License-Identifier: GPL-2.0-or-later
//
// Looks after the thin pools of this host: says when one fills up, has it extended, and has the
// replicas that a full one cost attached again once it has room.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "config/model.h"
#include "sys/event_loop.h"
#include "sys/kernel_state.h"
#include "sys/process.h"
#include "sys/thin_pool.h"

namespace braid::satellite {

struct PoolLimits {
    std::chrono::milliseconds interval{1000};
    /// After an extension or an attach that failed.
    std::chrono::milliseconds again{10000};
    /// So long after it was full, or was extended, a disk's failure counts as caused by that.
    std::chrono::milliseconds blamed{10000};
};

class PoolWatch {
  public:
    struct Environment {
        sys::EventLoop& loop;
        sys::ThinPools& pools;
        std::function<void(bool warning, const std::string& pool, const std::string& text)> journal;
        /// Runs braidadm with these words; `ended` comes later, from the loop, or never if it
        /// cannot be run.
        std::function<void(const std::vector<std::string>& words,
                           std::function<void(const sys::ProcessEnd&)> ended)>
            braidadm;
        PoolLimits limits{};
    };

    explicit PoolWatch(Environment environment);
    PoolWatch(const PoolWatch&) = delete;
    PoolWatch& operator=(const PoolWatch&) = delete;

    /// The pools and resources of this host.
    void configure(const std::vector<config::Pool>& pools,
                   const std::vector<config::NodeResource>& resources);
    void kernel_event(const sys::KernelEvent& event);

  private:
    using Clock = sys::EventLoop::Clock;
    using Replica = std::pair<std::string, std::uint32_t>;  ///< resource, volume

    struct Watched {
        config::Pool pool{};
        unsigned warned = 0;  ///< the highest threshold that was told, in percent; 0: none
        bool full = false;
        bool unknown = false;  ///< that its state cannot be read was told
        bool extending = false;
        bool refused = false;  ///< that an extension failed was told
        Clock::time_point extend_after{};
        Clock::time_point blamed_until{};
        std::set<Replica> lost{};  ///< to be attached again
        bool attaching = false;
        Clock::time_point attach_after{};
    };

    void look();
    void look_at(Watched& watched);
    void judge(Watched& watched, const sys::ThinPoolState& state);
    void warn(Watched& watched, unsigned data, unsigned metadata);
    void extend(Watched& watched, bool metadata);
    void attach(Watched& watched);
    Watched* find(const std::string& pool);

    Environment env_;
    std::map<std::string, Watched> watched_;
    std::map<Replica, std::string> pool_of_;
    sys::Timer timer_;
};

}  // namespace braid::satellite
