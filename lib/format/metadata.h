/* SPDX-License-Identifier: MIT */
/* The metadata table and its fixed-size items (F 5): bytes to structs and back. */
#ifndef VHDX_FORMAT_METADATA_H
#define VHDX_FORMAT_METADATA_H

#include <stdbool.h>

#include "base/arith.h"
#include "format/ondisk.h"

struct metadata_item {
	struct vhdx_guid id;
	uint32_t offset; /* from the start of the region */
	uint32_t length;
	uint32_t flags; /* all 32 bits as found */
	uint32_t reserved;
};

struct metadata_table {
	bool has_signature;
	bool has_reserved;    /* a reserved field is not zero */
	uint16_t entry_count; /* as found: may be above MAX_ITEMS */
};

/* @size is at least METADATA_TABLE_SIZE, else -EINVAL. */
int vhdx_metadata_table_decode(const void *buf, size_t size, struct metadata_table *ret_table);

/* Entry @index of the table in @buf; -EINVAL from MAX_ITEMS on. */
int vhdx_metadata_item_decode(const void *buf, size_t size, unsigned index,
			      struct metadata_item *ret_item);

/* Fills METADATA_TABLE_SIZE bytes. -EINVAL for more than MAX_ITEMS. */
int vhdx_metadata_table_encode(const struct metadata_item *items, unsigned count, void *ret_buf,
			       size_t size);

/* The system items that this library understands; KNOWN_ITEMS is their number. */
enum known_item {
	FILE_PARAMETERS,
	VIRTUAL_DISK_SIZE,
	VIRTUAL_DISK_ID,
	LOGICAL_SECTOR_SIZE,
	PHYSICAL_SECTOR_SIZE,
	PARENT_LOCATOR,
	KNOWN_ITEMS,
};

struct item_rule {
	struct vhdx_guid id;
	const char *name;
	uint32_t length; /* 0: varies */
	uint32_t flags;
};

extern const struct item_rule vhdx_item_rules[KNOWN_ITEMS];

/* Which known item has that id, or KNOWN_ITEMS. */
enum known_item vhdx_known_item(const struct vhdx_guid *id);

static inline bool item_is_user(const struct metadata_item *item)
{
	return item->flags & ITEM_IS_USER;
}

/* KNOWN_ITEMS: none of the system's that are known. */
static inline enum known_item known_item_of(const struct metadata_item *item)
{
	return item_is_user(item) ? KNOWN_ITEMS : vhdx_known_item(&item->id);
}

/* For messages: what it is called, or its GUID, in @text. */
const char *vhdx_item_name(const struct metadata_item *item, char text[VHDX_GUID_TEXT_SIZE]);

static inline uint64_t item_end(const struct metadata_item *item)
{
	return (uint64_t)item->offset + item->length;
}

static inline bool block_size_is_valid(uint32_t size)
{
	return is_power_of_two(size) && size >= MIN_BLOCK_SIZE && size <= MAX_BLOCK_SIZE;
}

static inline bool sector_size_is_valid(uint32_t size)
{
	return size == 512 || size == 4096;
}

/* @sector_size is valid. */
static inline bool disk_size_is_valid(uint64_t size, uint32_t sector_size)
{
	return size && size <= MAX_DISK_SIZE && is_aligned(size, sector_size);
}

struct file_parameters {
	uint32_t block_size;
	uint32_t flags;
};

int vhdx_file_parameters_decode(const void *buf, size_t size,
				struct file_parameters *ret_parameters);
void vhdx_file_parameters_encode(const struct file_parameters *parameters,
				 struct file_parameters_disk *ret_disk);

#endif
