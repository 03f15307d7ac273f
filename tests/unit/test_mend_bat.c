/* SPDX-License-Identifier: MIT */
/* Repair of the BAT: what becomes of each damaged entry, what it costs, and that nothing else changes. */
#include <string.h>

#include "support/mendcase.h"

#define FULL	6u
#define PARTIAL 7u
#define FAR	(1 * T_TIB)

/* The whole of a block, told as lost. */
static void expect_lost(const struct mend_case *c, unsigned problem, uint64_t block)
{
	expect_told(c, problem, block * CASE_BLOCK_SIZE, CASE_BLOCK_SIZE);
	assert_int_equal(c->result.lost_bytes, CASE_BLOCK_SIZE);
}

static void expect_no_loss(const struct mend_case *c, unsigned problem)
{
	expect_told(c, problem, 0, 0);
	assert_int_equal(c->result.lost_bytes, 0);
	assert_false(c->reads_changed);
	expect_others_same(c, CASE_BLOCKS);
}

/* ---- 602 to 605: states and reserved bits ---- */

static void test_a_block_of_state_4_with_its_own_space_is_read_again(void **state)
{
	struct mend_case *c = *state;

	put_block(c, 3, CASE_PLACE(3) | 4);
	mend_case_mend(c, 602);
	assert_int_equal(get_block(c, 3), CASE_PLACE(3) | FULL);
	expect_no_loss(c, 602);
}

static void test_a_block_of_state_4_without_a_place_is_not_present(void **state)
{
	struct mend_case *c = *state;

	put_block(c, NOT_PRESENT_BLOCK, 4);
	mend_case_mend(c, 602);
	assert_int_equal(get_block(c, NOT_PRESENT_BLOCK), 0);
	expect_lost(c, 602, NOT_PRESENT_BLOCK);
	expect_others_same(c, CASE_BLOCKS); /* in a child the parent's */
}

static void test_a_block_of_state_4_in_the_space_of_another_is_lost_and_hides_the_parent(
	void **state)
{
	struct mend_case *c = *state;

	put_block(c, 0, CASE_PLACE(3) | 4); /* before the sound one in the BAT */
	mend_case_mend(c, 602);
	assert_int_equal(get_block(c, 0), 2);
	expect_lost(c, 602, 0);
	expect_zeros(c, 0);
	expect_others_same(c, 0);
	assert_false(c->reads_changed); /* it could not be read before */
}

static void test_a_block_of_state_4_outside_the_file_is_lost_and_hides_the_parent(void **state)
{
	struct mend_case *c = *state;

	put_block(c, 0, FAR | 4);
	mend_case_mend(c, 602);
	assert_int_equal(get_block(c, 0), 2);
	expect_lost(c, 602, 0);
	expect_zeros(c, 0);
	expect_others_same(c, 0);
}

static void test_a_block_of_state_5_is_unmapped_and_keeps_its_own_space(void **state)
{
	struct mend_case *c = *state;

	put_block(c, ANCHORED_BLOCK, CASE_PLACE(ANCHORED_BLOCK) | 5);
	mend_case_mend(c, 603);
	assert_int_equal(get_block(c, ANCHORED_BLOCK), CASE_PLACE(ANCHORED_BLOCK) | 3);
	expect_no_loss(c, 603);
}

static void test_a_block_of_state_5_gives_up_space_that_is_not_its_own(void **state)
{
	static const uint64_t places[] = {CASE_PLACE(9), FAR, CASE_END - T_MIB, T_MIB};
	struct mend_case *c = *state;

	for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
		put_block(c, ANCHORED_BLOCK, places[i] | 5);
		mend_case_mend(c, 603);
		assert_int_equal(get_block(c, ANCHORED_BLOCK), 3);
		expect_no_loss(c, 603);
	}
}

static void test_a_partial_block_without_a_parent_is_fully_present(void **state)
{
	struct mend_case *c = *state;

	put_block(c, 3, CASE_PLACE(3) | PARTIAL);
	mend_case_mend(c, 604);
	assert_int_equal(get_block(c, 3), CASE_PLACE(3) | FULL);
	expect_no_loss(c, 604);
}

