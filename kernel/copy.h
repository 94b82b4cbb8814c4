/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _BRAID_COPY_H
#define _BRAID_COPY_H

#include "peer.h"
#include "request.h"

struct braid_dirty;

/* One copy. Several are under way at once. */
#define BRAID_COPY_BYTES	(256u << 10)

struct braid_range {
	u32 region, offset, bytes;
};

/*
 * struct braid_range_lock - keeps writes of the application out of a range
 */
struct braid_range_lock {
	struct braid_volume *volume;
	struct braid_touch touch;
	struct braid_span span;
	struct braid_wait wait;
	struct braid_disk *disk;
	struct completion done;
	u64 generation;
};

/* Copies for a resource are of no use any more. */
bool braid_ends(struct braid_resource *res);
/*
 * S1: waits until no write to the range is under way, and keeps new ones out; with @local this
 * node's disk may be written, too. -ECANCELED if the resource stops serving. May sleep.
 */
int braid_lock_range(struct braid_range_lock *lock, struct braid_volume *volume, u64 offset,
		     u32 bytes, bool local);
void braid_unlock_range(struct braid_range_lock *lock);
/* One request to some nodes, to its end. @payload stays the caller's. */
int braid_execute(struct braid_volume *volume, u8 type, u64 offset, u32 bytes, u32 targets,
		  u64 generation, struct bio *payload);
/* A node in sync to read from, not of the mask @except: this one if it can. -ENODATA: none. */
int braid_find_source(struct braid_volume *volume, u32 except);
/* Makes a locked range of @targets equal to @source's; adds to @same what was equal already. */
int braid_copy_locked(struct braid_volume *volume, u32 source, u32 targets, u64 offset,
		      u32 bytes, u64 generation, atomic64_t *same);
/*
 * Merges what a peer marks (BRAID_MSG_MARKS), or has marked about the replica @instance of the
 * node @about (DIRTY), into @map. -ERANGE: the peer does not know what that one lacks.
 */
int braid_fetch_marks(struct braid_volume *volume, u32 node, u8 type, u32 about, u64 instance,
		      struct braid_dirty *map);
int braid_own_marks(struct braid_volume *volume, struct braid_dirty *map);
/* The next marked range from *@at on, which moves behind it: 1, 0 at the end, or an error. */
int braid_next_range(struct braid_dirty *map, u64 size, u64 *at, struct braid_range *range);
/* Makes a node forget its marks, and store the volume's size. */
int braid_settle(struct braid_volume *volume, u32 node, u64 size);

/* This node's disk could not read a range that a peer could: rewrites it. Any context. */
void braid_repair(struct braid_volume *volume, u64 offset, u32 bytes);

/* R5: makes all members of in_sync equal to @reference. Process context; may sleep for long. */
int braid_reconcile(struct braid_resource *res, u32 reference);
int braid_fetch_hashes(struct braid_volume *volume, u32 node, u64 offset, u32 bytes, u8 *hashes);
/* A hash of bytes of a payload. */
void braid_payload_hash(struct bio *payload, u32 at, u32 bytes, u8 hash[BRAID_HASH_BYTES]);

#endif /* _BRAID_COPY_H */
