// SPDX-License-Identifier: GPL-2.0
/*
 * What makes replicas equal, on the writer: ranges are locked and copied, marks collected. With
 * it, the reconciliation before serving (R5).
 */
#include "copy.h"
#include "dirty.h"
#include "disk.h"
#include "event.h"
#include "trace.h"
#include "volume.h"

#include <crypto/blake2s.h>
#include <linux/slab.h>

static void lock_wait_done(struct braid_wait *wait)
{
	complete(&container_of(wait, struct braid_range_lock, wait)->done);
}

static void lock_retry(struct braid_touch *touch)
{
	complete(&container_of(touch, struct braid_range_lock, touch)->done);
}

static void lock_ready(struct braid_touch *touch, int error)
{
	complete(&container_of(touch, struct braid_range_lock, touch)->done);
}

bool braid_ends(struct braid_resource *res)
{
	return READ_ONCE(res->failing) || READ_ONCE(res->dead) || !braid_is_writer(res);
}

int braid_lock_range(struct braid_range_lock *lock, struct braid_volume *volume, u64 offset,
		     u32 bytes, bool local)
{
	const struct braid_config *config;
	enum braid_begin begun;
	u32 absent;

	memset(lock, 0, sizeof(*lock));
	lock->volume = volume;
	init_completion(&lock->done);
	lock->touch.ready = lock_ready;
	lock->touch.retry = lock_retry;
	lock->wait.done = lock_wait_done;
	for (;;) {
		if (braid_ends(volume->res))
			return -ECANCELED;
		lock->generation = braid_generation_get(volume);
		lock->disk = local ? braid_disk_get(volume) : NULL;
		/* What is new to this replica, members that are away may lack, too. */
		rcu_read_lock();
		config = braid_config(volume->res);
		absent = config ? braid_absent(volume->res, config) : 0;
		rcu_read_unlock();
		begun = local ? braid_region_begin(volume, &lock->touch, &lock->span, &lock->wait,
						   offset, bytes, lock->generation, lock->disk,
					   absent) :
				braid_region_lock(volume, &lock->touch, &lock->span, &lock->wait,
						  offset, bytes, lock->generation);
		if (begun == BRAID_BEGIN_LOGGING) {
			braid_log_kick(lock->disk);
			wait_for_completion(&lock->done);
		}
		if (begun == BRAID_BEGIN_READY || begun == BRAID_BEGIN_LOGGING)
			return 0;
		if (lock->disk)
			braid_disk_put(lock->disk);
		braid_generation_put(volume, lock->generation);
		wait_for_completion(&lock->done);
		reinit_completion(&lock->done);
	}
}

void braid_unlock_range(struct braid_range_lock *lock)
{
	braid_region_end(lock->volume, &lock->touch, &lock->span);
	if (lock->disk)
		braid_disk_put(lock->disk);
	braid_generation_put(lock->volume, lock->generation);
}

/* ---- parts of a copy ---- */

void braid_payload_hash(struct bio *payload, u32 at, u32 bytes, u8 hash[BRAID_HASH_BYTES])
{
	struct bio_vec *vecs = payload->bi_io_vec + at / PAGE_SIZE;
	u32 offset = at % PAGE_SIZE;
	struct blake2s_state state;

	blake2s_init(&state, BRAID_HASH_BYTES);
	for (; bytes; vecs++) {
		u32 part = min(bytes, vecs->bv_len - offset);
		void *from = bvec_kmap_local(vecs);

		blake2s_update(&state, from + offset, part);
		kunmap_local(from);
		bytes -= part;
		offset = 0;
	}
	blake2s_final(&state, hash);
}

static bool payload_is_zero(struct bio *payload)
{
	struct bvec_iter_all all;
	struct bio_vec *vec;

	bio_for_each_segment_all(vec, payload, all) {
		void *from = bvec_kmap_local(vec);
		bool zero = !memchr_inv(from, 0, vec->bv_len);

		kunmap_local(from);
		if (!zero)
			return false;
	}
	return true;
}

