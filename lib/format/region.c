/* SPDX-License-Identifier: MIT */
/* The region table (F 3): bytes to structs and back. */
#include <errno.h>
#include <string.h>

#include "base/crc32c.h"
#include "format/region.h"

int vhdx_region_table_decode(const void *buf, size_t size, struct region_table *ret_table)
{
	const struct region_table_disk *disk = buf;

	if (size < sizeof(*disk))
		return -EINVAL;
	*ret_table = (struct region_table){
		.has_signature =
			!memcmp(disk->signature, REGION_SIGNATURE, sizeof(disk->signature)),
		.stored_checksum = le32_get(disk->checksum),
		.checksum = vhdx_crc32c_structure(disk, sizeof(*disk)),
		.reserved = le32_get(disk->reserved),
		.entry_count = le32_get(disk->entry_count),
	};
	return 0;
}

int vhdx_region_decode(const void *buf, size_t size, uint32_t index, struct region *ret_region)
{
	const struct region_table_disk *disk = buf;

	if (size < sizeof(*disk) || index >= MAX_REGIONS)
		return -EINVAL;
	const struct region_entry_disk *entry = &disk->entries[index];

	*ret_region = (struct region){
		.guid = entry->guid,
		.file_offset = le64_get(entry->file_offset),
		.length = le32_get(entry->length),
		.required = le32_get(entry->required),
	};
	return 0;
}

int vhdx_region_table_encode(const struct region *regions, uint32_t count, void *ret_buf,
			     size_t size)
{
	struct region_table_disk *disk = ret_buf;

	if (size < sizeof(*disk) || count > MAX_REGIONS)
		return -EINVAL;
	memset(disk, 0, sizeof(*disk));
	memcpy(disk->signature, REGION_SIGNATURE, sizeof(disk->signature));
	disk->entry_count = le32_from(count);
	for (uint32_t i = 0; i < count; i++)
		disk->entries[i] = (struct region_entry_disk){
			.guid = regions[i].guid,
			.file_offset = le64_from(regions[i].file_offset),
			.length = le32_from(regions[i].length),
			.required = le32_from(regions[i].required),
		};
	disk->checksum = le32_from(vhdx_crc32c_structure(disk, sizeof(*disk)));
	return 0;
}
