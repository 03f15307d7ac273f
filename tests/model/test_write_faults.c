/* SPDX-License-Identifier: MIT */
/* The Nth call of the storage fails, for every N, while a disk is opened, written, flushed and closed. */
#include <errno.h>
#include <limits.h>
#include <string.h>

#include "support/scenario.h"

/* What fails: calls of these kinds, from number N on, once or for good. */
struct plan {
	unsigned calls;
	int error;
	bool for_good;
	bool tears;
	bool passes; /* it is over before the disk is closed */
};

/* Without these, an operation may go well in another way: a file that cannot grow much may grow less. */
#define HARMLESS \
	(STORE_BIT(STORE_PUNCH) | STORE_BIT(STORE_ZERO) | STORE_BIT(STORE_RESERVE) | \
	 STORE_BIT(STORE_NEXT_DATA) | STORE_BIT(STORE_SET_SIZE))

static const struct plan *current_plan;

static void pause_failures(struct scenario *scenario, bool pause)
{
	scenario->trial.store.fail_calls = pause ? 0 : current_plan->calls;
}

static void arm(struct write_store *store, const struct plan *plan, unsigned long nth)
{
	current_plan = plan;
	store->fail_seen = 0;
	store->failed = 0;
	store->fail_calls = plan->calls;
	store->fail_from = nth;
	store->fail_to = plan->for_good ? ULONG_MAX : nth;
	store->error = plan->error;
	store->tears = plan->tears;
	/* The space of the headers is there: a lack of it is a failure like any other. */
	store->fail_behind = plan->passes ? T_MIB : 0;
}

static void disarm(struct write_store *store)
{
	store->fail_calls = 0;
}

/* What was met must have been told, unless it did no harm. */
static void check_told(const struct scenario *scenario, const struct plan *plan, unsigned long nth)
{
	unsigned failed = scenario->trial.store.failed;
	unsigned harmless = HARMLESS;

	/* What found no space to be applied is tried again. */
	if (plan->error == -ENOSPC && !scenario->close_error)
		harmless |= STORE_BIT(STORE_WRITE);

	CHECK(!scenario->first_error || scenario->first_error == plan->error, "call %lu: error %d",
	      nth, scenario->first_error);
	CHECK(failed || !scenario->first_error, "an error without a failure: %d",
	      scenario->first_error);
	CHECK(!(failed & ~harmless) || scenario->first_error,
	      "call %lu failed (%#x), and nobody was told", nth, failed);
	CHECK(plan->passes || !plan->for_good || !(failed & STORE_BIT(STORE_FLUSH)) ||
		      scenario->open_error || scenario->close_error,
	      "call %lu: flushes fail for good, and the close went well", nth);
}

/* The space is there again: everything goes on, and the close is clean. */
static void go_on(struct scenario *scenario)
{
	if (scenario->open_error)
		return;
	disarm(&scenario->trial.store);
	scenario_goes_on(scenario);
	scenario_close(scenario);
	CHECK(!scenario->close_error, "close after all: %d, %s", scenario->close_error,
	      vhdx_last_error()->text);
}

static bool run(enum scenario_disk disk, const struct plan *plan, unsigned long nth)
{
	struct scenario scenario;

	scenario_make(disk, &scenario);
	scenario_pause = pause_failures;
	arm(&scenario.trial.store, plan, nth);
	scenario_run(&scenario);
	bool met = scenario.trial.store.failed;

	if (plan->passes && scenario.first_error)
		go_on(&scenario);
	else
		scenario_close(&scenario);
	met |= scenario.trial.store.failed != 0;
	disarm(&scenario.trial.store);
	check_told(&scenario, plan, nth);
	scenario_check(&scenario);
	scenario_free(&scenario);
	return met;
}

static void fail_every_call(const struct plan *plan)
{
	unsigned long step = (unsigned long)(15 / sampled(15));

	for (enum scenario_disk disk = 0; disk < SCENARIO_DISKS; disk++) {
		bool met = true;

		for (unsigned long nth = 1; met; nth += step) {
			current_seed = nth + 1000 * disk;
			met = run(disk, plan, nth);
		}
		CHECK(current_seed > 1000 * disk + 5, "no call of disk %u failed", disk);
	}
}

static void test_a_call_that_fails_once_is_told_and_loses_nothing(void **state)
{
	(void)state;
	fail_every_call(&(struct plan){.calls = STORE_ANY, .error = -EIO});
}

static void test_a_write_that_is_torn_loses_nothing(void **state)
{
	(void)state;
	fail_every_call(
		&(struct plan){.calls = STORE_BIT(STORE_WRITE), .error = -EIO, .tears = true});
}

