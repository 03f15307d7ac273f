/* SPDX-License-Identifier: MIT */
/* What a present block holds: data, zeros, or what nothing on the disk uses. */
#ifndef VHDX_OPS_CONTENT_H
#define VHDX_OPS_CONTENT_H

#include "vdisk/disk.h"

enum content {
	CONTENT_DATA,
	CONTENT_ZERO,	/* reads as zeros */
	CONTENT_UNUSED, /* as CONTENT_ZERO, but for bytes that nothing uses */
	CONTENT_PARENT, /* all of it is the parent's */
};

/* 1 when nothing uses @length bytes at @offset of the disk, 0 when something may, or a negative errno. */
typedef int is_free_fn(void *opaque, uint64_t offset, uint64_t length);

/* The file as it is read. */
struct content_reader {
	struct vhdx *disk;
	is_free_fn *is_free; /* NULL: all is used */
	void *opaque;
	uint8_t *buf;
	struct known_data known; /* of the file */
};

/* -ENOMEM. */
int vhdx_content_begin(struct content_reader *reader, struct vhdx *disk);

/* Also of a zeroed one. */
void vhdx_content_end(struct content_reader *reader);

/*
 * What @block holds, whose entry of the BAT is @entry, a present one. Reads no more than is needed to tell.
 * The caller has the disk alone. Errors as vhdx_pread.
 */
int vhdx_content_of_block(struct content_reader *reader, uint64_t block, uint64_t entry,
			  enum content *ret_content);

/*
 * Copies @length bytes at @from of the disk's file to @to of @file, which is the same or another. Holes of
 * the one become holes of the other, or with @no_holes zeros; when @is_fresh, they are there already.
 */
struct content_copy {
	uint64_t from;
	const struct vhdx_io *file;
	const char *name; /* of @file, in messages */
	uint64_t to;
	uint64_t length;
	bool is_fresh;
	bool no_holes;
};

int vhdx_content_copy(struct content_reader *reader, const struct content_copy *copy);

#endif
