// SPDX-License-Identifier: GPL-2.0
/*
 * The adopted configuration, what it requires, and the leases.
 */
#include "dirty.h"
#include "disk.h"
#include "event.h"
#include "peer.h"
#include "region.h"
#include "request.h"
#include "resource.h"
#include "copy.h"
#include "sync.h"
#include "trace.h"
#include "volume.h"

#include <linux/slab.h>

u32 braid_required(const struct braid_resource *res, const struct braid_config *config)
{
	/* What was done before a replica was linked, as attaching it, is seen from here on. */
	return config->in_sync | smp_load_acquire(&res->linked);
}

u32 braid_absent(const struct braid_resource *res, const struct braid_config *config)
{
	return config->diskful & ~config->in_sync & ~READ_ONCE(res->linked) & ~BIT(res->node);
}

static struct braid_adopted *adopted(struct braid_resource *res)
{
	/* Only the adopt work and the first attach change it, the latter before any adoption. */
	return rcu_dereference_protected(res->config, true);
}

/* ---- leases (R7) ---- */

bool braid_lease_valid(struct braid_resource *res)
{
	u64 now = ktime_get_boottime_ns();
	const struct braid_config *config;
	unsigned long others;
	bool valid = false;
	u32 node;

	rcu_read_lock();
	config = braid_config(res);
	if (!config)
		goto out;
	others = config->in_sync & ~BIT(res->node);
	for_each_set_bit(node, &others, BRAID_MAX_NODES) {
		struct braid_peer *peer = rcu_dereference(res->peers[node]);

		if (!peer || !braid_peer_lease_holds(peer, config->epoch, now))
			goto out;
	}
	valid = true;
out:
	rcu_read_unlock();
	return valid;
}

u32 braid_lease_grant(struct braid_resource *res, u32 node, const struct braid_ping *ping)
{
	const struct braid_config *config;
	u32 term = 0;

	if (!(ping->flags & BRAID_PING_LEASE))
		return 0;
	spin_lock(&res->state_lock);
	rcu_read_lock();
	config = braid_config(res);
	/* @adopting is set under this lock: no grant follows a look at when the last one ends. */
	if (config && !res->adopting && config->epoch == ping->epoch && config->id == ping->id &&
	    config->writer == node) {
		term = res->lease_ms;
		res->grant_until = ktime_get_boottime_ns() + (u64)term * NSEC_PER_MSEC;
	}
	rcu_read_unlock();
	spin_unlock(&res->state_lock);
	return term;
}

/* ---- adoption ---- */

static bool valid(const struct braid_config *config)
{
	u32 node;

	if (!config->epoch || config->in_sync & ~config->diskful ||
	    config->diskful & ~config->members)
		return false;
	if (config->writer != BRAID_NO_WRITER && !(config->members >> config->writer & 1))
		return false;
	for (node = 0; node < BRAID_MAX_NODES; node++)
		if (config->in_sync >> node & 1 && !config->instance[node])
			return false;
	return true;
}

/*
 * While this node serves, a replica enters in_sync only after the join was announced here (R6b):
 * before that, writes may have completed without it.
 */
static bool joins_unannounced(struct braid_resource *res, const struct braid_config *old,
			      const struct braid_config *new)
{
	unsigned long in_sync = new->in_sync;
	u32 node;

	lockdep_assert_held(&res->lock);
	if (new->writer != res->node || !braid_is_serving(res))
		return false;
	for_each_set_bit(node, &in_sync, BRAID_MAX_NODES)
		if ((!(old->in_sync >> node & 1) || old->instance[node] != new->instance[node]) &&
		    !braid_sync_joins(res, node, new->instance[node]))
			return true;
	return false;
}

/* A writer's requests to a member in sync need somewhere to wait, connected or not. */
static bool lacks_peer(struct braid_resource *res, const struct braid_config *config)
{
	unsigned long others = config->in_sync & ~BIT(res->node);
	u32 node;

	if (config->writer != res->node)
		return false;
	for_each_set_bit(node, &others, BRAID_MAX_NODES)
		if (!rcu_access_pointer(res->peers[node]))
			return true;
	return false;
}

