/* SPDX-License-Identifier: MIT */
/*
 * Tells complete copies by the identity of what they were made of. A record of a file names the file as it was
 * left, so that one that was replaced, cut or written since is not taken for the copy, and what options made of it, so
 * that neither is one of another type.
 */
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "done.h"
#include "lineage.h"
#include "progress.h"
#include "remote.h"
#include "report.h"

#define SUFFIX ".done"

/* A record is of one form, so that two are compared as text. */
#define RECORD_SIZE 512

#define SECTOR_MAX 4096

#define LOG_LENGTH_DEFAULT (1024 * 1024)

static void cleanup_fd(int *fd)
{
	if (*fd >= 0)
		close(*fd);
}

#define auto_fd __attribute__((cleanup(cleanup_fd)))

/* ---- What can be recorded ---- */

/* A writer beside us changes contents under their GUID; a child without its parents is not what it names. */
#define FLAGS_WITHOUT_IDENTITY \
	(VHDX_OPEN_NO_PARENT | VHDX_OPEN_IGNORE_ID_MISMATCH | VHDX_OPEN_FORCE_SHARE)

/* A new file, or one that is there. */
static bool may_have_record(const char *name)
{
	struct stat st;

	return strcmp(name, "-") && !remote_kind(name) && (stat(name, &st) || S_ISREG(st.st_mode));
}

/* ---- What options decide of the copy ---- */

static void write_image_shape(enum vhdx_type type, uint32_t block_size, uint64_t log_length,
			      uint32_t logical, uint32_t physical, char ret_shape[DONE_SHAPE_SIZE])
{
	snprintf(ret_shape, DONE_SHAPE_SIZE, "vhdx %s block %u log %llu sectors %u %u",
		 type == VHDX_FIXED ? "fixed" : "dynamic", block_size,
		 (unsigned long long)log_length, logical, physical);
}

/* As vhdx_convert fills in what is not given. */
static int decide_shape(struct done *done, const struct vhdx_create_options *image)
{
	struct vhdx_info from = {.size = sizeof(from)};

	if (vhdx_get_info(done->source->disk, &from))
		return report_failure(done->source->name);
	done->has_no_holes = image->flags & VHDX_CREATE_NO_HOLES;
	uint32_t logical = image->logical_sector_size ? image->logical_sector_size
						      : from.logical_sector_size;
	uint32_t kept = from.physical_sector_size > logical ? from.physical_sector_size : logical;

	if (done->format == VHDX_FORMAT_VHDX)
		write_image_shape(
			image->type, image->block_size ? image->block_size : from.block_size,
			image->log_length ? image->log_length : LOG_LENGTH_DEFAULT, logical,
			image->physical_sector_size ? image->physical_sector_size : kept,
			done->shape);
	else
		snprintf(done->shape, sizeof(done->shape), "raw");
	return STATUS_DONE;
}

/* Is the image that is there as the options want it? */
static int look_at_shape(const struct done *done, const struct vhdx *disk, bool *ret_fits)
{
	struct vhdx_info info = {.size = sizeof(info)};
	char shape[DONE_SHAPE_SIZE];

	if (vhdx_get_info(disk, &info))
		return report_failure(done->name);
	write_image_shape(info.type, info.block_size, info.log_length, info.logical_sector_size,
			  info.physical_sector_size, shape);
	*ret_fits = info.type != VHDX_DIFFERENCING && !strcmp(shape, done->shape);
	return STATUS_DONE;
}

/* A file with holes has fewer blocks than bytes. */
static bool may_have_holes(const char *name)
{
	struct stat st;

	return stat(name, &st) || st.st_blocks < st.st_size / 512;
}

int done_begin(struct done *done, const struct source *source, const char *name,
	       enum vhdx_format format, const struct vhdx_create_options *image,
	       const struct options *options)
{
	*done = (struct done){.name = name, .format = format, .source = source};
	if (remote_kind(name) == REMOTE_RBD)
		done->remote = &options->chain.remote;
	if (!source->disk)
		return report_error(source->name, "has no identity to tell it by (expected a VHDX "
						  "with --skip-done)");
	if (options->chain.flags & FLAGS_WITHOUT_IDENTITY)
		return report_error(NULL, "--skip-done cannot tell contents with --no-parent, "
					  "--ignore-id-mismatch or --force-share");
	if (!done->remote && !may_have_record(name))
		return report_error(name, "has no place for a record of it (expected a file or an "
					  "RBD image with --skip-done)");
	int status = decide_shape(done, image);

	return status ? status : contents_identify(source, &done->contents);
}

/* ---- The record with an image in a cluster: it gets its name together with the image ---- */

#define NOTE_KEY "vhdx.source"

