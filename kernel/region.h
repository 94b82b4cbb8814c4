/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The active regions of a volume: what is being written, what may differ between replicas,
 * and what the activity log on disk says. One look-up serves all three.
 */
#ifndef _BRAID_REGION_H
#define _BRAID_REGION_H

#include "core/marks.h"

#include <linux/list.h>
#include <linux/rbtree.h>
#include <linux/spinlock.h>

struct braid_volume;
struct braid_disk;

enum braid_logged {
	BRAID_LOG_UNNEEDED,	/* no disk here, or not logged yet and nobody asked */
	BRAID_LOG_WANTED,	/* waits for a log write */
	BRAID_LOG_WRITING,	/* in the log block that is being written */
	BRAID_LOG_DURABLE,
};

/* Bits of absent replicas' dirty maps that were set in a region and may not be on disk. */
enum braid_undurable {
	BRAID_BITS_DURABLE,
	BRAID_BITS_CHANGED,
	BRAID_BITS_WRITING,
};

/**
 * struct braid_region - an active region
 * @hash: in its shard
 * @lru: in its shard, most recently used last
 * @log_list: waits for the log; under the log's lock
 * @number: which region
 * @refs: I/O under way
 * @logged: enum braid_logged
 * @slot: in the log, or -1
 * @undurable: enum braid_undurable
 * @marks: unstable map
 * @writes: of the application and of resyncs under way: an interval tree
 * @touches: wait for the log
 */
struct braid_region {
	struct hlist_node hash;
	struct list_head lru;
	struct list_head log_list;
	u32 number;
	u32 refs;
	u8 logged;
	u8 undurable;
	int slot;
	struct braid_marks marks;
	struct rb_root_cached writes;
	struct list_head touches;
};

/**
 * struct braid_touch - a write's hold on its region
 * @list: in @region->touches, or among those that wait for a region
 * @region: while it is held
 * @ready: called in process context once the region is durably logged, or could not be
 * @retry: called in process context once a region may be had
 */
struct braid_touch {
	struct list_head list;
	struct braid_region *region;
	void (*ready)(struct braid_touch *touch, int error);
	void (*retry)(struct braid_touch *touch);
};

/*
 * struct braid_span - a range under way in the interval tree of its region
 */
struct braid_span {
	struct rb_node node;
	u64 start, last, subtree_last;
	struct list_head waiters;	/* of struct braid_wait */
};

/*
 * struct braid_wait - waits for a span to end
 * @done: called with the shard's lock released, in any context
 */
struct braid_wait {
	struct list_head list;
	void (*done)(struct braid_wait *wait);
};

#define BRAID_SHARDS	16
#define BRAID_SHARD_HASH 64

struct braid_shard {
	spinlock_t lock;		/* guards the shard and its regions */
	struct hlist_head hash[BRAID_SHARD_HASH];
	struct list_head lru;
	struct list_head free;
	struct list_head full;		/* touches that wait for a region */
	u32 active;
	u32 fresh;			/* taken since something became stable */
};

struct braid_regions {
	struct braid_volume *volume;
	u32 per_shard;
	struct braid_shard shards[BRAID_SHARDS];
	struct braid_region *all;
};

struct braid_regions *braid_regions_new(struct braid_volume *volume, u32 capacity);
void braid_regions_free(struct braid_regions *regions);

/**
 * enum braid_begin - what became of an attempt to begin a write
 * @BRAID_BEGIN_READY: it may go to the disk
 * @BRAID_BEGIN_LOGGING: touch->ready() will tell when it may
 * @BRAID_BEGIN_CONFLICT: the wait was queued behind an overlapping span
 * @BRAID_BEGIN_FULL: touch->retry() will tell when to try again
 */
enum braid_begin {
	BRAID_BEGIN_READY,
	BRAID_BEGIN_LOGGING,
	BRAID_BEGIN_CONFLICT,
	BRAID_BEGIN_FULL,
};

/*
 * Begins a write of @bytes at @offset in @generation. @span (or NULL) is inserted unless one
 * overlaps; then @wait is queued there. @log: a disk is attached, so that the region has to be
 * logged. @absent: replicas whose dirty maps get the range. @mark: enter the unstable map. Any
 * context.
 */
enum braid_begin braid_region_begin(struct braid_volume *volume, struct braid_touch *touch,
				    struct braid_span *span, struct braid_wait *wait, u64 offset,
				    u32 bytes, u64 generation, struct braid_disk *disk,
				    u32 absent);
/*
 * As above for a range that is only read here while a target's replica is written: nothing of this
 * node becomes unstable, but the region counts, as it does on the target.
 */
enum braid_begin braid_region_lock(struct braid_volume *volume, struct braid_touch *touch,
				   struct braid_span *span, struct braid_wait *wait, u64 offset,
				   u32 bytes, u64 generation);
/* Ends it; waiters of @span (or NULL) go on. Any context. */
void braid_region_end(struct braid_volume *volume, struct braid_touch *touch,
		      struct braid_span *span);
/* True if @wait was queued behind a span that overlaps. Any context. */
bool braid_region_overlaps(struct braid_volume *volume, u64 offset, u32 bytes,
			   struct braid_wait *wait);
/* After the stable generation grew: retries touches that found no region. */
void braid_regions_stable(struct braid_volume *volume);
/* Whether so many regions are unstable that the generation had better be closed. */
bool braid_regions_pressed(struct braid_volume *volume);
/* A log write ended; durable regions' touches become ready. Process context. */
void braid_region_logged(struct braid_volume *volume, struct braid_region *region, int error);
/* Adds the unstable blocks to the dirty map of @node, or all nodes of @mask. Process context. */
void braid_regions_fold(struct braid_volume *volume, struct braid_disk *disk, u32 mask,
			bool forget);
/* The lowest region from @from on with unstable blocks; they are added to @bits. */
bool braid_regions_next_unstable(struct braid_volume *volume, u32 from, u32 *region,
				 struct braid_bits *bits);
/*
 * Around a write of the dirty maps: regions whose bits it covers, and which may be evicted after
 * it. A bit that is set in between waits for the next one.
 */
bool braid_regions_persist_begin(struct braid_volume *volume);
void braid_regions_persist_end(struct braid_volume *volume, bool ok);
bool braid_regions_unstable(struct braid_volume *volume);
u32 braid_regions_active(struct braid_volume *volume);
void braid_regions_reset_log(struct braid_volume *volume);

#endif /* _BRAID_REGION_H */
