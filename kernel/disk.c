// SPDX-License-Identifier: GPL-2.0
#include "disk.h"
#include "dirty.h"
#include "event.h"
#include "object_log.h"
#include "peer.h"
#include "region.h"
#include "request.h"
#include "sync.h"
#include "volume.h"

#include <linux/random.h>
#include <linux/slab.h>

/*
 * struct attach - an attach under way
 */
struct attach {
	struct work_struct work;
	struct braid_volume *volume;
	dev_t data, meta;
	u64 old_bytes;
	bool external;
};

static void set_state(struct braid_volume *volume, u32 state, const char *cause, int error)
{
	struct braid_resource *res = volume->res;
	u32 old = volume->disk_state;

	lockdep_assert_held(&res->lock);
	volume->disk_state = state;
	braid_info(res, "volume %u: disk %s -> %s (%s)\n", volume->number, braid_disk_names[old],
		   braid_disk_names[state], cause);
	braid_event_simple(res, BRAID_EVENT_KIND_DISK, .volume = &volume->number,
			   .old = braid_disk_names[old], .new = braid_disk_names[state],
			   .cause = cause, .error = error);
}

/* The replicas of this node are others than before: nobody may take them for those in sync. */
static void new_instance(struct braid_resource *res)
{
	lockdep_assert_held(&res->lock);
	spin_lock(&res->state_lock);
	do {
		res->instance = get_random_u64();
	} while (!res->instance);
	spin_unlock(&res->state_lock);
}

struct braid_disk *braid_disk_get(struct braid_volume *volume)
{
	struct braid_disk *disk;

	rcu_read_lock();
	disk = rcu_dereference(volume->disk);
	if (disk && (READ_ONCE(disk->failed) || !refcount_inc_not_zero(&disk->refs)))
		disk = NULL;
	rcu_read_unlock();
	return disk;
}

struct braid_disk *braid_disk_of_writer(struct braid_volume *volume)
{
	const struct braid_config *config;
	bool in_sync;

	rcu_read_lock();
	config = braid_config(volume->res);
	in_sync = config && braid_self_in_sync(volume->res, config);
	rcu_read_unlock();
	return in_sync ? braid_disk_get(volume) : NULL;
}

void braid_disk_put(struct braid_disk *disk)
{
	if (refcount_dec_and_test(&disk->refs))
		complete(&disk->released);
}

static const char *ondisk_error(enum braid_ondisk_result result)
{
	switch (result) {
	case BRAID_ONDISK_NONE:
		return "no metadata: create-md comes first";
	case BRAID_ONDISK_VERSION:
		return "metadata of a newer version";
	case BRAID_ONDISK_INVALID:
		return "metadata is invalid";
	default:
		return "metadata is corrupt";
	}
}

static int read_super(struct braid_disk *disk, bool external, const char **cause)
{
	enum braid_ondisk_result result, worst = BRAID_ONDISK_NONE;
	struct braid_superblock *sb;
	struct page *page;
	bool found = false;
	int copy, err = 0;

	page = alloc_page(GFP_KERNEL);
	sb = kmalloc(sizeof(*sb), GFP_KERNEL);
	*cause = "out of memory";
	if (!page || !sb) {
		err = -ENOMEM;
		goto out;
	}
	for (copy = 0; copy < 2; copy++) {
		u64 offset = braid_superblock_offset(disk->meta_bytes, external, copy);

		*cause = "the superblock cannot be read";
		err = braid_meta_io(disk, offset, page, BRAID_BLOCK_SIZE, REQ_OP_READ);
		if (err)
			continue;
		result = braid_superblock_decode(sb, page_address(page));
		if (result != BRAID_ONDISK_OK) {
			worst = max(worst, result);
			continue;
		}
		if (!found || sb->sequence > disk->sb.sequence)
			disk->sb = *sb;
		found = true;
	}
	if (found) {
		err = 0;
	} else if (!err) {
		*cause = ondisk_error(worst);
		err = worst == BRAID_ONDISK_NONE ? -ENOMEDIUM : -EUCLEAN;
	}
out:
	if (page)
		__free_page(page);
	kfree(sb);
	return err;
}

