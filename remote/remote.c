/* SPDX-License-Identifier: MIT */
/* Which kind of storage a name means, and what is said when it cannot be had. */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "cleanup.h"
#include "nbd.h"
#include "patience.h"
#include "rbd.h"
#include "rbdtarget.h"
#include "remote.h"

static const struct {
	const char *prefix;
	enum remote_kind kind;
} schemes[] = {
	{"nbd://", REMOTE_NBD},	      {"nbds://", REMOTE_NBD},	    {"nbd+unix://", REMOTE_NBD},
	{"nbds+unix://", REMOTE_NBD}, {"nbd+vsock://", REMOTE_NBD}, {"nbds+vsock://", REMOTE_NBD},
	{"rbd:", REMOTE_RBD},
};

int remote_fail(struct remote_error *ret_error, int errnum, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(ret_error->text, sizeof(ret_error->text), format, arguments);
	va_end(arguments);
	return -errnum;
}

enum remote_kind remote_kind(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(schemes); i++)
		if (!strncasecmp(name, schemes[i].prefix, strlen(schemes[i].prefix)))
			return schemes[i].kind;
	return REMOTE_NONE;
}

static const struct remote_options defaults;

int remote_open(const char *name, bool writing, const struct remote_options *options,
		struct vhdx_io *ret_io, struct remote_error *ret_error)
{
	if (!options)
		options = &defaults;
	switch (remote_kind(name)) {
	case REMOTE_NBD:
		return nbdio_open(name, writing, options, ret_io, ret_error);
	case REMOTE_RBD:
		return rbdio_open(name, writing, options, ret_io, ret_error);
	case REMOTE_NONE:
	default:
		return remote_fail(ret_error, EINVAL, "is no address of storage");
	}
}

int remote_check_read(struct remote_error *ret_error)
{
	return rbdio_check_read(ret_error);
}

/* Of what is an RBD image; the rest of the target's functions are where that is. */
int remote_target_begin(const char *name, bool replace, const struct remote_options *options,
			struct remote_target **ret_target, struct vhdx_io *ret_io,
			struct remote_error *ret_error)
{
	if (remote_kind(name) != REMOTE_RBD)
		return remote_fail(ret_error, EINVAL, "nothing new can be made there");
	return rbdtarget_begin(name, replace, options ? options : &defaults, ret_target, ret_io,
			       ret_error);
}

int remote_get_note(const char *name, const char *key, const struct remote_options *options,
		    char *buf, size_t size, struct remote_error *ret_error)
{
	if (remote_kind(name) != REMOTE_RBD)
		return remote_fail(ret_error, ENOENT, "can have no notes");
	return rbdio_get_note(name, key, options ? options : &defaults, buf, size, ret_error);
}

void remote_say_left(struct remote_error *error)
{
	size_t used = strlen(error->text);

	if (remote_left()[0])
		snprintf(error->text + used, sizeof(error->text) - used, "; %s", remote_left());
}

unsigned remote_silence(void)
{
	return patience_silence();
}

bool remote_hangs(void)
{
	return patience_was_lost();
}
