// SPDX-License-Identifier: GPL-2.0-or-later
#include "sys/braid_client.h"

#include <fmt/core.h>

#include <algorithm>
#include <cerrno>
#include <utility>

namespace braid::sys {

namespace {

namespace attr = netlink::attr;

const netlink::Attribute* find(const netlink::AttributeSet& set, std::uint16_t id) {
    const auto found = std::ranges::find(set.attributes, id, &netlink::Attribute::id);
    return found == set.attributes.end() ? nullptr : &*found;
}

/// "outer.inner" for a path of attribute ids; a number where the tables end.
std::string name_of(const netlink::AttributeSet* set, const std::vector<std::uint16_t>& path) {
    std::string name;
    for (const std::uint16_t id : path) {
        const netlink::Attribute* row = set == nullptr ? nullptr : find(*set, id);
        name += name.empty() ? "" : ".";
        name += row == nullptr ? fmt::format("{}", id) : std::string(row->name);
        set = row == nullptr ? nullptr : row->nested;
    }
    return name;
}

ClientError with_names(const NetlinkError& error, const netlink::Operation& operation) {
    return {error.kind, error.number, error.cause(),
            name_of(operation.attributes, error.attribute)};
}

/// Takes values out of a reply and remembers the first that is not there.
class Reader {
  public:
    Reader(const NetlinkMessage& reply, const netlink::AttributeSet& set)
        : reply_(reply), set_(set) {}

    std::uint32_t u32(std::uint16_t id) { return checked(reply_.u32(id), id); }
    std::string string(std::uint16_t id) { return checked(reply_.string(id), id); }

    [[nodiscard]] const std::optional<ClientError>& error() const { return error_; }

  private:
    template <class T>
    T checked(std::optional<T> value, std::uint16_t id) {
        if (!value && !error_) {
            error_ =
                ClientError{NetlinkError::Kind::malformed, EBADMSG,
                            "missing or malformed in the module's answer", name_of(&set_, {id})};
        }
        return std::move(value).value_or(T());
    }

    const NetlinkMessage& reply_;
    const netlink::AttributeSet& set_;
    std::optional<ClientError> error_;
};

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

ClientResult<void> BraidClient::run(const NetlinkMessage& request,
                                    const netlink::Operation& operation) {
    const auto replies = netlink_.transact(request);
    if (!replies) {
        return tl::unexpected(with_names(replies.error(), operation));
    }
    return {};
}

ClientResult<void> BraidClient::peer_connect(const PeerSocket& socket) {
    auto message = request(netlink::op::peer_connect);
    if (!message) {
        return tl::unexpected(message.error());
    }
    message->put(attr::peer::name, std::string_view(socket.resource));
    message->put(attr::peer::node_id, socket.node);
    message->put(attr::peer::fd, static_cast<std::uint32_t>(socket.fd));
    message->put(attr::peer::session, socket.session);
    if (socket.checksums) {
        message->put_flag(attr::peer::checksums);
    }
    if (socket.key_limit) {
        message->put(attr::peer::key_limit, *socket.key_limit);
    }
    return run(*message, netlink::op::peer_connect);
}

ClientResult<void> BraidClient::peer_retire(const std::string& resource, std::uint32_t node,
                                            std::uint32_t stream) {
    auto message = request(netlink::op::peer_retire);
    if (!message) {
        return tl::unexpected(message.error());
    }
    message->put(attr::peer::name, std::string_view(resource));
    message->put(attr::peer::node_id, node);
    message->put(attr::peer::stream_id, stream);
    return run(*message, netlink::op::peer_retire);
}

ClientResult<void> BraidClient::peer_disconnect(const std::string& resource, std::uint32_t node) {
    auto message = request(netlink::op::peer_disconnect);
    if (!message) {
        return tl::unexpected(message.error());
    }
    message->put(attr::peer::name, std::string_view(resource));
    message->put(attr::peer::node_id, node);
    return run(*message, netlink::op::peer_disconnect);
}

ClientResult<std::vector<PeerLink>> BraidClient::peer_links(const std::string& resource) {
    const netlink::Operation& operation = netlink::op::peer_get;
    auto message = request(operation);
    if (!message) {
        return tl::unexpected(message.error());
    }
    message->put(attr::peer::name, std::string_view(resource));
    const auto replies = netlink_.dump(*message);
    if (!replies) {
        return tl::unexpected(with_names(replies.error(), operation));
    }
    std::vector<PeerLink> links;
    for (const NetlinkMessage& each : *replies) {
        if (each.has(attr::peer::volume)) {
            continue;  // about a replica of the peer
        }
        Reader reply(each, *operation.attributes);
        PeerLink link{reply.u32(attr::peer::node_id), reply.u32(attr::peer::link_state),
                      each.u64(attr::peer::session).value_or(0),
                      each.u32(attr::peer::streams).value_or(0)};
        if (reply.error()) {
            return tl::unexpected(*reply.error());
        }
        links.push_back(link);
    }
    return links;
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
    Reader reply(replies->front(), *operation.attributes);
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
