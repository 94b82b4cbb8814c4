// SPDX-License-Identifier: GPL-2.0
/* The handlers of the operations on peers and their resyncs: netlink.c. */
#include "netlink.h"
#include "netlink_gen.h"
#include "peer.h"
#include "stream.h"
#include "sync.h"
#include "verify.h"

#include <linux/net.h>

static struct braid_peer *peer_of(struct genl_info *info, int *err)
{
	struct nlattr *node = info->attrs[BRAID_A_PEER_NODE_ID];
	struct braid_resource *res;
	struct braid_peer *peer;

	res = braid_nl_resource(info, info->attrs[BRAID_A_PEER_NAME], BRAID_A_PEER_NAME, err);
	if (!res)
		return NULL;
	if (!node) {
		*err = missing(info, BRAID_A_PEER_NODE_ID, "the node id of a peer is missing");
		goto err_put;
	}
	peer = braid_peer_find(res, nla_get_u32(node));
	if (peer) {
		braid_resource_put(res);	/* the peer keeps it */
		return peer;
	}
	*err = refuse(info, node, -ENOENT, "the resource has no such peer");
err_put:
	braid_nl_resource_put(res);
	return NULL;
}

/* The resource and the node whose replicas are meant: a peer's, or this node's own. */
static struct braid_resource *target_of(struct genl_info *info, u32 *id, int *err)
{
	struct nlattr *node = info->attrs[BRAID_A_PEER_NODE_ID];
	struct braid_resource *res;

	res = braid_nl_resource(info, info->attrs[BRAID_A_PEER_NAME], BRAID_A_PEER_NAME, err);
	if (!res)
		return NULL;
	if (!node) {
		*err = missing(info, BRAID_A_PEER_NODE_ID, "the node id of a member is missing");
		goto err_put;
	}
	*id = nla_get_u32(node);
	if (*id == res->node || rcu_access_pointer(res->peers[*id]))
		return res;
	*err = refuse(info, node, -ENOENT, "the resource has no such peer");
err_put:
	braid_nl_resource_put(res);
	return NULL;
}

static void put_peer(struct braid_peer *peer)
{
	mutex_unlock(&peer->res->lock);
	braid_peer_put(peer);
}

int braid_nl_peer_new_doit(struct sk_buff *skb, struct genl_info *info)
{
	struct nlattr *node = info->attrs[BRAID_A_PEER_NODE_ID];
	struct braid_resource *res;
	struct braid_peer *peer;
	u32 id;
	int err;

	if (!node)
		return missing(info, BRAID_A_PEER_NODE_ID, "the node id of a peer is missing");
	id = nla_get_u32(node);
	res = braid_nl_resource(info, info->attrs[BRAID_A_PEER_NAME], BRAID_A_PEER_NAME, &err);
	if (!res)
		return err;
	if (id == res->node) {
		err = refuse(info, node, -EINVAL, "this is the node itself");
	} else if (rcu_access_pointer(res->peers[id])) {
		err = refuse(info, node, -EEXIST, "the resource has a peer of this node id");
	} else {
		peer = braid_peer_new(res, id);
		if (peer)
			rcu_assign_pointer(res->peers[id], peer);
		else
			err = -ENOMEM;
	}
	braid_nl_resource_put(res);
	return err;
}

int braid_nl_peer_del_doit(struct sk_buff *skb, struct genl_info *info)
{
	const struct braid_config *config;
	struct braid_peer *peer;
	bool member;
	int err;

	peer = peer_of(info, &err);
	if (!peer)
		return err;
	rcu_read_lock();
	config = braid_config(peer->res);
	member = config && braid_required(peer->res, config) >> peer->node & 1;
	rcu_read_unlock();
	if (member || peer->res->next)
		err = refuse(info, info->attrs[BRAID_A_PEER_NODE_ID], -EBUSY,
			     "the peer is in sync, being resynced, or may become so");
	else
		braid_peer_del(peer);
	put_peer(peer);
	return err;
}

