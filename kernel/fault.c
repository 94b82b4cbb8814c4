// SPDX-License-Identifier: GPL-2.0
#include "fault.h"
#include "resource.h"

#include <linux/blkdev.h>
#include <linux/debugfs.h>
#include <linux/highmem.h>
#include <linux/slab.h>

static const char *const names[BRAID_FAULT_POINTS] = {
	[BRAID_FAULT_READ] = "read",
	[BRAID_FAULT_WRITE] = "write",
	[BRAID_FAULT_META_READ] = "meta-read",
	[BRAID_FAULT_META_WRITE] = "meta-write",
	[BRAID_FAULT_DELAY] = "delay",
	[BRAID_FAULT_CORRUPT] = "corrupt",
	[BRAID_FAULT_ALLOC] = "alloc",
	[BRAID_FAULT_DROP] = "drop",
};

/*
 * struct point - what was written to a point's file
 * @left: how often it still fails; read first, so that a point that is not used costs nothing else
 * @seen: how often it was come by
 */
static struct point {
	u32 node, what, every, after;
	atomic_t left;
	atomic_t seen;
} points[BRAID_FAULT_POINTS];

static struct dentry *folder;

bool braid_fault(enum braid_fault_point point, u32 node, u32 what)
{
	struct point *it = &points[point];
	u32 seen;

	if (!atomic_read_acquire(&it->left) || what != it->what ||
	    (node != it->node && node != BRAID_FAULT_ANY))
		return false;
	seen = atomic_inc_return(&it->seen);
	if (seen <= it->after || (seen - it->after) % it->every)
		return false;
	return atomic_add_unless(&it->left, -1, 0);
}

/* A bio that is submitted later than it should be. */
struct late {
	struct delayed_work work;
	struct bio *bio;
};

static void late_work(struct work_struct *work)
{
	struct late *late = container_of(to_delayed_work(work), struct late, work);

	submit_bio_noacct(late->bio);
	kfree(late);
}

static bool delay(struct bio *bio, u32 node)
{
	u32 ms = points[BRAID_FAULT_DELAY].what;
	struct late *late;

	if (!braid_fault(BRAID_FAULT_DELAY, node, ms))
		return false;
	late = kmalloc(sizeof(*late), GFP_NOIO);
	if (!late)
		return false;
	INIT_DELAYED_WORK(&late->work, late_work);
	late->bio = bio;
	queue_delayed_work(braid_wq, &late->work, msecs_to_jiffies(ms));
	return true;
}

bool braid_fault_bio(struct bio *bio, u32 node)
{
	bool write = op_is_write(bio_op(bio)), meta = bio->bi_opf & REQ_META;
	enum braid_fault_point point = meta ? write ? BRAID_FAULT_META_WRITE : BRAID_FAULT_META_READ
					    : write ? BRAID_FAULT_WRITE : BRAID_FAULT_READ;

	if (!braid_fault(point, node, 0))
		return !meta && delay(bio, node);
	bio_io_error(bio);
	return true;
}

void braid_fault_corrupt(u32 node, enum braid_fault_part part, void *at)
{
	if (braid_fault(BRAID_FAULT_CORRUPT, node, part))
		*(u8 *)at ^= 4;
}

void braid_fault_corrupt_vecs(u32 node, const struct bio_vec *vecs, u32 offset)
{
	u8 *at = kmap_local_page(vecs->bv_page) + vecs->bv_offset;

	braid_fault_corrupt(node, BRAID_PART_PAYLOAD, at + offset);
	kunmap_local(at);
}

static ssize_t point_write(struct file *file, const char __user *from, size_t count, loff_t *at)
{
	struct point *it = file_inode(file)->i_private, wanted = { .every = 1 };
	char text[64] = "";
	u32 left;

	if (count >= sizeof(text) || copy_from_user(text, from, count))
		return -EINVAL;
	if (sscanf(text, "%u %u %u %u %u", &wanted.node, &left, &wanted.what, &wanted.every,
		   &wanted.after) < 2 || !wanted.every)
		return -EINVAL;
	atomic_set(&it->left, 0);
	it->node = wanted.node;
	it->what = wanted.what;
	it->every = wanted.every;
	it->after = wanted.after;
	atomic_set(&it->seen, 0);
	atomic_set_release(&it->left, left);
	return count;
}

static ssize_t point_read(struct file *file, char __user *to, size_t count, loff_t *at)
{
	const struct point *it = file_inode(file)->i_private;
	char text[32];
	int length = scnprintf(text, sizeof(text), "%u %u\n", atomic_read(&it->left),
			       atomic_read(&it->seen));

	return simple_read_from_buffer(to, count, at, text, length);
}

static const struct file_operations point_ops = {
	.owner = THIS_MODULE,
	.read = point_read,
	.write = point_write,
};

/* Without its files, where debugfs lacks, nothing fails. */
int braid_fault_init(void)
{
	struct dentry *faults;
	u32 i;

	folder = debugfs_create_dir("braid", NULL);
	faults = debugfs_create_dir("fault", folder);
	for (i = 0; i < BRAID_FAULT_POINTS; i++)
		debugfs_create_file(names[i], 0600, faults, &points[i], &point_ops);
	return 0;
}

void braid_fault_exit(void)
{
	debugfs_remove(folder);
}
