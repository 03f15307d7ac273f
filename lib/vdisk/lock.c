/* SPDX-License-Identifier: MIT */
/* Which locks a disk takes on its file, and what it does where there are none. */
#include <errno.h>
#include <time.h>

#include "vdisk/disk.h"

/* Between two tries for a lock. No file system wakes us when an open-file-description lock is free. */
#define TRY_AGAIN_MS 10u

static void sleep_ms(unsigned ms)
{
	struct timespec time = {.tv_sec = ms / 1000, .tv_nsec = (long)(ms % 1000) * 1000000};

	nanosleep(&time, NULL);
}

static int take_lock(const struct vhdx *disk, const struct open_request *request, int exclusive)
{
	unsigned left = request->options.lock_wait_ms;
	int ret;

	while ((ret = disk->file.lock(disk->file.opaque, exclusive)) == -EAGAIN && left) {
		unsigned part = left < TRY_AGAIN_MS ? left : TRY_AGAIN_MS;

		sleep_ms(part);
		left -= part;
	}
	return ret;
}

/* Where the file system has no locks, reading goes on. */
static int lock_for_reading(const struct vhdx *disk, const struct open_request *request)
{
	int ret = take_lock(disk, request, 0);

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
	int ret = take_lock(disk, request, 1);

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
