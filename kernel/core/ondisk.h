/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Braid's metadata on a disk. This header is the format's definition: a decoder
 * can be written from it alone.
 *
 * All integers are little-endian and unsigned, offsets count bytes. Reserved
 * bytes are zero; a reader refuses other values. "crc" is CRC-32C (Castagnoli,
 * reflected, initial value and final xor all ones; that of the nine characters
 * "123456789" is 0xe3069283) of the whole structure with the crc field itself
 * taken as zero. A bit map's bit n is bit n % 8, from the lowest, of byte n / 8.
 *
 * A volume is cut into regions of 4 MiB and blocks of 4 KiB. The metadata area
 * is a range of the disk that holds the data (internal, at its end) or of
 * another device (external, from its start):
 *
 *	internal: superblock copy 0 in the last whole 4 KiB block of the disk,
 *	          copy 1 in the block before it, everything else before these;
 *	external: copy 0 at offset 0, copy 1 at offset 4096, everything else after.
 *
 * The data is at the start of its disk. The superblock gives the byte offsets of
 * all else, multiples of 4096, at most 2^60, that count from the start of the
 * device that holds the metadata:
 *
 *	votes		2 copies of 16 KiB: the register's ballot and value
 *	log		2 copies of log_blocks blocks of 4 KiB: the activity log
 *	slots		max_slots areas of slot_bytes each: the dirty map of one
 *			absent replica: its summary, then its leaves
 *
 * Of two copies the valid one with the higher sequence counts (copy 0, if they
 * are equal), and the other one is written next, with the sequence plus one. A
 * single write is never trusted to be atomic beyond 512 bytes: a torn copy fails
 * its crc, and the older one still holds. In the log the copies are those of a
 * block, each with a sequence of its own: copy c of block i is at
 * log_offset + (c * log_blocks + i) * 4096.
 *
 * Superblock, votes and log blocks begin alike. Magic, crc, version and what the
 * crc covers are the same in all versions to come, so that a reader can tell a
 * newer version from damage:
 *
 *	offset	bytes
 *	0	8	magic: 8 characters
 *	8	4	crc
 *	12	2	version: 1
 *	14	2	index: of a log block, from 0; else reserved
 *	16	8	sequence: from 1
 *
 * Superblock: 4096 bytes, magic "BRAID-SB"; struct braid_superblock says what
 * the fields mean:
 *
 *	offset	bytes
 *	0	24	as above
 *	24	16	uuid
 *	40	4	volume
 *	44	4	node: 0 to 31
 *	48	4	flags: BRAID_SB_*, others are zero
 *	52	4	block_size: 512 or 4096
 *	56	8	data_bytes: 4096 to 2^50, a multiple of 4096
 *	64	8	votes_offset
 *	72	8	log_offset
 *	80	4	log_blocks: 1 to 16
 *	84	4	max_slots: 0 to 31
 *	88	8	slots_offset
 *	96	8	slot_bytes: a multiple of 4096, at most 2^50, not
 *			less than summary and leaves need
 *	104	8	voter
 *	112	8	instance
 *	120	8	last: epoch
 *	128	8	last: id
 *	136	8	last: instance
 *	144	8	volume_bytes: at most data_bytes, a multiple of 4096
 *	152	104	reserved
 *	256	16	config: lineage
 *	272	8	config: epoch
 *	280	8	config: id
 *	288	4	config: writer: the number of a member, or 0xff
 *	292	4	config: in_sync: bit n is node n; a subset of diskful
 *	296	4	config: diskful: a subset of members
 *	300	4	config: members
 *	304	256	config: instance[32], 8 bytes each; 0 if the node isn't in sync
 *	560	464	reserved
 *	1024	992	slots[31], 32 bytes each; those from max_slots on are free
 *	2016	2080	reserved
 *
 * A slot within the superblock; no two slots name the same node:
 *
 *	0	4	node: 0 to 31, or 0xff: the slot is free, and base is zero
 *	4	4	reserved
 *	8	8	base: epoch
 *	16	8	base: id
 *	24	8	base: instance
 *
 * The votes, the two log copies and the slots overlap neither one another nor the
 * superblocks nor, if the metadata is internal, the data.
 *
 * Vote: 16384 bytes, magic "BRAIDVOT":
 *
 *	0	24	as above
 *	24	4	length: 0 to 16352; 0 is "nothing promised or accepted yet"
 *	28	4	reserved
 *	32	length	value: opaque to the kernel
 *	then		reserved, to the end
 *
 * Log block: 4096 bytes, magic "BRAIDLOG". Log slots are numbered through all
 * blocks; the order of regions in the log means nothing:
 *
 *	0	24	as above
 *	24	8	instance: of the attach that wrote it
 *	32	4064	1016 numbers of 4 bytes each: a region, below 2^28, or
 *			0xffffffff: free
 *
 * A slot, on disk at slots_offset + number * slot_bytes, is a row of summary
 * sectors, from a multiple of 4096 on followed by a row of leaf blocks. Regions
 * are numbered from 0; there are data_bytes / 4 MiB of them, rounded up.
 * Regions and blocks beyond the volume's end are clean. What was never written
 * may hold anything: a slot that was given to a node has all of its summary
 * written first, and a leaf counts only where the summary says BRAID_REGION_LEAF.
 * A summary sector that is not valid counts as all dirty, as does a leaf.
 *
 * Summary sector: 512 bytes; number i is at i * 512 in its slot and is about
 * regions i * 2016 to i * 2016 + 2015. There are regions / 2016 of them, rounded
 * up, then padding without meaning up to a multiple of 4096:
 *
 *	0	4	index: i
 *	4	4	crc
 *	8	504	states: enum braid_region_state, 2 bits each: the lowest
 *			region in the lowest bits of the first byte; 3 is invalid
 *
 * Leaf block: 4096 bytes of 30 leaf records and 16 reserved bytes. Region r is
 * record r % 30 of leaf block r / 30. Leaf record, at r % 30 * 136 in its block:
 *
 *	0	4	region: r
 *	4	4	crc: of this record's 136 bytes
 *	8	128	bits: bit n is the region's block n; set is dirty
 *
 * A summary sector or leaf record that is all zero was never written.
 */
