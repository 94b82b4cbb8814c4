// SPDX-License-Identifier: GPL-2.0-or-later
//
// The connection for messages to one peer's satellite. The node whose name is lower connects, the
// other one waits for it; a new connection replaces the one before.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "satellite/credentials_file.h"
#include "satellite/dial.h"
#include "satellite/redial.h"

namespace braid::satellite {

struct PeerSettings {
    std::string name;
    std::vector<Path> paths;  ///< in order of preference; at least one
};

class Control {
  public:
    struct Callbacks {
        std::function<void()> up;
        std::function<void(const std::string& why)> down;
        std::function<void(const std::string& message)> message;
        /// A failed attempt, unless the one before failed for the same reason.
        std::function<void(const std::string& why)> failed;
    };

    Control(sys::EventLoop& loop, CredentialsFile& credentials, const std::string& own_name,
            PeerSettings peer, std::function<double()> random, Callbacks callbacks);
    ~Control();
    Control(const Control&) = delete;
    Control& operator=(const Control&) = delete;

    /// Whether this node is the one that connects.
    [[nodiscard]] bool connects() const { return connects_; }
    [[nodiscard]] const PeerSettings& peer() const { return peer_; }
    [[nodiscard]] DialGate& gate() { return gate_; }

    /// A connection that the peer made for this.
    void offered(const std::shared_ptr<Connection>& connection);

    /// False if it is not connected. At most message_max bytes; arrives once or the connection
    /// ends.
    bool send(const std::string& message);
    [[nodiscard]] bool is_up() const { return connection_ != nullptr; }

    /// Why it is not connected; empty if it is, or was not tried yet.
    [[nodiscard]] const std::string& why() const { return why_; }
    /// The peer's address in use; empty if there is none.
    [[nodiscard]] std::string address() const;

    void network_changed();

  private:
    void dial();
    void dialled(sys::Result<std::shared_ptr<Connection>> result);
    void take(std::shared_ptr<Connection> connection);
    void drop(const std::string& why);

    sys::EventLoop& loop_;
    CredentialsFile& credentials_;
    PeerSettings peer_;
    bool connects_;
    Callbacks callbacks_;
    Redial redial_;
    sys::Timer again_;
    DialGate gate_;
    std::unique_ptr<Dial> dial_;
    std::shared_ptr<Connection> connection_;
    std::string why_;
};

}  // namespace braid::satellite
