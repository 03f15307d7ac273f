/* SPDX-License-Identifier: MIT */
/* Repair of files: opens and locks the image, finds an undo file that was left, and makes the new one. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/options.h"
#include "ops/mend.h"
#include "ops/undo.h"
#include "store/file.h"
#include "store/io.h"
#include "store/newfile.h"
#include "store/scratchfile.h"

#define UNDO_SUFFIX ".undo"
#define UNDO_MODE   0600 /* it holds parts of the disk, and its owner is whoever repairs */

/* The repair of a file. */
struct file_repair {
	const char *path;
	struct vhdx_repair_options how;
	struct vhdx_io image;
	struct vhdx_io scratch;
	bool is_device;

	char *undo_path; /* NULL: there is no place for it */
	struct new_file new_undo;
	struct vhdx_io undo; /* the one that was left, then the new one */

	/* A dry run undoes what was left on a draft of its own. */
	struct vhdx_io first_scratch;
	struct draft *first_draft;
};

static void close_repair(struct file_repair *repair)
{
	vhdx_draft_close(repair->first_draft);
	vhdx_io_close(&repair->first_scratch);
	vhdx_new_file_discard(&repair->new_undo);
	vhdx_io_close(&repair->undo);
	vhdx_io_close(&repair->scratch);
	vhdx_io_close(&repair->image);
	free(repair->undo_path);
}

static bool is_dry_run(const struct file_repair *repair)
{
	return repair->how.flags & VHDX_REPAIR_DRY_RUN;
}

/* ---- The image ---- */

static int lock_to_write(const char *path, const struct vhdx_io *io, uint32_t flags)
{
	int ret = io->lock(io->opaque, 1);

	if (ret == -EAGAIN)
		return vhdx_fail(ret, NO_PROBLEM, path, VHDX_NO_OFFSET,
				 "is in use by another process (expected it free, to be repaired)");
	if (ret && !(flags & VHDX_REPAIR_NO_LOCK))
		return vhdx_fail(
			-ENOLCK, NO_PROBLEM, path, VHDX_NO_OFFSET,
			"its file system has no locks: nothing keeps others out while it is "
			"written (expected locks, or the option no-lock)");
	return 0;
}

static int lock_to_read(const char *path, const struct vhdx_io *io)
{
	if (io->lock(io->opaque, 0) == -EAGAIN)
		return vhdx_fail(-EAGAIN, NO_PROBLEM, path, VHDX_NO_OFFSET,
				 "is open for writing in another process (expected no writer)");
	return 0;
}

static bool is_device(const struct vhdx_io *io)
{
	struct stat st;

	return !fstat(vhdx_file_fd(io), &st) && !S_ISREG(st.st_mode);
}

static int open_to_write(const char *path, uint32_t flags, struct vhdx_io *ret_io)
{
	int ret = vhdx_file_io(path, VHDX_FILE_WRITE, ret_io);

	return ret ? ret : lock_to_write(path, ret_io, flags);
}

/* Stand for what the real run would do, to a draft that asks whether it can be done. */
static int refuse_size(void *opaque, uint64_t size)
{
	(void)opaque, (void)size;
	return -EROFS;
}

static int refuse_punch(void *opaque, uint64_t offset, uint64_t length)
{
	(void)opaque, (void)offset, (void)length;
	return -EROFS;
}

static int open_to_read(const char *path, struct vhdx_io *ret_io)
{
	int ret = vhdx_file_io(path, 0, ret_io);

	if (ret)
		return ret;
	ret_io->set_size = refuse_size;
	ret_io->punch = refuse_punch;
	return lock_to_read(path, ret_io);
}

static int take_storage(struct file_repair *repair)
{
	int ret = vhdx_io_adopt(repair->how.io, &repair->image);

	if (ret)
		return ret;
	if (!is_dry_run(repair) && !repair->image.pwritev)
		return vhdx_fail(-EROFS, NO_PROBLEM, repair->path, VHDX_NO_OFFSET,
				 "cannot be written (expected storage with pwritev)");
	repair->image.close = NULL;
	return 0;
}

static int open_file(struct file_repair *repair)
{
	return is_dry_run(repair) ? open_to_read(repair->path, &repair->image)
				  : open_to_write(repair->path, repair->how.flags, &repair->image);
}

/* A device has the size that it has, and what is released there is not seen as a hole. */
static int open_image(struct file_repair *repair)
{
	int ret = repair->how.io ? take_storage(repair) : open_file(repair);

	if (ret)
		return ret;
	repair->is_device = repair->how.io || is_device(&repair->image);
	if (repair->is_device) {
		repair->image.set_size = NULL;
		repair->image.punch = NULL;
	}
	return 0;
}

/* ---- The undo file ---- */

