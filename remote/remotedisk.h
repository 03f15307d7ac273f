/* SPDX-License-Identifier: MIT */
/* Virtual disks whose image, or whose parents' images, may lie in remote storage. */
#ifndef REMOTE_REMOTEDISK_H
#define REMOTE_REMOTEDISK_H

#include "remote.h"

/* Where the parents lie, the nearest first: names of storage or files; NULL-terminated, or NULL. */
typedef const char *const *remote_parents;

struct remote_disk_options {
	struct vhdx_open_options
		open; /* as for vhdx_open; its name, open_parent and next_parent are not used */
	remote_parents parents;
	struct remote_options storage;
};

/*
 * Opens storage that holds an image, as remote_open does. What is only read is read ahead; where it is written,
 * a flush must be possible.
 */
int remote_open_image(const char *name, bool writing, const struct remote_options *options,
		      struct vhdx_io *ret_io, struct remote_error *ret_error);

/*
 * Opens the disk that @name means, the name of storage or a file, and its parents. All of @parents must be part of
 * the chain. Returns 0, or a negative errno with @ret_error set; its text is empty when vhdx_last_error() tells.
 */
int remote_open_disk(const char *name, const struct remote_disk_options *options,
		     struct vhdx **ret_disk, struct remote_error *ret_error);

/* As remote_open_disk, of an image in storage that is open already, called @name. Takes @io over. */
int remote_open_disk_io(struct vhdx_io *io, const char *name,
			const struct remote_disk_options *options, struct vhdx **ret_disk,
			struct remote_error *ret_error);

#endif
