// SPDX-License-Identifier: GPL-2.0
/* The requests that a peer is sent, from their start until their reply. */
#include "peer.h"
#include "disk.h"
#include "stream.h"
#include "trace.h"
#include "volume.h"

#include <linux/blkdev.h>
#include <linux/slab.h>

void braid_peer_enqueue(struct braid_peer *peer, struct braid_send *send)
{
	lockdep_assert_held(&peer->lock);
	send->state = BRAID_SEND_QUEUED;
	send->parked = !peer->ready;
	send->answered = false;
	send->receiving = false;
	list_add_tail(&send->list, send->parked ? &peer->parked : &peer->queue);
}

void braid_peer_queue(struct braid_peer *peer, struct braid_send *send)
{
	send->cancel = false;
	spin_lock(&peer->lock);
	braid_peer_enqueue(peer, send);
	spin_unlock(&peer->lock);
}

void braid_request_fill(struct braid_request *req, struct braid_header *header,
			struct braid_data *data)
{
	struct braid_volume *volume = req->volume;
	const struct braid_config *config;

	header->type = req->type;
	header->volume = (u16)volume->number;
	header->flags = 0;
	header->crc = 0;
	if (req->flags & BRAID_REQ_FUA && req->type == BRAID_MSG_WRITE)
		header->flags |= BRAID_MF_FUA;
	if (req->flags & BRAID_REQ_RESYNC)
		header->flags |= BRAID_MF_RESYNC;
	if (req->flags & BRAID_REQ_UNMAP && req->type == BRAID_MSG_ZEROES)
		header->flags |= BRAID_MF_UNMAP;
	header->length = BRAID_DATA_BYTES + (req->type == BRAID_MSG_WRITE ? req->bytes : 0);
	rcu_read_lock();
	config = braid_config(volume->res);
	data->epoch = config ? config->epoch : 0;
	data->id = config ? config->id : 0;
	rcu_read_unlock();
	data->generation = req->generation;
	data->stable = READ_ONCE(volume->stable);
	data->offset = req->offset;
	data->bytes = req->bytes;
	data->instance = req->instance;
}

struct braid_stream *braid_peer_stream(struct braid_peer *peer, u32 index)
{
	struct braid_stream *stream;

	spin_lock(&peer->lock);
	stream = peer->streams[index];
	if (stream && (!stream->greeted || stream->failed || stream->retiring ||
		       stream->session != peer->session))
		stream = NULL;
	if (stream)
		braid_stream_get(stream);
	spin_unlock(&peer->lock);
	return stream;
}

/* Begins with the stream that goes with this CPU, and takes others for what it cannot take. */
void braid_peer_pump(struct braid_peer *peer, bool may_block)
{
	u32 first = raw_smp_processor_id(), i;

	for (i = 0; i < BRAID_STREAMS; i++) {
		struct braid_stream *stream;

		if (!READ_ONCE(peer->stream_count) || list_empty_careful(&peer->queue))
			return;
		stream = braid_peer_stream(peer, (first + i) % BRAID_STREAMS);
		if (!stream)
			continue;
		braid_stream_pump(stream, may_block);
		braid_stream_put(stream);
	}
}

void braid_peer_pump_work(struct work_struct *work)
{
	struct braid_peer *peer = container_of(work, struct braid_peer, pump_work);

	braid_peer_pump(peer, false);
	braid_peer_put(peer);
}

void braid_peer_pump_later(struct braid_peer *peer)
{
	braid_peer_get(peer);
	if (!queue_work(peer->res->wq, &peer->pump_work))
		braid_peer_put(peer);
}

static void pump_peers(struct braid_resource *res, u32 mask, bool later)
{
	u32 node;

	for (node = 0; node < BRAID_MAX_NODES; node++) {
		struct braid_peer *peer;

		if (!(mask >> node & 1))
			continue;
		peer = braid_peer_find(res, node);
		if (!peer)
			continue;
		if (later)
			braid_peer_pump_later(peer);
		else
			braid_peer_pump(peer, false);
		braid_peer_put(peer);
	}
}

/*
 * Whoever submits several requests says so by a plug: they are sent together when it is pulled,
 * at the latest when the submitter sleeps.
 */
struct plug {
	struct blk_plug_cb cb;
	u32 peers;
};

static void unplug(struct blk_plug_cb *cb, bool from_schedule)
{
	struct plug *plug = container_of(cb, struct plug, cb);
	struct braid_resource *res = cb->data;

	/* About to sleep already, it may not wait for a socket's lock. */
	pump_peers(res, plug->peers, from_schedule);
	braid_resource_put(res);
	kfree(plug);
}

