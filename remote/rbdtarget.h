/* SPDX-License-Identifier: MIT */
/* A new RBD image, which gets its name when it is whole. All other remote_target_* are its own. */
#ifndef REMOTE_RBDTARGET_H
#define REMOTE_RBDTARGET_H

#include "remote.h"

/* As remote_target_begin, which see. */
int rbdtarget_begin(const char *name, bool replace, const struct remote_options *options,
		    struct remote_target **ret_target, struct vhdx_io *ret_io,
		    struct remote_error *ret_error);

#endif
