/* SPDX-License-Identifier: MIT */
/*
 * Read one group after the other, twice: first what the bitmaps call free; then the groups' own tables are
 * in use whatever these said, for a group whose bitmap was never written has no bits for its own.
 */
#include <endian.h>
#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "ext2groups.h"
#include "interrupt.h"

struct walk {
	ext2_filsys fs;
	struct range range;
	struct free_map *map;
	struct ext2_why *why;
	unsigned char *descriptors; /* a block of them, ... */
	uint64_t loaded;	    /* ... which one, or UINT64_MAX */
	unsigned char *bitmap;
	struct range run; /* free bytes so far, which may go on in the next group */
};

/* Of a group, as its descriptor says; sane. */
struct group {
	uint32_t number;
	uint64_t block_bitmap;
	uint64_t inode_bitmap;
	uint64_t inode_table;
	uint32_t free_clusters;
	uint32_t bitmap_checksum;
	uint32_t bitmap_checksum_mask; /* old descriptors have room for half of it */
	bool uninit;		       /* no bitmap: only its own tables are in use */
};

/* ---- Descriptors ---- */

/* CRC-16 with the polynomial 0x8005, reflected, as ext4 has it for descriptors (GDT_CSUM). */
static uint16_t crc16(uint16_t crc, const void *bytes, size_t length)
{
	const unsigned char *byte = bytes;

	while (length--) {
		crc ^= *byte++;
		for (int bit = 0; bit < 8; bit++)
			crc = (uint16_t)(crc >> 1 ^ (crc & 1 ? 0xa001 : 0));
	}
	return crc;
}

/* Over the file system's seed, the group's number, and the descriptor, as if its checksum were zero or not there. */
static uint16_t descriptor_checksum(ext2_filsys fs, uint32_t number, const unsigned char *bytes)
{
	size_t size = EXT2_DESC_SIZE(fs->super);
	size_t at = offsetof(struct ext4_group_desc, bg_checksum);
	size_t after = at + sizeof(uint16_t);
	uint32_t index = htole32(number);
	unsigned char none[2] = {0};

	if (ext2fs_has_feature_metadata_csum(fs->super)) {
		uint32_t crc = ext2fs_crc32c_le(fs->csum_seed, (unsigned char *)&index, 4);

		crc = ext2fs_crc32c_le(crc, bytes, at);
		crc = ext2fs_crc32c_le(crc, none, sizeof(none));
		return (uint16_t)ext2fs_crc32c_le(crc, bytes + after, size - after);
	}
	uint16_t crc = crc16(UINT16_MAX, fs->super->s_uuid, sizeof(fs->super->s_uuid));

	crc = crc16(crc, &index, sizeof(index));
	crc = crc16(crc, bytes, at);
	return crc16(crc, bytes + after, size - after);
}

static uint64_t wide(uint32_t low, uint32_t high)
{
	return (uint64_t)le32toh(high) << 32 | le32toh(low);
}

/* The high halves are zeros in descriptors that have none. */
static struct group decode(const struct walk *walk, uint32_t number, const unsigned char *bytes)
{
	size_t size = EXT2_DESC_SIZE(walk->fs->super);
	struct ext4_group_desc disk = {0};
	bool has_checksums = ext2fs_has_group_desc_csum(walk->fs);
	bool has_crc32c = ext2fs_has_feature_metadata_csum(walk->fs->super);

	memcpy(&disk, bytes, size < sizeof(disk) ? size : sizeof(disk));
	return (struct group){
		.number = number,
		.block_bitmap = wide(disk.bg_block_bitmap, disk.bg_block_bitmap_hi),
		.inode_bitmap = wide(disk.bg_inode_bitmap, disk.bg_inode_bitmap_hi),
		.inode_table = wide(disk.bg_inode_table, disk.bg_inode_table_hi),
		.free_clusters = le16toh(disk.bg_free_blocks_count) |
				 (uint32_t)le16toh(disk.bg_free_blocks_count_hi) << 16,
		.bitmap_checksum = le16toh(disk.bg_block_bitmap_csum_lo) |
				   (uint32_t)le16toh(disk.bg_block_bitmap_csum_hi) << 16,
		.bitmap_checksum_mask = !has_crc32c	       ? 0
					: size >= sizeof(disk) ? UINT32_MAX
							       : UINT16_MAX,
		.uninit = has_checksums && le16toh(disk.bg_flags) & EXT2_BG_BLOCK_UNINIT,
	};
}

