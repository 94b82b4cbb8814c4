// SPDX-License-Identifier: GPL-2.0
#include "dirty.h"
#include "disk.h"
#include "fault.h"
#include "object_log.h"
#include "peer.h"
#include "volume.h"

#include <linux/bitmap.h>
#include <linux/slab.h>

#define SECTORS_PER_BLOCK	(BRAID_BLOCK_SIZE / BRAID_SUMMARY_BYTES)

static u32 state_of(const struct braid_dirty *dirty, u32 region)
{
	return dirty->states[region / 4] >> region % 4 * 2 & 3;
}

static void set_state(struct braid_dirty *dirty, u32 region, u32 state)
{
	u8 *at = &dirty->states[region / 4];

	*at = (*at & ~(3 << region % 4 * 2)) | state << region % 4 * 2;
	__set_bit(region / BRAID_SUMMARY_REGIONS, dirty->changed);
}

static struct hlist_head *bucket(struct braid_dirty *dirty, u32 region)
{
	return &dirty->hash[region % BRAID_LEAF_BUCKETS];
}

static struct braid_leaf *find(struct braid_dirty *dirty, u32 region)
{
	struct braid_leaf *leaf;

	hlist_for_each_entry(leaf, bucket(dirty, region), hash)
		if (leaf->region == region)
			return leaf;
	return NULL;
}

static void drop_leaf(struct braid_dirty *dirty, struct braid_leaf *leaf)
{
	hlist_del(&leaf->hash);
	dirty->leaves--;
	kfree(leaf);
}

static struct braid_leaf *add_leaf(struct braid_dirty *dirty, u32 region, bool loaded)
{
	struct braid_leaf *leaf;

	if (dirty->leaves >= BRAID_LEAVES_MAX ||
	    braid_fault(BRAID_FAULT_ALLOC,
			dirty->disk ? dirty->disk->volume->res->node : BRAID_FAULT_ANY,
			BRAID_ALLOC_LEAF))
		return NULL;
	leaf = kzalloc(sizeof(*leaf), GFP_NOWAIT | __GFP_NOWARN);
	if (!leaf)
		return NULL;
	leaf->region = region;
	leaf->loaded = loaded;
	hlist_add_head(&leaf->hash, bucket(dirty, region));
	dirty->leaves++;
	return leaf;
}

/* What a state stands for, for the sum. */
static u64 weight(struct braid_dirty *dirty, u32 region)
{
	struct braid_leaf *leaf;

	switch (state_of(dirty, region)) {
	case BRAID_REGION_CLEAN:
		return 0;
	case BRAID_REGION_LEAF:
		leaf = find(dirty, region);
		if (leaf && leaf->loaded)
			return (u64)braid_bits_count(&leaf->bits) << BRAID_BLOCK_SHIFT;
		fallthrough;
	default:
		return BRAID_REGION_SIZE;
	}
}

/* Gives it room for a volume of @bytes, without dirty blocks in what is new. */
static int set_size(struct braid_dirty *dirty, u64 bytes)
{
	u32 regions = braid_regions(bytes), old_sectors = dirty->sectors;
	/* In whole blocks, so that one can be written from here. */
	u32 sectors = round_up(DIV_ROUND_UP(regions, BRAID_SUMMARY_REGIONS), SECTORS_PER_BLOCK);
	u8 *states = kvzalloc((size_t)sectors * (BRAID_SUMMARY_REGIONS / 4), GFP_KERNEL);
	unsigned long *changed = kvcalloc(BITS_TO_LONGS(sectors), sizeof(long), GFP_KERNEL);

	if (!states || !changed) {
		kvfree(states);
		kvfree(changed);
		return -ENOMEM;
	}
	bitmap_fill(changed, sectors);
	spin_lock_irq(&dirty->lock);
	memcpy(states, dirty->states, (size_t)old_sectors * (BRAID_SUMMARY_REGIONS / 4));
	swap(states, dirty->states);
	swap(changed, dirty->changed);
	dirty->regions = regions;
	dirty->sectors = sectors;
	spin_unlock_irq(&dirty->lock);
	kvfree(states);
	kvfree(changed);
	return 0;
}

