/* SPDX-License-Identifier: MIT */
/* The Nth call of the storage, or the Nth allocation, fails while a disk becomes smaller, for every N. */
#include <errno.h>
#include <limits.h>

#include "support/alloc.h"
#include "support/compactcase.h"
#include "support/scratch.h"

/* What fails: calls of these kinds, from number N on, once or for good; 0: allocations. */
struct plan {
	unsigned calls;
	int error;
	bool for_good;
};

static const struct {
	enum trial_kind kind;
	struct chain_style style;
	bool has_bitmap; /* that goes or moves */
} disks[] = {
	{TRIAL_BASE, {.small_blocks = true}, false},
	{TRIAL_FOREIGN_BASE, {.small_blocks = true}, false},
	{TRIAL_FOREIGN_CHILD, {.small_blocks = true, .max_depth = 2}, false},
	{TRIAL_FOREIGN_CHILD, {.small_blocks = true, .max_depth = 2}, true},
};

#define DISKS (sizeof(disks) / sizeof(disks[0]))

static void make_from(unsigned number, uint64_t seed, struct trial *trial)
{
	struct rng rng = rng_make(seed);

	trial_make(&rng, disks[number].kind, &disks[number].style, trial);
	trial_open(trial, 0);
	compact_case_fill(&rng, trial, 12);
	trial_close(trial);
	trial_open(trial, 0);
}

/* Is it a disk of which some goes, and some moves? */
static bool suits(unsigned number, const struct trial *trial)
{
	struct vhdx_compact_options options = {.size = sizeof(options),
					       .flags = VHDX_COMPACT_DRY_RUN};
	struct vhdx_compact_result result = {.size = sizeof(result)};

	assert_int_equal(vhdx_compact(trial->disk, &options, &result), 0);
	return result.zero >= 2 && result.moved >= 2 &&
	       (!disks[number].has_bitmap || result.other_bytes);
}

static void make(unsigned number, struct trial *trial)
{
	static uint64_t seeds[DISKS]; /* found before */

	for (uint64_t seed = seeds[number] ? seeds[number] : 1;; seed++) {
		make_from(number, seed, trial);
		if (seeds[number] || suits(number, trial)) {
			seeds[number] = seed;
			return;
		}
		trial_close(trial);
		trial_free(trial);
	}
}

static void arm(struct trial *trial, const struct plan *plan, unsigned long nth)
{
	struct write_store *store = &trial->store;

	store->fail_seen = 0;
	store->failed = 0;
	store->fail_calls = plan->calls;
	store->fail_from = nth;
	store->fail_to = plan->for_good ? ULONG_MAX : nth;
	store->error = plan->error;
	if (!plan->calls)
		alloc_fail_nth(nth);
}

/* Returns whether anything failed. */
static bool disarm(struct trial *trial, const struct plan *plan)
{
	bool met = plan->calls ? trial->store.failed != 0 : alloc_has_failed();

	trial->store.fail_calls = 0;
	alloc_fail_nth(0);
	return met;
}

/* Whatever failed, the next open shows the same disk, and another run makes it as small as it can be. */
static void go_on(struct trial *trial)
{
	trial_check_image(trial);
	trial_open(trial, 0);
	trial_compare(trial);
	compact_case_run(trial, 0);
	trial_close(trial);
}

/* Returns whether anything failed. */
static bool run(unsigned number, const struct plan *plan, unsigned long nth)
{
	struct vhdx_compact_options options = {.size = sizeof(options)};
	struct vhdx_compact_result result = {.size = sizeof(result)};
	struct trial trial;
	size_t pieces = alloc_pieces();

	make(number, &trial);
	arm(&trial, plan, nth);
	int ret = vhdx_compact(trial.disk, &options, &result);
	int closed = vhdx_close(trial.disk);
	bool met = disarm(&trial, plan);

	trial.disk = NULL;
	CHECK(!ret || (met && ret == plan->error), "call %lu: compact: %d", nth, ret);
	CHECK(!closed || (met && closed == plan->error), "call %lu: close: %d", nth, closed);
	go_on(&trial);
	trial_free(&trial);
	CHECK(alloc_pieces() == pieces, "call %lu: memory leaked", nth);
	return met;
}

static void fail_every_call(const struct plan *plan)
{
	unsigned long step = (unsigned long)(15 / sampled(15));

	for (unsigned number = 0; number < DISKS; number++) {
		bool met = true;
		unsigned long nth = 1;

		for (; met; nth += step) {
			current_seed = nth + 1000 * number;
			met = run(number, plan, nth);
		}
		CHECK(nth > 10, "nothing of disk %u failed", number);
	}
}

static void test_a_call_that_fails_once_loses_nothing(void **state)
{
	(void)state;
	fail_every_call(&(struct plan){.calls = STORE_ANY, .error = -EIO});
}

static void test_storage_that_fails_for_good_loses_nothing(void **state)
{
	(void)state;
	fail_every_call(&(struct plan){.calls = STORE_CHANGES, .error = -EIO, .for_good = true});
}

static void test_without_space_nothing_is_lost(void **state)
{
	(void)state;
	fail_every_call(
		&(struct plan){.calls = STORE_TAKES_SPACE, .error = -ENOSPC, .for_good = true});
}

static void test_a_failed_allocation_loses_nothing(void **state)
{
	(void)state;
	fail_every_call(&(struct plan){.error = -ENOMEM});
}

/* Asked to stop at the Nth report of progress. */
struct canceling {
	unsigned long calls;
	unsigned long at;
};

static int cancel(void *opaque, uint64_t done, uint64_t total)
{
	struct canceling *canceling = opaque;

	assert_true(done <= total);
	return ++canceling->calls == canceling->at;
}

static void test_what_is_canceled_at_any_time_is_valid_and_goes_on(void **state)
{
	(void)state;
	for (unsigned number = 0; number < DISKS; number++) {
		int ret = -ECANCELED;
		unsigned long at = 1;

		for (; ret; at++) {
			struct canceling canceling = {.at = at};
			struct vhdx_compact_options options = {
				.size = sizeof(options), .progress = cancel, .opaque = &canceling};
			struct vhdx_compact_result result = {.size = sizeof(result)};
			struct trial trial;

			make(number, &trial);
			ret = vhdx_compact(trial.disk, &options, &result);
			CHECK(!ret || ret == -ECANCELED, "canceled: %d", ret);
			trial_compare(&trial);
			assert_int_equal(vhdx_close(trial.disk), 0);
			trial.disk = NULL;
			go_on(&trial);
			trial_free(&trial);
		}
		CHECK(at > 3, "disk %u was never canceled", number);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		SCRATCH_TEST(test_a_call_that_fails_once_loses_nothing),
		SCRATCH_TEST(test_storage_that_fails_for_good_loses_nothing),
		SCRATCH_TEST(test_without_space_nothing_is_lost),
		SCRATCH_TEST(test_a_failed_allocation_loses_nothing),
		SCRATCH_TEST(test_what_is_canceled_at_any_time_is_valid_and_goes_on),
	};

	return RUN_TESTS(tests);
}
