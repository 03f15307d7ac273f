/* SPDX-License-Identifier: MIT */
/* Limits that Microsoft's parser has (F 11.4) beside the rules of the format. */
#include <inttypes.h>

#include "base/guid.h"
#include "meta/itemplaces.h"

#define WINDOWS_LOG_LENGTH	1u * GIB
#define WINDOWS_METADATA_LENGTH 128u * MIB
#define WINDOWS_ITEMS_LENGTH	40u * MIB /* of the user's, and of all others */
#define WINDOWS_SYSTEM_ITEMS	1023u

static void check_log(struct image *image)
{
	if (image->current == NO_HEADER || image->log.length <= WINDOWS_LOG_LENGTH)
		return;
	vhdx_image_report(image, PROBLEM_HEADER_LOG_LARGE,
			  header_offset(image->current) + offsetof(struct header_disk, log_length),
			  "header %u: the log is %u bytes long (expected at most 1 GiB)",
			  image->current + 1, image->log.length);
}

static void check_disk_flag(struct image *image, unsigned index)
{
	const struct metadata_item *item = &image->items[index];
	enum known_item known = vhdx_known_item(&item->id);

	if (item->flags & ITEM_IS_USER || known == KNOWN_ITEMS)
		return;
	uint32_t expected = vhdx_item_rules[known].flags & ITEM_IS_VIRTUAL_DISK;

	if ((item->flags & ITEM_IS_VIRTUAL_DISK) != expected)
		vhdx_image_report(image, PROBLEM_ITEM_DISK_FLAG, item_entry_offset(image, index),
				  "metadata: %s has flags %#x (expected IsVirtualDisk %s)",
				  vhdx_item_rules[known].name, item->flags,
				  expected ? "set" : "not set");
}

static void check_sizes(struct image *image)
{
	uint64_t sizes[2] = {0}; /* of items: the system's, the user's */
	unsigned system_items = 0;

	for (unsigned i = 0; i < image->item_count; i++) {
		bool user = image->items[i].flags & ITEM_IS_USER;

		sizes[user] += image->items[i].length;
		system_items += !user;
	}
	if (image->metadata.length > WINDOWS_METADATA_LENGTH || sizes[0] > WINDOWS_ITEMS_LENGTH ||
	    sizes[1] > WINDOWS_ITEMS_LENGTH)
		vhdx_image_report(image, PROBLEM_METADATA_LARGE, image->metadata.file_offset,
				  "metadata: region of %u bytes, system items of %" PRIu64
				  " and the user's of %" PRIu64
				  " (expected at most 128 MiB, and 40 MiB of each)",
				  image->metadata.length, sizes[0], sizes[1]);
	if (system_items > WINDOWS_SYSTEM_ITEMS)
		vhdx_image_report(image, PROBLEM_ITEM_COUNT_SYSTEM, image->metadata.file_offset,
				  "metadata: %u items are not the user's (expected at most %u)",
				  system_items, WINDOWS_SYSTEM_ITEMS);
}

void vhdx_image_check_windows(struct image *image)
{
	check_log(image);
	for (unsigned i = 0; i < image->item_count; i++)
		check_disk_flag(image, i);
	check_sizes(image);
}