struct braid_dirty *braid_dirty_alone(u64 bytes)
{
	struct braid_dirty *dirty = kvzalloc(sizeof(*dirty), GFP_KERNEL);

	if (!dirty)
		return NULL;
	spin_lock_init(&dirty->lock);
	if (set_size(dirty, bytes)) {
		kvfree(dirty);
		return NULL;
	}
	braid_log_created("dirty", "%p", dirty);
	return dirty;
}

struct braid_dirty *braid_dirty_new(struct braid_disk *disk, u32 node, u32 slot)
{
	struct braid_dirty *dirty = braid_dirty_alone(disk->sb.data_bytes);

	if (!dirty)
		return NULL;
	dirty->disk = disk;
	dirty->node = node;
	dirty->slot = slot;
	return dirty;
}

void braid_dirty_free(struct braid_dirty *dirty)
{
	struct braid_leaf *leaf;
	struct hlist_node *next;
	u32 i;

	if (!dirty)
		return;
	for (i = 0; i < BRAID_LEAF_BUCKETS; i++)
		hlist_for_each_entry_safe(leaf, next, &dirty->hash[i], hash)
			drop_leaf(dirty, leaf);
	kvfree(dirty->states);
	kvfree(dirty->changed);
	braid_log_destroyed("dirty", "%p", dirty);
	kvfree(dirty);
}

static struct braid_dirty *map_of(struct braid_disk *disk, u32 node)
{
	return rcu_dereference_protected(disk->dirty[node], lockdep_is_held(&disk->meta_lock));
}

struct braid_dirty *braid_dirty_make(struct braid_disk *disk, u32 node,
				     const struct braid_stamp *base)
{
	struct braid_dirty *dirty = map_of(disk, node);
	u32 slot;

	if (dirty)
		return dirty;
	for (slot = 0; slot < disk->sb.max_slots; slot++)
		if (disk->sb.slots[slot].node == BRAID_NO_NODE)
			break;
	if (slot == disk->sb.max_slots)
		return NULL;
	dirty = braid_dirty_new(disk, node, slot);
	if (!dirty)
		return NULL;
	disk->sb.slots[slot].node = node;
	disk->sb.slots[slot].base = *base;
	rcu_assign_pointer(disk->dirty[node], dirty);
	return dirty;
}

void braid_dirty_drop(struct braid_disk *disk, u32 node)
{
	struct braid_dirty *dirty = map_of(disk, node);

	if (!dirty)
		return;
	disk->sb.slots[dirty->slot].node = BRAID_NO_NODE;
	memset(&disk->sb.slots[dirty->slot].base, 0, sizeof(struct braid_stamp));
	RCU_INIT_POINTER(disk->dirty[node], NULL);
	synchronize_rcu();
	braid_dirty_free(dirty);
}

/* Under the lock. True if anything changed. */
static bool mark(struct braid_dirty *dirty, u32 region, u32 offset, u32 bytes,
		 const struct braid_bits *bits)
{
	struct braid_leaf *leaf;
	struct braid_bits before;
	u64 old;
	bool changed;

	if (region >= dirty->regions || state_of(dirty, region) == BRAID_REGION_ALL)
		return false;
	old = weight(dirty, region);
	leaf = state_of(dirty, region) == BRAID_REGION_LEAF ? find(dirty, region) : NULL;
	if (!leaf)
		leaf = add_leaf(dirty, region, state_of(dirty, region) == BRAID_REGION_CLEAN);
	if (!leaf) {
		set_state(dirty, region, BRAID_REGION_ALL);
		changed = true;
		goto out;
	}
	if (bits) {
		before = leaf->bits;
		braid_bits_or(&leaf->bits, bits);
		changed = memcmp(&before, &leaf->bits, sizeof(before));
	} else {
		changed = braid_bits_set(&leaf->bits, offset, bytes);
	}
	leaf->changed |= changed;
	if (state_of(dirty, region) != BRAID_REGION_LEAF) {
		set_state(dirty, region, BRAID_REGION_LEAF);
		leaf->changed = true;
		changed = true;
	}
out:
	dirty->dirty_bytes += weight(dirty, region) - old;
	return changed;
}

