/* SPDX-License-Identifier: MIT */
/* What a range of a disk holds: a file system, swap, part of a volume. */
#ifndef CLI_FSNAME_H
#define CLI_FSNAME_H

#include <stdbool.h>

#include <vhdx.h>

#include "probecopy.h"

#define FS_NAME_SIZE 32

/*
 * Names what is found in @range as libblkid does, "ext4", "vfat", "LVM2_member": "" when nothing is, "several
 * kinds" when what is there contradicts itself. 0; -EIO when the disk could not be read, see
 * vhdx_last_error(); or the system's error.
 */
int fs_name(struct vhdx *disk, struct range range, uint32_t sector_size,
	    char ret_name[FS_NAME_SIZE]);

/* Is it ext2, ext3 or ext4? */
bool fs_name_is_ext(const char *name);

#endif
