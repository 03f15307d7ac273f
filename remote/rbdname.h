/* SPDX-License-Identifier: MIT */
/* The name of a Ceph RBD image: rbd:POOL/[NAMESPACE/]IMAGE[@SNAP]. */
#ifndef REMOTE_RBDNAME_H
#define REMOTE_RBDNAME_H

#include "remote.h"

#define RBDNAME_SCHEME "rbd:"

/* Room for each part: more than Ceph takes. */
#define RBDNAME_MAX 256

struct rbdname {
	char pool[RBDNAME_MAX];
	char space[RBDNAME_MAX]; /* empty: the pool's own namespace */
	char image[RBDNAME_MAX];
	char snap[RBDNAME_MAX]; /* empty: the image as it is now */
};

/* Returns 0, or -EINVAL with @ret_error set. */
int rbdname_parse(const char *text, struct rbdname *ret_name, struct remote_error *ret_error);

#endif
