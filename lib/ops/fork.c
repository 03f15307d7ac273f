/* SPDX-License-Identifier: MIT */
/* Metadata items that belong to the virtual disk: a child carries copies of its parent's (F 5). */
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

/* The locator is a file's own, and the known items of a disk are written for every image anyway. */
static bool is_forked(const struct image *image, const struct metadata_item *item)
{
	if (!(item->flags & ITEM_IS_VIRTUAL_DISK) ||
	    (!(item->flags & ITEM_IS_USER) && vhdx_known_item(&item->id) < KNOWN_ITEMS))
		return false;
	return item->length <= MAX_ITEM_LENGTH &&
	       range_within(item->offset, item->length, image->metadata.length);
}

static int read_items(const struct image *image, struct forked_items *forked)
{
	uint8_t *bytes = (uint8_t *)(forked->items + image->item_count);

	for (unsigned i = 0; i < image->item_count; i++) {
		const struct metadata_item *item = &image->items[i];
		uint64_t offset = image->metadata.file_offset + item->offset;

		if (!is_forked(image, item))
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

int vhdx_fork_items(struct vhdx *parent, struct forked_items *ret_forked)
{
	const struct image *image = &parent->image;
	struct forked_items forked = {0};
	size_t size = 0;

	for (unsigned i = 0; i < image->item_count; i++)
		size += is_forked(image, &image->items[i]) ? image->items[i].length : 0;
	if (size > MAX_FORKED_SIZE)
		return vhdx_fail(
			-EFBIG, NO_PROBLEM, image->name, image->metadata.file_offset,
			"has %zu bytes of metadata items for its child to copy (expected at most 16 MiB)",
			size);
	forked.items = malloc(image->item_count * sizeof(*forked.items) + size + 1);
	if (!forked.items)
		return vhdx_fail_memory();
	int ret = read_items(image, &forked);

	if (ret)
		vhdx_forked_items_free(&forked);
	else
		*ret_forked = forked;
	return ret;
}

void vhdx_forked_items_free(struct forked_items *forked)
{
	free(forked->items);
	*forked = (struct forked_items){0};
}