int braid_execute(struct braid_volume *volume, u8 type, u64 offset, u32 bytes, u32 targets,
		  u64 generation, struct bio *payload)
{
	struct braid_request *req = braid_request_internal(volume, type, offset, bytes);
	int err;

	req->flags |= BRAID_REQ_RESYNC | BRAID_REQ_LOCAL_ONLY;
	if (type == BRAID_MSG_ZEROES)
		req->flags |= BRAID_REQ_UNMAP;
	req->targets = targets;
	req->generation = generation;
	req->payload = payload;
	err = braid_request_execute(req);
	req->payload = NULL;
	braid_request_free(req);
	return err;
}

/* A node that may be read from and is not in @except: this one if it can, otherwise a peer. */
int braid_find_source(struct braid_volume *volume, u32 except)
{
	struct braid_resource *res = volume->res;
	const struct braid_config *config;
	struct braid_disk *disk;
	int source = -ENODATA;
	u32 node;

	rcu_read_lock();
	config = braid_config(res);
	for (node = 0; config && node < BRAID_MAX_NODES; node++) {
		struct braid_peer *peer = rcu_dereference(res->peers[node]);

		if ((config->in_sync & ~except) >> node & 1 && peer &&
		    READ_ONCE(peer->ready))
			source = node;
	}
	if (config && !(except >> res->node & 1) && braid_self_in_sync(res, config)) {
		disk = braid_disk_get(volume);
		if (disk) {
			source = res->node;
			braid_disk_put(disk);
		}
	}
	rcu_read_unlock();
	return source;
}

/* A node's hashes of a range into @hashes. */
int braid_fetch_hashes(struct braid_volume *volume, u32 node, u64 offset, u32 bytes, u8 *hashes)
{
	u32 want = DIV_ROUND_UP(bytes, BRAID_CSUM_BYTES) * BRAID_HASH_BYTES;
	struct braid_request *req;
	int err;

	req = braid_request_internal(volume, BRAID_MSG_CSUM, offset, bytes);
	req->flags |= BRAID_REQ_RESYNC;
	req->targets = BIT(node);
	req->answer = hashes;
	req->answer_size = want;
	err = braid_request_execute(req);
	if (!err && req->answer_length != want)
		err = -EPROTO;
	braid_request_free(req);
	return err;
}

static bool equal(struct bio *payload, u32 bytes, const u8 *hashes)
{
	u8 hash[BRAID_HASH_BYTES];
	u32 at;

	for (at = 0; at < bytes; at += BRAID_CSUM_BYTES, hashes += BRAID_HASH_BYTES) {
		braid_payload_hash(payload, at, min(BRAID_CSUM_BYTES, bytes - at), hash);
		if (memcmp(hash, hashes, sizeof(hash)))
			return false;
	}
	return true;
}

/*
 * Makes a range of @targets equal to @source's, under a lock of the caller. @same: they may be
 * equal; counts the bytes that were.
 */
int braid_copy_locked(struct braid_volume *volume, u32 source, u32 targets, u64 offset,
		      u32 bytes, u64 generation, atomic64_t *same)
{
	u8 hashes[DIV_ROUND_UP(BRAID_COPY_BYTES, BRAID_CSUM_BYTES) * BRAID_HASH_BYTES];
	u32 self = volume->res->node, node;
	struct bio *payload;
	bool zero;
	int err;

	payload = braid_payload_alloc(bytes, GFP_NOIO);
	/* Of this node's own replica only the source's hashes travel where both are equal. */
	if (same && targets == BIT(self) &&
	    !braid_execute(volume, BRAID_MSG_READ, offset, bytes, targets, 0, payload) &&
	    !braid_fetch_hashes(volume, source, offset, bytes, hashes) &&
	    equal(payload, bytes, hashes)) {
		atomic64_add(bytes, same);
		braid_payload_free(payload);
		return 0;
	}
	err = braid_execute(volume, BRAID_MSG_READ, offset, bytes, BIT(source), 0, payload);
	zero = !err && payload_is_zero(payload);
	for (node = 0; node < BRAID_MAX_NODES && !err; node++) {
		if (!(targets >> node & 1))
			continue;
		if (same && node != self) {
			err = braid_fetch_hashes(volume, node, offset, bytes, hashes);
			if (err)
				break;
			if (equal(payload, bytes, hashes)) {
				atomic64_add(bytes, same);
				continue;
			}
		}
		err = braid_execute(volume, zero ? BRAID_MSG_ZEROES : BRAID_MSG_WRITE, offset,
				    bytes, BIT(node), generation, zero ? NULL : payload);
	}
	trace_braid_copied(volume, source, targets, offset, bytes, err);
	braid_payload_free(payload);
	return err;
}

