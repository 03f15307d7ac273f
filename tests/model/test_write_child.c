/* SPDX-License-Identifier: MIT */
/* Random operations on differencing disks, against a flat array; their parents stay as they are. */
#include "support/guestops.h"
#include "support/scratch.h"

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

static void test_new_children_hold_what_was_written(void **state)
{
	(void)state;
	over_seeds(160, TRIAL_CHILD, &(struct chain_style){.max_depth = 3, .small_blocks = true});
}

static void test_new_children_of_large_blocks_hold_what_was_written(void **state)
{
	(void)state;
	over_seeds(40, TRIAL_CHILD, &(struct chain_style){.max_depth = 3});
}

static void test_new_children_of_many_tib_hold_what_was_written(void **state)
{
	(void)state;
	over_seeds(40, TRIAL_CHILD, &(struct chain_style){.max_depth = 2, .huge = true});
}

static void test_children_of_other_makers_hold_what_was_written(void **state)
{
	(void)state;
	over_seeds(180, TRIAL_FOREIGN_CHILD,
		   &(struct chain_style){.max_depth = 4, .small_blocks = true});
}

static void test_large_children_of_other_makers_hold_what_was_written(void **state)
{
	(void)state;
	over_seeds(40, TRIAL_FOREIGN_CHILD, &(struct chain_style){.max_depth = 3});
	over_seeds(40, TRIAL_FOREIGN_CHILD, &(struct chain_style){.max_depth = 3, .huge = true});
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
