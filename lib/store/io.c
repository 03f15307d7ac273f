/* SPDX-License-Identifier: MIT */
/* Whole transfers over a struct vhdx_io, which may do them in parts, and its optional functions. */
#include <errno.h>
#include <string.h>

#include "base/arith.h"
#include "base/error.h"
#include "store/io.h"

#define IOV_BATCH 16 /* buffers passed on at a time: a request's usual number, on the stack */

/* Functions that a newer caller has and this library does not know are optional, so they do not matter. */
int vhdx_io_adopt(const struct vhdx_io *io, struct vhdx_io *ret_io)
{
	struct vhdx_io copy = {0};

	if (!io || io->size < sizeof(io->size))
		return vhdx_fail_argument("vhdx_io: missing, or its size is not set");
	memcpy(&copy, io, (size_t)min_u64(io->size, sizeof(copy)));
	if (!copy.preadv || !copy.get_size)
		return vhdx_fail_argument("vhdx_io: without preadv or get_size");
	copy.size = sizeof(copy);
	*ret_io = copy;
	return 0;
}

/* The buffers that hold @count bytes from @skip on, at most IOV_BATCH of them. Returns their number. */
static int slice(const struct iovec *iov, int iovcnt, uint64_t skip, uint64_t count,
		 struct iovec ret_slice[IOV_BATCH])
{
	int n = 0;

	for (int i = 0; i < iovcnt && count && n < IOV_BATCH; i++) {
		if (skip >= iov[i].iov_len) {
			skip -= iov[i].iov_len;
			continue;
		}
		size_t part = (size_t)min_u64(iov[i].iov_len - skip, count);

		ret_slice[n++] = (struct iovec){(char *)iov[i].iov_base + skip, part};
		count -= part;
		skip = 0;
	}
	return n;
}

/* Most requests have one buffer: no copy of it is made, and nothing is summed up. */
int vhdx_io_read(const struct vhdx_io *io, void *buf, size_t size, uint64_t offset)
{
	struct iovec rest = {buf, size};

	while (rest.iov_len) {
		ssize_t done = io->preadv(io->opaque, &rest, 1, offset);

		if (done == -EINTR)
			continue;
		if (done < 0)
			return (int)done;
		if (!done) {
			memset(rest.iov_base, 0, rest.iov_len);
			return 0;
		}
		rest.iov_base = (char *)rest.iov_base + done;
		rest.iov_len -= (size_t)done;
		offset += (uint64_t)done;
	}
	return 0;
}

int vhdx_io_readv(const struct vhdx_io *io, const struct iovec *iov, int iovcnt, uint64_t skip,
		  uint64_t count, uint64_t offset)
{
	if (iovcnt == 1)
		return vhdx_io_read(io, (char *)iov->iov_base + skip, (size_t)count, offset);
	while (count) {
		struct iovec part[IOV_BATCH];
		int n = slice(iov, iovcnt, skip, count, part);
		ssize_t done = io->preadv(io->opaque, part, n, offset);

		if (done == -EINTR)
			continue;
		if (done < 0)
			return (int)done;
		if (!done) {
			iov_zero(iov, iovcnt, skip, count);
			return 0;
		}
		skip += (uint64_t)done;
		offset += (uint64_t)done;
		count -= (uint64_t)done;
	}
	return 0;
}

int vhdx_io_write(const struct vhdx_io *io, const void *buf, size_t size, uint64_t offset)
{
	struct iovec rest = {(void *)(uintptr_t)buf, size};

	if (!io->pwritev)
		return -EROFS;
	while (rest.iov_len) {
		ssize_t done = io->pwritev(io->opaque, &rest, 1, offset);

		if (done == -EINTR)
			continue;
		if (done <= 0)
			return done ? (int)done : -EIO;
		rest.iov_base = (char *)rest.iov_base + done;
		rest.iov_len -= (size_t)done;
		offset += (uint64_t)done;
	}
	return 0;
}

