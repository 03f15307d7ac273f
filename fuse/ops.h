/* SPDX-License-Identifier: MIT */
/* What the kernel asks of a mount; each request's user data is the struct tree. */
#ifndef FUSE_OPS_H
#define FUSE_OPS_H

#include <fuse_lowlevel.h>

#include "tree.h"

/* The most that one request reads or writes. */
#define REQUEST_MAX (1u << 20)

static inline struct tree *tree_of(fuse_req_t request)
{
	return fuse_req_userdata(request);
}

/* ops_names.c: the folder, opening, attributes. */
void ops_lookup(fuse_req_t request, fuse_ino_t parent, const char *name);
void ops_readdir(fuse_req_t request, fuse_ino_t inode, size_t size, off_t offset,
		 struct fuse_file_info *file);
void ops_getattr(fuse_req_t request, fuse_ino_t inode, struct fuse_file_info *file);
void ops_setattr(fuse_req_t request, fuse_ino_t inode, struct stat *attr, int to_set,
		 struct fuse_file_info *file);
void ops_statfs(fuse_req_t request, fuse_ino_t inode);
void ops_open(fuse_req_t request, fuse_ino_t inode, struct fuse_file_info *file);
void ops_mknod(fuse_req_t request, fuse_ino_t parent, const char *name, mode_t mode, dev_t device);
void ops_mkdir(fuse_req_t request, fuse_ino_t parent, const char *name, mode_t mode);
void ops_remove(fuse_req_t request, fuse_ino_t parent, const char *name);
void ops_rename(fuse_req_t request, fuse_ino_t parent, const char *name, fuse_ino_t new_parent,
		const char *new_name, unsigned flags);

/* ops_data.c: the bytes. */
void ops_read(fuse_req_t request, fuse_ino_t inode, size_t size, off_t offset,
	      struct fuse_file_info *file);
void ops_write(fuse_req_t request, fuse_ino_t inode, const char *data, size_t size, off_t offset,
	       struct fuse_file_info *file);
void ops_fsync(fuse_req_t request, fuse_ino_t inode, int datasync, struct fuse_file_info *file);
void ops_fallocate(fuse_req_t request, fuse_ino_t inode, int mode, off_t offset, off_t length,
		   struct fuse_file_info *file);
void ops_lseek(fuse_req_t request, fuse_ino_t inode, off_t offset, int whence,
	       struct fuse_file_info *file);

#endif
