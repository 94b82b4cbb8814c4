// SPDX-License-Identifier: GPL-2.0-or-later
//
// Tells that interfaces or addresses of this host changed: what could not be reached may be now.
#pragma once

#include "sys/fd.h"
#include "sys/result.h"

namespace braid::sys {

class RouteEvents {
  public:
    /// Of the network namespace in which this is called.
    [[nodiscard]] static Result<RouteEvents> open();

    /// Readable when something changed.
    [[nodiscard]] int fd() const { return socket_.get(); }

    /// Takes what the kernel has told by now, without waiting, and says whether it was anything;
    /// what was lost because it did not fit counts.
    [[nodiscard]] bool drain() const;

  private:
    explicit RouteEvents(Fd socket) : socket_(std::move(socket)) {}

    Fd socket_;
};

}  // namespace braid::sys
