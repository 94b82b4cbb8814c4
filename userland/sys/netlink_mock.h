// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <gmock/gmock.h>

#include <vector>

#include "sys/netlink.h"

namespace braid::sys {

class NetlinkMock : public Netlink {
  public:
    using Replies = NetlinkResult<std::vector<NetlinkMessage>>;

    MOCK_METHOD(NetlinkResult<std::uint16_t>, resolve, (std::string_view family), (override));
    MOCK_METHOD(Replies, transact, (const NetlinkMessage& request), (override));
    MOCK_METHOD(Replies, dump, (const NetlinkMessage& request), (override));
};

}  // namespace braid::sys
