/* SPDX-License-Identifier: GPL-2.0 WITH Linux-syscall-note */
/* Do not edit: scripts/gen-netlink wrote this from kernel/spec/braid.yaml. */

#ifndef _UAPI_LINUX_BRAID_H
#define _UAPI_LINUX_BRAID_H

/*
 * Control of Braid's synchronous disk mirroring. Every operation needs
 * CAP_NET_ADMIN and CAP_SYS_ADMIN in the initial user namespace. Objects belong
 * to the network namespace of the socket that created them.
 */
#define BRAID_FAMILY_NAME	"braid"
#define BRAID_FAMILY_VERSION	1

/* What this build of the module can do beyond its version. */
enum braid_feature {
	/*
	 * The kernel was built with TLS sockets (CONFIG_TLS), so replication
	 * may run encrypted.
	 */
	BRAID_FEATURE_KTLS = 0x1,
	/*
	 * Creation and destruction of objects can be logged (dynamic debug, or
	 * a debug build). Without it a log that shows no leak proves nothing.
	 */
	BRAID_FEATURE_OBJECT_LOG = 0x2,
};

/* Longest name of a resource, in bytes. */
#define BRAID_NAME_MAX	63

/* Highest node id. */
#define BRAID_NODE_MAX	31

/* Highest number of a volume. */
#define BRAID_VOLUME_MAX	65535

/* Highest minor of a device. */
#define BRAID_MINOR_MAX	1048575

/* Longest value of a vote, in bytes. */
#define BRAID_VOTE_BYTES_MAX	16352

/* Longest path of a device, in bytes. */
#define BRAID_PATH_MAX	4095

/* In place of a node id: no member is the writer. */
#define BRAID_WRITER_NONE	255

/* Shortest term of a lease, in milliseconds. */
#define BRAID_LEASE_MIN_MS	100

/* Longest term and timeout, in milliseconds. */
#define BRAID_TERM_MAX_MS	600000

/* Longest time that a grant of migration holds, in milliseconds. */
#define BRAID_DEADLINE_MAX_MS	604800000

/* What happens to I/O while the writer may not complete it. */
enum braid_policy {
	/* It is held until the configuration allows it again. */
	BRAID_POLICY_SUSPEND = 0,
	/* It fails with EIO. */
	BRAID_POLICY_IO_ERROR = 1,
};

/* Whether a node serves I/O on the devices of a resource, and why not. */
enum braid_service {
	/* Another node, or none, is the writer. */
	BRAID_SERVICE_SECONDARY = 0,
	/*
	 * This node is the writer of the adopted configuration but was not yet
	 * told to serve.
	 */
	BRAID_SERVICE_PREPARING = 1,
	/* Replicas are made equal before serving (R5). */
	BRAID_SERVICE_RECONCILING = 2,
	/* Reads and writes are served. */
	BRAID_SERVICE_SERVING = 3,
	/*
	 * I/O waits: for members to adopt, for a member that is away, for a
	 * lease, or because an administrator suspended it.
	 */
	BRAID_SERVICE_HELD = 4,
	/*
	 * I/O under way ends, new I/O waits; then the node is no writer any
	 * more.
	 */
	BRAID_SERVICE_DRAINING = 5,
	/* All I/O fails until the node is demoted. */
	BRAID_SERVICE_FAILED = 6,
	/*
	 * A migration comes here: the device may be opened, reads and flushes
	 * go to the writer, writes wait for the token.
	 */
	BRAID_SERVICE_INCOMING = 7,
	/*
	 * The token was handed over. This node has stopped for good in this
	 * epoch; I/O waits for a newer one.
	 */
	BRAID_SERVICE_OUTGOING = 8,
};

