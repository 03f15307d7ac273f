/* SPDX-License-Identifier: MIT */
/* Is the value of a metadata item one that it may have (F 5, F 8)? So repair tells the right from the wrong. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/guid.h"
#include "meta/itemplaces.h"
#include "ops/itemvalues.h"
#include "store/io.h"

int vhdx_item_read(const struct image *image, const struct metadata_item *item, void **ret_bytes)
{
	void *bytes = malloc(item->length + 1u);

	if (!bytes)
		return vhdx_fail_memory();
	int ret = vhdx_io_read(image->view, bytes, item->length,
			       image->metadata.file_offset + item->offset);

	if (ret) {
		free(bytes);
		return vhdx_fail_errno(ret, image->name, "a metadata item cannot be read");
	}
	*ret_bytes = bytes;
	return 0;
}

static bool parameters_are_right(const void *bytes, size_t length)
{
	struct file_parameters parameters;

	return !vhdx_file_parameters_decode(bytes, length, &parameters) &&
	       block_size_is_valid(parameters.block_size) &&
	       !(parameters.flags & ~PARAMETER_ALL_FLAGS);
}

static bool disk_size_is_right(const struct image *image, const void *bytes)
{
	uint32_t sector =
		sector_size_is_valid(image->logical_sector_size) ? image->logical_sector_size : 512;

	return disk_size_is_valid(le64_get(*(const struct le64 *)bytes), sector);
}

static int judge_locator(const void *bytes, size_t length, bool *ret_right)
{
	struct locator locator;
	struct fault fault;
	int ret = vhdx_locator_decode(bytes, length, &locator, &fault);

	if (ret)
		return ret == -EUCLEAN ? 0 : ret;
	*ret_right = vhdx_locator_is_usable(&locator);
	vhdx_locator_free(&locator);
	return 0;
}

int vhdx_item_is_right(const struct image *image, const struct metadata_item *item, bool *ret_right)
{
	enum known_item known = known_item_of(item);
	auto_free void *bytes = NULL;

	*ret_right = false;
	if (!item->length && known == KNOWN_ITEMS)
		*ret_right = !item->offset;
	if (!item->length || !vhdx_item_lies_in_region(image, item))
		return 0;
	if (known < KNOWN_ITEMS && vhdx_item_rules[known].length &&
	    item->length != vhdx_item_rules[known].length)
		return 0;
	int ret = vhdx_item_read(image, item, &bytes);

	if (ret)
		return ret;
	switch (known) {
	case FILE_PARAMETERS:
		*ret_right = parameters_are_right(bytes, item->length);
		break;
	case VIRTUAL_DISK_SIZE:
		*ret_right = disk_size_is_right(image, bytes);
		break;
	case VIRTUAL_DISK_ID:
		*ret_right = !guid_is_zero(bytes);
		break;
	case LOGICAL_SECTOR_SIZE:
	case PHYSICAL_SECTOR_SIZE:
		*ret_right = sector_size_is_valid(le32_get(*(const struct le32 *)bytes));
		break;
	case PARENT_LOCATOR:
		return judge_locator(bytes, item->length, ret_right);
	case KNOWN_ITEMS:
		*ret_right = true;
		break;
	}
	return 0;
}

int vhdx_items_are_equal(const struct image *image, const struct metadata_item *a,
			 const struct metadata_item *b, bool *ret_equal)
{
	auto_free void *a_bytes = NULL;
	auto_free void *b_bytes = NULL;

	*ret_equal = a->length == b->length && a->offset == b->offset;
	if (*ret_equal || a->length != b->length || !vhdx_item_lies_in_region(image, a) ||
	    !vhdx_item_lies_in_region(image, b))
		return 0;
	int ret = vhdx_item_read(image, a, &a_bytes);

	if (!ret)
		ret = vhdx_item_read(image, b, &b_bytes);
	if (!ret)
		*ret_equal = !memcmp(a_bytes, b_bytes, a->length);
	return ret;
}
