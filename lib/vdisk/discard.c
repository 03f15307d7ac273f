/* SPDX-License-Identifier: MIT */
/*
 * Zeroing and trimming, block by block. What reads as zeros is left alone, however long it is; whole
 * blocks lose their space; of parts of blocks, what is in this file is cleared in place.
 */
#include <errno.h>
#include <inttypes.h>

#include "store/fill.h"
#include "vdisk/discard.h"
#include "vdisk/write.h"

static bool keeps_blocks(const struct vhdx *disk)
{
	return image_type(&disk->image) == VHDX_FIXED;
}

static bool may_punch(const struct discard *discard)
{
	const struct vhdx *disk = discard->disk;

	return discard->may_unmap && !keeps_blocks(disk) &&
	       !(disk->open_flags & VHDX_OPEN_NO_HOLES);
}

/* Is there nothing to do about a piece? Trimming a part of a block leaves what is the parent's. */
static bool is_idle(const struct discard *discard, const struct mapping *mapping, bool whole)
{
	if (mapping->type != VHDX_EXTENT_DATA)
		return true;
	return discard->is_trim && mapping->depth && !whole;
}

/*
 * How many bytes from @offset on, at most @length, need nothing done about them: 0 when there is something
 * to do in the block at @offset, else at least what is left of that block.
 */
static int count_idle(const struct discard *discard, uint64_t offset, uint64_t length, bool whole,
		      uint64_t in_block, uint64_t *ret_idle)
{
	struct vhdx *disk = discard->disk;
	struct shared_stripe share = stripe_share(disk_stripe(disk, offset));
	uint64_t idle = 0;
	int ret = 0;

	while (idle < in_block && !ret) {
		struct mapping mapping;

		ret = vhdx_map(disk, offset + idle, length - idle, ALL_LAYERS, &mapping);
		if (!ret && !is_idle(discard, &mapping, whole)) {
			idle = 0;
			break;
		}
		/* A parent's block may be larger, and of the blocks behind this one all may be wanted. */
		if (!ret)
			idle += mapping.type == VHDX_EXTENT_DATA
					? min_u64(mapping.length, in_block - idle)
					: mapping.length;
	}
	stripe_unshare(share);
	if (!ret)
		*ret_idle = idle;
	return ret;
}

/* Under the stripe. Space that is this file's is cleared where it is. */
static int clear_in_place(const struct discard *discard, const struct mapping *mapping)
{
	const struct vhdx *disk = discard->disk;
	bool punch = may_punch(discard);
	int ret;

	if (discard->is_trim || discard->fast)
		ret = vhdx_fill_fast(&disk->file, mapping->file_offset, mapping->length, punch);
	else if (punch)
		ret = vhdx_fill_holes(&disk->file, mapping->file_offset, mapping->length);
	else
		ret = vhdx_fill_zeros(&disk->file, mapping->file_offset, mapping->length);
	if (discard->is_trim && ret == -EOPNOTSUPP)
		return 0; /* nothing is to be gained here */
	return ret ? vhdx_fail_io(ret, disk->name, mapping->file_offset,
				  "%" PRIu64 " bytes of a block cannot be cleared", mapping->length)
		   : 0;
}

/* The parent's bytes are hidden: all of a block by its state, less by zeros of our own. */
static int hide_piece(const struct discard *discard, uint64_t offset, uint64_t length)
{
	struct block_write write = {
		.disk = discard->disk, .offset = offset, .length = length, .iov = NULL};

	if (discard->is_trim)
		return 0;
	if (length == disk_block_length(discard->disk, offset))
		return vhdx_block_drop(discard->disk, offset, BLOCK_ZERO);
	if (discard->fast)
		return vhdx_fail(-EOPNOTSUPP, NO_PROBLEM, discard->disk->name, VHDX_NO_OFFSET,
				 "zeros would have to be written (expected a faster way)");
	return vhdx_block_write(&write);
}

static int clear_piece(const struct discard *discard, uint64_t offset, uint64_t length,
		       uint64_t *ret_done)
{
	struct vhdx *disk = discard->disk;
	struct shared_stripe share = stripe_share(disk_stripe(disk, offset));
	struct mapping mapping;
	int ret = vhdx_map(disk, offset, length, ALL_LAYERS, &mapping);
	bool here = !ret && mapping.type == VHDX_EXTENT_DATA && !mapping.depth;

	if (here)
		ret = clear_in_place(discard, &mapping);
	stripe_unshare(share);
	if (!ret && mapping.type == VHDX_EXTENT_DATA && mapping.depth)
		ret = hide_piece(discard, offset, mapping.length);
	if (!ret)
		*ret_done = min_u64(mapping.length, length);
	return ret;
}

static int clear_part(const struct discard *discard, uint64_t offset, uint64_t length)
{
	uint64_t done = 0;
	int ret = 0;

	while (done < length && !ret) {
		uint64_t part = 0;

		ret = clear_piece(discard, offset + done, length - done, &part);
		done += part;
	}
	return ret;
}

static int discard_in_block(const struct discard *discard, uint64_t offset, uint64_t length,
			    bool whole)
{
	int ret = vhdx_gate_pass(discard->disk, GATE_DATA);

	if (ret)
		return ret;
	if (whole && discard->may_unmap && !keeps_blocks(discard->disk))
		return vhdx_block_drop(discard->disk, offset,
				       discard->is_trim ? BLOCK_UNMAPPED : BLOCK_ZERO);
	return clear_part(discard, offset, length);
}

int vhdx_discard(const struct discard *discard, uint64_t offset, uint64_t length)
{
	struct vhdx *disk = discard->disk;
	uint32_t block_size = disk->image.parameters.block_size;
	uint64_t done = 0;
	int ret = 0;

	while (done < length && !ret) {
		uint64_t at = offset + done;
		uint64_t part = min_u64(length - done, block_size - at % block_size);
		bool whole = part == disk_block_length(disk, at);
		uint64_t idle = 0;

		ret = count_idle(discard, at, length - done, whole, part, &idle);
		if (!ret && !idle)
			ret = discard_in_block(discard, at, part, whole);
		done += idle ? idle : part;
		vhdx_page_cache_trim(&disk->shared->cache, vhdx_stripes_grace,
				     &disk->shared->stripes);
	}
	return ret;
}
