/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _BRAID_SYNC_H
#define _BRAID_SYNC_H

#include "resource.h"

/* What braid_sync_start() does. */
#define BRAID_SYNC_FULL		1u
#define BRAID_SYNC_COMPARE	2u
#define BRAID_SYNC_VERIFY	4u	/* a verify: braid_verify_start() */

struct braid_dirty;
struct braid_verify;
struct braid_volume;

/*
 * struct braid_sync - a resync of one node's replicas, on the writer; it may be the writer's own;
 *	or a verify of a peer's
 * @node: whose
 * @work: does it
 * @mode: BRAID_SYNC_*
 * @state: enum braid_sync_state; under the resource's lock
 * @instance: of the target; another one is another replica
 * @join_epoch: of the configuration in which its join was announced
 * @max_rate: bytes per second, or 0
 * @verify: what the last verify has found; under the resource's lock
 * @stop: it has to end
 * @ending: the target is being unlinked; under the resource's lock, as @running
 * @paused: by request
 * @total, @left, @same: bytes to look at in all, still to look at, found equal
 * @waits_for: what it waits for now, for people
 * @wait: woken when @stop or @paused changes, or a copy has ended
 * @copies: under way
 * @depth: how many there may be
 */
struct braid_sync {
	struct braid_resource *res;
	u32 node;
	struct work_struct work;
	u32 mode;
	u32 state;
	u64 instance;
	u64 join_epoch;
	u64 max_rate;
	bool running;
	bool ending;
	bool stop;
	bool paused;
	u64 total, left;
	atomic64_t same;
	u64 rate, rate_left;
	ktime_t rate_since;
	const char *waits_for;
	wait_queue_head_t wait;
	atomic_t copies;
	atomic_t error;
	u32 depth;
	u64 best_ns;
	struct braid_verify *verify;
};

/* Under the resource's lock. */
int braid_sync_start(struct braid_resource *res, u32 node, u32 mode, u64 max_rate);
int braid_sync_pause(struct braid_resource *res, u32 node, bool pause);
int braid_sync_join(struct braid_resource *res, u32 node);
/* Whether the join of exactly this replica was announced. */
bool braid_sync_joins(struct braid_resource *res, u32 node, u64 instance);
/* For verify.c: an idle one, made ready; its start; and the work on all ranges of a map. */
struct braid_sync *braid_sync_prepare(struct braid_resource *res, u32 node, u32 mode,
				      u64 max_rate);
void braid_sync_launch(struct braid_sync *sync, u32 state);
int braid_sync_map(struct braid_sync *sync, struct braid_volume *volume, struct braid_dirty *map);
/* Not under it. @verify: ends a verify, and not a resync. */
int braid_sync_stop(struct braid_resource *res, u32 node, bool verify);
/* Something about the node changed: what goes on with it may have to end. Process context. */
void braid_sync_check(struct braid_resource *res, u32 node);
/* Nothing of the node is started again. Process context. */
void braid_sync_free(struct braid_resource *res, u32 node);

#endif /* _BRAID_SYNC_H */