/* ---- marks ---- */

static int merge_marks(struct braid_dirty *map, const u8 *entries, u32 bytes)
{
	struct braid_bits bits;
	u32 region, state;
	const u8 *from;

	if (bytes % BRAID_MARK_BYTES)
		return -EPROTO;
	for (; bytes; entries += BRAID_MARK_BYTES, bytes -= BRAID_MARK_BYTES) {
		if (!braid_mark_decode(entries, &region, &state, &from))
			return -EPROTO;
		if (state == BRAID_REGION_ALL) {
			braid_dirty_mark_all(map, region);
		} else {
			memcpy(bits.bytes, from, sizeof(bits.bytes));
			braid_dirty_mark_bits(map, region, &bits);
		}
	}
	return 0;
}

int braid_fetch_marks(struct braid_volume *volume, u32 node, u8 type, u32 about, u64 instance,
		      struct braid_dirty *map)
{
	u8 *entries = kvmalloc(BRAID_MARKS_MAX * BRAID_MARK_BYTES, GFP_KERNEL);
	bool more = true;
	u64 from = 0;
	int err = 0;

	if (!entries)
		return -ENOMEM;
	while (more && !err) {
		struct braid_request *req = braid_request_internal(volume, type, from, about);

		req->flags |= BRAID_REQ_RESYNC;
		req->targets = BIT(node);
		req->instance = instance;
		req->answer = entries;
		req->answer_size = BRAID_MARKS_MAX * BRAID_MARK_BYTES;
		err = braid_request_execute(req);
		if (!err)
			err = merge_marks(map, entries, req->answer_length);
		more = req->answer_more;
		if (!err && more && req->answer_next <= from)
			err = -EPROTO;
		from = req->answer_next;
		braid_request_free(req);
	}
	kvfree(entries);
	return err;
}

/* Marks of this node's own replica. */
int braid_own_marks(struct braid_volume *volume, struct braid_dirty *map)
{
	struct braid_disk *disk = braid_disk_get(volume);
	struct braid_bits bits;
	struct braid_dirty *own;
	u32 region, from;
	int err = 0;

	if (!disk)
		return 0;
	mutex_lock(&disk->meta_lock);
	own = rcu_dereference_protected(disk->dirty[volume->res->node],
					lockdep_is_held(&disk->meta_lock));
	if (own)
		err = braid_dirty_merge(map, own);
	mutex_unlock(&disk->meta_lock);
	for (from = 0;; from = region + 1) {
		memset(&bits, 0, sizeof(bits));
		if (!braid_regions_next_unstable(volume, from, &region, &bits))
			break;
		braid_dirty_mark_bits(map, region, &bits);
	}
	braid_disk_put(disk);
	return err;
}

