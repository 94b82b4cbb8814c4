// SPDX-License-Identifier: GPL-2.0-or-later
//
// What the configuration says, without regard to how and where it was written:
// after inheritance, and checked. The options are described in braid.res(5); each
// is a row of the table in keywords.cpp, its default is here.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace braid::config {

using Milliseconds = std::chrono::milliseconds;

/// Port of the node daemons.
inline constexpr std::uint16_t default_port = 7780;

enum class Quorum : std::uint8_t { majority, off };
enum class NoQuorum : std::uint8_t { suspend_io, io_error };
/// Checksums of what is sent; automatic: where it is not encrypted.
enum class Integrity : std::uint8_t { automatic, none, crc32c };

struct ResourceOptions {
    bool auto_promote = false;
    Quorum quorum = Quorum::majority;
    NoQuorum on_no_quorum = NoQuorum::suspend_io;
    Milliseconds lease{3000};
    /// How long to wait for replicas that do not return after a loss of all power; 0: for ever.
    Milliseconds promote_after{0};

    bool operator==(const ResourceOptions&) const = default;
};

struct NetOptions {
    Milliseconds timeout{3000};           ///< of the resource, not of a connection
    Milliseconds request_timeout{30000};  ///< of the resource, not of a connection
    Milliseconds connect_int{10000};
    std::uint32_t streams = 4;
    bool tls = true;
    Integrity data_integrity_alg = Integrity::automatic;

    [[nodiscard]] bool checksums() const {
        return data_integrity_alg == Integrity::crc32c ||
               (data_integrity_alg == Integrity::automatic && !tls);
    }
    bool operator==(const NetOptions&) const = default;
};

struct DiskOptions {
    std::uint64_t c_max_rate = 0;   ///< of a resync, bytes per second; 0: no bound
    std::uint64_t verify_rate = 0;  ///< of a verify, bytes per second; 0: no bound
    bool resync_compare = false;

    bool operator==(const DiskOptions&) const = default;
};

/// Commands; empty: none.
struct Handlers {
    std::string fence_peer{};
    std::string split_brain{};
    std::string out_of_sync{};
    std::string quorum_lost{};
    std::string degraded{};
    std::string local_io_error{};
    std::string before_resync_target{};
    std::string after_resync_target{};

    bool operator==(const Handlers&) const = default;
};

struct Settings {
    ResourceOptions options{};
    NetOptions net{};
    DiskOptions disk{};
    Handlers handlers{};

    bool operator==(const Settings&) const = default;
};

struct Address {
    bool v6 = false;
    std::string ip{};  ///< as inet_ntop(3) writes it
    std::uint16_t port = default_port;

    auto operator<=>(const Address&) const = default;
};

/// "ipv4 10.0.0.1:7780" or "ipv6 [fd00::1]:7780".
[[nodiscard]] std::string to_string(const Address& address);

enum class PoolKind : std::uint8_t { lvmthin, lvm, zfsthin, zfs };

/// As the configuration spells it.
[[nodiscard]] std::string_view name_of(PoolKind kind);
[[nodiscard]] std::optional<PoolKind> pool_kind(std::string_view name);

/// Storage that volumes are taken from, on the host that the files are on.
struct Pool {
    std::string name{};
    PoolKind kind = PoolKind::lvmthin;
    /// The volume group, or the ZFS pool or dataset.
    std::string group{};
    std::string thin{};  ///< of lvmthin: the thin pool in the group

    /// "vg0/thin", as a file has it.
    [[nodiscard]] std::string place() const;
    [[nodiscard]] bool zfs() const { return kind == PoolKind::zfs || kind == PoolKind::zfsthin; }
    /// The device of a volume.
    [[nodiscard]] std::string device(const std::string& volume) const;
    bool operator==(const Pool&) const = default;
};

/// Name of the volume that a pool has for a replica, "vm1_00000".
[[nodiscard]] std::string pool_volume(const std::string& resource, std::uint32_t volume);

/// A volume on one host.
struct Volume {
    std::uint32_t number = 0;
    std::uint32_t minor = 0;
    std::string disk{};       ///< empty: diskless
    std::string meta_disk{};  ///< empty: internal
    std::string pool{};       ///< that the disk is taken from; empty: from none
    std::uint64_t size = 0;   ///< of a pool: bytes of data, at least

    bool operator==(const Volume&) const = default;
};

struct Host {
    std::string name{};
    std::uint32_t node_id = 0;
    bool witness = false;
    Address address{};
    std::vector<Volume> volumes{};  ///< by number; a witness has none

    [[nodiscard]] bool diskful() const { return !volumes.empty() && !volumes.front().disk.empty(); }
    bool operator==(const Host&) const = default;
};

/// A way between the two hosts of a connection, in the order of Connection::hosts.
struct Path {
    Address first{};
    Address second{};

    bool operator==(const Path&) const = default;
};

/// Two or more hosts between which something differs from what the resource says.
struct Connection {
    std::vector<std::uint32_t> hosts{};  ///< indexes into Resource::hosts, ascending
    std::vector<Path> paths{};           ///< of two hosts; empty: between their addresses
    NetOptions net{};
    DiskOptions disk{};

    bool operator==(const Connection&) const = default;
};

struct Resource {
    std::string name{};
    Settings settings{};
    std::vector<Host> hosts{};
    std::vector<Connection> connections{};  ///< no two hosts are in more than one

    bool operator==(const Resource&) const = default;
};

struct Config {
    std::vector<Pool> pools{};
    std::vector<Resource> resources{};

    bool operator==(const Config&) const = default;
};

/// Another member, as one host sees it.
struct Peer {
    std::string name{};
    std::uint32_t node_id = 0;
    bool witness = false;
    bool diskful = false;
    std::vector<Path> paths{};  ///< `first` is this host's end; at least one
    NetOptions net{};
    DiskOptions disk{};

    bool operator==(const Peer&) const = default;
};

/// What one host has to make of a resource.
struct NodeResource {
    std::string name{};
    std::uint32_t node_id = 0;
    bool witness = false;
    Settings settings{};
    std::vector<Volume> volumes{};
    std::vector<Peer> peers{};

    bool operator==(const NodeResource&) const = default;
};

/// The resource as `host` sees it; nothing if it is no member.
[[nodiscard]] std::optional<NodeResource> on_host(const Resource& resource, std::string_view host);

}  // namespace braid::config
