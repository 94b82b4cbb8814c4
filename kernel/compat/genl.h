/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _BRAID_COMPAT_GENL_H
#define _BRAID_COMPAT_GENL_H

#include <net/genetlink.h>

/* The attributes of the request that a dump answers. */
static inline struct nlattr **compat_dump_attrs(struct netlink_callback *cb)
{
#ifdef COMPAT_HAS_DUMPIT_INFO
	return genl_dumpit_info(cb)->info.attrs;
#else
	return genl_dumpit_info(cb)->attrs;
#endif
}

#endif /* _BRAID_COMPAT_GENL_H */
