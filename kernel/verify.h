/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _BRAID_VERIFY_H
#define _BRAID_VERIFY_H

#include "copy.h"

struct braid_sync;

/* Differing ranges that are kept; further ones are counted. */
#define BRAID_DIFFERENCES_MAX	1024

struct braid_difference {
	u32 volume;
	u64 start, end;
};

/**
 * struct braid_verify - what a verify of a peer's replicas is about, and what it has found
 * @start: in bytes, of each volume
 * @stop: its end
 * @marked: the disk's map was given marks that are not durable
 * @lock: guards what follows; never held while anybody waits for I/O
 * @differing: bytes, in whole blocks
 * @count: of @ranges, which are sorted and apart from one another
 */
struct braid_verify {
	u64 start, stop;
	bool marked;
	struct mutex lock;		/* see above */
	u64 differing;
	u32 count;
	struct braid_difference ranges[BRAID_DIFFERENCES_MAX];
};

/* Compares the replicas of a peer in sync with another one's. Under the resource's lock. */
int braid_verify_start(struct braid_resource *res, u32 node, u64 start, u64 stop, u64 max_rate);
/* For sync.c: the work; a locked range; and why it ended, for people. */
int braid_verify_volume(struct braid_sync *sync, struct braid_volume *volume);
int braid_verify_locked(struct braid_sync *sync, struct braid_volume *volume, u64 offset,
			u32 bytes);
const char *braid_verify_outcome(struct braid_sync *sync, int err, char *text, size_t size);
/* Adds what was found to the map of a resync. -ERANGE: more than is kept. */
int braid_verify_merge(struct braid_sync *sync, struct braid_volume *volume,
		       struct braid_dirty *map);
/* A resync has dealt with it. */
void braid_verify_forget(struct braid_sync *sync);

#endif /* _BRAID_VERIFY_H */
