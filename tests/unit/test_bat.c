/* SPDX-License-Identifier: MIT */
/* The BAT: its geometry (F 6.1), entries, look-ups through pages, and walks. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "meta/image.h"
#include "support/random.h"
#include "support/store.h"
#include "support/unit.h"

static struct geometry make(uint64_t size, uint32_t block_size, uint32_t sector_size,
			    bool has_parent)
{
	return geometry_make(size, block_size, sector_size, has_parent);
}

static void test_10_gb_of_32_mb_blocks(void **state)
{
	struct geometry plain = make(10 * GIB, 32 * MIB, 512, false);
	struct geometry child = make(10 * GIB, 32 * MIB, 512, true);

	(void)state;
	assert_int_equal(plain.chunk_ratio, 128);
	assert_int_equal(plain.blocks, 320);
	assert_int_equal(plain.chunks, 3);
	assert_int_equal(plain.entries, 322);
	assert_int_equal(child.entries, 387);
}

static void test_64_tb_of_1_mb_blocks(void **state)
{
	struct geometry plain = make(64 * TIB, MIB, 512, false);
	struct geometry child = make(64 * TIB, MIB, 512, true);

	(void)state;
	assert_int_equal(plain.entries, 67125247);
	assert_int_equal(child.entries, 67125248);
	assert_int_equal(plain.blocks, 1 << 26);
	assert_int_equal(div_round_up(plain.entries * 8, MIB), 513);
}

static void test_chunk_ratios(void **state)
{
	static const struct {
		uint32_t block_mib;
		uint32_t of_512;
		uint32_t of_4096;
	} rows[] = {
		{1, 4096, 32768}, {2, 2048, 16384}, {8, 512, 4096}, {16, 256, 2048},
		{32, 128, 1024},  {64, 64, 512},    {256, 16, 128},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		assert_int_equal(make(GIB, rows[i].block_mib * MIB, 512, false).chunk_ratio,
				 rows[i].of_512);
		assert_int_equal(make(GIB, rows[i].block_mib * MIB, 4096, false).chunk_ratio,
				 rows[i].of_4096);
	}
}

static void test_exact_ends_of_chunks(void **state)
{
	(void)state;
	/* 4096 blocks of 1 MiB are a chunk: without a parent the table ends with a payload entry. */
	assert_int_equal(make(4 * GIB, MIB, 512, false).entries, 4096);
	assert_int_equal(make(4 * GIB + 512, MIB, 512, false).entries, 4098);
	assert_int_equal(make(8 * GIB, MIB, 512, false).entries, 8193);
	assert_int_equal(make(4 * GIB, MIB, 512, true).entries, 4097);
	assert_int_equal(make(4 * GIB + 512, MIB, 512, true).entries, 2 * 4097);
	assert_int_equal(make(512, MIB, 512, false).entries, 1);
	assert_int_equal(make(512, MIB, 512, true).entries, 4097);
}

static void test_indexes_around_the_end_of_a_chunk(void **state)
{
	struct geometry g = make(64 * GIB, MIB, 512, true);

	(void)state;
	assert_int_equal(bat_index_of_block(&g, 0), 0);
	assert_int_equal(bat_index_of_block(&g, 4095), 4095);
	assert_int_equal(bat_index_of_bitmap(&g, 0), 4096);
	assert_int_equal(bat_index_of_block(&g, 4096), 4097);
	assert_int_equal(bat_index_of_bitmap(&g, 1), 8193);
	assert_true(bat_index_is_bitmap(&g, 4096));
	assert_false(bat_index_is_bitmap(&g, 4095));
	assert_false(bat_index_is_bitmap(&g, 4097));
	assert_int_equal(bat_chunk_of_index(&g, 4096), 0);
	assert_int_equal(bat_chunk_of_index(&g, 4097), 1);
}

/* Each index is one block's or one bitmap's, and leads back to it. */
static void test_indexes_are_the_inverse_of_each_other(void **state)
{
	static const uint32_t sizes[] = {1, 2, 32, 256};

	(void)state;
	for (int i = 0; i < 8; i++) {
		struct geometry g =
			make(20 * GIB + 512 * 8, sizes[i % 4] * MIB, i < 4 ? 512 : 4096, true);
		uint64_t block = 0;
		uint64_t chunk = 0;

		for (uint64_t index = 0; index < g.entries; index++) {
			if (bat_index_is_bitmap(&g, index)) {
				assert_int_equal(bat_index_of_bitmap(&g, chunk), index);
				assert_int_equal(bat_chunk_of_index(&g, index), chunk++);
			} else {
				assert_int_equal(bat_index_of_block(&g, block), index);
				assert_int_equal(bat_block_of_index(&g, index), block++);
			}
		}
		assert_int_equal(chunk, g.chunks);
		assert_true(block >= g.blocks);
	}
}

