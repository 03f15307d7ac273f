/* SPDX-License-Identifier: MIT */
/* Would an operation write over what it reads? */
#include "ops/samefile.h"

bool vhdx_same_file(const struct stat *a, const struct stat *b)
{
	if (S_ISBLK(a->st_mode) && S_ISBLK(b->st_mode)) /* a device may have several nodes */
		return a->st_rdev == b->st_rdev;
	return a->st_dev == b->st_dev && a->st_ino == b->st_ino;
}

bool vhdx_leads_to(const char *path, const struct stat *file)
{
	struct stat st;

	return !stat(path, &st) && vhdx_same_file(&st, file);
}

bool vhdx_disk_uses_file(const struct vhdx *disk, const struct stat *file)
{
	for (; disk; disk = vhdx_get_parent(disk)) {
		struct vhdx_info info = {.size = sizeof(info)};

		if (!vhdx_get_info(disk, &info) && info.path && vhdx_leads_to(info.path, file))
			return true;
	}
	return false;
}
