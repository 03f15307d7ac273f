/* SPDX-License-Identifier: MIT */
/* Storage of a fuzz target: bytes in RAM, and bounds of the work that an input may cause. */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "fuzz/store.h"

/* Of one store while one input runs; images are below 64 MiB unless an input makes them longer. */
#define MOST_CALLS   200000u
#define MOST_READ    ((uint64_t)1 << 30)
#define MOST_WRITTEN ((uint64_t)256 << 20)

/* Where a file system's limit would be; no page is kept behind FUZZ_LAST_BYTE. */
#define LAST_SIZE ((uint64_t)64 << 40)

void fuzz_fail(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fputc('\n', stderr);
	abort();
}

static void count(uint64_t *counter, uint64_t more, uint64_t most, const char *what)
{
	*counter += more;
	if (*counter > most)
		fuzz_fail("too much work: %llu %s", (unsigned long long)*counter, what);
}

static void change(struct fuzz_store *store)
{
	count(&store->calls, 1, MOST_CALLS, "calls");
	store->changes++;
	if (!store->writable)
		fuzz_fail("storage that is only read is changed");
}

static ssize_t store_preadv(void *opaque, const struct iovec *iov, int iovcnt, uint64_t offset)
{
	struct fuzz_store *store = opaque;
	uint64_t done = 0;

	count(&store->calls, 1, MOST_CALLS, "calls");
	for (int i = 0; i < iovcnt && offset < store->bytes->size; i++) {
		uint64_t part = iov[i].iov_len;

		if (part > store->bytes->size - offset)
			part = store->bytes->size - offset;
		cow_read(store->bytes, iov[i].iov_base, part, offset);
		offset += part;
		done += part;
	}
	count(&store->read_bytes, done, MOST_READ, "bytes read");
	return (ssize_t)done;
}

static ssize_t store_pwritev(void *opaque, const struct iovec *iov, int iovcnt, uint64_t offset)
{
	struct fuzz_store *store = opaque;
	uint64_t done = 0;

	change(store);
	for (int i = 0; i < iovcnt; i++) {
		if (offset > FUZZ_LAST_BYTE || iov[i].iov_len > FUZZ_LAST_BYTE - offset)
			return done ? (ssize_t)done : -EFBIG;
		cow_write(store->bytes, iov[i].iov_base, iov[i].iov_len, offset);
		offset += iov[i].iov_len;
		done += iov[i].iov_len;
	}
	count(&store->written_bytes, done, MOST_WRITTEN, "bytes written");
	return (ssize_t)done;
}

static int store_flush(void *opaque)
{
	struct fuzz_store *store = opaque;

	count(&store->calls, 1, MOST_CALLS, "calls");
	return 0;
}

static int store_get_size(void *opaque, uint64_t *ret_size)
{
	struct fuzz_store *store = opaque;

	count(&store->calls, 1, MOST_CALLS, "calls");
	*ret_size = store->bytes->size;
	return 0;
}

static int store_set_size(void *opaque, uint64_t size)
{
	struct fuzz_store *store = opaque;

	change(store);
	if (size > LAST_SIZE)
		return -EFBIG;
	cow_resize(store->bytes, size);
	return 0;
}

static int store_make_zeros(void *opaque, uint64_t offset, uint64_t length)
{
	struct fuzz_store *store = opaque;

	change(store);
	if (offset < store->bytes->size)
		cow_zero(store->bytes, offset, length);
	return 0;
}

static int store_reserve(void *opaque, uint64_t offset, uint64_t length)
{
	struct fuzz_store *store = opaque;

	change(store);
	return offset > FUZZ_LAST_BYTE || length > FUZZ_LAST_BYTE - offset ? -ENOSPC : 0;
}

static int store_next_data(void *opaque, uint64_t offset, uint64_t *ret_start, uint64_t *ret_end)
{
	struct fuzz_store *store = opaque;

	count(&store->calls, 1, MOST_CALLS, "calls");
	if (offset >= store->bytes->size || !cow_next(store->bytes, offset, ret_start, ret_end))
		return -ENXIO;
	return 0;
}

static int store_lock(void *opaque, int exclusive)
{
	(void)opaque;
	(void)exclusive;
	return 0;
}

struct vhdx_io fuzz_store_io(struct fuzz_store *store)
{
	return (struct vhdx_io){
		.size = sizeof(struct vhdx_io),
		.opaque = store,
		.preadv = store_preadv,
		.pwritev = store_pwritev,
		.flush = store_flush,
		.get_size = store_get_size,
		.set_size = store_set_size,
		.punch = store_make_zeros,
		.zero = store_make_zeros,
		.reserve = store_reserve,
		.next_data = store_next_data,
		.lock = store_lock,
	};
}
