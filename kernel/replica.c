// SPDX-License-Identifier: GPL-2.0
/* What this node does for its peers: their requests, from the socket to the reply. */
#include "replica.h"
#include "dirty.h"
#include "disk.h"
#include "fault.h"
#include "copy.h"
#include "sync.h"
#include "volume.h"

#include <linux/mempool.h>
#include <linux/slab.h>

/*
 * struct peer_io - a request of a peer
 * @out: its reply
 */
struct peer_io {
	struct braid_out out;
	struct braid_stream *stream;
	struct braid_volume *volume;
	struct braid_disk *disk;
	struct braid_header header;
	struct braid_data data;
	struct bio *payload;
	u8 *answer;
	struct bio_vec answer_vec;
	struct braid_touch touch;
	struct work_struct work;
	ktime_t started;
	u32 absent;
	bool in_sync;
	bool forwarded;		/* it is no I/O of the peer's any more, but of this node's device */
};

static mempool_t io_pool;

int braid_replica_init(void)
{
	return mempool_init_kmalloc_pool(&io_pool, BRAID_RESERVED, sizeof(struct peer_io));
}

void braid_replica_exit(void)
{
	mempool_exit(&io_pool);
}

/* ---- the reply ---- */

/*
 * P7: what a peer can have under way here is bounded by what was granted to it. One request more,
 * since a reply may have arrived before its sender has counted it as sent.
 */
static bool within_window(struct braid_stream *stream, const struct peer_io *io)
{
	u32 requests = atomic_inc_return(&stream->incoming);
	u32 bytes = atomic_add_return(braid_credit_bytes(io->header.type, io->data.bytes),
				      &stream->incoming_bytes);

	return requests <= BRAID_WINDOW + 1 && bytes <= BRAID_WINDOW_BYTES + BRAID_PAYLOAD_MAX;
}

static void io_done(struct braid_out *out)
{
	struct peer_io *io = container_of(out, struct peer_io, out);

	atomic_dec(&io->stream->incoming);
	atomic_sub(braid_credit_bytes(io->header.type, io->data.bytes),
		   &io->stream->incoming_bytes);
	braid_payload_free(io->payload);
	kvfree(io->answer);
	if (io->volume)
		braid_volume_put(io->volume);
	braid_stream_put(io->stream);
	mempool_free(io, &io_pool);
}

static void io_put_peer(struct braid_peer *peer)
{
	struct braid_resource *res = peer->res;

	if (atomic_dec_and_test(&peer->io))
		wake_up_all(&peer->wait);
	if (atomic_dec_and_test(&res->peer_io))
		wake_up_all(&res->wait);
}

/* Nothing of the request is under way at the disk any more. Any context. */
static void answer_more(struct peer_io *io, u32 status, u64 next, bool more)
{
	struct braid_reply reply = { .status = status, .next = next };
	struct braid_stream *stream = io->stream;
	u32 offset;

	if (io->touch.region)
		braid_region_end(io->volume, &io->touch, NULL);
	if (io->disk)
		braid_disk_put(io->disk);
	io->disk = NULL;
	if (io->volume)
		braid_stats_latency(&io->volume->stats, BRAID_STAGE_LOCAL,
				    ktime_to_ns(ktime_sub(ktime_get(), io->started)));
	io->out.header.type = BRAID_MSG_REPLY;
	io->out.header.flags = more ? BRAID_MF_MORE : 0;
	io->out.header.volume = io->header.volume;
	io->out.header.tag = io->header.tag;
	braid_reply_encode(&reply, io->out.body);
	if (status == BRAID_STATUS_OK && io->header.type == BRAID_MSG_READ) {
		io->out.vec_count = braid_bio_vecs(io->payload, &io->out.vecs, &offset);
		io->out.payload = io->data.bytes;
	} else if (status != BRAID_STATUS_OK) {
		io->out.payload = 0;
	}
	io->out.done = io_done;
	if (!io->forwarded)
		io_put_peer(stream->peer);
	braid_stream_queue(stream, &io->out);
}

static void answer(struct peer_io *io, u32 status)
{
	answer_more(io, status, 0, false);
}

