// SPDX-License-Identifier: GPL-2.0
/*
 * The writer's requests. A request of the application passes the gate of its resource's service,
 * begins in its region (where it may have to wait for an overlapping one, and for the activity
 * log), goes to the local disk and to all peers that have to complete it, and ends when the last
 * of them has answered (R1).
 */
#include "request.h"
#include "copy.h"
#include "dirty.h"
#include "disk.h"
#include "fault.h"
#include "peer.h"
#include "sync.h"
#include "trace.h"
#include "volume.h"

#include <linux/mempool.h>
#include <linux/slab.h>

static mempool_t request_pool;

int braid_request_init(void)
{
	return mempool_init_kmalloc_pool(&request_pool, BRAID_RESERVED,
					 sizeof(struct braid_request));
}

void braid_request_exit(void)
{
	mempool_exit(&request_pool);
}

/* ---- the end of a request ---- */

static void in_flight_put(struct braid_resource *res)
{
	if (atomic_dec_and_test(&res->in_flight) &&
	    (READ_ONCE(res->draining) || READ_ONCE(res->failing) || READ_ONCE(res->reconciling)))
		wake_up_all(&res->wait);
}

void braid_request_free(struct braid_request *req)
{
	braid_payload_free(req->payload);
	mempool_free(req, &request_pool);
}

/* The last that is seen of a request. */
static void request_end(struct braid_request *req)
{
	struct braid_volume *volume = req->volume;
	struct bio *bio = req->bio;
	ktime_t started = req->started;

	trace_braid_complete(req, volume->res->node, blk_status_to_errno(req->status));
	if (req->flags & BRAID_REQ_INTERNAL) {
		req->done(req);
		return;
	}
	if (bio) {
		bio->bi_status = req->status;
		braid_request_free(req);
	} else {
		req->done(req);
	}
	braid_stats_latency(&volume->stats, BRAID_STAGE_COMPLETE,
			    ktime_to_ns(ktime_sub(ktime_get(), started)));
	if (bio)
		bio_endio(bio);
	in_flight_put(volume->res);
	braid_volume_put(volume);
}

/* Goes on in process context, from its beginning. */
static void restart_later(struct braid_request *req)
{
	struct braid_volume *volume = req->volume;
	unsigned long irq;

	spin_lock_irqsave(&volume->restart_lock, irq);
	list_add_tail(&req->list, &volume->restart);
	spin_unlock_irqrestore(&volume->restart_lock, irq);
	queue_work(volume->res->wq, &volume->restart_work);
}

static void wait_done(struct braid_wait *wait)
{
	restart_later(container_of(wait, struct braid_request, wait));
}

static void touch_retry(struct braid_touch *touch)
{
	restart_later(container_of(touch, struct braid_request, touch));
}

/*
 * A value that was seen must survive: a read that overlaps a write under way ends after it (R1a).
 * Nobody may read once the lease has run out, since another writer may be at work (R7).
 */
static void read_end(struct braid_request *req)
{
	struct braid_volume *volume = req->volume;

	if (req->retry) {
		req->retry = false;
		restart_later(req);
		return;
	}
	if (!req->status) {
		if (!(req->flags & BRAID_REQ_INTERNAL) && !braid_lease_valid(volume->res)) {
			req->flags &= ~BRAID_REQ_READ_OK;
			restart_later(req);
			return;
		}
		if (req->flags & BRAID_REQ_UNREADABLE) {
			req->flags &= ~BRAID_REQ_UNREADABLE;
			braid_repair(volume, req->offset, req->bytes);
		}
		if (!(req->flags & BRAID_REQ_INTERNAL)) {
			req->wait.done = wait_done;
			req->flags |= BRAID_REQ_READ_OK;
			if (braid_region_overlaps(volume, req->offset, req->bytes, &req->wait))
				return;
		}
	}
	request_end(req);
}

