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

/*
 * From now on, or no longer, transfers that are aligned for it go past the page cache, where the file system can. A
 * store that was opened so stays so. Nobody may use the store meanwhile; nothing happens to other storage.
 */
void vhdx_file_set_direct(const struct vhdx_io *io, bool direct);

/* The file is read from front to back from now on, or no longer: the page cache reads more of it ahead. */
void vhdx_file_set_sequential(const struct vhdx_io *io, bool sequential);

/* Has the system begin to write a range to the disk, which a flush then need not wait for from the beginning. */
void vhdx_file_begin_writing(const struct vhdx_io *io, uint64_t offset, uint64_t length);

/* The descriptor of a file store, or -1. It stays the store's. */
int vhdx_file_fd(const struct vhdx_io *io);

#endif