static void answer_bytes(struct peer_io *io, u32 bytes, u64 next, bool more)
{
	if (bytes) {
		bvec_set_page(&io->answer_vec, virt_to_page(io->answer), bytes,
			      offset_in_page(io->answer));
		io->out.vecs = &io->answer_vec;
		io->out.vec_count = 1;
		io->out.payload = bytes;
	}
	answer_more(io, BRAID_STATUS_OK, next, more);
}

/* Memory may have to be waited for: that of answers that are kept back, perhaps. */
static struct bio *alloc_payload(struct peer_io *io)
{
	struct bio *payload = braid_payload_alloc(io->data.bytes, GFP_NOWAIT | __GFP_NOWARN);

	if (payload)
		return payload;
	braid_stream_flush(io->stream);
	return braid_payload_alloc(io->data.bytes, GFP_NOIO);
}

/* ---- the disk ---- */

static void io_endio(struct bio *bio)
{
	struct peer_io *io = bio->bi_private;
	u32 status = bio->bi_status ? BRAID_STATUS_IO : BRAID_STATUS_OK;

	if (bio->bi_status && io->header.type != BRAID_MSG_READ)
		braid_disk_fail(io->disk, "write error");
	bio_put(bio);
	answer(io, status);
}

static void submit(struct peer_io *io)
{
	struct block_device *bdev = io->disk->data;
	struct bio *bio;

	switch (io->header.type) {
	case BRAID_MSG_WRITE:
		bio = bio_alloc_clone(bdev, io->payload, GFP_NOIO, &fs_bio_set);
		bio->bi_opf = REQ_OP_WRITE | REQ_SYNC |
			      (io->header.flags & BRAID_MF_FUA ? REQ_FUA : 0);
		bio->bi_iter.bi_sector = io->data.offset >> SECTOR_SHIFT;
		break;
	case BRAID_MSG_READ:
		bio = bio_alloc_clone(bdev, io->payload, GFP_NOIO, &fs_bio_set);
		bio->bi_opf = REQ_OP_READ;
		bio->bi_iter.bi_sector = io->data.offset >> SECTOR_SHIFT;
		break;
	case BRAID_MSG_ZEROES:
		bio = braid_zero_bio(io->disk, io->data.offset, io->data.bytes,
				     io->header.flags & BRAID_MF_UNMAP);
		break;
	default:
		bio = bio_alloc(bdev, 0, REQ_OP_WRITE | REQ_PREFLUSH, GFP_NOIO);
	}
	bio->bi_private = io;
	bio->bi_end_io = io_endio;
	if (!braid_fault_bio(bio, io->volume->res->node))
		submit_bio(bio);
}

static u8 *alloc_answer(const struct peer_io *io, u32 bytes)
{
	if (braid_fault(BRAID_FAULT_ALLOC, io->volume->res->node, BRAID_ALLOC_ANSWER))
		return NULL;
	return kmalloc(bytes, GFP_NOIO);
}

/* Hashes are made here rather than where the read ends: they take long. */
static void csum_work(struct work_struct *work)
{
	struct peer_io *io = container_of(work, struct peer_io, work);
	u32 at = 0, count = 0;
	struct bio *bio;
	int err;

	io->payload = braid_payload_alloc(io->data.bytes, GFP_NOIO);
	bio = bio_alloc_clone(io->disk->data, io->payload, GFP_NOIO, &fs_bio_set);
	bio->bi_opf = REQ_OP_READ;
	bio->bi_iter.bi_sector = io->data.offset >> SECTOR_SHIFT;
	err = braid_fault(BRAID_FAULT_READ, io->volume->res->node, 0) ? -EIO : submit_bio_wait(bio);
	bio_put(bio);
	io->answer = alloc_answer(io, BRAID_PAYLOAD_MAX / BRAID_CSUM_BYTES * BRAID_HASH_BYTES);
	if (err || !io->answer) {
		answer(io, err ? BRAID_STATUS_IO : BRAID_STATUS_BUSY);
		return;
	}
	for (; at < io->data.bytes; at += BRAID_CSUM_BYTES, count++)
		braid_payload_hash(io->payload, at, min(BRAID_CSUM_BYTES, io->data.bytes - at),
				   io->answer + count * BRAID_HASH_BYTES);
	answer_bytes(io, count * BRAID_HASH_BYTES, 0, false);
}

