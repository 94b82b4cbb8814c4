// SPDX-License-Identifier: GPL-2.0-or-later
#include "fake_module.h"

#include <array>
#include <span>

namespace braid::test {

namespace {

namespace attr = netlink::attr;
namespace disk_state = netlink::enums::disk_state;
namespace event_kind = netlink::enums::event_kind;
namespace op = netlink::op;

/// Those that change something.
constexpr std::array operations{&op::resource_new,     &op::resource_set,    &op::resource_del,
                                &op::volume_new,       &op::volume_del,      &op::volume_attach,
                                &op::volume_detach,    &op::volume_resize,   &op::peer_new,
                                &op::peer_del,         &op::peer_disconnect, &op::sync_pause,
                                &op::sync_resume,      &op::verify_start,    &op::verify_stop,
                                &op::resource_suspend, &op::resource_resume};

bool is(const netlink::Operation& row, const netlink::Operation& other) {
    return row.id == other.id;
}

}  // namespace

std::string FakeModule::describe(const netlink::Operation& row,
                                 const sys::NetlinkMessage& request) {
    std::string text(row.name);
    for (const netlink::Attribute& attribute : row.attributes->attributes) {
        if (!request.has(attribute.id)) {
            continue;
        }
        switch (attribute.type) {
            case netlink::AttributeType::u32:
                text += fmt::format(" {}={}", attribute.name, *request.u32(attribute.id));
                break;
            case netlink::AttributeType::u64:
                text += fmt::format(" {}={}", attribute.name, *request.u64(attribute.id));
                break;
            case netlink::AttributeType::string:
                text += fmt::format(" {}={}", attribute.name, *request.string(attribute.id));
                break;
            default:
                text += fmt::format(" {}", attribute.name);
        }
    }
    return text;
}

void FakeModule::look() {
    if (under_way_.empty()) {
        return;
    }
    if (stuck || ++looked_ < looks) {
        // Something else happens meanwhile.
        tell(event_kind::link, "other", std::nullopt, "requested");
        return;
    }
    looked_ = 0;
    end_what_goes_on();
}

FakeModule::Replies FakeModule::transact(const sys::NetlinkMessage& request) {
    look();
    const auto found = std::ranges::find_if(
        operations, [&](const netlink::Operation* each) { return each->id == request.command(); });
    if (found == operations.end()) {
        ADD_FAILURE() << "operation " << int{request.command()};
        return refuse(EOPNOTSUPP, "");
    }
    const netlink::Operation& row = **found;
    calls.push_back(describe(row, request));
    if (const auto refusal = refusals.find(std::string(row.name)); refusal != refusals.end()) {
        return tl::unexpected(refusal->second);
    }
    if (is(row, op::resource_new)) {
        return resource(row, request);
    }
    const auto name = request.string(attr::resource::name).value();
    const auto known = resources.find(name);
    if (known == resources.end()) {
        return refuse(ENOENT, "no such resource in this network namespace");
    }
    if (row.name.starts_with("resource-")) {
        return resource(row, request);
    }
    return row.name.starts_with("volume-") ? volume(row, request, known->second)
                                           : peer(row, request, known->second);
}

FakeModule::Replies FakeModule::resource(const netlink::Operation& row,
                                         const sys::NetlinkMessage& request) {
    const auto name = request.string(attr::resource::name).value();
    if (is(row, op::resource_new)) {
        if (resources.contains(name)) {
            return refuse(EEXIST, "there is a resource of this name");
        }
        resources[name].node = request.u32(attr::resource::node_id).value();
    }
    Resource& resource = resources.at(name);
    if (is(row, op::resource_del)) {
        if (std::ranges::any_of(resource.volumes,
                                [](const auto& each) { return each.second.opens != 0; })) {
            return refuse(EBUSY, "a device of the resource is open; close it, or force");
        }
        resource.dead = true;
        tell(event_kind::resource, name, std::nullopt, "requested");
        begin([this, name] { resources.erase(name); });
        return {};
    }
    if (is(row, op::resource_suspend) || is(row, op::resource_resume)) {
        if (resource.writer != resource.node) {
            return tl::unexpected(sys::NetlinkError{sys::NetlinkError::Kind::refused,
                                                    EPERM,
                                                    "this node is not the writer",
                                                    {attr::resource::name}});
        }
        resource.suspended = is(row, op::resource_suspend) && !resource.deaf;
        return {};
    }
    for (const auto id : {attr::resource::lease_ms, attr::resource::timeout_ms,
                          attr::resource::request_timeout_ms, attr::resource::policy}) {
        if (const auto value = request.u32(id)) {
            resource.settings[id] = *value;
        }
    }
    return {};
}

FakeModule::Replies FakeModule::volume(const netlink::Operation& row,
                                       const sys::NetlinkMessage& request, Resource& resource) {
    const auto name = request.string(attr::volume::name).value();
    const auto number = request.u32(attr::volume::volume).value();
    if (is(row, op::volume_new)) {
        resource.volumes[number].minor = request.u32(attr::volume::minor).value();
        return {};
    }
    const auto found = resource.volumes.find(number);
    if (found == resource.volumes.end()) {
        return refuse(ENOENT, "the resource has no such volume");
    }
    Volume& volume = found->second;
    if (is(row, op::volume_attach)) {
        return attach(request, name, number, volume);
    }
    if (is(row, op::volume_del)) {
        resource.volumes.erase(number);
    } else if (is(row, op::volume_detach)) {
        if (volume.state == disk_state::diskless) {
            return refuse(ENODEV, "the volume has no disk");
        }
        volume.state = disk_state::detaching;
        begin([this, name, number, &volume] {
            volume = {.minor = volume.minor, .opens = volume.opens, .size = volume.size};
            tell(event_kind::disk, name, number, "requested");
        });
    } else if (volume.disk_size == volume.size) {
        return refuse(EALREADY, "the disk has not grown");
    } else if (!under_way_.empty()) {
        return refuse(EBUSY, "the volume is being resized");
    } else {
        begin([this, name, number, &volume] {
            volume.size = volume.disk_size;
            tell(event_kind::size, name, number, "");
        });
    }
    return {};
}

FakeModule::Replies FakeModule::attach(const sys::NetlinkMessage& request, const std::string& name,
                                       std::uint32_t number, Volume& volume) {
    if (volume.state != disk_state::diskless) {
        return refuse(EBUSY, "the volume has a disk already");
    }
    volume.state = disk_state::attaching;
    tell(event_kind::disk, name, number, "requested");
    begin([this, name, number, &volume, disk = request.string(attr::volume::disk).value()] {
        const auto found = replica(disk);
        if (!found || !attach_error.empty()) {
            volume.state = disk_state::diskless;
            tell(event_kind::disk, name, number, found ? attach_error : "the disk has no metadata",
                 ENXIO);
            return;
        }
        volume.state = disk_state::attached;
        volume.uuid = found->uuid;
        volume.disk_size = found->bytes;
        volume.size = std::max(volume.size, volume.disk_size);
        volume.disk = disk;
        tell(event_kind::disk, name, number, "attached");
    });
    return {};
}

FakeModule::Replies FakeModule::peer(const netlink::Operation& row,
                                     const sys::NetlinkMessage& request, Resource& resource) {
    namespace sync_state = netlink::enums::sync_state;
    const auto node = request.u32(attr::peer::node_id).value();
    if (is(row, op::peer_new)) {
        resource.peers[node] = {};
        return {};
    }
    const auto found = resource.peers.find(node);
    if (found == resource.peers.end()) {
        return refuse(ENOENT, "the resource has no such peer");
    }
    if (is(row, op::peer_del)) {
        resource.peers.erase(node);
    } else if (is(row, op::sync_pause) || is(row, op::sync_resume)) {
        const bool pause = is(row, op::sync_pause);
        if (found->second.sync != (pause ? sync_state::running : sync_state::paused)) {
            return refuse(EINVAL,
                          pause ? "no resync of it is running" : "no resync of it is paused");
        }
        found->second.sync = pause ? sync_state::paused : sync_state::running;
    } else if (is(row, op::verify_start) && resource.writer != resource.node) {
        return tl::unexpected(sys::NetlinkError{sys::NetlinkError::Kind::refused,
                                                EPERM,
                                                "this node does not serve the resource",
                                                {attr::peer::node_id}});
    }
    return {};
}

namespace {

void put(sys::NetlinkMessage& reply, const std::string& name, const FakeModule::Resource& is) {
    reply.put(attr::resource::name, std::string_view(name));
    reply.put(attr::resource::node_id, is.node);
    for (const auto id : {attr::resource::lease_ms, attr::resource::timeout_ms,
                          attr::resource::request_timeout_ms, attr::resource::policy}) {
        reply.put(id, is.settings.contains(id) ? is.settings.at(id) : std::uint32_t{0});
    }
    if (is.writer) {
        reply.put_nest(attr::resource::config, [&] {
            const std::array<std::byte, 16> lineage{};
            reply.put(attr::config::lineage, std::span<const std::byte>(lineage));
            reply.put(attr::config::epoch, std::uint64_t{1});
            reply.put(attr::config::id, std::uint64_t{1});
            reply.put(attr::config::writer, *is.writer);
            for (const std::uint32_t node : is.in_sync) {
                reply.put_nest(attr::config::node, [&] {
                    reply.put(attr::node::node_id, node);
                    reply.put_flag(attr::node::diskful);
                    reply.put_flag(attr::node::in_sync);
                    reply.put(attr::node::instance, std::uint64_t{7});
                });
            }
        });
    }
    reply.put(attr::resource::instance, std::uint64_t{7});
    reply.put(attr::resource::service, static_cast<std::uint32_t>(is.service));
    reply.put(attr::resource::reason, std::string_view(is.reason));
    reply.put(attr::resource::held, std::uint64_t{0});
    reply.put(attr::resource::sequence, std::uint64_t{1});
    reply.put(attr::resource::in_flight, is.in_flight.empty() ? 0U : is.in_flight.front());
    if (is.suspended) {
        reply.put_flag(attr::resource::suspended);
    }
    if (is.done) {
        reply.put_flag(attr::resource::done);
    }
}

void put(sys::NetlinkMessage& reply, const std::string& name, std::uint32_t number,
         const FakeModule::Volume& is) {
    reply.put(attr::volume::name, std::string_view(name));
    reply.put(attr::volume::volume, number);
    reply.put(attr::volume::minor, is.minor);
    for (const auto id :
         {attr::volume::block_size, attr::volume::active_regions, attr::volume::in_flight}) {
        reply.put(id, std::uint32_t{0});
    }
    for (const auto id : {attr::volume::generation, attr::volume::stable}) {
        reply.put(id, std::uint64_t{0});
    }
    reply.put(attr::volume::size, is.size);
    reply.put(attr::volume::opens, is.opens);
    reply.put(attr::volume::disk_state, static_cast<std::uint32_t>(is.state));
    if (is.uuid) {
        reply.put(attr::volume::uuid, std::span<const std::byte>(*is.uuid));
        reply.put(attr::volume::disk_size, is.disk_size);
    }
}

void put(sys::NetlinkMessage& reply, const std::string& name, std::uint32_t node,
         const FakeModule::Peer& is) {
    reply.put(attr::peer::name, std::string_view(name));
    reply.put(attr::peer::node_id, node);
    reply.put(attr::peer::link_state, static_cast<std::uint32_t>(is.link));
    reply.put(attr::peer::streams, std::uint32_t{0});
    reply.put(attr::peer::lease_ms, std::uint32_t{0});
    reply.put(attr::peer::sync_state, static_cast<std::uint32_t>(is.sync));
}

}  // namespace

namespace {

void put_differing(const std::function<sys::NetlinkMessage&()>& reply, const std::string& name,
                   std::uint32_t node, const FakeModule::Peer& peer) {
    for (const auto& [start, stop] : peer.differing) {
        sys::NetlinkMessage& range = reply();
        range.put(attr::peer::name, std::string_view(name));
        range.put(attr::peer::node_id, node);
        range.put(attr::peer::volume, std::uint32_t{0});
        range.put(attr::peer::start, start);
        range.put(attr::peer::stop, stop);
    }
}

}  // namespace

FakeModule::Replies FakeModule::dump(const sys::NetlinkMessage& request) {
    look();
    const auto only = request.string(attr::resource::name);
    if (only && !resources.contains(*only)) {
        return refuse(ENOENT, "no such resource in this network namespace");
    }
    std::vector<sys::NetlinkMessage> replies;
    const auto reply = [&]() -> sys::NetlinkMessage& {
        return replies.emplace_back(family, request.command(), std::uint8_t{1});
    };
    for (auto& [name, resource] : resources) {
        if (only && *only != name) {
            continue;
        }
        if (request.command() == op::resource_get.id) {
            put(reply(), name, resource);
            if (resource.in_flight.size() > 1) {
                resource.in_flight.pop_front();
            }
        } else if (request.command() == op::volume_get.id) {
            for (const auto& [number, volume] : resource.volumes) {
                put(reply(), name, number, volume);
            }
        } else if (request.command() == op::verify_get.id) {
            for (const auto& [node, peer] : resource.peers) {
                put_differing(reply, name, node, peer);
            }
        } else {
            for (const auto& [node, peer] : resource.peers) {
                put(reply(), name, node, peer);
            }
        }
    }
    return replies;
}

void FakeModule::tell(std::uint64_t kind, const std::string& name,
                      std::optional<std::uint32_t> volume, const std::string& cause, int error) {
    if (silent) {
        return;
    }
    const std::uint64_t one = 1;
    if (write(bell.get(), &one, sizeof(one)) < 0) {
        ADD_FAILURE() << "the bell is broken";
    }
    sequence_++;
    if (mute) {
        lost = true;
        return;
    }
    sys::NetlinkMessage& event = events.emplace_back(family, op::event.id, std::uint8_t{1});
    event.put(attr::event::sequence, sequence_);
    event.put(attr::event::kind, static_cast<std::uint32_t>(kind));
    event.put(attr::event::name, std::string_view(name));
    if (volume) {
        event.put(attr::event::volume, *volume);
    }
    event.put(attr::event::cause, std::string_view(cause));
    if (error != 0) {
        const std::int32_t number = -error;
        event.put(attr::event::error, std::as_bytes(std::span(&number, 1)));
    }
}

}  // namespace braid::test