static void write_end(struct braid_request *req)
{
	struct braid_volume *volume = req->volume;

	if (req->status) {
		unsigned long irq;

		/* It may be on some replicas and not on others: that stays marked (R5b). */
		spin_lock_irqsave(&volume->generation_lock, irq);
		volume->wedged = true;
		spin_unlock_irqrestore(&volume->generation_lock, irq);
	}
	if (req->flags & BRAID_REQ_SPAN) {
		req->flags &= ~BRAID_REQ_SPAN;
		braid_region_end(volume, &req->touch, &req->span);
		braid_generation_put(volume, req->generation);
	}
	if (req->flags & BRAID_REQ_POSTFLUSH && !req->status) {
		req->flags &= ~(BRAID_REQ_POSTFLUSH | BRAID_REQ_WRITE);
		req->type = BRAID_MSG_FLUSH;
		restart_later(req);
		return;
	}
	request_end(req);
}

static void flush_end(struct braid_request *req)
{
	if (req->generation) {
		braid_generation_flushed(req->volume, req->generation, !req->status);
		req->generation = 0;
		queue_work(req->volume->res->wq, &req->volume->stable_work);
	}
	if (req->flags & BRAID_REQ_PREFLUSH && !req->status) {
		req->flags &= ~BRAID_REQ_PREFLUSH;
		if (req->flags & BRAID_REQ_WRITE) {
			req->type = req->payload ? BRAID_MSG_WRITE : BRAID_MSG_ZEROES;
			restart_later(req);
			return;
		}
	}
	request_end(req);
}

/* What another configuration's writer says, or one that is none any more, does not count. */
static void through_end(struct braid_request *req)
{
	const struct braid_config *config;
	bool current_one;

	rcu_read_lock();
	config = braid_config(req->volume->res);
	current_one = config && config->epoch == req->epoch;
	rcu_read_unlock();
	req->flags &= ~BRAID_REQ_THROUGH;
	req->targets = 0;
	if (current_one) {
		request_end(req);
		return;
	}
	req->status = BLK_STS_OK;
	restart_later(req);
}

static void request_complete(struct braid_request *req)
{
	if (req->flags & BRAID_REQ_THROUGH) {
		through_end(req);
		return;
	}
	switch (req->type) {
	case BRAID_MSG_WRITE:
	case BRAID_MSG_ZEROES:
		write_end(req);
		break;
	case BRAID_MSG_FLUSH:
		flush_end(req);
		break;
	case BRAID_MSG_READ:
		read_end(req);
		break;
	default:
		request_end(req);
	}
}

static void clear_waiting(struct braid_request *req, u64 bit)
{
	if (atomic64_fetch_andnot(bit, &req->waiting) == bit)
		request_complete(req);
}

static blk_status_t status_to_blk(u32 status)
{
	return status == BRAID_STATUS_OK ? BLK_STS_OK : BLK_STS_IOERR;
}

void braid_request_answered(struct braid_request *req, u32 node, u32 status)
{
	if (status != BRAID_STATUS_OK && req->type == BRAID_MSG_READ &&
	    !(req->flags & (BRAID_REQ_INTERNAL | BRAID_REQ_THROUGH))) {
		/* Another replica may have it. */
		req->tried |= BIT(node);
		req->retry = true;
	} else if (status != BRAID_STATUS_OK) {
		cmpxchg(&req->status, BLK_STS_OK, status_to_blk(status));
	}
	clear_waiting(req, BIT(node));
}

/* ---- the local disk ---- */

/*
 * The disk is given up. Until a configuration without this node is adopted, or its resync has
 * ended, the write waits.
 */
static void stick(struct braid_request *req)
{
	struct braid_volume *volume = req->volume;
	struct braid_resource *res = volume->res;
	const struct braid_config *config;
	unsigned long irq;
	bool gone;

	if (req->flags & BRAID_REQ_LOCAL_ONLY) {
		braid_request_answered(req, res->node, BRAID_STATUS_IO);
		return;
	}
	spin_lock_irqsave(&volume->restart_lock, irq);
	list_add_tail(&req->list, &volume->stuck);
	spin_unlock_irqrestore(&volume->restart_lock, irq);
	/* Pairs with release_dropped(). */
	smp_mb();
	rcu_read_lock();
	config = braid_config(res);
	/* A configuration is not seen before what it dropped. */
	smp_rmb();
	gone = !config || READ_ONCE(res->failing) ||
	       !((braid_required(res, config) | READ_ONCE(res->dropped)) >> res->node & 1);
	rcu_read_unlock();
	if (gone)
		braid_request_unstick(volume, READ_ONCE(res->failing) ? BLK_STS_IOERR : BLK_STS_OK);
}

