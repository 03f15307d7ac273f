/* SPDX-License-Identifier: MIT */
/*
 * An NBD export as storage: what is asked for is cut into requests that are in flight together, spread
 * over several connections where the server allows them.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdatomic.h>
#include <string.h>

#include "arith.h"
#include "cleanup.h"
#include "nbd.h"
#include "nbdlink.h"
#include "nbdmap.h"

#define LINKS_MAX    4
#define BATCH	     16			   /* requests of one call in flight */
#define REQUEST_SIZE ((uint64_t)256 << 10) /* of data */
/* Where there is one connection, the server may answer one by one, each after the way there and back. */
#define SINGLE_SIZE    ((uint64_t)1024 << 10)
#define CLEAR_SIZE     ((uint64_t)32 << 20) /* of zeros: what servers take that state no limit */
#define BLOCK_MAX      ((uint64_t)64 << 10) /* by the protocol */
#define UNSTATED_BLOCK 512

struct nbdio {
	struct nbdlink *links[LINKS_MAX];
	unsigned nlinks;
	atomic_uint turns;
	uint64_t size;
	uint64_t block; /* what requests are aligned to; the size is a multiple of it */
	uint64_t request_size;
	uint64_t clear_size;
	bool forces_unit_access; /* the server cannot flush, but each write can be durable at once */
	pthread_mutex_t partial; /* who changes a part of a block is alone */
	struct nbdmap map;
};

/* ---- Transfers ---- */

static struct nbdlink *next_link(struct nbdio *io)
{
	return io->links[atomic_fetch_add(&io->turns, 1) % io->nlinks];
}

static int wait_for_all(struct nbdlink_request *requests, unsigned count)
{
	int result = 0;

	for (unsigned i = 0; i < count; i++) {
		int ret = nbdlink_wait(&requests[i]);

		if (!result)
			result = ret;
	}
	return result;
}

/* Whole blocks; @buf is NULL when they are to be zeros. */
static int transfer_blocks(struct nbdio *io, enum nbdlink_operation operation, char *buf,
			   uint64_t length, uint64_t offset)
{
	uint64_t most = buf ? io->request_size : io->clear_size;
	struct nbdlink_request requests[BATCH];
	int ret = 0;

	while (length && !ret) {
		unsigned count = 0;

		while (length && count < BATCH) {
			struct nbdlink_request *request = &requests[count++];

			*request = (struct nbdlink_request){
				.operation = operation,
				.durable = io->forces_unit_access && operation != NBDLINK_READ,
				.buf = buf,
				.length = least(length, most),
				.offset = offset,
			};
			nbdlink_submit(next_link(io), request);
			if (buf)
				buf += request->length;
			length -= request->length;
			offset += request->length;
		}
		ret = wait_for_all(requests, count);
	}
	return ret;
}

/* A part of one block. */
static int transfer_part(struct nbdio *io, enum nbdlink_operation operation, char *buf,
			 uint64_t length, uint64_t offset)
{
	uint64_t inside = offset % io->block;
	auto_free char *block = calloc(1, io->block);

	if (!block)
		return -ENOMEM;
	LOCK_SCOPED(&io->partial);
	int ret = transfer_blocks(io, NBDLINK_READ, block, io->block, offset - inside);

	if (ret)
		return ret;
	if (operation == NBDLINK_READ) {
		memcpy(buf, block + inside, length);
		return 0;
	}
	if (buf)
		memcpy(block + inside, buf, length);
	else
		memset(block + inside, 0, length);
	return transfer_blocks(io, NBDLINK_WRITE, block, io->block, offset - inside);
}

static int transfer(struct nbdio *io, enum nbdlink_operation operation, char *buf, uint64_t length,
		    uint64_t offset)
{
	int ret = 0;

	while (length && !ret) {
		uint64_t inside = offset % io->block;
		bool is_part = inside || length < io->block;
		uint64_t count = is_part ? least(length, io->block - inside)
					 : length - length % io->block;

		ret = is_part ? transfer_part(io, operation, buf, count, offset)
			      : transfer_blocks(io, operation, buf, count, offset);
		if (buf)
			buf += count;
		length -= count;
		offset += count;
	}
	return ret;
}

