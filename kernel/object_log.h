/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The life of each object in the kernel log, for whoever looks for leaks:
 *
 *	braid: <kind> <id> created
 *	braid: <kind> <id> destroyed
 *
 * Tests pair these lines, so the form is fixed. They are debug messages: dynamic
 * debug (`dyndbg=+p` when loading) or a debug build turns them on.
 */
#ifndef _BRAID_OBJECT_LOG_H
#define _BRAID_OBJECT_LOG_H

#include <linux/printk.h>

/* The cases in which pr_debug() can print at all. */
#if defined(CONFIG_DYNAMIC_DEBUG) || defined(DEBUG)
#define BRAID_OBJECT_LOG 1
#else
#define BRAID_OBJECT_LOG 0
#endif

/*
 * "created" follows the last step that can fail, "destroyed" precedes only the
 * release of the memory: each line of the one kind then owes one of the other.
 */
#define braid_log_created(kind, id_format, id)		\
	pr_debug(kind " " id_format " created\n", id)

#define braid_log_destroyed(kind, id_format, id)	\
	pr_debug(kind " " id_format " destroyed\n", id)

#endif /* _BRAID_OBJECT_LOG_H */