static bool is_within(ext2_filsys fs, uint64_t block, uint64_t nblocks)
{
	uint64_t end = ext2fs_blocks_count(fs->super);

	return block > fs->super->s_first_data_block && block < end && nblocks <= end - block;
}

static int load_descriptors(struct walk *walk, uint32_t index)
{
	ext2_filsys fs = walk->fs;

	if (walk->loaded == index)
		return 0;
	walk->loaded = UINT64_MAX;
	errcode_t code = io_channel_read_blk64(
		fs->io, ext2fs_descriptor_block_loc2(fs, fs->super->s_first_data_block, index), 1,
		walk->descriptors);

	if (code)
		return ext2_distrust_code(walk->why, code, "reading its group descriptors");
	walk->loaded = index;
	return 0;
}

static int read_group(struct walk *walk, uint32_t number, struct group *ret_group)
{
	ext2_filsys fs = walk->fs;
	uint32_t per_block = (uint32_t)EXT2_DESC_PER_BLOCK(fs->super);
	int ret = load_descriptors(walk, number / per_block);

	if (ret)
		return ret;
	const unsigned char *bytes =
		walk->descriptors + (size_t)(number % per_block) * EXT2_DESC_SIZE(fs->super);
	const unsigned char *stored = bytes + offsetof(struct ext4_group_desc, bg_checksum);

	if (ext2fs_has_group_desc_csum(fs) &&
	    descriptor_checksum(fs, number, bytes) != (stored[0] | stored[1] << 8))
		return ext2_distrust(walk->why, -EUCLEAN,
				     "is damaged: the checksum of group %u is wrong", number);
	*ret_group = decode(walk, number, bytes);
	if (!is_within(fs, ret_group->block_bitmap, 1) ||
	    !is_within(fs, ret_group->inode_bitmap, 1) ||
	    !is_within(fs, ret_group->inode_table, fs->inode_blocks_per_group))
		return ext2_distrust(walk->why, -EUCLEAN,
				     "is damaged: the tables of group %u lie outside of it",
				     number);
	return 0;
}

/* ---- What is free ---- */

static uint64_t first_block(ext2_filsys fs, uint32_t group)
{
	return fs->super->s_first_data_block + (uint64_t)group * fs->super->s_blocks_per_group;
}

/* Past the last block of the group. */
static uint64_t end_block(ext2_filsys fs, uint32_t group)
{
	uint64_t end = first_block(fs, group) + fs->super->s_blocks_per_group;
	uint64_t blocks = ext2fs_blocks_count(fs->super);

	return end < blocks ? end : blocks;
}

static struct range bytes_of(const struct walk *walk, uint64_t block, uint64_t end)
{
	uint64_t block_size = walk->fs->blocksize;

	return (struct range){walk->range.start + block * block_size, (end - block) * block_size};
}

/* Groups need not end on a whole MiB: what is free on both sides is free between. */
static void release(struct walk *walk, uint64_t block, uint64_t end)
{
	struct range more = bytes_of(walk, block, end);

	if (walk->run.start + walk->run.length == more.start) {
		walk->run.length += more.length;
		return;
	}
	free_map_release(walk->map, walk->run);
	walk->run = more;
}

/* The first bit from @bit on that is @value, @end when there is none. */
static uint32_t find_bit(const unsigned char *bitmap, uint32_t bit, uint32_t end, bool value)
{
	while (bit < end) {
		uint64_t word;

		memcpy(&word, bitmap + bit / 64 * 8, sizeof(word));
		word = value ? le64toh(word) : ~le64toh(word);
		word &= UINT64_MAX << bit % 64;
		if (word) {
			uint32_t found = bit / 64 * 64 + (uint32_t)__builtin_ctzll(word);

			return found < end ? found : end;
		}
		bit = (bit / 64 + 1) * 64;
	}
	return end;
}

static int load_bitmap(struct walk *walk, const struct group *group)
{
	ext2_filsys fs = walk->fs;
	size_t length = (fs->super->s_blocks_per_group >> fs->cluster_ratio_bits) / 8;
	errcode_t code = io_channel_read_blk64(fs->io, group->block_bitmap, 1, walk->bitmap);

	if (code)
		return ext2_distrust_code(walk->why, code, "reading its block bitmaps");
	uint32_t checksum = ext2fs_crc32c_le(fs->csum_seed, walk->bitmap, length);

	if ((checksum ^ group->bitmap_checksum) & group->bitmap_checksum_mask)
		return ext2_distrust(walk->why, -EUCLEAN,
				     "is damaged: the checksum of group %u's bitmap is wrong",
				     group->number);
	return 0;
}

