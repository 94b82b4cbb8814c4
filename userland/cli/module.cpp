// SPDX-License-Identifier: GPL-2.0-or-later
#include "cli/module.h"

#include <fmt/format.h>
#include <sys/epoll.h>

#include <algorithm>
#include <cerrno>
#include <optional>
#include <span>
#include <utility>

#include "cli/kernel_facts.h"

namespace braid::cli {

namespace {

namespace attr = netlink::attr;
namespace disk_state = netlink::enums::disk_state;
namespace op = netlink::op;
using config::Operation;
using Clock = sys::EventLoop::Clock;

/// Events can be lost, so the state itself is looked at this often.
constexpr std::chrono::seconds look_again{1};

std::string name_of(const Operation& operation) {
    for (const Operation::Attribute& attribute : operation.attributes) {
        if (const auto* name = std::get_if<std::string>(&attribute.value);
            name != nullptr && attribute.id == attr::resource::name) {
            return *name;
        }
    }
    return {};
}

/// Of an operation on a volume.
std::optional<std::uint32_t> volume_of(const Operation& operation) {
    for (const Operation::Attribute& attribute : operation.attributes) {
        if (attribute.id == attr::volume::volume &&
            operation.operation->attributes == &netlink::set::volume) {
            return std::get<std::uint32_t>(attribute.value);
        }
    }
    return std::nullopt;
}

std::uint64_t kind_of(const Operation& operation) {
    const auto& entries = netlink::enumeration::event_kind.entries;
    return std::ranges::find(entries, operation.awaits, &netlink::EnumEntry::name)->value;
}

bool is(const Operation& operation, const netlink::Operation& row) {
    return operation.operation->id == row.id;
}

std::string list(std::span<const Operation> operations) {
    std::string text;
    for (const Operation& operation : operations) {
        text += (text.empty() ? "" : "; ") + to_string(operation);
    }
    return text.empty() ? "nothing" : text;
}

Failure failed(const Operation& operation, std::string cause) {
    return {ExitCode::failure, to_string(operation), std::move(cause), {}};
}

static_assert(attr::resource::name == attr::volume::name);
static_assert(attr::resource::name == attr::peer::name);

}  // namespace

Attempt<std::unique_ptr<Module>> Module::open(const Context& context) {
    auto netlink = context.open_netlink();
    if (!netlink) {
        const sys::NetlinkError& error = netlink.error();
        return tl::unexpected(module_failure(
            "netlink", sys::ClientError{error.kind, error.number, error.cause(), {}}));
    }
    return std::unique_ptr<Module>(new Module(context, std::move(*netlink)));
}

Attempt<void> Module::subscribe() {
    if (events_ != nullptr) {
        return {};
    }
    auto events = context_.open_events();
    if (!events) {
        const sys::NetlinkError& error = events.error();
        return tl::unexpected(
            module_failure("events of the kernel module",
                           sys::ClientError{error.kind, error.number, error.cause(), {}}));
    }
    events_ = std::move(*events);
    // That something came is enough: who waits then takes it.
    loop_.watch(events_->fd(), EPOLLIN, [] {});
    return {};
}

sys::ClientResult<void> Module::start(const Operation& operation) {
    std::vector<sys::Argument> arguments;
    for (const Operation::Attribute& attribute : operation.attributes) {
        if (const auto* text = std::get_if<std::string>(&attribute.value)) {
            arguments.push_back({attribute.id, std::string_view(*text)});
        } else {
            arguments.push_back({attribute.id, std::get<std::uint32_t>(attribute.value)});
        }
    }
    return client_.run(*operation.operation, arguments);
}

Attempt<void> Module::run(const Operation& operation) {
    if (!operation.awaits.empty()) {
        if (auto subscribed = subscribe(); !subscribed) {
            return subscribed;
        }
    }
    const auto started = start(operation);
    if (!started) {
        const int number = started.error().number;
        // A disk that was leaving anyway, and one that is used as far as it goes.
        if ((is(operation, op::volume_detach) && number == ENODEV) ||
            (is(operation, op::volume_resize) && number == EALREADY)) {
            return {};
        }
        return tl::unexpected(module_failure(to_string(operation), started.error()));
    }
    return operation.awaits.empty() ? Attempt<void>() : await(operation);
}

Attempt<void> Module::run(const std::vector<Operation>& operations) {
    for (std::size_t i = 0; i < operations.size(); i++) {
        auto done = run(operations[i]);
        if (!done) {
            const std::span all(operations);
            Failure failure = std::move(done.error());
            failure.remedy += fmt::format(
                "{}Done before that: {}.\nNot done: {}.\n"
                "Remove the cause and run the same again: it goes on from here.",
                failure.remedy.empty() ? "" : "\n", list(all.first(i)), list(all.subspan(i + 1)));
            return tl::unexpected(std::move(failure));
        }
    }
    return {};
}

Attempt<void> Module::await(const Operation& operation) {
    const auto until = Clock::now() + context_.patience;
    Heard heard;
    for (;;) {
        listen(operation, heard);
        const auto ended = has_ended(operation, heard);
        if (!ended) {
            return tl::unexpected(ended.error());
        }
        if (*ended) {
            return {};
        }
        const auto left = until - Clock::now();
        if (left <= Clock::duration::zero()) {
            Failure failure = failed(
                operation, fmt::format("its end (event {}) did not come within {} s; the kernel "
                                       "goes on with it",
                                       operation.awaits,
                                       std::chrono::duration<double>(context_.patience).count()));
            failure.remedy =
                "A disk that does not answer may be the reason: see the kernel's log (dmesg).";
            return tl::unexpected(std::move(failure));
        }
        loop_.run_once(std::min<Clock::duration>(left, look_again));
    }
}

void Module::listen(const Operation& operation, Heard& heard) {
    // Whatever is lost is asked for in any case, so that is no error.
    const auto messages = events_->receive();
    if (!messages) {
        return;
    }
    for (const sys::NetlinkMessage& message : *messages) {
        const auto event = sys::decode_event(message);
        if (event && event->kind == kind_of(operation) && event->resource == name_of(operation) &&
            (!volume_of(operation) || event->volume == volume_of(operation))) {
            heard = {true, event->error, event->cause};
        }
    }
}

Attempt<bool> Module::has_ended(const Operation& operation, Heard& heard) {
    if (is(operation, op::resource_del)) {
        return is_gone(operation);
    }
    return is(operation, op::volume_resize) ? size_has_ended(operation, heard)
                                            : disk_has_ended(operation, heard);
}

/// The event comes a little before: then the name is not free yet.
Attempt<bool> Module::is_gone(const Operation& operation) {
    const auto resources = client_.resources();
    if (!resources) {
        return tl::unexpected(module_failure(to_string(operation), resources.error()));
    }
    return std::ranges::find(*resources, name_of(operation), &sys::ResourceState::name) ==
           resources->end();
}

Attempt<bool> Module::disk_has_ended(const Operation& operation, Heard& heard) {
    const auto volumes = client_.volumes(name_of(operation));
    if (!volumes) {
        return tl::unexpected(module_failure(to_string(operation), volumes.error()));
    }
    const auto volume = std::ranges::find_if(*volumes, [&](const sys::VolumeState& each) {
        return each.volume == volume_of(operation);
    });
    if (volume == volumes->end()) {
        return tl::unexpected(failed(operation, "the volume was removed meanwhile"));
    }
    const std::uint32_t state = volume->disk_state;
    if (is(operation, op::volume_detach)) {
        return state == disk_state::diskless;
    }
    if (state == disk_state::attaching || state == disk_state::attached) {
        return state == disk_state::attached;
    }
    // The event was sent before the state could be seen.
    listen(operation, heard);
    return tl::unexpected(
        failed(operation, heard.error != 0
                              ? heard.cause
                              : "the disk was not attached; the kernel's log (dmesg) says why"));
}

Attempt<bool> Module::size_has_ended(const Operation& operation, Heard& heard) {
    if (heard.ended) {
        return heard.error == 0 ? Attempt<bool>(true)
                                : tl::unexpected(failed(operation, heard.cause));
    }
    // There is no state that tells, but asking again does no harm.
    const auto again = start(operation);
    if (again || again.error().number == EBUSY) {
        return false;
    }
    if (again.error().number == EALREADY) {
        // Unless it has failed; then the event is here by now.
        listen(operation, heard);
        return heard.error == 0 ? Attempt<bool>(true)
                                : tl::unexpected(failed(operation, heard.cause));
    }
    return tl::unexpected(module_failure(to_string(operation), again.error()));
}

}  // namespace braid::cli
