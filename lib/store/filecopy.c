/* SPDX-License-Identifier: MIT */
/* What a file system can do with a range of one file for another. */
#include <errno.h>
#include <linux/magic.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "base/arith.h"
#include "store/file.h"
#include "store/filecopy.h"

/* Headers of older kernels lack them. */
#ifndef CIFS_SUPER_MAGIC
#define CIFS_SUPER_MAGIC 0xff534d42ul
#endif
#ifndef SMB2_SUPER_MAGIC
#define SMB2_SUPER_MAGIC 0xfe534d42ul
#endif

#define LEAST_UNIT   4096u
#define MOST_AT_ONCE ((uint64_t)1 << 30) /* what any system takes */
#define MOST_UNIT \
	((uint64_t)64 * 1024) /* no file system has larger blocks; servers name other sizes */

uint64_t vhdx_file_share_unit(const struct vhdx_io *io)
{
	int fd = vhdx_file_fd(io);
	struct statfs fs;

	if (fd < 0 || fstatfs(fd, &fs) || fs.f_bsize <= (long)LEAST_UNIT)
		return LEAST_UNIT;
	return is_power_of_two((uint64_t)fs.f_bsize) ? min_u64((uint64_t)fs.f_bsize, MOST_UNIT)
						     : MOST_UNIT;
}

bool vhdx_file_is_remote(const struct vhdx_io *io)
{
	static const unsigned long kinds[] = {NFS_SUPER_MAGIC, CIFS_SUPER_MAGIC, SMB2_SUPER_MAGIC,
					      CEPH_SUPER_MAGIC};
	int fd = vhdx_file_fd(io);
	struct statfs fs;

	if (fd < 0 || fstatfs(fd, &fs))
		return false;
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		if ((unsigned long)fs.f_type == kinds[i])
			return true;
	return false;
}

int vhdx_file_copy_range(const struct vhdx_io *io, uint64_t offset, const struct vhdx_io *source,
			 uint64_t source_offset, uint64_t length)
{
	int from = vhdx_file_fd(source);
	int to = vhdx_file_fd(io);
	off64_t in = (off64_t)source_offset;
	off64_t out = (off64_t)offset;

	if (from < 0 || to < 0)
		return -EOPNOTSUPP;
	while (length) {
		ssize_t done = copy_file_range(from, &in, to, &out,
					       (size_t)min_u64(length, MOST_AT_ONCE), 0);

		if (done < 0 && errno == EINTR)
			continue;
		/* What was begun is no refusal of the whole. */
		if (done <= 0)
			return done && in == (off64_t)source_offset ? -errno : -EIO;
		length -= (uint64_t)done;
	}
	return 0;
}
