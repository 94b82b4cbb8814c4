// SPDX-License-Identifier: GPL-2.0
#include "peer.h"
#include "dirty.h"
#include "disk.h"
#include "event.h"
#include "object_log.h"
#include "stream.h"
#include "sync.h"
#include "trace.h"
#include "volume.h"

#include <linux/slab.h>
#include <linux/timekeeping.h>

/* How often a peer is told what it should know. */
#define ANNOUNCE_TICKS	5

static void announce_work(struct work_struct *work);
static void tick_work(struct work_struct *work);

struct braid_peer *braid_peer_new(struct braid_resource *res, u32 node)
{
	struct braid_peer *peer = kzalloc(sizeof(*peer), GFP_KERNEL);

	if (!peer)
		return NULL;
	refcount_inc(&res->refs);
	peer->res = res;
	peer->node = node;
	refcount_set(&peer->refs, 1);
	spin_lock_init(&peer->lock);
	INIT_LIST_HEAD(&peer->queue);
	INIT_LIST_HEAD(&peer->parked);
	init_waitqueue_head(&peer->wait);
	INIT_WORK(&peer->announce_work, announce_work);
	INIT_WORK(&peer->pump_work, braid_peer_pump_work);
	INIT_DELAYED_WORK(&peer->tick, tick_work);
	braid_log_created("peer", "%p", peer);
	return peer;
}

void braid_peer_get(struct braid_peer *peer)
{
	refcount_inc(&peer->refs);
}

void braid_peer_put(struct braid_peer *peer)
{
	if (!refcount_dec_and_test(&peer->refs))
		return;
	braid_resource_put(peer->res);
	braid_log_destroyed("peer", "%p", peer);
	kfree_rcu(peer, rcu);
}

struct braid_peer *braid_peer_find(struct braid_resource *res, u32 node)
{
	struct braid_peer *peer;

	if (node >= BRAID_MAX_NODES)
		return NULL;
	rcu_read_lock();
	peer = rcu_dereference(res->peers[node]);
	if (peer && !refcount_inc_not_zero(&peer->refs))
		peer = NULL;
	rcu_read_unlock();
	return peer;
}

/* ---- readiness ---- */

static bool is_ready(struct braid_peer *peer, const struct braid_config *config)
{
	const struct braid_state *remote = &peer->remote;

	if (peer->state != BRAID_LINK_STATE_CONNECTED || !peer->known || !config || peer->dead)
		return false;
	if (remote->epoch != config->epoch || remote->id != config->id ||
	    memcmp(remote->lineage, config->lineage, sizeof(config->lineage)))
		return false;
	if (config->in_sync >> peer->node & 1)
		return remote->flags & BRAID_STATE_DISKFUL &&
		       remote->instance == config->instance[peer->node];
	/* By its answer writes would complete before all that stay in sync have adopted (R3a). */
	return !(READ_ONCE(peer->res->dropped) >> peer->node & 1);
}

void braid_peer_update(struct braid_peer *peer)
{
	struct braid_resource *res = peer->res;
	struct braid_send *send;
	bool ready;

	spin_lock(&peer->lock);
	rcu_read_lock();
	ready = is_ready(peer, braid_config(res));
	rcu_read_unlock();
	peer->ready = ready;
	if (ready) {
		list_for_each_entry(send, &peer->parked, list)
			send->parked = false;
		list_splice_tail_init(&peer->parked, &peer->queue);
	} else {
		list_for_each_entry(send, &peer->queue, list)
			send->parked = true;
		list_splice_init(&peer->queue, &peer->parked);
	}
	spin_unlock(&peer->lock);
	if (ready) {
		braid_peer_pump_later(peer);
		wake_up_all(&res->wait);	/* before it serves, the writer waits for members */
	}
	braid_service_update(res);
}

