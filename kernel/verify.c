// SPDX-License-Identifier: GPL-2.0
/*
 * Online verify, on the writer, of the replicas of a peer that is in sync: each range is locked
 * like a write (S1), so that no write under way looks like a difference. What differs is listed,
 * and marked in the disk's map of the peer: once the peer has left in_sync, a resync repairs it.
 */
#include "verify.h"
#include "dirty.h"
#include "disk.h"
#include "event.h"
#include "peer.h"
#include "sync.h"
#include "volume.h"

#include <linux/slab.h>

/* ---- what is found ---- */

/* Joins it with its neighbours; where the list is full it is only counted. */
static void list_range(struct braid_verify *verify, const struct braid_difference *found)
{
	struct braid_difference *at = verify->ranges;
	u32 i = 0, rest;

	lockdep_assert_held(&verify->lock);
	while (i < verify->count && (at[i].volume < found->volume ||
				     (at[i].volume == found->volume && at[i].end < found->start)))
		i++;
	if (i < verify->count && at[i].volume == found->volume && at[i].start <= found->end) {
		at[i].start = min(at[i].start, found->start);
		at[i].end = max(at[i].end, found->end);
		rest = verify->count - i - 1;
		if (rest && at[i + 1].volume == at[i].volume && at[i + 1].start <= at[i].end) {
			at[i].end = max(at[i].end, at[i + 1].end);
			memmove(&at[i + 1], &at[i + 2], (rest - 1) * sizeof(*at));
			verify->count--;
		}
		return;
	}
	if (verify->count == BRAID_DIFFERENCES_MAX)
		return;
	memmove(&at[i + 1], &at[i], (verify->count - i) * sizeof(*at));
	at[i] = *found;
	verify->count++;
}

/*
 * In the map that this node's disk keeps of the peer, as if the peer had missed a write. There is
 * none of a peer in sync unless a verify made it; should the peer be dropped, it goes on from here.
 */
static void mark(struct braid_sync *sync, struct braid_volume *volume, u64 offset, u32 bytes)
{
	struct braid_disk *disk = braid_disk_of_writer(volume);
	const struct braid_config *config;
	struct braid_stamp base = {};

	if (!disk)
		return;
	rcu_read_lock();
	config = braid_config(volume->res);
	if (config && config->in_sync >> sync->node & 1) {
		base.epoch = config->epoch;
		base.id = config->id;
		base.instance = config->instance[sync->node];
	}
	rcu_read_unlock();
	mutex_lock(&disk->meta_lock);
	if (base.epoch && braid_dirty_make(disk, sync->node, &base)) {
		braid_dirty_mark(disk, BIT(sync->node), (u32)(offset >> BRAID_REGION_SHIFT),
				 offset & (BRAID_REGION_SIZE - 1), bytes);
		WRITE_ONCE(sync->verify->marked, true);
	}
	mutex_unlock(&disk->meta_lock);
	braid_disk_put(disk);
}

static void found_difference(struct braid_sync *sync, struct braid_volume *volume, u64 offset,
			     u32 bytes)
{
	const struct braid_difference found = {
		.volume = volume->number, .start = offset, .end = offset + bytes,
	};
	struct braid_verify *verify = sync->verify;
	bool first;

	mutex_lock(&verify->lock);
	first = !verify->differing;
	verify->differing += bytes;
	list_range(verify, &found);
	mutex_unlock(&verify->lock);
	mark(sync, volume, offset, bytes);
	if (!first)
		return;
	braid_warn(sync->res, "node %u: volume %u differs at %llu\n", sync->node, volume->number,
		   offset);
	braid_event_simple(sync->res, BRAID_EVENT_KIND_VERIFY, .volume = &volume->number,
			   .node = &sync->node, .offset = offset, .length = bytes,
			   .cause = "the first difference");
}

/* ---- comparing ---- */

