// SPDX-License-Identifier: GPL-2.0
/*
 * Whether this node serves, which follows from the adopted configuration, the members' readiness
 * and the leases; and how it comes to serve, and ends it.
 */
#include "copy.h"
#include "event.h"
#include "peer.h"
#include "region.h"
#include "request.h"
#include "resource.h"
#include "trace.h"
#include "volume.h"

static u32 missing_members(struct braid_resource *res, const struct braid_config *config)
{
	unsigned long others = (config->in_sync | res->linked) & ~BIT(res->node);
	u32 missing = 0, node;

	for_each_set_bit(node, &others, BRAID_MAX_NODES) {
		struct braid_peer *peer = rcu_dereference(res->peers[node]);

		if (!peer || !READ_ONCE(peer->ready))
			missing |= BIT(node);
	}
	return missing;
}

static const char suspended[] = "suspended by an administrator";

static u32 service_now(struct braid_resource *res, const char **reason)
{
	const struct braid_config *config = braid_config(res);

	lockdep_assert_held(&res->state_lock);
	*reason = "no configuration";
	if (!config)
		return BRAID_SERVICE_SECONDARY;
	if (config->writer != res->node) {
		*reason = "another node is the writer";
		if (!braid_migrate_may_open(res))
			return BRAID_SERVICE_SECONDARY;
		*reason = "a migration comes here, writes wait for the token";
		return BRAID_SERVICE_INCOMING;
	}
	if (res->done_epoch == config->epoch) {
		*reason = "demoted";
		if (res->migration.stage != BRAID_MIGRATION_HANDED_OVER)
			return BRAID_SERVICE_SECONDARY;
		*reason = "a migration's token was handed over";
		return BRAID_SERVICE_OUTGOING;
	}
	*reason = "I/O fails until the node is demoted";
	if (res->failing)
		return BRAID_SERVICE_FAILED;
	*reason = "not told to serve yet";
	if (res->serve_epoch != config->epoch)
		return res->reconciling ? BRAID_SERVICE_RECONCILING : BRAID_SERVICE_PREPARING;
	*reason = "demotion or migration waits for I/O to end";
	if (res->draining)
		return BRAID_SERVICE_DRAINING;
	*reason = "a member in sync is away, or has not adopted the configuration";
	if (missing_members(res, config))
		return BRAID_SERVICE_HELD;
	*reason = "a lease has run out";
	if (!braid_lease_valid(res))
		return BRAID_SERVICE_HELD;
	*reason = suspended;
	if (res->suspended)
		return BRAID_SERVICE_HELD;
	*reason = "all is well";
	return BRAID_SERVICE_SERVING;
}

void braid_service_update(struct braid_resource *res)
{
	u64 now = ktime_get_boottime_ns(), epoch = 0;
	const struct braid_config *config;
	const char *reason;
	bool fail = false;
	u32 old, service;

	spin_lock(&res->state_lock);
	rcu_read_lock();
	config = braid_config(res);
	epoch = config ? config->epoch : 0;
	old = res->service;
	service = service_now(res, &reason);
	rcu_read_unlock();
	WRITE_ONCE(res->service, service);
	res->reason = reason;
	/* What an administrator holds does not fail by policy: its time begins when that ends. */
	if (service != BRAID_SERVICE_HELD || res->suspended)
		res->held_since = 0;
	else if (!res->held_since)
		res->held_since = now;
	else if (res->policy == BRAID_POLICY_IO_ERROR &&
		 now - res->held_since > (u64)res->lease_ms * NSEC_PER_MSEC)
		fail = true;
	spin_unlock(&res->state_lock);
	if (old != service) {
		braid_info(res, "service %s -> %s (%s)\n", braid_service_names[old],
			   braid_service_names[service], reason);
		braid_event_simple(res, BRAID_EVENT_KIND_SERVICE, .epoch = epoch,
				   .old = braid_service_names[old],
				   .new = braid_service_names[service], .cause = reason);
		wake_up_all(&res->wait);
	}
	/* Whoever holds a request looks at the service once more, under this lock. */
	spin_lock(&res->held_lock);
	if (atomic64_read(&res->held_count) || READ_ONCE(res->dropped))
		queue_work(res->wq, &res->release_work);
	spin_unlock(&res->held_lock);
	if (fail)
		braid_service_fail(res, "held for longer than a lease, and the policy is io-error");
}

void braid_unstick_full(struct braid_resource *res)
{
	struct braid_volume *volume;
	unsigned long number;

	for (number = 0; (volume = braid_volume_next(res, &number)); number++) {
		braid_regions_stable(volume);
		braid_volume_put(volume);
	}
}

void braid_unstick_all(struct braid_resource *res, blk_status_t status)
{
	struct braid_volume *volume;
	unsigned long number;

	for (number = 0; (volume = braid_volume_next(res, &number)); number++) {
		braid_request_unstick(volume, status);
		braid_volume_put(volume);
	}
	braid_unstick_full(res);
}

/*
 * Requests that only wait for members that were dropped complete once all that stay have adopted
 * the configuration without them, as the instances that it lists: one that was started anew since
 * its answer may have lost what it answered for (R3a). A dropped member gets nothing before that.
 */
