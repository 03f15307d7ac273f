/* SPDX-License-Identifier: MIT */
/* A ruined file as storage: its missing beginning is there as zeros, what cannot be read as RUIN_BYTEs. */
#include <errno.h>
#include <string.h>

#include "base/arith.h"
#include "store/io.h"
#include "store/ruin.h"

/* A failing read is tried again by pieces; what fails then is RUIN_BYTEs. */
static ssize_t read_piece(const struct ruin *ruin, const struct iovec *iov, int iovcnt,
			  uint64_t total, uint64_t offset)
{
	uint64_t piece = min_u64(total, RUIN_PIECE - offset % RUIN_PIECE);
	int ret = vhdx_io_readv(ruin->base, iov, iovcnt, 0, piece, offset);

	if (ret == -EIO) {
		uint8_t bytes[RUIN_PIECE];

		memset(bytes, RUIN_BYTE, sizeof(bytes));
		vhdx_iov_fill(iov, iovcnt, 0, bytes, piece);
	}
	return !ret || ret == -EIO ? (ssize_t)piece : ret;
}

static ssize_t ruin_preadv(void *opaque, const struct iovec *iov, int iovcnt, uint64_t offset)
{
	const struct ruin *ruin = opaque;
	uint64_t total;
	int ret = vhdx_iov_size(iov, iovcnt, &total);

	if (ret || !total)
		return ret;
	if (offset < ruin->missing) {
		uint64_t count = min_u64(total, ruin->missing - offset);

		iov_zero(iov, iovcnt, 0, count);
		return (ssize_t)count;
	}
	ssize_t done = ruin->base->preadv(ruin->base->opaque, iov, iovcnt, offset - ruin->missing);

	if (done != -EIO || ruin->strict)
		return done;
	return read_piece(ruin, iov, iovcnt, total, offset - ruin->missing);
}

static int ruin_get_size(void *opaque, uint64_t *ret_size)
{
	const struct ruin *ruin = opaque;
	uint64_t size;
	int ret = vhdx_io_get_size(ruin->base, &size);

	if (ret)
		return ret;
	return add_fits(size, ruin->missing, ret_size) ? 0 : -EFBIG;
}

static int ruin_next_data(void *opaque, uint64_t offset, uint64_t *ret_start, uint64_t *ret_end)
{
	const struct ruin *ruin = opaque;
	uint64_t start = max_u64(offset, ruin->missing);
	uint64_t end;
	int ret = vhdx_io_next_data(ruin->base, start - ruin->missing, UINT64_MAX - ruin->missing,
				    &start, &end);

	if (ret)
		return ret;
	*ret_start = start + ruin->missing;
	*ret_end = end + ruin->missing;
	return 0;
}

struct vhdx_io vhdx_ruin_io(struct ruin *ruin)
{
	return (struct vhdx_io){
		.size = sizeof(struct vhdx_io),
		.opaque = ruin,
		.preadv = ruin_preadv,
		.get_size = ruin_get_size,
		.next_data = ruin->base->next_data ? ruin_next_data : NULL,
	};
}
