// SPDX-License-Identifier: GPL-2.0
#include "region.h"
#include "dirty.h"
#include "disk.h"
#include "request.h"
#include "volume.h"

#include <linux/interval_tree_generic.h>
#include <linux/slab.h>

#define SPAN_START(span)	((span)->start)
#define SPAN_LAST(span)		((span)->last)
INTERVAL_TREE_DEFINE(struct braid_span, node, u64, subtree_last, SPAN_START, SPAN_LAST,
		     static __maybe_unused, span_tree)

/* How many of the least recently used regions are looked at for one to evict. */
#define EVICT_SCAN	8

struct braid_regions *braid_regions_new(struct braid_volume *volume, u32 capacity)
{
	struct braid_regions *regions = kzalloc(sizeof(*regions), GFP_KERNEL);
	u32 i, k;

	if (!regions)
		return NULL;
	regions->volume = volume;
	regions->per_shard = capacity / BRAID_SHARDS;
	regions->all = kvcalloc(regions->per_shard * BRAID_SHARDS, sizeof(*regions->all),
				GFP_KERNEL);
	if (!regions->all) {
		kfree(regions);
		return NULL;
	}
	for (i = 0; i < BRAID_SHARDS; i++) {
		struct braid_shard *shard = &regions->shards[i];

		spin_lock_init(&shard->lock);
		INIT_LIST_HEAD(&shard->lru);
		INIT_LIST_HEAD(&shard->free);
		INIT_LIST_HEAD(&shard->full);
		for (k = 0; k < regions->per_shard; k++) {
			struct braid_region *region = &regions->all[i * regions->per_shard + k];

			region->slot = -1;
			region->writes = RB_ROOT_CACHED;
			INIT_LIST_HEAD(&region->touches);
			INIT_LIST_HEAD(&region->log_list);
			list_add_tail(&region->lru, &shard->free);
		}
	}
	return regions;
}

void braid_regions_free(struct braid_regions *regions)
{
	if (!regions)
		return;
	kvfree(regions->all);
	kfree(regions);
}

static struct braid_shard *shard_of(struct braid_volume *volume, u32 number)
{
	return &volume->regions->shards[number % BRAID_SHARDS];
}

static struct hlist_head *bucket(struct braid_shard *shard, u32 number)
{
	return &shard->hash[number / BRAID_SHARDS % BRAID_SHARD_HASH];
}

static struct braid_region *find(struct braid_shard *shard, u32 number)
{
	struct braid_region *region;

	lockdep_assert_held(&shard->lock);
	hlist_for_each_entry(region, bucket(shard, number), hash)
		if (region->number == number)
			return region;
	return NULL;
}

static bool evictable(const struct braid_region *region, u64 stable)
{
	return !region->refs && !region->undurable &&
	       (region->logged == BRAID_LOG_DURABLE || region->logged == BRAID_LOG_UNNEEDED) &&
	       !braid_marks_unstable(&region->marks, stable);
}

/* An evicted region's slot in the log is free, whoever evicts it. */
static void release_slot(struct braid_volume *volume, struct braid_disk *disk,
			 struct braid_region *region)
{
	struct braid_disk *own = disk ?: braid_disk_get(volume);

	if (!own)
		return;
	braid_log_release(own, region);
	if (!disk)
		braid_disk_put(own);
}

/* A region to use for @number: a free one, or one that is needed no more. */
static struct braid_region *take(struct braid_volume *volume, struct braid_shard *shard,
				 struct braid_disk *disk, u32 number)
{
	u64 stable = READ_ONCE(volume->stable);
	struct braid_region *region;
	u32 scan = EVICT_SCAN;

	lockdep_assert_held(&shard->lock);
	region = list_first_entry_or_null(&shard->free, struct braid_region, lru);
	if (region)
		goto found;
	list_for_each_entry(region, &shard->lru, lru) {
		if (evictable(region, stable)) {
			hlist_del(&region->hash);
			shard->active--;
			release_slot(volume, disk, region);
			goto found;
		}
		if (!--scan)
			break;
	}
	return NULL;

found:
	region->number = number;
	region->logged = BRAID_LOG_UNNEEDED;
	memset(&region->marks, 0, sizeof(region->marks));
	hlist_add_head(&region->hash, bucket(shard, number));
	list_move_tail(&region->lru, &shard->lru);
	shard->active++;
	shard->fresh++;
	return region;
}