/* A bit is a cluster; the last one may reach past the file system's end. */
static int release_group(struct walk *walk, const struct group *group)
{
	ext2_filsys fs = walk->fs;
	int shift = fs->cluster_ratio_bits;
	uint64_t first = first_block(fs, group->number);
	uint64_t end = end_block(fs, group->number);
	uint32_t clusters = (uint32_t)((end - first + (1u << shift) - 1) >> shift);
	uint32_t used = 0;
	uint32_t counted = 0;
	int ret = load_bitmap(walk, group);

	if (ret)
		return ret;
	for (uint32_t bit = 0; bit < clusters; bit = used) {
		bit = find_bit(walk->bitmap, bit, clusters, false);
		used = find_bit(walk->bitmap, bit, clusters, true);
		uint64_t past = first + ((uint64_t)used << shift);

		counted += used - bit;
		if (used > bit)
			release(walk, first + ((uint64_t)bit << shift), past < end ? past : end);
	}
	if (counted != group->free_clusters)
		return ext2_distrust(walk->why, -EUCLEAN,
				     "is damaged: group %u has %u free, and says %u", group->number,
				     counted, group->free_clusters);
	return 0;
}

static int release_groups(struct walk *walk)
{
	struct group group;
	int ret = 0;

	for (uint32_t i = 0; i < walk->fs->group_desc_count && !ret; i++) {
		if (interrupt_signal())
			return -ECANCELED;
		ret = read_group(walk, i, &group);
		if (!ret && group.uninit)
			release(walk, first_block(walk->fs, i), end_block(walk->fs, i));
		else if (!ret)
			ret = release_group(walk, &group);
	}
	free_map_release(walk->map, walk->run);
	return ret;
}

/* ---- What is in use whatever the bitmaps say ---- */

static void occupy(struct walk *walk, uint64_t block, uint64_t nblocks)
{
	uint64_t end = ext2fs_blocks_count(walk->fs->super);

	if (block < end)
		free_map_occupy(walk->map, bytes_of(walk, block,
						    nblocks < end - block ? block + nblocks : end));
}

/* Copies of the superblock and of descriptors, and room for more of them, lie at the beginning of some groups. */
static void occupy_head(struct walk *walk, uint32_t number)
{
	blk64_t super;
	blk64_t old_descriptors;
	blk64_t new_descriptors;
	blk_t used;

	/* It fails for arguments that are wrong, and with these it cannot; then all of the group is in use. */
	if (ext2fs_super_and_bgd_loc2(walk->fs, number, &super, &old_descriptors, &new_descriptors,
				      &used))
		used = walk->fs->super->s_blocks_per_group;
	/* In the first group a block may come before them. */
	if (used)
		occupy(walk, first_block(walk->fs, number), (uint64_t)used + !number);
}

static int occupy_tables(struct walk *walk)
{
	struct group group;

	for (uint32_t i = 0; i < walk->fs->group_desc_count; i++) {
		int ret = interrupt_signal() ? -ECANCELED : read_group(walk, i, &group);

		if (ret)
			return ret;
		occupy_head(walk, i);
		occupy(walk, group.block_bitmap, 1);
		occupy(walk, group.inode_bitmap, 1);
		occupy(walk, group.inode_table, walk->fs->inode_blocks_per_group);
	}
	return 0;
}

int ext2_groups_read(ext2_filsys fs, struct range range, struct free_map *map,
		     struct ext2_why *ret_why)
{
	auto_free unsigned char *descriptors = malloc(fs->blocksize);
	auto_free unsigned char *bitmap = malloc(fs->blocksize);
	struct walk walk = {
		.fs = fs,
		.range = range,
		.map = map,
		.why = ret_why,
		.descriptors = descriptors,
		.loaded = UINT64_MAX,
		.bitmap = bitmap,
	};

	if (!descriptors || !bitmap)
		return ext2_distrust_code(ret_why, EXT2_ET_NO_MEMORY, "");
	int ret = release_groups(&walk);

	return ret ? ret : occupy_tables(&walk);
}
