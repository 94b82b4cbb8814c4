// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <gmock/gmock.h>

#include "sys/libvirt.h"

namespace braid::sys {

class MockHypervisor : public Hypervisor {
  public:
    MOCK_METHOD(Result<std::vector<Domain>>, domains, (), (override));
    MOCK_METHOD(Result<void>, start, (const std::string&), (override));
    MOCK_METHOD(Result<void>, check, (const std::string&), (override));
    MOCK_METHOD(Result<void>, shutdown, (const std::string&), (override));
    MOCK_METHOD(Result<void>, destroy, (const std::string&), (override));
    MOCK_METHOD(Result<void>, resume, (const std::string&), (override));
    MOCK_METHOD(Result<void>, migrate, (const std::string&, const std::string&, bool), (override));
    MOCK_METHOD(Result<void>, abort, (const std::string&), (override));
    MOCK_METHOD(std::optional<MigrationProgress>, progress, (const std::string&), (override));
    MOCK_METHOD(std::vector<DomainEnd>, wait, (std::chrono::milliseconds), (override));
};

}  // namespace braid::sys
