/* SPDX-License-Identifier: MIT */
/* The file type identifier and the header (F 1.1, F 2): bytes to structs and back. */
#include <errno.h>
#include <string.h>

#include "base/crc32c.h"
#include "format/header.h"

int vhdx_identifier_decode(const void *buf, size_t size, struct identifier *ret_identifier)
{
	const struct identifier_disk *disk = buf;

	if (size < sizeof(*disk))
		return -EINVAL;
	ret_identifier->has_signature =
		!memcmp(disk->signature, IDENTIFIER_SIGNATURE, sizeof(disk->signature));
	ret_identifier->creator_is_text =
		!vhdx_utf16_decode(disk->creator, sizeof(disk->creator), ret_identifier->creator);
	return 0;
}

int vhdx_identifier_encode(const char *creator, void *ret_buf, size_t size)
{
	struct identifier_disk disk = {.signature = IDENTIFIER_SIGNATURE};
	size_t used;

	if (size < sizeof(disk))
		return -EINVAL;
	int ret = vhdx_utf16_encode(creator, disk.creator, sizeof(disk.creator), &used);

	if (ret)
		return ret;
	memcpy(ret_buf, &disk, sizeof(disk));
	return 0;
}

int vhdx_header_decode(const void *buf, size_t size, struct header *ret_header)
{
	const struct header_disk *disk = buf;

	if (size < sizeof(*disk))
		return -EINVAL;
	*ret_header = (struct header){
		.has_signature =
			!memcmp(disk->signature, HEADER_SIGNATURE, sizeof(disk->signature)),
		.stored_checksum = le32_get(disk->checksum),
		.checksum = vhdx_crc32c_structure(disk, sizeof(*disk)),
		.sequence_number = le64_get(disk->sequence_number),
		.file_write_guid = disk->file_write_guid,
		.data_write_guid = disk->data_write_guid,
		.log_guid = disk->log_guid,
		.log_version = le16_get(disk->log_version),
		.version = le16_get(disk->version),
		.log_length = le32_get(disk->log_length),
		.log_offset = le64_get(disk->log_offset),
	};
	return 0;
}

int vhdx_header_encode(const struct header *header, void *ret_buf, size_t size)
{
	struct header_disk *disk = ret_buf;

	if (size < sizeof(*disk))
		return -EINVAL;
	*disk = (struct header_disk){
		.signature = HEADER_SIGNATURE,
		.sequence_number = le64_from(header->sequence_number),
		.file_write_guid = header->file_write_guid,
		.data_write_guid = header->data_write_guid,
		.log_guid = header->log_guid,
		.log_version = le16_from(header->log_version),
		.version = le16_from(header->version),
		.log_length = le32_from(header->log_length),
		.log_offset = le64_from(header->log_offset),
	};
	disk->checksum = le32_from(vhdx_crc32c_structure(disk, sizeof(*disk)));
	return 0;
}
