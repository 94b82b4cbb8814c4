// SPDX-License-Identifier: GPL-2.0
/*
 * Growing. First each node takes its disk at its new size: the metadata is written once more, for
 * that size, beside where it is; until the superblock says so, the old one counts. Then the
 * writer makes what all replicas in sync gained equal, by zeroing it; each of them stores the
 * new size; and only then the device has it. A crash before that leaves the size as it was.
 */
#include "copy.h"
#include "dirty.h"
#include "disk.h"
#include "event.h"
#include "sync.h"
#include "volume.h"

#include <linux/sched/mm.h>
#include <linux/slab.h>

/*
 * struct grow - a volume that grows
 */
struct grow {
	struct work_struct work;
	struct braid_volume *volume;
};

static int move_maps(struct braid_disk *disk, const struct braid_superblock *old)
{
	int err = 0;
	u32 node;

	for (node = 0; node < BRAID_MAX_NODES && !err; node++) {
		struct braid_dirty *dirty;

		dirty = rcu_dereference_protected(disk->dirty[node],
						  lockdep_is_held(&disk->meta_lock));
		if (dirty)
			err = braid_dirty_move(dirty, old);
	}
	return err;
}

/*
 * Log, votes and maps at their new places, then the superblock, then, if it moved, what it was.
 * If that fails it is not known which superblock counts, and the disk is given up.
 */
static int move(struct braid_disk *disk, const struct braid_superblock *next,
		const struct braid_superblock *old)
{
	u64 old_bytes = disk->meta_bytes;
	int err;

	lockdep_assert_held(&disk->meta_lock);
	braid_log_pause(disk);
	disk->sb.votes_offset = next->votes_offset;
	disk->sb.log_offset = next->log_offset;
	disk->sb.slots_offset = next->slots_offset;
	disk->sb.slot_bytes = next->slot_bytes;
	WRITE_ONCE(disk->sb.data_bytes, next->data_bytes);
	disk->meta_bytes = bdev_nr_bytes(disk->meta);
	err = braid_log_rewrite(disk) ?: braid_meta_vote_rewrite(disk) ?: move_maps(disk, old) ?:
	      blkdev_issue_flush(disk->meta) ?: braid_meta_write_super(disk);
	if (!err && !(disk->sb.flags & BRAID_SB_EXTERNAL))
		err = braid_meta_wipe_super(disk, old_bytes);
	WRITE_ONCE(disk->broken, err);
	braid_log_resume(disk);
	return err;
}

/* Whether the devices have other sizes than the metadata is for. */
static bool has_grown(const struct braid_disk *disk)
{
	if (disk->sb.flags & BRAID_SB_EXTERNAL)
		return bdev_nr_bytes(disk->data) >= disk->sb.data_bytes + BRAID_BLOCK_SIZE;
	return bdev_nr_bytes(disk->meta) > disk->meta_bytes;
}

static int take_size(struct braid_disk *disk, const char **cause)
{
	struct braid_superblock *sbs = kmalloc_array(2, sizeof(*sbs), GFP_KERNEL);
	unsigned int noio;
	int err = 0;

	*cause = "out of memory";
	if (!sbs)
		return -ENOMEM;
	/* Writes wait for the log meanwhile; memory must not wait for them. */
	noio = memalloc_noio_save();
	mutex_lock(&disk->meta_lock);
	sbs[0] = disk->sb;
	sbs[1] = disk->sb;
	switch (has_grown(disk) ? braid_ondisk_grow(&sbs[1], disk->meta_bytes,
						    bdev_nr_bytes(disk->data),
						    bdev_nr_bytes(disk->meta)) :
				  BRAID_GROW_NONE) {
	case BRAID_GROW_OK:
		*cause = "the metadata could not be moved";
		err = move(disk, &sbs[1], &sbs[0]);
		break;
	case BRAID_GROW_NO_ROOM:
		*cause = "new metadata does not fit beside the old: grow the disk by more";
		err = -ENOSPC;
		break;
	default:
		break;
	}
	mutex_unlock(&disk->meta_lock);
	memalloc_noio_restore(noio);
	kfree(sbs);
	if (disk->broken)
		braid_disk_fail(disk, "metadata could not be moved");
	return err;
}

/* The epoch if this node serves, and who is in sync then; 0 otherwise. */
static u64 serving(struct braid_resource *res, u32 *in_sync)
{
	const struct braid_config *config;
	u64 epoch = 0;

	rcu_read_lock();
	config = braid_config(res);
	if (config && braid_is_serving(res)) {
		epoch = config->epoch;
		*in_sync = config->in_sync;
	}
	rcu_read_unlock();
	return epoch;
}

