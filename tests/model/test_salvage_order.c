/* SPDX-License-Identifier: MIT */
/* Images whose BAT is gone, and storage that tells nothing at all. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "format/ondisk.h"
#include "support/guesscase.h"

static const uint64_t scattered[] = {0, 7, 2, 20, 3, 11, 30, 1};
#define SCATTERED scattered, sizeof(scattered) / sizeof(scattered[0])

static void test_bat_is_read_from_the_log(void **state)
{
	struct guessed *g = *state;

	guessed_make_disk(g, TABLE_NONE, SCATTERED);
	guessed_wipe_bat(g);
	guessed_salvage(g);
	assert_non_null(strstr(g->result.bat_fact.text, "log"));
	assert_int_equal(g->result.bat_offset, g->info.bat_offset);
	assert_int_equal(g->result.lost_bytes, 0);
	assert_int_equal(g->result.virtual_size, g->create.virtual_size);
	guessed_check_contents(g);
}

static void test_newest_page_of_the_log_counts(void **state)
{
	static const uint64_t later[] = {9, 12, 28};
	struct guessed *g = *state;

	guessed_make_disk(g, TABLE_NONE, SCATTERED);
	struct vhdx *disk = guessed_open_image(g);

	for (unsigned i = 0; i < 3; i++) {
		guessed_write_blocks(g, disk, &later[i], 1);
		assert_int_equal(vhdx_flush(disk), 0);
	}
	assert_int_equal(vhdx_close(disk), 0);
	guessed_wipe_bat(g);
	guessed_salvage(g);
	guessed_check_contents(g);
}

static void test_bad_pages_of_the_bat_are_read_from_the_log(void **state)
{
	struct guessed *g = *state;
	uint8_t page[4096];

	guessed_make_disk(g, TABLE_NONE, SCATTERED);
	rng_fill(&g->rng, page, sizeof(page));
	sparse_write(&g->file.bytes, page, sizeof(page), g->info.bat_offset);
	guessed_salvage(g);
	assert_non_null(strstr(g->result.bat_fact.text, "log"));
	guessed_check_contents(g);
}

static void test_blocks_of_a_fixed_disk_lie_in_order(void **state)
{
	struct guessed *g = *state;

	g->create.type = VHDX_FIXED;
	guessed_make_disk(g, TABLE_NONE, SCATTERED);
	guessed_wipe_bat(g);
	guessed_wipe_log(g);
	guessed_salvage(g);
	assert_int_equal(g->result.bat_offset, VHDX_NO_OFFSET);
	assert_int_equal(g->result.lost_bytes, 0);
	assert_int_equal(g->result.guessed_bytes, g->create.virtual_size);
	guessed_check_contents(g);
}

static void test_fixed_disk_needs_nothing_but_its_blocks(void **state)
{
	struct guessed *g = *state;

	g->create.type = VHDX_FIXED;
	guessed_make_disk(g, TABLE_GPT, SCATTERED);
	guessed_wipe(g, 16, 4 * MIB - 16); /* but the name of the format */
	guessed_salvage(g);
	assert_int_equal(g->result.virtual_size, g->create.virtual_size);
	assert_int_equal(g->result.lost_bytes, 0);
	guessed_check_contents(g);
}

static void test_blocks_of_a_dynamic_disk_are_taken_in_the_order_of_the_file(void **state)
{
	static const uint64_t in_order[] = {0, 1, 2, 3, 4};
	struct guessed *g = *state;

	guessed_make_disk(g, TABLE_NONE, in_order, 5);
	guessed_wipe_bat(g);
	guessed_wipe_log(g);
	guessed_salvage(g);
	assert_int_equal(g->result.virtual_size, g->create.virtual_size);
	assert_int_equal(g->result.guessed_bytes, 10 * MIB);
	assert_int_equal(g->result.lost_bytes, g->create.virtual_size - 10 * MIB);
	assert_int_equal(g->result.found_bytes, 0);
	guessed_check_contents(g);
}

static void test_block_with_a_partition_table_is_the_first(void **state)
{
	static const uint64_t in_order[] = {1, 2, 3};
	struct guessed *g = *state;
	uint8_t first[4096];
	uint8_t got[4096];

	/* Block 0 comes second in the file. */
	const uint64_t last = 25;
	struct vhdx_io io = write_store_io(&g->file, 0);

	assert_int_equal(vhdx_create_io(&io, &g->create), 0);
	sparse_resize(&g->guest, g->create.virtual_size);
	struct vhdx *disk = guessed_open_image(g);

	guessed_write_blocks(g, disk, &last, 1);
	guessed_write_table(g, disk, TABLE_MBR);
	guessed_write_blocks(g, disk, in_order, 3);
	g->info.size = sizeof(g->info);
	assert_int_equal(vhdx_get_info(disk, &g->info), 0);
	assert_int_equal(vhdx_close(disk), 0);
	guessed_wipe_bat(g);
	guessed_wipe_log(g);
	guessed_salvage(g);
	for (uint64_t at = 0; at < 8 * MIB; at += sizeof(first)) {
		sparse_read(&g->guest, first, sizeof(first), at);
		sparse_read(&g->output.bytes, got, sizeof(got), at);
		assert_memory_equal(first, got, sizeof(got));
	}
}

static void test_what_was_no_image_is_refused(void **state)
{
	struct guessed *g = *state;
	uint8_t bytes[4096];

	for (uint64_t at = 0; at < 8 * MIB; at += sizeof(bytes)) {
		rng_fill(&g->rng, bytes, sizeof(bytes));
		sparse_write(&g->file.bytes, bytes, sizeof(bytes), at);
	}
	assert_int_equal(guessed_try_salvage(g), -ENOTSUP);
	assert_int_equal(g->output.bytes.size, 0);
	g->options.virtual_size = 4 * MIB;
	assert_int_equal(guessed_try_salvage(g), 0);
}

