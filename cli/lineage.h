/* SPDX-License-Identifier: MIT */
/* The disks of an open chain, and the files that they lie in. */
#ifndef CLI_LINEAGE_H
#define CLI_LINEAGE_H

#include <stdbool.h>
#include <sys/stat.h>

#include <vhdx.h>

/* The disk's file; NULL: it has none. */
const char *lineage_path(const struct vhdx *disk);

bool lineage_is_same_file(const struct stat *a, const struct stat *b);

/* Which of the chain lies in @file: 0 the disk itself, 1 its parent, and so on; -1 none. */
int lineage_find(struct vhdx *disk, const struct stat *file);

#endif
