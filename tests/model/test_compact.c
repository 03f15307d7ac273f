/* SPDX-License-Identifier: MIT */
/* Random disks and chains that are written and made smaller, against a flat array. */
#include "support/compactcase.h"
#include "support/scratch.h"

static uint32_t choose_flags(struct rng *rng)
{
	return rng_chance(rng, 20) ? VHDX_OPEN_NO_HOLES : 0;
}

/* Written, made smaller, written again: all in one session, or in several. */
static void run_seed(uint64_t seed, enum trial_kind kind, const struct chain_style *style)
{
	struct rng rng = rng_make(seed);
	struct trial trial;

	current_seed = seed;
	current_step = 0;
	trial_make(&rng, kind, style, &trial);
	trial_open(&trial, choose_flags(&rng));
	for (unsigned i = 0; i < 3; i++) {
		compact_case_fill(&rng, &trial, (unsigned)rng_below(&rng, 20));
		if (rng_chance(&rng, 50)) {
			trial_close(&trial);
			trial_open(&trial, choose_flags(&rng));
		}
		compact_case_run(&trial, 0);
	}
	trial_close(&trial);
	trial_open(&trial, 0);
	trial_compare(&trial);
	trial_close(&trial);
	trial_free(&trial);
}

static void over_seeds(uint64_t count, enum trial_kind kind, const struct chain_style *style,
		       void (*run)(uint64_t seed, enum trial_kind kind,
				   const struct chain_style *style))
{
	uint64_t first, last;

	seeds_to_run(count, &first, &last);
	for (uint64_t seed = first; seed <= last; seed++)
		run(seed, kind, style);
}

static void test_disks_become_as_small_as_they_can(void **state)
{
	(void)state;
	over_seeds(40, TRIAL_BASE, &(struct chain_style){.small_blocks = true}, run_seed);
	over_seeds(20, TRIAL_BASE, &(struct chain_style){0}, run_seed);
}

static void test_disks_of_other_makers_become_as_small_as_they_can(void **state)
{
	(void)state;
	over_seeds(80, TRIAL_FOREIGN_BASE, &(struct chain_style){.small_blocks = true}, run_seed);
	over_seeds(20, TRIAL_FOREIGN_BASE, &(struct chain_style){0}, run_seed);
}

static void test_children_become_as_small_as_they_can(void **state)
{
	(void)state;
	over_seeds(60, TRIAL_CHILD, &(struct chain_style){.max_depth = 3, .small_blocks = true},
		   run_seed);
	over_seeds(120, TRIAL_FOREIGN_CHILD,
		   &(struct chain_style){.max_depth = 3, .small_blocks = true}, run_seed);
	over_seeds(20, TRIAL_FOREIGN_CHILD, &(struct chain_style){.max_depth = 3}, run_seed);
}

static void test_disks_of_many_tib_become_as_small_as_they_can(void **state)
{
	(void)state;
	over_seeds(3, TRIAL_BASE, &(struct chain_style){.huge = true}, run_seed);
	over_seeds(3, TRIAL_FOREIGN_CHILD, &(struct chain_style){.max_depth = 2, .huge = true},
		   run_seed);
}

static void run_free(uint64_t seed, enum trial_kind kind, const struct chain_style *style)
{
	struct rng rng = rng_make(seed);
	struct trial trial;

	current_seed = seed;
	current_step = 0;
	trial_make(&rng, kind, style, &trial);
	for (unsigned i = 0; i < 2; i++) {
		trial_open(&trial, choose_flags(&rng));
		if (rng_chance(&rng, 50)) {
			compact_case_fill(&rng, &trial, (unsigned)rng_below(&rng, 20));
			trial_close(&trial);
			trial_open(&trial, choose_flags(&rng));
		}
		compact_case_run(&trial, seed + i);
		trial_close(&trial);
	}
	trial_open(&trial, 0);
	trial_compare(&trial);
	trial_close(&trial);
	trial_free(&trial);
}

static void test_what_nothing_uses_goes_and_nothing_else(void **state)
{
	(void)state;
	over_seeds(40, TRIAL_BASE, &(struct chain_style){.small_blocks = true}, run_free);
	over_seeds(60, TRIAL_FOREIGN_BASE, &(struct chain_style){.small_blocks = true}, run_free);
	over_seeds(80, TRIAL_FOREIGN_CHILD,
		   &(struct chain_style){.max_depth = 3, .small_blocks = true}, run_free);
}

static void run_rewrite(uint64_t seed, enum trial_kind kind, const struct chain_style *style)
{
	struct rng rng = rng_make(seed);
	struct trial trial;

	current_seed = seed;
	current_step = 0;
	trial_make(&rng, kind, style, &trial);
	trial_open(&trial, 0);
	compact_case_fill(&rng, &trial, (unsigned)rng_below(&rng, 20));
	trial_close(&trial);
	trial_open(&trial, 0);
	compact_case_rewrite(&trial, 0);
	compact_case_rewrite(&trial, seed);
	vhdx_close(trial.disk);
	trial.disk = NULL;
	trial_free(&trial);
}

static void test_a_new_image_is_the_same_disk(void **state)
{
	(void)state;
	over_seeds(40, TRIAL_BASE, &(struct chain_style){.small_blocks = true}, run_rewrite);
	over_seeds(60, TRIAL_FOREIGN_BASE, &(struct chain_style){.small_blocks = true},
		   run_rewrite);
	over_seeds(60, TRIAL_FOREIGN_CHILD,
		   &(struct chain_style){.max_depth = 3, .small_blocks = true}, run_rewrite);
	over_seeds(10, TRIAL_BASE, &(struct chain_style){.huge = true}, run_rewrite);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		SCRATCH_TEST(test_disks_become_as_small_as_they_can),
		SCRATCH_TEST(test_disks_of_other_makers_become_as_small_as_they_can),
		SCRATCH_TEST(test_children_become_as_small_as_they_can),
		SCRATCH_TEST(test_disks_of_many_tib_become_as_small_as_they_can),
		SCRATCH_TEST(test_what_nothing_uses_goes_and_nothing_else),
		SCRATCH_TEST(test_a_new_image_is_the_same_disk),
	};

	seeds_from_arguments(argc, argv);
	return RUN_TESTS(tests);
}
