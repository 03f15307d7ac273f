/* SPDX-License-Identifier: MIT */
/* A file that appears under its name whole, or not at all. */
#ifndef VHDX_STORE_NEWFILE_H
#define VHDX_STORE_NEWFILE_H

#include <stdbool.h>

#include <vhdx.h>

struct new_file {
	char *path;	 /* where it will appear; not a symbolic link */
	char *name;	 /* its last component */
	char *temporary; /* what it is called until then, in the same folder; NULL: it has no name yet */
	int folder_fd; /* of the folder that holds both */
	bool replace;
	struct vhdx_io
		old; /* the file that is replaced, locked; without functions when there is none */
	struct vhdx_io io; /* to fill it through; a file store */
};

/*
 * Starts an empty file in the folder of @path. With @replace, a regular file at @path is replaced in
 * the end, and its owner and mode are kept; where @path is a symbolic link, what it leads to. -EAGAIN
 * when another process has that file locked. -EEXIST when @path is there and @replace
 * is false. @direct: past the page cache where the file system can.
 */
int vhdx_new_file(const char *path, bool replace, bool direct, struct new_file *ret_file);

/*
 * Gives it its name, after a flush when @durable (then the name is durable too); always ends the store
 * and frees, and after a failure nothing is left. -EEXIST when somebody else was faster.
 */
int vhdx_new_file_publish(struct new_file *file, bool durable);

/* Drops it without a trace. NULL and half-made ones are allowed. */
void vhdx_new_file_discard(struct new_file *file);

#endif
