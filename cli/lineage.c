/* SPDX-License-Identifier: MIT */
/* Finds files among those of an open chain, by what they are and not by how they are called. */
#include <stddef.h>

#include "lineage.h"

const char *lineage_path(const struct vhdx *disk)
{
	struct vhdx_info info = {.size = sizeof(info)};

	return vhdx_get_info(disk, &info) ? NULL : info.path;
}

bool lineage_is_same_file(const struct stat *a, const struct stat *b)
{
	return a->st_dev == b->st_dev && a->st_ino == b->st_ino;
}

int lineage_find(struct vhdx *disk, const struct stat *file)
{
	for (int depth = 0; disk; disk = vhdx_get_parent(disk), depth++) {
		const char *path = lineage_path(disk);
		struct stat st;

		if (path && !stat(path, &st) && lineage_is_same_file(&st, file))
			return depth;
	}
	return -1;
}
