/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What a replica that is away lacks: a state for each region, and a bitmap for those that are
 * dirty in part. Bitmaps that are on disk need not be in memory.
 */
#ifndef _BRAID_DIRTY_H
#define _BRAID_DIRTY_H

#include "core/marks.h"
#include "core/ondisk.h"

#include <linux/list.h>
#include <linux/rcupdate.h>
#include <linux/spinlock.h>

struct braid_disk;

#define BRAID_LEAF_BUCKETS	1024
#define BRAID_LEAVES_MAX	65536

/*
 * struct braid_leaf - the bitmap of a region
 * @loaded: it includes what is on disk; otherwise the two have to be merged
 * @changed: not on disk in this form
 */
struct braid_leaf {
	struct hlist_node hash;
	u32 region;
	bool loaded;
	bool changed;
	struct braid_bits bits;
};

/*
 * struct braid_dirty - a dirty map
 * @lock: guards all below
 * @states: of the regions, packed as on disk; by summary sector
 * @changed: summary sectors that differ from the disk, a bit each
 * @dirty_bytes: how much is dirty, at most; unloaded leaves count as whole
 */
struct braid_dirty {
	struct braid_disk *disk;
	u32 node;
	u32 slot;
	u32 regions;
	u32 sectors;
	spinlock_t lock;		/* see above */
	u8 *states;
	unsigned long *changed;
	u64 dirty_bytes;
	u32 leaves;
	struct hlist_head hash[BRAID_LEAF_BUCKETS];
};

/* A map without dirty blocks, in a slot of the disk. May sleep. */
struct braid_dirty *braid_dirty_new(struct braid_disk *disk, u32 node, u32 slot);
/* A map of @bytes that belongs to no disk: all of it is in memory. */
struct braid_dirty *braid_dirty_alone(u64 bytes);
/*
 * Whether the replica @instance of the peer @node was last in sync where its map begins, as it says
 * itself: only then does the map tell all that it lacks. What was heard of another instance, on a
 * connection that is silent, is about another disk. Under the disk's meta_lock.
 */
bool braid_dirty_matches(struct braid_disk *disk, u32 node, u64 instance);
/*
 * Before another replica of @node is resynced than the one that its map is about: from then on the
 * map is about none, or that one, put back, would be taken to have what the other one was sent.
 * Durable on return. Under the disk's meta_lock.
 */
int braid_dirty_disown(struct braid_disk *disk, u32 node);
void braid_dirty_free(struct braid_dirty *dirty);
/* The map of @node, made and entered in the superblock (in memory) if there was none. May sleep. */
struct braid_dirty *braid_dirty_make(struct braid_disk *disk, u32 node,
				     const struct braid_stamp *base);
/* Drops the map of @node, if any: nothing is dirty. May sleep; the superblock is not written. */
void braid_dirty_drop(struct braid_disk *disk, u32 node);
/* Reads the summary. May sleep. */
int braid_dirty_load(struct braid_dirty *dirty);
/* Writes changed leaves and summary. May sleep. Under the disk's meta_lock. */
int braid_dirty_persist(struct braid_dirty *dirty);
/*
 * Writes all of it to where the superblock in memory says, in the size that it says; it was at
 * where @old says. May sleep. Under the disk's meta_lock.
 */
int braid_dirty_move(struct braid_dirty *dirty, const struct braid_superblock *old);
/* All maps of a disk. May sleep. */
int braid_dirty_persist_all(struct braid_disk *disk);
/* Marks bytes of a region in the maps of all nodes of @mask. Any context. True if any changed. */
bool braid_dirty_mark(struct braid_disk *disk, u32 mask, u32 region, u32 offset, u32 bytes);
void braid_dirty_mark_bits(struct braid_dirty *dirty, u32 region, const struct braid_bits *bits);
void braid_dirty_mark_all(struct braid_dirty *dirty, u32 region);
/* All of the regions from @first to before @end. May sleep. */
void braid_dirty_mark_regions(struct braid_dirty *dirty, u32 first, u32 end);
void braid_dirty_clear(struct braid_dirty *dirty, u32 region, u32 offset, u32 bytes);
/*
 * The lowest region from @from on that is not clean: its state, and for LEAF its bits. May sleep
 * (reads the leaf). Returns 1, or 0 if there is none, or an error.
 */
int braid_dirty_next(struct braid_dirty *dirty, u32 from, u32 *region, u32 *state,
		     struct braid_bits *bits);
/* Marks in @to what is dirty in @from. May sleep. 0, or an error of reading @from. */
int braid_dirty_merge(struct braid_dirty *to, struct braid_dirty *from);
u64 braid_dirty_bytes(struct braid_disk *disk, u32 node);

#endif /* _BRAID_DIRTY_H */
