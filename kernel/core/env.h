/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * All that core/ may take from its surroundings. The kernel half and the host
 * half define the same names, so that the module and the host tests compile
 * the same source; nothing else in core/ includes a header from outside it.
 */
#ifndef _BRAID_CORE_ENV_H
#define _BRAID_CORE_ENV_H

#ifdef __KERNEL__

#include <linux/crc32c.h>
#include <linux/string.h>
#include <linux/types.h>

static inline u32 braid_crc32c(u32 crc, const void *data, size_t length)
{
	return crc32c(crc, data, (unsigned int)length);
}

#else /* the host */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef uint8_t u8;
typedef uint16_t u16;
typedef uint32_t u32;
typedef uint64_t u64;

#ifndef __cplusplus
#define fallthrough __attribute__((__fallthrough__))
#endif

#ifdef __cplusplus
extern "C" {
#else
/* The compiler knows what these are; their headers are not found here. */
void *memcpy(void *to, const void *from, size_t length);
void *memset(void *to, int value, size_t length);
int memcmp(const void *a, const void *b, size_t length);
#endif

/* CRC-32C without the initial and the final inversion, as the kernel's crc32c(). */
u32 braid_crc32c(u32 crc, const void *data, size_t length);

#ifdef __cplusplus
}
#endif

#endif

#endif /* _BRAID_CORE_ENV_H */
