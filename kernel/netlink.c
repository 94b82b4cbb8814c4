// SPDX-License-Identifier: GPL-2.0
/*
 * The handlers of the operations in spec/braid.yaml. Policies have been applied
 * and the caller's privileges checked before one of them runs. They run in
 * process context, several at once, in the caller's network namespace.
 */
#include "netlink.h"
#include "core/version.h"
#include "disk.h"
#include "event.h"
#include "netlink_gen.h"
#include "netns.h"
#include "object_log.h"
#include "peer.h"
#include "resource.h"
#include "stream.h"
#include "sync.h"
#include "volume.h"

#include <linux/ctype.h>
#include <linux/module.h>
#include <linux/net.h>
#include <linux/slab.h>
#include <linux/stringify.h>

#define API_RANGE \
	__stringify(BRAID_API_VERSION_MIN) ".." __stringify(BRAID_API_VERSION_MAX)

static const struct braid_version_range api_range = {
	.min = BRAID_API_VERSION_MIN,
	.max = BRAID_API_VERSION_MAX,
};

/*
 * GENL_ADMIN_PERM stands for CAP_NET_ADMIN alone, and braid opens block devices
 * by path without regard to their modes. netlink_capable() looks at the opener
 * of the socket as well as at the sender, so that a privileged program cannot
 * be talked into passing on somebody else's message.
 */
static int check_caller(const struct genl_split_ops *ops, struct sk_buff *skb,
			struct genl_info *info)
{
	if (netlink_capable(skb, CAP_SYS_ADMIN))
		return 0;
	GENL_SET_ERR_MSG(info, "CAP_SYS_ADMIN in the initial user namespace is needed");
	return -EPERM;
}

/* Leaves @agreed at 0 if the caller gave no range. */
static int agree_on_api(struct genl_info *info, u32 *agreed)
{
	struct nlattr *min = info->attrs[BRAID_A_MODULE_API_MIN];
	struct nlattr *max = info->attrs[BRAID_A_MODULE_API_MAX];
	struct braid_version_range theirs;

	*agreed = 0;
	if (!min && !max)
		return 0;
	if (!min || !max) {
		NL_SET_ERR_MSG_ATTR(info->extack, min ?: max, "api-min and api-max go together");
		NL_SET_ERR_ATTR_MISS(info->extack, NULL,
				     min ? BRAID_A_MODULE_API_MAX : BRAID_A_MODULE_API_MIN);
		return -EINVAL;
	}

	theirs.min = nla_get_u32(min);
	theirs.max = nla_get_u32(max);
	switch (braid_version_agree(&api_range, &theirs, agreed)) {
	case BRAID_VERSION_AGREED:
		return 0;
	case BRAID_VERSION_TOO_OLD:
		NL_SET_ERR_MSG_ATTR(info->extack, max,
				    "tool too old: module speaks API " API_RANGE
				    ", upgrade the tool");
		return -EPROTONOSUPPORT;
	case BRAID_VERSION_TOO_NEW:
		NL_SET_ERR_MSG_ATTR(info->extack, min,
				    "tool too new: module speaks API " API_RANGE
				    ", upgrade the module");
		return -EPROTONOSUPPORT;
	case BRAID_VERSION_MALFORMED:
		break;
	}
	NL_SET_ERR_MSG_ATTR(info->extack, max, "api-max is below api-min");
	return -EINVAL;
}

static u32 features(void)
{
	return (IS_ENABLED(CONFIG_TLS) ? BRAID_FEATURE_KTLS : 0) |
	       (BRAID_OBJECT_LOG ? BRAID_FEATURE_OBJECT_LOG : 0);
}

