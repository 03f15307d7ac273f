/* SPDX-License-Identifier: MIT */
/*
 * Opens what contents are read from. The content decides the format, and the name only where a damaged
 * image would else be taken for raw bytes.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "advice.h"
#include "disk.h"
#include "foreign.h"
#include "remote.h"
#include "report.h"
#include "source.h"

bool format_parse(const char *text, enum format_choice *ret_format)
{
	if (!strcmp(text, "raw")) {
		*ret_format = FORMAT_IS_RAW;
	} else if (!strcmp(text, "vhdx")) {
		*ret_format = FORMAT_IS_VHDX;
	} else {
		report_error(NULL, "format '%s' is unknown (expected vhdx or raw)", text);
		return false;
	}
	return true;
}

bool format_is_vhdx_name(const char *name)
{
	const char *dot = strrchr(name, '.');

	return dot && (!strcasecmp(dot, ".vhdx") || !strcasecmp(dot, ".avhdx"));
}

#define SIGNATURE_SIZE 8

static void use_fd(struct source *source, int fd)
{
	source->view.use_fd = 1;
	source->view.fd = fd;
}

static bool is_image(const char *bytes, ssize_t count)
{
	return count == SIGNATURE_SIZE && !memcmp(bytes, "vhdxfile", SIGNATURE_SIZE);
}

/* An image that was redirected to us must not be taken for raw bytes; of a pipe we cannot know. */
static bool stdin_is_image(void)
{
	char signature[SIGNATURE_SIZE];

	return is_image(signature, pread(STDIN_FILENO, signature, sizeof(signature), 0));
}

static int refuse_image(const struct source *source)
{
	return report_error(source->name,
			    "a VHDX cannot be read from here (expected it as a file)");
}

/* The bytes of an image, or of an archive, would become a disk that nothing can use. */
static int check_foreign(const struct source *source, const char *path)
{
	const struct foreign *foreign = foreign_find(path);

	if (!foreign || foreign->is_disk)
		return STATUS_DONE;
	return report_error(source->name,
			    "is %s: %s (expected a VHDX or a raw disk; -f raw takes "
			    "the bytes as they are)",
			    foreign->name, foreign->advice);
}

static int open_stdin(struct source *source, enum format_choice format)
{
	struct stat st;

	source->name = "standard input";
	if (fstat(STDIN_FILENO, &st))
		return report_errno(source->name, "cannot be read", errno);
	if (S_ISDIR(st.st_mode))
		return report_error(source->name, "is a directory (expected raw contents)");
	if (isatty(STDIN_FILENO))
		return report_error(source->name, "is a terminal (expected a pipe or a file)");
	if (format == FORMAT_IS_VHDX || (format == FORMAT_AUTO && stdin_is_image()))
		return refuse_image(source);
	use_fd(source, STDIN_FILENO);
	return format == FORMAT_AUTO ? check_foreign(source, "/dev/stdin") : STATUS_DONE;
}

/* Pipes and character devices have no size and are read in order. */
static int open_stream(struct source *source, enum format_choice format)
{
	if (format == FORMAT_IS_VHDX)
		return report_error(source->name,
				    "a VHDX must be a regular file or a block device");
	int fd = open(source->name, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return report_errno(source->name, "cannot be opened", errno);
	use_fd(source, fd);
	source->opened_fd = true;
	return STATUS_DONE;
}

/* The content decides, for an export has any name. Storage that cannot be read at all is reported. */
static int probe_remote(const struct source *source, bool *ret_is_image)
{
	char signature[SIGNATURE_SIZE];
	struct iovec iov = {signature, sizeof(signature)};
	ssize_t count = source->remote.preadv(source->remote.opaque, &iov, 1, 0);

	if (count < 0)
		return report_errno(source->name, "cannot be read", (int)-count);
	*ret_is_image = is_image(signature, count);
	return STATUS_DONE;
}

/* The image, in storage that is open already, is the disk's then. */
static int open_remote_disk(struct source *source, const struct chain_options *chain)
{
	struct vhdx_open_options options = chain_open_options(chain, 0);
	struct vhdx_io io = source->remote;

	source->remote = (struct vhdx_io){0};
	int status = disk_open_io(&io, source->name, chain, &options, &source->disk);

	source->view.disk = source->disk;
	return status;
}

static int open_storage(struct source *source, const struct chain_options *chain)
{
	struct remote_error error;

	if (remote_open(source->name, false, &chain->remote, &source->remote, &error))
		return report_error(source->name, "%s", error.text);
	return STATUS_DONE;
}

static int open_remote(struct source *source, enum format_choice format,
		       const struct chain_options *chain)
{
	bool is_image = format == FORMAT_IS_VHDX;
	int status = open_storage(source, chain);

	source->is_remote = true;
	if (!status && format == FORMAT_AUTO)
		status = probe_remote(source, &is_image);
	if (status)
		return status;
	if (is_image)
		return open_remote_disk(source, chain);
	source->view.io = &source->remote;
	source->view.name = source->name;
	return STATUS_DONE;
}

static int open_disk(struct source *source, const struct chain_options *chain)
{
	struct vhdx_open_options options = chain_open_options(chain, 0);
	int status = disk_open(source->name, chain, &options, &source->disk);

	source->is_remote = chain->nparent_uris;
	source->view.disk = source->disk;
	return status;
}

static int open_file(struct source *source, enum format_choice format,
		     const struct chain_options *chain)
{
	int is_image = format == FORMAT_IS_VHDX;

	if (format == FORMAT_AUTO) {
		is_image = vhdx_probe(source->name);
		if (is_image < 0)
			return report_failure(source->name);
		is_image = is_image || format_is_vhdx_name(source->name);
	}
	if (is_image)
		return open_disk(source, chain);
	source->view.path = source->name;
	if (chain->flags & VHDX_OPEN_FORCE_SHARE)
		source->view.flags |= VHDX_SOURCE_FORCE_SHARE;
	return format == FORMAT_AUTO ? check_foreign(source, source->name) : STATUS_DONE;
}

int source_open(struct source *source, const char *name, enum format_choice format,
		const struct chain_options *chain)
{
	struct stat st;

	*source = (struct source){.name = name, .view = {.size = sizeof(source->view)}};
	if (!strcmp(name, "-"))
		return open_stdin(source, format);
	if (remote_kind(name))
		return open_remote(source, format, chain);
	if (stat(name, &st))
		return report_error(name, "cannot be opened: %s%s", strerror(errno),
				    advice_on_name(name));
	if (S_ISDIR(st.st_mode))
		return report_error(name, "is a directory (expected a disk image)");
	if (!S_ISREG(st.st_mode) && !S_ISBLK(st.st_mode))
		return open_stream(source, format);
	return open_file(source, format, chain);
}

/* Of what does not answer, or is not wanted any more, nothing is asked. */
int source_check_read(int result)
{
	struct remote_error error;

	if (result == -ECANCELED || (result && remote_hangs()))
		return STATUS_DONE;
	return remote_check_read(&error) ? report_error(NULL, "%s", error.text) : STATUS_DONE;
}

void source_close(struct source *source)
{
	vhdx_close(source->disk);
	if (source->remote.close)
		source->remote.close(source->remote.opaque);
	if (source->opened_fd)
		close(source->view.fd);
}