/*
 * A peer that uses a third generation while two are unstable is wrong; the block is kept
 * unstable until the later of them is stable.
 */
static void note(struct braid_region *region, u32 offset, u32 bytes, u64 generation, u64 stable)
{
	struct braid_marks *marks = &region->marks;
	u32 later;

	if (generation <= stable)
		generation = stable + 1;
	if (braid_marks_note(marks, offset, bytes, generation, stable))
		return;
	later = marks->generation[1] > marks->generation[0];
	marks->generation[later] = max(marks->generation[later], generation);
	braid_bits_set(&marks->bits[later], offset, bytes);
}

/* What a write begins with: the parameters of braid_region_begin(). */
struct begin {
	struct braid_touch *touch;
	struct braid_span *span;
	struct braid_wait *wait;
	u64 offset;
	u32 bytes;
	u64 generation;
	struct braid_disk *disk;
	u32 absent;
	bool lock;
};

static void enter(struct braid_volume *volume, struct braid_region *region, const struct begin *it)
{
	u32 within = it->offset & (BRAID_REGION_SIZE - 1);
	u64 stable = READ_ONCE(volume->stable);

	it->touch->region = region;
	region->refs++;
	if (it->lock)
		braid_marks_hold(&region->marks, it->generation, stable);
	else
		note(region, within, it->bytes, it->generation, stable);
	if (it->disk && it->absent &&
	    braid_dirty_mark(it->disk, it->absent, region->number, within, it->bytes))
		region->undurable = BRAID_BITS_CHANGED;
	if (it->span) {
		it->span->start = it->offset;
		it->span->last = it->offset + it->bytes - 1;
		INIT_LIST_HEAD(&it->span->waiters);
		span_tree_insert(it->span, &region->writes);
	}
}

static enum braid_begin begin(struct braid_volume *volume, const struct begin *it)
{
	u32 number = (u32)(it->offset >> BRAID_REGION_SHIFT);
	struct braid_shard *shard = shard_of(volume, number);
	enum braid_begin result = BRAID_BEGIN_READY;
	struct braid_region *region;
	struct braid_span *other;
	bool close = false;
	unsigned long irq;

	spin_lock_irqsave(&shard->lock, irq);
	region = find(shard, number);
	if (it->span && region) {
		other = span_tree_iter_first(&region->writes, it->offset,
					     it->offset + it->bytes - 1);
		if (other) {
			list_add_tail(&it->wait->list, &other->waiters);
			result = BRAID_BEGIN_CONFLICT;
			goto out;
		}
	}
	if (!region)
		region = take(volume, shard, it->disk, number);
	if (!region) {
		list_add_tail(&it->touch->list, &shard->full);
		result = BRAID_BEGIN_FULL;
		close = true;
		goto out;
	}

	list_move_tail(&region->lru, &shard->lru);
	enter(volume, region, it);
	if (it->disk && region->logged != BRAID_LOG_DURABLE) {
		list_add_tail(&it->touch->list, &region->touches);
		result = BRAID_BEGIN_LOGGING;
		if (region->logged == BRAID_LOG_UNNEEDED) {
			region->logged = BRAID_LOG_WANTED;
			braid_log_want(it->disk, region);
		}
	}
	close = shard->fresh > volume->regions->per_shard / 3;
out:
	spin_unlock_irqrestore(&shard->lock, irq);
	if (close)
		braid_generation_close(volume);
	return result;
}

enum braid_begin braid_region_begin(struct braid_volume *volume, struct braid_touch *touch,
				    struct braid_span *span, struct braid_wait *wait, u64 offset,
				    u32 bytes, u64 generation, struct braid_disk *disk, u32 absent)
{
	const struct begin it = {
		.touch = touch, .span = span, .wait = wait, .offset = offset, .bytes = bytes,
		.generation = generation, .disk = disk, .absent = absent,
	};

	return begin(volume, &it);
}

