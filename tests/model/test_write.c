/* SPDX-License-Identifier: MIT */
/* Random operations on disks that have no parent, against a flat array: sessions, kills, what check finds. */
#include "support/guestops.h"

#define OPERATIONS 1000

static void over_seeds(uint64_t count, enum trial_kind kind, const struct chain_style *style)
{
	uint64_t last;

	for (seeds_to_run(count, &current_seed, &last); current_seed <= last; current_seed++) {
		struct rng rng = rng_make(current_seed);
		struct trial trial;

		trial_make(&rng, kind, style, &trial);
		guest_run(&rng, &trial, OPERATIONS);
		trial_free(&trial);
	}
}

static void test_new_disks_of_small_blocks_hold_what_was_written(void **state)
{
	(void)state;
	over_seeds(260, TRIAL_BASE, &(struct chain_style){.small_blocks = true});
}

static void test_new_disks_of_large_blocks_hold_what_was_written(void **state)
{
	(void)state;
	over_seeds(60, TRIAL_BASE, &(struct chain_style){0});
}

static void test_new_disks_of_many_tib_hold_what_was_written(void **state)
{
	(void)state;
	over_seeds(60, TRIAL_BASE, &(struct chain_style){.huge = true});
}

static void test_disks_of_other_makers_hold_what_was_written(void **state)
{
	(void)state;
	over_seeds(80, TRIAL_FOREIGN_BASE, &(struct chain_style){.small_blocks = true});
}

static void test_large_disks_of_other_makers_hold_what_was_written(void **state)
{
	(void)state;
	over_seeds(20, TRIAL_FOREIGN_BASE, &(struct chain_style){.huge = true});
	over_seeds(20, TRIAL_FOREIGN_BASE, &(struct chain_style){0});
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
