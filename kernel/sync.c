// SPDX-License-Identifier: GPL-2.0
/*
 * The resync, on the writer, of a replica that was away, while it receives all new writes. Each
 * range is locked like a write while it is copied (S1). The replica may be the writer's own.
 */
#include "sync.h"
#include "copy.h"
#include "dirty.h"
#include "disk.h"
#include "event.h"
#include "peer.h"
#include "verify.h"
#include "volume.h"

#include <linux/slab.h>

#define DEPTH_MAX	16
/* Copied ranges whose bits wait for the target's flush. */
#define BATCH		512
#define BATCH_MS	250

static void set_state(struct braid_sync *sync, u32 state, const char *cause)
{
	struct braid_resource *res = sync->res;
	u32 old = sync->state;

	lockdep_assert_held(&res->lock);
	if (old == state)
		return;
	sync->state = state;
	braid_info(res, "node %u: sync %s -> %s (%s)\n", sync->node, braid_sync_names[old],
		   braid_sync_names[state], cause);
	braid_event_simple(res, BRAID_EVENT_KIND_SYNC, .node = &sync->node,
			   .old = braid_sync_names[old], .new = braid_sync_names[state],
			   .cause = cause);
}

static void enter_state(struct braid_sync *sync, u32 state, const char *cause)
{
	mutex_lock(&sync->res->lock);
	if (!sync->stop)
		set_state(sync, state, cause);
	mutex_unlock(&sync->res->lock);
}

/*
 * struct copy - a range that is being copied
 */
struct copy {
	struct work_struct work;
	struct braid_sync *sync;
	struct braid_volume *volume;
	struct braid_range range;
};

/* More at once while it does not take longer; fewer when others have to wait for us. */
static void adapt(struct braid_sync *sync, u64 ns)
{
	u64 best = READ_ONCE(sync->best_ns);
	u32 depth;

	if (!best || ns < best)
		WRITE_ONCE(sync->best_ns, ns);
	else
		WRITE_ONCE(sync->best_ns, best + best / 256);
	/* Copies end at the same time: what one of them adds may be lost, the bounds may not. */
	depth = READ_ONCE(sync->depth);
	if (ns > 2 * best * depth)
		WRITE_ONCE(sync->depth, max(depth - 1, 1u));
	else
		WRITE_ONCE(sync->depth, min_t(u32, depth + 1, DEPTH_MAX));
}

/* From the next source where one cannot read it. */
static int copy_from_any(struct copy *copy, struct braid_range_lock *lock, u64 offset)
{
	struct braid_sync *sync = copy->sync;
	u32 tried = BIT(sync->node);
	int source, err = 0;

	while ((source = braid_find_source(copy->volume, tried)) >= 0) {
		err = braid_copy_locked(copy->volume, source, BIT(sync->node), offset,
					copy->range.bytes, lock->generation,
					sync->mode & BRAID_SYNC_COMPARE ? &sync->same : NULL);
		if (!err)
			return 0;
		tried |= BIT(source);
	}
	return err ?: source;
}

static void copy_work(struct work_struct *work)
{
	struct copy *copy = container_of(work, struct copy, work);
	struct braid_sync *sync = copy->sync;
	struct braid_range *range = &copy->range;
	u64 offset = ((u64)range->region << BRAID_REGION_SHIFT) + range->offset;
	ktime_t start = ktime_get();
	struct braid_range_lock lock;
	int err;

	err = braid_lock_range(&lock, copy->volume, offset, range->bytes,
			       sync->node == sync->res->node);
	if (!err) {
		err = sync->mode & BRAID_SYNC_VERIFY ?
			braid_verify_locked(sync, copy->volume, offset, range->bytes) :
			copy_from_any(copy, &lock, offset);
		braid_unlock_range(&lock);
	}
	if (err)
		atomic_cmpxchg(&sync->error, 0, err);
	adapt(sync, ktime_to_ns(ktime_sub(ktime_get(), start)));
	kfree(copy);
	atomic_dec(&sync->copies);
	wake_up_all(&sync->wait);
}

static bool ends(struct braid_sync *sync)
{
	return READ_ONCE(sync->stop) || atomic_read(&sync->error) || braid_ends(sync->res);
}

