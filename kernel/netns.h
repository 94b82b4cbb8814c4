/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _BRAID_NETNS_H
#define _BRAID_NETNS_H

#include <linux/list.h>
#include <linux/mutex.h>
#include <linux/wait.h>

struct net;

/**
 * struct braid_netns - what the module keeps for one network namespace
 * @net: the namespace; this object lives inside it and holds no reference
 * @lock: guards @resources
 * @resources: of this namespace
 * @gone: woken when one has left the list
 */
struct braid_netns {
	struct net *net;
	struct mutex lock;		/* guards @resources */
	struct list_head resources;
	wait_queue_head_t gone;
};

struct braid_netns *braid_netns(const struct net *net);
int braid_netns_init(void);
void braid_netns_exit(void);

#endif /* _BRAID_NETNS_H */
