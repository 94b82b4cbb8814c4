// SPDX-License-Identifier: GPL-2.0-or-later
#include "marks.h"

static bool test(const struct braid_bits *bits, u32 block)
{
	return bits->bytes[block / 8] >> block % 8 & 1;
}

bool braid_bits_set(struct braid_bits *bits, u32 offset, u32 bytes)
{
	u32 block = offset >> BRAID_BLOCK_SHIFT;
	u32 last = (offset + bytes - 1) >> BRAID_BLOCK_SHIFT;
	bool changed = false;

	while (block <= last) {
		u8 *at = &bits->bytes[block / 8];
		u8 mask = (u8)(1u << block % 8);
		u32 step = 1;

		if (block % 8 == 0 && block + 7 <= last) {
			mask = 0xff;
			step = 8;
		}
		changed |= (*at & mask) != mask;
		*at |= mask;
		block += step;
	}
	return changed;
}

void braid_bits_clear(struct braid_bits *bits, u32 offset, u32 bytes)
{
	u32 block = (offset + BRAID_BLOCK_SIZE - 1) >> BRAID_BLOCK_SHIFT;
	u32 end = (offset + bytes) >> BRAID_BLOCK_SHIFT;

	for (; block < end; block++)
		bits->bytes[block / 8] &= (u8)~(1u << block % 8);
}

bool braid_bits_next(const struct braid_bits *bits, u32 from, u32 *first, u32 *count)
{
	u32 block = from;

	while (block < BRAID_REGION_BLOCKS && !test(bits, block))
		block += block % 8 == 0 && !bits->bytes[block / 8] ? 8 : 1;
	if (block >= BRAID_REGION_BLOCKS)
		return false;
	*first = block;
	while (block < BRAID_REGION_BLOCKS && test(bits, block))
		block++;
	*count = block - *first;
	return true;
}

u32 braid_bits_count(const struct braid_bits *bits)
{
	u32 i, count = 0;

	for (i = 0; i < BRAID_LEAF_BYTES; i++) {
		u8 byte = bits->bytes[i];

		for (; byte; byte &= (u8)(byte - 1))
			count++;
	}
	return count;
}

void braid_bits_or(struct braid_bits *bits, const struct braid_bits *other)
{
	u32 i;

	for (i = 0; i < BRAID_LEAF_BYTES; i++)
		bits->bytes[i] |= other->bytes[i];
}

/* The set of a generation: the one it has, or one that is free; NULL if there is none. */
static struct braid_bits *set_of(struct braid_marks *marks, u64 generation, u64 stable)
{
	u32 i;

	for (i = 0; i < 2; i++)
		if (marks->generation[i] == generation)
			return &marks->bits[i];
	for (i = 0; i < 2; i++) {
		if (marks->generation[i] <= stable) {
			memset(&marks->bits[i], 0, sizeof(marks->bits[i]));
			marks->generation[i] = generation;
			return &marks->bits[i];
		}
	}
	return NULL;
}

bool braid_marks_note(struct braid_marks *marks, u32 offset, u32 bytes, u64 generation, u64 stable)
{
	struct braid_bits *bits = set_of(marks, generation, stable);

	if (bits)
		braid_bits_set(bits, offset, bytes);
	return bits;
}

bool braid_marks_hold(struct braid_marks *marks, u64 generation, u64 stable)
{
	return set_of(marks, generation, stable);
}

bool braid_marks_unstable(const struct braid_marks *marks, u64 stable)
{
	return marks->generation[0] > stable || marks->generation[1] > stable;
}

void braid_marks_collect(const struct braid_marks *marks, u64 stable, struct braid_bits *bits)
{
	u32 i;

	for (i = 0; i < 2; i++)
		if (marks->generation[i] > stable)
			braid_bits_or(bits, &marks->bits[i]);
}