/* Returns the bytes transferred, which end where the export ends. */
static ssize_t transfer_buffers(struct nbdio *io, enum nbdlink_operation operation,
				const struct iovec *iov, int iovcnt, uint64_t offset)
{
	uint64_t left = offset < io->size ? io->size - offset : 0;
	ssize_t done = 0;

	for (int i = 0; i < iovcnt && left; i++) {
		uint64_t part = least(iov[i].iov_len, left);
		int ret = transfer(io, operation, iov[i].iov_base, part, offset + (uint64_t)done);

		if (ret)
			return ret;
		done += (ssize_t)part;
		left -= part;
	}
	return done;
}

/* ---- As storage ---- */

static ssize_t nbdio_preadv(void *opaque, const struct iovec *iov, int iovcnt, uint64_t offset)
{
	return transfer_buffers(opaque, NBDLINK_READ, iov, iovcnt, offset);
}

static bool is_empty(const struct iovec *iov, int iovcnt)
{
	while (iovcnt > 0 && !iov->iov_len)
		iov++, iovcnt--;
	return iovcnt <= 0;
}

static ssize_t nbdio_pwritev(void *opaque, const struct iovec *iov, int iovcnt, uint64_t offset)
{
	ssize_t done = transfer_buffers(opaque, NBDLINK_WRITE, iov, iovcnt, offset);

	return done || is_empty(iov, iovcnt) ? done : -ENOSPC;
}

static int clear(struct nbdio *io, enum nbdlink_operation operation, uint64_t offset,
		 uint64_t length)
{
	if (offset > io->size || length > io->size - offset)
		return -ENOSPC;
	int ret = transfer(io, operation, NULL, length, offset);

	return ret == -ENOTSUP ? -EOPNOTSUPP : ret;
}

static int nbdio_punch(void *opaque, uint64_t offset, uint64_t length)
{
	return clear(opaque, NBDLINK_PUNCH, offset, length);
}

static int nbdio_zero(void *opaque, uint64_t offset, uint64_t length)
{
	return clear(opaque, NBDLINK_ZERO, offset, length);
}

static int nbdio_flush_nothing(void *opaque)
{
	(void)opaque;
	return 0;
}

/* Only where a flush means all connections there is more than one. */
static int nbdio_flush(void *opaque)
{
	struct nbdio *io = opaque;
	struct nbdlink_request request = {.operation = NBDLINK_FLUSH};

	nbdlink_submit(io->links[0], &request);
	return nbdlink_wait(&request);
}

static int nbdio_get_size(void *opaque, uint64_t *ret_size)
{
	const struct nbdio *io = opaque;

	*ret_size = io->size;
	return 0;
}

static int nbdio_next_data(void *opaque, uint64_t offset, uint64_t *ret_start, uint64_t *ret_end)
{
	struct nbdio *io = opaque;

	return nbdmap_next_data(&io->map, offset, ret_start, ret_end);
}

static void nbdio_close(void *opaque)
{
	struct nbdio *io = opaque;

	for (unsigned i = 0; i < io->nlinks; i++)
		nbdlink_close(io->links[i]);
	nbdmap_free(&io->map);
	pthread_mutex_destroy(&io->partial);
	free(io);
}

/* ---- Opening ---- */

/* Servers that state no block size take any, but for old ones that take sectors. */
static bool take_block_size(struct nbdio *io, struct nbd_handle *handle)
{
	int64_t stated = nbd.get_block_size(handle, LIBNBD_SIZE_MINIMUM);

	if (stated > 0)
		io->block = (uint64_t)stated;
	else
		io->block = io->size % UNSTATED_BLOCK ? 1 : UNSTATED_BLOCK;
	return io->block <= BLOCK_MAX && !(io->block & (io->block - 1));
}

static bool take_request_sizes(struct nbdio *io, struct nbd_handle *handle)
{
	int64_t stated = nbd.get_block_size(handle, LIBNBD_SIZE_MAXIMUM);
	uint64_t most = stated > 0 ? (uint64_t)stated : CLEAR_SIZE;

	most = least(most, CLEAR_SIZE);
	most -= most % io->block;
	io->request_size = least(nbd.can_multi_conn(handle) > 0 ? REQUEST_SIZE : SINGLE_SIZE, most);
	io->clear_size = most;
	return most;
}

