/* SPDX-License-Identifier: MIT */
/* Stands for rbd.c and rbdtarget.c where this is built without librbd. */
#include <errno.h>

#include "patience.h"
#include "rbd.h"
#include "rbdtarget.h"

static int refuse(struct remote_error *ret_error)
{
	return remote_fail(ret_error, ENOTSUP, "this vhdx was built without Ceph");
}

int rbdio_open(const char *name, bool writing, const struct remote_options *options,
	       struct vhdx_io *ret_io, struct remote_error *ret_error)
{
	(void)name;
	(void)writing;
	(void)options;
	(void)ret_io;
	return refuse(ret_error);
}

int rbdio_check_read(struct remote_error *ret_error)
{
	(void)ret_error;
	return 0;
}

int rbdio_get_note(const char *name, const char *key, const struct remote_options *options,
		   char *buf, size_t size, struct remote_error *ret_error)
{
	(void)name;
	(void)key;
	(void)options;
	(void)buf;
	(void)size;
	return refuse(ret_error);
}

int rbdtarget_begin(const char *name, bool replace, const struct remote_options *options,
		    struct remote_target **ret_target, struct vhdx_io *ret_io,
		    struct remote_error *ret_error)
{
	(void)name;
	(void)replace;
	(void)options;
	(void)ret_target;
	(void)ret_io;
	return refuse(ret_error);
}

int remote_target_set_note(struct remote_target *target, const char *key, const char *value,
			   struct remote_error *ret_error)
{
	(void)target;
	(void)key;
	(void)value;
	return refuse(ret_error);
}

int remote_target_finish(struct remote_target *target, struct remote_error *ret_error)
{
	(void)target;
	return refuse(ret_error);
}

void remote_target_abandon(struct remote_target *target)
{
	(void)target;
}

const char *remote_left(void)
{
	return "";
}
