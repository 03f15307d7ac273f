/* SPDX-License-Identifier: MIT */
/* Reading within one block, from whichever file of the chain holds each piece. */
#ifndef VHDX_VDISK_READ_H
#define VHDX_VDISK_READ_H

#include "vdisk/disk.h"

/* The file of @layer failed with @ret where a block lies. Returns the error. */
int vhdx_fail_read(const struct vhdx *layer, int ret, uint64_t file_offset, uint64_t length);

/*
 * Reads @length bytes at @offset of the disk, all of one block, to the buffers from @skip on. The caller
 * holds the block's stripe. Errors as vhdx_pread.
 */
int vhdx_read_in_block(struct vhdx *disk, uint64_t offset, uint64_t length, const struct iovec *iov,
		       int iovcnt, uint64_t skip);

#endif
