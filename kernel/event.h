/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _BRAID_EVENT_H
#define _BRAID_EVENT_H

#include "uapi/linux/braid.h"

#include <linux/types.h>

struct braid_resource;

/**
 * struct braid_event - a change to tell of
 * @kind: enum braid_event_kind
 * @volume: number of the volume that it is about, or NULL
 * @node: id of the peer that it is about, or NULL
 * @stream: its stream that it is about, or NULL
 * @old: state before, or NULL
 * @new: state now, or NULL
 * @cause: for people, or NULL
 * @epoch: that it is about, or 0
 * @offset: of a range in bytes
 * @length: of a range; 0 is none
 * @error: a negative errno, or 0
 */
struct braid_event {
	u32 kind;
	const u32 *volume;
	const u32 *node;
	const u32 *stream;
	const char *old;
	const char *new;
	const char *cause;
	u64 epoch;
	u64 offset, length;
	int error;
};

/* Tells all who listen. Process context. */
void braid_event(struct braid_resource *res, const struct braid_event *event);

#define braid_event_simple(res, k, ...) \
	braid_event(res, &(const struct braid_event){ .kind = (k), __VA_ARGS__ })

extern const char *const braid_service_names[];
extern const char *const braid_migration_names[];
extern const char *const braid_disk_names[];
extern const char *const braid_link_names[];
extern const char *const braid_sync_names[];

#endif /* _BRAID_EVENT_H */
