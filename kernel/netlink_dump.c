// SPDX-License-Identifier: GPL-2.0
/* What the dumps tell: all state that a daemon needs to take over after a restart. */
#include "compat/genl.h"
#include "dirty.h"
#include "disk.h"
#include "netlink.h"
#include "netlink_gen.h"
#include "netns.h"
#include "peer.h"
#include "region.h"
#include "resource.h"
#include "stream.h"
#include "sync.h"
#include "verify.h"
#include "volume.h"

#include <net/genetlink.h>
#include <net/sock.h>

/* pre_doit is not called for dumps. */
int braid_nl_dump_start(struct netlink_callback *cb)
{
	if (netlink_capable(cb->skb, CAP_SYS_ADMIN))
		return 0;
	NL_SET_ERR_MSG(cb->extack, "CAP_SYS_ADMIN in the initial user namespace is needed");
	return -EPERM;
}

static int put_nodes(struct sk_buff *msg, const struct braid_config *config)
{
	u32 node;

	for (node = 0; node < BRAID_MAX_NODES; node++) {
		struct nlattr *nest;

		if (!(config->members >> node & 1))
			continue;
		nest = nla_nest_start(msg, BRAID_A_CONFIG_NODE);
		if (!nest || nla_put_u32(msg, BRAID_A_NODE_NODE_ID, node) ||
		    (config->diskful >> node & 1 && nla_put_flag(msg, BRAID_A_NODE_DISKFUL)) ||
		    (config->in_sync >> node & 1 &&
		     (nla_put_flag(msg, BRAID_A_NODE_IN_SYNC) ||
		      braid_put_u64(msg, BRAID_A_NODE_INSTANCE, config->instance[node]))))
			return -EMSGSIZE;
		nla_nest_end(msg, nest);
	}
	return 0;
}

static int put_config(struct sk_buff *msg, struct braid_resource *res)
{
	const struct braid_adopted *adopted;
	const struct braid_config *config;
	struct nlattr *nest;

	adopted = rcu_dereference_protected(res->config, lockdep_is_held(&res->lock));
	if (!adopted)
		return 0;
	config = &adopted->c;
	nest = nla_nest_start(msg, BRAID_A_RESOURCE_CONFIG);
	if (!nest ||
	    nla_put(msg, BRAID_A_CONFIG_LINEAGE, sizeof(config->lineage), config->lineage) ||
	    braid_put_u64(msg, BRAID_A_CONFIG_EPOCH, config->epoch) ||
	    braid_put_u64(msg, BRAID_A_CONFIG_ID, config->id) ||
	    nla_put_u32(msg, BRAID_A_CONFIG_WRITER, config->writer) || put_nodes(msg, config))
		return -EMSGSIZE;
	nla_nest_end(msg, nest);
	return 0;
}

/* What is so of all of this node's replicas that are there. */
static int put_replicas(struct sk_buff *msg, struct braid_resource *res)
{
	struct braid_volume *volume;
	struct braid_stamp last;
	unsigned long number;
	bool suspect = false;

	lockdep_assert_held(&res->lock);
	spin_lock(&res->state_lock);
	last = res->last;
	spin_unlock(&res->state_lock);
	xa_for_each(&res->volumes, number, volume) {
		struct braid_disk *disk = braid_disk_get(volume);

		if (!disk)
			continue;
		suspect |= disk->sb.flags & BRAID_SB_SUSPECT;
		/* As it is announced to peers: another disk than the one that was in sync then. */
		if (memcmp(&disk->sb.last, &last, sizeof(last)))
			memset(&last, 0, sizeof(last));
		braid_disk_put(disk);
	}
	return (suspect && nla_put_flag(msg, BRAID_A_RESOURCE_SUSPECT)) ||
	       braid_put_u64(msg, BRAID_A_RESOURCE_LAST_EPOCH, last.epoch) ? -EMSGSIZE : 0;
}

