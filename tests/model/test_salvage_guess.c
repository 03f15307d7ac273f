/* SPDX-License-Identifier: MIT */
/* Images whose metadata are gone: their geometry must be guessed. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "format/ondisk.h"
#include "support/guesscase.h"

static const uint64_t scattered[] = {0, 7, 2, 20, 3, 11, 30, 1};
#define SCATTERED scattered, sizeof(scattered) / sizeof(scattered[0])

static void test_block_size_is_guessed_from_the_spacing_of_blocks(void **state)
{
	for (uint64_t size = MIB; size <= 256 * MIB; size *= 2) {
		struct guessed *g = *state;

		g->create.block_size = (uint32_t)size;
		g->create.virtual_size = 31 * size - 4096;
		guessed_make_disk(g, TABLE_NONE, SCATTERED);
		guessed_wipe_metadata(g);
		guessed_salvage(g);
		assert_int_equal(g->result.block_size, size);
		assert_int_equal(g->result.block_size_fact.how, VHDX_SALVAGE_BY_GUESS);
		assert_int_equal(g->result.lost_bytes, 0);
		assert_true(g->result.guessed_bytes > 0);
		assert_int_equal(g->result.found_bytes, 0);
		assert_int_equal(g->result.virtual_size, 31 * size);
		guessed_check_contents(g);
		guessed_free(state);
		guessed_make(state);
	}
}

static void test_single_block_is_as_large_as_the_file_leaves_room_for(void **state)
{
	struct guessed *g = *state;
	const uint64_t first = 0;

	g->create.block_size = 32 * MIB;
	guessed_make_disk(g, TABLE_NONE, &first, 1);
	guessed_wipe_metadata(g);
	guessed_salvage(g);
	assert_int_equal(g->result.block_size, 32 * MIB);
	guessed_check_contents(g);
}

static void test_bitmaps_of_a_large_disk_are_no_blocks(void **state)
{
	/* With 1 MiB blocks, entry 4096 is a bitmap's, and block 4096 comes behind it. */
	static const uint64_t blocks[] = {0, 4095, 4096, 4097, 9000, 1};
	struct guessed *g = *state;

	g->create.block_size = MIB;
	g->create.virtual_size = 10000 * MIB;
	guessed_make_disk(g, TABLE_NONE, blocks, 6);
	guessed_wipe_metadata(g);
	guessed_salvage(g);
	assert_int_equal(g->result.block_size, MIB);
	assert_int_equal(g->result.logical_sector_size, 512);
	assert_int_equal(g->result.virtual_size, 9001 * MIB);
	guessed_check_contents(g);
}

static void test_gpt_tells_size_and_sectors(void **state)
{
	static const uint32_t sectors[] = {512, 4096};

	for (int i = 0; i < 2; i++) {
		struct guessed *g = *state;

		g->create.logical_sector_size = sectors[i];
		guessed_make_disk(g, TABLE_GPT, SCATTERED);
		guessed_wipe_metadata(g);
		guessed_salvage(g);
		assert_int_equal(g->result.virtual_size, g->create.virtual_size);
		assert_non_null(strstr(g->result.virtual_size_fact.text, "GUID partition table"));
		assert_int_equal(g->result.block_size, 2 * MIB);
		guessed_check_contents(g);
		guessed_free(state);
		guessed_make(state);
	}
}

static void test_copy_of_the_gpt_tells_the_block_size(void **state)
{
	static const uint64_t none[] = {0};
	struct guessed *g = *state;

	/* Two blocks, of which nothing else can tell that they are so small. */
	guessed_make_disk(g, TABLE_GPT, none, 0);
	sparse_resize(&g->file.bytes, g->file.bytes.size + 100 * MIB);
	uint8_t entry[8];

	/* The first block moves away from the second. */
	sparse_copy(&g->file.bytes, 60 * MIB, &g->file.bytes, 4 * MIB, 2 * MIB);
	put_number(entry, bat_entry_make(BLOCK_FULLY_PRESENT, 60 * MIB), 8);
	sparse_write(&g->file.bytes, entry, 8, g->info.bat_offset);
	guessed_wipe_metadata(g);
	guessed_salvage(g);
	assert_int_equal(g->result.block_size, 2 * MIB);
	assert_int_equal(g->result.virtual_size, g->create.virtual_size);
	guessed_check_contents(g);
}

