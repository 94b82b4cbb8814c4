// SPDX-License-Identifier: GPL-2.0-or-later
//
// In the module's place, for verbs that look: its dumps of made-up resources, and its events.
#pragma once

#include <sys/eventfd.h>

#include <deque>
#include <functional>
#include <memory>
#include <utility>
#include <vector>

#include "cli/states.h"
#include "cli_fixture.h"
#include "core/ondisk.h"
#include "module_reply.h"
#include "sys/fd.h"
#include "sys/netlink_gen.h"

namespace braid::test {

/// r0 on node 0, the writer, in sync with node 1; node 2 is diskless.
inline cli::ResourceView sample_view() {
    namespace enums = netlink::enums;
    cli::ResourceView view;
    view.resource = {.name = "r0",
                     .node = 0,
                     .lease_ms = 3000,
                     .config = sys::KernelConfig{.epoch = 9,
                                                 .id = 90,
                                                 .writer = 0,
                                                 .members = {{0, true, true, 70},
                                                             {1, true, true, 71},
                                                             {2, false, false, 0}}},
                     .instance = 70,
                     .last_epoch = 9,
                     .service = enums::service::serving,
                     .reason = "all is well",
                     .sequence = 5};
    view.volumes.push_back({.resource = "r0",
                            .volume = 0,
                            .minor = 7,
                            .size = std::uint64_t{1} << 30,
                            .block_size = 4096,
                            .disk_state = enums::disk_state::attached,
                            .opens = 1});
    for (const std::uint32_t node : {1U, 2U}) {
        sys::PeerState peer{.resource = "r0",
                            .node = node,
                            .link = enums::link_state::connected,
                            .stream_count = 1,
                            .streams = {{.id = 1, .tls = true}},
                            .epoch = 9,
                            .config_id = 90,
                            .instance = 70 + node,
                            .last_epoch = 9,
                            .lease_ms = 2500};
        peer.replicas.push_back({.volume = 0, .attached = node == 1, .size = 1U << 30});
        view.peers.push_back(std::move(peer));
    }
    return view;
}

/// The module's dumps of `views`, which the test may change between two of them.
class KernelDumps final : public sys::Netlink {
  public:
    using Replies = sys::NetlinkResult<std::vector<sys::NetlinkMessage>>;
    using Views = std::vector<cli::ResourceView>;

    explicit KernelDumps(std::shared_ptr<Views> views) : views_(std::move(views)) {}

    sys::NetlinkResult<std::uint16_t> resolve(std::string_view name) override {
        EXPECT_EQ(name, netlink::family_name);
        return family_id;
    }

    Replies transact(const sys::NetlinkMessage& request) override {
        ADD_FAILURE() << "operation " << int{request.command()} << " of a verb that only looks";
        return {};
    }

    Replies dump(const sys::NetlinkMessage& request) override {
        const auto only = request.string(netlink::attr::resource::name);
        std::vector<sys::NetlinkMessage> replies;
        for (const auto& view : *views_) {
            if (only && view.resource.name != *only) {
                continue;
            }
            if (request.command() == netlink::op::resource_get.id) {
                put_resource(replies, view.resource);
            } else if (request.command() == netlink::op::volume_get.id) {
                put_volumes(replies, view.volumes);
            } else {
                put_peers(replies, view.peers);
            }
        }
        return replies;
    }

  private:
    static sys::NetlinkMessage& add(std::vector<sys::NetlinkMessage>& replies,
                                    const netlink::Operation& operation) {
        return replies.emplace_back(family_id, operation.id, netlink::family_version);
    }

    static void put_resource(std::vector<sys::NetlinkMessage>& replies,
                             const sys::ResourceState& state) {
        namespace attr = netlink::attr::resource;
        auto& reply = add(replies, netlink::op::resource_get);
        reply.put(attr::name, std::string_view(state.name));
        for (const auto& [id, value] : std::vector<std::pair<std::uint16_t, std::uint32_t>>{
                 {attr::node_id, state.node},
                 {attr::lease_ms, state.lease_ms},
                 {attr::timeout_ms, state.timeout_ms},
                 {attr::request_timeout_ms, state.request_timeout_ms},
                 {attr::policy, state.policy},
                 {attr::service, state.service},
                 {attr::migration, state.migration}}) {
            reply.put(id, value);
        }
        reply.put(attr::reason, std::string_view(state.reason));
        reply.put(attr::instance, state.instance);
        reply.put(attr::last_epoch, state.last_epoch);
        reply.put(attr::held, state.held);
        reply.put(attr::sequence, state.sequence);
        if (state.config) {
            reply.put_nest(attr::config, [&] { put_config(reply, *state.config); });
        }
        put_flag(reply, attr::adopting, state.adopting);
        put_flag(reply, attr::suspect, state.suspect);
        put_flag(reply, attr::done, state.done);
        put_flag(reply, attr::suspended, state.suspended);
    }

