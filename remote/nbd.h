/* SPDX-License-Identifier: MIT */
/* An NBD export as storage. */
#ifndef REMOTE_NBD_H
#define REMOTE_NBD_H

#include "remote.h"

/* As remote_open, of the export at @uri. */
int nbdio_open(const char *uri, bool writing, const struct remote_options *options,
	       struct vhdx_io *ret_io, struct remote_error *ret_error);

#endif
