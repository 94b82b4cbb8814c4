// SPDX-License-Identifier: GPL-2.0
#include "netlink.h"
#include "netns.h"

#include <linux/module.h>

/*
 * The netlink family comes last and goes first: while requests can arrive, all
 * that they touch is there.
 */
static int __init braid_init(void)
{
	int err;

	err = braid_netns_init();
	if (err)
		return err;
	err = braid_netlink_init();
	if (err)
		goto err_netlink;
	return 0;

err_netlink:
	braid_netns_exit();
	return err;
}

static void __exit braid_exit(void)
{
	braid_netlink_exit();
	braid_netns_exit();
}

module_init(braid_init);
module_exit(braid_exit);

MODULE_DESCRIPTION("Braid: synchronous disk mirroring");
MODULE_AUTHOR("The Braid authors");
MODULE_LICENSE("GPL");
MODULE_VERSION("0.1.0");