static int put_module(struct sk_buff *msg, u32 agreed)
{
	if (nla_put_string(msg, BRAID_A_MODULE_VERSION, THIS_MODULE->version) ||
	    nla_put_u32(msg, BRAID_A_MODULE_API_MIN, BRAID_API_VERSION_MIN) ||
	    nla_put_u32(msg, BRAID_A_MODULE_API_MAX, BRAID_API_VERSION_MAX) ||
	    (agreed && nla_put_u32(msg, BRAID_A_MODULE_API_VERSION, agreed)) ||
	    nla_put_u32(msg, BRAID_A_MODULE_PROTOCOL_MIN, BRAID_PROTOCOL_VERSION_MIN) ||
	    nla_put_u32(msg, BRAID_A_MODULE_PROTOCOL_MAX, BRAID_PROTOCOL_VERSION_MAX) ||
	    nla_put_u32(msg, BRAID_A_MODULE_FEATURES, features()))
		return -EMSGSIZE;
	return 0;
}

int braid_nl_module_get_doit(struct sk_buff *skb, struct genl_info *info)
{
	struct sk_buff *msg;
	void *header;
	u32 agreed;
	int err;

	err = agree_on_api(info, &agreed);
	if (err)
		return err;

	msg = genlmsg_new(GENLMSG_DEFAULT_SIZE, GFP_KERNEL);
	if (!msg)
		return -ENOMEM;
	err = -EMSGSIZE;
	header = genlmsg_put_reply(msg, info, &braid_family, 0, BRAID_CMD_MODULE_GET);
	if (!header)
		goto err_free;
	err = put_module(msg, agreed);
	if (err)
		goto err_free;
	genlmsg_end(msg, header);
	return genlmsg_reply(msg, info);

err_free:
	nlmsg_free(msg);
	return err;
}

/* ---- objects that requests name ---- */

static struct braid_netns *netns_of(struct genl_info *info)
{
	return braid_netns(genl_info_net(info));
}

struct braid_resource *braid_nl_resource(struct genl_info *info, struct nlattr *name, int type,
					 int *err)
{
	struct braid_resource *res;

	if (!name) {
		*err = missing(info, type, "the name of a resource is missing");
		return NULL;
	}
	res = braid_resource_find(netns_of(info), nla_data(name));
	if (!res) {
		*err = refuse(info, name, -ENOENT, "no such resource in this network namespace");
		return NULL;
	}
	mutex_lock(&res->lock);
	if (res->dead) {
		mutex_unlock(&res->lock);
		braid_resource_put(res);
		*err = refuse(info, name, -ESHUTDOWN, "the resource is being removed");
		return NULL;
	}
	*err = 0;
	return res;
}

void braid_nl_resource_put(struct braid_resource *res)
{
	mutex_unlock(&res->lock);
	braid_resource_put(res);
}

static struct braid_resource *resource_of(struct genl_info *info, int *err)
{
	return braid_nl_resource(info, info->attrs[BRAID_A_RESOURCE_NAME], BRAID_A_RESOURCE_NAME,
				 err);
}

/* Resource and volume of a request; the volume has a reference. */
static struct braid_volume *volume_of(struct genl_info *info, int *err)
{
	struct nlattr *number = info->attrs[BRAID_A_VOLUME_VOLUME];
	struct braid_resource *res;
	struct braid_volume *volume;

	res = braid_nl_resource(info, info->attrs[BRAID_A_VOLUME_NAME], BRAID_A_VOLUME_NAME, err);
	if (!res)
		return NULL;
	if (!number) {
		*err = missing(info, BRAID_A_VOLUME_VOLUME, "the number of a volume is missing");
		goto err_put;
	}
	volume = braid_volume_find(res, nla_get_u32(number));
	if (volume && !volume->dying) {
		braid_resource_put(res);	/* the volume keeps it */
		return volume;
	}
	if (volume)
		braid_volume_put(volume);
	*err = refuse(info, number, -ENOENT, "the resource has no such volume");
err_put:
	braid_nl_resource_put(res);
	return NULL;
}

static void put_volume(struct braid_volume *volume)
{
	mutex_unlock(&volume->res->lock);
	braid_volume_put(volume);
}

/* ---- resources ---- */