int braid_nl_peer_connect_doit(struct sk_buff *skb, struct genl_info *info)
{
	struct nlattr *fd = info->attrs[BRAID_A_PEER_FD];
	struct nlattr *session = info->attrs[BRAID_A_PEER_SESSION];
	struct nlattr *limit = info->attrs[BRAID_A_PEER_KEY_LIMIT];
	struct braid_peer *peer;
	struct socket *sock;
	const char *why;
	bool tls;
	int err;

	if (!fd)
		return missing(info, BRAID_A_PEER_FD, "the socket is missing");
	if (!session)
		return missing(info, BRAID_A_PEER_SESSION, "the session is missing");
	sock = sockfd_lookup(nla_get_u32(fd), &err);
	if (!sock)
		return refuse(info, fd, err, "not a socket of the calling process");
	err = braid_stream_check(sock, genl_info_net(info), &tls, &why);
	if (err) {
		sockfd_put(sock);
		return refuse(info, fd, err, why);
	}
	peer = peer_of(info, &err);
	if (!peer) {
		sockfd_put(sock);
		return err;
	}
	err = braid_stream_new(peer, sock, tls, nla_get_u64(session),
			       info->attrs[BRAID_A_PEER_CHECKSUMS], limit ? nla_get_u64(limit) : 0);
	put_peer(peer);
	if (!err)
		return 0;
	sockfd_put(sock);
	if (err == -EBUSY)
		refuse(info, fd, err, "the peer has as many streams as it can have");
	return err;
}

int braid_nl_peer_retire_doit(struct sk_buff *skb, struct genl_info *info)
{
	struct nlattr *id = info->attrs[BRAID_A_PEER_STREAM_ID];
	struct braid_peer *peer;
	int err;

	if (!id)
		return missing(info, BRAID_A_PEER_STREAM_ID, "the stream is missing");
	peer = peer_of(info, &err);
	if (!peer)
		return err;
	err = braid_peer_retire(peer, nla_get_u32(id));
	put_peer(peer);
	switch (err) {
	case -ENOENT:
		return refuse(info, id, err, "the peer has no such stream that is up");
	case -EALREADY:
		return refuse(info, id, err, "the stream is being retired");
	case -EBUSY:
		return refuse(info, id, err, "it is the only stream: connect another one first");
	}
	return err;
}

int braid_nl_peer_disconnect_doit(struct sk_buff *skb, struct genl_info *info)
{
	struct braid_peer *peer;
	int err;

	peer = peer_of(info, &err);
	if (!peer)
		return err;
	braid_peer_disconnect(peer, 0, "requested");
	put_peer(peer);
	return 0;
}

/* ---- resync ---- */

int braid_nl_sync_start_doit(struct sk_buff *skb, struct genl_info *info)
{
	struct nlattr *node = info->attrs[BRAID_A_PEER_NODE_ID];
	struct nlattr *rate = info->attrs[BRAID_A_PEER_MAX_RATE];
	struct braid_resource *res;
	u32 mode = 0, id;
	int err;

	res = target_of(info, &id, &err);
	if (!res)
		return err;
	if (info->attrs[BRAID_A_PEER_FULL])
		mode |= BRAID_SYNC_FULL;
	if (info->attrs[BRAID_A_PEER_COMPARE])
		mode |= BRAID_SYNC_COMPARE;
	err = braid_sync_start(res, id, mode, rate ? nla_get_u64(rate) : 0);
	braid_nl_resource_put(res);
	switch (err) {
	case -EPERM:
		return refuse(info, node, err, "this node does not serve the resource");
	case -EALREADY:
		return refuse(info, node, err, "it is in sync: configure without it first");
	case -ENODEV:
		return refuse(info, node, err, "not a diskful member");
	case -ENOTCONN:
		return refuse(info, node, err, "not connected, without disk, or of another epoch");
	case -EBUSY:
		return refuse(info, node, err, "its resync is under way");
	case -EINPROGRESS:
		return refuse(info, node, err, "dropped just now: the others have to adopt that");
	case -EAGAIN:
		return refuse(info, node, err, "a volume is being resized");
	case -ENOSPC:
		return refuse(info, node, err, "a disk of it is smaller than its volume");
	}
	return err;
}