/* How far a live migration is, as this node sees it (M1). */
enum braid_migration {
	/* There is none. */
	BRAID_MIGRATION_NONE = 0,
	/*
	 * On the source: it serves, and hands the token over when the target
	 * asks.
	 */
	BRAID_MIGRATION_GRANTED = 1,
	/*
	 * On the source: the target asked; I/O under way ends and is made
	 * stable, new I/O waits.
	 */
	BRAID_MIGRATION_DRAINING = 2,
	/*
	 * On the target: the device may be opened; the first write asks for the
	 * token.
	 */
	BRAID_MIGRATION_PREPARED = 3,
	/* On the target: the source was asked for the token. */
	BRAID_MIGRATION_ASKED = 4,
	/*
	 * On both: the source has stopped for good in this epoch. What is left
	 * is a newer one.
	 */
	BRAID_MIGRATION_HANDED_OVER = 5,
	/*
	 * On the target: it is the writer of the adopted configuration, but
	 * does not serve yet.
	 */
	BRAID_MIGRATION_SWAPPED = 6,
};

/* The state of a volume's own disk. */
enum braid_disk_state {
	/* There is none. */
	BRAID_DISK_STATE_DISKLESS = 0,
	/* Its metadata is being read. */
	BRAID_DISK_STATE_ATTACHING = 1,
	/* It takes I/O. */
	BRAID_DISK_STATE_ATTACHED = 2,
	/* It takes no new I/O, what is under way ends. */
	BRAID_DISK_STATE_DETACHING = 3,
	/* It was given up after an error, and is being detached. */
	BRAID_DISK_STATE_FAILED = 4,
};

/* The state of the connection to a peer. */
enum braid_link_state {
	/* No socket was handed over. */
	BRAID_LINK_STATE_DISCONNECTED = 0,
	/* The hellos are being exchanged, or earlier I/O of the peer ends. */
	BRAID_LINK_STATE_GREETING = 1,
	/* The streams are up. */
	BRAID_LINK_STATE_CONNECTED = 2,
};

/* What goes on between the writer and a replica. */
enum braid_sync_state {
	/* Nothing. */
	BRAID_SYNC_STATE_NONE = 0,
	/*
	 * The peer begins to receive new writes, and is asked what may differ.
	 */
	BRAID_SYNC_STATE_LINKING = 1,
	/* Ranges are compared or copied. */
	BRAID_SYNC_STATE_RUNNING = 2,
	/* As running, but stopped by request. */
	BRAID_SYNC_STATE_PAUSED = 3,
	/* All is copied, the target flushes. */
	BRAID_SYNC_STATE_FLUSHING = 4,
	/* The target is equal and receives all new writes; it may join. */
	BRAID_SYNC_STATE_DONE = 5,
	/* A join was announced: the target counts as in sync (R6b). */
	BRAID_SYNC_STATE_JOINING = 6,
	/* A peer in sync is compared with this node, or another one in sync. */
	BRAID_SYNC_STATE_VERIFYING = 7,
};

/* What an event tells. */
enum braid_event_kind {
	/* The service of a resource changed. */
	BRAID_EVENT_KIND_SERVICE = 0,
	/* A configuration was adopted, or adopting it failed. */
	BRAID_EVENT_KIND_CONFIG = 1,
	/* The state of a disk changed. */
	BRAID_EVENT_KIND_DISK = 2,
	/* The state of a connection changed. */
	BRAID_EVENT_KIND_LINK = 3,
	/* A peer announced a change of its own state. */
	BRAID_EVENT_KIND_PEER = 4,
	/* The state of a resync changed. */
	BRAID_EVENT_KIND_SYNC = 5,
	/* A vote is durable, or storing it failed. */
	BRAID_EVENT_KIND_VOTE = 6,
	/* A resource is gone. */
	BRAID_EVENT_KIND_RESOURCE = 7,
	/* Resizing a volume has ended: done or failed; length is its size. */
	BRAID_EVENT_KIND_SIZE = 8,
	/*
	 * A range that this node's disk could not read came from the peer
	 * node-id, and was rewritten; with error it was not.
	 */
	BRAID_EVENT_KIND_REPAIR = 9,
	/* The stage of a migration changed. */
	BRAID_EVENT_KIND_MIGRATION = 10,
	/*
	 * A stream of a connection ("new"): retired, it ended as requested; or
	 * key-use, it has sent as much as its key should be used for and wants
	 * to be replaced.
	 */
	BRAID_EVENT_KIND_STREAM = 11,
	/* A verify has found its first difference. Its end is an event sync. */
	BRAID_EVENT_KIND_VERIFY = 12,
	/*
	 * Where open-wait-ms is not 0: a program that opens a volume for
	 * writing has begun to wait for this node to become the writer, or was
	 * refused, or the volume is not open any more; cause.
	 */
	BRAID_EVENT_KIND_OPEN = 13,
};

