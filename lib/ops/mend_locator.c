/* SPDX-License-Identifier: MIT */
/* Repair of the parent locator's value (F 8), in its place. */
#include <errno.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/guid.h"
#include "meta/itemplaces.h"
#include "ops/itemvalues.h"
#include "ops/mend.h"
#include "store/io.h"

static const struct metadata_item *find_locator(const struct image *image)
{
	for (unsigned i = 0; i < image->item_count; i++)
		if (known_item_of(&image->items[i]) == PARENT_LOCATOR)
			return &image->items[i];
	return NULL;
}

static void clear_reserved(struct repair *repair, struct locator_disk *locator, uint64_t at)
{
	if (!le16_get(locator->reserved))
		return;
	vhdx_repair_mended(repair, PROBLEM_LOCATOR_RESERVED,
			   at + offsetof(struct locator_disk, reserved), 0, 0,
			   "parent locator: the reserved field, which was %#x, was cleared",
			   le16_get(locator->reserved));
	locator->reserved = le16_from(0);
}

/* A key that stands there with two values is left: which one is right cannot be told. */
static int drop_repeats(struct repair *repair, void *bytes, uint32_t length, uint64_t at)
{
	for (;;) {
		struct locator locator;
		struct fault fault;
		int ret = vhdx_locator_decode(bytes, length, &locator, &fault);

		if (!ret)
			vhdx_locator_free(&locator);
		if (ret != -EUCLEAN)
			return ret;
		if (fault.problem != PROBLEM_LOCATOR_DUPLICATE ||
		    !vhdx_locator_drop_repeat(bytes, length))
			return 0;
		vhdx_repair_mended(repair, PROBLEM_LOCATOR_DUPLICATE, at + fault.offset, 0, 0,
				   "parent locator: a key that stood there twice with the same "
				   "value was removed once");
	}
}

static int mend_value(struct repair *repair, const struct image *image,
		      const struct metadata_item *item, void *bytes)
{
	uint64_t before = repair->result.mended;
	uint64_t at = image->metadata.file_offset + item->offset;

	if (item->length < sizeof(struct locator_disk) ||
	    !guid_equal(&((struct locator_disk *)bytes)->type, &LOCATOR_TYPE_VHDX))
		return 0;
	clear_reserved(repair, bytes, at);
	int ret = drop_repeats(repair, bytes, item->length, at);

	if (ret || repair->result.mended == before)
		return ret;
	ret = vhdx_io_write(repair->io, bytes, item->length, at);
	return ret ? vhdx_fail_errno(ret, image->name, "the parent locator cannot be written") : 0;
}

int vhdx_mend_locator(struct repair *repair, struct image *image)
{
	const struct metadata_item *item = find_locator(image);
	auto_free void *bytes = NULL;

	if (!item || image->log_state != VHDX_LOG_CLEAN || !image_has_parent(image) ||
	    !image->known_items[PARENT_LOCATOR].present ||
	    vhdx_item_overlaps(image->items, image->item_count, item))
		return 0;
	int ret = vhdx_item_read(image, item, &bytes);

	return ret ? ret : mend_value(repair, image, item, bytes);
}
