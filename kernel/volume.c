// SPDX-License-Identifier: GPL-2.0
#include "volume.h"
#include "compat/block.h"
#include "disk.h"
#include "event.h"
#include "object_log.h"
#include "region.h"
#include "request.h"

#include <linux/module.h>
#include <linux/slab.h>

/* Regions that may be active at once. Fewer than the log has slots, whatever its size. */
#define ACTIVE_REGIONS	1008

static int major;

/* Minors in use, by namespaces of all kinds: devices and their names are the host's. */
static DEFINE_XARRAY(minors);

static bool may_open(struct braid_volume *volume)
{
	struct braid_resource *res = volume->res;

	return (braid_is_serving(res) || braid_migrate_may_open(res)) &&
	       !READ_ONCE(res->draining) && !READ_ONCE(volume->dying);
}

/* Returns whether it was the last one. */
static bool close_once(struct braid_volume *volume)
{
	bool last;

	spin_lock(&volume->open_lock);
	last = !--volume->opens;
	spin_unlock(&volume->open_lock);
	return last;
}

static bool try_open(struct braid_volume *volume)
{
	spin_lock(&volume->open_lock);
	volume->opens++;
	spin_unlock(&volume->open_lock);
	/* Demotion sets @draining first and counts then. */
	smp_mb();
	if (may_open(volume))
		return true;
	close_once(volume);
	return false;
}

/*
 * Userland is told that somebody waits, and makes this node the writer or refuses. The caller
 * holds the device's open_mutex: others that open or close it wait, too, and so would its removal,
 * for which @dying ends this.
 */
static bool wait_to_open(struct braid_volume *volume)
{
	struct braid_resource *res = volume->res;
	u64 refusals = READ_ONCE(res->open_refusals);
	u32 wait_ms = READ_ONCE(res->open_wait_ms);
	bool opened;

	if (!wait_ms || READ_ONCE(volume->dying))
		return false;
	atomic_inc(&volume->waiting_opens);
	braid_event_simple(res, BRAID_EVENT_KIND_OPEN, .volume = &volume->number,
			   .cause = "a program waits to open it for writing");
	wait_event_killable_timeout(res->wait,
				    may_open(volume) || READ_ONCE(volume->dying) ||
				    READ_ONCE(res->open_refusals) != refusals,
				    msecs_to_jiffies(wait_ms));
	opened = try_open(volume);
	/* It counts as open first: whoever sees neither may demote this node. */
	smp_mb__before_atomic();
	atomic_dec(&volume->waiting_opens);
	if (!opened)
		braid_event_simple(res, BRAID_EVENT_KIND_OPEN, .volume = &volume->number,
				   .cause = "who waited to open it was refused, or gave up");
	return opened;
}

int braid_volume_open(void *private_data, bool write)
{
	struct braid_volume *volume = private_data;

	if (try_open(volume))
		return 0;
	if (!write)
		return -EMEDIUMTYPE;
	return wait_to_open(volume) ? 0 : -EROFS;
}

void braid_volume_release(void *private_data)
{
	struct braid_volume *volume = private_data;

	/* Where opening makes this node the writer, closing may end that. */
	if (close_once(volume) && READ_ONCE(volume->res->open_wait_ms))
		braid_event_simple(volume->res, BRAID_EVENT_KIND_OPEN, .volume = &volume->number,
				   .cause = "it is not open any more");
}

static void volume_submit(struct bio *bio)
{
	braid_request_submit(bio->bi_bdev->bd_disk->private_data, bio);
}

static void volume_free_disk(struct gendisk *gendisk)
{
	braid_volume_put(gendisk->private_data);
}

static const struct block_device_operations volume_ops = {
	.owner = THIS_MODULE,
	.open = compat_open,
	.release = compat_release,
	.submit_bio = volume_submit,
	.free_disk = volume_free_disk,
};