static void write_note(const struct done *done, char ret_note[RECORD_SIZE])
{
	snprintf(ret_note, RECORD_SIZE, "%s %s", done->shape, done->contents.identity);
}

int done_note(const struct done *done, const struct destination *destination)
{
	char note[RECORD_SIZE];
	struct remote_error error;

	if (!destination->target)
		return STATUS_DONE;
	int status = contents_check_unchanged(done->source, &done->contents);

	if (status)
		return status;
	write_note(done, note);
	if (!remote_target_set_note(destination->target, NOTE_KEY, note, &error))
		return STATUS_DONE;
	return report_error(done->name, "%s", error.text);
}

/* An image that was resized is not what was left. */
static int look_at_size(const struct done *done, bool *ret_fits)
{
	struct vhdx_io io;
	struct remote_error error;
	uint64_t size = 0;

	if (remote_open(done->name, false, done->remote, &io, &error))
		return report_error(done->name, "%s", error.text);
	int ret = io.get_size(io.opaque, &size);

	io.close(io.opaque);
	*ret_fits = size == done->contents.size;
	return ret ? report_errno(done->name, "cannot be asked for its size", -ret) : STATUS_DONE;
}

/* A note that has no room was not left by us. */
static int look_at_note(const struct done *done, enum done_state *ret_state)
{
	char note[RECORD_SIZE], wanted[RECORD_SIZE];
	struct remote_error error;
	int ret = remote_get_note(done->name, NOTE_KEY, done->remote, note, sizeof(note), &error);

	if (ret && ret != -ENOENT && ret != -ERANGE)
		return report_error(done->name, "%s", error.text);
	write_note(done, wanted);
	bool fits = !ret && !strcmp(note, wanted);
	int status = fits ? look_at_size(done, &fits) : STATUS_DONE;

	if (!status)
		*ret_state = fits ? DONE_COMPLETE : DONE_NOT_THERE;
	return status;
}

/* ---- The record of a file ---- */

static char *record_path(const char *name)
{
	char *path;

	return asprintf(&path, "%s" SUFFIX, name) < 0 ? NULL : path;
}

#define FIRST_LINE "vhdx convert: complete\n"

/*
 * A record up to the contents: the file as it is, and the disk. Returns the length. Who writes may put the time of
 * writing back, as touch -r does, but not that of the last change, which a new name or other permissions set
 * as well: then the copy is compared.
 */
static size_t describe(const struct done *done, const struct stat *st, char ret_text[RECORD_SIZE])
{
	int length = snprintf(
		ret_text, RECORD_SIZE,
		FIRST_LINE "file: %s%s inode %llu size %lld written %lld.%09ld changed %lld.%09ld\n"
			   "disk: %s\n"
			   "contents: ",
		done->shape, done->has_no_holes ? " no-holes" : "", (unsigned long long)st->st_ino,
		(long long)st->st_size, (long long)st->st_mtim.tv_sec, st->st_mtim.tv_nsec,
		(long long)st->st_ctim.tv_sec, st->st_ctim.tv_nsec, done->contents.disk);

	return (size_t)length;
}

/* Is what lies there a record, or one that was cut short? Nothing else is ours to replace. */
static bool is_record(const char *text, size_t length)
{
	const size_t first = strlen(FIRST_LINE);

	return !memcmp(text, FIRST_LINE, length < first ? length : first);
}

static bool is_regular(int fd)
{
	struct stat st;

	return !fstat(fd, &st) && S_ISREG(st.st_mode);
}

static int refuse_record(const char *path)
{
	return report_error(path, "is no record of a copy, which --skip-done would put "
				  "there (rename it, or the copy)");
}

/* The record as a text; "" when there is none. A link, which we never left there, would lead to somebody's file. */
static int read_record(const struct done *done, char ret_text[RECORD_SIZE])
{
	auto_free char *path = record_path(done->name);

	ret_text[0] = '\0';
	if (!path)
		return report_errno(done->name, "cannot be looked for", ENOMEM);
	auto_fd int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOFOLLOW);

	if (fd < 0 && errno == ELOOP)
		return refuse_record(path);
	if (fd < 0)
		return errno == ENOENT ? STATUS_DONE
				       : report_errno(path, "cannot be opened", errno);
	ssize_t count = read(fd, ret_text, RECORD_SIZE - 1);

	if (count < 0)
		return report_errno(path, "cannot be read", errno);
	if (!is_regular(fd) || !is_record(ret_text, (size_t)count))
		return refuse_record(path);
	ret_text[count] = '\0';
	return STATUS_DONE;
}