void braid_request_unstick(struct braid_volume *volume, blk_status_t status)
{
	struct braid_request *req, *next;
	LIST_HEAD(stuck);
	unsigned long irq;

	spin_lock_irqsave(&volume->restart_lock, irq);
	list_splice_init(&volume->stuck, &stuck);
	spin_unlock_irqrestore(&volume->restart_lock, irq);
	list_for_each_entry_safe(req, next, &stuck, list) {
		list_del_init(&req->list);
		braid_request_answered(req, volume->res->node,
				       status ? BRAID_STATUS_IO : BRAID_STATUS_OK);
	}
}

static void local_endio(struct bio *bio)
{
	struct braid_request *req = bio->bi_private;
	struct braid_disk *disk = req->disk;
	blk_status_t status = bio->bi_status;
	bool write = op_is_write(bio_op(bio));

	trace_braid_local_done(req, req->volume->res->node, blk_status_to_errno(status));
	bio_put(bio);
	req->disk = NULL;
	braid_stats_latency(&req->volume->stats, BRAID_STAGE_LOCAL,
			    ktime_to_ns(ktime_sub(ktime_get(), req->started)));
	if (likely(!status)) {
		braid_disk_put(disk);
		clear_waiting(req, BIT(req->volume->res->node));
		return;
	}
	if (write) {
		braid_disk_fail(disk, "write error");
		braid_disk_put(disk);
		stick(req);
		return;
	}
	braid_disk_put(disk);
	if (!(req->flags & BRAID_REQ_INTERNAL))
		req->flags |= BRAID_REQ_UNREADABLE;
	braid_request_answered(req, req->volume->res->node, BRAID_STATUS_IO);
}

static struct bio *local_bio(struct braid_request *req, struct braid_disk *disk)
{
	blk_opf_t fua = req->flags & BRAID_REQ_FUA ? REQ_FUA : 0;
	struct bio *bio;

	switch (req->type) {
	case BRAID_MSG_WRITE:
		bio = bio_alloc_clone(disk->data, req->payload, GFP_NOIO, &braid_bios);
		bio->bi_opf = REQ_OP_WRITE | REQ_SYNC | fua;
		break;
	case BRAID_MSG_ZEROES:
		return braid_zero_bio(disk, req->offset, req->bytes, req->flags & BRAID_REQ_UNMAP);
	case BRAID_MSG_READ:
		bio = bio_alloc_clone(disk->data, req->bio ?: req->payload, GFP_NOIO, &braid_bios);
		bio->bi_opf = REQ_OP_READ | (req->bio ? req->bio->bi_opf & REQ_SYNC : 0);
		break;
	default:
		return bio_alloc_bioset(disk->data, 0, REQ_OP_WRITE | REQ_PREFLUSH, GFP_NOIO,
					&braid_bios);
	}
	bio->bi_iter.bi_sector = req->offset >> SECTOR_SHIFT;
	return bio;
}

/* With a reference to the disk in @req->disk, which the end of the I/O drops. May sleep. */
static void submit_local(struct braid_request *req)
{
	struct bio *bio;

	if (req->type == BRAID_MSG_FLUSH && !req->disk->volatile_cache) {
		braid_disk_put(req->disk);
		req->disk = NULL;
		clear_waiting(req, BIT(req->volume->res->node));
		return;
	}
	bio = local_bio(req, req->disk);
	bio->bi_end_io = local_endio;
	bio->bi_private = req;
	if (!braid_fault_bio(bio, req->volume->res->node))
		submit_bio_noacct(bio);
}

static void touch_ready(struct braid_touch *touch, int error)
{
	struct braid_request *req = container_of(touch, struct braid_request, touch);

	if (!error) {
		submit_local(req);
		return;
	}
	braid_disk_put(req->disk);
	req->disk = NULL;
	stick(req);
}

/* ---- the gate ---- */

enum gate { GATE_OPEN, GATE_HOLD, GATE_FAIL, GATE_THROUGH, GATE_TOKEN };

static enum gate gate(struct braid_request *req)
{
	struct braid_resource *res = req->volume->res;

