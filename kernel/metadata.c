// SPDX-License-Identifier: GPL-2.0
/* Reading and writing metadata: superblock, votes, activity log. */
#include "dirty.h"
#include "disk.h"
#include "fault.h"
#include "region.h"
#include "volume.h"

#include <linux/bio.h>
#include <linux/slab.h>

int braid_meta_io(struct braid_disk *disk, u64 offset, struct page *page, u32 bytes, blk_opf_t opf)
{
	struct bio_vec vec;
	struct bio bio;
	int err;

	if (op_is_write(opf) && disk->broken)
		return -EIO;
	bio_init(&bio, disk->meta, &vec, 1, opf | REQ_SYNC | REQ_META);
	bio.bi_iter.bi_sector = offset >> SECTOR_SHIFT;
	__bio_add_page(&bio, page, bytes, 0);
	if (op_is_write(opf))
		atomic64_inc(&disk->volume->stats.metadata_writes);
	err = braid_fault(op_is_write(opf) ? BRAID_FAULT_META_WRITE : BRAID_FAULT_META_READ,
			  disk->volume->res->node, 0) ? -EIO : submit_bio_wait(&bio);
	bio_uninit(&bio);
	return err;
}

/*
 * Both copies, one after the other: at any time one of them is whole, and at the end both say
 * the same but for their sequence. Superblocks are written from now and then; two flushes are
 * not worth saving.
 */
int braid_meta_write_super(struct braid_disk *disk)
{
	struct page *page = alloc_page(GFP_NOIO);
	int copy, err = 0;

	lockdep_assert_held(&disk->meta_lock);
	if (!page)
		return -ENOMEM;
	for (copy = 0; copy < 2 && !err; copy++) {
		u64 sequence = disk->sb.sequence + 1;

		disk->sb.sequence = sequence;
		braid_superblock_encode(&disk->sb, page_address(page));
		err = braid_meta_io(disk,
				    braid_superblock_offset(disk->meta_bytes,
							    disk->sb.flags & BRAID_SB_EXTERNAL,
							    sequence & 1),
				    page, BRAID_BLOCK_SIZE,
				    REQ_OP_WRITE | REQ_PREFLUSH | REQ_FUA);
	}
	__free_page(page);
	return err;
}

int braid_meta_wipe_super(struct braid_disk *disk, u64 meta_bytes)
{
	struct page *page = alloc_page(GFP_NOIO | __GFP_ZERO);
	int copy, err = 0;

	if (!page)
		return -ENOMEM;
	for (copy = 0; copy < 2 && !err; copy++)
		err = braid_meta_io(disk, braid_superblock_offset(meta_bytes, false, copy), page,
				    BRAID_BLOCK_SIZE, REQ_OP_WRITE | REQ_FUA);
	__free_page(page);
	return err;
}

int braid_meta_store_config(struct braid_disk *disk, const struct braid_config *config,
			    const struct braid_stamp *last)
{
	lockdep_assert_held(&disk->meta_lock);
	disk->sb.config = *config;
	disk->sb.last = *last;
	return braid_meta_write_super(disk);
}

static int vote_io(struct braid_disk *disk, u32 copy, u8 *record, blk_opf_t opf)
{
	u64 offset = disk->sb.votes_offset + copy * BRAID_VOTE_BYTES;
	u32 at;

	for (at = 0; at < BRAID_VOTE_BYTES; at += PAGE_SIZE) {
		int err = braid_meta_io(disk, offset + at, virt_to_page(record + at), PAGE_SIZE,
					opf);

		if (err)
			return err;
	}
	return op_is_write(opf) ? blkdev_issue_flush(disk->meta) : 0;
}

static u8 *vote_buffer(void)
{
	return (u8 *)__get_free_pages(GFP_NOIO, get_order(BRAID_VOTE_BYTES));
}

static void vote_buffer_free(u8 *record)
{
	free_pages((unsigned long)record, get_order(BRAID_VOTE_BYTES));
}

static struct braid_vote *current_vote(struct braid_disk *disk)
{
	return rcu_dereference_protected(disk->vote, lockdep_is_held(&disk->meta_lock));
}

static struct braid_vote *vote_new(u64 sequence, const u8 *value, u32 length)
{
	struct braid_vote *vote = kmalloc(struct_size(vote, value, length), GFP_NOIO);

	if (!vote)
		return NULL;
	vote->sequence = sequence;
	vote->length = length;
	memcpy(vote->value, value, length);
	return vote;
}

/* The valid copy that is newer, if there is one. */
int braid_meta_vote_load(struct braid_disk *disk)
{
	u8 *record = vote_buffer();
	const u8 *value;
	u32 length, copy;
	int err = 0;

	lockdep_assert_held(&disk->meta_lock);
	if (!record)
		return -ENOMEM;
	for (copy = 0; copy < 2 && !err; copy++) {
		struct braid_vote *old = current_vote(disk), *vote;
		u64 sequence;

		err = vote_io(disk, copy, record, REQ_OP_READ);
		if (err)
			break;
		if (braid_vote_decode(record, &sequence, &value, &length) != BRAID_ONDISK_OK ||
		    (old && sequence <= old->sequence))
			continue;
		vote = vote_new(sequence, value, length);
		if (!vote)
			err = -ENOMEM;
		else
			rcu_assign_pointer(disk->vote, vote);
		if (vote && old)
			kfree_rcu_mightsleep(old);
	}
	vote_buffer_free(record);
	return err;
}