static int check_super(struct braid_disk *disk, bool external, const char **cause)
{
	struct braid_volume *volume = disk->volume;
	const struct braid_superblock *sb = &disk->sb;

	*cause = "the metadata is of another node";
	if (sb->node != volume->res->node)
		return -ENXIO;
	*cause = "the metadata is of another volume";
	if (sb->volume != volume->number)
		return -ENXIO;
	*cause = "the metadata says internal, or external, and the request the other";
	if (!(sb->flags & BRAID_SB_EXTERNAL) == external)
		return -EINVAL;
	*cause = "the disk is smaller than its metadata says";
	if (!braid_superblock_fits(sb, bdev_nr_bytes(disk->data), bdev_nr_bytes(disk->meta)))
		return -ENOSPC;
	*cause = "the disk has larger logical blocks than its metadata says";
	if (bdev_logical_block_size(disk->data) > sb->block_size ||
	    bdev_logical_block_size(disk->meta) > BRAID_BLOCK_SIZE)
		return -EINVAL;
	*cause = "the disk's logical block size differs from the volume's";
	if (volume->block_size && volume->block_size != sb->block_size)
		return -EINVAL;
	return 0;
}

static int load_dirty(struct braid_disk *disk)
{
	u32 slot;
	int err;

	for (slot = 0; slot < disk->sb.max_slots; slot++) {
		u32 node = disk->sb.slots[slot].node;
		struct braid_dirty *dirty;

		if (node == BRAID_NO_NODE)
			continue;
		dirty = braid_dirty_new(disk, node, slot);
		if (!dirty)
			return -ENOMEM;
		rcu_assign_pointer(disk->dirty[node], dirty);
		err = braid_dirty_load(dirty);
		if (err)
			return err;
	}
	return 0;
}

static struct braid_dirty *map_of(struct braid_disk *disk, u32 node)
{
	return rcu_dereference_protected(disk->dirty[node], lockdep_is_held(&disk->meta_lock));
}

/*
 * What was active when the node stopped without detaching may differ from the other replicas
 * in sync (this node's own map, R5), and the others may lack it (theirs).
 */
static int replay_log(struct braid_disk *disk)
{
	const struct braid_stamp none = {};
	u32 block, slot, node;
	bool all;
	int err;

	err = braid_log_load(disk);
	all = err == -EUCLEAN;
	if (err && !all)
		return err;
	if (!(disk->sb.flags & BRAID_SB_IN_USE))
		goto forget;
	if (all)
		braid_warn(disk->volume->res, "volume %u: activity log lost, all of it counts as active\n",
			   disk->volume->number);
	if (!braid_dirty_make(disk, disk->volume->res->node, &none))
		return -ENOSPC;
	for (node = 0; node < BRAID_MAX_NODES; node++) {
		struct braid_dirty *dirty = map_of(disk, node);

		if (!dirty)
			continue;
		if (all)
			braid_dirty_mark_regions(dirty, 0, dirty->regions);
		for (block = 0; !all && block < disk->sb.log_blocks; block++)
			for (slot = 0; slot < BRAID_LOG_SLOTS; slot++)
				if (disk->log.regions[block][slot] != BRAID_LOG_FREE)
					braid_dirty_mark_all(dirty, disk->log.regions[block][slot]);
		err = braid_dirty_persist(dirty);
		if (err)
			return err;
	}
	if (disk->sb.flags & BRAID_SB_VOLATILE)
		disk->sb.flags |= BRAID_SB_SUSPECT;
forget:
	for (block = 0; block < disk->sb.log_blocks; block++)
		memset(disk->log.regions[block], 0xff, sizeof(disk->log.regions[block]));
	return 0;
}

static void disk_free(struct braid_disk *disk)
{
	u32 node;

	for (node = 0; node < BRAID_MAX_NODES; node++)
		braid_dirty_free(rcu_dereference_protected(disk->dirty[node], true));
	kfree(rcu_dereference_protected(disk->vote, true));
	braid_log_free(disk);
	compat_bdev_close(&disk->meta_handle);
	compat_bdev_close(&disk->data_handle);
	braid_log_destroyed("disk", "%p", disk);
	kfree(disk);
}

