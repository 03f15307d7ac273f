/* SPDX-License-Identifier: MIT */
/* Random grows, shrinks, writes, zeros and reopens, against a flat array that has the disk's size. */
#include <inttypes.h>

#include "support/resizecase.h"
#include "support/scratch.h"

#define OPERATIONS 40

struct style {
	const char *name;
	enum vhdx_type type;
	uint32_t block_size;
	uint32_t sector_size;
	uint64_t sizes[8]; /* about these; 0 ends them */
	uint64_t spread;   /* so much to either side */
};

static uint64_t round_to(uint64_t value, uint64_t unit)
{
	return value / unit * unit;
}

static uint64_t choose_size(struct rng *rng, const struct style *style)
{
	unsigned count = 0;

	while (count < 8 && style->sizes[count])
		count++;
	uint64_t middle = style->sizes[rng_below(rng, count)];
	uint64_t low = middle > style->spread ? middle - style->spread : 0;
	uint64_t size = low + rng_below(rng, 2 * style->spread + 1);

	if (rng_chance(rng, 30))
		size = middle;
	else if (rng_chance(rng, 40))
		size = round_to(size, R_MIB);
	size = round_to(size, style->sector_size);
	if (size > 64 * R_TIB)
		size = 64 * R_TIB;
	return size ? size : style->sector_size;
}

/* Where something was before, about the disk's end, or anywhere. */
static uint64_t choose_offset(struct rng *rng, const struct resize_case *c,
			      const struct style *style)
{
	uint64_t size = c->flat.size;
	uint64_t back = rng_length(rng, 3 * R_MIB);

	if (rng_chance(rng, 50))
		return size > back ? size - back : 0;
	if (rng_chance(rng, 60)) {
		uint64_t about = choose_size(rng, style);

		return about < size ? about : size - 1;
	}
	return rng_below(rng, size);
}

static void change_contents(struct rng *rng, struct resize_case *c, const struct style *style)
{
	uint64_t offset = choose_offset(rng, c, style);

	if (rng_chance(rng, 70))
		resize_case_write(c, rng, offset, rng_length(rng, 300 * R_KIB));
	else if (rng_chance(rng, 50))
		resize_case_zero(c, offset, rng_length(rng, 4 * R_MIB),
				 rng_chance(rng, 50) ? VHDX_ZERO_MAY_UNMAP : 0);
	else
		resize_case_zero(c, round_to(offset, style->block_size), style->block_size,
				 VHDX_ZERO_MAY_UNMAP);
}

/* When data are in the way of a shrink, they often go. Returns whether the size changed. */
static bool change_size(struct rng *rng, struct resize_case *c, const struct style *style)
{
	uint64_t size = choose_size(rng, style);
	uint64_t before = c->flat.size;

	if (resize_case_resize(c, size, VHDX_RESIZE_SHRINK))
		return size != before;
	if (rng_chance(rng, 30))
		return false;
	resize_case_zero(c, size, c->flat.size - size,
			 rng_chance(rng, 80) ? VHDX_ZERO_MAY_UNMAP : 0);
	return resize_case_resize(c, size, VHDX_RESIZE_SHRINK);
}

static void run_seed(uint64_t seed, const struct style *style)
{
	struct rng rng = rng_make(seed);
	struct resize_case c;
	bool resized = false;

	current_seed = seed;
	current_step = 0;
	resize_case_make(&rng,
			 &(struct resize_setup){
				 .type = style->type,
				 .virtual_size = choose_size(&rng, style),
				 .block_size = style->block_size,
				 .sector_size = style->sector_size,
				 .flags = rng_chance(&rng, 20) ? VHDX_OPEN_NO_HOLES : 0,
				 .without = rng_chance(&rng, 20) ? STORE_BIT(STORE_PUNCH) : 0,
				 .parent_block = rng_chance(&rng, 50) ? 2 << 20 : 0,
				 .parent_pieces = rng_below(&rng, 12),
				 .parent_hot = style->sizes[0],
			 },
			 &c);
	resize_case_open(&c);
	for (; current_step < OPERATIONS; current_step++) {
		uint64_t roll = rng_below(&rng, 100);

		if (roll < 50) {
			change_contents(&rng, &c, style);
			resized = false; /* what that frees may stay behind the last structure */
		} else if (roll < 85) {
			resized |= change_size(&rng, &c, style);
		} else if (roll < 92) {
			resize_case_compare(&c);
		} else {
			resize_case_close(&c, resized);
			resize_case_open(&c);
			resized = false;
		}
	}
	resize_case_compare(&c);
	resize_case_close(&c, resized);
	resize_case_open(&c);
	resize_case_compare(&c);
	resize_case_close(&c, false);
	resize_case_free(&c);
}

static void over_seeds(uint64_t count, const struct style *style)
{
	uint64_t first, last;

	seeds_to_run(count, &first, &last);
	for (uint64_t seed = first; seed <= last; seed++)
		run_seed(seed, style);
}

/* Where chunks of 1 MiB blocks end, and the first MiB of a BAT of theirs. */
#define CHUNK_END (4 * R_GIB)
#define PAGE_END  (512 * R_MIB)
#define BAT_END	  ((uint64_t)131040 * R_MIB)

