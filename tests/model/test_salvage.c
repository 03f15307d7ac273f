/* SPDX-License-Identifier: MIT */
/* Random images that are ruined in every way: what vhdx_salvage makes of them, and what it says of that. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "format/ondisk.h"
#include "support/alloc.h"
#include "support/salvagecase.h"

static const struct chain_style tidy = {.max_depth = 3, .tidy = true, .small_blocks = true};
static const struct chain_style untidy = {.max_depth = 3, .small_blocks = true};

/* ---- Sound images ---- */

static void sound_image_comes_out_whole(struct ruined *r)
{
	if (!ruined_has_entries(r))
		return;
	ruined_must_salvage(r);
	ruined_check_whole(r);
	CHECK(!r->result.guessed_bytes, "%" PRIu64 " bytes are guessed", r->result.guessed_bytes);
}

static void test_sound_images_come_out_whole(void **state)
{
	(void)state;
	over_ruined(300, &tidy, sound_image_comes_out_whole);
}

/* As far as a guest can read them: what is damaged is lost, or a guess. */
static void readable_sectors_are_not_changed(struct ruined *r)
{
	struct fixture fixture;
	struct vhdx *disk;

	if (!ruined_has_entries(r))
		return;
	fixture_init(&fixture, &r->chain, true);
	if (fixture_open(&fixture, VHDX_OPEN_NO_PARENT, &disk))
		return;
	ruined_must_salvage(r);
	uint64_t size = r->output.bytes.size;

	for (uint64_t at = 0; at < size; at += 4096) {
		uint8_t expected[4096];
		uint8_t bytes[4096];
		size_t part = size - at < 4096 ? size - at : 4096;

		sparse_read(&r->output.bytes, bytes, part, at);
		if (!vhdx_pread(disk, expected, part, at))
			CHECK(!memcmp(bytes, expected, part), "at %#" PRIx64, at);
	}
	assert_int_equal(vhdx_close(disk), 0);
}

static void test_what_can_be_read_is_what_comes_out(void **state)
{
	(void)state;
	over_ruined(200, &untidy, readable_sectors_are_not_changed);
}

/* ---- Structures that are gone ---- */

static void identifier_is_not_needed(struct ruined *r)
{
	if (!ruined_has_entries(r))
		return;
	ruined_wipe(r, IDENTIFIER_OFFSET, 520);
	ruined_must_salvage(r);
	ruined_check_whole(r);
	CHECK(!r->result.guessed_bytes, "guessed");
}

static void test_identifier_is_not_needed(void **state)
{
	(void)state;
	over_ruined(100, &tidy, identifier_is_not_needed);
}

static void region_tables_are_not_needed(struct ruined *r)
{
	if (!ruined_has_blocks(r) || r->layer->is_dirty)
		return;
	ruined_wipe(r, REGION_TABLE_1_OFFSET, REGION_TABLE_SIZE);
	ruined_wipe(r, REGION_TABLE_2_OFFSET, REGION_TABLE_SIZE);
	ruined_must_salvage(r);
	ruined_check_whole(r);
}

static void test_region_tables_are_not_needed(void **state)
{
	(void)state;
	over_ruined(200, &tidy, region_tables_are_not_needed);
}

static void headers_are_not_needed(struct ruined *r)
{
	if (!ruined_has_entries(r) || r->layer->is_dirty)
		return;
	ruined_wipe(r, HEADER_1_OFFSET, HEADER_SIZE);
	ruined_wipe(r, HEADER_2_OFFSET, HEADER_SIZE);
	ruined_must_salvage(r);
	ruined_check_whole(r);
}

static void test_headers_are_not_needed(void **state)
{
	(void)state;
	over_ruined(200, &tidy, headers_are_not_needed);
}

static void header_section_is_not_needed(struct ruined *r)
{
	if (!ruined_has_blocks(r) || r->layer->is_dirty)
		return;
	ruined_wipe(r, 0, HEADER_SECTION_SIZE);
	ruined_must_salvage(r);
	ruined_check_whole(r);
}

static void test_header_section_is_not_needed(void **state)
{
	(void)state;
	over_ruined(200, &tidy, header_section_is_not_needed);
}

