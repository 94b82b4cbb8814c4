/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What may differ within one region: bitmaps of its blocks, and the unstable map
 * (design: F1). A bit stands for a block of 4 KiB, the lowest for the first.
 */
#ifndef _BRAID_CORE_MARKS_H
#define _BRAID_CORE_MARKS_H

#include "env.h"
#include "ondisk.h"

/*
 * struct braid_bits - a set of the blocks of a region, in the order of the disk format
 */
struct braid_bits {
	u8 bytes[BRAID_LEAF_BYTES];
};

/**
 * struct braid_marks - blocks written in generations that are not stable yet
 * @generation: of each set; a set whose generation is stable is empty, whatever it holds
 * @bits: the sets
 *
 * The writer closes a generation only when the one before it is stable, so two of them
 * are unstable at most.
 */
struct braid_marks {
	u64 generation[2];
	struct braid_bits bits[2];
};

#ifdef __cplusplus
extern "C" {
#endif

/*
 * Of @bytes, not 0, from @offset on, within one region: the blocks touched, rounded outwards. True
 * if any bit was 0.
 */
bool braid_bits_set(struct braid_bits *bits, u32 offset, u32 bytes);
/* Rounded inwards: a block that is cleared in part stays set. */
void braid_bits_clear(struct braid_bits *bits, u32 offset, u32 bytes);
/* The first run of set bits at or after block @from; false if there is none. */
bool braid_bits_next(const struct braid_bits *bits, u32 from, u32 *first, u32 *count);
u32 braid_bits_count(const struct braid_bits *bits);
void braid_bits_or(struct braid_bits *bits, const struct braid_bits *other);

/* Notes a write. @generation is above @stable. False if no set is free: the peer broke the rule. */
bool braid_marks_note(struct braid_marks *marks, u32 offset, u32 bytes, u64 generation, u64 stable);
/* Counts as unstable in @generation, without a block that is. Otherwise as above. */
bool braid_marks_hold(struct braid_marks *marks, u64 generation, u64 stable);
/* Whether any block is in a generation above @stable. */
bool braid_marks_unstable(const struct braid_marks *marks, u64 stable);
/* Adds all such blocks to @bits. */
void braid_marks_collect(const struct braid_marks *marks, u64 stable, struct braid_bits *bits);

#ifdef __cplusplus
}
#endif

#endif /* _BRAID_CORE_MARKS_H */
