// SPDX-License-Identifier: GPL-2.0
/*
 * What braid_test.ko takes from braid.ko, so that the tests run the module's
 * own objects and not copies of them. Part of braid.ko only where the kernel
 * has KUnit.
 */
#include "core/version.h"
#include "netlink_gen.h"
#include "netns.h"

#include <linux/export.h>

EXPORT_SYMBOL_GPL(braid_netns);
EXPORT_SYMBOL_GPL(braid_nl_ops);
EXPORT_SYMBOL_GPL(braid_version_agree);
