/* SPDX-License-Identifier: MIT */
/* A descriptor that is read or written in order: a pipe, a socket, a terminal, or a file used as one. */
#ifndef VHDX_OPS_STREAM_H
#define VHDX_OPS_STREAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* Asked now and then while the other end keeps us waiting; another value than 0 gives up. */
typedef int stream_idle_fn(void *opaque);

struct stream {
	int fd; /* the caller's, unless it is owned */
	bool owns_fd;
	stream_idle_fn *idle; /* may be NULL */
	void *opaque;
	size_t pipe_size;      /* room in it, if it is a pipe that vhdx_stream_enter_pipe saw */
	size_t surely_written; /* at most so many bytes can be written without waiting, once any can */
};

void vhdx_stream_init(struct stream *stream, int fd);

/* Waits for bytes, and reads at most @size. 0 at the end; -ECANCELED when idle gives up, whose error it is. */
ssize_t vhdx_stream_read(const struct stream *stream, void *buf, size_t size);

/* Writes at least one byte, at most @size. Errors as vhdx_stream_read. */
ssize_t vhdx_stream_write(const struct stream *stream, const void *buf, size_t size);

/* As vhdx_stream_write, of zeros. */
ssize_t vhdx_stream_write_zeros(const struct stream *stream, uint64_t size);

/*
 * Makes the best of a pipe that is going to be written: as much room as pays, if that may be, and a descriptor that
 * never blocks, which leaves the caller's as it is. Returns its size, or 0: it is no pipe. End it with
 * vhdx_stream_leave_pipe.
 */
size_t vhdx_stream_enter_pipe(struct stream *stream);

/* Also of a stream that is no pipe, and of a zeroed one. */
void vhdx_stream_leave_pipe(struct stream *stream);

/*
 * Writes what a file holds to a pipe without copying it: until it is read, it changes with the file. Returns as
 * vhdx_stream_write, 0 at the file's end, -EINVAL where the file's pages cannot be had.
 */
ssize_t vhdx_stream_take(const struct stream *stream, int fd, uint64_t offset, uint64_t size);

#endif
