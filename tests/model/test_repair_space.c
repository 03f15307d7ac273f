/* SPDX-License-Identifier: MIT */
/* Space that nothing refers to: what repair releases, and what it never touches. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "support/repaircase.h"

/* Blocks of the disk lie one behind the other; this one lies between others. */
#define INNER_BLOCK 2

static uint64_t entry_of(const struct repair_case *c, uint64_t block)
{
	return c->bat + 8 * block;
}

/* The guest gives a block up, and its space stays behind. */
static uint64_t leak(struct repair_case *c)
{
	uint64_t place = case_get(c, entry_of(c, INNER_BLOCK), 8) & ~(CASE_MIB - 1);

	case_put(c, entry_of(c, INNER_BLOCK), 0, 8);
	memset(c->contents + INNER_BLOCK * CASE_MIB, 0, CASE_MIB);
	return place;
}

static bool is_hole(const struct repair_case *c, uint64_t place)
{
	uint64_t start;
	uint64_t end;

	return !sparse_next(&c->file, place, &start, &end) || start >= place + CASE_MIB;
}

static void test_leaked_space_becomes_a_hole(void **state)
{
	struct repair_case *c = *state;
	uint64_t place = leak(c);

	assert_false(is_hole(c, place));
	case_expect_mended(c, 901);
	assert_true(is_hole(c, place));
}

static void test_the_result_tells_what_was_released(void **state)
{
	struct repair_case *c = *state;

	leak(c);
	assert_int_equal(case_repair(c, 0), 0);
	assert_int_equal(c->result.released_bytes, CASE_MIB);
	assert_int_equal(c->result.mended, 1);
}

static void test_leaked_space_stays_where_holes_are_not_wanted(void **state)
{
	struct repair_case *c = *state;

	leak(c);
	assert_int_equal(case_repair(c, VHDX_REPAIR_NO_HOLES), 0);
	assert_int_equal(c->result.mended, 0);
	assert_int_equal(c->result.released_bytes, 0);
	assert_true(was_told(&c->left, 901));
	assert_int_equal(c->recorder.count, 0);
}

static void test_leaked_space_stays_on_storage_without_holes(void **state)
{
	struct repair_case *c = *state;

	leak(c);
	c->io.punch = NULL;
	assert_int_equal(case_repair(c, 0), 0);
	assert_int_equal(c->result.mended, 0);
	assert_true(was_told(&c->left, 901));
	assert_int_equal(c->recorder.count, 0);
}

static int punch_nothing(void *opaque, uint64_t offset, uint64_t length)
{
	(void)opaque;
	(void)offset;
	(void)length;
	return -EOPNOTSUPP;
}

/* As many file systems, where the call is there. Else it would be zeroed by every repair anew. */
static void test_leaked_space_stays_on_storage_that_refuses_to_punch(void **state)
{
	struct repair_case *c = *state;

	leak(c);
	c->io.punch = punch_nothing;
	assert_int_equal(case_repair(c, 0), 0);
	assert_int_equal(c->result.mended, 0);
	assert_true(was_told(&c->left, 901));
	assert_int_equal(c->recorder.count, 0);
}

/* It could not be told from space that was released before, again and again. */
static void test_leaked_space_stays_on_storage_that_cannot_tell_holes(void **state)
{
	struct repair_case *c = *state;

	leak(c);
	c->io.next_data = NULL;
	assert_int_equal(case_repair(c, 0), 0);
	assert_int_equal(c->result.mended, 0);
	assert_true(was_told(&c->left, 901));
	assert_int_equal(c->recorder.count, 0);
}

static void test_space_behind_the_last_structure_stays(void **state)
{
	struct repair_case *c = *state;
	uint64_t size = c->file.size;

	sparse_write(&c->file, "kept", 4, size + 3 * CASE_MIB);
	sparse_resize(&c->file, size + 4 * CASE_MIB);
	assert_int_equal(case_repair(c, 0), 0);
	assert_int_equal(c->result.mended, 0);
	assert_int_equal(c->file.size, size + 4 * CASE_MIB);
	assert_false(is_hole(c, size + 3 * CASE_MIB));
}

/* A disk that another fault keeps from being mended is not told what is whose. */
static void test_nothing_is_released_of_a_disk_that_cannot_be_mended(void **state)
{
	struct repair_case *c = *state;

	leak(c);
	case_put(c, case_value(c, SIZE_ITEM), 1025, 8);
	case_expect_refused(c, 519, -EUCLEAN);
}

/* Nobody knows what else lies where structures overlap. */
static void test_nothing_is_released_while_regions_overlap(void **state)
{
	struct repair_case *c = *state;
	uint64_t place = leak(c);

	case_add_region(c, "01234567-89AB-CDEF-0123-456789ABCDEF", c->bat, CASE_MIB);
	assert_int_equal(case_repair(c, 0), 0);
	assert_true(was_told(&c->left, 312));
	assert_true(was_told(&c->left, 901));
	assert_false(is_hole(c, place));
}

static void test_nothing_is_released_while_a_block_lies_too_far_out(void **state)
{
	struct repair_case *c = *state;
	uint64_t place = leak(c);
	uint64_t far = (uint64_t)1 << 49;

	sparse_resize(&c->file, far + CASE_MIB);
	case_put(c, entry_of(c, 1), far | 6, 8);
	assert_int_equal(case_repair(c, 0), 0);
	assert_true(was_told(&c->left, 902));
	assert_false(is_hole(c, place));
}

static void test_a_dry_run_releases_nothing(void **state)
{
	struct repair_case *c = *state;
	uint64_t place = leak(c);

	assert_int_equal(case_repair(c, VHDX_REPAIR_DRY_RUN), 0);
	assert_int_equal(c->result.released_bytes, CASE_MIB);
	assert_int_equal(c->recorder.count, 0);
	assert_false(is_hole(c, place));
}

static void test_space_of_unmapped_blocks_is_theirs(void **state)
{
	struct repair_case *c = *state;
	uint64_t entry = case_get(c, entry_of(c, INNER_BLOCK), 8);

	case_put(c, entry_of(c, INNER_BLOCK), (entry & ~(uint64_t)7) | 3, 8);
	assert_int_equal(case_repair(c, 0), 0);
	assert_int_equal(c->result.mended, 0);
	assert_false(is_hole(c, entry & ~(CASE_MIB - 1)));
}

#define DISK_TEST(test) cmocka_unit_test_setup_teardown(test, repair_case_make, repair_case_drop)

int main(void)
{
	const struct CMUnitTest tests[] = {
		DISK_TEST(test_leaked_space_becomes_a_hole),
		DISK_TEST(test_the_result_tells_what_was_released),
		DISK_TEST(test_leaked_space_stays_where_holes_are_not_wanted),
		DISK_TEST(test_leaked_space_stays_on_storage_without_holes),
		DISK_TEST(test_leaked_space_stays_on_storage_that_refuses_to_punch),
		DISK_TEST(test_leaked_space_stays_on_storage_that_cannot_tell_holes),
		DISK_TEST(test_space_behind_the_last_structure_stays),
		DISK_TEST(test_nothing_is_released_of_a_disk_that_cannot_be_mended),
		DISK_TEST(test_nothing_is_released_while_regions_overlap),
		DISK_TEST(test_nothing_is_released_while_a_block_lies_too_far_out),
		DISK_TEST(test_a_dry_run_releases_nothing),
		DISK_TEST(test_space_of_unmapped_blocks_is_theirs),
	};

	return RUN_TESTS(tests);
}
