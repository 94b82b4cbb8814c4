// SPDX-License-Identifier: GPL-2.0
/*
 * The handlers of the operations in spec/braid.yaml. Policies have been applied
 * and the caller's privileges checked before one of them runs. They run in
 * process context, several at once, in the caller's network namespace.
 */
#include "netlink.h"
#include "core/version.h"
#include "netlink_gen.h"
#include "object_log.h"

#include <linux/module.h>
#include <linux/stringify.h>

#define API_RANGE \
	__stringify(BRAID_API_VERSION_MIN) ".." __stringify(BRAID_API_VERSION_MAX)

static struct genl_family family;

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
	header = genlmsg_put_reply(msg, info, &family, 0, BRAID_CMD_MODULE_GET);
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

static struct genl_family family __ro_after_init = {
	.name = BRAID_FAMILY_NAME,
	.version = BRAID_FAMILY_VERSION,
	.netnsok = true,
	.parallel_ops = true,
	.pre_doit = check_caller,
	.ops = braid_nl_ops,
	.n_ops = ARRAY_SIZE(braid_nl_ops),
	.module = THIS_MODULE,
};

int __init braid_netlink_init(void)
{
	return genl_register_family(&family);
}

/* Waits until the last handler has returned. */
void braid_netlink_exit(void)
{
	genl_unregister_family(&family);
}