static void test_entries_of_44_bits(void **state)
{
	uint64_t entry = bat_entry_make(6, UINT64_MAX - MIB + 1);

	(void)state;
	assert_int_equal(bat_entry_state(entry), 6);
	assert_true(bat_entry_offset(entry) == UINT64_MAX - MIB + 1);
	assert_int_equal(bat_entry_reserved(entry), 0);
	assert_int_equal(bat_entry_reserved(entry | 0x80008), 0x80008);
	assert_true(bat_entry_offset(0x400006) == 4 * MIB);
	assert_int_equal(bat_entry_state(0xffff8), 0);
	assert_int_equal(bat_entry_reserved(0xffff8), 0xffff8);
}

/* An image of which only the BAT is there, at 5 MiB. */
struct bat_case {
	struct sparse file;
	struct test_store store;
	struct vhdx_io io;
	struct image image;
	struct page_cache cache;
	struct page_map map;
};

static int make_case(void **state)
{
	struct bat_case *c = calloc(1, sizeof(*c));

	sparse_resize(&c->file, 600 * MIB);
	c->store.bytes = &c->file;
	c->io = test_store_io(&c->store, true);
	c->image.name = "test";
	c->image.file = c->image.view = &c->io;
	c->image.file_size = c->image.view_size = c->file.size;
	c->image.geometry = make(4 * TIB, MIB, 512, true);
	c->image.bat = (struct region){.file_offset = 5 * MIB, .length = 34 * MIB};
	vhdx_page_cache_init(&c->cache);
	*state = c;
	return vhdx_bat_map_init(&c->map, &c->cache, &c->image);
}

static int drop_case(void **state)
{
	struct bat_case *c = *state;

	vhdx_page_map_destroy(&c->map);
	vhdx_page_cache_destroy(&c->cache);
	sparse_free(&c->file);
	free(c);
	return 0;
}

static void put_entry(struct bat_case *c, uint64_t index, uint64_t value)
{
	struct le64 disk = le64_from(value);

	sparse_write(&c->file, &disk, 8, 5 * MIB + 8 * index);
}

static void check_entry(struct bat_case *c, uint64_t index, uint64_t expected)
{
	uint64_t entry = ~expected;

	assert_int_equal(vhdx_bat_get(&c->map, index, &entry), 0);
	assert_true(entry == expected);
}

static void test_entries_are_read_from_their_pages(void **state)
{
	struct bat_case *c = *state;
	uint64_t last = c->image.geometry.entries - 1;
	static const uint64_t indexes[] = {0, 1, 511, 512, 1023, 4096, 4097, 262143, 262144};

	for (size_t i = 0; i < sizeof(indexes) / sizeof(indexes[0]); i++)
		put_entry(c, indexes[i], 0x1122334455000000 + indexes[i]);
	put_entry(c, last, UINT64_MAX);
	for (size_t i = 0; i < sizeof(indexes) / sizeof(indexes[0]); i++)
		check_entry(c, indexes[i], 0x1122334455000000 + indexes[i]);
	check_entry(c, last, UINT64_MAX);
	check_entry(c, 513, 0);
	check_entry(c, last - 1, 0);
}

static void test_runs_of_zeros_skip_what_the_file_does_not_hold(void **state)
{
	struct bat_case *c = *state;
	uint64_t count;

	put_entry(c, 100, 6);
	put_entry(c, 2000000, 6);
	assert_int_equal(vhdx_bat_zero_run(&c->map, 100, &count), 0);
	assert_int_equal(count, 0);
	assert_int_equal(vhdx_bat_zero_run(&c->map, 3, &count), 0);
	assert_int_equal(count, 97);
	assert_int_equal(vhdx_bat_zero_run(&c->map, 101, &count), 0);
	assert_int_equal(count, 411);
	assert_int_equal(vhdx_bat_zero_run(&c->map, 512, &count), 0);
	assert_int_equal(count, 2000000 / 512 * 512 - 512);
	assert_int_equal(vhdx_bat_zero_run(&c->map, 1000000, &count), 0);
	assert_int_equal(count, 2000000 / 512 * 512 - 1000000);
	assert_int_equal(vhdx_bat_zero_run(&c->map, 2000001, &count), 0);
	assert_true(count > 0 && count < 512);
	assert_true(c->store.read_bytes <= 3 * 4096);
}