void braid_peers_update(struct braid_resource *res)
{
	u32 node;

	for (node = 0; node < BRAID_MAX_NODES; node++) {
		struct braid_peer *peer = braid_peer_find(res, node);

		if (!peer)
			continue;
		braid_peer_update(peer);
		braid_peer_put(peer);
	}
}

/* ---- announcements ---- */

void braid_peer_announce(struct braid_peer *peer)
{
	braid_peer_get(peer);
	if (!queue_work(peer->res->wq, &peer->announce_work))
		braid_peer_put(peer);
}

void braid_peers_announce(struct braid_resource *res)
{
	u32 node;

	for (node = 0; node < BRAID_MAX_NODES; node++) {
		struct braid_peer *peer = braid_peer_find(res, node);

		if (!peer)
			continue;
		braid_peer_announce(peer);
		braid_peer_put(peer);
	}
}

static struct braid_stream *any_stream(struct braid_peer *peer)
{
	u32 i;

	for (i = 0; i < BRAID_STREAMS; i++) {
		struct braid_stream *stream = braid_peer_stream(peer, i);

		if (stream)
			return stream;
	}
	return NULL;
}

static void describe_volume(struct braid_volume *volume, struct braid_volume_state *state,
			    struct braid_stamp *last, bool *diskful, bool *suspect)
{
	struct braid_disk *disk = braid_disk_get(volume);

	memset(state, 0, sizeof(*state));
	if (braid_is_serving(volume->res))
		state->volume_bytes = volume->size;
	else if (disk)
		state->volume_bytes = READ_ONCE(disk->sb.volume_bytes);
	if (!disk) {
		*diskful = false;
		return;
	}
	state->size = disk->sb.data_bytes;
	state->block_size = disk->sb.block_size;
	state->flags = BRAID_VOLUME_ATTACHED;
	if (disk->volatile_cache)
		state->flags |= BRAID_VOLUME_VOLATILE;
	if (bdev_max_discard_sectors(disk->data) || bdev_write_zeroes_sectors(disk->data))
		state->flags |= BRAID_VOLUME_DISCARDS;
	state->discard_granularity = bdev_discard_granularity(disk->data);
	state->physical_block_size = bdev_physical_block_size(disk->data);
	if (disk->sb.flags & BRAID_SB_SUSPECT)
		*suspect = true;
	/* Another disk than the one that was in sync then: no map tells what it lacks (R6a). */
	if (memcmp(&disk->sb.last, last, sizeof(*last)))
		memset(last, 0, sizeof(*last));
	braid_disk_put(disk);
}

static void describe(struct braid_resource *res, struct braid_state *state)
{
	const struct braid_config *config;

	memset(state, 0, sizeof(*state));
	state->writer = BRAID_NO_WRITER;
	rcu_read_lock();
	config = braid_config(res);
	if (config) {
		memcpy(state->lineage, config->lineage, sizeof(state->lineage));
		state->epoch = config->epoch;
		state->id = config->id;
		state->writer = config->writer;
	}
	rcu_read_unlock();
	spin_lock(&res->state_lock);
	state->instance = res->instance;
	state->last = res->last;
	if (res->done_epoch && res->done_epoch == state->epoch)
		state->flags |= BRAID_STATE_DONE;
	spin_unlock(&res->state_lock);
	if (braid_is_serving(res))
		state->flags |= BRAID_STATE_SERVING;
	state->lease_ms = res->lease_ms;
	state->stamp = atomic64_inc_return(&res->state_stamp);
}

