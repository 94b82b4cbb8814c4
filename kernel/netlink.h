/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _BRAID_NETLINK_H
#define _BRAID_NETLINK_H

#include <net/genetlink.h>

struct braid_resource;

extern struct genl_family braid_family;

/* Without padding: readers copy it out. */
static inline int braid_put_u64(struct sk_buff *msg, int type, u64 value)
{
	return nla_put(msg, type, sizeof(value), &value);
}

/* Ends an operation with an error that names the attribute at fault. */
static inline int refuse(struct genl_info *info, struct nlattr *attr, int err, const char *message)
{
	if (attr)
		NL_SET_BAD_ATTR(info->extack, attr);
	info->extack->_msg = message;
	return err;
}

static inline int missing(struct genl_info *info, int type, const char *message)
{
	NL_SET_ERR_ATTR_MISS(info->extack, NULL, type);
	info->extack->_msg = message;
	return -EINVAL;
}

/*
 * The resource that attribute @name, of @type, names: locked and referenced. NULL and an error if
 * there is none.
 */
struct braid_resource *braid_nl_resource(struct genl_info *info, struct nlattr *name, int type,
					 int *err);
void braid_nl_resource_put(struct braid_resource *res);

int braid_netlink_init(void);
void braid_netlink_exit(void);

#endif /* _BRAID_NETLINK_H */