static void disk_fail_work(struct work_struct *work)
{
	struct braid_disk *disk = container_of(work, struct braid_disk, fail_work);
	struct braid_volume *volume = disk->volume;

	/* The disk may be gone when this returns. */
	braid_disk_detach(volume, disk->cause, false);
	braid_volume_put(volume);
}

void braid_disk_fail(struct braid_disk *disk, const char *cause)
{
	if (cmpxchg(&disk->cause, NULL, cause))
		return;
	WRITE_ONCE(disk->failed, true);
	braid_volume_get(disk->volume);
	queue_work(disk->volume->res->wq, &disk->fail_work);
}

static struct braid_disk *disk_open(struct attach *at, const char **cause, int *err)
{
	struct braid_disk *disk = kzalloc(sizeof(*disk), GFP_KERNEL);

	*cause = "out of memory";
	*err = -ENOMEM;
	if (!disk)
		return NULL;
	disk->volume = at->volume;
	refcount_set(&disk->refs, 1);
	init_completion(&disk->released);
	mutex_init(&disk->meta_lock);
	INIT_WORK(&disk->fail_work, disk_fail_work);
	braid_log_created("disk", "%p", disk);

	*cause = "the disk cannot be opened, or is in use";
	*err = compat_bdev_open(&disk->data_handle, at->data, at->volume);
	if (*err)
		goto err_free;
	disk->data = disk->data_handle.bdev;
	disk->meta = disk->data;
	if (at->external) {
		*cause = "the metadata device cannot be opened, or is in use";
		*err = compat_bdev_open(&disk->meta_handle, at->meta, at->volume);
		if (*err)
			goto err_free;
		disk->meta = disk->meta_handle.bdev;
	}
	disk->volatile_cache = bdev_write_cache(disk->data);
	return disk;

err_free:
	disk_free(disk);
	return NULL;
}

/* Reads all metadata and marks the disk as in use. */
static int disk_prepare(struct braid_disk *disk, const struct attach *at, const char **cause)
{
	int err;

	disk->meta_bytes = bdev_nr_bytes(disk->meta);
	err = read_super(disk, at->external, cause);
	if ((err == -ENOMEDIUM || err == -EUCLEAN) && !at->external && at->old_bytes) {
		disk->meta_bytes = min(disk->meta_bytes, at->old_bytes);
		err = read_super(disk, false, cause);
	}
	if (!err)
		err = check_super(disk, at->external, cause);
	if (err)
		return err;
	*cause = "the activity log cannot be read";
	err = braid_log_init(disk);
	if (err)
		return err;
	mutex_lock(&disk->meta_lock);
	*cause = "the dirty maps cannot be read";
	err = load_dirty(disk) ?: replay_log(disk);
	if (!err) {
		*cause = "the votes cannot be read";
		err = braid_meta_vote_load(disk);
	}
	if (!err) {
		disk->sb.flags &= ~BRAID_SB_VOLATILE;
		disk->sb.flags |= BRAID_SB_IN_USE;
		if (disk->volatile_cache)
			disk->sb.flags |= BRAID_SB_VOLATILE;
		do {
			disk->sb.instance = get_random_u64();
		} while (!disk->sb.instance);
		*cause = "the superblock cannot be written";
		err = braid_meta_write_super(disk);
	}
	mutex_unlock(&disk->meta_lock);
	return err;
}

static int disk_publish(struct braid_disk *disk, const char **cause)
{
	struct braid_volume *volume = disk->volume;
	struct braid_resource *res = volume->res;
	const struct braid_adopted *adopted;

	lockdep_assert_held(&res->lock);
	*cause = "the resource is being removed";
	if (res->dead)
		return -ESHUTDOWN;
	adopted = rcu_dereference_protected(res->config, lockdep_is_held(&res->lock));
	*cause = "the replica is of another lineage";
	if (adopted && disk->sb.config.epoch &&
	    memcmp(adopted->c.lineage, disk->sb.config.lineage, 16))
		return -EKEYREJECTED;
	*cause = "the disk is smaller than the volume";
	if (disk->sb.data_bytes < braid_volume_known_size(volume))
		return -ENOSPC;
	if (!adopted)
		braid_config_restore(res, &disk->sb);
	if (!bd_link_disk_holder(disk->data, volume->gendisk))
		disk->linked = true;
	braid_regions_reset_log(volume);
	rcu_assign_pointer(volume->disk, disk);
	braid_volume_limits(volume);
	new_instance(res);
	*cause = disk->sb.flags & BRAID_SB_SUSPECT ? "attached, after an unclean stop" : "attached";
	return 0;
}