static int take_sizes(struct nbdio *io, struct nbd_handle *handle, struct remote_error *ret_error)
{
	int64_t size = nbd.get_size(handle);

	if (size < 0)
		return remote_fail(ret_error, EPROTO,
				   "states a size that cannot be (expected less than 8 EiB)");
	io->size = (uint64_t)size;
	if (!take_block_size(io, handle) || !take_request_sizes(io, handle))
		return remote_fail(ret_error, EPROTO, "states sizes of blocks that cannot be");
	if (io->size % io->block)
		return remote_fail(ret_error, ENOTSUP,
				   "has %" PRIu64
				   " bytes, and its server reaches blocks of %" PRIu64
				   " only (expected a multiple)",
				   io->size, io->block);
	return 0;
}

static int check_writable(struct nbd_handle *handle, struct remote_error *ret_error)
{
	int read_only = nbd.is_read_only(handle);

	if (read_only < 0)
		return remote_fail(ret_error, EIO, "cannot be asked whether it may be written: %s",
				   nbd.get_error());
	if (read_only)
		return remote_fail(ret_error, EROFS, "the export is read-only");
	return 0;
}

/* Servers that do not say that connections see each other's writes may take only one. */
static void open_more_links(struct nbdio *io, struct nbd_handle *handle, const char *uri,
			    const struct remote_options *options)
{
	struct nbdlink *link;

	if (nbd.can_multi_conn(handle) <= 0)
		return;
	while (io->nlinks < LINKS_MAX && (link = nbdlink_open_more(io->links[0], uri, options)))
		io->links[io->nlinks++] = link;
}

static void offer(struct nbdio *io, struct nbd_handle *handle, bool writing, struct vhdx_io *ret_io)
{
	bool can_zero = writing && nbd.can_zero(handle) > 0;
	bool can_flush = writing && nbd.can_flush(handle) > 0;
	bool can_tell = nbd.can_meta_context(handle, LIBNBD_CONTEXT_BASE_ALLOCATION) > 0;

	*ret_io = (struct vhdx_io){
		.size = sizeof(*ret_io),
		.opaque = io,
		.preadv = nbdio_preadv,
		.pwritev = writing ? nbdio_pwritev : NULL,
		.flush = can_flush ? nbdio_flush : NULL,
		.get_size = nbdio_get_size,
		.punch = can_zero ? nbdio_punch : NULL,
		.zero = can_zero ? nbdio_zero : NULL,
		.next_data = can_tell ? nbdio_next_data : NULL,
		.close = nbdio_close,
	};
	io->forces_unit_access = writing && !can_flush && nbd.can_fua(handle) > 0;
	if (io->forces_unit_access)
		ret_io->flush = nbdio_flush_nothing;
}

/* @io has its first connection. */
static int open_io(struct nbdio *io, const char *uri, bool writing,
		   const struct remote_options *options, struct vhdx_io *ret_io,
		   struct remote_error *ret_error)
{
	struct nbd_handle *handle = nbdlink_handle(io->links[0]);
	int ret = take_sizes(io, handle, ret_error);

	if (!ret && writing)
		ret = check_writable(handle, ret_error);
	if (ret)
		return ret;
	if (!nbdmap_init(&io->map, io->links[0], io->size, io->block))
		return remote_fail(ret_error, ENOMEM, "cannot be opened: no memory");
	open_more_links(io, handle, uri, options);
	offer(io, handle, writing, ret_io);
	return 0;
}

int nbdio_open(const char *uri, bool writing, const struct remote_options *options,
	       struct vhdx_io *ret_io, struct remote_error *ret_error)
{
	struct nbdio *io = calloc(1, sizeof(*io));

	if (!io)
		return remote_fail(ret_error, ENOMEM, "cannot be opened: no memory");
	pthread_mutex_init(&io->partial, NULL);
	int ret = nbdlink_open(uri, options, &io->links[0], ret_error);

	io->nlinks = !ret;
	if (!ret)
		ret = open_io(io, uri, writing, options, ret_io, ret_error);
	if (ret)
		nbdio_close(io);
	return ret;
}
