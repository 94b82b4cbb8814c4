// SPDX-License-Identifier: GPL-2.0-or-later
#include "ondisk.h"
#include "bytes.h"

/* What superblock, vote and log block begin with. */
#define AT_CRC			8
#define AT_VERSION		12
#define AT_INDEX		14
#define AT_SEQUENCE		16

/* Superblock. */
#define AT_UUID			24
#define AT_VOLUME		40
#define AT_NODE			44
#define AT_FLAGS		48
#define AT_BLOCK_SIZE		52
#define AT_DATA_BYTES		56
#define AT_VOTES_OFFSET		64
#define AT_LOG_OFFSET		72
#define AT_LOG_BLOCKS		80
#define AT_MAX_SLOTS		84
#define AT_SLOTS_OFFSET		88
#define AT_SLOT_BYTES		96
#define AT_VOTER		104
#define AT_INSTANCE		112
#define AT_LAST			120
#define AT_VOLUME_BYTES		144
#define AT_RESERVED_1		152
#define AT_CONFIG		256
#define AT_RESERVED_2		560
#define AT_SLOTS		1024
#define SLOT_BYTES		32
#define AT_RESERVED_3		(AT_SLOTS + BRAID_MAX_SLOTS * SLOT_BYTES)

/* Configuration, within the superblock. */
#define CONFIG_EPOCH		16
#define CONFIG_ID		24
#define CONFIG_WRITER		32
#define CONFIG_IN_SYNC		36
#define CONFIG_DISKFUL		40
#define CONFIG_MEMBERS		44
#define CONFIG_INSTANCES	48

/* Vote. */
#define AT_LENGTH		24
#define AT_RESERVED_VOTE	28

/* Log block. */
#define AT_LOG_INSTANCE		24
#define AT_LOG_REGIONS		32
#define REGIONS_MAX		(BRAID_DATA_BYTES_MAX >> BRAID_REGION_SHIFT)

/* Summary sector and leaf record begin alike: number, crc. */
#define AT_MAP_CRC		4
#define AT_MAP			8
#define LEAF_RECORD		(AT_MAP + BRAID_LEAF_BYTES)
#define LEAVES_END		(BRAID_LEAVES_PER_BLOCK * LEAF_RECORD)

/* No area is beyond it: a sum of a few offsets and sizes fits 64 bits. */
#define OFFSET_MAX		0x1000000000000000ull

static bool is_zero(const u8 *bytes, size_t length)
{
	size_t i;

	for (i = 0; i < length; i++)
		if (bytes[i])
			return false;
	return true;
}

static bool is_aligned(u64 bytes)
{
	return !(bytes & (BRAID_BLOCK_SIZE - 1));
}

static u64 round_up_to_block(u64 bytes)
{
	return (bytes + BRAID_BLOCK_SIZE - 1) & ~(u64)(BRAID_BLOCK_SIZE - 1);
}

static u32 divide_up(u32 count, u32 by)
{
	return count / by + (count % by ? 1 : 0);
}

/* Of a structure whose crc is at @at. */
static u32 crc_of(const u8 *bytes, size_t length, size_t at)
{
	static const u8 nothing[4];
	u32 crc = braid_crc32c(~0u, bytes, at);

	crc = braid_crc32c(crc, nothing, sizeof(nothing));
	at += sizeof(nothing);
	return ~braid_crc32c(crc, bytes + at, length - at);
}

static bool crc_matches(const u8 *bytes, size_t length, size_t at)
{
	return braid_get_le32(bytes + at) == crc_of(bytes, length, at);
}

static void seal(u8 *bytes, size_t length, size_t at)
{
	braid_put_le32(bytes + at, crc_of(bytes, length, at));
}

static void put_header(u8 *bytes, const char *magic, u32 index, u64 sequence)
{
	memcpy(bytes, magic, BRAID_MAGIC_BYTES);
	braid_put_le16(bytes + AT_VERSION, BRAID_META_VERSION);
	braid_put_le16(bytes + AT_INDEX, (u16)index);
	braid_put_le64(bytes + AT_SEQUENCE, sequence);
}

