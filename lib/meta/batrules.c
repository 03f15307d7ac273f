/* SPDX-License-Identifier: MIT */
/* What one entry of the BAT says, and what is wrong with it (F 6.2 to 6.4). */
#include "meta/batrules.h"
#include "meta/bitmap.h"

static enum problem block_state_fault(const struct image *image, unsigned state, uint64_t offset)
{
	switch (state) {
	case BLOCK_RESERVED_4:
		return PROBLEM_BLOCK_STATE;
	case BLOCK_UNMAPPED_OLD:
		return PROBLEM_BLOCK_STATE_5;
	case BLOCK_PARTIALLY_PRESENT:
		return image_has_parent(image) ? NO_PROBLEM : PROBLEM_BLOCK_PARTIAL_ALONE;
	case BLOCK_NOT_PRESENT:
	case BLOCK_ZERO:
		return offset ? PROBLEM_BLOCK_LEFTOVER_OFFSET : NO_PROBLEM;
	default:
		return NO_PROBLEM;
	}
}

/* The former content of a block that is UNMAPPED or UNDEFINED stays its own (F 6.2). */
static void rule_block(const struct image *image, struct bat_ruling *ruling)
{
	unsigned state = ruling->state;
	uint64_t size = image->geometry.block_size;

	ruling->is_anchor = (state == BLOCK_UNMAPPED || state == BLOCK_UNDEFINED) && ruling->offset;
	ruling->present = state == BLOCK_FULLY_PRESENT || state == BLOCK_PARTIALLY_PRESENT;
	ruling->state_fault = block_state_fault(image, state, ruling->offset);
	if (!ruling->present && !ruling->is_anchor)
		return;
	if (ruling->offset < HEADER_SECTION_SIZE || ruling->offset >= image_view_size(image)) {
		ruling->place_fault = PROBLEM_BLOCK_PLACE;
		return;
	}
	if (!range_within(ruling->offset, size, image_view_size(image)))
		ruling->place_fault = PROBLEM_BLOCK_SHORT;
	ruling->space = min_u64(size, image_end(image) - ruling->offset);
}

static void rule_bitmap(const struct image *image, struct bat_ruling *ruling)
{
	bool is_set = ruling->state != BITMAP_NOT_PRESENT || ruling->offset;

	if (!image_has_parent(image)) {
		ruling->state_fault = is_set ? PROBLEM_BITMAP_ENTRY_ALONE : NO_PROBLEM;
		return;
	}
	ruling->present = ruling->state == BITMAP_PRESENT;
	if (ruling->present && vhdx_bitmap_entry_is_usable(image, ruling->offset))
		ruling->space = BITMAP_BLOCK_SIZE;
	else if (ruling->present)
		ruling->place_fault = PROBLEM_BITMAP_PLACE;
	else if (ruling->state != BITMAP_NOT_PRESENT)
		ruling->state_fault = PROBLEM_BITMAP_STATE;
	else if (ruling->offset)
		ruling->state_fault = PROBLEM_BITMAP_LEFTOVER_OFFSET;
}

struct bat_ruling vhdx_bat_rule(const struct image *image, uint64_t index, uint64_t entry)
{
	const struct geometry *g = &image->geometry;
	uint64_t chunk = bat_chunk_of_index(g, index);
	bool is_bitmap = index - chunk * (g->chunk_ratio + 1) == g->chunk_ratio;
	struct bat_ruling ruling = {
		.number = is_bitmap ? chunk : index - chunk,
		.state = bat_entry_state(entry),
		.offset = bat_entry_offset(entry),
	};

	/* The last chunk of a child has entries for blocks that its disk does not have. */
	if (index >= g->entries || (!is_bitmap && ruling.number >= g->blocks))
		return ruling;
	ruling.kind = is_bitmap ? BAT_BITMAP : BAT_BLOCK;
	if (is_bitmap)
		rule_bitmap(image, &ruling);
	else
		rule_block(image, &ruling);
	return ruling;
}

void vhdx_take_region_space(const struct image *image, struct space_map *space)
{
	vhdx_space_map_mark(space, 0, HEADER_SECTION_SIZE, NULL);
	for (uint32_t i = 0; i < image->region_count; i++)
		if (range_within(image->regions[i].file_offset, image->regions[i].length,
				 image_end(image)))
			vhdx_space_map_mark(space, image->regions[i].file_offset,
					    image->regions[i].length, NULL);
}

void vhdx_take_fixed_space(const struct image *image, struct space_map *space)
{
	vhdx_take_region_space(image, space);
	if (image->current != NO_HEADER &&
	    range_within(image->log.offset, image->log.length, image_end(image)))
		vhdx_space_map_mark(space, image->log.offset, image->log.length, NULL);
}