/* The marks of this replica: its own map, and what is unstable. One entry more, or false. */
static bool next_mark(struct peer_io *io, struct braid_dirty *own, u32 from, u32 *region,
		      u32 *state, struct braid_bits *bits, int *err)
{
	struct braid_bits unstable = {};
	bool have_own = false, have;
	u32 other = 0;

	*err = 0;
	if (own) {
		int found = braid_dirty_next(own, from, region, state, bits);

		if (found < 0) {
			*err = found;
			return false;
		}
		have_own = found;
	}
	have = io->header.type == BRAID_MSG_MARKS &&
	       braid_regions_next_unstable(io->volume, from, &other, &unstable);
	if (have && (!have_own || other < *region)) {
		*region = other;
		*state = BRAID_REGION_LEAF;
		*bits = unstable;
		return true;
	}
	if (have && have_own && other == *region)
		braid_bits_or(bits, &unstable);
	return have_own;
}

static void marks_work(struct work_struct *work)
{
	struct peer_io *io = container_of(work, struct peer_io, work);
	u32 node = io->header.type == BRAID_MSG_MARKS ? io->volume->res->node : io->data.bytes;
	u32 from = io->data.offset, region, state, count = 0;
	struct braid_disk *disk = io->disk;
	struct braid_bits bits;
	struct braid_dirty *map;
	bool more = true;
	int err = 0;

	io->answer = alloc_answer(io, BRAID_MARKS_MAX * BRAID_MARK_BYTES);
	if (!io->answer) {
		answer(io, BRAID_STATUS_BUSY);
		return;
	}
	mutex_lock(&disk->meta_lock);
	map = rcu_dereference_protected(disk->dirty[node], lockdep_is_held(&disk->meta_lock));
	if (io->header.type == BRAID_MSG_DIRTY &&
	    !braid_dirty_matches(disk, node, io->data.instance)) {
		mutex_unlock(&disk->meta_lock);
		answer(io, BRAID_STATUS_RANGE);
		return;
	}
	while (count < BRAID_MARKS_MAX) {
		more = next_mark(io, map, from, &region, &state, &bits, &err);
		if (!more)
			break;
		braid_mark_encode(io->answer + count++ * BRAID_MARK_BYTES, region, state,
				  bits.bytes);
		from = region + 1;
	}
	mutex_unlock(&disk->meta_lock);
	if (err)
		answer(io, BRAID_STATUS_IO);
	else
		answer_bytes(io, count * BRAID_MARK_BYTES, from, more);
}

/* The replica is equal to the others now; nothing that it had on its mind matters any more. */
static void settled_work(struct work_struct *work)
{
	struct peer_io *io = container_of(work, struct peer_io, work);
	struct braid_resource *res = io->volume->res;
	int err = braid_disk_settle(io->disk, io->data.offset);

	if (err == -ENOSPC) {
		answer(io, BRAID_STATUS_RANGE);
		return;
	}
	if (err)
		braid_disk_fail(io->disk, "metadata cannot be written");
	answer(io, err ? BRAID_STATUS_IO : BRAID_STATUS_OK);
	braid_peers_announce(res);
}

/* ---- admission ---- */

/* R2: requests of the adopted configuration's writer only. @peer_io was counted before. */
static u32 admit(struct peer_io *io, u32 *absent)
{
	struct braid_peer *peer = io->stream->peer;
	struct braid_resource *res = peer->res;
	const struct braid_config *config;
	u32 status = BRAID_STATUS_OK;

	/* Adoption sets the flag first and looks at the count then. */
	smp_mb__after_atomic();
	if (READ_ONCE(res->adopting))
		return BRAID_STATUS_BEHIND;
	rcu_read_lock();
	config = braid_config(res);
	if (!config || io->data.epoch > config->epoch)
		status = BRAID_STATUS_BEHIND;
	else if (io->data.epoch < config->epoch || io->data.id != config->id ||
		 config->writer != peer->node)
		status = BRAID_STATUS_AHEAD;
	else
		*absent = braid_absent(res, config);
	io->in_sync = config && config->in_sync >> res->node & 1;
	/* Attached again since: it lacks what was written meanwhile, and may not count. */
	if (io->in_sync && !braid_self_in_sync(res, config))
		status = BRAID_STATUS_NO_DISK;
	rcu_read_unlock();
	if (status != BRAID_STATUS_OK)
		return status;
	io->disk = braid_disk_get(io->volume);
	if (!io->disk)
		return BRAID_STATUS_NO_DISK;
	/* R4a. One that was dropped, and not in sync by this configuration, is being resynced. */
	if (io->in_sync && io->disk->sb.flags & BRAID_SB_SUSPECT &&
	    !(io->header.flags & BRAID_MF_RESYNC))
		return BRAID_STATUS_NO_DISK;
	if (io->data.bytes && io->header.type <= BRAID_MSG_CSUM &&
	    io->data.offset + io->data.bytes > io->disk->sb.data_bytes)
		return BRAID_STATUS_RANGE;
	return BRAID_STATUS_OK;
}

