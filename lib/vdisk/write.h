/* SPDX-License-Identifier: MIT */
/* Changing one block: writing into it, giving it space, taking its space away. */
#ifndef VHDX_VDISK_WRITE_H
#define VHDX_VDISK_WRITE_H

#include "vdisk/writer.h"

/* Part of one block, and the bytes that it shall hold. */
struct block_write {
	struct vhdx *disk;
	uint64_t offset;	 /* of the disk */
	uint64_t length;	 /* at least 1; ends in the block that it begins in */
	const struct iovec *iov; /* NULL: zeros */
	int iovcnt;
	uint64_t skip; /* where in the buffers its bytes begin */
};

/* Bytes of the disk that the block at @offset has: the last one may be cut by the disk's end. */
static inline uint64_t disk_block_length(const struct vhdx *disk, uint64_t offset)
{
	uint64_t block_size = disk->image.parameters.block_size;
	uint64_t start = round_down(offset, block_size);

	return min_u64(block_size, disk->image.virtual_size - start);
}

/* The file failed with @ret where a block lies. Returns the error. */
int vhdx_fail_write(const struct vhdx *disk, int ret, uint64_t file_offset, uint64_t length);

/* The gate has been passed, and no stripe is held. Both return as vhdx_pwrite. */
int vhdx_block_write(const struct block_write *write);

/*
 * Makes a whole block, the one at @offset, read as zeros: @state, ZERO or UNMAPPED, without space. Not
 * on a fixed disk.
 */
int vhdx_block_drop(struct vhdx *disk, uint64_t offset, enum block_state state);

#endif