#ifndef _BRAID_CORE_ONDISK_H
#define _BRAID_CORE_ONDISK_H

#include "env.h"

#define BRAID_BLOCK_SHIFT	12
#define BRAID_BLOCK_SIZE	4096u
#define BRAID_REGION_SHIFT	22
#define BRAID_REGION_SIZE	0x400000u
#define BRAID_REGION_BLOCKS	(1u << (BRAID_REGION_SHIFT - BRAID_BLOCK_SHIFT))
#define BRAID_LEAF_BYTES	(BRAID_REGION_BLOCKS / 8)

/* Data sizes up to 1 PiB: a region's number fits 32 bits. */
#define BRAID_DATA_BYTES_MAX	0x4000000000000ull

#define BRAID_MAX_NODES		32
#define BRAID_MAX_SLOTS		31
#define BRAID_VOTE_BYTES	16384
#define BRAID_VOTE_HEADER	32
#define BRAID_VOTE_MAX		(BRAID_VOTE_BYTES - BRAID_VOTE_HEADER)

#define BRAID_LOG_BLOCKS_MAX	16
#define BRAID_LOG_SLOTS		1016	/* of one log block */
#define BRAID_LOG_FREE		0xffffffffu

#define BRAID_SUMMARY_BYTES	512
#define BRAID_SUMMARY_REGIONS	2016	/* of one summary sector, 2 bits each */
#define BRAID_LEAVES_PER_BLOCK	30

#define BRAID_META_VERSION	1

#define BRAID_MAGIC_BYTES	8
#define BRAID_SUPERBLOCK_MAGIC	"BRAID-SB"
#define BRAID_VOTE_MAGIC	"BRAIDVOT"
#define BRAID_LOG_MAGIC		"BRAIDLOG"

/**
 * enum braid_region_state - what a summary says of a region
 * @BRAID_REGION_CLEAN: no block is dirty; the leaf on disk means nothing
 * @BRAID_REGION_LEAF: the leaf on disk says which blocks are
 * @BRAID_REGION_ALL: every block is dirty; the leaf on disk means nothing
 */
enum braid_region_state {
	BRAID_REGION_CLEAN = 0,
	BRAID_REGION_LEAF = 1,
	BRAID_REGION_ALL = 2,
};