static void apply_settings(struct braid_resource *res, struct nlattr **attrs)
{
	if (attrs[BRAID_A_RESOURCE_LEASE_MS])
		res->lease_ms = nla_get_u32(attrs[BRAID_A_RESOURCE_LEASE_MS]);
	if (attrs[BRAID_A_RESOURCE_TIMEOUT_MS])
		res->timeout_ms = nla_get_u32(attrs[BRAID_A_RESOURCE_TIMEOUT_MS]);
	if (attrs[BRAID_A_RESOURCE_REQUEST_TIMEOUT_MS])
		res->request_ms = nla_get_u32(attrs[BRAID_A_RESOURCE_REQUEST_TIMEOUT_MS]);
	if (attrs[BRAID_A_RESOURCE_POLICY])
		WRITE_ONCE(res->policy, nla_get_u32(attrs[BRAID_A_RESOURCE_POLICY]));
	if (attrs[BRAID_A_RESOURCE_OPEN_WAIT_MS])
		WRITE_ONCE(res->open_wait_ms,
			   nla_get_u32(attrs[BRAID_A_RESOURCE_OPEN_WAIT_MS]));
}

static bool good_name(const char *name)
{
	if (!*name || *name == '.' || *name == '-')
		return false;
	for (; *name; name++)
		/* isalnum() takes Latin-1 for letters. */
		if (!isascii(*name) || (!isalnum(*name) && !strchr("._-", *name)))
			return false;
	return true;
}

int braid_nl_resource_new_doit(struct sk_buff *skb, struct genl_info *info)
{
	struct nlattr *name = info->attrs[BRAID_A_RESOURCE_NAME];
	struct nlattr *node = info->attrs[BRAID_A_RESOURCE_NODE_ID];
	struct braid_netns *netns = netns_of(info);
	struct braid_resource *res;
	int err = 0;

	if (!name)
		return missing(info, BRAID_A_RESOURCE_NAME, "the name of a resource is missing");
	if (!node)
		return missing(info, BRAID_A_RESOURCE_NODE_ID, "this node's id is missing");
	if (!good_name(nla_data(name)))
		return refuse(info, name, -EINVAL,
			      "a name is letters, digits, '.', '_', '-', and begins with none of these");
	mutex_lock(&netns->lock);
	res = braid_resource_new(netns, nla_data(name), nla_get_u32(node));
	err = PTR_ERR_OR_ZERO(res);
	if (!err)
		apply_settings(res, info->attrs);
	mutex_unlock(&netns->lock);
	if (err == -EEXIST)
		return refuse(info, name, err, "there is a resource of this name");
	return err;
}

int braid_nl_resource_set_doit(struct sk_buff *skb, struct genl_info *info)
{
	struct braid_resource *res;
	int err;

	res = resource_of(info, &err);
	if (!res)
		return err;
	apply_settings(res, info->attrs);
	braid_nl_resource_put(res);
	return 0;
}

int braid_nl_resource_del_doit(struct sk_buff *skb, struct genl_info *info)
{
	struct braid_resource *res;
	int err;

	res = resource_of(info, &err);
	if (!res)
		return err;
	if (!info->attrs[BRAID_A_RESOURCE_FORCE] && braid_resource_open(res))
		err = refuse(info, info->attrs[BRAID_A_RESOURCE_NAME], -EBUSY,
			     "a device of the resource is open; close it, or force");
	else
		braid_resource_destroy(res);
	braid_nl_resource_put(res);
	return err;
}

