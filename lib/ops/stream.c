/* SPDX-License-Identifier: MIT */
/*
 * A descriptor that is read or written in order. It never blocks in read or write but only in poll, so
 * that an operation can be stopped while the other end of a pipe does nothing.
 */
#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/arith.h"
#include "ops/stream.h"

#define IDLE_MILLISECONDS 200

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

/* All that fits now, where the system can do that; else no more than surely fits. */
static ssize_t write_some(const struct stream *stream, const void *buf, size_t size)
{
	struct iovec iov = {(void *)(uintptr_t)buf, size};
	ssize_t done = pwritev2(stream->fd, &iov, 1, -1, RWF_NOWAIT);

	if (done < 0 &&
	    (errno == EOPNOTSUPP || errno == EAGAIN || errno == EINVAL || errno == ENOSYS))
		done = write(stream->fd, buf, (size_t)min_u64(size, stream->surely_written));
	return done < 0 ? -errno : done;
}

ssize_t vhdx_stream_write(const struct stream *stream, const void *buf, size_t size)
{
	for (;;) {
		int ret = wait_until_ready(stream, POLLOUT);

		if (ret)
			return ret;
		ssize_t done = write_some(stream, buf, size);

		if (done > 0 || (done < 0 && done != -EINTR && done != -EAGAIN))
			return done;
	}
}
