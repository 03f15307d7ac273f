/* SPDX-License-Identifier: MIT */
/*
 * The Nth call of each storage fails, or the Nth allocation, for every N, while a damaged image is repaired: the
 * error is told, what was written can be put back, and a second repair ends what the first began.
 */
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "support/alloc.h"
#include "support/fixture.h"
#include "support/repaircase.h"
#include "support/writestore.h"

enum {
	IMAGE,
	UNDO,
	SCRATCH,
	STORES,
};

struct trial_repair {
	struct sparse damaged;
	struct write_store stores[STORES];
	struct vhdx_io io[STORES];
};

static const uint64_t header_1 = 64 << 10;
static const uint64_t table_2 = 256 << 10;

/* A header, a table, a block that lies nowhere, a leak, and an end in the middle of a block. */
static int make_damaged(void **state)
{
	int ret = repair_case_make(state);
	struct repair_case *c = *state;

	case_put(c, header_1 + 100, 1, 8);
	case_put(c, table_2 + 100, 1, 8);
	case_put(c, c->bat + 8, (uint64_t)0x12345 << 20 | 6, 8);
	case_put(c, c->bat + 16, 0, 8);
	sparse_resize(&c->file, c->file.size - CASE_MIB / 2);
	return ret;
}

static void begin(const struct repair_case *c, struct trial_repair *trial)
{
	memset(trial, 0, sizeof(*trial));
	sparse_copy(&trial->damaged, 0, &c->file, 0, c->file.size);
	sparse_resize(&trial->damaged, c->file.size);
	for (int i = 0; i < STORES; i++) {
		write_store_init(&trial->stores[i]);
		trial->io[i] = write_store_io(&trial->stores[i], 0);
	}
	sparse_copy(&trial->stores[IMAGE].bytes, 0, &c->file, 0, c->file.size);
	sparse_resize(&trial->stores[IMAGE].bytes, c->file.size);
}

static void end(struct trial_repair *trial)
{
	for (int i = 0; i < STORES; i++)
		write_store_free(&trial->stores[i]);
	sparse_free(&trial->damaged);
}

static int repair(struct trial_repair *trial, struct vhdx_repair_result *ret_result)
{
	struct vhdx_repair_options options = {
		.size = sizeof(options),
		.undo = &trial->io[UNDO],
		.scratch = &trial->io[SCRATCH],
	};

	*ret_result = (struct vhdx_repair_result){.size = sizeof(*ret_result)};
	return vhdx_repair_io(&trial->io[IMAGE], "disk", &options, ret_result);
}

static bool is_as_damaged(const struct trial_repair *trial)
{
	const struct sparse *now = &trial->stores[IMAGE].bytes;
	uint8_t *found = malloc(now->size);
	uint8_t *expected = malloc(now->size);
	bool same = now->size == trial->damaged.size;

	sparse_read(now, found, now->size, 0);
	sparse_read(&trial->damaged, expected, now->size, 0);
	same = same && !memcmp(found, expected, now->size);
	free(found);
	free(expected);
	return same;
}

/* It may have been asked, behind its end, whether it has holes. */
static bool is_untouched(const struct trial_repair *trial)
{
	unsigned calls = STORE_CHANGES & ~STORE_BIT(STORE_PUNCH);

	return is_as_damaged(trial) && !write_store_count(&trial->stores[IMAGE], calls);
}

static void forget(struct trial_repair *trial, int store)
{
	sparse_resize(&trial->stores[store].bytes, 0);
}

/* What stopped half way can be put back; and after that, repaired as if nothing had been. */
static void check_left(struct trial_repair *trial)
{
	struct vhdx_repair_result result;
	int ret = vhdx_undo_repair_io(&trial->io[IMAGE], "disk", &trial->io[UNDO], "undo");

	CHECK(!ret || ret == -EUCLEAN, "putting back: %d %s", ret, vhdx_last_error()->text);
	CHECK(is_as_damaged(trial), "the image is not what it was, and putting back says %d", ret);
	forget(trial, UNDO);
	forget(trial, SCRATCH);
	CHECK(!repair(trial, &result), "again: %s", vhdx_last_error()->text);
	CHECK(result.mended && !result.left && result.is_written, "mended %llu, left %llu",
	      (unsigned long long)result.mended, (unsigned long long)result.left);
	forget(trial, UNDO);
	forget(trial, SCRATCH);
	CHECK(!repair(trial, &result) && !result.mended, "a third repair mends more");
}

static bool fail_call(const struct repair_case *c, int store, unsigned long nth, int error,
		      bool for_good)
{
	static struct trial_repair trial;
	struct vhdx_repair_result result;

	begin(c, &trial);
	struct write_store *failing = &trial.stores[store];

	failing->fail_calls = STORE_ANY;
	failing->fail_from = nth;
	failing->fail_to = for_good ? ULONG_MAX : nth;
	failing->error = error;
	failing->tears = true;
	int ret = repair(&trial, &result);
	bool met = failing->failed;

	failing->fail_calls = 0;
	CHECK(met ? !ret || ret == error : !ret, "%d", ret);
	CHECK(!ret || vhdx_last_error()->errnum == ret, "the error is not told");
	CHECK(ret || result.is_written, "nothing was written");
	check_left(&trial);
	end(&trial);
	return met;
}