static void attach_work(struct work_struct *work)
{
	struct attach *at = container_of(work, struct attach, work);
	struct braid_volume *volume = at->volume;
	struct braid_resource *res = volume->res;
	struct braid_disk *disk;
	const char *cause;
	int err;

	disk = disk_open(at, &cause, &err);
	if (disk)
		err = disk_prepare(disk, at, &cause);
	mutex_lock(&res->lock);
	if (!err)
		err = disk_publish(disk, &cause);
	set_state(volume, err ? BRAID_DISK_STATE_DISKLESS : BRAID_DISK_STATE_ATTACHED, cause, err);
	mutex_unlock(&res->lock);
	if (err && disk)
		disk_free(disk);
	braid_service_update(res);
	braid_peers_update(res);
	braid_peers_announce(res);
	wake_up_all(&res->wait);
	braid_volume_put(volume);
	kfree(at);
}

/* Under the resource's lock. */
int braid_disk_attach(struct braid_volume *volume, dev_t disk, dev_t meta, u64 old_bytes)
{
	struct attach *at;

	lockdep_assert_held(&volume->res->lock);
	if (volume->disk_state != BRAID_DISK_STATE_DISKLESS)
		return -EBUSY;
	at = kzalloc(sizeof(*at), GFP_KERNEL);
	if (!at)
		return -ENOMEM;
	at->data = disk;
	at->meta = meta;
	at->external = meta;
	at->old_bytes = old_bytes;
	braid_volume_get(volume);
	at->volume = volume;
	set_state(volume, BRAID_DISK_STATE_ATTACHING, "requested", 0);
	INIT_WORK(&at->work, attach_work);
	queue_work(volume->res->wq, &at->work);
	return 0;
}

int braid_disk_set_inconsistent(struct braid_disk *disk)
{
	int err = 0;

	mutex_lock(&disk->meta_lock);
	if (!(disk->sb.flags & BRAID_SB_INCONSISTENT)) {
		disk->sb.flags |= BRAID_SB_INCONSISTENT;
		err = braid_meta_write_super(disk);
	}
	mutex_unlock(&disk->meta_lock);
	return err;
}

/* Replicas that are away lack what the volume gained. */
static int mark_gain(struct braid_disk *disk, u64 size)
{
	u64 old = disk->sb.volume_bytes;
	int err = 0;
	u32 node;

	for (node = 0; node < BRAID_MAX_NODES && !err && old && size > old; node++) {
		struct braid_dirty *dirty = map_of(disk, node);

		if (!dirty || node == disk->volume->res->node)
			continue;
		braid_dirty_mark_regions(dirty, old >> BRAID_REGION_SHIFT, braid_regions(size));
		err = braid_dirty_persist(dirty);
	}
	return err;
}

int braid_disk_settle(struct braid_disk *disk, u64 size)
{
	int err = 0;

	if (size > disk->sb.data_bytes)
		return -ENOSPC;
	mutex_lock(&disk->meta_lock);
	if (map_of(disk, disk->volume->res->node) || (size && size != disk->sb.volume_bytes) ||
	    disk->sb.flags & (BRAID_SB_SUSPECT | BRAID_SB_INCONSISTENT)) {
		braid_dirty_drop(disk, disk->volume->res->node);
		disk->sb.flags &= ~(BRAID_SB_SUSPECT | BRAID_SB_INCONSISTENT);
		err = mark_gain(disk, size);
		disk->sb.volume_bytes = size ?: disk->sb.volume_bytes;
		err = err ?: braid_meta_write_super(disk);
	}
	mutex_unlock(&disk->meta_lock);
	return err;
}