static void metadata_is_not_needed(struct ruined *r)
{
	if (!ruined_has_entries(r) || r->layer->is_dirty)
		return;
	ruined_wipe(r, r->layer->metadata.offset, r->layer->metadata.length);
	r->options.block_size = r->layer->block_size;
	r->options.virtual_size = r->layer->virtual_size;
	r->options.logical_sector_size = r->layer->sector_size;
	ruined_must_salvage(r);
	CHECK(r->result.block_size_fact.how == VHDX_SALVAGE_OVERRIDDEN, "block size %s",
	      r->result.block_size_fact.text);
	ruined_check_whole(r);
}

static void test_metadata_are_not_needed_by_who_knows_the_geometry(void **state)
{
	(void)state;
	over_ruined(200, &tidy, metadata_is_not_needed);
}

/* ---- Files that were cut ---- */

static void what_is_left_of_a_cut_file_comes_out(struct ruined *r)
{
	uint64_t first = r->layer->bat.offset + r->layer->bat.length;

	if (!ruined_has_entries(r) || r->layer->is_dirty || r->layer->file.size <= first)
		return;
	if (r->layer->metadata.offset + r->layer->metadata.length > first)
		first = r->layer->metadata.offset + r->layer->metadata.length;
	if (r->layer->log.offset + r->layer->log.length > first)
		first = r->layer->log.offset + r->layer->log.length;
	if (r->layer->file.size <= first)
		return;
	sparse_resize(&r->layer->file, rng_between(&r->rng, first, r->layer->file.size));
	if (ruined_has_lost_bitmap(r))
		return;
	ruined_must_salvage(r);
	ruined_check_contents(r);
}

static void test_what_is_left_of_a_cut_file_comes_out(void **state)
{
	(void)state;
	over_ruined(300, &tidy, what_is_left_of_a_cut_file_comes_out);
}

/* Whatever is left: nothing but a refusal, or a disk of any size. */
static void any_cut_is_survived(struct ruined *r)
{
	uint64_t size = rng_below(&r->rng, r->layer->file.size + 1);

	if (rng_chance(&r->rng, 30)) { /* its beginning */
		struct sparse rest = {0};

		sparse_resize(&rest, r->layer->file.size - size);
		sparse_copy(&rest, 0, &r->layer->file, size, r->layer->file.size - size);
		sparse_free(&r->layer->file);
		r->layer->file = rest;
	} else {
		sparse_resize(&r->layer->file, size);
	}
	int ret = ruined_salvage(r);

	CHECK(!ret || ret == -ENOTSUP, "salvage: %d: %s", ret, vhdx_last_error()->text);
}

static void test_any_cut_is_survived(void **state)
{
	(void)state;
	over_ruined(400, &tidy, any_cut_is_survived);
}

static void header_section_may_be_cut_away(struct ruined *r)
{
	struct sparse rest = {0};
	uint64_t size = r->layer->file.size - HEADER_SECTION_SIZE;

	if (!ruined_has_blocks(r) || r->layer->is_dirty)
		return;
	/* By the first block: there must be one for a partition table to stand in. */
	if (r->layer->list[0].number || r->layer->list[0].state != BLOCK_FULLY_PRESENT)
		return;
	ruined_put_partition_table(r);
	sparse_resize(&rest, size);
	sparse_copy(&rest, 0, &r->layer->file, HEADER_SECTION_SIZE, size);
	sparse_free(&r->layer->file);
	r->layer->file = rest;
	ruined_must_salvage(r);
	CHECK(r->result.missing_bytes == HEADER_SECTION_SIZE, "%" PRIu64 " bytes are missing",
	      r->result.missing_bytes);
	ruined_check_whole(r);
}

static void test_header_section_may_be_cut_away(void **state)
{
	(void)state;
	over_ruined(300, &tidy, header_section_may_be_cut_away);
}

/* ---- The log ---- */

static void log_that_cannot_be_replayed_is_ignored(struct ruined *r)
{
	if (!r->layer->is_dirty)
		return;
	ruined_wipe(r, r->layer->log.offset, r->layer->log.length);
	int ret = ruined_salvage(r);

	CHECK(!ret || ret == -ENOTSUP, "salvage: %d", ret);
	CHECK(ret || r->result.log_fact.how == VHDX_SALVAGE_NOT_KNOWN, "log: %s",
	      r->result.log_fact.text);
	CHECK(ret || !strncmp(r->result.log_fact.text, "ignored", 7), "log: %s",
	      r->result.log_fact.text);
}