/* A new name is durable with its folder. */
static int sync_folder(char *path)
{
	auto_fd int fd = open(dirname(path), O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	return fd < 0 || fsync(fd) ? -errno : 0;
}

/* One that is cut short by a crash fits nothing, and is written again. */
static int write_record(char *path, const char *text)
{
	const int flags = O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NONBLOCK | O_NOFOLLOW;
	auto_fd int fd = open(path, flags, 0666);
	size_t length = strlen(text);

	if (fd < 0)
		return -errno;
	ssize_t count = write(fd, text, length);

	if (count != (ssize_t)length)
		return count < 0 ? -errno : -ENOSPC;
	return fsync(fd) ? -errno : sync_folder(path);
}

/* Of a copy that was found, nobody knows whether it is durable. */
static int sync_copy(const char *name, struct stat *ret_st)
{
	auto_fd int fd = open(name, O_RDONLY | O_CLOEXEC);

	return fd < 0 || fsync(fd) || fstat(fd, ret_st) ? -errno : 0;
}

int done_record(const struct done *done)
{
	auto_free char *path = record_path(done->name);
	char text[RECORD_SIZE];
	struct stat st;

	if (done->remote)
		return STATUS_DONE;
	int status = contents_check_unchanged(done->source, &done->contents);

	if (status)
		return status;
	int ret = path ? sync_copy(done->name, &st) : -ENOMEM;

	if (!ret) {
		size_t length = describe(done, &st, text);

		snprintf(text + length, sizeof(text) - length, "%s\n", done->contents.identity);
		ret = write_record(path, text);
	}
	return ret ? report_errno(done->name, "is complete, but its record cannot be written", -ret)
		   : STATUS_DONE;
}

/* ---- What there is ---- */

/* Opens the file as what it is to be. NULL in @ret_disk: raw contents, or no VHDX though one is expected. What fits is
 * of the format and the shape that is wanted. */
static int open_copy(const struct done *done, struct vhdx_source *view, struct vhdx **ret_disk,
		     bool *ret_fits)
{
	struct vhdx_open_options alone = {.size = sizeof(alone), .flags = VHDX_OPEN_NO_PARENT};

	*ret_fits = !done->has_no_holes || !may_have_holes(done->name);
	view->path = done->name;
	if (!*ret_fits || done->format != VHDX_FORMAT_VHDX)
		return STATUS_DONE;
	int is_image = vhdx_probe(done->name);

	*ret_fits = is_image > 0;
	if (is_image <= 0)
		return is_image ? report_failure(done->name) : STATUS_DONE;
	view->path = NULL;
	if (vhdx_open(done->name, &alone, ret_disk))
		return report_failure(done->name);
	view->disk = *ret_disk;
	return look_at_shape(done, *ret_disk, ret_fits);
}

/* Compares with the source. The size is part of what a disk holds, but for what fills its last sector. */
static int compare_copy(const struct done *done, const struct options *options, bool *ret_same)
{
	struct vhdx_source copy = {.size = sizeof(copy)};
	struct vhdx_compare_options how = {.size = sizeof(how), .progress = progress_update};
	struct vhdx_difference found = {.size = sizeof(found)};
	struct progress progress;
	auto_disk struct vhdx *disk = NULL;
	bool fits;
	int status = open_copy(done, &copy, &disk, &fits);

	*ret_same = false;
	if (status || !fits)
		return status;
	progress_begin(&progress, options);
	how.opaque = &progress;
	int ret = vhdx_compare(&done->source->view, &copy, &how, &found);

	progress_end(&progress, !ret);
	status = source_check_read(ret);
	if (status)
		return status;
	if (ret)
		return report_failure(done->name);
	*ret_same = !found.differ && found.b_size >= found.a_size &&
		    found.b_size - found.a_size < SECTOR_MAX;
	return STATUS_DONE;
}

int done_compare(const struct done *done, const struct options *options, enum done_state *ret_state)
{
	bool same;
	int status = compare_copy(done, options, &same);

	if (status)
		return status;
	*ret_state = same ? DONE_COMPLETE : DONE_UNKNOWN;
	return same ? done_record(done) : STATUS_DONE;
}

int done_look(const struct done *done, enum done_state *ret_state)
{
	char fitting[RECORD_SIZE], text[RECORD_SIZE];
	struct stat st;

	*ret_state = DONE_NOT_THERE;
	if (done->remote)
		return look_at_note(done, ret_state);
	int status = read_record(done, text);

	if (status || stat(done->name, &st) || lineage_find(done->source->disk, &st) >= 0)
		return status;
	size_t length = describe(done, &st, fitting);

	if (strncmp(text, fitting, length)) {
		*ret_state = DONE_UNKNOWN;
		return STATUS_DONE;
	}
	snprintf(fitting + length, sizeof(fitting) - length, "%s\n", done->contents.identity);
	*ret_state = strcmp(text, fitting) ? DONE_OUTDATED : DONE_COMPLETE;
	return STATUS_DONE;
}
