// SPDX-License-Identifier: GPL-2.0
#include "core/version.h"

#include <kunit/test.h>
#include <linux/limits.h>

#define UNTOUCHED 0xdead

struct agree_case {
	const char *desc;
	struct braid_version_range ours, theirs;
	enum braid_version_result result;
	u32 agreed;
};

static const struct agree_case agree_cases[] = {
	{ "equal", { 1, 1 }, { 1, 1 }, BRAID_VERSION_AGREED, 1 },
	{ "highest in common, ours ends first", { 1, 4 }, { 2, 7 }, BRAID_VERSION_AGREED, 4 },
	{ "highest in common, theirs ends first", { 2, 7 }, { 1, 4 }, BRAID_VERSION_AGREED, 4 },
	{ "one inside the other", { 1, 9 }, { 3, 5 }, BRAID_VERSION_AGREED, 5 },
	{ "meeting at one version", { 3, 5 }, { 5, 8 }, BRAID_VERSION_AGREED, 5 },
	{ "all there is", { 1, U32_MAX }, { 1, U32_MAX }, BRAID_VERSION_AGREED, U32_MAX },
	{ "theirs ends just below", { 3, 5 }, { 1, 2 }, BRAID_VERSION_TOO_OLD, UNTOUCHED },
	{ "theirs begins just above", { 3, 5 }, { 6, 8 }, BRAID_VERSION_TOO_NEW, UNTOUCHED },
	{ "theirs at the end of numbers", { 1, 1 }, { U32_MAX, U32_MAX },
	  BRAID_VERSION_TOO_NEW, UNTOUCHED },
	{ "theirs upside down", { 1, 5 }, { 4, 3 }, BRAID_VERSION_MALFORMED, UNTOUCHED },
	{ "theirs from zero", { 1, 5 }, { 0, 3 }, BRAID_VERSION_MALFORMED, UNTOUCHED },
	{ "theirs all zero", { 1, 5 }, { 0, 0 }, BRAID_VERSION_MALFORMED, UNTOUCHED },
	{ "ours upside down", { 5, 1 }, { 1, 3 }, BRAID_VERSION_MALFORMED, UNTOUCHED },
};

static void agree_desc(const struct agree_case *param, char *desc)
{
	strscpy(desc, param->desc, KUNIT_PARAM_DESC_SIZE);
}

KUNIT_ARRAY_PARAM(agree, agree_cases, agree_desc);

static void agree(struct kunit *test)
{
	const struct agree_case *param = test->param_value;
	u32 agreed = UNTOUCHED;

	KUNIT_EXPECT_EQ(test, braid_version_agree(&param->ours, &param->theirs, &agreed),
			param->result);
	KUNIT_EXPECT_EQ(test, agreed, param->agreed);
}

static struct kunit_case version_cases[] = {
	KUNIT_CASE_PARAM(agree, agree_gen_params),
	{}
};

static struct kunit_suite version_suite = {
	.name = "braid_version",
	.test_cases = version_cases,
};

kunit_test_suite(version_suite);