static bool block_differs(struct bio *ours, u32 at, struct bio *theirs, u32 their_at)
{
	u8 *a = bvec_kmap_local(&ours->bi_io_vec[at / PAGE_SIZE]);
	u8 *b = bvec_kmap_local(&theirs->bi_io_vec[their_at / PAGE_SIZE]);
	bool wrong = memcmp(a + at % PAGE_SIZE, b + their_at % PAGE_SIZE, BRAID_BLOCK_SIZE);

	kunmap_local(b);
	kunmap_local(a);
	return wrong;
}

/* A part whose hashes differ: which of its blocks do? @ours begins at @offset - @at. */
static int compare_blocks(struct braid_sync *sync, struct braid_volume *volume, u64 offset,
			  struct bio *ours, u32 at, u32 bytes)
{
	struct bio *theirs = braid_payload_alloc(bytes, GFP_NOIO);
	u32 block, first = bytes;
	int err;

	err = braid_execute(volume, BRAID_MSG_READ, offset, bytes, BIT(sync->node), 0, theirs);
	for (block = 0; !err && block < bytes; block += BRAID_BLOCK_SIZE) {
		bool wrong = block_differs(ours, at + block, theirs, block);

		if (wrong && first == bytes)
			first = block;
		if (!wrong && first < bytes) {
			found_difference(sync, volume, offset + first, block - first);
			first = bytes;
		}
	}
	if (!err && first < bytes)
		found_difference(sync, volume, offset + first, bytes - first);
	braid_payload_free(theirs);
	return err;
}

/* From the next source where one cannot read it. */
static int read_any(struct braid_sync *sync, struct braid_volume *volume, u64 offset, u32 bytes,
		    struct bio *payload)
{
	u32 tried = BIT(sync->node);
	int source, err = 0;

	while ((source = braid_find_source(volume, tried)) >= 0) {
		err = braid_execute(volume, BRAID_MSG_READ, offset, bytes, BIT(source), 0,
				    payload);
		if (!err)
			return 0;
		tried |= BIT(source);
	}
	return err ?: source;
}

int braid_verify_locked(struct braid_sync *sync, struct braid_volume *volume, u64 offset,
			u32 bytes)
{
	u8 hashes[DIV_ROUND_UP(BRAID_COPY_BYTES, BRAID_CSUM_BYTES) * BRAID_HASH_BYTES];
	struct bio *payload = braid_payload_alloc(bytes, GFP_NOIO);
	u8 hash[BRAID_HASH_BYTES], *theirs = hashes;
	u32 at, part;
	int err;

	err = read_any(sync, volume, offset, bytes, payload) ?:
	      braid_fetch_hashes(volume, sync->node, offset, bytes, hashes);
	for (at = 0; !err && at < bytes; at += part, theirs += BRAID_HASH_BYTES) {
		part = min(BRAID_CSUM_BYTES, bytes - at);
		braid_payload_hash(payload, at, part, hash);
		if (memcmp(hash, theirs, sizeof(hash)))
			err = compare_blocks(sync, volume, offset + at, payload, at, part);
		else
			atomic64_add(part, &sync->same);
	}
	braid_payload_free(payload);
	return err;
}

/* ---- the course of it ---- */

static struct braid_dirty *wanted(struct braid_verify *verify, u64 size)
{
	u64 at = round_down(verify->start, BRAID_BLOCK_SIZE), stop = min(verify->stop, size), end;
	struct braid_dirty *map = braid_dirty_alone(size);

	for (; map && at < stop; at = end) {
		struct braid_bits bits = {};

		end = min(round_down(at, BRAID_REGION_SIZE) + BRAID_REGION_SIZE, stop);
		braid_bits_set(&bits, at & (BRAID_REGION_SIZE - 1), end - at);
		if (end - at == BRAID_REGION_SIZE)
			braid_dirty_mark_all(map, (u32)(at >> BRAID_REGION_SHIFT));
		else
			braid_dirty_mark_bits(map, (u32)(at >> BRAID_REGION_SHIFT), &bits);
	}
	return map;
}

