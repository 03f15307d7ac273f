/* SPDX-License-Identifier: MIT */
/* Log entries, their descriptors and data sectors (F 4.1, F 4.2): bytes to structs and back. */
#include <errno.h>
#include <string.h>

#include "base/crc32c.h"
#include "base/guid.h"
#include "format/logentry.h"

static bool lengths_are_valid(const struct log_entry *entry, uint32_t log_length)
{
	return is_aligned(entry->entry_length, LOG_SECTOR_SIZE) &&
	       entry->entry_length >= LOG_SECTOR_SIZE && entry->entry_length <= log_length &&
	       is_aligned(entry->tail, LOG_SECTOR_SIZE) && entry->tail < log_length &&
	       log_descriptor_sectors(entry->descriptor_count) <=
		       entry->entry_length / LOG_SECTOR_SIZE;
}

int vhdx_log_entry_decode(const void *buf, size_t size, const struct log_place *log,
			  struct log_entry *ret_entry)
{
	const struct log_entry_disk *disk = buf;

	if (size < sizeof(*disk) ||
	    memcmp(disk->signature, LOG_ENTRY_SIGNATURE, sizeof(disk->signature)) != 0)
		return -EUCLEAN;
	struct log_entry entry = {
		.checksum = le32_get(disk->checksum),
		.entry_length = le32_get(disk->entry_length),
		.tail = le32_get(disk->tail),
		.descriptor_count = le32_get(disk->descriptor_count),
		.sequence_number = le64_get(disk->sequence_number),
		.log_guid = disk->log_guid,
		.flushed_file_offset = le64_get(disk->flushed_file_offset),
		.last_file_offset = le64_get(disk->last_file_offset),
	};

	if (!lengths_are_valid(&entry, log->length) || !entry.sequence_number ||
	    le32_get(disk->reserved) || !guid_equal(&entry.log_guid, &log->guid) ||
	    !is_aligned(entry.flushed_file_offset, MIB) || !is_aligned(entry.last_file_offset, MIB))
		return -EUCLEAN;
	*ret_entry = entry;
	return 0;
}

/* F 4: neither what lies before the region tables nor the log itself is ever logged. */
static bool target_is_valid(const struct log_descriptor *descriptor, const struct log_place *log)
{
	uint64_t end;

	return is_aligned(descriptor->file_offset, LOG_SECTOR_SIZE) &&
	       is_aligned(descriptor->length, LOG_SECTOR_SIZE) &&
	       descriptor->file_offset >= LOG_FIRST_TARGET &&
	       add_fits(descriptor->file_offset, descriptor->length, &end) &&
	       !ranges_meet(descriptor->file_offset, descriptor->length, log->offset, log->length);
}

int vhdx_log_descriptor_decode(const void *buf, size_t size, const struct log_place *log,
			       const struct log_entry *entry, struct log_descriptor *ret_descriptor)
{
	const struct log_descriptor_disk *disk = buf;

	if (size < sizeof(*disk) || le64_get(disk->sequence_number) != entry->sequence_number)
		return -EUCLEAN;
	struct log_descriptor descriptor = {
		.is_zero = !memcmp(disk->signature, LOG_ZERO_SIGNATURE, sizeof(disk->signature)),
		.file_offset = le64_get(disk->file_offset),
		.length = LOG_SECTOR_SIZE,
	};

	if (descriptor.is_zero) {
		if (le32_get(disk->zero.reserved))
			return -EUCLEAN;
		descriptor.length = le64_get(disk->zero.zero_length);
	} else {
		if (memcmp(disk->signature, LOG_DATA_SIGNATURE, sizeof(disk->signature)) != 0)
			return -EUCLEAN;
		memcpy(descriptor.leading, disk->data.leading_bytes, LOG_LEADING_SIZE);
		memcpy(descriptor.trailing, disk->data.trailing_bytes, LOG_TRAILING_SIZE);
	}
	if (!target_is_valid(&descriptor, log))
		return -EUCLEAN;
	*ret_descriptor = descriptor;
	return 0;
}

bool vhdx_log_sector_belongs(const void *buf, size_t size, uint64_t sequence_number)
{
	const struct log_sector_disk *disk = buf;

	return size >= sizeof(*disk) &&
	       !memcmp(disk->signature, LOG_SECTOR_SIGNATURE, sizeof(disk->signature)) &&
	       le32_get(disk->sequence_high) == (uint32_t)(sequence_number >> 32) &&
	       le32_get(disk->sequence_low) == (uint32_t)sequence_number;
}

