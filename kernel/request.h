/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Requests of the writer: of the application, of resyncs, and flushes of its own.
 */
#ifndef _BRAID_REQUEST_H
#define _BRAID_REQUEST_H

#include "core/messages.h"
#include "region.h"

#include <linux/bio.h>
#include <linux/completion.h>
#include <linux/workqueue.h>

struct braid_volume;

enum braid_send_state {
	BRAID_SEND_IDLE,
	BRAID_SEND_QUEUED,	/* in the peer's queue, or parked */
	BRAID_SEND_SENDING,	/* has a tag, is on its way into the socket */
	BRAID_SEND_SENT,	/* waits for the reply */
};

/**
 * struct braid_send - the part of a request that concerns one peer; under the peer's lock
 * @list: in the peer's queue, or parked
 * @node: the peer's; leads back to the request
 * @state: enum braid_send_state
 * @tag: while it has one
 * @parked: in the parked list, until the peer is ready
 * @cancel: nobody waits for it any more
 * @answered: the reply came while still SENDING
 * @receiving: the reply is being received
 * @status: of the reply
 * @cancel_status: for whoever is told of the cancellation
 * @epoch: of the configuration that it was last sent under
 * @sent: when
 */
struct braid_send {
	struct list_head list;
	u8 node;
	u8 state;
	u16 tag;
	bool parked, cancel, answered, receiving;
	u8 status;
	u8 cancel_status;
	u64 epoch;
	ktime_t sent;
};

/* Bits of @waiting above those of the nodes. */
#define BRAID_WAIT_SUBMIT	BIT_ULL(32)

/* Flags. */
#define BRAID_REQ_WRITE		0x01	/* changes data: WRITE, DISCARD, ZEROES */
#define BRAID_REQ_PREFLUSH	0x02	/* a flush comes first */
#define BRAID_REQ_POSTFLUSH	0x04	/* a flush comes last (FUA of what cannot have it) */
#define BRAID_REQ_FUA		0x08
#define BRAID_REQ_INTERNAL	0x10	/* not of the application */
#define BRAID_REQ_RESYNC	0x20	/* sent with BRAID_MF_RESYNC */
#define BRAID_REQ_UNREADABLE	0x40	/* this node's disk could not read it */
#define BRAID_REQ_UNMAP		0x80
#define BRAID_REQ_SPAN		0x100	/* its span is in the tree */
#define BRAID_REQ_READ_OK	0x200	/* the data is there, an overlapping write is awaited */
#define BRAID_REQ_LOCAL_ONLY	0x400	/* internal: the local disk, and no peer */
#define BRAID_REQ_THROUGH	0x800	/* READ, FLUSH of a migration's target: to the writer */

/*
 * struct braid_request - I/O on a volume
 * @type: the message that peers get: WRITE, DISCARD, ZEROES, READ, FLUSH, CSUM, MARKS, DIRTY
 * @bio: the application's; NULL for internal ones and those of a migration's target
 * @payload: WRITE: a copy of the data, whose vectors outlive the I/O. Internal reads: its target
 * @done: without @bio: called once, in any context; owns the request from then on
 * @waiting: bits of nodes that it waits for, and BRAID_WAIT_SUBMIT. Whoever clears the last
 *	completes it
 * @targets: internal: nodes that it is for
 * @instance: DIRTY: of the replica that is asked about
 */
struct braid_request {
	struct braid_volume *volume;
	struct braid_disk *disk;
	struct bio *bio;
	struct bio *payload;
	struct bio *local;
	struct bvec_iter payload_iter;
	u8 type;
	u32 flags;
	u64 offset;
	u32 bytes;
	u64 epoch;
	u64 generation;
	u64 instance;
	atomic64_t waiting;
	u32 targets;
	u32 tried;
	blk_status_t status;
	bool retry;
	struct braid_touch touch;
	struct braid_span span;
	struct braid_wait wait;
	struct list_head list;
	ktime_t started;
	void (*done)(struct braid_request *req);
	void *private;
	/* Replies to MARKS, DIRTY and CSUM. */
	u8 *answer;
	u32 answer_size, answer_length;
	u64 answer_next;
	bool answer_more;
	struct braid_send sends[BRAID_MAX_NODES];
};