static void announce_work(struct work_struct *work)
{
	struct braid_peer *peer = container_of(work, struct braid_peer, announce_work);
	struct braid_resource *res = peer->res;
	struct braid_volume_state volume_state;
	bool diskful = true, suspect = false;
	struct braid_stream *stream;
	struct braid_volume *volume;
	struct braid_state state;
	unsigned long number;

	stream = any_stream(peer);
	if (!stream)
		goto out;
	mutex_lock(&res->lock);
	describe(res, &state);
	diskful = !xa_empty(&res->volumes);
	xa_for_each(&res->volumes, number, volume) {
		describe_volume(volume, &volume_state, &state.last, &diskful, &suspect);
		braid_stream_message(stream, BRAID_MSG_VOLUME, number, &volume_state, GFP_NOIO);
	}
	mutex_unlock(&res->lock);
	if (diskful)
		state.flags |= BRAID_STATE_DISKFUL;
	if (suspect)
		state.flags |= BRAID_STATE_SUSPECT;
	braid_stream_message(stream, BRAID_MSG_STATE, 0, &state, GFP_NOIO);
	braid_stream_put(stream);
	/* Reads wait for leases of the epoch that was adopted: for a round trip, not for a tick. */
	braid_peer_ping(peer);
out:
	braid_peer_put(peer);
}

void braid_peer_stable(struct braid_resource *res, u32 node, struct braid_volume *volume,
		       u64 stable)
{
	struct braid_peer *peer = braid_peer_find(res, node);
	struct braid_data data = { .stable = stable };
	const struct braid_config *config;
	struct braid_stream *stream;

	if (!peer)
		return;
	rcu_read_lock();
	config = braid_config(res);
	data.epoch = config ? config->epoch : 0;
	data.id = config ? config->id : 0;
	rcu_read_unlock();
	stream = READ_ONCE(peer->ready) ? any_stream(peer) : NULL;
	if (stream) {
		braid_stream_message(stream, BRAID_MSG_STABLE, volume->number, &data, GFP_NOIO);
		braid_stream_put(stream);
	}
	braid_peer_put(peer);
}

void braid_peer_message_state(struct braid_peer *peer, const struct braid_state *state)
{
	struct braid_resource *res = peer->res;
	bool changed;

	spin_lock(&peer->lock);
	if (peer->known && state->stamp <= peer->remote.stamp) {
		spin_unlock(&peer->lock);
		return;
	}
	changed = !peer->known || peer->remote.epoch != state->epoch ||
		  peer->remote.id != state->id || peer->remote.instance != state->instance ||
		  peer->remote.flags != state->flags;
	if (peer->known && peer->remote.instance != state->instance)
		peer->lease_until = 0;
	peer->remote = *state;
	peer->known = true;
	spin_unlock(&peer->lock);
	if (changed)
		braid_event_simple(res, BRAID_EVENT_KIND_PEER, .node = &peer->node,
				   .epoch = state->epoch, .cause = "announced");
	wake_up_all(&res->wait);	/* it may confirm that it has stopped */
	braid_migrate_peer(peer);
	braid_sync_check(res, peer->node);
	braid_peer_update(peer);
	braid_peer_ping(peer);
}

void braid_peer_message_volume(struct braid_peer *peer, u32 number,
			       const struct braid_volume_state *state)
{
	struct braid_resource *res = peer->res;
	struct braid_volume *volume;

	mutex_lock(&res->lock);
	volume = xa_load(&res->volumes, number);
	if (volume && (!volume->remote[peer->node].known ||
		       memcmp(&volume->remote[peer->node].state, state, sizeof(*state)))) {
		volume->remote[peer->node].state = *state;
		volume->remote[peer->node].known = true;
		braid_volume_limits(volume);
	}
	mutex_unlock(&res->lock);
}

/* ---- liveness and leases ---- */

bool braid_peer_lease_holds(const struct braid_peer *peer, u64 epoch, u64 now)
{
	return READ_ONCE(peer->lease_until) > now && READ_ONCE(peer->lease_epoch) == epoch;
}

