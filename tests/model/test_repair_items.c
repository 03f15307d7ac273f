/* SPDX-License-Identifier: MIT */
/* Damage to the metadata table and its items: what repair makes of it, and what it refuses. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "support/repaircase.h"

#define OTHER_ITEM "01234567-89AB-CDEF-0123-456789ABCDEF"

/* Fields of an entry (F 5). */
#define OFFSET	 16
#define LENGTH	 20
#define FLAGS	 24
#define RESERVED 28

/* Room of the region that nothing takes. */
#define FREE_ROOM 0x40000u

static void test_a_sound_disk_is_left_alone(void **state)
{
	struct repair_case *c = *state;

	assert_int_equal(case_repair(c, 0), 0);
	assert_int_equal(c->result.mended, 0);
	assert_int_equal(c->recorder.count, 0);
	case_expect_contents(c);
}

/* ---- the head ---- */

static void test_a_lost_signature_is_written(void **state)
{
	struct repair_case *c = *state;

	case_put(c, c->table, 0, 8);
	case_expect_mended(c, 501);
}

static void test_no_signature_is_written_over_a_table_that_lacks_an_item(void **state)
{
	struct repair_case *c = *state;

	case_put(c, c->table, 0, 8);
	case_put(c, case_entry(c, SIZE_ITEM), 77, 1);
	case_expect_refused(c, 501, -EUCLEAN);
}

static void test_no_signature_is_written_over_a_table_with_a_value_that_cannot_be(void **state)
{
	struct repair_case *c = *state;

	case_put(c, c->table, 0, 8);
	case_put(c, case_value(c, PARAMETERS_ITEM), 3 * CASE_MIB, 4);
	case_expect_refused(c, 501, -EUCLEAN);
}

static void test_no_signature_is_written_over_a_child_without_a_locator(void **state)
{
	struct repair_case *c = *state;

	case_put(c, c->table, 0, 8);
	case_put(c, case_entry(c, LOCATOR_ITEM), 77, 1);
	case_expect_refused(c, 501, -EUCLEAN);
}

static void test_no_signature_is_written_over_a_table_with_an_item_twice(void **state)
{
	struct repair_case *c = *state;
	uint64_t size = CASE_SIZE;

	case_put(c, c->table, 0, 8);
	case_add_item(c, SIZE_ITEM, FREE_ROOM, &size, 8, 6);
	case_expect_refused(c, 501, -EUCLEAN);
}

static void test_a_count_that_cannot_be_is_counted_anew(void **state)
{
	struct repair_case *c = *state;

	case_put(c, c->table + 10, 0xffff, 2);
	case_expect_mended(c, 502);
	assert_int_equal(c->mended.count, 1);
	assert_int_equal(case_entry_count(c), 5);
}

/* Windows leaves a copy of the last entry behind it. */
static void test_leftovers_behind_the_last_entry_are_not_counted(void **state)
{
	struct repair_case *c = *state;
	uint8_t entry[32];

	sparse_read(&c->file, entry, sizeof(entry), c->table + 32 + 4 * 32);
	sparse_write(&c->file, entry, sizeof(entry), c->table + 32 + 5 * 32);
	case_put(c, c->table + 10, 2048, 2);
	case_expect_mended(c, 502);
	assert_int_equal(c->mended.count, 1);
	assert_int_equal(case_entry_count(c), 5);
}

static void test_a_count_stays_when_an_item_is_not_found(void **state)
{
	struct repair_case *c = *state;

	case_put(c, case_entry(c, SECTOR_ITEM), 77, 1);
	case_put(c, c->table + 10, 2048, 2);
	case_expect_refused(c, 502, -EUCLEAN);
}

/* The guest knows its disk by this ID. */
static void test_items_behind_a_count_that_is_too_small_count_again(void **state)
{
	struct repair_case *c = *state;
	uint64_t id = case_get(c, case_value(c, ID_ITEM), 8);

	case_put(c, c->table + 10, 4, 2);
	case_expect_mended(c, 522);
	assert_int_equal(case_entry_count(c), 5);
	assert_int_equal(case_get(c, case_value(c, ID_ITEM), 8), id);
	case_put(c, c->table + 10, 0, 2);
	case_expect_mended(c, 507);
	assert_true(was_told(&c->mended, 523));
	assert_int_equal(case_entry_count(c), 5);
}

