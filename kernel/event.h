/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _BRAID_EVENT_H
#define _BRAID_EVENT_H

#include "uapi/linux/braid.h"

#include <linux/types.h>

struct braid_resource;

/**
 * struct braid_event - a change to tell of
 * @volume, @node: -1 is none
 */
struct braid_event {
	u32 kind;
	int volume;
	int node;
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
	braid_event(res, &(const struct braid_event){ .kind = (k), .volume = -1, .node = -1, \
						       __VA_ARGS__ })

extern const char *const braid_service_names[];
extern const char *const braid_disk_names[];
extern const char *const braid_link_names[];
extern const char *const braid_sync_names[];

#endif /* _BRAID_EVENT_H */
