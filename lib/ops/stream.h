/* SPDX-License-Identifier: MIT */
/* A descriptor that is read or written in order: a pipe, a socket, a terminal, or a file used as one. */
#ifndef VHDX_OPS_STREAM_H
#define VHDX_OPS_STREAM_H

#include <stddef.h>
#include <sys/types.h>

/* Asked now and then while the other end keeps us waiting; another value than 0 gives up. */
typedef int stream_idle_fn(void *opaque);

struct stream {
	int fd;		      /* the caller's */
	stream_idle_fn *idle; /* may be NULL */
	void *opaque;
	size_t surely_written; /* at most so many bytes can be written without waiting, once any can */
};

void vhdx_stream_init(struct stream *stream, int fd);

/* Waits for bytes, and reads at most @size. 0 at the end; -ECANCELED when idle gives up, whose error it is. */
ssize_t vhdx_stream_read(const struct stream *stream, void *buf, size_t size);

/* Writes at least one byte, at most @size. Errors as vhdx_stream_read. */
ssize_t vhdx_stream_write(const struct stream *stream, const void *buf, size_t size);

#endif
