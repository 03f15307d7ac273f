/* SPDX-License-Identifier: MIT */
/* Opens the disks that operands name: images in files, and in storage with a scheme. */
#ifndef CLI_DISK_H
#define CLI_DISK_H

#include <vhdx.h>

#include "options.h"

/*
 * Opens the disk that @name means, by @how, of chain_open_options. Returns STATUS_DONE, or the exit status, with the
 * error reported.
 */
int disk_open(const char *name, const struct chain_options *chain,
	      const struct vhdx_open_options *how, struct vhdx **ret_disk);

/* As disk_open, of an image in storage that is open already. Takes @io over. */
int disk_open_io(struct vhdx_io *io, const char *name, const struct chain_options *chain,
		 const struct vhdx_open_options *how, struct vhdx **ret_disk);

/* Opens storage that may hold an image, as remote_open_image does; to be closed. Returns as disk_open. */
int disk_open_storage(const char *name, bool writing, const struct chain_options *chain,
		      struct vhdx_io *ret_io);

/*
 * Of a verb that works on files: reports that @name means something else, and returns the exit status; else
 * STATUS_DONE. @what says what the verb could not do there.
 */
int disk_must_be_file(const char *name, const char *what);

/* Of a verb that finds parents by itself: reports --parent-uri as wrong, as disk_must_be_file does. */
int disk_refuse_parent_uris(const struct chain_options *chain);

#endif
