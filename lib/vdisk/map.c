/* SPDX-License-Identifier: MIT */
/* Where each piece of the disk is: through the BAT and the bitmaps of one layer, and down the chain. */
#include <errno.h>
#include <inttypes.h>

#include "vdisk/disk.h"

/* Part of one block: what the mapping of a layer is asked for. */
struct piece {
	uint64_t offset; /* of the disk */
	uint64_t length;
	uint64_t block;
	uint64_t in_block; /* offset in the block */
	uint64_t entry;	   /* of the BAT */
};

static uint64_t entry_place(const struct image *image, uint64_t block)
{
	return image->bat.file_offset +
	       bat_index_of_block(&image->geometry, block) * BAT_ENTRY_SIZE;
}

/* A present block must begin in the file; what lies behind the file's end reads as zeros (F 6.2). */
static int map_data(const struct vhdx *layer, const struct piece *piece,
		    struct mapping *ret_mapping)
{
	const struct image *image = &layer->image;
	uint64_t start = bat_entry_offset(piece->entry);

	if (start < HEADER_SECTION_SIZE || start >= image_view_size(image))
		return vhdx_fail(-EUCLEAN, PROBLEM_BLOCK_PLACE, image->name,
				 entry_place(image, piece->block),
				 "BAT: block %" PRIu64 " is at %#" PRIx64
				 " (expected within the file's %#" PRIx64
				 " bytes, behind the first MiB)",
				 piece->block, start, image_view_size(image));
	uint64_t held = image_view_size(image) - start;
	bool here = piece->in_block < held;

	*ret_mapping = (struct mapping){
		.type = here ? VHDX_EXTENT_DATA : VHDX_EXTENT_ZERO,
		.length = here ? min_u64(piece->length, held - piece->in_block) : piece->length,
		.layer = layer,
		.file_offset = here ? start + piece->in_block : VHDX_NO_OFFSET,
	};
	return 0;
}

/* Sectors here, or the parent's; a run of them (F 7). */
static int map_partial(struct vhdx *layer, struct piece *piece, struct mapping *ret_mapping)
{
	uint32_t sector_size = layer->image.logical_sector_size;
	uint64_t sector = piece->offset / sector_size;
	uint64_t last = (piece->offset + piece->length - 1) / sector_size;
	uint64_t count;
	bool here;
	int ret = vhdx_bitmap_run(&layer->bitmaps, sector, last - sector + 1, &here, &count);

	if (ret)
		return ret;
	piece->length = min_u64(piece->length, (sector + count) * sector_size - piece->offset);
	if (here)
		return map_data(layer, piece, ret_mapping);
	*ret_mapping = (struct mapping){
		.type = VHDX_EXTENT_PARENT, .length = piece->length, .layer = layer};
	return 0;
}

/* No data here: as far as the BAT is known to say the same, up to @limit bytes from the piece on. */
static int map_nothing(struct vhdx *layer, const struct piece *piece, uint64_t limit,
		       enum vhdx_extent_type type, struct mapping *ret_mapping)
{
	const struct geometry *g = &layer->image.geometry;
	uint64_t index = bat_index_of_block(g, piece->block);
	uint64_t length = piece->length;
	uint64_t run = 1;
	/* Most ask for less than a block, and the run may be long. */
	int ret = limit > length ? vhdx_bat_same_run(&layer->bat, index, &run) : 0;

	if (ret)
		return ret;
	if (run >
	    1) { /* up to the block of the first entry behind the run, or of the one behind a bitmap's */
		uint64_t end = min_u64(bat_block_of_index(g, index + run), g->blocks);

		length = min_u64(limit, end * g->block_size - piece->offset);
	}
	*ret_mapping = (struct mapping){
		.type = type,
		.length = length,
		.layer = layer,
		.file_offset = VHDX_NO_OFFSET,
	};
	return 0;
}

static int map_layer(struct vhdx *layer, uint64_t offset, uint64_t length,
		     struct mapping *ret_mapping)
{
	const struct geometry *g = &layer->image.geometry;
	struct piece piece = {
		.offset = offset,
		.block = offset >> g->block_shift,
		.in_block = offset & (g->block_size - 1),
	};

	piece.length = min_u64(length, g->block_size - piece.in_block);
	int ret = vhdx_bat_get(&layer->bat, bat_index_of_block(g, piece.block), &piece.entry);

	if (ret)
		return ret;
	switch (bat_entry_state(piece.entry)) {
	case BLOCK_NOT_PRESENT:
		return map_nothing(layer, &piece, length, VHDX_EXTENT_PARENT, ret_mapping);
	case BLOCK_FULLY_PRESENT:
		return map_data(layer, &piece, ret_mapping);
	case BLOCK_PARTIALLY_PRESENT:
		return image_has_parent(&layer->image) ? map_partial(layer, &piece, ret_mapping)
						       : map_data(layer, &piece, ret_mapping);
	case BLOCK_RESERVED_4:
		return vhdx_fail(-EUCLEAN, PROBLEM_BLOCK_STATE, layer->name,
				 entry_place(&layer->image, piece.block),
				 "BAT: block %" PRIu64
				 " has the reserved state 4 (expected 0 to 3, 6 or 7)",
				 piece.block);
	default:
		return map_nothing(layer, &piece, length, VHDX_EXTENT_ZERO, ret_mapping);
	}
}

int vhdx_map(struct vhdx *disk, uint64_t offset, uint64_t length, unsigned layers,
	     struct mapping *ret_mapping)
{
	struct mapping mapping = {.length = length};
	struct vhdx *layer = disk;
	unsigned depth = 0;

	for (;; layer = layer->parent, depth++) {
		uint64_t size = layer->image.virtual_size;

		if (offset >= size) { /* a parent smaller than its child ends in zeros */
			mapping.type = VHDX_EXTENT_ABSENT;
			break;
		}
		int ret =
			map_layer(layer, offset, min_u64(mapping.length, size - offset), &mapping);

		if (ret)
			return ret;
		if (mapping.type != VHDX_EXTENT_PARENT ||
		    (depth + 1 >= layers && image_has_parent(&layer->image)))
			break;
		if (!layer->parent) {
			mapping.type = VHDX_EXTENT_ABSENT;
			break;
		}
	}
	mapping.depth = depth;
	if (mapping.type != VHDX_EXTENT_DATA)
		mapping.file_offset = VHDX_NO_OFFSET;
	*ret_mapping = mapping;
	return 0;
}
