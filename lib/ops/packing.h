/* SPDX-License-Identifier: MIT */
/* How short a file becomes when what lies at its end moves into the free space before it. */
#ifndef VHDX_OPS_PACKING_H
#define VHDX_OPS_PACKING_H

#include "meta/image.h"
#include "meta/spacemap.h"

/* The space of a file: bits only, whatever is in it. */
struct packing {
	const struct image *image;
	struct space_map taken;
	struct space_map blocks; /* where payload blocks begin */
};

/* What moves, in this order, each to the lowest place that is free and large enough. */
struct packed {
	uint64_t end;	  /* of the file, then */
	bool bat;	  /* the BAT moves */
	uint64_t blocks;  /* payload blocks that lie behind the end */
	uint64_t bitmaps; /* bitmap blocks that do */
};

/* What a BAT takes that has no more than its entries; where it moves, it becomes no longer than that. */
static inline uint64_t packing_bat_length(const struct image *image)
{
	return round_up(image->geometry.entries * BAT_ENTRY_SIZE, MIB);
}

/* Takes @taken, what is taken of the image's file, over. -ENOMEM. */
int vhdx_packing_begin(struct packing *packing, const struct image *image, struct space_map *taken);

/* Also of a zeroed one. */
void vhdx_packing_end(struct packing *packing);

/* Tells where a payload block lies. */
void vhdx_packing_add_block(struct packing *packing, uint64_t file_offset);

/* What lay there is gone, or will be. */
void vhdx_packing_remove(struct packing *packing, uint64_t file_offset, uint64_t length);

/* The least end: each structure behind it has a place before it. */
struct packed vhdx_packing_plan(const struct packing *packing);

#endif