void braid_peer_message_pong(struct braid_peer *peer, const struct braid_ping *pong)
{
	struct braid_resource *res = peer->res;
	const struct braid_config *config;
	u64 now = ktime_get_boottime_ns();
	bool fits, was;

	if (!(pong->flags & BRAID_PING_LEASE) || pong->time > now)
		return;
	rcu_read_lock();
	config = braid_config(res);
	fits = config && config->epoch == pong->epoch && config->id == pong->id &&
	       config->writer == res->node;
	rcu_read_unlock();
	if (!fits)
		return;
	spin_lock(&peer->lock);
	was = braid_peer_lease_holds(peer, pong->epoch, now);
	peer->lease_epoch = pong->epoch;
	/* A tenth less than what was granted, for clocks that do not run at the same speed. */
	peer->lease_until = max(peer->lease_until,
				pong->time + (u64)min(pong->term_ms, res->lease_ms) *
				(NSEC_PER_MSEC / 10 * 9));
	spin_unlock(&peer->lock);
	if (!was || atomic64_read(&res->held_count))
		braid_service_update(res);
}

static u32 tick_ms(const struct braid_resource *res)
{
	return max(min(res->lease_ms, res->timeout_ms) / 5, 10u);
}

static void ping_stream(struct braid_peer *peer, struct braid_stream *stream)
{
	struct braid_resource *res = peer->res;
	const struct braid_config *config;
	struct braid_ping ping = { .time = ktime_get_boottime_ns() };

	rcu_read_lock();
	config = braid_config(res);
	if (config) {
		ping.epoch = config->epoch;
		ping.id = config->id;
		if (config->writer == res->node && config->in_sync >> peer->node & 1)
			ping.flags |= BRAID_PING_LEASE;
	}
	rcu_read_unlock();
	ping.term_ms = res->lease_ms;
	braid_stream_message(stream, BRAID_MSG_PING, 0, &ping, GFP_NOIO);
}

void braid_peer_ping(struct braid_peer *peer)
{
	struct braid_stream *stream = any_stream(peer);

	if (!stream)
		return;
	ping_stream(peer, stream);
	braid_stream_put(stream);
}

void braid_peer_message(struct braid_peer *peer, u8 type, const void *value)
{
	struct braid_stream *stream = any_stream(peer);

	if (!stream)
		return;
	braid_stream_message(stream, type, 0, value, GFP_NOIO);
	braid_stream_put(stream);
}

/* Goes on with a stream's end: GOODBYE is said once all requests of ours have their replies. */
static const char *retire(struct braid_peer *peer, struct braid_stream *stream, u32 ms)
{
	bool say;

	spin_lock(&peer->lock);
	say = !stream->goodbye && stream->credit == stream->window;
	if (say)
		stream->goodbye = true;
	spin_unlock(&peer->lock);
	if (say)
		braid_stream_message(stream, BRAID_MSG_GOODBYE, 0, NULL, GFP_NOIO);
	stream->retiring_ms += ms;
	return stream->retiring_ms >= peer->res->request_ms ?
		"a stream's end was left unanswered" : NULL;
}

static void watch_key(struct braid_peer *peer, struct braid_stream *stream)
{
	if (!stream->key_limit || stream->key_told ||
	    READ_ONCE(stream->sent_bytes) < stream->key_limit)
		return;
	stream->key_told = true;
	braid_event_simple(peer->res, BRAID_EVENT_KIND_STREAM, .node = &peer->node,
			   .stream = &stream->id, .new = "key-use",
			   .cause = "connect another stream and retire this one");
}

/*
 * Why a stream is given up, or NULL. One that brought nothing for the time-out is dead, and a peer
 * that lives but leaves a request unanswered is stuck. Time in which the ticks did not run counts
 * as two of them at most: whoever was stopped does not blame the peer for it.
 */