/* How many of each that a write needs are put by, so that there is progress without free memory. */
#define BRAID_RESERVED	16

int braid_request_init(void);
void braid_request_exit(void);
int braid_payload_init(void);
void braid_payload_exit(void);

/* Of all bios that the module makes for writes. */
extern struct bio_set braid_bios;

/* The volume's ->submit_bio(). Process context; may sleep unless REQ_NOWAIT. */
void braid_request_submit(struct braid_volume *volume, struct bio *bio);
/* An internal request, all zero but volume and type. May sleep. Never fails. */
struct braid_request *braid_request_internal(struct braid_volume *volume, u8 type, u64 offset,
					     u32 bytes);
/* Pages for @bytes, as the payload of an internal request. May sleep. */
struct bio *braid_payload_alloc(u32 bytes, gfp_t gfp);
void braid_payload_free(struct bio *payload);
/* Starts an internal request, and waits for its end. */
int braid_request_execute(struct braid_request *req);
void braid_request_start(struct braid_request *req);
void braid_request_free(struct braid_request *req);

/* From the peer's side: node @node has answered, or nobody waits for it any more. */
void braid_request_answered(struct braid_request *req, u32 node, u32 status);
/*
 * Of the application, with a reference to the volume: for the first time, or after it was held.
 * Process context.
 */
void braid_request_enter(struct braid_request *req);
/* After a configuration without this node in sync: what waits for the failed disk goes on. */
void braid_request_unstick(struct braid_volume *volume, blk_status_t status);

/* All replicas in sync have flushed, or failed to, after @closing was closed. Process context. */
void braid_generation_flushed(struct braid_volume *volume, u64 closing, bool ok);
/* Closes the generation for a flush, and returns the one that the flush makes stable. */
u64 braid_generation_close_now(struct braid_volume *volume);
/* Closes the generation soon. Any context. */
void braid_generation_close(struct braid_volume *volume);
/* The peer that a send leads to, and back. */
static inline struct braid_request *braid_send_request(struct braid_send *send)
{
	return container_of(send - send->node, struct braid_request, sends[0]);
}

/* Bytes that a request has its peer allocate: what counts as credit. */
static inline u32 braid_credit_bytes(u8 type, u32 bytes)
{
	return type == BRAID_MSG_WRITE || type == BRAID_MSG_READ || type == BRAID_MSG_CSUM ?
		bytes : 0;
}

static inline u32 braid_send_payload(struct braid_send *send)
{
	struct braid_request *req = braid_send_request(send);

	return braid_credit_bytes(req->type, req->bytes);
}

void braid_request_fill(struct braid_request *req, struct braid_header *header,
			struct braid_data *data);

/* The vectors of what a bio has left, for a socket: how many, and the offset into the first. */
u32 braid_bio_vecs(struct bio *bio, struct bio_vec **vecs, u32 *offset);
/* Starts a new count of generations, after all marks have been dealt with. */
void braid_generation_reset(struct braid_volume *volume);
/* A message of the writer said that this is stable. Process context. */
void braid_generation_stable(struct braid_volume *volume, u64 stable);
/* All replicas were made equal, with nothing under way: whatever was written is stable. */
void braid_generation_settled(struct braid_volume *volume);
/*
 * Sleeps until all that was written before is stable, unless I/O fails, or @drains is not 0 and the
 * resource's is another one.
 */
void braid_generation_drain(struct braid_volume *volume, u64 drains);
u64 braid_generation_get(struct braid_volume *volume);
void braid_generation_put(struct braid_volume *volume, u64 generation);
/* A bio that makes a range zero, deallocating it if @unmap; submitted by the caller. May sleep. */
struct bio *braid_zero_bio(struct braid_disk *disk, u64 offset, u32 bytes, bool unmap);

void braid_stable_work(struct work_struct *work);
void braid_close_work(struct work_struct *work);
void braid_restart_work(struct work_struct *work);

#endif /* _BRAID_REQUEST_H */
