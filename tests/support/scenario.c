/* SPDX-License-Identifier: MIT */
/* A fixed session that does everything once, for tests in which something fails during it. */
#include <string.h>

#include "support/scenario.h"

enum step_kind {
	STEP_WRITE,
	STEP_ZERO,
	STEP_TRIM,
	STEP_FLUSH,
};

#define WHOLE	 0	     /* length: the block */
#define FROM_END 0x80000000u /* place: before the block's end */

struct step {
	enum step_kind kind;
	unsigned block;
	uint32_t place;
	uint32_t length;
	uint32_t flags;
};

static const struct step steps[] = {
	{STEP_WRITE, 0, 0, 4096, 0},
	{STEP_WRITE, 1, 3000, 5000, 0},
	{STEP_WRITE, 2, 65536, 512, 0},
	{STEP_WRITE, 3, FROM_END | 1000, 3000, 0},
	{.kind = STEP_FLUSH},
	{STEP_WRITE, 0, 100, 1000, 0},
	{STEP_WRITE, 2, 0, WHOLE, 0},
	{STEP_TRIM, 1, 0, WHOLE, 0},
	{.kind = STEP_FLUSH},
	{STEP_WRITE, 5, 0, 4096, 0}, /* in the trimmed block's space */
	{STEP_ZERO, 2, 0, WHOLE, VHDX_ZERO_MAY_UNMAP},
	{STEP_ZERO, 0, 512, 2048, VHDX_ZERO_MAY_UNMAP},
	{STEP_TRIM, 3, 4096, 8192, 0},
	{.kind = STEP_FLUSH},
	{STEP_WRITE, 1, 8192, 512, VHDX_FUA},
	{STEP_WRITE, 2, 700, 20000, 0},
	{STEP_ZERO, 4, 0, WHOLE, 0},
	{STEP_ZERO, 5, 1000, 3000, 0},
	{STEP_TRIM, 5, 0, WHOLE, VHDX_FUA},
	{STEP_WRITE, 3, 0, WHOLE, 0},
	{.kind = STEP_FLUSH},
	{STEP_WRITE, 4, 40960, 4096, 0},
	{STEP_WRITE, 1, FROM_END | 512, 512, 0},
};

static uint8_t contents[2 * T_MIB];

void (*scenario_pause)(struct scenario *scenario, bool pause);

/* Blocks that the session writes to, and that are the parent's. */
static unsigned count_parents_blocks(const struct trial *trial)
{
	uint64_t size = trial->info.block_size;
	unsigned count = 0;

	for (uint64_t block = 0; block < 6; block++)
		count += !layer_find_block(&trial->chain.layers[0], block) &&
			 flat_has_data(&trial->flat, block * size, size);
	return count;
}

static bool suits(const struct trial *trial, enum scenario_disk disk)
{
	const struct layer *leaf = &trial->chain.layers[0];

	if (trial->info.blocks < 6 || trial->info.block_size > sizeof(contents) ||
	    trial->info.logical_sector_size != 512)
		return false;
	switch (disk) {
	case SCENARIO_DYNAMIC:
		return trial->info.type == VHDX_DYNAMIC && !trial->without;
	case SCENARIO_FIXED:
		return trial->info.type == VHDX_FIXED;
	case SCENARIO_CHILD:
		return leaf->bitmap_count && count_parents_blocks(trial) >= 2;
	default:
		return leaf->is_dirty && trial->info.type == VHDX_DYNAMIC;
	}
}

void scenario_make(enum scenario_disk disk, struct scenario *ret_scenario)
{
	static const enum trial_kind kinds[] = {
		[SCENARIO_DYNAMIC] = TRIAL_BASE,
		[SCENARIO_FIXED] = TRIAL_BASE,
		[SCENARIO_CHILD] = TRIAL_FOREIGN_CHILD,
		[SCENARIO_DIRTY] = TRIAL_FOREIGN_BASE,
	};
	static uint64_t seeds[SCENARIO_DISKS]; /* found before */
	struct chain_style style = {.max_depth = 2, .small_blocks = true};

	memset(ret_scenario, 0, sizeof(*ret_scenario));
	for (uint64_t seed = seeds[disk] ? seeds[disk] : 1;; seed++) {
		struct rng rng = rng_make(seed);

		trial_make(&rng, kinds[disk], &style, &ret_scenario->trial);
		if (suits(&ret_scenario->trial, disk)) {
			seeds[disk] = seed;
			ret_scenario->trial.flat.sector_size = 512;
			return;
		}
		trial_free(&ret_scenario->trial);
	}
}

