/* SPDX-License-Identifier: MIT */
/*
 * vhdx mount: shows a disk and its partitions as files. All that can go wrong goes wrong before the process
 * goes to the background, in one line.
 */
#include <errno.h>
#include <limits.h>
#include <linux/magic.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "advice.h"
#include "background.h"
#include "capture.h"
#include "cleanup.h"
#include "disk.h"
#include "log.h"
#include "mount.h"
#include "ops.h"
#include "options.h"
#include "remote.h"
#include "report.h"

/* Requests that the kernel may have in flight, and threads for them. */
#define REQUESTS_MAX 64
#define THREADS_MAX  32
#define THREADS_IDLE 8

static const struct option_row rows[] = {
	{'f', "foreground", NULL, "stay in the foreground until the disk is unmounted"},
	{'o', NULL, "OPTION[,...]", "mount with FUSE's options: allow_other, auto_unmount, ..."},
	{0, NULL, NULL, NULL},
};

struct mount {
	bool writable;
	bool foreground;
	struct fuse_args args;
	const char *file;
	const char *folder;
	char point[PATH_MAX]; /* the folder, wherever the process is */
	char image[PATH_MAX]; /* of a file */
	bool remote;
};

static bool add_argument(struct fuse_args *args, const char *word, const char *value)
{
	if (!fuse_opt_add_arg(args, word) && (!value || !fuse_opt_add_arg(args, value)))
		return true;
	report_error(NULL, "out of memory");
	return false;
}

static bool take_option(void *opaque, int id, const char *value)
{
	struct mount *mount = opaque;

	switch (id) {
	case 'f':
		mount->foreground = true;
		return true;
	case 'o':
		return add_argument(&mount->args, "-o", value);
	default:
		return false;
	}
}

/* ---- Before anything is opened ---- */

static int report_folder_errno(const char *folder, int errnum)
{
	if (errnum == ENOENT)
		return report_error(folder, "cannot be mounted on: %s (make the folder: mkdir %s)",
				    strerror(errnum), folder);
	return report_errno(folder, "cannot be mounted on", errnum);
}

/* A second mount would hide the first, which then keeps its image in use unseen. */
static bool is_mounted(const char *point, const struct stat *st)
{
	char above[PATH_MAX + 4];
	struct stat parent;
	struct statfs fs;

	snprintf(above, sizeof(above), "%s/..", point);
	return !statfs(point, &fs) && fs.f_type == FUSE_SUPER_MAGIC && !stat(above, &parent) &&
	       parent.st_dev != st->st_dev;
}

static int check(struct mount *mount, const struct options *options)
{
	struct stat st;

	mount->file = options->operands[0];
	mount->folder = options->operands[1];
	mount->writable = options->writable;
	if (!realpath(mount->folder, mount->point) || stat(mount->point, &st))
		return report_folder_errno(mount->folder, errno);
	if (!S_ISDIR(st.st_mode) && !stat(mount->file, &st) && S_ISDIR(st.st_mode))
		return report_error(mount->folder,
				    "the mountpoint stands before the file (expected %s %s)",
				    mount->folder, mount->file);
	if (!S_ISDIR(st.st_mode))
		return report_error(mount->folder, "cannot be mounted on: not a folder");
	if (is_mounted(mount->point, &st))
		return report_error(mount->folder,
				    "a disk is mounted there already (fusermount3 -u %s ends that)",
				    mount->folder);
	mount->remote = remote_kind(mount->file);
	if (!mount->remote && !realpath(mount->file, mount->image))
		return report_error(mount->file, "cannot be opened: %s%s", strerror(errno),
				    advice_on_name(mount->file));
	return STATUS_DONE;
}

/* The user's options come before ours, which hold. */
static bool add_options(struct mount *mount)
{
	char *options = NULL;
	auto_free char *name = NULL;
	bool done = asprintf(&name, "fsname=%s", mount->remote ? mount->file : mount->image) >= 0 &&
		    !fuse_opt_add_opt(&options, "subtype=vhdx,default_permissions") &&
		    !fuse_opt_add_opt_escaped(&options, name) &&
		    (mount->writable || !fuse_opt_add_opt(&options, "ro"));

	if (!done)
		report_error(NULL, "out of memory");
	else
		done = add_argument(&mount->args, "-o", options);
	free(options);
	return done;
}

