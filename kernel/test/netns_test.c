// SPDX-License-Identifier: GPL-2.0
#include "netns.h"

#include <kunit/test.h>
#include <net/net_namespace.h>

/* The module was loaded after this namespace was made. */
static void initial_namespace_has_state(struct kunit *test)
{
	KUNIT_ASSERT_NOT_NULL(test, braid_netns(&init_net));
	KUNIT_EXPECT_PTR_EQ(test, braid_netns(&init_net)->net, &init_net);
}

static struct kunit_case netns_cases[] = {
	KUNIT_CASE(initial_namespace_has_state),
	{}
};

static struct kunit_suite netns_suite = {
	.name = "braid_netns",
	.test_cases = netns_cases,
};

kunit_test_suite(netns_suite);