int braid_meta_vote_set(struct braid_disk *disk, const u8 *value, u32 length)
{
	struct braid_vote *old = current_vote(disk), *vote;
	u64 sequence = old ? old->sequence : 0;
	u8 *record = vote_buffer();
	int i, err = 0;

	lockdep_assert_held(&disk->meta_lock);
	vote = vote_new(sequence + 2, value, length);
	if (!record || !vote)
		err = -ENOMEM;
	for (i = 0; i < 2 && !err; i++) {
		sequence++;
		braid_vote_encode(record, sequence, value, length);
		err = vote_io(disk, sequence & 1, record, REQ_OP_WRITE);
	}
	vote_buffer_free(record);
	if (err) {
		kfree(vote);
		return err;
	}
	rcu_assign_pointer(disk->vote, vote);
	if (old)
		kfree_rcu_mightsleep(old);
	return 0;
}

int braid_meta_vote_rewrite(struct braid_disk *disk)
{
	struct braid_vote *vote = current_vote(disk);

	return vote ? braid_meta_vote_set(disk, vote->value, vote->length) : -EUCLEAN;
}

/* ---- activity log ---- */

static u64 log_block_offset(const struct braid_disk *disk, u32 block, u32 copy)
{
	return disk->sb.log_offset +
	       (u64)(copy * disk->sb.log_blocks + block) * BRAID_BLOCK_SIZE;
}

static void log_endio(struct bio *bio)
{
	struct braid_disk *disk = bio->bi_private;

	disk->log.error = blk_status_to_errno(bio->bi_status);
	bio_put(bio);
	queue_work(disk->volume->res->wq, &disk->log.done_work);
}

/*
 * Gives the regions that wait slots of one block, as many as have room. A region's slot changes
 * hands only once nothing in the region can differ any more, so what a slot says is never
 * needed again when it is overwritten. Under the lock. False if nothing waits.
 */
static bool fill_block(struct braid_disk *disk, u32 *block)
{
	struct braid_log *log = &disk->log;
	u32 tried, slot;

	lockdep_assert_held(&log->lock);
	if (list_empty(&log->wanted))
		return false;
	for (tried = 0; tried < disk->sb.log_blocks; tried++) {
		u32 base = log->current_block * BRAID_LOG_SLOTS;

		for (slot = 0; slot < BRAID_LOG_SLOTS; slot++) {
			struct braid_region *region;

			region = list_first_entry_or_null(&log->wanted, struct braid_region,
							  log_list);
			if (!region)
				break;
			if (log->owner[base + slot])
				continue;
			log->owner[base + slot] = region;
			log->regions[log->current_block][slot] = region->number;
			region->slot = base + slot;
			list_move_tail(&region->log_list, &log->writing);
		}
		*block = log->current_block;
		if (list_empty(&log->wanted))
			break;
		log->current_block = (log->current_block + 1) % disk->sb.log_blocks;
		if (!list_empty(&log->writing))
			break;
	}
	return !list_empty(&log->writing);
}

void braid_log_kick(struct braid_disk *disk)
{
	struct braid_log *log = &disk->log;
	u64 sequence = 0;
	struct bio *bio;
	bool go = false;
	u32 block = 0;

	spin_lock_irq(&log->lock);
	if (disk->broken && !log->busy && !list_empty(&log->wanted)) {
		log->busy = true;
		log->error = -EIO;
		refcount_inc(&disk->refs);
		queue_work(disk->volume->res->wq, &log->done_work);
	} else if (!log->busy && !log->paused && fill_block(disk, &block)) {
		log->busy = true;
		go = true;
		sequence = ++log->sequence[block];
		braid_log_encode(page_address(log->buffer), sequence, block, disk->sb.instance,
				 log->regions[block]);
	}
	spin_unlock_irq(&log->lock);
	if (!go)
		return;

	bio = bio_alloc(disk->meta, 1, REQ_OP_WRITE | REQ_FUA | REQ_SYNC | REQ_META | REQ_IDLE,
			GFP_NOIO);
	bio->bi_iter.bi_sector = log_block_offset(disk, block, sequence & 1) >> SECTOR_SHIFT;
	__bio_add_page(bio, log->buffer, BRAID_BLOCK_SIZE, 0);
	bio->bi_end_io = log_endio;
	bio->bi_private = disk;
	refcount_inc(&disk->refs);
	atomic64_inc(&disk->volume->stats.metadata_writes);
	atomic64_inc(&disk->volume->stats.log_writes);
	if (!braid_fault_bio(bio, disk->volume->res->node))
		submit_bio(bio);
}