int braid_config_propose(struct braid_resource *res, const struct braid_config *config,
			 bool new_lineage, u64 common)
{
	const struct braid_adopted *current_one, *last;
	struct braid_adopted *next;

	lockdep_assert_held(&res->lock);
	if (!valid(config))
		return -EINVAL;
	current_one = adopted(res);
	last = res->next ?: current_one;
	if (last && memcmp(last->c.lineage, config->lineage, sizeof(config->lineage))) {
		if (!new_lineage)
			return -EKEYREJECTED;
	} else if (last) {
		if (config->epoch == last->c.epoch && config->id == last->c.id)
			return 0;
		if (config->epoch <= last->c.epoch)
			return -ESTALE;
		common = U64_MAX;
	} else if (!new_lineage) {
		return -EKEYREJECTED;
	}
	if (current_one && joins_unannounced(res, &current_one->c, config))
		return -EAGAIN;
	if (lacks_peer(res, config))
		return -ENOENT;
	next = kzalloc(sizeof(*next), GFP_KERNEL);
	if (!next)
		return -ENOMEM;
	next->c = *config;
	/* One that is not adopted in between may have parted earlier. */
	next->common = res->next ? min(common, res->next->common) : common;
	kfree(res->next);
	res->next = next;
	queue_work(res->wq, &res->adopt_work);
	return 0;
}

/* The old writer confirmed that it has stopped for good (R7), or adopted another one itself. */
static bool confirmed(struct braid_resource *res, const struct braid_config *old)
{
	struct braid_peer *peer = braid_peer_find(res, old->writer);
	bool done = false;

	if (!peer)
		return false;
	spin_lock(&peer->lock);
	done = peer->known && !memcmp(peer->remote.lineage, old->lineage, sizeof(old->lineage)) &&
	       (peer->remote.epoch == old->epoch ? peer->remote.flags & BRAID_STATE_DONE :
		peer->remote.epoch > old->epoch && peer->remote.writer != old->writer);
	spin_unlock(&peer->lock);
	braid_peer_put(peer);
	return done;
}

/* A new writer is adopted only when the old one can read no more. */
static void wait_for_grant(struct braid_resource *res, const struct braid_config *old,
			   const struct braid_config *new)
{
	if (!old || new->writer == old->writer || old->writer == res->node)
		return;
	for (;;) {
		u64 now = ktime_get_boottime_ns(), until = READ_ONCE(res->grant_until);

		if (now >= until || READ_ONCE(res->dead))
			return;
		wait_event_timeout(res->wait,
				   confirmed(res, old) || READ_ONCE(res->dead),
				   nsecs_to_jiffies(until - now) + 1);
		if (confirmed(res, old))
			return;
	}
}

/* Its writes do not count any more: they fail, and stay marked where they may be (R5b). */
static void depose(struct braid_resource *res, const struct braid_config *old)
{
	spin_lock(&res->state_lock);
	res->serve_epoch = 0;
	spin_unlock(&res->state_lock);
	if (res->done_epoch == old->epoch)
		return;
	braid_service_fail(res, "another node is the writer");
	wait_event(res->wait, !atomic_read(&res->in_flight));
}

/* Whether unstable writes are of a writer that goes on. */
static bool continues(struct braid_resource *res, const struct braid_config *old,
		      const struct braid_config *new, u64 *instance)
{
	struct braid_peer *peer;
	bool known = false;

	*instance = 0;
	if (new->writer == res->node) {
		*instance = 1;
		known = res->serve_epoch || res->writer_instance == 1;
	} else if (new->writer < BRAID_MAX_NODES) {
		peer = braid_peer_find(res, new->writer);
		if (peer) {
			spin_lock(&peer->lock);
			known = peer->known;
			*instance = peer->remote.instance;
			spin_unlock(&peer->lock);
			braid_peer_put(peer);
		}
	}
	return old && old->writer == new->writer && known && res->writer_instance == *instance;
}