void braid_volume_get(struct braid_volume *volume)
{
	refcount_inc(&volume->refs);
}

void braid_volume_put(struct braid_volume *volume)
{
	if (!refcount_dec_and_test(&volume->refs))
		return;
	braid_log_destroyed("volume", "%p", volume);
	/* Also from the end of I/O, where neither this nor the resource's end may sleep. */
	queue_work(braid_wq, &volume->free_work);
}

static void free_work(struct work_struct *work)
{
	struct braid_volume *volume = container_of(work, struct braid_volume, free_work);
	struct braid_resource *res = volume->res;

	braid_regions_free(volume->regions);
	kfree(volume);
	braid_resource_put(res);
}

struct braid_volume *braid_volume_find(struct braid_resource *res, u32 number)
{
	struct braid_volume *volume;

	rcu_read_lock();
	volume = xa_load(&res->volumes, number);
	if (volume && !refcount_inc_not_zero(&volume->refs))
		volume = NULL;
	rcu_read_unlock();
	return volume;
}

struct braid_volume *braid_volume_next(struct braid_resource *res, unsigned long *number)
{
	struct braid_volume *volume;

	rcu_read_lock();
	volume = xa_find(&res->volumes, number, ULONG_MAX, XA_PRESENT);
	while (volume && !refcount_inc_not_zero(&volume->refs))
		volume = xa_find_after(&res->volumes, number, ULONG_MAX, XA_PRESENT);
	rcu_read_unlock();
	return volume;
}

static void stack(struct queue_limits *limits, const struct braid_volume_state *state)
{
	limits->physical_block_size = max(limits->physical_block_size,
					  clamp(state->physical_block_size, 512u, 65536u));
	limits->discard_granularity = max(limits->discard_granularity,
					  clamp(state->discard_granularity, 512u, 1u << 30));
}

static struct braid_disk *disk_of(struct braid_volume *volume)
{
	return rcu_dereference_protected(volume->disk, lockdep_is_held(&volume->res->lock));
}

static const struct braid_config *config_of(struct braid_resource *res)
{
	const struct braid_adopted *adopted;

	adopted = rcu_dereference_protected(res->config, lockdep_is_held(&res->lock));
	return adopted ? &adopted->c : NULL;
}

u64 braid_replica_bytes(struct braid_volume *volume, u32 node, u64 *stored)
{
	const struct braid_volume_state *state = &volume->remote[node].state;
	struct braid_disk *disk = disk_of(volume);

	*stored = 0;
	if (node == volume->res->node) {
		if (!disk)
			return 0;
		*stored = READ_ONCE(disk->sb.volume_bytes);
		return disk->sb.data_bytes;
	}
	if (!volume->remote[node].known || !(state->flags & BRAID_VOLUME_ATTACHED))
		return 0;
	*stored = state->volume_bytes;
	return state->size;
}

u64 braid_volume_known_size(struct braid_volume *volume)
{
	const struct braid_config *config = config_of(volume->res);
	u64 most = 0;
	u32 node;

	if (braid_is_serving(volume->res))
		return volume->size;
	for (node = 0; node < BRAID_MAX_NODES; node++) {
		const struct braid_remote *remote = &volume->remote[node];

		if (!remote->known || !remote->state.volume_bytes)
			continue;
		if (config && config->writer == node)
			return remote->state.volume_bytes;
		if (!config || config->in_sync >> node & 1)
			most = max(most, remote->state.volume_bytes);
	}
	return most;
}

static u64 present_size(struct braid_volume *volume)
{
	u64 known = braid_volume_known_size(volume), least = 0, bytes, stored;
	u32 node;

	if (known)
		return known;
	for (node = 0; node < BRAID_MAX_NODES; node++) {
		bytes = braid_replica_bytes(volume, node, &stored);
		if (node == volume->res->node && stored)
			return stored;
		if (bytes && (!least || bytes < least))
			least = bytes;
	}
	return least;
}