void scenario_free(struct scenario *scenario)
{
	trial_free(&scenario->trial);
}

static void pause(struct scenario *scenario, bool pause)
{
	if (scenario_pause)
		scenario_pause(scenario, pause);
}

static void note(struct scenario *scenario, int ret)
{
	if (ret && !scenario->first_error)
		scenario->first_error = ret;
}

/* Follows what a change of the range came to. */
static void follow(struct scenario *scenario, const struct step *step, uint64_t offset,
		   uint64_t length, int ret)
{
	struct trial *trial = &scenario->trial;
	const uint8_t *bytes = step->kind == STEP_WRITE ? contents : NULL;

	pause(scenario, true);
	if (step->kind == STEP_TRIM)
		flat_take_trimmed(&trial->flat, trial->disk, offset, length);
	else if (ret)
		flat_take_failed(&trial->flat, trial->disk, bytes, offset, length);
	else if (bytes)
		flat_write(&trial->flat, bytes, length, offset);
	else
		flat_zero(&trial->flat, offset, length);
	if (!ret && step->flags & VHDX_FUA)
		flat_flush(&trial->flat);
	pause(scenario, false);
}

static void do_flush(struct scenario *scenario)
{
	int ret = vhdx_flush(scenario->trial.disk);

	note(scenario, ret);
	pause(scenario, true);
	if (!ret)
		flat_flush(&scenario->trial.flat);
	else
		scenario->flush_failed = true;
	pause(scenario, false);
}

static void do_step(struct scenario *scenario, const struct step *step, unsigned number)
{
	struct trial *trial = &scenario->trial;
	uint64_t size = trial->info.block_size;
	uint64_t offset = step->block * size +
			  (step->place & FROM_END ? size - (step->place & ~FROM_END) : step->place);
	uint64_t length = step->length == WHOLE ? size : step->length;
	int ret;

	if (offset + length > trial->info.virtual_size)
		length = trial->info.virtual_size - offset;
	memset(contents, (int)number + 1, length);
	if (step->kind == STEP_WRITE)
		ret = vhdx_pwrite(trial->disk, contents, length, offset, step->flags);
	else if (step->kind == STEP_ZERO)
		ret = vhdx_zero(trial->disk, offset, length, step->flags);
	else
		ret = vhdx_trim(trial->disk, offset, length, step->flags);
	note(scenario, ret);
	follow(scenario, step, offset, length, ret);
}

void scenario_run(struct scenario *scenario)
{
	scenario->open_error = trial_try_open(&scenario->trial, 0);
	note(scenario, scenario->open_error);
	if (scenario->open_error)
		return;
	for (unsigned i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
		current_step = i;
		if (steps[i].kind == STEP_FLUSH)
			do_flush(scenario);
		else
			do_step(scenario, &steps[i], i);
	}
}

void scenario_goes_on(struct scenario *scenario)
{
	struct trial *trial = &scenario->trial;

	for (unsigned block = 0; block < 6; block++) {
		uint64_t offset = block * trial->info.block_size + 2048;

		memset(contents, 0xc0 + (int)block, 4096);
		int ret = vhdx_pwrite(trial->disk, contents, 4096, offset, 0);

		CHECK(!ret, "write to block %u after all: %d, %s", block, ret,
		      vhdx_last_error()->text);
		flat_write(&trial->flat, contents, 4096, offset);
	}
	int ret = vhdx_flush(trial->disk);

	CHECK(!ret, "flush after all: %d, %s", ret, vhdx_last_error()->text);
	flat_flush(&trial->flat);
}

void scenario_close(struct scenario *scenario)
{
	if (scenario->open_error)
		return;
	scenario->close_error = vhdx_close(scenario->trial.disk);
	scenario->trial.disk = NULL;
	note(scenario, scenario->close_error);
}

void scenario_check(struct scenario *scenario)
{
	struct trial *trial = &scenario->trial;

	trial_check_image(trial);
	trial_open(trial, 0);
	flat_take_killed(&trial->flat, trial->disk);
	trial_compare(trial);
	scenario_goes_on(scenario);
	trial->must_change = true;
	trial_compare(trial);
	trial_close(trial);
}
