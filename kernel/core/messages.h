/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The replication protocol between two kernels: the definition of its bytes.
 *
 * A connection is one or more TCP streams that userland has authenticated; all
 * carry the same session number. Either side sends HELLO first on each stream,
 * and nothing else before it has the other's. After that any message may come,
 * in either direction. All integers are little-endian and unsigned. Reserved
 * bytes are zero; a receiver ends the connection over anything that this file
 * does not allow.
 *
 * A message is a header, the body of its type, and for some types a payload:
 *
 *	0	2	magic		0xb7a1
 *	2	1	type		enum braid_message_type
 *	3	1	flags		BRAID_MF_*
 *	4	2	volume		number of the volume that a VOLUME, STABLE or request is
 *				about, repeated in a REPLY; 0 in all others
 *	6	2	reserved
 *	8	4	tag		of a request, repeated in its REPLY; 0 in all others
 *	12	4	length		bytes of body and payload
 *	16	4	crc		CRC-32C of header, body and payload with these bytes as
 *				zero, if one of the two HELLOs said so; else, and in HELLO, 0
 *
 * A body has the length that its type has below, that of GOODBYE is empty. Only
 * WRITE and REPLY have a payload, of at most 1 MiB. CRC-32C, regions and bitmaps
 * are those of ondisk.h; there are at most 2^28 regions.
 *
 * A request (WRITE to SETTLED) takes one of the window_requests tags 0.. that the
 * receiver granted in its HELLO, until its REPLY, which comes on the same stream.
 * The bytes of all WRITEs, READs and CSUMs without a reply are at most window_bytes.
 * That is the flow control: whoever keeps to it never waits for the socket's sake, and
 * whoever does not is disconnected.
 *
 * One stream of several ends in good order when both have sent GOODBYE on it. Who
 * has sent it has all replies to its requests, and sends no more of them; who
 * receives it does the same in its turn, and whoever has sent it before it came
 * closes the socket.
 */
#ifndef _BRAID_CORE_MESSAGES_H
#define _BRAID_CORE_MESSAGES_H

#include "env.h"
#include "ondisk.h"

#define BRAID_WIRE_MAGIC	0xb7a1
#define BRAID_HEADER_BYTES	20
#define BRAID_HEADER_CRC	16	/* where the crc is */
#define BRAID_BODY_MAX		192
#define BRAID_PAYLOAD_MAX	0x100000u
#define BRAID_NAME_BYTES	64
#define BRAID_WINDOW_REQUESTS_MAX	1024u
#define BRAID_VOLUME_NUMBER_MAX		65535u

/*
 * One entry of the payload of a REPLY to MARKS or DIRTY, 136 bytes: 0 4 region, below 2^28;
 * 4 4 kind (enum braid_region_state, not CLEAN); 8 128 bitmap, of ALL zeroes.
 */
#define BRAID_MARK_BYTES	(8 + BRAID_LEAF_BYTES)
#define BRAID_MARKS_MAX		120u

/* REPLY to CSUM: the BLAKE2s hash of each BRAID_CSUM_BYTES of it; the last may be shorter. */
#define BRAID_CSUM_BYTES	65536u
#define BRAID_HASH_BYTES	32u

/**
 * enum braid_message_type - what a message is
 * @BRAID_MSG_HELLO: the first on each stream
 * @BRAID_MSG_STATE: the sender's configuration and replica
 * @BRAID_MSG_VOLUME: the sender's disk for a volume
 * @BRAID_MSG_PING: proves life, and may ask for a lease
 * @BRAID_MSG_PONG: its answer
 * @BRAID_MSG_GOODBYE: no more requests of the sender come on this stream
 * @BRAID_MSG_STABLE: carries nothing but stable, for an idle volume
 * @BRAID_MSG_TOKEN: a migration's target asks for the token, or the source withdraws the grant
 * @BRAID_MSG_REPLY: the answer to a request
 * @BRAID_MSG_WRITE: write the payload
 * @BRAID_MSG_ZEROES: write zeroes to a range
 * @BRAID_MSG_READ: read a range; the reply has it as payload
 * @BRAID_MSG_FLUSH: make durable all writes that were replied to
 * @BRAID_MSG_CSUM: hash a range; the reply has the hashes
 * @BRAID_MSG_MARKS: what may differ in the receiver's replica, from a region on
 * @BRAID_MSG_DIRTY: what a third member lacks, as the receiver's map says
 * @BRAID_MSG_SETTLED: the writer has made the replica equal, within the volume's size: its marks
 *	are void, and it stores the size
 */
