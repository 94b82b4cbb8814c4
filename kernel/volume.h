/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _BRAID_VOLUME_H
#define _BRAID_VOLUME_H

#include "resource.h"
#include "stats.h"

#include <linux/blkdev.h>

struct braid_disk;
struct braid_regions;

/*
 * struct braid_remote - a peer's disk for a volume, as the peer announced it
 */
struct braid_remote {
	struct braid_volume_state state;
	bool known;
};

/*
 * struct braid_volume - a volume on this node, and its block device
 * @res: its resource; holds a reference
 * @refs: of the resource's table, the block device, each work
 * @number: within the resource
 * @minor: of the device
 * @gendisk: the device
 * @size: in bytes; under the resource's lock, 0 until a disk or a peer told. While this node is
 *	the writer it never shrinks
 * @block_size: logical, in bytes
 * @disk: attached, or NULL; changes under the resource's lock, read under RCU, kept by its own
 *	references
 * @disk_state: enum braid_disk_state
 * @regions: active regions
 * @remote: the peers' disks; under the resource's lock
 * @generation_lock: guards the four below and @generation_writes
 * @generation: that new writes belong to
 * @closing: one that is closed and not stable, or 0
 * @stable: last stable generation; on other nodes than the writer what it announced
 * @told: last stable generation that the members were told of
 * @generation_writes: writes under way, by lowest bit of their generation
 * @written: something was written in @generation
 * @wedged: a write ended without being on all replicas: nothing becomes stable before the next
 *	reconciliation (R5b)
 * @opens: under @open_lock
 * @waiting_opens: programs that wait for this node to become the writer
 */
struct braid_volume {
	struct braid_resource *res;
	refcount_t refs;
	u32 number;
	u32 minor;
	struct gendisk *gendisk;
	u64 size;
	u32 block_size;
	bool growing;			/* under the resource's lock */
	struct braid_disk __rcu *disk;
	u32 disk_state;
	struct braid_next_vote *next_vote;	/* to be stored; under the resource's lock */
	struct work_struct vote_work;
	struct braid_regions *regions;
	struct braid_remote remote[BRAID_MAX_NODES];

	spinlock_t generation_lock;	/* see above */
	u64 generation;
	u64 closing;
	u64 stable;
	u64 told;
	u32 generation_writes[2];
	u64 flushing;			/* a generation that a flush of the application closed */
	bool written;
	bool wedged;
	struct work_struct stable_work;
	struct delayed_work close_work;
	struct work_struct restart_work;
	spinlock_t restart_lock;	/* guards @restart and @stuck */
	struct list_head restart;
	struct list_head stuck;		/* requests whose local part failed; under restart_lock */
	struct work_struct remove_work;
	struct work_struct free_work;
	bool dying;
	bool removing;			/* under the resource's lock */

	spinlock_t open_lock;		/* guards @opens */
	u32 opens;
	atomic_t waiting_opens;

	atomic_t repairs;		/* under way */
	struct braid_stats stats;
};

int braid_volume_new(struct braid_resource *res, u32 number, u32 minor);
void braid_volume_get(struct braid_volume *volume);
void braid_volume_put(struct braid_volume *volume);
/* Takes a volume down, in its own time. Under the resource's lock. */
void braid_volume_del(struct braid_volume *volume);
/* Sleeps until it is down. */
void braid_volume_remove(struct braid_volume *volume);
/* The first volume with a number from @number on, with a reference; NULL at the end. */
struct braid_volume *braid_volume_next(struct braid_resource *res, unsigned long *number);
/*
 * Recomputes the limits from all replicas, and the size unless this node is the writer: then
 * only reconciliation and growing change it. Under the resource's lock.
 */
void braid_volume_limits(struct braid_volume *volume);
/* What others say, or this node as the writer, that the size is; 0 if nobody. As above. */
u64 braid_volume_known_size(struct braid_volume *volume);
/*
 * The writer, before it serves: the size that all members of @in_sync agree on, or, the first
 * time, the largest that all have room for. -ENOSPC if one has not. Process context.
 */
int braid_volume_decide_size(struct braid_volume *volume, u32 in_sync);
/*
 * What a node's disk has room for, 0 without one; and what it says that the volume's size is, 0 if
 * it does not know. As above.
 */
u64 braid_replica_bytes(struct braid_volume *volume, u32 node, u64 *stored);
/*
 * resize.c: starts taking a disk that has grown at its new size, and, on the writer, the volume to
 * what all disks in sync have room for. The end is an event. Under the resource's lock. -EALREADY:
 * this disk has not grown, -ENOSPC: another one in sync has not.
 */
int braid_volume_resize(struct braid_volume *volume);
struct braid_volume *braid_volume_find(struct braid_resource *res, u32 number);
void braid_vote_work(struct work_struct *work);
int braid_volume_init(void);
void braid_volume_exit(void);

#endif /* _BRAID_VOLUME_H */