static void touch_ready(struct braid_touch *touch, int error)
{
	struct peer_io *io = container_of(touch, struct peer_io, touch);

	if (error)
		answer(io, BRAID_STATUS_IO);
	else
		submit(io);
}

static void begin_io(struct peer_io *io);

static void retry_work(struct work_struct *work)
{
	begin_io(container_of(work, struct peer_io, work));
}

static void touch_retry(struct braid_touch *touch)
{
	struct peer_io *io = container_of(touch, struct peer_io, touch);

	queue_work(io->volume->res->wq, &io->work);
}

static void begin_write(struct peer_io *io, u32 absent)
{
	struct braid_disk *disk = io->disk;
	enum braid_begin begun;

	io->touch.ready = touch_ready;
	io->touch.retry = touch_retry;
	INIT_WORK(&io->work, retry_work);
	atomic64_inc(&io->volume->stats.peer_writes);
	refcount_inc(&disk->refs);
	begun = braid_region_begin(io->volume, &io->touch, NULL, NULL, io->data.offset,
				   io->data.bytes, io->data.generation, disk, absent);
	if (begun == BRAID_BEGIN_READY)
		submit(io);
	else if (begun == BRAID_BEGIN_LOGGING)
		braid_log_kick(disk);
	braid_disk_put(disk);
}

/* The first write to a replica that is not in sync waits until its metadata says so (P6). */
static void inconsistent_work(struct work_struct *work)
{
	struct peer_io *io = container_of(work, struct peer_io, work);
	u32 absent = io->absent;
	int err = braid_disk_set_inconsistent(io->disk);

	if (err) {
		braid_disk_fail(io->disk, "metadata cannot be written");
		answer(io, BRAID_STATUS_IO);
		return;
	}
	begin_write(io, absent);
}

static void later(struct peer_io *io, work_func_t fn)
{
	INIT_WORK(&io->work, fn);
	queue_work(io->volume->res->wq, &io->work);
}

/* A migration's target is told to ask again where this node cannot know, or is no writer. */
static void forward_done(struct braid_request *req)
{
	struct peer_io *io = req->private;
	u32 status = BRAID_STATUS_OK;

	if (req->status)
		status = req->status != BLK_STS_AGAIN && braid_is_serving(io->volume->res) ?
			BRAID_STATUS_IO : BRAID_STATUS_BEHIND;
	req->payload = NULL;
	braid_request_free(req);
	answer(io, status);
}

/*
 * It may wait for long, and for a new configuration or connection: neither waits for it. That is
 * safe, as it changes nothing, and its answer counts for this configuration only.
 */
static void forward(struct peer_io *io)
{
	bool read = io->header.type == BRAID_MSG_READ;
	struct braid_volume *volume = io->volume;
	struct braid_request *req;

	if (read && io->data.offset + io->data.bytes > READ_ONCE(volume->size)) {
		answer(io, BRAID_STATUS_RANGE);
		return;
	}
	io->forwarded = true;
	io_put_peer(io->stream->peer);
	atomic64_inc(&volume->stats.peer_reads);
	/* It may wait here for others. */
	braid_stream_flush(io->stream);
	if (read)
		io->payload = braid_payload_alloc(io->data.bytes, GFP_NOIO);
	req = braid_request_internal(volume, io->header.type, read ? io->data.offset : 0,
				     read ? io->data.bytes : 0);
	req->payload = io->payload;
	req->done = forward_done;
	req->private = io;
	/* From here on it is as if the application had made it here. */
	req->flags &= ~BRAID_REQ_INTERNAL;
	braid_volume_get(volume);
	braid_request_enter(req);
}

