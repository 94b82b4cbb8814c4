// SPDX-License-Identifier: GPL-2.0-or-later
#include "sys/braid_client.h"

#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <stdexcept>
#include <type_traits>
#include <utility>

namespace braid::sys {

namespace {

namespace attr = netlink::attr;

ClientError with_names(const NetlinkError& error, const netlink::Operation& operation) {
    return {error.kind, error.number, error.cause(),
            attribute_name(operation.attributes, error.attribute)};
}

netlink::AttributeType type_of(const Argument& argument) {
    using enum netlink::AttributeType;
    constexpr std::array types{flag, u32, u64, string};
    return types.at(argument.value.index());
}

/// Throws std::logic_error: a mistake of the program.
void check(const netlink::Operation& operation, const Argument& argument) {
    const netlink::Attribute* row = find_attribute(*operation.attributes, argument.id);
    if (row == nullptr || row->type != type_of(argument) || operation.call == nullptr ||
        std::ranges::find(operation.call->request, argument.id) == operation.call->request.end()) {
        throw std::logic_error(fmt::format("{} takes no such attribute {}", operation.name,
                                           row == nullptr ? "" : row->name));
    }
}

void put(NetlinkMessage& message, const Argument& argument) {
    std::visit(
        [&](const auto& value) {
            if constexpr (std::is_same_v<std::decay_t<decltype(value)>, std::monostate>) {
                message.put_flag(argument.id);
            } else {
                message.put(argument.id, value);
            }
        },
        argument.value);
}

void put(NetlinkMessage& message, const KernelConfig& config) {
    message.put(attr::config::lineage, std::span<const std::byte>(config.lineage));
    message.put(attr::config::epoch, config.epoch);
    message.put(attr::config::id, config.id);
    message.put(attr::config::writer, config.writer);
    for (const KernelConfig::Member& member : config.members) {
        message.put_nest(attr::config::node, [&] {
            message.put(attr::node::node_id, member.node);
            if (member.diskful) {
                message.put_flag(attr::node::diskful);
            }
            if (member.in_sync) {
                message.put_flag(attr::node::in_sync);
                message.put(attr::node::instance, member.instance);
            }
        });
    }
}

/// All of them, or the first error.
template <class T>
ClientResult<std::vector<T>> decode_all(const ClientResult<std::vector<NetlinkMessage>>& replies,
                                        ClientResult<T> (*decode)(const NetlinkMessage&)) {
    if (!replies) {
        return tl::unexpected(replies.error());
    }
    std::vector<T> all;
    for (const NetlinkMessage& reply : *replies) {
        auto one = decode(reply);
        if (!one) {
            return tl::unexpected(one.error());
        }
        all.push_back(std::move(*one));
    }
    return all;
}

}  // namespace

std::vector<std::string> flag_names(const netlink::Enum& flags, std::uint32_t value) {
    std::vector<std::string> names;
    for (int bit = 0; bit < 32; bit++) {
        const std::uint32_t mask = std::uint32_t{1} << bit;
        if ((value & mask) == 0) {
            continue;
        }
        const auto entry =
            std::ranges::find(flags.entries, std::uint64_t{mask}, &netlink::EnumEntry::value);
        names.push_back(entry == flags.entries.end() ? fmt::format("{:#x}", mask)
                                                     : std::string(entry->name));
    }
    return names;
}

ClientResult<std::uint16_t> BraidClient::family() {
    if (!family_) {
        const auto id = netlink_.resolve(netlink::family_name);
        if (!id) {
            const NetlinkError& error = id.error();
            return tl::unexpected(ClientError{error.kind, error.number, error.cause(), {}});
        }
        family_ = *id;
    }
    return *family_;
}

ClientResult<NetlinkMessage> BraidClient::request(const netlink::Operation& operation) {
    const auto id = family();
    if (!id) {
        return tl::unexpected(id.error());
    }
    return NetlinkMessage(*id, operation.id, netlink::family_version);
}

ClientResult<void> BraidClient::transact(const NetlinkMessage& request,
                                         const netlink::Operation& operation) {
    const auto replies = netlink_.transact(request);
    if (!replies) {
        return tl::unexpected(with_names(replies.error(), operation));
    }
    return {};
}

ClientResult<void> BraidClient::run(const netlink::Operation& operation,
                                    const std::vector<Argument>& arguments) {
    auto message = request(operation);
    if (!message) {
        return tl::unexpected(message.error());
    }
    for (const Argument& argument : arguments) {
        check(operation, argument);
        put(*message, argument);
    }
    return transact(*message, operation);
}

ClientResult<void> BraidClient::configure(const std::string& resource, const KernelConfig& config,
                                          std::optional<std::uint64_t> common) {
    const netlink::Operation& operation = netlink::op::resource_configure;
    auto message = request(operation);
    if (!message) {
        return tl::unexpected(message.error());
    }
    message->put(attr::resource::name, std::string_view(resource));
    message->put_nest(attr::resource::config, [&] { put(*message, config); });
    if (common) {
        message->put_flag(attr::resource::new_lineage);
        message->put(attr::resource::common_epoch, *common);
    }
    return transact(*message, operation);
}

ClientResult<void> BraidClient::vote_set(const std::string& resource, std::uint32_t volume,
                                         std::span<const std::byte> vote) {
    const netlink::Operation& operation = netlink::op::vote_set;
    auto message = request(operation);
    if (!message) {
        return tl::unexpected(message.error());
    }
    message->put(attr::volume::name, std::string_view(resource));
    message->put(attr::volume::volume, volume);
    message->put(attr::volume::vote, vote);
    return transact(*message, operation);
}

ClientResult<std::vector<std::byte>> BraidClient::vote_get(const std::string& resource,
                                                           std::uint32_t volume) {
    const netlink::Operation& operation = netlink::op::vote_get;
    auto message = request(operation);
    if (!message) {
        return tl::unexpected(message.error());
    }
    message->put(attr::volume::name, std::string_view(resource));
    message->put(attr::volume::volume, volume);
    const auto replies = netlink_.transact(*message);
    if (!replies) {
        return tl::unexpected(with_names(replies.error(), operation));
    }
    const auto vote =
        replies->empty() ? std::nullopt : replies->front().attributes().bytes(attr::volume::vote);
    return vote ? std::vector<std::byte>(vote->begin(), vote->end()) : std::vector<std::byte>();
}

ClientResult<std::vector<NetlinkMessage>> BraidClient::dump(const netlink::Operation& operation,
                                                            std::uint16_t name,
                                                            const std::string& resource) {
    auto message = request(operation);
    if (!message) {
        return tl::unexpected(message.error());
    }
    if (!resource.empty()) {
        message->put(name, std::string_view(resource));
    }
    auto replies = netlink_.dump(*message);
    if (!replies) {
        const sys::NetlinkError& error = replies.error();
        if (error.kind == NetlinkError::Kind::refused && error.number == ENOENT &&
            !resource.empty()) {
            return std::vector<NetlinkMessage>();
        }
        return tl::unexpected(with_names(error, operation));
    }
    return std::move(*replies);
}

ClientResult<std::vector<ResourceState>> BraidClient::resources(const std::string& resource) {
    return decode_all(dump(netlink::op::resource_get, attr::resource::name, resource),
                      decode_resource);
}

ClientResult<std::vector<VolumeState>> BraidClient::volumes(const std::string& resource) {
    return decode_all(dump(netlink::op::volume_get, attr::volume::name, resource), decode_volume);
}

ClientResult<std::vector<PeerState>> BraidClient::peers(const std::string& resource) {
    const auto replies = dump(netlink::op::peer_get, attr::peer::name, resource);
    if (!replies) {
        return tl::unexpected(replies.error());
    }
    return decode_peers(*replies);
}

ClientResult<std::vector<DifferingRange>> BraidClient::differing(const std::string& resource) {
    return decode_all(dump(netlink::op::verify_get, attr::peer::name, resource), decode_range);
}

/// Its events are numbered: with the same number before and after, nothing changed in between.
ClientResult<BraidClient::Views> BraidClient::list(const std::string& resource) {
    const auto before = resources(resource);
    const auto volumes_found = volumes(resource);
    const auto peers_found = peers(resource);
    auto after = resources(resource);
    if (!before || !after) {
        return tl::unexpected(before ? after.error() : before.error());
    }
    if (!volumes_found) {
        return tl::unexpected(volumes_found.error());
    }
    if (!peers_found) {
        return tl::unexpected(peers_found.error());
    }
    const auto number = [](const ResourceState& each) {
        return std::pair(each.name, each.sequence);
    };
    Views views{.settled = std::ranges::equal(*before, *after, {}, number, number)};
    std::ranges::sort(*after, {}, &ResourceState::name);
    for (ResourceState& each : *after) {
        ResourceView& view = views.resources.emplace_back();
        const auto is_of_it = [&each](const auto& part) { return part.resource == each.name; };
        std::ranges::copy_if(*volumes_found, std::back_inserter(view.volumes), is_of_it);
        std::ranges::copy_if(*peers_found, std::back_inserter(view.peers), is_of_it);
        view.resource = std::move(each);
    }
    return views;
}

ClientResult<BraidClient::Views> BraidClient::views(const std::string& resource) {
    constexpr int attempts = 10;
    auto found = list(resource);
    for (int i = 1; i < attempts && found && !found->settled; i++) {
        found = list(resource);
    }
    return found;
}

ClientResult<void> BraidClient::peer_connect(const PeerSocket& socket) {
    std::vector<Argument> arguments{{attr::peer::name, std::string_view(socket.resource)},
                                    {attr::peer::node_id, socket.node},
                                    {attr::peer::fd, static_cast<std::uint32_t>(socket.fd)},
                                    {attr::peer::session, socket.session}};
    if (socket.checksums) {
        arguments.push_back({attr::peer::checksums});
    }
    if (socket.key_limit) {
        arguments.push_back({attr::peer::key_limit, *socket.key_limit});
    }
    return run(netlink::op::peer_connect, arguments);
}

ClientResult<ModuleInfo> BraidClient::module_get(VersionRange api) {
    const netlink::Operation& operation = netlink::op::module_get;
    auto message = request(operation);
    if (!message) {
        return tl::unexpected(message.error());
    }
    message->put(attr::module::api_min, api.min);
    message->put(attr::module::api_max, api.max);
    const auto replies = netlink_.transact(*message);
    if (!replies) {
        return tl::unexpected(with_names(replies.error(), operation));
    }
    if (replies->size() != 1) {
        return tl::unexpected(ClientError{
            NetlinkError::Kind::malformed,
            EBADMSG,
            fmt::format("{} messages in the module's answer instead of one", replies->size()),
            {}});
    }
    AttributeReader reply(replies->front().attributes(), *operation.attributes);
    ModuleInfo info;
    info.version = reply.string(attr::module::version);
    info.api = {reply.u32(attr::module::api_min), reply.u32(attr::module::api_max)};
    info.api_version = reply.u32(attr::module::api_version);
    info.protocol = {reply.u32(attr::module::protocol_min), reply.u32(attr::module::protocol_max)};
    info.features = reply.u32(attr::module::features);
    if (reply.error()) {
        return tl::unexpected(*reply.error());
    }
    return info;
}

}  // namespace braid::sys