/* Whether this disk, and no other in its place, was in sync together with @node under @old. */
static bool was_in_sync(const struct braid_disk *disk, const struct braid_config *old, u32 node)
{
	return old && old->in_sync >> node & 1 && disk->sb.last.epoch == old->epoch &&
	       disk->sb.last.id == old->id;
}

/*
 * The map of a member that was in sync until now. There may be one of a verify, with what differs
 * besides: it tells all that the member lacks if this disk was in sync, too.
 */
static void drop_member(struct braid_disk *disk, u32 node, const struct braid_stamp *base,
			bool complete)
{
	struct braid_dirty *map = braid_dirty_make(disk, node, base);

	if (map && complete)
		disk->sb.slots[map->slot].base = *base;
}

/*
 * What may differ between the replicas since a crash, or an earlier writer, is on this node's own
 * map until they are reconciled. A member that is dropped before that may lack any of it (R6a).
 */
static int add_own_map(struct braid_disk *disk, u32 dropped)
{
	struct braid_dirty *own, *map;
	u32 node;
	int err = 0;

	own = rcu_dereference_protected(disk->dirty[disk->volume->res->node],
					lockdep_is_held(&disk->meta_lock));
	for (node = 0; own && node < BRAID_MAX_NODES && !err; node++) {
		map = rcu_dereference_protected(disk->dirty[node],
						lockdep_is_held(&disk->meta_lock));
		if (dropped >> node & 1 && map)
			err = braid_dirty_merge(map, own);
	}
	return err;
}

/*
 * When a replica was in sync is known within one lineage: a later epoch than the last one that two
 * have in common says nothing of the new one (R8).
 */
static void leave_lineage(struct braid_stamp *last, const struct braid_adopted *next)
{
	if (last->epoch > next->common)
		memset(last, 0, sizeof(*last));
}

/* The dirty maps of one disk, as the new configuration wants them; and the configuration. */
static int adopt_disk(struct braid_disk *disk, const struct braid_config *old,
		      const struct braid_adopted *next, struct braid_stamp last, bool fold)
{
	const struct braid_config *new = &next->c;
	const struct braid_stamp none = {};
	struct braid_volume *volume = disk->volume;
	u32 self = volume->res->node, dropped, node;
	int err = 0;

	mutex_lock(&disk->meta_lock);
	dropped = (old ? old->in_sync : new->diskful) & new->diskful & ~new->in_sync & ~BIT(self);
	for (node = 0; node < BRAID_MAX_NODES; node++) {
		if (dropped >> node & 1) {
			struct braid_stamp base = none;

			if (old && old->in_sync >> node & 1) {
				base.epoch = old->epoch;
				base.id = old->id;
				base.instance = old->instance[node];
			}
			if (old)
				drop_member(disk, node, &base, was_in_sync(disk, old, node));
		} else if (node != self && (!(new->diskful >> node & 1) ||
					    (new->in_sync >> node & 1 &&
					     new->in_sync >> self & 1 &&
					     !was_in_sync(disk, old, node)))) {
			braid_dirty_drop(disk, node);
		}
	}
	err = add_own_map(disk, dropped);
	if (fold && braid_regions_unstable(volume)) {
		if (!braid_dirty_make(disk, self, &none))
			err = -ENOSPC;
		dropped |= BIT(self);
	}
	braid_regions_fold(volume, disk, dropped, false);
	for (node = 0; node < BRAID_MAX_NODES && !err; node++) {
		struct braid_dirty *dirty = rcu_dereference_protected(disk->dirty[node],
						lockdep_is_held(&disk->meta_lock));

		if (dirty)
			err = braid_dirty_persist(dirty);
	}
	/* Another disk than the one that is in sync keeps its own stamp: it lacks what it lacks. */
	if (!braid_self_in_sync(volume->res, new)) {
		last = disk->sb.last;
		leave_lineage(&last, next);
	}
	if (!err)
		err = braid_meta_store_config(disk, new, &last);
	mutex_unlock(&disk->meta_lock);
	return err;
}