bool braid_dirty_mark(struct braid_disk *disk, u32 mask, u32 region, u32 offset, u32 bytes)
{
	bool changed = false;
	unsigned long irq;
	u32 node;

	rcu_read_lock();
	for (node = 0; node < BRAID_MAX_NODES; node++) {
		struct braid_dirty *dirty;

		if (!(mask >> node & 1))
			continue;
		dirty = rcu_dereference(disk->dirty[node]);
		if (!dirty)
			continue;
		spin_lock_irqsave(&dirty->lock, irq);
		changed |= mark(dirty, region, offset, bytes, NULL);
		spin_unlock_irqrestore(&dirty->lock, irq);
	}
	rcu_read_unlock();
	return changed;
}

void braid_dirty_mark_bits(struct braid_dirty *dirty, u32 region, const struct braid_bits *bits)
{
	unsigned long irq;

	spin_lock_irqsave(&dirty->lock, irq);
	mark(dirty, region, 0, 0, bits);
	spin_unlock_irqrestore(&dirty->lock, irq);
}

void braid_dirty_mark_all(struct braid_dirty *dirty, u32 region)
{
	struct braid_leaf *leaf;
	unsigned long irq;

	spin_lock_irqsave(&dirty->lock, irq);
	if (region < dirty->regions && state_of(dirty, region) != BRAID_REGION_ALL) {
		dirty->dirty_bytes += BRAID_REGION_SIZE - weight(dirty, region);
		leaf = find(dirty, region);
		if (leaf)
			drop_leaf(dirty, leaf);
		set_state(dirty, region, BRAID_REGION_ALL);
	}
	spin_unlock_irqrestore(&dirty->lock, irq);
}

void braid_dirty_mark_regions(struct braid_dirty *dirty, u32 first, u32 end)
{
	for (; first < end; first++) {
		braid_dirty_mark_all(dirty, first);
		if (first % BRAID_SUMMARY_REGIONS == 0)
			cond_resched();
	}
}

void braid_dirty_clear(struct braid_dirty *dirty, u32 region, u32 offset, u32 bytes)
{
	struct braid_leaf *leaf;
	unsigned long irq;
	u64 old;

	spin_lock_irqsave(&dirty->lock, irq);
	old = weight(dirty, region);
	if (!offset && bytes >= BRAID_REGION_SIZE) {
		leaf = find(dirty, region);
		if (leaf)
			drop_leaf(dirty, leaf);
		set_state(dirty, region, BRAID_REGION_CLEAN);
		goto out;
	}
	if (state_of(dirty, region) == BRAID_REGION_ALL) {
		leaf = add_leaf(dirty, region, true);
		if (!leaf)
			goto out; /* stays dirty; it will be copied again */
		memset(&leaf->bits, 0xff, sizeof(leaf->bits));
		set_state(dirty, region, BRAID_REGION_LEAF);
	}
	leaf = find(dirty, region);
	if (!leaf || !leaf->loaded)
		goto out;
	braid_bits_clear(&leaf->bits, offset, bytes);
	leaf->changed = true;
	__set_bit(region / BRAID_SUMMARY_REGIONS, dirty->changed);
	if (!braid_bits_count(&leaf->bits)) {
		drop_leaf(dirty, leaf);
		set_state(dirty, region, BRAID_REGION_CLEAN);
	}
out:
	dirty->dirty_bytes += weight(dirty, region) - old;
	spin_unlock_irqrestore(&dirty->lock, irq);
}

u64 braid_dirty_bytes(struct braid_disk *disk, u32 node)
{
	struct braid_dirty *dirty;
	u64 bytes = 0;

	rcu_read_lock();
	dirty = rcu_dereference(disk->dirty[node]);
	if (dirty)
		bytes = min(dirty->dirty_bytes, disk->sb.data_bytes);
	rcu_read_unlock();
	return bytes;
}

static u64 slot_offset(const struct braid_dirty *dirty)
{
	const struct braid_superblock *sb = &dirty->disk->sb;

	return sb->slots_offset + sb->slot_bytes * dirty->slot;
}

/* What was in a leaf on disk that cannot be read is unknown: all of it is dirty. */
static int read_leaf(struct braid_dirty *dirty, struct page *page, u32 region,
		     struct braid_bits *bits)
{
	u64 offset = slot_offset(dirty) + braid_leaf_offset(dirty->disk->sb.data_bytes, region);
	int err;