static int put_migration(struct sk_buff *msg, struct braid_resource *res)
{
	u64 now = ktime_get_boottime_ns(), left;
	struct braid_migrate m;

	spin_lock(&res->state_lock);
	m = res->migration;
	spin_unlock(&res->state_lock);
	if (m.stage == BRAID_MIGRATION_NONE)
		return 0;
	left = m.deadline > now ? div_u64(m.deadline - now, NSEC_PER_MSEC) : 0;
	return nla_put_u32(msg, BRAID_A_RESOURCE_MIGRATION, m.stage) ||
	       nla_put_u32(msg, BRAID_A_RESOURCE_SOURCE, m.from) ||
	       nla_put_u32(msg, BRAID_A_RESOURCE_TARGET, m.to) ||
	       braid_put_u64(msg, BRAID_A_RESOURCE_GRANT, m.grant) ||
	       (left && nla_put_u32(msg, BRAID_A_RESOURCE_DEADLINE_MS, (u32)left)) ? -EMSGSIZE : 0;
}

static int put_resource(struct sk_buff *msg, struct braid_resource *res)
{
	bool done, suspended;

	lockdep_assert_held(&res->lock);
	if (nla_put_string(msg, BRAID_A_RESOURCE_NAME, res->name) ||
	    nla_put_u32(msg, BRAID_A_RESOURCE_NODE_ID, res->node) ||
	    nla_put_u32(msg, BRAID_A_RESOURCE_LEASE_MS, res->lease_ms) ||
	    nla_put_u32(msg, BRAID_A_RESOURCE_TIMEOUT_MS, res->timeout_ms) ||
	    nla_put_u32(msg, BRAID_A_RESOURCE_REQUEST_TIMEOUT_MS, res->request_ms) ||
	    nla_put_u32(msg, BRAID_A_RESOURCE_POLICY, res->policy) ||
	    nla_put_u32(msg, BRAID_A_RESOURCE_OPEN_WAIT_MS, res->open_wait_ms) ||
	    put_config(msg, res) ||
	    braid_put_u64(msg, BRAID_A_RESOURCE_INSTANCE, res->instance) ||
	    nla_put_u32(msg, BRAID_A_RESOURCE_SERVICE, READ_ONCE(res->service)) ||
	    nla_put_string(msg, BRAID_A_RESOURCE_REASON, res->reason) ||
	    ((res->next || READ_ONCE(res->adopting)) &&
	     nla_put_flag(msg, BRAID_A_RESOURCE_ADOPTING)) ||
	    put_replicas(msg, res) ||
	    braid_put_u64(msg, BRAID_A_RESOURCE_HELD, atomic64_read(&res->held_count)) ||
	    braid_put_u64(msg, BRAID_A_RESOURCE_SEQUENCE, atomic64_read(&res->sequence)))
		return -EMSGSIZE;
	spin_lock(&res->state_lock);
	rcu_read_lock();
	done = braid_config(res) && res->done_epoch == braid_config(res)->epoch;
	rcu_read_unlock();
	suspended = res->suspended;
	spin_unlock(&res->state_lock);
	if ((done && nla_put_flag(msg, BRAID_A_RESOURCE_DONE)) ||
	    (suspended && nla_put_flag(msg, BRAID_A_RESOURCE_SUSPENDED)) ||
	    nla_put_u32(msg, BRAID_A_RESOURCE_IN_FLIGHT, atomic_read(&res->in_flight)))
		return -EMSGSIZE;
	return put_migration(msg, res);
}

static int put_stats(struct sk_buff *msg, const struct braid_stats *stats)
{
	u64 latency[BRAID_STAGES][BRAID_BUCKETS];
	struct nlattr *nest;
	u32 i, k;

	for (i = 0; i < BRAID_STAGES; i++)
		for (k = 0; k < BRAID_BUCKETS; k++)
			latency[i][k] = atomic64_read(&stats->latency[i][k]);
	nest = nla_nest_start(msg, BRAID_A_VOLUME_STATS);
	if (!nest || braid_put_u64(msg, BRAID_A_STATS_READS, atomic64_read(&stats->reads)) ||
	    braid_put_u64(msg, BRAID_A_STATS_WRITES, atomic64_read(&stats->writes)) ||
	    braid_put_u64(msg, BRAID_A_STATS_FLUSHES, atomic64_read(&stats->flushes)) ||
	    braid_put_u64(msg, BRAID_A_STATS_READ_BYTES, atomic64_read(&stats->read_bytes)) ||
	    braid_put_u64(msg, BRAID_A_STATS_WRITTEN_BYTES, atomic64_read(&stats->written_bytes)) ||
	    braid_put_u64(msg, BRAID_A_STATS_REMOTE_READS, atomic64_read(&stats->remote_reads)) ||
	    braid_put_u64(msg, BRAID_A_STATS_REPAIRED, atomic64_read(&stats->repaired)) ||
	    braid_put_u64(msg, BRAID_A_STATS_METADATA_WRITES,
			  atomic64_read(&stats->metadata_writes)) ||
	    braid_put_u64(msg, BRAID_A_STATS_LOG_WRITES, atomic64_read(&stats->log_writes)) ||
	    braid_put_u64(msg, BRAID_A_STATS_CONFLICTS, atomic64_read(&stats->conflicts)) ||
	    braid_put_u64(msg, BRAID_A_STATS_PEER_WRITES, atomic64_read(&stats->peer_writes)) ||
	    braid_put_u64(msg, BRAID_A_STATS_PEER_READS, atomic64_read(&stats->peer_reads)) ||
	    nla_put(msg, BRAID_A_STATS_LATENCY, sizeof(latency), latency))
		return -EMSGSIZE;
	nla_nest_end(msg, nest);
	return 0;
}

