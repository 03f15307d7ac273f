/* SPDX-License-Identifier: MIT */
/*
 * Adding, replacing and removing metadata items (F 5). A new value never overwrites one that the table
 * names, so a crash shows all of the old items or all of the new ones.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/guid.h"
#include "meta/itemplaces.h"
#include "meta/newitems.h"

/* A value is logged in pieces that one change holds; it may begin within a page. */
#define PIECE ((PATCH_PAGES - 1) * PAGE_SIZE)

#define TABLE_PAGES (METADATA_TABLE_SIZE / PAGE_SIZE)
_Static_assert(TABLE_PAGES <= PATCH_PAGES, "one change holds the table");

/* The items as they will be. */
struct new_table {
	struct metadata_item *items; /* with room for every change */
	unsigned count;
	struct item_room room;
};

static bool is_same(const struct metadata_item *item, const struct item_change *change)
{
	return guid_equal(&item->id, &change->id) &&
	       !((item->flags ^ change->flags) & ITEM_IS_USER);
}

static struct metadata_item *find(struct new_table *table, const struct item_change *change)
{
	for (unsigned i = 0; i < table->count; i++)
		if (is_same(&table->items[i], change))
			return &table->items[i];
	return NULL;
}

static int find_room(struct new_table *table, uint32_t length, uint32_t *ret_offset)
{
	const struct image *image = table->room.image;

	table->room.items = table->items;
	table->room.count = table->count;
	if (!vhdx_items_find_room(&table->room, length, ret_offset))
		return vhdx_fail(-ENOSPC, NO_PROBLEM, image->name, image->metadata.file_offset,
				 "metadata: the region has no room for an item of %u bytes",
				 length);
	return 0;
}

static int write_value(struct journal *journal, struct patch_areas *areas, uint32_t offset,
		       const struct item_change *change)
{
	const uint8_t *bytes = change->bytes;
	int ret = 0;

	for (uint32_t done = 0, part; done < change->length && !ret; done += part) {
		part = (uint32_t)min_u64(change->length - done, PIECE);
		struct patch patch = {PATCH_METADATA, offset + done, part, bytes + done};

		ret = vhdx_patch(journal, areas, &patch, 1);
	}
	return ret;
}

static void remove_item(struct new_table *table, struct metadata_item *item)
{
	struct metadata_item *end = table->items + table->count--;

	memmove(item, item + 1, (size_t)(end - (item + 1)) * sizeof(*item));
}

static int change_item(struct new_table *table, struct journal *journal, struct patch_areas *areas,
		       const struct item_change *change)
{
	struct metadata_item *item = find(table, change);
	uint32_t offset = 0;
	int ret = 0;

	if (change->remove) {
		if (item)
			remove_item(table, item);
		return 0;
	}
	if (change->length > MAX_ITEM_LENGTH || (!item && table->count == MAX_ITEMS))
		return vhdx_fail(-ENOSPC, NO_PROBLEM, table->room.image->name,
				 table->room.image->metadata.file_offset,
				 "metadata: no place for an item of %u bytes behind %u others "
				 "(expected at most 1 MiB, and %u items)",
				 change->length, table->count, MAX_ITEMS);
	if (change->length) /* F 5: an empty item has no place */
		ret = find_room(table, change->length, &offset);
	if (!ret)
		ret = write_value(journal, areas, offset, change);
	if (ret)
		return ret;
	if (!item)
		item = &table->items[table->count++];
	*item = (struct metadata_item){.id = change->id,
				       .offset = offset,
				       .length = change->length,
				       .flags = change->flags};
	return 0;
}

/* The pages of the table that change, in one change. */
static int write_table(const struct new_table *table, struct journal *journal,
		       struct patch_areas *areas)
{
	const struct image *image = table->room.image;
	auto_free uint8_t *bufs = malloc(2 * METADATA_TABLE_SIZE);
	struct patch patches[TABLE_PAGES];
	unsigned count = 0;

	if (!bufs)
		return vhdx_fail_memory();
	uint8_t *old = bufs;
	uint8_t *new = bufs + METADATA_TABLE_SIZE;

	vhdx_metadata_table_encode(image->items, image->item_count, old, METADATA_TABLE_SIZE);
	vhdx_metadata_table_encode(table->items, table->count, new, METADATA_TABLE_SIZE);
	for (uint32_t at = 0; at < METADATA_TABLE_SIZE; at += PAGE_SIZE)
		if (memcmp(old + at, new + at, PAGE_SIZE) != 0)
			patches[count++] = (struct patch){PATCH_METADATA, at, PAGE_SIZE, new + at};
	return count ? vhdx_patch(journal, areas, patches, count) : 0;
}

static void note_places(struct image *image)
{
	memset(image->known_items, 0, sizeof(image->known_items));
	for (unsigned i = 0; i < image->item_count; i++) {
		const struct metadata_item *item = &image->items[i];
		enum known_item known = known_item_of(item);

		if (known < KNOWN_ITEMS)
			image->known_items[known] = (struct found_item){
				true, image->metadata.file_offset + item->offset, item->length};
	}
}

int vhdx_items_change(struct image *image, struct journal *journal, struct patch_areas *areas,
		      const struct item_change *changes, unsigned count)
{
	size_t room = image->item_count + count;
	struct new_table table = {
		.items = calloc(room + 1, sizeof(*table.items)),
		.count = image->item_count,
		.room = {.image = image},
	};
	int ret = table.items ? 0 : vhdx_fail_memory();

	if (!ret && image->item_count)
		memcpy(table.items, image->items, image->item_count * sizeof(*table.items));
	for (unsigned i = 0; i < count && !ret; i++)
		ret = change_item(&table, journal, areas, &changes[i]);
	if (!ret)
		ret = write_table(&table, journal, areas);
	if (ret) {
		free(table.items);
		return ret;
	}
	free(image->items);
	image->items = table.items;
	image->item_count = table.count;
	note_places(image);
	return 0;
}