static void test_a_locator_behind_a_count_that_is_too_small_counts_again(void **state)
{
	struct repair_case *c = *state;

	case_put(c, c->table + 10, 5, 2);
	case_expect_mended(c, 801);
	assert_int_equal(case_entry_count(c), 6);
}

/* What was removed from the table may still stand behind it. */
static void test_an_unknown_item_behind_the_last_entry_does_not_count_again(void **state)
{
	struct repair_case *c = *state;

	case_add_item(c, OTHER_ITEM, FREE_ROOM, "gone", 4, 0);
	case_put(c, c->table + 10, 5, 2);
	test_a_sound_disk_is_left_alone(state);
	assert_int_equal(case_entry_count(c), 5);
}

static void test_a_value_that_cannot_be_does_not_count_again(void **state)
{
	struct repair_case *c = *state;
	uint64_t value = case_value(c, PHYSICAL_ITEM);

	case_put(c, value, 513, 4);
	case_put(c, c->table + 10, 3, 2); /* the physical size is behind it, and then the ID */
	case_expect_mended(c, 523);
	assert_int_equal(case_get(c, case_value(c, PHYSICAL_ITEM), 4), 512);
}

static void test_nothing_behind_a_required_unknown_item_counts_again(void **state)
{
	struct repair_case *c = *state;

	case_put(c, case_entry(c, PHYSICAL_ITEM), 77, 1);
	case_put(c, c->table + 10, 3, 2);
	case_expect_mended(c, 522);
	assert_true(was_told(&c->mended, 523));
}

static void test_reserved_fields_of_the_table_are_cleared(void **state)
{
	struct repair_case *c = *state;

	case_put(c, c->table + 8, 1, 2);
	case_put(c, c->table + 31, 1, 1);
	case_expect_mended(c, 503);
	assert_int_equal(case_get(c, c->table + 8, 2), 0);
	assert_int_equal(case_get(c, c->table + 31, 1), 0);
}

/* ---- entries ---- */

static uint32_t offset_of(const struct repair_case *c, const char *guid)
{
	return (uint32_t)case_get(c, case_entry(c, guid) + OFFSET, 4);
}

static void test_of_two_equal_items_the_later_is_removed(void **state)
{
	struct repair_case *c = *state;
	uint64_t size = CASE_SIZE;
	uint32_t first = offset_of(c, SIZE_ITEM);

	case_add_item(c, SIZE_ITEM, FREE_ROOM, &size, 8, 6);
	case_expect_mended(c, 504);
	assert_int_equal(case_entry_count(c), 5);
	assert_int_equal(offset_of(c, SIZE_ITEM), first);
}

static void test_of_two_items_the_wrong_one_is_removed(void **state)
{
	struct repair_case *c = *state;
	uint32_t second = FREE_ROOM;
	uint64_t right = CASE_SIZE;

	case_put(c, case_value(c, SIZE_ITEM), 1025, 8);
	case_add_item(c, SIZE_ITEM, second, &right, 8, 6);
	case_expect_mended(c, 504);
	assert_int_equal(offset_of(c, SIZE_ITEM), second);
}

static void test_the_later_of_two_items_goes_when_it_is_the_wrong_one(void **state)
{
	struct repair_case *c = *state;
	uint32_t first = offset_of(c, SECTOR_ITEM);
	uint32_t wrong = 513;

	case_add_item(c, SECTOR_ITEM, FREE_ROOM, &wrong, 4, 6);
	case_expect_mended(c, 504);
	assert_int_equal(offset_of(c, SECTOR_ITEM), first);
}

static void test_of_two_items_that_of_a_wrong_length_is_removed(void **state)
{
	struct repair_case *c = *state;
	uint32_t first = offset_of(c, SIZE_ITEM);
	uint64_t sizes[] = {CASE_SIZE, 0};

	case_add_item(c, SIZE_ITEM, FREE_ROOM, sizes, 9, 6);
	case_expect_mended(c, 504);
	assert_int_equal(offset_of(c, SIZE_ITEM), first);
}