/* The magic number is looked at before the crc, and the version after both. */
static enum braid_ondisk_result check_header(const u8 *bytes, size_t length, const char *magic,
					     u32 index, u64 *sequence)
{
	u32 version = braid_get_le16(bytes + AT_VERSION);

	if (memcmp(bytes, magic, BRAID_MAGIC_BYTES))
		return BRAID_ONDISK_NONE;
	if (!crc_matches(bytes, length, AT_CRC))
		return BRAID_ONDISK_CORRUPT;
	if (version > BRAID_META_VERSION)
		return BRAID_ONDISK_VERSION;
	*sequence = braid_get_le64(bytes + AT_SEQUENCE);
	if (!version || !*sequence || braid_get_le16(bytes + AT_INDEX) != index)
		return BRAID_ONDISK_INVALID;
	return BRAID_ONDISK_OK;
}

/* Sizes */

/**
 * braid_regions() - number of regions of a volume
 * @data_bytes: its size, at most BRAID_DATA_BYTES_MAX
 *
 * Return: that number; the last region may be cut off by the volume's end.
 */
u32 braid_regions(u64 data_bytes)
{
	u64 rest = data_bytes & (BRAID_REGION_SIZE - 1);

	return (u32)(data_bytes >> BRAID_REGION_SHIFT) + (rest ? 1 : 0);
}

/**
 * braid_summary_offset() - where a summary sector is
 * @index: its number
 *
 * Return: bytes from the start of the slot.
 */
u64 braid_summary_offset(u32 index)
{
	return (u64)index * BRAID_SUMMARY_BYTES;
}

/**
 * braid_summary_area() - size of a slot's summary, which its leaves follow
 * @data_bytes: size of the volume, at most BRAID_DATA_BYTES_MAX
 *
 * Return: bytes, a multiple of 4096.
 */
u64 braid_summary_area(u64 data_bytes)
{
	u32 sectors = divide_up(braid_regions(data_bytes), BRAID_SUMMARY_REGIONS);

	return round_up_to_block(braid_summary_offset(sectors));
}

/**
 * braid_leaf_offset() - where the block that holds a region's leaf is
 * @data_bytes: size of the volume, at most BRAID_DATA_BYTES_MAX
 * @region: below braid_regions()
 *
 * Return: bytes from the start of the slot, a multiple of 4096.
 */
u64 braid_leaf_offset(u64 data_bytes, u32 region)
{
	u64 block = region / BRAID_LEAVES_PER_BLOCK;

	return braid_summary_area(data_bytes) + (block << BRAID_BLOCK_SHIFT);
}

/**
 * braid_slot_area() - what a slot needs
 * @data_bytes: size of the volume, at most BRAID_DATA_BYTES_MAX
 *
 * Return: bytes, a multiple of 4096.
 */
u64 braid_slot_area(u64 data_bytes)
{
	u64 blocks = divide_up(braid_regions(data_bytes), BRAID_LEAVES_PER_BLOCK);

	return braid_summary_area(data_bytes) + (blocks << BRAID_BLOCK_SHIFT);
}

static u64 votes_area(void)
{
	return 2 * BRAID_VOTE_BYTES;
}

static u64 log_area(u32 log_blocks)
{
	return 2 * (u64)log_blocks << BRAID_BLOCK_SHIFT;
}

/* Layout */

/**
 * braid_superblock_offset() - where a copy of the superblock is
 * @device_bytes: size of the device that holds the metadata
 * @external: whether the data is on another one
 * @copy: 0 or 1
 *
 * Return: bytes from the start of that device; 0 if it is too small to hold any.
 */
u64 braid_superblock_offset(u64 device_bytes, bool external, u32 copy)
{
	u64 from_end = ((u64)copy + 1) << BRAID_BLOCK_SHIFT;
	u64 end = device_bytes & ~(u64)(BRAID_BLOCK_SIZE - 1);

	if (external)
		return (u64)copy << BRAID_BLOCK_SHIFT;
	return end < from_end ? 0 : end - from_end;
}

/* As many log slots as there are regions, up to the most that the format allows. */
static u32 log_blocks_for(u64 data_bytes)
{
	u32 blocks = divide_up(braid_regions(data_bytes), BRAID_LOG_SLOTS);

	return blocks < BRAID_LOG_BLOCKS_MAX ? blocks : BRAID_LOG_BLOCKS_MAX;
}

/* All metadata but the superblocks. Grows with the data, never shrinks. */
static u64 areas_for(u64 data_bytes, u32 max_slots)
{
	return votes_area() + log_area(log_blocks_for(data_bytes)) +
	       max_slots * braid_slot_area(data_bytes);
}