static void log_done(struct work_struct *work)
{
	struct braid_disk *disk = container_of(work, struct braid_disk, log.done_work);
	struct braid_log *log = &disk->log;
	struct braid_region *region, *next;
	int error = log->error;
	LIST_HEAD(done);

	if (error)
		braid_disk_fail(disk, "activity log");
	spin_lock_irq(&log->lock);
	list_splice_init(&log->writing, &done);
	log->busy = false;
	if (error)
		list_splice_init(&log->wanted, &done);
	spin_unlock_irq(&log->lock);
	list_for_each_entry_safe(region, next, &done, log_list) {
		list_del_init(&region->log_list);
		braid_region_logged(disk->volume, region, error);
	}
	if (READ_ONCE(log->paused))
		wake_up_all(&disk->volume->res->wait);
	braid_log_kick(disk);
	braid_disk_put(disk);
}

void braid_log_pause(struct braid_disk *disk)
{
	spin_lock_irq(&disk->log.lock);
	disk->log.paused = true;
	spin_unlock_irq(&disk->log.lock);
	wait_event(disk->volume->res->wait, !READ_ONCE(disk->log.busy));
}

void braid_log_resume(struct braid_disk *disk)
{
	spin_lock_irq(&disk->log.lock);
	disk->log.paused = false;
	spin_unlock_irq(&disk->log.lock);
	braid_log_kick(disk);
}

int braid_log_rewrite(struct braid_disk *disk)
{
	struct braid_log *log = &disk->log;
	u32 i;
	int err = 0;

	for (i = 0; i < 2 * disk->sb.log_blocks && !err; i++) {
		u64 sequence = ++log->sequence[i / 2];

		braid_log_encode(page_address(log->buffer), sequence, i / 2, disk->sb.instance,
				 log->regions[i / 2]);
		err = braid_meta_io(disk, log_block_offset(disk, i / 2, sequence & 1), log->buffer,
				    BRAID_BLOCK_SIZE, REQ_OP_WRITE);
	}
	return err;
}

void braid_log_want(struct braid_disk *disk, struct braid_region *region)
{
	unsigned long irq;

	spin_lock_irqsave(&disk->log.lock, irq);
	list_add_tail(&region->log_list, &disk->log.wanted);
	spin_unlock_irqrestore(&disk->log.lock, irq);
}

void braid_log_release(struct braid_disk *disk, struct braid_region *region)
{
	unsigned long irq;

	spin_lock_irqsave(&disk->log.lock, irq);
	if (region->slot >= 0 && disk->log.owner[region->slot] == region)
		disk->log.owner[region->slot] = NULL;
	region->slot = -1;
	spin_unlock_irqrestore(&disk->log.lock, irq);
}

int braid_log_init(struct braid_disk *disk)
{
	struct braid_log *log = &disk->log;
	u32 blocks = disk->sb.log_blocks, i;

	spin_lock_init(&log->lock);
	INIT_LIST_HEAD(&log->wanted);
	INIT_LIST_HEAD(&log->writing);
	INIT_WORK(&log->done_work, log_done);
	log->regions = kvmalloc_array(blocks, sizeof(*log->regions), GFP_KERNEL);
	log->owner = kvcalloc(blocks * BRAID_LOG_SLOTS, sizeof(*log->owner), GFP_KERNEL);
	log->buffer = alloc_page(GFP_KERNEL);
	if (!log->regions || !log->owner || !log->buffer)
		return -ENOMEM;
	for (i = 0; i < blocks; i++)
		memset(log->regions[i], 0xff, sizeof(log->regions[i]));
	return 0;
}

/*
 * Finds the newer copy of each block, whose regions are what was active. They are left in
 * @regions for the caller, who forgets them once they are marked elsewhere.
 *
 * A block of which no copy is whole was never written since create-md, or is lost: then nobody
 * knows what was active (-EUCLEAN).
 */
int braid_log_load(struct braid_disk *disk)
{
	struct braid_log *log = &disk->log;
	u32 *regions = kmalloc_array(BRAID_LOG_SLOTS, sizeof(u32), GFP_KERNEL);
	u32 block, copy;
	int err = 0;

	if (!regions)
		return -ENOMEM;
	for (block = 0; block < disk->sb.log_blocks && !err; block++) {
		bool found = false;

		for (copy = 0; copy < 2 && !err; copy++) {
			u64 sequence, instance;

			err = braid_meta_io(disk, log_block_offset(disk, block, copy), log->buffer,
					    BRAID_BLOCK_SIZE, REQ_OP_READ);
			if (err || braid_log_decode(page_address(log->buffer), block, &sequence,
						    &instance, regions) != BRAID_ONDISK_OK)
				continue;
			if (found && sequence <= log->sequence[block])
				continue;
			found = true;
			log->sequence[block] = sequence;
			/* What an earlier attach had active was dealt with by then. */
			if (instance == disk->sb.instance)
				memcpy(log->regions[block], regions, sizeof(log->regions[block]));
			else
				memset(log->regions[block], 0xff, sizeof(log->regions[block]));
		}
		if (!found && !err)
			err = -EUCLEAN;
	}
	kfree(regions);
	return err;
}

void braid_log_free(struct braid_disk *disk)
{
	kvfree(disk->log.regions);
	kvfree(disk->log.owner);
	if (disk->log.buffer)
		__free_page(disk->log.buffer);
}
