/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * All that core/ may take from its surroundings. The kernel half and the host
 * half define the same names, so that the module and the host tests compile
 * the same source; nothing else in core/ includes a header from outside it.
 */
#ifndef _BRAID_CORE_ENV_H
#define _BRAID_CORE_ENV_H

#ifdef __KERNEL__

#include <linux/types.h>

#else /* the host */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef uint8_t u8;
typedef uint16_t u16;
typedef uint32_t u32;
typedef uint64_t u64;

#endif

#endif /* _BRAID_CORE_ENV_H */