/* The most data for which data and metadata fit into @bytes; 0 if none does. */
static u64 most_data(u64 bytes, u32 max_slots)
{
	u64 limit = bytes < BRAID_DATA_BYTES_MAX ? bytes : BRAID_DATA_BYTES_MAX;
	u64 low = 0, high = limit >> BRAID_BLOCK_SHIFT;

	while (low < high) {
		u64 middle = (low + high + 1) / 2;
		u64 data = middle << BRAID_BLOCK_SHIFT;

		if (data + areas_for(data, max_slots) <= bytes)
			low = middle;
		else
			high = middle - 1;
	}
	return low << BRAID_BLOCK_SHIFT;
}

static bool valid_data_bytes(u64 data_bytes)
{
	return data_bytes && is_aligned(data_bytes) && data_bytes <= BRAID_DATA_BYTES_MAX;
}

static bool is_offset(u64 offset)
{
	return is_aligned(offset) && offset <= OFFSET_MAX;
}

/* Sizes and offsets, each by itself. */
static bool is_bounded(const struct braid_superblock *sb)
{
	if (!valid_data_bytes(sb->data_bytes))
		return false;
	if (sb->volume_bytes > sb->data_bytes || !is_aligned(sb->volume_bytes))
		return false;
	if (!sb->log_blocks || sb->log_blocks > BRAID_LOG_BLOCKS_MAX)
		return false;
	if (sb->max_slots > BRAID_MAX_SLOTS)
		return false;
	if (!is_aligned(sb->slot_bytes) || sb->slot_bytes > BRAID_DATA_BYTES_MAX ||
	    sb->slot_bytes < braid_slot_area(sb->data_bytes))
		return false;
	return is_offset(sb->votes_offset) && is_offset(sb->log_offset) &&
	       is_offset(sb->slots_offset);
}

/* Gives the areas their places one after the other. */
static void place_areas(struct braid_superblock *sb, u64 at)
{
	sb->log_blocks = log_blocks_for(sb->data_bytes);
	sb->slot_bytes = braid_slot_area(sb->data_bytes);
	sb->votes_offset = at;
	sb->log_offset = sb->votes_offset + votes_area();
	sb->slots_offset = sb->log_offset + log_area(sb->log_blocks);
}

static bool layout_internal(struct braid_superblock *sb, u64 device_bytes)
{
	u64 end = braid_superblock_offset(device_bytes, false, 1);
	u64 areas;

	if (!sb->data_bytes)
		sb->data_bytes = most_data(end, sb->max_slots);
	if (!valid_data_bytes(sb->data_bytes))
		return false;
	areas = areas_for(sb->data_bytes, sb->max_slots);
	if (sb->data_bytes + areas > end)
		return false;
	place_areas(sb, end - areas);
	return is_bounded(sb);
}

static bool layout_external(struct braid_superblock *sb, u64 data_device_bytes,
			    u64 meta_device_bytes)
{
	u64 start = 2 * BRAID_BLOCK_SIZE;
	u64 most = data_device_bytes & ~(u64)(BRAID_BLOCK_SIZE - 1);

	if (most > BRAID_DATA_BYTES_MAX)
		most = BRAID_DATA_BYTES_MAX;
	if (!sb->data_bytes)
		sb->data_bytes = most;
	if (!valid_data_bytes(sb->data_bytes) || sb->data_bytes > most)
		return false;
	if (start + areas_for(sb->data_bytes, sb->max_slots) > meta_device_bytes)
		return false;
	place_areas(sb, start);
	return true;
}

/**
 * braid_ondisk_layout() - give the metadata of a new replica its places
 * @sb: flags (of which BRAID_SB_EXTERNAL counts), max_slots, and data_bytes, where
 *	0 is "as much as fits"; the function fills in the rest of the layout
 * @data_device_bytes: size of the device that holds the data
 * @meta_device_bytes: size of the device for external metadata, else not used
 *
 * Return: whether it fits and data_bytes and max_slots are within their bounds; if
 * not, the layout in @sb means nothing.
 */
bool braid_ondisk_layout(struct braid_superblock *sb, u64 data_device_bytes, u64 meta_device_bytes)
{
	if (sb->max_slots > BRAID_MAX_SLOTS)
		return false;
	if (sb->flags & BRAID_SB_EXTERNAL)
		return layout_external(sb, data_device_bytes, meta_device_bytes);
	return layout_internal(sb, data_device_bytes);
}

struct area {
	u64 start;
	u64 end;
};

static struct area area_of(u64 start, u64 bytes)
{
	return (struct area){ .start = start, .end = start + bytes };
}

