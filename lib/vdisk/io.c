/* SPDX-License-Identifier: MIT */
/* Reading, writing, zeroing, trimming and flushing the disk: requests are checked here, and cut into blocks. */
#include <errno.h>
#include <inttypes.h>

#include "store/io.h"
#include "vdisk/direct.h"
#include "vdisk/discard.h"
#include "vdisk/io.h"
#include "vdisk/read.h"
#include "vdisk/write.h"

static void trim_pages(struct vhdx *disk)
{
	vhdx_page_cache_trim(&disk->shared->cache, vhdx_stripes_grace, &disk->shared->stripes);
}

static int check_range(const struct vhdx *disk, const char *what, uint64_t offset, uint64_t length)
{
	if (range_within(offset, length, disk->image.virtual_size))
		return 0;
	return vhdx_fail(-EINVAL, NO_PROBLEM, disk->name, VHDX_NO_OFFSET,
			 "cannot %s %" PRIu64 " bytes at %" PRIu64 " of the disk (it has %" PRIu64
			 ")",
			 what, length, offset, disk->image.virtual_size);
}

/* What is left of the block at @offset, at most @length. */
static uint64_t part_in_block(const struct vhdx *disk, uint64_t offset, uint64_t length)
{
	uint32_t block_size = disk->image.geometry.block_size;

	return min_u64(length, block_size - (offset & (block_size - 1)));
}

/* ---- Reading ---- */

static int read_part(struct vhdx *disk, uint64_t offset, uint64_t length, const struct iovec *iov,
		     int iovcnt, uint64_t skip)
{
	struct shared_stripe share = stripe_share(disk_stripe(disk, offset));
	int ret = vhdx_read_in_block(disk, offset, length, iov, iovcnt, skip);

	stripe_unshare(share);
	return ret;
}

int vhdx_preadv(struct vhdx *disk, const struct iovec *iov, int iovcnt, uint64_t offset)
{
	uint64_t size;

	if (!disk || (!iov && iovcnt) || vhdx_iov_size(iov, iovcnt, &size))
		return vhdx_fail_argument("vhdx_preadv: no disk, or buffers that are none");
	int ret = disk_check_readable(disk);

	if (!ret)
		ret = check_range(disk, "read", offset, size);
	for (uint64_t done = 0, part; done < size && !ret; done += part) {
		part = part_in_block(disk, offset + done, size - done);
		ret = read_part(disk, offset + done, part, iov, iovcnt, done);
	}
	trim_pages(disk); /* also when the read failed: on the way it may have loaded pages */
	return ret;
}

/* False: nothing was done, and the long way has to be gone. */
static bool read_directly(struct vhdx *disk, void *buf, size_t count, uint64_t offset, int *ret)
{
	struct shared_stripe share;
	uint64_t place;

	if (!disk_in_one_block(disk, offset, count) || !disk_is_readable(disk) ||
	    !disk_begin_directly(disk, offset, count, &share, &place))
		return false;
	*ret = vhdx_io_read(disk->image.view, buf, count, place);
	stripe_unshare(share);
	if (*ret)
		*ret = vhdx_fail_read(disk, *ret, place, count);
	return true;
}

int vhdx_pread(struct vhdx *disk, void *buf, size_t count, uint64_t offset)
{
	struct iovec iov = {buf, count};
	int ret;

	if (!buf && count)
		return vhdx_fail_argument("vhdx_pread: no buffer");
	if (disk && read_directly(disk, buf, count, offset, &ret))
		return ret;
	return vhdx_preadv(disk, &iov, 1, offset);
}

/* ---- Writing ---- */

/* Without its parent, a child's sectors read as zeros that are not. */
static bool is_writable(const struct vhdx *disk)
{
	return disk->writer && (disk->parent || !image_has_parent(&disk->image)) &&
	       disk_is_readable(disk);
}

static int check_writable(const struct vhdx *disk)
{
	if (is_writable(disk))
		return 0;
	if (!disk->writer)
		return vhdx_fail(-EROFS, NO_PROBLEM, disk->name, VHDX_NO_OFFSET,
				 "is not open for writing");
	if (image_has_parent(&disk->image) && !disk->parent)
		return vhdx_fail(-EROFS, NO_PROBLEM, disk->name, VHDX_NO_OFFSET,
				 "cannot be changed without its parent");
	return disk_check_readable(disk);
}

/* Ends a request for a change that was done as far as @ret says. */
static int finish_change(struct vhdx *disk, int ret, uint32_t flags)
{
	return !ret && flags & VHDX_FUA ? vhdx_flush(disk) : ret;
}