/* The module as a whole. */
enum braid_a_module {
	/*
	 * Lowest version of this interface that is spoken. In a request by the
	 * caller, in a reply by the module.
	 */
	BRAID_A_MODULE_API_MIN = 1,
	/* Highest version of this interface that is spoken, as api-min. */
	BRAID_A_MODULE_API_MAX,
	/* Version of the module, for people. Programs compare api-version. */
	BRAID_A_MODULE_VERSION,
	/*
	 * Highest version that caller and module have in common. Only where the
	 * caller gave its range.
	 */
	BRAID_A_MODULE_API_VERSION,
	/* Lowest version of the replication protocol that is spoken. */
	BRAID_A_MODULE_PROTOCOL_MIN,
	/* Highest version of the replication protocol that is spoken. */
	BRAID_A_MODULE_PROTOCOL_MAX,
	/* What this build can do. */
	BRAID_A_MODULE_FEATURES,

	__BRAID_A_MODULE_MAX,
	BRAID_A_MODULE_MAX = __BRAID_A_MODULE_MAX - 1
};

/* A member within a configuration. */
enum braid_a_node {
	/* The member. */
	BRAID_A_NODE_NODE_ID = 1,
	/* It holds a replica. */
	BRAID_A_NODE_DISKFUL,
	/* Its replica is in sync. */
	BRAID_A_NODE_IN_SYNC,
	/* Instance of the replica that is in sync. */
	BRAID_A_NODE_INSTANCE,

	__BRAID_A_NODE_MAX,
	BRAID_A_NODE_MAX = __BRAID_A_NODE_MAX - 1
};

/* A configuration: the register's value as far as a kernel enforces it. */
enum braid_a_config {
	/* Random; shared by all configurations that follow from one another. */
	BRAID_A_CONFIG_LINEAGE = 1,
	/* Grows with each change. */
	BRAID_A_CONFIG_EPOCH,
	/* Random; tells values of one epoch apart. */
	BRAID_A_CONFIG_ID,
	/* Node id of the writer, or writer-none. */
	BRAID_A_CONFIG_WRITER,
	/* The members, each once. */
	BRAID_A_CONFIG_NODE,

	__BRAID_A_CONFIG_MAX,
	BRAID_A_CONFIG_MAX = __BRAID_A_CONFIG_MAX - 1
};