static int parse_node(struct genl_info *info, struct nlattr *attr, struct braid_config *config)
{
	struct nlattr *tb[BRAID_A_NODE_MAX + 1];
	u32 node, bit;
	int err;

	err = nla_parse_nested(tb, BRAID_A_NODE_MAX, attr, NULL, info->extack);
	if (err)
		return err;
	if (!tb[BRAID_A_NODE_NODE_ID])
		return refuse(info, attr, -EINVAL, "a member lacks its node id");
	node = nla_get_u32(tb[BRAID_A_NODE_NODE_ID]);
	bit = BIT(node);
	if (config->members & bit)
		return refuse(info, attr, -EINVAL, "a member of the configuration is named twice");
	config->members |= bit;
	if (tb[BRAID_A_NODE_DISKFUL])
		config->diskful |= bit;
	if (!tb[BRAID_A_NODE_IN_SYNC])
		return 0;
	if (!tb[BRAID_A_NODE_DISKFUL])
		return refuse(info, attr, -EINVAL, "a member in sync has to be diskful");
	if (!tb[BRAID_A_NODE_INSTANCE] || !nla_get_u64(tb[BRAID_A_NODE_INSTANCE]))
		return refuse(info, attr, -EINVAL, "a member in sync lacks its instance");
	config->in_sync |= bit;
	config->instance[node] = nla_get_u64(tb[BRAID_A_NODE_INSTANCE]);
	return 0;
}

static int parse_config(struct genl_info *info, struct nlattr *nest, struct braid_config *config)
{
	struct nlattr *tb[BRAID_A_CONFIG_MAX + 1], *attr;
	int err, left;

	/* The policy was applied with that of the request. */
	err = nla_parse_nested(tb, BRAID_A_CONFIG_MAX, nest, NULL, info->extack);
	if (err)
		return err;
	if (!tb[BRAID_A_CONFIG_LINEAGE] || !tb[BRAID_A_CONFIG_EPOCH] || !tb[BRAID_A_CONFIG_ID])
		return refuse(info, nest, -EINVAL, "a configuration needs lineage, epoch and id");
	memcpy(config->lineage, nla_data(tb[BRAID_A_CONFIG_LINEAGE]), sizeof(config->lineage));
	config->epoch = nla_get_u64(tb[BRAID_A_CONFIG_EPOCH]);
	config->id = nla_get_u64(tb[BRAID_A_CONFIG_ID]);
	config->writer = tb[BRAID_A_CONFIG_WRITER] ? nla_get_u32(tb[BRAID_A_CONFIG_WRITER]) :
						     BRAID_NO_WRITER;
	nla_for_each_nested(attr, nest, left) {
		if (nla_type(attr) != BRAID_A_CONFIG_NODE)
			continue;
		err = parse_node(info, attr, config);
		if (err)
			return err;
	}
	if (config->writer != BRAID_NO_WRITER &&
	    (config->writer >= BRAID_MAX_NODES || !(config->members >> config->writer & 1)))
		return refuse(info, tb[BRAID_A_CONFIG_WRITER], -EINVAL,
			      "the writer is not a member");
	return 0;
}

int braid_nl_resource_configure_doit(struct sk_buff *skb, struct genl_info *info)
{
	struct nlattr *common = info->attrs[BRAID_A_RESOURCE_COMMON_EPOCH];
	struct nlattr *nest = info->attrs[BRAID_A_RESOURCE_CONFIG];
	struct braid_config *config;
	struct braid_resource *res;
	int err;

	if (!nest)
		return missing(info, BRAID_A_RESOURCE_CONFIG, "the configuration is missing");
	config = kzalloc(sizeof(*config), GFP_KERNEL);
	if (!config)
		return -ENOMEM;
	err = parse_config(info, nest, config);
	if (err)
		goto out;
	res = resource_of(info, &err);
	if (!res)
		goto out;
	err = braid_config_propose(res, config, info->attrs[BRAID_A_RESOURCE_NEW_LINEAGE],
				   common ? nla_get_u64(common) : 0);
	braid_nl_resource_put(res);
	switch (err) {
	case -EKEYREJECTED:
		refuse(info, nest, err, "a foreign lineage; new-lineage begins one");
		break;
	case -ESTALE:
		refuse(info, nest, err, "the epoch is not above the adopted one");
		break;
	case -ENOENT:
		refuse(info, nest, err, "a member in sync is not known: peer-new");
		break;
	case -EAGAIN:
		refuse(info, nest, err, "a replica joins without sync-join");
		break;
	case -EINVAL:
		refuse(info, nest, err, "the configuration contradicts itself");
		break;
	}
out:
	kfree(config);
	return err;
}

