/* SPDX-License-Identifier: MIT */
/*
 * The usual request, as short as it can be made: one buffer, within one block that is FULLY_PRESENT in the
 * disk's own file, by a page of the BAT that is in memory. Whatever else it may be is vhdx_map's.
 */
#ifndef VHDX_VDISK_DIRECT_H
#define VHDX_VDISK_DIRECT_H

#include "vdisk/disk.h"

/* At least one byte of the disk, and all of them in one block? */
static inline bool disk_in_one_block(const struct vhdx *disk, uint64_t offset, uint64_t length)
{
	uint64_t block_size = disk->image.geometry.block_size;

	return range_within(offset, length, disk->image.virtual_size) &&
	       length - 1 < block_size - (offset & (block_size - 1));
}

/* As vhdx_map, for what is in one block; false when it is not known to be the usual case. */
static inline bool disk_map_directly(const struct vhdx *disk, uint64_t offset, uint64_t length,
				     uint64_t *ret_file_offset)
{
	const struct geometry *g = &disk->image.geometry;
	uint64_t index = bat_index_of_block(g, offset >> g->block_shift);
	uint64_t in_block = offset & (g->block_size - 1);
	const void *page = page_peek(&disk->bat, index / BAT_PAGE_ENTRIES);
	uint64_t entry = page ? bat_page_entry(page, index) : 0;
	uint64_t start = bat_entry_offset(entry);

	if (bat_entry_state(entry) != BLOCK_FULLY_PRESENT || start < HEADER_SECTION_SIZE ||
	    !range_within(start, in_block + length, image_view_size(&disk->image)))
		return false;
	*ret_file_offset = start + in_block;
	return true;
}

/*
 * Holds the stripe shared of what disk_in_one_block, and finds its place. False, with nothing held, when the long
 * way has to be gone. It loads no page, so there is none to trim afterwards.
 */
static inline bool disk_begin_directly(struct vhdx *disk, uint64_t offset, uint64_t length,
				       struct shared_stripe *ret_share, uint64_t *ret_file_offset)
{
	struct shared_stripe share = stripe_share(disk_stripe(disk, offset));

	if (disk_map_directly(disk, offset, length, ret_file_offset)) {
		*ret_share = share;
		return true;
	}
	stripe_unshare(share);
	return false;
}

#endif
