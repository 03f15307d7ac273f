/* SPDX-License-Identifier: MIT */
/* What of the library's failures goes to nbdkit's log, and what to the client. */
#define NBDKIT_API_VERSION 2
#include <nbdkit-plugin.h>

#include <errno.h>

#include <vhdx.h>

#include "answer.h"

/* What an NBD client can be told; it would take all else for its own mistake (EINVAL). */
static int to_nbd_errno(int errnum)
{
	switch (errnum) {
	case EPERM:
	case EROFS:
	case EIO:
	case ENOMEM:
	case EINVAL:
	case ENOSPC:
	case EDQUOT:
	case EFBIG:
	case EOVERFLOW:
	case EOPNOTSUPP:
	case ESHUTDOWN:
		return errnum;
	default:
		return EIO;
	}
}

int answer_failure(int ret)
{
	const struct vhdx_error *error = vhdx_last_error();

	if (*error->file)
		nbdkit_error("%s: %s", error->file, error->text);
	else
		nbdkit_error("%s", error->text);
	nbdkit_set_error(to_nbd_errno(-ret));
	return -1;
}

int answer_error(const char *file, const char *text, int ret)
{
	nbdkit_error("%s: %s", file, text);
	nbdkit_set_error(to_nbd_errno(-ret));
	return -1;
}

void answer_warning(void *opaque, const char *file, const char *text)
{
	(void)opaque;
	nbdkit_error("warning: %s: %s", file, text);
}