enum braid_message_type {
	BRAID_MSG_HELLO = 1,
	BRAID_MSG_STATE,
	BRAID_MSG_VOLUME,
	BRAID_MSG_PING,
	BRAID_MSG_PONG,
	BRAID_MSG_GOODBYE,
	BRAID_MSG_STABLE,
	BRAID_MSG_TOKEN,
	BRAID_MSG_REPLY,
	BRAID_MSG_WRITE,
	BRAID_MSG_ZEROES,
	BRAID_MSG_READ,
	BRAID_MSG_FLUSH,
	BRAID_MSG_CSUM,
	BRAID_MSG_MARKS,
	BRAID_MSG_DIRTY,
	BRAID_MSG_SETTLED,
	BRAID_MSG_COUNT,
};

/* Flags of a header. RESYNC goes with all requests. */
#define BRAID_MF_FUA		0x01	/* WRITE: durable before the reply */
#define BRAID_MF_RESYNC		0x02	/* of a resync, also for a suspect replica */
#define BRAID_MF_UNMAP		0x04	/* ZEROES: may deallocate */
#define BRAID_MF_MORE		0x08	/* REPLY to MARKS, DIRTY: there is more from @next on */

/**
 * enum braid_status - how a request ended
 * @BRAID_STATUS_OK: as asked
 * @BRAID_STATUS_BEHIND: the receiver has not adopted the request's configuration yet
 * @BRAID_STATUS_AHEAD: the receiver has adopted a newer or another one, or one whose writer is not
 *	the sender
 * @BRAID_STATUS_NO_DISK: it has no disk for the volume, or is suspect
 * @BRAID_STATUS_IO: the disk failed
 * @BRAID_STATUS_RANGE: the range is not within the disk; of DIRTY: the map is not about that
 *	replica
 * @BRAID_STATUS_BUSY: out of memory; may be asked again
 */
enum braid_status {
	BRAID_STATUS_OK,
	BRAID_STATUS_BEHIND,
	BRAID_STATUS_AHEAD,
	BRAID_STATUS_NO_DISK,
	BRAID_STATUS_IO,
	BRAID_STATUS_RANGE,
	BRAID_STATUS_BUSY,
	BRAID_STATUS_COUNT,
};

struct braid_header {
	u8 type;
	u8 flags;
	u16 volume;
	u32 tag;
	u32 length;
	u32 crc;
};

/*
 * HELLO, 160 bytes:
 *	0	4	protocol_min, lowest version that is spoken, from 1
 *	4	4	protocol_max, not below it
 *	8	8	features, 0
 *	16	8	session
 *	24	4	node, the sender's id: 0 to 31
 *	28	4	peer, the receiver's id: 0 to 31
 *	32	4	window_requests, 1 to 1024
 *	36	4	window_bytes, at least 1 MiB
 *	40	4	flags: 1 headers carry a crc; others are zero
 *	44	4	reserved
 *	48	64	name of the resource, filled up with zeroes: one at least
 *	112	48	reserved
 */
#define BRAID_HELLO_BYTES	160
#define BRAID_HELLO_CRC		1u
struct braid_hello {
	u32 protocol_min, protocol_max;
	u64 session;
	u32 node, peer;
	u32 window_requests, window_bytes;
	u32 flags;
	char name[BRAID_NAME_BYTES];
};

/*
 * STATE, 88 bytes:
 *	0	16	lineage
 *	16	8	epoch: 0 if no configuration is adopted yet
 *	24	8	id
 *	32	8	instance
 *	40	24	last: epoch, id, instance when the sender was last in sync
 *	64	4	flags: BRAID_STATE_*, others are zero
 *	68	4	term of leases in ms
 *	72	4	writer of the configuration: 0 to 31, or 0xff: none
 *	76	4	reserved
 *	80	8	stamp: grows with each STATE of the sender; the highest counts
 * Sent after HELLO, at each change, and now and then.
 */