static const char *overdue(struct braid_peer *peer, struct braid_stream *stream, u32 ms)
{
	u64 heard = atomic64_read(&stream->heard);
	struct braid_resource *res = peer->res;
	bool stuck = false;
	u32 tag;

	stream->silent_ms = heard == stream->heard_seen ? stream->silent_ms + ms : 0;
	stream->heard_seen = heard;
	if (stream->silent_ms >= res->timeout_ms)
		return "nothing heard for the time-out";
	if (!stream->greeted)
		return NULL;
	spin_lock(&peer->lock);
	for_each_set_bit(tag, stream->tags_used, stream->window) {
		struct braid_send *send = stream->tags[tag];

		/* A migration's source may have to wait itself. */
		if (send && braid_send_request(send)->flags & BRAID_REQ_THROUGH)
			continue;
		stream->tag_ms[tag] += ms;
		stuck = stuck || stream->tag_ms[tag] >= res->request_ms;
	}
	spin_unlock(&peer->lock);
	if (stuck)
		return "a request was left unanswered";
	if (READ_ONCE(stream->retiring))
		return retire(peer, stream, ms);
	WRITE_ONCE(stream->unanswered_ms, READ_ONCE(stream->unanswered_ms) + ms);
	return READ_ONCE(stream->unanswered_ms) >= res->request_ms ?
		"pings were left unanswered" : NULL;
}

static void tick_work(struct work_struct *work)
{
	struct braid_peer *peer = container_of(to_delayed_work(work), struct braid_peer, tick);
	struct braid_resource *res = peer->res;
	u32 i, ms = tick_ms(res);
	const char *cause = NULL;
	u64 session = 0;

	for (i = 0; i < BRAID_STREAMS; i++) {
		struct braid_stream *stream;
		const char *why;

		spin_lock(&peer->lock);
		stream = peer->streams[i];
		if (stream && !stream->failed)
			braid_stream_get(stream);
		else
			stream = NULL;
		spin_unlock(&peer->lock);
		if (!stream)
			continue;
		why = overdue(peer, stream, ms);
		if (why) {
			cause = why;
			session = stream->session;
		} else if (stream->greeted && !READ_ONCE(stream->goodbye)) {
			ping_stream(peer, stream);
			watch_key(peer, stream);
		}
		braid_stream_put(stream);
	}
	if (cause)
		braid_peer_disconnect(peer, session, cause);
	braid_peer_update(peer);
	/* What a peer was told may not have been sent, for lack of memory: it is told again. */
	if (!(++peer->ticks % ANNOUNCE_TICKS))
		braid_peer_announce(peer);
	if (!READ_ONCE(peer->dead))
		queue_delayed_work(res->wq, &peer->tick, msecs_to_jiffies(ms));
}

/* ---- connections ---- */

static void set_link(struct braid_peer *peer, u32 state, const char *cause)
{
	u32 old;

	spin_lock(&peer->lock);
	old = peer->state;
	peer->state = state;
	spin_unlock(&peer->lock);
	if (old == state)
		return;
	braid_info(peer->res, "peer %u: %s -> %s (%s)\n", peer->node, braid_link_names[old],
		   braid_link_names[state], cause);
	braid_event_simple(peer->res, BRAID_EVENT_KIND_LINK, .node = &peer->node,
			   .old = braid_link_names[old], .new = braid_link_names[state],
			   .cause = cause);
}

void braid_peer_disconnect(struct braid_peer *peer, u64 session, const char *cause)
{
	struct braid_stream *streams[BRAID_STREAMS];
	u32 i;

	spin_lock(&peer->lock);
	for (i = 0; i < BRAID_STREAMS; i++) {
		streams[i] = peer->streams[i];
		if (streams[i] &&
		    (streams[i]->failed || (session && streams[i]->session != session)))
			streams[i] = NULL;
		if (streams[i]) {
			streams[i]->failed = true;
			streams[i]->cause = cause;
			braid_stream_get(streams[i]);
		}
	}
	spin_unlock(&peer->lock);
	for (i = 0; i < BRAID_STREAMS; i++) {
		if (streams[i]) {
			braid_stream_shutdown(streams[i]);
			braid_stream_put(streams[i]);
		}
	}
}

