/* SPDX-License-Identifier: MIT */
/* Repair of the sector bitmaps: of their entries, and of those that are missing. */
#include <string.h>

#include "support/mendcase.h"

#define FULL	6u
#define PARTIAL 7u
#define FAR	(1 * T_TIB)

/* Bytes of a bitmap that are one block's. */
#define BLOCK_BITS (CASE_BLOCK_SIZE / 512 / 8)

/* The PARTIALLY_PRESENT blocks of the case. */
#define FIRST_RUN  PARTIAL_BLOCK
#define SECOND_RUN ALL_OWN_BLOCK

static struct sparse *file_of(struct mend_case *c)
{
	return &c->chain.layers[0].file;
}

static void expect_rebuilt(const struct mend_case *c)
{
	expect_told(c, 703, FIRST_RUN * CASE_BLOCK_SIZE, 2 * CASE_BLOCK_SIZE);
	expect_told(c, 703, SECOND_RUN * CASE_BLOCK_SIZE, 2 * CASE_BLOCK_SIZE);
	expect_others_same(c, CASE_BLOCKS); /* no sector of this case was written with zeros */
}

/* ---- 702, 706: states ---- */

static void test_a_needed_bitmap_of_a_reserved_state_is_present_again(void **state)
{
	struct mend_case *c = *state;

	for (unsigned reserved = 1; reserved <= 7; reserved += reserved == 5 ? 2 : 1) {
		put_bitmap(c, CASE_BITMAP | reserved);
		mend_case_mend(c, 702);
		assert_int_equal(get_bitmap(c), CASE_BITMAP | 6);
		assert_int_equal(c->mended, 1);
		expect_told(c, 702, 0, 0);
		expect_others_same(c, CASE_BLOCKS);
	}
}

static void forget_partial_blocks(struct mend_case *c)
{
	put_block(c, PARTIAL_BLOCK, 2);
	put_block(c, NEXT_PARTIAL, 2);
	put_block(c, ALL_OWN_BLOCK, 2);
	put_block(c, ALL_PARENTS_BLOCK, 0);
}

static void test_a_bitmap_of_a_reserved_state_that_no_block_needs_is_cleared(void **state)
{
	struct mend_case *c = *state;

	forget_partial_blocks(c);
	put_bitmap(c, CASE_BITMAP | 3);
	mend_case_mend(c, 702);
	assert_int_equal(get_bitmap(c), 0);
	assert_int_equal(c->result.lost_bytes, 0);
}

static void test_a_bitmap_of_a_reserved_state_without_space_is_made_anew(void **state)
{
	static const uint64_t places[] = {FAR, CASE_PLACE(0), T_MIB, 0};
	struct mend_case *c = *state;

	for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
		put_bitmap(c, places[i] | 3);
		mend_case_mend(c, 702);
		assert_int_equal(get_bitmap(c), CASE_BITMAP | 6);
		expect_told(c, 702, 0, 0);
		expect_rebuilt(c);
		assert_int_equal(get_block(c, 0), CASE_PLACE(0) | FULL);
		assert_false(c->reads_changed);
	}
}

static void test_an_offset_of_a_bitmap_that_is_not_there_is_cleared(void **state)
{
	struct mend_case *c = *state;

	forget_partial_blocks(c);
	put_bitmap(c, CASE_BITMAP);
	mend_case_mend(c, 706);
	assert_int_equal(get_bitmap(c), 0);
	assert_int_equal(c->mended, 1);
}

static void test_reserved_bits_of_a_bitmap_entry_are_cleared(void **state)
{
	struct mend_case *c = *state;

	put_bitmap(c, CASE_BITMAP | 0x800 | 6);
	mend_case_mend(c, 605);
	assert_int_equal(get_bitmap(c), CASE_BITMAP | 6);
	expect_others_same(c, CASE_BLOCKS);
}

/* ---- 703, 704: a new one ---- */

static void test_a_missing_bitmap_is_made_from_what_the_blocks_hold(void **state)
{
	struct mend_case *c = *state;

	put_bitmap(c, 0);
	mend_case_mend(c, 703);
	assert_int_equal(get_bitmap(c), CASE_BITMAP | 6);
	assert_int_equal(c->mended, 2);
	expect_rebuilt(c);
	assert_false(c->reads_changed);
}

