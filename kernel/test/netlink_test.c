// SPDX-License-Identifier: GPL-2.0
/*
 * What the generated policies refuse before a handler sees it. Messages are
 * parsed as generic netlink parses them: strictly, with the policy in the
 * operation's row.
 */
#include "netlink_gen.h"

#include <kunit/test.h>

struct raw_attribute {
	u16 type;
	u16 length;
	u32 value;
};

struct parse_case {
	const char *desc;
	struct raw_attribute attributes[2];
	int trailing;
	int expect;
};

#define U32(_type, _value) { .type = (_type), .length = sizeof(u32), .value = (_value) }

static const struct parse_case module_get_cases[] = {
	{ "nothing" },
	{ "a range", { U32(BRAID_A_MODULE_API_MIN, 1), U32(BRAID_A_MODULE_API_MAX, 2) } },
	{ "any number but zero", { U32(BRAID_A_MODULE_API_MAX, U32_MAX) } },
	{ "version zero", { U32(BRAID_A_MODULE_API_MIN, 0) }, .expect = -ERANGE },
	{ "version zero as the highest", { U32(BRAID_A_MODULE_API_MAX, 0) }, .expect = -ERANGE },
	{ "number too short", { { BRAID_A_MODULE_API_MIN, 2, 1 } }, .expect = -EINVAL },
	{ "no number", { { BRAID_A_MODULE_API_MIN, 0, 0 } }, .expect = -EINVAL },
	{ "a number said to be a nest", { U32(BRAID_A_MODULE_API_MIN | NLA_F_NESTED, 1) },
	  .expect = -EINVAL },
	{ "an attribute of replies", { U32(BRAID_A_MODULE_FEATURES, 1) }, .expect = -EINVAL },
	{ "an attribute of nobody", { U32(BRAID_A_MODULE_MAX + 1, 1) }, .expect = -EINVAL },
	{ "attribute number zero", { { NLA_F_NET_BYTEORDER, 4, 1 } }, .expect = -EINVAL },
	{ "bytes after the last attribute", { U32(BRAID_A_MODULE_API_MIN, 1) }, .trailing = 3,
	  .expect = -EINVAL },
};

static void parse_desc(const struct parse_case *param, char *desc)
{
	strscpy(desc, param->desc, KUNIT_PARAM_DESC_SIZE);
}

KUNIT_ARRAY_PARAM(module_get, module_get_cases, parse_desc);

static const struct genl_ops *find_op(u8 cmd)
{
	for (size_t i = 0; i < ARRAY_SIZE(braid_nl_ops); i++)
		if (braid_nl_ops[i].cmd == cmd)
			return &braid_nl_ops[i];
	return NULL;
}

static void module_get(struct kunit *test)
{
	const struct genl_ops *op = find_op(BRAID_CMD_MODULE_GET);
	const struct parse_case *param = test->param_value;
	struct nlattr *parsed[BRAID_A_MODULE_MAX + 1];
	struct netlink_ext_ack extack = {};
	struct sk_buff *msg;

	KUNIT_ASSERT_NOT_NULL(test, op);
	KUNIT_ASSERT_LE(test, op->maxattr, (unsigned int)BRAID_A_MODULE_MAX);
	msg = nlmsg_new(NLMSG_DEFAULT_SIZE, GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, msg);
	for (size_t i = 0; i < ARRAY_SIZE(param->attributes); i++) {
		const struct raw_attribute *attribute = &param->attributes[i];

		if (attribute->type)
			KUNIT_EXPECT_EQ(test, 0, nla_put(msg, attribute->type, attribute->length,
							 &attribute->value));
	}
	skb_put_zero(msg, param->trailing);

	KUNIT_EXPECT_EQ(test, param->expect,
			nla_parse(parsed, op->maxattr, (struct nlattr *)msg->data, msg->len,
				  op->policy, &extack));
	/* A refusal names what it refused; only stray bytes have no name. */
	if (param->expect && !param->trailing)
		KUNIT_EXPECT_PTR_EQ(test, extack.bad_attr, (const struct nlattr *)msg->data);
	nlmsg_free(msg);
}

/* An operation that leaves one of these out would be open to the world. */
static void each_operation_is_guarded(struct kunit *test)
{
	for (size_t i = 0; i < ARRAY_SIZE(braid_nl_ops); i++) {
		const struct genl_ops *op = &braid_nl_ops[i];

		KUNIT_EXPECT_EQ(test, op->flags, GENL_ADMIN_PERM);
		KUNIT_EXPECT_NOT_NULL(test, op->policy);
		KUNIT_EXPECT_NE(test, op->maxattr, 0U);
		KUNIT_EXPECT_EQ(test, op->validate, 0);
		KUNIT_EXPECT_TRUE(test, !op->dumpit || op->start);
	}
}

static struct kunit_case netlink_cases[] = {
	KUNIT_CASE_PARAM(module_get, module_get_gen_params),
	KUNIT_CASE(each_operation_is_guarded),
	{}
};

static struct kunit_suite netlink_suite = {
	.name = "braid_netlink",
	.test_cases = netlink_cases,
};

kunit_test_suite(netlink_suite);