static void adopt_disks(struct braid_resource *res, const struct braid_config *old,
			const struct braid_adopted *next, struct braid_stamp last, bool fold)
{
	struct braid_volume *volume;
	unsigned long number;

	for (number = 0; (volume = braid_volume_next(res, &number)); number++) {
		struct braid_disk *disk = braid_disk_get(volume);

		if (disk && adopt_disk(disk, old, next, last, fold))
			braid_disk_fail(disk, "the configuration cannot be stored");
		if (disk)
			braid_disk_put(disk);
		braid_volume_put(volume);
	}
}

/*
 * Writes that began before the new configuration was seen marked nothing for members that it
 * drops; they are in the unstable map, and so are marked now.
 */
static void fold_again(struct braid_resource *res, u32 dropped, bool fold)
{
	struct braid_volume *volume;
	unsigned long number;

	for (number = 0; (volume = braid_volume_next(res, &number)); number++) {
		struct braid_disk *disk = braid_disk_get(volume);

		braid_regions_fold(volume, disk, dropped, fold);
		if (disk)
			braid_disk_put(disk);
		if (fold)
			braid_generation_reset(volume);
		braid_volume_put(volume);
	}
}

static void stop_peer_io(struct braid_resource *res)
{
	spin_lock(&res->state_lock);
	WRITE_ONCE(res->adopting, true);
	spin_unlock(&res->state_lock);
	/* Requests are counted first and look at @adopting then. */
	smp_mb();
	braid_unstick_full(res);
	wait_event(res->wait, !atomic_read(&res->peer_io));
}

/* In sync under the old configuration, and neither that nor linked under the new one. */
static u32 gone_members(const struct braid_resource *res, const struct braid_config *old,
			const struct braid_config *new)
{
	return old ? old->in_sync & ~new->in_sync & ~res->linked : 0;
}

/* Members that a writer which goes on drops: what waits for them is released later (R3a). */
static u32 dropped_members(const struct braid_resource *res, const struct braid_config *old,
			   const struct braid_config *new)
{
	if (!old || old->writer != res->node || new->writer != res->node)
		return 0;
	return (res->dropped | gone_members(res, old, new)) & ~new->in_sync;
}

static void after_adoption(struct braid_resource *res, const struct braid_config *old,
			   const struct braid_config *new)
{
	u32 node, wait, give_up;

	spin_lock(&res->state_lock);
	WRITE_ONCE(res->linked, res->linked & ~new->in_sync);
	wait = res->dropped;
	give_up = gone_members(res, old, new) & ~wait;
	spin_unlock(&res->state_lock);
	for (node = 0; node < BRAID_MAX_NODES; node++) {
		struct braid_peer *peer = braid_peer_find(res, node);

		if (!peer)
			continue;
		if (give_up >> node & 1)
			braid_peer_cancel(peer, BRAID_STATUS_OK);
		else if (wait >> node & 1)
			braid_peer_cancel_resync(peer);
		braid_sync_check(res, node);
		braid_peer_put(peer);
	}
	braid_sync_check(res, res->node);
	if (!((braid_required(res, new) | wait) >> res->node & 1))
		braid_unstick_all(res, BLK_STS_OK);
}