static void release_dropped(struct braid_resource *res)
{
	const struct braid_config *config;
	struct braid_peer *peer;
	u32 mask, node;

	mutex_lock(&res->lock);
	spin_lock(&res->state_lock);
	rcu_read_lock();
	config = braid_config(res);
	/* While one is adopted, who is ready may be that for the one before. */
	mask = res->adopting || (config && missing_members(res, config)) ? 0 : res->dropped;
	rcu_read_unlock();
	WRITE_ONCE(res->dropped, res->dropped & ~mask);
	spin_unlock(&res->state_lock);
	/* Who gets stuck at the own disk looks at @dropped after that. */
	smp_mb();
	for (node = 0; node < BRAID_MAX_NODES; node++) {
		if (!(mask >> node & 1))
			continue;
		if (node == res->node)
			braid_unstick_all(res, BLK_STS_OK);
		peer = braid_peer_find(res, node);
		if (!peer)
			continue;
		braid_peer_cancel(peer, BRAID_STATUS_OK);
		braid_peer_put(peer);
	}
	mutex_unlock(&res->lock);
	if (mask)
		braid_peers_update(res);
}

static void release_work(struct work_struct *work)
{
	struct braid_resource *res = container_of(work, struct braid_resource, release_work);
	struct braid_request *req, *next;
	LIST_HEAD(held);

	release_dropped(res);
	spin_lock(&res->held_lock);
	list_splice_init(&res->held, &held);
	atomic64_set(&res->held_count, 0);
	spin_unlock(&res->held_lock);
	list_for_each_entry_safe(req, next, &held, list) {
		list_del_init(&req->list);
		braid_request_enter(req);
	}
}

/* Calls @fn for all peers, in process context. */
static void each_peer(struct braid_resource *res, void (*fn)(struct braid_peer *peer))
{
	u32 node;

	for (node = 0; node < BRAID_MAX_NODES; node++) {
		struct braid_peer *peer = braid_peer_find(res, node);

		if (!peer)
			continue;
		fn(peer);
		braid_peer_put(peer);
	}
}

static void fail_peer(struct braid_peer *peer)
{
	braid_peer_cancel(peer, BRAID_STATUS_IO);
}

void braid_service_fail(struct braid_resource *res, const char *reason)
{
	bool was;

	spin_lock(&res->state_lock);
	was = res->failing;
	WRITE_ONCE(res->failing, true);
	WRITE_ONCE(res->suspended, false);
	spin_unlock(&res->state_lock);
	if (!was)
		braid_warn(res, "all I/O fails: %s\n", reason);
	/* Whoever passed the gate before has queued its parts by now. */
	synchronize_rcu();
	each_peer(res, fail_peer);
	braid_unstick_all(res, BLK_STS_IOERR);
	queue_work(res->wq, &res->release_work);
	if (!was)
		braid_service_update(res);
}

/* ---- serving and demotion ---- */

int braid_serve(struct braid_resource *res, u64 epoch, u32 reference)
{
	const struct braid_config *config;
	bool start;
	int err = 0;

	spin_lock(&res->state_lock);
	rcu_read_lock();
	config = braid_config(res);
	if (!config || config->epoch != epoch)
		err = -ESTALE;
	else if (config->writer != res->node || res->done_epoch == epoch)
		err = -EPERM;
	else if (!(config->in_sync >> reference & 1))
		err = -ENXIO;
	else if (res->reconciling || res->failing || res->draining || res->adopting)
		err = -EBUSY;
	rcu_read_unlock();
	start = !err && res->serve_epoch != epoch;
	if (start) {
		res->reconciling = true;
		res->reference = reference;
	}
	spin_unlock(&res->state_lock);
	if (!start)
		return err;
	/* First the state: the work stops when this node is not the writer. */
	braid_service_update(res);
	queue_work(res->wq, &res->reconcile_work);
	return 0;
}

/* What they announced is known then. Also true once another configuration is adopted. */
static bool members_ready(struct braid_resource *res, u64 epoch)
{
	const struct braid_config *config;
	bool ready;

	rcu_read_lock();
	config = braid_config(res);
	ready = !config || config->epoch != epoch || !missing_members(res, config);
	rcu_read_unlock();
	return ready;
}

/* Reads that were made before may have left in the page cache what others have changed since. */
static void drop_caches(struct braid_resource *res)
{
	struct braid_volume *volume;
	unsigned long number;

	wait_event(res->wait, !atomic_read(&res->in_flight) || READ_ONCE(res->failing));
	/* The lock keeps the devices. */
	mutex_lock(&res->lock);
	xa_for_each(&res->volumes, number, volume)
		invalidate_bdev(volume->gendisk->part0);
	mutex_unlock(&res->lock);
}

