// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <gmock/gmock.h>

#include <string>
#include <vector>

#include "sys/blkid.h"

namespace braid::sys {

class BlkidMock : public Blkid {
  public:
    MOCK_METHOD(Result<std::vector<Signature>>, signatures, (const std::string& path), (override));
};

}  // namespace braid::sys
