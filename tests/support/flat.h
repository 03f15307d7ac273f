/* SPDX-License-Identifier: MIT */
/* What a disk that is written must hold: its bytes, and what each sector may be once more after a kill. */
#ifndef TESTS_SUPPORT_FLAT_H
#define TESTS_SUPPORT_FLAT_H

#include <vhdx.h>

#include "support/sparse.h"

struct flat_undo;

struct flat {
	struct sparse bytes;
	uint64_t size;
	uint32_t sector_size;
	struct flat_undo
		*undo; /* contents before each change since the last flush, the newest first */
};

void flat_init(struct flat *flat, uint64_t size, uint32_t sector_size);
void flat_free(struct flat *flat);

/* A guest's changes. */
void flat_write(struct flat *flat, const void *buf, uint64_t length, uint64_t offset);
void flat_zero(struct flat *flat, uint64_t offset, uint64_t length);

/* All changes are durable. */
void flat_flush(struct flat *flat);

/* The range reads the same. The functions from here on fail the test when the disk is wrong. */
void flat_check(const struct flat *flat, struct vhdx *disk, uint64_t offset, uint64_t length);

/* The range is all zeros. */
void flat_check_zeros(const struct flat *flat, uint64_t offset, uint64_t length);

/* Each sector of the range reads as zeros now, or as before. The model takes what was read. */
void flat_take_trimmed(struct flat *flat, struct vhdx *disk, uint64_t offset, uint64_t length);

/*
 * A change to @buf's bytes, or to zeros if that is NULL, failed: each sector of the range is old or new. The
 * model takes what was read.
 */
void flat_take_failed(struct flat *flat, struct vhdx *disk, const void *buf, uint64_t offset,
		      uint64_t length);

/* Of each sector that changed since the last flush, any of its contents since then. Takes what was read. */
void flat_take_killed(struct flat *flat, struct vhdx *disk);

/* Whether the range has anything but zeros. */
bool flat_has_data(const struct flat *flat, uint64_t offset, uint64_t length);

#endif
