/* SPDX-License-Identifier: MIT */
/* The metadata table and its fixed-size items (F 5): bytes to structs and back. */
#include <errno.h>
#include <string.h>

#include "base/guid.h"
#include "base/zeros.h"
#include "format/metadata.h"

/* A compound literal is no constant to ISO C: in the table below, the bare braces stand for a GUID. */
#undef GUID
#define GUID(...) \
	{ \
		{ \
			__VA_ARGS__ \
		} \
	}

#define SYSTEM_FILE ITEM_IS_REQUIRED
#define SYSTEM_DISK (ITEM_IS_REQUIRED | ITEM_IS_VIRTUAL_DISK)

const struct item_rule vhdx_item_rules[KNOWN_ITEMS] = {
	[FILE_PARAMETERS] = {ITEM_FILE_PARAMETERS, "File Parameters", 8, SYSTEM_FILE},
	[VIRTUAL_DISK_SIZE] = {ITEM_VIRTUAL_DISK_SIZE, "Virtual Disk Size", 8, SYSTEM_DISK},
	[VIRTUAL_DISK_ID] = {ITEM_VIRTUAL_DISK_ID, "Virtual Disk ID", 16, SYSTEM_DISK},
	[LOGICAL_SECTOR_SIZE] = {ITEM_LOGICAL_SECTOR_SIZE, "Logical Sector Size", 4, SYSTEM_DISK},
	[PHYSICAL_SECTOR_SIZE] = {ITEM_PHYSICAL_SECTOR_SIZE, "Physical Sector Size", 4,
				  SYSTEM_DISK},
	[PARENT_LOCATOR] = {ITEM_PARENT_LOCATOR, "Parent Locator", 0, SYSTEM_FILE},
};

enum known_item vhdx_known_item(const struct vhdx_guid *id)
{
	int item = 0;

	while (item < KNOWN_ITEMS && !guid_equal(id, &vhdx_item_rules[item].id))
		item++;
	return (enum known_item)item;
}

const char *vhdx_item_name(const struct metadata_item *item, char text[VHDX_GUID_TEXT_SIZE])
{
	enum known_item known = known_item_of(item);

	return known < KNOWN_ITEMS ? vhdx_item_rules[known].name : vhdx_guid_text(&item->id, text);
}

int vhdx_metadata_table_decode(const void *buf, size_t size, struct metadata_table *ret_table)
{
	const struct metadata_table_disk *disk = buf;

	if (size < sizeof(*disk))
		return -EINVAL;
	*ret_table = (struct metadata_table){
		.has_signature =
			!memcmp(disk->signature, METADATA_SIGNATURE, sizeof(disk->signature)),
		.has_reserved = le16_get(disk->reserved) ||
				!vhdx_is_zeros(disk->reserved2, sizeof(disk->reserved2)),
		.entry_count = le16_get(disk->entry_count),
	};
	return 0;
}

int vhdx_metadata_item_decode(const void *buf, size_t size, unsigned index,
			      struct metadata_item *ret_item)
{
	const struct metadata_table_disk *disk = buf;

	if (size < sizeof(*disk) || index >= MAX_ITEMS)
		return -EINVAL;
	const struct metadata_entry_disk *entry = &disk->entries[index];

	*ret_item = (struct metadata_item){
		.id = entry->item_id,
		.offset = le32_get(entry->offset),
		.length = le32_get(entry->length),
		.flags = le32_get(entry->flags),
		.reserved = le32_get(entry->reserved),
	};
	return 0;
}

int vhdx_metadata_table_encode(const struct metadata_item *items, unsigned count, void *ret_buf,
			       size_t size)
{
	struct metadata_table_disk *disk = ret_buf;

	if (size < sizeof(*disk) || count > MAX_ITEMS)
		return -EINVAL;
	memset(disk, 0, sizeof(*disk));
	memcpy(disk->signature, METADATA_SIGNATURE, sizeof(disk->signature));
	disk->entry_count = le16_from((uint16_t)count);
	for (unsigned i = 0; i < count; i++)
		disk->entries[i] = (struct metadata_entry_disk){
			.item_id = items[i].id,
			.offset = le32_from(items[i].offset),
			.length = le32_from(items[i].length),
			.flags = le32_from(items[i].flags),
		};
	return 0;
}

int vhdx_file_parameters_decode(const void *buf, size_t size,
				struct file_parameters *ret_parameters)
{
	const struct file_parameters_disk *disk = buf;

	if (size < sizeof(*disk))
		return -EINVAL;
	*ret_parameters =
		(struct file_parameters){le32_get(disk->block_size), le32_get(disk->flags)};
	return 0;
}

void vhdx_file_parameters_encode(const struct file_parameters *parameters,
				 struct file_parameters_disk *ret_disk)
{
	*ret_disk = (struct file_parameters_disk){le32_from(parameters->block_size),
						  le32_from(parameters->flags)};
}
