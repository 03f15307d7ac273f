/* SPDX-License-Identifier: MIT */
/* Changes of sector bitmaps (F 7), for all sizes of blocks and sectors, against a naive array. */
#include "meta/bitmap.h"
#include "support/journalcase.h"
#include "support/random.h"

#define PAGE_BITS  (PAGE_SIZE * 8u)
#define CHUNK_BITS ((uint64_t)1 << 23)
#define PLACE	   (64 * MIB) /* of the bitmap of chunk 0; that of chunk 1 is 10 MiB behind it */

/* A child of four chunks; the first two have bitmap blocks, somewhere far out in the file. */
struct bits_case {
	struct journal_case *journal;
	struct page_map bat;
	struct bitmaps bitmaps;
	uint32_t block_size;
	uint32_t sector_size;
};

static uint64_t place_of(uint64_t chunk)
{
	return PLACE + chunk * 10 * MIB;
}

static void put_bitmap_entry(struct bits_case *c, uint64_t chunk)
{
	uint64_t index = bat_index_of_bitmap(&c->journal->image.geometry, chunk);
	uint8_t entry[8];

	put_number(entry, bat_entry_make(BITMAP_PRESENT, place_of(chunk)), 8);
	sparse_write(&c->journal->file, entry, 8, HOME + 8 * index);
}

static struct bits_case begin(uint32_t block_size, uint32_t sector_size)
{
	struct bits_case c = {.block_size = block_size, .sector_size = sector_size};
	struct image *image;
	void *state;

	case_start(&state);
	c.journal = state;
	image = &c.journal->image;
	image->geometry =
		geometry_make(4 * CHUNK_BITS * sector_size, block_size, sector_size, true);
	image->bat = (struct region){.file_offset = HOME, .length = PAGES * PAGE_SIZE};
	image->logical_sector_size = sector_size;
	sparse_resize(&c.journal->file, 200 * MIB);
	image_set_view_size(image, 200 * MIB);
	put_bitmap_entry(&c, 0);
	put_bitmap_entry(&c, 1);
	return c;
}

/* From here on the case stays where it is: maps are known by their addresses. */
static void connect(struct bits_case *c)
{
	assert_int_equal(vhdx_bat_map_init(&c->bat, &c->journal->cache, &c->journal->image), 0);
	assert_int_equal(
		vhdx_bitmaps_init(&c->bitmaps, &c->journal->cache, &c->bat, &c->journal->image), 0);
}

static void end(struct bits_case *c)
{
	void *state = c->journal;

	vhdx_bitmaps_destroy(&c->bitmaps);
	vhdx_page_map_destroy(&c->bat);
	case_drop(&state);
}

static struct held_bits enter(struct bits_case *c, struct change *change, uint64_t sector,
			      uint64_t count, uint64_t new_place)
{
	struct held_bits bits;

	assert_int_equal(
		vhdx_journal_begin(&c->journal->journal, vhdx_bitmap_pages(sector, count), change),
		0);
	assert_int_equal(vhdx_bitmap_hold(&c->bitmaps, change, sector, count, new_place, &bits), 0);
	vhdx_change_enter(change);
	return bits;
}

static void leave(struct change *change)
{
	vhdx_change_leave(change);
	vhdx_change_end(change);
}

/* Whether the sector is here, as the file says. */
static bool bit_in_file(struct bits_case *c, uint64_t sector)
{
	uint64_t bit = sector % CHUNK_BITS;
	uint8_t byte;

	sparse_read(&c->journal->file, &byte, 1, place_of(sector / CHUNK_BITS) + bit / 8);
	return byte >> bit % 8 & 1;
}

static bool bit_in_memory(struct bits_case *c, uint64_t sector)
{
	uint64_t count;
	bool here;

	assert_int_equal(vhdx_bitmap_run(&c->bitmaps, sector, 1, &here, &count), 0);
	assert_int_equal(count, 1);
	return here;
}

static void test_a_block_takes_the_pages_of_its_bits(void **state)
{
	static const struct {
		uint32_t mebibytes, sector_size;
		unsigned pages;
	} rows[] = {{1, 512, 1},  {16, 512, 1},	  {32, 512, 2},	 {256, 512, 16},
		    {1, 4096, 1}, {128, 4096, 1}, {256, 4096, 2}};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		uint64_t count = rows[i].mebibytes * MIB / rows[i].sector_size;

		for (uint64_t block = 0; block < 40; block++)
			assert_int_equal(vhdx_bitmap_pages(block * count, count), rows[i].pages);
		assert_true(rows[i].pages + 2 <= CHANGE_PAGES);
	}
	assert_int_equal(vhdx_bitmap_pages(PAGE_BITS - 1, 2), 2);
	assert_int_equal(vhdx_bitmap_pages(PAGE_BITS - 1, 1), 1);
	assert_int_equal(vhdx_bitmap_pages(PAGE_BITS, PAGE_BITS), 1);
}

