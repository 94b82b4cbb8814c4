/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Live migration (M1). Userland grants it on the writer, the source, and prepares it on the
 * target. The target's first write asks the source for the token; the source ends its I/O, makes
 * it stable and stops for good in this epoch. Whoever serves next does so in a newer one, that
 * userland decides on: nothing here makes a node a writer.
 */
#ifndef _BRAID_MIGRATE_H
#define _BRAID_MIGRATE_H

#include <linux/types.h>

struct braid_config;
struct braid_data;
struct braid_peer;
struct braid_resource;
struct braid_token;

/**
 * struct braid_migrate - the last migration that this node took part in; under the state lock
 * @stage: enum braid_migration; read without the lock on the I/O path
 * @from: node that was the writer when it was granted
 * @to: node that it goes to
 * @grant: its number, also after its end: it is used once
 * @deadline: until when the token may be handed over, CLOCK_BOOTTIME ns
 */
struct braid_migrate {
	u32 stage;
	u32 from, to;
	u64 grant;
	u64 deadline;
};

int braid_migrate_begin(struct braid_resource *res, u64 epoch, u32 to, u64 grant, u32 ms);
int braid_migrate_ask(struct braid_resource *res, u64 grant);
int braid_migrate_end(struct braid_resource *res, u64 grant);
/* The source is demoted by force: its I/O fails, instead of waiting for what comes next. */
void braid_migrate_demoted(struct braid_resource *res);
/* On the target: a write waits. Process context. */
void braid_migrate_wanted(struct braid_resource *res);
/* On the target: this node serves now. */
void braid_migrate_served(struct braid_resource *res);
/*
 * The bit of the node that a target's READs and FLUSHes go to, and the epoch that they are of. 0 if
 * they may not: with an epoch if they fail. The end of a migration, and of a configuration, waits
 * for the caller's RCU section.
 */
u32 braid_migrate_source(struct braid_resource *res, u64 *epoch);
/* Whether this is a target whose devices may be opened. */
bool braid_migrate_may_open(struct braid_resource *res);
/* What a configuration changes, before it is seen: the stage until now. Under the state lock. */
u32 braid_migrate_adopt(struct braid_resource *res, const struct braid_config *next);
/* What follows from that, when nobody sees the old configuration any more. */
void braid_migrate_adopted(struct braid_resource *res, u32 old);
/*
 * The source's I/O has ended: the token leaves, unless the deadline has passed. @old is for
 * braid_migrate_handed_over(). Under the state lock.
 */
bool braid_migrate_hand_over(struct braid_resource *res, u32 *old);
void braid_migrate_handed_over(struct braid_resource *res, u32 old);
/* Whether a request of a peer is one of the target's, that goes through this node's device. */
bool braid_migrate_takes(struct braid_peer *peer, const struct braid_data *data);
void braid_migrate_message(struct braid_peer *peer, const struct braid_token *token);
/* The peer announced its state. */
void braid_migrate_peer(struct braid_peer *peer);
void braid_migrate_init(struct braid_resource *res);
/* Ends the work for good; the resource is dead. */
void braid_migrate_exit(struct braid_resource *res);

#endif /* _BRAID_MIGRATE_H */