/* Behind the region there may be the same bytes, which are not the item's. */
static void test_of_two_items_the_one_outside_the_region_is_removed(void **state)
{
	struct repair_case *c = *state;

	case_add_item(c, OTHER_ITEM, (uint32_t)CASE_MIB - 2, NULL, 4, 0);
	case_add_item(c, OTHER_ITEM, FREE_ROOM, NULL, 4, 0);
	case_expect_mended(c, 504);
	assert_int_equal(offset_of(c, OTHER_ITEM), FREE_ROOM);
}

static void test_two_valid_items_that_differ_are_left(void **state)
{
	struct repair_case *c = *state;
	uint64_t other = CASE_SIZE / 2;

	case_add_item(c, SIZE_ITEM, FREE_ROOM, &other, 8, 6);
	case_expect_refused(c, 504, -EUCLEAN);
}

static void test_an_item_that_stands_there_three_times_is_kept_once(void **state)
{
	struct repair_case *c = *state;
	uint64_t size = CASE_SIZE;

	case_add_item(c, SIZE_ITEM, FREE_ROOM, &size, 8, 6);
	case_add_item(c, SIZE_ITEM, FREE_ROOM + 8, &size, 8, 6);
	case_expect_mended(c, 504);
	assert_int_equal(case_entry_count(c), 5);
}

static void repeat_size(struct repair_case *c, unsigned times, bool elsewhere)
{
	uint64_t size = CASE_SIZE;

	for (unsigned i = 0; i < times; i++)
		if (elsewhere)
			case_add_item(c, SIZE_ITEM, FREE_ROOM + 8 * i, &size, 8, 6);
		else
			case_add_item(c, SIZE_ITEM, offset_of(c, SIZE_ITEM), NULL, 8, 6);
}

static void test_items_that_repeat_one_more_often_than_is_judged_are_left(void **state)
{
	struct repair_case *c = *state;

	repeat_size(c, 64, true);
	case_expect_mended(c, 504);
	repeat_size(c, 65, true);
	case_expect_refused(c, 504, -EUCLEAN);
}

static void test_entries_for_the_same_place_are_removed_however_many(void **state)
{
	struct repair_case *c = *state;

	repeat_size(c, 500, false);
	case_expect_mended(c, 504);
	assert_int_equal(case_entry_count(c), 5);
}

/* The user's item of a known GUID is another item. */
static void test_the_users_item_is_no_duplicate_of_the_systems(void **state)
{
	struct repair_case *c = *state;

	case_add_item(c, SIZE_ITEM, FREE_ROOM, "mine", 4, 1);
	test_a_sound_disk_is_left_alone(state);
	assert_int_equal(case_entry_count(c), 6);
}

static void test_a_required_unknown_item_is_left(void **state)
{
	struct repair_case *c = *state;

	case_add_item(c, OTHER_ITEM, FREE_ROOM, "text", 4, 4);
	case_expect_refused(c, 505, -ENOTSUP);
}

static void test_a_required_unknown_item_is_not_removed_for_its_place(void **state)
{
	struct repair_case *c = *state;

	case_add_item(c, OTHER_ITEM, 0x20, NULL, 4, 4);
	case_expect_refused(c, 505, -ENOTSUP);
}

static void test_an_unfinished_file_is_left(void **state)
{
	struct repair_case *c = *state;

	case_add_item(c, "71CC85F0-1B69-4E28-9558-C3BF83AE75D3", 0, NULL, 0, 4);
	case_expect_refused(c, 506, -EUCLEAN);
}

static void test_an_entry_without_id_is_removed(void **state)
{
	struct repair_case *c = *state;
	unsigned count = case_entry_count(c);

	case_put(c, c->table + 10, count + 3, 2); /* zeros stand behind the last */
	case_expect_mended(c, 516);
	assert_int_equal(case_entry_count(c), count);
}

static void test_an_unknown_item_outside_its_region_is_removed(void **state)
{
	struct repair_case *c = *state;

	case_add_item(c, OTHER_ITEM, (uint32_t)CASE_MIB - 3, NULL, 4, 0);
	case_expect_mended(c, 510);
	assert_int_equal(case_entry(c, OTHER_ITEM), 0);
}

static void test_a_needed_item_outside_its_region_is_left(void **state)
{
	struct repair_case *c = *state;

	case_put(c, case_entry(c, SIZE_ITEM) + OFFSET, 0x20, 4);
	case_expect_refused(c, 509, -EUCLEAN);
}