int braid_next_range(struct braid_dirty *map, u64 size, u64 *at, struct braid_range *range)
{
	u32 from = (u32)(*at >> BRAID_REGION_SHIFT);
	u32 block = (*at & (BRAID_REGION_SIZE - 1)) >> BRAID_BLOCK_SHIFT;
	u32 first, count, state;
	struct braid_bits bits;
	int found;

	for (;; from++, block = 0) {
		u64 end;

		found = braid_dirty_next(map, from, &range->region, &state, &bits);
		if (found <= 0)
			return found;
		if (range->region != from)
			block = 0;
		from = range->region;
		if (!braid_bits_next(&bits, block, &first, &count))
			continue;
		range->offset = first << BRAID_BLOCK_SHIFT;
		range->bytes = min(count << BRAID_BLOCK_SHIFT, BRAID_COPY_BYTES);
		*at = ((u64)from << BRAID_REGION_SHIFT) + range->offset;
		if (*at >= size)
			return 0;
		end = min(*at + range->bytes, size);
		range->bytes = end - *at;
		*at = end;
		return 1;
	}
}

/* ---- reconciliation ---- */

int braid_settle(struct braid_volume *volume, u32 node, u64 size)
{
	struct braid_disk *disk;
	int err;

	if (node != volume->res->node)
		return braid_execute(volume, BRAID_MSG_SETTLED, size, 0, BIT(node), 0, NULL);
	disk = braid_disk_get(volume);
	if (!disk)
		return -ENODEV;
	err = braid_disk_settle(disk, size);
	braid_disk_put(disk);
	return err;
}

static int reconcile_range(struct braid_volume *volume, u32 reference, u32 others,
			   const struct braid_range *range)
{
	u64 offset = ((u64)range->region << BRAID_REGION_SHIFT) + range->offset;
	struct braid_range_lock lock;
	atomic64_t same;
	int err;

	atomic64_set(&same, 0);
	err = braid_lock_range(&lock, volume, offset, range->bytes,
			       others >> volume->res->node & 1);
	if (err)
		return err;
	err = braid_copy_locked(volume, reference, others, offset, range->bytes, lock.generation,
				&same);
	braid_unlock_range(&lock);
	return err;
}

static int reconcile_volume(struct braid_volume *volume, u32 reference, u32 in_sync)
{
	u32 others = in_sync & ~BIT(reference), node;
	struct braid_request *flush;
	struct braid_dirty *map;
	struct braid_range range;
	u64 at = 0;
	int err;

	err = braid_volume_decide_size(volume, in_sync);
	if (err)
		return err;
	if (others) {
		map = braid_dirty_alone(volume->size);
		if (!map)
			return -ENOMEM;
		for (node = 0; node < BRAID_MAX_NODES && !err; node++) {
			if (!(in_sync >> node & 1))
				continue;
			err = node == volume->res->node ? braid_own_marks(volume, map) :
				braid_fetch_marks(volume, node, BRAID_MSG_MARKS, 0, 0, map);
		}
		while (!err && (err = braid_next_range(map, volume->size, &at, &range)) > 0)
			err = reconcile_range(volume, reference, others, &range);
		braid_dirty_free(map);
		if (err)
			return err;
	}
	flush = braid_request_internal(volume, BRAID_MSG_FLUSH, 0, 0);
	flush->flags |= BRAID_REQ_RESYNC;
	flush->targets = in_sync;
	err = braid_request_execute(flush);
	braid_request_free(flush);
	for (node = 0; node < BRAID_MAX_NODES && !err; node++)
		if (in_sync >> node & 1)
			err = braid_settle(volume, node, volume->size);
	if (!err)
		braid_generation_settled(volume);
	return err;
}

int braid_reconcile(struct braid_resource *res, u32 reference)
{
	const struct braid_config *config;
	struct braid_volume *volume;
	unsigned long number;
	u32 in_sync;
	int err = 0;

	rcu_read_lock();
	config = braid_config(res);
	in_sync = config ? config->in_sync : 0;
	rcu_read_unlock();
	for (number = 0; !err && (volume = braid_volume_next(res, &number)); number++) {
		err = reconcile_volume(volume, reference, in_sync);
		braid_volume_put(volume);
	}
	return err;
}

/* ---- read repair ---- */