int braid_nl_resource_serve_doit(struct sk_buff *skb, struct genl_info *info)
{
	struct nlattr *epoch = info->attrs[BRAID_A_RESOURCE_EPOCH];
	struct nlattr *reference = info->attrs[BRAID_A_RESOURCE_REFERENCE];
	struct braid_resource *res;
	int err;

	if (!epoch)
		return missing(info, BRAID_A_RESOURCE_EPOCH, "the epoch is missing");
	if (!reference)
		return missing(info, BRAID_A_RESOURCE_REFERENCE, "the reference is missing");
	res = resource_of(info, &err);
	if (!res)
		return err;
	err = braid_serve(res, nla_get_u64(epoch), nla_get_u32(reference));
	braid_nl_resource_put(res);
	switch (err) {
	case -ESTALE:
		return refuse(info, epoch, err, "another epoch is adopted");
	case -EPERM:
		return refuse(info, epoch, err, "this node is not the configuration's writer");
	case -ENXIO:
		return refuse(info, reference, err, "the reference is not in sync");
	case -EBUSY:
		return refuse(info, epoch, err, "reconciling or demoting already");
	}
	return err;
}

int braid_nl_resource_demote_doit(struct sk_buff *skb, struct genl_info *info)
{
	struct braid_resource *res;
	int err;

	res = resource_of(info, &err);
	if (!res)
		return err;
	err = braid_demote(res, info->attrs[BRAID_A_RESOURCE_FORCE]);
	braid_nl_resource_put(res);
	if (err == -EBUSY)
		return refuse(info, info->attrs[BRAID_A_RESOURCE_NAME], err,
			      "a device is open, or a migration is draining; end that, or force");
	return err;
}

int braid_nl_resource_migrate_doit(struct sk_buff *skb, struct genl_info *info)
{
	struct nlattr *epoch = info->attrs[BRAID_A_RESOURCE_EPOCH];
	struct nlattr *target = info->attrs[BRAID_A_RESOURCE_TARGET];
	struct nlattr *grant = info->attrs[BRAID_A_RESOURCE_GRANT];
	struct nlattr *deadline = info->attrs[BRAID_A_RESOURCE_DEADLINE_MS];
	struct braid_resource *res;
	int err;

	if (!epoch)
		return missing(info, BRAID_A_RESOURCE_EPOCH, "the epoch is missing");
	if (!target)
		return missing(info, BRAID_A_RESOURCE_TARGET, "the target is missing");
	if (!grant)
		return missing(info, BRAID_A_RESOURCE_GRANT, "the number of the grant is missing");
	if (!deadline)
		return missing(info, BRAID_A_RESOURCE_DEADLINE_MS, "the deadline is missing");
	res = resource_of(info, &err);
	if (!res)
		return err;
	err = braid_migrate_begin(res, nla_get_u64(epoch), nla_get_u32(target),
				  nla_get_u64(grant), nla_get_u32(deadline));
	braid_nl_resource_put(res);
	switch (err) {
	case -ESTALE:
		return refuse(info, epoch, err, "another epoch is adopted");
	case -ENXIO:
		return refuse(info, target, err, "the target is no other member than the writer");
	case -EPERM:
		return refuse(info, target, err, "this node is neither the writer nor the target");
	case -EKEYREVOKED:
		return refuse(info, grant, err, "the grant has ended; use a new number");
	case -EBUSY:
		return refuse(info, grant, err, "another migration is under way; end it first");
	case -EAGAIN:
		return refuse(info, epoch, err, "this writer serves nothing, or is suspended");
	case -ENOENT:
		return refuse(info, target, err, "the other node is not known: peer-new");
	}
	return err;
}

