/* SPDX-License-Identifier: MIT */
/* The disk that a script works on: opened by its path, or through storage that counts. */
#include <errno.h>
#include <inttypes.h>
#include <libgen.h>
#include <limits.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "tools/session.h"

int refuse(struct session *session, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(session->why, sizeof(session->why), format, args);
	va_end(args);
	return -1;
}

int library_failed(struct session *session, int errnum)
{
	const struct vhdx_error *error = vhdx_last_error();
	const char *name = strerrorname_np(-errnum);
	char place[32] = "";

	session->errnum = errnum;
	if (error->errnum != errnum)
		return refuse(session, "%s, but the last error is %d, \"%s\"", name, error->errnum,
			      error->text);
	if (error->offset != VHDX_NO_OFFSET)
		snprintf(place, sizeof(place), " at 0x%" PRIx64, error->offset);
	return refuse(session, "%s: %s (%s%s)", error->file[0] ? error->file : "-", error->text,
		      name ? name : "?", place);
}

bool parse_number(const char *text, uint64_t *ret_number)
{
	static const char suffixes[] = "KMGT";
	bool hexadecimal = !strncmp(text, "0x", 2);
	uint64_t number;
	const char *suffix;
	unsigned shift = 0;
	char *end;

	if (text[0] < '0' || text[0] > '9')
		return false;
	errno = 0;
	number = strtoull(text, &end, hexadecimal ? 16 : 10);
	if (errno)
		return false;
	suffix = *end ? strchr(suffixes, *end) : NULL;
	if (suffix) {
		shift = 10 * (unsigned)(suffix - suffixes + 1);
		end++;
	}
	if (*end || number > UINT64_MAX >> shift)
		return false;
	*ret_number = number << shift;
	return true;
}

/* The file that a locator of @child names, on this machine. */
static int open_parent(void *opaque, const char *child, const char *key, const char *path,
		       struct vhdx_io *ret_io)
{
	const struct session *session = opaque;
	char folder[PATH_MAX], whole[2 * PATH_MAX];

	(void)child;
	if (strcmp(key, "relative_path"))
		return -ENOENT;
	snprintf(folder, sizeof(folder), "%s", session->path);
	snprintf(whole, sizeof(whole), "%s/%s", dirname(folder), path);
	for (char *c = whole; *c; c++)
		*c = *c == '\\' ? '/' : *c;
	return vhdx_file_io(whole, 0, ret_io);
}

static int open_counted(struct session *session)
{
	bool writable = session->options.flags & VHDX_OPEN_WRITE;
	struct vhdx_open_options options = session->options;
	struct vhdx_io file, io;
	int ret = vhdx_file_io(session->path, writable ? VHDX_FILE_WRITE : 0, &file);

	if (ret)
		return ret;
	ret = count_calls(&file, &session->counts, &io);
	if (ret) {
		file.close(file.opaque);
		return ret;
	}
	options.open_parent = open_parent;
	options.opaque = session;
	options.name = session->path;
	ret = vhdx_open_io(&io, &options, &session->disk);
	if (ret)
		io.close(io.opaque);
	return ret;
}

int session_open(struct session *session)
{
	int ret = session->counted ? open_counted(session)
				   : vhdx_open(session->path, &session->options, &session->disk);

	return ret ? library_failed(session, ret) : 0;
}

int session_close(struct session *session)
{
	struct vhdx *disk = session->disk;
	int ret;

	session->disk = NULL;
	ret = vhdx_close(disk);
	return ret ? library_failed(session, ret) : 0;
}