static void check_same_run(struct bat_case *c, uint64_t index, uint64_t expected)
{
	uint64_t count = 0;

	assert_int_equal(vhdx_bat_same_run(&c->map, index, &count), 0);
	assert_int_equal(count, expected);
}

static void test_runs_of_the_same_entry_end_with_it_or_with_its_page(void **state)
{
	struct bat_case *c = *state;

	for (uint64_t i = 100; i < 600; i++)
		put_entry(c, i, i < 300 ? BLOCK_ZERO : BLOCK_UNMAPPED);
	put_entry(c, 400, BLOCK_UNMAPPED | 5 * MIB);
	check_same_run(c, 3, 97);
	check_same_run(c, 100, 200);
	check_same_run(c, 299, 1);
	check_same_run(c, 300, 100);
	check_same_run(c, 400, 1);
	check_same_run(c, 401, 111);
	check_same_run(c, 512, 88);
	check_same_run(c, 1024, 34 * MIB / 8 - 1024);
}

/* Zeros that the storage holds, up to an entry in the page @pages. */
static void write_zeros(struct bat_case *c, uint64_t pages)
{
	static const uint8_t zeros[PAGE_SIZE];

	for (uint64_t page = 0; page < pages; page++)
		sparse_write(&c->file, zeros, PAGE_SIZE, 5 * MIB + page * PAGE_SIZE);
	put_entry(c, pages * PAGE_SIZE / 8 + 7, 6);
}

static void test_zeros_that_are_there_are_read_once_and_take_no_memory(void **state)
{
	struct bat_case *c = *state;
	uint64_t index = 0;
	uint64_t count = 1;

	write_zeros(c, 5000);
	for (; count; index += count)
		assert_int_equal(vhdx_bat_zero_run(&c->map, index, &count), 0);
	assert_int_equal(index, 5000 * PAGE_SIZE / 8 + 7);
	assert_true(c->store.read_bytes <= 5000 * PAGE_SIZE + MIB);
	assert_true(c->store.reads < 500);
	assert_true(c->store.calls - c->store.reads <=
		    2); /* some storage looks for holes page by page */
	assert_true(c->cache.pages <= 5000 / LEAF_PAGES + 2);
}

static void test_a_look_at_one_page_of_zeros_reads_no_other(void **state)
{
	struct bat_case *c = *state;

	write_zeros(c, 5000);
	check_entry(c, 1000 * PAGE_SIZE / 8, 0);
	check_entry(c, 3000 * PAGE_SIZE / 8, 0);
	check_entry(c, 2000 * PAGE_SIZE / 8, 0);
	assert_true(c->store.read_bytes <= 3 * PAGE_SIZE);
}

static void test_zeros_that_were_seen_ahead_end_at_a_page_that_was_changed(void **state)
{
	struct bat_case *c = *state;
	uint64_t first = 0;
	uint64_t last = 0;
	struct page *page;

	write_zeros(c, 100);
	assert_int_equal(vhdx_page_hold(&c->map, 5, 5 * MIB + 5 * PAGE_SIZE, false, &page), 0);
	page->bytes[0] = 1;
	for (uint64_t count = 1; count; last += count)
		assert_int_equal(vhdx_bat_zero_run(&c->map, last, &count), 0);
	assert_int_equal(last, 5 * PAGE_SIZE / 8);
	page->bytes[0] = 0;
	for (uint64_t count = 1; count; first += count)
		assert_int_equal(vhdx_bat_zero_run(&c->map, first, &count), 0);
	assert_int_equal(first, 100 * PAGE_SIZE / 8 + 7);
	vhdx_page_release(page);
}

static void test_a_storage_error_is_told_and_tried_again(void **state)
{
	struct bat_case *c = *state;
	uint64_t entry = 77;

	put_entry(c, 9, 6);
	c->store.fail_from = 1;
	c->store.fail_to = 2;
	c->store.error = -EIO;
	assert_int_equal(vhdx_bat_get(&c->map, 9, &entry), -EIO);
	assert_int_equal(vhdx_bat_get(&c->map, 9, &entry), -EIO);
	assert_int_equal(entry, 77);
	check_entry(c, 9, 6);
}

struct walked {
	uint64_t index[16];
	uint64_t entry[16];
	int count;
	int stop_at;
};

static int note_entry(void *opaque, uint64_t index, uint64_t entry)
{
	struct walked *walked = opaque;

	assert_true(walked->count < 16);
	walked->index[walked->count] = index;
	walked->entry[walked->count++] = entry;
	return walked->count == walked->stop_at ? -EDOM : 0;
}