static void test_what_lay_where_a_new_bitmap_goes_is_overwritten(void **state)
{
	struct mend_case *c = *state;
	uint8_t ones[4096];
	uint8_t found[BLOCK_BITS];
	const uint8_t zeros[BLOCK_BITS] = {0};

	memset(ones, 0xff, sizeof(ones));
	for (uint64_t at = 0; at < T_MIB; at += sizeof(ones))
		sparse_write(file_of(c), ones, sizeof(ones), CASE_BITMAP + at);
	put_bitmap(c, 0);
	mend_case_mend(c, 703);
	expect_rebuilt(c);
	for (uint64_t at = 0; at < T_MIB; at += BLOCK_BITS) {
		uint64_t block = at / BLOCK_BITS - c->first % 2048;
		bool is_partial = block == PARTIAL_BLOCK || block == NEXT_PARTIAL ||
				  block == ALL_OWN_BLOCK;

		sparse_read(file_of(c), found, sizeof(found), CASE_BITMAP + at);
		assert_int_equal(memcmp(found, zeros, sizeof(found)) != 0, is_partial);
	}
}

static void test_sectors_written_with_zeros_show_the_parents(void **state)
{
	struct mend_case *c = *state;
	uint64_t at = ALL_OWN_BLOCK * CASE_BLOCK_SIZE + 7 * 512;
	uint8_t parents[8];

	sparse_zero(file_of(c), CASE_PLACE(ALL_OWN_BLOCK) + 7 * 512, 512);
	put_bitmap(c, 0);
	mend_case_mend(c, 703);
	expect_others_same(c, ALL_OWN_BLOCK);
	sparse_read(&c->chain.layers[1].file, parents, 8, CASE_PLACE(ALL_OWN_BLOCK) + 7 * 512);
	assert_memory_equal(c->after + at, parents, 8);
	memcpy(c->after + at, c->before + at, 512);
	expect_same(c, ALL_OWN_BLOCK);
}

static void test_a_sector_is_the_childs_when_any_byte_of_it_is_not_zero(void **state)
{
	struct mend_case *c = *state;
	uint64_t at = ALL_PARENTS_BLOCK * CASE_BLOCK_SIZE + 512;

	sparse_write(file_of(c), "x", 1, CASE_PLACE(ALL_PARENTS_BLOCK) + 1023);
	put_bitmap(c, 0);
	mend_case_mend(c, 703);
	assert_int_equal(c->after[at + 511], 'x');
	assert_int_equal(c->after[at], 0);
	memcpy(c->after + at, c->before + at, 512);
	expect_others_same(c, CASE_BLOCKS);
}

static void test_a_bitmap_outside_the_file_is_made_anew(void **state)
{
	static const uint64_t places[] = {FAR, CASE_END, 0};
	struct mend_case *c = *state;

	for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
		put_bitmap(c, places[i] | 6);
		mend_case_mend(c, 704);
		expect_told(c, 704, 0, 0);
		expect_rebuilt(c);
		assert_false(c->reads_changed);
	}
}

static void test_without_free_space_a_new_bitmap_goes_to_the_end_of_the_file(void **state)
{
	struct mend_case *c = *state;

	/* What was free is now the BAT region's. */
	for (uint64_t table = 192 * T_KIB; table <= 256 * T_KIB; table += 64 * T_KIB)
		for (uint64_t at = table + 16; at < table + 16 + 2 * 32; at += 32) {
			uint8_t offset[8];
			uint8_t length[4];

			sparse_read(file_of(c), offset, 8, at + 16);
			put_number(length, 2 * T_MIB, 4);
			if (get_number(offset, 8) == CASE_BAT)
				sparse_write(file_of(c), length, 4, at + 24);
		}
	image_mend_checksums(file_of(c), T_MIB, T_MIB);
	sparse_zero(file_of(c), CASE_BITMAP, T_MIB);
	put_block(c, NOT_PRESENT_BLOCK, CASE_PLACE(NOT_PRESENT_BLOCK) | 3);
	put_block(c, ZERO_BLOCK, CASE_PLACE(ZERO_BLOCK) | 3);
	put_bitmap(c, 0);
	mend_case_mend(c, 703);
	memset(c->before + NOT_PRESENT_BLOCK * CASE_BLOCK_SIZE, 0, CASE_BLOCK_SIZE);
	assert_int_equal(get_bitmap(c), CASE_END | 6);
	assert_int_equal(file_of(c)->size, CASE_END + T_MIB);
	expect_rebuilt(c);
}

/* ---- 705: overlaps ---- */

static void test_a_bitmap_over_log_or_regions_is_made_anew(void **state)
{
	static const uint64_t places[] = {T_MIB, 2 * T_MIB, CASE_BAT};
	struct mend_case *c = *state;

	for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
		put_bitmap(c, places[i] | 6);
		mend_case_mend(c, 705);
		assert_int_equal(get_bitmap(c), CASE_BITMAP | 6);
		expect_told(c, 705, 0, 0);
		expect_rebuilt(c);
		assert_true(c->reads_changed); /* some sectors could be read by it */
	}
}

