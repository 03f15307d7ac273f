/* SPDX-License-Identifier: MIT */
/*
 * Whole transfers over a struct vhdx_io, which may do them in parts, and its optional functions. What a
 * signal interrupted is tried again.
 */
#ifndef VHDX_STORE_IO_H
#define VHDX_STORE_IO_H

#include <stdbool.h>

#include <vhdx.h>

/* A copy of the caller's table, with NULL for members that its size leaves out. -EINVAL without the needed ones. */
int vhdx_io_adopt(const struct vhdx_io *io, struct vhdx_io *ret_io);

/* Reads all @size bytes; what lies behind the end of the storage reads as zeros. */
int vhdx_io_read(const struct vhdx_io *io, void *buf, size_t size, uint64_t offset);

/* As vhdx_io_read, for @count bytes that begin @skip bytes into the buffers. */
int vhdx_io_readv(const struct vhdx_io *io, const struct iovec *iov, int iovcnt, uint64_t skip,
		  uint64_t count, uint64_t offset);

/* Writes all @size bytes. -EROFS on storage that cannot be written. */
int vhdx_io_write(const struct vhdx_io *io, const void *buf, size_t size, uint64_t offset);

/* As vhdx_io_write, for @count bytes that begin @skip bytes into the buffers. */
int vhdx_io_writev(const struct vhdx_io *io, const struct iovec *iov, int iovcnt, uint64_t skip,
		   uint64_t count, uint64_t offset);

int vhdx_io_flush(const struct vhdx_io *io);
int vhdx_io_get_size(const struct vhdx_io *io, uint64_t *ret_size);

/* -EOPNOTSUPP where the storage has a fixed size. */
int vhdx_io_set_size(const struct vhdx_io *io, uint64_t size);

/* -EOPNOTSUPP where the storage cannot promise space. */
int vhdx_io_reserve(const struct vhdx_io *io, uint64_t offset, uint64_t length);

/* -EOPNOTSUPP where the storage, or this range of it, has no holes. */
int vhdx_io_punch(const struct vhdx_io *io, uint64_t offset, uint64_t length);

/* -EOPNOTSUPP where zeros must be written. */
int vhdx_io_zero(const struct vhdx_io *io, uint64_t offset, uint64_t length);

/* -EOPNOTSUPP where the storage shares nothing; others, as -EXDEV and -EINVAL, as it says. */
int vhdx_io_clone(const struct vhdx_io *io, uint64_t offset, const struct vhdx_io *source,
		  uint64_t source_offset, uint64_t length);

/*
 * The first range at or after @offset and before @end that may hold data, cut to @end. -ENXIO when
 * there is none. Storage that cannot tell may hold data everywhere.
 */
int vhdx_io_next_data(const struct vhdx_io *io, uint64_t offset, uint64_t end, uint64_t *ret_start,
		      uint64_t *ret_end);

void vhdx_io_close(struct vhdx_io *io);

/* Fills @count bytes, from @skip bytes into the buffers on, with those at @from; NULL: with zeros. */
void vhdx_iov_fill(const struct iovec *iov, int iovcnt, uint64_t skip, const void *from,
		   uint64_t count);

static inline void iov_zero(const struct iovec *iov, int iovcnt, uint64_t skip, uint64_t count)
{
	vhdx_iov_fill(iov, iovcnt, skip, NULL, count);
}

/* Bytes in all buffers; -EINVAL when the sum wraps or a count is negative. */
int vhdx_iov_size(const struct iovec *iov, int iovcnt, uint64_t *ret_size);

#endif
