/* SPDX-License-Identifier: MIT */
/*
 * Thousands of images with a few bytes or sectors of their metadata changed, and what repair makes of each:
 * clean, with every undamaged block as before, and as it was when it is undone; or untouched.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "support/alloc.h"
#include "support/fixture.h"
#include "support/writestore.h"

#define DAMAGES_A_CHAIN 50
#define MOST_MEMORY	((size_t)64 << 20)
#define MOST_READ	((uint64_t)1 << 30)
#define MOST_LOSSES	4096
#define SAMPLE		4096

/* What a repair said about it. */
struct told {
	struct area losses[MOST_LOSSES];
	size_t count;
	char last[300];
	unsigned left;
};

/* One image, damaged. */
struct patient {
	struct chain *chain;
	struct layer *layer;
	struct sparse damaged;
	bool mended_checksums;
	struct told told;
};

/* ---- damage ---- */

/* All of the metadata: what layer_areas names, whole structures. */
static struct area pick_area(struct rng *rng, const struct layer *layer)
{
	struct area areas[16];
	size_t count = layer_areas(layer, areas);

	switch (rng_below(rng, 12)) {
	case 0:
		return (struct area){rng_below(rng, 2) * 64 * T_KIB + 64 * T_KIB, 4096};
	case 1:
		return (struct area){rng_below(rng, 2) * 64 * T_KIB + 192 * T_KIB, 64 * T_KIB};
	case 2:
		return (struct area){layer->metadata.offset, 64 * T_KIB};
	case 3:
	case 4:
		return (struct area){layer->bat.offset, layer->bat_entries * 8};
	default:
		return areas[rng_below(rng, count)];
	}
}

static void flip_byte(struct rng *rng, struct sparse *file, uint64_t at)
{
	uint8_t byte;

	sparse_read(file, &byte, 1, at);
	byte ^= rng_chance(rng, 60) ? (uint8_t)(1 << rng_below(rng, 8))
				    : (uint8_t)rng_between(rng, 1, 255);
	sparse_write(file, &byte, 1, at);
}

static void flip_sector(struct rng *rng, struct sparse *file, uint64_t at)
{
	uint8_t sector[512];

	switch (rng_below(rng, 3)) {
	case 0:
		memset(sector, 0, sizeof(sector));
		break;
	case 1:
		memset(sector, 0xff, sizeof(sector));
		break;
	default:
		rng_fill(rng, sector, sizeof(sector));
		break;
	}
	sparse_write(file, sector, sizeof(sector), at / 512 * 512);
}

static void damage(struct rng *rng, struct patient *patient)
{
	unsigned times = (unsigned)rng_between(rng, 1, 8);
	bool sectors = rng_chance(rng, 35);
	struct area area = pick_area(rng, patient->layer);

	for (unsigned i = 0; i < times; i++) {
		uint64_t at = area.offset + rng_below(rng, area.length);

		if (sectors)
			flip_sector(rng, &patient->damaged, at);
		else
			flip_byte(rng, &patient->damaged, at);
		if (rng_chance(rng, 50))
			area = pick_area(rng, patient->layer);
	}
	patient->mended_checksums = rng_chance(rng, 40);
	if (patient->mended_checksums)
		image_mend_checksums(&patient->damaged, patient->layer->log.offset,
				     patient->layer->log.length);
}

static bool is_touched(const struct patient *patient, uint64_t offset, uint64_t length)
{
	uint8_t before[4096];
	uint8_t after[4096];

	for (uint64_t done = 0; done < length;) {
		uint64_t part = length - done < sizeof(before) ? length - done : sizeof(before);

		sparse_read(&patient->layer->file, before, part, offset + done);
		sparse_read(&patient->damaged, after, part, offset + done);
		if (memcmp(before, after, part) != 0)
			return true;
		done += part;
	}
	return false;
}

/* ---- what must still be there ---- */

/*
 * Damage that nothing shows: of a header or table whose checksum was made right, of a log that holds changes, and of the
 * newer header of a dirty image, without which the older is current.
 */
static bool is_beyond_notice(const struct patient *patient)
{
	const struct layer *layer = patient->layer;
	bool headers = is_touched(patient, 64 * T_KIB, 128 * T_KIB);
	bool tables = is_touched(patient, 192 * T_KIB, 128 * T_KIB);
	bool log = is_touched(patient, layer->log.offset, layer->log.length);

	return (patient->mended_checksums && (headers || tables)) ||
	       (layer->is_dirty && (headers || log));
}

static bool entry_is_touched(const struct patient *patient, uint64_t index)
{
	return is_touched(patient, patient->layer->bat.offset + index * 8, 8);
}

static bool bits_are_touched(const struct patient *patient, uint64_t block)
{
	const struct layer *layer = patient->layer;
	uint64_t chunk = block / layer->chunk_ratio;

	for (size_t i = 0; i < layer->bitmap_count; i++)
		if (layer->bitmaps[i].chunk == chunk)
			return is_touched(patient, layer->bitmaps[i].offset, T_MIB);
	return false;
}