static u32 waiting_opens(struct braid_volume *volume)
{
	u32 waiting = atomic_read(&volume->waiting_opens);

	/* Who waited is counted as open first. */
	smp_rmb();
	return waiting;
}

static int put_volume(struct sk_buff *msg, struct braid_volume *volume)
{
	struct braid_resource *res = volume->res;
	struct braid_disk *disk = braid_disk_get(volume);
	int err = 0;

	lockdep_assert_held(&res->lock);
	if (nla_put_string(msg, BRAID_A_VOLUME_NAME, res->name) ||
	    nla_put_u32(msg, BRAID_A_VOLUME_VOLUME, volume->number) ||
	    nla_put_u32(msg, BRAID_A_VOLUME_MINOR, volume->minor) ||
	    braid_put_u64(msg, BRAID_A_VOLUME_SIZE, volume->size) ||
	    (volume->block_size &&
	     nla_put_u32(msg, BRAID_A_VOLUME_BLOCK_SIZE, volume->block_size)) ||
	    nla_put_u32(msg, BRAID_A_VOLUME_DISK_STATE, volume->disk_state) ||
	    /* In this order. */
	    nla_put_u32(msg, BRAID_A_VOLUME_WAITING_OPENS, waiting_opens(volume)) ||
	    nla_put_u32(msg, BRAID_A_VOLUME_OPENS, READ_ONCE(volume->opens)) ||
	    nla_put_u32(msg, BRAID_A_VOLUME_ACTIVE_REGIONS, braid_regions_active(volume)) ||
	    braid_put_u64(msg, BRAID_A_VOLUME_GENERATION, READ_ONCE(volume->generation)) ||
	    braid_put_u64(msg, BRAID_A_VOLUME_STABLE, READ_ONCE(volume->stable)) ||
	    nla_put_u32(msg, BRAID_A_VOLUME_IN_FLIGHT,
			READ_ONCE(volume->generation_writes[0]) +
			READ_ONCE(volume->generation_writes[1])) ||
	    put_stats(msg, &volume->stats) ||
	    (disk && (nla_put(msg, BRAID_A_VOLUME_UUID, sizeof(disk->sb.uuid), disk->sb.uuid) ||
		      nla_put_u32(msg, BRAID_A_VOLUME_REPLICA_FLAGS, disk->sb.flags) ||
		      braid_put_u64(msg, BRAID_A_VOLUME_DISK_SIZE, disk->sb.data_bytes))))
		err = -EMSGSIZE;
	if (disk)
		braid_disk_put(disk);
	return err;
}

static int put_sync(struct sk_buff *msg, const struct braid_sync *sync)
{
	const char *waits_for;

	if (!sync)
		return 0;
	waits_for = READ_ONCE(sync->waits_for);
	if (nla_put_u32(msg, BRAID_A_PEER_SYNC_STATE, sync->state) ||
	    braid_put_u64(msg, BRAID_A_PEER_SYNC_TOTAL, sync->total) ||
	    braid_put_u64(msg, BRAID_A_PEER_SYNC_LEFT, sync->left) ||
	    braid_put_u64(msg, BRAID_A_PEER_SYNC_SAME, atomic64_read(&sync->same)) ||
	    braid_put_u64(msg, BRAID_A_PEER_SYNC_RATE, sync->rate) ||
	    (sync->rate && sync->running &&
	     braid_put_u64(msg, BRAID_A_PEER_SYNC_TIME_LEFT,
			   div64_u64(sync->left, sync->rate))) ||
	    (sync->verify && braid_put_u64(msg, BRAID_A_PEER_DIFFERING,
					   READ_ONCE(sync->verify->differing))) ||
	    (waits_for && nla_put_string(msg, BRAID_A_PEER_WAITS_FOR, waits_for)))
		return -EMSGSIZE;
	return 0;
}