static void test_reserved_bits_are_cleared(void **state)
{
	struct mend_case *c = *state;

	put_block(c, 3, CASE_PLACE(3) | 0xffff8 | FULL);
	put_block(c, NOT_PRESENT_BLOCK, 0x8);
	mend_case_mend(c, 605);
	assert_int_equal(get_block(c, 3), CASE_PLACE(3) | FULL);
	assert_int_equal(get_block(c, NOT_PRESENT_BLOCK), 0);
	assert_int_equal(c->mended, 2);
	expect_no_loss(c, 605);
}

/* ---- 606, 607: places ---- */

static void test_a_block_outside_the_file_is_lost_and_hides_the_parent(void **state)
{
	static const uint64_t places[] = {0, CASE_END, FAR, UINT64_MAX << 20};
	struct mend_case *c = *state;

	for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
		put_block(c, 3, places[i] | FULL);
		mend_case_mend(c, 606);
		assert_int_equal(get_block(c, 3), 2);
		expect_lost(c, 606, 3);
		expect_zeros(c, 3);
		expect_others_same(c, 3);
		assert_false(c->reads_changed);
		assert_int_equal(c->chain.layers[0].file.size, CASE_END);
	}
}

static void test_of_the_last_block_the_part_within_the_disk_is_lost(void **state)
{
	struct mend_case *c = *state;

	put_block(c, 9, FAR | FULL);
	mend_case_mend(c, 606);
	expect_told(c, 606, 9 * CASE_BLOCK_SIZE, T_MIB);
}

static void test_an_unmapped_block_outside_the_file_only_gives_up_its_place(void **state)
{
	struct mend_case *c = *state;

	put_block(c, ANCHORED_BLOCK, FAR | 3);
	put_block(c, ZERO_BLOCK, FAR | 1);
	mend_case_mend(c, 606);
	assert_int_equal(get_block(c, ANCHORED_BLOCK), 3);
	assert_int_equal(get_block(c, ZERO_BLOCK), 1);
	assert_int_equal(c->mended, 2);
	expect_no_loss(c, 606);
}

static void test_the_file_is_extended_for_a_block_that_is_cut(void **state)
{
	struct mend_case *c = *state;

	put_block(c, 9, 2);
	sparse_resize(&c->chain.layers[0].file, CASE_PLACE(9) - T_MIB);
	put_block(c, 8, CASE_PLACE(8) | FULL);
	mend_case_mend(c, 607);
	assert_int_equal(c->chain.layers[0].file.size, CASE_PLACE(9));
	expect_told(c, 607, 8 * CASE_BLOCK_SIZE + T_MIB, T_MIB);
	assert_false(c->reads_changed);
	for (uint64_t i = 0; i < 8; i++)
		expect_same(c, i);
	assert_memory_equal(c->before + 8 * CASE_BLOCK_SIZE, c->after + 8 * CASE_BLOCK_SIZE,
			    c->chain.depth == 1 ? T_MIB : 0);
}

static void test_a_block_cut_behind_the_end_of_the_disk_costs_nothing(void **state)
{
	struct mend_case *c = *state;

	sparse_resize(&c->chain.layers[0].file, CASE_END - T_MIB);
	mend_case_mend(c, 607);
	assert_int_equal(c->chain.layers[0].file.size, CASE_END);
	expect_no_loss(c, 607);
}

static void test_an_unmapped_block_gives_up_space_that_is_cut(void **state)
{
	struct mend_case *c = *state;

	put_block(c, 8, CASE_PLACE(8) | FULL);
	put_block(c, 9, 2);
	put_block(c, ANCHORED_BLOCK, CASE_PLACE(9) | 3);
	sparse_resize(&c->chain.layers[0].file, CASE_END - T_MIB);
	mend_case_mend(c, 607);
	assert_int_equal(get_block(c, ANCHORED_BLOCK), 3);
	assert_int_equal(c->chain.layers[0].file.size, CASE_END - T_MIB);
	expect_told(c, 607, 0, 0);
}