/* Keeps to the upper bound, if there is one. */
static void throttle(struct braid_sync *sync, u32 bytes)
{
	u64 rate = READ_ONCE(sync->max_rate);

	if (!rate)
		return;
	sync->waits_for = "the upper bound of its rate";
	wait_event_timeout(sync->wait, ends(sync),
			   max_t(u64, div64_u64((u64)bytes * HZ, rate), 1));
}

static void measure(struct braid_sync *sync, u64 left)
{
	ktime_t now = ktime_get();
	u64 ms = ktime_ms_delta(now, sync->rate_since);

	sync->left = left;
	if (ms < 1000)
		return;
	sync->rate = sync->rate_left > left ? div64_u64((sync->rate_left - left) * 1000, ms) : 0;
	sync->rate_left = left;
	sync->rate_since = now;
}

/* Of a target that is away: one that is verified may be there, and goes on to be written to. */
static void cancel_copies(struct braid_sync *sync)
{
	struct braid_peer *peer = braid_peer_find(sync->res, sync->node);

	if (!peer)
		return;
	if (!READ_ONCE(peer->ready))
		braid_peer_cancel_resync(peer);
	braid_peer_put(peer);
}

static void wait_copies(struct braid_sync *sync, u32 limit)
{
	sync->waits_for = sync->mode & BRAID_SYNC_VERIFY ? "comparisons under way" :
							   "copies under way";
	/* What was queued for the target after it was given up waits for nobody else. */
	while (!wait_event_timeout(sync->wait, (u32)atomic_read(&sync->copies) < limit, HZ / 10))
		if (READ_ONCE(sync->stop))
			cancel_copies(sync);
}

/* The last region of a volume ends where its data does. */
static void clear_range(struct braid_dirty *map, u64 size, const struct braid_range *range)
{
	u64 end = ((u64)range->region << BRAID_REGION_SHIFT) + range->offset + range->bytes;

	braid_dirty_clear(map, range->region, range->offset,
			  end >= size ? BRAID_REGION_SIZE - range->offset : range->bytes);
}

/* Copies a batch of ranges, flushes the target, and only then takes them as clean (R6c). */
static int copy_batch(struct braid_sync *sync, struct braid_volume *volume,
		      struct braid_dirty *map, struct braid_range *batch, u64 *at)
{
	ktime_t end = ktime_add_ms(ktime_get(), BATCH_MS);
	u32 count = 0, i;
	int found = 0;
	bool stopped;

	while (count < BATCH && !ends(sync) && (!count || ktime_before(ktime_get(), end))) {
		struct copy *copy;

		if (READ_ONCE(sync->paused)) {
			sync->waits_for = "sync-resume";
			wait_event(sync->wait, !READ_ONCE(sync->paused) || ends(sync));
			continue;
		}
		found = braid_next_range(map, volume->size, at, &batch[count]);
		if (found <= 0)
			break;
		wait_copies(sync, READ_ONCE(sync->depth));
		throttle(sync, batch[count].bytes);
		copy = kmalloc(sizeof(*copy), GFP_KERNEL | __GFP_NOFAIL);
		copy->sync = sync;
		copy->volume = volume;
		copy->range = batch[count++];
		INIT_WORK(&copy->work, copy_work);
		atomic_inc(&sync->copies);
		queue_work(volume->res->wq, &copy->work);
	}
	wait_copies(sync, 1);
	if (ends(sync))
		return atomic_read(&sync->error) ?: -ECANCELED;
	if (found < 0)
		return found;
	if (!count)
		return 0;
	if (!(sync->mode & BRAID_SYNC_VERIFY)) {
		sync->waits_for = "the target's flush";
		found = braid_execute(volume, BRAID_MSG_FLUSH, 0, 0, BIT(sync->node), 0, NULL);
		if (found)
			return found;
	}
	/*
	 * Not after the target was given up: what it may have lost since is being marked, and must
	 * not be cleared again.
	 */
	mutex_lock(&volume->res->lock);
	stopped = sync->stop;
	for (i = 0; i < count && !stopped; i++)
		clear_range(map, volume->size, &batch[i]);
	mutex_unlock(&volume->res->lock);
	if (stopped)
		return -ECANCELED;
	measure(sync, map->dirty_bytes);
	return count;
}

