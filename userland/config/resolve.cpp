// SPDX-License-Identifier: GPL-2.0-or-later
//
// From what was written to what it means: names become members, options are
// inherited, and what does not fit together is found.
#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>
#include <utility>

#include "config/draft.h"
#include "config/nearest.h"
#include "sys/netlink_gen.h"

namespace braid::config {

namespace {

constexpr std::size_t members_max = netlink::node_max + 1;

void inherit(const std::vector<Setting>& written, Settings& settings) {
    for (const Setting& setting : written) {
        if (setting.option->set != nullptr) {
            setting.option->set(settings, setting.value);
        }
    }
}

/// Where an option of a resource was set, also if that was in common.
Place place_of(const Draft& draft, const DraftResource& resource, std::string_view option) {
    for (const auto* written : {&resource.settings, &draft.common}) {
        for (const Setting& setting : *written) {
            if (setting.option->name == option) {
                return setting.place;
            }
        }
    }
    return resource.place;
}

/// Where the disk of a volume is said, or its pool.
Place disk_place(const DraftVolume& own, const DraftVolume& common, const Place& otherwise) {
    for (const DraftVolume* each : {&own, &common}) {
        if (each->disk || each->pool) {
            return each->disk ? each->disk->place : each->pool->place;
        }
    }
    return otherwise;
}

class Resolver {
  public:
    explicit Resolver(Draft& draft) : draft_(draft) {}

    Config run() {
        Config config;
        for (const DraftPool& pool : draft_.pools) {
            resolve_pool(pool);
        }
        for (const auto& [name, pool] : pools_) {
            config.pools.push_back(pool.value);
        }
        for (const DraftResource& resource : draft_.resources) {
            config.resources.push_back(resolve(resource));
        }
        return config;
    }

  private:
    void resolve_pool(const DraftPool& draft);
    void resolve_replica(const DraftResource& draft, const DraftHost& host, const DraftVolume& own,
                         const DraftVolume& common, Volume& volume);
    Resource resolve(const DraftResource& draft);
    void check_options(const DraftResource& draft, const Resource& resource);
    void check_quorum(const DraftResource& draft, const Resource& resource);
    void resolve_hosts(const DraftResource& draft, Resource& resource);
    Host resolve_host(const DraftResource& draft, const DraftHost& written);
    void check_node_ids(const DraftResource& draft);
    void check_address(const Placed<Address>& address, const std::string& host);
    std::vector<Volume> resolve_volumes(const DraftResource& draft, const DraftHost& host);
    Volume resolve_volume(const DraftResource& draft, const DraftHost& host, const DraftVolume& own,
                          const DraftVolume& common);
    void resolve_links(const DraftResource& draft, Resource& resource);
    void check_families(const DraftResource& draft, const Resource& resource);
    Connection resolve_link(const DraftLink& link, const Resource& resource);
    std::optional<std::uint32_t> member(const DraftEnd& end, const Resource& resource);
    std::vector<std::uint32_t> members(const std::vector<DraftEnd>& ends, const Resource& resource);
    std::optional<Path> resolve_path(const std::vector<DraftEnd>& ends, const Place& place,
                                     const Connection& connection, const Resource& resource);

    void fail(const Place& place, std::string_view word, std::string message) {
        draft_.report(place, word, std::move(message));
    }
    /// For what is not there, though it might be in a part that could not be read.
    void missing(const DraftResource& resource, const Place& place, std::string_view word,
                 std::string message) {
        if (!resource.damaged) {
            fail(place, word, std::move(message));
        }
    }
    [[nodiscard]] std::string at(const Place& place) const {
        return fmt::format("{}:{}", draft_.files[place.file], place.line);
    }

