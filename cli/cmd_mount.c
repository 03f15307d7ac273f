/* SPDX-License-Identifier: MIT */
/* vhdx mount: becomes the program that knows FUSE, so that the command itself does not need it. */
#include <errno.h>
#include <stddef.h>
#include <unistd.h>

#include "companion.h"
#include "mount.h"
#include "report.h"
#include "verb.h"

static int run(int argc, char **argv)
{
	char room[PATH_MAX];
	const char *path = companion_find("../fuse/vhdx-mount", MOUNT_INSTALLED, room);

	(void)argc;
	if (!path)
		return report_error(
			NULL,
			"the FUSE mount is not installed (expected %s, of the package vhdx-fuse)",
			MOUNT_INSTALLED);
	execv(path, argv);
	return report_errno(path, "cannot be run", errno);
}

const struct verb verb_mount = {
	.name = MOUNT_NAME,
	.summary = MOUNT_SUMMARY,
	.failed_status = STATUS_FAILED,
	.run = run,
};