static void test_a_walk_meets_each_entry_once_in_order(void **state)
{
	struct bat_case *c = *state;
	static const uint64_t indexes[] = {0, 511, 512, 8191, 8192, 100000, 4195328 - 1};
	struct walked walked = {.count = 0};

	assert_int_equal(c->image.geometry.entries, 4195328);
	for (int i = 0; i < 7; i++)
		put_entry(c, indexes[i], 100 + indexes[i]);
	put_entry(c, 4195328, 3); /* padding */
	assert_int_equal(vhdx_bat_walk(&c->image, false, note_entry, &walked, NULL, NULL), 0);
	assert_int_equal(walked.count, 7);
	for (int i = 0; i < 7; i++) {
		assert_int_equal(walked.index[i], indexes[i]);
		assert_int_equal(walked.entry[i], 100 + indexes[i]);
	}
	assert_true(c->store.read_bytes <= 8 * 65536);
}

static void test_a_walk_of_the_padding_goes_to_the_end_of_the_region(void **state)
{
	struct bat_case *c = *state;
	struct walked walked = {.count = 0};

	put_entry(c, 4195328, 3);
	put_entry(c, 34 * MIB / 8 - 1, 4);
	put_entry(c, 34 * MIB / 8, 5); /* behind the region */
	assert_int_equal(vhdx_bat_walk(&c->image, true, note_entry, &walked, NULL, NULL), 0);
	assert_int_equal(walked.count, 2);
	assert_int_equal(walked.index[1], 34 * MIB / 8 - 1);
}

static void test_a_visitor_ends_a_walk(void **state)
{
	struct bat_case *c = *state;
	struct walked walked = {.stop_at = 2};

	for (int i = 0; i < 5; i++)
		put_entry(c, 10 + (uint64_t)i, 6);
	assert_int_equal(vhdx_bat_walk(&c->image, false, note_entry, &walked, NULL, NULL), -EDOM);
	assert_int_equal(walked.count, 2);
}

struct progress {
	uint64_t done;
	uint64_t total;
	int calls;
	int stop_at;
};

static int note_progress(void *opaque, uint64_t done, uint64_t total)
{
	struct progress *progress = opaque;

	assert_true(done >= progress->done && done <= total);
	progress->done = done;
	progress->total = total;
	return ++progress->calls == progress->stop_at;
}

static void test_progress_never_falls_and_can_stop_a_walk(void **state)
{
	struct bat_case *c = *state;
	struct walked walked = {.count = 0};
	struct progress progress = {.calls = 0};
	struct progress stopping = {.stop_at = 2};

	put_entry(c, 5, 6);
	put_entry(c, 1000000, 6);
	put_entry(c, 3000000, 6);
	assert_int_equal(
		vhdx_bat_walk(&c->image, false, note_entry, &walked, note_progress, &progress), 0);
	assert_true(progress.calls >= 3);
	assert_int_equal(progress.total, 4195328 * 8);
	walked.count = 0;
	assert_int_equal(
		vhdx_bat_walk(&c->image, false, note_entry, &walked, note_progress, &stopping),
		-ECANCELED);
	assert_int_equal(walked.count, 2);
}

int main(void)
{
#define WITH_BAT(test) cmocka_unit_test_setup_teardown(test, make_case, drop_case)
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_10_gb_of_32_mb_blocks),
		cmocka_unit_test(test_64_tb_of_1_mb_blocks),
		cmocka_unit_test(test_chunk_ratios),
		cmocka_unit_test(test_exact_ends_of_chunks),
		cmocka_unit_test(test_indexes_around_the_end_of_a_chunk),
		cmocka_unit_test(test_indexes_are_the_inverse_of_each_other),
		cmocka_unit_test(test_entries_of_44_bits),
		WITH_BAT(test_entries_are_read_from_their_pages),
		WITH_BAT(test_runs_of_zeros_skip_what_the_file_does_not_hold),
		WITH_BAT(test_runs_of_the_same_entry_end_with_it_or_with_its_page),
		WITH_BAT(test_zeros_that_are_there_are_read_once_and_take_no_memory),
		WITH_BAT(test_a_look_at_one_page_of_zeros_reads_no_other),
		WITH_BAT(test_zeros_that_were_seen_ahead_end_at_a_page_that_was_changed),
		WITH_BAT(test_a_storage_error_is_told_and_tried_again),
		WITH_BAT(test_a_walk_meets_each_entry_once_in_order),
		WITH_BAT(test_a_walk_of_the_padding_goes_to_the_end_of_the_region),
		WITH_BAT(test_a_visitor_ends_a_walk),
		WITH_BAT(test_progress_never_falls_and_can_stop_a_walk),
	};

	return RUN_TESTS(tests);
}
