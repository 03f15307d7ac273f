/* SPDX-License-Identifier: MIT */
/*
 * A file that appears under its name whole, or not at all. It has no name while it is filled, so even a
 * kill leaves nothing; where the file system has no such files, it has a hidden one.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "store/file.h"
#include "store/io.h"
#include "store/newfile.h"
#include "store/reopen.h"

#define NEW_MODE   0666 /* the umask takes its share */
#define NAME_TRIES 16

static char *temporary_name(void)
{
	uint64_t number;
	char *name;

	if (getrandom(&number, sizeof(number), 0) != sizeof(number))
		return NULL;
	return asprintf(&name, ".vhdx-%016" PRIx64, number) < 0 ? NULL : name;
}

/* What stands at the path already? *ret_there says whether anything does. */
static int look_at(const char *path, bool replace, bool *ret_there, bool *ret_link)
{
	struct stat st;

	*ret_link = false;
	*ret_there = !lstat(path, &st);
	if (!*ret_there)
		return errno == ENOENT ? 0 : vhdx_fail_errno(-errno, path, "cannot be made");
	if (S_ISDIR(st.st_mode))
		return vhdx_fail(-EISDIR, NO_PROBLEM, path, VHDX_NO_OFFSET,
				 "is a directory (expected a file)");
	*ret_link = S_ISLNK(st.st_mode);
	if (!S_ISREG(st.st_mode) && !*ret_link)
		return vhdx_fail(
			-EINVAL, NO_PROBLEM, path, VHDX_NO_OFFSET,
			"is a special file, which is not replaced (expected a regular file)");
	if (!replace)
		return vhdx_fail(-EEXIST, NO_PROBLEM, path, VHDX_NO_OFFSET, "exists already");
	return 0;
}

/* The path that the new file will have: the link's target when it replaces what a link leads to. */
static int resolve_target(const char *path, bool replace, char **ret_path)
{
	bool there, link;
	int ret = look_at(path, replace, &there, &link);

	if (ret)
		return ret;
	auto_free char *target = link ? realpath(path, NULL) : strdup(path);

	if (!target)
		return link ? vhdx_fail_errno(-errno, path,
					      "is a symbolic link that cannot be followed")
			    : vhdx_fail_memory();
	if (link)
		ret = look_at(target, replace, &there, &link);
	if (ret)
		return ret;
	*ret_path = target;
	target = NULL;
	return 0;
}

/* Opens the folder of file->path and sets file->name. */
static int open_folder(struct new_file *file)
{
	const char *slash = strrchr(file->path, '/');
	auto_free char *folder =
		!slash ? strdup(".")
		       : strndup(file->path,
				 slash == file->path ? 1 : (size_t)(slash - file->path));

	file->name = strdup(slash ? slash + 1 : file->path);
	if (!folder || !file->name)
		return vhdx_fail_memory();
	if (!*file->name)
		return vhdx_fail(*file->path ? -EISDIR : -ENOENT, NO_PROBLEM, file->path,
				 VHDX_NO_OFFSET, "is not the name of a file");
	file->folder_fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (file->folder_fd < 0)
		return vhdx_fail_errno(-errno, file->path,
				       "cannot be made, for its folder %s cannot be opened",
				       folder);
	return 0;
}

/* For file systems without nameless files. Returns the descriptor or a negative errno. */
static int open_named(struct new_file *file)
{
	for (int i = 0; i < NAME_TRIES; i++) {
		auto_free char *name = temporary_name();

		if (!name)
			return -ENOMEM;
		int fd = openat(file->folder_fd, name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC,
				NEW_MODE);

		if (fd >= 0) {
			file->temporary = name;
			name = NULL;
			return fd;
		}
		if (errno != EEXIST)
			return -errno;
	}
	return -EEXIST;
}

/* Returns the descriptor, or -1 where a file cannot be nameless or could not be named in the end. */
static int open_nameless(const struct new_file *file)
{
	int fd = openat(file->folder_fd, ".", O_RDWR | O_TMPFILE | O_CLOEXEC, NEW_MODE);
	char self[FD_PATH_SIZE];

	if (fd < 0 || !access(fd_path(fd, self), F_OK))
		return fd;
	close(fd);
	return -1;
}

/*
 * Who has the file that is replaced open would go on with one that has no name any more. A file that
 * we may replace and not read cannot be locked.
 */
static int lock_old(struct new_file *file)
{
	if (!file->replace || access(file->path, R_OK))
		return 0;
	int ret = vhdx_file_io(file->path, 0, &file->old);

	if (ret)
		return ret;
	if (file->old.lock(file->old.opaque, true) == -EAGAIN)
		return vhdx_fail(-EAGAIN, NO_PROBLEM, file->path, VHDX_NO_OFFSET,
				 "is in use by another process, which holds its lock (expected a "
				 "file that can be replaced)");
	return 0;
}