	err = braid_meta_io(dirty->disk, offset, page, BRAID_BLOCK_SIZE, REQ_OP_READ);
	if (err)
		return err;
	if (braid_leaf_decode(page_address(page), region, bits->bytes) != BRAID_ONDISK_OK)
		memset(bits, 0xff, sizeof(*bits));
	return 0;
}

int braid_dirty_load(struct braid_dirty *dirty)
{
	struct page *page = alloc_page(GFP_KERNEL);
	u32 sector, i;
	u8 (*states)[BRAID_SUMMARY_REGIONS / 4] = (void *)dirty->states;
	int err = 0;

	if (!page)
		return -ENOMEM;
	for (sector = 0; sector < dirty->sectors; sector++) {
		u8 *at = page_address(page) + sector % SECTORS_PER_BLOCK * BRAID_SUMMARY_BYTES;

		if (sector % SECTORS_PER_BLOCK == 0) {
			err = braid_meta_io(dirty->disk,
					    slot_offset(dirty) + braid_summary_offset(sector),
					    page, BRAID_BLOCK_SIZE, REQ_OP_READ);
			if (err)
				break;
		}
		/* A sector that cannot be trusted: everything it speaks of may be dirty. */
		if (braid_summary_decode(at, sector, states[sector]) != BRAID_ONDISK_OK)
			memset(states[sector], 0xaa, sizeof(states[sector]));
	}
	__free_page(page);
	if (err)
		return err;
	for (i = dirty->regions; i < dirty->sectors * BRAID_SUMMARY_REGIONS; i++)
		set_state(dirty, i, BRAID_REGION_CLEAN);
	bitmap_zero(dirty->changed, dirty->sectors);
	/* A state that is not CLEAN has one bit; leaves are not in memory, and count as whole. */
	dirty->dirty_bytes = (u64)bitmap_weight((unsigned long *)dirty->states,
						dirty->sectors * BRAID_SUMMARY_REGIONS * 2) <<
			     BRAID_REGION_SHIFT;
	return 0;
}

/* Brings the leaf of @region into memory, merged with the disk's. */
static int load_leaf(struct braid_dirty *dirty, u32 region)
{
	struct braid_bits bits;
	struct braid_leaf *leaf;
	struct page *page;
	u64 old;
	int err;

	page = alloc_page(GFP_NOIO);
	if (!page)
		return -ENOMEM;
	err = read_leaf(dirty, page, region, &bits);
	__free_page(page);
	if (err)
		return err;

	spin_lock_irq(&dirty->lock);
	old = weight(dirty, region);
	if (state_of(dirty, region) == BRAID_REGION_LEAF) {
		leaf = find(dirty, region) ?: add_leaf(dirty, region, false);
		if (!leaf) {
			set_state(dirty, region, BRAID_REGION_ALL);
		} else if (!leaf->loaded) {
			braid_bits_or(&leaf->bits, &bits);
			leaf->loaded = true;
		}
	}
	dirty->dirty_bytes += weight(dirty, region) - old;
	spin_unlock_irq(&dirty->lock);
	return 0;
}

int braid_dirty_next(struct braid_dirty *dirty, u32 from, u32 *region, u32 *state,
		     struct braid_bits *bits)
{
	u32 i = from;
	int err;

	while (i < dirty->regions) {
		struct braid_leaf *leaf;

		/* Four clean regions at a time. */
		if (i % 4 == 0 && !READ_ONCE(dirty->states[i / 4])) {
			i += 4;
			cond_resched();
			continue;
		}
		spin_lock_irq(&dirty->lock);
		*state = state_of(dirty, i);
		leaf = *state == BRAID_REGION_LEAF ? find(dirty, i) : NULL;
		if (*state == BRAID_REGION_ALL || (leaf && leaf->loaded)) {
			*region = i;
			if (leaf)
				*bits = leaf->bits;
			else
				memset(bits, 0xff, sizeof(*bits));
			spin_unlock_irq(&dirty->lock);
			return 1;
		}
		spin_unlock_irq(&dirty->lock);
		if (*state == BRAID_REGION_LEAF) {
			err = load_leaf(dirty, i);
			if (err)
				return err;
			continue;
		}
		i++;
	}
	return 0;
}

