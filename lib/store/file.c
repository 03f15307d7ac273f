/* SPDX-License-Identifier: MIT */
/*
 * Storage in a POSIX file or block device: positioned I/O, holes, cloning, and locks on the byte
 * ranges that QEMU's processes lock too, as open-file-description locks.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <linux/openat2.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/arith.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "store/file.h"
#include "store/reopen.h"
#include "store/syncers.h"

#define DIRECT_ALIGNMENT 4096u /* no device has larger sectors */

struct file_store {
	int fd;
	int direct_fd; /* -1: none */
	bool is_direct_for_now;

	struct syncers syncers;
};

static bool is_direct_aligned(const struct iovec *iov, int iovcnt, uint64_t offset)
{
	uint64_t bits = offset;

	for (int i = 0; i < iovcnt; i++)
		bits |= (uintptr_t)iov[i].iov_base | iov[i].iov_len;
	return is_aligned(bits, DIRECT_ALIGNMENT);
}

static bool offset_fits(uint64_t offset)
{
	return offset <= INT64_MAX;
}

static ssize_t file_preadv(void *opaque, const struct iovec *iov, int iovcnt, uint64_t offset)
{
	struct file_store *file = opaque;
	ssize_t done = -1;

	if (!offset_fits(offset))
		return 0;
	if (file->direct_fd >= 0 && is_direct_aligned(iov, iovcnt, offset))
		done = preadv(file->direct_fd, iov, iovcnt, (off_t)offset);
	if (done < 0)
		done = iovcnt == 1 ? pread(file->fd, iov->iov_base, iov->iov_len, (off_t)offset)
				   : preadv(file->fd, iov, iovcnt, (off_t)offset);
	return done < 0 ? -errno : done;
}

static ssize_t file_pwritev(void *opaque, const struct iovec *iov, int iovcnt, uint64_t offset)
{
	struct file_store *file = opaque;
	ssize_t done = -1;

	if (!offset_fits(offset))
		return -EFBIG;
	if (file->direct_fd >= 0 && is_direct_aligned(iov, iovcnt, offset))
		done = pwritev(file->direct_fd, iov, iovcnt, (off_t)offset);
	if (done < 0)
		done = iovcnt == 1 ? pwrite(file->fd, iov->iov_base, iov->iov_len, (off_t)offset)
				   : pwritev(file->fd, iov, iovcnt, (off_t)offset);
	return done < 0 ? -errno : done;
}

static int file_flush(void *opaque)
{
	struct file_store *file = opaque;

	return vhdx_syncers_flush(&file->syncers);
}

static int file_get_size(void *opaque, uint64_t *ret_size)
{
	struct file_store *file = opaque;
	struct stat st;

	if (fstat(file->fd, &st))
		return -errno;
	if (S_ISBLK(st.st_mode))
		return ioctl(file->fd, BLKGETSIZE64, ret_size) ? -errno : 0;
	*ret_size = (uint64_t)st.st_size;
	return 0;
}

static bool is_block_device(int fd)
{
	struct stat st;

	return !fstat(fd, &st) && S_ISBLK(st.st_mode);
}

/* A block device has the size that it has. */
static int file_set_size(void *opaque, uint64_t size)
{
	struct file_store *file = opaque;

	if (!offset_fits(size))
		return -EFBIG;
	if (!ftruncate(file->fd, (off_t)size))
		return 0;
	return errno == EINVAL && is_block_device(file->fd) ? -EOPNOTSUPP : -errno;
}

/* EINVAL is what a block device says of a range that is not of whole sectors of its own. */
static int allocate(struct file_store *file, int mode, uint64_t offset, uint64_t length)
{
	if (!range_within(offset, length, INT64_MAX))
		return -EFBIG;
	if (!fallocate(file->fd, mode, (off_t)offset, (off_t)length))
		return 0;
	return errno == EINVAL ? -EOPNOTSUPP : -errno;
}

static int file_punch(void *opaque, uint64_t offset, uint64_t length)
{
	return allocate(opaque, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, offset, length);
}

static int file_zero(void *opaque, uint64_t offset, uint64_t length)
{
	return allocate(opaque, FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE, offset, length);
}

static int file_reserve(void *opaque, uint64_t offset, uint64_t length)
{
	return allocate(opaque, FALLOC_FL_KEEP_SIZE, offset, length);
}

static int file_next_data(void *opaque, uint64_t offset, uint64_t *ret_start, uint64_t *ret_end)
{
	struct file_store *file = opaque;

	if (!offset_fits(offset))
		return -ENXIO;
	off_t start = lseek(file->fd, (off_t)offset, SEEK_DATA);

	if (start < 0 && errno == ENXIO)
		return -ENXIO;
	off_t end = start < 0 ? -1 : lseek(file->fd, start, SEEK_HOLE);

	/* Where holes cannot be told, as on a block device, everything may be data. */
	*ret_start = start < 0 ? offset : (uint64_t)start;
	*ret_end = end < 0 ? INT64_MAX : (uint64_t)end;
	return 0;
}