/* A resource as this node sees it. */
enum braid_a_resource {
	/* Name of the resource. */
	BRAID_A_RESOURCE_NAME = 1,
	/* Node id of this node. */
	BRAID_A_RESOURCE_NODE_ID,
	/*
	 * Term of the leases of reads (R7), in milliseconds; equal on all
	 * members.
	 */
	BRAID_A_RESOURCE_LEASE_MS,
	/* A peer silent for so long is given up, in milliseconds. */
	BRAID_A_RESOURCE_TIMEOUT_MS,
	/* What happens to I/O that cannot complete. */
	BRAID_A_RESOURCE_POLICY,
	/*
	 * The configuration: in requests the one to adopt, in replies the
	 * adopted one.
	 */
	BRAID_A_RESOURCE_CONFIG,
	/*
	 * The configuration may begin a new lineage (forced promotion, or first
	 * use).
	 */
	BRAID_A_RESOURCE_NEW_LINEAGE,
	/*
	 * Epoch that the request is about; refused if another one is adopted.
	 */
	BRAID_A_RESOURCE_EPOCH,
	/*
	 * Node whose replica the others are made equal to before serving (R5).
	 */
	BRAID_A_RESOURCE_REFERENCE,
	/* Do it even though it fails I/O. */
	BRAID_A_RESOURCE_FORCE,
	/* Instance of this node's replicas, new at every attach. */
	BRAID_A_RESOURCE_INSTANCE,
	/* Whether I/O is served. */
	BRAID_A_RESOURCE_SERVICE,
	/* Why service is what it is, for people. */
	BRAID_A_RESOURCE_REASON,
	/* A configuration is being adopted. */
	BRAID_A_RESOURCE_ADOPTING,
	/* A replica of this node may have lost acknowledged writes (R4a). */
	BRAID_A_RESOURCE_SUSPECT,
	/* Requests of the application that wait for service. */
	BRAID_A_RESOURCE_HELD,
	/* Number of the last event of this resource. */
	BRAID_A_RESOURCE_SEQUENCE,
	/*
	 * This node was the writer of the adopted configuration and has
	 * irrevocably stopped.
	 */
	BRAID_A_RESOURCE_DONE,
	/*
	 * A connected peer that leaves a request or its pings unanswered for so
	 * long is disconnected, in milliseconds.
	 */
	BRAID_A_RESOURCE_REQUEST_TIMEOUT_MS,
	/* Node that a migration comes from. */
	BRAID_A_RESOURCE_SOURCE,
	/* Node that a migration goes to. */
	BRAID_A_RESOURCE_TARGET,
	/*
	 * Number of a grant of migration: random, the same on both nodes, and
	 * never used again.
	 */
	BRAID_A_RESOURCE_GRANT,
	/*
	 * In requests: how long the grant holds from now on; in replies: what
	 * is left of it. In milliseconds, on this node's clock.
	 */
	BRAID_A_RESOURCE_DEADLINE_MS,
	/* How far a migration is. */
	BRAID_A_RESOURCE_MIGRATION,
	/*
	 * Epoch of the last configuration in which this node's replicas were in
	 * sync; 0 if they never were, or one of them is another since.
	 */
	BRAID_A_RESOURCE_LAST_EPOCH,
	/*
	 * An administrator suspended the application's I/O. Reason tells what
	 * else it waits for, if anything.
	 */
	BRAID_A_RESOURCE_SUSPENDED,
	/*
	 * Requests of the application under way: reads, writes and flushes,
	 * held ones not included.
	 */
	BRAID_A_RESOURCE_IN_FLIGHT,
	/*
	 * How long a program that opens a volume for writing waits for this
	 * node to become the writer, in milliseconds; 0: it is refused at once.
	 * The event open tells that one waits.
	 */
	BRAID_A_RESOURCE_OPEN_WAIT_MS,
	/*
	 * With new-lineage: the last epoch that the new lineage has in common
	 * with the adopted one. Replicas of this node that were in sync later
	 * count as ones that never were. Absent: 0, none.
	 */
	BRAID_A_RESOURCE_COMMON_EPOCH,

	__BRAID_A_RESOURCE_MAX,
	BRAID_A_RESOURCE_MAX = __BRAID_A_RESOURCE_MAX - 1
};

/* Counters since the volume was made. */
enum braid_a_stats {
	/* Reads of the application. */
	BRAID_A_STATS_READS = 1,
	/* Writes of the application, discards included. */
	BRAID_A_STATS_WRITES,
	/* Flushes of the application. */
	BRAID_A_STATS_FLUSHES,
	/* Bytes read by the application. */
	BRAID_A_STATS_READ_BYTES,
	/* Bytes written by the application. */
	BRAID_A_STATS_WRITTEN_BYTES,
	/* Reads that a peer answered. */
	BRAID_A_STATS_REMOTE_READS,
	/*
	 * Reads of the application that failed at the disk, and whose range was
	 * rewritten with what a peer holds.
	 */
	BRAID_A_STATS_REPAIRED,
	/* Writes of metadata. */
	BRAID_A_STATS_METADATA_WRITES,
	/* Writes of the activity log, part of metadata-writes. */
	BRAID_A_STATS_LOG_WRITES,
	/* Requests that waited for an overlapping one. */
	BRAID_A_STATS_CONFLICTS,
	/* Writes done for peers. */
	BRAID_A_STATS_PEER_WRITES,
	/* Reads done for peers. */
	BRAID_A_STATS_PEER_READS,
	/*
	 * Histograms: for submit, local, network, remote and complete 32 u64
	 * each; entry i counts 2^i to 2^(i+1) nanoseconds.
	 */
	BRAID_A_STATS_LATENCY,

