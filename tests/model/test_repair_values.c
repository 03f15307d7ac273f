/* SPDX-License-Identifier: MIT */
/* Damage to places and values of metadata items: what repair makes of it, and what it refuses. */
#include <errno.h>
#include <string.h>

#include "support/repaircase.h"

#define OTHER_ITEM "01234567-89AB-CDEF-0123-456789ABCDEF"

/* Fields of an entry (F 5). */
#define OFFSET 16
#define LENGTH 20
#define FLAGS  24

/* Room of the region that nothing takes. */
#define FREE_ROOM 0x40000u

static uint32_t offset_of(const struct repair_case *c, const char *guid)
{
	return (uint32_t)case_get(c, case_entry(c, guid) + OFFSET, 4);
}

static void remove_entry(struct repair_case *c, const char *guid)
{
	uint64_t entry = case_entry(c, guid);
	uint64_t end = c->table + 32 + 32 * (uint64_t)case_entry_count(c);
	uint8_t bytes[32];

	for (uint64_t at = entry; at + 32 < end; at += 32) {
		sparse_read(&c->file, bytes, 32, at + 32);
		sparse_write(&c->file, bytes, 32, at);
	}
	case_put(c, c->table + 10, case_entry_count(c) - 1, 2);
}

/* ---- places ---- */

static void expect_text(struct repair_case *c, const char *guid, const char *text)
{
	char found[64];
	size_t length = strlen(text);

	assert_int_equal(case_get(c, case_entry(c, guid) + LENGTH, 4), length);
	sparse_read(&c->file, found, length, case_value(c, guid));
	assert_memory_equal(found, text, length);
}

static void test_the_second_of_two_that_overlap_gets_a_copy(void **state)
{
	struct repair_case *c = *state;
	const char *third = "01234567-89AB-CDEF-0123-456789ABCDE0";

	case_add_item(c, OTHER_ITEM, FREE_ROOM, "abcdefgh", 8, 0);
	case_add_item(c, third, FREE_ROOM + 4, NULL, 4, 0);
	case_expect_mended(c, 511);
	assert_int_equal(offset_of(c, OTHER_ITEM), FREE_ROOM);
	assert_int_not_equal(offset_of(c, third), FREE_ROOM + 4);
	expect_text(c, OTHER_ITEM, "abcdefgh");
	expect_text(c, third, "efgh");
}

static void test_an_item_that_no_other_overlaps_any_more_stays(void **state)
{
	struct repair_case *c = *state;
	const char *second = "01234567-89AB-CDEF-0123-456789ABCDE0";
	const char *third = "01234567-89AB-CDEF-0123-456789ABCDE1";

	case_add_item(c, OTHER_ITEM, FREE_ROOM, "abcdefgh", 8, 0);
	case_add_item(c, second, FREE_ROOM + 4, "efghijkl", 8, 0);
	case_add_item(c, third, FREE_ROOM + 10, "klmn", 4, 0);
	case_expect_mended(c, 511);
	assert_int_equal(c->mended.count, 1);
	assert_int_equal(offset_of(c, third), FREE_ROOM + 10);
	expect_text(c, second, "efghijkl");
	expect_text(c, third, "klmn");
}

/* A needed item's value is what it was, wherever it is. */
static void test_a_needed_item_that_overlaps_another_reads_as_before(void **state)
{
	struct repair_case *c = *state;
	uint32_t place = offset_of(c, PHYSICAL_ITEM);
	uint64_t value = case_get(c, case_value(c, PHYSICAL_ITEM), 4);

	case_add_item(c, OTHER_ITEM, place - 2, NULL, 4, 0);
	case_expect_mended(c, 511);
	assert_int_equal(case_get(c, case_value(c, PHYSICAL_ITEM), 4), value);
}

