// SPDX-License-Identifier: GPL-2.0
#include "request.h"
#include "disk.h"
#include "fault.h"

#include <linux/mempool.h>
#include <linux/slab.h>

/* Payload pages that allocation can always count on: one request of the largest size. */
#define RESERVED_PAGES	(BRAID_PAYLOAD_MAX / PAGE_SIZE)

struct bio_set braid_bios;
static mempool_t page_pool;
/* Whoever takes several pages of the reserve takes all of them before another one begins. */
static DEFINE_MUTEX(reserve_lock);

int braid_payload_init(void)
{
	int err;

	err = mempool_init_page_pool(&page_pool, RESERVED_PAGES, 0);
	if (!err)
		err = bioset_init(&braid_bios, BRAID_RESERVED, 0,
				  BIOSET_NEED_BVECS | BIOSET_NEED_RESCUER);
	if (err)
		braid_payload_exit();
	return err;
}

void braid_payload_exit(void)
{
	bioset_exit(&braid_bios);
	mempool_exit(&page_pool);
}

void braid_payload_free(struct bio *payload)
{
	struct bvec_iter_all all;
	struct bio_vec *vec;

	if (!payload)
		return;
	bio_for_each_segment_all(vec, payload, all)
		mempool_free(vec->bv_page, &page_pool);
	bio_put(payload);
}

static bool fill_payload(struct bio *payload, u32 bytes, gfp_t gfp)
{
	while (bytes) {
		u32 part = min_t(u32, bytes, PAGE_SIZE);
		struct page *page = mempool_alloc(&page_pool, gfp);

		if (!page)
			return false;
		__bio_add_page(payload, page, part, 0);
		bytes -= part;
	}
	return true;
}

/*
 * Pages that are next to each other in memory become one vector in a socket's or disk's eyes by
 * themselves; here each page keeps its own, so that each can be freed.
 */
struct bio *braid_payload_alloc(u32 bytes, gfp_t gfp)
{
	u32 count = DIV_ROUND_UP(bytes, PAGE_SIZE);
	struct bio *payload;

	payload = bio_alloc_bioset(NULL, count, REQ_OP_WRITE, gfp, &braid_bios);
	if (!payload)
		return NULL;
	if (!braid_fault(BRAID_FAULT_ALLOC, BRAID_FAULT_ANY, BRAID_ALLOC_PAYLOAD) &&
	    fill_payload(payload, bytes, GFP_NOWAIT | __GFP_NOWARN))
		return payload;
	braid_payload_free(payload);
	if (!gfpflags_allow_blocking(gfp))
		return NULL;
	payload = bio_alloc_bioset(NULL, count, REQ_OP_WRITE, GFP_NOIO, &braid_bios);
	mutex_lock(&reserve_lock);
	fill_payload(payload, bytes, GFP_NOIO);
	mutex_unlock(&reserve_lock);
	return payload;
}

u32 braid_bio_vecs(struct bio *bio, struct bio_vec **vecs, u32 *offset)
{
	struct bvec_iter iter = bio->bi_iter;
	struct bio_vec *vec = &bio->bi_io_vec[iter.bi_idx];
	u32 left = iter.bi_size + iter.bi_bvec_done;
	u32 count = 0;

	*vecs = vec;
	*offset = iter.bi_bvec_done;
	while (left) {
		left -= min(left, vec->bv_len);
		vec++;
		count++;
	}
	return count;
}

struct bio *braid_zero_bio(struct braid_disk *disk, u64 offset, u32 bytes, bool unmap)
{
	sector_t sector = offset >> SECTOR_SHIFT, end = sector + (bytes >> SECTOR_SHIFT);
	struct block_device *bdev = disk->data;
	struct bio *bio = NULL;

	/*
	 * Replicas have to be equal, so a discard has to leave zeroes. Disks that can write them by
	 * deallocation say so as write-zeroes; others that discard at all are taken for thin
	 * volumes, whose deallocated units read as zeroes.
	 */
	if (unmap && bdev_max_discard_sectors(bdev) && !bdev_write_zeroes_sectors(bdev)) {
		u32 unit = max_t(u32, bdev_discard_granularity(bdev) >> SECTOR_SHIFT, 1);
		sector_t first = DIV_ROUND_UP_SECTOR_T(sector, unit) * unit;
		sector_t last = end;

		sector_div(last, unit);
		last *= unit;
		if (first < last) {
			if (sector < first)
				__blkdev_issue_zeroout(bdev, sector, first - sector, GFP_NOIO, &bio,
						       0);
			__blkdev_issue_discard(bdev, first, last - first, GFP_NOIO, &bio);
			if (last < end)
				__blkdev_issue_zeroout(bdev, last, end - last, GFP_NOIO, &bio, 0);
			return bio;
		}
	}
	__blkdev_issue_zeroout(bdev, sector, end - sector, GFP_NOIO, &bio,
			       unmap ? 0 : BLKDEV_ZERO_NOUNMAP);
	return bio;
}
