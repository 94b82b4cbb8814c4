/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _BRAID_NETLINK_H
#define _BRAID_NETLINK_H

#include <net/netlink.h>

extern struct genl_family braid_family;

/* Without padding: readers copy it out. */
static inline int braid_put_u64(struct sk_buff *msg, int type, u64 value)
{
	return nla_put(msg, type, sizeof(value), &value);
}

int braid_netlink_init(void);
void braid_netlink_exit(void);

#endif /* _BRAID_NETLINK_H */
