/* SPDX-License-Identifier: MIT */
/* The region table (F 3): bytes to structs and back. */
#ifndef VHDX_FORMAT_REGION_H
#define VHDX_FORMAT_REGION_H

#include <stdbool.h>

#include "format/ondisk.h"

struct region {
	struct vhdx_guid guid;
	uint64_t file_offset;
	uint32_t length;
	uint32_t required; /* all 32 bits as found */
};

struct region_table {
	bool has_signature;
	uint32_t stored_checksum;
	uint32_t checksum; /* what it should be */
	uint32_t reserved;
	uint32_t entry_count; /* as found: may be above MAX_REGIONS */
};

static inline bool region_table_is_valid(const struct region_table *table)
{
	return table->has_signature && table->stored_checksum == table->checksum;
}

/* @size is at least REGION_TABLE_SIZE, else -EINVAL. */
int vhdx_region_table_decode(const void *buf, size_t size, struct region_table *ret_table);

/* Entry @index of the table in @buf; -EINVAL from MAX_REGIONS on. */
int vhdx_region_decode(const void *buf, size_t size, uint32_t index, struct region *ret_region);

/* Fills REGION_TABLE_SIZE bytes, the checksum included. -EINVAL for more than MAX_REGIONS. */
int vhdx_region_table_encode(const struct region *regions, uint32_t count, void *ret_buf,
			     size_t size);

#endif