/* Beside a device is no place for it: /dev is gone after a crash. */
static int name_undo(struct file_repair *repair)
{
	if (repair->how.undo_path)
		repair->undo_path = strdup(repair->how.undo_path);
	else if (repair->is_device)
		return 0;
	else if (asprintf(&repair->undo_path, "%s" UNDO_SUFFIX, repair->path) < 0)
		repair->undo_path = NULL;
	return repair->undo_path ? 0 : vhdx_fail_memory();
}

/* The regular file at @path itself. -ENOENT without a record when there is none. */
static int open_undo(const char *path, bool write, struct vhdx_io *ret_io)
{
	struct stat st;
	auto_close int fd =
		open(path, (write ? O_RDWR : O_RDONLY) | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);

	if (fd < 0 && errno == ENOENT)
		return -ENOENT;
	if (fd < 0 && errno == ELOOP)
		return vhdx_fail(-ELOOP, NO_PROBLEM, path, VHDX_NO_OFFSET,
				 "is a symbolic link (expected an undo file, or nothing)");
	if (fd < 0 || fstat(fd, &st))
		return vhdx_fail_errno(-errno, path, "cannot be opened");
	if (!S_ISREG(st.st_mode))
		return vhdx_fail(-EEXIST, NO_PROBLEM, path, VHDX_NO_OFFSET,
				 "is no file (expected an undo file, or nothing)");
	int taken = fd;

	fd = -1;
	return vhdx_file_io_from_fd(taken, -1, ret_io);
}

static int fail_foreign_undo(const struct file_repair *repair)
{
	return vhdx_fail(
		-EEXIST, NO_PROBLEM, repair->undo_path, VHDX_NO_OFFSET,
		"exists already, and is not the undo file of a repair of %s that did not end "
		"(expected nothing there, or another place for it)",
		repair->path);
}

static int begin_undo(void *opaque, const struct vhdx_io **ret_undo)
{
	struct file_repair *repair = opaque;

	if (!repair->undo_path)
		return vhdx_fail(-EINVAL, NO_PROBLEM, repair->path, VHDX_NO_OFFSET,
				 "is a device (expected a path for the undo file)");
	int ret = vhdx_new_file(repair->undo_path, false, false, &repair->new_undo);

	if (ret == -EEXIST || ret == -EINVAL)
		return fail_foreign_undo(repair);
	if (ret)
		return ret;
	/* Publishing closes it, and the end of the repair is noted in it later. */
	int fd = fcntl(vhdx_file_fd(&repair->new_undo.io), F_DUPFD_CLOEXEC, 0);

	if (fd < 0 || fchmod(fd, UNDO_MODE)) {
		ret = vhdx_fail_errno(-errno, repair->undo_path, "cannot be made");
		if (fd >= 0)
			close(fd);
		return ret;
	}
	ret = vhdx_file_io_from_fd(fd, -1, &repair->undo);
	*ret_undo = &repair->undo;
	return ret;
}

static int publish_undo(void *opaque)
{
	struct file_repair *repair = opaque;
	int ret = vhdx_new_file_publish(&repair->new_undo, true);

	return ret == -EEXIST ? fail_foreign_undo(repair) : ret;
}

/* The name of the file that holds @path. */
static char *folder_of(const char *path)
{
	const char *slash = strrchr(path, '/');

	if (!slash)
		return strdup(".");
	return strndup(path, slash == path ? 1 : (size_t)(slash - path));
}

/* What it says is done; a crash may bring it back, and then it is done again. */
static int remove_undo(struct file_repair *repair)
{
	vhdx_io_close(&repair->undo);
	return unlink(repair->undo_path)
		       ? vhdx_fail_errno(-errno, repair->undo_path, "cannot be removed")
		       : 0;
}

/* ---- What an earlier repair left ---- */

/* A dry run puts it back on a draft, which then is the image. */
static int undo_on_draft(struct file_repair *repair)
{
	int ret = vhdx_scratch_file(vhdx_scratch_folder(), &repair->first_scratch);

	if (!ret)
		ret = vhdx_draft_open(&repair->image, &repair->first_scratch, &repair->first_draft);
	return ret ? ret
		   : vhdx_undo_restore(&repair->undo, repair->undo_path,
				       vhdx_draft_io(repair->first_draft), repair->path);
}

static int undo_first(struct file_repair *repair)
{
	bool dry = is_dry_run(repair);
	int ret = dry ? undo_on_draft(repair)
		      : vhdx_undo_restore(&repair->undo, repair->undo_path, &repair->image,
					  repair->path);

	if (ret == -ESTALE)
		return fail_foreign_undo(repair);
	return ret || dry ? ret : remove_undo(repair);
}