/* ---- The mount ---- */

static void begin_session(void *opaque, struct fuse_conn_info *connection)
{
	(void)opaque;
	connection->max_write = REQUEST_MAX;
	connection->max_background = REQUESTS_MAX;
	connection->congestion_threshold = REQUESTS_MAX;
	/* Bytes go from the request to the library and back by themselves: a pipe between would copy more. */
	connection->want &=
		~(unsigned)(FUSE_CAP_SPLICE_READ | FUSE_CAP_SPLICE_WRITE | FUSE_CAP_SPLICE_MOVE);
}

static const struct fuse_lowlevel_ops operations = {
	.init = begin_session,
	.lookup = ops_lookup,
	.getattr = ops_getattr,
	.setattr = ops_setattr,
	.mknod = ops_mknod,
	.mkdir = ops_mkdir,
	.unlink = ops_remove,
	.rmdir = ops_remove,
	.rename = ops_rename,
	.open = ops_open,
	.read = ops_read,
	.write = ops_write,
	.fsync = ops_fsync,
	.readdir = ops_readdir,
	.statfs = ops_statfs,
	.fallocate = ops_fallocate,
	.lseek = ops_lseek,
};

static int loop(struct fuse_session *session)
{
	struct fuse_loop_config *config = fuse_loop_cfg_create();
	int ret = -ENOMEM;

	/* A file system on a device made of the files must not wait for memory that waits for itself. */
	prctl(PR_SET_IO_FLUSHER, 1, 0, 0, 0);
	if (config) {
		fuse_loop_cfg_set_max_threads(config, THREADS_MAX);
		fuse_loop_cfg_set_idle_threads(config, THREADS_IDLE);
		ret = fuse_session_loop_mt(session, config);
		fuse_loop_cfg_destroy(config);
	}
	/* A positive number is the signal that ended it, which is a way to unmount. */
	return ret < 0 ? ret : 0;
}

/* The warnings are for whoever is still there to read them. */
static int serve_mounted(struct mount *mount, struct fuse_session *session)
{
	report_end();
	if (isatty(STDOUT_FILENO) && !mount->foreground)
		printf("Mounted read-%s; to end it: fusermount3 -u %s\n",
		       mount->writable ? "write" : "only", mount->folder);
	fflush(stdout);
	int gone = mount->foreground ? 0 : background_ready();

	if (gone)
		return report_errno(mount->folder, "cannot go to the background", -gone);
	if (mount->foreground && chdir("/"))
		return report_errno("/", "cannot be entered", errno);
	log_start(!mount->foreground);
	int ret = loop(session);

	return ret ? report_errno(mount->folder, "the mount ended", -ret) : STATUS_DONE;
}

/* What fusermount3 says of a mount that succeeds is a warning. */
static bool mount_session(struct mount *mount, struct fuse_session *session)
{
	char buffer[256];
	struct capture capture;

	capture_begin(&capture);
	bool failed = fuse_session_mount(session, mount->point);
	const char *said = capture_end(&capture, buffer, sizeof(buffer));

	if (failed)
		report_error(mount->folder, "cannot be mounted on: %s",
			     log_fuse_text(*said ? said : "fusermount3 failed"));
	else if (*said)
		log_warning(said);
	return !failed;
}

/* Unmounted, whatever comes: by fusermount3 before, or here after a signal. */
static int serve_session(struct mount *mount, struct fuse_session *session)
{
	int status = STATUS_FAILED;

	if (fuse_set_signal_handlers(session))
		return report_error(NULL, "signals cannot be caught");
	if (mount_session(mount, session)) {
		status = serve_mounted(mount, session);
		fuse_session_unmount(session);
	}
	fuse_remove_signal_handlers(session);
	return status;
}