static void test_a_block_over_a_needed_bitmap_is_cut_loose(void **state)
{
	struct mend_case *c = *state;

	put_block(c, 0, CASE_BITMAP | FULL);
	mend_case_mend(c, 705);
	assert_int_equal(get_bitmap(c), CASE_BITMAP | 6);
	assert_int_equal(get_block(c, 0), 2);
	expect_told(c, 608, 0, CASE_BLOCK_SIZE);
	expect_zeros(c, 0);
	expect_others_same(c, 0);
}

static void test_a_damaged_bitmap_over_a_sound_block_is_made_anew(void **state)
{
	struct mend_case *c = *state;

	put_bitmap(c, CASE_PLACE(3) | 0x10 | 6);
	mend_case_mend(c, 705);
	assert_int_equal(get_block(c, 3), CASE_PLACE(3) | FULL);
	assert_int_equal(get_bitmap(c), CASE_BITMAP | 6);
	expect_rebuilt(c);
}

static void test_a_bitmap_that_no_block_needs_gives_way_to_a_block(void **state)
{
	struct mend_case *c = *state;

	forget_partial_blocks(c);
	put_bitmap(c, CASE_PLACE(3) | 6);
	mend_case_mend(c, 705);
	assert_int_equal(get_bitmap(c), 0);
	assert_int_equal(c->mended, 1);
	expect_told(c, 705, 0, 0);
	expect_same(c, 0);
	expect_same(c, 3);
	expect_same(c, 9);
	assert_false(c->reads_changed);
}

/* ---- several chunks ---- */

static void test_each_chunk_that_misses_its_bitmap_gets_its_own(void **state)
{
	struct mend_case *c = *state;

	sparse_resize(file_of(c), CASE_END + CASE_BLOCK_SIZE);
	put_any_block(c, 0, CASE_END | PARTIAL);
	put_bitmap(c, 0);
	mend_case_mend(c, 703);
	assert_int_equal(c->mended, 3);
	assert_int_equal(get_bitmap(c) & 7, 6);
	expect_rebuilt(c);
}

static void test_a_bitmap_that_only_another_chunk_needs_gives_way_to_a_block(void **state)
{
	struct mend_case *c = *state;

	forget_partial_blocks(c);
	put_bitmap(c, CASE_PLACE(3) | 6);
	sparse_resize(file_of(c), CASE_END + CASE_BLOCK_SIZE);
	put_any_block(c, 0, CASE_END | PARTIAL);
	mend_case_mend(c, 705);
	assert_int_equal(get_bitmap(c), 0);
	expect_same(c, 3);
}

int main(void)
{
#define NEAR(test)    cmocka_unit_test_setup_teardown(test, mend_case_child, mend_case_drop)
#define FARTHER(test) cmocka_unit_test_setup_teardown(test, mend_case_far_child, mend_case_drop)
#define CHILD(test)   NEAR(test), FARTHER(test)
	const struct CMUnitTest tests[] = {
		CHILD(test_a_needed_bitmap_of_a_reserved_state_is_present_again),
		CHILD(test_a_bitmap_of_a_reserved_state_that_no_block_needs_is_cleared),
		CHILD(test_a_bitmap_of_a_reserved_state_without_space_is_made_anew),
		CHILD(test_an_offset_of_a_bitmap_that_is_not_there_is_cleared),
		CHILD(test_reserved_bits_of_a_bitmap_entry_are_cleared),
		CHILD(test_a_missing_bitmap_is_made_from_what_the_blocks_hold),
		CHILD(test_what_lay_where_a_new_bitmap_goes_is_overwritten),
		CHILD(test_sectors_written_with_zeros_show_the_parents),
		CHILD(test_a_sector_is_the_childs_when_any_byte_of_it_is_not_zero),
		CHILD(test_a_bitmap_outside_the_file_is_made_anew),
		CHILD(test_without_free_space_a_new_bitmap_goes_to_the_end_of_the_file),
		CHILD(test_a_bitmap_over_log_or_regions_is_made_anew),
		CHILD(test_a_block_over_a_needed_bitmap_is_cut_loose),
		CHILD(test_a_damaged_bitmap_over_a_sound_block_is_made_anew),
		CHILD(test_a_bitmap_that_no_block_needs_gives_way_to_a_block),
		FARTHER(test_each_chunk_that_misses_its_bitmap_gets_its_own),
		FARTHER(test_a_bitmap_that_only_another_chunk_needs_gives_way_to_a_block),
	};

	return RUN_TESTS(tests);
}
