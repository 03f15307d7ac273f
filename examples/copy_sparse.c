/* SPDX-License-Identifier: MIT */
/*
 * copy_sparse IMAGE OUT.raw: copies what a disk holds to a raw file, and leaves holes where it holds nothing.
 * vhdx_convert does the same faster; this shows how to go by extents, as a backup program would.
 */
#define _POSIX_C_SOURCE	  200809L
#define _FILE_OFFSET_BITS 64

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <vhdx.h>

#define BUFFER_SIZE ((uint64_t)1024 * 1024)
#define EXTENTS	    64

static int fail(void)
{
	const struct vhdx_error *error = vhdx_last_error();

	fprintf(stderr, "copy_sparse: %s: %s\n", error->file, error->text);
	return -1;
}

static int write_all(int fd, const char *buf, size_t size, uint64_t offset)
{
	while (size) {
		ssize_t done = pwrite(fd, buf, size, (off_t)offset);

		if (done < 0 && errno == EINTR)
			continue;
		if (done <= 0) {
			perror("copy_sparse: cannot write");
			return -1;
		}
		buf += done;
		size -= (size_t)done;
		offset += (uint64_t)done;
	}
	return 0;
}

static int copy_extent(struct vhdx *disk, const struct vhdx_extent *extent, int fd)
{
	static char buf[BUFFER_SIZE];

	for (uint64_t done = 0; done < extent->length; done += BUFFER_SIZE) {
		uint64_t left = extent->length - done;
		size_t part = (size_t)(left < BUFFER_SIZE ? left : BUFFER_SIZE);

		if (vhdx_pread(disk, buf, part, extent->offset + done))
			return fail();
		if (write_all(fd, buf, part, extent->offset + done))
			return -1;
	}
	return 0;
}

static int copy_disk(struct vhdx *disk, uint64_t size, int fd)
{
	struct vhdx_extent extents[EXTENTS];
	uint64_t offset = 0;

	while (offset < size) {
		size_t count = EXTENTS;

		/* With FILE_HOLES, what a block's space in the file does not hold is no data either. */
		if (vhdx_extents(disk, offset, size - offset, VHDX_EXTENTS_FILE_HOLES, extents,
				 &count))
			return fail();
		for (size_t i = 0; i < count; i++) {
			if (extents[i].type == VHDX_EXTENT_DATA &&
			    copy_extent(disk, &extents[i], fd))
				return -1;
			offset = extents[i].offset + extents[i].length;
		}
	}
	return 0;
}

/* A copy that is not whole does not stay. */
static int copy_to(struct vhdx *disk, const char *path)
{
	struct vhdx_info info = {.size = sizeof(info)};

	if (vhdx_get_info(disk, &info))
		return fail();
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);

	if (fd < 0) {
		perror("copy_sparse: cannot make the file");
		return -1;
	}
	int ret = ftruncate(fd, (off_t)info.virtual_size);

	if (ret)
		perror("copy_sparse: cannot give the file its size");
	else
		ret = copy_disk(disk, info.virtual_size, fd);
	if (!ret && fsync(fd)) {
		perror("copy_sparse: cannot make the file durable");
		ret = -1;
	}
	close(fd);
	if (ret)
		unlink(path);
	return ret;
}

int main(int argc, char **argv)
{
	struct vhdx *disk;

	if (argc != 3) {
		fprintf(stderr, "usage: copy_sparse IMAGE OUT.raw\n");
		return 1;
	}
	if (vhdx_open(argv[1], NULL, &disk)) {
		fail();
		return 1;
	}
	int ret = copy_to(disk, argv[2]);

	vhdx_close(disk);
	return ret ? 1 : 0;
}
