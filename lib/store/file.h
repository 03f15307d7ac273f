/* SPDX-License-Identifier: MIT */
/* Storage in a POSIX file or block device; vhdx_file_io of <vhdx.h> opens one by path. */
#ifndef VHDX_STORE_FILE_H
#define VHDX_STORE_FILE_H

#include <stdbool.h>
#include <sys/types.h>

#include <vhdx.h>

/* Takes @fd over, also on failure. @direct_fd, or -1: the same file opened with O_DIRECT. */
int vhdx_file_io_from_fd(int fd, int direct_fd, struct vhdx_io *ret_io);

/*
 * Opens the regular file at @path, which holds no symbolic link, without side effects on anything else.
 * @flags: VHDX_FILE_WRITE.
 */
int vhdx_file_io_resolved(const char *path, uint32_t flags, struct vhdx_io *ret_io);

/* Which file it is; false when @io is no file store. */
struct file_identity {
	dev_t device;
	ino_t inode;
};

bool vhdx_file_identity(const struct vhdx_io *io, struct file_identity *ret_identity);

/* Bytes of a file store that have space; false when @io is none. */
bool vhdx_file_allocated(const struct vhdx_io *io, uint64_t *ret_bytes);

/* The descriptor of a file store, or -1. It stays the store's. */
int vhdx_file_fd(const struct vhdx_io *io);

#endif