	if (READ_ONCE(res->failing) || READ_ONCE(res->dead))
		return GATE_FAIL;
	switch (READ_ONCE(res->service)) {
	case BRAID_SERVICE_SERVING:
	case BRAID_SERVICE_HELD:
		if (READ_ONCE(res->suspended))
			return GATE_HOLD;
		return req->type == BRAID_MSG_READ && !braid_lease_valid(res) ? GATE_HOLD :
										GATE_OPEN;
	case BRAID_SERVICE_SECONDARY:
	case BRAID_SERVICE_FAILED:
		return GATE_FAIL;
	case BRAID_SERVICE_INCOMING:
		return req->flags & BRAID_REQ_WRITE ? GATE_TOKEN : GATE_THROUGH;
	default:
		return GATE_HOLD;
	}
}

/* False if the request was held, or failed. Counts it as under way otherwise. */
static bool enter(struct braid_request *req)
{
	struct braid_resource *res = req->volume->res;
	enum gate state;

	for (;;) {
		atomic_inc(&res->in_flight);
		/* Draining closes the gate first and looks at the count then. */
		smp_mb__after_atomic();
		state = gate(req);
		if (state == GATE_THROUGH)
			req->flags |= BRAID_REQ_THROUGH;
		if (state == GATE_OPEN || state == GATE_THROUGH)
			return true;
		/* A peer's request does not stay here: the peer asks again. */
		if (state == GATE_FAIL || !req->bio) {
			req->status = state == GATE_FAIL ? BLK_STS_IOERR : BLK_STS_AGAIN;
			request_end(req);
			return false;
		}
		in_flight_put(res);
		spin_lock(&res->held_lock);
		/* Whoever opens the gate empties the list after it. */
		state = gate(req);
		if (state == GATE_HOLD || state == GATE_TOKEN) {
			list_add_tail(&req->list, &res->held);
			atomic64_inc(&res->held_count);
			spin_unlock(&res->held_lock);
			if (state == GATE_TOKEN)
				braid_migrate_wanted(res);
			return false;
		}
		spin_unlock(&res->held_lock);
	}
}

/* ---- the start ---- */

/* While the request waits for BRAID_WAIT_SUBMIT. */
static void queue_peers(struct braid_request *req, u32 mask)
{
	struct braid_resource *res = req->volume->res;
	u32 node;

	for (node = 0; node < BRAID_MAX_NODES; node++) {
		struct braid_peer *peer;

		if (!(mask >> node & 1))
			continue;
		req->sends[node].node = node;
		req->sends[node].state = BRAID_SEND_IDLE;
		peer = rcu_dereference(res->peers[node]);
		if (peer)
			braid_peer_queue(peer, &req->sends[node]);
		else
			braid_request_answered(req, node, BRAID_STATUS_NO_DISK);
	}
}

/* The end of starting: from here on the request may be gone at any time. */
static void started(struct braid_request *req, u32 peers)
{
	struct braid_resource *res = req->volume->res;

	braid_stats_latency(&req->volume->stats, BRAID_STAGE_SUBMIT,
			    ktime_to_ns(ktime_sub(ktime_get(), req->started)));
	if (peers)
		braid_peers_pump(res, peers);
	clear_waiting(req, BRAID_WAIT_SUBMIT);
}

