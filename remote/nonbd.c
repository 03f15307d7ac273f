/* SPDX-License-Identifier: MIT */
/* Stands for nbd.c where this is built without libnbd. */
#include <errno.h>

#include "nbd.h"

int nbdio_open(const char *uri, bool writing, const struct remote_options *options,
	       struct vhdx_io *ret_io, struct remote_error *ret_error)
{
	(void)uri;
	(void)writing;
	(void)options;
	(void)ret_io;
	return remote_fail(ret_error, ENOTSUP, "this vhdx was built without NBD");
}
