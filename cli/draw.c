/* SPDX-License-Identifier: MIT */
/* Pictures go to new files, which appear whole under their name or not at all, or to standard output. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cleanup.h"
#include "draw.h"
#include "report.h"

#define NEW_MODE 0666 /* the umask takes its share */

/* What is replaced is a regular file, or what a link to one leads to is not. */
static int check_target(const char *path, bool replace)
{
	struct stat st;

	if (lstat(path, &st))
		return errno == ENOENT ? STATUS_DONE : report_errno(path, "cannot be made", errno);
	if (!S_ISREG(st.st_mode))
		return report_error(path, "is no regular file (expected one, or a new name)");
	return replace ? STATUS_DONE : report_error(path, "exists already (--force replaces it)");
}

static int write_whole(int fd, const struct layout *layout, const char *name, draw_fn *function)
{
	FILE *out = fdopen(fd, "w");

	if (!out) {
		int failed = errno;

		close(fd);
		return failed;
	}
	function(out, layout, name);
	int failed = ferror(out) || fflush(out) ? errno : 0;

	if (fclose(out) && !failed)
		failed = errno;
	return failed;
}

static int give_name(const char *temporary, const char *path, bool replace)
{
	if (replace)
		return rename(temporary, path) ? errno : 0;
	if (!renameat2(AT_FDCWD, temporary, AT_FDCWD, path, RENAME_NOREPLACE))
		return 0;
	return errno;
}

static int draw_file(const struct layout *layout, const char *name, const char *path, bool replace,
		     draw_fn *function)
{
	int status = check_target(path, replace);
	auto_free char *temporary = NULL;

	if (status)
		return status;
	if (asprintf(&temporary, "%s.XXXXXX", path) < 0)
		return report_error(NULL, "out of memory");
	int fd = mkstemp(temporary);

	if (fd < 0)
		return report_errno(path, "cannot be made", errno);
	mode_t mask = umask(0);

	umask(mask);
	(void)fchmod(fd, NEW_MODE & ~mask);
	int failed = write_whole(fd, layout, name, function);

	if (!failed)
		failed = give_name(temporary, path, replace);
	if (!failed)
		return STATUS_DONE;
	unlink(temporary);
	return report_errno(path, "cannot be written", failed);
}

int draw_to(const struct layout *layout, const char *name, const char *path, bool replace,
	    draw_fn *function)
{
	if (strcmp(path, "-"))
		return draw_file(layout, name, path, replace, function);
	function(stdout, layout, name);
	return STATUS_DONE; /* whether it arrived, main sees */
}