static void test_log_that_cannot_be_replayed_is_ignored(void **state)
{
	(void)state;
	over_ruined(200, &tidy, log_that_cannot_be_replayed_is_ignored);
}

static void log_is_replayed_without_headers(struct ruined *r)
{
	if (!r->layer->is_dirty || !ruined_has_blocks(r))
		return;
	ruined_wipe(r, HEADER_1_OFFSET, HEADER_SIZE);
	ruined_wipe(r, HEADER_2_OFFSET, HEADER_SIZE);
	int ret = ruined_salvage(r);

	CHECK(!ret || ret == -ENOTSUP, "salvage: %d", ret);
	if (ret)
		return;
	/* A log that wraps has no certain beginning. */
	if (r->result.log_offset == r->layer->log.offset &&
	    r->result.log_fact.how == VHDX_SALVAGE_BY_GUESS)
		ruined_check_whole(r);
}

static void test_log_is_replayed_without_headers(void **state)
{
	(void)state;
	over_ruined(200, &tidy, log_is_replayed_without_headers);
}

/* ---- Entries and bitmaps ---- */

static void put_entry(struct ruined *r, uint64_t index, uint64_t entry)
{
	uint8_t bytes[8];

	put_number(bytes, entry, 8);
	sparse_write(&r->layer->file, bytes, 8, r->layer->bat.offset + 8 * index);
}

static void bad_entries_cost_their_blocks(struct ruined *r)
{
	static const uint64_t bad[] = {
		0x123456789abcdef6, /* reserved bits, and far away */
		(64 * T_TIB) | 6,   /* behind the end */
		(T_MIB * 1000000) | 7,
		6, /* no place */
		4,
	};

	if (r->layer->count < 2 || r->layer->is_dirty)
		return;
	const struct layer_block *block = &r->layer->list[rng_below(&r->rng, r->layer->count)];
	uint64_t start = block->number * r->layer->block_size;

	put_entry(r, layer_bat_index(r->layer, block->number),
		  bad[rng_below(&r->rng, sizeof(bad) / sizeof(bad[0]))]);
	ruined_must_salvage(r);
	ruined_check_contents(r);
	CHECK(r->result.lost_blocks == 1, "%" PRIu64 " blocks are lost", r->result.lost_blocks);
	for (uint64_t at = 0; at < r->layer->virtual_size; at += 512)
		CHECK((r->kinds[at / 512] == VHDX_SALVAGE_LOST) ==
			      (at >= start && at < start + r->layer->block_size),
		      "sector at %#" PRIx64 " has kind %d", at, r->kinds[at / 512]);
}

static void test_bad_entries_cost_their_blocks(void **state)
{
	(void)state;
	over_ruined(300, &tidy, bad_entries_cost_their_blocks);
}

static void state_4_keeps_what_is_its_own(struct ruined *r)
{
	uint64_t bytes = 0;

	if (r->layer->is_dirty)
		return;
	for (size_t i = 0; i < r->layer->count; i++)
		if (r->layer->list[i].state == BLOCK_FULLY_PRESENT) {
			const struct layer_block *block = &r->layer->list[i];
			uint64_t start = block->number * r->layer->block_size;

			put_entry(r, layer_bat_index(r->layer, block->number),
				  block->offset | BLOCK_RESERVED_4);
			bytes += start + r->layer->block_size < r->layer->virtual_size
					 ? r->layer->block_size
					 : r->layer->virtual_size - start;
		}
	if (!bytes)
		return;
	ruined_must_salvage(r);
	ruined_check_whole(r);
	CHECK(r->result.guessed_bytes == bytes, "%" PRIu64 " bytes are guesses, not %" PRIu64,
	      r->result.guessed_bytes, bytes);
}

static void test_state_4_keeps_what_is_its_own(void **state)
{
	(void)state;
	over_ruined(200, &tidy, state_4_keeps_what_is_its_own);
}