int braid_nl_sync_set_doit(struct sk_buff *skb, struct genl_info *info)
{
	struct nlattr *rate = info->attrs[BRAID_A_PEER_MAX_RATE];
	struct braid_resource *res;
	u32 id;
	int err;

	if (!rate)
		return missing(info, BRAID_A_PEER_MAX_RATE, "the upper bound is missing");
	res = target_of(info, &id, &err);
	if (!res)
		return err;
	if (res->syncs[id])
		WRITE_ONCE(res->syncs[id]->max_rate, nla_get_u64(rate));
	else
		err = refuse(info, info->attrs[BRAID_A_PEER_NODE_ID], -EINVAL,
			     "no resync of it was started");
	braid_nl_resource_put(res);
	return err;
}

static int pause(struct genl_info *info, bool on)
{
	struct braid_resource *res;
	u32 id;
	int err;

	res = target_of(info, &id, &err);
	if (!res)
		return err;
	err = braid_sync_pause(res, id, on);
	braid_nl_resource_put(res);
	if (err)
		refuse(info, info->attrs[BRAID_A_PEER_NODE_ID], err,
		       on ? "no resync of it is running" : "no resync of it is paused");
	return err;
}

int braid_nl_sync_pause_doit(struct sk_buff *skb, struct genl_info *info)
{
	return pause(info, true);
}

int braid_nl_sync_resume_doit(struct sk_buff *skb, struct genl_info *info)
{
	return pause(info, false);
}

static int stop(struct genl_info *info, bool verify)
{
	struct braid_resource *res;
	int err;
	u32 id;

	res = target_of(info, &id, &err);
	if (!res)
		return err;
	mutex_unlock(&res->lock);
	err = braid_sync_stop(res, id, verify);
	braid_resource_put(res);
	if (err == -EALREADY)
		return refuse(info, info->attrs[BRAID_A_PEER_NODE_ID], err,
			      verify ? "no verify of it is under way" :
				       "no resync of it is under way");
	if (err == -EBUSY)
		return refuse(info, info->attrs[BRAID_A_PEER_NODE_ID], err,
			      "its join was proposed, or it ends already");
	return err;
}

int braid_nl_sync_stop_doit(struct sk_buff *skb, struct genl_info *info)
{
	return stop(info, false);
}

int braid_nl_sync_join_doit(struct sk_buff *skb, struct genl_info *info)
{
	struct braid_resource *res;
	u32 id;
	int err;

	res = target_of(info, &id, &err);
	if (!res)
		return err;
	err = braid_sync_join(res, id);
	braid_nl_resource_put(res);
	if (err)
		refuse(info, info->attrs[BRAID_A_PEER_NODE_ID], err, "its resync is not done");
	return err;
}

/* ---- verify ---- */

int braid_nl_verify_start_doit(struct sk_buff *skb, struct genl_info *info)
{
	struct nlattr *node = info->attrs[BRAID_A_PEER_NODE_ID];
	struct nlattr *from = info->attrs[BRAID_A_PEER_START];
	struct nlattr *to = info->attrs[BRAID_A_PEER_STOP];
	struct nlattr *rate = info->attrs[BRAID_A_PEER_MAX_RATE];
	u64 start = from ? nla_get_u64(from) : 0, end = to ? nla_get_u64(to) : U64_MAX;
	struct braid_resource *res;
	int err;
	u32 id;

	if (start >= end)
		return refuse(info, from ?: to, -EINVAL, "the verify would end before it begins");
	res = target_of(info, &id, &err);
	if (!res)
		return err;
	err = braid_verify_start(res, id, start, end, rate ? nla_get_u64(rate) : 0);
	braid_nl_resource_put(res);
	switch (err) {
	case -EPERM:
		return refuse(info, node, err, "this node does not serve the resource");
	case -ENODATA:
		return refuse(info, node, err, "not a peer in sync, or the only one");
	case -ENOTCONN:
		return refuse(info, node, err, "not connected, or of another epoch");
	case -EBUSY:
		return refuse(info, node, err, "its resync or verify is under way");
	case -EAGAIN:
		return refuse(info, node, err, "a volume is being resized");
	}
	return err;
}

int braid_nl_verify_stop_doit(struct sk_buff *skb, struct genl_info *info)
{
	return stop(info, true);
}