    Draft& draft_;
    std::map<std::string, Placed<Pool>> pools_;
    std::map<std::string, Place> names_;
    std::map<std::pair<std::string, std::uint32_t>, Place> minors_;  ///< host, minor
    std::map<std::pair<std::string, std::string>, Place> disks_;     ///< host, path
    std::map<std::string, std::pair<std::string, Place>> ips_;       ///< host of an address
    std::map<std::string, std::pair<std::uint16_t, Place>> ports_;   ///< port of a host
    std::size_t volumes_ = 0;
};

void Resolver::resolve_pool(const DraftPool& draft) {
    if (!draft.pool) {
        fail(draft.name.place, draft.name.value,
             "has no storage; add 'lvmthin VG/LV;', 'lvm VG;', 'zfsthin POOL;' or 'zfs POOL;'");
        return;
    }
    const auto [first, is_new] =
        pools_.emplace(draft.name.value, Placed<Pool>{draft.pool->value, draft.name.place});
    if (!is_new) {
        fail(draft.name.place, draft.name.value,
             fmt::format("is given twice, first in {}", at(first->second.place)));
    }
}

Resource Resolver::resolve(const DraftResource& draft) {
    Resource resource{.name = draft.name};
    if (const auto [first, is_new] = names_.emplace(draft.name, draft.place); !is_new) {
        fail(draft.place, draft.name,
             fmt::format("is given twice, first in {}", at(first->second)));
    }
    inherit(draft_.common, resource.settings);
    inherit(draft.settings, resource.settings);
    resolve_hosts(draft, resource);
    resolve_links(draft, resource);
    check_families(draft, resource);
    check_options(draft, resource);
    check_quorum(draft, resource);
    return resource;
}

void Resolver::check_options(const DraftResource& draft, const Resource& resource) {
    const ResourceOptions& options = resource.settings.options;
    const NetOptions& net = resource.settings.net;
    if (net.request_timeout < net.timeout) {
        fail(place_of(draft_, draft, "request-timeout"), "request-timeout",
             fmt::format("is {} ms, less than the timeout of {} ms: expected as much at least",
                         net.request_timeout.count(), net.timeout.count()));
    }
    if (options.promote_after.count() != 0 && options.promote_after < options.lease) {
        fail(place_of(draft_, draft, "promote-after"), "promote-after",
             fmt::format("is {} ms, less than the lease of {} ms: expected as much at least",
                         options.promote_after.count(), options.lease.count()));
    }
}

void Resolver::check_quorum(const DraftResource& draft, const Resource& resource) {
    const Settings& settings = resource.settings;
    if (settings.options.quorum != Quorum::off) {
        return;
    }
    const Place place = place_of(draft_, draft, "quorum");
    const auto voters = std::ranges::count_if(
        resource.hosts, [](const Host& host) { return host.witness || host.diskful(); });
    if (voters != 2) {
        missing(draft, place, "quorum",
                fmt::format("is off, but {} has {} voters: off is for two; remove it", draft.name,
                            voters));
    } else if (settings.handlers.fence_peer.empty()) {
        missing(draft, place, "quorum",
                fmt::format("is off, but {} has no handler 'fence-peer', without which both nodes "
                            "could go on alone; add one, or a witness",
                            draft.name));
    } else {
        draft_.report(
            place, "quorum",
            fmt::format("is off: {} depends on its handler 'fence-peer' to have one writer",
                        draft.name),
            Diagnostic::Severity::warning);
    }
}

// ---- hosts ----

void Resolver::resolve_hosts(const DraftResource& draft, Resource& resource) {
    if (draft.hosts.size() > members_max) {
        fail(draft.hosts[members_max].place, draft.hosts[members_max].name,
             fmt::format("is one too many: {} has more than {} members", draft.name, members_max));
        return;
    }
    check_node_ids(draft);
    std::map<std::string_view, Place> names;
    for (const DraftHost& host : draft.hosts) {
        if (const auto [first, is_new] = names.emplace(host.name, host.place); !is_new) {
            fail(host.place, host.name,
                 fmt::format("is a member of {} already, in line {}", draft.name,
                             first->second.line));
            continue;
        }
        // Bounded, whatever the number of hosts and volumes.
        volumes_ += draft.volumes.size() + host.volumes.size();
        if (volumes_ > volumes_max) {
            fail(host.place, host.name,
                 fmt::format("has one volume too many: all hosts have more than {}", volumes_max));
            return;
        }
        resource.hosts.push_back(resolve_host(draft, host));
    }
    if (std::ranges::none_of(resource.hosts, &Host::diskful)) {
        missing(draft, draft.place, draft.name, "has no member with a disk; add 'on HOST { ... }'");
    }
}

void Resolver::check_node_ids(const DraftResource& draft) {
    std::map<std::uint32_t, const DraftHost*> ids;
    for (const DraftHost& host : draft.hosts) {
        if (!host.node_id) {
            continue;
        }
        if (const auto [first, is_new] = ids.emplace(host.node_id->value, &host); !is_new) {
            fail(host.node_id->place, "node-id",
                 fmt::format("{} of {} is that of {}, too", host.node_id->value, host.name,
                             first->second->name));
        }
    }
    for (const DraftHost& host : draft.hosts) {
        std::uint32_t unused = 0;
        while (ids.contains(unused)) {
            unused++;
        }
        if (!host.node_id) {
            ids.emplace(unused, &host);  // the next one gets another advice
            missing(draft, host.place, host.name,
                    fmt::format("has no node id; add 'node-id {};'", unused));
        }
    }
}

Host Resolver::resolve_host(const DraftResource& draft, const DraftHost& written) {
    Host host{.name = written.name, .witness = written.witness};
    host.node_id = written.node_id ? written.node_id->value : 0;
    if (written.address) {
        host.address = written.address->value;
        check_address(*written.address, host.name);
    } else {
        missing(draft, written.place, host.name,
                fmt::format("has no address; add 'address IP:{};'", default_port));
    }
    if (!written.witness) {
        host.volumes = resolve_volumes(draft, written);
    }
    return host;
}

void Resolver::check_address(const Placed<Address>& address, const std::string& host) {
    const Address& value = address.value;
    const auto [owner, new_ip] = ips_.emplace(value.ip, std::pair(host, address.place));
    if (!new_ip && owner->second.first != host) {
        fail(address.place, value.ip,
             fmt::format("is an address of {} already, in {}", owner->second.first,
                         at(owner->second.second)));
    }
    const auto [port, new_port] = ports_.emplace(host, std::pair(value.port, address.place));
    if (!new_port && port->second.first != value.port) {
        fail(address.place, fmt::format("{}", value.port),
             fmt::format("is not the port of {} in {}, which is {}: a node has one port for all "
                         "resources",
                         host, at(port->second.second), port->second.first));
    }
}

// ---- volumes ----

std::vector<Volume> Resolver::resolve_volumes(const DraftResource& draft, const DraftHost& host) {
    static const DraftVolume nothing;
    std::map<std::uint32_t, std::pair<const DraftVolume*, const DraftVolume*>> all;
    for (const DraftVolume& volume : draft.volumes) {
        all[volume.number] = {&nothing, &volume};
    }
    for (const DraftVolume& volume : host.volumes) {
        auto& [own, common] = all[volume.number];
        own = &volume;
        common = common == nullptr ? &nothing : common;
    }
    std::set<std::uint32_t> elsewhere;
    for (const DraftHost& other : draft.hosts) {
        for (const DraftVolume& volume : other.volumes) {
            if (!other.witness && !all.contains(volume.number)) {
                elsewhere.insert(volume.number);
            }
        }
    }
    for (const std::uint32_t number : elsewhere) {
        missing(draft, host.place, host.name,
                fmt::format("has no volume {}, which other hosts have; without a replica it is "
                            "'volume {} {{ device minor M; disk none; }}'",
                            number, number));
    }
    if (all.empty() && elsewhere.empty()) {
        missing(draft, host.place, host.name,
                "has no volume; add 'volume 0 { device minor M; disk PATH; }'");
    }
    std::vector<Volume> volumes;
    for (const auto& [number, written] : all) {
        volumes.push_back(resolve_volume(draft, host, *written.first, *written.second));
        volumes.back().number = number;
    }
    if (!elsewhere.empty()) {
        return volumes;
    }
    const bool diskful = !volumes.empty() && !volumes.front().disk.empty();
    for (const Volume& volume : volumes) {
        if (volume.disk.empty() == diskful) {
            missing(draft, host.place, host.name,
                    fmt::format("has a disk for volume {}, but none for volume {}: a member has "
                                "replicas of all volumes, or of none",
                                diskful ? volumes.front().number : volume.number,
                                diskful ? volume.number : volumes.front().number));
            break;
        }
    }
    return volumes;
}

/// Its disk, or the pool that it is taken from: what the host has of its own comes first.
void Resolver::resolve_replica(const DraftResource& draft, const DraftHost& host,
                               const DraftVolume& own, const DraftVolume& common, Volume& volume) {
    const std::string what = fmt::format("volume {}", volume.number);
    const Place place = own.place.line != 0 ? own.place : common.place;
    const DraftVolume& from = own.disk || own.pool ? own : common;
    const auto& size = own.size ? own.size : common.size;
    if (from.disk && from.pool) {
        fail(from.pool->place, "pool",
             fmt::format("{} has a disk, too: remove one of the two", what));
    } else if (from.pool && !size) {
        missing(draft, from.pool->place, "pool",
                fmt::format("{} has no size; add 'size SIZE;', as 10G", what));
    } else if (const auto& idle = own.size ? own.size : from.size; !from.pool && idle) {
        fail(idle->place, "size",
             "is of a volume of a pool; add 'pool NAME;', or give --size to 'braidadm create-md'");
    } else if (!from.pool && !from.disk) {
        missing(
            draft, place, what,
            fmt::format("has no disk on {}; add 'disk PATH;', 'pool NAME; size SIZE;', or 'disk "
                        "none;' for a member without a replica",
                        host.name));
    }
    volume.disk = from.disk ? from.disk->value : "";
    if (from.pool) {
        volume.pool = from.pool->value;
        volume.size = size ? size->value : 0;
        // Other hosts' pools are in their files; what braidadm makes has the pool's name.
        const auto known = pools_.find(volume.pool);
        const Pool pool =
            known != pools_.end() ? known->second.value : Pool{.name = {}, .group = volume.pool};
        volume.disk = pool.device(pool_volume(draft.name, volume.number));
    }
}

Volume Resolver::resolve_volume(const DraftResource& draft, const DraftHost& host,
                                const DraftVolume& own, const DraftVolume& common) {
    Volume volume;
    const Place place = own.place.line != 0 ? own.place : common.place;
    const std::uint32_t number = own.place.line != 0 ? own.number : common.number;
    const auto& minor = own.minor ? own.minor : common.minor;
    const auto& meta = own.meta_disk ? own.meta_disk : common.meta_disk;
    if (!minor) {
        missing(draft, place, fmt::format("volume {}", number),
                fmt::format("has no device on {}; add 'device minor M;'", host.name));
    }
    volume.number = number;
    volume.minor = minor ? minor->value : 0;
    resolve_replica(draft, host, own, common, volume);
    volume.meta_disk = meta && !volume.disk.empty() ? meta->value : "";
    if (minor) {
        if (const auto [first, is_new] =
                minors_.emplace(std::pair(host.name, minor->value), minor->place);
            !is_new) {
            fail(minor->place, fmt::format("minor {}", minor->value),
                 fmt::format("is used twice on {}, first in {}", host.name, at(first->second)));
        }
    }
    for (const auto* path : {&volume.disk, &volume.meta_disk}) {
        const Place& where =
            path == &volume.disk ? disk_place(own, common, place) : (meta ? meta->place : place);
        if (path->empty()) {
            continue;
        }
        if (const auto [first, is_new] = disks_.emplace(std::pair(host.name, *path), where);
            !is_new) {
            fail(where, *path,
                 fmt::format("is used twice on {}, first in {}", host.name, at(first->second)));
        }
    }
    return volume;
}

// ---- connections ----

std::optional<std::uint32_t> Resolver::member(const DraftEnd& end, const Resource& resource) {
    const auto host = std::ranges::find(resource.hosts, end.host.value, &Host::name);
    if (host != resource.hosts.end()) {
        return static_cast<std::uint32_t>(host - resource.hosts.begin());
    }
    const auto nearest = std::ranges::min_element(resource.hosts, {}, [&](const Host& each) {
        return edit_distance(end.host.value.substr(0, 64), each.name);
    });
    fail(end.host.place, end.host.value,
         nearest == resource.hosts.end() ? fmt::format("is no member of {}", resource.name)
                                         : fmt::format("is no member of {}; the nearest is '{}'",
                                                       resource.name, nearest->name));
    return std::nullopt;
}

/// Sorted; empty if something is wrong with them.
std::vector<std::uint32_t> Resolver::members(const std::vector<DraftEnd>& ends,
                                             const Resource& resource) {
    std::set<std::uint32_t> found;
    bool good = true;
    for (const DraftEnd& end : ends) {
        const auto index = member(end, resource);
        good = good && index;
        if (index && !found.insert(*index).second) {
            fail(end.host.place, end.host.value, "is named twice");
            good = false;
        }
    }
    return good ? std::vector(found.begin(), found.end()) : std::vector<std::uint32_t>();
}

std::optional<Path> Resolver::resolve_path(const std::vector<DraftEnd>& ends, const Place& place,
                                           const Connection& connection, const Resource& resource) {
    if (members(ends, resource) != connection.hosts || ends.size() != 2) {
        fail(place, "path",
             "expected the two hosts of the connection, 'host NAME address IP:PORT;'");
        return std::nullopt;
    }
    Path path{resource.hosts[connection.hosts[0]].address,
              resource.hosts[connection.hosts[1]].address};
    for (const DraftEnd& end : ends) {
        const bool first = resource.hosts[connection.hosts[0]].name == end.host.value;
        if (end.address) {
            check_address(*end.address, end.host.value);
            (first ? path.first : path.second) = end.address->value;
        }
    }
    if (path.first.v6 != path.second.v6) {
        fail(place, "path",
             fmt::format("has ends of different families, {} and {}", to_string(path.first),
                         to_string(path.second)));
    }
    return path;
}

Connection Resolver::resolve_link(const DraftLink& link, const Resource& resource) {
    Connection connection;
    // With paths the hosts may stand in these alone.
    const auto& ends =
        link.ends.empty() && !link.paths.empty() ? link.paths.front().ends : link.ends;
    connection.hosts = members(ends, resource);
    const bool enough = link.mesh ? ends.size() >= 2 : ends.size() == 2;
    if (!enough) {
        fail(link.place, link.mesh ? "connection-mesh" : "connection",
             fmt::format("expected {}, but it has {}",
                         link.mesh ? "'hosts' with two names or more" : "two hosts", ends.size()));
        connection.hosts.clear();
    }
    if (connection.hosts.empty()) {
        return connection;
    }
    const bool addressed =
        std::ranges::any_of(link.ends, [](const DraftEnd& end) { return end.address.has_value(); });
    if (addressed) {
        if (auto path = resolve_path(link.ends, link.place, connection, resource)) {
            connection.paths.push_back(std::move(*path));
        }
    }
    for (const DraftPath& written : link.paths) {
        if (auto path = resolve_path(written.ends, written.place, connection, resource)) {
            connection.paths.push_back(std::move(*path));
        }
    }
    Settings settings = resource.settings;
    inherit(link.settings, settings);
    connection.net = settings.net;
    connection.disk = settings.disk;
    return connection;
}

/// Whoever has no path of their own connects between the addresses of the hosts.
void Resolver::check_families(const DraftResource& draft, const Resource& resource) {
    for (std::uint32_t b = 1; b < resource.hosts.size(); b++) {
        for (std::uint32_t a = 0; a < b; a++) {
            const Host& one = resource.hosts[a];
            const Host& other = resource.hosts[b];
            const bool has_path =
                std::ranges::any_of(resource.connections, [&](const Connection& connection) {
                    return !connection.paths.empty() && connection.hosts == std::vector{a, b};
                });
            if (one.address.v6 != other.address.v6 && !has_path) {
                missing(draft, std::ranges::find(draft.hosts, other.name, &DraftHost::name)->place,
                        other.name,
                        fmt::format("has {}, but {} has {}: give both one family, or a connection "
                                    "with a path",
                                    to_string(other.address), one.name, to_string(one.address)));
            }
        }
    }
}

void Resolver::resolve_links(const DraftResource& draft, Resource& resource) {
    std::map<std::pair<std::uint32_t, std::uint32_t>, Place> pairs;
    for (const DraftLink& link : draft.links) {
        if (draft_.diagnostics.size() >= diagnostics_max) {
            return;  // so that nonsense does not take long
        }
        Connection connection = resolve_link(link, resource);
        for (const std::uint32_t a : connection.hosts) {
            for (const std::uint32_t b : connection.hosts) {
                const auto [first, is_new] = pairs.emplace(std::pair(a, b), link.place);
                if (!is_new && a < b) {
                    fail(link.place, link.mesh ? "connection-mesh" : "connection",
                         fmt::format("{} and {} are connected in line {} already",
                                     resource.hosts[a].name, resource.hosts[b].name,
                                     first->second.line));
                }
            }
        }
        if (!connection.hosts.empty()) {
            resource.connections.push_back(std::move(connection));
        }
    }
}

}  // namespace

Config resolve(Draft& draft) {
    return Resolver(draft).run();
}

}  // namespace braid::config