    static void put_flag(sys::NetlinkMessage& reply, std::uint16_t id, bool is) {
        if (is) {
            reply.put_flag(id);
        }
    }

    static void put_config(sys::NetlinkMessage& reply, const sys::KernelConfig& config) {
        namespace attr = netlink::attr;
        reply.put(attr::config::lineage, std::span<const std::byte>(config.lineage));
        reply.put(attr::config::epoch, config.epoch);
        reply.put(attr::config::id, config.id);
        reply.put(attr::config::writer, config.writer);
        for (const auto& member : config.members) {
            reply.put_nest(attr::config::node, [&] {
                reply.put(attr::node::node_id, member.node);
                put_flag(reply, attr::node::diskful, member.diskful);
                put_flag(reply, attr::node::in_sync, member.in_sync);
                reply.put(attr::node::instance, member.instance);
            });
        }
    }

    static void put_volumes(std::vector<sys::NetlinkMessage>& replies,
                            const std::vector<sys::VolumeState>& volumes) {
        namespace attr = netlink::attr::volume;
        for (const auto& state : volumes) {
            auto& reply = add(replies, netlink::op::volume_get);
            reply.put(attr::name, std::string_view(state.resource));
            for (const auto& [id, value] : std::vector<std::pair<std::uint16_t, std::uint32_t>>{
                     {attr::volume, state.volume},
                     {attr::minor, state.minor},
                     {attr::block_size, state.block_size},
                     {attr::disk_state, state.disk_state},
                     {attr::opens, state.opens},
                     {attr::active_regions, state.active_regions},
                     {attr::in_flight, state.in_flight},
                     {attr::replica_flags, state.replica_flags}}) {
                reply.put(id, value);
            }
            reply.put(attr::size, state.size);
            reply.put(attr::generation, state.generation);
            reply.put(attr::stable, state.stable);
        }
    }

    static void put_peers(std::vector<sys::NetlinkMessage>& replies,
                          const std::vector<sys::PeerState>& peers) {
        namespace attr = netlink::attr::peer;
        for (const auto& state : peers) {
            auto& reply = add(replies, netlink::op::peer_get);
            reply.put(attr::name, std::string_view(state.resource));
            reply.put(attr::node_id, state.node);
            reply.put(attr::link_state, state.link);
            reply.put(attr::streams, state.stream_count);
            reply.put(attr::lease_ms, state.lease_ms);
            reply.put(attr::epoch, state.epoch);
            reply.put(attr::instance, state.instance);
            reply.put(attr::last_epoch, state.last_epoch);
            put_flag(reply, attr::suspect, state.suspect);
            put_flag(reply, attr::done, state.done);
            put_sync(reply, state.sync);
            for (const auto& stream : state.streams) {
                reply.put_nest(attr::stream, [&] {
                    reply.put(netlink::attr::stream::stream_id, stream.id);
                    reply.put(netlink::attr::stream::sent, stream.sent);
                    put_flag(reply, netlink::attr::stream::tls, stream.tls);
                });
            }
            for (const auto& replica : state.replicas) {
                auto& row = add(replies, netlink::op::peer_get);
                row.put(attr::name, std::string_view(state.resource));
                row.put(attr::node_id, state.node);
                row.put(attr::volume, replica.volume);
                row.put(attr::dirty, replica.dirty);
                row.put(attr::size, replica.size);
                put_flag(row, attr::attached, replica.attached);
                put_sync(row, state.sync);
            }
        }
    }

    static void put_sync(sys::NetlinkMessage& reply, const sys::SyncProgress& sync) {
        namespace attr = netlink::attr::peer;
        reply.put(attr::sync_state, sync.state);
        reply.put(attr::sync_total, sync.total);
        reply.put(attr::sync_left, sync.left);
        reply.put(attr::sync_same, sync.same);
        reply.put(attr::sync_rate, sync.rate);
        reply.put(attr::differing, sync.differing);
        if (sync.seconds_left) {
            reply.put(attr::sync_time_left, *sync.seconds_left);
        }
        if (!sync.waits_for.empty()) {
            reply.put(attr::waits_for, std::string_view(sync.waits_for));
        }
    }

