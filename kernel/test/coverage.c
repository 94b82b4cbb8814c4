// SPDX-License-Identifier: GPL-2.0
/*
 * Which basic blocks ran, for scripts/coverage. The compiler calls the function below from each of
 * them. Only in builds for that: build-module --coverage.
 */
#include "coverage.h"

#include <linux/export.h>
#include <linux/fs.h>
#include <linux/module.h>

/* The module's code lies within this many bytes on either side of the function. */
#define SPAN	0x100000

static u8 seen[2 * SPAN];

static char *coverage;
module_param(coverage, charp, 0400);
MODULE_PARM_DESC(coverage, "file that is told, when the module goes, which code ran");

notrace void __sanitizer_cov_trace_pc(void)
{
	unsigned long at = (unsigned long)__builtin_return_address(0) -
			   (unsigned long)__sanitizer_cov_trace_pc + SPAN;

	if (at < sizeof(seen))
		seen[at] = 1;
}

void braid_coverage_write(void)
{
	struct file *file;
	loff_t at = 0;
	ssize_t done;

	if (!coverage)
		return;
	file = filp_open(coverage, O_WRONLY | O_CREAT | O_APPEND, 0600);
	if (IS_ERR(file)) {
		pr_err("%s: cannot be opened: %ld\n", coverage, PTR_ERR(file));
		return;
	}
	done = kernel_write(file, seen, sizeof(seen), &at);
	if (done != sizeof(seen))
		pr_err("%s: cannot be written: %zd\n", coverage, done);
	filp_close(file, NULL);
}
