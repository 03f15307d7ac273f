/* SPDX-License-Identifier: MIT */
/*
 * Thousands of damaged images: each fails with a precise error or opens, within bounds of work and memory,
 * and nothing is written. Half of them get their checksums mended, so that the checks behind are met.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "support/alloc.h"
#include "support/exercise.h"
#include "support/fixture.h"

#define DAMAGES_A_CHAIN 25
#define MOST_WORK	((uint64_t)1 << 30)
#define MOST_MEMORY	((size_t)64 << 20)

static uint64_t interesting_number(struct rng *rng, uint64_t size)
{
	switch (rng_below(rng, 9)) {
	case 0:
		return 0;
	case 1:
		return 1;
	case 2:
		return UINT64_MAX >> rng_below(rng, 64);
	case 3:
		return size + rng_below(rng, 3) - 1;
	case 4:
		return T_MIB * rng_below(rng, 20);
	case 5:
		return T_MIB * rng_below(rng, 20) + rng_below(rng, 8);
	case 6:
		return (uint64_t)1 << rng_below(rng, 64);
	case 7:
		return rng_below(rng, 3000);
	default:
		return rng_next(rng);
	}
}

static void set_number(struct rng *rng, struct sparse *file, uint64_t at)
{
	unsigned width = 1u << rng_below(rng, 4);
	uint8_t bytes[8];

	put_number(bytes, interesting_number(rng, file->size), 8);
	sparse_write(file, bytes, width, at);
}

/* Copies one piece of metadata over another. */
static void swap_pieces(struct rng *rng, struct sparse *file, const struct area *areas,
			size_t count)
{
	static const uint64_t sizes[] = {8, 16, 32, 64, 4096, 65536};
	uint64_t size = sizes[rng_below(rng, 6)];
	struct area from = areas[rng_below(rng, count)];
	struct area to = areas[rng_below(rng, count)];
	uint8_t *bytes = malloc(size);

	sparse_read(file, bytes, size, from.offset + rng_below(rng, from.length) / size * size);
	sparse_write(file, bytes, size, to.offset + rng_below(rng, to.length) / size * size);
	free(bytes);
}

static void change_size(struct rng *rng, struct sparse *file, const struct area *areas,
			size_t count)
{
	const struct area *area = &areas[rng_below(rng, count)];

	switch (rng_below(rng, 4)) {
	case 0:
		sparse_resize(file, rng_below(rng, file->size + 1));
		break;
	case 1:
		sparse_resize(file, area->offset + rng_below(rng, area->length + 1));
		break;
	case 2:
		sparse_resize(file, file->size + rng_length(rng, 8 * T_MIB));
		break;
	default:
		sparse_resize(file, interesting_number(rng, file->size) >> 2);
		break;
	}
}

static void damage_once(struct rng *rng, struct sparse *file, const struct area *areas,
			size_t count)
{
	struct area area = areas[rng_below(rng, count)];
	uint64_t at = area.offset +
		      rng_below(rng, area.length < 512 || rng_chance(rng, 30) ? area.length : 512);
	uint8_t byte;

	switch (rng_below(rng, 10)) {
	case 0:
	case 1:
		sparse_read(file, &byte, 1, at);
		byte ^= (uint8_t)(1 << rng_below(rng, 8));
		sparse_write(file, &byte, 1, at);
		break;
	case 2:
		byte = (uint8_t)rng_next(rng);
		sparse_write(file, &byte, 1, at);
		break;
	case 3:
	case 4:
	case 5:
	case 6:
		set_number(rng, file, rng_chance(rng, 80) ? at / 4 * 4 : at);
		break;
	case 7:
		sparse_zero(file, at, rng_length(rng, 8192));
		break;
	case 8:
		swap_pieces(rng, file, areas, count);
		break;
	default:
		change_size(rng, file, areas, count);
		break;
	}
}

