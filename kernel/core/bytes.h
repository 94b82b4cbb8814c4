/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Little-endian integers in formats. A byte at a time: no alignment is asked for,
 * and compilers make one load or store of it.
 */
#ifndef _BRAID_CORE_BYTES_H
#define _BRAID_CORE_BYTES_H

#include "env.h"

static inline u16 braid_get_le16(const u8 *at)
{
	return (u16)(at[0] | at[1] << 8);
}

static inline u32 braid_get_le32(const u8 *at)
{
	return braid_get_le16(at) | (u32)braid_get_le16(at + 2) << 16;
}

static inline u64 braid_get_le64(const u8 *at)
{
	return braid_get_le32(at) | (u64)braid_get_le32(at + 4) << 32;
}

static inline void braid_put_le16(u8 *at, u16 value)
{
	at[0] = (u8)(value & 0xff);
	at[1] = (u8)(value >> 8);
}

static inline void braid_put_le32(u8 *at, u32 value)
{
	braid_put_le16(at, (u16)(value & 0xffff));
	braid_put_le16(at + 2, (u16)(value >> 16));
}

static inline void braid_put_le64(u8 *at, u64 value)
{
	braid_put_le32(at, (u32)(value & 0xffffffff));
	braid_put_le32(at + 4, (u32)(value >> 32));
}

#endif /* _BRAID_CORE_BYTES_H */