static void start_write(struct braid_request *req)
{
	struct braid_volume *volume = req->volume;
	struct braid_resource *res = volume->res;
	u32 self = BIT(res->node), required, absent;
	const struct braid_config *config;
	struct braid_disk *disk = NULL;
	enum braid_begin begun;
	u64 generation;

	generation = braid_generation_get(volume);
	rcu_read_lock();
	config = braid_config(res);
	if (READ_ONCE(res->failing) || !config) {
		/* Whoever fails I/O waits for this section's end, and takes what is queued then. */
		rcu_read_unlock();
		braid_generation_put(volume, generation);
		req->status = BLK_STS_IOERR;
		request_end(req);
		return;
	}
	required = braid_required(res, config);
	absent = braid_absent(res, config);
	/*
	 * A disk that is attached, but neither in sync nor linked, does not count. One that is
	 * linked was attached before: without it now, it has failed since, and who unlinks it
	 * unsticks us.
	 */
	if (braid_self_in_sync(res, config) || required & ~config->in_sync & self)
		disk = braid_disk_get(volume);
	req->disk = disk;
	req->generation = generation;
	req->flags |= BRAID_REQ_SPAN;
	req->touch.ready = touch_ready;
	req->touch.retry = touch_retry;
	req->wait.done = wait_done;
	atomic64_set(&req->waiting, required | BRAID_WAIT_SUBMIT);
	begun = braid_region_begin(volume, &req->touch, &req->span, &req->wait, req->offset,
				   req->bytes, generation, disk, absent);
	if (begun == BRAID_BEGIN_CONFLICT || begun == BRAID_BEGIN_FULL) {
		/* It may be running again by now. */
		rcu_read_unlock();
		if (disk)
			braid_disk_put(disk);
		braid_generation_put(volume, generation);
		if (begun == BRAID_BEGIN_CONFLICT)
			atomic64_inc(&volume->stats.conflicts);
		return;
	}
	queue_peers(req, required & ~self);
	rcu_read_unlock();

	if (required & self) {
		if (!disk)
			stick(req);
		else if (begun == BRAID_BEGIN_READY)
			submit_local(req);
		else
			braid_log_kick(disk);
	}
	started(req, required & ~self);
}

static void start_flush(struct braid_request *req)
{
	struct braid_volume *volume = req->volume;
	struct braid_resource *res = volume->res;
	const struct braid_config *config;
	u32 self = BIT(res->node), required, node;

	if (!(req->flags & BRAID_REQ_INTERNAL))
		req->generation = braid_generation_close_now(volume);
	rcu_read_lock();
	config = braid_config(res);
	if (READ_ONCE(res->failing) || !config) {
		rcu_read_unlock();
		req->status = BLK_STS_IOERR;
		flush_end(req);
		return;
	}
	required = req->targets ?: braid_required(res, config);
	for (node = 0; node < BRAID_MAX_NODES; node++)
		if (volume->remote[node].known &&
		    !(volume->remote[node].state.flags & BRAID_VOLUME_VOLATILE))
			required &= ~BIT(node) | self;
	atomic64_set(&req->waiting, required | BRAID_WAIT_SUBMIT);
	queue_peers(req, required & ~self);
	rcu_read_unlock();
	if (required & self) {
		req->disk = braid_disk_get(volume);
		if (req->disk)
			submit_local(req);
		else
			stick(req);
	}
	started(req, required & ~self);
}

/* The local replica if it is in sync, otherwise a peer's that is. 0 if there is none now. */
static u32 read_source(struct braid_request *req)
{
	struct braid_resource *res = req->volume->res;
	const struct braid_config *config = braid_config(res);
	u32 left = config ? config->in_sync & ~req->tried : 0, node;

	if (left & BIT(res->node) && braid_self_in_sync(res, config)) {
		req->disk = braid_disk_get(req->volume);
		if (req->disk)
			return BIT(res->node);
	}
	for (node = 0; node < BRAID_MAX_NODES; node++) {
		struct braid_peer *peer = rcu_dereference(res->peers[node]);

		if (left >> node & 1 && peer && READ_ONCE(peer->ready))
			return BIT(node);
	}
	return 0;
}

static void hold_read(struct braid_request *req)
{
	struct braid_resource *res = req->volume->res;

	spin_lock(&res->held_lock);
	list_add_tail(&req->list, &res->held);
	atomic64_inc(&res->held_count);
	spin_unlock(&res->held_lock);
	in_flight_put(res);
}

static void start_read(struct braid_request *req)
{
	struct braid_volume *volume = req->volume;
	struct braid_resource *res = volume->res;
	const struct braid_config *config;
	u32 source, left;

	rcu_read_lock();
	config = braid_config(res);
	left = config && !READ_ONCE(res->failing) ? config->in_sync & ~req->tried : 0;
	source = !left ? 0 : req->targets ?: read_source(req);
	if (!source) {
		rcu_read_unlock();
		if (left) {
			hold_read(req);
			return;
		}
		req->status = BLK_STS_IOERR;
		request_end(req);
		return;
	}
	atomic64_set(&req->waiting, source | BRAID_WAIT_SUBMIT);
	queue_peers(req, source & ~BIT(res->node));
	rcu_read_unlock();
	if (source == BIT(res->node)) {
		if (!req->disk)
			req->disk = braid_disk_get(volume);
		if (req->disk)
			submit_local(req);
		else
			braid_request_answered(req, res->node, BRAID_STATUS_NO_DISK);
	} else {
		atomic64_inc(&volume->stats.remote_reads);
	}
	started(req, source & ~BIT(res->node));
}

