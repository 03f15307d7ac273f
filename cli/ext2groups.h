/* SPDX-License-Identifier: MIT */
/* Which space of an ext2, ext3 or ext4 is free, by its groups' block bitmaps. */
#ifndef CLI_EXT2GROUPS_H
#define CLI_EXT2GROUPS_H

#include "ext2super.h"
#include "freemap.h"

/*
 * Marks in @map what is free of the file system that lies in @range of the disk; what was marked is left.
 * ext2_judge must have found the superblock sane. Memory: two blocks. Stops with -ECANCELED when a signal
 * came; after any failure some may be marked.
 */
int ext2_groups_read(ext2_filsys fs, struct range range, struct free_map *map,
		     struct ext2_why *ret_why);

#endif