enum braid_begin braid_region_lock(struct braid_volume *volume, struct braid_touch *touch,
				   struct braid_span *span, struct braid_wait *wait, u64 offset,
				   u32 bytes, u64 generation)
{
	const struct begin it = {
		.touch = touch, .span = span, .wait = wait, .offset = offset, .bytes = bytes,
		.generation = generation, .lock = true,
	};

	return begin(volume, &it);
}

void braid_region_end(struct braid_volume *volume, struct braid_touch *touch,
		      struct braid_span *span)
{
	struct braid_region *region = touch->region;
	struct braid_shard *shard = shard_of(volume, region->number);
	struct braid_wait *wait, *next;
	LIST_HEAD(waiters);
	unsigned long irq;

	spin_lock_irqsave(&shard->lock, irq);
	if (span) {
		span_tree_remove(span, &region->writes);
		list_splice_init(&span->waiters, &waiters);
	}
	touch->region = NULL;
	region->refs--;
	spin_unlock_irqrestore(&shard->lock, irq);

	list_for_each_entry_safe(wait, next, &waiters, list) {
		list_del_init(&wait->list);
		wait->done(wait);
	}
}

bool braid_region_overlaps(struct braid_volume *volume, u64 offset, u32 bytes,
			   struct braid_wait *wait)
{
	u32 number = (u32)(offset >> BRAID_REGION_SHIFT);
	struct braid_shard *shard = shard_of(volume, number);
	struct braid_span *other = NULL;
	struct braid_region *region;
	unsigned long irq;

	spin_lock_irqsave(&shard->lock, irq);
	region = find(shard, number);
	if (region && region->refs)
		other = span_tree_iter_first(&region->writes, offset, offset + bytes - 1);
	if (other)
		list_add_tail(&wait->list, &other->waiters);
	spin_unlock_irqrestore(&shard->lock, irq);
	return other;
}

/* Takes all touches that wait for a region. */
static void take_full(struct braid_volume *volume, struct list_head *list)
{
	u32 i;

	for (i = 0; i < BRAID_SHARDS; i++) {
		struct braid_shard *shard = &volume->regions->shards[i];

		spin_lock_irq(&shard->lock);
		list_splice_tail_init(&shard->full, list);
		shard->fresh = 0;
		spin_unlock_irq(&shard->lock);
	}
}

void braid_regions_stable(struct braid_volume *volume)
{
	struct braid_touch *touch, *next;
	LIST_HEAD(full);

	take_full(volume, &full);
	list_for_each_entry_safe(touch, next, &full, list) {
		list_del_init(&touch->list);
		touch->retry(touch);
	}
}

bool braid_regions_pressed(struct braid_volume *volume)
{
	u32 i;

	for (i = 0; i < BRAID_SHARDS; i++) {
		struct braid_shard *shard = &volume->regions->shards[i];

		if (READ_ONCE(shard->fresh) > volume->regions->per_shard / 3 ||
		    !list_empty(&shard->full))
			return true;
	}
	return false;
}

void braid_region_logged(struct braid_volume *volume, struct braid_region *region, int error)
{
	struct braid_shard *shard = shard_of(volume, region->number);
	struct braid_touch *touch, *next;
	LIST_HEAD(touches);

	spin_lock_irq(&shard->lock);
	region->logged = error ? BRAID_LOG_UNNEEDED : BRAID_LOG_DURABLE;
	list_splice_init(&region->touches, &touches);
	spin_unlock_irq(&shard->lock);
	list_for_each_entry_safe(touch, next, &touches, list) {
		list_del_init(&touch->list);
		touch->ready(touch, error);
	}
}

/* Calls @fn for each active region, under its shard's lock, until it returns true. */
static bool walk(struct braid_volume *volume,
		 bool (*fn)(struct braid_volume *volume, struct braid_region *region, void *arg),
		 void *arg)
{
	struct braid_region *region;
	bool stop = false;
	u32 i;

	for (i = 0; i < BRAID_SHARDS && !stop; i++) {
		struct braid_shard *shard = &volume->regions->shards[i];

		spin_lock_irq(&shard->lock);
		list_for_each_entry(region, &shard->lru, lru) {
			stop = fn(volume, region, arg);
			if (stop)
				break;
		}
		spin_unlock_irq(&shard->lock);
	}
	return stop;
}

