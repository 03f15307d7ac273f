/* SPDX-License-Identifier: MIT */
/* Where metadata items lie in their region, what overlaps there, and where there is room (F 5). */
#include <stdlib.h>

#include "base/cleanup.h"
#include "meta/itemplaces.h"

/* As those of a new image. */
#define ITEM_ALIGNMENT 8u

bool vhdx_item_lies_in_region(const struct image *image, const struct metadata_item *item)
{
	return item->offset >= METADATA_TABLE_SIZE && item->length <= MAX_ITEM_LENGTH &&
	       range_within(item->offset, item->length, image->metadata.length) &&
	       range_within(image->metadata.file_offset + item->offset, item->length,
			    image_view_size(image));
}

bool vhdx_item_overlaps(const struct metadata_item *items, unsigned count,
			const struct metadata_item *item)
{
	for (unsigned i = 0; i < count; i++)
		if (&items[i] != item &&
		    ranges_meet(items[i].offset, items[i].length, item->offset, item->length))
			return true;
	return false;
}

/* Equal places in the order of the table, so that the order is always the same. */
static int compare_items(const void *a, const void *b)
{
	const struct metadata_item *x = *(const struct metadata_item *const *)a;
	const struct metadata_item *y = *(const struct metadata_item *const *)b;
	int order = (x->offset > y->offset) - (x->offset < y->offset);

	return order ? order : (x > y) - (x < y);
}

/* Each against the one before it that reaches furthest. */
int vhdx_items_walk_overlaps(const struct metadata_item *items, unsigned item_count,
			     overlap_visitor *visit, void *opaque)
{
	auto_free const struct metadata_item **sorted = calloc(item_count + 1u, sizeof(*sorted));
	const struct metadata_item *furthest = NULL;
	unsigned count = 0;
	int ret = sorted ? 0 : vhdx_fail_memory();

	if (ret)
		return ret;
	for (unsigned i = 0; i < item_count; i++)
		if (items[i].length)
			sorted[count++] = &items[i];
	qsort(sorted, count, sizeof(*sorted), compare_items);
	for (unsigned i = 0; i < count && !ret; i++) {
		const struct metadata_item *item = sorted[i];

		if (furthest && item->offset < item_end(furthest))
			ret = visit(opaque, (unsigned)(furthest - items), (unsigned)(item - items));
		if (!furthest || item_end(item) > item_end(furthest))
			furthest = item;
	}
	return ret;
}

/* The end of an item of @items that lies in the way of the room; 0 when none does. */
static uint64_t obstacle(const struct metadata_item *items, unsigned count, uint64_t offset,
			 uint32_t length)
{
	for (unsigned i = 0; i < count; i++)
		if (ranges_meet(items[i].offset, items[i].length, offset, length))
			return item_end(&items[i]);
	return 0;
}

/* Room at or behind @offset; it may be outside the region. */
static uint64_t room_from(const struct item_room *room, uint64_t offset, uint32_t length)
{
	const struct image *image = room->image;
	uint64_t end;

	do {
		offset = round_up(offset, ITEM_ALIGNMENT);
		end = obstacle(image->items, image->item_count, offset, length);
		if (!end)
			end = obstacle(room->items, room->count, offset, length);
		if (end)
			offset = end;
	} while (end);
	return offset;
}

bool vhdx_items_find_room(struct item_room *room, uint32_t length, uint32_t *ret_offset)
{
	uint32_t limit = room->image->metadata.length;
	uint64_t offset = room_from(room, max_u64(room->next, METADATA_TABLE_SIZE), length);

	if (!range_within(offset, length, limit))
		offset = room_from(room, METADATA_TABLE_SIZE, length);
	if (!range_within(offset, length, limit))
		return false;
	room->next = offset + length;
	*ret_offset = (uint32_t)offset;
	return true;
}
