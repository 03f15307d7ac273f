/* SPDX-License-Identifier: MIT */
/*
 * Random damage to many entries of a BAT at once: after its repair check is clean, a second repair does
 * nothing, and what could be read reads as before, but for blocks that had to give up shared space.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "support/fixture.h"
#include "support/writestore.h"

#define PIECE	    ((uint64_t)16 << 10)
#define PIECES	    8u
#define MOST_BLOCKS 200u
#define MOST_TOLD   1000u

/* Of a block, what a guest reads in some places. */
struct sample {
	uint64_t block;
	int error;
	uint8_t *bytes; /* PIECES * PIECE */
};

struct trial {
	struct chain chain;
	struct sample before[MOST_BLOCKS];
	struct sample after[MOST_BLOCKS];
	unsigned count;
	struct {
		unsigned problem;
		uint64_t start;
		uint64_t end;
	} told[MOST_TOLD];
	unsigned told_count;
	struct sparse damaged;
};

static uint64_t get_entry(const struct sparse *file, const struct layer *layer, uint64_t index)
{
	uint8_t bytes[8];

	sparse_read(file, bytes, 8, layer->bat.offset + 8 * index);
	return get_number(bytes, 8);
}

static void put_entry(struct layer *layer, uint64_t index, uint64_t entry)
{
	uint8_t bytes[8];

	put_number(bytes, entry, 8);
	sparse_write(&layer->file, bytes, 8, layer->bat.offset + 8 * index);
}

/* ---- damage ---- */

static uint64_t random_place(struct rng *rng, const struct layer *layer)
{
	const struct layer_block *block = layer->count ? &layer->list[rng_below(rng, layer->count)]
						       : NULL;

	switch (rng_below(rng, 7)) {
	case 0:
		return 0;
	case 1:
		return layer->log.offset;
	case 2:
		return layer->file.size / T_MIB * T_MIB + rng_below(rng, 3) * T_MIB;
	case 3:
		return rng_next(rng) / T_MIB * T_MIB;
	case 4:
		return rng_below(rng, layer->file.size / T_MIB) * T_MIB;
	case 5:
		return layer->bitmap_count
			       ? layer->bitmaps[rng_below(rng, layer->bitmap_count)].offset
			       : T_MIB;
	default:
		return (block ? block->offset : 0) + rng_below(rng, 2) * T_MIB;
	}
}

static uint64_t damaged_entry(struct rng *rng, const struct layer *layer, uint64_t entry)
{
	switch (rng_below(rng, 5)) {
	case 0:
		return entry ^ (uint64_t)1 << rng_below(rng, 30);
	case 1:
		return (entry & ~(uint64_t)7) | rng_below(rng, 8);
	case 2:
		return random_place(rng, layer) | (entry & 7);
	case 3:
		return random_place(rng, layer) | (rng_chance(rng, 50) ? 6 : rng_below(rng, 8));
	default:
		return entry | (rng_next(rng) & 0xffff8);
	}
}

static uint64_t random_index(struct rng *rng, const struct layer *layer)
{
	uint64_t block = layer->count && rng_chance(rng, 60)
				 ? layer->list[rng_below(rng, layer->count)].number
				 : rng_below(rng, layer->blocks);
	uint64_t bitmap = layer_bitmap_index(layer, block / layer->chunk_ratio);

	/* Without a parent there is no entry behind the last block's. */
	if (rng_chance(rng, 15) && bitmap < layer->bat_entries)
		return bitmap;
	return layer_bat_index(layer, block);
}

static void watch_block(struct trial *trial, uint64_t block)
{
	for (unsigned i = 0; i < trial->count; i++)
		if (trial->before[i].block == block)
			return;
	CHECK(trial->count < MOST_BLOCKS, "too many blocks");
	trial->before[trial->count++].block = block;
}

/* Behind log and regions. */
static void cut_file(struct rng *rng, struct layer *layer)
{
	const struct area fixed[] = {layer->log, layer->bat, layer->metadata, layer->unknown};
	uint64_t end = 0;

	for (size_t i = 0; i < sizeof(fixed) / sizeof(fixed[0]); i++)
		if (fixed[i].offset + fixed[i].length > end)
			end = fixed[i].offset + fixed[i].length;
	sparse_resize(&layer->file,
		      end + rng_below(rng, (layer->file.size - end) / T_MIB + 1) * T_MIB);
}

