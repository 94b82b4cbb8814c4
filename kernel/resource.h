/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _BRAID_RESOURCE_H
#define _BRAID_RESOURCE_H

#include "core/messages.h"
#include "core/ondisk.h"
#include "migrate.h"
#include "uapi/linux/braid.h"

#include <linux/blk_types.h>
#include <linux/list.h>
#include <linux/mutex.h>
#include <linux/rcupdate.h>
#include <linux/refcount.h>
#include <linux/spinlock.h>
#include <linux/wait.h>
#include <linux/workqueue.h>
#include <linux/xarray.h>

struct braid_netns;
struct braid_peer;
struct braid_sync;

/**
 * struct braid_adopted - a configuration, as readers under RCU see it
 * @c: its values; never change
 * @common: the last epoch that its lineage has in common with the one adopted before it; U64_MAX if
 *	they are the same
 * @rcu: frees it
 */
struct braid_adopted {
	struct braid_config c;
	u64 common;
	struct rcu_head rcu;
};

/*
 * struct braid_resource - a resource on this node
 * @list: in the namespace's list; under the namespace's lock
 * @netns: where it lives
 * @refs: the list's, each peer's, each volume's, each work's
 * @name: of the resource
 * @node: this node's id
 * @lock: orders control: held by netlink handlers and works for a moment, never while one of
 *	them waits for I/O or a peer, and never taken on the path of I/O
 * @volumes: by number; changes under @lock, read under RCU
 * @peers: by node id; as @volumes
 * @syncs: resyncs by node id, this node's own included; under @lock
 * @wq: for what may wait; WQ_MEM_RECLAIM, as I/O may depend on it
 * @config: adopted last, or NULL; changes in the adopt work only, read under RCU
 * @next: to be adopted; under @lock
 * @adopt_work: adopts @next
 * @adopting: I/O of peers is refused, since a configuration is being adopted
 * @peer_io: requests of peers under way, for adoption to wait for (R2a)
 * @wait: woken when @peer_io reaches 0, or a grant ends
 * @state_lock: guards what follows, up to @instance
 * @service: whether I/O is served; read without the lock on the I/O path
 * @serve_epoch: the epoch that userland told to serve, after reconciliation; 0 is none
 * @reference: whose replica counts in reconciliation
 * @reconciling: it has begun and not ended
 * @draining: demotion, or the hand-over of a migration, waits for I/O to end
 * @drains: changes when a draining was given up
 * @failing: all I/O fails until demoted (force, policy, or all replicas lost)
 * @suspended: an administrator holds new I/O, until resumed, demoted or failing; read without the
 *	lock on the I/O path
 * @done_epoch: epoch in which this node was the writer and irrevocably stopped
 * @migration: the last one that this node took part in; @migrate_work does what follows from it
 * @grant_until: end of the last lease granted, to the configuration's writer; CLOCK_BOOTTIME ns
 * @held_since: when service became held, CLOCK_BOOTTIME ns
 * @reason: why service is what it is
 * @instance: of this node's replicas
 * @held: requests that wait for service; under @held_lock
 * @in_flight: requests of the application under way, held ones not included
 * @release_work: starts or fails the held requests
 * @sequence: of the last event
 * @policy: what happens to I/O that cannot complete
 * @open_wait_ms: how long opening for writing waits for this node to become the writer
 * @open_refusals: changes when those that wait are refused; under @lock
 * @dead: being taken down
 * @keeps_module: it holds a reference to the module
 */
struct braid_resource {
	struct list_head list;
	struct braid_netns *netns;
	refcount_t refs;
	char name[BRAID_NAME_MAX + 1];
	u32 node;
	struct mutex lock;		/* see above */
	struct xarray volumes;
	struct braid_peer __rcu *peers[BRAID_MAX_NODES];
	struct braid_sync *syncs[BRAID_MAX_NODES];
	struct workqueue_struct *wq;

	struct braid_adopted __rcu *config;
	struct braid_adopted *next;
	struct work_struct adopt_work;
	bool adopting;
	atomic_t peer_io;
	wait_queue_head_t wait;