static bool overlap(struct area a, struct area b)
{
	return a.start < b.end && b.start < a.end;
}

/* @areas are: votes, log, slots. Their ends don't wrap, for a superblock that is_bounded(). */
static void get_areas(const struct braid_superblock *sb, struct area areas[3])
{
	areas[0] = area_of(sb->votes_offset, votes_area());
	areas[1] = area_of(sb->log_offset, log_area(sb->log_blocks));
	areas[2] = area_of(sb->slots_offset, sb->max_slots * sb->slot_bytes);
}

/* Whether all areas are between @start and @end, and none is in another. */
static bool areas_within(const struct braid_superblock *sb, u64 start, u64 end)
{
	struct area areas[3];
	u32 i;

	get_areas(sb, areas);
	for (i = 0; i < 3; i++) {
		if (areas[i].start < start || areas[i].end > end)
			return false;
		if (overlap(areas[i], areas[(i + 1) % 3]))
			return false;
	}
	return true;
}

static enum braid_grow grow_external(struct braid_superblock *sb, u64 data_device_bytes,
				     u64 meta_device_bytes)
{
	u64 first = ~0ull, end = 0, at = 2 * BRAID_BLOCK_SIZE, bytes;
	struct area areas[3];
	u32 i, log_blocks = sb->log_blocks;
	u64 data_bytes = data_device_bytes & ~(u64)(BRAID_BLOCK_SIZE - 1);

	if (data_bytes > BRAID_DATA_BYTES_MAX)
		data_bytes = BRAID_DATA_BYTES_MAX;
	if (data_bytes <= sb->data_bytes)
		return BRAID_GROW_NONE;
	get_areas(sb, areas);
	for (i = 0; i < 3; i++) {
		first = areas[i].start < first ? areas[i].start : first;
		end = areas[i].end > end ? areas[i].end : end;
	}
	bytes = areas_for(data_bytes, sb->max_slots);
	if (at + bytes > first)
		at = end;
	if (at + bytes > meta_device_bytes)
		return BRAID_GROW_NO_ROOM;
	sb->data_bytes = data_bytes;
	place_areas(sb, at);
	sb->log_blocks = log_blocks;
	return BRAID_GROW_OK;
}

static enum braid_grow grow_internal(struct braid_superblock *sb, u64 old_bytes, u64 device_bytes)
{
	struct braid_superblock next = *sb;

	next.data_bytes = 0;
	if (!layout_internal(&next, device_bytes) || next.data_bytes <= sb->data_bytes)
		return BRAID_GROW_NONE;
	if (next.votes_offset < (old_bytes & ~(u64)(BRAID_BLOCK_SIZE - 1)))
		return BRAID_GROW_NO_ROOM;
	next.log_blocks = sb->log_blocks;
	*sb = next;
	return BRAID_GROW_OK;
}

/**
 * braid_ondisk_grow() - find places for metadata about more data, beside those that it has
 * @sb: as it is; on success data_bytes, slot_bytes and the offsets change, log_blocks never
 * @old_meta_bytes: size of the metadata's device when @sb was written there
 * @data_device_bytes: size of the device that holds the data
 * @meta_device_bytes: size of the device for external metadata, else not used
 *
 * Return: whether there is more room.
 */
enum braid_grow braid_ondisk_grow(struct braid_superblock *sb, u64 old_meta_bytes,
				  u64 data_device_bytes, u64 meta_device_bytes)
{
	if (sb->flags & BRAID_SB_EXTERNAL)
		return grow_external(sb, data_device_bytes, meta_device_bytes);
	return grow_internal(sb, old_meta_bytes, data_device_bytes);
}

/* Where metadata may begin: after the data, or after external superblocks. */
static u64 areas_start(const struct braid_superblock *sb)
{
	return sb->flags & BRAID_SB_EXTERNAL ? 2 * BRAID_BLOCK_SIZE : sb->data_bytes;
}

/**
 * braid_superblock_fits() - whether a superblock is about devices of these sizes
 * @sb: as decoded
 * @data_device_bytes: size of the device that holds the data
 * @meta_device_bytes: size of the device for external metadata, else not used
 *
 * Return: whether data and metadata lie within the devices and don't overlap.
 */
