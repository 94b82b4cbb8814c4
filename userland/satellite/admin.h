// SPDX-License-Identifier: GPL-2.0-or-later
//
// The Unix socket for braidadm: a line of text asks, a line answers. README.md, "What braidadm
// asks".
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>

#include "sys/event_loop.h"
#include "sys/fd.h"
#include "sys/result.h"

namespace braid::satellite {

class Admin {
  public:
    static constexpr std::size_t connections_max = 64;
    static constexpr std::size_t request_max = std::size_t{64} << 10;

    /// Of one connection; never used again after it has gone.
    using Id = std::uint64_t;
    /// A request. Answered by answer(), now or later.
    using Asked = std::function<void(Id id, const std::string& line)>;

    Admin(sys::EventLoop& loop, Asked asked)
        : loop_(loop), asked_(std::move(asked)), pause_(loop) {}
    ~Admin();
    Admin(const Admin&) = delete;
    Admin& operator=(const Admin&) = delete;

    [[nodiscard]] sys::Result<void> listen(const std::string& path);

    /// Nothing happens if whoever asked has gone.
    void answer(Id id, const std::string& line);

  private:
    struct Connection {
        sys::Fd fd;
        std::string input;
        std::string output;
        /// A request is being answered; the next one waits for that.
        bool busy = false;
    };

    void accept();
    void ready(Id id);
    [[nodiscard]] bool read(Connection& connection);
    [[nodiscard]] bool write(Connection& connection);
    void next(Id id);
    void drop(Id id);

    sys::EventLoop& loop_;
    Asked asked_;
    std::string path_;
    sys::Fd listening_;
    std::map<Id, Connection> connections_;
    Id next_ = 0;
    sys::Timer pause_;
};

}  // namespace braid::satellite
