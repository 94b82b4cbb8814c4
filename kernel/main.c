// SPDX-License-Identifier: GPL-2.0
#include "dirty.h"
#include "fault.h"
#include "netlink.h"
#include "netns.h"
#include "replica.h"
#include "request.h"
#include "resource.h"
#include "stream.h"
#include "test/coverage.h"
#include "volume.h"

#include <linux/module.h>

#define CREATE_TRACE_POINTS
#include "trace.h"

/*
 * The netlink family comes last and goes first: while requests can arrive, all
 * that they touch is there.
 */
static const struct {
	int (*init)(void);
	void (*exit)(void);
} parts[] = {
	{ braid_resource_init, braid_resource_exit },
	{ braid_payload_init, braid_payload_exit },
	{ braid_request_init, braid_request_exit },
	{ braid_replica_init, braid_replica_exit },
	{ braid_stream_init, braid_stream_exit },
	{ braid_volume_init, braid_volume_exit },
	{ braid_fault_init, braid_fault_exit },
	{ braid_netns_init, braid_netns_exit },
	{ braid_netlink_init, braid_netlink_exit },
};

static void exit_parts(unsigned int count)
{
	while (count--)
		parts[count].exit();
}

static int __init braid_init(void)
{
	unsigned int i;
	int err;

	for (i = 0; i < ARRAY_SIZE(parts); i++) {
		err = parts[i].init();
		if (err) {
			exit_parts(i);
			return err;
		}
	}
	return 0;
}

static void __exit braid_exit(void)
{
	exit_parts(ARRAY_SIZE(parts));
	/* Objects freed after a grace period, whose functions are in this module. */
	rcu_barrier();
	braid_coverage_write();
}

module_init(braid_init);
module_exit(braid_exit);

MODULE_DESCRIPTION("Braid: synchronous disk mirroring");
MODULE_AUTHOR("The Braid authors");
MODULE_LICENSE("GPL");
MODULE_VERSION("0.1.0");