static int file_clone(void *opaque, uint64_t offset, const struct vhdx_io *source,
		      uint64_t source_offset, uint64_t length)
{
	struct file_store *file = opaque;
	struct file_clone_range range = {
		.src_fd = vhdx_file_fd(source),
		.src_offset = source_offset,
		.src_length = length,
		.dest_offset = offset,
	};

	if (range.src_fd < 0)
		return -EOPNOTSUPP;
	return ioctl(file->fd, FICLONERANGE, &range) ? -errno : 0;
}

/*
 * QEMU's locks. Byte 100 + p, locked shared, says that permission p is in use; byte 200 + p that its
 * holder lets nobody else use p. Who wants in takes its own locks first and then looks for those of
 * others that speak against it.
 */
enum permission {
	PERMISSION_READ = 0,
	PERMISSION_WRITE = 1,
	PERMISSION_WRITE_UNCHANGED = 2,
	PERMISSION_RESIZE = 3,
	PERMISSIONS = 4,
};

#define USED_BASE     100
#define UNSHARED_BASE 200

#define READER_USES	(1u << PERMISSION_READ)
#define READER_UNSHARES (1u << PERMISSION_WRITE | 1u << PERMISSION_RESIZE)
#define ALL_PERMISSIONS ((1u << PERMISSIONS) - 1)

static int take_byte(int fd, int byte)
{
	struct flock lock = {.l_type = F_RDLCK, .l_whence = SEEK_SET, .l_start = byte, .l_len = 1};

	return fcntl(fd, F_OFD_SETLK, &lock) ? -errno : 0;
}

/* -EAGAIN when another open file description holds the byte. */
static int test_byte(int fd, int byte)
{
	struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = byte, .l_len = 1};

	if (fcntl(fd, F_OFD_GETLK, &lock))
		return -errno;
	return lock.l_type == F_UNLCK ? 0 : -EAGAIN;
}

static int for_permissions(int fd, int base, unsigned permissions, int (*act)(int fd, int byte))
{
	int ret = 0;

	for (int p = 0; p < PERMISSIONS && !ret; p++)
		if (permissions & 1u << p)
			ret = act(fd, base + p);
	return ret;
}

static int file_lock(void *opaque, int exclusive)
{
	struct file_store *file = opaque;
	unsigned uses = exclusive ? ALL_PERMISSIONS : READER_USES;
	unsigned unshares = exclusive ? ALL_PERMISSIONS : READER_UNSHARES;
	int ret = for_permissions(file->fd, USED_BASE, uses, take_byte);

	if (!ret)
		ret = for_permissions(file->fd, UNSHARED_BASE, unshares, take_byte);
	if (!ret)
		ret = for_permissions(file->fd, UNSHARED_BASE, uses, test_byte);
	if (!ret)
		ret = for_permissions(file->fd, USED_BASE, unshares, test_byte);
	return ret == -EACCES ? -EAGAIN : ret;
}

static void file_close(void *opaque)
{
	struct file_store *file = opaque;

	vhdx_syncers_destroy(&file->syncers);
	close(file->fd);
	if (file->direct_fd >= 0)
		close(file->direct_fd);
	free(file);
}

static const struct vhdx_io file_functions = {
	.size = sizeof(struct vhdx_io),
	.preadv = file_preadv,
	.pwritev = file_pwritev,
	.flush = file_flush,
	.get_size = file_get_size,
	.set_size = file_set_size,
	.punch = file_punch,
	.zero = file_zero,
	.reserve = file_reserve,
	.next_data = file_next_data,
	.lock = file_lock,
	.clone = file_clone,
	.close = file_close,
	.parallel_flushes = SYNCERS - 1, /* and one that logs */
};

int vhdx_file_io_from_fd(int fd, int direct_fd, struct vhdx_io *ret_io)
{
	struct file_store *file = malloc(sizeof(*file));
	int mode = fcntl(fd, F_GETFL);

	if (!file) {
		close(fd);
		if (direct_fd >= 0)
			close(direct_fd);
		return vhdx_fail_memory();
	}
	*file = (struct file_store){.fd = fd, .direct_fd = direct_fd};

	vhdx_syncers_init(&file->syncers, fd);
	*ret_io = file_functions;
	ret_io->opaque = file;
	if (mode >= 0 && (mode & O_ACCMODE) == O_RDONLY) {
		ret_io->pwritev = NULL;
		ret_io->set_size = NULL;
		ret_io->punch = NULL;
		ret_io->zero = NULL;
		ret_io->reserve = NULL;
		ret_io->clone = NULL;
	}
	return 0;
}

