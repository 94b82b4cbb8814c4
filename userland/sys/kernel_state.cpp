// SPDX-License-Identifier: GPL-2.0-or-later
#include "sys/kernel_state.h"

#include <algorithm>
#include <utility>

namespace braid::sys {

namespace {

namespace attr = netlink::attr;

template <class T>
ClientResult<T> checked(T value, const AttributeReader& reader) {
    if (reader.error()) {
        return tl::unexpected(*reader.error());
    }
    return value;
}

KernelConfig read_config(AttributeReader& reader) {
    KernelConfig config;
    config.lineage = reader.array<Lineage>(attr::config::lineage);
    config.epoch = reader.u64(attr::config::epoch);
    config.id = reader.u64(attr::config::id);
    config.writer = reader.u32(attr::config::writer);
    for (const NetlinkAttributes& nest : reader.nests(attr::config::node)) {
        AttributeReader node(nest, netlink::set::node);
        config.members.push_back({node.u32(attr::node::node_id), node.flag(attr::node::diskful),
                                  node.flag(attr::node::in_sync),
                                  node.optional_u64(attr::node::instance).value_or(0)});
        reader.take_error(attr::config::node, node);
    }
    return config;
}

std::vector<StreamState> read_streams(AttributeReader& reader) {
    std::vector<StreamState> streams;
    for (const NetlinkAttributes& nest : reader.nests(attr::peer::stream)) {
        AttributeReader stream(nest, netlink::set::stream);
        streams.push_back({stream.u32(attr::stream::stream_id), stream.u64(attr::stream::sent),
                           stream.flag(attr::stream::tls), stream.flag(attr::stream::retiring)});
        reader.take_error(attr::peer::stream, stream);
    }
    return streams;
}

SyncProgress read_sync(AttributeReader& reader) {
    SyncProgress sync;
    sync.state = reader.optional_u32(attr::peer::sync_state).value_or(0);
    sync.total = reader.optional_u64(attr::peer::sync_total).value_or(0);
    sync.left = reader.optional_u64(attr::peer::sync_left).value_or(0);
    sync.same = reader.optional_u64(attr::peer::sync_same).value_or(0);
    sync.rate = reader.optional_u64(attr::peer::sync_rate).value_or(0);
    sync.seconds_left = reader.optional_u64(attr::peer::sync_time_left);
    sync.differing = reader.optional_u64(attr::peer::differing).value_or(0);
    sync.waits_for = reader.optional_string(attr::peer::waits_for);
    return sync;
}

void read_link(AttributeReader& reader, PeerState& peer) {
    peer.link = reader.u32(attr::peer::link_state);
    peer.session = reader.optional_u64(attr::peer::session).value_or(0);
    peer.stream_count = reader.u32(attr::peer::streams);
    peer.streams = read_streams(reader);
    peer.epoch = reader.optional_u64(attr::peer::epoch).value_or(0);
    peer.config_id = reader.optional_u64(attr::peer::config_id).value_or(0);
    peer.instance = reader.optional_u64(attr::peer::instance).value_or(0);
    peer.last_epoch = reader.optional_u64(attr::peer::last_epoch).value_or(0);
    peer.suspect = reader.flag(attr::peer::suspect);
    peer.done = reader.flag(attr::peer::done);
    peer.lease_ms = reader.u32(attr::peer::lease_ms);
}

}  // namespace

ClientResult<ResourceState> decode_resource(const NetlinkMessage& reply) {
    AttributeReader reader(reply.attributes(), netlink::set::resource);
    ResourceState state;
    state.name = reader.string(attr::resource::name);
    state.node = reader.u32(attr::resource::node_id);
    state.lease_ms = reader.u32(attr::resource::lease_ms);
    state.timeout_ms = reader.u32(attr::resource::timeout_ms);
    state.request_timeout_ms = reader.u32(attr::resource::request_timeout_ms);
    state.policy = reader.u32(attr::resource::policy);
    // A module that does not tell refuses at once.
    state.open_wait_ms = reader.optional_u32(attr::resource::open_wait_ms).value_or(0);
    for (const NetlinkAttributes& nest : reader.nests(attr::resource::config)) {
        AttributeReader config(nest, netlink::set::config);
        state.config = read_config(config);
        reader.take_error(attr::resource::config, config);
    }
    state.instance = reader.u64(attr::resource::instance);
    state.service = reader.u32(attr::resource::service);
    state.reason = reader.string(attr::resource::reason);
    state.adopting = reader.flag(attr::resource::adopting);
    state.suspect = reader.flag(attr::resource::suspect);
    state.done = reader.flag(attr::resource::done);
    state.held = reader.u64(attr::resource::held);
    state.suspended = reader.flag(attr::resource::suspended);
    // A module that does not tell cannot suspend, either.
    state.in_flight = reader.optional_u32(attr::resource::in_flight).value_or(0);
    state.sequence = reader.u64(attr::resource::sequence);
    state.migration = reader.optional_u32(attr::resource::migration).value_or(0);
    state.source = reader.optional_u32(attr::resource::source);
    state.target = reader.optional_u32(attr::resource::target);
    state.grant = reader.optional_u64(attr::resource::grant).value_or(0);
    state.last_epoch = reader.optional_u64(attr::resource::last_epoch).value_or(0);
    state.deadline_ms = reader.optional_u32(attr::resource::deadline_ms).value_or(0);
    return checked(std::move(state), reader);
}

ClientResult<VolumeState> decode_volume(const NetlinkMessage& reply) {
    AttributeReader reader(reply.attributes(), netlink::set::volume);
    VolumeState state;
    state.resource = reader.string(attr::volume::name);
    state.volume = reader.u32(attr::volume::volume);
    state.minor = reader.u32(attr::volume::minor);
    state.size = reader.u64(attr::volume::size);
    // Not known before the first disk, or the first peer with one.
    state.block_size = reader.optional_u32(attr::volume::block_size).value_or(0);
    state.disk_state = reader.u32(attr::volume::disk_state);
    state.opens = reader.u32(attr::volume::opens);
    state.waiting_opens = reader.optional_u32(attr::volume::waiting_opens).value_or(0);
    state.active_regions = reader.u32(attr::volume::active_regions);
    state.generation = reader.u64(attr::volume::generation);
    state.stable = reader.u64(attr::volume::stable);
    state.in_flight = reader.u32(attr::volume::in_flight);
    if (reader.has(attr::volume::uuid)) {
        state.uuid = reader.array<Uuid>(attr::volume::uuid);
    }
    state.replica_flags = reader.optional_u32(attr::volume::replica_flags).value_or(0);
    state.disk_size = reader.optional_u64(attr::volume::disk_size).value_or(0);
    return checked(std::move(state), reader);
}

ClientResult<DifferingRange> decode_range(const NetlinkMessage& reply) {
    AttributeReader reader(reply.attributes(), netlink::set::peer);
    DifferingRange range;
    range.resource = reader.string(attr::peer::name);
    range.node = reader.u32(attr::peer::node_id);
    range.volume = reader.u32(attr::peer::volume);
    range.start = reader.u64(attr::peer::start);
    range.stop = reader.u64(attr::peer::stop);
    return checked(std::move(range), reader);
}

ClientResult<KernelEvent> decode_event(const NetlinkMessage& message) {
    AttributeReader reader(message.attributes(), netlink::set::event);
    KernelEvent event;
    event.sequence = reader.u64(attr::event::sequence);
    event.kind = reader.u32(attr::event::kind);
    event.resource = reader.string(attr::event::name);
    event.volume = reader.optional_u32(attr::event::volume);
    event.node = reader.optional_u32(attr::event::node_id);
    event.before = reader.optional_string(attr::event::old);
    event.after = reader.optional_string(attr::event::new_);
    event.cause = reader.optional_string(attr::event::cause);
    event.epoch = reader.optional_u64(attr::event::epoch);
    event.offset = reader.optional_u64(attr::event::offset).value_or(0);
    event.length = reader.optional_u64(attr::event::length).value_or(0);
    event.error = -reader.optional_s32(attr::event::error).value_or(0);
    event.stream = reader.optional_u32(attr::event::stream_id);
    return checked(std::move(event), reader);
}

ClientResult<std::vector<PeerState>> decode_peers(const std::vector<NetlinkMessage>& replies) {
    std::vector<PeerState> peers;
    for (const NetlinkMessage& reply : replies) {
        AttributeReader reader(reply.attributes(), netlink::set::peer);
        const std::string resource = reader.string(attr::peer::name);
        const std::uint32_t node = reader.u32(attr::peer::node_id);
        auto found = std::ranges::find_if(peers, [&](const PeerState& each) {
            return each.resource == resource && each.node == node;
        });
        if (found == peers.end()) {
            peers.push_back({.resource = resource, .node = node});
            found = std::prev(peers.end());
        }
        found->sync = read_sync(reader);
        if (const auto volume = reader.optional_u32(attr::peer::volume)) {
            found->replicas.push_back({*volume, reader.flag(attr::peer::attached),
                                       reader.optional_u64(attr::peer::size).value_or(0),
                                       reader.u64(attr::peer::dirty)});
        } else {
            read_link(reader, *found);
        }
        if (reader.error()) {
            return tl::unexpected(*reader.error());
        }
    }
    return peers;
}

}  // namespace braid::sys
