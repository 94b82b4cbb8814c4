// SPDX-License-Identifier: GPL-2.0-or-later
//
// The members of drbdsetup's status, where Braid can fill them, and its own beside them.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <ostream>

#include "cli/status_report.h"

namespace braid::cli {

namespace {

using Json = nlohmann::ordered_json;
namespace enumeration = netlink::enumeration;

/// Monitors expect KiB where the names are drbdsetup's.
std::uint64_t kib(std::uint64_t bytes) {
    return bytes / 1024;
}

double hundredths(double percent) {
    return std::floor(percent * 100.0) / 100.0;  // down: 99.999 is not 100 yet
}

Json reason(const DaemonReason& why) {
    return {{"cause", why.cause}, {"text", why.text}};
}

/// Whether this node has what it takes to be, or to stay, the writer: the daemon's word.
std::optional<bool> quorum(const DaemonResource* daemon) {
    if (daemon == nullptr) {
        return std::nullopt;
    }
    return daemon->promotion.cause != "no-quorum" && daemon->held.cause != "no-quorum";
}

Json device(const DeviceStatus& status, std::optional<bool> quorum) {
    Json json{
        {"volume", status.volume}, {"minor", status.minor}, {"disk-state", status.disk},
        {"client", status.client}, {"open", status.open},
    };
    if (quorum) {
        json["quorum"] = *quorum;
    }
    json["size"] = kib(status.size);
    return json;
}

Json progress(const sys::SyncProgress& sync) {
    Json json{
        {"state", enum_name(enumeration::sync_state, sync.state)},
        {"total", sync.total},
        {"left", sync.left},
        {"same", sync.same},
        {"rate", sync.rate},
        {"differing", sync.differing},
    };
    if (sync.seconds_left) {
        json["seconds-left"] = *sync.seconds_left;
    }
    if (!sync.waits_for.empty()) {
        json["waits-for"] = sync.waits_for;
    }
    return json;
}

Json peer_device(const PeerDeviceStatus& status, const std::optional<sys::SyncProgress>& sync) {
    Json json{
        {"volume", status.volume},
        {"replication-state", status.replication},
        {"peer-disk-state", status.disk},
        {"peer-client", status.client},
        {"resync-suspended", status.resync_suspended ? "user" : "no"},
    };
    if (status.out_of_sync) {
        json["out-of-sync"] = kib(*status.out_of_sync + 1023);
    }
    if (status.percent_in_sync) {
        json["percent-in-sync"] = hundredths(*status.percent_in_sync);
    }
    if (sync && sync->total > 0) {
        json["done"] = hundredths(percent_done(*sync));
        if (sync->seconds_left) {
            json["estimated-seconds-to-finish"] = *sync->seconds_left;
        }
    }
    return json;
}

Json connection(const ConnectionStatus& status, const DaemonView* daemon) {
    Json json{
        {"peer-node-id", status.node},
        {"name", status.name},
        {"connection-state", status.state},
        {"peer-role", status.role},
        {"tls", status.tls},
        {"streams", status.kernel.stream_count},
        {"epoch", status.kernel.epoch},
        {"suspect", status.kernel.suspect},
        {"lease-ms", status.kernel.lease_ms},
    };
    const auto* peer = daemon == nullptr ? nullptr : daemon->peer(status.name);
    if (peer != nullptr) {
        json["control"] = {
            {"connected", peer->connected}, {"why", peer->why}, {"address", peer->address}};
    }
    if (status.sync) {
        json["sync"] = progress(*status.sync);
    }
    json["peer_devices"] = Json::array();
    for (const auto& each : status.devices) {
        json["peer_devices"].push_back(peer_device(each, status.sync));
    }
    return json;
}

/// What the daemon says of a resource, also of one that only has this node's vote.
void add_daemon(Json& json, const DaemonResource& daemon) {
    json["ready"] = daemon.ready;
    if (!daemon.ready) {
        json["why"] = daemon.why;
    }
    json["promotion"] = reason(daemon.promotion);
    json["held"] = reason(daemon.held);
    json["members"] = Json::array();
    for (const auto& each : daemon.members) {
        json["members"].push_back({{"name", each.name},
                                   {"node-id", each.node},
                                   {"role", each.role},
                                   {"in-sync", each.in_sync},
                                   {"up", each.up},
                                   {"votes", each.votes},
                                   {"suspect", each.suspect}});
    }
    json["forks"] = Json::array();
    for (const auto& each : daemon.forks) {
        json["forks"].push_back({{"name", each.name},
                                 {"relation", each.relation},
                                 {"epoch", each.epoch},
                                 {"age-ms", each.age_ms},
                                 {"ours", each.ours},
                                 {"theirs", each.theirs}});
    }
}

Json resource(const ResourceStatus& status, const DaemonView* daemon) {
    const auto* known = daemon == nullptr ? nullptr : daemon->resource(status.name);
    const auto& kernel = status.kernel;
    Json json{
        {"name", status.name},
        {"node-id", status.node},
        {"role", status.role},
        {"suspended", status.suspended},
        {"suspended-user", kernel.suspended},
    };
    if (known != nullptr) {
        json["suspended-quorum"] = status.suspended && known->held.cause == "no-quorum";
    }
    json["force-io-failures"] = status.failing;
    json["service"] = enum_name(enumeration::service, kernel.service);
    json["reason"] = kernel.reason;
    json["requests-held"] = kernel.held;
    json["epoch"] = kernel.config ? Json(kernel.config->epoch) : Json();
    json["writer"] = status.writer ? Json(*status.writer) : Json();
    json["adopting"] = kernel.adopting;
    json["suspect"] = kernel.suspect;
    json["lease-ms"] = kernel.lease_ms;
    json["migration"] = enum_name(enumeration::migration, kernel.migration);
    if (status.own_sync) {
        json["sync"] = progress(*status.own_sync);
    }
    json["devices"] = Json::array();
    for (const auto& each : status.devices) {
        json["devices"].push_back(device(each, quorum(known)));
    }
    json["connections"] = Json::array();
    for (const auto& each : status.connections) {
        json["connections"].push_back(connection(each, daemon));
    }
    if (known != nullptr) {
        add_daemon(json, *known);
    }
    return json;
}

Json witness(const DaemonResource& daemon) {
    Json json{{"name", daemon.name},
              {"node-id", daemon.node},
              {"role", "Witness"},
              {"epoch", daemon.epoch},
              {"writer", daemon.writer ? Json(*daemon.writer) : Json()},
              {"devices", Json::array()},
              {"connections", Json::array()}};
    add_daemon(json, daemon);
    return json;
}

}  // namespace

void print_status_json(std::ostream& out, const StatusReport& report) {
    const auto* daemon = report.daemon ? &*report.daemon : nullptr;
    Json document = Json::array();
    for (const auto& each : report.resources) {
        document.push_back(resource(each, daemon));
    }
    for (const auto& each : report.witnesses) {
        document.push_back(witness(each));
    }
    out << document.dump(2, ' ', false, Json::error_handler_t::replace) << '\n';
}

std::string enum_name(const netlink::Enum& values, std::uint64_t value) {
    const auto found = std::ranges::find(values.entries, value, &netlink::EnumEntry::value);
    return found == values.entries.end() ? fmt::format("{}", value) : std::string(found->name);
}

}  // namespace braid::cli
