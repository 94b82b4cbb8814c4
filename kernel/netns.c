// SPDX-License-Identifier: GPL-2.0
#include "netns.h"
#include "object_log.h"
#include "resource.h"

#include <net/net_namespace.h>
#include <net/netns/generic.h>

static unsigned int netns_id __ro_after_init;

/**
 * braid_netns() - the module's state in a network namespace
 * @net: a namespace that the caller keeps alive
 *
 * Context: any, between braid_netns_init() and braid_netns_exit().
 * Return: the state; there is one in each namespace.
 */
struct braid_netns *braid_netns(const struct net *net)
{
	return net_generic(net, netns_id);
}

static int __net_init netns_init(struct net *net)
{
	struct braid_netns *netns = braid_netns(net);

	netns->net = net;
	mutex_init(&netns->lock);
	INIT_LIST_HEAD(&netns->resources);
	init_waitqueue_head(&netns->gone);
	braid_log_created("netns", "%u", net->ns.inum);
	return 0;
}

/*
 * Runs in the worker that takes namespaces down, or in rmmod. No request can be
 * under way: each one's socket keeps its namespace, and rmmod has unregistered
 * the family before. Resources that are left go with the namespace; each of them
 * keeps the module, so that rmmod finds none.
 */
static void __net_exit netns_exit(struct net *net)
{
	struct braid_netns *netns = braid_netns(net);
	struct braid_resource *res;

	mutex_lock(&netns->lock);
	list_for_each_entry(res, &netns->resources, list) {
		mutex_lock(&res->lock);
		if (!res->dead)
			braid_resource_destroy(res);
		mutex_unlock(&res->lock);
	}
	mutex_unlock(&netns->lock);
	wait_event(netns->gone, list_empty_careful(&netns->resources));
	/* The last one that left may still hold it. */
	mutex_lock(&netns->lock);
	mutex_unlock(&netns->lock);
	braid_log_destroyed("netns", "%u", braid_netns(net)->net->ns.inum);
}

static struct pernet_operations netns_ops = {
	.init = netns_init,
	.exit = netns_exit,
	.id = &netns_id,
	.size = sizeof(struct braid_netns),
};

/* Makes the state in all namespaces that exist, and from now on in new ones. */
int braid_netns_init(void)
{
	return register_pernet_subsys(&netns_ops);
}

void braid_netns_exit(void)
{
	unregister_pernet_subsys(&netns_ops);
}
