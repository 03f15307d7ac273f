/* SPDX-License-Identifier: MIT */
/* Reads, writes, zeroes and flushes the disk behind a file; says where its data lie. */
#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

#include "log.h"
#include "ops.h"

#define BUFFER_ALIGNMENT 4096
/* Asked for at a time. */
#define EXTENTS_AT_ONCE 64

/* ---- A buffer for each thread, for the memory of a new one costs as much as what is read into it ---- */

static pthread_key_t buffer_key;
static pthread_once_t buffer_once = PTHREAD_ONCE_INIT;

static void make_key(void)
{
	pthread_key_create(&buffer_key, free);
}

static void *thread_buffer(void)
{
	pthread_once(&buffer_once, make_key);
	void *buffer = pthread_getspecific(buffer_key);

	if (!buffer) {
		buffer = aligned_alloc(BUFFER_ALIGNMENT, REQUEST_MAX);
		pthread_setspecific(buffer_key, buffer);
	}
	return buffer;
}

/* ---- Ranges ---- */

/* The file, and what of @length at @offset in it exists; replies and returns false when there is none. */
static bool get_range(fuse_req_t request, fuse_ino_t inode, struct range *ret_range)
{
	if (tree_range(tree_of(request), inode, ret_range))
		return true;
	fuse_reply_err(request, ENXIO);
	return false;
}

static struct range cut(struct range file, off_t offset, uint64_t length)
{
	uint64_t at = (uint64_t)offset;

	if (offset < 0 || at >= file.length)
		return (struct range){file.start + file.length, 0};
	if (length > file.length - at)
		length = file.length - at;
	return (struct range){file.start + at, length};
}

/* Of a request that is answered by its success alone. */
static void reply_result(fuse_req_t request, int ret)
{
	if (ret)
		log_failure();
	fuse_reply_err(request, -ret);
}

/* ---- Data ---- */

void ops_read(fuse_req_t request, fuse_ino_t inode, size_t size, off_t offset,
	      struct fuse_file_info *file)
{
	struct range range;

	(void)file;
	if (!get_range(request, inode, &range))
		return;
	range = cut(range, offset, size < REQUEST_MAX ? size : REQUEST_MAX);
	if (!range.length) {
		fuse_reply_buf(request, NULL, 0);
		return;
	}
	void *buffer = thread_buffer();

	if (!buffer) {
		fuse_reply_err(request, ENOMEM);
		return;
	}
	int ret = vhdx_pread(tree_of(request)->disk, buffer, range.length, range.start);

	if (ret)
		reply_result(request, ret);
	else
		fuse_reply_buf(request, buffer, range.length);
}

/* As at the end of a device: what fits is written, and then there is no space. */
void ops_write(fuse_req_t request, fuse_ino_t inode, const char *data, size_t size, off_t offset,
	       struct fuse_file_info *file)
{
	struct tree *tree = tree_of(request);
	struct range range;

	(void)file;
	if (!get_range(request, inode, &range))
		return;
	range = cut(range, offset, size);
	if (size && !range.length) {
		fuse_reply_err(request, ENOSPC);
		return;
	}
	int ret = vhdx_pwrite(tree->disk, data, range.length, range.start, 0);

	tree_changed(tree, range.start, range.length);
	if (ret)
		reply_result(request, ret);
	else
		fuse_reply_write(request, range.length);
}

void ops_fsync(fuse_req_t request, fuse_ino_t inode, int datasync, struct fuse_file_info *file)
{
	(void)inode;
	(void)datasync;
	(void)file;
	reply_result(request, vhdx_flush(tree_of(request)->disk));
}

/* Sets @ret_flags to vhdx_zero's for a mode of fallocate(2) that there is. */
static bool get_zero_flags(int mode, uint32_t *ret_flags)
{
	switch (mode & ~FALLOC_FL_KEEP_SIZE) {
	case FALLOC_FL_PUNCH_HOLE:
		/* Not a trim, after which parts of blocks may read as before: a hole reads as zeros. */
		*ret_flags = VHDX_ZERO_MAY_UNMAP;
		return mode & FALLOC_FL_KEEP_SIZE;
	case FALLOC_FL_ZERO_RANGE:
		*ret_flags = 0;
		return true;
	default:
		return false;
	}
}

void ops_fallocate(fuse_req_t request, fuse_ino_t inode, int mode, off_t offset, off_t length,
		   struct fuse_file_info *file)
{
	struct tree *tree = tree_of(request);
	struct range range;
	uint32_t flags;

	(void)file;
	if (!get_range(request, inode, &range))
		return;
	if (!get_zero_flags(mode, &flags)) {
		fuse_reply_err(request, EOPNOTSUPP);
		return;
	}
	if (offset < 0 || length <= 0) {
		fuse_reply_err(request, EINVAL);
		return;
	}
	struct range zeros = cut(range, offset, (uint64_t)length);

	/* The file would have to grow. */
	if (!(mode & FALLOC_FL_KEEP_SIZE) && zeros.length < (uint64_t)length) {
		fuse_reply_err(request, ENOSPC);
		return;
	}
	int ret = zeros.length ? vhdx_zero(tree->disk, zeros.start, zeros.length, flags) : 0;

	tree_changed(tree, zeros.start, zeros.length);
	reply_result(request, ret);
}

/* ---- Where data lie ---- */

/* The first byte at or after range.start that is data, or that is none; its end when there is no such. */
static int seek_extent(struct vhdx *disk, struct range range, bool data, uint64_t *ret_at)
{
	uint64_t at = range.start, end = range.start + range.length;

	while (at < end) {
		struct vhdx_extent extents[EXTENTS_AT_ONCE];
		size_t count = EXTENTS_AT_ONCE;
		int ret =
			vhdx_extents(disk, at, end - at, VHDX_EXTENTS_FILE_HOLES, extents, &count);

		if (ret)
			return ret;
		for (size_t i = 0; i < count; i++) {
			if ((extents[i].type == VHDX_EXTENT_DATA) == data) {
				*ret_at = extents[i].offset;
				return 0;
			}
			at = extents[i].offset + extents[i].length;
		}
	}
	*ret_at = end;
	return 0;
}

void ops_lseek(fuse_req_t request, fuse_ino_t inode, off_t offset, int whence,
	       struct fuse_file_info *file)
{
	struct range range;
	uint64_t at = 0;

	(void)file;
	if (!get_range(request, inode, &range))
		return;
	struct range rest = cut(range, offset, range.length);

	if (!rest.length || (whence != SEEK_DATA && whence != SEEK_HOLE)) {
		fuse_reply_err(request, rest.length ? EINVAL : ENXIO);
		return;
	}
	int ret = seek_extent(tree_of(request)->disk, rest, whence == SEEK_DATA, &at);

	if (ret)
		reply_result(request, ret);
	else if (whence == SEEK_DATA && at == rest.start + rest.length)
		fuse_reply_err(request, ENXIO);
	else
		fuse_reply_lseek(request, (off_t)(at - range.start));
}