    std::shared_ptr<Views> views_;
};

/// Events as the test has them come, a step for each time that the verb waits. After the last step
/// it is never readable again, or, with `ends`, the socket fails.
class ScriptedEvents final : public sys::NetlinkEvents {
  public:
    using Messages = sys::NetlinkResult<std::vector<sys::NetlinkMessage>>;
    using Steps = std::deque<std::function<Messages()>>;

    ScriptedEvents(std::shared_ptr<Steps> steps, bool ends)
        : steps_(std::move(steps)), ends_(ends), fd_(eventfd(0, EFD_CLOEXEC)) {
        if (ends_ || !steps_->empty()) {
            eventfd_write(fd_.get(), 1);
        }
    }

    [[nodiscard]] int fd() const override { return fd_.get(); }

    Messages receive() override {
        if (steps_->empty()) {
            return tl::unexpected(
                sys::NetlinkError{sys::NetlinkError::Kind::transport, EIO, "the test ends", {}});
        }
        const auto step = std::move(steps_->front());
        steps_->pop_front();
        if (steps_->empty() && !ends_) {
            eventfd_t value = 0;
            eventfd_read(fd_.get(), &value);
        }
        return step();
    }

  private:
    std::shared_ptr<Steps> steps_;
    bool ends_;
    sys::Fd fd_;
};

/// braidadm with the module loaded, and resources as `views_` has them.
class KernelCliTest : public CliTest {
  protected:
    KernelCliTest() {
        root_.write("sys/module/braid/version", "0.9.0\n");
        root_.write("braid.conf",
                    "resource r0 { volume 0 { device minor 7; disk /dev/r0; }\n"
                    "  on alice { node-id 0; address 10.0.0.1; }\n"
                    "  on bob { node-id 1; address 10.0.0.2; }\n"
                    "  on carol { node-id 2; address 10.0.0.3; volume 0 { disk none; } }\n"
                    "  witness dave { node-id 3; address 10.0.0.4; }\n}\n"
                    "resource r1 { volume 0 { device minor 8; disk /dev/r1; }\n"
                    "  on alice { node-id 0; address 10.0.0.1; }\n"
                    "  on bob { node-id 1; address 10.0.0.2; }\n}\n");
        context_.host = "alice";
        context_.open_netlink = [this]() -> sys::NetlinkResult<std::unique_ptr<sys::Netlink>> {
            order_.emplace_back("state");
            return std::make_unique<KernelDumps>(views_);
        };
        context_.open_events = [this]() -> sys::NetlinkResult<std::unique_ptr<sys::NetlinkEvents>> {
            order_.emplace_back("events");
            return std::make_unique<ScriptedEvents>(steps_, ends_);
        };
    }

    cli::ExitCode run_file(std::vector<std::string> arguments) {
        arguments.insert(arguments.end(), {"-c", root_.path() / "braid.conf"});
        return run(arguments);
    }

    [[nodiscard]] cli::ResourceView& r0() { return views_->front(); }

    /// When the verb waits next, `change` happens to r0, and an event tells of it.
    void then(std::function<void()> change, std::uint64_t skipped = 0) {
        steps_->push_back([this, change = std::move(change),
                           skipped]() -> ScriptedEvents::Messages {
            const std::uint64_t sequence = r0().resource.sequence + 1 + skipped;
            r0().resource.sequence = sequence;
            change();
            std::vector<sys::NetlinkMessage> messages;
            auto& message =
                messages.emplace_back(family_id, netlink::op::event.id, netlink::family_version);
            message.put(netlink::attr::event::sequence, sequence);
            message.put(netlink::attr::event::kind, std::uint32_t{0});
            message.put(netlink::attr::event::name, std::string_view("r0"));
            return messages;
        });
    }

    std::shared_ptr<KernelDumps::Views> views_ =
        std::make_shared<KernelDumps::Views>(KernelDumps::Views{sample_view()});
    std::shared_ptr<ScriptedEvents::Steps> steps_ = std::make_shared<ScriptedEvents::Steps>();
    bool ends_ = true;
    std::vector<std::string> order_;
};

}  // namespace braid::test