int braid_volume_decide_size(struct braid_volume *volume, u32 in_sync)
{
	struct braid_resource *res = volume->res;
	u64 least = U64_MAX, agreed = U64_MAX, bytes, stored;
	u32 node;
	int err = 0;

	mutex_lock(&res->lock);
	for (node = 0; node < BRAID_MAX_NODES; node++) {
		bytes = in_sync >> node & 1 ? braid_replica_bytes(volume, node, &stored) : 0;
		if (!bytes)
			continue;
		least = min(least, bytes);
		if (stored)
			agreed = min(agreed, stored);
	}
	if (least == U64_MAX)
		err = -ENODATA;
	else if (agreed == U64_MAX)
		agreed = least;
	else if (least < agreed)
		err = -ENOSPC;
	if (!err) {
		volume->size = agreed;
		braid_volume_limits(volume);
	}
	mutex_unlock(&res->lock);
	if (err == -ENOSPC)
		braid_warn(res, "volume %u: a disk in sync has room for %llu of its %llu bytes\n",
			   volume->number, least, agreed);
	return err;
}

void braid_volume_limits(struct braid_volume *volume)
{
	struct queue_limits limits = { .physical_block_size = 512, .discard_granularity = 4096 };
	struct braid_disk *disk;
	u32 node;

	lockdep_assert_held(&volume->res->lock);
	disk = disk_of(volume);
	if (disk) {
		struct braid_volume_state own = {
			.physical_block_size = bdev_physical_block_size(disk->data),
			.discard_granularity = bdev_discard_granularity(disk->data),
		};

		stack(&limits, &own);
		volume->block_size = disk->sb.block_size;
	}
	for (node = 0; node < BRAID_MAX_NODES; node++) {
		const struct braid_remote *remote = &volume->remote[node];

		if (!remote->known || !(remote->state.flags & BRAID_VOLUME_ATTACHED))
			continue;
		stack(&limits, &remote->state);
		if (!volume->block_size)
			volume->block_size = remote->state.block_size;
	}
	if (!braid_is_writer(volume->res))
		volume->size = present_size(volume) ?: volume->size;
	limits.logical_block_size = volume->block_size ?: 512;
	limits.physical_block_size = roundup_pow_of_two(max(limits.physical_block_size,
							    limits.logical_block_size));
	limits.io_min = limits.physical_block_size;
	limits.max_hw_sectors = BRAID_PAYLOAD_MAX >> SECTOR_SHIFT;
	limits.max_discard_sectors = BRAID_REGION_SIZE >> SECTOR_SHIFT;
	limits.max_write_zeroes_sectors = BRAID_REGION_SIZE >> SECTOR_SHIFT;
	limits.discard_granularity = roundup_pow_of_two(limits.discard_granularity);
	if (compat_set_limits(volume->gendisk, &limits))
		braid_warn(volume->res, "volume %u: limits not accepted\n", volume->number);
	set_capacity_and_notify(volume->gendisk, volume->size >> SECTOR_SHIFT);
}

static void remove_work(struct work_struct *work)
{
	struct braid_volume *volume = container_of(work, struct braid_volume, remove_work);

	braid_volume_remove(volume);
	braid_volume_put(volume);
}