	__BRAID_A_STATS_MAX,
	BRAID_A_STATS_MAX = __BRAID_A_STATS_MAX - 1
};

/* A volume of a resource on this node. */
enum braid_a_volume {
	/* Name of the resource. */
	BRAID_A_VOLUME_NAME = 1,
	/* Number of the volume. */
	BRAID_A_VOLUME_VOLUME,
	/* Minor of its device, unique on the host. */
	BRAID_A_VOLUME_MINOR,
	/* Its size in bytes. */
	BRAID_A_VOLUME_SIZE,
	/* Its logical block size in bytes: 512 or 4096. */
	BRAID_A_VOLUME_BLOCK_SIZE,
	/* Path of the disk. */
	BRAID_A_VOLUME_DISK,
	/*
	 * Path of the device that holds the metadata; by default it is at the
	 * end of the disk.
	 */
	BRAID_A_VOLUME_META_DISK,
	/* Do not wait for I/O of the disk. */
	BRAID_A_VOLUME_FORCE,
	/* State of the disk. */
	BRAID_A_VOLUME_DISK_STATE,
	/* How often the device is open. */
	BRAID_A_VOLUME_OPENS,
	/* Regions in the activity log. */
	BRAID_A_VOLUME_ACTIVE_REGIONS,
	/* Generation that new writes belong to. */
	BRAID_A_VOLUME_GENERATION,
	/* Last stable generation. */
	BRAID_A_VOLUME_STABLE,
	/* Writes of the application under way. */
	BRAID_A_VOLUME_IN_FLIGHT,
	/* Counters. */
	BRAID_A_VOLUME_STATS,
	/* Identity of the replica, given when its metadata was made. */
	BRAID_A_VOLUME_UUID,
	/* Flags of the replica's superblock. */
	BRAID_A_VOLUME_REPLICA_FLAGS,
	/* The register's ballot and value: the daemon's, opaque here. */
	BRAID_A_VOLUME_VOTE,
	/* What the disk has room for, in bytes; the volume may be smaller. */
	BRAID_A_VOLUME_DISK_SIZE,
	/*
	 * Size of the disk before it grew while it was not attached: internal
	 * metadata is looked for there, too.
	 */
	BRAID_A_VOLUME_OLD_SIZE,
	/*
	 * Programs that wait to open the device for writing until this node is
	 * the writer.
	 */
	BRAID_A_VOLUME_WAITING_OPENS,

	__BRAID_A_VOLUME_MAX,
	BRAID_A_VOLUME_MAX = __BRAID_A_VOLUME_MAX - 1
};

/* A stream of the connection to a peer. */
enum braid_a_stream {
	/* Names it, on this node. */
	BRAID_A_STREAM_STREAM_ID = 1,
	/* Bytes sent, each record with 32 more: what its key was used for. */
	BRAID_A_STREAM_SENT,
	/* It is under kernel TLS. */
	BRAID_A_STREAM_TLS,
	/* It takes no new requests and ends when its last one has. */
	BRAID_A_STREAM_RETIRING,

	__BRAID_A_STREAM_MAX,
	BRAID_A_STREAM_MAX = __BRAID_A_STREAM_MAX - 1
};

/*
 * A peer of a resource, as this node sees it; with volume: its replica of that
 * volume. For resyncs also this node itself.
 */
