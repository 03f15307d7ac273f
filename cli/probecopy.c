/* SPDX-License-Identifier: MIT */
/* The copy is a file in memory, as large as what it is of, in which only what was asked for takes room. */
#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "cleanup.h"
#include "probecopy.h"

int probe_copy_open(struct vhdx *disk, struct range range, struct probe_copy *ret_copy)
{
	int fd = memfd_create("copy of a disk", MFD_CLOEXEC);

	if (fd < 0)
		return -errno;
	if (ftruncate(fd, (off_t)range.length)) {
		int ret = -errno;

		close(fd);
		return ret;
	}
	*ret_copy = (struct probe_copy){.disk = disk, .range = range, .fd = fd};
	return 0;
}

int probe_copy_fill(struct probe_copy *copy, uint64_t start, uint64_t length)
{
	if (start >= copy->range.length)
		return 0;
	if (length > copy->range.length - start)
		length = copy->range.length - start;

	auto_free void *buffer = malloc(length);

	if (!buffer)
		return -ENOMEM;
	if (vhdx_pread(copy->disk, buffer, length, copy->range.start + start)) {
		copy->unread = true;
		return 0;
	}
	ssize_t done = pwrite(copy->fd, buffer, length, (off_t)start);

	if (done < 0)
		return -errno;
	return (size_t)done == length ? 0 : -ENOSPC;
}

void probe_copy_close(struct probe_copy *copy)
{
	if (copy->fd >= 0)
		close(copy->fd);
	copy->fd = -1;
}

blkid_probe probe_copy_probe(const struct probe_copy *copy, uint32_t sector_size)
{
	blkid_probe probe = blkid_new_probe();

	if (probe && !blkid_probe_set_device(probe, copy->fd, 0, 0) &&
	    !blkid_probe_set_sectorsize(probe, sector_size))
		return probe;
	free_probe(&probe);
	return NULL;
}
