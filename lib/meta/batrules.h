/* SPDX-License-Identifier: MIT */
/* What one entry of the BAT says, and what is wrong with it (F 6.2 to 6.4). */
#ifndef VHDX_META_BATRULES_H
#define VHDX_META_BATRULES_H

#include "meta/image.h"
#include "meta/spacemap.h"

enum bat_kind {
	BAT_PADDING, /* no block and no chunk of the disk has it */
	BAT_BLOCK,
	BAT_BITMAP,
};

struct bat_ruling {
	enum bat_kind kind;
	uint64_t number; /* of the block or the chunk */
	unsigned state;
	uint64_t offset;
	bool present;		  /* what it is for has space in the file, or should */
	bool is_anchor;		  /* a block without data that keeps its former place (F 6.3) */
	enum problem state_fault; /* with state and offset, for this type of disk; or NO_PROBLEM */
	enum problem place_fault; /* or NO_PROBLEM */
	uint64_t space; /* bytes of the file, up to its end, that are taken at the offset */
};

/* @image knows its geometry. Reserved bits are not looked at. */
struct bat_ruling vhdx_bat_rule(const struct image *image, uint64_t index, uint64_t entry);

/* Where in the file the entry @index stands. */
static inline uint64_t bat_entry_place(const struct image *image, uint64_t index)
{
	return image->bat.file_offset + index * BAT_ENTRY_SIZE;
}

/* The part of the disk that @block is; the last one may be cut. */
static inline uint64_t bat_guest_offset(const struct geometry *g, uint64_t block)
{
	return block * g->block_size;
}

static inline uint64_t bat_guest_length(const struct geometry *g, uint64_t block)
{
	return min_u64(g->block_size, g->virtual_size - bat_guest_offset(g, block));
}

/* Marks what headers and regions take, as far as they lie in the file. */
void vhdx_take_region_space(const struct image *image, struct space_map *space);

/* As vhdx_take_region_space, and the log. */
void vhdx_take_fixed_space(const struct image *image, struct space_map *space);

#endif