static bool plug_peers(struct braid_resource *res, u32 mask)
{
	struct blk_plug_cb *cb = blk_check_plugged(unplug, res, sizeof(struct plug));
	struct plug *plug;

	if (!cb)
		return false;
	plug = container_of(cb, struct plug, cb);
	if (!plug->peers)
		refcount_inc(&res->refs);
	plug->peers |= mask;
	return true;
}

void braid_peers_pump(struct braid_resource *res, u32 mask)
{
	if (!plug_peers(res, mask))
		pump_peers(res, mask, false);
}

struct braid_send *braid_peer_next(struct braid_peer *peer, struct braid_stream *stream)
{
	struct braid_send *send = NULL;
	u32 bytes, tag;

	spin_lock(&peer->lock);
	if (!peer->ready || !stream->greeted || stream->failed || stream->retiring ||
	    !stream->credit || list_empty(&peer->queue))
		goto out;
	send = list_first_entry(&peer->queue, struct braid_send, list);
	bytes = braid_send_payload(send);
	if (bytes > stream->credit_bytes) {
		send = NULL;
		goto out;
	}
	tag = find_next_zero_bit(stream->tags_used, stream->window, stream->next_tag);
	if (tag >= stream->window)
		tag = find_first_zero_bit(stream->tags_used, stream->window);
	stream->next_tag = tag + 1 < stream->window ? tag + 1 : 0;
	__set_bit(tag, stream->tags_used);
	stream->tags[tag] = send;
	stream->tag_bytes[tag] = bytes;
	stream->tag_ms[tag] = 0;
	stream->credit--;
	stream->credit_bytes -= bytes;
	list_del_init(&send->list);
	send->state = BRAID_SEND_SENDING;
	send->tag = tag;
	send->sent = ktime_get();
out:
	spin_unlock(&peer->lock);
	return send;
}

void braid_stream_free_tag(struct braid_stream *stream, u32 tag)
{
	lockdep_assert_held(&stream->peer->lock);
	__clear_bit(tag, stream->tags_used);
	stream->tags[tag] = NULL;
	stream->credit++;
	stream->credit_bytes += stream->tag_bytes[tag];
	stream->tag_bytes[tag] = 0;
}

/* What only a peer can do fails without it; what is to be everywhere is done without it. */
u32 braid_cancel_status(const struct braid_request *req, u32 status)
{
	if (req->flags & (BRAID_REQ_RESYNC | BRAID_REQ_THROUGH) || req->type == BRAID_MSG_READ)
		return BRAID_STATUS_IO;
	return status;
}

/*
 * Whether an answer counts: only for the configuration that the request was last sent under (R2a),
 * and from no peer that is being dropped, whom it may have reached before that one was not ready
 * any more (R3a).
 */
static bool counts(const struct braid_peer *peer, const struct braid_send *send)
{
	const struct braid_config *config;
	u64 epoch;

	rcu_read_lock();
	config = braid_config(peer->res);
	epoch = config ? config->epoch : 0;
	rcu_read_unlock();
	/* A configuration is not seen before what it dropped. */
	smp_rmb();
	return send->epoch == epoch && !(READ_ONCE(peer->res->dropped) >> peer->node & 1);
}

/*
 * What a reply means, under the peer's lock. True if the request is to be told, with @status.
 */
static bool settle(struct braid_peer *peer, struct braid_send *send, u32 *status)
{
	struct braid_request *req = braid_send_request(send);

	lockdep_assert_held(&peer->lock);
	send->state = BRAID_SEND_IDLE;
	if (send->cancel) {
		*status = braid_cancel_status(req, send->cancel_status);
		return true;
	}
	if (!counts(peer, send)) {
		braid_peer_enqueue(peer, send);
		return false;
	}
	switch (*status) {
	case BRAID_STATUS_OK:
		return true;
	case BRAID_STATUS_BEHIND:
	case BRAID_STATUS_AHEAD:
	case BRAID_STATUS_BUSY:
		/* Until the peer announces a change, or the next tick. */
		braid_peer_enqueue(peer, send);
		if (!send->parked) {
			list_move_tail(&send->list, &peer->parked);
			send->parked = true;
		}
		return false;
	default:
		if (braid_cancel_status(req, BRAID_STATUS_OK) != BRAID_STATUS_OK)
			return true;
		/* A member that cannot write: what it lacks waits until it is dropped (R3). */
		braid_peer_enqueue(peer, send);
		if (!send->parked) {
			list_move_tail(&send->list, &peer->parked);
			send->parked = true;
		}
		return false;
	}
}

