/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A stream: one socket to a peer. A thread receives; whoever has something to send sends it.
 */
#ifndef _BRAID_STREAM_H
#define _BRAID_STREAM_H

#include "core/messages.h"
#include "peer.h"

#include <linux/net.h>

/* What is received ahead: a message of the smaller kind costs no call of its own. */
#define BRAID_IN_BYTES	1024

/*
 * struct braid_out - a message that waits to be sent on a stream
 * @done: called once in process context, sent or not
 */
struct braid_out {
	struct list_head list;
	struct braid_header header;
	u8 body[BRAID_BODY_MAX];
	struct bio_vec *vecs;	/* payload of @payload bytes, or NULL */
	u32 vec_count;
	u32 payload;
	void (*done)(struct braid_out *out);
};

/*
 * struct braid_stream - a socket to a peer
 * @peer: holds a reference
 * @refs: of the thread, the peer's table, each incoming request
 * @send_lock: held by whoever sends
 * @out_lock: guards @out
 * @out: messages that are not requests of ours
 * @tags: which send has a tag; under the peer's lock. A tag of NULL is free unless in @orphans
 * @orphans: tags whose request is gone but whose reply has not come
 * @credit: tags left that the peer granted
 * @credit_bytes: payload left that the peer granted
 * @frames, @vecs: what is being sent, of @current_outs or @current_send; under @send_lock
 * @in: what was received and not looked at yet; the thread's own
 * @deferred: messages that the thread has queued and sends itself, before it sleeps
 */
struct braid_stream {
	struct braid_peer *peer;
	refcount_t refs;
	struct socket *sock;
	struct task_struct *task;
	u64 session;
	bool tls;
	bool crc;
	u32 received_crc;		/* of the message that is being received */
	bool greeted;
	bool failed;
	bool out_closed;		/* under @out_lock */
	u32 number;
	u32 id;				/* for userland */
	bool retiring;			/* takes no new requests; under the peer's lock */
	bool goodbye;			/* said, on our side */
	u32 retiring_ms;
	bool key_told;
	u64 key_limit;			/* of @sent_bytes; 0 is none */
	u64 sent_bytes;			/* and a block for each record; under @send_lock */
	const char *cause;

	struct mutex send_lock;		/* see above */
	spinlock_t out_lock;		/* guards @out, @out_count, @out_closed */
	struct list_head out;
	u32 out_count;
	struct work_struct send_work;

	/* Headers and bodies of several messages, the last of which may have a payload. */
	struct page *frames;
	u32 frames_length;
	struct bio_vec *vecs;		/* the first one is for @frames */
	u32 vec_count, vec_bytes, vec_sent;
	struct list_head current_outs;
	struct braid_send *current_send;

	u8 *in;
	u32 in_at, in_length;
	u32 deferred;

	struct braid_send **tags;
	unsigned long *tags_used;
	u32 window;
	u32 credit;
	u32 credit_bytes;
	u32 next_tag;
	u32 *tag_bytes;
	u32 *tag_ms;			/* since the request was sent, as tags */
	atomic_t incoming;		/* the peer's requests, until their replies are sent */
	atomic_t incoming_bytes;	/* their payloads and those of their replies */

	atomic64_t heard;
	u64 heard_seen;
	u32 silent_ms;
	u32 unanswered_ms;		/* since the last PONG */
};

/*
 * Takes over a socket that braid_stream_check() accepted, with its reference if it succeeds. Under
 * the resource's lock.
 */
int braid_stream_new(struct braid_peer *peer, struct socket *sock, bool tls, u64 session, bool crc,
		     u64 key_limit);
void braid_stream_get(struct braid_stream *stream);
void braid_stream_put(struct braid_stream *stream);
/* Ends it; the thread does the rest. Any process context. */
void braid_stream_shutdown(struct braid_stream *stream);
/*
 * Queues a message. Any context. A work sends it, or the stream's own thread once it has no more to
 * receive: what it answers at once goes out together, and needs no other thread.
 */
void braid_stream_queue(struct braid_stream *stream, struct braid_out *out);
/* Before the stream's thread waits for anything that its answers may hold up. Process context. */
void braid_stream_flush(struct braid_stream *stream);
/* Sends what may be sent without waiting for the socket. Process context. */
void braid_stream_pump(struct braid_stream *stream, bool may_block);
int braid_stream_check(struct socket *sock, const struct net *net, bool *tls, const char **why);
/* A simple message with a body only. May sleep unless @gfp says otherwise. */
void braid_stream_message(struct braid_stream *stream, u8 type, u32 volume, const void *value,
			  gfp_t gfp);
/* Goes on with a checksum over @bytes of vectors, from @offset of the first on. Any context. */
u32 braid_vecs_crc(u32 crc, const struct bio_vec *vecs, u32 offset, u32 bytes);
/* The first message, and each one after it, whose length it tells. The stream's thread. */
int braid_stream_receive_hello(struct braid_stream *stream);
int braid_stream_receive_message(struct braid_stream *stream, u32 *length);
/* Receives exactly @bytes. The stream's thread. */
int braid_stream_receive(struct braid_stream *stream, void *to, u32 bytes);
/* Into vectors, from @offset of the first on. */
int braid_stream_receive_vecs(struct braid_stream *stream, struct bio_vec *vecs, u32 count,
			      u32 offset, u32 bytes);
int braid_stream_skip(struct braid_stream *stream, u32 bytes);
/* Whether all of a message arrived as it was sent, once all was received. */
bool braid_stream_intact(struct braid_stream *stream, const struct braid_header *header);
/* Says what is wrong with a message, and returns what ends the stream. */
int braid_stream_error(struct braid_stream *stream, u8 type, enum braid_message_result result);
int braid_stream_init(void);
void braid_stream_exit(void);
/* Under the peer's lock: the tag of an answered or orphaned send is free again. */
void braid_stream_free_tag(struct braid_stream *stream, u32 tag);

#endif /* _BRAID_STREAM_H */