static int serve_tree(struct mount *mount, struct tree *tree)
{
	if (!add_options(mount))
		return STATUS_FAILED;
	struct fuse_session *session =
		fuse_session_new(&mount->args, &operations, sizeof(operations), tree);

	if (!session)
		return report_error(mount->folder, "cannot be mounted on: %s",
				    log_fuse_text("FUSE cannot be started"));
	int status = serve_session(mount, session);

	fuse_session_destroy(session);
	return status;
}

static int serve_disk(struct mount *mount, struct vhdx *disk)
{
	struct tree tree;
	int ret = tree_begin(&tree, disk, mount->remote ? NULL : mount->image, mount->writable,
			     log_warning);
	int status = ret ? report_errno(mount->file, "cannot be shown", -ret)
			 : serve_tree(mount, &tree);

	tree_end(&tree);
	return status;
}

static int open_and_serve(struct mount *mount, const struct options *options)
{
	struct vhdx_open_options how =
		chain_open_options(&options->chain, mount->writable ? VHDX_OPEN_WRITE : 0);
	struct vhdx *disk;

	int status = disk_open(mount->file, &options->chain, &how, &disk);

	if (status)
		return status;
	status = serve_disk(mount, disk);

	if (vhdx_close(disk)) {
		log_last_failure();
		status = STATUS_FAILED;
	}
	return status;
}

static int run(int argc, char **argv);

static const struct verb verb = {
	.name = MOUNT_NAME,
	.summary = MOUNT_SUMMARY,
	.operands = "FILE MOUNTPOINT",
	.options = rows,
	.groups = OPTIONS_CHAIN | OPTIONS_WRITE | OPTIONS_WRITABLE,
	.min_operands = 2,
	.max_operands = 2,
	.failed_status = STATUS_FAILED,
	.details =
		"Shows the disk as MOUNTPOINT/disk and its partitions as MOUNTPOINT/p1, p2, ..., for programs and\n"
		"for loop devices:\n"
		"  mount -o loop MOUNTPOINT/p1 /mnt        (sectors of 4096 bytes: first make a device by\n"
		"                                          losetup --sector-size 4096 --find --show)\n"
		"  fusermount3 -u MOUNTPOINT               ends it, as does a signal; the disk is closed cleanly\n"
		"\n"
		"Sizes are fixed: write into the files with conv=notrunc and the like. fsync makes durable what was\n"
		"written; fstrim and fallocate --punch-hole give space back. A table that is changed through disk\n"
		"shows at the next look at the folder. What is written to disk is seen in p1 at once, and the other\n"
		"way round; but file systems and loop devices keep copies: use one of both at a time.\n"
		"\n"
		"Only you can use the files. With -o allow_other, others may as far as they may use FILE. Were the\n"
		"process killed, FILE would be valid, and MOUNTPOINT in the way until fusermount3 -u; with\n"
		"-o auto_unmount it is not.",
	.run = run,
};

/* In the process that will serve. */
static int go_on(const struct mount *mount)
{
	int ret = mount->foreground ? 0 : background_begin();

	return ret ? report_errno(mount->folder, "cannot go to the background", -ret) : STATUS_DONE;
}

static int run(int argc, char **argv)
{
	auto_options struct options options;
	static struct mount mount;
	int status;

	if (!add_argument(&mount.args, "vhdx-mount", NULL))
		return STATUS_FAILED;
	if (options_parse(&options, &verb, argc, argv, take_option, &mount)) {
		status = check(&mount, &options);
		if (!status)
			status = go_on(&mount);
		log_begin(mount.file);
		if (!status)
			status = open_and_serve(&mount, &options);
	} else {
		status = options.status;
	}
	fuse_opt_free_args(&mount.args);
	return status;
}

/* The command that became this program cared for the standard streams. */
int main(int argc, char **argv)
{
	signal(SIGXFSZ, SIG_IGN); /* a limit on file sizes is an error like any other */
	setvbuf(stderr, NULL, _IOLBF, BUFSIZ);
	report_begin(verb.name, verb.failed_status);
	int status = verb.run(argc, argv);

	if (fflush(stdout))
		status = report_errno("standard output", "what was printed is lost", errno);
	report_end();
	if (remote_hangs())
		_exit(status);
	return status;
}
