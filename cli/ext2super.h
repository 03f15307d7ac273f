/* SPDX-License-Identifier: MIT */
/* Is what a superblock of ext2, ext3 or ext4 says possible, known, and of a file system that is clean? */
#ifndef CLI_EXT2SUPER_H
#define CLI_EXT2SUPER_H

#include "ext2io.h"

/*
 * Why a file system is not trusted, as the end of a sentence that begins with its name; "": the disk could
 * not be read, see vhdx_last_error().
 */
struct ext2_why {
	char text[160];
};

/* Says why, and returns the errno: -EBUSY, in use or not clean; -EUCLEAN, damaged; -ENOTSUP; -EIO. */
int ext2_distrust(struct ext2_why *why, int errnum, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* As ext2_distrust, for an error of libext2fs while doing @what. */
int ext2_distrust_code(struct ext2_why *why, errcode_t code, const char *what);

/*
 * Judges the superblock; @size_bytes is what the file system may fill. After success the sizes of blocks,
 * clusters, groups and descriptors are sane, and every block lies within.
 */
int ext2_judge(ext2_filsys fs, uint64_t size_bytes, struct ext2_why *ret_why);

#endif
