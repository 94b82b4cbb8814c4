// SPDX-License-Identifier: GPL-2.0-or-later
//
// The commands that the configuration has for events (braid.res(5), section handlers).
#pragma once

#include <chrono>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "config/model.h"
#include "satellite/kernel_view.h"
#include "sys/event_loop.h"
#include "sys/process.h"
#include "sys/service_manager.h"

namespace braid::satellite {

enum class Handler : std::uint8_t {
    fence_peer,
    split_brain,
    out_of_sync,
    quorum_lost,
    degraded,
    local_io_error,
    before_resync_target,
    after_resync_target,
    vm_failed,
};

/// Which handler, and what for.
struct HandlerCall {
    Handler handler = Handler::degraded;
    std::optional<std::uint32_t> peer{};  ///< node id
    std::optional<std::uint32_t> volume{};

    auto operator<=>(const HandlerCall&) const = default;  // NOLINT(modernize-use-nullptr)
};

// ---- what causes what: without I/O ----

/// What an event of the module causes, on the node where it comes.
[[nodiscard]] std::optional<HandlerCall> handler_for(const sys::KernelEvent& event);

/// What of a resource's state handlers are about.
struct Standing {
    bool writer = false;   ///< this node is
    bool in_sync = false;  ///< this node is
    /// Its replicas are not in sync, and the writer reaches them: they are being resynced.
    bool target = false;
    std::set<std::uint32_t> in_sync_nodes{};
    std::set<std::uint32_t> diskful_nodes{};  ///< members with replicas
    std::vector<std::uint32_t> volumes{};

    bool operator==(const Standing&) const = default;
};

/// Nothing while no configuration is adopted.
[[nodiscard]] std::optional<Standing> standing_of(const sys::ResourceView& replies);

/// What a change causes on this node.
[[nodiscard]] std::vector<HandlerCall> handlers_for(const Standing& before, const Standing& now,
                                                    std::uint32_t self);

/// NAME=VALUE for a command, each as DRBD_NAME and as BRAID_NAME; `host` is this one's name.
[[nodiscard]] std::vector<std::string> handler_environment(const config::NodeResource& resource,
                                                           const std::string& host,
                                                           const HandlerCall& call);

// ---- running them ----

struct HandlerLimits {
    std::chrono::seconds handler{300};
    std::chrono::seconds fence{60};
    std::size_t at_once = 16;  ///< without those of fence-peer, which never wait for others
};

/// Runs them while the loop goes on. Of a handler, for the same resource, peer and volume, one runs
/// at a time; however often it is called meanwhile, it runs once more after that.
class Handlers {
  public:
    using Log = std::function<void(sys::Priority priority, const std::string& message,
                                   const sys::Journal::Fields& fields)>;
    using Fenced = std::function<void(bool stopped)>;

    Handlers(sys::EventLoop& loop, std::string host, Log log, HandlerLimits limits = {});
    /// Kills what runs; nobody is told of that.
    ~Handlers() = default;
    Handlers(const Handlers&) = delete;
    Handlers& operator=(const Handlers&) = delete;

    /// A resource, new or changed. What runs goes on as it was started.
    void update(const config::NodeResource& resource);
    void remove(const std::string& resource);

    /// Resources that are not known have no handlers.
    void kernel_event(const sys::KernelEvent& event);
    /// The state of a resource as it is now; the first after update() is only compared with.
    void kernel_state(const sys::ResourceView& replies);
    void quorum_lost(const std::string& resource);
    /// Every host has given its virtual machine up.
    void vm_failed(const std::string& resource);
    void split_brain(const std::string& resource, std::uint32_t peer);

    /// Stops a peer with a command that begins after this call; `done` is called once, later, with
    /// whether the command said that the peer is stopped.
    void fence(const std::string& resource, std::uint32_t peer, Fenced done);

  private:
    struct Known {
        config::NodeResource config;
        std::optional<Standing> standing{};
    };
    struct Key {
        std::string resource;
        HandlerCall call;

        auto operator<=>(const Key&) const = default;  // NOLINT(modernize-use-nullptr)
    };
    struct Run {
        std::unique_ptr<sys::Process> process{};  ///< none: it waits for its turn
        bool again = false;
        std::vector<Fenced> fenced{};        ///< of this run
        std::vector<Fenced> fenced_again{};  ///< of the next
    };

    [[nodiscard]] const std::string* command_of(const Key& key) const;
    void call(const Key& key);
    void begin(const Key& key);
    void start(const Key& key);
    void ended(const Key& key, const sys::ProcessEnd& end);
    void over(const Key& key, bool success);
    void start_waiting();
    void tell(const std::vector<Fenced>& fenced, bool stopped);
    void log(sys::Priority priority, const Key& key, const std::string& text) const;

    sys::EventLoop& loop_;
    std::string host_;
    Log log_;
    HandlerLimits limits_;
    std::map<std::string, Known> resources_;
    std::map<Key, Run> runs_;
    std::deque<Key> waiting_;
    std::size_t running_ = 0;  ///< of those that count for at_once
};

}  // namespace braid::satellite