/* Repairs of a volume at once; what is beyond is repaired when it is read again. */
#define REPAIRS_MAX	16
/* More read errors of a disk than this fail it; the count is halved every hour, as md does. */
#define READ_ERRORS_MAX	20

struct repair {
	struct work_struct work;
	struct braid_volume *volume;
	u64 offset;
	u32 bytes;
};

static bool too_many_errors(struct braid_disk *disk)
{
	struct braid_resource *res = disk->volume->res;
	ktime_t now = ktime_get_boottime();
	bool many;

	mutex_lock(&res->lock);
	for (; disk->read_errors && ktime_ms_delta(now, disk->read_errors_since) >= 3600 * 1000;
	     disk->read_errors /= 2)
		disk->read_errors_since = ktime_add_ms(disk->read_errors_since, 3600 * 1000);
	if (!disk->read_errors)
		disk->read_errors_since = now;
	many = ++disk->read_errors > READ_ERRORS_MAX;
	mutex_unlock(&res->lock);
	return many;
}

static void tell_repair(const struct repair *repair, u32 node, const char *cause, int err)
{
	struct braid_volume *volume = repair->volume;

	braid_warn(volume->res, "volume %u: %u bytes at %llu could not be read: %s\n",
		   volume->number, repair->bytes, repair->offset, cause);
	braid_event_simple(volume->res, BRAID_EVENT_KIND_REPAIR, .volume = &volume->number,
			   .node = &node, .offset = repair->offset, .length = repair->bytes,
			   .error = err, .cause = cause);
}

/*
 * With what a peer in sync holds now; the range is locked, so that no write comes in between (S1).
 * What can be read by now was rewritten meanwhile, and counts as no error.
 */
static void repair_locked(const struct repair *repair, struct braid_range_lock *lock)
{
	struct braid_volume *volume = repair->volume;
	u64 offset = repair->offset;
	u32 self = BIT(volume->res->node), bytes = repair->bytes;
	int node = braid_find_source(volume, self), err;
	struct bio *payload;

	if (node < 0 || !lock->disk || braid_find_source(volume, 0) != (int)volume->res->node)
		return;
	payload = braid_payload_alloc(bytes, GFP_NOIO);
	if (!braid_execute(volume, BRAID_MSG_READ, offset, bytes, self, 0, payload))
		goto out;
	if (too_many_errors(lock->disk)) {
		braid_disk_fail(lock->disk, "too many read errors");
		tell_repair(repair, node, "too many of them, the disk is given up", -EIO);
		goto out;
	}
	err = braid_execute(volume, BRAID_MSG_READ, offset, bytes, BIT(node), 0, payload) ?:
	      braid_execute(volume, BRAID_MSG_WRITE, offset, bytes, self, lock->generation,
			    payload);
	if (!err)
		atomic64_inc(&volume->stats.repaired);
	tell_repair(repair, node, err ? "not repaired" : "repaired", err);
out:
	braid_payload_free(payload);
}

static void repair_work(struct work_struct *work)
{
	struct repair *repair = container_of(work, struct repair, work);
	struct braid_volume *volume = repair->volume;
	struct braid_range_lock lock;

	if (!braid_lock_range(&lock, volume, repair->offset, repair->bytes, true)) {
		repair_locked(repair, &lock);
		braid_unlock_range(&lock);
	}
	atomic_dec(&volume->repairs);
	braid_volume_put(volume);
	kfree(repair);
}

void braid_repair(struct braid_volume *volume, u64 offset, u32 bytes)
{
	struct repair *repair = NULL;

	if (atomic_inc_return(&volume->repairs) <= REPAIRS_MAX)
		repair = kmalloc(sizeof(*repair), GFP_NOWAIT | __GFP_NOWARN);
	if (!repair) {
		atomic_dec(&volume->repairs);
		return;
	}
	braid_volume_get(volume);
	repair->volume = volume;
	repair->offset = offset;
	repair->bytes = bytes;
	INIT_WORK(&repair->work, repair_work);
	queue_work(volume->res->wq, &repair->work);
}