/* The map to work on: the disk's own, or one for a node without such a disk. */
static struct braid_dirty *work_map(struct braid_sync *sync, struct braid_volume *volume,
				    struct braid_disk *disk, bool *full)
{
	u32 node = sync->node;
	const struct braid_stamp none = {};
	struct braid_dirty *map;
	int err = 0;

	*full = sync->mode & BRAID_SYNC_FULL;
	if (!disk) {
		map = braid_dirty_alone(volume->size);
		return map ?: ERR_PTR(-ENOMEM);
	}
	mutex_lock(&disk->meta_lock);
	if (!braid_dirty_matches(disk, node, sync->instance)) {
		*full = true;
		err = braid_dirty_disown(disk, node);
	}
	map = err ? NULL : braid_dirty_make(disk, node, &none);
	mutex_unlock(&disk->meta_lock);
	if (!map)
		return ERR_PTR(err ?: -ENOSPC);
	return map;
}

/* Adds to the map what this node cannot know by itself. */
static int complete_map(struct braid_sync *sync, struct braid_volume *volume, bool own_disk,
			bool full, struct braid_dirty *map)
{
	int err, source;

	if (!full && !own_disk) {
		/* Writes that the source may not have seen yet have to end before it is asked. */
		braid_generation_drain(volume, 0);
		source = braid_find_source(volume, BIT(sync->node));
		err = source < 0 ? source :
			braid_fetch_marks(volume, source, BRAID_MSG_DIRTY, sync->node,
					  sync->instance, map);
		full = err;
	}
	if (!full && braid_verify_merge(sync, volume, map))
		full = !own_disk;
	if (full)
		braid_dirty_mark_regions(map, 0, map->regions);
	if (sync->node == volume->res->node)
		return braid_own_marks(volume, map);
	return braid_fetch_marks(volume, sync->node, BRAID_MSG_MARKS, 0, 0, map);
}

int braid_sync_map(struct braid_sync *sync, struct braid_volume *volume, struct braid_dirty *map)
{
	struct braid_range *batch = kvmalloc_array(BATCH, sizeof(*batch), GFP_KERNEL);
	int err = batch ? 0 : -ENOMEM;
	u64 at = 0;

	sync->rate_left = map->dirty_bytes;
	sync->rate_since = ktime_get();
	measure(sync, map->dirty_bytes);
	while (!err) {
		int copied = copy_batch(sync, volume, map, batch, &at);

		if (copied < 0)
			err = copied;
		else if (!copied && !at)
			break;
		else if (!copied)
			at = 0;
		if (map->disk && copied > 0 && braid_dirty_persist_all(map->disk))
			err = -EIO;
	}
	kvfree(batch);
	return err;
}

static int sync_volume(struct braid_sync *sync, struct braid_volume *volume)
{
	struct braid_disk *disk = braid_disk_of_writer(volume);
	struct braid_dirty *map;
	bool full;
	int err;

	map = work_map(sync, volume, disk, &full);
	err = PTR_ERR_OR_ZERO(map);
	if (!err) {
		sync->waits_for = "the target's marks";
		err = complete_map(sync, volume, disk, full, map);
	}
	if (!err) {
		sync->total += min(map->dirty_bytes, volume->size);
		enter_state(sync, BRAID_SYNC_STATE_RUNNING, "the ranges to copy are known");
		err = braid_sync_map(sync, volume, map);
	}
	if (!disk && !IS_ERR(map))
		braid_dirty_free(map);
	if (disk)
		braid_disk_put(disk);
	return err;
}

/*
 * From here on the target gets all new writes. One of this node's own says that it is inconsistent
 * before the first of them (P6); a peer sees to that itself.
 */
static int link_target(struct braid_sync *sync)
{
	struct braid_resource *res = sync->res;
	struct braid_volume *volume;
	unsigned long number;
	int err = 0;

	for (number = 0; sync->node == res->node && !err &&
	     (volume = braid_volume_next(res, &number)); number++) {
		struct braid_disk *disk = braid_disk_get(volume);

		err = disk ? braid_disk_set_inconsistent(disk) : -ENODEV;
		if (disk && err)
			braid_disk_fail(disk, "metadata cannot be written");
		if (disk)
			braid_disk_put(disk);
		braid_volume_put(volume);
	}
	if (!err)
		braid_link(res, sync->node, true);
	return err;
}

