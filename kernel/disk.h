/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _BRAID_DISK_H
#define _BRAID_DISK_H

#include "compat/block.h"
#include "core/ondisk.h"

#include <linux/blkdev.h>
#include <linux/mutex.h>
#include <linux/refcount.h>
#include <linux/spinlock.h>
#include <linux/workqueue.h>

struct braid_dirty;
struct braid_region;
struct braid_volume;

/*
 * struct braid_log - the activity log of a disk
 * @lock: guards all but the buffer
 * @wanted: regions that wait to be logged
 * @writing: regions in the block that is being written
 * @busy: a block is being written
 * @paused: none is begun
 * @current_block: filled at present
 * @sequence: of each block
 * @regions: what each slot says, as it is or is being written
 * @owner: which region has the slot; NULL is free
 * @buffer: the block that is being written
 */
struct braid_log {
	spinlock_t lock;		/* see above */
	struct list_head wanted;
	struct list_head writing;
	bool busy;
	bool paused;
	u32 current_block;
	u64 sequence[BRAID_LOG_BLOCKS_MAX];
	u32 (*regions)[BRAID_LOG_SLOTS];
	struct braid_region **owner;
	struct page *buffer;
	struct work_struct done_work;
	int error;
};

/*
 * struct braid_vote - a vote that is durable; never changes
 */
struct braid_vote {
	u64 sequence;
	u32 length;
	u8 value[];
};

/*
 * struct braid_disk - an attached disk with its metadata
 * @volume: it belongs to; the volume outlives it
 * @refs: I/O under way and the volume's own
 * @released: completed when @refs is 0
 * @failed: it takes no new I/O
 * @read_errors: lately, since @read_errors_since; under the resource's lock
 * @meta_lock: one change of superblock or dirty maps at a time
 * @sb: superblock; under @meta_lock
 * @meta_bytes: size of the metadata's device when it got its place there; under @meta_lock
 * @broken: moving the metadata failed half-way, so that nothing of it may be written any more
 * @dirty: maps of absent replicas by node; that of this node itself says what the last crash
 *	left open. Set and cleared in process context under @meta_lock, read under RCU
 * @vote: as @dirty; NULL if none was ever stored
 */
struct braid_disk {
	struct braid_volume *volume;
	struct compat_bdev data_handle;
	struct compat_bdev meta_handle;
	struct block_device *data;
	struct block_device *meta;
	refcount_t refs;
	struct completion released;
	bool failed;
	bool volatile_cache;
	bool linked;
	const char *cause;
	struct work_struct fail_work;
	u32 read_errors;
	ktime_t read_errors_since;

	struct mutex meta_lock;		/* see above */
	struct braid_superblock sb;
	u64 meta_bytes;
	bool broken;
	struct braid_log log;
	struct braid_dirty __rcu *dirty[BRAID_MAX_NODES];
	struct braid_vote __rcu *vote;
};

/*
 * Starts attaching; the end is an event. @meta is 0 for internal metadata. @old_bytes is 0, or the
 * size of the disk before it grew, where its metadata may still be.
 */
int braid_disk_attach(struct braid_volume *volume, dev_t disk, dev_t meta, u64 old_bytes);
int braid_disk_detach(struct braid_volume *volume, const char *cause, bool clean);
/* Gives the disk up after an error. Any context. */
void braid_disk_fail(struct braid_disk *disk, const char *cause);
/* A reference for I/O, or NULL if there is no usable disk. Any context. */
struct braid_disk *braid_disk_get(struct braid_volume *volume);
/* As above, and only one that is in sync: it has seen all writes. */
struct braid_disk *braid_disk_of_writer(struct braid_volume *volume);
void braid_disk_put(struct braid_disk *disk);
/* The device is about to be deleted: it is no holder of the disk any more. */
void braid_disk_unlink(struct braid_volume *volume);
/* Sleeps until the disk is gone; detaching has begun before. */
void braid_disk_detach_now(struct braid_volume *volume, bool clean);

/*
 * The replica is equal to the others, within the volume's @size, 0 to leave it: what it had marked
 * for itself is void, and it is not suspect. Process context.
 */
int braid_disk_settle(struct braid_disk *disk, u64 size);
/* Some of it is newer than the rest, until it is settled (P6). Process context. */
int braid_disk_set_inconsistent(struct braid_disk *disk);

/* metadata.c; process context, may sleep */
int braid_meta_io(struct braid_disk *disk, u64 offset, struct page *page, u32 bytes,
		  blk_opf_t opf);
int braid_meta_write_super(struct braid_disk *disk);
int braid_meta_store_config(struct braid_disk *disk, const struct braid_config *config,
			    const struct braid_stamp *last);
int braid_meta_vote_set(struct braid_disk *disk, const u8 *value, u32 length);
int braid_meta_vote_load(struct braid_disk *disk);
int braid_log_init(struct braid_disk *disk);
int braid_log_load(struct braid_disk *disk);
/* Until it is resumed no log write is under way. */
void braid_log_pause(struct braid_disk *disk);
void braid_log_resume(struct braid_disk *disk);
/* Writes both copies of all of a paused log. */
int braid_log_rewrite(struct braid_disk *disk);
/* Takes whatever is at the place of the superblocks on a device of @meta_bytes away. */
int braid_meta_wipe_super(struct braid_disk *disk, u64 meta_bytes);
/* Writes the vote again. -EUCLEAN: what the disk had of it was not valid. */
int braid_meta_vote_rewrite(struct braid_disk *disk);
void braid_log_free(struct braid_disk *disk);
/* Any context. */
/* The block is written once braid_log_kick() is called, in process context. */
void braid_log_want(struct braid_disk *disk, struct braid_region *region);
void braid_log_kick(struct braid_disk *disk);
void braid_log_release(struct braid_disk *disk, struct braid_region *region);

#endif /* _BRAID_DISK_H */
