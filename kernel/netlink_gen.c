// SPDX-License-Identifier: GPL-2.0
/* Do not edit: scripts/gen-netlink wrote this from kernel/spec/braid.yaml. */

#include "netlink_gen.h"

static struct netlink_range_validation braid_nl_resource_lease_ms_range = {
	.min = BRAID_LEASE_MIN_MS,
	.max = BRAID_TERM_MAX_MS,
};

static struct netlink_range_validation braid_nl_resource_timeout_ms_range = {
	.min = BRAID_LEASE_MIN_MS,
	.max = BRAID_TERM_MAX_MS,
};

static struct netlink_range_validation braid_nl_resource_request_timeout_ms_range = {
	.min = BRAID_LEASE_MIN_MS,
	.max = BRAID_TERM_MAX_MS,
};

static struct netlink_range_validation braid_nl_resource_deadline_ms_range = {
	.min = 1,
	.max = BRAID_DEADLINE_MAX_MS,
};

static struct netlink_range_validation braid_nl_resource_open_wait_ms_range = {
	.min = 0,
	.max = BRAID_TERM_MAX_MS,
};

static struct netlink_range_validation braid_nl_volume_volume_range = {
	.min = 0,
	.max = BRAID_VOLUME_MAX,
};

static struct netlink_range_validation braid_nl_volume_minor_range = {
	.min = 0,
	.max = BRAID_MINOR_MAX,
};

static const struct nla_policy braid_node_nl_policy[BRAID_A_NODE_INSTANCE + 1] = {
	[BRAID_A_NODE_NODE_ID] = NLA_POLICY_MAX(NLA_U32, BRAID_NODE_MAX),
	[BRAID_A_NODE_DISKFUL] = { .type = NLA_FLAG },
	[BRAID_A_NODE_IN_SYNC] = { .type = NLA_FLAG },
	[BRAID_A_NODE_INSTANCE] = { .type = NLA_U64 },
};

static const struct nla_policy braid_config_nl_policy[BRAID_A_CONFIG_NODE + 1] = {
	[BRAID_A_CONFIG_LINEAGE] = NLA_POLICY_EXACT_LEN(16),
	[BRAID_A_CONFIG_EPOCH] = NLA_POLICY_MIN(NLA_U64, 1),
	[BRAID_A_CONFIG_ID] = { .type = NLA_U64 },
	[BRAID_A_CONFIG_WRITER] = NLA_POLICY_MAX(NLA_U32, BRAID_WRITER_NONE),
	[BRAID_A_CONFIG_NODE] = NLA_POLICY_NESTED(braid_node_nl_policy),
};

static const struct nla_policy braid_nl_module_get_policy[BRAID_A_MODULE_API_MAX + 1] = {
	[BRAID_A_MODULE_API_MIN] = NLA_POLICY_MIN(NLA_U32, 1),
	[BRAID_A_MODULE_API_MAX] = NLA_POLICY_MIN(NLA_U32, 1),
};

static const struct nla_policy braid_nl_resource_new_policy[BRAID_A_RESOURCE_OPEN_WAIT_MS + 1] = {
	[BRAID_A_RESOURCE_NAME] = { .type = NLA_NUL_STRING, .len = BRAID_NAME_MAX },
	[BRAID_A_RESOURCE_NODE_ID] = NLA_POLICY_MAX(NLA_U32, BRAID_NODE_MAX),
	[BRAID_A_RESOURCE_LEASE_MS] =
		NLA_POLICY_FULL_RANGE(NLA_U32, &braid_nl_resource_lease_ms_range),
	[BRAID_A_RESOURCE_TIMEOUT_MS] =
		NLA_POLICY_FULL_RANGE(NLA_U32, &braid_nl_resource_timeout_ms_range),
	[BRAID_A_RESOURCE_POLICY] = NLA_POLICY_MAX(NLA_U32, 1),
	[BRAID_A_RESOURCE_REQUEST_TIMEOUT_MS] =
		NLA_POLICY_FULL_RANGE(NLA_U32, &braid_nl_resource_request_timeout_ms_range),
	[BRAID_A_RESOURCE_OPEN_WAIT_MS] =
		NLA_POLICY_FULL_RANGE(NLA_U32, &braid_nl_resource_open_wait_ms_range),
};