void vhdx_log_page_rebuild(const struct log_descriptor *descriptor,
			   const struct log_sector_disk *sector, uint8_t ret_page[LOG_SECTOR_SIZE])
{
	memcpy(ret_page, descriptor->leading, LOG_LEADING_SIZE);
	memcpy(ret_page + LOG_LEADING_SIZE, sector->data, LOG_MIDDLE_SIZE);
	memcpy(ret_page + LOG_LEADING_SIZE + LOG_MIDDLE_SIZE, descriptor->trailing,
	       LOG_TRAILING_SIZE);
}

static void encode_descriptor(const struct log_change *change, uint64_t sequence_number,
			      struct log_descriptor_disk *ret_disk)
{
	*ret_disk = (struct log_descriptor_disk){
		.file_offset = le64_from(change->file_offset),
		.sequence_number = le64_from(sequence_number),
	};
	if (change->zero_length) {
		memcpy(ret_disk->signature, LOG_ZERO_SIGNATURE, sizeof(ret_disk->signature));
		ret_disk->zero.zero_length = le64_from(change->zero_length);
		return;
	}
	const uint8_t *page = change->page;

	memcpy(ret_disk->signature, LOG_DATA_SIGNATURE, sizeof(ret_disk->signature));
	memcpy(ret_disk->data.leading_bytes, page, LOG_LEADING_SIZE);
	memcpy(ret_disk->data.trailing_bytes, page + LOG_SECTOR_SIZE - LOG_TRAILING_SIZE,
	       LOG_TRAILING_SIZE);
}

static void encode_sector(const void *page, uint64_t sequence_number,
			  struct log_sector_disk *ret_disk)
{
	memcpy(ret_disk->signature, LOG_SECTOR_SIGNATURE, sizeof(ret_disk->signature));
	ret_disk->sequence_high = le32_from((uint32_t)(sequence_number >> 32));
	memcpy(ret_disk->data, (const uint8_t *)page + LOG_LEADING_SIZE, LOG_MIDDLE_SIZE);
	ret_disk->sequence_low = le32_from((uint32_t)sequence_number);
}

static uint64_t encoded_size(const struct log_change *changes, uint32_t count)
{
	uint64_t sectors = log_descriptor_sectors(count);

	for (uint32_t i = 0; i < count; i++)
		sectors += !changes[i].zero_length;
	return sectors * LOG_SECTOR_SIZE;
}

int vhdx_log_entry_encode(const struct log_entry *entry, const struct log_change *changes,
			  uint32_t count, void *ret_buf, size_t size, size_t *ret_size)
{
	uint64_t length = encoded_size(changes, count);
	uint8_t *buf = ret_buf;
	size_t descriptors = (size_t)log_descriptor_sectors(count) * LOG_SECTOR_SIZE;

	if (length > size || length > UINT32_MAX)
		return -ENOSPC;
	struct log_entry_disk disk = {
		.signature = LOG_ENTRY_SIGNATURE,
		.entry_length = le32_from((uint32_t)length),
		.tail = le32_from(entry->tail),
		.sequence_number = le64_from(entry->sequence_number),
		.descriptor_count = le32_from(count),
		.log_guid = entry->log_guid,
		.flushed_file_offset = le64_from(entry->flushed_file_offset),
		.last_file_offset = le64_from(entry->last_file_offset),
	};
	struct log_descriptor_disk *descriptor = (struct log_descriptor_disk *)(buf + sizeof(disk));
	struct log_sector_disk *sector = (struct log_sector_disk *)(buf + descriptors);

	memset(buf, 0, descriptors);
	for (uint32_t i = 0; i < count; i++) {
		encode_descriptor(&changes[i], entry->sequence_number, descriptor++);
		if (!changes[i].zero_length)
			encode_sector(changes[i].page, entry->sequence_number, sector++);
	}
	memcpy(buf, &disk, sizeof(disk));
	disk.checksum = le32_from(vhdx_crc32c_structure(buf, (size_t)length));
	memcpy(buf, &disk, sizeof(disk));
	*ret_size = (size_t)length;
	return 0;
}
