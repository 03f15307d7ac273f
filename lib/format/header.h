/* SPDX-License-Identifier: MIT */
/* The file type identifier and the header (F 1.1, F 2): bytes to structs and back. */
#ifndef VHDX_FORMAT_HEADER_H
#define VHDX_FORMAT_HEADER_H

#include <stdbool.h>

#include "base/utf16.h"
#include "format/ondisk.h"

#define CREATOR_TEXT_SIZE UTF8_SIZE(CREATOR_SIZE / 2)

struct identifier {
	bool has_signature;
	bool creator_is_text; /* valid UTF-16; what is not is U+FFFD in creator */
	char creator[CREATOR_TEXT_SIZE];
};

/* -EINVAL when @size is too small for the structure, as all decoders here. */
int vhdx_identifier_decode(const void *buf, size_t size, struct identifier *ret_identifier);

/* -EINVAL when @size is too small, -EILSEQ or -ENAMETOOLONG for @creator. */
int vhdx_identifier_encode(const char *creator, void *ret_buf, size_t size);

struct header {
	bool has_signature;
	uint32_t stored_checksum;
	uint32_t checksum; /* what it should be */
	uint64_t sequence_number;
	struct vhdx_guid file_write_guid;
	struct vhdx_guid data_write_guid;
	struct vhdx_guid log_guid;
	uint16_t log_version;
	uint16_t version;
	uint32_t log_length;
	uint64_t log_offset;
};

/* F 2.1: nothing else decides which header is current. */
static inline bool header_is_valid(const struct header *header)
{
	return header->has_signature && header->stored_checksum == header->checksum;
}

int vhdx_header_decode(const void *buf, size_t size, struct header *ret_header);

/* Fills HEADER_SIZE bytes, the checksum included; has_signature and the checksums of @header do not matter. */
int vhdx_header_encode(const struct header *header, void *ret_buf, size_t size);

#endif