/* The marks are durable when it ends, so that they outlive this node's crash. */
static int persist(struct braid_verify *verify, struct braid_volume *volume)
{
	struct braid_disk *disk = verify->marked ? braid_disk_of_writer(volume) : NULL;
	int err;

	verify->marked = false;
	if (!disk)
		return 0;
	err = braid_dirty_persist_all(disk);
	mutex_lock(&disk->meta_lock);
	err = err ?: braid_meta_write_super(disk);
	mutex_unlock(&disk->meta_lock);
	if (err)
		braid_disk_fail(disk, "metadata cannot be written");
	braid_disk_put(disk);
	return err;
}

int braid_verify_volume(struct braid_sync *sync, struct braid_volume *volume)
{
	struct braid_dirty *map = wanted(sync->verify, volume->size);
	int err = map ? 0 : -ENOMEM, more;

	if (!err) {
		sync->total += map->dirty_bytes;
		err = braid_sync_map(sync, volume, map);
	}
	more = persist(sync->verify, volume);
	braid_dirty_free(map);
	return err ?: more;
}

const char *braid_verify_outcome(struct braid_sync *sync, int err, char *text, size_t size)
{
	u64 bytes = READ_ONCE(sync->verify->differing);

	snprintf(text, size, "%s, %llu bytes differ", err ? sync->stop ? "stopped" : "it failed" :
		 "verified", bytes);
	return text;
}

int braid_verify_start(struct braid_resource *res, u32 node, u64 start, u64 stop, u64 max_rate)
{
	const struct braid_config *config;
	struct braid_verify *verify;
	struct braid_peer *peer;
	struct braid_sync *sync;
	int err = 0;

	lockdep_assert_held(&res->lock);
	rcu_read_lock();
	config = braid_config(res);
	peer = rcu_dereference(res->peers[node]);
	if (!braid_is_serving(res))
		err = -EPERM;
	else if (node == res->node || !(config->in_sync >> node & 1) ||
		 !(config->in_sync & ~BIT(node)))
		err = -ENODATA;
	else if (!peer || !READ_ONCE(peer->ready))
		err = -ENOTCONN;
	rcu_read_unlock();
	if (err)
		return err;
	verify = kvzalloc(sizeof(*verify), GFP_KERNEL);
	if (!verify)
		return -ENOMEM;
	mutex_init(&verify->lock);
	verify->start = start;
	verify->stop = stop;
	sync = braid_sync_prepare(res, node, BRAID_SYNC_VERIFY, max_rate);
	if (IS_ERR(sync)) {
		kvfree(verify);
		return PTR_ERR(sync);
	}
	kvfree(sync->verify);
	sync->verify = verify;
	braid_sync_launch(sync, BRAID_SYNC_STATE_VERIFYING);
	return 0;
}

int braid_verify_merge(struct braid_sync *sync, struct braid_volume *volume,
		       struct braid_dirty *map)
{
	struct braid_verify *verify = sync->verify;
	u64 listed = 0;
	u32 i;

	for (i = 0; verify && i < verify->count; i++) {
		const struct braid_difference *it = &verify->ranges[i];
		u64 at, end;

		listed += it->end - it->start;
		for (at = it->start; it->volume == volume->number && at < it->end; at = end) {
			struct braid_bits bits = {};

			end = min(round_down(at, BRAID_REGION_SIZE) + BRAID_REGION_SIZE, it->end);
			braid_bits_set(&bits, at & (BRAID_REGION_SIZE - 1), end - at);
			braid_dirty_mark_bits(map, (u32)(at >> BRAID_REGION_SHIFT), &bits);
		}
	}
	return verify && listed < verify->differing ? -ERANGE : 0;
}

void braid_verify_forget(struct braid_sync *sync)
{
	lockdep_assert_held(&sync->res->lock);
	kvfree(sync->verify);
	sync->verify = NULL;
}
