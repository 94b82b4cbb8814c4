/* SPDX-License-Identifier: GPL-2.0 */
/* Block layer interfaces that differ between the supported kernels. */
#ifndef _BRAID_COMPAT_BLOCK_H
#define _BRAID_COMPAT_BLOCK_H

#include <linux/blkdev.h>
#include <linux/err.h>
#include <linux/file.h>

/* A backing disk that is held open, and claimed for @holder. */
struct compat_bdev {
	struct block_device *bdev;
#ifdef COMPAT_HAS_BDEV_FILE
	struct file *file;
#else
	void *holder;
#endif
};

#ifdef COMPAT_HAS_BDEV_FILE

static inline int compat_bdev_open(struct compat_bdev *it, dev_t dev, void *holder)
{
	struct file *file;

	file = bdev_file_open_by_dev(dev, BLK_OPEN_READ | BLK_OPEN_WRITE, holder, NULL);
	if (IS_ERR(file))
		return PTR_ERR(file);
	it->file = file;
	it->bdev = file_bdev(file);
	return 0;
}

static inline void compat_bdev_close(struct compat_bdev *it)
{
	if (it->bdev)
		bdev_fput(it->file);
	it->bdev = NULL;
}

#else

static inline int compat_bdev_open(struct compat_bdev *it, dev_t dev, void *holder)
{
	struct block_device *bdev;

	bdev = blkdev_get_by_dev(dev, FMODE_READ | FMODE_WRITE | FMODE_EXCL, holder);
	if (IS_ERR(bdev))
		return PTR_ERR(bdev);
	it->bdev = bdev;
	it->holder = holder;
	return 0;
}

static inline void compat_bdev_close(struct compat_bdev *it)
{
	if (it->bdev)
		blkdev_put(it->bdev, FMODE_READ | FMODE_WRITE | FMODE_EXCL);
	it->bdev = NULL;
}

#endif /* COMPAT_HAS_BDEV_FILE */

#ifdef COMPAT_HAS_STACK_LIMITS

static inline struct gendisk *compat_alloc_disk(void)
{
	struct queue_limits lim = {
		.features = BLK_FEAT_WRITE_CACHE | BLK_FEAT_FUA | BLK_FEAT_NOWAIT,
	};

	return blk_alloc_disk(&lim, NUMA_NO_NODE);
}

static inline int compat_set_limits(struct gendisk *disk, struct queue_limits *lim)
{
	struct request_queue *q = disk->queue;
	struct queue_limits old = queue_limits_start_update(q);

	old.logical_block_size = lim->logical_block_size;
	old.physical_block_size = lim->physical_block_size;
	old.io_min = lim->io_min;
	old.io_opt = lim->io_opt;
	old.max_hw_sectors = lim->max_hw_sectors;
	old.max_hw_discard_sectors = lim->max_discard_sectors;
	old.max_user_discard_sectors = UINT_MAX;
	old.discard_granularity = lim->discard_granularity;
	old.max_write_zeroes_sectors = lim->max_write_zeroes_sectors;
	old.max_segments = USHRT_MAX;
	old.features |= BLK_FEAT_WRITE_CACHE | BLK_FEAT_FUA | BLK_FEAT_NOWAIT;
	return queue_limits_commit_update(q, &old);
}

#else

static inline struct gendisk *compat_alloc_disk(void)
{
	struct gendisk *disk = blk_alloc_disk(NUMA_NO_NODE);

	if (!disk)
		return ERR_PTR(-ENOMEM);
	blk_queue_write_cache(disk->queue, true, true);
	blk_queue_flag_set(QUEUE_FLAG_NOWAIT, disk->queue);
	return disk;
}

static inline int compat_set_limits(struct gendisk *disk, struct queue_limits *lim)
{
	struct request_queue *q = disk->queue;

	blk_queue_logical_block_size(q, lim->logical_block_size);
	blk_queue_physical_block_size(q, lim->physical_block_size);
	blk_queue_io_min(q, lim->io_min);
	blk_queue_io_opt(q, lim->io_opt);
	blk_queue_max_hw_sectors(q, lim->max_hw_sectors);
	q->limits.discard_granularity = lim->discard_granularity;
	blk_queue_max_discard_sectors(q, lim->max_discard_sectors);
	blk_queue_max_write_zeroes_sectors(q, lim->max_write_zeroes_sectors);
	blk_queue_max_segments(q, USHRT_MAX);
	blk_queue_flag_set(QUEUE_FLAG_NOWAIT, q);
	return 0;
}

#endif /* COMPAT_HAS_STACK_LIMITS */

/* Open and release of a device's operations, from functions that volume.c has. */
int braid_volume_open(void *private_data, bool write);
void braid_volume_release(void *private_data);

#ifdef COMPAT_HAS_BLK_MODE

static inline int compat_open(struct gendisk *disk, blk_mode_t mode)
{
	return braid_volume_open(disk->private_data, mode & BLK_OPEN_WRITE);
}

static inline void compat_release(struct gendisk *disk)
{
	braid_volume_release(disk->private_data);
}

#else

static inline int compat_open(struct block_device *bdev, fmode_t mode)
{
	return braid_volume_open(bdev->bd_disk->private_data, mode & FMODE_WRITE);
}

static inline void compat_release(struct gendisk *disk, fmode_t mode)
{
	braid_volume_release(disk->private_data);
}

#endif /* COMPAT_HAS_BLK_MODE */

#endif /* _BRAID_COMPAT_BLOCK_H */