/* Random runs of one block are set and cleared; the neighbours' bits stay as they are. */
static void change_a_block(uint32_t mebibytes, uint32_t sector_size, uint64_t block, uint64_t seed)
{
	struct bits_case c = begin(mebibytes * (uint32_t)MIB, sector_size);
	uint64_t count = mebibytes * MIB / sector_size;
	uint64_t first = block * count;
	bool *naive = calloc(count, sizeof(*naive));
	struct rng rng = rng_make(seed);

	connect(&c);
	for (int round = 0; round < 6; round++) {
		struct change change;
		struct held_bits bits = enter(&c, &change, first, count, 0);
		uint64_t set = 0;

		for (int i = 0; i < 20; i++) {
			uint64_t at = rng_below(&rng, count);
			uint64_t run = rng_length(&rng, count - at);
			bool value = rng_chance(&rng, 60);

			vhdx_bitmap_set(&change, &bits, first + at, run, value);
			memset(naive + at, value, run);
		}
		for (uint64_t i = 0; i < count; i++)
			set += naive[i];
		assert_int_equal(vhdx_bitmap_is_full(&bits), set == count);
		leave(&change);
		for (uint64_t i = 0; i < count; i += round ? rng_length(&rng, 64) : 1)
			assert_int_equal(bit_in_memory(&c, first + i), naive[i]);
	}
	commit(c.journal);
	for (uint64_t i = 0; i < count; i++)
		if (bit_in_file(&c, first + i) != naive[i])
			fail_msg("bit %zu", (size_t)i);
	assert_false(bit_in_file(&c, first + count));
	assert_false(first && bit_in_file(&c, first - 1));
	free(naive);
	end(&c);
}

static void test_bits_are_set_and_cleared_for_all_sizes_of_blocks(void **state)
{
	(void)state;
	for (uint32_t sector_size = 512; sector_size <= 4096; sector_size += 4096 - 512)
		for (uint32_t mebibytes = 1; mebibytes <= 256; mebibytes *= 2) {
			uint64_t ratio = CHUNK_BITS * sector_size / (mebibytes * MIB);

			change_a_block(mebibytes, sector_size, 0, mebibytes);
			change_a_block(mebibytes, sector_size, ratio - 1, mebibytes + 1);
			change_a_block(mebibytes, sector_size, ratio, mebibytes + 2);
		}
}

static void test_all_bits_but_one_are_not_full(void **state)
{
	struct bits_case c = begin(256 * (uint32_t)MIB, 512);
	static const uint64_t missing[] = {0,	      1,      7,      PAGE_BITS - 1,
					   PAGE_BITS, 300000, 524286, 524287};

	(void)state;
	connect(&c);
	for (size_t i = 0; i < ARRAY_SIZE(missing); i++) {
		struct change change;
		struct held_bits bits = enter(&c, &change, 524288, 524288, 0);

		vhdx_bitmap_set(&change, &bits, 524288, 524288, true);
		assert_true(vhdx_bitmap_is_full(&bits));
		vhdx_bitmap_set(&change, &bits, 524288 + missing[i], 1, false);
		assert_false(vhdx_bitmap_is_full(&bits));
		leave(&change);
	}
	end(&c);
}

/* Full is a block when the sectors that its disk has are here. */
static void test_sectors_behind_the_end_of_the_disk_do_not_matter(void **state)
{
	struct bits_case c = begin((uint32_t)MIB, 512);
	struct change change;

	(void)state;
	connect(&c);
	struct held_bits bits = enter(&c, &change, 2048, 13, 0);

	vhdx_bitmap_set(&change, &bits, 2048, 12, true);
	assert_false(vhdx_bitmap_is_full(&bits));
	vhdx_bitmap_set(&change, &bits, 2060, 1, true);
	assert_true(vhdx_bitmap_is_full(&bits));
	leave(&change);
	assert_false(bit_in_memory(&c, 2061));
	end(&c);
}

