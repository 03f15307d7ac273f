/* SPDX-License-Identifier: MIT */
/* Stands for freespace.c where the command is built without libext2fs or libblkid. */
#include "freespace.h"
#include "report.h"

int free_space_open(struct vhdx *disk, const char *name, struct free_space **ret_space)
{
	(void)disk;
	(void)ret_space;
	return report_error(name, "this vhdx was built without --free-space");
}

int free_space_covers(void *opaque, uint64_t offset, uint64_t length)
{
	(void)opaque;
	(void)offset;
	(void)length;
	return 0;
}

const char *free_space_others(const struct free_space *space)
{
	(void)space;
	return "";
}

void free_space_close(struct free_space *space)
{
	(void)space;
}