int vhdx_disk_write(struct vhdx *disk, enum gate gate, const struct iovec *iov, int iovcnt,
		    uint64_t offset, uint64_t size)
{
	int ret = size ? vhdx_gate_pass(disk, gate) : 0;

	for (uint64_t done = 0, part; done < size && !ret; done += part) {
		part = part_in_block(disk, offset + done, size - done);
		struct block_write write = {
			.disk = disk,
			.offset = offset + done,
			.length = part,
			.iov = iov,
			.iovcnt = iovcnt,
			.skip = done,
		};

		ret = vhdx_block_write(&write);
	}
	trim_pages(disk);
	return ret;
}

int vhdx_pwritev(struct vhdx *disk, const struct iovec *iov, int iovcnt, uint64_t offset,
		 uint32_t flags)
{
	uint64_t size;

	if (!disk || (!iov && iovcnt) || vhdx_iov_size(iov, iovcnt, &size) || flags & ~VHDX_FUA)
		return vhdx_fail_argument(
			"vhdx_pwritev: no disk, buffers that are none, or unknown flags %#x",
			flags);
	int ret = check_writable(disk);

	if (!ret)
		ret = check_range(disk, "write", offset, size);
	if (!ret)
		ret = vhdx_disk_write(disk, GATE_DATA, iov, iovcnt, offset, size);
	return finish_change(disk, ret, flags);
}

/* Once the gate has been passed; as read_directly. */
static bool write_directly(struct vhdx *disk, const void *buf, size_t count, uint64_t offset,
			   int *ret)
{
	struct shared_stripe share;
	uint64_t place;

	if (!disk_in_one_block(disk, offset, count) || !is_writable(disk) ||
	    !gate_is_open(disk->writer, GATE_DATA) ||
	    !disk_begin_directly(disk, offset, count, &share, &place))
		return false;
	*ret = vhdx_io_write(&disk->file, buf, count, place);
	stripe_unshare(share);
	if (*ret)
		*ret = vhdx_fail_write(disk, *ret, place, count);
	return true;
}

int vhdx_pwrite(struct vhdx *disk, const void *buf, size_t count, uint64_t offset, uint32_t flags)
{
	struct iovec iov = {(void *)(uintptr_t)buf, count};
	int ret;

	if (!buf && count)
		return vhdx_fail_argument("vhdx_pwrite: no buffer");
	if (disk && !(flags & ~VHDX_FUA) && write_directly(disk, buf, count, offset, &ret))
		return finish_change(disk, ret, flags);
	return vhdx_pwritev(disk, &iov, 1, offset, flags);
}

/* ---- Zeroing and trimming ---- */

static int discard_range(const struct discard *discard, const char *what, uint64_t offset,
			 uint64_t length, uint32_t flags)
{
	int ret = check_writable(discard->disk);

	if (!ret)
		ret = check_range(discard->disk, what, offset, length);
	return ret ? ret
		   : finish_change(discard->disk, vhdx_discard(discard, offset, length), flags);
}

int vhdx_zero(struct vhdx *disk, uint64_t offset, uint64_t length, uint32_t flags)
{
	if (!disk || flags & ~(VHDX_FUA | VHDX_ZERO_MAY_UNMAP | VHDX_ZERO_FAST))
		return vhdx_fail_argument("vhdx_zero: no disk, or unknown flags %#x", flags);
	struct discard discard = {
		.disk = disk,
		.may_unmap = flags & VHDX_ZERO_MAY_UNMAP,
		.fast = flags & VHDX_ZERO_FAST,
	};

	return discard_range(&discard, "zero", offset, length, flags);
}

int vhdx_trim(struct vhdx *disk, uint64_t offset, uint64_t length, uint32_t flags)
{
	if (!disk || flags & ~VHDX_FUA)
		return vhdx_fail_argument("vhdx_trim: no disk, or unknown flags %#x", flags);
	struct discard discard = {.disk = disk, .is_trim = true, .may_unmap = true};

	return discard_range(&discard, "trim", offset, length, flags);
}

/* ---- Flushing ---- */

int vhdx_flush(struct vhdx *disk)
{
	if (!disk)
		return vhdx_fail_argument("vhdx_flush: no disk");
	struct writer *writer = disk->writer;

	/* Before the first change there is nothing that could be lost. */
	if (!writer || atomic_load_explicit(&writer->passed, memory_order_acquire) == GATE_CLOSED)
		return 0;
	return vhdx_journal_commit(&writer->journal);
}