static void damage(struct rng *rng, struct trial *trial)
{
	struct layer *layer = &trial->chain.layers[0];

	for (size_t i = 0; i < layer->count; i++)
		watch_block(trial, layer->list[i].number);
	for (uint64_t times = rng_length(rng, 30); times; times--) {
		uint64_t index = random_index(rng, layer);

		put_entry(layer, index,
			  damaged_entry(rng, layer, get_entry(&layer->file, layer, index)));
		if (index % (layer->chunk_ratio + 1) != layer->chunk_ratio)
			watch_block(trial, index - index / (layer->chunk_ratio + 1));
	}
	if (rng_chance(rng, 20))
		cut_file(rng, layer);
	sparse_copy(&trial->damaged, 0, &layer->file, 0, layer->file.size);
	sparse_resize(&trial->damaged, layer->file.size);
}

/* ---- what is read ---- */

static void read_samples(struct trial *trial, struct sample *samples)
{
	const struct layer *layer = &trial->chain.layers[0];
	struct fixture fixture;
	struct vhdx *disk;

	fixture_init(&fixture, &trial->chain, true);
	CHECK(!fixture_open(&fixture, 0, &disk), "open: %s", vhdx_last_error()->text);
	for (unsigned i = 0; i < trial->count; i++) {
		struct sample *sample = &samples[i];
		struct rng rng = rng_make(i + 1);

		sample->block = trial->before[i].block;
		sample->bytes = calloc(PIECES, PIECE);
		for (unsigned p = 0; p < PIECES; p++) {
			uint64_t at = sample->block * layer->block_size +
				      rng_below(&rng, layer->block_size / PIECE) * PIECE;
			uint64_t size = at >= layer->virtual_size ? 0
					: layer->virtual_size - at < PIECE
						? layer->virtual_size - at
						: PIECE;
			int ret = size ? vhdx_pread(disk, sample->bytes + p * PIECE, size, at) : 0;

			sample->error = sample->error ? sample->error : ret;
		}
	}
	assert_int_equal(vhdx_close(disk), 0);
}

static void free_samples(struct trial *trial, struct sample *samples)
{
	for (unsigned i = 0; i < trial->count; i++)
		free(samples[i].bytes);
}

/* ---- check and repair ---- */

struct judged {
	uint64_t faults;
	char text[300];
};

static void judge(void *opaque, const struct vhdx_finding *finding)
{
	struct judged *judged = opaque;

	unsigned chapter = finding->problem->number / 100;

	if (finding->problem->severity == VHDX_NOTE || chapter < 6 || chapter == 8 ||
	    judged->faults++)
		return;
	snprintf(judged->text, sizeof(judged->text), "%u: %s", finding->problem->number,
		 finding->text);
}

static void expect_clean(struct trial *trial)
{
	struct fixture fixture;
	struct vhdx *disk;
	struct judged judged = {0};
	struct vhdx_check_options options = {
		.size = sizeof(options), .finding = judge, .opaque = &judged};
	struct vhdx_check_result result = {.size = sizeof(result)};

	fixture_init(&fixture, &trial->chain, true);
	CHECK(!fixture_open(&fixture, VHDX_OPEN_NO_PARENT, &disk), "open: %s",
	      vhdx_last_error()->text);
	CHECK(!vhdx_check(disk, &options, &result), "check: %s", vhdx_last_error()->text);
	CHECK(!judged.faults, "%" PRIu64 " faults left, %s", judged.faults, judged.text);
	assert_int_equal(vhdx_close(disk), 0);
}

static void note_told(void *opaque, const struct vhdx_finding *finding)
{
	struct trial *trial = opaque;

	CHECK(trial->told_count < MOST_TOLD, "too much told");
	trial->told[trial->told_count].problem = finding->problem->number;
	trial->told[trial->told_count].start = finding->guest_offset;
	trial->told[trial->told_count++].end = finding->guest_offset + finding->guest_length;
}

static struct vhdx_repair_result repair(struct trial *trial)
{
	struct layer *layer = &trial->chain.layers[0];
	struct write_store store;
	struct vhdx_repair_options options = {
		.size = sizeof(options), .mended = note_told, .opaque = trial};
	struct vhdx_repair_result result = {.size = sizeof(result)};

	write_store_init(&store);
	store.bytes = layer->file;
	struct vhdx_io io = write_store_io(&store, 0);
	int ret = vhdx_repair_io(&io, layer->name, &options, &result);

	CHECK(!ret, "repair returns %d: %s", ret, vhdx_last_error()->text);
	layer->file = store.bytes;
	store.bytes = (struct sparse){0};
	write_store_free(&store);
	return result;
}

/* Was a bitmap cut loose? By it, sectors of the parent could be read even of blocks without a place. */
static bool bitmap_was_cut(const struct trial *trial)
{
	for (unsigned i = 0; i < trial->told_count; i++)
		if (trial->told[i].problem == 705)
			return true;
	return false;
}