/* ---- 608: overlaps ---- */

static void test_of_two_sound_blocks_the_later_is_cut_loose(void **state)
{
	struct mend_case *c = *state;

	put_block(c, 3, CASE_PLACE(0) | FULL);
	mend_case_mend(c, 608);
	assert_int_equal(get_block(c, 0), CASE_PLACE(0) | FULL);
	assert_int_equal(get_block(c, 3), 2);
	expect_lost(c, 608, 3);
	expect_zeros(c, 3);
	expect_others_same(c, 3);
	assert_true(c->reads_changed);
}

static void test_blocks_that_share_a_part_overlap(void **state)
{
	struct mend_case *c = *state;

	put_block(c, 9, (CASE_PLACE(3) - T_MIB) | FULL);
	put_block(c, NEXT_PARTIAL, 0); /* so that only one MiB is shared */
	mend_case_mend(c, 608);
	assert_int_equal(get_block(c, 3), CASE_PLACE(3) | FULL);
	assert_int_equal(get_block(c, 9), 2);
}

static void test_of_a_damaged_and_a_sound_block_the_damaged_is_cut_loose(void **state)
{
	struct mend_case *c = *state;

	put_block(c, 0, CASE_PLACE(3) | 0x10 | FULL);
	mend_case_mend(c, 608);
	assert_int_equal(get_block(c, 0), 2);
	expect_lost(c, 608, 0);
	expect_told(c, 605, 0, 0);
	expect_zeros(c, 0);
	expect_others_same(c, 0);
}

static void test_of_a_cut_and_a_whole_block_the_cut_one_is_cut_loose(void **state)
{
	struct mend_case *c = *state;

	put_block(c, 0, (CASE_END - T_MIB) | FULL);
	mend_case_mend(c, 608);
	assert_int_equal(get_block(c, 0), 2);
	expect_others_same(c, 0);
	assert_int_equal(c->chain.layers[0].file.size, CASE_END);
}

static void test_a_block_cut_loose_leaves_its_space_to_a_third(void **state)
{
	struct mend_case *c = *state;

	/* 0 keeps its space; 3 overlaps it and 9; 9 is whole once 3 is gone. */
	put_block(c, 3, (CASE_PLACE(0) + T_MIB) | FULL);
	put_block(c, 9, (CASE_PLACE(0) + 2 * T_MIB) | FULL);
	put_block(c, PARTIAL_BLOCK, 2);
	mend_case_mend(c, 608);
	assert_int_equal(get_block(c, 3), 2);
	assert_int_equal(get_block(c, 9), (CASE_PLACE(0) + 2 * T_MIB) | FULL);
	assert_int_equal(c->mended, 1);
}

static void test_a_block_over_log_regions_or_headers_is_cut_loose(void **state)
{
	static const uint64_t places[] = {T_MIB, 2 * T_MIB, CASE_BAT};
	struct mend_case *c = *state;

	for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
		put_block(c, 0, places[i] | FULL);
		mend_case_mend(c, 608);
		assert_int_equal(get_block(c, 0), 2);
		expect_lost(c, 608, 0);
		expect_others_same(c, 0);
	}
}

static void test_an_unmapped_block_gives_its_space_up_to_any_present_one(void **state)
{
	struct mend_case *c = *state;

	put_block(c, ANCHORED_BLOCK, CASE_PLACE(9) | 3);
	put_block(c, ZERO_BLOCK, CASE_PLACE(0) | 1);
	mend_case_mend(c, 608);
	assert_int_equal(get_block(c, ANCHORED_BLOCK), 3);
	assert_int_equal(get_block(c, ZERO_BLOCK), 1);
	assert_int_equal(c->mended, 2);
	expect_no_loss(c, 608);
}

/* ---- 609 ---- */