static void reconcile_work(struct work_struct *work)
{
	struct braid_resource *res = container_of(work, struct braid_resource, reconcile_work);
	const struct braid_config *config;
	u64 epoch;
	int err;

	rcu_read_lock();
	config = braid_config(res);
	epoch = config ? config->epoch : 0;
	rcu_read_unlock();
	wait_event(res->wait, braid_ends(res) || members_ready(res, epoch));
	drop_caches(res);
	err = braid_reconcile(res, res->reference);
	spin_lock(&res->state_lock);
	res->reconciling = false;
	if (!err)
		res->serve_epoch = epoch;
	spin_unlock(&res->state_lock);
	if (err) {
		braid_warn(res, "the replicas could not be made equal: %d\n", err);
		braid_event_simple(res, BRAID_EVENT_KIND_SERVICE, .epoch = epoch, .error = err,
				   .cause = "the replicas could not be made equal");
	} else {
		braid_migrate_served(res);
	}
	braid_service_update(res);
	braid_peers_announce(res);
}

int braid_demote(struct braid_resource *res, bool force)
{
	const struct braid_config *config;
	bool handing_over;
	int err = 0;

	if (force)
		braid_migrate_demoted(res);
	spin_lock(&res->state_lock);
	handing_over = res->migration.stage == BRAID_MIGRATION_DRAINING;
	rcu_read_lock();
	config = braid_config(res);
	if (!config || config->writer != res->node || res->done_epoch == config->epoch)
		err = -EALREADY;
	rcu_read_unlock();
	if (!err) {
		WRITE_ONCE(res->draining, true);
		/* Opening counts first and looks at @draining then. */
		smp_mb();
		if (handing_over || (!force && braid_resource_open(res))) {
			WRITE_ONCE(res->draining, handing_over);
			err = -EBUSY;
		}
	}
	spin_unlock(&res->state_lock);
	if (err)
		return err == -EALREADY ? 0 : err;
	if (force)
		braid_service_fail(res, "demoted by force");
	braid_service_update(res);
	queue_work(res->wq, &res->demote_work);
	return 0;
}

/* All is on all replicas and durable there, as far as nothing failed. */
static void close_generations(struct braid_resource *res, u64 drains)
{
	struct braid_volume *volume;
	unsigned long number;

	for (number = 0; (volume = braid_volume_next(res, &number)); number++) {
		braid_generation_drain(volume, drains);
		braid_volume_put(volume);
	}
}

static void demote_work(struct work_struct *work)
{
	struct braid_resource *res = container_of(work, struct braid_resource, demote_work);
	const struct braid_config *config;
	u64 drains = READ_ONCE(res->drains);
	u32 old;

	wait_event(res->wait, !atomic_read(&res->in_flight) || READ_ONCE(res->drains) != drains);
	if (!READ_ONCE(res->failing))
		close_generations(res, drains);
	spin_lock(&res->state_lock);
	if (!res->draining || res->drains != drains || !braid_migrate_hand_over(res, &old)) {
		/* Given up meanwhile; what came after it has a run of its own. */
		spin_unlock(&res->state_lock);
		return;
	}
	rcu_read_lock();
	config = braid_config(res);
	if (config && config->writer == res->node)
		res->done_epoch = config->epoch;
	rcu_read_unlock();
	res->serve_epoch = 0;
	WRITE_ONCE(res->draining, false);
	WRITE_ONCE(res->failing, false);
	WRITE_ONCE(res->suspended, false);
	spin_unlock(&res->state_lock);
	braid_service_update(res);
	braid_peers_announce(res);
	braid_migrate_handed_over(res, old);
}

/* ---- suspension ---- */

static int may_suspend(struct braid_resource *res, bool on)
{
	const struct braid_config *config = braid_config(res);

	lockdep_assert_held(&res->state_lock);
	if (!config || config->writer != res->node || res->done_epoch == config->epoch)
		return -EPERM;
	if (!on)
		return 0;
	/* The target's reads go through this node: they would wait, as would the token. */
	if (res->migration.stage != BRAID_MIGRATION_NONE)
		return -EBUSY;
	return res->failing || res->draining || !braid_is_serving(res) ? -EAGAIN : 0;
}

int braid_suspend(struct braid_resource *res, bool on)
{
	bool changes;
	u32 old;
	int err;

	spin_lock(&res->state_lock);
	rcu_read_lock();
	err = may_suspend(res, on);
	rcu_read_unlock();
	changes = !err && res->suspended != on;
	if (changes)
		WRITE_ONCE(res->suspended, on);
	old = res->service;
	spin_unlock(&res->state_lock);
	if (!changes)
		return err;
	/* Requests are counted first and look at @suspended then; a dump counts them after this. */
	smp_mb();
	braid_service_update(res);
	/* Where it was held, and is, for another reason: no other event tells. */
	if (old == BRAID_SERVICE_HELD && READ_ONCE(res->service) == old)
		braid_event_simple(res, BRAID_EVENT_KIND_SERVICE, .old = braid_service_names[old],
				   .new = braid_service_names[old],
				   .cause = on ? suspended : "resumed by an administrator");
	return 0;
}

void braid_service_init(struct braid_resource *res)
{
	INIT_WORK(&res->release_work, release_work);
	INIT_WORK(&res->demote_work, demote_work);
	INIT_WORK(&res->reconcile_work, reconcile_work);
	INIT_LIST_HEAD(&res->held);
	spin_lock_init(&res->held_lock);
	res->reason = "no configuration";
}