int braid_dirty_merge(struct braid_dirty *to, struct braid_dirty *from)
{
	u32 region, state, at = 0;
	struct braid_bits bits;
	int found;

	while ((found = braid_dirty_next(from, at, &region, &state, &bits)) > 0) {
		if (state == BRAID_REGION_ALL)
			braid_dirty_mark_all(to, region);
		else
			braid_dirty_mark_bits(to, region, &bits);
		at = region + 1;
	}
	return found;
}

/* Puts all changed leaves of one block into @page. True if there was any. */
static bool encode_leaves(struct braid_dirty *dirty, u32 first, struct page *page)
{
	u32 end = min(first + BRAID_LEAVES_PER_BLOCK, dirty->regions), i;
	bool any = false;

	for (i = first; i < end; i++) {
		struct braid_leaf *leaf = find(dirty, i);

		if (!leaf || !leaf->changed)
			continue;
		if (!leaf->loaded) {
			struct braid_bits bits;

			if (braid_leaf_decode(page_address(page), i, bits.bytes) != BRAID_ONDISK_OK)
				memset(&bits, 0xff, sizeof(bits));
			braid_bits_or(&leaf->bits, &bits);
			leaf->loaded = true;
		}
		braid_leaf_encode(page_address(page), i, leaf->bits.bytes);
		leaf->changed = false;
		any = true;
	}
	return any;
}

/* The first region of the block of some changed leaf in a bucket. */
static bool changed_block(struct braid_dirty *dirty, u32 index, u32 *first)
{
	struct braid_leaf *leaf;

	lockdep_assert_held(&dirty->lock);
	hlist_for_each_entry(leaf, &dirty->hash[index], hash) {
		if (leaf->changed) {
			*first = rounddown(leaf->region, BRAID_LEAVES_PER_BLOCK);
			return true;
		}
	}
	return false;
}

static int persist_block(struct braid_dirty *dirty, struct page *page, u32 first)
{
	u64 offset = slot_offset(dirty) + braid_leaf_offset(dirty->disk->sb.data_bytes, first);
	bool any;
	int err;

	err = braid_meta_io(dirty->disk, offset, page, BRAID_BLOCK_SIZE, REQ_OP_READ);
	if (err)
		return err;
	spin_lock_irq(&dirty->lock);
	any = encode_leaves(dirty, first, page);
	spin_unlock_irq(&dirty->lock);
	return any ? braid_meta_io(dirty->disk, offset, page, BRAID_BLOCK_SIZE, REQ_OP_WRITE) : 0;
}

static int persist_leaves(struct braid_dirty *dirty, struct page *page)
{
	u32 index = 0, first;

	while (index < BRAID_LEAF_BUCKETS) {
		bool any;
		int err;

		spin_lock_irq(&dirty->lock);
		any = changed_block(dirty, index, &first);
		spin_unlock_irq(&dirty->lock);
		if (!any) {
			index++;
			continue;
		}
		err = persist_block(dirty, page, first);
		if (err)
			return err;
	}
	return 0;
}

static int persist_summary(struct braid_dirty *dirty, struct page *page)
{
	u8 (*states)[BRAID_SUMMARY_REGIONS / 4] = (void *)dirty->states;
	u32 sector, i;

	for (sector = 0; sector < dirty->sectors; sector += SECTORS_PER_BLOCK) {
		bool changed = false;
		int err;

		spin_lock_irq(&dirty->lock);
		for (i = sector; i < sector + SECTORS_PER_BLOCK; i++)
			changed |= __test_and_clear_bit(i, dirty->changed);
		for (i = 0; changed && i < SECTORS_PER_BLOCK; i++)
			braid_summary_encode(page_address(page) + i * BRAID_SUMMARY_BYTES,
					     sector + i, states[sector + i]);
		spin_unlock_irq(&dirty->lock);
		if (!changed)
			continue;
		err = braid_meta_io(dirty->disk, slot_offset(dirty) + braid_summary_offset(sector),
				    page, BRAID_BLOCK_SIZE, REQ_OP_WRITE);
		if (err)
			return err;
	}
	return 0;
}

