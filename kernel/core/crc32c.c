// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * CRC-32C for the host. The module takes the kernel's, which is faster, and does
 * not compile this file.
 */
#include "env.h"

/* What four bits contribute, with the polynomial 0x82f63b78. */
static const u32 table[16] = {
	0x00000000, 0x105ec76f, 0x20bd8ede, 0x30e349b1,
	0x417b1dbc, 0x5125dad3, 0x61c69362, 0x7198540d,
	0x82f63b78, 0x92a8fc17, 0xa24bb5a6, 0xb21572c9,
	0xc38d26c4, 0xd3d3e1ab, 0xe330a81a, 0xf36e6f75,
};

u32 braid_crc32c(u32 crc, const void *data, size_t length)
{
	const u8 *bytes = data;
	size_t i;

	for (i = 0; i < length; i++) {
		crc ^= bytes[i];
		crc = crc >> 4 ^ table[crc & 15];
		crc = crc >> 4 ^ table[crc & 15];
	}
	return crc;
}