enum braid_a_peer {
	/* Name of the resource. */
	BRAID_A_PEER_NAME = 1,
	/* Node id of a member. */
	BRAID_A_PEER_NODE_ID,
	/*
	 * A connected TCP socket, plain or under kernel TLS, of the calling
	 * process. A send buffer that was set on it (SO_SNDBUF) is kept.
	 */
	BRAID_A_PEER_FD,
	/*
	 * Random number that the streams of one connection share, on both
	 * sides.
	 */
	BRAID_A_PEER_SESSION,
	/* All that is sent carries a crc32c. */
	BRAID_A_PEER_CHECKSUMS,
	/*
	 * The event key-use comes when the stream has sent so many bytes. By
	 * default 2^37 under TLS, and never without. RFC 8446, 5.5, allows
	 * AES-GCM 2^24.5 records of 2^14 bytes; this leaves almost two thirds
	 * of that for making another stream.
	 */
	BRAID_A_PEER_KEY_LIMIT,
	/* A stream of the connection. */
	BRAID_A_PEER_STREAM_ID,
	/* The streams that are up. */
	BRAID_A_PEER_STREAM,
	/* State of the connection. */
	BRAID_A_PEER_LINK_STATE,
	/* Streams that are up. */
	BRAID_A_PEER_STREAMS,
	/* Epoch that the peer has adopted. */
	BRAID_A_PEER_EPOCH,
	/* Id of that configuration. */
	BRAID_A_PEER_CONFIG_ID,
	/* Instance of its replicas. */
	BRAID_A_PEER_INSTANCE,
	/*
	 * Epoch of the last configuration in which it was in sync, as it says.
	 */
	BRAID_A_PEER_LAST_EPOCH,
	/* It may have lost acknowledged writes. */
	BRAID_A_PEER_SUSPECT,
	/* How long the lease that it granted still holds. */
	BRAID_A_PEER_LEASE_MS,
	/*
	 * It was the writer of the epoch it adopted, and has irrevocably
	 * stopped.
	 */
	BRAID_A_PEER_DONE,
	/* Number of a volume. */
	BRAID_A_PEER_VOLUME,
	/* The peer has a disk for the volume. */
	BRAID_A_PEER_ATTACHED,
	/* Bytes of that disk's data. */
	BRAID_A_PEER_SIZE,
	/* Bytes that the peer lacks, as this node's map says. */
	BRAID_A_PEER_DIRTY,
	/* State of the resync. */
	BRAID_A_PEER_SYNC_STATE,
	/* Bytes that it began with. */
	BRAID_A_PEER_SYNC_TOTAL,
	/* Bytes left. */
	BRAID_A_PEER_SYNC_LEFT,
	/* Bytes that needed no copy, because they were equal. */
	BRAID_A_PEER_SYNC_SAME,
	/* Bytes per second, over the last seconds. */
	BRAID_A_PEER_SYNC_RATE,
	/* Seconds that the rest takes at this rate. */
	BRAID_A_PEER_SYNC_TIME_LEFT,
	/*
	 * Bytes that the last verify found to differ, in blocks of 4 KiB, since
	 * when there was no resync.
	 */
	BRAID_A_PEER_DIFFERING,
	/* Where a verify begins, in bytes; or a range that differs. */
	BRAID_A_PEER_START,
	/*
	 * Where it ends, exclusively; a verify by default at the volume's end.
	 */
	BRAID_A_PEER_STOP,
	/* Copy everything, not only what is known to differ. */
	BRAID_A_PEER_FULL,
	/* Compare checksums and copy only what differs. */
	BRAID_A_PEER_COMPARE,
	/* Upper bound in bytes per second; 0 is none. */
	BRAID_A_PEER_MAX_RATE,
	/* What the resync waits for, for people. */
	BRAID_A_PEER_WAITS_FOR,

	__BRAID_A_PEER_MAX,
	BRAID_A_PEER_MAX = __BRAID_A_PEER_MAX - 1
};

/* A change of state, sent to the group events. */
enum braid_a_event {
	/*
	 * Counts the events of the resource; a gap means that some were lost.
	 */
	BRAID_A_EVENT_SEQUENCE = 1,
	/* What changed. */
	BRAID_A_EVENT_KIND,
	/* Name of the resource. */
	BRAID_A_EVENT_NAME,
	/* The volume, if it is about one. */
	BRAID_A_EVENT_VOLUME,
	/* The peer, if it is about one. */
	BRAID_A_EVENT_NODE_ID,
	/* State before, by name. */
	BRAID_A_EVENT_OLD,
	/* State now, by name. */
	BRAID_A_EVENT_NEW,
	/* Why, for people. */
	BRAID_A_EVENT_CAUSE,
	/* Epoch that it is about. */
	BRAID_A_EVENT_EPOCH,
	/* Start of a range, in bytes. */
	BRAID_A_EVENT_OFFSET,
	/* Length of a range, in bytes. */
	BRAID_A_EVENT_LENGTH,
	/* A negative errno, if something failed. */
	BRAID_A_EVENT_ERROR,
	/* The peer's stream, if it is about one. */
	BRAID_A_EVENT_STREAM_ID,