struct fold {
	struct braid_disk *disk;
	u32 mask;
	bool forget;
};

static bool fold_one(struct braid_volume *volume, struct braid_region *region, void *arg)
{
	struct braid_bits bits = {};
	struct fold *fold = arg;
	u32 node;

	if (!braid_marks_unstable(&region->marks, volume->stable))
		return false;
	braid_marks_collect(&region->marks, volume->stable, &bits);
	if (fold->disk) {
		rcu_read_lock();
		for (node = 0; node < BRAID_MAX_NODES; node++) {
			struct braid_dirty *dirty = rcu_dereference(fold->disk->dirty[node]);

			if (fold->mask >> node & 1 && dirty)
				braid_dirty_mark_bits(dirty, region->number, &bits);
		}
		rcu_read_unlock();
		region->undurable = BRAID_BITS_CHANGED;
	}
	if (fold->forget)
		memset(&region->marks, 0, sizeof(region->marks));
	return false;
}

void braid_regions_fold(struct braid_volume *volume, struct braid_disk *disk, u32 mask, bool forget)
{
	struct fold fold = { .disk = disk, .mask = mask, .forget = forget };

	walk(volume, fold_one, &fold);
}

struct next_unstable {
	u32 from, best;
	struct braid_bits bits;
};

static bool next_unstable_one(struct braid_volume *volume, struct braid_region *region, void *arg)
{
	struct next_unstable *next = arg;

	if (region->number < next->from || region->number >= next->best ||
	    !braid_marks_unstable(&region->marks, volume->stable))
		return false;
	next->best = region->number;
	memset(&next->bits, 0, sizeof(next->bits));
	braid_marks_collect(&region->marks, volume->stable, &next->bits);
	return false;
}

bool braid_regions_next_unstable(struct braid_volume *volume, u32 from, u32 *region,
				 struct braid_bits *bits)
{
	struct next_unstable next = { .from = from, .best = BRAID_LOG_FREE };

	walk(volume, next_unstable_one, &next);
	if (next.best == BRAID_LOG_FREE)
		return false;
	*region = next.best;
	braid_bits_or(bits, &next.bits);
	return true;
}

static bool persist_begin(struct braid_volume *volume, struct braid_region *region, void *arg)
{
	if (region->undurable == BRAID_BITS_CHANGED) {
		region->undurable = BRAID_BITS_WRITING;
		*(bool *)arg = true;
	}
	return false;
}

bool braid_regions_persist_begin(struct braid_volume *volume)
{
	bool any = false;

	walk(volume, persist_begin, &any);
	return any;
}

static bool persist_end(struct braid_volume *volume, struct braid_region *region, void *arg)
{
	if (region->undurable == BRAID_BITS_WRITING)
		region->undurable = *(bool *)arg ? BRAID_BITS_DURABLE : BRAID_BITS_CHANGED;
	return false;
}

void braid_regions_persist_end(struct braid_volume *volume, bool ok)
{
	walk(volume, persist_end, &ok);
}

static bool is_unstable(struct braid_volume *volume, struct braid_region *region, void *arg)
{
	return braid_marks_unstable(&region->marks, volume->stable);
}

bool braid_regions_unstable(struct braid_volume *volume)
{
	return walk(volume, is_unstable, NULL);
}

static bool count_one(struct braid_volume *volume, struct braid_region *region, void *arg)
{
	*(u32 *)arg += 1;
	return false;
}

u32 braid_regions_active(struct braid_volume *volume)
{
	u32 count = 0;

	walk(volume, count_one, &count);
	return count;
}

static bool reset_log(struct braid_volume *volume, struct braid_region *region, void *arg)
{
	region->logged = BRAID_LOG_UNNEEDED;
	region->slot = -1;
	region->undurable = BRAID_BITS_DURABLE;
	return false;
}

/* No log write may be under way. */
void braid_regions_reset_log(struct braid_volume *volume)
{
	walk(volume, reset_log, NULL);
}
