// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <utility>
#include <vector>

#include "sys/netlink.h"
#include "sys/netlink_gen.h"

namespace braid::test {

inline constexpr std::uint16_t family_id = 0x20;

/// The module's answer to module-get, without the attribute `omitted`.
inline std::vector<sys::NetlinkMessage> module_reply(std::uint16_t omitted = 0,
                                                     std::uint32_t features = 1) {
    namespace attr = netlink::attr::module;
    sys::NetlinkMessage reply(family_id, netlink::op::module_get.id, netlink::family_version);
    const std::vector<std::pair<std::uint16_t, std::uint32_t>> numbers{
        {attr::api_min, 1},      {attr::api_max, 3},      {attr::api_version, 2},
        {attr::protocol_min, 4}, {attr::protocol_max, 5}, {attr::features, features}};
    for (const auto& [id, value] : numbers) {
        if (id != omitted) {
            reply.put(id, value);
        }
    }
    if (omitted != attr::version) {
        reply.put(attr::version, std::string_view("0.9.1"));
    }
    std::vector<sys::NetlinkMessage> replies;
    replies.push_back(std::move(reply));
    return replies;
}

}  // namespace braid::test