/*
 * Marks for a target that is linked no more what it may have lost: all that is not stable. What
 * this node's own replica lacks is known to the peers that are in sync, and whoever waits for its
 * disk goes on.
 */
static void unlink_target(struct braid_resource *res, u32 node)
{
	const struct braid_config *config;
	struct braid_volume *volume;
	unsigned long number;
	struct braid_peer *peer;
	bool own;

	braid_link(res, node, false);
	rcu_read_lock();
	config = braid_config(res);
	own = node == res->node && !(config && config->in_sync >> node & 1);
	rcu_read_unlock();
	for (number = 0; (volume = braid_volume_next(res, &number)); number++) {
		struct braid_disk *disk = braid_disk_get(volume);

		if (disk) {
			braid_regions_fold(volume, disk, BIT(node), false);
			braid_disk_put(disk);
		}
		if (own)
			braid_request_unstick(volume, BLK_STS_OK);
		braid_volume_put(volume);
	}
	peer = braid_peer_find(res, node);
	if (peer) {
		braid_peer_cancel(peer, BRAID_STATUS_OK);
		braid_peer_put(peer);
	}
}

/* A peer that is verified is in sync: it stays a target of writes. */
static void let_go(struct braid_sync *sync)
{
	if (sync->mode & BRAID_SYNC_VERIFY)
		cancel_copies(sync);
	else
		unlink_target(sync->res, sync->node);
}

static void sync_end(struct braid_sync *sync, int err)
{
	struct braid_resource *res = sync->res;
	char text[64];

	if (err)
		let_go(sync);
	mutex_lock(&res->lock);
	sync->running = false;
	sync->waits_for = NULL;
	if (sync->mode & BRAID_SYNC_VERIFY)
		set_state(sync, BRAID_SYNC_STATE_NONE,
			  braid_verify_outcome(sync, err, text, sizeof(text)));
	else if (err)
		set_state(sync, BRAID_SYNC_STATE_NONE, sync->stop ? "stopped" : "it failed");
	else if (sync->state != BRAID_SYNC_STATE_NONE)
		set_state(sync, BRAID_SYNC_STATE_DONE, "the target is equal");
	if (!err && !(sync->mode & BRAID_SYNC_VERIFY))
		braid_verify_forget(sync);
	mutex_unlock(&res->lock);
	braid_peers_announce(res);
	wake_up_all(&sync->wait);
	braid_resource_put(res);
}

static void sync_work(struct work_struct *work)
{
	struct braid_sync *sync = container_of(work, struct braid_sync, work);
	struct braid_resource *res = sync->res;
	struct braid_volume *volume;
	bool verify = sync->mode & BRAID_SYNC_VERIFY;
	unsigned long number;
	int err;

	err = verify ? 0 : link_target(sync);
	for (number = 0; !err && (volume = braid_volume_next(res, &number)); number++) {
		err = verify ? braid_verify_volume(sync, volume) : sync_volume(sync, volume);
		braid_volume_put(volume);
	}
	if (!err && !verify)
		enter_state(sync, BRAID_SYNC_STATE_FLUSHING, "all is copied");
	for (number = 0; !err && !verify && (volume = braid_volume_next(res, &number)); number++) {
		err = braid_execute(volume, BRAID_MSG_FLUSH, 0, 0, BIT(sync->node), 0,
				    NULL) ?: braid_settle(volume, sync->node, volume->size);
		braid_volume_put(volume);
	}
	if (!err && ends(sync))
		err = -ECANCELED;
	sync_end(sync, err);
}

/* Whether all of this node's volumes have their disks. */
static bool is_diskful(struct braid_resource *res)
{
	struct braid_volume *volume;
	unsigned long number;

	lockdep_assert_held(&res->lock);
	xa_for_each(&res->volumes, number, volume)
		if (volume->disk_state != BRAID_DISK_STATE_ATTACHED)
			return false;
	return !xa_empty(&res->volumes);
}

/* The instance of the node's replicas, as far as they are there and can be written. 0: none. */
static u64 instance_of(struct braid_resource *res, u32 node)
{
	struct braid_peer *peer;
	u64 instance = 0;

	lockdep_assert_held(&res->lock);
	if (node == res->node)
		return is_diskful(res) ? res->instance : 0;
	peer = rcu_dereference_protected(res->peers[node], lockdep_is_held(&res->lock));
	if (!peer)
		return 0;
	spin_lock(&peer->lock);
	if (peer->known && peer->remote.flags & BRAID_STATE_DISKFUL)
		instance = peer->remote.instance;
	spin_unlock(&peer->lock);
	return instance;
}