int braid_volume_new(struct braid_resource *res, u32 number, u32 minor)
{
	struct braid_volume *volume = kzalloc(sizeof(*volume), GFP_KERNEL);
	struct gendisk *gendisk;
	int err = -ENOMEM;

	lockdep_assert_held(&res->lock);
	if (!volume)
		return err;
	refcount_set(&volume->refs, 2);	/* the table's and the device's */
	volume->number = number;
	volume->minor = minor;
	volume->generation = 1;
	spin_lock_init(&volume->generation_lock);
	spin_lock_init(&volume->restart_lock);
	spin_lock_init(&volume->open_lock);
	INIT_LIST_HEAD(&volume->restart);
	INIT_LIST_HEAD(&volume->stuck);
	INIT_WORK(&volume->stable_work, braid_stable_work);
	INIT_WORK(&volume->restart_work, braid_restart_work);
	INIT_WORK(&volume->remove_work, remove_work);
	INIT_WORK(&volume->vote_work, braid_vote_work);
	INIT_WORK(&volume->free_work, free_work);
	INIT_DELAYED_WORK(&volume->close_work, braid_close_work);
	volume->res = res;
	volume->regions = braid_regions_new(volume, ACTIVE_REGIONS);
	if (!volume->regions)
		goto err_free;
	err = xa_insert(&minors, minor, volume, GFP_KERNEL);
	if (err)
		goto err_regions;
	gendisk = compat_alloc_disk();
	if (IS_ERR(gendisk)) {
		err = PTR_ERR(gendisk);
		goto err_minor;
	}
	volume->gendisk = gendisk;
	gendisk->major = major;
	gendisk->first_minor = minor;
	gendisk->minors = 1;
	gendisk->flags = GENHD_FL_NO_PART;
	gendisk->fops = &volume_ops;
	gendisk->private_data = volume;
	snprintf(gendisk->disk_name, sizeof(gendisk->disk_name), "braid%u", minor);
	err = xa_insert(&res->volumes, number, volume, GFP_KERNEL);
	if (err)
		goto err_disk;
	refcount_inc(&res->refs);
	err = add_disk(gendisk);
	if (err)
		goto err_insert;
	braid_volume_limits(volume);
	braid_log_created("volume", "%p", volume);
	return 0;

err_insert:
	xa_erase(&res->volumes, number);
	synchronize_rcu();
	braid_resource_put(res);
err_disk:
	/* Not one that was added: nobody else knows the volume yet. */
	gendisk->fops = NULL;
	put_disk(gendisk);
err_minor:
	xa_erase(&minors, minor);
err_regions:
	braid_regions_free(volume->regions);
err_free:
	kfree(volume);
	return err;
}

void braid_volume_del(struct braid_volume *volume)
{
	lockdep_assert_held(&volume->res->lock);
	WRITE_ONCE(volume->dying, true);
	wake_up_all(&volume->res->wait);
	braid_volume_get(volume);
	if (!queue_work(braid_wq, &volume->remove_work))
		braid_volume_put(volume);
}

/* Order: no new I/O, then the end of what is under way, then the disk. */
void braid_volume_remove(struct braid_volume *volume)
{
	struct braid_resource *res = volume->res;
	bool removing;

	/* Once: the volume and its resource may be removed at the same time. */
	mutex_lock(&res->lock);
	removing = volume->removing;
	volume->removing = true;
	mutex_unlock(&res->lock);
	if (removing) {
		wait_event(res->wait, xa_load(&res->volumes, volume->number) != volume);
		return;
	}
	WRITE_ONCE(volume->dying, true);
	wake_up_all(&res->wait);
	if (READ_ONCE(res->dead))
		blk_mark_disk_dead(volume->gendisk);
	braid_disk_unlink(volume);
	del_gendisk(volume->gendisk);
	xa_erase(&minors, volume->minor);
	cancel_delayed_work_sync(&volume->close_work);
	braid_disk_detach_now(volume, true);
	mutex_lock(&res->lock);
	xa_erase(&res->volumes, volume->number);
	mutex_unlock(&res->lock);
	wake_up_all(&res->wait);
	synchronize_rcu();
	cancel_delayed_work_sync(&volume->close_work);
	cancel_work_sync(&volume->stable_work);
	put_disk(volume->gendisk);
	braid_volume_put(volume);
}

int braid_volume_init(void)
{
	major = register_blkdev(0, "braid");
	return major < 0 ? major : 0;
}

void braid_volume_exit(void)
{
	unregister_blkdev(major, "braid");
}
