// SPDX-License-Identifier: GPL-2.0-or-later
/* Do not edit: scripts/gen-netlink wrote this from kernel/spec/braid.yaml. */
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string_view>

namespace braid::netlink {

enum class AttributeType : std::uint8_t {
    pad,
    flag,
    u8,
    u16,
    u32,
    u64,
    s32,
    s64,
    string,
    binary,
    nest
};

/// A name for one value of an enum, or for one bit of flags.
struct EnumEntry {
    std::string_view name;
    std::uint64_t value;
};

struct Enum {
    std::string_view name;
    bool flags;
    std::span<const EnumEntry> entries;
};

struct AttributeSet;

/// One row of an attribute set. A multi attribute may occur several times: a list.
struct Attribute {
    std::string_view name;
    std::uint16_t id;
    AttributeType type;
    bool multi;
    const AttributeSet* nested;
    const Enum* enumeration;
};

struct AttributeSet {
    std::string_view name;
    std::span<const Attribute> attributes;
};

/// The attributes that may occur in the two directions of a do or a dump.
struct Messages {
    std::span<const std::uint16_t> request;
    std::span<const std::uint16_t> reply;
};

/// A row of the operation table. A notification has neither do nor dump, but a group and an event.
struct Operation {
    std::string_view name;
    std::uint8_t id;
    const AttributeSet* attributes;
    const Messages* call;
    const Messages* dump;
    std::string_view group;
    std::span<const std::uint16_t> event;
};

inline constexpr std::string_view family_name = "braid";
inline constexpr std::uint8_t family_version = 1;

/// Longest name of a resource, in bytes.
inline constexpr std::uint64_t name_max = 63;

/// Highest node id.
inline constexpr std::uint64_t node_max = 31;

/// Highest number of a volume.
inline constexpr std::uint64_t volume_max = 65535;

/// Highest minor of a device.
inline constexpr std::uint64_t minor_max = 1048575;

/// Longest value of a vote, in bytes.
inline constexpr std::uint64_t vote_bytes_max = 16352;

/// Longest path of a device, in bytes.
inline constexpr std::uint64_t path_max = 4095;

/// In place of a node id: no member is the writer.
inline constexpr std::uint64_t writer_none = 255;

/// Shortest term of a lease, in milliseconds.
inline constexpr std::uint64_t lease_min_ms = 100;

/// Longest term and timeout, in milliseconds.
inline constexpr std::uint64_t term_max_ms = 600000;

/// Longest time that a grant of migration holds, in milliseconds.
inline constexpr std::uint64_t deadline_max_ms = 604800000;

inline constexpr std::string_view group_events = "events";

namespace enums::feature {
/// The kernel was built with TLS sockets (CONFIG_TLS), so replication may run encrypted.
inline constexpr std::uint64_t ktls = 0x1;
/// Creation and destruction of objects can be logged (dynamic debug, or a debug build). Without it
/// a log that shows no leak proves nothing.
inline constexpr std::uint64_t object_log = 0x2;
}  // namespace enums::feature

namespace enums::detail {
inline constexpr auto feature = std::to_array<EnumEntry>({
    {"ktls", 0x1},
    {"object-log", 0x2},
});
}  // namespace enums::detail

namespace enumeration {
/// What this build of the module can do beyond its version.
inline constexpr Enum feature{"feature", true, enums::detail::feature};
}  // namespace enumeration

namespace enums::policy {
/// It is held until the configuration allows it again.
inline constexpr std::uint64_t suspend = 0x0;
/// It fails with EIO.
inline constexpr std::uint64_t io_error = 0x1;
}  // namespace enums::policy

namespace enums::detail {
inline constexpr auto policy = std::to_array<EnumEntry>({
    {"suspend", 0x0},
    {"io-error", 0x1},
});
}  // namespace enums::detail

namespace enumeration {
/// What happens to I/O while the writer may not complete it.
inline constexpr Enum policy{"policy", false, enums::detail::policy};
}  // namespace enumeration

namespace enums::service {
/// Another node, or none, is the writer.
inline constexpr std::uint64_t secondary = 0x0;
/// This node is the writer of the adopted configuration but was not yet told to serve.
inline constexpr std::uint64_t preparing = 0x1;
/// Replicas are made equal before serving (R5).
inline constexpr std::uint64_t reconciling = 0x2;
/// Reads and writes are served.
inline constexpr std::uint64_t serving = 0x3;
/// I/O waits: for members to adopt, for a member that is away, for a lease, or because an
/// administrator suspended it.
inline constexpr std::uint64_t held = 0x4;
/// I/O under way ends, new I/O waits; then the node is no writer any more.
inline constexpr std::uint64_t draining = 0x5;
/// All I/O fails until the node is demoted.
inline constexpr std::uint64_t failed = 0x6;
/// A migration comes here: the device may be opened, reads and flushes go to the writer, writes
/// wait for the token.
inline constexpr std::uint64_t incoming = 0x7;
/// The token was handed over. This node has stopped for good in this epoch; I/O waits for a newer
/// one.
inline constexpr std::uint64_t outgoing = 0x8;
}  // namespace enums::service

namespace enums::detail {
inline constexpr auto service = std::to_array<EnumEntry>({
    {"secondary", 0x0},
    {"preparing", 0x1},
    {"reconciling", 0x2},
    {"serving", 0x3},
    {"held", 0x4},
    {"draining", 0x5},
    {"failed", 0x6},
    {"incoming", 0x7},
    {"outgoing", 0x8},
});
}  // namespace enums::detail

namespace enumeration {
/// Whether a node serves I/O on the devices of a resource, and why not.
inline constexpr Enum service{"service", false, enums::detail::service};
}  // namespace enumeration

namespace enums::migration {
/// There is none.
inline constexpr std::uint64_t none = 0x0;
/// On the source: it serves, and hands the token over when the target asks.
inline constexpr std::uint64_t granted = 0x1;
/// On the source: the target asked; I/O under way ends and is made stable, new I/O waits.
inline constexpr std::uint64_t draining = 0x2;
/// On the target: the device may be opened; the first write asks for the token.
inline constexpr std::uint64_t prepared = 0x3;
/// On the target: the source was asked for the token.
inline constexpr std::uint64_t asked = 0x4;
/// On both: the source has stopped for good in this epoch. What is left is a newer one.
inline constexpr std::uint64_t handed_over = 0x5;
/// On the target: it is the writer of the adopted configuration, but does not serve yet.
inline constexpr std::uint64_t swapped = 0x6;
}  // namespace enums::migration

namespace enums::detail {
inline constexpr auto migration = std::to_array<EnumEntry>({
    {"none", 0x0},
    {"granted", 0x1},
    {"draining", 0x2},
    {"prepared", 0x3},
    {"asked", 0x4},
    {"handed-over", 0x5},
    {"swapped", 0x6},
});
}  // namespace enums::detail

namespace enumeration {
/// How far a live migration is, as this node sees it (M1).
inline constexpr Enum migration{"migration", false, enums::detail::migration};
}  // namespace enumeration

namespace enums::disk_state {
/// There is none.
inline constexpr std::uint64_t diskless = 0x0;
/// Its metadata is being read.
inline constexpr std::uint64_t attaching = 0x1;
/// It takes I/O.
inline constexpr std::uint64_t attached = 0x2;
/// It takes no new I/O, what is under way ends.
inline constexpr std::uint64_t detaching = 0x3;
/// It was given up after an error, and is being detached.
inline constexpr std::uint64_t failed = 0x4;
}  // namespace enums::disk_state

namespace enums::detail {
inline constexpr auto disk_state = std::to_array<EnumEntry>({
    {"diskless", 0x0},
    {"attaching", 0x1},
    {"attached", 0x2},
    {"detaching", 0x3},
    {"failed", 0x4},
});
}  // namespace enums::detail

namespace enumeration {
/// The state of a volume's own disk.
inline constexpr Enum disk_state{"disk-state", false, enums::detail::disk_state};
}  // namespace enumeration

namespace enums::link_state {
/// No socket was handed over.
inline constexpr std::uint64_t disconnected = 0x0;
/// The hellos are being exchanged, or earlier I/O of the peer ends.
inline constexpr std::uint64_t greeting = 0x1;
/// The streams are up.
inline constexpr std::uint64_t connected = 0x2;
}  // namespace enums::link_state

namespace enums::detail {
inline constexpr auto link_state = std::to_array<EnumEntry>({
    {"disconnected", 0x0},
    {"greeting", 0x1},
    {"connected", 0x2},
});
}  // namespace enums::detail

namespace enumeration {
/// The state of the connection to a peer.
inline constexpr Enum link_state{"link-state", false, enums::detail::link_state};
}  // namespace enumeration

namespace enums::sync_state {
/// Nothing.
inline constexpr std::uint64_t none = 0x0;
/// The peer begins to receive new writes, and is asked what may differ.
inline constexpr std::uint64_t linking = 0x1;
/// Ranges are compared or copied.
inline constexpr std::uint64_t running = 0x2;
/// As running, but stopped by request.
inline constexpr std::uint64_t paused = 0x3;
/// All is copied, the target flushes.
inline constexpr std::uint64_t flushing = 0x4;
/// The target is equal and receives all new writes; it may join.
inline constexpr std::uint64_t done = 0x5;
/// A join was announced: the target counts as in sync (R6b).
inline constexpr std::uint64_t joining = 0x6;
/// A peer in sync is compared with this node, or another one in sync.
inline constexpr std::uint64_t verifying = 0x7;
}  // namespace enums::sync_state

namespace enums::detail {
inline constexpr auto sync_state = std::to_array<EnumEntry>({
    {"none", 0x0},
    {"linking", 0x1},
    {"running", 0x2},
    {"paused", 0x3},
    {"flushing", 0x4},
    {"done", 0x5},
    {"joining", 0x6},
    {"verifying", 0x7},
});
}  // namespace enums::detail

namespace enumeration {
/// What goes on between the writer and a replica.
inline constexpr Enum sync_state{"sync-state", false, enums::detail::sync_state};
}  // namespace enumeration

namespace enums::event_kind {
/// The service of a resource changed.
inline constexpr std::uint64_t service = 0x0;
/// A configuration was adopted, or adopting it failed.
inline constexpr std::uint64_t config = 0x1;
/// The state of a disk changed.
inline constexpr std::uint64_t disk = 0x2;
/// The state of a connection changed.
inline constexpr std::uint64_t link = 0x3;
/// A peer announced a change of its own state.
inline constexpr std::uint64_t peer = 0x4;
/// The state of a resync changed.
inline constexpr std::uint64_t sync = 0x5;
/// A vote is durable, or storing it failed.
inline constexpr std::uint64_t vote = 0x6;
/// A resource is gone.
inline constexpr std::uint64_t resource = 0x7;
/// Resizing a volume has ended: done or failed; length is its size.
inline constexpr std::uint64_t size = 0x8;
/// A range that this node's disk could not read came from the peer node-id, and was rewritten; with
/// error it was not.
inline constexpr std::uint64_t repair = 0x9;
/// The stage of a migration changed.
inline constexpr std::uint64_t migration = 0xa;
/// A stream of a connection ("new"): retired, it ended as requested; or key-use, it has sent as
/// much as its key should be used for and wants to be replaced.
inline constexpr std::uint64_t stream = 0xb;
/// A verify has found its first difference. Its end is an event sync.
inline constexpr std::uint64_t verify = 0xc;
/// Where open-wait-ms is not 0: a program that opens a volume for writing has begun to wait for
/// this node to become the writer, or was refused, or the volume is not open any more; cause.
inline constexpr std::uint64_t open = 0xd;
}  // namespace enums::event_kind

namespace enums::detail {
inline constexpr auto event_kind = std::to_array<EnumEntry>({
    {"service", 0x0},
    {"config", 0x1},
    {"disk", 0x2},
    {"link", 0x3},
    {"peer", 0x4},
    {"sync", 0x5},
    {"vote", 0x6},
    {"resource", 0x7},
    {"size", 0x8},
    {"repair", 0x9},
    {"migration", 0xa},
    {"stream", 0xb},
    {"verify", 0xc},
    {"open", 0xd},
});
}  // namespace enums::detail

namespace enumeration {
/// What an event tells.
inline constexpr Enum event_kind{"event-kind", false, enums::detail::event_kind};
}  // namespace enumeration

namespace attr::module {
/// Lowest version of this interface that is spoken. In a request by the caller, in a reply by the
/// module.
inline constexpr std::uint16_t api_min = 1;
/// Highest version of this interface that is spoken, as api-min.
inline constexpr std::uint16_t api_max = 2;
/// Version of the module, for people. Programs compare api-version.
inline constexpr std::uint16_t version = 3;
/// Highest version that caller and module have in common. Only where the caller gave its range.
inline constexpr std::uint16_t api_version = 4;
/// Lowest version of the replication protocol that is spoken.
inline constexpr std::uint16_t protocol_min = 5;
/// Highest version of the replication protocol that is spoken.
inline constexpr std::uint16_t protocol_max = 6;
/// What this build can do.
inline constexpr std::uint16_t features = 7;
}  // namespace attr::module

namespace attr::node {
/// The member.
inline constexpr std::uint16_t node_id = 1;
/// It holds a replica.
inline constexpr std::uint16_t diskful = 2;
/// Its replica is in sync.
inline constexpr std::uint16_t in_sync = 3;
/// Instance of the replica that is in sync.
inline constexpr std::uint16_t instance = 4;
}  // namespace attr::node

namespace attr::config {
/// Random; shared by all configurations that follow from one another.
inline constexpr std::uint16_t lineage = 1;
/// Grows with each change.
inline constexpr std::uint16_t epoch = 2;
/// Random; tells values of one epoch apart.
inline constexpr std::uint16_t id = 3;
/// Node id of the writer, or writer-none.
inline constexpr std::uint16_t writer = 4;
/// The members, each once.
inline constexpr std::uint16_t node = 5;
}  // namespace attr::config

namespace attr::resource {
/// Name of the resource.
inline constexpr std::uint16_t name = 1;
/// Node id of this node.
inline constexpr std::uint16_t node_id = 2;
/// Term of the leases of reads (R7), in milliseconds; equal on all members.
inline constexpr std::uint16_t lease_ms = 3;
/// A peer silent for so long is given up, in milliseconds.
inline constexpr std::uint16_t timeout_ms = 4;
/// What happens to I/O that cannot complete.
inline constexpr std::uint16_t policy = 5;
/// The configuration: in requests the one to adopt, in replies the adopted one.
inline constexpr std::uint16_t config = 6;
/// The configuration may begin a new lineage (forced promotion, or first use).
inline constexpr std::uint16_t new_lineage = 7;
/// Epoch that the request is about; refused if another one is adopted.
inline constexpr std::uint16_t epoch = 8;
/// Node whose replica the others are made equal to before serving (R5).
inline constexpr std::uint16_t reference = 9;
/// Do it even though it fails I/O.
inline constexpr std::uint16_t force = 10;
/// Instance of this node's replicas, new at every attach.
inline constexpr std::uint16_t instance = 11;
/// Whether I/O is served.
inline constexpr std::uint16_t service = 12;
/// Why service is what it is, for people.
inline constexpr std::uint16_t reason = 13;
/// A configuration is being adopted.
inline constexpr std::uint16_t adopting = 14;
/// A replica of this node may have lost acknowledged writes (R4a).
inline constexpr std::uint16_t suspect = 15;
/// Requests of the application that wait for service.
inline constexpr std::uint16_t held = 16;
/// Number of the last event of this resource.
inline constexpr std::uint16_t sequence = 17;
/// This node was the writer of the adopted configuration and has irrevocably stopped.
inline constexpr std::uint16_t done = 18;
/// A connected peer that leaves a request or its pings unanswered for so long is disconnected, in
/// milliseconds.
inline constexpr std::uint16_t request_timeout_ms = 19;
/// Node that a migration comes from.
inline constexpr std::uint16_t source = 20;
/// Node that a migration goes to.
inline constexpr std::uint16_t target = 21;
/// Number of a grant of migration: random, the same on both nodes, and never used again.
inline constexpr std::uint16_t grant = 22;
/// In requests: how long the grant holds from now on; in replies: what is left of it. In
/// milliseconds, on this node's clock.
inline constexpr std::uint16_t deadline_ms = 23;
/// How far a migration is.
inline constexpr std::uint16_t migration = 24;
/// Epoch of the last configuration in which this node's replicas were in sync; 0 if they never
/// were, or one of them is another since.
inline constexpr std::uint16_t last_epoch = 25;
/// An administrator suspended the application's I/O. Reason tells what else it waits for, if
/// anything.
inline constexpr std::uint16_t suspended = 26;
/// Requests of the application under way: reads, writes and flushes, held ones not included.
inline constexpr std::uint16_t in_flight = 27;
/// How long a program that opens a volume for writing waits for this node to become the writer, in
/// milliseconds; 0: it is refused at once. The event open tells that one waits.
inline constexpr std::uint16_t open_wait_ms = 28;
/// With new-lineage: the last epoch that the new lineage has in common with the adopted one.
/// Replicas of this node that were in sync later count as ones that never were. Absent: 0, none.
inline constexpr std::uint16_t common_epoch = 29;
}  // namespace attr::resource

namespace attr::stats {
/// Reads of the application.
inline constexpr std::uint16_t reads = 1;
/// Writes of the application, discards included.
inline constexpr std::uint16_t writes = 2;
/// Flushes of the application.
inline constexpr std::uint16_t flushes = 3;
/// Bytes read by the application.
inline constexpr std::uint16_t read_bytes = 4;
/// Bytes written by the application.
inline constexpr std::uint16_t written_bytes = 5;
/// Reads that a peer answered.
inline constexpr std::uint16_t remote_reads = 6;
/// Reads of the application that failed at the disk, and whose range was rewritten with what a peer
/// holds.
inline constexpr std::uint16_t repaired = 7;
/// Writes of metadata.
inline constexpr std::uint16_t metadata_writes = 8;
/// Writes of the activity log, part of metadata-writes.
inline constexpr std::uint16_t log_writes = 9;
/// Requests that waited for an overlapping one.
inline constexpr std::uint16_t conflicts = 10;
/// Writes done for peers.
inline constexpr std::uint16_t peer_writes = 11;
/// Reads done for peers.
inline constexpr std::uint16_t peer_reads = 12;
/// Histograms: for submit, local, network, remote and complete 32 u64 each; entry i counts 2^i to
/// 2^(i+1) nanoseconds.
inline constexpr std::uint16_t latency = 13;
}  // namespace attr::stats

namespace attr::volume {
/// Name of the resource.
inline constexpr std::uint16_t name = 1;
/// Number of the volume.
inline constexpr std::uint16_t volume = 2;
/// Minor of its device, unique on the host.
inline constexpr std::uint16_t minor = 3;
/// Its size in bytes.
inline constexpr std::uint16_t size = 4;
/// Its logical block size in bytes: 512 or 4096.
inline constexpr std::uint16_t block_size = 5;
/// Path of the disk.
inline constexpr std::uint16_t disk = 6;
/// Path of the device that holds the metadata; by default it is at the end of the disk.
inline constexpr std::uint16_t meta_disk = 7;
/// Do not wait for I/O of the disk.
inline constexpr std::uint16_t force = 8;
/// State of the disk.
inline constexpr std::uint16_t disk_state = 9;
/// How often the device is open.
inline constexpr std::uint16_t opens = 10;
/// Regions in the activity log.
inline constexpr std::uint16_t active_regions = 11;
/// Generation that new writes belong to.
inline constexpr std::uint16_t generation = 12;
/// Last stable generation.
inline constexpr std::uint16_t stable = 13;
/// Writes of the application under way.
inline constexpr std::uint16_t in_flight = 14;
/// Counters.
inline constexpr std::uint16_t stats = 15;
/// Identity of the replica, given when its metadata was made.
inline constexpr std::uint16_t uuid = 16;
/// Flags of the replica's superblock.
inline constexpr std::uint16_t replica_flags = 17;
/// The register's ballot and value: the daemon's, opaque here.
inline constexpr std::uint16_t vote = 18;
/// What the disk has room for, in bytes; the volume may be smaller.
inline constexpr std::uint16_t disk_size = 19;
/// Size of the disk before it grew while it was not attached: internal metadata is looked for
/// there, too.
inline constexpr std::uint16_t old_size = 20;
/// Programs that wait to open the device for writing until this node is the writer.
inline constexpr std::uint16_t waiting_opens = 21;
}  // namespace attr::volume

namespace attr::stream {
/// Names it, on this node.
inline constexpr std::uint16_t stream_id = 1;
/// Bytes sent, each record with 32 more: what its key was used for.
inline constexpr std::uint16_t sent = 2;
/// It is under kernel TLS.
inline constexpr std::uint16_t tls = 3;
/// It takes no new requests and ends when its last one has.
inline constexpr std::uint16_t retiring = 4;
}  // namespace attr::stream

namespace attr::peer {
/// Name of the resource.
inline constexpr std::uint16_t name = 1;
/// Node id of a member.
inline constexpr std::uint16_t node_id = 2;
/// A connected TCP socket, plain or under kernel TLS, of the calling process. A send buffer that
/// was set on it (SO_SNDBUF) is kept.
inline constexpr std::uint16_t fd = 3;
/// Random number that the streams of one connection share, on both sides.
inline constexpr std::uint16_t session = 4;
/// All that is sent carries a crc32c.
inline constexpr std::uint16_t checksums = 5;
/// The event key-use comes when the stream has sent so many bytes. By default 2^37 under TLS, and
/// never without. RFC 8446, 5.5, allows AES-GCM 2^24.5 records of 2^14 bytes; this leaves almost
/// two thirds of that for making another stream.
inline constexpr std::uint16_t key_limit = 6;
/// A stream of the connection.
inline constexpr std::uint16_t stream_id = 7;
/// The streams that are up.
inline constexpr std::uint16_t stream = 8;
/// State of the connection.
inline constexpr std::uint16_t link_state = 9;
/// Streams that are up.
inline constexpr std::uint16_t streams = 10;
/// Epoch that the peer has adopted.
inline constexpr std::uint16_t epoch = 11;
/// Id of that configuration.
inline constexpr std::uint16_t config_id = 12;
/// Instance of its replicas.
inline constexpr std::uint16_t instance = 13;
/// Epoch of the last configuration in which it was in sync, as it says.
inline constexpr std::uint16_t last_epoch = 14;
/// It may have lost acknowledged writes.
inline constexpr std::uint16_t suspect = 15;
/// How long the lease that it granted still holds.
inline constexpr std::uint16_t lease_ms = 16;
/// It was the writer of the epoch it adopted, and has irrevocably stopped.
inline constexpr std::uint16_t done = 17;
/// Number of a volume.
inline constexpr std::uint16_t volume = 18;
/// The peer has a disk for the volume.
inline constexpr std::uint16_t attached = 19;
/// Bytes of that disk's data.
inline constexpr std::uint16_t size = 20;
/// Bytes that the peer lacks, as this node's map says.
inline constexpr std::uint16_t dirty = 21;
/// State of the resync.
inline constexpr std::uint16_t sync_state = 22;
/// Bytes that it began with.
inline constexpr std::uint16_t sync_total = 23;
/// Bytes left.
inline constexpr std::uint16_t sync_left = 24;
/// Bytes that needed no copy, because they were equal.
inline constexpr std::uint16_t sync_same = 25;
/// Bytes per second, over the last seconds.
inline constexpr std::uint16_t sync_rate = 26;
/// Seconds that the rest takes at this rate.
inline constexpr std::uint16_t sync_time_left = 27;
/// Bytes that the last verify found to differ, in blocks of 4 KiB, since when there was no resync.
inline constexpr std::uint16_t differing = 28;
/// Where a verify begins, in bytes; or a range that differs.
inline constexpr std::uint16_t start = 29;
/// Where it ends, exclusively; a verify by default at the volume's end.
inline constexpr std::uint16_t stop = 30;
/// Copy everything, not only what is known to differ.
inline constexpr std::uint16_t full = 31;
/// Compare checksums and copy only what differs.
inline constexpr std::uint16_t compare = 32;
/// Upper bound in bytes per second; 0 is none.
inline constexpr std::uint16_t max_rate = 33;
/// What the resync waits for, for people.
inline constexpr std::uint16_t waits_for = 34;
}  // namespace attr::peer

namespace attr::event {
/// Counts the events of the resource; a gap means that some were lost.
inline constexpr std::uint16_t sequence = 1;
/// What changed.
inline constexpr std::uint16_t kind = 2;
/// Name of the resource.
inline constexpr std::uint16_t name = 3;
/// The volume, if it is about one.
inline constexpr std::uint16_t volume = 4;
/// The peer, if it is about one.
inline constexpr std::uint16_t node_id = 5;
/// State before, by name.
inline constexpr std::uint16_t old = 6;
/// State now, by name.
inline constexpr std::uint16_t new_ = 7;
/// Why, for people.
inline constexpr std::uint16_t cause = 8;
/// Epoch that it is about.
inline constexpr std::uint16_t epoch = 9;
/// Start of a range, in bytes.
inline constexpr std::uint16_t offset = 10;
/// Length of a range, in bytes.
inline constexpr std::uint16_t length = 11;
/// A negative errno, if something failed.
inline constexpr std::uint16_t error = 12;
/// The peer's stream, if it is about one.
inline constexpr std::uint16_t stream_id = 13;
}  // namespace attr::event

namespace set::detail {
inline constexpr auto module = std::to_array<Attribute>({
    {"api-min", 1, AttributeType::u32, false, nullptr, nullptr},
    {"api-max", 2, AttributeType::u32, false, nullptr, nullptr},
    {"version", 3, AttributeType::string, false, nullptr, nullptr},
    {"api-version", 4, AttributeType::u32, false, nullptr, nullptr},
    {"protocol-min", 5, AttributeType::u32, false, nullptr, nullptr},
    {"protocol-max", 6, AttributeType::u32, false, nullptr, nullptr},
    {"features", 7, AttributeType::u32, false, nullptr, &enumeration::feature},
});
}  // namespace set::detail

namespace set {
/// The module as a whole.
inline constexpr AttributeSet module{"module", detail::module};
}  // namespace set

namespace set::detail {
inline constexpr auto node = std::to_array<Attribute>({
    {"node-id", 1, AttributeType::u32, false, nullptr, nullptr},
    {"diskful", 2, AttributeType::flag, false, nullptr, nullptr},
    {"in-sync", 3, AttributeType::flag, false, nullptr, nullptr},
    {"instance", 4, AttributeType::u64, false, nullptr, nullptr},
});
}  // namespace set::detail

namespace set {
/// A member within a configuration.
inline constexpr AttributeSet node{"node", detail::node};
}  // namespace set

namespace set::detail {
inline constexpr auto config = std::to_array<Attribute>({
    {"lineage", 1, AttributeType::binary, false, nullptr, nullptr},
    {"epoch", 2, AttributeType::u64, false, nullptr, nullptr},
    {"id", 3, AttributeType::u64, false, nullptr, nullptr},
    {"writer", 4, AttributeType::u32, false, nullptr, nullptr},
    {"node", 5, AttributeType::nest, true, &set::node, nullptr},
});
}  // namespace set::detail

namespace set {
/// A configuration: the register's value as far as a kernel enforces it.
inline constexpr AttributeSet config{"config", detail::config};
}  // namespace set

namespace set::detail {
inline constexpr auto resource = std::to_array<Attribute>({
    {"name", 1, AttributeType::string, false, nullptr, nullptr},
    {"node-id", 2, AttributeType::u32, false, nullptr, nullptr},
    {"lease-ms", 3, AttributeType::u32, false, nullptr, nullptr},
    {"timeout-ms", 4, AttributeType::u32, false, nullptr, nullptr},
    {"policy", 5, AttributeType::u32, false, nullptr, &enumeration::policy},
    {"config", 6, AttributeType::nest, false, &set::config, nullptr},
    {"new-lineage", 7, AttributeType::flag, false, nullptr, nullptr},
    {"epoch", 8, AttributeType::u64, false, nullptr, nullptr},
    {"reference", 9, AttributeType::u32, false, nullptr, nullptr},
    {"force", 10, AttributeType::flag, false, nullptr, nullptr},
    {"instance", 11, AttributeType::u64, false, nullptr, nullptr},
    {"service", 12, AttributeType::u32, false, nullptr, &enumeration::service},
    {"reason", 13, AttributeType::string, false, nullptr, nullptr},
    {"adopting", 14, AttributeType::flag, false, nullptr, nullptr},
    {"suspect", 15, AttributeType::flag, false, nullptr, nullptr},
    {"held", 16, AttributeType::u64, false, nullptr, nullptr},
    {"sequence", 17, AttributeType::u64, false, nullptr, nullptr},
    {"done", 18, AttributeType::flag, false, nullptr, nullptr},
    {"request-timeout-ms", 19, AttributeType::u32, false, nullptr, nullptr},
    {"source", 20, AttributeType::u32, false, nullptr, nullptr},
    {"target", 21, AttributeType::u32, false, nullptr, nullptr},
    {"grant", 22, AttributeType::u64, false, nullptr, nullptr},
    {"deadline-ms", 23, AttributeType::u32, false, nullptr, nullptr},
    {"migration", 24, AttributeType::u32, false, nullptr, &enumeration::migration},
    {"last-epoch", 25, AttributeType::u64, false, nullptr, nullptr},
    {"suspended", 26, AttributeType::flag, false, nullptr, nullptr},
    {"in-flight", 27, AttributeType::u32, false, nullptr, nullptr},
    {"open-wait-ms", 28, AttributeType::u32, false, nullptr, nullptr},
    {"common-epoch", 29, AttributeType::u64, false, nullptr, nullptr},
});
}  // namespace set::detail

namespace set {
/// A resource as this node sees it.
inline constexpr AttributeSet resource{"resource", detail::resource};
}  // namespace set

namespace set::detail {
inline constexpr auto stats = std::to_array<Attribute>({
    {"reads", 1, AttributeType::u64, false, nullptr, nullptr},
    {"writes", 2, AttributeType::u64, false, nullptr, nullptr},
    {"flushes", 3, AttributeType::u64, false, nullptr, nullptr},
    {"read-bytes", 4, AttributeType::u64, false, nullptr, nullptr},
    {"written-bytes", 5, AttributeType::u64, false, nullptr, nullptr},
    {"remote-reads", 6, AttributeType::u64, false, nullptr, nullptr},
    {"repaired", 7, AttributeType::u64, false, nullptr, nullptr},
    {"metadata-writes", 8, AttributeType::u64, false, nullptr, nullptr},
    {"log-writes", 9, AttributeType::u64, false, nullptr, nullptr},
    {"conflicts", 10, AttributeType::u64, false, nullptr, nullptr},
    {"peer-writes", 11, AttributeType::u64, false, nullptr, nullptr},
    {"peer-reads", 12, AttributeType::u64, false, nullptr, nullptr},
    {"latency", 13, AttributeType::binary, false, nullptr, nullptr},
});
}  // namespace set::detail

namespace set {
/// Counters since the volume was made.
inline constexpr AttributeSet stats{"stats", detail::stats};
}  // namespace set

namespace set::detail {
inline constexpr auto volume = std::to_array<Attribute>({
    {"name", 1, AttributeType::string, false, nullptr, nullptr},
    {"volume", 2, AttributeType::u32, false, nullptr, nullptr},
    {"minor", 3, AttributeType::u32, false, nullptr, nullptr},
    {"size", 4, AttributeType::u64, false, nullptr, nullptr},
    {"block-size", 5, AttributeType::u32, false, nullptr, nullptr},
    {"disk", 6, AttributeType::string, false, nullptr, nullptr},
    {"meta-disk", 7, AttributeType::string, false, nullptr, nullptr},
    {"force", 8, AttributeType::flag, false, nullptr, nullptr},
    {"disk-state", 9, AttributeType::u32, false, nullptr, &enumeration::disk_state},
    {"opens", 10, AttributeType::u32, false, nullptr, nullptr},
    {"active-regions", 11, AttributeType::u32, false, nullptr, nullptr},
    {"generation", 12, AttributeType::u64, false, nullptr, nullptr},
    {"stable", 13, AttributeType::u64, false, nullptr, nullptr},
    {"in-flight", 14, AttributeType::u32, false, nullptr, nullptr},
    {"stats", 15, AttributeType::nest, false, &set::stats, nullptr},
    {"uuid", 16, AttributeType::binary, false, nullptr, nullptr},
    {"replica-flags", 17, AttributeType::u32, false, nullptr, nullptr},
    {"vote", 18, AttributeType::binary, false, nullptr, nullptr},
    {"disk-size", 19, AttributeType::u64, false, nullptr, nullptr},
    {"old-size", 20, AttributeType::u64, false, nullptr, nullptr},
    {"waiting-opens", 21, AttributeType::u32, false, nullptr, nullptr},
});
}  // namespace set::detail

namespace set {
/// A volume of a resource on this node.
inline constexpr AttributeSet volume{"volume", detail::volume};
}  // namespace set

namespace set::detail {
inline constexpr auto stream = std::to_array<Attribute>({
    {"stream-id", 1, AttributeType::u32, false, nullptr, nullptr},
    {"sent", 2, AttributeType::u64, false, nullptr, nullptr},
    {"tls", 3, AttributeType::flag, false, nullptr, nullptr},
    {"retiring", 4, AttributeType::flag, false, nullptr, nullptr},
});
}  // namespace set::detail

namespace set {
/// A stream of the connection to a peer.
inline constexpr AttributeSet stream{"stream", detail::stream};
}  // namespace set

namespace set::detail {
inline constexpr auto peer = std::to_array<Attribute>({
    {"name", 1, AttributeType::string, false, nullptr, nullptr},
    {"node-id", 2, AttributeType::u32, false, nullptr, nullptr},
    {"fd", 3, AttributeType::u32, false, nullptr, nullptr},
    {"session", 4, AttributeType::u64, false, nullptr, nullptr},
    {"checksums", 5, AttributeType::flag, false, nullptr, nullptr},
    {"key-limit", 6, AttributeType::u64, false, nullptr, nullptr},
    {"stream-id", 7, AttributeType::u32, false, nullptr, nullptr},
    {"stream", 8, AttributeType::nest, true, &set::stream, nullptr},
    {"link-state", 9, AttributeType::u32, false, nullptr, &enumeration::link_state},
    {"streams", 10, AttributeType::u32, false, nullptr, nullptr},
    {"epoch", 11, AttributeType::u64, false, nullptr, nullptr},
    {"config-id", 12, AttributeType::u64, false, nullptr, nullptr},
    {"instance", 13, AttributeType::u64, false, nullptr, nullptr},
    {"last-epoch", 14, AttributeType::u64, false, nullptr, nullptr},
    {"suspect", 15, AttributeType::flag, false, nullptr, nullptr},
    {"lease-ms", 16, AttributeType::u32, false, nullptr, nullptr},
    {"done", 17, AttributeType::flag, false, nullptr, nullptr},
    {"volume", 18, AttributeType::u32, false, nullptr, nullptr},
    {"attached", 19, AttributeType::flag, false, nullptr, nullptr},
    {"size", 20, AttributeType::u64, false, nullptr, nullptr},
    {"dirty", 21, AttributeType::u64, false, nullptr, nullptr},
    {"sync-state", 22, AttributeType::u32, false, nullptr, &enumeration::sync_state},
    {"sync-total", 23, AttributeType::u64, false, nullptr, nullptr},
    {"sync-left", 24, AttributeType::u64, false, nullptr, nullptr},
    {"sync-same", 25, AttributeType::u64, false, nullptr, nullptr},
    {"sync-rate", 26, AttributeType::u64, false, nullptr, nullptr},
    {"sync-time-left", 27, AttributeType::u64, false, nullptr, nullptr},
    {"differing", 28, AttributeType::u64, false, nullptr, nullptr},
    {"start", 29, AttributeType::u64, false, nullptr, nullptr},
    {"stop", 30, AttributeType::u64, false, nullptr, nullptr},
    {"full", 31, AttributeType::flag, false, nullptr, nullptr},
    {"compare", 32, AttributeType::flag, false, nullptr, nullptr},
    {"max-rate", 33, AttributeType::u64, false, nullptr, nullptr},
    {"waits-for", 34, AttributeType::string, false, nullptr, nullptr},
});
}  // namespace set::detail

namespace set {
/// A peer of a resource, as this node sees it; with volume: its replica of that volume. For resyncs
/// also this node itself.
inline constexpr AttributeSet peer{"peer", detail::peer};
}  // namespace set

namespace set::detail {
inline constexpr auto event = std::to_array<Attribute>({
    {"sequence", 1, AttributeType::u64, false, nullptr, nullptr},
    {"kind", 2, AttributeType::u32, false, nullptr, &enumeration::event_kind},
    {"name", 3, AttributeType::string, false, nullptr, nullptr},
    {"volume", 4, AttributeType::u32, false, nullptr, nullptr},
    {"node-id", 5, AttributeType::u32, false, nullptr, nullptr},
    {"old", 6, AttributeType::string, false, nullptr, nullptr},
    {"new", 7, AttributeType::string, false, nullptr, nullptr},
    {"cause", 8, AttributeType::string, false, nullptr, nullptr},
    {"epoch", 9, AttributeType::u64, false, nullptr, nullptr},
    {"offset", 10, AttributeType::u64, false, nullptr, nullptr},
    {"length", 11, AttributeType::u64, false, nullptr, nullptr},
    {"error", 12, AttributeType::s32, false, nullptr, nullptr},
    {"stream-id", 13, AttributeType::u32, false, nullptr, nullptr},
});
}  // namespace set::detail

namespace set {
/// A change of state, sent to the group events.
inline constexpr AttributeSet event{"event", detail::event};
}  // namespace set

inline constexpr auto attribute_sets = std::to_array<const AttributeSet*>({
    &set::module,
    &set::node,
    &set::config,
    &set::resource,
    &set::stats,
    &set::volume,
    &set::stream,
    &set::peer,
    &set::event,
});

namespace op::detail::module_get_lists {
inline constexpr std::array<std::uint16_t, 2> call_request{
    attr::module::api_min,
    attr::module::api_max,
};
inline constexpr std::array<std::uint16_t, 7> call_reply{
    attr::module::version,
    attr::module::api_min,
    attr::module::api_max,
    attr::module::api_version,
    attr::module::protocol_min,
    attr::module::protocol_max,
    attr::module::features,
};
inline constexpr Messages call{call_request, call_reply};
}  // namespace op::detail::module_get_lists

namespace op {
/// Describe the module, and agree on a version of this interface. A range without a common version
/// is refused with EPROTONOSUPPORT; half a range, or one that ends before it begins, with EINVAL.
inline constexpr Operation module_get{
    "module-get", 1, &set::module,
    &op::detail::module_get_lists::call, nullptr,
    "", {}};
}  // namespace op

namespace op::detail::resource_new_lists {
inline constexpr std::array<std::uint16_t, 7> call_request{
    attr::resource::name,
    attr::resource::node_id,
    attr::resource::lease_ms,
    attr::resource::timeout_ms,
    attr::resource::request_timeout_ms,
    attr::resource::policy,
    attr::resource::open_wait_ms,
};
inline constexpr std::array<std::uint16_t, 0> call_reply{};
inline constexpr Messages call{call_request, call_reply};
}  // namespace op::detail::resource_new_lists

namespace op {
/// Make a resource. It has no volumes, no peers and no configuration.
inline constexpr Operation resource_new{
    "resource-new", 2, &set::resource,
    &op::detail::resource_new_lists::call, nullptr,
    "", {}};
}  // namespace op

namespace op::detail::resource_set_lists {
inline constexpr std::array<std::uint16_t, 6> call_request{
    attr::resource::name,
    attr::resource::lease_ms,
    attr::resource::timeout_ms,
    attr::resource::request_timeout_ms,
    attr::resource::policy,
    attr::resource::open_wait_ms,
};
inline constexpr std::array<std::uint16_t, 0> call_reply{};
inline constexpr Messages call{call_request, call_reply};
}  // namespace op::detail::resource_set_lists

namespace op {
/// Change settings of a resource.
inline constexpr Operation resource_set{
    "resource-set", 3, &set::resource,
    &op::detail::resource_set_lists::call, nullptr,
    "", {}};
}  // namespace op

namespace op::detail::resource_del_lists {
inline constexpr std::array<std::uint16_t, 2> call_request{
    attr::resource::name,
    attr::resource::force,
};
inline constexpr std::array<std::uint16_t, 0> call_reply{};
inline constexpr Messages call{call_request, call_reply};
}  // namespace op::detail::resource_del_lists

namespace op {
/// Take a resource down: disconnect its peers, detach its disks, remove its devices. Refused while
/// a device is open, unless forced; then its I/O fails. The event resource tells the end.
inline constexpr Operation resource_del{
    "resource-del", 4, &set::resource,
    &op::detail::resource_del_lists::call, nullptr,
    "", {}};
}  // namespace op

namespace op::detail::resource_get_lists {
inline constexpr std::array<std::uint16_t, 1> call_request{
    attr::resource::name,
};
inline constexpr std::array<std::uint16_t, 24> call_reply{
    attr::resource::name,
    attr::resource::node_id,
    attr::resource::lease_ms,
    attr::resource::timeout_ms,
    attr::resource::request_timeout_ms,
    attr::resource::policy,
    attr::resource::open_wait_ms,
    attr::resource::config,
    attr::resource::instance,
    attr::resource::service,
    attr::resource::reason,
    attr::resource::adopting,
    attr::resource::suspect,
    attr::resource::held,
    attr::resource::sequence,
    attr::resource::done,
    attr::resource::migration,
    attr::resource::source,
    attr::resource::target,
    attr::resource::grant,
    attr::resource::deadline_ms,
    attr::resource::last_epoch,
    attr::resource::suspended,
    attr::resource::in_flight,
};
inline constexpr Messages call{call_request, call_reply};
inline constexpr std::array<std::uint16_t, 1> dump_request{
    attr::resource::name,
};
inline constexpr std::array<std::uint16_t, 24> dump_reply{
    attr::resource::name,
    attr::resource::node_id,
    attr::resource::lease_ms,
    attr::resource::timeout_ms,
    attr::resource::request_timeout_ms,
    attr::resource::policy,
    attr::resource::open_wait_ms,
    attr::resource::config,
    attr::resource::instance,
    attr::resource::service,
    attr::resource::reason,
    attr::resource::adopting,
    attr::resource::suspect,
    attr::resource::held,
    attr::resource::sequence,
    attr::resource::done,
    attr::resource::migration,
    attr::resource::source,
    attr::resource::target,
    attr::resource::grant,
    attr::resource::deadline_ms,
    attr::resource::last_epoch,
    attr::resource::suspended,
    attr::resource::in_flight,
};
inline constexpr Messages dump{dump_request, dump_reply};
}  // namespace op::detail::resource_get_lists

namespace op {
/// Describe resources: one, or those of the network namespace.
inline constexpr Operation resource_get{
    "resource-get", 5, &set::resource,
    &op::detail::resource_get_lists::call, &op::detail::resource_get_lists::dump,
    "", {}};
}  // namespace op

namespace op::detail::resource_configure_lists {
inline constexpr std::array<std::uint16_t, 4> call_request{
    attr::resource::name,
    attr::resource::config,
    attr::resource::new_lineage,
    attr::resource::common_epoch,
};
inline constexpr std::array<std::uint16_t, 0> call_reply{};
inline constexpr Messages call{call_request, call_reply};
}  // namespace op::detail::resource_configure_lists

namespace op {
/// Adopt a configuration. It is durable on this node's disks when the event config tells so. Epochs
/// grow; an adopted one is accepted again, a different one with the same epoch is refused.
inline constexpr Operation resource_configure{
    "resource-configure", 6, &set::resource,
    &op::detail::resource_configure_lists::call, nullptr,
    "", {}};
}  // namespace op

namespace op::detail::resource_serve_lists {
inline constexpr std::array<std::uint16_t, 3> call_request{
    attr::resource::name,
    attr::resource::epoch,
    attr::resource::reference,
};
inline constexpr std::array<std::uint16_t, 0> call_reply{};
inline constexpr Messages call{call_request, call_reply};
}  // namespace op::detail::resource_serve_lists

namespace op {
/// As the writer of the adopted configuration: make the replicas equal where they may differ, and
/// serve.
inline constexpr Operation resource_serve{
    "resource-serve", 7, &set::resource,
    &op::detail::resource_serve_lists::call, nullptr,
    "", {}};
}  // namespace op

namespace op::detail::resource_demote_lists {
inline constexpr std::array<std::uint16_t, 2> call_request{
    attr::resource::name,
    attr::resource::force,
};
inline constexpr std::array<std::uint16_t, 0> call_reply{};
inline constexpr Messages call{call_request, call_reply};
}  // namespace op::detail::resource_demote_lists

namespace op {
/// Stop serving, irrevocably for this epoch. I/O under way is drained; refused while a device is
/// open, unless forced: then all I/O fails.
inline constexpr Operation resource_demote{
    "resource-demote", 8, &set::resource,
    &op::detail::resource_demote_lists::call, nullptr,
    "", {}};
}  // namespace op

namespace op::detail::resource_migrate_lists {
inline constexpr std::array<std::uint16_t, 5> call_request{
    attr::resource::name,
    attr::resource::epoch,
    attr::resource::target,
    attr::resource::grant,
    attr::resource::deadline_ms,
};
inline constexpr std::array<std::uint16_t, 0> call_reply{};
inline constexpr Messages call{call_request, call_reply};
}  // namespace op::detail::resource_migrate_lists

namespace op {
/// Prepare a live migration from the writer of the adopted configuration to target. On the target:
/// its devices may be opened, reads and flushes go through the writer, writes wait; the first one
/// asks for the token. On the writer: when asked, it ends its I/O, makes it stable and stops for
/// good in this epoch, and the event migration tells that the token is handed over. What is left
/// then is a configuration of a newer epoch. Any other end has the source serve on: withdrawal, the
/// deadline, or a newer epoch. Then the target's writes fail.
inline constexpr Operation resource_migrate{
    "resource-migrate", 9, &set::resource,
    &op::detail::resource_migrate_lists::call, nullptr,
    "", {}};
}  // namespace op

namespace op::detail::migrate_ask_lists {
inline constexpr std::array<std::uint16_t, 2> call_request{
    attr::resource::name,
    attr::resource::grant,
};
inline constexpr std::array<std::uint16_t, 0> call_reply{};
inline constexpr Messages call{call_request, call_reply};
}  // namespace op::detail::migrate_ask_lists

namespace op {
/// On the target, ask for the token now, as its first write does.
inline constexpr Operation migrate_ask{
    "migrate-ask", 10, &set::resource,
    &op::detail::migrate_ask_lists::call, nullptr,
    "", {}};
}  // namespace op

namespace op::detail::migrate_end_lists {
inline constexpr std::array<std::uint16_t, 2> call_request{
    attr::resource::name,
    attr::resource::grant,
};
inline constexpr std::array<std::uint16_t, 0> call_reply{};
inline constexpr Messages call{call_request, call_reply};
}  // namespace op::detail::migrate_end_lists

namespace op {
/// Withdraw a grant, or end what is prepared on the target. Once this succeeds on the source the
/// token is not handed over any more. Refused on the source after that it was.
inline constexpr Operation migrate_end{
    "migrate-end", 11, &set::resource,
    &op::detail::migrate_end_lists::call, nullptr,
    "", {}};
}  // namespace op

namespace op::detail::volume_new_lists {
inline constexpr std::array<std::uint16_t, 3> call_request{
    attr::volume::name,
    attr::volume::volume,
    attr::volume::minor,
};
inline constexpr std::array<std::uint16_t, 0> call_reply{};
inline constexpr Messages call{call_request, call_reply};
}  // namespace op::detail::volume_new_lists

namespace op {
/// Make a volume with its device.
inline constexpr Operation volume_new{
    "volume-new", 12, &set::volume,
    &op::detail::volume_new_lists::call, nullptr,
    "", {}};
}  // namespace op

namespace op::detail::volume_del_lists {
inline constexpr std::array<std::uint16_t, 2> call_request{
    attr::volume::name,
    attr::volume::volume,
};
inline constexpr std::array<std::uint16_t, 0> call_reply{};
inline constexpr Messages call{call_request, call_reply};
}  // namespace op::detail::volume_del_lists

namespace op {
/// Remove a volume without a disk, and its device. Refused while it is open.
inline constexpr Operation volume_del{
    "volume-del", 13, &set::volume,
    &op::detail::volume_del_lists::call, nullptr,
    "", {}};
}  // namespace op

namespace op::detail::volume_get_lists {
inline constexpr std::array<std::uint16_t, 1> dump_request{
    attr::volume::name,
};
inline constexpr std::array<std::uint16_t, 16> dump_reply{
    attr::volume::name,
    attr::volume::volume,
    attr::volume::minor,
    attr::volume::size,
    attr::volume::block_size,
    attr::volume::disk_state,
    attr::volume::opens,
    attr::volume::waiting_opens,
    attr::volume::active_regions,
    attr::volume::generation,
    attr::volume::stable,
    attr::volume::in_flight,
    attr::volume::stats,
    attr::volume::uuid,
    attr::volume::replica_flags,
    attr::volume::disk_size,
};
inline constexpr Messages dump{dump_request, dump_reply};
}  // namespace op::detail::volume_get_lists

namespace op {
/// Describe the volumes of a resource, or of all in the network namespace.
inline constexpr Operation volume_get{
    "volume-get", 14, &set::volume,
    nullptr, &op::detail::volume_get_lists::dump,
    "", {}};
}  // namespace op

namespace op::detail::volume_attach_lists {
inline constexpr std::array<std::uint16_t, 5> call_request{
    attr::volume::name,
    attr::volume::volume,
    attr::volume::disk,
    attr::volume::meta_disk,
    attr::volume::old_size,
};
inline constexpr std::array<std::uint16_t, 0> call_reply{};
inline constexpr Messages call{call_request, call_reply};
}  // namespace op::detail::volume_attach_lists

namespace op {
/// Attach a disk with metadata. The event disk tells the end.
inline constexpr Operation volume_attach{
    "volume-attach", 15, &set::volume,
    &op::detail::volume_attach_lists::call, nullptr,
    "", {}};
}  // namespace op

namespace op::detail::volume_resize_lists {
inline constexpr std::array<std::uint16_t, 2> call_request{
    attr::volume::name,
    attr::volume::volume,
};
inline constexpr std::array<std::uint16_t, 0> call_reply{};
inline constexpr Messages call{call_request, call_reply};
}  // namespace op::detail::volume_resize_lists

namespace op {
/// After the disk has grown: use it at its new size. On the writer, last of all: make the volume as
/// large as all disks in sync have room for. What it gains reads as zeroes. It never shrinks. The
/// event size tells the end.
inline constexpr Operation volume_resize{
    "volume-resize", 16, &set::volume,
    &op::detail::volume_resize_lists::call, nullptr,
    "", {}};
}  // namespace op

namespace op::detail::volume_detach_lists {
inline constexpr std::array<std::uint16_t, 3> call_request{
    attr::volume::name,
    attr::volume::volume,
    attr::volume::force,
};
inline constexpr std::array<std::uint16_t, 0> call_reply{};
inline constexpr Messages call{call_request, call_reply};
}  // namespace op::detail::volume_detach_lists

namespace op {
/// Detach the disk. I/O goes on through peers. The event disk tells the end.
inline constexpr Operation volume_detach{
    "volume-detach", 17, &set::volume,
    &op::detail::volume_detach_lists::call, nullptr,
    "", {}};
}  // namespace op

namespace op::detail::vote_set_lists {
inline constexpr std::array<std::uint16_t, 3> call_request{
    attr::volume::name,
    attr::volume::volume,
    attr::volume::vote,
};
inline constexpr std::array<std::uint16_t, 0> call_reply{};
inline constexpr Messages call{call_request, call_reply};
}  // namespace op::detail::vote_set_lists

namespace op {
/// Store the register's ballot and value in the volume's metadata. The event vote tells when it is
/// durable. It takes the place of one that waits to be written; none is overwritten by an older
/// one.
inline constexpr Operation vote_set{
    "vote-set", 18, &set::volume,
    &op::detail::vote_set_lists::call, nullptr,
    "", {}};
}  // namespace op

namespace op::detail::vote_get_lists {
inline constexpr std::array<std::uint16_t, 2> call_request{
    attr::volume::name,
    attr::volume::volume,
};
inline constexpr std::array<std::uint16_t, 3> call_reply{
    attr::volume::name,
    attr::volume::volume,
    attr::volume::vote,
};
inline constexpr Messages call{call_request, call_reply};
}  // namespace op::detail::vote_get_lists

namespace op {
/// The register's ballot and value that are durable.
inline constexpr Operation vote_get{
    "vote-get", 19, &set::volume,
    &op::detail::vote_get_lists::call, nullptr,
    "", {}};
}  // namespace op

namespace op::detail::peer_new_lists {
inline constexpr std::array<std::uint16_t, 2> call_request{
    attr::peer::name,
    attr::peer::node_id,
};
inline constexpr std::array<std::uint16_t, 0> call_reply{};
inline constexpr Messages call{call_request, call_reply};
}  // namespace op::detail::peer_new_lists

namespace op {
/// Make known a peer of a resource.
inline constexpr Operation peer_new{
    "peer-new", 20, &set::peer,
    &op::detail::peer_new_lists::call, nullptr,
    "", {}};
}  // namespace op

namespace op::detail::peer_del_lists {
inline constexpr std::array<std::uint16_t, 2> call_request{
    attr::peer::name,
    attr::peer::node_id,
};
inline constexpr std::array<std::uint16_t, 0> call_reply{};
inline constexpr Messages call{call_request, call_reply};
}  // namespace op::detail::peer_del_lists

namespace op {
/// Forget a peer; its connection ends.
inline constexpr Operation peer_del{
    "peer-del", 21, &set::peer,
    &op::detail::peer_del_lists::call, nullptr,
    "", {}};
}  // namespace op

namespace op::detail::peer_get_lists {
inline constexpr std::array<std::uint16_t, 1> dump_request{
    attr::peer::name,
};
inline constexpr std::array<std::uint16_t, 25> dump_reply{
    attr::peer::name,
    attr::peer::node_id,
    attr::peer::link_state,
    attr::peer::session,
    attr::peer::streams,
    attr::peer::stream,
    attr::peer::epoch,
    attr::peer::config_id,
    attr::peer::instance,
    attr::peer::last_epoch,
    attr::peer::suspect,
    attr::peer::lease_ms,
    attr::peer::done,
    attr::peer::volume,
    attr::peer::attached,
    attr::peer::size,
    attr::peer::dirty,
    attr::peer::sync_state,
    attr::peer::sync_total,
    attr::peer::sync_left,
    attr::peer::sync_same,
    attr::peer::sync_rate,
    attr::peer::sync_time_left,
    attr::peer::differing,
    attr::peer::waits_for,
};
inline constexpr Messages dump{dump_request, dump_reply};
}  // namespace op::detail::peer_get_lists

namespace op {
/// Describe the peers of a resource, or of all in the network namespace: a message for each peer,
/// and one for each of its volumes. After a resync of this node's own replicas also one for each of
/// these.
inline constexpr Operation peer_get{
    "peer-get", 22, &set::peer,
    nullptr, &op::detail::peer_get_lists::dump,
    "", {}};
}  // namespace op

namespace op::detail::peer_connect_lists {
inline constexpr std::array<std::uint16_t, 6> call_request{
    attr::peer::name,
    attr::peer::node_id,
    attr::peer::fd,
    attr::peer::session,
    attr::peer::checksums,
    attr::peer::key_limit,
};
inline constexpr std::array<std::uint16_t, 0> call_reply{};
inline constexpr Messages call{call_request, call_reply};
}  // namespace op::detail::peer_connect_lists

namespace op {
/// Hand over a connected and authenticated socket as a stream to a peer. The first with a new
/// session ends an earlier connection.
inline constexpr Operation peer_connect{
    "peer-connect", 23, &set::peer,
    &op::detail::peer_connect_lists::call, nullptr,
    "", {}};
}  // namespace op

namespace op::detail::peer_retire_lists {
inline constexpr std::array<std::uint16_t, 3> call_request{
    attr::peer::name,
    attr::peer::node_id,
    attr::peer::stream_id,
};
inline constexpr std::array<std::uint16_t, 0> call_reply{};
inline constexpr Messages call{call_request, call_reply};
}  // namespace op::detail::peer_retire_lists

namespace op {
/// End one stream of a connection that has another one, without harm: it takes no new requests on
/// either side and is closed after the last one, which the event stream tells. Together with a
/// connect before it a stream is replaced while it carries traffic; one side asks for it.
inline constexpr Operation peer_retire{
    "peer-retire", 24, &set::peer,
    &op::detail::peer_retire_lists::call, nullptr,
    "", {}};
}  // namespace op

namespace op::detail::peer_disconnect_lists {
inline constexpr std::array<std::uint16_t, 2> call_request{
    attr::peer::name,
    attr::peer::node_id,
};
inline constexpr std::array<std::uint16_t, 0> call_reply{};
inline constexpr Messages call{call_request, call_reply};
}  // namespace op::detail::peer_disconnect_lists

namespace op {
/// End the connection to a peer.
inline constexpr Operation peer_disconnect{
    "peer-disconnect", 25, &set::peer,
    &op::detail::peer_disconnect_lists::call, nullptr,
    "", {}};
}  // namespace op

namespace op::detail::sync_start_lists {
inline constexpr std::array<std::uint16_t, 5> call_request{
    attr::peer::name,
    attr::peer::node_id,
    attr::peer::full,
    attr::peer::compare,
    attr::peer::max_rate,
};
inline constexpr std::array<std::uint16_t, 0> call_reply{};
inline constexpr Messages call{call_request, call_reply};
}  // namespace op::detail::sync_start_lists

namespace op {
/// As the writer: make the replicas of a peer, or of this node itself, equal and keep them so. It
/// may then join.
inline constexpr Operation sync_start{
    "sync-start", 26, &set::peer,
    &op::detail::sync_start_lists::call, nullptr,
    "", {}};
}  // namespace op

namespace op::detail::sync_set_lists {
inline constexpr std::array<std::uint16_t, 3> call_request{
    attr::peer::name,
    attr::peer::node_id,
    attr::peer::max_rate,
};
inline constexpr std::array<std::uint16_t, 0> call_reply{};
inline constexpr Messages call{call_request, call_reply};
}  // namespace op::detail::sync_set_lists

namespace op {
/// Change the upper bound of a resync, now.
inline constexpr Operation sync_set{
    "sync-set", 27, &set::peer,
    &op::detail::sync_set_lists::call, nullptr,
    "", {}};
}  // namespace op

namespace op::detail::sync_pause_lists {
inline constexpr std::array<std::uint16_t, 2> call_request{
    attr::peer::name,
    attr::peer::node_id,
};
inline constexpr std::array<std::uint16_t, 0> call_reply{};
inline constexpr Messages call{call_request, call_reply};
}  // namespace op::detail::sync_pause_lists

namespace op {
/// Stop copying; new writes go on to be received.
inline constexpr Operation sync_pause{
    "sync-pause", 28, &set::peer,
    &op::detail::sync_pause_lists::call, nullptr,
    "", {}};
}  // namespace op

namespace op::detail::sync_resume_lists {
inline constexpr std::array<std::uint16_t, 2> call_request{
    attr::peer::name,
    attr::peer::node_id,
};
inline constexpr std::array<std::uint16_t, 0> call_reply{};
inline constexpr Messages call{call_request, call_reply};
}  // namespace op::detail::sync_resume_lists

namespace op {
/// Go on copying.
inline constexpr Operation sync_resume{
    "sync-resume", 29, &set::peer,
    &op::detail::sync_resume_lists::call, nullptr,
    "", {}};
}  // namespace op

namespace op::detail::sync_stop_lists {
inline constexpr std::array<std::uint16_t, 2> call_request{
    attr::peer::name,
    attr::peer::node_id,
};
inline constexpr std::array<std::uint16_t, 0> call_reply{};
inline constexpr Messages call{call_request, call_reply};
}  // namespace op::detail::sync_stop_lists

namespace op {
/// End a resync. What is not yet equal stays known.
inline constexpr Operation sync_stop{
    "sync-stop", 30, &set::peer,
    &op::detail::sync_stop_lists::call, nullptr,
    "", {}};
}  // namespace op

namespace op::detail::sync_join_lists {
inline constexpr std::array<std::uint16_t, 2> call_request{
    attr::peer::name,
    attr::peer::node_id,
};
inline constexpr std::array<std::uint16_t, 0> call_reply{};
inline constexpr Messages call{call_request, call_reply};
}  // namespace op::detail::sync_join_lists

namespace op {
/// Announce that the node is proposed as in sync: from now on it must complete each write (R6b).
/// Refused unless its resync is done.
inline constexpr Operation sync_join{
    "sync-join", 31, &set::peer,
    &op::detail::sync_join_lists::call, nullptr,
    "", {}};
}  // namespace op

namespace op::detail::verify_start_lists {
inline constexpr std::array<std::uint16_t, 5> call_request{
    attr::peer::name,
    attr::peer::node_id,
    attr::peer::start,
    attr::peer::stop,
    attr::peer::max_rate,
};
inline constexpr std::array<std::uint16_t, 0> call_reply{};
inline constexpr Messages call{call_request, call_reply};
}  // namespace op::detail::verify_start_lists

namespace op {
/// As the writer: compare the replicas of a peer in sync with this node's, or if it has none with
/// another one in sync, while writes go on. What differs is told by peer-get and verify-get, and
/// marked: after a configuration without the peer a resync of it copies that. A node that becomes
/// the writer instead does not know of it.
inline constexpr Operation verify_start{
    "verify-start", 32, &set::peer,
    &op::detail::verify_start_lists::call, nullptr,
    "", {}};
}  // namespace op

namespace op::detail::verify_stop_lists {
inline constexpr std::array<std::uint16_t, 2> call_request{
    attr::peer::name,
    attr::peer::node_id,
};
inline constexpr std::array<std::uint16_t, 0> call_reply{};
inline constexpr Messages call{call_request, call_reply};
}  // namespace op::detail::verify_stop_lists

namespace op {
/// End a verify. What it has found stays.
inline constexpr Operation verify_stop{
    "verify-stop", 33, &set::peer,
    &op::detail::verify_stop_lists::call, nullptr,
    "", {}};
}  // namespace op

namespace op::detail::verify_get_lists {
inline constexpr std::array<std::uint16_t, 1> dump_request{
    attr::peer::name,
};
inline constexpr std::array<std::uint16_t, 5> dump_reply{
    attr::peer::name,
    attr::peer::node_id,
    attr::peer::volume,
    attr::peer::start,
    attr::peer::stop,
};
inline constexpr Messages dump{dump_request, dump_reply};
}  // namespace op::detail::verify_get_lists

namespace op {
/// The ranges that the last verifies found to differ, by peer and volume, joined and sorted. At
/// most 1024 are kept of each peer; where their bytes are fewer than its differing there are more.
inline constexpr Operation verify_get{
    "verify-get", 34, &set::peer,
    nullptr, &op::detail::verify_get_lists::dump,
    "", {}};
}  // namespace op

namespace op::detail::event_lists {
inline constexpr std::array<std::uint16_t, 13> event{
    attr::event::sequence,
    attr::event::kind,
    attr::event::name,
    attr::event::volume,
    attr::event::node_id,
    attr::event::old,
    attr::event::new_,
    attr::event::cause,
    attr::event::epoch,
    attr::event::offset,
    attr::event::length,
    attr::event::error,
    attr::event::stream_id,
};
}  // namespace op::detail::event_lists

namespace op {
/// A change of state.
inline constexpr Operation event{
    "event", 35, &set::event,
    nullptr, nullptr,
    "events", op::detail::event_lists::event};
}  // namespace op

namespace op::detail::resource_suspend_lists {
inline constexpr std::array<std::uint16_t, 1> call_request{
    attr::resource::name,
};
inline constexpr std::array<std::uint16_t, 0> call_reply{};
inline constexpr Messages call{call_request, call_reply};
}  // namespace op::detail::resource_suspend_lists

namespace op {
/// On a writer that serves: hold new I/O of the application, whatever the policy. What is under way
/// goes on; once in-flight was 0 it has ended. Resyncs, leases and configurations go on. The
/// suspension ends with resource-resume, and where this node stops serving: demoted, by force or
/// not, or deposed. Refused during a migration, and a migration is refused meanwhile. Again:
/// nothing changes.
inline constexpr Operation resource_suspend{
    "resource-suspend", 36, &set::resource,
    &op::detail::resource_suspend_lists::call, nullptr,
    "", {}};
}  // namespace op

namespace op::detail::resource_resume_lists {
inline constexpr std::array<std::uint16_t, 1> call_request{
    attr::resource::name,
};
inline constexpr std::array<std::uint16_t, 0> call_reply{};
inline constexpr Messages call{call_request, call_reply};
}  // namespace op::detail::resource_resume_lists

namespace op {
/// On the writer: end resource-suspend. I/O that was held goes on, unless it waits for something
/// else. If it is not suspended nothing changes.
inline constexpr Operation resource_resume{
    "resource-resume", 37, &set::resource,
    &op::detail::resource_resume_lists::call, nullptr,
    "", {}};
}  // namespace op

namespace op::detail::resource_refuse_opens_lists {
inline constexpr std::array<std::uint16_t, 1> call_request{
    attr::resource::name,
};
inline constexpr std::array<std::uint16_t, 0> call_reply{};
inline constexpr Messages call{call_request, call_reply};
}  // namespace op::detail::resource_refuse_opens_lists

namespace op {
/// Programs that wait to open a volume for writing are refused: this node does not become the
/// writer now. Where none waits nothing changes.
inline constexpr Operation resource_refuse_opens{
    "resource-refuse-opens", 38, &set::resource,
    &op::detail::resource_refuse_opens_lists::call, nullptr,
    "", {}};
}  // namespace op

inline constexpr auto operations = std::to_array<const Operation*>({
    &op::module_get,
    &op::resource_new,
    &op::resource_set,
    &op::resource_del,
    &op::resource_get,
    &op::resource_configure,
    &op::resource_serve,
    &op::resource_demote,
    &op::resource_migrate,
    &op::migrate_ask,
    &op::migrate_end,
    &op::volume_new,
    &op::volume_del,
    &op::volume_get,
    &op::volume_attach,
    &op::volume_resize,
    &op::volume_detach,
    &op::vote_set,
    &op::vote_get,
    &op::peer_new,
    &op::peer_del,
    &op::peer_get,
    &op::peer_connect,
    &op::peer_retire,
    &op::peer_disconnect,
    &op::sync_start,
    &op::sync_set,
    &op::sync_pause,
    &op::sync_resume,
    &op::sync_stop,
    &op::sync_join,
    &op::verify_start,
    &op::verify_stop,
    &op::verify_get,
    &op::event,
    &op::resource_suspend,
    &op::resource_resume,
    &op::resource_refuse_opens,
});

}  // namespace braid::netlink