	spinlock_t state_lock;		/* see above */
	u32 service;
	u32 linked;			/* not in sync, but they get all new writes */
	u32 dropped;			/* in sync no more; what waits for them waits on (R3a) */
	u64 writer_instance;		/* of the writer, at the last adoption */
	u64 serve_epoch;
	u32 reference;
	bool reconciling;
	bool draining;
	u64 drains;
	bool failing;
	bool suspended;
	u64 done_epoch;
	u64 grant_until;
	u64 held_since;
	const char *reason;
	struct braid_migrate migration;
	u64 instance;
	struct braid_stamp last;

	spinlock_t held_lock;		/* guards @held */
	struct list_head held;
	atomic64_t held_count;
	atomic_t in_flight;
	struct work_struct release_work;
	struct work_struct demote_work;
	struct work_struct reconcile_work;
	struct delayed_work migrate_work;
	struct work_struct destroy_work;

	atomic64_t sequence;
	atomic64_t state_stamp;
	u32 lease_ms;
	u32 timeout_ms;
	u32 request_ms;
	u32 policy;
	u32 open_wait_ms;
	u64 open_refusals;
	bool dead;
	bool keeps_module;
};

struct braid_resource *braid_resource_new(struct braid_netns *netns, const char *name, u32 node);
struct braid_resource *braid_resource_find(struct braid_netns *netns, const char *name);
void braid_resource_put(struct braid_resource *res);
void braid_resource_destroy(struct braid_resource *res);
extern struct workqueue_struct *braid_wq;
bool braid_resource_open(struct braid_resource *res);
int braid_resource_init(void);
void braid_resource_exit(void);

/* config.c: what may be done under the adopted configuration */
int braid_config_propose(struct braid_resource *res, const struct braid_config *config,
			 bool new_lineage, u64 common);
/* A linked replica counts in each write from now on, or no more. Process context. */
void braid_link(struct braid_resource *res, u32 node, bool on);
/* Ends all works of the configuration and forgets it; nothing starts one any more. */
void braid_config_flush(struct braid_resource *res);
void braid_config_init(struct braid_resource *res);
void braid_config_restore(struct braid_resource *res, const struct braid_superblock *sb);
bool braid_lease_valid(struct braid_resource *res);
u32 braid_lease_grant(struct braid_resource *res, u32 node, const struct braid_ping *ping);
/* Members that a write has to complete on. Under rcu_read_lock(). */
u32 braid_required(const struct braid_resource *res, const struct braid_config *config);
/* Diskful members whose dirty maps are kept. Under rcu_read_lock(). */
u32 braid_absent(const struct braid_resource *res, const struct braid_config *config);

/* service.c: whether this node serves */
void braid_service_init(struct braid_resource *res);
void braid_service_update(struct braid_resource *res);
void braid_service_fail(struct braid_resource *res, const char *reason);
/* Who waits for a region looks again at whether it may have one. */
void braid_unstick_full(struct braid_resource *res);
/* As does who waits for the own disk, which counts no more. */
void braid_unstick_all(struct braid_resource *res, blk_status_t status);
int braid_serve(struct braid_resource *res, u64 epoch, u32 reference);
int braid_demote(struct braid_resource *res, bool force);
/* An administrator holds new I/O, or lets it go on. What is under way ends by itself. */
int braid_suspend(struct braid_resource *res, bool on);

static inline const struct braid_config *braid_config(const struct braid_resource *res)
{
	const struct braid_adopted *adopted = rcu_dereference(res->config);

	return adopted ? &adopted->c : NULL;
}

/* Whether this node's own replicas are those that are in sync, and not attached since. */
static inline bool braid_self_in_sync(const struct braid_resource *res,
				      const struct braid_config *config)
{
	return config->in_sync >> res->node & 1 &&
	       config->instance[res->node] == READ_ONCE(res->instance);
}

static inline bool braid_is_serving(const struct braid_resource *res)
{
	u32 service = READ_ONCE(res->service);

	return service == BRAID_SERVICE_SERVING || service == BRAID_SERVICE_HELD;
}

/* Whether this node is the writer and its writes count, those of reconciliation included. */
static inline bool braid_is_writer(const struct braid_resource *res)
{
	u32 service = READ_ONCE(res->service);

	return service >= BRAID_SERVICE_RECONCILING && service <= BRAID_SERVICE_DRAINING;
}

#define braid_info(res, fmt, ...) pr_info("%s: " fmt, (res)->name, ##__VA_ARGS__)
#define braid_warn(res, fmt, ...) pr_warn_ratelimited("%s: " fmt, (res)->name, ##__VA_ARGS__)

#endif /* _BRAID_RESOURCE_H */
