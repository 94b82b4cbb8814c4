// SPDX-License-Identifier: GPL-2.0
/* Do not edit: scripts/gen-netlink wrote this from kernel/spec/braid.yaml. */

#include "netlink_gen.h"

static const struct nla_policy braid_nl_module_get_policy[BRAID_A_MODULE_API_MAX + 1] = {
	[BRAID_A_MODULE_API_MIN] = NLA_POLICY_MIN(NLA_U32, 1),
	[BRAID_A_MODULE_API_MAX] = NLA_POLICY_MIN(NLA_U32, 1),
};

const struct genl_ops braid_nl_ops[1] = {
	{
		.cmd		= BRAID_CMD_MODULE_GET,
		.doit		= braid_nl_module_get_doit,
		.policy		= braid_nl_module_get_policy,
		.maxattr	= BRAID_A_MODULE_API_MAX,
		.flags		= GENL_ADMIN_PERM,
	},
};