bool braid_superblock_fits(const struct braid_superblock *sb, u64 data_device_bytes,
			   u64 meta_device_bytes)
{
	u64 end = meta_device_bytes;

	if (!is_bounded(sb) || sb->data_bytes > data_device_bytes)
		return false;
	if (!(sb->flags & BRAID_SB_EXTERNAL))
		end = braid_superblock_offset(data_device_bytes, false, 1);
	return areas_within(sb, areas_start(sb), end);
}

/* Superblock */

static void put_stamp(u8 *at, const struct braid_stamp *stamp)
{
	braid_put_le64(at, stamp->epoch);
	braid_put_le64(at + 8, stamp->id);
	braid_put_le64(at + 16, stamp->instance);
}

static void get_stamp(struct braid_stamp *stamp, const u8 *at)
{
	stamp->epoch = braid_get_le64(at);
	stamp->id = braid_get_le64(at + 8);
	stamp->instance = braid_get_le64(at + 16);
}

static void put_config(u8 *at, const struct braid_config *config)
{
	u32 node;

	memcpy(at, config->lineage, sizeof(config->lineage));
	braid_put_le64(at + CONFIG_EPOCH, config->epoch);
	braid_put_le64(at + CONFIG_ID, config->id);
	braid_put_le32(at + CONFIG_WRITER, config->writer);
	braid_put_le32(at + CONFIG_IN_SYNC, config->in_sync);
	braid_put_le32(at + CONFIG_DISKFUL, config->diskful);
	braid_put_le32(at + CONFIG_MEMBERS, config->members);
	for (node = 0; node < BRAID_MAX_NODES; node++)
		if (config->in_sync >> node & 1)
			braid_put_le64(at + CONFIG_INSTANCES + 8 * node, config->instance[node]);
}

static void get_config(struct braid_config *config, const u8 *at)
{
	u32 node;

	memcpy(config->lineage, at, sizeof(config->lineage));
	config->epoch = braid_get_le64(at + CONFIG_EPOCH);
	config->id = braid_get_le64(at + CONFIG_ID);
	config->writer = braid_get_le32(at + CONFIG_WRITER);
	config->in_sync = braid_get_le32(at + CONFIG_IN_SYNC);
	config->diskful = braid_get_le32(at + CONFIG_DISKFUL);
	config->members = braid_get_le32(at + CONFIG_MEMBERS);
	for (node = 0; node < BRAID_MAX_NODES; node++)
		config->instance[node] = braid_get_le64(at + CONFIG_INSTANCES + 8 * node);
}

static bool valid_writer(const struct braid_config *config)
{
	if (config->writer == BRAID_NO_WRITER)
		return true;
	return config->writer < BRAID_MAX_NODES && config->members >> config->writer & 1;
}

static bool valid_config(const struct braid_config *config)
{
	u32 node;

	if (config->in_sync & ~config->diskful || config->diskful & ~config->members)
		return false;
	for (node = 0; node < BRAID_MAX_NODES; node++)
		if (config->instance[node] && !(config->in_sync >> node & 1))
			return false;
	return valid_writer(config);
}

static void put_slot(u8 *at, const struct braid_slot *slot)
{
	braid_put_le32(at, slot->node);
	if (slot->node != BRAID_NO_NODE)
		put_stamp(at + 8, &slot->base);
}

static bool get_slot(struct braid_slot *slot, const u8 *at)
{
	slot->node = braid_get_le32(at);
	get_stamp(&slot->base, at + 8);
	if (!is_zero(at + 4, 4))
		return false;
	if (slot->node == BRAID_NO_NODE)
		return is_zero(at + 8, SLOT_BYTES - 8);
	return slot->node < BRAID_MAX_NODES;
}

static bool get_slots(struct braid_superblock *sb, const u8 *at)
{
	u32 seen = 0;
	u32 i;

	for (i = 0; i < BRAID_MAX_SLOTS; i++) {
		struct braid_slot *slot = &sb->slots[i];

		if (!get_slot(slot, at + i * SLOT_BYTES))
			return false;
		if (slot->node == BRAID_NO_NODE)
			continue;
		if (i >= sb->max_slots || seen >> slot->node & 1)
			return false;
		seen |= 1u << slot->node;
	}
	return true;
}