/*
 * Internal requests other than flushes and reads: as they are, to @targets. And a migration
 * target's, to the source (M1).
 */
static void start_targets(struct braid_request *req)
{
	struct braid_resource *res = req->volume->res;
	u32 self = BIT(res->node);

	rcu_read_lock();
	if (req->flags & BRAID_REQ_THROUGH) {
		req->targets = braid_migrate_source(res, &req->epoch);
		if (!req->targets) {
			rcu_read_unlock();
			req->status = BLK_STS_IOERR;
			through_end(req);
			return;
		}
	}
	atomic64_set(&req->waiting, req->targets | BRAID_WAIT_SUBMIT);
	queue_peers(req, req->targets & ~self);
	rcu_read_unlock();
	if (req->targets & self) {
		req->disk = braid_disk_get(req->volume);
		if (req->disk)
			submit_local(req);
		else
			braid_request_answered(req, res->node, BRAID_STATUS_NO_DISK);
	}
	started(req, req->targets & ~self);
}

void braid_request_start(struct braid_request *req)
{
	if (req->flags & BRAID_REQ_THROUGH) {
		start_targets(req);
		return;
	}
	switch (req->type) {
	case BRAID_MSG_FLUSH:
		start_flush(req);
		break;
	case BRAID_MSG_READ:
		start_read(req);
		break;
	default:
		if (req->flags & BRAID_REQ_INTERNAL)
			start_targets(req);
		else
			start_write(req);
	}
}

void braid_request_enter(struct braid_request *req)
{
	if (enter(req))
		braid_request_start(req);
}

void braid_restart_work(struct work_struct *work)
{
	struct braid_volume *volume = container_of(work, struct braid_volume, restart_work);
	struct braid_request *req, *next;
	LIST_HEAD(restart);

	spin_lock_irq(&volume->restart_lock);
	list_splice_init(&volume->restart, &restart);
	spin_unlock_irq(&volume->restart_lock);
	list_for_each_entry_safe(req, next, &restart, list) {
		list_del_init(&req->list);
		if (req->flags & BRAID_REQ_READ_OK) {
			read_end(req);
			continue;
		}
		req->flags &= ~BRAID_REQ_SPAN;
		if (req->flags & BRAID_REQ_INTERNAL) {
			braid_request_start(req);
			continue;
		}
		/* It has been let in once, but what held it up may have taken long. */
		in_flight_put(volume->res);
		braid_request_enter(req);
	}
}

static void execute_done(struct braid_request *req)
{
	complete(req->private);
}

int braid_request_execute(struct braid_request *req)
{
	DECLARE_COMPLETION_ONSTACK(done);

	req->done = execute_done;
	req->private = &done;
	braid_request_start(req);
	wait_for_completion(&done);
	return blk_status_to_errno(req->status);
}

static struct braid_request *request_alloc(struct braid_volume *volume, gfp_t gfp)
{
	struct braid_request *req = mempool_alloc(&request_pool, gfp);

	if (!req)
		return NULL;
	/* The parts for peers are set up as far as they are used. */
	memset(req, 0, offsetof(struct braid_request, sends));
	req->volume = volume;
	INIT_LIST_HEAD(&req->list);
	req->started = ktime_get();
	return req;
}

struct braid_request *braid_request_internal(struct braid_volume *volume, u8 type, u64 offset,
					     u32 bytes)
{
	struct braid_request *req = request_alloc(volume, GFP_NOIO);

	req->type = type;
	req->flags = BRAID_REQ_INTERNAL;
	req->offset = offset;
	req->bytes = bytes;
	return req;
}

