/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _BRAID_NETLINK_H
#define _BRAID_NETLINK_H

int braid_netlink_init(void);
void braid_netlink_exit(void);

#endif /* _BRAID_NETLINK_H */