static void put_geometry(u8 *block, const struct braid_superblock *sb)
{
	braid_put_le32(block + AT_BLOCK_SIZE, sb->block_size);
	braid_put_le64(block + AT_DATA_BYTES, sb->data_bytes);
	braid_put_le64(block + AT_VOTES_OFFSET, sb->votes_offset);
	braid_put_le64(block + AT_LOG_OFFSET, sb->log_offset);
	braid_put_le32(block + AT_LOG_BLOCKS, sb->log_blocks);
	braid_put_le32(block + AT_MAX_SLOTS, sb->max_slots);
	braid_put_le64(block + AT_SLOTS_OFFSET, sb->slots_offset);
	braid_put_le64(block + AT_SLOT_BYTES, sb->slot_bytes);
}

static void get_geometry(struct braid_superblock *sb, const u8 *block)
{
	sb->block_size = braid_get_le32(block + AT_BLOCK_SIZE);
	sb->data_bytes = braid_get_le64(block + AT_DATA_BYTES);
	sb->votes_offset = braid_get_le64(block + AT_VOTES_OFFSET);
	sb->log_offset = braid_get_le64(block + AT_LOG_OFFSET);
	sb->log_blocks = braid_get_le32(block + AT_LOG_BLOCKS);
	sb->max_slots = braid_get_le32(block + AT_MAX_SLOTS);
	sb->slots_offset = braid_get_le64(block + AT_SLOTS_OFFSET);
	sb->slot_bytes = braid_get_le64(block + AT_SLOT_BYTES);
}

/**
 * braid_superblock_encode() - make a superblock's block
 * @sb: what to write; its fields are within their bounds. Instances of nodes that
 *	aren't in sync, bases of free slots and slots from max_slots on don't count
 * @block: all of it is written
 */
void braid_superblock_encode(const struct braid_superblock *sb, u8 block[BRAID_BLOCK_SIZE])
{
	static const struct braid_slot free_slot = { .node = BRAID_NO_NODE };
	u32 i;

	memset(block, 0, BRAID_BLOCK_SIZE);
	put_header(block, BRAID_SUPERBLOCK_MAGIC, 0, sb->sequence);
	memcpy(block + AT_UUID, sb->uuid, sizeof(sb->uuid));
	braid_put_le32(block + AT_VOLUME, sb->volume);
	braid_put_le32(block + AT_NODE, sb->node);
	braid_put_le32(block + AT_FLAGS, sb->flags);
	put_geometry(block, sb);
	braid_put_le64(block + AT_VOTER, sb->voter);
	braid_put_le64(block + AT_INSTANCE, sb->instance);
	put_stamp(block + AT_LAST, &sb->last);
	braid_put_le64(block + AT_VOLUME_BYTES, sb->volume_bytes);
	put_config(block + AT_CONFIG, &sb->config);
	for (i = 0; i < BRAID_MAX_SLOTS; i++)
		put_slot(block + AT_SLOTS + i * SLOT_BYTES,
			 i < sb->max_slots ? &sb->slots[i] : &free_slot);
	seal(block, BRAID_BLOCK_SIZE, AT_CRC);
}

static bool valid_reserved(const u8 *block)
{
	return is_zero(block + AT_RESERVED_1, AT_CONFIG - AT_RESERVED_1) &&
	       is_zero(block + AT_RESERVED_2, AT_SLOTS - AT_RESERVED_2) &&
	       is_zero(block + AT_RESERVED_3, BRAID_BLOCK_SIZE - AT_RESERVED_3);
}

/**
 * braid_superblock_decode() - read a superblock
 * @sb: where to; means nothing unless the result is BRAID_ONDISK_OK
 * @block: as read from the disk
 *
 * All that a superblock can be asked without its devices is checked: whether it
 * fits them is for braid_superblock_fits() to say.
 *
 * Return: what was found.
 */
enum braid_ondisk_result braid_superblock_decode(struct braid_superblock *sb,
						 const u8 block[BRAID_BLOCK_SIZE])
{
	enum braid_ondisk_result result = check_header(block, BRAID_BLOCK_SIZE,
						       BRAID_SUPERBLOCK_MAGIC, 0, &sb->sequence);

	if (result != BRAID_ONDISK_OK)
		return result;
	memcpy(sb->uuid, block + AT_UUID, sizeof(sb->uuid));
	sb->volume = braid_get_le32(block + AT_VOLUME);
	sb->node = braid_get_le32(block + AT_NODE);
	sb->flags = braid_get_le32(block + AT_FLAGS);
	get_geometry(sb, block);
	sb->voter = braid_get_le64(block + AT_VOTER);
	sb->instance = braid_get_le64(block + AT_INSTANCE);
	get_stamp(&sb->last, block + AT_LAST);
	sb->volume_bytes = braid_get_le64(block + AT_VOLUME_BYTES);
	get_config(&sb->config, block + AT_CONFIG);
	if (!valid_reserved(block) || sb->node >= BRAID_MAX_NODES ||
	    sb->flags & ~BRAID_SB_INTERNAL_FLAGS ||
	    (sb->block_size != 512 && sb->block_size != 4096))
		return BRAID_ONDISK_INVALID;
	if (!is_bounded(sb) || !areas_within(sb, areas_start(sb), ~0ull))
		return BRAID_ONDISK_INVALID;
	if (!valid_config(&sb->config) || !get_slots(sb, block + AT_SLOTS))
		return BRAID_ONDISK_INVALID;
	return BRAID_ONDISK_OK;
}