static u32 lease_left_ms(const struct braid_peer *peer)
{
	u64 now = ktime_get_boottime_ns(), until = READ_ONCE(peer->lease_until);

	return until > now ? div_u64(until - now, NSEC_PER_MSEC) : 0;
}

static int put_streams(struct sk_buff *msg, struct braid_peer *peer)
{
	int err = 0;
	u32 i;

	spin_lock(&peer->lock);
	for (i = 0; i < BRAID_STREAMS && !err; i++) {
		const struct braid_stream *stream = peer->streams[i];
		struct nlattr *nest;

		if (!stream)
			continue;
		nest = nla_nest_start(msg, BRAID_A_PEER_STREAM);
		if (!nest || nla_put_u32(msg, BRAID_A_STREAM_STREAM_ID, stream->id) ||
		    braid_put_u64(msg, BRAID_A_STREAM_SENT, READ_ONCE(stream->sent_bytes)) ||
		    (stream->tls && nla_put_flag(msg, BRAID_A_STREAM_TLS)) ||
		    (stream->retiring && nla_put_flag(msg, BRAID_A_STREAM_RETIRING)))
			err = -EMSGSIZE;
		else
			nla_nest_end(msg, nest);
	}
	spin_unlock(&peer->lock);
	return err;
}

static int put_peer(struct sk_buff *msg, struct braid_peer *peer)
{
	struct braid_resource *res = peer->res;
	struct braid_state remote;
	bool known;

	lockdep_assert_held(&res->lock);
	spin_lock(&peer->lock);
	remote = peer->remote;
	known = peer->known;
	spin_unlock(&peer->lock);
	if (nla_put_string(msg, BRAID_A_PEER_NAME, res->name) ||
	    nla_put_u32(msg, BRAID_A_PEER_NODE_ID, peer->node) ||
	    nla_put_u32(msg, BRAID_A_PEER_LINK_STATE, peer->state) ||
	    (peer->session && braid_put_u64(msg, BRAID_A_PEER_SESSION, peer->session)) ||
	    nla_put_u32(msg, BRAID_A_PEER_STREAMS, peer->stream_count) ||
	    put_streams(msg, peer) ||
	    nla_put_u32(msg, BRAID_A_PEER_LEASE_MS, lease_left_ms(peer)) ||
	    put_sync(msg, res->syncs[peer->node]))
		return -EMSGSIZE;
	if (!known)
		return 0;
	if (braid_put_u64(msg, BRAID_A_PEER_EPOCH, remote.epoch) ||
	    braid_put_u64(msg, BRAID_A_PEER_CONFIG_ID, remote.id) ||
	    braid_put_u64(msg, BRAID_A_PEER_INSTANCE, remote.instance) ||
	    braid_put_u64(msg, BRAID_A_PEER_LAST_EPOCH, remote.last.epoch) ||
	    (remote.flags & BRAID_STATE_SUSPECT && nla_put_flag(msg, BRAID_A_PEER_SUSPECT)) ||
	    (remote.flags & BRAID_STATE_DONE && nla_put_flag(msg, BRAID_A_PEER_DONE)))
		return -EMSGSIZE;
	return 0;
}

static int put_peer_volume(struct sk_buff *msg, u32 node, struct braid_volume *volume)
{
	const struct braid_remote *remote = &volume->remote[node];
	struct braid_disk *disk = braid_disk_get(volume);
	u64 dirty = disk ? braid_dirty_bytes(disk, node) : 0;

	if (disk)
		braid_disk_put(disk);
	if (nla_put_string(msg, BRAID_A_PEER_NAME, volume->res->name) ||
	    nla_put_u32(msg, BRAID_A_PEER_NODE_ID, node) ||
	    nla_put_u32(msg, BRAID_A_PEER_VOLUME, volume->number) ||
	    braid_put_u64(msg, BRAID_A_PEER_DIRTY, dirty) ||
	    put_sync(msg, volume->res->syncs[node]))
		return -EMSGSIZE;
	if (remote->known &&
	    (braid_put_u64(msg, BRAID_A_PEER_SIZE, remote->state.size) ||
	     (remote->state.flags & BRAID_VOLUME_ATTACHED &&
	      nla_put_flag(msg, BRAID_A_PEER_ATTACHED))))
		return -EMSGSIZE;
	return 0;
}