static void fail_calls(const struct repair_case *c, int error, bool for_good)
{
	unsigned long step = (unsigned long)(15 / sampled(5));

	for (int store = 0; store < STORES; store++) {
		bool met = true;

		for (unsigned long nth = 1; met; nth += step) {
			current_seed = (uint64_t)store;
			current_step = nth;
			met = fail_call(c, store, nth, error, for_good);
		}
	}
}

static void storage_that_fails_once_loses_nothing(void **state)
{
	fail_calls(*state, -EIO, false);
}

static void storage_that_fails_for_good_loses_nothing(void **state)
{
	fail_calls(*state, -EIO, true);
}

static void storage_without_space_loses_nothing(void **state)
{
	fail_calls(*state, -ENOSPC, true);
}

static void without_memory_nothing_is_lost(void **state)
{
	static struct trial_repair trial;
	bool failed = true;

	for (unsigned long nth = 1; failed; nth++) {
		struct vhdx_repair_result result;

		current_step = nth;
		begin(*state, &trial);
		alloc_fail_nth(nth);
		int ret = repair(&trial, &result);

		failed = alloc_has_failed();
		alloc_fail_nth(0);
		CHECK(!ret || (failed && ret == -ENOMEM), "%d: %s", ret, vhdx_last_error()->text);
		check_left(&trial);
		end(&trial);
	}
}

/* Asks to stop at the call of that number. */
struct canceller {
	unsigned long left;
	bool asked;
};

static int cancel(void *opaque, uint64_t done, uint64_t total)
{
	struct canceller *canceller = opaque;
	bool asks = --canceller->left == 0;

	(void)done, (void)total;
	canceller->asked |= asks;
	return asks;
}

static void a_repair_that_is_cancelled_wrote_nothing(void **state)
{
	static struct trial_repair trial;
	int ret = -ECANCELED;

	for (unsigned long nth = 1; ret; nth++) {
		struct canceller canceller = {.left = nth};
		struct vhdx_repair_result result = {.size = sizeof(result)};

		begin(*state, &trial);
		struct vhdx_repair_options options = {
			.size = sizeof(options),
			.progress = cancel,
			.opaque = &canceller,
			.undo = &trial.io[UNDO],
		};

		ret = vhdx_repair_io(&trial.io[IMAGE], "disk", &options, &result);
		CHECK(ret == (canceller.asked ? -ECANCELED : 0), "%d", ret);
		CHECK(!ret || vhdx_last_error()->errnum == ret, "the error is not told");
		CHECK(!ret || is_untouched(&trial), "it was written");
		check_left(&trial);
		end(&trial);
	}
}

static void an_undo_storage_that_holds_something_is_refused(void **state)
{
	static struct trial_repair trial;
	struct vhdx_repair_result result;

	begin(*state, &trial);
	sparse_write(&trial.stores[UNDO].bytes, "x", 1, 0);
	assert_int_equal(repair(&trial, &result), -EEXIST);
	assert_true(is_untouched(&trial));
	assert_int_equal(write_store_changes(&trial.stores[UNDO]), 0);
	end(&trial);
}

static void a_dry_run_on_storage_changes_nothing(void **state)
{
	static struct trial_repair trial;
	struct vhdx_repair_result dry = {.size = sizeof(dry)};
	struct vhdx_repair_result real;
	struct vhdx_repair_options options = {
		.size = sizeof(options), .flags = VHDX_REPAIR_DRY_RUN, .undo = &trial.io[UNDO]};

	begin(*state, &trial);
	assert_int_equal(vhdx_repair_io(&trial.io[IMAGE], "disk", &options, &dry), 0);
	assert_int_equal(write_store_changes(&trial.stores[IMAGE]), 0);
	assert_int_equal(write_store_changes(&trial.stores[UNDO]), 0);
	assert_int_equal(repair(&trial, &real), 0);
	assert_true(real.is_written && !dry.is_written);
	real.is_written = 0;
	assert_memory_equal(&dry, &real, sizeof(dry));
	end(&trial);
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, make_damaged, repair_case_drop)
	const struct CMUnitTest tests[] = {
		CASE(storage_that_fails_once_loses_nothing),
		CASE(storage_that_fails_for_good_loses_nothing),
		CASE(storage_without_space_loses_nothing),
		CASE(without_memory_nothing_is_lost),
		CASE(a_repair_that_is_cancelled_wrote_nothing),
		CASE(an_undo_storage_that_holds_something_is_refused),
		CASE(a_dry_run_on_storage_changes_nothing),
	};

	return RUN_TESTS(tests);
}
