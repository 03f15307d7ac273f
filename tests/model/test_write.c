/* SPDX-License-Identifier: MIT */
/* Random operations on disks that have no parent, against a flat array: sessions, kills, what check finds. */
#include "support/guestops.h"

static void test_new_disks_of_small_blocks_hold_what_was_written(void **state)
{
	(void)state;
	guest_over_seeds(260, TRIAL_BASE, &(struct chain_style){.small_blocks = true});
}

static void test_new_disks_of_large_blocks_hold_what_was_written(void **state)
{
	(void)state;
	guest_over_seeds(60, TRIAL_BASE, &(struct chain_style){0});
}

static void test_new_disks_of_many_tib_hold_what_was_written(void **state)
{
	(void)state;
	guest_over_seeds(60, TRIAL_BASE, &(struct chain_style){.huge = true});
}

static void test_disks_of_other_makers_hold_what_was_written(void **state)
{
	(void)state;
	guest_over_seeds(80, TRIAL_FOREIGN_BASE, &(struct chain_style){.small_blocks = true});
}

static void test_large_disks_of_other_makers_hold_what_was_written(void **state)
{
	(void)state;
	guest_over_seeds(20, TRIAL_FOREIGN_BASE, &(struct chain_style){.huge = true});
	guest_over_seeds(20, TRIAL_FOREIGN_BASE, &(struct chain_style){0});
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_new_disks_of_small_blocks_hold_what_was_written),
		cmocka_unit_test(test_new_disks_of_large_blocks_hold_what_was_written),
		cmocka_unit_test(test_new_disks_of_many_tib_hold_what_was_written),
		cmocka_unit_test(test_disks_of_other_makers_hold_what_was_written),
		cmocka_unit_test(test_large_disks_of_other_makers_hold_what_was_written),
	};

	seeds_from_arguments(argc, argv);
	return RUN_TESTS(tests);
}
