/* SPDX-License-Identifier: MIT */
/* An RBD image that is there, as storage. */
#ifndef REMOTE_RBD_H
#define REMOTE_RBD_H

#include "remote.h"

/* As remote_open. */
int rbdio_open(const char *name, bool writing, const struct remote_options *options,
	       struct vhdx_io *ret_io, struct remote_error *ret_error);

/* As remote_check_read. */
int rbdio_check_read(struct remote_error *ret_error);

/* As remote_get_note. */
int rbdio_get_note(const char *name, const char *key, const struct remote_options *options,
		   char *buf, size_t size, struct remote_error *ret_error);

#endif
