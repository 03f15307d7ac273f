/* SPDX-License-Identifier: MIT */
/* What a descriptor leads to, by a path: /proc has one for each, also of a file without a name. */
#ifndef VHDX_STORE_REOPEN_H
#define VHDX_STORE_REOPEN_H

#include <fcntl.h>
#include <stdio.h>

#define FD_PATH_SIZE 48

/* Of the calling thread's descriptor. Returns @ret_path. */
static inline const char *fd_path(int fd, char ret_path[FD_PATH_SIZE])
{
	snprintf(ret_path, FD_PATH_SIZE, "/proc/thread-self/fd/%d", fd);
	return ret_path;
}

/* Opens the same file again, with a description of its own. As open(2). */
static inline int fd_reopen(int fd, int flags)
{
	char path[FD_PATH_SIZE];

	return open(fd_path(fd, path), flags | O_CLOEXEC);
}

#endif