static void test_empty_file_is_refused(void **state)
{
	assert_int_equal(guessed_try_salvage(*state), -ENOTSUP);
}

static int stop(void *opaque, uint64_t done, uint64_t total)
{
	(void)opaque;
	(void)done;
	(void)total;
	return 1;
}

static void test_it_stops_when_asked(void **state)
{
	struct guessed *g = *state;

	guessed_make_disk(g, TABLE_NONE, SCATTERED);
	g->options.progress = stop;
	assert_int_equal(guessed_try_salvage(g), -ECANCELED);
}

static void test_options_out_of_range_are_refused(void **state)
{
	struct guessed *g = *state;

	guessed_make_disk(g, TABLE_NONE, SCATTERED);
	g->options.block_size = 3 * MIB;
	assert_int_equal(guessed_try_salvage(g), -EINVAL);
	g->options.block_size = 0;
	g->options.virtual_size = 65 * TIB;
	assert_int_equal(guessed_try_salvage(g), -EINVAL);
	g->options.virtual_size = 0;
	g->options.logical_sector_size = 1024;
	assert_int_equal(guessed_try_salvage(g), -EINVAL);
	g->options.logical_sector_size = 0;
	g->options.flags = 0x100;
	assert_int_equal(guessed_try_salvage(g), -EINVAL);
}

static void test_what_cannot_be_read_is_lost(void **state)
{
	struct guessed *g = *state;

	guessed_make_disk(g, TABLE_NONE, SCATTERED);
	g->file.fail_calls = STORE_BIT(STORE_READ);
	g->file.fail_behind = 5 * MIB;
	g->file.fail_before = 6 * MIB;
	g->file.fail_from = 1;
	g->file.fail_to = 1000000;
	g->file.error = -EIO;
	guessed_salvage(g);
	assert_true(g->result.lost_bytes >= 4096);
	assert_true(g->result.lost_bytes <= MIB);
}

static void test_bat_that_cannot_be_read_costs_its_blocks(void **state)
{
	struct guessed *g = *state;

	guessed_make_disk(g, TABLE_NONE, SCATTERED);
	guessed_wipe_log(g);
	g->file.fail_calls = STORE_BIT(STORE_READ);
	g->file.fail_behind = g->info.bat_offset;
	g->file.fail_before = g->info.bat_offset + 1;
	g->file.fail_from = 1;
	g->file.fail_to = 1000000;
	g->file.error = -EIO;
	guessed_salvage(g);
	assert_int_equal(g->result.zero_bytes, 0);
	assert_int_equal(g->result.found_bytes, 0);
}

static void test_page_of_the_bat_that_cannot_be_read_costs_its_blocks_alone(void **state)
{
	static const uint64_t blocks[] = {600, 3, 601, 5};
	struct guessed *g = *state;

	g->create.block_size = MIB;
	g->create.virtual_size = 700 * MIB;
	guessed_make_disk(g, TABLE_NONE, blocks, 4);
	guessed_wipe_log(g);
	/* What a read begins with: later pages can be read. */
	g->file.fail_calls = STORE_BIT(STORE_READ);
	g->file.fail_behind = g->info.bat_offset;
	g->file.fail_before = g->info.bat_offset + 1;
	g->file.fail_from = 1;
	g->file.fail_to = 1000000;
	g->file.error = -EIO;
	guessed_salvage(g);
	assert_int_equal(g->result.found_bytes, 2 * MIB);
	assert_int_equal(g->result.lost_bytes, 512 * MIB);
	guessed_check_range(g, 512 * MIB, 188 * MIB);
}

static void test_blocks_that_share_their_place_are_guesses(void **state)
{
	struct guessed *g = *state;
	uint8_t entry[8];

	guessed_make_disk(g, TABLE_NONE, SCATTERED);
	sparse_read(&g->file.bytes, entry, 8, g->info.bat_offset + 8 * 7);
	sparse_write(&g->file.bytes, entry, 8, g->info.bat_offset + 8 * 2);
	guessed_salvage(g);
	assert_int_equal(g->result.guessed_bytes, 4 * MIB);
	assert_int_equal(g->result.lost_bytes, 0);
	guessed_check_range(g, 14 * MIB, 2 * MIB);
	guessed_check_range(g, 0, 4 * MIB);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		GUESS_TEST(test_bat_is_read_from_the_log),
		GUESS_TEST(test_newest_page_of_the_log_counts),
		GUESS_TEST(test_bad_pages_of_the_bat_are_read_from_the_log),
		GUESS_TEST(test_blocks_of_a_fixed_disk_lie_in_order),
		GUESS_TEST(test_fixed_disk_needs_nothing_but_its_blocks),
		GUESS_TEST(test_blocks_of_a_dynamic_disk_are_taken_in_the_order_of_the_file),
		GUESS_TEST(test_block_with_a_partition_table_is_the_first),
		GUESS_TEST(test_what_was_no_image_is_refused),
		GUESS_TEST(test_empty_file_is_refused),
		GUESS_TEST(test_it_stops_when_asked),
		GUESS_TEST(test_options_out_of_range_are_refused),
		GUESS_TEST(test_what_cannot_be_read_is_lost),
		GUESS_TEST(test_bat_that_cannot_be_read_costs_its_blocks),
		GUESS_TEST(test_page_of_the_bat_that_cannot_be_read_costs_its_blocks_alone),
		GUESS_TEST(test_blocks_that_share_their_place_are_guesses),
	};

	return RUN_TESTS(tests);
}
