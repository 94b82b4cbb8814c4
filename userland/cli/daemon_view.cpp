// SPDX-License-Identifier: GPL-2.0-or-later
#include "cli/daemon_view.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "cli/daemon.h"

namespace braid::cli {

namespace {

/// For what is only shown waiting would be worse than not to know.
constexpr std::chrono::seconds show_patience{2};

using Json = nlohmann::json;

// Each throws Json::exception where a value has another type; ask_daemon_view() catches that.

/// A member of an object, or `otherwise` where it is not there or null.
template <class T>
T get(const Json& from, const char* name, T otherwise) {
    const auto found = from.find(name);
    return found == from.end() || found->is_null() ? std::move(otherwise) : found->get<T>();
}

std::string text(const Json& from, const char* name) {
    return get<std::string>(from, name, {});
}

DaemonReason reason(const Json& from, const char* name) {
    const auto object = get<Json>(from, name, Json::object());
    return {get<std::string>(object, "cause", "none"), text(object, "text")};
}

DaemonMember member(const Json& from) {
    return {.name = text(from, "name"),
            .node = get<std::uint32_t>(from, "node-id", 0),
            .role = text(from, "role"),
            .in_sync = get<bool>(from, "in-sync", false),
            .joined = get<std::uint64_t>(from, "joined", 0),
            .up = get<bool>(from, "up", false),
            .votes = get<bool>(from, "votes", false),
            .diskful = get<bool>(from, "diskful", false),
            .suspect = get<bool>(from, "suspect", false),
            .epoch = get<std::uint64_t>(from, "epoch", 0)};
}

DaemonAncestor ancestor(const Json& from) {
    return {.lineage = text(from, "lineage"),
            .epoch = get<std::uint64_t>(from, "epoch", 0),
            .id = text(from, "id"),
            .ended = get<std::int64_t>(from, "ended", 0),
            .complete = get<bool>(from, "complete", false),
            .discarded = get<bool>(from, "discarded", false)};
}

DaemonFork fork(const Json& from) {
    return {.name = text(from, "name"),
            .relation = text(from, "relation"),
            .lineage = text(from, "lineage"),
            .epoch = get<std::uint64_t>(from, "epoch", 0),
            .age_ms = get<std::int64_t>(from, "age-ms", 0),
            .ours = get<std::uint64_t>(from, "ours", 0),
            .theirs = get<std::uint64_t>(from, "theirs", 0)};
}

template <class T>
std::vector<T> list(const Json& from, const char* name, T (*convert)(const Json&)) {
    std::vector<T> values;
    for (const Json& each : get<Json::array_t>(from, name, {})) {
        static_cast<void>(each.get_ref<const Json::object_t&>());  // it must be one
        values.push_back(convert(each));
    }
    return values;
}

DaemonResource resource_of(const Json& from) {
    DaemonResource made{.name = text(from, "name"),
                        .node = get<std::uint32_t>(from, "node-id", 0),
                        .role = text(from, "role"),
                        .ready = get<bool>(from, "ready", false),
                        .why = text(from, "why"),
                        .lineage = text(from, "lineage"),
                        .epoch = get<std::uint64_t>(from, "epoch", 0),
                        .id = text(from, "id"),
                        .promotion = reason(from, "promotion"),
                        .held = reason(from, "held"),
                        .members = list(from, "members", &member),
                        .forks = list(from, "forks", &fork),
                        .history = list(from, "history", &ancestor)};
    if (const auto writer = from.find("writer"); writer != from.end() && !writer->is_null()) {
        made.writer = writer->get<std::string>();
    }
    return made;
}

DaemonPeer peer_of(const Json& from) {
    return {.name = text(from, "name"),
            .connected = get<bool>(from, "connected", false),
            .why = text(from, "why"),
            .address = text(from, "address")};
}

DaemonRefusal refusal(const Json& from) {
    return {.address = text(from, "address"),
            .node = text(from, "node"),
            .why = text(from, "why"),
            .count = get<std::uint64_t>(from, "count", 0),
            .last = get<std::int64_t>(from, "last", 0)};
}

template <class T>
const T* find_name(const std::vector<T>& all, const std::string& name) {
    const auto found = std::ranges::find(all, name, &T::name);
    return found == all.end() ? nullptr : &*found;
}

}  // namespace

const DaemonResource* DaemonView::resource(const std::string& name) const {
    return find_name(resources, name);
}

const DaemonPeer* DaemonView::peer(const std::string& name) const {
    return find_name(peers, name);
}

sys::Result<DaemonView, Failure> ask_daemon_view(const Context& context) {
    const auto answer = ask_daemon(context, {{"verb", "show"}}, show_patience);
    if (!answer) {
        return tl::unexpected(answer.error());
    }
    try {
        if (!answer->at("ok").get<bool>()) {
            return tl::unexpected(Failure{ExitCode::refused,
                                          "braid-satellite",
                                          answer->value("text", "refused, without a reason"),
                                          {}});
        }
        return DaemonView{.node = text(*answer, "node"),
                          .resources = list(*answer, "resources", &resource_of),
                          .peers = list(*answer, "peers", &peer_of),
                          .refusals = list(*answer, "refusals", &refusal)};
    } catch (const Json::exception& error) {
        return tl::unexpected(Failure{ExitCode::failure, "braid-satellite",
                                      std::string("its answer makes no sense: ") + error.what(),
                                      "Use braidadm and braid-satellite of the same version."});
    }
}

}  // namespace braid::cli