static int migrate_op(struct genl_info *info, int (*op)(struct braid_resource *res, u64 grant),
		      const char *forbidden)
{
	struct nlattr *grant = info->attrs[BRAID_A_RESOURCE_GRANT];
	struct braid_resource *res;
	int err;

	if (!grant)
		return missing(info, BRAID_A_RESOURCE_GRANT, "the number of the grant is missing");
	res = resource_of(info, &err);
	if (!res)
		return err;
	err = op(res, nla_get_u64(grant));
	braid_nl_resource_put(res);
	if (err == -ENOENT)
		return refuse(info, grant, err, "no migration of this number is prepared here");
	return err ? refuse(info, grant, err, forbidden) : 0;
}

int braid_nl_migrate_ask_doit(struct sk_buff *skb, struct genl_info *info)
{
	return migrate_op(info, braid_migrate_ask, NULL);
}

int braid_nl_migrate_end_doit(struct sk_buff *skb, struct genl_info *info)
{
	return migrate_op(info, braid_migrate_end,
			  "the token was handed over; only a newer configuration ends this");
}

static int suspend_op(struct genl_info *info, bool on)
{
	struct nlattr *name = info->attrs[BRAID_A_RESOURCE_NAME];
	struct braid_resource *res;
	int err;

	res = resource_of(info, &err);
	if (!res)
		return err;
	err = braid_suspend(res, on);
	braid_nl_resource_put(res);
	switch (err) {
	case -EPERM:
		return refuse(info, name, err,
			      "this node is not the writer: its I/O is suspended, and resumed, there");
	case -EBUSY:
		return refuse(info, name, err, "a migration is under way; end it first");
	case -EAGAIN:
		return refuse(info, name, err, "this node is the writer, but does not serve");
	}
	return err;
}

int braid_nl_resource_suspend_doit(struct sk_buff *skb, struct genl_info *info)
{
	return suspend_op(info, true);
}

int braid_nl_resource_resume_doit(struct sk_buff *skb, struct genl_info *info)
{
	return suspend_op(info, false);
}

int braid_nl_resource_refuse_opens_doit(struct sk_buff *skb, struct genl_info *info)
{
	struct braid_resource *res;
	int err;

	res = resource_of(info, &err);
	if (!res)
		return err;
	WRITE_ONCE(res->open_refusals, res->open_refusals + 1);
	wake_up_all(&res->wait);
	braid_nl_resource_put(res);
	return 0;
}

/* ---- volumes ---- */

int braid_nl_volume_new_doit(struct sk_buff *skb, struct genl_info *info)
{
	struct nlattr *number = info->attrs[BRAID_A_VOLUME_VOLUME];
	struct nlattr *minor = info->attrs[BRAID_A_VOLUME_MINOR];
	struct braid_resource *res;
	int err;

	if (!number)
		return missing(info, BRAID_A_VOLUME_VOLUME, "the number of a volume is missing");
	if (!minor)
		return missing(info, BRAID_A_VOLUME_MINOR, "the minor is missing");
	res = braid_nl_resource(info, info->attrs[BRAID_A_VOLUME_NAME], BRAID_A_VOLUME_NAME, &err);
	if (!res)
		return err;
	if (xa_load(&res->volumes, nla_get_u32(number)))
		err = refuse(info, number, -EEXIST, "the resource has a volume of this number");
	else
		err = braid_volume_new(res, nla_get_u32(number), nla_get_u32(minor));
	braid_nl_resource_put(res);
	if (err == -EBUSY && !info->extack->_msg)
		return refuse(info, minor, -EEXIST, "the minor is in use on this host");
	return err;
}

int braid_nl_volume_del_doit(struct sk_buff *skb, struct genl_info *info)
{
	struct nlattr *number = info->attrs[BRAID_A_VOLUME_VOLUME];
	struct braid_volume *volume;
	int err;

	volume = volume_of(info, &err);
	if (!volume)
		return err;
	if (volume->disk_state != BRAID_DISK_STATE_DISKLESS)
		err = refuse(info, number, -EBUSY, "the volume has a disk; detach it first");
	else if (READ_ONCE(volume->opens))
		err = refuse(info, number, -EBUSY, "the device is open");
	else
		braid_volume_del(volume);
	put_volume(volume);
	return err;
}

