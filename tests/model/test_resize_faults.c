/* SPDX-License-Identifier: MIT */
/* The Nth call of the storage fails, or the Nth allocation, for every N, while a disk is resized. */
#include <errno.h>
#include <inttypes.h>
#include <limits.h>

#include "support/alloc.h"
#include "support/resizecase.h"
#include "support/scratch.h"

/* A disk, and the size that it gets. */
struct job {
	struct resize_setup setup;
	uint64_t size;
	uint64_t data[4]; /* places of data that stay */
	uint64_t zeroed;  /* from here on it was data, and is zeros; 0: nothing */
};

static const struct job jobs[] = {
	{{.virtual_size = 3 * R_MIB + 512, .block_size = 1 << 20}, 9 * R_MIB, {0, 3 * R_MIB}, 0},
	{{.virtual_size = 100 * R_GIB, .block_size = 1 << 20},
	 200 * R_GIB,
	 {5 * R_MIB, 80 * R_GIB},
	 0},
	{{.type = VHDX_FIXED, .virtual_size = 2 * R_MIB + 4096, .block_size = 1 << 20},
	 5 * R_MIB,
	 {0, 2 * R_MIB},
	 0},
	{{.type = VHDX_FIXED, .virtual_size = 6 * R_MIB, .block_size = 1 << 20},
	 2 * R_MIB,
	 {0, R_MIB},
	 3 * R_MIB},
	{{.virtual_size = 9 * R_MIB, .block_size = 1 << 20},
	 3 * R_MIB + 4096,
	 {0, 3 * R_MIB},
	 3 * R_MIB + 4096},
	{{.type = VHDX_DIFFERENCING,
	  .virtual_size = 9 * R_MIB,
	  .block_size = 1 << 20,
	  .parent_pieces = 20},
	 4 * R_MIB + 4096,
	 {0, 4 * R_MIB},
	 4 * R_MIB + 4096},
};

static void prepare(struct resize_case *c, const struct job *job)
{
	struct rng rng = rng_make(7);

	resize_case_make(&rng, &job->setup, c);
	resize_case_open(c);
	for (unsigned i = 0; i < 4 && (!i || job->data[i]); i++)
		resize_case_write(c, &rng, job->data[i], 512);
	for (uint64_t at = job->zeroed; at && at < c->flat.size; at += R_MIB)
		resize_case_write(c, &rng, at, 8 * R_KIB);
	if (job->zeroed)
		resize_case_zero(c, job->zeroed, c->flat.size - job->zeroed, 0);
	resize_case_close(c, false);
	resize_case_open(c);
}

static int resize(struct resize_case *c, uint64_t size)
{
	struct vhdx_resize_options options = {.size = sizeof(options), .flags = VHDX_RESIZE_SHRINK};

	return vhdx_resize(c->disk, size, &options);
}

/* The disk was closed, well or not: it is as it was or as it shall be, and what failed can be done again. */
static void check_afterwards(struct resize_case *c, const struct job *job, bool done)
{
	resize_case_open(c);
	uint64_t size = c->info.virtual_size;

	CHECK(size == job->size || (!done && size == job->setup.virtual_size),
	      "the disk has %" PRIu64 " bytes", size);
	resize_case_resized(c, size);
	resize_case_compare(c);
	CHECK(!resize(c, job->size), "again: %s", vhdx_last_error()->text);
	c->info.size = sizeof(c->info);
	vhdx_get_info(c->disk, &c->info);
	resize_case_resized(c, job->size);
	resize_case_compare(c);
	resize_case_close(c, size != job->size);
}

/* What may fail without harm: something else is done instead. */
#define HARMLESS \
	(STORE_BIT(STORE_PUNCH) | STORE_BIT(STORE_ZERO) | STORE_BIT(STORE_RESERVE) | \
	 STORE_BIT(STORE_NEXT_DATA) | STORE_BIT(STORE_SET_SIZE))

/* Whatever failed, the disk takes no write that it then loses. */
static void write_on(struct resize_case *c)
{
	struct rng rng = rng_make(11);
	uint8_t bytes[4096];

	rng_fill(&rng, bytes, sizeof(bytes));
	if (vhdx_pwrite(c->disk, bytes, sizeof(bytes), R_MIB + 64 * R_KIB, 0))
		return;
	CHECK(!vhdx_flush(c->disk), "flush: %s", vhdx_last_error()->text);
	flat_write(&c->flat, bytes, sizeof(bytes), R_MIB + 64 * R_KIB);
}