/* Vote */

/**
 * braid_vote_encode() - make a vote's record
 * @record: all of it is written
 * @sequence: from 1
 * @value: what the voter promised and accepted; not looked at
 * @length: of @value, in bytes; what is over BRAID_VOTE_MAX is left out
 */
void braid_vote_encode(u8 record[BRAID_VOTE_BYTES], u64 sequence, const u8 *value, u32 length)
{
	if (length > BRAID_VOTE_MAX)
		length = BRAID_VOTE_MAX;
	memset(record, 0, BRAID_VOTE_BYTES);
	put_header(record, BRAID_VOTE_MAGIC, 0, sequence);
	braid_put_le32(record + AT_LENGTH, length);
	if (length)
		memcpy(record + BRAID_VOTE_HEADER, value, length);
	seal(record, BRAID_VOTE_BYTES, AT_CRC);
}

/**
 * braid_vote_decode() - read a vote's record
 * @record: as read from the disk
 * @sequence: of this copy
 * @value: points into @record
 * @length: of @value, at most BRAID_VOTE_MAX
 *
 * Return: what was found; unless it is BRAID_ONDISK_OK what was written to the
 * other arguments means nothing.
 */
enum braid_ondisk_result braid_vote_decode(const u8 record[BRAID_VOTE_BYTES], u64 *sequence,
					   const u8 **value, u32 *length)
{
	enum braid_ondisk_result result = check_header(record, BRAID_VOTE_BYTES,
						       BRAID_VOTE_MAGIC, 0, sequence);

	if (result != BRAID_ONDISK_OK)
		return result;
	*value = record + BRAID_VOTE_HEADER;
	*length = braid_get_le32(record + AT_LENGTH);
	if (*length > BRAID_VOTE_MAX || !is_zero(record + AT_RESERVED_VOTE, 4) ||
	    !is_zero(*value + *length, BRAID_VOTE_MAX - *length))
		return BRAID_ONDISK_INVALID;
	return BRAID_ONDISK_OK;
}

/* Activity log */

/**
 * braid_log_encode() - make a block of the activity log
 * @block: all of it is written
 * @sequence: of this block, from 1
 * @index: of the block, below BRAID_LOG_BLOCKS_MAX
 * @instance: of the attach that writes it
 * @regions: what its slots name: regions, or BRAID_LOG_FREE
 */
void braid_log_encode(u8 block[BRAID_BLOCK_SIZE], u64 sequence, u32 index, u64 instance,
		      const u32 regions[BRAID_LOG_SLOTS])
{
	u32 i;

	memset(block, 0, AT_LOG_REGIONS);
	put_header(block, BRAID_LOG_MAGIC, index, sequence);
	braid_put_le64(block + AT_LOG_INSTANCE, instance);
	for (i = 0; i < BRAID_LOG_SLOTS; i++)
		braid_put_le32(block + AT_LOG_REGIONS + 4 * i, regions[i]);
	seal(block, BRAID_BLOCK_SIZE, AT_CRC);
}

/**
 * braid_log_decode() - read a block of the activity log
 * @block: as read from the disk
 * @index: which one it should be
 * @sequence: of this copy of it
 * @instance: of the attach that wrote it
 * @regions: what its slots name: regions of the largest volume, or BRAID_LOG_FREE;
 *	the caller compares them with its own volume's number of regions
 *
 * Return: what was found; unless it is BRAID_ONDISK_OK what was written to the
 * other arguments means nothing.
 */