int braid_nl_volume_attach_doit(struct sk_buff *skb, struct genl_info *info)
{
	struct nlattr *disk = info->attrs[BRAID_A_VOLUME_DISK];
	struct nlattr *meta = info->attrs[BRAID_A_VOLUME_META_DISK];
	struct nlattr *old = info->attrs[BRAID_A_VOLUME_OLD_SIZE];
	dev_t data_dev = 0, meta_dev = 0;
	struct braid_volume *volume;
	int err, found;

	if (!disk)
		return missing(info, BRAID_A_VOLUME_DISK, "the path of a disk is missing");
	/* As the caller. May take long, so no lock is held yet. */
	found = lookup_bdev(nla_data(disk), &data_dev);
	if (!found && meta)
		found = lookup_bdev(nla_data(meta), &meta_dev);
	volume = volume_of(info, &err);
	if (!volume)
		return err;
	if (volume->disk_state != BRAID_DISK_STATE_DISKLESS)
		err = -EBUSY;
	else
		err = found ?: braid_disk_attach(volume, data_dev, meta_dev,
						 old ? nla_get_u64(old) : 0);
	put_volume(volume);
	if (err == -EBUSY)
		return refuse(info, disk, err, "the volume has a disk already");
	if (found && err == found)
		return refuse(info, data_dev ? meta : disk, err, "no such block device");
	return err;
}

int braid_nl_volume_detach_doit(struct sk_buff *skb, struct genl_info *info)
{
	struct braid_volume *volume;
	int err;

	volume = volume_of(info, &err);
	if (!volume)
		return err;
	mutex_unlock(&volume->res->lock);
	err = braid_disk_detach(volume, "requested", !info->attrs[BRAID_A_VOLUME_FORCE]);
	braid_volume_put(volume);
	if (err == -ENODEV)
		return refuse(info, info->attrs[BRAID_A_VOLUME_VOLUME], err,
			      "the volume has no disk");
	return err == -EALREADY ? 0 : err;
}

int braid_nl_volume_resize_doit(struct sk_buff *skb, struct genl_info *info)
{
	struct nlattr *number = info->attrs[BRAID_A_VOLUME_VOLUME];
	struct braid_volume *volume;
	int err;

	volume = volume_of(info, &err);
	if (!volume)
		return err;
	err = braid_volume_resize(volume);
	put_volume(volume);
	switch (err) {
	case -ENODEV:
		return refuse(info, number, err, "the volume has no disk here");
	case -EBUSY:
		return refuse(info, number, err, "the volume is being resized");
	case -EAGAIN:
		return refuse(info, number, err, "a resync is under way; wait for its end");
	case -EALREADY:
		return refuse(info, number, err, "the disk has not grown");
	case -ENOSPC:
		return refuse(info, number, err,
			      "a peer in sync has no more room (peer-get, size): grow its disk and resize there first");
	}
	return err;
}

/*
 * struct braid_next_vote - a vote that is to be stored
 */
struct braid_next_vote {
	u32 length;
	u8 value[];
};

/* One work for each volume, which takes what was asked for last: an older vote never overwrites. */
void braid_vote_work(struct work_struct *work)
{
	struct braid_volume *volume = container_of(work, struct braid_volume, vote_work);
	struct braid_next_vote *vote;
	struct braid_disk *disk;
	int err = -ENODEV;

	mutex_lock(&volume->res->lock);
	vote = volume->next_vote;
	volume->next_vote = NULL;
	mutex_unlock(&volume->res->lock);
	if (!vote)
		goto out;	/* an earlier run took it, just after this one was queued */
	disk = braid_disk_get(volume);
	if (disk) {
		mutex_lock(&disk->meta_lock);
		err = braid_meta_vote_set(disk, vote->value, vote->length);
		mutex_unlock(&disk->meta_lock);
		if (err)
			braid_disk_fail(disk, "a vote cannot be written");
		braid_disk_put(disk);
	}
	braid_event_simple(volume->res, BRAID_EVENT_KIND_VOTE, .volume = &volume->number,
			   .new = err ? "failed" : "durable", .error = err);
	kfree(vote);
out:
	braid_volume_put(volume);
}

