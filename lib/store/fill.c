/* SPDX-License-Identifier: MIT */
/* Ranges that must read as zeros: as holes, with their space kept, or written where nothing else will do. */
#include <errno.h>

#include "base/arith.h"
#include "store/fill.h"
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

int vhdx_fill_fast(const struct vhdx_io *io, uint64_t offset, uint64_t length, bool may_punch)
{
	int ret = -EOPNOTSUPP;

	if (!length)
		return 0;
	if (may_punch)
		ret = vhdx_io_punch(io, offset, length);
	if (ret)
		ret = vhdx_io_zero(io, offset, length);
	return ret;
}

/* Whatever kept it from the fast way, a write says best what is wrong, if anything is. */
int vhdx_fill_zeros(const struct vhdx_io *io, uint64_t offset, uint64_t length)
{
	return vhdx_fill_fast(io, offset, length, false) ? write_zeros(io, offset, length) : 0;
}

int vhdx_fill_holes(const struct vhdx_io *io, uint64_t offset, uint64_t length)
{
	return vhdx_fill_fast(io, offset, length, true) ? write_zeros(io, offset, length) : 0;
}
