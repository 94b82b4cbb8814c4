// SPDX-License-Identifier: GPL-2.0-or-later
//
// All that a node's daemon does: runs the members of its resources, makes their connections, and
// answers braidadm. What is where is decided by the configuration and by what the kernel has.
//
// One thread; nothing here waits.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include <nlohmann/json_fwd.hpp>

#include "config/model.h"
#include "satellite/machines.h"
#include "satellite/network.h"
#include "satellite/peer_message.h"
#include "satellite/resource.h"

namespace braid::satellite {

struct NodeSettings {
    std::string host;         ///< this node's name in the configuration
    std::string credentials;  ///< its file
    std::string state;        ///< directory of what a witness has to remember
    std::string vmd{};        ///< the program that asks libvirt; empty: there is none
    std::string vmd_socket{};
};

class Node {
  public:
    using RequestId = std::uint64_t;

    struct Environment {
        sys::EventLoop& loop;
        sys::BraidClient& kernel;
        /// Reads the configuration; an error says all that is wrong with it.
        std::function<sys::Result<config::Config>()> load;
        /// Random bits.
        std::function<std::uint64_t()> random;
        std::function<membership::Moment()> moment;
        /// One line: what it is about, and what happened.
        std::function<void(bool warning, const Subject& about, const std::string& text)> journal;
        /// A line of JSON for whoever made a request.
        std::function<void(RequestId id, const std::string& line)> answer;
        /// The configuration of this host's resources has changed.
        std::function<void(const std::vector<config::NodeResource>&)> configured;
        /// Runs the fence command of a resource for a peer; `done` is called once, later.
        std::function<void(const std::string& resource, membership::NodeId peer,
                           std::function<void(bool ok)> done)>
            fence;
        /// Told once, when it begins: I/O is held for want of voters; two nodes have forked.
        std::function<void(const std::string& resource)> quorum_lost;
        /// Every host has given its virtual machine up.
        std::function<void(const std::string& resource)> machine_lost;
        std::function<void(const std::string& resource, membership::NodeId peer)> forked;
        /// The module's state of a resource, whenever it was looked at.
        std::function<void(const sys::ResourceView& replies)> seen;
    };

    Node(Environment environment, NodeSettings settings);
    ~Node() = default;
    Node(const Node&) = delete;
    Node& operator=(const Node&) = delete;

    /// Reads the configuration. With an error all goes on as it was.
    [[nodiscard]] sys::Result<void> load();

    void kernel_event(const sys::KernelEvent& event);
    /// Events were lost, or the module came or went.
    void kernel_changed();
    void network_changed() { network_.network_changed(); }

    /// A request of braidadm; answered by the environment's answer(), perhaps at once.
    void ask(RequestId id, const std::string& line);

    /// For the service manager's status.
    [[nodiscard]] std::string summary() const;

  private:
    struct Running {
        config::NodeResource configured;
        ResourceSettings settings;
        std::unique_ptr<Resource> resource;
        /// Peers that were told to the member as up.
        std::set<membership::NodeId> up;
        bool held = false;
        /// The module's last state, and when it was taken.
        sys::ResourceView seen{};
        std::int64_t seen_ms = 0;
        std::set<membership::NodeId> forks;
    };
    struct Ids {
        membership::NodeId from = 0;
        membership::NodeId to = 0;

        bool operator==(const Ids&) const = default;
    };
    struct Waiting {
        RequestId request = 0;
        std::string resource;
    };
    using Pair = std::pair<std::string, std::string>;

    // node.cpp: what runs
    void settle_soon();
    void settle();
    [[nodiscard]] bool look_at_kernel();
    void apply_network();
    void load_standalone();
    void store_standalone();
    void load_drained();
    void forget_standalone();
    void start(const config::NodeResource& resource, const ResourceSettings& settings);
    void end(const std::string& name, const std::string& why);
    [[nodiscard]] const config::NodeResource* configured(const std::string& resource) const;
    void look_for_alarms();
    void alarms(const std::string& name, Running& running);

    // node.cpp: peers
    void peer_up(const std::string& peer);
    void peer_down(const std::string& peer);
    void peer_message(const std::string& peer, const std::string& text);
    void here(const std::string& peer, const PeerMessage& message);
    void meet(const std::string& peer, const std::string& resource);
    void part(const std::string& peer, const std::string& resource);
    void tell(const std::string& peer, const config::NodeResource& resource,
              PeerMessage::Kind kind);
    void send(const std::string& resource, membership::NodeId to, const membership::Bytes& bytes);

    // machine_glue.cpp: virtual machines
    [[nodiscard]] Machines::Environment machine_environment();
    [[nodiscard]] machine::View machine_view_of(const std::string& resource) const;
    void look_at_machines();
    void vm(RequestId id, const nlohmann::json& request, const config::NodeResource& resource);
    void member_command(const std::string& resource, membership::Command command,
                        Machines::Answered done);
    void send_machine(const std::string& resource, membership::NodeId to, const std::string& text);

    // requests.cpp: braidadm
    void command(RequestId id, const nlohmann::json& request, const config::NodeResource& resource);
    void reload(RequestId id);
    void drain(RequestId id, bool on);
    void connection(RequestId id, const nlohmann::json& request,
                    const config::NodeResource& resource, bool connect);
    void reply(const membership::Reply& reply);
    void refuse(RequestId id, const std::string& cause, const std::string& text);
    void accept(RequestId id);
    void answer(RequestId id, const nlohmann::json& answer);
    [[nodiscard]] nlohmann::json show(const std::string& only) const;
    [[nodiscard]] nlohmann::json show(const std::string& name, const Running* running) const;
    [[nodiscard]] nlohmann::json show_peers() const;

    Environment env_;
    NodeSettings settings_;
    /// This host's, from the configuration.
    std::vector<config::NodeResource> resources_;
    /// Names of the kernel's.
    std::set<std::string> present_;
    /// Those that were taken down since it was looked, and are up again perhaps.
    std::set<std::string> gone_;
    std::map<std::string, Running> running_;
    /// Of (peer, resource): what the peer said, while its member of the resource runs.
    std::map<Pair, Ids> here_;
    /// Of (resource, peer): disconnected by an administrator, until connected again or taken down.
    std::set<Pair> standalone_;
    /// By an administrator, until undone: this node becomes nobody's Primary.
    bool drained_ = false;
    /// What was journaled last about a subject that comes up again and again.
    std::map<std::string, std::string> said_;
    std::map<std::uint64_t, Waiting> waiting_;
    /// Commands that machines have given.
    std::map<std::uint64_t, Machines::Answered> commanded_;
    std::uint64_t next_command_ = 0;
    bool machines_due_ = false;
    bool settling_ = false;
    bool looking_ = false;
    sys::Timer settle_;
    sys::Timer alarms_;
    sys::Timer machine_timer_;
    Machines machines_;
    Network network_;
};

}  // namespace braid::satellite