void braid_peer_sent(struct braid_peer *peer, struct braid_send *send)
{
	struct braid_request *req = braid_send_request(send);
	struct braid_stream *stream = NULL;
	bool tell = false;
	u32 status, i;

	trace_braid_sent(req, peer->node, 0);
	braid_stats_latency(&req->volume->stats, BRAID_STAGE_NETWORK,
			    ktime_to_ns(ktime_sub(ktime_get(), send->sent)));
	spin_lock(&peer->lock);
	if (!send->answered) {
		send->state = BRAID_SEND_SENT;
		if (send->cancel && !send->receiving) {
			for (i = 0; i < BRAID_STREAMS; i++) {
				stream = peer->streams[i];
				if (stream && stream->tags[send->tag] == send) {
					/* The tag stays taken until its reply. */
					stream->tags[send->tag] = NULL;
					break;
				}
			}
			status = BRAID_STATUS_OK;
			tell = settle(peer, send, &status);
		}
	} else {
		status = send->status;
		tell = settle(peer, send, &status);
	}
	spin_unlock(&peer->lock);
	if (tell)
		braid_request_answered(req, peer->node, status);
}

bool braid_peer_reply(struct braid_peer *peer, struct braid_stream *stream, u32 tag,
		      struct braid_send **send)
{
	bool ok = false;

	spin_lock(&peer->lock);
	if (tag < stream->window && test_bit(tag, stream->tags_used)) {
		*send = stream->tags[tag];
		ok = true;
		if (*send)
			(*send)->receiving = true;
		else
			braid_stream_free_tag(stream, tag);
	}
	spin_unlock(&peer->lock);
	return ok;
}

void braid_peer_answer(struct braid_peer *peer, struct braid_send *send, u32 status)
{
	struct braid_request *req = braid_send_request(send);
	struct braid_stream *stream;
	bool tell = false;
	u32 i;

	trace_braid_answered(req, peer->node, status);
	braid_stats_latency(&req->volume->stats, BRAID_STAGE_REMOTE,
			    ktime_to_ns(ktime_sub(ktime_get(), send->sent)));
	spin_lock(&peer->lock);
	send->receiving = false;
	for (i = 0; i < BRAID_STREAMS; i++) {
		stream = peer->streams[i];
		if (stream && stream->tags[send->tag] == send) {
			braid_stream_free_tag(stream, send->tag);
			break;
		}
	}
	if (send->state == BRAID_SEND_SENDING) {
		send->answered = true;
		send->status = status;
	} else {
		tell = settle(peer, send, &status);
	}
	spin_unlock(&peer->lock);
	if (tell)
		braid_request_answered(req, peer->node, status);
	braid_peer_pump(peer, false);
}

/* Takes the requests that have one of @flags, or all. */
static void take(struct list_head *from, u32 flags, struct list_head *to)
{
	struct braid_send *send, *next;

	list_for_each_entry_safe(send, next, from, list)
		if (!flags || braid_send_request(send)->flags & flags)
			list_move_tail(&send->list, to);
}

static void cancel(struct braid_peer *peer, u32 status, u32 flags)
{
	struct braid_send *send, *next;
	LIST_HEAD(cancelled);
	u32 i, tag;

	spin_lock(&peer->lock);
	take(&peer->queue, flags, &cancelled);
	take(&peer->parked, flags, &cancelled);
	for (i = 0; i < BRAID_STREAMS; i++) {
		struct braid_stream *stream = peer->streams[i];

		for (tag = 0; stream && tag < stream->window; tag++) {
			send = stream->tags[tag];
			if (!send || (flags && !(braid_send_request(send)->flags & flags)))
				continue;
			if (send->state == BRAID_SEND_SENDING || send->receiving) {
				send->cancel = true;
				send->cancel_status = status;
				continue;
			}
			stream->tags[tag] = NULL;
			list_add_tail(&send->list, &cancelled);
		}
	}
	list_for_each_entry(send, &cancelled, list)
		send->state = BRAID_SEND_IDLE;
	spin_unlock(&peer->lock);

	list_for_each_entry_safe(send, next, &cancelled, list) {
		struct braid_request *req = braid_send_request(send);

		list_del_init(&send->list);
		braid_request_answered(req, peer->node, braid_cancel_status(req, status));
	}
}

void braid_peer_cancel(struct braid_peer *peer, u32 status)
{
	cancel(peer, status, 0);
}

void braid_peer_cancel_resync(struct braid_peer *peer)
{
	cancel(peer, BRAID_STATUS_IO, BRAID_REQ_RESYNC);
}
