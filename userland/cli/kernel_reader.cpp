// SPDX-License-Identifier: GPL-2.0-or-later
#include "cli/kernel_reader.h"

#include <fmt/format.h>
#include <poll.h>

#include <algorithm>
#include <cerrno>
#include <map>
#include <utility>

#include "cli/configuration.h"
#include "cli/kernel_facts.h"

namespace braid::cli {

namespace {

using sys::ClientError;
using Kind = sys::NetlinkError::Kind;

Failure about_module(const ClientError& error) {
    return module_failure("kernel module braid", error);
}

Failure about_module(const sys::NetlinkError& error) {
    return about_module(ClientError{error.kind, error.number, error.cause(), {}});
}

std::optional<Failure> not_loaded(const Context& context) {
    const auto version = context.module.loaded_version();
    if (!version) {
        return Failure{ExitCode::failure, "kernel module braid", version.error().message, {}};
    }
    if (*version) {
        return std::nullopt;
    }
    return Failure{
        ExitCode::module_not_loaded, "kernel module braid", "not loaded",
        "Load it with 'modprobe braid'; 'braidadm version' says whether it is installed."};
}

/// False: it was not until `until`.
sys::Result<bool, Failure> wait_readable(int fd,
                                         std::optional<KernelWatch::Clock::time_point> until) {
    while (true) {
        int patience = -1;
        if (until) {
            const auto left =
                std::chrono::ceil<std::chrono::milliseconds>(*until - KernelWatch::Clock::now());
            patience = static_cast<int>(std::clamp<std::int64_t>(left.count(), 0, 1'000'000'000));
        }
        pollfd waiting{.fd = fd, .events = POLLIN, .revents = 0};
        const int ready = poll(&waiting, 1, patience);
        if (ready > 0) {
            return true;
        }
        if (ready < 0 && errno != EINTR) {
            return tl::unexpected(about_module(
                sys::NetlinkError{Kind::transport, errno, "its events cannot be waited for", {}}));
        }
        if (until && KernelWatch::Clock::now() >= *until) {
            return false;
        }
    }
}

}  // namespace

sys::Result<KernelReader, Failure> KernelReader::open(const Context& context) {
    if (auto failure = not_loaded(context)) {
        return tl::unexpected(std::move(*failure));
    }
    auto netlink = context.open_netlink();
    if (!netlink) {
        return tl::unexpected(about_module(netlink.error()));
    }
    return KernelReader(std::move(*netlink));
}

sys::Result<std::vector<ResourceView>, Failure> KernelReader::read(const std::string& resource) {
    auto views = client_->views(resource);
    if (!views) {
        return tl::unexpected(about_module(views.error()));
    }
    return std::move(views->resources);
}

sys::Result<KernelWatch, Failure> KernelWatch::open(const Context& context) {
    if (auto failure = not_loaded(context)) {
        return tl::unexpected(std::move(*failure));
    }
    auto events = context.open_events();
    if (!events) {
        return tl::unexpected(about_module(events.error()));
    }
    return KernelWatch(std::move(*events));
}

sys::Result<std::optional<KernelWatch::Batch>, Failure> KernelWatch::wait(
    std::optional<Clock::time_point> until) {
    while (true) {
        const auto ready = wait_readable(events_->fd(), until);
        if (!ready) {
            return tl::unexpected(ready.error());
        }
        if (!*ready) {
            return std::nullopt;
        }
        const auto messages = events_->receive();
        if (!messages && messages.error().kind == Kind::lost) {
            return Batch{.lost = true};
        }
        if (!messages) {
            return tl::unexpected(about_module(messages.error()));
        }
        Batch batch;
        for (const auto& message : *messages) {
            auto event = decode_event(message);
            if (!event) {
                return tl::unexpected(about_module(event.error()));
            }
            batch.events.push_back(std::move(*event));
        }
        if (!batch.events.empty()) {
            return batch;
        }
    }
}

NodeName node_names(const std::string& config_file) {
    std::map<std::pair<std::string, std::uint32_t>, std::string> names;
    for (const auto& resource : read_config(config_file).config.resources) {
        for (const auto& host : resource.hosts) {
            names[{resource.name, host.node_id}] = host.name;
        }
    }
    return [names = std::move(names)](const std::string& resource, std::uint32_t node) {
        const auto found = names.find({resource, node});
        return found == names.end() ? fmt::format("node-{}", node) : found->second;
    };
}

}  // namespace braid::cli
