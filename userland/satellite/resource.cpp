// SPDX-License-Identifier: GPL-2.0-or-later
#include "satellite/resource.h"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <span>
#include <utility>

#include "sys/file_content.h"
#include "sys/netlink_gen.h"

namespace braid::satellite {

namespace {

namespace attr = netlink::attr;
namespace enums = netlink::enums;
namespace op = netlink::op;
using membership::Bytes;
using membership::Role;
using std::chrono::milliseconds;

/// The module is asked again after this where it failed, or changed all the time.
constexpr milliseconds look_again{200};

constexpr mode_t vote_mode = 0600;

}  // namespace

Resource::Resource(Environment environment, ResourceSettings settings)
    : env_(std::move(environment)),
      settings_(std::move(settings)),
      why_("its vote was not read yet"),
      timer_(env_.loop),
      look_(env_.loop),
      disk_(env_.loop),
      self_(std::make_shared<Resource*>(this)) {
    look_soon();
}

// ---- what happens ----

void Resource::kernel_event(const sys::KernelEvent& event) {
    if (event.kind == enums::event_kind::vote && event.volume == settings_.vote_volume &&
        storing_) {
        if (event.error != 0) {
            vote_stored(false);
        } else {
            look_at_vote();
        }
    }
    look_soon();
}

/// The event about a vote may be among what was lost. Stored again, one comes.
void Resource::events_lost() {
    if (storing_ && !look_at_vote()) {
        store(Bytes(*storing_));
    }
    look_soon();
}

/// What is durable tells: an event may be about a vote of a daemon that ran before this one. True
/// if nothing is waited for any more.
bool Resource::look_at_vote() {
    const auto vote = env_.kernel.vote_get(settings_.name, settings_.vote_volume);
    if (!vote) {
        vote_stored(false);
    } else if (std::ranges::equal(*vote, std::as_bytes(std::span(*storing_)))) {
        vote_stored(true);
    }
    return !storing_;
}

void Resource::peer_up(membership::NodeId node) {
    peers_.insert(node);
    give(membership::PeerUp{node});
}

void Resource::peer_down(membership::NodeId node) {
    peers_.erase(node);
    give(membership::PeerDown{node});
}

void Resource::peer_said(membership::NodeId node, const Bytes& bytes) {
    give(membership::PeerBytes{node, bytes});
}

void Resource::command(const membership::Command& command) {
    if (member_) {
        give(command);
        return;
    }
    env_.reply({.command = command.number,
                .cause = membership::Cause::kernel_refused,
                .nodes = {},
                .text = fmt::format("resource {} is not ready: {}", settings_.name, why_)});
}

void Resource::drain(bool on) {
    settings_.options.drained = on;
    give(membership::Drained{on});
}

// ---- the module's state ----

/// Once for all events that came together.
void Resource::look_soon() {
    if (looking_) {
        return;
    }
    looking_ = true;
    look_.start(milliseconds(0), [this] {
        looking_ = false;
        look();
    });
}

void Resource::look_later() {
    looking_ = true;
    look_.start(look_again, [this] {
        looking_ = false;
        look();
    });
}

void Resource::look() {
    begin();
    if (settings_.role == Role::witness) {
        // Of its file there are no events.
        if (!member_) {
            look_later();
        }
        return;
    }
    if (!member_) {
        return;
    }
    const std::optional<sys::ResourceView> replies = ask();
    if (!replies) {
        look_later();
        return;
    }
    if (env_.seen) {
        env_.seen(*replies);
    }
    give(replies->resource.name.empty() ? membership::KernelView{} : view_of(*replies));
}

/// All of the resource, with nothing changed in between; nothing if that cannot be had now. Its
/// name is empty if it is not there.
std::optional<sys::ResourceView> Resource::ask() {
    auto views = env_.kernel.views(settings_.name);
    if (!views || !views->settled) {
        return std::nullopt;
    }
    return views->resources.empty() ? sys::ResourceView{} : std::move(views->resources.front());
}

// ---- the member ----

/// The vote as it was stored last; empty before the first.
sys::Result<Bytes> Resource::stored_vote() {
    Bytes bytes;
    if (settings_.role == Role::witness) {
        const auto content = sys::read_file(settings_.vote_file);
        if (!content && content.error().number != ENOENT) {
            return tl::unexpected(content.error());
        }
        if (content) {
            bytes.assign(content->begin(), content->end());
        }
    } else if (settings_.role == Role::diskful) {
        const auto vote = env_.kernel.vote_get(settings_.name, settings_.vote_volume);
        if (!vote) {
            return tl::unexpected(sys::Error{
                vote.error().number, fmt::format("the vote of volume {} cannot be read: {}",
                                                 settings_.vote_volume, vote.error().cause)});
        }
        for (const std::byte each : *vote) {
            bytes.push_back(std::to_integer<std::uint8_t>(each));
        }
    }
    return bytes;
}

void Resource::begin() {
    if (member_ && !diskless_) {
        return;
    }
    const auto vote = stored_vote();
    if (vote && member_) {
        env_.disk_is_back();
    } else if (vote) {
        disk_.stop();
        begin_with(settings_.role != Role::diskless, *vote);
    } else if (!member_ && why_ != vote.error().message) {
        why_ = vote.error().message;
        env_.journal(true, why_);
        if (vote.error().number == ENODEV) {
            disk_.start(settings_.disk_wait, [this] { begin_without_disk(); });
        }
    }
}

/// As a diskless member. The register goes on counting on the vote that is on the disk, as while
/// this node is away, so that nothing is promised twice.
void Resource::begin_without_disk() {
    if (member_) {
        return;
    }
    env_.journal(true, "the disk with its vote is away: this node goes on without either");
    diskless_ = true;
    begin_with(false, {});
    look_soon();
}

void Resource::begin_with(bool voter, const Bytes& vote) {
    why_.clear();
    member_.emplace(settings_.node, voter, settings_.options, vote, env_.moment());
    if (settings_.role == Role::witness) {
        give(membership::KernelView{});
    }
    for (const membership::NodeId node : peers_) {
        give(membership::PeerUp{node});
    }
    give(membership::TimerExpired{});
}

void Resource::give(membership::Event event) {
    if (!member_) {
        return;
    }
    events_.push_back(std::move(event));
    work();
}

/// One event after the other: what is done about one may cause another.
void Resource::work() {
    if (working_) {
        return;
    }
    working_ = true;
    while (!events_.empty()) {
        const membership::Event event = std::move(events_.front());
        events_.pop_front();
        for (const membership::Action& action : member_->handle(env_.moment(), event)) {
            std::visit([this](const auto& each) { act(each); }, action);
        }
    }
    working_ = false;
    env_.changed();
}

void Resource::vote_stored(bool ok) {
    storing_.reset();
    give(membership::VoteStored{ok});
}

// ---- what is done ----

void Resource::check(const sys::ClientResult<void>& result, const netlink::Operation& operation) {
    if (result) {
        return;
    }
    // Asked once more while it is still at it, or has others to wait for.
    const int number = result.error().number;
    if ((&operation == &op::resource_serve && number == EBUSY) ||
        (&operation == &op::sync_start && number == EINPROGRESS)) {
        return;
    }
    give(membership::KernelRefused{
        .what = fmt::format("{}: {}", operation.name, result.error().cause),
        .open = &operation == &op::resource_demote && number == EBUSY});
}

void Resource::run(const netlink::Operation& operation,
                   const std::vector<sys::Argument>& arguments) {
    check(env_.kernel.run(operation, arguments), operation);
}

void Resource::act(const membership::Configure& action) {
    check(env_.kernel.configure(settings_.name, config_of(action.value), action.common),
          op::resource_configure);
}

void Resource::act(const membership::Serve& action) {
    run(op::resource_serve, {{attr::resource::name, settings_.name},
                             {attr::resource::epoch, action.epoch},
                             {attr::resource::reference, action.reference}});
}

void Resource::act(const membership::Demote& action) {
    std::vector<sys::Argument> arguments{{attr::resource::name, settings_.name}};
    if (action.force) {
        arguments.push_back({attr::resource::force, {}});
    }
    run(op::resource_demote, arguments);
}

void Resource::act(const membership::SyncStart& action) {
    std::vector<sys::Argument> arguments{{attr::peer::name, settings_.name},
                                         {attr::peer::node_id, action.node}};
    const auto resync = settings_.resyncs.find(action.node);
    if (resync != settings_.resyncs.end()) {
        if (resync->second.compare) {
            arguments.push_back({attr::peer::compare, {}});
        }
        arguments.push_back({attr::peer::max_rate, resync->second.max_rate});
    }
    run(op::sync_start, arguments);
}

void Resource::act(const membership::SyncJoin& action) {
    run(op::sync_join, {{attr::peer::name, settings_.name}, {attr::peer::node_id, action.node}});
}

void Resource::act(const membership::Migrate& action) {
    run(op::resource_migrate, {{attr::resource::name, settings_.name},
                               {attr::resource::epoch, action.epoch},
                               {attr::resource::target, action.target},
                               {attr::resource::grant, action.grant},
                               {attr::resource::deadline_ms, action.deadline_ms}});
}

void Resource::act(const membership::MigrateEnd& action) {
    run(op::migrate_end,
        {{attr::resource::name, settings_.name}, {attr::resource::grant, action.grant}});
}

void Resource::act(const membership::RefuseOpens& /*action*/) {
    run(op::resource_refuse_opens, {{attr::resource::name, settings_.name}});
}

void Resource::act(const membership::Send& action) {
    env_.send(action.to, action.bytes);
}

void Resource::act(const membership::StoreVote& action) {
    if (settings_.role == Role::witness) {
        const auto written =
            sys::write_file(settings_.vote_file,
                            std::string_view(reinterpret_cast<const char*>(action.bytes.data()),
                                             action.bytes.size()),
                            vote_mode, sys::Existing::replace);
        if (!written) {
            env_.journal(true, written.error().message);
        }
        give(membership::VoteStored{written.has_value()});
        return;
    }
    store(action.bytes);
}

void Resource::store(const Bytes& vote) {
    storing_ = vote;
    const auto begun =
        env_.kernel.vote_set(settings_.name, settings_.vote_volume, std::as_bytes(std::span(vote)));
    if (!begun) {
        env_.journal(true, fmt::format("the vote of volume {} cannot be stored: {}",
                                       settings_.vote_volume, begun.error().cause));
        vote_stored(false);
    }
}

void Resource::act(const membership::SetTimer& action) {
    timer_.start(milliseconds(action.after_ms), [this] { give(membership::TimerExpired{}); });
}

void Resource::act(const membership::Fence& action) {
    env_.fence(action.node, [weak = std::weak_ptr(self_), node = action.node](bool ok) {
        if (const auto self = weak.lock()) {
            (*self)->give(membership::Fenced{node, ok});
        }
    });
}

void Resource::act(const membership::Reply& action) {
    env_.reply(action);
}

void Resource::act(const membership::Journal& action) {
    env_.journal(action.warning, action.text);
}

}  // namespace braid::satellite
