/* SPDX-License-Identifier: MIT */
/*
 * A stream as a sink. A pipe takes the pages of a file in the page cache as they are, and is given one page of
 * zeros again and again.
 */
#include <errno.h>
#include <inttypes.h>

#include "base/error.h"
#include "ops/streamsink.h"
#include "store/file.h"

#define PAGE 4096u
/* So that a cancel is soon noticed. */
#define MOST_TAKEN (16 * MIB)
/*
 * What a pipe took is still the file's: when we are gone, and our lock, somebody may change it before it is read.
 * The pipe itself holds no such page any more once as much has been copied into it as it has room for. This is for
 * readers that pass on pages as they get them: for their pipes, and for sockets.
 */
#define COPIED_END (16 * MIB)

static int failed(const struct sink *sink, ssize_t ret)
{
	return ret == -ECANCELED ? (int)ret
				 : vhdx_fail_errno((int)ret, sink->name,
						   "cannot write more than %" PRIu64 " bytes",
						   sink->position);
}

static int write_zeros_up_to(struct sink *sink, uint64_t position)
{
	while (sink->position < position) {
		ssize_t done = vhdx_stream_write_zeros(&sink->stream, position - sink->position);

		if (done < 0)
			return failed(sink, done);
		sink->position += (uint64_t)done;
		/* A hole may be longer than anybody waits. */
		if (sink->stream.idle && sink->stream.idle(sink->stream.opaque))
			return -ECANCELED;
	}
	return 0;
}

static int stream_write(struct sink *sink, const void *buf, size_t size, uint64_t position)
{
	int ret = write_zeros_up_to(sink, position);

	if (ret)
		return ret;
	/* Of a range that was taken in part, the rest is written. */
	size_t there = (size_t)min_u64(sink->position - position, size);
	const char *bytes = (const char *)buf + there;

	size -= there;
	while (size) {
		ssize_t done = vhdx_stream_write(&sink->stream, bytes, size);

		if (done < 0)
			return failed(sink, done);
		bytes += done;
		size -= (size_t)done;
		sink->position += (uint64_t)done;
	}
	return 0;
}

/* The system has no such call, allows none, or not between these two. */
static bool is_missing(int ret)
{
	return ret == -EINVAL || ret == -ENOSYS || ret == -EPERM || ret == -EOPNOTSUPP;
}

/* What the file does not hold any more is zeros, which what follows it brings. */
static int stream_share(struct sink *sink, const struct source_place *from, uint64_t offset,
			uint64_t length, int *ret_refusal)
{
	int fd = vhdx_file_fd(from->io);
	int ret = fd < 0 ? 0 : write_zeros_up_to(sink, offset);

	*ret_refusal = fd < 0 ? -EOPNOTSUPP : 0;
	while (fd >= 0 && !ret && sink->position < offset + length) {
		uint64_t skip = sink->position - offset;
		ssize_t done = vhdx_stream_take(&sink->stream, fd, from->file_offset + skip,
						length - skip);

		if (done == -EPIPE || done == -ECANCELED)
			ret = failed(sink, done);
		else if (done < 0) /* reading and writing tell what is wrong, and where */
			*ret_refusal = is_missing((int)done) ? -EOPNOTSUPP : (int)done;
		if (done <= 0)
			break;
		sink->position += (uint64_t)done;
	}
	return ret;
}

static const struct sink_functions stream_functions = {
	.write = stream_write, .share = stream_share, .finish = write_zeros_up_to};

void vhdx_stream_sink(struct sink *sink, int fd, uint64_t size)
{
	sink->functions = &stream_functions;
	sink->in_order = true;
	sink->reads_zeros = true; /* it makes its zeros when it comes to what follows them */
	vhdx_stream_init(&sink->stream, fd);
	uint64_t copied = vhdx_stream_enter_pipe(&sink->stream) + PAGE + COPIED_END;

	if (!sink->stream.pipe_size || size == SIZE_UNKNOWN || size <= copied)
		return;
	sink->share_unit = PAGE;
	sink->share_most = MOST_TAKEN;
	sink->share_end = size - copied;
}
