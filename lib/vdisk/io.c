/* SPDX-License-Identifier: MIT */
/* Reading, writing, zeroing, trimming and flushing the disk: requests are checked here, and cut into blocks. */
#include <errno.h>
#include <inttypes.h>

#include "store/io.h"
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
	uint32_t block_size = disk->image.parameters.block_size;

	return min_u64(length, block_size - offset % block_size);
}

/* ---- Reading ---- */

static int read_part(struct vhdx *disk, uint64_t offset, uint64_t length, const struct iovec *iov,
		     int iovcnt, uint64_t skip)
{
	struct stripe *stripe = stripe_of(&disk->shared->stripes, disk_block_of(disk, offset));

	vhdx_stripe_lock_shared(stripe);
	int ret = vhdx_read_in_block(disk, offset, length, iov, iovcnt, skip);

	vhdx_stripe_unlock_shared(stripe);
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

int vhdx_pread(struct vhdx *disk, void *buf, size_t count, uint64_t offset)
{
	struct iovec iov = {buf, count};

	if (!buf && count)
		return vhdx_fail_argument("vhdx_pread: no buffer");
	return vhdx_preadv(disk, &iov, 1, offset);
}

/* ---- Writing ---- */

/* Without its parent, a child's sectors read as zeros that are not. */
static int check_writable(const struct vhdx *disk)
{
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

int vhdx_pwrite(struct vhdx *disk, const void *buf, size_t count, uint64_t offset, uint32_t flags)
{
	struct iovec iov = {(void *)(uintptr_t)buf, count};

	if (!buf && count)
		return vhdx_fail_argument("vhdx_pwrite: no buffer");
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