int braid_nl_vote_set_doit(struct sk_buff *skb, struct genl_info *info)
{
	struct nlattr *value = info->attrs[BRAID_A_VOLUME_VOTE];
	struct braid_next_vote *vote;
	struct braid_volume *volume;
	int err;

	if (!value)
		return missing(info, BRAID_A_VOLUME_VOTE, "the vote is missing");
	vote = kzalloc(struct_size(vote, value, nla_len(value)), GFP_KERNEL);
	if (!vote)
		return -ENOMEM;
	volume = volume_of(info, &err);
	if (!volume) {
		kfree(vote);
		return err;
	}
	if (volume->disk_state != BRAID_DISK_STATE_ATTACHED) {
		put_volume(volume);
		kfree(vote);
		return refuse(info, info->attrs[BRAID_A_VOLUME_VOLUME], -ENODEV,
			      "the volume has no disk to keep a vote");
	}
	vote->length = nla_len(value);
	memcpy(vote->value, nla_data(value), vote->length);
	kfree(volume->next_vote);
	volume->next_vote = vote;
	/* The reference is the work's; one that is queued already has its own. */
	if (queue_work(braid_wq, &volume->vote_work))
		mutex_unlock(&volume->res->lock);
	else
		put_volume(volume);
	return 0;
}

static int put_vote(struct sk_buff *msg, const struct braid_volume *volume, const u8 *value,
		    u32 length)
{
	if (nla_put_string(msg, BRAID_A_VOLUME_NAME, volume->res->name) ||
	    nla_put_u32(msg, BRAID_A_VOLUME_VOLUME, volume->number) ||
	    nla_put(msg, BRAID_A_VOLUME_VOTE, length, value))
		return -EMSGSIZE;
	return 0;
}

int braid_nl_vote_get_doit(struct sk_buff *skb, struct genl_info *info)
{
	struct braid_volume *volume;
	struct braid_vote *vote;
	struct braid_disk *disk;
	struct sk_buff *msg;
	void *header;
	int err;

	volume = volume_of(info, &err);
	if (!volume)
		return err;
	disk = braid_disk_get(volume);
	mutex_unlock(&volume->res->lock);
	msg = genlmsg_new(BRAID_VOTE_MAX + 512, GFP_KERNEL);
	err = -ENOMEM;
	if (!msg)
		goto out;
	err = -ENODEV;
	if (!disk) {
		refuse(info, info->attrs[BRAID_A_VOLUME_VOLUME], err, "the volume has no disk");
		goto out;
	}
	header = genlmsg_put_reply(msg, info, &braid_family, 0, BRAID_CMD_VOTE_GET);
	rcu_read_lock();
	vote = rcu_dereference(disk->vote);
	err = vote ? -EMSGSIZE : -ENODATA;
	if (header && vote && !put_vote(msg, volume, vote->value, vote->length))
		err = 0;
	rcu_read_unlock();
	if (err)
		goto out;
	genlmsg_end(msg, header);
	err = genlmsg_reply(msg, info);
	msg = NULL;
out:
	nlmsg_free(msg);
	if (disk)
		braid_disk_put(disk);
	braid_volume_put(volume);
	return err;
}

struct genl_family braid_family __ro_after_init = {
	.name = BRAID_FAMILY_NAME,
	.version = BRAID_FAMILY_VERSION,
	.netnsok = true,
	.parallel_ops = true,
	.pre_doit = check_caller,
	.ops = braid_nl_ops,
	.n_ops = ARRAY_SIZE(braid_nl_ops),
	.mcgrps = braid_nl_mcgrps,
	.n_mcgrps = ARRAY_SIZE(braid_nl_mcgrps),
	.module = THIS_MODULE,
};

int braid_netlink_init(void)
{
	return genl_register_family(&braid_family);
}

/* Waits until the last handler has returned. */
void braid_netlink_exit(void)
{
	genl_unregister_family(&braid_family);
}