static void test_only_pages_whose_bits_change_are_dirty(void **state)
{
	struct bits_case c = begin(256 * (uint32_t)MIB, 512);
	struct change change;

	(void)state;
	connect(&c);
	struct held_bits bits = enter(&c, &change, 0, 524288, 0);

	vhdx_bitmap_set(&change, &bits, 3 * PAGE_BITS, PAGE_BITS, true);
	vhdx_bitmap_set(&change, &bits, 5 * PAGE_BITS - 1, 2, true);
	leave(&change);
	assert_int_equal(c.journal->journal.transaction.dirty_count, 3);
	commit(c.journal);
	assert_int_equal(newest_entry(c.journal).descriptor_count, 3);
	end(&c);
}

static void test_pages_of_zeros_get_their_space_before_they_change(void **state)
{
	struct bits_case c = begin(32 * (uint32_t)MIB, 512);
	struct change change;

	(void)state;
	connect(&c);
	recorder_clear(&c.journal->recorder);
	struct held_bits bits = enter(&c, &change, 0, 65536, 0);

	assert_int_equal(recorder_count(&c.journal->recorder, OPERATION_RESERVE), 2);
	assert_int_equal(c.journal->recorder.operations[0].offset, place_of(0));
	assert_int_equal(c.journal->recorder.operations[1].offset, place_of(0) + PAGE_SIZE);
	vhdx_bitmap_set(&change, &bits, 7, 1, true);
	leave(&change);
	recorder_clear(&c.journal->recorder);
	enter(&c, &change, 0, 65536, 0);
	leave(&change);
	assert_int_equal(recorder_count(&c.journal->recorder, OPERATION_RESERVE), 1);
	end(&c);
}

static void test_a_new_bitmap_begins_as_zeros_and_is_not_read(void **state)
{
	struct bits_case c = begin(32 * (uint32_t)MIB, 512);
	uint8_t old[PAGE_SIZE];
	struct change change;

	(void)state;
	connect(&c);
	memset(old, 0xff, sizeof(old));
	for (uint64_t i = 0; i < 256; i++)
		sparse_write(&c.journal->file, old, sizeof(old), place_of(2) + i * PAGE_SIZE);
	uint64_t first =
		2 * CHUNK_BITS + 3 * PAGE_BITS; /* its pages 3 and 4; it has no entry yet */
	struct held_bits bits = enter(&c, &change, first, 2 * PAGE_BITS, place_of(2));

	assert_int_equal(bits.npages, 2);
	assert_int_equal(bits.pages[0]->home, place_of(2) + 3 * PAGE_SIZE);
	assert_int_equal(bits.pages[1]->home, place_of(2) + 4 * PAGE_SIZE);
	vhdx_bitmap_set(&change, &bits, first + PAGE_BITS - 1, 2, true);
	leave(&change);
	commit(c.journal);
	for (uint64_t i = 0; i < 2 * PAGE_BITS; i++)
		assert_int_equal(bit_in_file(&c, first + i), i + 1 == PAGE_BITS || i == PAGE_BITS);
	assert_true(bit_in_file(&c, first - 1)); /* what was not held was not written */
	end(&c);
}

static void test_without_a_bitmap_nothing_can_be_held(void **state)
{
	struct bits_case c = begin((uint32_t)MIB, 512);
	struct held_bits bits = {.npages = 77};
	struct change change;

	(void)state;
	connect(&c);
	assert_int_equal(vhdx_journal_begin(&c.journal->journal, 1, &change), 0);
	assert_int_equal(vhdx_bitmap_hold(&c.bitmaps, &change, 3 * CHUNK_BITS, 2048, 0, &bits),
			 -EUCLEAN);
	assert_int_equal(vhdx_last_error()->problem, PROBLEM_BITMAP_MISSING);
	assert_int_equal(bits.npages, 77);
	vhdx_change_end(&change);
	end(&c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_block_takes_the_pages_of_its_bits),
		cmocka_unit_test(test_bits_are_set_and_cleared_for_all_sizes_of_blocks),
		cmocka_unit_test(test_all_bits_but_one_are_not_full),
		cmocka_unit_test(test_sectors_behind_the_end_of_the_disk_do_not_matter),
		cmocka_unit_test(test_only_pages_whose_bits_change_are_dirty),
		cmocka_unit_test(test_pages_of_zeros_get_their_space_before_they_change),
		cmocka_unit_test(test_a_new_bitmap_begins_as_zeros_and_is_not_read),
		cmocka_unit_test(test_without_a_bitmap_nothing_can_be_held),
	};

	return RUN_TESTS(tests);
}
