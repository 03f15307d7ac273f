/* SPDX-License-Identifier: MIT */
/*
 * Decides what an operand that is written to means. New files are left to the library, which makes
 * them appear whole; pipes and character devices are opened here.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "destination.h"
#include "foreign.h"
#include "remotedisk.h"
#include "report.h"

/* What is written in order holds raw contents only. */
static int check_stream(const struct destination *destination)
{
	if (destination->view.format == VHDX_FORMAT_VHDX)
		return report_error(destination->name,
				    "a VHDX cannot be written here (expected a file)");
	return STATUS_DONE;
}

static void use_fd(struct destination *destination, int fd)
{
	destination->view.use_fd = 1;
	destination->view.fd = fd;
}

static int open_stream(struct destination *destination)
{
	int status = check_stream(destination);

	if (status)
		return status;
	int fd = open(destination->name, O_WRONLY | O_CLOEXEC);

	if (fd < 0)
		return report_errno(destination->name, "cannot be opened", errno);
	use_fd(destination, fd);
	destination->opened_fd = true;
	return STATUS_DONE;
}

static int open_existing(struct destination *destination, const struct stat *st)
{
	if (S_ISDIR(st->st_mode))
		return report_error(destination->name, "is a directory (expected a file)");
	if (!S_ISREG(st->st_mode) && !S_ISBLK(st->st_mode))
		return open_stream(destination);
	destination->view.path = destination->name;
	return STATUS_DONE;
}

static int open_stdout(struct destination *destination)
{
	destination->name = "standard output";
	if (isatty(STDOUT_FILENO))
		return report_error(destination->name, "is a terminal (expected a pipe or a file)");
	use_fd(destination, STDOUT_FILENO);
	return check_stream(destination);
}

/* An export must be there, and is overwritten, as a device is. Whoever opens an image relies on what was flushed. */
static int open_there(struct destination *destination, const struct remote_options *options,
		      struct remote_error *ret_error)
{
	return (destination->view.format == VHDX_FORMAT_VHDX ? remote_open_image : remote_open)(
		destination->name, true, options, &destination->remote, ret_error);
}

static int open_remote(struct destination *destination, bool replace,
		       const struct remote_options *options)
{
	const char *name = destination->name;
	bool is_new = remote_kind(name) == REMOTE_RBD;
	struct remote_error error;

	if (is_new && destination->view.format == VHDX_FORMAT_VHDX)
		return report_error(name, "a VHDX cannot be written here (expected -O raw)");
	int ret = is_new ? remote_target_begin(name, replace, options, &destination->target,
					       &destination->remote, &error)
			 : open_there(destination, options, &error);

	if (ret)
		return report_error(name, "%s", error.text);
	destination->view.io = &destination->remote;
	destination->view.name = name;
	return STATUS_DONE;
}

/* An export named as an image shows what is in the image. */
enum vhdx_format destination_format(const char *name, enum format_choice format)
{
	if (format == FORMAT_AUTO)
		return format_is_vhdx_name(name) && !remote_kind(name) ? VHDX_FORMAT_VHDX
								       : VHDX_FORMAT_RAW;
	return format == FORMAT_IS_VHDX ? VHDX_FORMAT_VHDX : VHDX_FORMAT_RAW;
}

int destination_open(struct destination *destination, const char *name, enum format_choice format,
		     bool replace, const struct remote_options *remote)
{
	struct stat st;

	if (format == FORMAT_AUTO && foreign_suffix(name) && remote_kind(name) == REMOTE_NONE)
		report_warning(
			NULL, name,
			"holds a raw disk, whatever its name says (-O raw says the same without "
			"this warning)");
	*destination = (struct destination){
		.name = name,
		.view = {.size = sizeof(destination->view),
			 .format = destination_format(name, format)},
	};
	if (!strcmp(name, "-"))
		return open_stdout(destination);
	if (remote_kind(name))
		return open_remote(destination, replace, remote);
	if (!stat(name, &st))
		return open_existing(destination, &st);
	if (errno != ENOENT)
		return report_errno(name, "cannot be made", errno);
	destination->view.path = name;
	return STATUS_DONE;
}

int destination_finish(struct destination *destination)
{
	struct remote_target *target = destination->target;
	struct remote_error error;

	destination->target = NULL;
	if (target && remote_target_finish(target, &error))
		return report_error(destination->name, "%s", error.text);
	return STATUS_DONE;
}

void destination_abandon(struct destination *destination)
{
	remote_target_abandon(destination->target);
	destination->target = NULL;
}

void destination_close(struct destination *destination)
{
	destination_abandon(destination);
	if (destination->remote.close)
		destination->remote.close(destination->remote.opaque);
	if (destination->opened_fd)
		close(destination->view.fd);
}
