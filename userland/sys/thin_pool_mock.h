// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <gmock/gmock.h>

#include "sys/thin_pool.h"

namespace braid::sys {

class ThinPoolsMock : public ThinPools {
  public:
    MOCK_METHOD(Result<std::optional<ThinPoolState>>, state,
                (const std::string& group, const std::string& pool), (override));
};

}  // namespace braid::sys
