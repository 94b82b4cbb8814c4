// SPDX-License-Identifier: GPL-2.0
#include "resource.h"
#include "event.h"
#include "netns.h"
#include "object_log.h"
#include "peer.h"
#include "sync.h"
#include "volume.h"

#include <linux/delay.h>
#include <linux/module.h>
#include <linux/random.h>
#include <linux/slab.h>

#define LEASE_MS_DEFAULT	3000
#define TIMEOUT_MS_DEFAULT	3000
/* Longer than a disk that retries takes to say that it failed. */
#define REQUEST_MS_DEFAULT	30000

/* For the end of resources and volumes: their own workqueues end with them. */
struct workqueue_struct *braid_wq;

int braid_resource_init(void)
{
	braid_wq = alloc_workqueue("braid", WQ_UNBOUND | WQ_MEM_RECLAIM, 0);
	return braid_wq ? 0 : -ENOMEM;
}

void braid_resource_exit(void)
{
	destroy_workqueue(braid_wq);
}

static void free_work(struct work_struct *work)
{
	struct braid_resource *res = container_of(work, struct braid_resource, destroy_work);

	destroy_workqueue(res->wq);
	xa_destroy(&res->volumes);
	braid_log_destroyed("resource", "%p", res);
	if (res->keeps_module)
		module_put(THIS_MODULE);
	kfree_rcu_mightsleep(res);
}

void braid_resource_put(struct braid_resource *res)
{
	if (!refcount_dec_and_test(&res->refs))
		return;
	INIT_WORK(&res->destroy_work, free_work);
	queue_work(braid_wq, &res->destroy_work);
}

/*
 * Peers first, so that no reply of theirs meets a volume that is going; then volumes. Memory stays
 * until the last opener of a device has closed it, which may be later than the namespace's end.
 */
static void destroy_work(struct work_struct *work)
{
	struct braid_resource *res = container_of(work, struct braid_resource, destroy_work);
	struct braid_netns *netns = res->netns;
	struct braid_volume *volume;
	unsigned long number;
	u32 node, tries;

	for (node = 0; node < BRAID_MAX_NODES; node++) {
		struct braid_peer *peer;

		mutex_lock(&res->lock);
		peer = rcu_dereference_protected(res->peers[node], lockdep_is_held(&res->lock));
		RCU_INIT_POINTER(res->peers[node], NULL);
		mutex_unlock(&res->lock);
		if (!peer)
			continue;
		synchronize_rcu();
		braid_peer_remove(peer);
	}
	braid_service_fail(res, "the resource is removed");
	braid_sync_free(res, res->node);
	for (number = 0; (volume = braid_volume_next(res, &number)); number++) {
		braid_volume_remove(volume);
		braid_volume_put(volume);
	}
	braid_config_flush(res);
	braid_event_simple(res, BRAID_EVENT_KIND_RESOURCE, .new = "removed", .cause = "requested");
	/*
	 * Who sees that the resource is gone may unload the module at once, unless a device is
	 * still open. From here on only braid_wq keeps the module's end away: its exit drains it.
	 */
	for (tries = 0; tries < 1000 && refcount_read(&res->refs) > 1; tries++)
		usleep_range(1000, 2000);
	if (refcount_read(&res->refs) == 1) {
		res->keeps_module = false;
		module_put(THIS_MODULE);
	}
	mutex_lock(&netns->lock);
	list_del(&res->list);
	wake_up_all(&netns->gone);
	mutex_unlock(&netns->lock);
	braid_resource_put(res);
}

/* Under the resource's lock. Once. */
void braid_resource_destroy(struct braid_resource *res)
{
	lockdep_assert_held(&res->lock);
	WRITE_ONCE(res->dead, true);
	WRITE_ONCE(res->failing, true);
	wake_up_all(&res->wait);
	INIT_WORK(&res->destroy_work, destroy_work);
	queue_work(braid_wq, &res->destroy_work);
}

static struct braid_resource *find(struct braid_netns *netns, const char *name)
{
	struct braid_resource *res;

	lockdep_assert_held(&netns->lock);
	list_for_each_entry(res, &netns->resources, list)
		if (!strcmp(res->name, name))
			return res;
	return NULL;
}

/* A reference to a resource, which may be on its way out; or NULL. */
struct braid_resource *braid_resource_find(struct braid_netns *netns, const char *name)
{
	struct braid_resource *res;

	mutex_lock(&netns->lock);
	res = find(netns, name);
	if (res && !refcount_inc_not_zero(&res->refs))
		res = NULL;
	mutex_unlock(&netns->lock);
	return res;
}

/* Under the namespace's lock. An ERR_PTR if that fails; -EEXIST: the name is taken. */
struct braid_resource *braid_resource_new(struct braid_netns *netns, const char *name, u32 node)
{
	struct braid_resource *res;

	lockdep_assert_held(&netns->lock);
	if (find(netns, name))
		return ERR_PTR(-EEXIST);
	res = kzalloc(sizeof(*res), GFP_KERNEL);
	if (!res)
		return ERR_PTR(-ENOMEM);
	res->wq = alloc_workqueue("braid/%s", WQ_UNBOUND | WQ_MEM_RECLAIM | WQ_HIGHPRI, 0, name);
	if (!res->wq) {
		kfree(res);
		return ERR_PTR(-ENOMEM);
	}
	refcount_set(&res->refs, 1);
	res->netns = netns;
	res->node = node;
	strscpy(res->name, name, sizeof(res->name));
	mutex_init(&res->lock);
	xa_init(&res->volumes);
	res->lease_ms = LEASE_MS_DEFAULT;
	res->timeout_ms = TIMEOUT_MS_DEFAULT;
	res->request_ms = REQUEST_MS_DEFAULT;
	do {
		res->instance = get_random_u64();
	} while (!res->instance);
	braid_config_init(res);
	__module_get(THIS_MODULE);
	res->keeps_module = true;
	list_add_tail(&res->list, &netns->resources);
	braid_log_created("resource", "%p", res);
	return res;
}

bool braid_resource_open(struct braid_resource *res)
{
	struct braid_volume *volume;
	unsigned long number;
	bool open = false;

	rcu_read_lock();
	xa_for_each(&res->volumes, number, volume)
		open |= READ_ONCE(volume->opens);
	rcu_read_unlock();
	return open;
}
