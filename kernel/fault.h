/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Fault injection, for tests: compiled into debug builds and for kernels that inject faults
 * themselves. Each point is a file in /sys/kernel/debug/braid/fault:
 *
 *	echo NODE COUNT [WHAT [EVERY [AFTER]]] > POINT
 *
 * On node NODE, after the first AFTER times (0), each EVERYth time (1) fails, COUNT times in all.
 * What WHAT (0) means is said below. Reading tells how often it may still fail, and how often it
 * was come by.
 */
#ifndef _BRAID_FAULT_H
#define _BRAID_FAULT_H

#include <linux/bio.h>

/**
 * enum braid_fault_point - where something may fail
 * @BRAID_FAULT_READ: reading the disk's data
 * @BRAID_FAULT_WRITE: writing, flushing and zeroing it
 * @BRAID_FAULT_META_READ: reading metadata
 * @BRAID_FAULT_META_WRITE: writing metadata
 * @BRAID_FAULT_DELAY: I/O of data takes WHAT ms longer
 * @BRAID_FAULT_CORRUPT: a byte is received wrong; WHAT: 0 the header's tag, 1 the offset of a
 *	request, 2 payload
 * @BRAID_FAULT_ALLOC: memory is short; WHAT: enum braid_fault_alloc
 * @BRAID_FAULT_DROP: a message of type WHAT is not sent
 */
enum braid_fault_point {
	BRAID_FAULT_READ,
	BRAID_FAULT_WRITE,
	BRAID_FAULT_META_READ,
	BRAID_FAULT_META_WRITE,
	BRAID_FAULT_DELAY,
	BRAID_FAULT_CORRUPT,
	BRAID_FAULT_ALLOC,
	BRAID_FAULT_DROP,
	BRAID_FAULT_POINTS,
};

enum braid_fault_part { BRAID_PART_HEADER, BRAID_PART_BODY, BRAID_PART_PAYLOAD };

enum braid_fault_alloc {
	BRAID_ALLOC_MESSAGE,	/* one that is no request and no reply */
	BRAID_ALLOC_ANSWER,	/* to CSUM, MARKS and DIRTY */
	BRAID_ALLOC_PAYLOAD,	/* pages of a payload, on any node: the reserve is taken */
	BRAID_ALLOC_LEAF,	/* of a dirty map */
};

/* In place of a node: whichever it is. */
#define BRAID_FAULT_ANY		(~0u)

#ifdef BRAID_FAULTS

bool braid_fault(enum braid_fault_point point, u32 node, u32 what);
/* Whether the bio has been dealt with: it failed, or is submitted later. Process context. */
bool braid_fault_bio(struct bio *bio, u32 node);
void braid_fault_corrupt(u32 node, enum braid_fault_part part, void *at);
void braid_fault_corrupt_vecs(u32 node, const struct bio_vec *vecs, u32 offset);
int braid_fault_init(void);
void braid_fault_exit(void);

#else

static inline bool braid_fault(enum braid_fault_point point, u32 node, u32 what)
{
	return false;
}

static inline bool braid_fault_bio(struct bio *bio, u32 node)
{
	return false;
}

static inline void braid_fault_corrupt(u32 node, enum braid_fault_part part, void *at)
{
}

static inline void braid_fault_corrupt_vecs(u32 node, const struct bio_vec *vecs, u32 offset)
{
}

static inline int braid_fault_init(void)
{
	return 0;
}

static inline void braid_fault_exit(void)
{
}

#endif /* BRAID_FAULTS */

#endif /* _BRAID_FAULT_H */