/**
 * struct braid_stamp - the configuration at which a replica was in sync
 * @epoch: of the configuration; 0 is "never"
 * @id: of the configuration
 * @instance: of the replica
 */
struct braid_stamp {
	u64 epoch;
	u64 id;
	u64 instance;
};

/**
 * struct braid_config - a configuration of a resource, as adopted by a kernel
 * @lineage: random, shared by all configurations that follow from one another
 * @epoch: grows with each change; 0 is "none adopted yet"
 * @id: random, tells values of one epoch apart
 * @writer: node id, or BRAID_NO_WRITER
 * @in_sync: mask of the node ids in sync
 * @diskful: mask of the members with a replica
 * @members: mask of all members, witnesses included
 * @instance: of each node in sync
 */
#define BRAID_NO_WRITER		0xffu
struct braid_config {
	u8 lineage[16];
	u64 epoch;
	u64 id;
	u32 writer;
	u32 in_sync;
	u32 diskful;
	u32 members;
	u64 instance[BRAID_MAX_NODES];
};

/**
 * struct braid_slot - who a slot's dirty map is about
 * @node: node id, or BRAID_NO_NODE: the slot is free
 * @base: where that replica was last in sync; its dirty map counts from there
 */
#define BRAID_NO_NODE		0xffu
struct braid_slot {
	u32 node;
	struct braid_stamp base;
};

/* The superblock's flags. */
#define BRAID_SB_IN_USE		1u	/* attached, or stopped without detaching */
#define BRAID_SB_VOLATILE	2u	/* the disk had a volatile cache when attached */
#define BRAID_SB_SUSPECT	4u	/* may have lost acknowledged writes (R4a) */
#define BRAID_SB_INCONSISTENT	8u	/* a resync into it has begun and not ended */
#define BRAID_SB_EXTERNAL	16u	/* the metadata is on a device of its own */
#define BRAID_SB_INTERNAL_FLAGS	31u	/* all that are defined */

/**
 * struct braid_superblock - a superblock, decoded
 * @sequence: of this copy, from 1
 * @uuid: of the replica, given at create-md
 * @volume: number of the volume within its resource
 * @node: the node id of this replica's member
 * @flags: BRAID_SB_*
 * @block_size: logical block size of the volume: 512 or 4096
 * @data_bytes: size of the volume's data, a multiple of 4096
 * @votes_offset: where the votes are
 * @log_offset: where the log is
 * @log_blocks: its blocks per copy, 1 to BRAID_LOG_BLOCKS_MAX
 * @slots_offset: where the first slot is
 * @slot_bytes: distance between slots
 * @max_slots: how many there are, 0 to BRAID_MAX_SLOTS
 * @voter: id of this replica as a voter (V1); 0 is "not enrolled"
 * @instance: of the last attach
 * @last: the last configuration in which this replica was in sync
 * @volume_bytes: size of the volume, of which this replica may be larger; 0 until it was first
 *	served. All replicas in sync say so before a device has that size
 * @config: the configuration adopted last
 * @slots: the dirty maps
 */
struct braid_superblock {
	u64 sequence;
	u8 uuid[16];
	u32 volume;
	u32 node;
	u32 flags;
	u32 block_size;
	u64 data_bytes;
	u64 votes_offset;
	u64 log_offset;
	u32 log_blocks;
	u32 max_slots;
	u64 slots_offset;
	u64 slot_bytes;
	u64 voter;
	u64 instance;
	struct braid_stamp last;
	u64 volume_bytes;
	struct braid_config config;
	struct braid_slot slots[BRAID_MAX_SLOTS];
};

/**
 * enum braid_ondisk_result - what a decoder found
 * @BRAID_ONDISK_OK: all is well
 * @BRAID_ONDISK_NONE: no magic number: never written, or something else
 * @BRAID_ONDISK_CORRUPT: the crc does not match
 * @BRAID_ONDISK_VERSION: written by a newer version
 * @BRAID_ONDISK_INVALID: the crc matches but a field cannot be
 */
enum braid_ondisk_result {
	BRAID_ONDISK_OK,
	BRAID_ONDISK_NONE,
	BRAID_ONDISK_CORRUPT,
	BRAID_ONDISK_VERSION,
	BRAID_ONDISK_INVALID,
};

