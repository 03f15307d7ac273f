/* SPDX-License-Identifier: MIT */
/* A range of a disk as libext2fs sees a device. */
#ifndef CLI_EXT2IO_H
#define CLI_EXT2IO_H

#include <ext2fs/ext2fs.h>

#include <vhdx.h>

#include "probecopy.h"

/*
 * Opens the file system in @range of @disk, for reading, its superblock alone. Every read stays within the
 * range. Returns 0 or an error of libext2fs; where the disk could not be read, EIO, see vhdx_last_error().
 */
errcode_t ext2io_open(struct vhdx *disk, struct range range, ext2_filsys *ret_fs);

void ext2io_close(ext2_filsys *fs);

#define auto_ext2 __attribute__((cleanup(ext2io_close)))

#endif