static void test_mbr_tells_where_the_last_partition_ends(void **state)
{
	struct guessed *g = *state;
	const uint64_t first = 0;

	guessed_make_disk(g, TABLE_MBR, &first, 1);
	guessed_wipe_metadata(g);
	guessed_salvage(g);
	assert_int_equal(g->result.virtual_size,
			 (2048 + (g->create.virtual_size - MIB) / 512) * 512);
	guessed_check_contents(g);
}

static void test_what_is_given_is_not_guessed(void **state)
{
	struct guessed *g = *state;

	guessed_make_disk(g, TABLE_GPT, SCATTERED);
	guessed_wipe_metadata(g);
	g->options.block_size = 2 * MIB;
	g->options.virtual_size = 50 * MIB;
	g->options.logical_sector_size = 4096;
	guessed_salvage(g);
	assert_int_equal(g->result.virtual_size, 50 * MIB);
	assert_int_equal(g->result.virtual_size_fact.how, VHDX_SALVAGE_OVERRIDDEN);
	assert_int_equal(g->result.block_size_fact.how, VHDX_SALVAGE_OVERRIDDEN);
	assert_int_equal(g->result.logical_sector_size, 4096);
	assert_int_equal(g->result.guessed_bytes, 0);
}

static void test_what_is_given_counts_more_than_what_is_read(void **state)
{
	struct guessed *g = *state;

	guessed_make_disk(g, TABLE_NONE, SCATTERED);
	g->options.block_size = MIB;
	g->options.virtual_size = 5 * MIB;
	guessed_salvage(g);
	assert_int_equal(g->result.block_size, MIB);
	assert_int_equal(g->result.virtual_size, 5 * MIB);
}

static void test_values_are_found_without_their_table(void **state)
{
	struct guessed *g = *state;

	guessed_make_disk(g, TABLE_NONE, SCATTERED);
	guessed_wipe(g, g->info.metadata_offset, METADATA_TABLE_SIZE);
	guessed_salvage(g);
	assert_int_equal(g->result.virtual_size, g->create.virtual_size);
	assert_int_equal(g->result.block_size, g->create.block_size);
	assert_int_equal(g->result.metadata_offset, g->info.metadata_offset);
	guessed_check_contents(g);
}

static void test_bat_alone_is_enough(void **state)
{
	struct guessed *g = *state;

	guessed_make_disk(g, TABLE_GPT, SCATTERED);
	guessed_wipe(g, 0, HEADER_SECTION_SIZE);
	guessed_wipe_metadata(g);
	guessed_wipe_log(g);
	guessed_salvage(g);
	assert_int_equal(g->result.bat_offset, g->info.bat_offset);
	assert_int_equal(g->result.bat_fact.how, VHDX_SALVAGE_BY_GUESS);
	assert_int_equal(g->result.virtual_size, g->create.virtual_size);
	guessed_check_contents(g);
}

static void test_bat_may_be_longer_than_a_mebibyte(void **state)
{
	/* Entries on its first MiB, on its second and on its fourth. */
	static const uint64_t blocks[] = {0, 200000, 3, 500000, 4, 200001};
	struct guessed *g = *state;

	g->create.block_size = MIB;
	g->create.virtual_size = 500001 * MIB;
	guessed_make_disk(g, TABLE_NONE, blocks, 6);
	guessed_wipe(g, 0, HEADER_SECTION_SIZE);
	guessed_wipe_metadata(g);
	guessed_wipe_log(g);
	guessed_salvage(g);
	assert_int_equal(g->result.bat_offset, g->info.bat_offset);
	assert_int_equal(g->result.virtual_size, g->create.virtual_size);
	assert_int_equal(g->result.lost_bytes, 0);
	for (unsigned i = 0; i < 6; i++)
		guessed_check_range(g, blocks[i] * MIB, MIB);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		GUESS_TEST(test_block_size_is_guessed_from_the_spacing_of_blocks),
		GUESS_TEST(test_single_block_is_as_large_as_the_file_leaves_room_for),
		GUESS_TEST(test_bitmaps_of_a_large_disk_are_no_blocks),
		GUESS_TEST(test_gpt_tells_size_and_sectors),
		GUESS_TEST(test_copy_of_the_gpt_tells_the_block_size),
		GUESS_TEST(test_mbr_tells_where_the_last_partition_ends),
		GUESS_TEST(test_what_is_given_is_not_guessed),
		GUESS_TEST(test_what_is_given_counts_more_than_what_is_read),
		GUESS_TEST(test_values_are_found_without_their_table),
		GUESS_TEST(test_bat_alone_is_enough),
		GUESS_TEST(test_bat_may_be_longer_than_a_mebibyte),
	};

	return RUN_TESTS(tests);
}
