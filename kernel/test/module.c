// SPDX-License-Identifier: GPL-2.0
#include <linux/module.h>

MODULE_DESCRIPTION("KUnit suites of Braid, one in each *_test.c");
MODULE_AUTHOR("The Braid authors");
MODULE_LICENSE("GPL");