/*
 * struct dump - where a dump is
 * @skip: objects that earlier messages told of
 * @index: of the next object
 */
struct dump {
	struct sk_buff *skb;
	struct netlink_callback *cb;
	u8 cmd;
	u32 skip, index;
};

static void *dump_begin(struct dump *dump)
{
	return genlmsg_put(dump->skb, NETLINK_CB(dump->cb->skb).portid, dump->cb->nlh->nlmsg_seq,
			   &braid_family, NLM_F_MULTI, dump->cmd);
}

/* Ends a message, or takes it back if it did not fit. */
static int dump_end(struct dump *dump, void *header, int err)
{
	if (err) {
		genlmsg_cancel(dump->skb, header);
		return err;
	}
	genlmsg_end(dump->skb, header);
	dump->index++;
	return 0;
}

static bool dump_skips(struct dump *dump)
{
	if (dump->index >= dump->skip)
		return false;
	dump->index++;
	return true;
}

static int dump_resource(struct dump *dump, struct braid_resource *res)
{
	void *header;

	if (dump_skips(dump))
		return 0;
	header = dump_begin(dump);
	return header ? dump_end(dump, header, put_resource(dump->skb, res)) : -EMSGSIZE;
}

static int dump_volumes(struct dump *dump, struct braid_resource *res)
{
	struct braid_volume *volume;
	unsigned long number;
	int err = 0;

	xa_for_each(&res->volumes, number, volume) {
		void *header;

		if (dump_skips(dump))
			continue;
		header = dump_begin(dump);
		err = header ? dump_end(dump, header, put_volume(dump->skb, volume)) : -EMSGSIZE;
		if (err)
			break;
	}
	return err;
}

/* A node's replicas: a peer's, or this node's own if they are or were resynced. */
static int dump_replicas(struct dump *dump, struct braid_resource *res, u32 node)
{
	struct braid_volume *volume;
	unsigned long number;
	int err = 0;

	xa_for_each(&res->volumes, number, volume) {
		void *header;

		if (dump_skips(dump))
			continue;
		header = dump_begin(dump);
		err = header ? dump_end(dump, header,
					put_peer_volume(dump->skb, node, volume)) : -EMSGSIZE;
		if (err)
			break;
	}
	return err;
}

static int dump_peer(struct dump *dump, struct braid_peer *peer)
{
	void *header;
	int err = 0;

	if (!dump_skips(dump)) {
		header = dump_begin(dump);
		err = header ? dump_end(dump, header, put_peer(dump->skb, peer)) : -EMSGSIZE;
	}
	return err ?: dump_replicas(dump, peer->res, peer->node);
}

static int dump_peers(struct dump *dump, struct braid_resource *res)
{
	int err = 0;
	u32 node;

	for (node = 0; node < BRAID_MAX_NODES && !err; node++) {
		struct braid_peer *peer;

		peer = rcu_dereference_protected(res->peers[node], lockdep_is_held(&res->lock));
		if (peer)
			err = dump_peer(dump, peer);
		else if (node == res->node && res->syncs[node])
			err = dump_replicas(dump, res, node);
	}
	return err;
}

static int dump_difference(struct dump *dump, struct braid_resource *res, u32 node,
			   const struct braid_difference *it)
{
	void *header;
	int err;

	if (dump_skips(dump))
		return 0;
	header = dump_begin(dump);
	if (!header)
		return -EMSGSIZE;
	err = nla_put_string(dump->skb, BRAID_A_PEER_NAME, res->name) ?:
	      nla_put_u32(dump->skb, BRAID_A_PEER_NODE_ID, node) ?:
	      nla_put_u32(dump->skb, BRAID_A_PEER_VOLUME, it->volume) ?:
	      braid_put_u64(dump->skb, BRAID_A_PEER_START, it->start) ?:
	      braid_put_u64(dump->skb, BRAID_A_PEER_STOP, it->end);
	return dump_end(dump, header, err);
}