/*
 * Leaves first: a summary never speaks of a leaf that is older than itself. The flush in between
 * and after makes it so on a disk with a volatile cache. On an error the disk is given up, so
 * what was taken for written here need not be undone.
 */
int braid_dirty_persist(struct braid_dirty *dirty)
{
	struct page *page = alloc_page(GFP_NOIO);
	int err;

	if (!page)
		return -ENOMEM;
	err = persist_leaves(dirty, page);
	if (!err)
		err = blkdev_issue_flush(dirty->disk->meta);
	if (!err)
		err = persist_summary(dirty, page);
	if (!err)
		err = blkdev_issue_flush(dirty->disk->meta);
	__free_page(page);
	return err;
}

static bool any_leaf(struct braid_dirty *dirty, u32 first)
{
	u32 end = min(first + BRAID_LEAVES_PER_BLOCK, dirty->regions);

	while (first < end && state_of(dirty, first) != BRAID_REGION_LEAF)
		first++;
	return first < end;
}

/* Leaves that are on disk only go from block to block; all else is written from memory. */
int braid_dirty_move(struct braid_dirty *dirty, const struct braid_superblock *old)
{
	const struct braid_superblock *sb = &dirty->disk->sb;
	u64 from = old->slots_offset + old->slot_bytes * dirty->slot;
	struct page *page = alloc_page(GFP_NOIO);
	struct braid_leaf *leaf;
	u32 first, i;
	int err = 0;

	if (!page)
		return -ENOMEM;
	for (first = 0; first < dirty->regions && !err; first += BRAID_LEAVES_PER_BLOCK) {
		cond_resched();
		if (!any_leaf(dirty, first))
			continue;
		err = braid_meta_io(dirty->disk, from + braid_leaf_offset(old->data_bytes, first),
				    page, BRAID_BLOCK_SIZE, REQ_OP_READ) ?:
		      braid_meta_io(dirty->disk,
				    slot_offset(dirty) + braid_leaf_offset(sb->data_bytes, first),
				    page, BRAID_BLOCK_SIZE, REQ_OP_WRITE);
	}
	__free_page(page);
	if (err)
		return err;
	err = set_size(dirty, sb->data_bytes);
	if (err)
		return err;
	spin_lock_irq(&dirty->lock);
	for (i = 0; i < BRAID_LEAF_BUCKETS; i++)
		hlist_for_each_entry(leaf, &dirty->hash[i], hash)
			leaf->changed = true;
	spin_unlock_irq(&dirty->lock);
	return braid_dirty_persist(dirty);
}

int braid_dirty_persist_all(struct braid_disk *disk)
{
	int err = 0;
	u32 node;

	mutex_lock(&disk->meta_lock);
	for (node = 0; node < BRAID_MAX_NODES && !err; node++)
		if (map_of(disk, node))
			err = braid_dirty_persist(map_of(disk, node));
	mutex_unlock(&disk->meta_lock);
	return err;
}

bool braid_dirty_matches(struct braid_disk *disk, u32 node, u64 instance)
{
	struct braid_dirty *dirty = map_of(disk, node);
	struct braid_peer *peer;
	const struct braid_stamp *base;
	bool same;

	if (!dirty)
		return false;
	peer = braid_peer_find(disk->volume->res, node);
	if (!peer)
		return false;
	base = &disk->sb.slots[dirty->slot].base;
	spin_lock(&peer->lock);
	same = peer->known && peer->remote.instance == instance && base->epoch &&
	       base->epoch == peer->remote.last.epoch &&
	       base->id == peer->remote.last.id && base->instance == peer->remote.last.instance;
	spin_unlock(&peer->lock);
	braid_peer_put(peer);
	return same;
}

int braid_dirty_disown(struct braid_disk *disk, u32 node)
{
	struct braid_dirty *dirty = map_of(disk, node);
	struct braid_stamp *base;

	if (!dirty)
		return 0;
	base = &disk->sb.slots[dirty->slot].base;
	if (!base->epoch)
		return 0;
	memset(base, 0, sizeof(*base));
	return braid_meta_write_super(disk);
}
