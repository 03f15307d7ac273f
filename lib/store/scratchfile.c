/* SPDX-License-Identifier: MIT */
/* A file without a name, for what does not fit in memory; it is gone when it is closed. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "store/file.h"
#include "store/io.h"
#include "store/scratchfile.h"

#define PROBE_SIZE 4096u

const char *vhdx_scratch_folder(void)
{
	const char *folder = secure_getenv("TMPDIR");

	return folder && *folder ? folder : "/var/tmp";
}

/* For file systems without nameless files. */
static int open_and_unlink(const char *folder)
{
	auto_free char *path = NULL;

	if (asprintf(&path, "%s/.vhdx-XXXXXX", folder) < 0) {
		path = NULL;
		errno = ENOMEM;
		return -1;
	}
	int fd = mkostemp(path, O_CLOEXEC);

	if (fd >= 0)
		unlink(path);
	return fd;
}

int vhdx_scratch_file(const char *folder, struct vhdx_io *ret_io)
{
	int fd = open(folder, O_TMPFILE | O_RDWR | O_EXCL | O_CLOEXEC, 0600);

	if (fd < 0)
		fd = open_and_unlink(folder);
	if (fd < 0)
		return vhdx_fail_errno(-errno, folder, "a temporary file cannot be made there");
	return vhdx_file_io_from_fd(fd, -1, ret_io);
}

bool vhdx_scratch_denies_holes(const struct vhdx_io *scratch, const struct vhdx_io *io)
{
	static const char probe[PROBE_SIZE] = {1};
	struct file_identity one, other;

	if (!vhdx_file_identity(scratch, &one) || !vhdx_file_identity(io, &other) ||
	    one.device != other.device || vhdx_io_write(scratch, probe, PROBE_SIZE, 0))
		return false;
	int ret = vhdx_io_punch(scratch, 0, PROBE_SIZE);

	return vhdx_io_set_size(scratch, 0) || ret == -EOPNOTSUPP;
}