/* Must that block read as before? */
static bool is_sound(const struct patient *patient, uint64_t block)
{
	const struct layer *layer = patient->layer;
	const struct told *told = &patient->told;
	uint64_t start = block * layer->block_size;

	if (entry_is_touched(patient, layer_bat_index(layer, block)))
		return false;
	if (layer->has_parent &&
	    (entry_is_touched(patient, layer_bitmap_index(layer, block / layer->chunk_ratio)) ||
	     bits_are_touched(patient, block)))
		return false;
	for (size_t i = 0; i < told->count; i++)
		if (told->losses[i].offset < start + layer->block_size &&
		    start < told->losses[i].offset + told->losses[i].length)
			return false;
	return true;
}

static void compare_sample(const struct patient *patient, struct vhdx *disk, uint64_t at,
			   uint64_t end)
{
	uint8_t found[SAMPLE];
	uint8_t expected[SAMPLE];
	uint64_t length = end - at < SAMPLE ? end - at : SAMPLE;

	CHECK(!vhdx_pread(disk, found, length, at), "at %" PRIu64 ": %s", at,
	      vhdx_last_error()->text);
	sparse_read(&patient->chain->guest_alone, expected, length, at);
	CHECK(!memcmp(found, expected, length),
	      "an undamaged block reads differently at %" PRIu64 "; mended last: %s", at,
	      patient->told.last);
}

static void compare_block(struct rng *rng, const struct patient *patient, struct vhdx *disk,
			  uint64_t block)
{
	const struct layer *layer = patient->layer;
	uint64_t start = block * layer->block_size;
	uint64_t end = start + layer->block_size;

	if (!is_sound(patient, block))
		return;
	end = end < layer->virtual_size ? end : layer->virtual_size;
	compare_sample(patient, disk, start, end);
	compare_sample(patient, disk, start + rng_below(rng, end - start), end);
}

/* Has it still the layer's shape? A damaged value may be another legal one. */
static bool has_shape(const struct layer *layer, const struct vhdx_info *info)
{
	return info->virtual_size == layer->virtual_size && info->block_size == layer->block_size &&
	       info->logical_sector_size == layer->sector_size &&
	       (info->type == VHDX_DIFFERENCING) == layer->has_parent;
}

static void compare_contents(struct rng *rng, const struct patient *patient,
			     struct write_store *store)
{
	const struct layer *layer = patient->layer;
	const struct vhdx_open_options options = {.size = sizeof(options),
						  .flags = VHDX_OPEN_NO_PARENT};
	const struct vhdx_io io = write_store_io(store, 0);
	struct vhdx_info info = {.size = sizeof(info)};
	struct vhdx *disk;

	CHECK(!vhdx_open_io(&io, &options, &disk), "after repair: %s", vhdx_last_error()->text);
	CHECK(!vhdx_get_info(disk, &info), "info: %s", vhdx_last_error()->text);
	if (has_shape(layer, &info) && !is_beyond_notice(patient)) {
		for (size_t i = 0; i < layer->count; i++)
			compare_block(rng, patient, disk, layer->list[i].number);
		for (unsigned i = 0; i < 4; i++)
			compare_block(rng, patient, disk, rng_below(rng, layer->blocks));
	}
	vhdx_close(disk);
}

/* ---- repair ---- */

static void note_mended(void *opaque, const struct vhdx_finding *finding)
{
	struct told *told = opaque;

	snprintf(told->last, sizeof(told->last), "%u %s", finding->problem->number, finding->text);
	if (!finding->guest_length)
		return;
	CHECK(told->count < MOST_LOSSES, "%zu losses", told->count);
	told->losses[told->count++] = (struct area){finding->guest_offset, finding->guest_length};
}

static void note_left(void *opaque, const struct vhdx_finding *finding)
{
	struct told *told = opaque;

	(void)finding;
	told->left++;
}

static void check_same(const struct sparse *found, const struct sparse *expected, const char *what)
{
	uint8_t bytes[2][4096];
	uint64_t size = found->size > expected->size ? found->size : expected->size;

	CHECK(found->size == expected->size, "%s: %" PRIu64 " bytes (expected %" PRIu64 ")", what,
	      found->size, expected->size);
	for (uint64_t at = 0; at < size;) {
		uint64_t start[2] = {size, size};
		uint64_t end;

		sparse_next(found, at, &start[0], &end);
		sparse_next(expected, at, &start[1], &end);
		at = start[0] < start[1] ? start[0] : start[1];
		if (at >= size)
			break;
		at = at / 4096 * 4096;
		sparse_read(found, bytes[0], 4096, at);
		sparse_read(expected, bytes[1], 4096, at);
		CHECK(!memcmp(bytes[0], bytes[1], 4096), "%s: differs at %" PRIu64, what, at);
		at += 4096;
	}
}

