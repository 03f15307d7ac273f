/* SPDX-License-Identifier: MIT */
/*
 * Copies of an image's metadata items: a child carries those of its parent that belong to the virtual disk
 * (F 5), a new image of the same disk all of them.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

#include "base/error.h"
#include "meta/image.h"
#include "ops/fork.h"
#include "store/io.h"
#include "vdisk/disk.h"

/* Far above what anybody keeps there; a table of 2047 items of 1 MiB would take 2 GiB. */
#define MAX_FORKED_SIZE (16 * MIB)

/* Which items of an image are copied. */
typedef bool item_choice(const struct metadata_item *item);

static enum known_item known_item(const struct metadata_item *item)
{
	return item->flags & ITEM_IS_USER ? KNOWN_ITEMS : vhdx_known_item(&item->id);
}

/* The locator is a file's own, and the known items of a disk are written for every image anyway. */
static bool is_of_disk(const struct metadata_item *item)
{
	return item->flags & ITEM_IS_VIRTUAL_DISK && known_item(item) == KNOWN_ITEMS;
}

static bool is_not_of_every_image(const struct metadata_item *item)
{
	return known_item(item) == KNOWN_ITEMS || known_item(item) == PARENT_LOCATOR;
}

static bool is_copied(const struct image *image, const struct metadata_item *item,
		      item_choice *choose)
{
	return choose(item) && item->length <= MAX_ITEM_LENGTH &&
	       range_within(item->offset, item->length, image->metadata.length);
}

static int read_items(const struct image *image, item_choice *choose, struct forked_items *forked)
{
	uint8_t *bytes = (uint8_t *)(forked->items + image->item_count);

	for (unsigned i = 0; i < image->item_count; i++) {
		const struct metadata_item *item = &image->items[i];
		uint64_t offset = image->metadata.file_offset + item->offset;

		if (!is_copied(image, item, choose))
			continue;
		int ret = vhdx_io_read(image->view, bytes, item->length, offset);

		if (ret)
			return vhdx_fail_errno(ret, image->name,
					       "cannot read a metadata item at %#" PRIx64, offset);
		forked->items[forked->count++] = (struct plan_item){
			item->id, item->flags & ITEM_ALL_FLAGS, item->length, bytes};
		bytes += item->length;
	}
	return 0;
}

static int copy_items(const struct image *image, item_choice *choose,
		      struct forked_items *ret_forked)
{
	struct forked_items forked = {0};
	size_t size = 0;

	for (unsigned i = 0; i < image->item_count; i++)
		size += is_copied(image, &image->items[i], choose) ? image->items[i].length : 0;
	if (size > MAX_FORKED_SIZE)
		return vhdx_fail(
			-EFBIG, NO_PROBLEM, image->name, image->metadata.file_offset,
			"has %zu bytes of metadata items to copy (expected at most 16 MiB)", size);
	forked.items = malloc(image->item_count * sizeof(*forked.items) + size + 1);
	if (!forked.items)
		return vhdx_fail_memory();
	int ret = read_items(image, choose, &forked);

	if (ret)
		vhdx_forked_items_free(&forked);
	else
		*ret_forked = forked;
	return ret;
}

int vhdx_fork_items(const struct vhdx *parent, struct forked_items *ret_forked)
{
	return copy_items(&parent->image, is_of_disk, ret_forked);
}

int vhdx_copy_items(const struct vhdx *disk, struct forked_items *ret_copied)
{
	return copy_items(&disk->image, is_not_of_every_image, ret_copied);
}

void vhdx_forked_items_free(struct forked_items *forked)
{
	free(forked->items);
	*forked = (struct forked_items){0};
}