int vhdx_io_writev(const struct vhdx_io *io, const struct iovec *iov, int iovcnt, uint64_t skip,
		   uint64_t count, uint64_t offset)
{
	if (iovcnt == 1)
		return vhdx_io_write(io, (char *)iov->iov_base + skip, (size_t)count, offset);
	if (!io->pwritev)
		return -EROFS;
	while (count) {
		struct iovec part[IOV_BATCH];
		int n = slice(iov, iovcnt, skip, count, part);
		ssize_t done = io->pwritev(io->opaque, part, n, offset);

		if (done == -EINTR)
			continue;
		if (done <= 0)
			return done ? (int)done : -EIO;
		skip += (uint64_t)done;
		offset += (uint64_t)done;
		count -= (uint64_t)done;
	}
	return 0;
}

/* The value of @call, made again as often as a signal interrupts it. */
#define UNINTERRUPTED(call) \
	__extension__({ \
		int result; \
		do \
			result = (call); \
		while (result == -EINTR); \
		result; \
	})

/* An optional function over a range. */
static int change_range(const struct vhdx_io *io,
			int (*change)(void *opaque, uint64_t offset, uint64_t length),
			uint64_t offset, uint64_t length)
{
	int ret = change ? UNINTERRUPTED(change(io->opaque, offset, length)) : -EOPNOTSUPP;

	return ret == -ENOSYS ? -EOPNOTSUPP : ret;
}

int vhdx_io_flush(const struct vhdx_io *io)
{
	return UNINTERRUPTED(io->flush ? io->flush(io->opaque) : 0);
}

int vhdx_io_get_size(const struct vhdx_io *io, uint64_t *ret_size)
{
	return UNINTERRUPTED(io->get_size(io->opaque, ret_size));
}

int vhdx_io_set_size(const struct vhdx_io *io, uint64_t size)
{
	return UNINTERRUPTED(io->set_size ? io->set_size(io->opaque, size) : -EOPNOTSUPP);
}

int vhdx_io_reserve(const struct vhdx_io *io, uint64_t offset, uint64_t length)
{
	return change_range(io, io->reserve, offset, length);
}

int vhdx_io_punch(const struct vhdx_io *io, uint64_t offset, uint64_t length)
{
	return change_range(io, io->punch, offset, length);
}

int vhdx_io_zero(const struct vhdx_io *io, uint64_t offset, uint64_t length)
{
	return change_range(io, io->zero, offset, length);
}

int vhdx_io_clone(const struct vhdx_io *io, uint64_t offset, const struct vhdx_io *source,
		  uint64_t source_offset, uint64_t length)
{
	return UNINTERRUPTED(io->clone
				     ? io->clone(io->opaque, offset, source, source_offset, length)
				     : -EOPNOTSUPP);
}

int vhdx_io_next_data(const struct vhdx_io *io, uint64_t offset, uint64_t end, uint64_t *ret_start,
		      uint64_t *ret_end)
{
	uint64_t start = offset;
	uint64_t stop = end;
	int ret =
		UNINTERRUPTED(io->next_data ? io->next_data(io->opaque, offset, &start, &stop) : 0);

	if (ret)
		return ret;
	if (start >= end || stop <= start)
		return -ENXIO;
	*ret_start = start;
	*ret_end = min_u64(stop, end);
	return 0;
}

void vhdx_io_close(struct vhdx_io *io)
{
	if (io->close)
		io->close(io->opaque);
	*io = (struct vhdx_io){0};
}

void vhdx_iov_fill(const struct iovec *iov, int iovcnt, uint64_t skip, const void *from,
		   uint64_t count)
{
	const char *bytes = from;

	for (int i = 0; i < iovcnt && count; i++) {
		if (skip >= iov[i].iov_len) {
			skip -= iov[i].iov_len;
			continue;
		}
		size_t part = (size_t)min_u64(iov[i].iov_len - skip, count);
		char *to = (char *)iov[i].iov_base + skip;

		if (bytes) {
			memcpy(to, bytes, part);
			bytes += part;
		} else {
			memset(to, 0, part);
		}
		count -= part;
		skip = 0;
	}
}

int vhdx_iov_size(const struct iovec *iov, int iovcnt, uint64_t *ret_size)
{
	uint64_t size = 0;

	if (iovcnt < 0)
		return -EINVAL;
	for (int i = 0; i < iovcnt; i++)
		if (!add_fits(size, iov[i].iov_len, &size))
			return -EINVAL;
	*ret_size = size;
	return 0;
}
