/* SPDX-License-Identifier: MIT */
/* What a file system can do with a range of one file for another: how it must be aligned, and copying by itself. */
#ifndef VHDX_STORE_FILECOPY_H
#define VHDX_STORE_FILECOPY_H

#include <stdbool.h>

#include <vhdx.h>

/* A power of two: ranges that the file system shares begin and end at multiples of it. */
uint64_t vhdx_file_share_unit(const struct vhdx_io *io);

/* Is it a file of another machine, which can copy it without sending it here and back? */
bool vhdx_file_is_remote(const struct vhdx_io *io);

/*
 * Has the kernel copy a range of one file store to another, by whatever way it knows. -EOPNOTSUPP when one of them
 * is none, -EIO when the source ends before the range, or as copy_file_range(2) fails.
 */
int vhdx_file_copy_range(const struct vhdx_io *io, uint64_t offset, const struct vhdx_io *source,
			 uint64_t source_offset, uint64_t length);

#endif