static int dump_differences(struct dump *dump, struct braid_resource *res)
{
	u32 node, i;
	int err = 0;

	for (node = 0; node < BRAID_MAX_NODES && !err; node++) {
		struct braid_sync *sync = res->syncs[node];

		if (!sync || !sync->verify)
			continue;
		mutex_lock(&sync->verify->lock);
		for (i = 0; i < sync->verify->count && !err; i++)
			err = dump_difference(dump, res, node, &sync->verify->ranges[i]);
		mutex_unlock(&sync->verify->lock);
	}
	return err;
}

static int dump_all(struct sk_buff *skb, struct netlink_callback *cb, u8 cmd, int name_type,
		    int (*fn)(struct dump *dump, struct braid_resource *res))
{
	struct braid_netns *netns = braid_netns(sock_net(skb->sk));
	struct nlattr *name = compat_dump_attrs(cb)[name_type];
	struct dump dump = { .skb = skb, .cb = cb, .cmd = cmd, .skip = cb->args[0] };
	struct braid_resource *res;
	/* Later calls go on with a dump that found it; it may be gone since. */
	bool found = !name || cb->args[1];
	int err = 0;

	mutex_lock(&netns->lock);
	list_for_each_entry(res, &netns->resources, list) {
		if (name && strcmp(nla_data(name), res->name))
			continue;
		found = true;
		mutex_lock(&res->lock);
		err = fn(&dump, res);
		mutex_unlock(&res->lock);
		if (err)
			break;
	}
	mutex_unlock(&netns->lock);
	if (!found) {
		NL_SET_ERR_MSG_ATTR(cb->extack, name,
				    "no such resource in this network namespace");
		return -ENOENT;
	}
	cb->args[0] = dump.index;
	cb->args[1] = true;
	/* What did not fit into this buffer fits into the next, which begins empty. */
	return err && err != -EMSGSIZE ? err : skb->len;
}

int braid_nl_resource_get_dumpit(struct sk_buff *skb, struct netlink_callback *cb)
{
	return dump_all(skb, cb, BRAID_CMD_RESOURCE_GET, BRAID_A_RESOURCE_NAME, dump_resource);
}

int braid_nl_volume_get_dumpit(struct sk_buff *skb, struct netlink_callback *cb)
{
	return dump_all(skb, cb, BRAID_CMD_VOLUME_GET, BRAID_A_VOLUME_NAME, dump_volumes);
}

int braid_nl_peer_get_dumpit(struct sk_buff *skb, struct netlink_callback *cb)
{
	return dump_all(skb, cb, BRAID_CMD_PEER_GET, BRAID_A_PEER_NAME, dump_peers);
}

int braid_nl_verify_get_dumpit(struct sk_buff *skb, struct netlink_callback *cb)
{
	return dump_all(skb, cb, BRAID_CMD_VERIFY_GET, BRAID_A_PEER_NAME, dump_differences);
}

int braid_nl_resource_get_doit(struct sk_buff *skb, struct genl_info *info)
{
	struct nlattr *name = info->attrs[BRAID_A_RESOURCE_NAME];
	struct braid_resource *res;
	struct sk_buff *msg;
	void *header;
	int err;

	if (!name) {
		NL_SET_ERR_ATTR_MISS(info->extack, NULL, BRAID_A_RESOURCE_NAME);
		NL_SET_ERR_MSG(info->extack, "the name of a resource is missing");
		return -EINVAL;
	}
	res = braid_resource_find(braid_netns(genl_info_net(info)), nla_data(name));
	if (!res) {
		NL_SET_ERR_MSG_ATTR(info->extack, name,
				    "no such resource in this network namespace");
		return -ENOENT;
	}
	err = -ENOMEM;
	msg = genlmsg_new(8192, GFP_KERNEL);
	if (!msg)
		goto out;
	err = -EMSGSIZE;
	header = genlmsg_put_reply(msg, info, &braid_family, 0, BRAID_CMD_RESOURCE_GET);
	mutex_lock(&res->lock);
	if (header && !put_resource(msg, res)) {
		genlmsg_end(msg, header);
		err = 0;
	}
	mutex_unlock(&res->lock);
	if (!err)
		err = genlmsg_reply(msg, info);
	else
		nlmsg_free(msg);
out:
	braid_resource_put(res);
	return err;
}
