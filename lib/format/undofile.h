/* SPDX-License-Identifier: MIT */
/*
 * The undo file of a repair (docs/REPAIR.md): a header, a table of ranges in the order of their places, and
 * their bytes. Written ranges keep old and new bytes, so that every sector of a half-written one can be judged.
 */
#ifndef VHDX_FORMAT_UNDOFILE_H
#define VHDX_FORMAT_UNDOFILE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/arith.h"
#include "base/le.h"

#define UNDO_SIGNATURE	  "vhdxundo"
#define UNDO_VERSION	  1u
#define UNDO_HEADER_SIZE  512u	/* a sector: it is never half-written */
#define UNDO_TABLE_OFFSET 4096u /* the table; behind it the bytes, of each range from a page on */
#define UNDO_PAGE	  4096u
#define UNDO_SECTOR	  512u /* of the image, which a crash leaves old or new */

#define MAX_UNDO_RANGES	 (1u << 22)
#define MAX_UNDO_IMAGE	 ((uint64_t)1 << 56) /* size of an image */
#define MAX_UNDO_WRITTEN (64 * KIB)	     /* length of a range of UNDO_WRITTEN */

enum undo_state {
	UNDO_OPEN = 1,	   /* the image may hold anything between what was and what was written */
	UNDO_FINISHED = 2, /* the image holds what was written */
};

enum undo_kind {
	UNDO_WRITTEN = 1,  /* old bytes, then from the next page on, new ones */
	UNDO_RELEASED = 2, /* old bytes; the new ones are zeros, or lie behind the end */
};

struct undo_header_disk {
	char signature[8];     /*  0 */
	struct le32 checksum;  /*  8: CRC-32C of the 512 bytes, with zeros here */
	struct le32 version;   /* 12 */
	struct le32 state;     /* 16: enum undo_state */
	struct le32 count;     /* 20: of ranges */
	struct le64 old_size;  /* 24: of the image, before and after the repair */
	struct le64 new_size;  /* 32 */
	struct le32 table_crc; /* 40: CRC-32C of the table */
	uint8_t reserved[468]; /* 44 */
};
_Static_assert(sizeof(struct undo_header_disk) == UNDO_HEADER_SIZE, "one sector");

struct undo_range_disk {
	struct le64 offset;  /*  0: in the image */
	struct le64 length;  /*  8 */
	struct le64 bytes;   /* 16: where in this file the old bytes begin */
	struct le32 kind;    /* 24: enum undo_kind */
	struct le32 old_crc; /* 28: CRC-32C of the old bytes */
	struct le32 new_crc; /* 32: of the new ones, if they are kept */
	uint8_t reserved[28];
};
_Static_assert(sizeof(struct undo_range_disk) == 64, "64 in a page");

#define UNDO_RANGES_A_PAGE (UNDO_PAGE / sizeof(struct undo_range_disk))

struct undo_header {
	enum undo_state state;
	uint32_t count;
	uint64_t old_size;
	uint64_t new_size;
	uint32_t table_crc;
};

struct undo_range {
	uint64_t offset;
	uint64_t length;
	uint64_t bytes;
	enum undo_kind kind;
	uint32_t old_crc;
	uint32_t new_crc;
};

void vhdx_undo_header_encode(const struct undo_header *header, struct undo_header_disk *ret_disk);

/* -EUCLEAN when it is none, or one of another version. Its numbers are within the limits above. */
int vhdx_undo_header_decode(const struct undo_header_disk *disk, struct undo_header *ret_header);

void vhdx_undo_range_encode(const struct undo_range *range, struct undo_range_disk *ret_disk);

/*
 * -EUCLEAN unless it begins at or behind @from, ends where the image of @header did before or after, and has
 * its bytes in an undo file of @file_size.
 */
int vhdx_undo_range_decode(const struct undo_range_disk *disk, const struct undo_header *header,
			   uint64_t from, uint64_t file_size, struct undo_range *ret_range);

/* Where the new bytes of a written range begin. */
static inline uint64_t undo_new_bytes(const struct undo_range *range)
{
	return range->bytes + round_up(range->length, UNDO_PAGE);
}

/* Where the bytes behind those of a range begin. */
static inline uint64_t undo_bytes_end(const struct undo_range *range)
{
	uint64_t length = round_up(range->length, UNDO_PAGE);

	return range->bytes + (range->kind == UNDO_WRITTEN ? 2 * length : length);
}

#endif