static const struct nla_policy braid_nl_resource_set_policy[BRAID_A_RESOURCE_OPEN_WAIT_MS + 1] = {
	[BRAID_A_RESOURCE_NAME] = { .type = NLA_NUL_STRING, .len = BRAID_NAME_MAX },
	[BRAID_A_RESOURCE_LEASE_MS] =
		NLA_POLICY_FULL_RANGE(NLA_U32, &braid_nl_resource_lease_ms_range),
	[BRAID_A_RESOURCE_TIMEOUT_MS] =
		NLA_POLICY_FULL_RANGE(NLA_U32, &braid_nl_resource_timeout_ms_range),
	[BRAID_A_RESOURCE_POLICY] = NLA_POLICY_MAX(NLA_U32, 1),
	[BRAID_A_RESOURCE_REQUEST_TIMEOUT_MS] =
		NLA_POLICY_FULL_RANGE(NLA_U32, &braid_nl_resource_request_timeout_ms_range),
	[BRAID_A_RESOURCE_OPEN_WAIT_MS] =
		NLA_POLICY_FULL_RANGE(NLA_U32, &braid_nl_resource_open_wait_ms_range),
};

static const struct nla_policy braid_nl_resource_del_policy[BRAID_A_RESOURCE_FORCE + 1] = {
	[BRAID_A_RESOURCE_NAME] = { .type = NLA_NUL_STRING, .len = BRAID_NAME_MAX },
	[BRAID_A_RESOURCE_FORCE] = { .type = NLA_FLAG },
};

static const struct nla_policy braid_nl_resource_get_policy[BRAID_A_RESOURCE_NAME + 1] = {
	[BRAID_A_RESOURCE_NAME] = { .type = NLA_NUL_STRING, .len = BRAID_NAME_MAX },
};

static const struct nla_policy
braid_nl_resource_configure_policy[BRAID_A_RESOURCE_COMMON_EPOCH + 1] = {
	[BRAID_A_RESOURCE_NAME] = { .type = NLA_NUL_STRING, .len = BRAID_NAME_MAX },
	[BRAID_A_RESOURCE_CONFIG] = NLA_POLICY_NESTED(braid_config_nl_policy),
	[BRAID_A_RESOURCE_NEW_LINEAGE] = { .type = NLA_FLAG },
	[BRAID_A_RESOURCE_COMMON_EPOCH] = { .type = NLA_U64 },
};

static const struct nla_policy braid_nl_resource_serve_policy[BRAID_A_RESOURCE_REFERENCE + 1] = {
	[BRAID_A_RESOURCE_NAME] = { .type = NLA_NUL_STRING, .len = BRAID_NAME_MAX },
	[BRAID_A_RESOURCE_EPOCH] = NLA_POLICY_MIN(NLA_U64, 1),
	[BRAID_A_RESOURCE_REFERENCE] = NLA_POLICY_MAX(NLA_U32, BRAID_NODE_MAX),
};

static const struct nla_policy braid_nl_resource_demote_policy[BRAID_A_RESOURCE_FORCE + 1] = {
	[BRAID_A_RESOURCE_NAME] = { .type = NLA_NUL_STRING, .len = BRAID_NAME_MAX },
	[BRAID_A_RESOURCE_FORCE] = { .type = NLA_FLAG },
};

static const struct nla_policy
braid_nl_resource_migrate_policy[BRAID_A_RESOURCE_DEADLINE_MS + 1] = {
	[BRAID_A_RESOURCE_NAME] = { .type = NLA_NUL_STRING, .len = BRAID_NAME_MAX },
	[BRAID_A_RESOURCE_EPOCH] = NLA_POLICY_MIN(NLA_U64, 1),
	[BRAID_A_RESOURCE_TARGET] = NLA_POLICY_MAX(NLA_U32, BRAID_NODE_MAX),
	[BRAID_A_RESOURCE_GRANT] = NLA_POLICY_MIN(NLA_U64, 1),
	[BRAID_A_RESOURCE_DEADLINE_MS] =
		NLA_POLICY_FULL_RANGE(NLA_U32, &braid_nl_resource_deadline_ms_range),
};