#ifdef __cplusplus
extern "C" {
#endif

/* Where superblock copy 0 or 1 is, on a device of @device_bytes. */
u64 braid_superblock_offset(u64 device_bytes, bool external, u32 copy);
/*
 * Fills in offsets, log_blocks and slot_bytes (and data_bytes, if 0, with what fits) of @sb for
 * its flags, max_slots and devices: @data_device_bytes and, if external, @meta_device_bytes.
 * False if it does not fit.
 */
bool braid_ondisk_layout(struct braid_superblock *sb, u64 data_device_bytes, u64 meta_device_bytes);
/**
 * enum braid_grow - what came of looking for more room
 * @BRAID_GROW_OK: a layout for more data was found
 * @BRAID_GROW_NONE: there is no room for more data
 * @BRAID_GROW_NO_ROOM: there is, but none for new metadata beside the old
 */
enum braid_grow {
	BRAID_GROW_OK,
	BRAID_GROW_NONE,
	BRAID_GROW_NO_ROOM,
};

/*
 * Changes data_bytes, slot_bytes and the offsets of @sb to those for devices that have grown.
 * Nothing of it overlaps the metadata as it is; @old_meta_bytes is the size of its device then.
 */
enum braid_grow braid_ondisk_grow(struct braid_superblock *sb, u64 old_meta_bytes,
				  u64 data_device_bytes, u64 meta_device_bytes);
void braid_superblock_encode(const struct braid_superblock *sb, u8 block[BRAID_BLOCK_SIZE]);
enum braid_ondisk_result braid_superblock_decode(struct braid_superblock *sb,
						 const u8 block[BRAID_BLOCK_SIZE]);
/* Whether a decoded superblock's areas lie within the devices and do not overlap. */
bool braid_superblock_fits(const struct braid_superblock *sb, u64 data_device_bytes,
			   u64 meta_device_bytes);

/* A vote's record: @length bytes of @value, at most BRAID_VOTE_MAX. */
void braid_vote_encode(u8 record[BRAID_VOTE_BYTES], u64 sequence, const u8 *value, u32 length);
enum braid_ondisk_result braid_vote_decode(const u8 record[BRAID_VOTE_BYTES], u64 *sequence,
					   const u8 **value, u32 *length);

/* A log block: which region each slot names, or BRAID_LOG_FREE. @index is the block's, 0.. */
void braid_log_encode(u8 block[BRAID_BLOCK_SIZE], u64 sequence, u32 index, u64 instance,
		      const u32 regions[BRAID_LOG_SLOTS]);
enum braid_ondisk_result braid_log_decode(const u8 block[BRAID_BLOCK_SIZE], u32 index,
					  u64 *sequence, u64 *instance,
					  u32 regions[BRAID_LOG_SLOTS]);

/*
 * A sector of a slot's summary: for regions index * BRAID_SUMMARY_REGIONS and on. @states is
 * packed, four regions a byte, the lowest region in the lowest two bits.
 */
void braid_summary_encode(u8 sector[BRAID_SUMMARY_BYTES], u32 index,
			  const u8 states[BRAID_SUMMARY_REGIONS / 4]);
enum braid_ondisk_result braid_summary_decode(const u8 sector[BRAID_SUMMARY_BYTES], u32 index,
					      u8 states[BRAID_SUMMARY_REGIONS / 4]);

/* A leaf record within its block of BRAID_LEAVES_PER_BLOCK; bit 0 is the region's first block. */
void braid_leaf_encode(u8 block[BRAID_BLOCK_SIZE], u32 region, const u8 bits[BRAID_LEAF_BYTES]);
enum braid_ondisk_result braid_leaf_decode(const u8 block[BRAID_BLOCK_SIZE], u32 region,
					   u8 bits[BRAID_LEAF_BYTES]);

/* Byte offsets from the start of a slot, and sizes of the parts of a slot. */
u32 braid_regions(u64 data_bytes);
u64 braid_summary_offset(u32 index);
u64 braid_summary_area(u64 data_bytes);	/* multiple of 4096 */
u64 braid_leaf_offset(u64 data_bytes, u32 region);	/* of the block that holds it */
u64 braid_slot_area(u64 data_bytes);

#ifdef __cplusplus
}
#endif

#endif /* _BRAID_CORE_ONDISK_H */
