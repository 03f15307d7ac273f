/* SPDX-License-Identifier: MIT */
/* Reading the disk: block by block under the block's stripe, each piece from the file that holds it. */
#include <errno.h>
#include <inttypes.h>

#include "store/io.h"
#include "vdisk/disk.h"

static int read_piece(const struct mapping *mapping, const struct iovec *iov, int iovcnt,
		      uint64_t skip)
{
	if (mapping->type != VHDX_EXTENT_DATA) {
		iov_zero(iov, iovcnt, skip, mapping->length);
		return 0;
	}
	const struct vhdx *layer = mapping->layer;
	int ret = vhdx_io_readv(layer->image.view, iov, iovcnt, skip, mapping->length,
				mapping->file_offset);

	return ret ? vhdx_fail(ret, NO_PROBLEM, layer->name, mapping->file_offset,
			       "%" PRIu64 " bytes of a block cannot be read", mapping->length)
		   : 0;
}

/* Reads up to @length bytes, all of one block. *ret_done of them were read. */
static int read_in_block(struct vhdx *disk, uint64_t offset, uint64_t length,
			 const struct iovec *iov, int iovcnt, uint64_t skip, uint64_t *ret_done)
{
	pthread_rwlock_t *stripe =
		stripe_of(&disk->shared->stripes, offset / disk->image.parameters.block_size);
	uint64_t done = 0;
	int ret = 0;

	pthread_rwlock_rdlock(stripe);
	while (done < length && !ret) {
		struct mapping mapping;

		ret = vhdx_map(disk, offset + done, length - done, false, &mapping);
		if (!ret)
			ret = read_piece(&mapping, iov, iovcnt, skip + done);
		if (!ret)
			done += mapping.length;
	}
	pthread_rwlock_unlock(stripe);
	*ret_done = done;
	return ret;
}

int vhdx_preadv(struct vhdx *disk, const struct iovec *iov, int iovcnt, uint64_t offset)
{
	uint64_t size;
	uint64_t done = 0;

	if (!disk || (!iov && iovcnt) || vhdx_iov_size(iov, iovcnt, &size))
		return vhdx_fail_argument("vhdx_preadv: no disk, or buffers that are none");
	int ret = disk_check_readable(disk);

	if (ret)
		return ret;
	if (!range_within(offset, size, disk->image.virtual_size))
		return vhdx_fail(-EINVAL, NO_PROBLEM, disk->name, VHDX_NO_OFFSET,
				 "cannot read %" PRIu64 " bytes at %" PRIu64
				 " of the disk (it has %" PRIu64 ")",
				 size, offset, disk->image.virtual_size);
	uint32_t block_size = disk->image.parameters.block_size;

	while (done < size && !ret) {
		uint64_t at = offset + done;
		uint64_t part = min_u64(size - done, block_size - at % block_size);
		uint64_t read = 0;

		ret = read_in_block(disk, at, part, iov, iovcnt, done, &read);
		done += read;
	}
	vhdx_page_cache_trim(&disk->shared->cache, vhdx_stripes_grace, &disk->shared->stripes);
	return ret;
}

int vhdx_pread(struct vhdx *disk, void *buf, size_t count, uint64_t offset)
{
	struct iovec iov = {buf, count};

	if (!buf && count)
		return vhdx_fail_argument("vhdx_pread: no buffer");
	return vhdx_preadv(disk, &iov, 1, offset);
}
