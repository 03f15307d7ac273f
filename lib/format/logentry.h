/* SPDX-License-Identifier: MIT */
/* Log entries, their descriptors and data sectors (F 4.1, F 4.2): bytes to structs and back. */
#ifndef VHDX_FORMAT_LOGENTRY_H
#define VHDX_FORMAT_LOGENTRY_H

#include <stdbool.h>

#include "format/ondisk.h"

struct log_entry {
	uint32_t checksum;
	uint32_t entry_length; /* bytes, whole sectors */
	uint32_t tail;	       /* from the start of the log */
	uint32_t descriptor_count;
	uint64_t sequence_number;
	struct vhdx_guid log_guid;
	uint64_t flushed_file_offset;
	uint64_t last_file_offset;
};

/* The log that an entry must fit, and the session that it must be of. */
struct log_place {
	uint64_t offset;
	uint32_t length;
	struct vhdx_guid guid;
};

/* Sectors that the header and @count descriptors take; @count is any 32-bit number. */
static inline uint64_t log_descriptor_sectors(uint32_t count)
{
	return (sizeof(struct log_entry_disk) +
		(uint64_t)count * sizeof(struct log_descriptor_disk) + LOG_SECTOR_SIZE - 1) /
	       LOG_SECTOR_SIZE;
}

/* -EUCLEAN when these bytes begin no entry of that log; checksum, descriptors and data are not looked at. */
int vhdx_log_entry_decode(const void *buf, size_t size, const struct log_place *log,
			  struct log_entry *ret_entry);

struct log_descriptor {
	bool is_zero;
	uint64_t file_offset; /* the target */
	uint64_t length;      /* of the target: LOG_SECTOR_SIZE when !is_zero */
	uint8_t leading[LOG_LEADING_SIZE];
	uint8_t trailing[LOG_TRAILING_SIZE];
};

/* -EUCLEAN when these bytes are no descriptor of @entry, or its target may not be logged. */
int vhdx_log_descriptor_decode(const void *buf, size_t size, const struct log_place *log,
			       const struct log_entry *entry,
			       struct log_descriptor *ret_descriptor);

/* Is this the data sector of an entry with that sequence number? @size is at least LOG_SECTOR_SIZE. */
bool vhdx_log_sector_belongs(const void *buf, size_t size, uint64_t sequence_number);

/* The page that a data descriptor and its sector stand for. */
void vhdx_log_page_rebuild(const struct log_descriptor *descriptor,
			   const struct log_sector_disk *sector, uint8_t ret_page[LOG_SECTOR_SIZE]);

/* One change of an entry to be encoded. */
struct log_change {
	uint64_t file_offset;
	uint64_t zero_length; /* 0: a page */
	const void *page;     /* LOG_SECTOR_SIZE bytes */
};

/*
 * Encodes a whole entry of @count changes, the checksum included; @entry's checksum, entry_length and
 * descriptor_count do not matter. *ret_size is its length; -ENOSPC when it is above @size.
 */
int vhdx_log_entry_encode(const struct log_entry *entry, const struct log_change *changes,
			  uint32_t count, void *ret_buf, size_t size, size_t *ret_size);

#endif