static void test_offsets_of_blocks_without_space_are_cleared(void **state)
{
	struct mend_case *c = *state;

	put_block(c, NOT_PRESENT_BLOCK, CASE_PLACE(0) | 0);
	put_block(c, ZERO_BLOCK, FAR | 2);
	mend_case_mend(c, 609);
	assert_int_equal(get_block(c, NOT_PRESENT_BLOCK), 0);
	assert_int_equal(get_block(c, ZERO_BLOCK), 2);
	assert_int_equal(c->mended, 2);
	expect_no_loss(c, 609);
}

/* ---- PARTIALLY_PRESENT blocks of a child, which have sectors of the parent ---- */

static void expect_parents_sectors(const struct mend_case *c, uint64_t block)
{
	for (uint64_t at = block * CASE_BLOCK_SIZE; at < (block + 1) * CASE_BLOCK_SIZE; at += 512) {
		const uint8_t zeros[512] = {0};
		bool own = at / 512 % 2;

		if (memcmp(c->after + at, own ? zeros : c->before + at, 512) != 0)
			fail_msg("the sector at %#llx is wrong", (unsigned long long)at);
	}
}

static void test_a_lost_partial_block_still_shows_the_parents_sectors(void **state)
{
	struct mend_case *c = *state;

	put_block(c, PARTIAL_BLOCK, FAR | PARTIAL);
	mend_case_mend(c, 606);
	assert_int_equal(get_block(c, PARTIAL_BLOCK), CASE_END | PARTIAL);
	assert_int_equal(c->chain.layers[0].file.size, CASE_END + CASE_BLOCK_SIZE);
	expect_told(c, 606, PARTIAL_BLOCK * CASE_BLOCK_SIZE + 512, CASE_BLOCK_SIZE - 512);
	expect_parents_sectors(c, PARTIAL_BLOCK);
	expect_others_same(c, PARTIAL_BLOCK);
	assert_false(c->reads_changed);
}

static void test_a_partial_block_cut_loose_still_shows_the_parents_sectors(void **state)
{
	struct mend_case *c = *state;

	put_block(c, NEXT_PARTIAL, CASE_PLACE(PARTIAL_BLOCK) | PARTIAL);
	mend_case_mend(c, 608);
	assert_int_equal(get_block(c, NEXT_PARTIAL), CASE_END | PARTIAL);
	expect_parents_sectors(c, NEXT_PARTIAL);
	expect_others_same(c, NEXT_PARTIAL);
	assert_true(c->reads_changed);
}

static void test_new_space_lies_behind_a_block_that_is_cut(void **state)
{
	struct mend_case *c = *state;

	put_block(c, PARTIAL_BLOCK, FAR | PARTIAL);
	sparse_resize(&c->chain.layers[0].file, CASE_END - T_MIB);
	mend_case_mend(c, 607);
	assert_int_equal(get_block(c, PARTIAL_BLOCK), CASE_END | PARTIAL);
	expect_others_same(c, PARTIAL_BLOCK);
}

static void test_a_lost_partial_block_of_only_parents_sectors_costs_nothing(void **state)
{
	struct mend_case *c = *state;

	put_block(c, ALL_PARENTS_BLOCK, CASE_PLACE(0) | PARTIAL);
	mend_case_mend(c, 608);
	assert_int_equal(get_block(c, ALL_PARENTS_BLOCK), 0);
	expect_no_loss(c, 608);
}

static void test_a_lost_partial_block_of_only_its_own_sectors_is_lost(void **state)
{
	struct mend_case *c = *state;

	put_block(c, ALL_OWN_BLOCK, FAR | PARTIAL);
	mend_case_mend(c, 606);
	assert_int_equal(get_block(c, ALL_OWN_BLOCK), 2);
	expect_lost(c, 606, ALL_OWN_BLOCK);
	expect_zeros(c, ALL_OWN_BLOCK);
	expect_others_same(c, ALL_OWN_BLOCK);
}

