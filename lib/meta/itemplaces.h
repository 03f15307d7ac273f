/* SPDX-License-Identifier: MIT */
/* Where metadata items lie in their region, what overlaps there, and where there is room (F 5). */
#ifndef VHDX_META_ITEMPLACES_H
#define VHDX_META_ITEMPLACES_H

#include "meta/image.h"

/* Where in the file entry @index of the table is. */
static inline uint64_t item_entry_offset(const struct image *image, unsigned index)
{
	return image->metadata.file_offset + offsetof(struct metadata_table_disk, entries) +
	       index * sizeof(struct metadata_entry_disk);
}

/* Behind the table, in the region, and in the file, which may end inside the region. */
bool vhdx_item_lies_in_region(const struct image *image, const struct metadata_item *item);

/* Does @item share a byte with another of @items, of which it is one? */
bool vhdx_item_overlaps(const struct metadata_item *items, unsigned count,
			const struct metadata_item *item);

/* Items by their index. Return values other than 0 end the walk, which returns them. */
typedef int overlap_visitor(void *opaque, unsigned first, unsigned second);

/* Visits, in the order of their places, each item (@second) that overlaps one before it (@first). -ENOMEM. */
int vhdx_items_walk_overlaps(const struct metadata_item *items, unsigned item_count,
			     overlap_visitor *visit, void *opaque);

/* A search for room in the region of @image. Neither its items nor those to come are in the room found. */
struct item_room {
	const struct image *image;
	const struct metadata_item *items;
	unsigned count;
	uint64_t
		next; /* behind what was placed last: many are placed in one go through the region */
};

/* Room for an item of @length bytes, at least one; false when there is none. */
bool vhdx_items_find_room(struct item_room *room, uint32_t length, uint32_t *ret_offset);

#endif
