/* SPDX-License-Identifier: MIT */
/* A struct vhdx_io over sparse bytes that counts, misbehaves on demand, and must never be changed. */
#include <errno.h>

#include "support/store.h"

static int enter(struct test_store *store)
{
	unsigned long call = atomic_fetch_add(&store->calls, 1) + 1;

	return store->fail_to && call >= store->fail_from && call <= store->fail_to ? store->error
										    : 0;
}

static ssize_t store_preadv(void *opaque, const struct iovec *iov, int iovcnt, uint64_t offset)
{
	struct test_store *store = opaque;
	int ret = enter(store);
	unsigned long read = atomic_fetch_add(&store->reads, 1) + 1;
	uint64_t left = store->transfer ? store->transfer : UINT64_MAX;
	ssize_t done = 0;

	if (ret)
		return ret;
	if (store->interrupt && !(read % store->interrupt))
		return -EINTR;
	for (int i = 0; i < iovcnt && left && offset < store->bytes->size; i++) {
		uint64_t part = iov[i].iov_len < left ? iov[i].iov_len : left;

		if (part > store->bytes->size - offset)
			part = store->bytes->size - offset;
		sparse_read(store->bytes, iov[i].iov_base, part, offset);
		offset += part;
		left -= part;
		done += (ssize_t)part;
	}
	atomic_fetch_add(&store->read_bytes, (unsigned long long)done);
	return done;
}

static int store_get_size(void *opaque, uint64_t *ret_size)
{
	struct test_store *store = opaque;
	int ret = enter(store);

	if (!ret)
		*ret_size = store->bytes->size;
	return ret;
}

static int store_next_data(void *opaque, uint64_t offset, uint64_t *ret_start, uint64_t *ret_end)
{
	struct test_store *store = opaque;
	int ret = enter(store);
	uint64_t start;
	uint64_t end;

	if (ret)
		return ret;
	if (offset >= store->bytes->size || !sparse_next(store->bytes, offset, &start, &end) ||
	    start >= store->bytes->size)
		return -ENXIO;
	*ret_start = start > offset ? start : offset;
	*ret_end = end < store->bytes->size ? end : store->bytes->size;
	return 0;
}

static int refuse_change(struct test_store *store)
{
	atomic_fetch_add(&store->changes, 1);
	return -EROFS;
}

static ssize_t store_pwritev(void *opaque, const struct iovec *iov, int iovcnt, uint64_t offset)
{
	(void)iov;
	(void)iovcnt;
	(void)offset;
	return refuse_change(opaque);
}

static int store_set_size(void *opaque, uint64_t size)
{
	(void)size;
	return refuse_change(opaque);
}

static int store_change_range(void *opaque, uint64_t offset, uint64_t length)
{
	(void)offset;
	(void)length;
	return refuse_change(opaque);
}

static void store_close(void *opaque)
{
	struct test_store *store = opaque;

	atomic_fetch_add(&store->closes, 1);
}

struct vhdx_io test_store_io(struct test_store *store, bool holes)
{
	return (struct vhdx_io){
		.size = sizeof(struct vhdx_io),
		.opaque = store,
		.preadv = store_preadv,
		.pwritev = store_pwritev,
		.get_size = store_get_size,
		.set_size = store_set_size,
		.punch = store_change_range,
		.zero = store_change_range,
		.reserve = store_change_range,
		.next_data = holes ? store_next_data : NULL,
		.close = store_close,
	};
}