static void test_a_partial_block_that_lost_its_bitmap_too_is_lost(void **state)
{
	static const uint64_t places[] = {FAR, T_MIB};
	struct mend_case *c = *state;

	for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
		put_block(c, PARTIAL_BLOCK, FAR | PARTIAL);
		put_bitmap(c, places[i] | 6);
		mend_case_mend(c, 606);
		assert_int_equal(get_block(c, PARTIAL_BLOCK), 2);
		expect_told(c, 606, PARTIAL_BLOCK * CASE_BLOCK_SIZE, CASE_BLOCK_SIZE);
		expect_others_same(c, PARTIAL_BLOCK);
	}
}

int main(void)
{
#define DYNAMIC(test) cmocka_unit_test_setup_teardown(test, mend_case_dynamic, mend_case_drop)
#define FIXED(test)   cmocka_unit_test_setup_teardown(test, mend_case_fixed, mend_case_drop)
#define NEAR(test)    cmocka_unit_test_setup_teardown(test, mend_case_child, mend_case_drop)
#define FARTHER(test) cmocka_unit_test_setup_teardown(test, mend_case_far_child, mend_case_drop)
#define CHILD(test)   NEAR(test), FARTHER(test)
#define BOTH(test)    DYNAMIC(test), NEAR(test)
	const struct CMUnitTest tests[] = {
		BOTH(test_a_block_of_state_4_with_its_own_space_is_read_again),
		BOTH(test_a_block_of_state_4_without_a_place_is_not_present),
		BOTH(test_a_block_of_state_4_in_the_space_of_another_is_lost_and_hides_the_parent),
		BOTH(test_a_block_of_state_4_outside_the_file_is_lost_and_hides_the_parent),
		BOTH(test_a_block_of_state_5_is_unmapped_and_keeps_its_own_space),
		BOTH(test_a_block_of_state_5_gives_up_space_that_is_not_its_own),
		DYNAMIC(test_a_partial_block_without_a_parent_is_fully_present),
		FIXED(test_a_partial_block_without_a_parent_is_fully_present),
		BOTH(test_reserved_bits_are_cleared),
		BOTH(test_a_block_outside_the_file_is_lost_and_hides_the_parent),
		FIXED(test_a_block_outside_the_file_is_lost_and_hides_the_parent),
		BOTH(test_of_the_last_block_the_part_within_the_disk_is_lost),
		BOTH(test_an_unmapped_block_outside_the_file_only_gives_up_its_place),
		BOTH(test_the_file_is_extended_for_a_block_that_is_cut),
		BOTH(test_a_block_cut_behind_the_end_of_the_disk_costs_nothing),
		BOTH(test_an_unmapped_block_gives_up_space_that_is_cut),
		BOTH(test_of_two_sound_blocks_the_later_is_cut_loose),
		FIXED(test_of_two_sound_blocks_the_later_is_cut_loose),
		BOTH(test_blocks_that_share_a_part_overlap),
		BOTH(test_of_a_damaged_and_a_sound_block_the_damaged_is_cut_loose),
		BOTH(test_of_a_cut_and_a_whole_block_the_cut_one_is_cut_loose),
		BOTH(test_a_block_cut_loose_leaves_its_space_to_a_third),
		BOTH(test_a_block_over_log_regions_or_headers_is_cut_loose),
		BOTH(test_an_unmapped_block_gives_its_space_up_to_any_present_one),
		BOTH(test_offsets_of_blocks_without_space_are_cleared),
		CHILD(test_a_lost_partial_block_still_shows_the_parents_sectors),
		CHILD(test_a_partial_block_cut_loose_still_shows_the_parents_sectors),
		CHILD(test_new_space_lies_behind_a_block_that_is_cut),
		CHILD(test_a_lost_partial_block_of_only_parents_sectors_costs_nothing),
		CHILD(test_a_lost_partial_block_of_only_its_own_sectors_is_lost),
		CHILD(test_a_partial_block_that_lost_its_bitmap_too_is_lost),
	};

	return RUN_TESTS(tests);
}