/* Any other file there is in the way only when there is something to write. */
static int finish_earlier(struct file_repair *repair, bool *ret_was_used)
{
	bool unfinished = false;
	int ret = repair->undo_path
			  ? open_undo(repair->undo_path, !is_dry_run(repair), &repair->undo)
			  : -ENOENT;

	if (ret == -ENOENT)
		return 0;
	if (!ret && vhdx_undo_is_unfinished(&repair->undo, repair->undo_path, &unfinished))
		unfinished = false;
	if (!ret && unfinished)
		ret = undo_first(repair);
	*ret_was_used = unfinished;
	vhdx_io_close(&repair->undo);
	return ret;
}

/* ---- Doing it ---- */

/* The file itself must not be tried, for that changes its times. */
static void look_for_holes(struct file_repair *repair)
{
	auto_free char *folder = folder_of(repair->path);
	struct vhdx_io probe = {0};
	bool denies = vhdx_scratch_denies_holes(&repair->scratch, &repair->image);

	if (!denies && repair->how.undo_path && !is_dry_run(repair) && folder &&
	    !vhdx_scratch_file(folder, &probe))
		denies = vhdx_scratch_denies_holes(&probe, &repair->image);
	vhdx_io_close(&probe);
	if (denies)
		repair->image.punch = NULL;
}

/* Where there is most likely space for as much as the undo file will need too. */
static int make_scratch(struct file_repair *repair)
{
	auto_free char *folder = repair->undo_path ? folder_of(repair->undo_path) : NULL;
	int ret = -ENOENT;

	if (folder && !is_dry_run(repair))
		ret = vhdx_scratch_file(folder, &repair->scratch);
	if (ret)
		ret = vhdx_scratch_file(vhdx_scratch_folder(), &repair->scratch);
	if (!ret)
		look_for_holes(repair);
	return ret;
}

static int run(struct file_repair *repair, struct vhdx_repair_result *ret_result)
{
	const struct undo_place place = {
		.name = repair->undo_path,
		.opaque = repair,
		.begin = begin_undo,
		.publish = publish_undo,
	};
	bool was_used = false;
	int ret = finish_earlier(repair, &was_used);

	if (!ret)
		ret = make_scratch(repair);
	if (ret)
		return ret;
	repair->how.scratch = &repair->scratch;
	ret = vhdx_repair_placed(repair->first_draft ? vhdx_draft_io(repair->first_draft)
						     : &repair->image,
				 repair->path, &repair->how, &place, ret_result);
	if (!ret)
		ret_result->undo_was_used = was_used;
	return ret;
}

int vhdx_repair(const char *path, const struct vhdx_repair_options *options,
		struct vhdx_repair_result *ret_result)
{
	struct file_repair repair = {.path = path, .new_undo = {.folder_fd = -1}};

	if (!path)
		return vhdx_fail_argument("vhdx_repair: no path");
	int ret =
		vhdx_adopt_options(options, "vhdx_repair_options", sizeof(repair.how), &repair.how);

	if (!ret && (repair.how.undo || repair.how.scratch))
		ret = vhdx_fail_argument("vhdx_repair: storage is for vhdx_repair_io");
	if (ret)
		return ret;
	repair.how.size = sizeof(repair.how);
	ret = open_image(&repair);
	if (!ret)
		ret = name_undo(&repair);
	if (!ret)
		ret = run(&repair, ret_result);
	close_repair(&repair);
	return ret;
}

int vhdx_undo_repair(const char *path, const char *undo_path, uint32_t flags)
{
	struct file_repair repair = {
		.path = path,
		.how = {.size = sizeof(repair.how), .flags = flags, .undo_path = undo_path},
		.new_undo = {.folder_fd = -1},
	};

	if (!path || flags & ~VHDX_REPAIR_NO_LOCK)
		return vhdx_fail_argument("vhdx_undo_repair: no path, or unknown flags %#x", flags);
	int ret = open_image(&repair);

	if (!ret)
		ret = name_undo(&repair);
	if (!ret && !repair.undo_path)
		ret = vhdx_fail_argument("vhdx_undo_repair: no undo file");
	if (!ret)
		ret = open_undo(repair.undo_path, true, &repair.undo);
	if (ret == -ENOENT)
		ret = vhdx_fail_errno(ret, repair.undo_path, "cannot be opened");
	if (!ret)
		ret = vhdx_undo_restore(&repair.undo, repair.undo_path, &repair.image, path);
	close_repair(&repair);
	return ret;
}

int vhdx_undo_repair_io(const struct vhdx_io *io, const char *name, const struct vhdx_io *undo,
			const char *undo_name)
{
	struct vhdx_io image, file;
	int ret = vhdx_io_adopt(io, &image);

	if (!ret)
		ret = vhdx_io_adopt(undo, &file);
	return ret ? ret
		   : vhdx_undo_restore(&file, undo_name ? undo_name : "(undo storage)", &image,
				       name ? name : "(storage)");
}