static void test_storage_that_fails_for_good_loses_nothing(void **state)
{
	(void)state;
	fail_every_call(&(struct plan){.calls = STORE_ANY, .error = -EIO, .for_good = true});
}

static void test_changes_that_fail_for_good_lose_nothing(void **state)
{
	(void)state;
	fail_every_call(&(struct plan){
		.calls = STORE_CHANGES, .error = -EIO, .for_good = true, .tears = true});
}

static void test_after_space_was_lacking_once_everything_goes_on(void **state)
{
	(void)state;
	fail_every_call(&(struct plan){
		.calls = STORE_TAKES_SPACE, .error = -ENOSPC, .tears = true, .passes = true});
}

static void test_after_space_was_lacking_for_a_while_everything_goes_on(void **state)
{
	(void)state;
	fail_every_call(&(struct plan){
		.calls = STORE_TAKES_SPACE, .error = -ENOSPC, .for_good = true, .passes = true});
}

static void test_without_space_the_close_is_as_a_crash(void **state)
{
	(void)state;
	fail_every_call(
		&(struct plan){.calls = STORE_TAKES_SPACE, .error = -ENOSPC, .for_good = true});
}

/* A disk with something to flush. */
static void make_dirty(struct scenario *scenario)
{
	struct trial *trial = &scenario->trial;
	static const uint8_t bytes[4096] = {1, 2, 3};

	scenario_make(SCENARIO_DYNAMIC, scenario);
	trial_open(trial, 0);
	assert_int_equal(vhdx_pwrite(trial->disk, bytes, 4096, 0, 0), 0);
	assert_int_equal(vhdx_flush(trial->disk), 0);
	flat_write(&trial->flat, bytes, 4096, 0);
	flat_flush(&trial->flat);
	assert_int_equal(vhdx_pwrite(trial->disk, bytes, 4096, trial->info.block_size, 0), 0);
	flat_write(&trial->flat, bytes, 4096, trial->info.block_size);
}

static void test_after_a_failed_flush_nothing_is_written_and_reads_go_on(void **state)
{
	struct scenario scenario;
	struct trial *trial = &scenario.trial;
	char byte = 0;

	(void)state;
	make_dirty(&scenario);
	arm(&trial->store, &(struct plan){.calls = STORE_BIT(STORE_FLUSH), .error = -EREMOTEIO}, 1);
	assert_int_equal(vhdx_flush(trial->disk), -EREMOTEIO);
	disarm(&trial->store);
	unsigned long changes = write_store_changes(&trial->store);

	assert_int_equal(vhdx_pwrite(trial->disk, &byte, 1, 0, 0), -EREMOTEIO);
	assert_string_not_equal(vhdx_last_error()->text, "");
	assert_int_equal(vhdx_pwrite(trial->disk, &byte, 1, 3 * trial->info.block_size, 0),
			 -EREMOTEIO);
	assert_int_equal(vhdx_zero(trial->disk, 0, 4096, 0), -EREMOTEIO);
	assert_int_equal(vhdx_trim(trial->disk, 0, trial->info.block_size, 0), -EREMOTEIO);
	assert_int_equal(vhdx_flush(trial->disk), -EREMOTEIO);
	trial_compare(trial);
	scenario_close(&scenario);
	assert_int_equal(scenario.close_error, -EREMOTEIO);
	assert_int_equal(write_store_changes(&trial->store), changes);
	scenario_check(&scenario);
	scenario_free(&scenario);
}

static void test_a_write_for_which_there_is_no_space_fails_alone(void **state)
{
	struct scenario scenario;
	struct trial *trial = &scenario.trial;
	static uint8_t bytes[4096] = {7};

	(void)state;
	make_dirty(&scenario);
	uint64_t size = trial->info.block_size;
	int ret = 0;

	trial->store.limit = trial->store.bytes.size; /* what was grown by now is all */
	for (uint64_t block = 2; !ret && block < trial->info.blocks; block++) {
		ret = vhdx_pwrite(trial->disk, bytes, 4096, block * size, 0);
		if (ret)
			flat_take_failed(&trial->flat, trial->disk, bytes, block * size, 4096);
		else
			flat_write(&trial->flat, bytes, 4096, block * size);
	}
	if (ret)
		assert_int_equal(ret, -ENOSPC);
	assert_int_equal(vhdx_pwrite(trial->disk, bytes, 4096, 100, 0), 0);
	flat_write(&trial->flat, bytes, 4096, 100);
	assert_int_equal(vhdx_flush(trial->disk), 0);
	flat_flush(&trial->flat);
	trial_compare(trial);
	trial->store.limit = 0;
	scenario_goes_on(&scenario);
	scenario_close(&scenario);
	assert_int_equal(scenario.close_error, 0);
	scenario_check(&scenario);
	scenario_free(&scenario);
}