/* A volume grows only while nothing is resynced, and the other way round. */
static bool grows(struct braid_resource *res)
{
	struct braid_volume *volume;
	unsigned long number;

	xa_for_each(&res->volumes, number, volume)
		if (volume->growing)
			return true;
	return false;
}

static bool lacks_room(struct braid_resource *res, u32 node)
{
	struct braid_volume *volume;
	unsigned long number;
	u64 stored;

	xa_for_each(&res->volumes, number, volume)
		if (braid_replica_bytes(volume, node, &stored) < volume->size)
			return true;
	return false;
}

static int may_start(struct braid_resource *res, u32 node)
{
	const struct braid_config *config;
	struct braid_peer *peer;
	int err = 0;

	lockdep_assert_held(&res->lock);
	rcu_read_lock();
	config = braid_config(res);
	peer = rcu_dereference(res->peers[node]);
	if (!braid_is_serving(res))
		err = -EPERM;
	else if (config->in_sync >> node & 1)
		err = -EALREADY;
	else if (!(config->diskful >> node & 1))
		err = -ENODEV;
	else if (res->dropped >> node & 1)
		err = -EINPROGRESS;
	else if (node != res->node && !(peer && READ_ONCE(peer->ready)))
		err = -ENOTCONN;
	rcu_read_unlock();
	return err ?: instance_of(res, node) ? 0 : -ENOTCONN;
}

struct braid_sync *braid_sync_prepare(struct braid_resource *res, u32 node, u32 mode,
				      u64 max_rate)
{
	struct braid_sync *sync = res->syncs[node];

	lockdep_assert_held(&res->lock);
	if (grows(res))
		return ERR_PTR(-EAGAIN);
	if (!sync) {
		sync = kzalloc(sizeof(*sync), GFP_KERNEL);
		if (!sync)
			return ERR_PTR(-ENOMEM);
		sync->res = res;
		sync->node = node;
		init_waitqueue_head(&sync->wait);
		INIT_WORK(&sync->work, sync_work);
		res->syncs[node] = sync;
	}
	if (sync->state != BRAID_SYNC_STATE_NONE || sync->running || sync->ending)
		return ERR_PTR(-EBUSY);
	sync->mode = mode;
	sync->max_rate = max_rate;
	sync->stop = false;
	sync->paused = false;
	sync->total = 0;
	sync->left = 0;
	sync->rate = 0;
	sync->depth = 2;
	sync->best_ns = 0;
	atomic64_set(&sync->same, 0);
	atomic_set(&sync->error, 0);
	sync->instance = instance_of(res, node);
	return sync;
}

void braid_sync_launch(struct braid_sync *sync, u32 state)
{
	sync->running = true;
	set_state(sync, state, "requested");
	refcount_inc(&sync->res->refs);
	queue_work(sync->res->wq, &sync->work);
}

int braid_sync_start(struct braid_resource *res, u32 node, u32 mode, u64 max_rate)
{
	struct braid_sync *sync;
	int err;

	lockdep_assert_held(&res->lock);
	err = may_start(res, node);
	if (err)
		return err;
	if (lacks_room(res, node))
		return -ENOSPC;
	sync = braid_sync_prepare(res, node, mode, max_rate);
	if (IS_ERR(sync))
		return PTR_ERR(sync);
	braid_sync_launch(sync, BRAID_SYNC_STATE_LINKING);
	return 0;
}

int braid_sync_pause(struct braid_resource *res, u32 node, bool pause)
{
	struct braid_sync *sync = res->syncs[node];

	lockdep_assert_held(&res->lock);
	if (!sync || sync->state != (pause ? BRAID_SYNC_STATE_RUNNING : BRAID_SYNC_STATE_PAUSED))
		return -EINVAL;
	WRITE_ONCE(sync->paused, pause);
	set_state(sync, pause ? BRAID_SYNC_STATE_PAUSED : BRAID_SYNC_STATE_RUNNING, "requested");
	wake_up_all(&sync->wait);
	return 0;
}