/* Whatever may differ goes into this node's own map, so that the log is needed no more. */
static int disk_clean(struct braid_disk *disk)
{
	const struct braid_stamp none = {};
	u32 self = disk->volume->res->node, node;
	int err = 0;

	mutex_lock(&disk->meta_lock);
	if (braid_regions_unstable(disk->volume) && !braid_dirty_make(disk, self, &none))
		err = -ENOSPC;
	if (!err)
		braid_regions_fold(disk->volume, disk, BIT(self), false);
	for (node = 0; node < BRAID_MAX_NODES && !err; node++)
		if (map_of(disk, node))
			err = braid_dirty_persist(map_of(disk, node));
	if (!err)
		err = blkdev_issue_flush(disk->data);
	if (!err) {
		disk->sb.flags &= ~(BRAID_SB_IN_USE | BRAID_SB_VOLATILE);
		err = braid_meta_write_super(disk);
	}
	mutex_unlock(&disk->meta_lock);
	return err;
}

static void unlink_holder(struct braid_disk *disk)
{
	lockdep_assert_held(&disk->volume->res->lock);
	if (disk->linked)
		bd_unlink_disk_holder(disk->data, disk->volume->gendisk);
	disk->linked = false;
}

void braid_disk_unlink(struct braid_volume *volume)
{
	struct braid_disk *disk;

	mutex_lock(&volume->res->lock);
	disk = rcu_dereference_protected(volume->disk, lockdep_is_held(&volume->res->lock));
	if (disk)
		unlink_holder(disk);
	mutex_unlock(&volume->res->lock);
}

/* Sleeps until I/O of the disk has ended. */
void braid_disk_detach_now(struct braid_volume *volume, bool clean)
{
	struct braid_resource *res = volume->res;
	struct braid_disk *disk;
	const char *cause;

	mutex_lock(&res->lock);
	disk = rcu_dereference_protected(volume->disk, lockdep_is_held(&res->lock));
	mutex_unlock(&res->lock);
	if (!disk)
		return;
	WRITE_ONCE(disk->failed, true);
	braid_disk_put(disk);
	wait_for_completion(&disk->released);
	/* Without references nobody queues it again. */
	if (cancel_work_sync(&disk->fail_work))
		braid_volume_put(volume);
	cause = disk->cause ?: "detached";
	if (clean && disk_clean(disk)) {
		cause = "detached, but its metadata could not be written";
		braid_warn(res, "volume %u: metadata could not be written\n", volume->number);
	}

	mutex_lock(&res->lock);
	RCU_INIT_POINTER(volume->disk, NULL);
	mutex_unlock(&res->lock);
	synchronize_rcu();
	braid_regions_reset_log(volume);
	mutex_lock(&res->lock);
	unlink_holder(disk);
	new_instance(res);
	set_state(volume, BRAID_DISK_STATE_DISKLESS, cause, 0);
	mutex_unlock(&res->lock);
	disk_free(disk);
	braid_service_update(res);
	braid_peers_update(res);
	braid_peers_announce(res);
	wake_up_all(&res->wait);
}

struct detach {
	struct work_struct work;
	struct braid_volume *volume;
	bool clean;
};

static void detach_work(struct work_struct *work)
{
	struct detach *detach = container_of(work, struct detach, work);

	braid_disk_detach_now(detach->volume, detach->clean);
	braid_volume_put(detach->volume);
	kfree(detach);
}

/* Not under the resource's lock. Process context. */
int braid_disk_detach(struct braid_volume *volume, const char *cause, bool clean)
{
	struct braid_resource *res = volume->res;
	struct braid_disk *disk;
	struct detach *detach = kzalloc(sizeof(*detach), GFP_NOIO | __GFP_NOFAIL);
	int err = 0;

	mutex_lock(&res->lock);
	disk = rcu_dereference_protected(volume->disk, lockdep_is_held(&res->lock));
	if (!disk || volume->disk_state != BRAID_DISK_STATE_ATTACHED) {
		err = disk ? -EALREADY : -ENODEV;
	} else {
		WRITE_ONCE(disk->failed, true);
		set_state(volume, clean ? BRAID_DISK_STATE_DETACHING : BRAID_DISK_STATE_FAILED,
			  cause, 0);
		detach->clean = clean;
		detach->volume = volume;
		braid_volume_get(volume);
		INIT_WORK(&detach->work, detach_work);
		queue_work(res->wq, &detach->work);
	}
	mutex_unlock(&res->lock);
	if (err) {
		kfree(detach);
		return err;
	}
	braid_sync_check(res, res->node);
	braid_service_update(res);
	braid_peers_announce(res);
	return 0;
}