static void test_writes_that_fail_use_up_no_space(void **state)
{
	struct scenario scenario;
	struct trial *trial = &scenario.trial;
	static const uint8_t bytes[4096] = {5};

	(void)state;
	make_dirty(&scenario);
	trial->must_change = true;
	arm(&trial->store,
	    &(struct plan){.calls = STORE_BIT(STORE_WRITE), .error = -ENOSPC, .for_good = true}, 1);
	for (unsigned i = 0; i < 300; i++)
		assert_int_equal(vhdx_pwrite(trial->disk, bytes, 4096, 4 * T_MIB + i, 0), -ENOSPC);
	disarm(&trial->store);
	trial_compare(trial);
	trial_close(trial);
	scenario_check(&scenario);
	scenario_free(&scenario);
}

/* Blocks of as many BAT pages, each flushed, while the BAT itself cannot be written. Returns how many were. */
static unsigned log_without_applying(struct trial *trial)
{
	static const uint8_t bytes[512] = {9};
	unsigned count = 0;
	int ret = 0;

	while (!ret && count < 2000) {
		uint64_t offset = count * 512 * (uint64_t)trial->info.block_size;

		ret = vhdx_pwrite(trial->disk, bytes, sizeof(bytes), offset, 0);
		if (!ret) {
			flat_write(&trial->flat, bytes, sizeof(bytes), offset);
			ret = vhdx_flush(trial->disk);
		}
		if (!ret)
			flat_flush(&trial->flat);
		count += !ret;
	}
	assert_int_equal(ret, -ENOSPC);
	return count;
}

/* A disk of many BAT pages that is full of entries which could not be applied. */
static void fill_log(struct scenario *scenario)
{
	struct trial *trial = &scenario->trial;
	struct rng rng = rng_make(1);

	memset(scenario, 0, sizeof(*scenario));
	for (;;) {
		trial_make(&rng, TRIAL_BASE, &(struct chain_style){.huge = true}, trial);
		if (trial->info.blocks >= 2000 * 512)
			break;
		scenario_free(scenario);
	}
	trial_open(trial, 0);
	arm(&trial->store,
	    &(struct plan){.calls = STORE_BIT(STORE_WRITE), .error = -ENOSPC, .for_good = true}, 1);
	trial->store.fail_behind = trial->info.bat_offset;
	trial->store.fail_before = trial->info.bat_offset + trial->info.bat_length;
	assert_true(log_without_applying(trial) >= 50);
	trial_compare(trial);
}

static void test_a_log_that_fills_up_while_nothing_can_be_applied_goes_on_later(void **state)
{
	struct scenario scenario;

	(void)state;
	fill_log(&scenario);
	disarm(&scenario.trial.store);
	scenario_goes_on(&scenario);
	trial_compare(&scenario.trial);
	scenario_close(&scenario);
	assert_int_equal(scenario.close_error, 0);
	scenario_check(&scenario);
	scenario_free(&scenario);
}

static void test_a_log_that_is_full_is_replayed_after_a_kill(void **state)
{
	struct scenario scenario;

	(void)state;
	fill_log(&scenario);
	disarm(&scenario.trial.store);
	scenario.trial.must_change = true;
	trial_kill(&scenario.trial);
	scenario_check(&scenario);
	scenario_free(&scenario);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_call_that_fails_once_is_told_and_loses_nothing),
		cmocka_unit_test(test_a_write_that_is_torn_loses_nothing),
		cmocka_unit_test(test_storage_that_fails_for_good_loses_nothing),
		cmocka_unit_test(test_changes_that_fail_for_good_lose_nothing),
		cmocka_unit_test(test_after_space_was_lacking_once_everything_goes_on),
		cmocka_unit_test(test_after_space_was_lacking_for_a_while_everything_goes_on),
		cmocka_unit_test(test_without_space_the_close_is_as_a_crash),
		cmocka_unit_test(test_after_a_failed_flush_nothing_is_written_and_reads_go_on),
		cmocka_unit_test(test_a_write_for_which_there_is_no_space_fails_alone),
		cmocka_unit_test(test_writes_that_fail_use_up_no_space),
		cmocka_unit_test(
			test_a_log_that_fills_up_while_nothing_can_be_applied_goes_on_later),
		cmocka_unit_test(test_a_log_that_is_full_is_replayed_after_a_kill),
	};

	return RUN_TESTS(tests);
}