static void test_small_dynamic_disks(void **state)
{
	(void)state;
	over_seeds(120, &(struct style){.block_size = 1 << 20,
					.sector_size = 512,
					.sizes = {2 * R_MIB, 9 * R_MIB, 24 * R_MIB},
					.spread = 3 * R_MIB});
	over_seeds(40, &(struct style){.block_size = 32 << 20,
				       .sector_size = 4096,
				       .sizes = {10 * R_MIB, 64 * R_MIB, 300 * R_MIB},
				       .spread = 9 * R_MIB});
}

static void test_small_fixed_disks(void **state)
{
	(void)state;
	over_seeds(80, &(struct style){.type = VHDX_FIXED,
				       .block_size = 1 << 20,
				       .sector_size = 512,
				       .sizes = {2 * R_MIB, 9 * R_MIB, 24 * R_MIB},
				       .spread = 3 * R_MIB});
	over_seeds(20, &(struct style){.type = VHDX_FIXED,
				       .block_size = 2 << 20,
				       .sector_size = 4096,
				       .sizes = {10 * R_MIB, 64 * R_MIB},
				       .spread = 9 * R_MIB});
}

static void test_small_children(void **state)
{
	(void)state;
	over_seeds(160, &(struct style){.type = VHDX_DIFFERENCING,
					.block_size = 1 << 20,
					.sector_size = 512,
					.sizes = {9 * R_MIB, 2 * R_MIB, 24 * R_MIB},
					.spread = 3 * R_MIB});
	over_seeds(40, &(struct style){.type = VHDX_DIFFERENCING,
				       .block_size = 32 << 20,
				       .sector_size = 4096,
				       .sizes = {64 * R_MIB, 10 * R_MIB, 100 * R_MIB},
				       .spread = 9 * R_MIB});
}

#define BOUNDARIES \
	{ \
		CHUNK_END, PAGE_END, CHUNK_END + PAGE_END, 2 * CHUNK_END, 3 * R_MIB \
	}

static void test_sizes_about_the_ends_of_bat_pages_and_chunks(void **state)
{
	(void)state;
	over_seeds(60, &(struct style){.block_size = 1 << 20,
				       .sector_size = 512,
				       .sizes = BOUNDARIES,
				       .spread = 2 * R_MIB});
	over_seeds(60, &(struct style){.type = VHDX_DIFFERENCING,
				       .block_size = 1 << 20,
				       .sector_size = 512,
				       .sizes = BOUNDARIES,
				       .spread = 2 * R_MIB});
	over_seeds(6, &(struct style){.type = VHDX_FIXED,
				      .block_size = 1 << 20,
				      .sector_size = 512,
				      .sizes = BOUNDARIES,
				      .spread = 2 * R_MIB});
	/* Of the largest blocks, 16 are a chunk. */
	over_seeds(40, &(struct style){.type = VHDX_DIFFERENCING,
				       .block_size = 256 << 20,
				       .sector_size = 512,
				       .sizes = {CHUNK_END, 8 * CHUNK_END, 31 * CHUNK_END},
				       .spread = 300 * R_MIB});
}

static void test_tables_that_must_move(void **state)
{
	(void)state;
	over_seeds(40, &(struct style){.block_size = 1 << 20,
				       .sector_size = 512,
				       .sizes = {BAT_END, 2 * BAT_END, 3 * R_TIB, R_GIB},
				       .spread = 40 * R_MIB});
	over_seeds(40, &(struct style){.type = VHDX_DIFFERENCING,
				       .block_size = 1 << 20,
				       .sector_size = 4096,
				       .sizes = {BAT_END, 2 * BAT_END, 3 * R_TIB, R_GIB},
				       .spread = 40 * R_MIB});
	over_seeds(1, &(struct style){.type = VHDX_FIXED,
				      .block_size = 1 << 20,
				      .sector_size = 512,
				      .sizes = {BAT_END},
				      .spread = 40 * R_MIB});
}

static void test_the_largest_disks(void **state)
{
	(void)state;
	over_seeds(6, &(struct style){.block_size = 1 << 20,
				      .sector_size = 512,
				      .sizes = {64 * R_TIB, 63 * R_TIB, R_GIB},
				      .spread = 40 * R_MIB});
	over_seeds(20, &(struct style){.block_size = 32 << 20,
				       .sector_size = 4096,
				       .sizes = {64 * R_TIB, 32 * R_TIB, R_GIB},
				       .spread = 40 * R_MIB});
	over_seeds(20, &(struct style){.type = VHDX_DIFFERENCING,
				       .block_size = 32 << 20,
				       .sector_size = 512,
				       .sizes = {64 * R_TIB, 32 * R_TIB, R_GIB},
				       .spread = 40 * R_MIB});
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		SCRATCH_TEST(test_small_dynamic_disks),
		SCRATCH_TEST(test_small_fixed_disks),
		SCRATCH_TEST(test_small_children),
		SCRATCH_TEST(test_sizes_about_the_ends_of_bat_pages_and_chunks),
		SCRATCH_TEST(test_tables_that_must_move),
		SCRATCH_TEST(test_the_largest_disks),
	};

	seeds_from_arguments(argc, argv);
	return RUN_TESTS(tests);
}