/* Under the resource's lock, which keeps connects apart. */
int braid_peer_add_stream(struct braid_peer *peer, struct braid_stream *stream)
{
	bool first = false;
	u32 i;

	lockdep_assert_held(&peer->res->lock);
	if (peer->session != stream->session)
		braid_peer_disconnect(peer, 0, "replaced by a new connection");
	spin_lock(&peer->lock);
	if (peer->dead) {
		spin_unlock(&peer->lock);
		return -ESHUTDOWN;
	}
	for (i = 0; i < BRAID_STREAMS; i++)
		if (!peer->streams[i])
			break;
	if (i == BRAID_STREAMS) {
		spin_unlock(&peer->lock);
		return -EBUSY;
	}
	if (peer->session != stream->session) {
		peer->session = stream->session;
		peer->drained = false;
		/* What the earlier connection told may be of a kernel that is no more. */
		peer->ready = false;
		peer->known = false;
		peer->lease_until = 0;
		first = true;
	}
	stream->number = i;
	stream->id = peer->stream_ids++;
	braid_stream_get(stream);
	peer->streams[i] = stream;
	peer->stream_count++;
	spin_unlock(&peer->lock);
	if (first || peer->state == BRAID_LINK_STATE_DISCONNECTED) {
		set_link(peer, BRAID_LINK_STATE_GREETING, "socket handed over");
		queue_delayed_work(peer->res->wq, &peer->tick,
				   msecs_to_jiffies(tick_ms(peer->res)));
	}
	return 0;
}

static bool may_work(struct braid_peer *peer, struct braid_stream *stream)
{
	bool others = false;
	u32 i;

	spin_lock(&peer->lock);
	if (!stream->failed && stream->session == peer->session && !peer->drained) {
		for (i = 0; i < BRAID_STREAMS; i++)
			others |= peer->streams[i] && peer->streams[i]->session != peer->session;
		if (!others && !atomic_read(&peer->io))
			peer->drained = true;
	}
	others = stream->failed || stream->session != peer->session || peer->drained;
	spin_unlock(&peer->lock);
	return others;
}

/*
 * The hellos have been exchanged. Earlier connections and what they brought have to end before
 * this one works (R2a).
 */
int braid_peer_greet(struct braid_peer *peer, struct braid_stream *stream)
{
	wait_event(peer->wait, may_work(peer, stream));
	spin_lock(&peer->lock);
	if (stream->failed || stream->session != peer->session) {
		spin_unlock(&peer->lock);
		return -ECONNRESET;
	}
	stream->greeted = true;
	spin_unlock(&peer->lock);
	trace_braid_stream(stream, true);
	set_link(peer, BRAID_LINK_STATE_CONNECTED, "hellos exchanged");
	braid_peer_announce(peer);
	braid_peer_update(peer);
	return 0;
}

/* Parks what a stream had under way; its thread and senders have stopped. */
static void park_tags(struct braid_peer *peer, struct braid_stream *stream)
{
	struct braid_send *send, *next;
	LIST_HEAD(told);
	u32 tag;

	spin_lock(&peer->lock);
	for (tag = 0; tag < stream->window; tag++) {
		send = stream->tags[tag];
		if (!send)
			continue;
		stream->tags[tag] = NULL;
		send->receiving = false;
		send->answered = false;
		send->state = BRAID_SEND_IDLE;
		if (send->cancel)
			list_add_tail(&send->list, &told);
		else
			braid_peer_enqueue(peer, send);
	}
	spin_unlock(&peer->lock);
	list_for_each_entry_safe(send, next, &told, list) {
		struct braid_request *req = braid_send_request(send);

		list_del_init(&send->list);
		braid_request_answered(req, peer->node,
				       braid_cancel_status(req, send->cancel_status));
	}
}

/* Whether the connection has a stream that stays, other than @stream. */
static bool has_another(struct braid_peer *peer, const struct braid_stream *stream, bool greeted)
{
	u32 i;

	lockdep_assert_held(&peer->lock);
	for (i = 0; i < BRAID_STREAMS; i++) {
		const struct braid_stream *other = peer->streams[i];

		if (other && other != stream && other->session == stream->session &&
		    !other->failed && !other->retiring && (other->greeted || !greeted))
			return true;
	}
	return false;
}

