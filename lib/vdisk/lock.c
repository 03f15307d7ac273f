/* SPDX-License-Identifier: MIT */
/* Which locks a disk takes on its file, and what it does where there are none. */
#include <errno.h>

#include "vdisk/disk.h"

/* Where the file system has no locks, reading goes on. */
static int lock_for_reading(const struct vhdx *disk, const struct open_request *request)
{
	int ret = disk->file.lock(disk->file.opaque, 0);

	if (ret == -EAGAIN)
		return vhdx_fail(ret, NO_PROBLEM, disk->name, VHDX_NO_OFFSET,
				 "is open for writing in another process (expected no writer)");
	if (ret)
		vhdx_disk_warn(request, disk->name,
			       "its file system has no locks: nothing keeps writers out");
	return 0;
}

/* Writing goes on only when somebody answers for it. */
static int lock_for_writing(const struct vhdx *disk, const struct open_request *request)
{
	int ret = disk->file.lock(disk->file.opaque, 1);

	if (ret == -EAGAIN)
		return vhdx_fail(ret, NO_PROBLEM, disk->name, VHDX_NO_OFFSET,
				 "is in use by another process (expected it free, to be written)");
	if (ret && !(request->options.flags & VHDX_OPEN_NO_LOCK))
		return vhdx_fail(
			-ENOLCK, NO_PROBLEM, disk->name, VHDX_NO_OFFSET,
			"its file system has no locks: nothing keeps others out while it is "
			"written (expected locks, or the option no-lock)");
	if (ret)
		vhdx_disk_warn(request, disk->name,
			       "its file system has no locks: nothing keeps others out while it is "
			       "written");
	return 0;
}

int vhdx_disk_lock(const struct vhdx *disk, const struct open_request *request)
{
	if (!disk->file.lock || request->options.flags & VHDX_OPEN_FORCE_SHARE)
		return 0;
	return disk_is_writable(disk) ? lock_for_writing(disk, request)
				      : lock_for_reading(disk, request);
}