/* Returns whether the call was met. */
static bool fail_call(const struct job *job, int error, bool for_good, unsigned long nth)
{
	struct resize_case c;

	prepare(&c, job);
	struct write_store *store = &c.store;

	store->fail_seen = 0;
	store->failed = 0;
	store->fail_calls = STORE_ANY & ~STORE_BIT(STORE_GET_SIZE);
	store->fail_from = nth;
	store->fail_to = for_good ? ULONG_MAX : nth;
	store->error = error;
	int ret = resize(&c, job->size);
	bool met = store->failed;
	unsigned harmless = HARMLESS | (error == -ENOSPC ? STORE_BIT(STORE_WRITE) : 0u);

	CHECK(!ret || ret == error, "call %lu: error %d, %s", nth, ret, vhdx_last_error()->text);
	CHECK(ret || !(store->failed & ~harmless), "call %lu failed (%#x), and nobody was told",
	      nth, store->failed);
	store->fail_calls = 0;
	write_on(&c);
	int closed = vhdx_close(c.disk);

	CHECK(!closed || ret, "close: %s", vhdx_last_error()->text);
	resize_case_check(&c, false);
	check_afterwards(&c, job, !ret);
	resize_case_free(&c);
	return met;
}

static void fail_every_call(int error, bool for_good)
{
	unsigned long step = (unsigned long)(15 / sampled(15));

	for (size_t i = 0; i < sizeof(jobs) / sizeof(*jobs); i++) {
		bool met = true;

		for (unsigned long nth = 1; met; nth += step) {
			current_seed = nth + 1000 * i;
			met = fail_call(&jobs[i], error, for_good, nth);
		}
		CHECK(current_seed > 1000 * i + 10, "no call of job %zu failed", i);
	}
}

static void test_a_call_that_fails_once_leaves_the_old_disk_or_the_new(void **state)
{
	(void)state;
	fail_every_call(-EIO, false);
}

static void test_storage_that_fails_for_good_leaves_the_old_disk_or_the_new(void **state)
{
	(void)state;
	fail_every_call(-EIO, true);
}

static void test_want_of_space_leaves_the_old_disk_or_the_new(void **state)
{
	(void)state;
	fail_every_call(-ENOSPC, false);
	fail_every_call(-ENOSPC, true);
}

static bool fail_allocation(const struct job *job, unsigned long nth)
{
	struct resize_case c;

	prepare(&c, job);
	alloc_fail_nth(nth);
	int ret = resize(&c, job->size);
	bool met = alloc_has_failed();

	alloc_fail_nth(0);
	CHECK(!ret || (met && ret == -ENOMEM), "allocation %lu: error %d", nth, ret);
	vhdx_close(c.disk);
	resize_case_check(&c, false);
	check_afterwards(&c, job, !ret);
	resize_case_free(&c);
	return met;
}

static void test_an_allocation_that_fails_leaves_the_old_disk_or_the_new(void **state)
{
	size_t pieces = alloc_pieces();

	(void)state;
	for (size_t i = 0; i < sizeof(jobs) / sizeof(*jobs); i++) {
		bool met = true;

		for (unsigned long nth = 1; met; nth++) {
			current_seed = nth + 1000 * i;
			met = fail_allocation(&jobs[i], nth);
			CHECK(alloc_pieces() == pieces, "memory leaked");
		}
		CHECK(current_seed > 1000 * i + 10, "no allocation of job %zu failed", i);
	}
}

struct stopper {
	unsigned long calls;
	unsigned long at;
	uint64_t done;
	uint64_t total;
};

static int stop(void *opaque, uint64_t done, uint64_t total)
{
	struct stopper *stopper = opaque;

	CHECK(done >= stopper->done && done <= total &&
		      (!stopper->total || total == stopper->total),
	      "progress went from %" PRIu64 " to %" PRIu64 " of %" PRIu64, stopper->done, done,
	      total);
	stopper->done = done;
	stopper->total = total;
	return ++stopper->calls == stopper->at;
}

/* Stopped, the disk is as it was, at once, and with nothing left in its file. */
static bool cancel(const struct job *job, unsigned long at)
{
	struct resize_case c;
	struct stopper stopper = {.at = at};

	prepare(&c, job);
	struct vhdx_resize_options options = {.size = sizeof(options),
					      .flags = VHDX_RESIZE_SHRINK,
					      .progress = stop,
					      .opaque = &stopper};
	int ret = vhdx_resize(c.disk, job->size, &options);
	bool met = stopper.calls >= at;

	CHECK(ret == (met ? -ECANCELED : 0), "stopped at call %lu: %d", at, ret);
	if (met) {
		resize_case_compare(&c);
		resize_case_close(&c, job->size > job->setup.virtual_size);
	} else {
		vhdx_close(c.disk);
	}
	check_afterwards(&c, job, !met);
	resize_case_free(&c);
	return met;
}

static void test_a_cancel_leaves_the_old_disk(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(jobs) / sizeof(*jobs); i++) {
		unsigned long at = 1;

		for (current_seed = 1000 * i; cancel(&jobs[i], at); at++)
			current_seed++;
		CHECK(at > 1, "job %zu was never stopped", i);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		SCRATCH_TEST(test_a_call_that_fails_once_leaves_the_old_disk_or_the_new),
		SCRATCH_TEST(test_storage_that_fails_for_good_leaves_the_old_disk_or_the_new),
		SCRATCH_TEST(test_want_of_space_leaves_the_old_disk_or_the_new),
		SCRATCH_TEST(test_an_allocation_that_fails_leaves_the_old_disk_or_the_new),
		SCRATCH_TEST(test_a_cancel_leaves_the_old_disk),
	};

	return RUN_TESTS(tests);
}
