/* SPDX-License-Identifier: MIT */
/* What the faults of a BAT cost of the disk: each byte counts once. */
#include "meta/batloss.h"
#include "support/unit.h"

/* Blocks of 2 MiB; of the last one the disk has a sector. */
static struct geometry small_disk(void)
{
	return geometry_make(10 * MIB + 512, 2 * MIB, 512, true);
}

static void test_the_last_block_is_cut_to_the_end_of_the_disk(void **state)
{
	struct geometry g = small_disk();

	(void)state;
	assert_int_equal(vhdx_guest_part(&g, 4).offset, 8 * MIB);
	assert_int_equal(vhdx_guest_part(&g, 4).length, 2 * MIB);
	assert_int_equal(vhdx_guest_part(&g, 5).offset, 10 * MIB);
	assert_int_equal(vhdx_guest_part(&g, 5).length, 512);
}

static void test_blocks_are_added_up(void **state)
{
	struct geometry g = small_disk();
	struct bat_loss all = {0};

	(void)state;
	vhdx_bat_loss_add(&all, &g, 0, &(struct block_loss){.lost = 2 * MIB}, false);
	vhdx_bat_loss_add(&all, &g, 1, &(struct block_loss){.lost = 512, .doubtful = 1024}, false);
	vhdx_bat_loss_add(&all, &g, 5, &(struct block_loss){.doubtful = 512}, false);
	assert_int_equal(all.lost_bytes, 2 * MIB + 512);
	assert_int_equal(all.doubtful_bytes, 1536);
	assert_int_equal(all.lost_blocks, 2);
	assert_int_equal(all.partial.count, 0);
}

/* Of three, one is sound, one is in doubt, one has lost a part already. */
static struct bat_loss partial_blocks(void)
{
	struct geometry g = small_disk();
	struct bat_loss all = {0};

	vhdx_bat_loss_add(&all, &g, 1, &(struct block_loss){0}, true);
	vhdx_bat_loss_add(&all, &g, 2, &(struct block_loss){.doubtful = 2 * MIB}, true);
	vhdx_bat_loss_add(&all, &g, 4, &(struct block_loss){.lost = MIB, .doubtful = MIB}, true);
	return all;
}

static void test_partial_blocks_make_a_part_with_what_is_between_them(void **state)
{
	struct bat_loss all = partial_blocks();

	(void)state;
	assert_int_equal(all.partial.count, 3);
	assert_int_equal(all.partial.part.offset, 2 * MIB);
	assert_int_equal(all.partial.part.length, 8 * MIB);
	assert_int_equal(all.partial.part.loss_bytes, 6 * MIB);
}

static void test_a_lost_bitmap_loses_what_its_blocks_had_left(void **state)
{
	struct bat_loss all = partial_blocks();

	(void)state;
	vhdx_bat_loss_bitmap(&all, true);
	assert_int_equal(all.lost_bytes, 6 * MIB);
	assert_int_equal(all.doubtful_bytes, 0);
	assert_int_equal(all.lost_blocks, 3);
}

static void test_a_doubtful_bitmap_puts_the_rest_of_its_blocks_in_doubt(void **state)
{
	struct bat_loss all = partial_blocks();

	(void)state;
	vhdx_bat_loss_bitmap(&all, false);
	assert_int_equal(all.lost_bytes, MIB);
	assert_int_equal(all.doubtful_bytes, 5 * MIB);
	assert_int_equal(all.lost_blocks, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_the_last_block_is_cut_to_the_end_of_the_disk),
		cmocka_unit_test(test_blocks_are_added_up),
		cmocka_unit_test(test_partial_blocks_make_a_part_with_what_is_between_them),
		cmocka_unit_test(test_a_lost_bitmap_loses_what_its_blocks_had_left),
		cmocka_unit_test(test_a_doubtful_bitmap_puts_the_rest_of_its_blocks_in_doubt),
	};

	return RUN_TESTS(tests);
}
