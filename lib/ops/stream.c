/* SPDX-License-Identifier: MIT */
/*
 * A descriptor that is read or written in order. It never blocks in read or write but only in poll, so
 * that an operation can be stopped while the other end of a pipe does nothing.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/arith.h"
#include "ops/stream.h"
#include "store/reopen.h"

#define IDLE_MILLISECONDS 200
#define PAGE		  4096u
#define ZEROS		  ((size_t)64 * 1024)
#define ZERO_BUFFERS	  16		 /* the same zeros, so often at a time */
#define PIPE_SIZE	  ((int)1 << 20) /* what an ordinary user may have */

void vhdx_stream_init(struct stream *stream, int fd)
{
	struct stat st;
	bool waits = fstat(fd, &st) || !(S_ISREG(st.st_mode) || S_ISBLK(st.st_mode));

	*stream = (struct stream){.fd = fd, .surely_written = waits ? PIPE_BUF : SIZE_MAX};
}

static int wait_until_ready(const struct stream *stream, short events)
{
	struct pollfd fd = {.fd = stream->fd, .events = events};

	for (;;) {
		int ready = poll(&fd, 1, IDLE_MILLISECONDS);

		if (ready > 0)
			return 0;
		if (ready < 0 && errno != EINTR && errno != EAGAIN)
			return -errno;
		if (stream->idle && stream->idle(stream->opaque))
			return -ECANCELED;
	}
}

ssize_t vhdx_stream_read(const struct stream *stream, void *buf, size_t size)
{
	for (;;) {
		int ret = wait_until_ready(stream, POLLIN);

		if (ret)
			return ret;
		ssize_t done = read(stream->fd, buf, size);

		if (done >= 0)
			return done;
		if (errno != EINTR && errno != EAGAIN)
			return -errno;
	}
}

/* A way to write something; as write(2), but a negative errno. */
typedef ssize_t write_fn(const struct stream *stream, const void *what, uint64_t offset,
			 size_t size);

static ssize_t write_when_ready(const struct stream *stream, write_fn *write, const void *what,
				uint64_t offset, size_t size)
{
	for (;;) {
		int ret = wait_until_ready(stream, POLLOUT);

		if (ret)
			return ret;
		ssize_t done = write(stream, what, offset, size);

		if (done != -EINTR && done != -EAGAIN)
			return done;
		if (stream->idle && stream->idle(stream->opaque))
			return -ECANCELED;
	}
}

/* All that fits now, where the descriptor or the system can do that; else no more than surely fits. */
static ssize_t write_some(const struct stream *stream, const void *buf, uint64_t offset,
			  size_t size)
{
	struct iovec iov = {(void *)(uintptr_t)buf, size};
	ssize_t done = -1;

	(void)offset;
	errno = EOPNOTSUPP;
	if (size > stream->surely_written)
		done = pwritev2(stream->fd, &iov, 1, -1, RWF_NOWAIT);
	if (done < 0 &&
	    (errno == EOPNOTSUPP || errno == EAGAIN || errno == EINVAL || errno == ENOSYS))
		done = write(stream->fd, buf, (size_t)min_u64(size, stream->surely_written));
	if (!done)
		return -EAGAIN;
	return done < 0 ? -errno : done;
}

ssize_t vhdx_stream_write(const struct stream *stream, const void *buf, size_t size)
{
	return write_when_ready(stream, write_some, buf, 0, size);
}

/* The zeros are no constant, whose pages would be a file's. */
static _Alignas(PAGE) char zeros[ZEROS];

/* To a pipe: pages of zeros, which need not be filled. */
static ssize_t give_zeros(const struct stream *stream, const void *what, uint64_t offset,
			  size_t size)
{
	struct iovec iov[ZERO_BUFFERS];
	unsigned count = 0;

	(void)what;
	(void)offset;
	for (; size && count < ZERO_BUFFERS; count++) {
		iov[count] = (struct iovec){zeros, (size_t)min_u64(size, ZEROS)};
		size -= iov[count].iov_len;
	}
	ssize_t done = vmsplice(stream->fd, iov, count, SPLICE_F_NONBLOCK);

	return done < 0 ? -errno : done;
}

ssize_t vhdx_stream_write_zeros(const struct stream *stream, uint64_t size)
{
	ssize_t done = -EOPNOTSUPP;

	if (stream->pipe_size)
		done = write_when_ready(stream, give_zeros, NULL, 0,
					(size_t)min_u64(size, ZEROS * ZERO_BUFFERS));
	/* Some systems have no vmsplice, or allow none. */
	if (done == -EOPNOTSUPP || done == -ENOSYS || done == -EPERM || done == -EINVAL)
		done = vhdx_stream_write(stream, zeros, (size_t)min_u64(size, ZEROS));
	return done;
}

size_t vhdx_stream_enter_pipe(struct stream *stream)
{
	int size = fcntl(stream->fd, F_GETPIPE_SZ);

	int mode = fcntl(stream->fd, F_GETFL);

	/* The wrong end could be opened anew for writing, to nobody. */
	if (size <= 0 || mode < 0 || (mode & O_ACCMODE) == O_RDONLY)
		return 0;
	if (size < PIPE_SIZE && fcntl(stream->fd, F_SETPIPE_SZ, PIPE_SIZE) > 0)
		size = fcntl(stream->fd, F_GETPIPE_SZ);
	stream->pipe_size = (size_t)size;
	int fd = fd_reopen(stream->fd, O_WRONLY | O_NONBLOCK);

	/* Otherwise somebody else's pipe: a page at a time. */
	if (fd >= 0) {
		stream->fd = fd;
		stream->owns_fd = true;
		stream->surely_written = SIZE_MAX;
	}
	return stream->pipe_size;
}

void vhdx_stream_leave_pipe(struct stream *stream)
{
	if (stream->owns_fd)
		close(stream->fd);
	*stream = (struct stream){.fd = -1};
}

static ssize_t take_pages(const struct stream *stream, const void *fd, uint64_t offset, size_t size)
{
	off64_t from = (off64_t)offset;
	ssize_t done = splice(*(const int *)fd, &from, stream->fd, NULL, size, SPLICE_F_NONBLOCK);

	return done < 0 ? -errno : done;
}

ssize_t vhdx_stream_take(const struct stream *stream, int fd, uint64_t offset, uint64_t size)
{
	return write_when_ready(stream, take_pages, &fd, offset,
				(size_t)min_u64(size, stream->pipe_size));
}
