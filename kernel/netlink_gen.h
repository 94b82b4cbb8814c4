/* SPDX-License-Identifier: GPL-2.0 */
/* Do not edit: scripts/gen-netlink wrote this from kernel/spec/braid.yaml. */

#ifndef _BRAID_NETLINK_GEN_H
#define _BRAID_NETLINK_GEN_H

#include <uapi/linux/braid.h>

#include <net/genetlink.h>
#include <net/netlink.h>

/* To be written by hand, once for each operation. */
int braid_nl_module_get_doit(struct sk_buff *skb, struct genl_info *info);

extern const struct genl_ops braid_nl_ops[1];

#endif /* _BRAID_NETLINK_GEN_H */