static void damage(struct rng *rng, struct layer *layer, struct sparse *file)
{
	struct area areas[16];
	size_t count = layer_areas(layer, areas);
	unsigned times = rng_chance(rng, 60) ? 1 : (unsigned)rng_between(rng, 2, 6);

	while (times--)
		damage_once(rng, file, areas, count);
	if (rng_chance(rng, 50))
		image_mend_checksums(file, layer->log.offset, layer->log.length);
}

static void exercise_fixture(const struct chain *chain, uint32_t flags, bool holes)
{
	struct fixture fixture;
	struct exercise exercise = {0};
	struct vhdx *disk = NULL;
	uint64_t work = 0;

	fixture_init(&fixture, chain, holes);
	size_t pieces = alloc_pieces();

	alloc_reset_peak();
	int ret = fixture_open(&fixture, flags, &disk);

	exercise_note(&exercise, ret);
	CHECK(!ret || !disk, "a disk was returned with an error");
	if (!ret) {
		exercise_disk(disk, &exercise);
		vhdx_close(disk);
	}
	CHECK(!exercise.fault, "%s: %s", exercise.fault, exercise.text);
	CHECK(alloc_peak() < MOST_MEMORY, "%zu bytes of memory", alloc_peak());
	CHECK(alloc_pieces() == pieces, "%zu pieces of memory leaked", alloc_pieces() - pieces);
	for (unsigned i = 0; i < chain->depth; i++)
		work += fixture.stores[i].read_bytes;
	CHECK(work < MOST_WORK, "%" PRIu64 " bytes read", work);
	fixture_check_unchanged(&fixture);
}

static void exercise_damaged(struct rng *rng, struct chain *chain)
{
	struct layer *layer =
		&chain->layers[rng_chance(rng, 75) ? 0 : rng_below(rng, chain->depth)];
	struct sparse whole = layer->file;

	layer->file = (struct sparse){0};
	sparse_copy(&layer->file, 0, &whole, 0, whole.size);
	sparse_resize(&layer->file, whole.size);
	damage(rng, layer, &layer->file);
	exercise_fixture(chain, rng_chance(rng, 20) ? VHDX_OPEN_NO_PARENT : 0, rng_chance(rng, 50));
	exercise_fixture(chain, VHDX_OPEN_EXAMINE, rng_chance(rng, 50));
	sparse_free(&layer->file);
	layer->file = whole;
}

static void test_damage_is_met_with_precise_errors_within_bounds(void **state)
{
	uint64_t last;

	(void)state;
	for (seeds_to_run(5000 / DAMAGES_A_CHAIN, &current_seed, &last); current_seed <= last;
	     current_seed++) {
		struct rng rng = rng_make(current_seed);
		struct chain chain;

		chain_make(&rng, &(struct chain_style){.max_depth = 2, .small_blocks = true},
			   &chain);
		for (int i = 0; i < DAMAGES_A_CHAIN; i++)
			exercise_damaged(&rng, &chain);
		chain_free(&chain);
	}
}

static void test_whole_images_have_no_damage(void **state)
{
	(void)state;
	for (current_seed = 1; current_seed <= sampled(100); current_seed++) {
		struct rng rng = rng_make(current_seed);
		struct chain chain;
		struct fixture fixture;
		struct exercise exercise = {0};
		struct vhdx *disk;

		chain_make(&rng, &(struct chain_style){.max_depth = 3, .tidy = true}, &chain);
		fixture_init(&fixture, &chain, true);
		CHECK(!fixture_open(&fixture, 0, &disk), "open: %s", vhdx_last_error()->text);
		exercise_disk(disk, &exercise);
		CHECK(!exercise.first_error, "an error: %s", vhdx_last_error()->text);
		CHECK(!exercise.fault, "%s: %s", exercise.fault, exercise.text);
		CHECK(exercise.values, "nothing was dumped");
		CHECK(!exercise.damages && !exercise.damage[0], "found in a whole image: %s",
		      exercise.damage);
		vhdx_close(disk);
		chain_free(&chain);
	}
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_whole_images_have_no_damage),
		cmocka_unit_test(test_damage_is_met_with_precise_errors_within_bounds),
	};

	seeds_from_arguments(argc, argv);
	return RUN_TESTS(tests);
}
