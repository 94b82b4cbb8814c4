// SPDX-License-Identifier: GPL-2.0
#include "event.h"
#include "netlink.h"
#include "netlink_gen.h"
#include "netns.h"
#include "resource.h"

#include <net/genetlink.h>

const char *const braid_service_names[] = {
	[BRAID_SERVICE_SECONDARY] = "secondary",
	[BRAID_SERVICE_PREPARING] = "preparing",
	[BRAID_SERVICE_RECONCILING] = "reconciling",
	[BRAID_SERVICE_SERVING] = "serving",
	[BRAID_SERVICE_HELD] = "held",
	[BRAID_SERVICE_DRAINING] = "draining",
	[BRAID_SERVICE_FAILED] = "failed",
	[BRAID_SERVICE_INCOMING] = "incoming",
	[BRAID_SERVICE_OUTGOING] = "outgoing",
};

const char *const braid_migration_names[] = {
	[BRAID_MIGRATION_NONE] = "none",
	[BRAID_MIGRATION_GRANTED] = "granted",
	[BRAID_MIGRATION_DRAINING] = "draining",
	[BRAID_MIGRATION_PREPARED] = "prepared",
	[BRAID_MIGRATION_ASKED] = "asked",
	[BRAID_MIGRATION_HANDED_OVER] = "handed-over",
	[BRAID_MIGRATION_SWAPPED] = "swapped",
};

const char *const braid_disk_names[] = {
	[BRAID_DISK_STATE_DISKLESS] = "diskless",
	[BRAID_DISK_STATE_ATTACHING] = "attaching",
	[BRAID_DISK_STATE_ATTACHED] = "attached",
	[BRAID_DISK_STATE_DETACHING] = "detaching",
	[BRAID_DISK_STATE_FAILED] = "failed",
};

const char *const braid_link_names[] = {
	[BRAID_LINK_STATE_DISCONNECTED] = "disconnected",
	[BRAID_LINK_STATE_GREETING] = "greeting",
	[BRAID_LINK_STATE_CONNECTED] = "connected",
};

const char *const braid_sync_names[] = {
	[BRAID_SYNC_STATE_NONE] = "none",
	[BRAID_SYNC_STATE_LINKING] = "linking",
	[BRAID_SYNC_STATE_RUNNING] = "running",
	[BRAID_SYNC_STATE_PAUSED] = "paused",
	[BRAID_SYNC_STATE_FLUSHING] = "flushing",
	[BRAID_SYNC_STATE_DONE] = "done",
	[BRAID_SYNC_STATE_JOINING] = "joining",
	[BRAID_SYNC_STATE_VERIFYING] = "verifying",
};

static int put_text(struct sk_buff *msg, int type, const char *text)
{
	return text ? nla_put_string(msg, type, text) : 0;
}

static int put_event(struct sk_buff *msg, struct braid_resource *res,
		     const struct braid_event *event)
{
	if (braid_put_u64(msg, BRAID_A_EVENT_SEQUENCE, atomic64_inc_return(&res->sequence)) ||
	    nla_put_u32(msg, BRAID_A_EVENT_KIND, event->kind) ||
	    nla_put_string(msg, BRAID_A_EVENT_NAME, res->name) ||
	    (event->volume && nla_put_u32(msg, BRAID_A_EVENT_VOLUME, *event->volume)) ||
	    (event->node && nla_put_u32(msg, BRAID_A_EVENT_NODE_ID, *event->node)) ||
	    (event->stream && nla_put_u32(msg, BRAID_A_EVENT_STREAM_ID, *event->stream)) ||
	    put_text(msg, BRAID_A_EVENT_OLD, event->old) ||
	    put_text(msg, BRAID_A_EVENT_NEW, event->new) ||
	    put_text(msg, BRAID_A_EVENT_CAUSE, event->cause) ||
	    (event->epoch && braid_put_u64(msg, BRAID_A_EVENT_EPOCH, event->epoch)) ||
	    (event->length &&
	     (braid_put_u64(msg, BRAID_A_EVENT_OFFSET, event->offset) ||
	      braid_put_u64(msg, BRAID_A_EVENT_LENGTH, event->length))) ||
	    (event->error && nla_put_s32(msg, BRAID_A_EVENT_ERROR, event->error)))
		return -EMSGSIZE;
	return 0;
}

/*
 * Nobody may depend on an event: it is lost where memory or a listener's buffer is short, which
 * the sequence shows, and the dumps have all states.
 */
void braid_event(struct braid_resource *res, const struct braid_event *event)
{
	struct sk_buff *msg = genlmsg_new(GENLMSG_DEFAULT_SIZE, GFP_NOIO);
	void *header;

	if (!msg)
		return;
	header = genlmsg_put(msg, 0, 0, &braid_family, 0, BRAID_CMD_EVENT);
	if (!header || put_event(msg, res, event)) {
		nlmsg_free(msg);
		return;
	}
	genlmsg_end(msg, header);
	genlmsg_multicast_netns(&braid_family, res->netns->net, msg, 0, BRAID_NLGRP_EVENTS,
				GFP_NOIO);
}