static const struct nla_policy braid_nl_migrate_ask_policy[BRAID_A_RESOURCE_GRANT + 1] = {
	[BRAID_A_RESOURCE_NAME] = { .type = NLA_NUL_STRING, .len = BRAID_NAME_MAX },
	[BRAID_A_RESOURCE_GRANT] = NLA_POLICY_MIN(NLA_U64, 1),
};

static const struct nla_policy braid_nl_migrate_end_policy[BRAID_A_RESOURCE_GRANT + 1] = {
	[BRAID_A_RESOURCE_NAME] = { .type = NLA_NUL_STRING, .len = BRAID_NAME_MAX },
	[BRAID_A_RESOURCE_GRANT] = NLA_POLICY_MIN(NLA_U64, 1),
};

static const struct nla_policy braid_nl_volume_new_policy[BRAID_A_VOLUME_MINOR + 1] = {
	[BRAID_A_VOLUME_NAME] = { .type = NLA_NUL_STRING, .len = BRAID_NAME_MAX },
	[BRAID_A_VOLUME_VOLUME] = NLA_POLICY_FULL_RANGE(NLA_U32, &braid_nl_volume_volume_range),
	[BRAID_A_VOLUME_MINOR] = NLA_POLICY_FULL_RANGE(NLA_U32, &braid_nl_volume_minor_range),
};

static const struct nla_policy braid_nl_volume_del_policy[BRAID_A_VOLUME_VOLUME + 1] = {
	[BRAID_A_VOLUME_NAME] = { .type = NLA_NUL_STRING, .len = BRAID_NAME_MAX },
	[BRAID_A_VOLUME_VOLUME] = NLA_POLICY_FULL_RANGE(NLA_U32, &braid_nl_volume_volume_range),
};

static const struct nla_policy braid_nl_volume_get_policy[BRAID_A_VOLUME_NAME + 1] = {
	[BRAID_A_VOLUME_NAME] = { .type = NLA_NUL_STRING, .len = BRAID_NAME_MAX },
};

static const struct nla_policy braid_nl_volume_attach_policy[BRAID_A_VOLUME_OLD_SIZE + 1] = {
	[BRAID_A_VOLUME_NAME] = { .type = NLA_NUL_STRING, .len = BRAID_NAME_MAX },
	[BRAID_A_VOLUME_VOLUME] = NLA_POLICY_FULL_RANGE(NLA_U32, &braid_nl_volume_volume_range),
	[BRAID_A_VOLUME_DISK] = { .type = NLA_NUL_STRING, .len = BRAID_PATH_MAX },
	[BRAID_A_VOLUME_META_DISK] = { .type = NLA_NUL_STRING, .len = BRAID_PATH_MAX },
	[BRAID_A_VOLUME_OLD_SIZE] = { .type = NLA_U64 },
};

static const struct nla_policy braid_nl_volume_resize_policy[BRAID_A_VOLUME_VOLUME + 1] = {
	[BRAID_A_VOLUME_NAME] = { .type = NLA_NUL_STRING, .len = BRAID_NAME_MAX },
	[BRAID_A_VOLUME_VOLUME] = NLA_POLICY_FULL_RANGE(NLA_U32, &braid_nl_volume_volume_range),
};

static const struct nla_policy braid_nl_volume_detach_policy[BRAID_A_VOLUME_FORCE + 1] = {
	[BRAID_A_VOLUME_NAME] = { .type = NLA_NUL_STRING, .len = BRAID_NAME_MAX },
	[BRAID_A_VOLUME_VOLUME] = NLA_POLICY_FULL_RANGE(NLA_U32, &braid_nl_volume_volume_range),
	[BRAID_A_VOLUME_FORCE] = { .type = NLA_FLAG },
};

