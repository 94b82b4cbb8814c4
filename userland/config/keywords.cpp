// SPDX-License-Identifier: GPL-2.0-or-later
#include "config/keywords.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <limits>
#include <type_traits>

#include "config/nearest.h"

namespace braid::config {

namespace {

using enum Section;

constexpr std::array yes_no{std::string_view("no"), std::string_view("yes")};
constexpr std::array quorums{std::string_view("majority"), std::string_view("off")};
constexpr std::array policies{std::string_view("suspend-io"), std::string_view("io-error")};
constexpr std::array integrities{std::string_view("automatic"), std::string_view("none"),
                                 std::string_view("crc32c")};
constexpr std::array only_c{std::string_view("C")};
constexpr std::array only_tcp{std::string_view("tcp")};
constexpr std::array only_detach{std::string_view("detach")};
constexpr std::array never{std::string_view("never")};

constexpr Levels per_resource = level(common) | level(resource);
constexpr Levels per_connection = per_resource | level(connection) | level(mesh);
constexpr Levels per_volume = per_resource | level(on) | level(volume);

constexpr std::uint64_t second = 1000;
constexpr std::uint64_t kib = 1024;

/// A row whose value is the member `Member` of the part `Part` of the settings.
template <auto Part, auto Member>
constexpr Keyword bound(Keyword row) {
    row.set = [](Settings& settings, const Value& value) {
        auto& member = settings.*Part.*Member;
        using Type = std::remove_reference_t<decltype(member)>;
        if constexpr (std::is_same_v<Type, std::string>) {
            member = value.text;
        } else {
            member = static_cast<Type>(value.number);
        }
    };
    row.get = [](const Settings& settings) {
        const auto& member = settings.*Part.*Member;
        using Type = std::remove_cvref_t<decltype(member)>;
        if constexpr (std::is_same_v<Type, std::string>) {
            return Value{0, member};
        } else if constexpr (std::is_same_v<Type, Milliseconds>) {
            return Value{static_cast<std::uint64_t>(member.count()), {}};
        } else {
            return Value{static_cast<std::uint64_t>(member), {}};
        }
    };
    return row;
}

template <auto Member>
constexpr Keyword option(Keyword row) {
    row.section = options;
    row.levels = per_resource;
    return bound<&Settings::options, Member>(row);
}

template <auto Member>
constexpr Keyword net_option(Levels levels, Keyword row) {
    row.section = net;
    row.levels = levels;
    return bound<&Settings::net, Member>(row);
}

template <auto Member>
constexpr Keyword disk_option(Keyword row) {
    row.section = disk;
    row.levels = per_connection;
    return bound<&Settings::disk, Member>(row);
}

template <auto Member>
constexpr Keyword handler(std::string_view name, std::string_view doc) {
    return bound<&Settings::handlers, Member>({handlers, name, Form::text, doc, top, per_resource});
}

/// An option of DRBD that can only have the value that Braid always has.
constexpr Keyword fixed(Section section, std::string_view name, Levels levels,
                        std::span<const std::string_view> names, std::string_view otherwise) {
    return {.section = section,
            .name = name,
            .form = Form::choice,
            .doc = otherwise,
            .levels = levels,
            .names = names,
            .otherwise = otherwise};
}

constexpr Keyword block(Section section, std::string_view name, Section opens,
                        std::string_view doc) {
    return {section, name, Form::block, doc, opens};
}

constexpr Keyword boolean(std::string_view name, std::string_view doc) {
    return {.section = top, .name = name, .form = Form::boolean, .doc = doc, .names = yes_no};
}

constexpr Keyword time(std::string_view name, std::uint64_t min, std::uint64_t max,
                       std::uint64_t unit, std::string_view doc) {
    return {.section = top,
            .name = name,
            .form = Form::time,
            .doc = doc,
            .min = min,
            .max = max,
            .unit = unit};
}

constexpr Keyword rate(std::string_view name, std::string_view doc) {
    return {.section = top,
            .name = name,
            .form = Form::size,
            .doc = doc,
            .max = kib * kib * kib * kib,
            .unit = kib};
}

/// Of a volume of a pool, in bytes; the maximum is that of a volume.
constexpr Keyword volume_size(Section section, std::string_view doc) {
    return {.section = section,
            .name = "size",
            .form = Form::pool_size,
            .doc = doc,
            .min = kib * kib,
            .max = kib * kib * kib * kib * kib};
}

constexpr Keyword instead(Section section, std::string_view name, std::string_view answer) {
    return {section, name, Form::refused, answer};
}

constexpr std::string_view no_epochs = "remove it: Braid has no barriers or epochs on the wire";
constexpr std::string_view no_tuning = "remove it: memory is bounded and windows adapt";
constexpr std::string_view no_fork =
    "remove it: a fork is never resolved by itself; 'braidadm "
    "resolve' names the side whose changes are dropped";
constexpr std::string_view no_primary = "use 'auto-promote', or 'braidadm primary'";
constexpr std::string_view no_waiting =
    "remove it: starting waits for nobody; a script can 'braidadm wait-connect'";
constexpr std::string_view certificates =
    "remove it: peers are authenticated by certificates, see 'braidadm cert'";
constexpr std::string_view always_flushes =
    "remove it: flushes are always sent, and cost nothing on disks without a volatile cache";
constexpr std::string_view use_c_max_rate =
    "use 'c-max-rate': a resync adapts to latency, and needs an upper bound at most";
constexpr std::string_view automatic_discard =
    "remove it: discards and zeroes are kept as they are";
constexpr std::string_view no_proxy = "remove it: there is no proxy";
constexpr std::string_view no_stacking =
    "remove it: a resource has up to 32 members, without stacking";
constexpr std::string_view never_loses =
    "remove it: a Primary never becomes the target of a resync";
constexpr std::string_view use_degraded = "use the handler 'degraded'";
constexpr std::string_view use_timeout =
    "use 'timeout': whatever a peer sends tells that it is alive";
constexpr std::string_view at_create_md = "give it to 'braidadm create-md' instead";
constexpr std::string_view no_module_check =
    "remove it: 'braidadm version' tells whether tool and module fit";

constexpr std::array table{
    // ---- structure ----
    Keyword{top, "include", Form::include, "Read other files here"},
    block(top, "global", global, "Nothing; taken for the sake of files written for DRBD"),
    block(top, "common", common, "What all resources inherit"),
    block(top, "resource", resource, "A resource: its volumes are mirrored together"),
    block(top, "pool", pool, "A storage pool of this host; written by 'braidadm pool create'"),
    instead(top, "template-file", "use 'include'"),
    instead(top, "require-drbd-module-version-eq", no_module_check),
    instead(top, "require-drbd-module-version-ne", no_module_check),
    instead(top, "require-drbd-module-version-gt", no_module_check),
    instead(top, "require-drbd-module-version-ge", no_module_check),
    instead(top, "require-drbd-module-version-lt", no_module_check),
    instead(top, "require-drbd-module-version-le", no_module_check),

    instead(global, "usage-count", "remove it: nobody is told that you use Braid"),
    instead(global, "dialog-refresh", no_waiting),
    instead(global, "minor-count", "remove it: minors are not limited"),
    instead(global, "disable-ip-verification", "remove it: addresses are not looked up"),
    instead(global, "udev-always-use-vnr", "remove it: links always have the volume's number"),
    instead(global, "cmd-timeout-short", "remove it: no command waits for I/O or peers"),
    instead(global, "cmd-timeout-medium", "remove it: no command waits for I/O or peers"),
    instead(global, "cmd-timeout-long", "remove it: no command waits for I/O or peers"),

    block(common, "options", options, "Options of all resources"),
    block(common, "net", net, "Options of all connections"),
    block(common, "disk", disk, "Options of all resyncs and verifies"),
    block(common, "handlers", handlers, "Commands for events"),
    block(common, "startup", startup, "Nothing; taken for the sake of files written for DRBD"),
    instead(common, "syncer", "use disk { c-max-rate ...; }"),
    instead(common, "proxy", no_proxy),

    block(resource, "options", options, "Options of the resource"),
    block(resource, "net", net, "Options of its connections"),
    block(resource, "disk", disk, "Options of its resyncs and verifies"),
    block(resource, "handlers", handlers, "Commands for events"),
    block(resource, "startup", startup, "Nothing; taken for the sake of files written for DRBD"),
    block(resource, "on", on, "A member that has the volumes"),
    block(resource, "witness", witness, "A member that only votes"),
    block(resource, "volume", volume, "A volume, as it is on all hosts"),
    block(resource, "connection", connection, "What is special between two hosts"),
    block(resource, "connection-mesh", mesh, "What is special among some hosts"),
    Keyword{resource, "device", Form::device, "Minor of volume 0"},
    Keyword{resource, "disk", Form::disk, "Disk of volume 0"},
    Keyword{resource, "meta-disk", Form::meta_disk, "Metadata of volume 0"},
    Keyword{resource, "pool", Form::pool_name, "Storage pool of volume 0"},
    volume_size(resource, "Size of volume 0, with a pool"),
    instead(resource, "floating", "use 'on HOST': members are known by name and certificate"),
    instead(resource, "stacked-on-top-of", no_stacking),
    instead(resource, "syncer", "use disk { c-max-rate ...; }"),
    instead(resource, "proxy", no_proxy),
    instead(resource, "flexible-meta-disk", "use 'meta-disk'"),
    instead(resource, "template-file", "use 'common', or 'include' outside of resources"),

    block(on, "volume", volume, "A volume, as it is on this host"),
    Keyword{on, "node-id", Form::node_id, "Number of the member in the resource"},
    Keyword{on, "address", Form::address, "Where its node daemon listens"},
    Keyword{on, "device", Form::device, "Minor of volume 0"},
    Keyword{on, "disk", Form::disk, "Disk of volume 0"},
    Keyword{on, "meta-disk", Form::meta_disk, "Metadata of volume 0"},
    Keyword{on, "pool", Form::pool_name, "Storage pool of volume 0"},
    volume_size(on, "Size of volume 0, with a pool"),
    block(on, "disk", disk, "Options of its disks"),
    instead(on, "witness", "use the section 'witness HOST { }' instead of 'on HOST { }'"),
    instead(on, "flexible-meta-disk", "use 'meta-disk'"),
    instead(on, "proxy", no_proxy),
    instead(on, "options", "use it in the resource: it holds for all members"),
    instead(on, "net", "use it in the resource or a connection"),
    instead(on, "startup", no_waiting),

    Keyword{witness, "node-id", Form::node_id, "Number of the member in the resource"},
    Keyword{witness, "address", Form::address, "Where its node daemon listens"},

    Keyword{volume, "device", Form::device, "Its minor"},
    Keyword{volume, "disk", Form::disk, "The disk that holds the replica, or none"},
    block(volume, "disk", disk, "Options of the disk"),
    Keyword{volume, "meta-disk", Form::meta_disk, "Where its metadata is"},
    Keyword{volume, "pool", Form::pool_name,
            "The storage pool that the replica is taken from, instead of a disk"},
    volume_size(volume, "Its size, with a pool"),
    instead(volume, "flexible-meta-disk", "use 'meta-disk'"),
    instead(volume, "block-size", at_create_md),
    instead(volume, "max-bio-size", no_tuning),
    instead(volume, "discard-granularity", automatic_discard),
    instead(volume, "tiebreaker", "use a witness: a diskless member has no vote"),

    Keyword{connection, "host", Form::host, "One end"},
    block(connection, "path", path, "Addresses of both ends"),
    block(connection, "net", net, "Options of the connection"),
    block(connection, "disk", disk, "Options of resyncs and verifies between the two"),
    instead(connection, "volume", "use disk { } of the connection: it holds for all volumes"),
    instead(connection, "proxy", no_proxy),

    Keyword{mesh, "hosts", Form::hosts, "Its members"},
    block(mesh, "net", net, "Options of its connections"),
    block(mesh, "disk", disk, "Options of its resyncs and verifies"),

    Keyword{path, "host", Form::host, "One end and its address"},

    Keyword{pool, "lvmthin", Form::pool_place, "Volumes of an LVM thin pool, VG/LV"},
    Keyword{pool, "lvm", Form::pool_place, "Volumes of an LVM volume group, VG"},
    Keyword{pool, "zfsthin", Form::pool_place, "Sparse volumes of a ZFS pool or dataset"},
    Keyword{pool, "zfs", Form::pool_place, "Reserved volumes of a ZFS pool or dataset"},

    // ---- options ----
    option<&ResourceOptions::auto_promote>(
        boolean("auto-promote", "Become Primary when a program opens a device for writing")),
    option<&ResourceOptions::quorum>(
        {.section = options,
         .name = "quorum",
         .form = Form::choice,
         .doc = "Which voters have to agree before a lost replica is left behind",
         .names = quorums,
         .otherwise = "members, also witnesses, have one vote each; 'majority' is safe"}),
    option<&ResourceOptions::on_no_quorum>(
        {.section = options,
         .name = "on-no-quorum",
         .form = Form::choice,
         .doc = "What happens to I/O that cannot complete: it is held, or fails",
         .names = policies}),
    option<&ResourceOptions::lease>(
        time("lease", 100, 600000, 100, "Term of the leases that reads need")),
    option<&ResourceOptions::promote_after>(
        {.section = options,
         .name = "promote-after",
         .form = Form::time,
         .doc = "After a loss of all power: go on without a replica that has not returned",
         .max = second * 3600 * 24 * 7,
         .unit = second,
         .names = never}),
    instead(options, "on-no-data-accessible", "use 'on-no-quorum', which is for both"),
    instead(options, "quorum-minimum-redundancy",
            "remove it: a write completes on every replica in sync; have the handler 'degraded' "
            "tell when there are fewer"),
    instead(options, "on-suspended-primary-outdated",
            "remove it: a Primary that was replaced serves no more and rejoins as a Secondary"),
    instead(options, "auto-promote-timeout", "remove it: 'auto-promote' waits while it may work"),
    instead(options, "cpu-mask", "remove it: work is done on the CPU that submits it"),
    instead(options, "max-io-depth", no_tuning),
    instead(options, "peer-ack-window", no_epochs),
    instead(options, "peer-ack-delay", no_epochs),
    instead(options, "twopc-timeout", "remove it: there are no cluster-wide state changes"),
    instead(options, "twopc-retry-timeout", "remove it: there are no cluster-wide state changes"),
    instead(options, "drbd8-compat-mode", "remove it"),

    // ---- net ----
    fixed(net, "protocol", per_connection, only_c,
          "a write completes on every replica in sync, as with protocol C"),
    fixed(net, "transport", per_connection, only_tcp, "there is TCP, with several 'streams'"),
    net_option<&NetOptions::timeout>(
        per_resource,
        time("timeout", 100, 600000, 100, "A peer that is silent for so long is given up")),
    net_option<&NetOptions::request_timeout>(
        per_resource, time("request-timeout", 100, 600000, 100,
                           "A peer that leaves a request unanswered for so long is given up")),
    net_option<&NetOptions::connect_int>(per_connection,
                                         time("connect-int", second, 120 * second, second,
                                              "Longest pause between attempts to connect")),
    net_option<&NetOptions::streams>(per_connection,
                                     {.section = net,
                                      .name = "streams",
                                      .form = Form::number,
                                      .doc = "TCP connections side by side to a peer",
                                      .min = 1,
                                      .max = 8}),
    net_option<&NetOptions::tls>(per_connection,
                                 boolean("tls", "Encrypt what is replicated (TLS 1.3)")),
    net_option<&NetOptions::data_integrity_alg>(
        per_connection, {.section = net,
                         .name = "data-integrity-alg",
                         .form = Form::choice,
                         .doc = "Checksum of all that is replicated",
                         .names = integrities,
                         .otherwise = "automatic is crc32c where tls is off"}),
    instead(net, "ko-count", "use 'request-timeout': the time, not a count of timeouts"),
    instead(net, "ping-int", use_timeout),
    instead(net, "ping-timeout", use_timeout),
    instead(net, "socket-check-timeout", use_timeout),
    instead(net, "fencing", "use a witness; or 'quorum off' with the handler 'fence-peer'"),
    instead(net, "allow-two-primaries",
            "remove it: there is one writer; a live migration hands over between two nodes"),
    instead(net, "cram-hmac-alg", certificates),
    instead(net, "shared-secret", certificates),
    instead(net, "tls-keyring", certificates),
    instead(net, "tls-privkey", certificates),
    instead(net, "tls-certificate", certificates),
    instead(net, "after-sb-0pri", no_fork),
    instead(net, "after-sb-1pri", no_fork),
    instead(net, "after-sb-2pri", no_fork),
    instead(net, "always-asbp", no_fork),
    instead(net, "rr-conflict", never_loses),
    instead(net, "verify-alg", "remove it: a verify needs none"),
    instead(net, "csums-alg", "use disk { resync-compare yes; }"),
    instead(net, "csums-after-crash-only", "use disk { resync-compare yes; }"),
    instead(net, "on-congestion", "remove it: nothing is acknowledged before it is replicated"),
    instead(net, "congestion-fill", "remove it: nothing is acknowledged before it is replicated"),
    instead(net, "congestion-extents",
            "remove it: nothing is acknowledged before it is replicated"),
    instead(net, "load-balance-paths", "use 'streams'"),
    instead(net, "allow-remote-read", "remove it: reads are local where the replica is in sync"),
    instead(net, "max-epoch-size", no_epochs),
    instead(net, "max-buffers", no_tuning),
    instead(net, "unplug-watermark", no_tuning),
    instead(net, "sndbuf-size", no_tuning),
    instead(net, "rcvbuf-size", no_tuning),
    instead(net, "rdma-ctrl-sndbuf-size", no_tuning),
    instead(net, "rdma-ctrl-rcvbuf-size", no_tuning),
    instead(net, "tcp-cork", no_tuning),
    instead(net, "use-rle", "remove it: bitmaps are not exchanged"),
    instead(net, "discard-my-data", "use 'braidadm resolve'"),
    instead(net, "_name", "remove it: peers have the name of their 'on' section"),
    instead(net, "no-tcp-cork", no_tuning),

    // ---- disk ----
    fixed(disk, "on-io-error", per_volume, only_detach,
          "a disk with an error is detached, and I/O goes on through peers"),
    disk_option<&DiskOptions::c_max_rate>(
        rate("c-max-rate", "Upper bound of a resync per second; 0 is none")),
    disk_option<&DiskOptions::verify_rate>(
        rate("verify-rate", "Upper bound of a verify per second; 0 is none")),
    disk_option<&DiskOptions::resync_compare>(
        boolean("resync-compare", "Compare checksums first and copy only what differs")),
    instead(disk, "resync-rate", use_c_max_rate),
    instead(disk, "rate", use_c_max_rate),
    instead(disk, "c-min-rate", use_c_max_rate),
    instead(disk, "c-plan-ahead", use_c_max_rate),
    instead(disk, "c-fill-target", use_c_max_rate),
    instead(disk, "c-delay-target", use_c_max_rate),
    instead(disk, "resync-after",
            "remove it: resyncs adapt to one another; 'pause-sync' stops one"),
    instead(disk, "resync-without-replication", "remove it: new writes are always replicated"),
    instead(disk, "fencing", "use a witness; or 'quorum off' with the handler 'fence-peer'"),
    instead(disk, "disk-barrier", always_flushes),
    instead(disk, "disk-flushes", always_flushes),
    instead(disk, "disk-drain", always_flushes),
    instead(disk, "md-flushes", always_flushes),
    instead(disk, "no-disk-barrier", always_flushes),
    instead(disk, "no-disk-flushes", always_flushes),
    instead(disk, "no-disk-drain", always_flushes),
    instead(disk, "no-md-flushes", always_flushes),
    instead(disk, "al-extents", "remove it: the activity log has a size that fits"),
    instead(disk, "al-updates", "remove it: without the log a crash would cost a full resync"),
    instead(disk, "disk-timeout", "use 'braidadm detach --force' for a disk that hangs"),
    instead(disk, "read-balancing", "remove it: reads are local where the replica is in sync"),
    instead(disk, "rs-discard-granularity", automatic_discard),
    instead(disk, "discard-zeroes-if-aligned", automatic_discard),
    instead(disk, "discard-granularity", automatic_discard),
    instead(disk, "disable-write-same", automatic_discard),
    instead(disk, "max-bio-bvecs", no_tuning),
    instead(disk, "max-bio-size", no_tuning),
    instead(disk, "block-size", at_create_md),
    instead(disk, "size", at_create_md),
    instead(disk, "bitmap", "use 'disk none' for a member without a replica"),
    instead(disk, "peer-tiebreaker", "use a witness: a diskless member has no vote"),

    // ---- handlers ----
    handler<&Handlers::fence_peer>(
        "fence-peer", "Make sure that a peer is stopped; exit status 7 says that it is"),
    handler<&Handlers::split_brain>("split-brain", "Two nodes have data that neither follows from"),
    handler<&Handlers::out_of_sync>("out-of-sync", "A verify has found a difference"),
    handler<&Handlers::quorum_lost>("quorum-lost", "The Primary cannot reach enough voters"),
    handler<&Handlers::degraded>("degraded", "A replica was left behind"),
    handler<&Handlers::local_io_error>("local-io-error", "A disk failed and was detached"),
    handler<&Handlers::before_resync_target>("before-resync-target",
                                             "This node's replica will be resynced"),
    handler<&Handlers::after_resync_target>("after-resync-target",
                                            "This node's replica is in sync again"),
    instead(handlers, "before-resync-source", "use 'before-resync-target' on the other node"),
    instead(handlers, "initial-split-brain", "use the handler 'split-brain'"),
    instead(handlers, "pri-lost", never_loses),
    instead(handlers, "pri-lost-after-sb", no_fork),
    instead(handlers, "pri-on-incon-degr", "use the handlers 'degraded' and 'quorum-lost'"),
    instead(handlers, "outdate-peer", "use the handler 'fence-peer'"),
    instead(handlers, "unfence-peer", "remove it: have 'fence-peer' undo nothing that lasts"),
    instead(handlers, "disconnected", use_degraded),

    // ---- startup ----
    instead(startup, "wfc-timeout", no_waiting),
    instead(startup, "degr-wfc-timeout", no_waiting),
    instead(startup, "outdated-wfc-timeout", no_waiting),
    instead(startup, "wait-after-sb", no_waiting),
    instead(startup, "stacked-timeouts", no_stacking),
    instead(startup, "become-primary-on", no_primary),
};

constexpr std::array section_names{
    std::string_view("the top of the file"),
    std::string_view("global"),
    std::string_view("common"),
    std::string_view("resource"),
    std::string_view("on"),
    std::string_view("witness"),
    std::string_view("volume"),
    std::string_view("connection"),
    std::string_view("connection-mesh"),
    std::string_view("path"),
    std::string_view("options"),
    std::string_view("net"),
    std::string_view("disk"),
    std::string_view("handlers"),
    std::string_view("startup"),
    std::string_view("pool"),
};

struct Suffix {
    std::string_view name;
    std::uint64_t factor;
};

// Largest first, as value_text() wants them.
constexpr std::array time_suffixes{Suffix{"h", 3600000}, Suffix{"m", 60000}, Suffix{"s", 1000},
                                   Suffix{"ms", 1}};
// The same in small letters. A sector is "s" as for DRBD.
constexpr std::array size_suffixes{Suffix{"T", kib* kib* kib* kib}, Suffix{"G", kib* kib* kib},
                                   Suffix{"M", kib* kib}, Suffix{"K", kib}, Suffix{"s", 512}};

std::span<const Suffix> suffixes_of(const Keyword& option) {
    return option.form == Form::time ? std::span<const Suffix>(time_suffixes) : size_suffixes;
}

std::string with_suffix(const Keyword& option, std::uint64_t number) {
    if (number == 0) {
        return "0";
    }
    for (const Suffix& suffix : suffixes_of(option)) {
        if (number % suffix.factor == 0) {
            return fmt::format("{}{}", number / suffix.factor, suffix.name);
        }
    }
    return fmt::format("{}", number);
}

std::string expected(const Keyword& option) {
    switch (option.form) {
        case Form::boolean:
            return "expected yes or no";
        case Form::choice:
            return fmt::format("expected {}{}{}", fmt::join(option.names, " or "),
                               option.otherwise.empty() ? "" : ": ", option.otherwise);
        case Form::pool_size:
        case Form::size:
        case Form::time:
            return fmt::format(
                "expected {} to {}{}, with a suffix ({}) or in units of {}",
                with_suffix(option, option.min), with_suffix(option, option.max),
                option.names.empty() ? "" : fmt::format(" or {}", option.names.front()),
                option.form == Form::time ? "ms, s, m, h" : "s, K, M, G, T",
                with_suffix(option, option.unit));
        default:
            return fmt::format("expected {} to {}", option.min, option.max);
    }
}

std::optional<std::uint64_t> parse_scaled(const Keyword& option, std::string_view word) {
    const auto digits = std::min(word.find_first_not_of("0123456789"), word.size());
    const auto number =
        parse_number(word.substr(0, digits), std::numeric_limits<std::uint64_t>::max());
    if (!number) {
        return std::nullopt;
    }
    const std::string_view rest = word.substr(digits);
    std::uint64_t factor = option.unit;
    if (!rest.empty()) {
        const auto suffixes = suffixes_of(option);
        const auto suffix = std::ranges::find_if(suffixes, [&](const Suffix& each) {
            return rest == each.name || (option.form != Form::time && rest.size() == 1 &&
                                         (rest[0] & ~0x20) == (each.name[0] & ~0x20));
        });
        if (suffix == suffixes.end()) {
            return std::nullopt;
        }
        factor = suffix->factor;
    }
    if (*number > option.max / factor) {
        return std::nullopt;
    }
    return *number * factor;
}

std::optional<std::uint64_t> parse_choice(std::span<const std::string_view> names,
                                          std::string_view word) {
    const auto name = std::ranges::find(names, word);
    if (name == names.end()) {
        return std::nullopt;
    }
    return static_cast<std::uint64_t>(name - names.begin());
}

std::optional<std::uint64_t> parse_option(const Keyword& option, std::string_view word) {
    switch (option.form) {
        case Form::boolean:
            return parse_choice(option.names, word == "on" ? "yes" : word == "off" ? "no" : word);
        case Form::choice:
            return parse_choice(option.names, word);
        case Form::time:
            if (parse_choice(option.names, word)) {
                return 0;
            }
            [[fallthrough]];
        case Form::pool_size:
        case Form::size:
            return parse_scaled(option, word);
        default:
            return parse_number(word, option.max);
    }
}

/// Where else a word stands that is not known here; top if nowhere.
Section home_of(std::string_view word) {
    const auto row = std::ranges::find_if(table, [&](const Keyword& each) {
        return each.name == word && (each.is_option() || each.form == Form::refused) &&
               each.section != top;
    });
    return row == table.end() ? top : row->section;
}

}  // namespace

std::string_view name_of(Section section) {
    return section_names.at(static_cast<std::size_t>(section));
}

std::span<const Keyword> keywords() {
    return table;
}

const Keyword* find_keyword(Section section, std::string_view name, bool block) {
    const Keyword* found = nullptr;
    for (const Keyword& row : table) {
        if (row.section == section && row.name == name &&
            (found == nullptr || (row.form == Form::block) == block)) {
            found = &row;
        }
    }
    return found;
}

std::string explain_unknown(Section section, std::string_view word) {
    const std::string what = fmt::format("is no keyword of {}", name_of(section));
    if (const Section home = home_of(word); home != top) {
        return fmt::format("{}; it belongs into {} {{ }}", what, name_of(home));
    }
    std::string_view nearest;
    std::size_t distance = std::numeric_limits<std::size_t>::max();
    for (const Keyword& row : table) {
        if (row.section != section || row.form == Form::refused) {
            continue;
        }
        if (const std::size_t steps = edit_distance(word.substr(0, 64), row.name);
            steps < distance) {
            distance = steps;
            nearest = row.name;
        }
    }
    return nearest.empty() ? fmt::format("{}, which has none", what)
                           : fmt::format("{}; the nearest is '{}'", what, nearest);
}

std::optional<std::uint64_t> parse_number(std::string_view word, std::uint64_t max) {
    std::uint64_t number = 0;
    const auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), number);
    if (error != std::errc() || end != word.data() + word.size() || number > max) {
        return std::nullopt;
    }
    return number;
}

sys::Result<Value, std::string> parse_value(const Keyword& option, std::string_view word) {
    if (option.form == Form::text) {
        return Value{0, std::string(word)};
    }
    const auto number = parse_option(option, word);
    const bool named_zero = number == 0 && option.form == Form::time && !option.names.empty();
    if (!number || (*number < option.min && !named_zero)) {
        return tl::unexpected(expected(option));
    }
    return Value{*number, {}};
}

std::string value_text(const Keyword& option, const Value& value) {
    switch (option.form) {
        case Form::text:
            return value.text;
        case Form::boolean:
        case Form::choice:
            return std::string(option.names[value.number]);
        case Form::time:
            if (value.number == 0 && !option.names.empty()) {
                return std::string(option.names.front());
            }
            [[fallthrough]];
        case Form::pool_size:
        case Form::size:
            return with_suffix(option, value.number);
        default:
            return fmt::format("{}", value.number);
    }
}

}  // namespace braid::config