static int take_over(struct braid_request *req, struct bio *bio, gfp_t gfp)
{
	req->bio = bio;
	req->offset = (u64)bio->bi_iter.bi_sector << SECTOR_SHIFT;
	req->bytes = bio->bi_iter.bi_size;
	if (bio->bi_opf & REQ_PREFLUSH)
		req->flags |= BRAID_REQ_PREFLUSH;
	switch (bio_op(bio)) {
	case REQ_OP_READ:
		req->type = BRAID_MSG_READ;
		req->flags &= ~BRAID_REQ_PREFLUSH;
		return 0;
	case REQ_OP_WRITE:
		if (!req->bytes)
			break;
		req->flags |= BRAID_REQ_WRITE | (bio->bi_opf & REQ_FUA ? BRAID_REQ_FUA : 0);
		req->payload = braid_payload_alloc(req->bytes, gfp);
		if (!req->payload)
			return -EAGAIN;
		bio_copy_data(req->payload, bio);
		req->type = BRAID_MSG_WRITE;
		break;
	case REQ_OP_DISCARD:
		req->flags |= BRAID_REQ_UNMAP;
		fallthrough;
	case REQ_OP_WRITE_ZEROES:
		if (!(bio->bi_opf & REQ_NOUNMAP))
			req->flags |= BRAID_REQ_UNMAP;
		req->flags |= BRAID_REQ_WRITE |
			      (bio->bi_opf & REQ_FUA ? BRAID_REQ_POSTFLUSH : 0);
		req->type = BRAID_MSG_ZEROES;
		break;
	case REQ_OP_FLUSH:
		break;
	default:
		return -EOPNOTSUPP;
	}
	if (!(req->flags & BRAID_REQ_WRITE) || req->flags & BRAID_REQ_PREFLUSH) {
		req->type = BRAID_MSG_FLUSH;
		if (!(req->flags & BRAID_REQ_WRITE))
			req->flags &= ~BRAID_REQ_PREFLUSH;
	}
	return 0;
}

static void count(struct braid_volume *volume, const struct braid_request *req)
{
	if (req->type == BRAID_MSG_READ) {
		atomic64_inc(&volume->stats.reads);
		atomic64_add(req->bytes, &volume->stats.read_bytes);
	} else if (req->flags & BRAID_REQ_WRITE) {
		atomic64_inc(&volume->stats.writes);
		atomic64_add(req->bytes, &volume->stats.written_bytes);
	} else {
		atomic64_inc(&volume->stats.flushes);
	}
}

static void submit_one(struct braid_volume *volume, struct bio *bio)
{
	gfp_t gfp = bio->bi_opf & REQ_NOWAIT ? GFP_NOWAIT | __GFP_NOWARN : GFP_NOIO;
	struct braid_request *req;
	int err;

	req = request_alloc(volume, gfp);
	if (!req) {
		bio_wouldblock_error(bio);
		return;
	}
	err = take_over(req, bio, gfp);
	if (err) {
		braid_request_free(req);
		if (err == -EAGAIN) {
			bio_wouldblock_error(bio);
			return;
		}
		bio->bi_status = errno_to_blk_status(err);
		bio_endio(bio);
		return;
	}
	braid_volume_get(volume);
	count(volume, req);
	trace_braid_submit(req, volume->res->node, 0);
	braid_request_enter(req);
}

/* A request lies within one region, and its payload in one message. */
static u32 largest(const struct bio *bio)
{
	u32 bytes = BRAID_REGION_SIZE -
		    (u32)(((u64)bio->bi_iter.bi_sector << SECTOR_SHIFT) & (BRAID_REGION_SIZE - 1));

	return bio_op(bio) == REQ_OP_WRITE || bio_op(bio) == REQ_OP_READ ?
		min(bytes, BRAID_PAYLOAD_MAX) : bytes;
}

void braid_request_submit(struct braid_volume *volume, struct bio *bio)
{
	bio = bio_split_to_limits(bio);
	while (bio && bio->bi_iter.bi_size > largest(bio)) {
		struct bio *part;

		if (bio->bi_opf & REQ_NOWAIT) {
			bio_wouldblock_error(bio);
			return;
		}
		part = bio_split(bio, largest(bio) >> SECTOR_SHIFT, GFP_NOIO, &braid_bios);
		bio_chain(part, bio);
		submit_one(volume, part);
	}
	if (bio)
		submit_one(volume, bio);
}