/* O_NONBLOCK keeps a FIFO from blocking the open; nothing but files and block devices goes further. */
static int check_kind(int fd, const char *path, bool only_regular)
{
	struct stat st;

	if (fstat(fd, &st))
		return vhdx_fail_errno(-errno, path, "cannot be examined");
	if (S_ISDIR(st.st_mode))
		return vhdx_fail(-EISDIR, NO_PROBLEM, path, VHDX_NO_OFFSET,
				 "is a directory (expected a file)");
	if (!S_ISREG(st.st_mode) && (only_regular || !S_ISBLK(st.st_mode)))
		return vhdx_fail(-EINVAL, NO_PROBLEM, path, VHDX_NO_OFFSET,
				 "is a special file (expected a file%s)",
				 only_regular ? "" : " or a block device");
	return 0;
}

int vhdx_file_io(const char *path, uint32_t flags, struct vhdx_io *ret_io)
{
	if (!path || !ret_io || flags & ~(VHDX_FILE_WRITE | VHDX_FILE_DIRECT))
		return vhdx_fail_argument(
			"vhdx_file_io: no path, nowhere to return to, or unknown flags %#x", flags);
	int mode = (flags & VHDX_FILE_WRITE ? O_RDWR : O_RDONLY) | O_CLOEXEC | O_NONBLOCK;
	auto_close int fd = open(path, mode);

	if (fd < 0)
		return vhdx_fail_errno(-errno, path,
				       flags & VHDX_FILE_WRITE ? "cannot be opened for writing"
							       : "cannot be opened");
	int ret = check_kind(fd, path, false);

	if (ret)
		return ret;
	/* Where the file system knows no direct I/O, the page cache has to do. */
	int direct_fd = flags & VHDX_FILE_DIRECT ? open(path, mode | O_DIRECT) : -1;
	int taken = fd;

	fd = -1;
	return vhdx_file_io_from_fd(taken, direct_fd, ret_io);
}

/* openat2 refuses a link that took a component's place since the path was resolved. */
static int open_resolved(const char *path, int access)
{
	struct open_how how = {.flags = (uint64_t)(access | O_CLOEXEC | O_NONBLOCK),
			       .resolve = RESOLVE_NO_SYMLINKS};
	int fd = (int)syscall(SYS_openat2, AT_FDCWD, path, &how, sizeof(how));

	if (fd < 0 &&
	    (errno == ENOSYS || errno == EPERM)) /* kernels before 5.6, and old sandboxes */
		fd = open(path, (int)how.flags | O_NOFOLLOW);
	return fd;
}

int vhdx_file_io_resolved(const char *path, uint32_t flags, struct vhdx_io *ret_io)
{
	bool write = flags & VHDX_FILE_WRITE;
	auto_close int fd = open_resolved(path, write ? O_RDWR : O_RDONLY);

	if (fd < 0)
		return vhdx_fail_errno(-errno, path,
				       write ? "cannot be opened for writing" : "cannot be opened");
	int ret = check_kind(fd, path, true);

	if (ret)
		return ret;
	int taken = fd;

	fd = -1;
	return vhdx_file_io_from_fd(taken, -1, ret_io);
}

int vhdx_file_fd(const struct vhdx_io *io)
{
	return io->preadv == file_preadv ? ((struct file_store *)io->opaque)->fd : -1;
}

void vhdx_file_set_direct(const struct vhdx_io *io, bool direct)
{
	struct file_store *file = io->preadv == file_preadv ? io->opaque : NULL;

	if (!file || direct == (file->direct_fd >= 0) || (!direct && !file->is_direct_for_now))
		return;
	if (direct) {
		file->direct_fd = fd_reopen(file->fd, (io->pwritev ? O_RDWR : O_RDONLY) | O_DIRECT);
	} else {
		close(file->direct_fd);
		file->direct_fd = -1;
	}
	file->is_direct_for_now = file->direct_fd >= 0;
}

void vhdx_file_set_sequential(const struct vhdx_io *io, bool sequential)
{
	int fd = vhdx_file_fd(io);

	if (fd >= 0)
		(void)posix_fadvise(fd, 0, 0,
				    sequential ? POSIX_FADV_SEQUENTIAL : POSIX_FADV_NORMAL);
}

void vhdx_file_begin_writing(const struct vhdx_io *io, uint64_t offset, uint64_t length)
{
	int fd = vhdx_file_fd(io);

	if (fd >= 0)
		(void)sync_file_range(fd, (off64_t)offset, (off64_t)length, SYNC_FILE_RANGE_WRITE);
}

bool vhdx_file_identity(const struct vhdx_io *io, struct file_identity *ret_identity)
{
	int fd = vhdx_file_fd(io);
	struct stat st;

	if (fd < 0 || fstat(fd, &st))
		return false;
	*ret_identity = (struct file_identity){st.st_dev, st.st_ino};
	return true;
}

bool vhdx_file_allocated(const struct vhdx_io *io, uint64_t *ret_bytes)
{
	int fd = vhdx_file_fd(io);
	struct stat st;

	if (fd < 0 || fstat(fd, &st) || !S_ISREG(st.st_mode))
		return false;
	*ret_bytes = (uint64_t)st.st_blocks * 512;
	return true;
}
