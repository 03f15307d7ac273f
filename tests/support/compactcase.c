/* SPDX-License-Identifier: MIT */
/* Making the disk of a trial smaller, with all that must hold afterwards. */
#include <inttypes.h>
#include <string.h>

#include "meta/batcheck.h"
#include "support/compactcase.h"
#include "vdisk/disk.h"

#define PIECE T_MIB

static uint8_t buffer[PIECE];

/* ---- Contents ---- */

static uint64_t least(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

static uint64_t choose_block(struct rng *rng, const struct trial *trial)
{
	size_t count = sizeof(trial->hot) / sizeof(trial->hot[0]);

	return rng_chance(rng, 90) ? trial->hot[rng_below(rng, count)]
				   : rng_below(rng, trial->info.blocks);
}

static void write_range(struct trial *trial, uint64_t offset, uint64_t length)
{
	uint64_t part;

	for (uint64_t done = 0; done < length; done += part) {
		part = least(length - done, PIECE);
		int ret = vhdx_pwrite(trial->disk, buffer, part, offset + done, 0);

		CHECK(!ret, "write: %d, %s", ret, vhdx_last_error()->text);
		flat_write(&trial->flat, buffer, part, offset + done);
	}
	trial_note_change(trial, true, true);
}

static void clear_range(struct rng *rng, struct trial *trial, uint64_t offset, uint64_t length)
{
	int ret;

	trial->most_free += trial_whole_blocks(trial, offset, length);
	if (rng_chance(rng, 50)) {
		ret = vhdx_trim(trial->disk, offset, length, 0);
		flat_take_trimmed(&trial->flat, trial->disk, offset, length);
	} else {
		ret = vhdx_zero(trial->disk, offset, length,
				rng_chance(rng, 70) ? VHDX_ZERO_MAY_UNMAP : 0);
		flat_zero(&trial->flat, offset, length);
	}
	CHECK(!ret, "clearing: %d, %s", ret, vhdx_last_error()->text);
	trial_note_change(trial, false, true);
}

void compact_case_change(struct rng *rng, struct trial *trial)
{
	uint64_t block_size = trial->info.block_size;
	uint64_t start = choose_block(rng, trial) * block_size;
	uint64_t whole = least(block_size, trial->info.virtual_size - start);
	uint64_t roll = rng_below(rng, 100);
	uint64_t skip = rng_below(rng, whole);

	if (roll < 45) {
		rng_fill(rng, buffer, 4096);
		write_range(trial, start + skip, least(rng_length(rng, 4096), whole - skip));
	} else if (roll < 75) {
		memset(buffer, 0, sizeof(buffer));
		write_range(trial, start, whole);
	} else if (roll < 85) {
		memset(buffer, 0, sizeof(buffer));
		write_range(trial, start + skip, whole - skip);
	} else {
		clear_range(rng, trial, start, rng_chance(rng, 80) ? whole : whole - skip);
	}
}

void compact_case_fill(struct rng *rng, struct trial *trial, unsigned changes)
{
	for (unsigned i = 0; i < changes; i++, current_step++)
		compact_case_change(rng, trial);
}

/* ---- What is free ---- */

/* Each MiB of the disk is free, or not, by its number and a seed. */
static bool is_free_mib(uint64_t seed, uint64_t mib)
{
	struct rng rng = rng_make(seed * 1000003 + mib);

	return rng_chance(&rng, 60);
}

static int is_free(void *opaque, uint64_t offset, uint64_t length)
{
	uint64_t seed = *(uint64_t *)opaque;

	for (uint64_t mib = offset / T_MIB; mib * T_MIB < offset + length; mib++)
		if (!is_free_mib(seed, mib))
			return 0;
	return 1;
}

/* What was free reads as before, or as zeros. */
static void take_freed(struct trial *trial, struct vhdx *disk, uint64_t seed)
{
	uint64_t end = 0;

	for (uint64_t at = 0; sparse_next(&trial->flat.bytes, end, &at, &end);) {
		uint64_t part;

		uint64_t to = least(end, trial->info.virtual_size); /* pages may go on */

		for (uint64_t from = at; from < to; from += part) {
			part = least(to - from, T_MIB - from % T_MIB);
			if (is_free_mib(seed, from / T_MIB))
				flat_take_trimmed(&trial->flat, disk, from, part);
			flat_flush(&trial->flat);
		}
	}
}

/* ---- The end of the file ---- */

struct last_structure {
	uint64_t end;
	uint64_t length; /* of what lies there; 0: what nobody moves */
	const struct image *image;
};

static int look_at_entry(void *opaque, uint64_t index, uint64_t entry)
{
	struct last_structure *last = opaque;
	const struct geometry *g = &last->image->geometry;
	bool is_bitmap = bat_index_is_bitmap(g, index);
	uint64_t length = is_bitmap ? BITMAP_BLOCK_SIZE : g->block_size;
	unsigned state = bat_entry_state(entry);

	/* Offsets that other states keep say nothing. */
	if (state != BLOCK_FULLY_PRESENT && (is_bitmap || state != BLOCK_PARTIALLY_PRESENT))
		return 0;
	if (bat_entry_offset(entry) && bat_entry_offset(entry) + length == last->end)
		last->length = length;
	return 0;
}

static void check_tight(struct vhdx *disk)
{
	struct image *image = &disk->image;
	struct bat_counts counts;
	struct space_map taken;
	struct last_structure last = {.image = image};

	assert_int_equal(vhdx_check_bat(image, NULL, NULL, &counts, &taken), 0);
	last.end = vhdx_space_map_end(&taken);
	CHECK(image_view_size(image) <= last.end || image_view_size(image) % T_MIB,
	      "the file has %#" PRIx64 " bytes, its last structure ends at %#" PRIx64,
	      image_view_size(image), last.end);
	assert_int_equal(vhdx_bat_walk(image, false, look_at_entry, &last, NULL, NULL), 0);
	if (image->bat.file_offset + image->bat.length == last.end)
		last.length = image->bat.length;
	if (last.length) {
		uint64_t place = vhdx_space_map_find_run(&taken, NULL, 0, last.length);

		CHECK(place == UINT64_MAX || place + last.length > last.end - last.length,
		      "the %#" PRIx64 " bytes at the file's end fit at %#" PRIx64, last.length,
		      place);
	}
	vhdx_space_map_free(&taken);
}

void compact_case_check_end(struct trial *trial)
{
	if (trial->info.type != VHDX_FIXED)
		check_tight(trial->disk);
}

/* ---- Compacting ---- */

static struct vhdx_compact_options options_for(uint64_t *seed)
{
	return (struct vhdx_compact_options){
		.size = sizeof(struct vhdx_compact_options),
		.is_free = *seed ? is_free : NULL,
		.is_free_opaque = seed,
	};
}

static struct vhdx_compact_result compact(struct trial *trial,
					  const struct vhdx_compact_options *options)
{
	struct vhdx_compact_result result = {.size = sizeof(result)};
	int ret = vhdx_compact(trial->disk, options, &result);

	CHECK(!ret, "compact: %d, %s", ret, vhdx_last_error()->text);
	return result;
}

static void check_prediction(const struct vhdx_compact_result *said,
			     const struct vhdx_compact_result *is)
{
	CHECK(said->file_size_after == is->file_size_after && said->zero == is->zero &&
		      said->unused == is->unused && said->moved == is->moved &&
		      said->kept_bytes == is->kept_bytes && said->other_bytes == is->other_bytes,
	      "a dry run said %#" PRIx64 " bytes, %" PRIu64 " zero, %" PRIu64 " unused, %" PRIu64
	      " moved; it was %#" PRIx64 ", %" PRIu64 ", %" PRIu64 ", %" PRIu64,
	      said->file_size_after, said->zero, said->unused, said->moved, is->file_size_after,
	      is->zero, is->unused, is->moved);
}

/* From here on the session is what a session after an open is. */
static void note_new_end(struct trial *trial)
{
	struct written_space space;
	struct written_header header;

	assert_int_equal(vhdx_get_info(trial->disk, &trial->info), 0);
	written_current_header(&trial->store.bytes, &header);
	memcpy(trial->guid_at_open, header.data_write_guid, 16);
	trial->has_guid = false;
	trial->must_change = false;
	trial->size_at_open = trial->store.bytes.size;
	written_space(&trial->store.bytes, &trial->info, &space);
	trial->most_free = trial->size_at_open - least(trial->size_at_open, space.used);
	trial->may_change = true; /* the file, at least */
}

void compact_case_run(struct trial *trial, uint64_t seed)
{
	struct vhdx_compact_options options = options_for(&seed);
	struct vhdx_info before = {.size = sizeof(before)}, after = {.size = sizeof(after)};

	assert_int_equal(vhdx_get_info(trial->disk, &before), 0);
	options.flags = VHDX_COMPACT_DRY_RUN;
	struct vhdx_compact_result said = compact(trial, &options);
	unsigned long changes = write_store_changes(&trial->store);

	compact(trial, &options);
	CHECK(write_store_changes(&trial->store) == changes, "a dry run wrote to the file");
	options.flags = 0;
	struct vhdx_compact_result is = compact(trial, &options);

	note_new_end(trial);
	check_prediction(&said, &is);
	CHECK(is.file_size_after == trial->store.bytes.size, "the size is not as was told");
	CHECK(is.file_size_after <= is.file_size_before, "the file became larger");
	if (is.unused)
		take_freed(trial, trial->disk, seed);
	compact_case_check_end(trial);
	trial_compare(trial);
	assert_int_equal(vhdx_get_info(trial->disk, &after), 0);
	CHECK(is.unused || !memcmp(&before.data_write_guid, &after.data_write_guid, 16),
	      "nothing changed for a guest, but DataWriteGuid did");
	CHECK(!is.unused || memcmp(&before.data_write_guid, &after.data_write_guid, 16),
	      "the guest's data changed, and DataWriteGuid did not");
	changes = write_store_changes(&trial->store);
	is = compact(trial, &options);
	CHECK(write_store_changes(&trial->store) == changes, "there was something left to do");
}

/* ---- A new image ---- */

static void check_identity(const struct vhdx_info *old, const struct vhdx_info *new, bool changed)
{
	CHECK(!memcmp(&old->disk_id, &new->disk_id, 16), "the new image is another disk");
	CHECK(changed == !!memcmp(&old->data_write_guid, &new->data_write_guid, 16),
	      "the new image has another DataWriteGuid, or the old one");
	CHECK(old->virtual_size == new->virtual_size && old->block_size == new->block_size &&
		      old->logical_sector_size == new->logical_sector_size &&
		      old->physical_sector_size == new->physical_sector_size,
	      "the new image has other sizes");
	CHECK(new->type == (old->type == VHDX_FIXED ? VHDX_DYNAMIC : old->type),
	      "the new image has type %d", (int)new->type);
}

void compact_case_rewrite(struct trial *trial, uint64_t seed)
{
	struct trial other = {.chain = trial->chain, .first_parent = trial->first_parent};
	struct vhdx_compact_options options = options_for(&seed);

	other.parents = trial->parents;
	other.flat = trial->flat;
	write_store_init(&other.store);
	struct vhdx_io io = write_store_io(&other.store, trial->without);

	options.output_io = &io;
	options.flags = VHDX_COMPACT_DRY_RUN;
	struct vhdx_compact_result said = compact(trial, &options);

	options.flags = 0;
	unsigned long changes = write_store_changes(&trial->store);
	struct vhdx_compact_result is = compact(trial, &options);

	CHECK(write_store_changes(&trial->store) == changes, "the old image was written");
	check_prediction(&said, &is);
	CHECK(is.file_size_after == other.store.bytes.size, "the size is not as was told");
	other.without = trial->without;
	trial_open(&other, 0);
	check_identity(&trial->info, &other.info, is.unused);
	if (is.unused)
		take_freed(&other, other.disk, seed);
	compact_case_check_end(&other);
	trial_compare(&other);
	trial_close(&other);
	trial->flat = other.flat;
	write_store_free(&other.store);
}