	__BRAID_A_EVENT_MAX,
	BRAID_A_EVENT_MAX = __BRAID_A_EVENT_MAX - 1
};

/* The operations, events and notifications. */
enum braid_cmd {
	/*
	 * Describe the module, and agree on a version of this interface. A
	 * range without a common version is refused with EPROTONOSUPPORT; half
	 * a range, or one that ends before it begins, with EINVAL.
	 */
	BRAID_CMD_MODULE_GET = 1,
	/* Make a resource. It has no volumes, no peers and no configuration. */
	BRAID_CMD_RESOURCE_NEW,
	/* Change settings of a resource. */
	BRAID_CMD_RESOURCE_SET,
	/*
	 * Take a resource down: disconnect its peers, detach its disks, remove
	 * its devices. Refused while a device is open, unless forced; then its
	 * I/O fails. The event resource tells the end.
	 */
	BRAID_CMD_RESOURCE_DEL,
	/* Describe resources: one, or those of the network namespace. */
	BRAID_CMD_RESOURCE_GET,
	/*
	 * Adopt a configuration. It is durable on this node's disks when the
	 * event config tells so. Epochs grow; an adopted one is accepted again,
	 * a different one with the same epoch is refused.
	 */
	BRAID_CMD_RESOURCE_CONFIGURE,
	/*
	 * As the writer of the adopted configuration: make the replicas equal
	 * where they may differ, and serve.
	 */
	BRAID_CMD_RESOURCE_SERVE,
	/*
	 * Stop serving, irrevocably for this epoch. I/O under way is drained;
	 * refused while a device is open, unless forced: then all I/O fails.
	 */
	BRAID_CMD_RESOURCE_DEMOTE,
	/*
	 * Prepare a live migration from the writer of the adopted configuration
	 * to target. On the target: its devices may be opened, reads and
	 * flushes go through the writer, writes wait; the first one asks for
	 * the token. On the writer: when asked, it ends its I/O, makes it
	 * stable and stops for good in this epoch, and the event migration
	 * tells that the token is handed over. What is left then is a
	 * configuration of a newer epoch. Any other end has the source serve
	 * on: withdrawal, the deadline, or a newer epoch. Then the target's
	 * writes fail.
	 */
	BRAID_CMD_RESOURCE_MIGRATE,
	/* On the target, ask for the token now, as its first write does. */
	BRAID_CMD_MIGRATE_ASK,
	/*
	 * Withdraw a grant, or end what is prepared on the target. Once this
	 * succeeds on the source the token is not handed over any more. Refused
	 * on the source after that it was.
	 */
	BRAID_CMD_MIGRATE_END,
	/* Make a volume with its device. */
	BRAID_CMD_VOLUME_NEW,
	/*
	 * Remove a volume without a disk, and its device. Refused while it is
	 * open.
	 */
	BRAID_CMD_VOLUME_DEL,
	/*
	 * Describe the volumes of a resource, or of all in the network
	 * namespace.
	 */
	BRAID_CMD_VOLUME_GET,
	/* Attach a disk with metadata. The event disk tells the end. */
	BRAID_CMD_VOLUME_ATTACH,
	/*
	 * After the disk has grown: use it at its new size. On the writer, last
	 * of all: make the volume as large as all disks in sync have room for.
	 * What it gains reads as zeroes. It never shrinks. The event size tells
	 * the end.
	 */
	BRAID_CMD_VOLUME_RESIZE,
	/*
	 * Detach the disk. I/O goes on through peers. The event disk tells the
	 * end.
	 */
	BRAID_CMD_VOLUME_DETACH,
	/*
	 * Store the register's ballot and value in the volume's metadata. The
	 * event vote tells when it is durable. It takes the place of one that
	 * waits to be written; none is overwritten by an older one.
	 */
	BRAID_CMD_VOTE_SET,
	/* The register's ballot and value that are durable. */
	BRAID_CMD_VOTE_GET,
	/* Make known a peer of a resource. */
	BRAID_CMD_PEER_NEW,
	/* Forget a peer; its connection ends. */
	BRAID_CMD_PEER_DEL,
	/*
	 * Describe the peers of a resource, or of all in the network namespace:
	 * a message for each peer, and one for each of its volumes. After a
	 * resync of this node's own replicas also one for each of these.
	 */
	BRAID_CMD_PEER_GET,
	/*
	 * Hand over a connected and authenticated socket as a stream to a peer.
	 * The first with a new session ends an earlier connection.
	 */
	BRAID_CMD_PEER_CONNECT,
	/*
	 * End one stream of a connection that has another one, without harm: it
	 * takes no new requests on either side and is closed after the last
	 * one, which the event stream tells. Together with a connect before it
	 * a stream is replaced while it carries traffic; one side asks for it.
	 */
	BRAID_CMD_PEER_RETIRE,
	/* End the connection to a peer. */
	BRAID_CMD_PEER_DISCONNECT,
	/*
	 * As the writer: make the replicas of a peer, or of this node itself,
	 * equal and keep them so. It may then join.
	 */
	BRAID_CMD_SYNC_START,
	/* Change the upper bound of a resync, now. */
	BRAID_CMD_SYNC_SET,
	/* Stop copying; new writes go on to be received. */
	BRAID_CMD_SYNC_PAUSE,
	/* Go on copying. */
	BRAID_CMD_SYNC_RESUME,
	/* End a resync. What is not yet equal stays known. */
	BRAID_CMD_SYNC_STOP,
	/*
	 * Announce that the node is proposed as in sync: from now on it must
	 * complete each write (R6b). Refused unless its resync is done.
	 */
	BRAID_CMD_SYNC_JOIN,
	/*
	 * As the writer: compare the replicas of a peer in sync with this
	 * node's, or if it has none with another one in sync, while writes go
	 * on. What differs is told by peer-get and verify-get, and marked:
	 * after a configuration without the peer a resync of it copies that. A
	 * node that becomes the writer instead does not know of it.
	 */
	BRAID_CMD_VERIFY_START,
	/* End a verify. What it has found stays. */
	BRAID_CMD_VERIFY_STOP,
	/*
	 * The ranges that the last verifies found to differ, by peer and
	 * volume, joined and sorted. At most 1024 are kept of each peer; where
	 * their bytes are fewer than its differing there are more.
	 */
	BRAID_CMD_VERIFY_GET,
	/* A change of state. */
	BRAID_CMD_EVENT,
	/*
	 * On a writer that serves: hold new I/O of the application, whatever
	 * the policy. What is under way goes on; once in-flight was 0 it has
	 * ended. Resyncs, leases and configurations go on. The suspension ends
	 * with resource-resume, and where this node stops serving: demoted, by
	 * force or not, or deposed. Refused during a migration, and a migration
	 * is refused meanwhile. Again: nothing changes.
	 */
	BRAID_CMD_RESOURCE_SUSPEND,
	/*
	 * On the writer: end resource-suspend. I/O that was held goes on,
	 * unless it waits for something else. If it is not suspended nothing
	 * changes.
	 */
	BRAID_CMD_RESOURCE_RESUME,
	/*
	 * Programs that wait to open a volume for writing are refused: this
	 * node does not become the writer now. Where none waits nothing
	 * changes.
	 */
	BRAID_CMD_RESOURCE_REFUSE_OPENS,

	__BRAID_CMD_MAX,
	BRAID_CMD_MAX = __BRAID_CMD_MAX - 1
};

#define BRAID_MCGRP_EVENTS	"events"

#endif /* _UAPI_LINUX_BRAID_H */
