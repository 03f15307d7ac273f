/* SPDX-License-Identifier: MIT */
/* The undo file of a repair: bytes to structs and back. */
#include <errno.h>
#include <string.h>

#include "base/crc32c.h"
#include "format/undofile.h"

static uint32_t header_checksum(struct undo_header_disk disk)
{
	disk.checksum = le32_from(0);
	return vhdx_crc32c(0, &disk, sizeof(disk));
}

void vhdx_undo_header_encode(const struct undo_header *header, struct undo_header_disk *ret_disk)
{
	*ret_disk = (struct undo_header_disk){
		.version = le32_from(UNDO_VERSION),
		.state = le32_from(header->state),
		.count = le32_from(header->count),
		.old_size = le64_from(header->old_size),
		.new_size = le64_from(header->new_size),
		.table_crc = le32_from(header->table_crc),
	};
	memcpy(ret_disk->signature, UNDO_SIGNATURE, sizeof(ret_disk->signature));
	ret_disk->checksum = le32_from(header_checksum(*ret_disk));
}

int vhdx_undo_header_decode(const struct undo_header_disk *disk, struct undo_header *ret_header)
{
	struct undo_header header = {
		.state = le32_get(disk->state),
		.count = le32_get(disk->count),
		.old_size = le64_get(disk->old_size),
		.new_size = le64_get(disk->new_size),
		.table_crc = le32_get(disk->table_crc),
	};

	if (memcmp(disk->signature, UNDO_SIGNATURE, sizeof(disk->signature)) != 0 ||
	    le32_get(disk->checksum) != header_checksum(*disk) ||
	    le32_get(disk->version) != UNDO_VERSION)
		return -EUCLEAN;
	if ((header.state != UNDO_OPEN && header.state != UNDO_FINISHED) ||
	    header.count > MAX_UNDO_RANGES || header.old_size > MAX_UNDO_IMAGE ||
	    header.new_size > MAX_UNDO_IMAGE)
		return -EUCLEAN;
	*ret_header = header;
	return 0;
}

void vhdx_undo_range_encode(const struct undo_range *range, struct undo_range_disk *ret_disk)
{
	*ret_disk = (struct undo_range_disk){
		.offset = le64_from(range->offset),
		.length = le64_from(range->length),
		.bytes = le64_from(range->bytes),
		.kind = le32_from(range->kind),
		.old_crc = le32_from(range->old_crc),
		.new_crc = le32_from(range->new_crc),
	};
}

int vhdx_undo_range_decode(const struct undo_range_disk *disk, const struct undo_header *header,
			   uint64_t from, uint64_t file_size, struct undo_range *ret_range)
{
	struct undo_range range = {
		.offset = le64_get(disk->offset),
		.length = le64_get(disk->length),
		.bytes = le64_get(disk->bytes),
		.kind = le32_get(disk->kind),
		.old_crc = le32_get(disk->old_crc),
		.new_crc = le32_get(disk->new_crc),
	};

	if (range.offset < from || !range.length ||
	    !range_within(range.offset, range.length, max_u64(header->old_size, header->new_size)))
		return -EUCLEAN;
	if (range.kind != UNDO_RELEASED &&
	    (range.kind != UNDO_WRITTEN || range.length > MAX_UNDO_WRITTEN))
		return -EUCLEAN;
	if (range.bytes > MAX_UNDO_IMAGE || undo_bytes_end(&range) > file_size)
		return -EUCLEAN;
	*ret_range = range;
	return 0;
}
