// SPDX-License-Identifier: GPL-2.0-or-later
//
// In the kernel module's place: resources with volumes and peers, which do what they are told and
// refuse what the module refuses. Disks attach and leave, and resources go, after a while.
#pragma once

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "sys/fd.h"
#include "sys/kernel_state.h"
#include "sys/netlink.h"
#include "sys/netlink_gen.h"

namespace braid::test {

class FakeModule {
  public:
    using Replies = sys::NetlinkResult<std::vector<sys::NetlinkMessage>>;

    struct Volume {
        std::uint32_t minor = 0;
        std::uint64_t state = netlink::enums::disk_state::diskless;
        std::uint32_t opens = 0;
        std::uint64_t size = 0;
        std::uint64_t disk_size = 0;
        std::optional<sys::Uuid> uuid{};
        std::string disk{};
    };
    struct Peer {
        std::uint64_t link = netlink::enums::link_state::disconnected;
        std::uint64_t sync = netlink::enums::sync_state::none;
        /// Of volume 0: where it begins, and ends.
        std::vector<std::pair<std::uint64_t, std::uint64_t>> differing{};
    };
    struct Resource {
        std::uint32_t node = 0;
        std::map<std::uint16_t, std::uint32_t> settings{};
        std::map<std::uint32_t, Volume> volumes{};
        std::map<std::uint32_t, Peer> peers{};
        std::optional<std::uint32_t> writer{};  ///< then there is a configuration
        std::vector<std::uint32_t> in_sync{};
        std::uint64_t service = netlink::enums::service::secondary;
        std::string reason = "the test says so";
        bool suspended = false;
        bool deaf = false;  ///< a suspension ends at once
        /// As each listing finds them; the last one stays.
        std::deque<std::uint32_t> in_flight{};
        bool done = false;
        bool dead = false;
    };

    std::map<std::string, Resource> resources;
    /// What was asked for, as to_string() of an operation would write it, and all that was refused.
    std::vector<std::string> calls;
    /// By name of the operation.
    std::map<std::string, sys::NetlinkError> refusals;
    struct Replica {
        sys::Uuid uuid{};
        std::uint64_t bytes = 0;
    };
    /// What is on a disk, if there is a replica.
    std::function<std::optional<Replica>(const std::string& disk)> replica;
    std::string attach_error;  ///< no disk can be attached because of this
    bool loaded = true;
    bool mute = false;    ///< events are lost, which the listener is told
    bool silent = false;  ///< and which it is not told
    bool stuck = false;   ///< nothing that was begun ends
    int looks = 2;        ///< listings after which it ends

    /// What goes on ends, and is told.
    void end_what_goes_on() {
        for (const auto& finish : std::exchange(under_way_, {})) {
            finish();
        }
    }

    Replies transact(const sys::NetlinkMessage& request);
    Replies dump(const sys::NetlinkMessage& request);

    void tell(std::uint64_t kind, const std::string& name, std::optional<std::uint32_t> volume,
              const std::string& cause, int error = 0);

    sys::Fd bell{eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)};
    std::deque<sys::NetlinkMessage> events;
    bool lost = false;
    static constexpr std::uint16_t family = 0x20;

  private:
    static tl::unexpected<sys::NetlinkError> refuse(int number, const std::string& message) {
        return tl::unexpected(
            sys::NetlinkError{sys::NetlinkError::Kind::refused, number, message, {}});
    }
    void look();
    static std::string describe(const netlink::Operation& row, const sys::NetlinkMessage& request);
    Replies resource(const netlink::Operation& row, const sys::NetlinkMessage& request);
    Replies volume(const netlink::Operation& row, const sys::NetlinkMessage& request,
                   Resource& resource);
    Replies attach(const sys::NetlinkMessage& request, const std::string& name,
                   std::uint32_t number, Volume& volume);
    Replies peer(const netlink::Operation& row, const sys::NetlinkMessage& request,
                 Resource& resource);
    void begin(std::function<void()> finish) { under_way_.push_back(std::move(finish)); }

    std::vector<std::function<void()>> under_way_;
    int looked_ = 0;
    std::uint64_t sequence_ = 0;
};

/// A socket to it.
class FakeNetlink final : public sys::Netlink {
  public:
    explicit FakeNetlink(FakeModule& module) : module_(module) {}

    sys::NetlinkResult<std::uint16_t> resolve(std::string_view name) override {
        if (!module_.loaded) {
            return tl::unexpected(sys::NetlinkError{
                sys::NetlinkError::Kind::no_family, ENOENT, "no family " + std::string(name), {}});
        }
        return FakeModule::family;
    }
    FakeModule::Replies transact(const sys::NetlinkMessage& request) override {
        return module_.transact(request);
    }
    FakeModule::Replies dump(const sys::NetlinkMessage& request) override {
        return module_.dump(request);
    }

  private:
    FakeModule& module_;
};

class FakeEvents final : public sys::NetlinkEvents {
  public:
    explicit FakeEvents(FakeModule& module) : module_(module) {}

    [[nodiscard]] int fd() const override { return module_.bell.get(); }
    FakeModule::Replies receive() override {
        std::uint64_t count = 0;
        if (read(module_.bell.get(), &count, sizeof(count)) < 0) {
            count = 0;
        }
        if (std::exchange(module_.lost, false)) {
            return tl::unexpected(
                sys::NetlinkError{sys::NetlinkError::Kind::lost, ENOBUFS, "too many", {}});
        }
        std::vector<sys::NetlinkMessage> all(std::make_move_iterator(module_.events.begin()),
                                             std::make_move_iterator(module_.events.end()));
        module_.events.clear();
        return all;
    }

  private:
    FakeModule& module_;
};

}  // namespace braid::test