enum braid_ondisk_result braid_log_decode(const u8 block[BRAID_BLOCK_SIZE], u32 index,
					  u64 *sequence, u64 *instance,
					  u32 regions[BRAID_LOG_SLOTS])
{
	enum braid_ondisk_result result = check_header(block, BRAID_BLOCK_SIZE,
						       BRAID_LOG_MAGIC, index, sequence);
	u32 i;

	if (result != BRAID_ONDISK_OK)
		return result;
	*instance = braid_get_le64(block + AT_LOG_INSTANCE);
	for (i = 0; i < BRAID_LOG_SLOTS; i++) {
		regions[i] = braid_get_le32(block + AT_LOG_REGIONS + 4 * i);
		if (regions[i] >= REGIONS_MAX && regions[i] != BRAID_LOG_FREE)
			return BRAID_ONDISK_INVALID;
	}
	return BRAID_ONDISK_OK;
}

/* Dirty maps */

static enum braid_ondisk_result check_map(const u8 *record, size_t length, u32 number)
{
	if (is_zero(record, length))
		return BRAID_ONDISK_NONE;
	if (!crc_matches(record, length, AT_MAP_CRC))
		return BRAID_ONDISK_CORRUPT;
	if (braid_get_le32(record) != number)
		return BRAID_ONDISK_INVALID;
	return BRAID_ONDISK_OK;
}

static void encode_map(u8 *record, size_t length, u32 number, const u8 *map)
{
	braid_put_le32(record, number);
	memcpy(record + AT_MAP, map, length - AT_MAP);
	seal(record, length, AT_MAP_CRC);
}

/**
 * braid_summary_encode() - make a sector of a slot's summary
 * @sector: all of it is written
 * @index: of the sector within the slot
 * @states: of its regions, packed
 */
void braid_summary_encode(u8 sector[BRAID_SUMMARY_BYTES], u32 index,
			  const u8 states[BRAID_SUMMARY_REGIONS / 4])
{
	encode_map(sector, BRAID_SUMMARY_BYTES, index, states);
}

/**
 * braid_summary_decode() - read a sector of a slot's summary
 * @sector: as read from the disk
 * @index: which one it should be
 * @states: of its regions, packed; written only if the result is BRAID_ONDISK_OK
 *
 * Return: what was found.
 */
enum braid_ondisk_result braid_summary_decode(const u8 sector[BRAID_SUMMARY_BYTES], u32 index,
					      u8 states[BRAID_SUMMARY_REGIONS / 4])
{
	enum braid_ondisk_result result = check_map(sector, BRAID_SUMMARY_BYTES, index);
	u32 i;

	if (result != BRAID_ONDISK_OK)
		return result;
	for (i = AT_MAP; i < BRAID_SUMMARY_BYTES; i++)
		if (sector[i] & (sector[i] >> 1) & 0x55)	/* both bits of a region */
			return BRAID_ONDISK_INVALID;
	memcpy(states, sector + AT_MAP, BRAID_SUMMARY_REGIONS / 4);
	return BRAID_ONDISK_OK;
}

static u32 leaf_at(u32 region)
{
	return region % BRAID_LEAVES_PER_BLOCK * LEAF_RECORD;
}

/**
 * braid_leaf_encode() - put a region's leaf into its block
 * @block: the record and the reserved end are written, the other leaves stay
 * @region: number of the region
 * @bits: which of its blocks are dirty
 */
void braid_leaf_encode(u8 block[BRAID_BLOCK_SIZE], u32 region, const u8 bits[BRAID_LEAF_BYTES])
{
	encode_map(block + leaf_at(region), LEAF_RECORD, region, bits);
	memset(block + LEAVES_END, 0, BRAID_BLOCK_SIZE - LEAVES_END);
}

/**
 * braid_leaf_decode() - read a region's leaf from its block
 * @block: as read from the disk
 * @region: number of the region
 * @bits: which of its blocks are dirty; written only if the result is BRAID_ONDISK_OK
 *
 * Return: what was found.
 */
enum braid_ondisk_result braid_leaf_decode(const u8 block[BRAID_BLOCK_SIZE], u32 region,
					   u8 bits[BRAID_LEAF_BYTES])
{
	const u8 *record = block + leaf_at(region);
	enum braid_ondisk_result result = check_map(record, LEAF_RECORD, region);

	if (result != BRAID_ONDISK_OK)
		return result;
	if (!is_zero(block + LEAVES_END, BRAID_BLOCK_SIZE - LEAVES_END))
		return BRAID_ONDISK_INVALID;
	memcpy(bits, record + AT_MAP, BRAID_LEAF_BYTES);
	return BRAID_ONDISK_OK;
}
