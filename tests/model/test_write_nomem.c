/* SPDX-License-Identifier: MIT */
/* The Nth allocation fails, for every N, while a disk is opened, written, flushed and closed. */
#include <errno.h>

#include "support/alloc.h"
#include "support/scenario.h"

static void pause_failures(struct scenario *scenario, bool pause)
{
	(void)scenario;
	alloc_pause(pause);
}

/* Returns whether the allocation was met. */
static bool run(enum scenario_disk disk, unsigned long nth)
{
	struct scenario scenario;
	size_t pieces = alloc_pieces();

	scenario_make(disk, &scenario);
	scenario_pause = pause_failures;
	alloc_fail_nth(nth);
	scenario_run(&scenario);
	scenario_close(&scenario);
	bool met = alloc_has_failed();

	alloc_fail_nth(0);
	CHECK(!scenario.first_error || (met && scenario.first_error == -ENOMEM),
	      "allocation %lu: error %d", nth, scenario.first_error);
	scenario_check(&scenario);
	scenario_free(&scenario);
	CHECK(alloc_pieces() == pieces, "allocation %lu: memory leaked", nth);
	return met;
}

static void test_a_failed_allocation_is_told_and_loses_nothing(void **state)
{
	unsigned long step = (unsigned long)(15 / sampled(15));

	(void)state;
	for (enum scenario_disk disk = 0; disk < SCENARIO_DISKS; disk++) {
		bool met = true;

		for (unsigned long nth = 1; met; nth += step) {
			current_seed = nth + 1000 * disk;
			met = run(disk, nth);
		}
		CHECK(current_seed > 1000 * disk + 20, "no allocation of disk %u failed", disk);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_failed_allocation_is_told_and_loses_nothing),
	};

	return RUN_TESTS(tests);
}
