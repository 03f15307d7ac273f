/* SPDX-License-Identifier: MIT */
/* Zeros that must really be written. */
#include <errno.h>

#include "base/arith.h"
#include "ops/fill.h"
#include "store/io.h"

static const char zeros[64 * 1024] __attribute__((aligned(4096)));

static int write_zeros(const struct vhdx_io *io, uint64_t offset, uint64_t length)
{
	int ret = 0;

	while (length && !ret) {
		size_t part = (size_t)min_u64(length, sizeof(zeros));

		ret = vhdx_io_write(io, zeros, part, offset);
		offset += part;
		length -= part;
	}
	return ret;
}

int vhdx_fill_zeros(const struct vhdx_io *io, uint64_t offset, uint64_t length)
{
	if (!length)
		return 0;
	int ret = io->zero ? io->zero(io->opaque, offset, length) : -EOPNOTSUPP;

	/* Whatever kept it from that, a write says best what is wrong, if anything is. */
	return ret ? write_zeros(io, offset, length) : 0;
}

int vhdx_fill_holes(const struct vhdx_io *io, uint64_t offset, uint64_t length)
{
	if (length && io->punch && !io->punch(io->opaque, offset, length))
		return 0;
	return vhdx_fill_zeros(io, offset, length);
}