/* Then sectors that the child wrote as zeros are the parent's for all that can be told: zeros here. */
static void lost_bitmaps_are_guessed(struct ruined *r)
{
	bool partial = false;

	for (size_t i = 0; i < r->layer->count; i++)
		partial |= r->layer->list[i].state == BLOCK_PARTIALLY_PRESENT;
	if (!partial || r->layer->is_dirty)
		return;
	for (size_t i = 0; i < r->layer->bitmap_count; i++)
		put_entry(r, layer_bitmap_index(r->layer, r->layer->bitmaps[i].chunk), 0);
	ruined_must_salvage(r);
	CHECK(!r->result.lost_bytes, "lost");
	uint64_t size = r->output.bytes.size;

	for (uint64_t at = 0; at < size; at += 512) {
		uint8_t expected[512];
		uint8_t bytes[512];

		sparse_read(&r->chain.guest_alone, expected, 512, at);
		sparse_read(&r->output.bytes, bytes, 512, at);
		/* What a child does not hold may be left over in its block. */
		if (r->kinds[at / 512] == VHDX_SALVAGE_GUESSED &&
		    !layer_bit(r->layer, at / r->layer->sector_size))
			continue;
		CHECK(!memcmp(bytes, expected, size - at < 512 ? size - at : 512),
		      "sector at %#" PRIx64, at);
	}
}

static void test_lost_bitmaps_are_guessed(void **state)
{
	(void)state;
	over_ruined(300, &tidy, lost_bitmaps_are_guessed);
}

/* ---- Anything ---- */

#define MOST_MEMORY ((size_t)64 << 20)

static void damage(struct ruined *r)
{
	struct area areas[16];
	size_t count = layer_areas(r->layer, areas);
	struct sparse *file = &r->layer->file;
	uint64_t size = file->size;

	for (uint64_t n = rng_between(&r->rng, 1, 8); n; n--) {
		const struct area *area = &areas[rng_below(&r->rng, count)];
		uint8_t bytes[512];
		size_t length = rng_chance(&r->rng, 30) ? sizeof(bytes)
							: 1u << rng_below(&r->rng, 4);
		uint64_t at = area->offset + rng_below(&r->rng, area->length);

		rng_fill(&r->rng, bytes, length);
		if (rng_chance(&r->rng, 40))
			put_number(bytes, T_MIB * rng_below(&r->rng, 64) + rng_below(&r->rng, 8),
				   8);
		sparse_write(file, bytes, length, at);
	}
	if (rng_chance(&r->rng, 60))
		image_mend_checksums(file, r->layer->log.offset, r->layer->log.length);
	sparse_resize(file, rng_chance(&r->rng, 20) ? rng_below(&r->rng, size + 1) : size);
}

static void damage_is_survived(struct ruined *r)
{
	damage(r);
	alloc_reset_peak();
	int ret = ruined_salvage(r);

	CHECK(!ret || ret == -ENOTSUP, "salvage: %d: %s", ret, vhdx_last_error()->text);
	/* The output is memory of the test's own. */
	CHECK(alloc_peak() < MOST_MEMORY + r->output.written_bytes, "%zu bytes of memory",
	      alloc_peak());
}

static void test_any_damage_is_survived(void **state)
{
	(void)state;
	over_ruined(600, &untidy, damage_is_survived);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sound_images_come_out_whole),
		cmocka_unit_test(test_what_can_be_read_is_what_comes_out),
		cmocka_unit_test(test_identifier_is_not_needed),
		cmocka_unit_test(test_region_tables_are_not_needed),
		cmocka_unit_test(test_headers_are_not_needed),
		cmocka_unit_test(test_header_section_is_not_needed),
		cmocka_unit_test(test_metadata_are_not_needed_by_who_knows_the_geometry),
		cmocka_unit_test(test_what_is_left_of_a_cut_file_comes_out),
		cmocka_unit_test(test_any_cut_is_survived),
		cmocka_unit_test(test_header_section_may_be_cut_away),
		cmocka_unit_test(test_log_that_cannot_be_replayed_is_ignored),
		cmocka_unit_test(test_log_is_replayed_without_headers),
		cmocka_unit_test(test_bad_entries_cost_their_blocks),
		cmocka_unit_test(test_state_4_keeps_what_is_its_own),
		cmocka_unit_test(test_lost_bitmaps_are_guessed),
		cmocka_unit_test(test_any_damage_is_survived),
	};

	seeds_from_arguments(argc, argv);
	return RUN_TESTS(tests);
}