static const struct nla_policy braid_nl_vote_set_policy[BRAID_A_VOLUME_VOTE + 1] = {
	[BRAID_A_VOLUME_NAME] = { .type = NLA_NUL_STRING, .len = BRAID_NAME_MAX },
	[BRAID_A_VOLUME_VOLUME] = NLA_POLICY_FULL_RANGE(NLA_U32, &braid_nl_volume_volume_range),
	[BRAID_A_VOLUME_VOTE] = { .type = NLA_BINARY, .len = BRAID_VOTE_BYTES_MAX },
};

static const struct nla_policy braid_nl_vote_get_policy[BRAID_A_VOLUME_VOLUME + 1] = {
	[BRAID_A_VOLUME_NAME] = { .type = NLA_NUL_STRING, .len = BRAID_NAME_MAX },
	[BRAID_A_VOLUME_VOLUME] = NLA_POLICY_FULL_RANGE(NLA_U32, &braid_nl_volume_volume_range),
};

static const struct nla_policy braid_nl_peer_new_policy[BRAID_A_PEER_NODE_ID + 1] = {
	[BRAID_A_PEER_NAME] = { .type = NLA_NUL_STRING, .len = BRAID_NAME_MAX },
	[BRAID_A_PEER_NODE_ID] = NLA_POLICY_MAX(NLA_U32, BRAID_NODE_MAX),
};

static const struct nla_policy braid_nl_peer_del_policy[BRAID_A_PEER_NODE_ID + 1] = {
	[BRAID_A_PEER_NAME] = { .type = NLA_NUL_STRING, .len = BRAID_NAME_MAX },
	[BRAID_A_PEER_NODE_ID] = NLA_POLICY_MAX(NLA_U32, BRAID_NODE_MAX),
};

static const struct nla_policy braid_nl_peer_get_policy[BRAID_A_PEER_NAME + 1] = {
	[BRAID_A_PEER_NAME] = { .type = NLA_NUL_STRING, .len = BRAID_NAME_MAX },
};

static const struct nla_policy braid_nl_peer_connect_policy[BRAID_A_PEER_KEY_LIMIT + 1] = {
	[BRAID_A_PEER_NAME] = { .type = NLA_NUL_STRING, .len = BRAID_NAME_MAX },
	[BRAID_A_PEER_NODE_ID] = NLA_POLICY_MAX(NLA_U32, BRAID_NODE_MAX),
	[BRAID_A_PEER_FD] = { .type = NLA_U32 },
	[BRAID_A_PEER_SESSION] = NLA_POLICY_MIN(NLA_U64, 1),
	[BRAID_A_PEER_CHECKSUMS] = { .type = NLA_FLAG },
	[BRAID_A_PEER_KEY_LIMIT] = NLA_POLICY_MIN(NLA_U64, 1),
};

static const struct nla_policy braid_nl_peer_retire_policy[BRAID_A_PEER_STREAM_ID + 1] = {
	[BRAID_A_PEER_NAME] = { .type = NLA_NUL_STRING, .len = BRAID_NAME_MAX },
	[BRAID_A_PEER_NODE_ID] = NLA_POLICY_MAX(NLA_U32, BRAID_NODE_MAX),
	[BRAID_A_PEER_STREAM_ID] = { .type = NLA_U32 },
};

static const struct nla_policy braid_nl_peer_disconnect_policy[BRAID_A_PEER_NODE_ID + 1] = {
	[BRAID_A_PEER_NAME] = { .type = NLA_NUL_STRING, .len = BRAID_NAME_MAX },
	[BRAID_A_PEER_NODE_ID] = NLA_POLICY_MAX(NLA_U32, BRAID_NODE_MAX),
};

static const struct nla_policy braid_nl_sync_start_policy[BRAID_A_PEER_MAX_RATE + 1] = {
	[BRAID_A_PEER_NAME] = { .type = NLA_NUL_STRING, .len = BRAID_NAME_MAX },
	[BRAID_A_PEER_NODE_ID] = NLA_POLICY_MAX(NLA_U32, BRAID_NODE_MAX),
	[BRAID_A_PEER_FULL] = { .type = NLA_FLAG },
	[BRAID_A_PEER_COMPARE] = { .type = NLA_FLAG },
	[BRAID_A_PEER_MAX_RATE] = { .type = NLA_U64 },
};

