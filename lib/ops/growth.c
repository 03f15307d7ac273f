/* SPDX-License-Identifier: MIT */
/* The BAT of a disk that is to have another geometry: the entries that stay, and those that are new. */
#include <string.h>

#include "ops/growth.h"

static enum growth_kind kind_of(const struct vhdx *disk)
{
	switch (image_type(&disk->image)) {
	case VHDX_FIXED:
		return GROWTH_PLACED;
	case VHDX_DIFFERENCING:
		return GROWTH_HIDING;
	default:
		return GROWTH_EMPTY;
	}
}

struct growth vhdx_growth_make(struct vhdx *disk, uint64_t virtual_size)
{
	const struct geometry *from = &disk->image.geometry;

	return (struct growth){
		.disk = disk,
		.kind = kind_of(disk),
		.from = *from,
		.to = geometry_make(virtual_size, from->block_size, from->logical_sector_size,
				    image_has_parent(&disk->image)),
		.first = bat_index_of_block(from, from->blocks - 1) + 1,
	};
}

/* A child's last chunk has its bitmap entry behind those of blocks that the disk may not have yet. */
static bool stays(const struct growth *growth, uint64_t index)
{
	const struct geometry *from = &growth->from;

	return index < growth->first ||
	       (index < from->entries && bat_index_is_bitmap(from, index) &&
		image_has_parent(&growth->disk->image));
}

/* The first block, @block or one behind it, of which a parent has data. */
static int next_hiding(const struct growth *growth, uint64_t block, uint64_t *ret_block)
{
	struct vhdx *parent = growth->disk->parent;
	uint64_t end = min_u64(growth->to.virtual_size, parent->image.virtual_size);
	uint64_t offset = block * growth->to.block_size;

	while (offset < end) {
		struct mapping mapping;
		int ret = vhdx_next_piece(parent, offset, end - offset, ALL_LAYERS, NULL, &mapping);

		if (ret)
			return ret;
		if (mapping.type == VHDX_EXTENT_DATA) {
			*ret_block = offset / growth->to.block_size;
			return 0;
		}
		offset += mapping.length;
	}
	*ret_block = growth->to.blocks;
	return 0;
}

/* The first new block, @block or one behind it, whose entry is not zero, and that entry; the number of blocks: none. */
static int next_new(const struct growth *growth, uint64_t block, uint64_t *ret_block,
		    uint64_t *ret_entry)
{
	if (growth->kind == GROWTH_EMPTY || block >= growth->to.blocks) {
		*ret_block = growth->to.blocks;
		return 0;
	}
	if (growth->kind == GROWTH_HIDING) {
		*ret_entry = bat_entry_make(BLOCK_ZERO, 0);
		return next_hiding(growth, block, ret_block);
	}
	*ret_block = block;
	*ret_entry = bat_entry_make(BLOCK_FULLY_PRESENT,
				    growth->run.offset +
					    (block - growth->from.blocks) * growth->to.block_size);
	return 0;
}

/* The first new block whose entry is at @index or behind it. */
static uint64_t new_block_from(const struct growth *growth, uint64_t index)
{
	return bat_block_of_index(&growth->to, max_u64(index, growth->first));
}

/* Entries that are on the disk, padding that the new size makes part of the table included. */
static uint64_t entries_there(const struct growth *growth)
{
	return min_u64(growth->to.entries, growth->disk->image.bat.length / BAT_ENTRY_SIZE);
}

static int next_old_page(const struct growth *growth, uint64_t page, uint64_t *ret_page)
{
	uint64_t end = entries_there(growth);
	uint64_t index = page * BAT_PAGE_ENTRIES;

	while (index < end) {
		uint64_t zeros;
		int ret = vhdx_bat_zero_run(&growth->disk->bat, index, &zeros);

		if (ret)
			return ret;
		if (!zeros)
			break;
		index += zeros;
	}
	*ret_page = index < end ? index / BAT_PAGE_ENTRIES : NO_BAT_PAGE;
	return 0;
}

int vhdx_growth_next_page(const struct growth *growth, uint64_t page, uint64_t *ret_page)
{
	uint64_t block = growth->to.blocks;
	uint64_t entry;
	uint64_t old = NO_BAT_PAGE;
	int ret = next_old_page(growth, page, &old);

	if (!ret)
		ret = next_new(growth, new_block_from(growth, page * BAT_PAGE_ENTRIES), &block,
			       &entry);
	if (ret)
		return ret;
	*ret_page = old;
	if (block < growth->to.blocks)
		*ret_page = min_u64(old, bat_index_of_block(&growth->to, block) / BAT_PAGE_ENTRIES);
	return 0;
}

static int copy_old(const struct growth *growth, uint64_t start, uint64_t *entries)
{
	uint64_t end = min_u64(start + BAT_PAGE_ENTRIES, entries_there(growth));
	int ret = 0;

	for (uint64_t index = start; index < end && !ret; index++)
		if (stays(growth, index))
			ret = vhdx_bat_get(&growth->disk->bat, index, &entries[index - start]);
	return ret;
}

int vhdx_growth_page(const struct growth *growth, uint64_t page,
		     uint64_t ret_entries[BAT_PAGE_ENTRIES])
{
	uint64_t start = page * BAT_PAGE_ENTRIES;
	uint64_t block = new_block_from(growth, start);

	memset(ret_entries, 0, BAT_PAGE_ENTRIES * sizeof(*ret_entries));
	int ret = copy_old(growth, start, ret_entries);

	for (; !ret; block++) {
		uint64_t entry = 0;

		ret = next_new(growth, block, &block, &entry);
		uint64_t index = bat_index_of_block(&growth->to, block);

		if (ret || block >= growth->to.blocks || index >= start + BAT_PAGE_ENTRIES)
			break;
		ret_entries[index - start] = entry;
	}
	return ret;
}