static void test_without_room_what_overlaps_stays_as_it_is(void **state)
{
	struct repair_case *c = *state;

	case_fill_region(c);
	case_add_item(c, OTHER_ITEM, FREE_ROOM, NULL, 200, 0);
	assert_int_equal(case_repair(c, 0), 0);
	assert_int_equal(c->result.mended, 0);
	assert_true(was_told(&c->left, 511));
	assert_int_equal(c->recorder.count, 0);
}

/* Its room may hold what is another's. */
static void test_a_region_that_another_overlaps_is_left(void **state)
{
	struct repair_case *c = *state;

	remove_entry(c, ID_ITEM);
	case_add_region(c, OTHER_ITEM, c->table, CASE_MIB);
	assert_int_equal(case_repair(c, 0), 0);
	assert_int_equal(c->result.mended, 0);
	assert_true(was_told(&c->left, 312));
	assert_true(was_told(&c->left, 522));
	assert_int_equal(c->recorder.count, 0);
}

/* What the log holds comes first. */
static void test_the_table_is_left_while_a_log_cannot_be_replayed(void **state)
{
	struct repair_case *c = *state;

	case_put(c, case_entry(c, SIZE_ITEM) + FLAGS, 0x16, 4);
	case_put(c, 65536 + 48, 1, 1);
	case_put(c, 2 * 65536 + 48, 1, 1);
	case_mend_checksums(c);
	case_expect_refused(c, 401, -EUCLEAN);
	assert_false(was_told(&c->mended, 512));
}

/* ---- values ---- */

static void test_reserved_flags_of_the_parameters_are_cleared(void **state)
{
	struct repair_case *c = *state;
	uint64_t flags = case_value(c, PARAMETERS_ITEM) + 4;
	uint64_t before = case_get(c, flags, 4);

	case_put(c, flags, before | 0x80000004, 4);
	case_expect_mended(c, 518);
	assert_int_equal(case_get(c, flags, 4), before);
}

static void test_a_new_disk_id_is_made(void **state)
{
	struct repair_case *c = *state;

	remove_entry(c, ID_ITEM);
	case_expect_mended(c, 522);
	assert_int_equal(case_get(c, case_entry(c, ID_ITEM) + FLAGS, 4), 6);
	assert_int_not_equal(case_get(c, case_value(c, ID_ITEM), 8), 0);
	assert_null(strstr(c->mended.text, "parent"));
}

static void test_of_a_child_the_parents_disk_id_is_said_to_be_usual(void **state)
{
	struct repair_case *c = *state;

	remove_entry(c, ID_ITEM);
	case_expect_mended(c, 522);
	assert_non_null(strstr(c->mended.text, "parent"));
}

static void test_a_missing_physical_sector_size_becomes_the_logical_one(void **state)
{
	struct repair_case *c = *state;

	remove_entry(c, PHYSICAL_ITEM);
	case_expect_mended(c, 523);
	assert_int_equal(case_get(c, case_value(c, PHYSICAL_ITEM), 4), 512);
}

static void test_without_room_no_item_is_added(void **state)
{
	struct repair_case *c = *state;

	remove_entry(c, ID_ITEM);
	case_fill_region(c);
	assert_int_equal(case_repair(c, 0), 0);
	assert_true(was_told(&c->left, 522));
	assert_int_equal(case_entry(c, ID_ITEM), 0);
}

static void test_to_a_full_table_no_item_is_added(void **state)
{
	struct repair_case *c = *state;

	remove_entry(c, ID_ITEM);
	case_add_empty_items(c, 2047 - case_entry_count(c), 0);
	assert_int_equal(case_repair(c, 0), 0);
	assert_int_equal(c->result.mended, 0);
	assert_true(was_told(&c->left, 522));
	assert_int_equal(case_entry_count(c), 2047);
}

