// SPDX-License-Identifier: GPL-2.0-or-later
//
// All connections of this node: the port, a control connection to each peer, and the streams of
// resources. One thread, one event loop; README.md tells the protocol and why it is like this.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "satellite/control.h"
#include "satellite/credentials_file.h"
#include "satellite/link.h"
#include "satellite/listener.h"
#include "satellite/subject.h"

namespace braid::satellite {

struct NetworkSettings {
    std::string name;  ///< this node's, as in its certificate
    std::vector<sys::Address> listen;
    std::vector<PeerSettings> peers;
    std::vector<LinkSettings> links;
};

class Network {
  public:
    struct Callbacks {
        std::function<void(const std::string& peer)> up;
        std::function<void(const std::string& peer, const std::string& why)> down;
        std::function<void(const std::string& peer, const std::string& message)> message;
        /// One line: what it is about, and what happened.
        std::function<void(const Subject& about, const std::string& text)> log;
    };

    /// `random` gives random bits. `kernel` must outlive this.
    Network(sys::EventLoop& loop, sys::BraidClient& kernel, std::string credentials,
            std::function<std::uint64_t()> random, Callbacks callbacks);

    /// Takes over the settings; what did not change goes on undisturbed. Not from a callback.
    [[nodiscard]] sys::Result<void> apply(const NetworkSettings& settings);

    /// To a peer's satellite. False if it is not connected.
    bool send(const std::string& peer, const std::string& message);

    /// The kernel's event `link`, or lost events, about a resource's connection to a node.
    void link_changed(const std::string& resource, std::uint32_t node);
    /// The kernel's event `key-use`.
    void key_used(const std::string& resource, std::uint32_t node, std::uint32_t stream);
    /// An address or link of this node has changed: what waits tries again at once.
    void network_changed();

    /// For status; null if there is none.
    [[nodiscard]] const Control* control(const std::string& peer) const;
    [[nodiscard]] const Link* link(const std::string& resource, std::uint32_t node) const;
    [[nodiscard]] const Listener& listener() const { return listener_; }

  private:
    using LinkKey = std::pair<std::string, std::uint32_t>;

    [[nodiscard]] std::string check(const sys::CertificateInfo& peer) const;
    void accepted(const std::shared_ptr<Connection>& connection, const Hello& hello);
    [[nodiscard]] std::string route(const std::shared_ptr<Connection>& connection,
                                    const Hello& hello);
    void refuse(const std::shared_ptr<Connection>& connection, const std::string& why);
    void apply_peers(const NetworkSettings& settings);
    void apply_links(const NetworkSettings& settings);
    std::unique_ptr<Control> make_control(const PeerSettings& peer);
    std::unique_ptr<Link> make_link(Control& control, const LinkSettings& settings);
    [[nodiscard]] double fraction() const;

    sys::EventLoop& loop_;
    sys::BraidClient& kernel_;
    std::function<std::uint64_t()> random_;
    Callbacks callbacks_;
    CredentialsFile credentials_;
    std::string name_;
    Listener listener_;
    std::map<std::string, std::unique_ptr<Control>> peers_;
    std::map<LinkKey, std::unique_ptr<Link>> links_;
};

}  // namespace braid::satellite
