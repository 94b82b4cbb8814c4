/* SPDX-License-Identifier: GPL-2.0 */
/* Do not edit: scripts/gen-netlink wrote this from kernel/spec/braid.yaml. */

#ifndef _BRAID_NETLINK_GEN_H
#define _BRAID_NETLINK_GEN_H

#include <uapi/linux/braid.h>

#include <net/genetlink.h>
#include <net/netlink.h>

/* To be written by hand, once for each operation. */
int braid_nl_module_get_doit(struct sk_buff *skb, struct genl_info *info);
int braid_nl_resource_new_doit(struct sk_buff *skb, struct genl_info *info);
int braid_nl_resource_set_doit(struct sk_buff *skb, struct genl_info *info);
int braid_nl_resource_del_doit(struct sk_buff *skb, struct genl_info *info);
int braid_nl_resource_get_doit(struct sk_buff *skb, struct genl_info *info);
int braid_nl_resource_get_dumpit(struct sk_buff *skb, struct netlink_callback *cb);
int braid_nl_resource_configure_doit(struct sk_buff *skb, struct genl_info *info);
int braid_nl_resource_serve_doit(struct sk_buff *skb, struct genl_info *info);
int braid_nl_resource_demote_doit(struct sk_buff *skb, struct genl_info *info);
int braid_nl_resource_migrate_doit(struct sk_buff *skb, struct genl_info *info);
int braid_nl_migrate_ask_doit(struct sk_buff *skb, struct genl_info *info);
int braid_nl_migrate_end_doit(struct sk_buff *skb, struct genl_info *info);
int braid_nl_volume_new_doit(struct sk_buff *skb, struct genl_info *info);
int braid_nl_volume_del_doit(struct sk_buff *skb, struct genl_info *info);
int braid_nl_volume_get_dumpit(struct sk_buff *skb, struct netlink_callback *cb);
int braid_nl_volume_attach_doit(struct sk_buff *skb, struct genl_info *info);
int braid_nl_volume_resize_doit(struct sk_buff *skb, struct genl_info *info);
int braid_nl_volume_detach_doit(struct sk_buff *skb, struct genl_info *info);
int braid_nl_vote_set_doit(struct sk_buff *skb, struct genl_info *info);
int braid_nl_vote_get_doit(struct sk_buff *skb, struct genl_info *info);
int braid_nl_peer_new_doit(struct sk_buff *skb, struct genl_info *info);
int braid_nl_peer_del_doit(struct sk_buff *skb, struct genl_info *info);
int braid_nl_peer_get_dumpit(struct sk_buff *skb, struct netlink_callback *cb);
int braid_nl_peer_connect_doit(struct sk_buff *skb, struct genl_info *info);
int braid_nl_peer_retire_doit(struct sk_buff *skb, struct genl_info *info);
int braid_nl_peer_disconnect_doit(struct sk_buff *skb, struct genl_info *info);
int braid_nl_sync_start_doit(struct sk_buff *skb, struct genl_info *info);
int braid_nl_sync_set_doit(struct sk_buff *skb, struct genl_info *info);
int braid_nl_sync_pause_doit(struct sk_buff *skb, struct genl_info *info);
int braid_nl_sync_resume_doit(struct sk_buff *skb, struct genl_info *info);
int braid_nl_sync_stop_doit(struct sk_buff *skb, struct genl_info *info);
int braid_nl_sync_join_doit(struct sk_buff *skb, struct genl_info *info);
int braid_nl_verify_start_doit(struct sk_buff *skb, struct genl_info *info);
int braid_nl_verify_stop_doit(struct sk_buff *skb, struct genl_info *info);
int braid_nl_verify_get_dumpit(struct sk_buff *skb, struct netlink_callback *cb);
int braid_nl_resource_suspend_doit(struct sk_buff *skb, struct genl_info *info);
int braid_nl_resource_resume_doit(struct sk_buff *skb, struct genl_info *info);
int braid_nl_resource_refuse_opens_doit(struct sk_buff *skb, struct genl_info *info);

/* pre_doit does not see dumps: this is where their callers are checked. */
int braid_nl_dump_start(struct netlink_callback *cb);

extern const struct genl_ops braid_nl_ops[37];

enum braid_nlgrp {
	BRAID_NLGRP_EVENTS,
};

extern const struct genl_multicast_group braid_nl_mcgrps[1];

#endif /* _BRAID_NETLINK_GEN_H */