/* Their bytes are another item's too. */
static void test_parameters_that_overlap_another_item_are_left(void **state)
{
	struct repair_case *c = *state;

	case_put(c, case_value(c, PARAMETERS_ITEM) + 7, 0x80, 1);
	case_fill_region(c);
	case_add_item(c, OTHER_ITEM, offset_of(c, PARAMETERS_ITEM) + 4, NULL, 4, 0);
	assert_int_equal(case_repair(c, 0), 0);
	assert_true(was_told(&c->left, 518));
	assert_int_equal(c->recorder.count, 0);
}

static void test_what_cannot_be_known_is_left(void **state)
{
	struct {
		unsigned problem;
		const char *guid;
		uint64_t value;
	} const rows[] = {
		{517, PARAMETERS_ITEM, 3 * CASE_MIB},
		{519, SIZE_ITEM, 1025},
		{520, SECTOR_ITEM, 1024},
		{520, PHYSICAL_ITEM, 0},
	};
	struct repair_case *c = *state;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		uint64_t at = case_value(c, rows[i].guid);
		uint64_t before = case_get(c, at, 4);

		case_put(c, at, rows[i].value, 4);
		case_expect_refused(c, rows[i].problem, -EUCLEAN);
		case_put(c, at, before, 4);
	}
}

static void test_a_missing_size_is_left(void **state)
{
	struct repair_case *c = *state;

	remove_entry(c, SIZE_ITEM);
	case_expect_refused(c, 507, -EUCLEAN);
}

/* One repair mends them all. */
static void test_faults_of_all_kinds_are_mended_together(void **state)
{
	static const unsigned mended[] = {504, 508, 511, 512, 518, 522, 523};
	struct repair_case *c = *state;
	uint64_t size = CASE_SIZE;

	remove_entry(c, PHYSICAL_ITEM);
	remove_entry(c, ID_ITEM);
	case_add_item(c, OTHER_ITEM, offset_of(c, SIZE_ITEM) - 4, NULL, 6, 0x10);
	case_add_item(c, SIZE_ITEM, FREE_ROOM, &size, 8, 6);
	case_put(c, case_value(c, PARAMETERS_ITEM) + 7, 0x80, 1);
	case_put(c, case_entry(c, SECTOR_ITEM) + LENGTH, 5, 4);
	case_put(c, c->table + 20, 1, 1);
	case_expect_mended(c, 503);
	for (size_t i = 0; i < sizeof(mended) / sizeof(mended[0]); i++)
		assert_true(was_told(&c->mended, mended[i]));
}

#define DISK_TEST(test) cmocka_unit_test_setup_teardown(test, repair_case_make, repair_case_drop)
#define CHILD_TEST(test) \
	cmocka_unit_test_setup_teardown(test, repair_case_make_child, repair_case_drop)

int main(void)
{
	const struct CMUnitTest tests[] = {
		DISK_TEST(test_the_second_of_two_that_overlap_gets_a_copy),
		DISK_TEST(test_an_item_that_no_other_overlaps_any_more_stays),
		DISK_TEST(test_a_needed_item_that_overlaps_another_reads_as_before),
		DISK_TEST(test_without_room_what_overlaps_stays_as_it_is),
		DISK_TEST(test_the_table_is_left_while_a_log_cannot_be_replayed),
		DISK_TEST(test_a_region_that_another_overlaps_is_left),
		DISK_TEST(test_reserved_flags_of_the_parameters_are_cleared),
		DISK_TEST(test_a_new_disk_id_is_made),
		CHILD_TEST(test_of_a_child_the_parents_disk_id_is_said_to_be_usual),
		DISK_TEST(test_a_missing_physical_sector_size_becomes_the_logical_one),
		DISK_TEST(test_without_room_no_item_is_added),
		DISK_TEST(test_to_a_full_table_no_item_is_added),
		DISK_TEST(test_parameters_that_overlap_another_item_are_left),
		DISK_TEST(test_what_cannot_be_known_is_left),
		DISK_TEST(test_a_missing_size_is_left),
		DISK_TEST(test_faults_of_all_kinds_are_mended_together),
	};

	return RUN_TESTS(tests);
}
