/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _BRAID_NETNS_H
#define _BRAID_NETNS_H

struct net;

/**
 * struct braid_netns - what the module keeps for one network namespace
 * @net: the namespace; this object lives inside it and holds no reference
 */
struct braid_netns {
	struct net *net;
};

struct braid_netns *braid_netns(const struct net *net);
int braid_netns_init(void);
void braid_netns_exit(void);

#endif /* _BRAID_NETNS_H */
