/* SPDX-License-Identifier: MIT */
/* The folder's names, and what stat(2) says. Neither names nor sizes can be changed through a mount. */
#include <errno.h>
#include <fcntl.h>
#include <linux/fuse.h>
#include <string.h>
#include <sys/statvfs.h>

#include "ops.h"

/* Nothing changes but the image's times and space. */
#define ATTRIBUTES_SECONDS 1.0
/* A name may get another inode when the table is changed, which can only be where one can write. */
#define NAMES_SECONDS 3600.0

void ops_lookup(fuse_req_t request, fuse_ino_t parent, const char *name)
{
	struct tree *tree = tree_of(request);
	uint64_t inode = parent == INODE_ROOT ? tree_find(tree, name) : 0;
	struct fuse_entry_param entry = {
		.ino = inode,
		.attr_timeout = ATTRIBUTES_SECONDS,
		.entry_timeout = tree->writable ? 0 : NAMES_SECONDS,
	};

	if (!inode || !tree_stat(tree, inode, &entry.attr))
		fuse_reply_err(request, ENOENT);
	else
		fuse_reply_entry(request, &entry);
}

/* Entry number @index of the folder as readdir counts them; false past the last. */
static bool list(struct tree *tree, uint64_t index, char name[FILE_NAME_SIZE], struct stat *attr)
{
	uint64_t inode = INODE_ROOT;

	attr->st_mode = S_IFDIR;
	if (index < 2) {
		strcpy(name, index ? ".." : ".");
	} else {
		attr->st_mode = S_IFREG;
		if (!tree_list(tree, index - 2, name, &inode))
			return false;
	}
	attr->st_ino = inode;
	return true;
}

void ops_readdir(fuse_req_t request, fuse_ino_t inode, size_t size, off_t offset,
		 struct fuse_file_info *file)
{
	char buffer[4096], name[FILE_NAME_SIZE];
	struct stat attr = {0};
	size_t used = 0;

	(void)inode;
	(void)file;
	if (size > sizeof(buffer))
		size = sizeof(buffer);
	for (uint64_t i = (uint64_t)offset; list(tree_of(request), i, name, &attr); i++) {
		size_t needed = fuse_add_direntry(request, buffer + used, size - used, name, &attr,
						  (off_t)i + 1);

		if (needed > size - used)
			break;
		used += needed;
	}
	fuse_reply_buf(request, buffer, used);
}

/* ENXIO is what a device says that is gone. */
static void reply_stat(fuse_req_t request, fuse_ino_t inode)
{
	struct stat attr;

	if (tree_stat(tree_of(request), inode, &attr))
		fuse_reply_attr(request, &attr, ATTRIBUTES_SECONDS);
	else
		fuse_reply_err(request, ENXIO);
}

void ops_getattr(fuse_req_t request, fuse_ino_t inode, struct fuse_file_info *file)
{
	(void)file;
	reply_stat(request, inode);
}

/* Times are the image's, and setting them is no error, for cp and tar do it. */
void ops_setattr(fuse_req_t request, fuse_ino_t inode, struct stat *attr, int to_set,
		 struct fuse_file_info *file)
{
	struct stat now;

	(void)file;
	if (!tree_stat(tree_of(request), inode, &now))
		fuse_reply_err(request, ENXIO);
	else if (to_set & (FUSE_SET_ATTR_MODE | FUSE_SET_ATTR_UID | FUSE_SET_ATTR_GID))
		fuse_reply_err(request, EPERM);
	else if (to_set & FUSE_SET_ATTR_SIZE && attr->st_size != now.st_size)
		fuse_reply_err(request, EPERM);
	else
		reply_stat(request, inode);
}

/* The loop driver takes the block size for the least that a discard may give back. */
void ops_statfs(fuse_req_t request, fuse_ino_t inode)
{
	struct tree *tree = tree_of(request);
	struct statvfs out = {
		.f_bsize = tree->io_size,
		.f_frsize = tree->io_size,
		.f_blocks = tree->size_bytes / tree->io_size,
		.f_namemax = FILE_NAME_SIZE - 1,
		.f_flag = tree->writable ? 0 : ST_RDONLY,
	};

	(void)inode;
	fuse_reply_statfs(request, &out);
}

/*
 * A partition's bytes are the disk's too, and the kernel knows nothing of it: where one can write, it is
 * to keep no copies, so that every file shows at once what was written through another. Little is lost,
 * for block devices made from the files keep their own. And requests need not wait for each other: the
 * library takes them at once, and no size changes.
 */
static void reply_writable(fuse_req_t request)
{
	/* As libfuse does it; it knows the second flag only since 3.15. */
	struct fuse_open_out out = {
		.open_flags = FOPEN_DIRECT_IO | FOPEN_PARALLEL_DIRECT_WRITES,
	};

	fuse_reply_buf(request, (const char *)&out, sizeof(out));
}

void ops_open(fuse_req_t request, fuse_ino_t inode, struct fuse_file_info *file)
{
	struct tree *tree = tree_of(request);
	struct range range;

	file->keep_cache = 1;
	if (!tree_range(tree, inode, &range))
		fuse_reply_err(request, ENXIO);
	else if (!tree->writable && (file->flags & O_ACCMODE) != O_RDONLY)
		fuse_reply_err(request, EROFS);
	else if (file->flags & O_TRUNC)
		fuse_reply_err(request, EPERM);
	else if (tree->writable)
		reply_writable(request);
	else
		fuse_reply_open(request, file);
}

/* ---- What is refused: names are made by tables only ---- */

void ops_mknod(fuse_req_t request, fuse_ino_t parent, const char *name, mode_t mode, dev_t device)
{
	(void)parent;
	(void)name;
	(void)mode;
	(void)device;
	fuse_reply_err(request, EPERM);
}

void ops_mkdir(fuse_req_t request, fuse_ino_t parent, const char *name, mode_t mode)
{
	ops_mknod(request, parent, name, mode, 0);
}

void ops_remove(fuse_req_t request, fuse_ino_t parent, const char *name)
{
	ops_mknod(request, parent, name, 0, 0);
}

void ops_rename(fuse_req_t request, fuse_ino_t parent, const char *name, fuse_ino_t new_parent,
		const char *new_name, unsigned flags)
{
	(void)new_parent;
	(void)new_name;
	(void)flags;
	ops_mknod(request, parent, name, 0, 0);
}