#define BRAID_STATE_BYTES	88
#define BRAID_STATE_SUSPECT	1u	/* may have lost acknowledged writes (R4a) */
#define BRAID_STATE_DONE	2u	/* was this epoch's writer, never again (R7) */
#define BRAID_STATE_DISKFUL	4u	/* all volumes have their disks */
#define BRAID_STATE_SERVING	8u	/* is the writer and serves */
#define BRAID_STATE_FLAGS	15u
struct braid_state {
	u8 lineage[16];
	u64 epoch, id;
	u64 instance;
	struct braid_stamp last;
	u32 flags;
	u32 lease_ms;
	u32 writer;
	u64 stamp;
};

/*
 * VOLUME, 32 bytes: 0 8 size in bytes, a multiple of 4096, at most 2^50; 8 4 logical block size,
 * 512 or 4096 if a disk is attached; 12 4 flags (1: a disk is attached, 2: it has a volatile cache,
 * 4: it discards; others are zero); 16 4 discard granularity; 20 4 physical block size; 24 8
 * volume_bytes: what the sender knows as the volume's size, as size; 0 if that was not decided yet.
 * One for each volume, before STATE.
 */
#define BRAID_VOLUME_BYTES	32
#define BRAID_VOLUME_ATTACHED	1u
#define BRAID_VOLUME_VOLATILE	2u
#define BRAID_VOLUME_DISCARDS	4u
#define BRAID_VOLUME_FLAGS	7u
struct braid_volume_state {
	u64 size;
	u32 block_size;
	u32 flags;
	u32 discard_granularity;
	u32 physical_block_size;
	u64 volume_bytes;
};

/*
 * PING and PONG, 32 bytes: 0 8 time, the pinger's own, returned as it was; 8 8 epoch; 16 8 id;
 * 24 4 flags (1: a lease is wanted, or granted; others are zero); 28 4 term in ms: in PONG the one
 * granted, in PING it means nothing. A lease is for (epoch, id), which PONG returns as they were,
 * and its term runs, for the pinger, from the time of the ping.
 */
#define BRAID_PING_BYTES	32
#define BRAID_PING_LEASE	1u
struct braid_ping {
	u64 time;
	u64 epoch, id;
	u32 flags;
	u32 term_ms;
};

/*
 * TOKEN, 32 bytes: 0 8 epoch; 8 8 id; 16 8 grant, the number that userland gave it on both nodes;
 * 24 4 flags (1: the writer withdraws the grant; without it the target asks for the token; others
 * are zero); 28 4 reserved. There is no reply: the target asks again until it is told, by STATE
 * with DONE, that the writer has stopped, or that the grant is withdrawn. Until then the writer
 * takes the target's READs and FLUSHes, as if its own application had made them.
 */
#define BRAID_TOKEN_BYTES	32
#define BRAID_TOKEN_WITHDRAWN	1u
struct braid_token {
	u64 epoch, id;
	u64 grant;
	u32 flags;
};

/*
 * STABLE, and WRITE to SETTLED, 56 bytes:
 *	0	8	epoch
 *	8	8	id
 *	16	8	generation of the WRITE or ZEROES, below 2^63
 *	24	8	stable: all writes up to this generation are durable on all in sync;
 *			below the generation of a WRITE or ZEROES, and below 2^63
 *	32	8	offset in bytes; of MARKS and DIRTY the first region: 0 to 2^28; of
 *			SETTLED the volume's size: a multiple of 4096, at most 2^50
 *	40	4	bytes; of DIRTY the node id that is asked about: 0 to 31
 *	44	4	reserved
 *	48	8	of DIRTY the instance of the replica that is asked about, as the sender
 *			knows it; of others reserved
 * WRITE: bytes of payload follow. The range of WRITE, ZEROES, READ and CSUM starts and ends on 512
 * bytes, is not empty, lies within one region below 2^50, and is, but for ZEROES, at most 1 MiB.
 * Fields that a type has no use for mean nothing.
 */