/* Was a loss of @block told as one of these problems? */
static bool was_told(const struct trial *trial, uint64_t block, unsigned problem)
{
	uint64_t start = block * trial->chain.layers[0].block_size;

	for (unsigned i = 0; i < trial->told_count; i++)
		if (trial->told[i].problem == problem &&
		    trial->told[i].start < trial->told[i].end &&
		    trial->told[i].start / trial->chain.layers[0].block_size <= block &&
		    trial->told[i].end > start)
			return true;
	return false;
}

/* ---- what must hold ---- */

static bool is_taken(const struct trial *trial, uint64_t offset, uint64_t length,
		     uint64_t not_index)
{
	const struct layer *layer = &trial->chain.layers[0];
	const struct area fixed[] = {
		{0, T_MIB}, layer->log, layer->bat, layer->metadata, layer->unknown};

	for (size_t i = 0; i < sizeof(fixed) / sizeof(fixed[0]); i++)
		if (offset < fixed[i].offset + fixed[i].length && fixed[i].offset < offset + length)
			return true;
	for (unsigned i = 0; i < trial->count; i++) {
		uint64_t index = layer_bat_index(layer, trial->before[i].block);
		uint64_t entry = get_entry(&layer->file, layer, index);
		uint64_t place = entry / T_MIB * T_MIB;

		if (index != not_index && place && offset < place + layer->block_size &&
		    place < offset + length)
			return true;
	}
	for (uint64_t chunk = 0; chunk < layer->chunks && layer->has_parent; chunk++) {
		uint64_t entry = get_entry(&layer->file, layer, layer_bitmap_index(layer, chunk));
		uint64_t place = entry / T_MIB * T_MIB;

		if (place && offset < place + T_MIB && place < offset + length)
			return true;
	}
	return false;
}

/* What was cut loose had to be: who has its space now is there. */
static void check_cut_loose(const struct trial *trial, uint64_t block)
{
	const struct layer *layer = &trial->chain.layers[0];
	uint64_t index = layer_bat_index(layer, block);
	uint64_t place = get_entry(&trial->damaged, layer, index) / T_MIB * T_MIB;

	CHECK(is_taken(trial, place, layer->block_size, index),
	      "block %" PRIu64 " was cut loose, and nobody has %#" PRIx64, block, place);
}

static void check_block(const struct trial *trial, unsigned i)
{
	const struct sample *before = &trial->before[i];
	const struct sample *after = &trial->after[i];

	CHECK(!after->error, "block %" PRIu64 " cannot be read: %d", after->block, after->error);
	if (was_told(trial, before->block, 608)) {
		check_cut_loose(trial, before->block);
	} else if (before->error) {
		CHECK(trial->told_count, "block %" PRIu64 " can be read now, and nothing was told",
		      before->block);
	} else if (!was_told(trial, before->block, 703) &&
		   !(was_told(trial, before->block, 606) && bitmap_was_cut(trial))) {
		CHECK(!memcmp(before->bytes, after->bytes, PIECES * PIECE),
		      "block %" PRIu64 " reads differently", before->block);
	}
}

static void run(struct rng *rng, const struct chain_style *style)
{
	struct trial *trial = calloc(1, sizeof(*trial));

	do {
		chain_free(&trial->chain);
		chain_make(rng, style, &trial->chain);
	} while (trial->chain.layers[0].is_dirty);
	damage(rng, trial);
	read_samples(trial, trial->before);
	repair(trial);
	expect_clean(trial);
	read_samples(trial, trial->after);
	for (unsigned i = 0; i < trial->count; i++)
		check_block(trial, i);
	CHECK(!repair(trial).mended, "a second repair mends something");
	free_samples(trial, trial->before);
	free_samples(trial, trial->after);
	sparse_free(&trial->damaged);
	chain_free(&trial->chain);
	free(trial);
}

static void run_all(uint64_t count, const struct chain_style *style)
{
	uint64_t last;

	for (seeds_to_run(count, &current_seed, &last); current_seed <= last; current_seed++) {
		struct rng rng = rng_make(current_seed);

		run(&rng, style);
	}
}

static void test_damaged_entries_of_small_disks_are_mended(void **state)
{
	(void)state;
	run_all(1500, &(struct chain_style){.max_depth = 2, .tidy = true, .small_blocks = true});
}

static void test_damaged_entries_of_disks_of_many_chunks_are_mended(void **state)
{
	(void)state;
	run_all(300, &(struct chain_style){.max_depth = 2, .tidy = true, .huge = true});
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_damaged_entries_of_small_disks_are_mended),
		cmocka_unit_test(test_damaged_entries_of_disks_of_many_chunks_are_mended),
	};

	seeds_from_arguments(argc, argv);
	return RUN_TESTS(tests);
}
