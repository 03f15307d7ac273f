/* SPDX-License-Identifier: MIT */
/* Random operations on differencing disks, against a flat array; their parents stay as they are. */
#include "support/guestops.h"
#include "support/scratch.h"

static void test_new_children_hold_what_was_written(void **state)
{
	(void)state;
	guest_over_seeds(160, TRIAL_CHILD,
			 &(struct chain_style){.max_depth = 3, .small_blocks = true});
}

static void test_new_children_of_large_blocks_hold_what_was_written(void **state)
{
	(void)state;
	guest_over_seeds(40, TRIAL_CHILD, &(struct chain_style){.max_depth = 3});
}

static void test_new_children_of_many_tib_hold_what_was_written(void **state)
{
	(void)state;
	guest_over_seeds(40, TRIAL_CHILD, &(struct chain_style){.max_depth = 2, .huge = true});
}

static void test_children_of_other_makers_hold_what_was_written(void **state)
{
	(void)state;
	guest_over_seeds(180, TRIAL_FOREIGN_CHILD,
			 &(struct chain_style){.max_depth = 4, .small_blocks = true});
}

static void test_large_children_of_other_makers_hold_what_was_written(void **state)
{
	(void)state;
	guest_over_seeds(40, TRIAL_FOREIGN_CHILD, &(struct chain_style){.max_depth = 3});
	guest_over_seeds(40, TRIAL_FOREIGN_CHILD,
			 &(struct chain_style){.max_depth = 3, .huge = true});
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		SCRATCH_TEST(test_new_children_hold_what_was_written),
		SCRATCH_TEST(test_new_children_of_large_blocks_hold_what_was_written),
		SCRATCH_TEST(test_new_children_of_many_tib_hold_what_was_written),
		SCRATCH_TEST(test_children_of_other_makers_hold_what_was_written),
		SCRATCH_TEST(test_large_children_of_other_makers_hold_what_was_written),
	};

	seeds_from_arguments(argc, argv);
	return RUN_TESTS(tests);
}