#define BRAID_DATA_BYTES	56
#define BRAID_GENERATION_MAX	0x7fffffffffffffffull
struct braid_data {
	u64 epoch, id;
	u64 generation, stable;
	u64 offset;
	u32 bytes;
	u64 instance;
};

/*
 * REPLY, 16 bytes: 0 4 status; 4 4 reserved; 8 8 next, of MARKS and DIRTY the region to go on
 * with, at most 2^28. Payload, only if the status is OK: of READ the data, of CSUM the hashes, of
 * MARKS and DIRTY at most 120 entries, by region.
 */
#define BRAID_REPLY_BYTES	16
struct braid_reply {
	u32 status;
	u64 next;
};

/**
 * enum braid_message_result - what checking a header says
 * @BRAID_MESSAGE_OK: it may be received here
 * @BRAID_MESSAGE_MAGIC: not a message
 * @BRAID_MESSAGE_TYPE: no such type
 * @BRAID_MESSAGE_FLAGS: a flag that does not go with the type, or a reserved byte
 * @BRAID_MESSAGE_LENGTH: too short or too long for the type
 * @BRAID_MESSAGE_EARLY: not allowed before HELLO, or HELLO a second time
 * @BRAID_MESSAGE_FIELD: a number in the header or a field of the body that cannot be
 * @BRAID_MESSAGE_CRC: it arrived damaged; whoever receives all of it finds out
 * @BRAID_MESSAGE_WINDOW: more requests than were granted; whoever counts them finds out
 */
enum braid_message_result {
	BRAID_MESSAGE_OK,
	BRAID_MESSAGE_MAGIC,
	BRAID_MESSAGE_TYPE,
	BRAID_MESSAGE_FLAGS,
	BRAID_MESSAGE_LENGTH,
	BRAID_MESSAGE_EARLY,
	BRAID_MESSAGE_FIELD,
	BRAID_MESSAGE_CRC,
	BRAID_MESSAGE_WINDOW,
};

#ifdef __cplusplus
extern "C" {
#endif

void braid_header_encode(const struct braid_header *header, u8 *to);
/*
 * @greeted: whether the HELLO of this stream has been received. Decoders fill in the structure
 * whatever the result is.
 */
enum braid_message_result braid_header_decode(struct braid_header *header, const u8 *from,
					      bool greeted);
/* Bytes of the body of a type that braid_header_decode() took. */
u32 braid_body_bytes(u8 type);
const char *braid_message_name(u8 type);
const char *braid_message_result_name(enum braid_message_result result);
static inline bool braid_is_request(u8 type)
{
	return type >= BRAID_MSG_WRITE && type < BRAID_MSG_COUNT;
}

void braid_hello_encode(const struct braid_hello *hello, u8 *to);
enum braid_message_result braid_hello_decode(struct braid_hello *hello, const u8 *from);
void braid_state_encode(const struct braid_state *state, u8 *to);
enum braid_message_result braid_state_decode(struct braid_state *state, const u8 *from);
void braid_volume_encode(const struct braid_volume_state *volume, u8 *to);
enum braid_message_result braid_volume_decode(struct braid_volume_state *volume, const u8 *from);
void braid_ping_encode(const struct braid_ping *ping, u8 *to);
enum braid_message_result braid_ping_decode(struct braid_ping *ping, const u8 *from);
void braid_token_encode(const struct braid_token *token, u8 *to);
enum braid_message_result braid_token_decode(struct braid_token *token, const u8 *from);
void braid_data_encode(const struct braid_data *data, u8 *to);
enum braid_message_result braid_data_decode(struct braid_data *data,
					    const struct braid_header *header, const u8 *from);
void braid_reply_encode(const struct braid_reply *reply, u8 *to);
enum braid_message_result braid_reply_decode(struct braid_reply *reply,
					     const struct braid_header *header, const u8 *from);

/* Entries of the replies to MARKS and DIRTY; @bits may be NULL if @state is not LEAF. */
void braid_mark_encode(u8 *to, u32 region, u32 state, const u8 *bits);
bool braid_mark_decode(const u8 *from, u32 *region, u32 *state, const u8 **bits);

#ifdef __cplusplus
}
#endif

#endif /* _BRAID_CORE_MESSAGES_H */