static void test_reserved_flags_of_an_item_are_cleared(void **state)
{
	struct repair_case *c = *state;
	uint64_t entry = case_entry(c, SIZE_ITEM);

	case_put(c, entry + FLAGS, 0x80000006, 4);
	case_put(c, entry + RESERVED, 5, 4);
	case_expect_mended(c, 512);
	assert_int_equal(case_get(c, entry + FLAGS, 4), 6);
	assert_int_equal(case_get(c, entry + RESERVED, 4), 0);
}

static void test_unusual_flags_of_an_item_stay(void **state)
{
	struct repair_case *c = *state;

	case_put(c, case_entry(c, SIZE_ITEM) + FLAGS, 2, 4);
	test_a_sound_disk_is_left_alone(state);
	assert_int_equal(case_get(c, case_entry(c, SIZE_ITEM) + FLAGS, 4), 2);
}

static void test_is_virtual_disk_becomes_as_it_should_be(void **state)
{
	struct repair_case *c = *state;

	case_put(c, case_entry(c, SIZE_ITEM) + FLAGS, 4, 4);
	case_put(c, case_entry(c, PARAMETERS_ITEM) + FLAGS, 6, 4);
	case_expect_mended(c, 526);
	assert_int_equal(case_get(c, case_entry(c, SIZE_ITEM) + FLAGS, 4), 6);
	assert_int_equal(case_get(c, case_entry(c, PARAMETERS_ITEM) + FLAGS, 4), 4);
}

static void test_the_offset_of_an_empty_item_is_cleared(void **state)
{
	struct repair_case *c = *state;

	case_add_item(c, OTHER_ITEM, FREE_ROOM, NULL, 0, 0);
	case_expect_mended(c, 515);
	assert_int_equal(case_get(c, case_entry(c, OTHER_ITEM) + OFFSET, 4), 0);
	assert_int_equal(case_entry_count(c), 6);
}

static void test_a_wrong_length_of_a_valid_item_is_set(void **state)
{
	static const char *const items[] = {PARAMETERS_ITEM, SIZE_ITEM, ID_ITEM, SECTOR_ITEM,
					    PHYSICAL_ITEM};
	struct repair_case *c = *state;

	for (size_t i = 0; i < sizeof(items) / sizeof(items[0]); i++) {
		uint64_t right = case_get(c, case_entry(c, items[i]) + LENGTH, 4);

		case_put(c, case_entry(c, items[i]) + LENGTH, right + 1, 4);
		case_expect_mended(c, 508);
		assert_int_equal(case_get(c, case_entry(c, items[i]) + LENGTH, 4), right);
	}
}

static void test_a_wrong_length_is_left_when_the_value_cannot_be(void **state)
{
	struct repair_case *c = *state;

	case_put(c, case_entry(c, SIZE_ITEM) + LENGTH, 4, 4);
	case_put(c, case_value(c, SIZE_ITEM), 1025, 8);
	case_expect_refused(c, 508, -EUCLEAN);
}

static void test_a_wrong_length_is_left_when_the_place_cannot_be(void **state)
{
	struct repair_case *c = *state;

	case_put(c, case_entry(c, SIZE_ITEM) + LENGTH, 4, 4);
	case_put(c, case_entry(c, SIZE_ITEM) + OFFSET, (uint32_t)CASE_MIB - 4, 4);
	case_expect_refused(c, 508, -EUCLEAN);
}

static void test_an_item_of_many_is_no_users_to_remove(void **state)
{
	struct repair_case *c = *state;

	case_add_empty_items(c, 1025, 1);
	assert_int_equal(case_repair(c, 0), 0);
	assert_int_equal(c->result.mended, 0);
	assert_true(was_told(&c->left, 514));
	assert_int_equal(case_entry_count(c), 1030);
}

static void test_what_stands_behind_the_last_entry_stays(void **state)
{
	struct repair_case *c = *state;

	case_put(c, c->table + 32 + 5 * 32, 0x1122334455667788, 8);
	case_put(c, c->table + 65528, 0x8877665544332211, 8);
	case_put(c, case_entry(c, SIZE_ITEM) + FLAGS, 0x16, 4);
	case_expect_mended(c, 512);
	assert_int_equal(case_get(c, c->table + 32 + 5 * 32, 8), 0x1122334455667788);
	assert_int_equal(case_get(c, c->table + 65528, 8), 0x8877665544332211);
}

