/* SPDX-License-Identifier: MIT */
/* Storage that counts the calls that reach it. */
#include <errno.h>
#include <stdlib.h>

#include "tools/counting.h"

struct counting {
	struct vhdx_io below;
	struct counts *counts;
};

static ssize_t counting_preadv(void *opaque, const struct iovec *iov, int iovcnt, uint64_t offset)
{
	struct counting *counting = opaque;
	ssize_t done = counting->below.preadv(counting->below.opaque, iov, iovcnt, offset);

	atomic_fetch_add(&counting->counts->reads, 1);
	if (done > 0)
		atomic_fetch_add(&counting->counts->read, (unsigned long long)done);
	return done;
}

static ssize_t counting_pwritev(void *opaque, const struct iovec *iov, int iovcnt, uint64_t offset)
{
	struct counting *counting = opaque;
	ssize_t done = counting->below.pwritev(counting->below.opaque, iov, iovcnt, offset);

	atomic_fetch_add(&counting->counts->writes, 1);
	if (done > 0)
		atomic_fetch_add(&counting->counts->written, (unsigned long long)done);
	return done;
}

static int counting_flush(void *opaque)
{
	struct counting *counting = opaque;

	atomic_fetch_add(&counting->counts->flushes, 1);
	return counting->below.flush(counting->below.opaque);
}

static int counting_get_size(void *opaque, uint64_t *ret_size)
{
	struct counting *counting = opaque;

	return counting->below.get_size(counting->below.opaque, ret_size);
}

static int counting_set_size(void *opaque, uint64_t size)
{
	struct counting *counting = opaque;

	atomic_fetch_add(&counting->counts->sizes, 1);
	return counting->below.set_size(counting->below.opaque, size);
}

static int counting_punch(void *opaque, uint64_t offset, uint64_t length)
{
	struct counting *counting = opaque;

	atomic_fetch_add(&counting->counts->punches, 1);
	return counting->below.punch(counting->below.opaque, offset, length);
}

static int counting_zero(void *opaque, uint64_t offset, uint64_t length)
{
	struct counting *counting = opaque;

	atomic_fetch_add(&counting->counts->zeros, 1);
	return counting->below.zero(counting->below.opaque, offset, length);
}

static int counting_reserve(void *opaque, uint64_t offset, uint64_t length)
{
	struct counting *counting = opaque;

	atomic_fetch_add(&counting->counts->reserves, 1);
	return counting->below.reserve(counting->below.opaque, offset, length);
}

static int counting_next_data(void *opaque, uint64_t offset, uint64_t *ret_start, uint64_t *ret_end)
{
	struct counting *counting = opaque;

	atomic_fetch_add(&counting->counts->asks, 1);
	return counting->below.next_data(counting->below.opaque, offset, ret_start, ret_end);
}

static int counting_lock(void *opaque, int exclusive)
{
	struct counting *counting = opaque;

	return counting->below.lock(counting->below.opaque, exclusive);
}

static void counting_close(void *opaque)
{
	struct counting *counting = opaque;

	if (counting->below.close)
		counting->below.close(counting->below.opaque);
	free(counting);
}

int count_calls(const struct vhdx_io *io, struct counts *counts, struct vhdx_io *ret_io)
{
	struct counting *counting = malloc(sizeof(*counting));

	if (!counting)
		return -ENOMEM;
	*counting = (struct counting){.below = *io, .counts = counts};
	*ret_io = (struct vhdx_io){
		.size = sizeof(*ret_io),
		.opaque = counting,
		.preadv = counting_preadv,
		.pwritev = io->pwritev ? counting_pwritev : NULL,
		.flush = io->flush ? counting_flush : NULL,
		.parallel_flushes = io->parallel_flushes,
		.get_size = counting_get_size,
		.set_size = io->set_size ? counting_set_size : NULL,
		.punch = io->punch ? counting_punch : NULL,
		.zero = io->zero ? counting_zero : NULL,
		.reserve = io->reserve ? counting_reserve : NULL,
		.next_data = io->next_data ? counting_next_data : NULL,
		.lock = io->lock ? counting_lock : NULL,
		.close = counting_close,
	};
	return 0;
}

void print_counts(struct counts *counts, FILE *out)
{
	fprintf(out,
		"reads %lu writes %lu flushes %lu sizes %lu punches %lu zeros %lu reserves %lu "
		"written %llu asks %lu read %llu\n",
		atomic_exchange(&counts->reads, 0), atomic_exchange(&counts->writes, 0),
		atomic_exchange(&counts->flushes, 0), atomic_exchange(&counts->sizes, 0),
		atomic_exchange(&counts->punches, 0), atomic_exchange(&counts->zeros, 0),
		atomic_exchange(&counts->reserves, 0), atomic_exchange(&counts->written, 0),
		atomic_exchange(&counts->asks, 0), atomic_exchange(&counts->read, 0));
}