int braid_peer_retire(struct braid_peer *peer, u32 id)
{
	int err = -ENOENT;
	u32 i;

	lockdep_assert_held(&peer->res->lock);
	spin_lock(&peer->lock);
	for (i = 0; i < BRAID_STREAMS; i++) {
		struct braid_stream *stream = peer->streams[i];

		if (!stream || stream->id != id || stream->failed || !stream->greeted)
			continue;
		err = stream->retiring ? -EALREADY : has_another(peer, stream, true) ? 0 : -EBUSY;
		if (!err)
			stream->retiring = true;
	}
	spin_unlock(&peer->lock);
	return err;
}

int braid_peer_message_goodbye(struct braid_peer *peer, struct braid_stream *stream)
{
	int err = -ESHUTDOWN;

	spin_lock(&peer->lock);
	/* The other stream's HELLO may still be on its way when this one overtakes it. */
	if (!stream->goodbye && has_another(peer, stream, false)) {
		stream->retiring = true;
		err = 0;
	} else if (!stream->goodbye) {
		stream->cause = "closed by the peer";
	}
	spin_unlock(&peer->lock);
	return err;
}

/* One stream of a connection never ends alone, unless in good order. */
void braid_peer_del_stream(struct braid_peer *peer, struct braid_stream *stream, const char *cause)
{
	struct braid_resource *res = peer->res;
	bool last;
	u32 i;

	if (cause) {
		braid_peer_disconnect(peer, stream->session, cause);
		park_tags(peer, stream);
	} else {
		braid_event_simple(res, BRAID_EVENT_KIND_STREAM, .node = &peer->node,
				   .stream = &stream->id, .new = "retired");
	}
	trace_braid_stream(stream, false);
	spin_lock(&peer->lock);
	peer->streams[stream->number] = NULL;
	last = stream->session == peer->session;
	for (i = 0; i < BRAID_STREAMS; i++)
		last = last && !(peer->streams[i] && peer->streams[i]->session == peer->session);
	if (last) {
		peer->ready = false;
		peer->known = false;
		peer->lease_until = 0;
	}
	spin_unlock(&peer->lock);
	if (last)
		set_link(peer, BRAID_LINK_STATE_DISCONNECTED, cause ?: "closed by the peer");
	braid_sync_check(res, peer->node);
	braid_peer_update(peer);

	/* Whoever waits for the streams' end may now go on, and take the peer away. */
	spin_lock(&peer->lock);
	peer->stream_count--;
	spin_unlock(&peer->lock);
	wake_up_all(&peer->wait);
	wake_up_all(&res->wait);
	braid_stream_put(stream);
}

/* Takes the peer down: sleeps until its streams have ended. */
void braid_peer_remove(struct braid_peer *peer)
{
	spin_lock(&peer->lock);
	peer->dead = true;
	spin_unlock(&peer->lock);
	braid_peer_disconnect(peer, 0, "the peer is removed");
	wait_event(peer->wait, !READ_ONCE(peer->stream_count) && !atomic_read(&peer->io));
	cancel_delayed_work_sync(&peer->tick);
	braid_peer_cancel(peer, BRAID_STATUS_IO);
	braid_sync_free(peer->res, peer->node);
	braid_peer_put(peer);
}

static void remove_work(struct work_struct *work)
{
	struct braid_peer *peer = container_of(work, struct braid_peer, remove_work);

	synchronize_rcu();
	braid_peer_remove(peer);
}

void braid_peer_del(struct braid_peer *peer)
{
	lockdep_assert_held(&peer->res->lock);
	RCU_INIT_POINTER(peer->res->peers[peer->node], NULL);
	INIT_WORK(&peer->remove_work, remove_work);
	queue_work(braid_wq, &peer->remove_work);
}
