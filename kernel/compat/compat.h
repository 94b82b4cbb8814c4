/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Included before each source file. The sources are written for the newest
 * supported kernel; what older ones lack is made up for here, and nowhere else.
 * Includes nothing, since core/ sees it too.
 */
#ifndef _BRAID_COMPAT_H
#define _BRAID_COMPAT_H

/* pre_doit was given the operation in its only form. */
#ifndef COMPAT_HAS_GENL_SPLIT_OPS
#define genl_split_ops genl_ops
#endif

#endif /* _BRAID_COMPAT_H */