/* The most that all replicas of @nodes have room for. */
static u64 common_room(struct braid_volume *volume, u32 nodes)
{
	u64 least = U64_MAX, stored;
	u32 node;

	lockdep_assert_held(&volume->res->lock);
	for (node = 0; node < BRAID_MAX_NODES; node++)
		if (nodes >> node & 1)
			least = min(least, braid_replica_bytes(volume, node, &stored));
	return least;
}

static int zero(struct braid_volume *volume, u64 from, u64 to, u32 targets)
{
	bool local = targets >> volume->res->node & 1;
	struct braid_range_lock lock;
	int err = 0;

	while (from < to && !err) {
		u32 bytes = min(BRAID_REGION_SIZE - (from & (BRAID_REGION_SIZE - 1)), to - from);

		err = braid_lock_range(&lock, volume, from, bytes, local);
		if (err)
			break;
		err = braid_execute(volume, BRAID_MSG_ZEROES, from, bytes, targets,
				    lock.generation, NULL);
		braid_unlock_range(&lock);
		from += bytes;
	}
	return err ?: braid_execute(volume, BRAID_MSG_FLUSH, 0, 0, targets, 0, NULL);
}

static int raise_size(struct braid_volume *volume, const char **cause)
{
	struct braid_resource *res = volume->res;
	u32 in_sync = 0, same, node;
	u64 epoch, from, to;
	int err;

	mutex_lock(&res->lock);
	epoch = serving(res, &in_sync);
	from = volume->size;
	to = epoch ? common_room(volume, in_sync) : 0;
	mutex_unlock(&res->lock);
	if (!epoch)
		return 0;
	*cause = "a disk in sync has no more room";
	if (to <= from)
		return -ENOSPC;
	*cause = "what the volume gains could not be zeroed everywhere";
	err = zero(volume, from, to, in_sync);
	for (node = 0; node < BRAID_MAX_NODES && !err; node++)
		if (in_sync >> node & 1)
			err = braid_settle(volume, node, to);
	if (err)
		return err;
	mutex_lock(&res->lock);
	*cause = "the configuration changed meanwhile; try again";
	err = serving(res, &same) == epoch ? 0 : -ESTALE;
	if (!err) {
		volume->size = to;
		braid_volume_limits(volume);
	}
	mutex_unlock(&res->lock);
	return err;
}

static void grow_work(struct work_struct *work)
{
	struct grow *grow = container_of(work, struct grow, work);
	struct braid_volume *volume = grow->volume;
	struct braid_resource *res = volume->res;
	struct braid_disk *disk = braid_disk_get(volume);
	const char *cause = "requested";
	u64 room = 0;
	int err = 0;

	if (disk) {
		err = take_size(disk, &cause);
		room = disk->sb.data_bytes;
		braid_disk_put(disk);
	}
	if (!err)
		err = raise_size(volume, &cause);
	mutex_lock(&res->lock);
	volume->growing = false;
	mutex_unlock(&res->lock);
	braid_info(res, "volume %u: resize %s (%s): size %llu, room for %llu\n", volume->number,
		   err ? "failed" : "done", err ? cause : "all is well", volume->size, room);
	braid_event_simple(res, BRAID_EVENT_KIND_SIZE, .volume = &volume->number,
			   .new = err ? "failed" : "done", .cause = err ? cause : NULL,
			   .length = volume->size, .error = err);
	braid_peers_announce(res);
	braid_volume_put(volume);
	kfree(grow);
}

int braid_volume_resize(struct braid_volume *volume)
{
	struct braid_resource *res = volume->res;
	struct braid_disk *disk;
	u32 in_sync = 0, node;
	struct grow *grow;
	u64 epoch, stored;

	lockdep_assert_held(&res->lock);
	disk = rcu_dereference_protected(volume->disk, lockdep_is_held(&res->lock));
	epoch = serving(res, &in_sync);
	if (!disk && !epoch)
		return -ENODEV;
	for (node = 0; node < BRAID_MAX_NODES; node++)
		if (res->syncs[node] && (res->syncs[node]->state != BRAID_SYNC_STATE_NONE ||
					 res->syncs[node]->running))
			return -EAGAIN;
	if (volume->growing)
		return -EBUSY;
	if (disk && !has_grown(disk) && (!epoch || disk->sb.data_bytes <= volume->size))
		return -EALREADY;
	for (node = 0; node < BRAID_MAX_NODES && epoch; node++)
		if (in_sync >> node & 1 && node != res->node &&
		    braid_replica_bytes(volume, node, &stored) <= volume->size)
			return -ENOSPC;
	grow = kmalloc(sizeof(*grow), GFP_KERNEL);
	if (!grow)
		return -ENOMEM;
	volume->growing = true;
	grow->volume = volume;
	braid_volume_get(volume);
	INIT_WORK(&grow->work, grow_work);
	queue_work(res->wq, &grow->work);
	return 0;
}