static const struct nla_policy braid_nl_sync_set_policy[BRAID_A_PEER_MAX_RATE + 1] = {
	[BRAID_A_PEER_NAME] = { .type = NLA_NUL_STRING, .len = BRAID_NAME_MAX },
	[BRAID_A_PEER_NODE_ID] = NLA_POLICY_MAX(NLA_U32, BRAID_NODE_MAX),
	[BRAID_A_PEER_MAX_RATE] = { .type = NLA_U64 },
};

static const struct nla_policy braid_nl_sync_pause_policy[BRAID_A_PEER_NODE_ID + 1] = {
	[BRAID_A_PEER_NAME] = { .type = NLA_NUL_STRING, .len = BRAID_NAME_MAX },
	[BRAID_A_PEER_NODE_ID] = NLA_POLICY_MAX(NLA_U32, BRAID_NODE_MAX),
};

static const struct nla_policy braid_nl_sync_resume_policy[BRAID_A_PEER_NODE_ID + 1] = {
	[BRAID_A_PEER_NAME] = { .type = NLA_NUL_STRING, .len = BRAID_NAME_MAX },
	[BRAID_A_PEER_NODE_ID] = NLA_POLICY_MAX(NLA_U32, BRAID_NODE_MAX),
};

static const struct nla_policy braid_nl_sync_stop_policy[BRAID_A_PEER_NODE_ID + 1] = {
	[BRAID_A_PEER_NAME] = { .type = NLA_NUL_STRING, .len = BRAID_NAME_MAX },
	[BRAID_A_PEER_NODE_ID] = NLA_POLICY_MAX(NLA_U32, BRAID_NODE_MAX),
};

static const struct nla_policy braid_nl_sync_join_policy[BRAID_A_PEER_NODE_ID + 1] = {
	[BRAID_A_PEER_NAME] = { .type = NLA_NUL_STRING, .len = BRAID_NAME_MAX },
	[BRAID_A_PEER_NODE_ID] = NLA_POLICY_MAX(NLA_U32, BRAID_NODE_MAX),
};

static const struct nla_policy braid_nl_verify_start_policy[BRAID_A_PEER_MAX_RATE + 1] = {
	[BRAID_A_PEER_NAME] = { .type = NLA_NUL_STRING, .len = BRAID_NAME_MAX },
	[BRAID_A_PEER_NODE_ID] = NLA_POLICY_MAX(NLA_U32, BRAID_NODE_MAX),
	[BRAID_A_PEER_START] = { .type = NLA_U64 },
	[BRAID_A_PEER_STOP] = NLA_POLICY_MIN(NLA_U64, 1),
	[BRAID_A_PEER_MAX_RATE] = { .type = NLA_U64 },
};

static const struct nla_policy braid_nl_verify_stop_policy[BRAID_A_PEER_NODE_ID + 1] = {
	[BRAID_A_PEER_NAME] = { .type = NLA_NUL_STRING, .len = BRAID_NAME_MAX },
	[BRAID_A_PEER_NODE_ID] = NLA_POLICY_MAX(NLA_U32, BRAID_NODE_MAX),
};

static const struct nla_policy braid_nl_verify_get_policy[BRAID_A_PEER_NAME + 1] = {
	[BRAID_A_PEER_NAME] = { .type = NLA_NUL_STRING, .len = BRAID_NAME_MAX },
};

static const struct nla_policy braid_nl_resource_suspend_policy[BRAID_A_RESOURCE_NAME + 1] = {
	[BRAID_A_RESOURCE_NAME] = { .type = NLA_NUL_STRING, .len = BRAID_NAME_MAX },
};

static const struct nla_policy braid_nl_resource_resume_policy[BRAID_A_RESOURCE_NAME + 1] = {
	[BRAID_A_RESOURCE_NAME] = { .type = NLA_NUL_STRING, .len = BRAID_NAME_MAX },
};

static const struct nla_policy braid_nl_resource_refuse_opens_policy[BRAID_A_RESOURCE_NAME + 1] = {
	[BRAID_A_RESOURCE_NAME] = { .type = NLA_NUL_STRING, .len = BRAID_NAME_MAX },
};