static void adopt_work(struct work_struct *work)
{
	struct braid_resource *res = container_of(work, struct braid_resource, adopt_work);
	struct braid_adopted *next, *old = adopted(res);
	const struct braid_config *before = old ? &old->c : NULL;
	struct braid_stamp last = res->last;
	bool fold, deposed, again;
	struct braid_volume *volume;
	unsigned long number;
	u64 instance;
	u32 stage;

	mutex_lock(&res->lock);
	next = res->next;
	res->next = NULL;
	mutex_unlock(&res->lock);
	if (!next)
		return;
	stop_peer_io(res);
	wait_for_grant(res, before, &next->c);
	deposed = before && before->writer == res->node && next->c.writer != res->node;
	if (deposed)
		depose(res, before);
	fold = !continues(res, before, &next->c, &instance);
	/*
	 * Listed as what it was before it was attached anew, the replica lacks nothing: no write
	 * completes without that one. Its stamp is the one of its disks.
	 */
	leave_lineage(&last, next);
	if (braid_self_in_sync(res, &next->c)) {
		last.epoch = next->c.epoch;
		last.id = next->c.id;
		last.instance = next->c.instance[res->node];
	}
	adopt_disks(res, before, next, last, fold);

	mutex_lock(&res->lock);
	spin_lock(&res->state_lock);
	res->last = last;
	res->writer_instance = instance;
	if (next->c.writer == res->node && res->serve_epoch)
		res->serve_epoch = next->c.epoch;
	if (deposed)
		WRITE_ONCE(res->failing, false);
	stage = braid_migrate_adopt(res, &next->c);
	/* Whoever sees the configuration, and that it needs a member no more, sees this, too. */
	WRITE_ONCE(res->dropped, dropped_members(res, before, &next->c));
	rcu_assign_pointer(res->config, next);
	spin_unlock(&res->state_lock);
	mutex_unlock(&res->lock);
	synchronize_rcu();
	braid_migrate_adopted(res, stage);
	fold_again(res, (before ? before->in_sync & ~next->c.in_sync : 0) |
			(fold ? BIT(res->node) : 0), fold);
	/* Nobody is released because all are ready before that is for the new configuration. */
	braid_peers_update(res);
	spin_lock(&res->state_lock);
	WRITE_ONCE(res->adopting, false);
	spin_unlock(&res->state_lock);
	after_adoption(res, before, &next->c);
	if (old)
		kfree_rcu(old, rcu);

	trace_braid_adopted(res, &next->c);
	braid_info(res, "configuration %llu adopted: writer %d, in sync 0x%x\n", next->c.epoch,
		   next->c.writer == BRAID_NO_WRITER ? -1 : (int)next->c.writer, next->c.in_sync);
	braid_event_simple(res, BRAID_EVENT_KIND_CONFIG, .epoch = next->c.epoch, .new = "adopted");
	braid_peers_announce(res);
	braid_service_update(res);
	wake_up_all(&res->wait);
	mutex_lock(&res->lock);
	again = res->next;
	xa_for_each(&res->volumes, number, volume)
		braid_volume_limits(volume);
	mutex_unlock(&res->lock);
	if (again)
		queue_work(res->wq, &res->adopt_work);
}

/* What a disk says was adopted before this node stopped. Under the resource's lock. */
void braid_config_restore(struct braid_resource *res, const struct braid_superblock *sb)
{
	struct braid_adopted *restored;

	lockdep_assert_held(&res->lock);
	if (!sb->config.epoch || res->next)
		return;
	restored = kzalloc(sizeof(*restored), GFP_KERNEL);
	if (!restored)
		return;
	restored->c = sb->config;
	spin_lock(&res->state_lock);
	res->last = sb->last;
	/* What was granted before the stop is unknown: a full term. */
	res->grant_until = ktime_get_boottime_ns() + (u64)res->lease_ms * NSEC_PER_MSEC;
	rcu_assign_pointer(res->config, restored);
	spin_unlock(&res->state_lock);
}

void braid_config_init(struct braid_resource *res)
{
	INIT_WORK(&res->adopt_work, adopt_work);
	braid_service_init(res);
	braid_migrate_init(res);
	spin_lock_init(&res->state_lock);
	init_waitqueue_head(&res->wait);
}

void braid_link(struct braid_resource *res, u32 node, bool on)
{
	/* Whose parts are being released is not linked in between. */
	mutex_lock(&res->lock);
	spin_lock(&res->state_lock);
	WRITE_ONCE(res->linked, on ? res->linked | BIT(node) : res->linked & ~BIT(node));
	spin_unlock(&res->state_lock);
	mutex_unlock(&res->lock);
	/* Whoever began with the mask as it was has marked or queued its parts by now. */
	synchronize_rcu();
}

void braid_config_flush(struct braid_resource *res)
{
	struct braid_adopted *config = adopted(res);

	cancel_work_sync(&res->adopt_work);
	cancel_work_sync(&res->reconcile_work);
	cancel_work_sync(&res->demote_work);
	braid_migrate_exit(res);
	cancel_work_sync(&res->release_work);
	RCU_INIT_POINTER(res->config, NULL);
	if (config)
		kfree_rcu(config, rcu);
	kfree(res->next);
	res->next = NULL;
}