static void begin_io(struct peer_io *io)
{
	u32 absent = 0, status;

	if (io->disk)
		braid_disk_put(io->disk);
	io->disk = NULL;
	if ((io->header.type == BRAID_MSG_READ || io->header.type == BRAID_MSG_FLUSH) &&
	    braid_migrate_takes(io->stream->peer, &io->data)) {
		forward(io);
		return;
	}
	status = admit(io, &absent);
	if (status != BRAID_STATUS_OK) {
		answer(io, status);
		return;
	}
	braid_generation_stable(io->volume, io->data.stable);
	switch (io->header.type) {
	case BRAID_MSG_WRITE:
	case BRAID_MSG_ZEROES:
		io->absent = absent;
		if (!io->in_sync && !(READ_ONCE(io->disk->sb.flags) & BRAID_SB_INCONSISTENT))
			later(io, inconsistent_work);
		else
			begin_write(io, absent);
		break;
	case BRAID_MSG_READ:
		atomic64_inc(&io->volume->stats.peer_reads);
		io->payload = alloc_payload(io);
		submit(io);
		break;
	case BRAID_MSG_FLUSH:
		submit(io);
		break;
	case BRAID_MSG_CSUM:
		later(io, csum_work);
		break;
	case BRAID_MSG_SETTLED:
		later(io, settled_work);
		break;
	default:
		later(io, marks_work);
	}
}

static int receive_payload(struct peer_io *io)
{
	struct bio_vec *vecs;
	u32 count, offset;

	io->payload = alloc_payload(io);
	count = braid_bio_vecs(io->payload, &vecs, &offset);
	return braid_stream_receive_vecs(io->stream, vecs, count, 0, io->data.bytes);
}

int braid_replica_request(struct braid_stream *stream, const struct braid_header *header,
			  const struct braid_data *data)
{
	struct braid_peer *peer = stream->peer;
	struct peer_io *io = mempool_alloc(&io_pool, GFP_NOWAIT | __GFP_NOWARN);
	int err = 0;

	if (!io) {
		braid_stream_flush(stream);
		io = mempool_alloc(&io_pool, GFP_NOIO);
	}
	memset(io, 0, sizeof(*io));
	INIT_LIST_HEAD(&io->out.list);
	INIT_LIST_HEAD(&io->touch.list);
	braid_stream_get(stream);
	io->stream = stream;
	io->header = *header;
	io->data = *data;
	io->started = ktime_get();
	if (!within_window(stream, io))
		err = braid_stream_error(stream, header->type, BRAID_MESSAGE_WINDOW);
	else if (header->tag >= BRAID_WINDOW)
		err = braid_stream_error(stream, header->type, BRAID_MESSAGE_FIELD);
	else if (header->type == BRAID_MSG_WRITE)
		err = receive_payload(io);
	if (!err && !braid_stream_intact(stream, header))
		err = braid_stream_error(stream, header->type, BRAID_MESSAGE_CRC);
	if (err) {
		io_done(&io->out);
		return err;
	}
	atomic_inc(&peer->io);
	atomic_inc(&peer->res->peer_io);
	io->volume = braid_volume_find(peer->res, header->volume);
	if (!io->volume)
		answer(io, BRAID_STATUS_NO_DISK);
	else
		begin_io(io);
	return 0;
}

int braid_replica_stable(struct braid_stream *stream, const struct braid_header *header,
			 const struct braid_data *data)
{
	struct braid_peer *peer = stream->peer;
	const struct braid_config *config;
	struct braid_volume *volume;
	bool fits;

	rcu_read_lock();
	config = braid_config(peer->res);
	fits = config && config->epoch == data->epoch && config->id == data->id &&
	       config->writer == peer->node && !READ_ONCE(peer->res->adopting);
	rcu_read_unlock();
	volume = fits ? braid_volume_find(peer->res, header->volume) : NULL;
	if (volume) {
		braid_generation_stable(volume, data->stable);
		braid_volume_put(volume);
	}
	return 0;
}