/* As a user would: once more, which must find nothing to do. */
static void repair_again(struct write_store *store, uint32_t flags)
{
	struct write_store undo;
	const struct vhdx_io io = write_store_io(store, 0);
	struct vhdx_repair_result result = {.size = sizeof(result)};

	write_store_init(&undo);
	const struct vhdx_io undo_io = write_store_io(&undo, 0);
	struct vhdx_repair_options options = {
		.size = sizeof(options), .flags = flags, .undo = &undo_io};

	CHECK(!vhdx_repair_io(&io, "again", &options, &result), "the second repair: %s",
	      vhdx_last_error()->text);
	CHECK(!result.mended && !result.left,
	      "the second repair mends %" PRIu64 ", leaves %" PRIu64, result.mended, result.left);
	write_store_free(&undo);
}

static void undo_repair(const struct patient *patient, struct write_store *store,
			struct write_store *undo)
{
	const struct vhdx_io io = write_store_io(store, 0);
	const struct vhdx_io undo_io = write_store_io(undo, 0);

	CHECK(!vhdx_undo_repair_io(&io, "image", &undo_io, "undo"), "undo: %s",
	      vhdx_last_error()->text);
	check_same(&store->bytes, &patient->damaged, "undone");
}

/* What a repair may have done when it says that it succeeded. */
static void judge_success(struct rng *rng, const struct patient *patient, struct write_store *store,
			  struct write_store *undo, const struct vhdx_repair_options *options,
			  const struct vhdx_repair_result *result)
{
	CHECK(result->left == 0 || patient->told.left, "%" PRIu64 " faults are left, untold",
	      result->left);
	if (!result->mended) {
		check_same(&store->bytes, &patient->damaged, "nothing was mended");
	} else if (!result->left) {
		repair_again(store, options->flags);
	}
	compare_contents(rng, patient, store);
	if (result->mended)
		undo_repair(patient, store, undo);
}

/* Returns whether the repair succeeded. */
static bool repair_once(struct rng *rng, struct patient *patient)
{
	struct write_store store;
	struct write_store undo;
	struct vhdx_repair_result result = {.size = sizeof(result)};

	write_store_init(&store);
	write_store_init(&undo);
	sparse_copy(&store.bytes, 0, &patient->damaged, 0, patient->damaged.size);
	sparse_resize(&store.bytes, patient->damaged.size);
	const struct vhdx_io io = write_store_io(&store, 0);
	const struct vhdx_io undo_io = write_store_io(&undo, 0);
	struct vhdx_repair_options options = {
		.size = sizeof(options),
		.flags = rng_chance(rng, 50) ? VHDX_REPAIR_DISCARD_LOG : 0,
		.mended = note_mended,
		.left = note_left,
		.opaque = &patient->told,
		.undo = &undo_io,
	};
	alloc_reset_peak();
	int ret = vhdx_repair_io(&io, "image", &options, &result);

	/* The stores are the test's own. */
	CHECK(alloc_peak() < MOST_MEMORY + undo.bytes.size, "%zu bytes of memory", alloc_peak());
	if (!ret)
		judge_success(rng, patient, &store, &undo, &options, &result);
	else
		CHECK(ret == -EUCLEAN || ret == -ENOTSUP, "%d: %s", ret, vhdx_last_error()->text);
	if (ret)
		check_same(&store.bytes, &patient->damaged, "a repair that failed");
	write_store_free(&store);
	write_store_free(&undo);
	return !ret;
}

static bool repair_damaged(struct rng *rng, struct chain *chain)
{
	struct patient *patient = calloc(1, sizeof(*patient));

	patient->chain = chain;
	patient->layer = &chain->layers[0];
	sparse_copy(&patient->damaged, 0, &patient->layer->file, 0, patient->layer->file.size);
	sparse_resize(&patient->damaged, patient->layer->file.size);
	damage(rng, patient);
	bool done = repair_once(rng, patient);

	sparse_free(&patient->damaged);
	free(patient);
	return done;
}

static void test_a_damaged_image_is_mended_or_left_as_it_is(void **state)
{
	uint64_t last;
	unsigned done = 0;
	unsigned all = 0;

	(void)state;
	for (seeds_to_run(20000 / DAMAGES_A_CHAIN, &current_seed, &last); current_seed <= last;
	     current_seed++) {
		struct rng rng = rng_make(current_seed);
		struct chain chain;

		chain_make(
			&rng,
			&(struct chain_style){.max_depth = 2, .small_blocks = true, .tidy = true},
			&chain);
		for (current_step = 0; current_step < DAMAGES_A_CHAIN; current_step++, all++)
			done += repair_damaged(&rng, &chain);
		chain_free(&chain);
	}
	CHECK(all < 1000 || done * 2 > all, "%u of %u images could be repaired", done, all);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_damaged_image_is_mended_or_left_as_it_is),
	};

	seeds_from_arguments(argc, argv);
	return RUN_TESTS(tests);
}
