// SPDX-License-Identifier: GPL-2.0-or-later
//
// A resource on this node: tells its member what happens, and does what the member says.
//
// It has a member only once its vote can be read: for a node with a disk, when that is attached.
// Everything is one thread; no callback of the environment may destroy the resource.
#pragma once

#include <chrono>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>

#include "membership/member.h"
#include "satellite/kernel_view.h"
#include "sys/braid_client.h"
#include "sys/event_loop.h"

namespace braid::satellite {

/// How a peer's replica, or this node's own, is resynced.
struct ResyncSettings {
    bool compare = false;
    std::uint64_t max_rate = 0;  ///< bytes per second; 0: no bound

    bool operator==(const ResyncSettings&) const = default;
};

struct ResourceSettings {
    std::string name{};
    membership::NodeId node = 0;
    membership::Role role = membership::Role::diskful;
    /// Of a node with disks: the volume whose metadata keeps the vote.
    std::uint32_t vote_volume = 0;
    /// How long after its volume its disk may come.
    std::chrono::milliseconds disk_wait{3000};
    /// Of a witness: the file that does.
    std::string vote_file{};
    membership::Options options{};
    std::map<membership::NodeId, ResyncSettings> resyncs{};  ///< by target; without: the defaults

    bool operator==(const ResourceSettings&) const = default;
};

class Resource {
  public:
    struct Environment {
        sys::EventLoop& loop;
        sys::BraidClient& kernel;
        std::function<membership::Moment()> moment;
        /// To a peer's member; what cannot be sent is lost.
        std::function<void(membership::NodeId to, const membership::Bytes&)> send;
        std::function<void(const membership::Reply&)> reply;
        /// Something that people should know of, about this resource.
        std::function<void(bool warning, const std::string& text)> journal;
        /// Runs the fence command for a node; `done` is called once, later, with what it promises.
        std::function<void(membership::NodeId node, std::function<void(bool ok)> done)> fence;
        /// The disk with the vote is there, after a member had begun without it: this is to be
        /// ended, and another one begun, as if the daemon had started anew; but not before this
        /// returns.
        std::function<void()> disk_is_back;
        /// The member has dealt with something: it may see things otherwise.
        std::function<void()> changed;
        /// The module's state of the resource, whenever it was looked at; may be empty.
        std::function<void(const sys::ResourceView& replies)> seen{};
    };

    Resource(Environment environment, ResourceSettings settings);
    ~Resource() = default;
    Resource(const Resource&) = delete;
    Resource& operator=(const Resource&) = delete;

    /// An event of the module that is about this resource.
    void kernel_event(const sys::KernelEvent& event);
    /// Events were lost: all is asked for anew, and what was waited for may have come.
    void events_lost();
    void peer_up(membership::NodeId node);
    void peer_down(membership::NodeId node);
    void peer_said(membership::NodeId node, const membership::Bytes& bytes);
    /// Refused at once by a reply while there is no member.
    void command(const membership::Command& command);
    /// Whether this node may become Primary by a command or because a device is opened. Before it
    /// has a member, too.
    void drain(bool on);
    /// The module is looked at anew; `seen` tells.
    void look_anew() { look_soon(); }
    /// As the target of a migration: asks the source's kernel for its token, without a write.
    void ask_token(std::uint64_t grant);

    /// Null while its vote cannot be read.
    [[nodiscard]] const membership::Member* member() const { return member_ ? &*member_ : nullptr; }
    /// Why there is no member; empty if there is one.
    [[nodiscard]] const std::string& why() const { return why_; }

  private:
    void look_soon();
    void look_later();
    void look();
    [[nodiscard]] std::optional<sys::ResourceView> ask();
    void begin();
    void begin_with(bool voter, const membership::Bytes& vote);
    void begin_without_disk();
    [[nodiscard]] sys::Result<membership::Bytes> stored_vote();
    void give(membership::Event event);
    void work();
    bool look_at_vote();
    void store(const membership::Bytes& vote);
    void vote_stored(bool ok);
    void check(const sys::ClientResult<void>& result, const netlink::Operation& operation);
    void run(const netlink::Operation& operation, const std::vector<sys::Argument>& arguments);

    void act(const membership::Configure& action);
    void act(const membership::Serve& action);
    void act(const membership::Demote& action);
    void act(const membership::SyncStart& action);
    void act(const membership::SyncJoin& action);
    void act(const membership::Migrate& action);
    void act(const membership::MigrateEnd& action);
    void act(const membership::RefuseOpens& action);
    void act(const membership::Send& action);
    void act(const membership::StoreVote& action);
    void act(const membership::SetTimer& action);
    void act(const membership::Fence& action);
    void act(const membership::Reply& action);
    void act(const membership::Journal& action);

    Environment env_;
    ResourceSettings settings_;
    std::optional<membership::Member> member_;
    /// It began without the disk that has its vote: it gives none.
    bool diskless_ = false;
    std::string why_;
    /// Peers that are up, for a member that begins later.
    std::set<membership::NodeId> peers_;
    std::deque<membership::Event> events_;
    bool working_ = false;
    /// What the module was last asked to store, until it has told how that went.
    std::optional<membership::Bytes> storing_;
    sys::Timer timer_;
    sys::Timer look_;
    sys::Timer disk_;
    bool looking_ = false;
    /// Fences that end after this is gone find nobody.
    std::shared_ptr<Resource*> self_;
};

}  // namespace braid::satellite