const struct genl_ops braid_nl_ops[37] = {
	{
		.cmd		= BRAID_CMD_MODULE_GET,
		.doit		= braid_nl_module_get_doit,
		.policy		= braid_nl_module_get_policy,
		.maxattr	= BRAID_A_MODULE_API_MAX,
		.flags		= GENL_ADMIN_PERM,
	},
	{
		.cmd		= BRAID_CMD_RESOURCE_NEW,
		.doit		= braid_nl_resource_new_doit,
		.policy		= braid_nl_resource_new_policy,
		.maxattr	= BRAID_A_RESOURCE_OPEN_WAIT_MS,
		.flags		= GENL_ADMIN_PERM,
	},
	{
		.cmd		= BRAID_CMD_RESOURCE_SET,
		.doit		= braid_nl_resource_set_doit,
		.policy		= braid_nl_resource_set_policy,
		.maxattr	= BRAID_A_RESOURCE_OPEN_WAIT_MS,
		.flags		= GENL_ADMIN_PERM,
	},
	{
		.cmd		= BRAID_CMD_RESOURCE_DEL,
		.doit		= braid_nl_resource_del_doit,
		.policy		= braid_nl_resource_del_policy,
		.maxattr	= BRAID_A_RESOURCE_FORCE,
		.flags		= GENL_ADMIN_PERM,
	},
	{
		.cmd		= BRAID_CMD_RESOURCE_GET,
		.doit		= braid_nl_resource_get_doit,
		.start		= braid_nl_dump_start,
		.dumpit		= braid_nl_resource_get_dumpit,
		.policy		= braid_nl_resource_get_policy,
		.maxattr	= BRAID_A_RESOURCE_NAME,
		.flags		= GENL_ADMIN_PERM,
	},
	{
		.cmd		= BRAID_CMD_RESOURCE_CONFIGURE,
		.doit		= braid_nl_resource_configure_doit,
		.policy		= braid_nl_resource_configure_policy,
		.maxattr	= BRAID_A_RESOURCE_COMMON_EPOCH,
		.flags		= GENL_ADMIN_PERM,
	},
	{
		.cmd		= BRAID_CMD_RESOURCE_SERVE,
		.doit		= braid_nl_resource_serve_doit,
		.policy		= braid_nl_resource_serve_policy,
		.maxattr	= BRAID_A_RESOURCE_REFERENCE,
		.flags		= GENL_ADMIN_PERM,
	},
	{
		.cmd		= BRAID_CMD_RESOURCE_DEMOTE,
		.doit		= braid_nl_resource_demote_doit,
		.policy		= braid_nl_resource_demote_policy,
		.maxattr	= BRAID_A_RESOURCE_FORCE,
		.flags		= GENL_ADMIN_PERM,
	},
	{
		.cmd		= BRAID_CMD_RESOURCE_MIGRATE,
		.doit		= braid_nl_resource_migrate_doit,
		.policy		= braid_nl_resource_migrate_policy,
		.maxattr	= BRAID_A_RESOURCE_DEADLINE_MS,
		.flags		= GENL_ADMIN_PERM,
	},
	{
		.cmd		= BRAID_CMD_MIGRATE_ASK,
		.doit		= braid_nl_migrate_ask_doit,
		.policy		= braid_nl_migrate_ask_policy,
		.maxattr	= BRAID_A_RESOURCE_GRANT,
		.flags		= GENL_ADMIN_PERM,
	},
	{
		.cmd		= BRAID_CMD_MIGRATE_END,
		.doit		= braid_nl_migrate_end_doit,
		.policy		= braid_nl_migrate_end_policy,
		.maxattr	= BRAID_A_RESOURCE_GRANT,
		.flags		= GENL_ADMIN_PERM,
	},
	{
		.cmd		= BRAID_CMD_VOLUME_NEW,
		.doit		= braid_nl_volume_new_doit,
		.policy		= braid_nl_volume_new_policy,
		.maxattr	= BRAID_A_VOLUME_MINOR,
		.flags		= GENL_ADMIN_PERM,
	},
	{
		.cmd		= BRAID_CMD_VOLUME_DEL,
		.doit		= braid_nl_volume_del_doit,
		.policy		= braid_nl_volume_del_policy,
		.maxattr	= BRAID_A_VOLUME_VOLUME,
		.flags		= GENL_ADMIN_PERM,
	},
	{
		.cmd		= BRAID_CMD_VOLUME_GET,
		.start		= braid_nl_dump_start,
		.dumpit		= braid_nl_volume_get_dumpit,
		.policy		= braid_nl_volume_get_policy,
		.maxattr	= BRAID_A_VOLUME_NAME,
		.flags		= GENL_ADMIN_PERM,
	},
	{
		.cmd		= BRAID_CMD_VOLUME_ATTACH,
		.doit		= braid_nl_volume_attach_doit,
		.policy		= braid_nl_volume_attach_policy,
		.maxattr	= BRAID_A_VOLUME_OLD_SIZE,
		.flags		= GENL_ADMIN_PERM,
	},
	{
		.cmd		= BRAID_CMD_VOLUME_RESIZE,
		.doit		= braid_nl_volume_resize_doit,
		.policy		= braid_nl_volume_resize_policy,
		.maxattr	= BRAID_A_VOLUME_VOLUME,
		.flags		= GENL_ADMIN_PERM,
	},
	{
		.cmd		= BRAID_CMD_VOLUME_DETACH,
		.doit		= braid_nl_volume_detach_doit,
		.policy		= braid_nl_volume_detach_policy,
		.maxattr	= BRAID_A_VOLUME_FORCE,
		.flags		= GENL_ADMIN_PERM,
	},
	{
		.cmd		= BRAID_CMD_VOTE_SET,
		.doit		= braid_nl_vote_set_doit,
		.policy		= braid_nl_vote_set_policy,
		.maxattr	= BRAID_A_VOLUME_VOTE,
		.flags		= GENL_ADMIN_PERM,
	},
	{
		.cmd		= BRAID_CMD_VOTE_GET,
		.doit		= braid_nl_vote_get_doit,
		.policy		= braid_nl_vote_get_policy,
		.maxattr	= BRAID_A_VOLUME_VOLUME,
		.flags		= GENL_ADMIN_PERM,
	},
	{
		.cmd		= BRAID_CMD_PEER_NEW,
		.doit		= braid_nl_peer_new_doit,
		.policy		= braid_nl_peer_new_policy,
		.maxattr	= BRAID_A_PEER_NODE_ID,
		.flags		= GENL_ADMIN_PERM,
	},
	{
		.cmd		= BRAID_CMD_PEER_DEL,
		.doit		= braid_nl_peer_del_doit,
		.policy		= braid_nl_peer_del_policy,
		.maxattr	= BRAID_A_PEER_NODE_ID,
		.flags		= GENL_ADMIN_PERM,
	},
	{
		.cmd		= BRAID_CMD_PEER_GET,
		.start		= braid_nl_dump_start,
		.dumpit		= braid_nl_peer_get_dumpit,
		.policy		= braid_nl_peer_get_policy,
		.maxattr	= BRAID_A_PEER_NAME,
		.flags		= GENL_ADMIN_PERM,
	},
	{
		.cmd		= BRAID_CMD_PEER_CONNECT,
		.doit		= braid_nl_peer_connect_doit,
		.policy		= braid_nl_peer_connect_policy,
		.maxattr	= BRAID_A_PEER_KEY_LIMIT,
		.flags		= GENL_ADMIN_PERM,
	},
	{
		.cmd		= BRAID_CMD_PEER_RETIRE,
		.doit		= braid_nl_peer_retire_doit,
		.policy		= braid_nl_peer_retire_policy,
		.maxattr	= BRAID_A_PEER_STREAM_ID,
		.flags		= GENL_ADMIN_PERM,
	},
	{
		.cmd		= BRAID_CMD_PEER_DISCONNECT,
		.doit		= braid_nl_peer_disconnect_doit,
		.policy		= braid_nl_peer_disconnect_policy,
		.maxattr	= BRAID_A_PEER_NODE_ID,
		.flags		= GENL_ADMIN_PERM,
	},
	{
		.cmd		= BRAID_CMD_SYNC_START,
		.doit		= braid_nl_sync_start_doit,
		.policy		= braid_nl_sync_start_policy,
		.maxattr	= BRAID_A_PEER_MAX_RATE,
		.flags		= GENL_ADMIN_PERM,
	},
	{
		.cmd		= BRAID_CMD_SYNC_SET,
		.doit		= braid_nl_sync_set_doit,
		.policy		= braid_nl_sync_set_policy,
		.maxattr	= BRAID_A_PEER_MAX_RATE,
		.flags		= GENL_ADMIN_PERM,
	},
	{
		.cmd		= BRAID_CMD_SYNC_PAUSE,
		.doit		= braid_nl_sync_pause_doit,
		.policy		= braid_nl_sync_pause_policy,
		.maxattr	= BRAID_A_PEER_NODE_ID,
		.flags		= GENL_ADMIN_PERM,
	},
	{
		.cmd		= BRAID_CMD_SYNC_RESUME,
		.doit		= braid_nl_sync_resume_doit,
		.policy		= braid_nl_sync_resume_policy,
		.maxattr	= BRAID_A_PEER_NODE_ID,
		.flags		= GENL_ADMIN_PERM,
	},
	{
		.cmd		= BRAID_CMD_SYNC_STOP,
		.doit		= braid_nl_sync_stop_doit,
		.policy		= braid_nl_sync_stop_policy,
		.maxattr	= BRAID_A_PEER_NODE_ID,
		.flags		= GENL_ADMIN_PERM,
	},
	{
		.cmd		= BRAID_CMD_SYNC_JOIN,
		.doit		= braid_nl_sync_join_doit,
		.policy		= braid_nl_sync_join_policy,
		.maxattr	= BRAID_A_PEER_NODE_ID,
		.flags		= GENL_ADMIN_PERM,
	},
	{
		.cmd		= BRAID_CMD_VERIFY_START,
		.doit		= braid_nl_verify_start_doit,
		.policy		= braid_nl_verify_start_policy,
		.maxattr	= BRAID_A_PEER_MAX_RATE,
		.flags		= GENL_ADMIN_PERM,
	},
	{
		.cmd		= BRAID_CMD_VERIFY_STOP,
		.doit		= braid_nl_verify_stop_doit,
		.policy		= braid_nl_verify_stop_policy,
		.maxattr	= BRAID_A_PEER_NODE_ID,
		.flags		= GENL_ADMIN_PERM,
	},
	{
		.cmd		= BRAID_CMD_VERIFY_GET,
		.start		= braid_nl_dump_start,
		.dumpit		= braid_nl_verify_get_dumpit,
		.policy		= braid_nl_verify_get_policy,
		.maxattr	= BRAID_A_PEER_NAME,
		.flags		= GENL_ADMIN_PERM,
	},
	{
		.cmd		= BRAID_CMD_RESOURCE_SUSPEND,
		.doit		= braid_nl_resource_suspend_doit,
		.policy		= braid_nl_resource_suspend_policy,
		.maxattr	= BRAID_A_RESOURCE_NAME,
		.flags		= GENL_ADMIN_PERM,
	},
	{
		.cmd		= BRAID_CMD_RESOURCE_RESUME,
		.doit		= braid_nl_resource_resume_doit,
		.policy		= braid_nl_resource_resume_policy,
		.maxattr	= BRAID_A_RESOURCE_NAME,
		.flags		= GENL_ADMIN_PERM,
	},
	{
		.cmd		= BRAID_CMD_RESOURCE_REFUSE_OPENS,
		.doit		= braid_nl_resource_refuse_opens_doit,
		.policy		= braid_nl_resource_refuse_opens_policy,
		.maxattr	= BRAID_A_RESOURCE_NAME,
		.flags		= GENL_ADMIN_PERM,
	},
};

const struct genl_multicast_group braid_nl_mcgrps[1] = {
	[BRAID_NLGRP_EVENTS] = {
		.name	= BRAID_MCGRP_EVENTS,
		.flags	= GENL_MCAST_CAP_NET_ADMIN | GENL_MCAST_CAP_SYS_ADMIN,
	},
};