static void test_each_reserved_field_is_told(void **state)
{
	struct repair_case *c = *state;

	case_put(c, case_entry(c, SIZE_ITEM) + RESERVED, 5, 4);
	case_put(c, c->table + 31, 1, 1);
	case_expect_mended(c, 503);
	assert_true(was_told(&c->mended, 512));
}

#define DISK_TEST(test) cmocka_unit_test_setup_teardown(test, repair_case_make, repair_case_drop)
#define CHILD_TEST(test) \
	cmocka_unit_test_setup_teardown(test, repair_case_make_child, repair_case_drop)

int main(void)
{
	const struct CMUnitTest tests[] = {
		DISK_TEST(test_a_sound_disk_is_left_alone),
		CHILD_TEST(test_a_sound_disk_is_left_alone),
		DISK_TEST(test_a_lost_signature_is_written),
		CHILD_TEST(test_a_lost_signature_is_written),
		DISK_TEST(test_no_signature_is_written_over_a_table_that_lacks_an_item),
		DISK_TEST(test_no_signature_is_written_over_a_table_with_a_value_that_cannot_be),
		DISK_TEST(test_no_signature_is_written_over_a_table_with_an_item_twice),
		CHILD_TEST(test_no_signature_is_written_over_a_child_without_a_locator),
		DISK_TEST(test_a_count_that_cannot_be_is_counted_anew),
		DISK_TEST(test_leftovers_behind_the_last_entry_are_not_counted),
		DISK_TEST(test_a_count_stays_when_an_item_is_not_found),
		DISK_TEST(test_items_behind_a_count_that_is_too_small_count_again),
		CHILD_TEST(test_a_locator_behind_a_count_that_is_too_small_counts_again),
		DISK_TEST(test_an_unknown_item_behind_the_last_entry_does_not_count_again),
		DISK_TEST(test_a_value_that_cannot_be_does_not_count_again),
		DISK_TEST(test_nothing_behind_a_required_unknown_item_counts_again),
		DISK_TEST(test_reserved_fields_of_the_table_are_cleared),
		DISK_TEST(test_of_two_equal_items_the_later_is_removed),
		DISK_TEST(test_of_two_items_the_wrong_one_is_removed),
		DISK_TEST(test_the_later_of_two_items_goes_when_it_is_the_wrong_one),
		DISK_TEST(test_of_two_items_the_one_outside_the_region_is_removed),
		DISK_TEST(test_of_two_items_that_of_a_wrong_length_is_removed),
		DISK_TEST(test_two_valid_items_that_differ_are_left),
		DISK_TEST(test_an_item_that_stands_there_three_times_is_kept_once),
		DISK_TEST(test_items_that_repeat_one_more_often_than_is_judged_are_left),
		DISK_TEST(test_entries_for_the_same_place_are_removed_however_many),
		DISK_TEST(test_the_users_item_is_no_duplicate_of_the_systems),
		DISK_TEST(test_a_required_unknown_item_is_left),
		DISK_TEST(test_a_required_unknown_item_is_not_removed_for_its_place),
		DISK_TEST(test_an_unfinished_file_is_left),
		DISK_TEST(test_an_entry_without_id_is_removed),
		DISK_TEST(test_an_unknown_item_outside_its_region_is_removed),
		DISK_TEST(test_a_needed_item_outside_its_region_is_left),
		DISK_TEST(test_reserved_flags_of_an_item_are_cleared),
		DISK_TEST(test_unusual_flags_of_an_item_stay),
		DISK_TEST(test_is_virtual_disk_becomes_as_it_should_be),
		DISK_TEST(test_the_offset_of_an_empty_item_is_cleared),
		DISK_TEST(test_a_wrong_length_of_a_valid_item_is_set),
		DISK_TEST(test_a_wrong_length_is_left_when_the_value_cannot_be),
		DISK_TEST(test_a_wrong_length_is_left_when_the_place_cannot_be),
		DISK_TEST(test_an_item_of_many_is_no_users_to_remove),
		DISK_TEST(test_each_reserved_field_is_told),
		DISK_TEST(test_what_stands_behind_the_last_entry_stays),
	};

	return RUN_TESTS(tests);
}
