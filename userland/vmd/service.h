// SPDX-License-Identifier: GPL-2.0-or-later
//
// What braid-vmd does: lines of JSON from the node daemon, each a request that is carried out in a
// thread of its own, since libvirt may take any time; and lines back, in whatever order.
#pragma once

#include <functional>
#include <mutex>
#include <string>

#include <nlohmann/json_fwd.hpp>

#include "sys/libvirt.h"

namespace braid::vmd {

class Service {
  public:
    using Write = std::function<void(const std::string& line)>;
    using ReadFile = std::function<sys::Result<std::string>(const std::string& path)>;

    /// `write` gets one line at a time, from any thread.
    Service(sys::Hypervisor& hypervisor, Write write, ReadFile read_file)
        : hypervisor_(hypervisor), write_(std::move(write)), read_file_(std::move(read_file)) {}

    /// Carries a request out, and answers it. Waits as long as that takes.
    void handle(const std::string& line);

    /// Says what there is, if it has changed, and what has ended; waits for that, for `most` at the
    /// longest.
    void watch(std::chrono::milliseconds most);

  private:
    [[nodiscard]] sys::Result<void> carry_out(const nlohmann::json& request);
    [[nodiscard]] sys::Result<std::string> xml_of(const nlohmann::json& vm);
    void say(const nlohmann::json& message);

    sys::Hypervisor& hypervisor_;
    Write write_;
    ReadFile read_file_;
    std::mutex mutex_;
    std::string said_;
};

/// MemAvailable of /proc/meminfo, in bytes; 0 if it is not there.
[[nodiscard]] std::uint64_t available_memory(const std::string& meminfo);

}  // namespace braid::vmd
