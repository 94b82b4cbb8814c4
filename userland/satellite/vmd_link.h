// SPDX-License-Identifier: GPL-2.0-or-later
//
// braid-vmd, the process that waits for libvirt in this one's place: started, started again when it
// ends, and asked. Lines of JSON, as vmd/service.h has them.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>

#include <nlohmann/json.hpp>

#include "sys/event_loop.h"
#include "sys/process.h"

namespace braid::satellite {

class VmdLink {
  public:
    using Done = std::function<void(bool ok, const std::string& text)>;

    struct Callbacks {
        /// What it says by itself: `state`, `ended`, `progress`.
        std::function<void(const nlohmann::json& message)> said;
        /// It has gone, and why; it is started again.
        std::function<void(const std::string& why)> down;
    };

    /// `program` is called with the path of the socket, at which this listens.
    VmdLink(sys::EventLoop& loop, std::string program, std::string socket, Callbacks callbacks);
    ~VmdLink();
    VmdLink(const VmdLink&) = delete;
    VmdLink& operator=(const VmdLink&) = delete;

    /// `done` is called once, later: also if it ends before it has answered.
    void ask(nlohmann::json request, Done done);

  private:
    void start();
    void accept();
    void ready();
    [[nodiscard]] bool read();
    [[nodiscard]] bool write();
    void line(const std::string& line);
    void lost(const std::string& why);

    sys::EventLoop& loop_;
    std::string program_;
    std::string socket_;
    Callbacks callbacks_;
    sys::Fd listening_;
    sys::Fd connection_;
    std::unique_ptr<sys::Process> process_;
    std::string input_;
    std::string output_;
    std::map<std::uint64_t, Done> waiting_;
    std::uint64_t next_ = 0;
    sys::Timer again_;
};

}  // namespace braid::satellite
