/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _BRAID_PEER_H
#define _BRAID_PEER_H

#include "core/messages.h"
#include "request.h"
#include "resource.h"

#define BRAID_STREAMS		8
#define BRAID_WINDOW		256u
#define BRAID_WINDOW_BYTES	(8u << 20)

struct braid_stream;

/*
 * struct braid_peer - another member
 * @res: the resource; holds a reference
 * @refs: of the resource's table, each stream, each work
 * @lock: guards what follows, and each request's part for this peer. Taken with interrupts on;
 *	inside no other spinlock
 * @queue: sends that wait for a tag
 * @parked: sends that wait until the peer is ready
 * @streams: that are up or greeting
 * @session: of the current connection
 * @state: enum braid_link_state
 * @ready: connected, of our configuration, and not being dropped: it takes requests
 * @known: @remote holds what the peer said on this connection
 * @remote: what the peer last said of itself
 * @lease_until: end of the lease that it granted, CLOCK_BOOTTIME ns; 0 is none
 * @lease_epoch: epoch that the lease is for
 * @io: its requests under way here
 * @wait: woken when a stream ends or @io reaches 0
 */
struct braid_peer {
	struct braid_resource *res;
	refcount_t refs;
	u32 node;
	spinlock_t lock;		/* see above */
	struct list_head queue;
	struct list_head parked;
	struct braid_stream *streams[BRAID_STREAMS];
	u32 stream_count;
	u32 stream_ids;			/* given so far */
	u64 session;
	bool drained;			/* earlier I/O has ended, the streams may work */
	u32 state;
	bool ready;
	bool known;
	bool dead;
	struct braid_state remote;
	u64 lease_until;
	u64 lease_epoch;
	atomic_t io;
	wait_queue_head_t wait;
	struct work_struct announce_work;
	struct work_struct pump_work;
	struct delayed_work tick;
	u32 ticks;
	struct work_struct remove_work;
	struct rcu_head rcu;
};

struct braid_peer *braid_peer_new(struct braid_resource *res, u32 node);
void braid_peer_get(struct braid_peer *peer);
void braid_peer_put(struct braid_peer *peer);
struct braid_peer *braid_peer_find(struct braid_resource *res, u32 node);
/* Forgets a peer, in its own time. Under the resource's lock. */
void braid_peer_del(struct braid_peer *peer);
/* Sleeps until it is gone; it has left the table before. */
void braid_peer_remove(struct braid_peer *peer);
/* Ends the connection if it is still @session's; 0 is any. Process context. */
void braid_peer_disconnect(struct braid_peer *peer, u64 session, const char *cause);
/* A state of ours changed: tells the peer, or all peers. Any context. */
void braid_peer_announce(struct braid_peer *peer);
void braid_peers_announce(struct braid_resource *res);
/* Recomputes @ready after a change on either side. Process context. */
void braid_peer_update(struct braid_peer *peer);
void braid_peers_update(struct braid_resource *res);

/* Queues the part of a request for this peer. No sleeping. */
void braid_peer_queue(struct braid_peer *peer, struct braid_send *send);
/* Sends what may be sent, as far as the sockets take it. Process context. */
void braid_peer_pump(struct braid_peer *peer, bool may_block);
/*
 * What is queued for the nodes of @mask is sent, now or when the caller's plug is pulled. Process
 * context.
 */
void braid_peers_pump(struct braid_resource *res, u32 mask);
/*
 * Nobody waits for this peer any more: each of its requests ends with @status as far as this peer
 * is concerned. Process context.
 */
void braid_peer_cancel(struct braid_peer *peer, u32 status);
/* As above for requests of resyncs, verifies and repairs only: they fail. */
void braid_peer_cancel_resync(struct braid_peer *peer);
/* Announces what is stable, if the peer is ready. Process context. */
void braid_peer_stable(struct braid_resource *res, u32 node, struct braid_volume *volume,
		       u64 stable);
/* The part of a request for this peer waits to be sent. Under the peer's lock. */
void braid_peer_enqueue(struct braid_peer *peer, struct braid_send *send);
void braid_peer_pump_work(struct work_struct *work);
/* Pumps from a work. Any context. */
void braid_peer_pump_later(struct braid_peer *peer);
/* What a request is told of a peer that nobody waits for any more. */
u32 braid_cancel_status(const struct braid_request *req, u32 status);
/* A stream of the peer's table, referenced, or NULL. */
struct braid_stream *braid_peer_stream(struct braid_peer *peer, u32 index);
/* A socket went into the peer's table or out of it. The stream's thread. */
int braid_peer_add_stream(struct braid_peer *peer, struct braid_stream *stream);
int braid_peer_greet(struct braid_peer *peer, struct braid_stream *stream);
/*
 * One stream of several takes no new requests, and ends when it has none. -EBUSY if it has to stay
 * for lack of others. Under the resource's lock.
 */
int braid_peer_retire(struct braid_peer *peer, u32 id);
/* The peer has said GOODBYE on a stream. An error ends it; good order is -ESHUTDOWN. */
int braid_peer_message_goodbye(struct braid_peer *peer, struct braid_stream *stream);
/* @cause: of the whole connection's end, or NULL if only this stream ends. */
void braid_peer_del_stream(struct braid_peer *peer, struct braid_stream *stream, const char *cause);
/* The next request that @stream may send, with a tag; NULL if there is none. */
struct braid_send *braid_peer_next(struct braid_peer *peer, struct braid_stream *stream);
void braid_peer_sent(struct braid_peer *peer, struct braid_send *send);
/* Finds what a reply is about. False if that is nothing: the peer is wrong. @send may be NULL. */
bool braid_peer_reply(struct braid_peer *peer, struct braid_stream *stream, u32 tag,
		      struct braid_send **send);
void braid_peer_message_state(struct braid_peer *peer, const struct braid_state *state);
void braid_peer_message_volume(struct braid_peer *peer, u32 number,
			       const struct braid_volume_state *state);
void braid_peer_message_pong(struct braid_peer *peer, const struct braid_ping *pong);
void braid_peer_ping(struct braid_peer *peer);
/* A message with a body only, as far as there is a stream. Process context. */
void braid_peer_message(struct braid_peer *peer, u8 type, const void *value);
bool braid_peer_lease_holds(const struct braid_peer *peer, u64 epoch, u64 now);
/* A send whose reply came. Process context. */
void braid_peer_answer(struct braid_peer *peer, struct braid_send *send, u32 status);

#endif /* _BRAID_PEER_H */