/* As far as we may: only root gives files away. */
static void keep_owner_and_mode(const struct new_file *file)
{
	int fd = vhdx_file_fd(&file->io);
	struct stat st;

	if (!file->old.preadv || fstat(vhdx_file_fd(&file->old), &st))
		return;
	if (fchown(fd, st.st_uid, st.st_gid))
		return;
	(void)fchmod(fd, st.st_mode & 07777);
}

static int open_file(struct new_file *file, bool direct)
{
	int fd = open_nameless(file);

	if (fd < 0)
		fd = open_named(file);
	if (fd < 0)
		return vhdx_fail_errno(fd, file->path, "cannot be made");
	/* Where the file system knows no direct I/O, the page cache has to do. */
	int direct_fd = direct ? fd_reopen(fd, O_RDWR | O_DIRECT) : -1;

	return vhdx_file_io_from_fd(fd, direct_fd, &file->io);
}

int vhdx_new_file(const char *path, bool replace, bool direct, struct new_file *ret_file)
{
	struct new_file file = {.folder_fd = -1, .replace = replace};
	int ret = resolve_target(path, replace, &file.path);

	if (!ret)
		ret = open_folder(&file);
	if (!ret)
		ret = lock_old(&file);
	if (!ret)
		ret = open_file(&file, direct);
	if (!ret)
		keep_owner_and_mode(&file);
	if (ret)
		vhdx_new_file_discard(&file);
	else
		*ret_file = file;
	return ret;
}

/* Gives a nameless file a name that nobody has yet; every other way needs privileges. */
static int link_as(const struct new_file *file, const char *name)
{
	char self[FD_PATH_SIZE];

	fd_path(vhdx_file_fd(&file->io), self);
	return linkat(AT_FDCWD, self, file->folder_fd, name, AT_SYMLINK_FOLLOW) ? -errno : 0;
}

static void forget_temporary(struct new_file *file)
{
	free(file->temporary);
	file->temporary = NULL;
}

static int link_temporary(struct new_file *file)
{
	int ret = -EEXIST;

	for (int i = 0; i < NAME_TRIES && ret == -EEXIST; i++) {
		free(file->temporary);
		file->temporary = temporary_name();
		ret = file->temporary ? link_as(file, file->temporary) : -ENOMEM;
	}
	if (ret)
		forget_temporary(file);
	return ret;
}

/* Turns the temporary name into the real one, unless that is taken. */
static int rename_to_free(struct new_file *file)
{
	int folder = file->folder_fd;

	if (!renameat2(folder, file->temporary, folder, file->name, RENAME_NOREPLACE)) {
		forget_temporary(file);
		return 0;
	}
	if (errno != EINVAL && errno != ENOSYS)
		return -errno;
	/* NFS has no such rename, but links; the temporary name goes when the file is let go. */
	return linkat(folder, file->temporary, folder, file->name, 0) ? -errno : 0;
}

static int take_name(const struct new_file *file)
{
	int folder = file->folder_fd;

	return renameat(folder, file->temporary, folder, file->name) ? -errno : 0;
}

static int rename_over(struct new_file *file)
{
	int ret = file->temporary ? 0 : link_temporary(file);

	if (ret)
		return ret;
	ret = take_name(file);
	/* SMB leaves its name to a file that is open, though it be by us. */
	if (ret == -EACCES && file->old.close) {
		vhdx_io_close(&file->old);
		ret = take_name(file);
	}
	if (!ret)
		forget_temporary(file);
	return ret;
}

static int give_name(struct new_file *file)
{
	if (file->replace)
		return rename_over(file);
	return file->temporary ? rename_to_free(file) : link_as(file, file->name);
}

/* The name is there; is it on the disk? A file system that cannot flush folders says EINVAL. */
static int flush_name(struct new_file *file)
{
	if (!fsync(file->folder_fd) || errno == EINVAL)
		return 0;
	int ret = vhdx_fail_errno(-errno, file->path, "cannot be made durable in its folder");

	if (!file->replace)
		unlinkat(file->folder_fd, file->name, 0);
	return ret;
}

int vhdx_new_file_publish(struct new_file *file, bool durable)
{
	int ret = durable ? vhdx_io_flush(&file->io) : 0;

	if (ret) {
		ret = vhdx_fail_errno(ret, file->path, "cannot be made durable");
	} else {
		ret = give_name(file);
		if (ret == -EEXIST)
			ret = vhdx_fail(ret, NO_PROBLEM, file->path, VHDX_NO_OFFSET,
					"exists already");
		else if (ret)
			ret = vhdx_fail_errno(ret, file->path, "cannot be given its name");
	}
	if (!ret && durable)
		ret = flush_name(file);
	vhdx_new_file_discard(file);
	return ret;
}

void vhdx_new_file_discard(struct new_file *file)
{
	if (!file || !file->path)
		return;
	if (file->temporary)
		unlinkat(file->folder_fd, file->temporary, 0);
	vhdx_io_close(&file->io);
	vhdx_io_close(&file->old);
	if (file->folder_fd >= 0)
		close(file->folder_fd);
	free(file->temporary);
	free(file->name);
	free(file->path);
	*file = (struct new_file){.folder_fd = -1};
}
