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

ClientResult<ModuleInfo> BraidClient::module_get(VersionRange api) {
    const netlink::Operation& operation = netlink::op::module_get;
    const auto id = family();
    if (!id) {
        return tl::unexpected(id.error());
    }
    NetlinkMessage request(*id, operation.id, netlink::family_version);
    request.put(attr::module::api_min, api.min);
    request.put(attr::module::api_max, api.max);
    const auto replies = netlink_.transact(request);
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