int braid_sync_join(struct braid_resource *res, u32 node)
{
	struct braid_sync *sync = res->syncs[node];
	const struct braid_config *config;

	lockdep_assert_held(&res->lock);
	if (!sync || (sync->state != BRAID_SYNC_STATE_DONE &&
		      sync->state != BRAID_SYNC_STATE_JOINING))
		return -EAGAIN;
	rcu_read_lock();
	config = braid_config(res);
	sync->join_epoch = config ? config->epoch : 0;
	rcu_read_unlock();
	set_state(sync, BRAID_SYNC_STATE_JOINING, "requested");
	return 0;
}

bool braid_sync_joins(struct braid_resource *res, u32 node, u64 instance)
{
	struct braid_sync *sync = res->syncs[node];

	lockdep_assert_held(&res->lock);
	return sync && sync->state == BRAID_SYNC_STATE_JOINING && sync->instance == instance;
}

/*
 * With what was decided to end under the resource's lock, which is released: nobody may have
 * announced a join in between, nor start anew before the target is unlinked.
 */
static void abort_sync(struct braid_sync *sync, const char *cause)
{
	struct braid_resource *res = sync->res;

	lockdep_assert_held(&res->lock);
	sync->stop = true;
	sync->ending = true;
	if (!sync->running)
		set_state(sync, BRAID_SYNC_STATE_NONE, cause);
	refcount_inc(&res->refs);
	mutex_unlock(&res->lock);
	wake_up_all(&sync->wait);
	let_go(sync);
	mutex_lock(&res->lock);
	sync->ending = false;
	wake_up_all(&sync->wait);
	mutex_unlock(&res->lock);
	braid_resource_put(res);
}

int braid_sync_stop(struct braid_resource *res, u32 node, bool verify)
{
	struct braid_sync *sync;
	int err = 0;

	mutex_lock(&res->lock);
	sync = res->syncs[node];
	if (!sync || sync->state == BRAID_SYNC_STATE_NONE ||
	    verify != !!(sync->mode & BRAID_SYNC_VERIFY))
		err = -EALREADY;
	/* A proposed join may be chosen yet: only a later configuration ends it (R6b). */
	else if (sync->state == BRAID_SYNC_STATE_JOINING || sync->ending)
		err = -EBUSY;
	if (err)
		mutex_unlock(&res->lock);
	else
		abort_sync(sync, "requested");
	return err;
}

void braid_sync_check(struct braid_resource *res, u32 node)
{
	const struct braid_config *config;
	struct braid_sync *sync;
	bool in_sync, same, later;

	mutex_lock(&res->lock);
	sync = res->syncs[node];
	if (!sync || sync->state == BRAID_SYNC_STATE_NONE || sync->ending) {
		mutex_unlock(&res->lock);
		return;
	}
	rcu_read_lock();
	config = braid_config(res);
	in_sync = config && config->in_sync >> node & 1;
	later = config && config->epoch > sync->join_epoch;
	rcu_read_unlock();
	/* A proposed join may be chosen until a later round of the writer's own was (R6b). */
	same = braid_is_writer(res) &&
	       (sync->state == BRAID_SYNC_STATE_JOINING ? !later :
							  instance_of(res, node) == sync->instance);
	if (sync->mode & BRAID_SYNC_VERIFY) {
		same = same && in_sync;
	} else if (in_sync) {
		sync->stop = true;
		set_state(sync, BRAID_SYNC_STATE_NONE, "it is in sync");
		same = true;
	}
	if (same)
		mutex_unlock(&res->lock);
	else
		abort_sync(sync, "the target is away, or another one");
}

void braid_sync_free(struct braid_resource *res, u32 node)
{
	struct braid_sync *sync;

	mutex_lock(&res->lock);
	sync = res->syncs[node];
	if (sync)
		sync->stop = true;
	mutex_unlock(&res->lock);
	if (!sync)
		return;
	wake_up_all(&sync->wait);
	wait_event(sync->wait, !READ_ONCE(sync->running) && !READ_ONCE(sync->ending));
	cancel_work_sync(&sync->work);
	mutex_lock(&res->lock);
	braid_verify_forget(sync);
	res->syncs[node] = NULL;
	mutex_unlock(&res->lock);
	kfree(sync);
}
