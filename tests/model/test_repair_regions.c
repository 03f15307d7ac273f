/* SPDX-License-Identifier: MIT */
/* Damage to the region tables: what repair makes of it, and what it refuses. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "support/headcase.h"

/* Fields of an entry (F 3). */
#define OFFSET	 16
#define LENGTH	 24
#define REQUIRED 28

#define TABLE_SIZE (64 * T_KIB)

static uint64_t region_get(const struct repair_case *c, const char *guid, uint64_t field,
			   unsigned width)
{
	return case_get(c, region_entry(c, 0, guid) + field, width);
}

static bool tables_are_equal(const struct repair_case *c)
{
	uint8_t *tables = malloc(2 * TABLE_SIZE);

	sparse_read(&c->file, tables, 2 * TABLE_SIZE, regions(0));
	bool equal = !memcmp(tables, tables + TABLE_SIZE, TABLE_SIZE);

	free(tables);
	return equal;
}

/* As case_expect_mended; the BAT and the metadata are where they were. */
static void expect_found_again(struct repair_case *c, unsigned problem)
{
	case_expect_mended(c, problem);
	assert_true(tables_are_equal(c));
	assert_int_equal(region_get(c, BAT_REGION, OFFSET, 8), c->bat);
	assert_int_equal(region_get(c, METADATA_REGION, OFFSET, 8), c->table);
}

/* ---- one table, or both ---- */

static void test_a_table_without_signature_is_written_anew(void **state)
{
	for (unsigned copy = 0; copy < 2; copy++) {
		head_flip(*state, regions(copy));
		expect_found_again(*state, 301);
		assert_int_equal(((struct repair_case *)*state)->mended.count, 1);
	}
}

static void test_a_table_with_a_wrong_checksum_is_written_anew(void **state)
{
	for (unsigned copy = 0; copy < 2; copy++) {
		head_flip(*state, regions(copy) + 16 + OFFSET + 3);
		expect_found_again(*state, 302);
		assert_int_equal(((struct repair_case *)*state)->mended.count, 1);
	}
}

/* Also what nobody understands behind the entries. */
static void test_the_first_of_two_valid_tables_is_copied_as_it_is(void **state)
{
	struct repair_case *c = *state;

	case_put(c, regions(0) + TABLE_SIZE - 1, 0x77, 1);
	head_fit(c);
	expect_found_again(c, 304);
	assert_int_equal(case_get(c, regions(1) + TABLE_SIZE - 1, 1), 0x77);
}

static void test_two_tables_that_complete_each_other_are_put_together(void **state)
{
	static const uint64_t places[] = {0, 8, 12, 16, 16 + OFFSET, 48 + LENGTH, TABLE_SIZE - 1};
	struct repair_case *c = *state;

	for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
		head_flip(c, regions(0) + places[i]);
		head_flip(c, regions(1) + 48 + OFFSET + 2);
		expect_found_again(c, 303);
		assert_non_null(strstr(c->mended.text, "checksum shows"));
	}
}

static void test_tables_that_are_wrong_in_the_same_place_are_taken_where_they_are_right(
	void **state)
{
	struct repair_case *c = *state;

	head_flip(c, regions(0) + TABLE_SIZE - 1);
	head_flip(c, regions(1) + TABLE_SIZE - 1);
	head_flip(c, regions(1) + 16 + OFFSET + 2);
	expect_found_again(c, 303);
	assert_null(strstr(c->mended.text, "checksum shows"));
}

static void test_without_tables_the_regions_are_found(void **state)
{
	head_zero(*state, regions(0), 2 * TABLE_SIZE);
	expect_found_again(*state, 303);
}

/* In one the entry of the metadata is right, in the other that of the BAT. */
static void test_each_region_is_taken_from_the_table_that_has_it_right(void **state)
{
	struct repair_case *c = *state;

	for (unsigned copy = 0; copy < 2; copy++) {
		head_flip(c, regions(copy) + TABLE_SIZE - 1);
		head_flip(c,
			  region_entry(c, copy, copy ? BAT_REGION : METADATA_REGION) + OFFSET + 6);
	}
	expect_found_again(c, 303);
}

static void test_an_unknown_region_of_a_damaged_table_stays(void **state)
{
	struct repair_case *c = *state;
	uint64_t place = c->file.size;

	sparse_resize(&c->file, place + T_MIB);
	region_add(c, OTHER_REGION, place, T_MIB, 0);
	head_flip(c, regions(0) + TABLE_SIZE - 1);
	head_flip(c, regions(1) + TABLE_SIZE - 1);
	expect_found_again(c, 303);
	assert_int_equal(region_get(c, OTHER_REGION, OFFSET, 8), place);
}

static void test_an_unknown_region_is_taken_from_the_table_that_is_left(void **state)
{
	struct repair_case *c = *state;
	uint64_t place = c->file.size;

	sparse_resize(&c->file, place + T_MIB);
	region_add(c, OTHER_REGION, place, T_MIB, 0);
	head_zero(c, regions(0), TABLE_SIZE);
	head_flip(c, regions(1) + TABLE_SIZE - 1);
	expect_found_again(c, 303);
	assert_int_equal(region_get(c, OTHER_REGION, OFFSET, 8), place);
}

static void test_a_damaged_table_that_names_a_wrong_place_in_the_file_is_not_trusted(void **state)
{
	struct repair_case *c = *state;

	region_put(c, METADATA_REGION, OFFSET, c->bat, 8);
	head_flip(c, regions(0) + TABLE_SIZE - 1);
	head_flip(c, regions(1) + TABLE_SIZE - 1);
	expect_found_again(c, 303);
}

/* A GUID that was hit makes of the BAT an unknown region that is required. */
static void test_a_region_whose_guid_is_damaged_is_found(void **state)
{
	struct repair_case *c = *state;

	for (unsigned copy = 0; copy < 2; copy++) {
		head_flip(c, regions(copy) + TABLE_SIZE - 1);
		head_flip(c, region_entry(c, copy, BAT_REGION) + 1);
	}
	expect_found_again(c, 303);
	assert_int_equal(case_get(c, regions(0) + 8, 4), 2);
}

/* Guest data that is metadata of an image inside the disk: nobody can tell that by itself. */
static void nest_metadata(struct repair_case *c)
{
	uint8_t *bytes = malloc(T_MIB);
	uint64_t id = case_value(c, SIZE_ITEM) - c->table;

	sparse_read(&c->file, bytes, T_MIB, c->table);
	put_number(bytes + id, 3 * T_MIB, 8);
	sparse_write(&c->file, bytes, T_MIB, case_get(c, c->bat + 8, 8) & ~(T_MIB - 1));
	memcpy(c->contents + T_MIB, bytes, T_MIB);
	free(bytes);
}

static void test_what_is_left_of_a_guid_names_its_region(void **state)
{
	struct repair_case *c = *state;

	nest_metadata(c);
	for (unsigned copy = 0; copy < 2; copy++) {
		head_flip(c, regions(copy) + TABLE_SIZE - 1);
		head_zero(c, region_entry(c, copy, METADATA_REGION), 8);
	}
	expect_found_again(c, 303);
}

static void test_a_region_that_is_damaged_itself_is_taken_on_trust(void **state)
{
	struct repair_case *c = *state;

	for (unsigned copy = 0; copy < 2; copy++)
		head_flip(c, regions(copy) + TABLE_SIZE - 1);
	head_zero(c, c->table, 8);
	expect_found_again(c, 303);
	assert_true(was_told(&c->mended, 501));
}

static void test_nothing_is_written_when_the_regions_are_not_found(void **state)
{
	struct repair_case *c = *state;

	head_zero(c, regions(0), 2 * TABLE_SIZE);
	head_zero(c, c->table, 8);
	case_expect_refused(c, 303, -EUCLEAN);
}

/* ---- what a valid table says ---- */

static void test_a_count_that_cannot_be_is_counted_anew(void **state)
{
	struct repair_case *c = *state;

	for (unsigned copy = 0; copy < 2; copy++)
		case_put(c, regions(copy) + 8, copy ? 2048 : UINT32_MAX, 4);
	head_fit(c);
	expect_found_again(c, 305);
	assert_int_equal(case_get(c, regions(0) + 8, 4), 2);
}

static void test_reserved_fields_are_cleared(void **state)
{
	struct repair_case *c = *state;

	for (unsigned copy = 0; copy < 2; copy++)
		case_put(c, regions(copy) + 12, 5, 4);
	head_fit(c);
	expect_found_again(c, 306);
	assert_int_equal(case_get(c, regions(1) + 12, 4), 0);
	region_put(c, BAT_REGION, REQUIRED, 3, 4);
	expect_found_again(c, 306);
	assert_int_equal(region_get(c, BAT_REGION, REQUIRED, 4), 1);
}

static void test_of_two_equal_regions_one_is_kept(void **state)
{
	struct repair_case *c = *state;

	region_add(c, BAT_REGION, c->bat, T_MIB, 1);
	expect_found_again(c, 307);
	assert_int_equal(case_get(c, regions(0) + 8, 4), 2);
}

static void test_of_two_regions_the_right_one_is_kept(void **state)
{
	struct repair_case *c = *state;
	uint64_t place = c->file.size;

	sparse_resize(&c->file, place + T_MIB);
	region_add(c, METADATA_REGION, c->table, T_MIB, 1);
	region_put(c, METADATA_REGION, OFFSET, place, 8); /* the first of them */
	expect_found_again(c, 307);
}

static void test_of_two_bats_the_one_that_is_a_bat_is_kept(void **state)
{
	struct repair_case *c = *state;
	static const uint8_t garbage[4096] = {0x55, 0x55, 0x55, 0x55, 0x55, 0x55, 0x55, 0x55, 1};
	uint64_t place = c->file.size;

	sparse_resize(&c->file, place + T_MIB);
	sparse_write(&c->file, garbage, sizeof(garbage), place);
	for (unsigned first = 0; first < 2; first++) {
		region_add(c, BAT_REGION, first ? place : c->bat, T_MIB, 1);
		region_put(c, BAT_REGION, OFFSET, first ? c->bat : place, 8);
		case_expect_mended(c, 307);
		assert_int_equal(region_get(c, BAT_REGION, OFFSET, 8), c->bat);
		sparse_write(&c->file, garbage, sizeof(garbage), place); /* it was a leak */
	}
}

static void test_two_unknown_regions_of_one_name_are_left_when_both_may_be_right(void **state)
{
	struct repair_case *c = *state;
	uint64_t place = c->file.size;

	sparse_resize(&c->file, place + 2 * T_MIB);
	region_add(c, OTHER_REGION, place, T_MIB, 0);
	region_add(c, OTHER_REGION, place + T_MIB, T_MIB, 0);
	case_expect_refused(c, 307, -EUCLEAN);
}

static void test_of_two_unknown_regions_the_one_in_the_file_is_kept(void **state)
{
	struct repair_case *c = *state;
	uint64_t place = c->file.size;

	sparse_resize(&c->file, place + T_MIB);
	region_add(c, OTHER_REGION, place + 5 * T_MIB, T_MIB, 0);
	region_add(c, OTHER_REGION, place, T_MIB, 0);
	expect_found_again(c, 307);
	assert_int_equal(region_get(c, OTHER_REGION, OFFSET, 8), place);
	assert_int_equal(case_get(c, regions(0) + 8, 4), 3);
}

/* Both tables name that region and no other. */
static void keep_only(struct repair_case *c, const char *guid)
{
	for (unsigned copy = 0; copy < 2; copy++) {
		uint8_t entry[32];
		uint64_t first = regions(copy) + 16;

		sparse_read(&c->file, entry, 32, region_entry(c, copy, guid));
		sparse_write(&c->file, entry, 32, first);
		head_zero(c, first + 32, 32);
		case_put(c, regions(copy) + 8, 1, 4);
	}
	head_fit(c);
}

static void test_a_missing_region_is_entered(void **state)
{
	keep_only(*state, METADATA_REGION);
	expect_found_again(*state, 308);
	keep_only(*state, BAT_REGION);
	expect_found_again(*state, 308);
}

static void test_an_empty_table_is_filled(void **state)
{
	struct repair_case *c = *state;

	case_put(c, regions(0) + 8, 0, 4);
	case_put(c, regions(1) + 8, 0, 4);
	head_fit(c);
	expect_found_again(c, 308);
}

static void test_an_unknown_region_that_is_required_is_left(void **state)
{
	struct repair_case *c = *state;

	sparse_resize(&c->file, c->file.size + T_MIB);
	region_add(c, OTHER_REGION, c->file.size - T_MIB, T_MIB, 1);
	case_put(c, regions(0) + 12, 5, 4);
	head_fit(c);
	case_expect_refused(c, 309, -ENOTSUP);
	assert_int_equal(c->mended.count, 0);
}

static void test_a_region_outside_the_file_is_found(void **state)
{
	static const char *const guids[] = {BAT_REGION, METADATA_REGION};

	for (size_t i = 0; i < 2; i++) {
		region_put(*state, guids[i], OFFSET, (uint64_t)1 << 60, 8);
		expect_found_again(*state, 310);
		region_put(*state, guids[i], OFFSET, UINT64_MAX - T_MIB + 1, 8);
		expect_found_again(*state, 310);
		region_put(*state, guids[i], OFFSET, 0, 8);
		expect_found_again(*state, 310);
		region_put(*state, guids[i], LENGTH, 0, 4);
		expect_found_again(*state, 310);
	}
}

static void test_the_right_place_is_taken_from_the_other_table(void **state)
{
	struct repair_case *c = *state;

	nest_metadata(c);
	case_put(c, region_entry(c, 0, METADATA_REGION) + OFFSET, 0, 8);
	head_fit(c);
	case_put(c, regions(1) + 4, 0, 4); /* and its checksum is wrong */
	expect_found_again(c, 310);
	assert_int_equal(region_get(c, METADATA_REGION, OFFSET, 8), c->table);
}

static void test_a_place_that_may_be_either_of_two_is_left(void **state)
{
	struct repair_case *c = *state;

	nest_metadata(c);
	region_put(c, METADATA_REGION, OFFSET, 0, 8);
	case_expect_refused(c, 310, -EUCLEAN);
}

/* ---- places ---- */

static void test_a_region_that_ends_within_a_mebibyte_gets_the_rest(void **state)
{
	struct repair_case *c = *state;

	region_put(c, METADATA_REGION, LENGTH, T_MIB - 4096, 4);
	region_put(c, BAT_REGION, LENGTH, 4096, 4);
	expect_found_again(c, 311);
	assert_int_equal(region_get(c, METADATA_REGION, LENGTH, 4), T_MIB);
	assert_int_equal(region_get(c, BAT_REGION, LENGTH, 4), T_MIB);
}

/* Moves what @place holds behind the file's end, and a little on. */
static void displace(struct repair_case *c, const char *guid, uint64_t place)
{
	uint8_t *bytes = malloc(T_MIB);
	uint64_t to = c->file.size + 8192;

	sparse_read(&c->file, bytes, T_MIB, place);
	sparse_resize(&c->file, c->file.size + 2 * T_MIB);
	sparse_write(&c->file, bytes, T_MIB, to);
	head_zero(c, place, T_MIB);
	region_put(c, guid, OFFSET, to, 8);
	free(bytes);
}

static void test_a_region_that_is_not_on_a_mebibyte_is_moved(void **state)
{
	struct repair_case *c = *state;
	uint8_t unknown[4096];
	uint8_t found[4096];

	displace(c, METADATA_REGION, c->table);
	displace(c, BAT_REGION, c->bat);
	memset(unknown, 0x6b, sizeof(unknown));
	sparse_write(&c->file, unknown, sizeof(unknown), c->file.size + 4096);
	region_add(c, OTHER_REGION, c->file.size - 4096, 4096, 0);
	case_expect_mended(c, 311);
	assert_false(was_told(&c->mended, 312)); /* not to the log's place */
	assert_true(tables_are_equal(c));
	assert_int_equal(region_get(c, METADATA_REGION, OFFSET, 8) % T_MIB, 0);
	assert_int_equal(region_get(c, BAT_REGION, OFFSET, 8) % T_MIB, 0);
	sparse_read(&c->file, found, sizeof(found), region_get(c, OTHER_REGION, OFFSET, 8));
	assert_memory_equal(found, unknown, sizeof(unknown));
}

static void test_a_log_over_a_region_is_made_anew(void **state)
{
	struct repair_case *c = *state;

	head_put(c, HEAD_LOG_OFFSET, c->bat, 8);
	expect_found_again(c, 312);
	assert_int_not_equal(case_get(c, head(0) + HEAD_LOG_OFFSET, 8), c->bat);
}

static void test_a_region_that_is_longer_than_it_need_be_is_cut(void **state)
{
	struct repair_case *c = *state;
	const char *first = c->bat < c->table ? BAT_REGION : METADATA_REGION;

	region_put(c, first, LENGTH, 3 * T_MIB, 4);
	expect_found_again(c, 312);
	assert_int_equal(region_get(c, first, LENGTH, 4), T_MIB);
}

static void test_regions_that_share_their_first_mebibyte_are_left(void **state)
{
	struct repair_case *c = *state;

	region_add(c, OTHER_REGION, c->bat, T_MIB, 0);
	case_expect_found(c, 312);
	assert_int_equal(case_repair(c, 0), 0);
	assert_int_equal(c->result.mended, 0);
	assert_true(was_told(&c->left, 312));
}

/* Nobody knows what an unknown region needs. */
static void test_an_unknown_region_is_not_cut(void **state)
{
	struct repair_case *c = *state;
	uint64_t place = c->file.size;

	sparse_resize(&c->file, place + 2 * T_MIB);
	region_add(c, OTHER_REGION, place, 2 * T_MIB, 0);
	region_add(c, "FEDCBA98-7654-3210-FEDC-BA9876543211", place + T_MIB, T_MIB, 0);
	case_expect_found(c, 312);
	assert_int_equal(case_repair(c, 0), 0);
	assert_int_equal(c->result.mended, 0);
	assert_true(was_told(&c->left, 312));
}

static void test_an_unknown_region_outside_the_file_is_taken_out(void **state)
{
	struct repair_case *c = *state;

	region_add(c, OTHER_REGION, (uint64_t)1 << 50, T_MIB, 0);
	expect_found_again(c, 313);
	assert_int_equal(case_get(c, regions(0) + 8, 4), 2);
}

static void test_an_unknown_region_and_a_missing_mark_stay(void **state)
{
	struct repair_case *c = *state;
	uint64_t place = c->file.size;

	sparse_resize(&c->file, place + T_MIB);
	region_add(c, OTHER_REGION, place, T_MIB, 0);
	region_put(c, BAT_REGION, REQUIRED, 0, 4);
	case_expect_found(c, 314);
	assert_int_equal(case_repair(c, 0), 0);
	assert_int_equal(c->result.mended, 0);
	assert_int_equal(c->recorder.count, 0);
}

#define DISK_TEST(test) cmocka_unit_test_setup_teardown(test, repair_case_make, repair_case_drop)

int main(void)
{
	const struct CMUnitTest tests[] = {
		DISK_TEST(test_a_table_without_signature_is_written_anew),
		DISK_TEST(test_a_table_with_a_wrong_checksum_is_written_anew),
		DISK_TEST(test_the_first_of_two_valid_tables_is_copied_as_it_is),
		DISK_TEST(test_two_tables_that_complete_each_other_are_put_together),
		DISK_TEST(
			test_tables_that_are_wrong_in_the_same_place_are_taken_where_they_are_right),
		DISK_TEST(test_without_tables_the_regions_are_found),
		DISK_TEST(test_each_region_is_taken_from_the_table_that_has_it_right),
		DISK_TEST(test_an_unknown_region_of_a_damaged_table_stays),
		DISK_TEST(test_an_unknown_region_is_taken_from_the_table_that_is_left),
		DISK_TEST(test_a_damaged_table_that_names_a_wrong_place_in_the_file_is_not_trusted),
		DISK_TEST(test_a_region_whose_guid_is_damaged_is_found),
		DISK_TEST(test_what_is_left_of_a_guid_names_its_region),
		DISK_TEST(test_a_region_that_is_damaged_itself_is_taken_on_trust),
		DISK_TEST(test_nothing_is_written_when_the_regions_are_not_found),
		DISK_TEST(test_a_count_that_cannot_be_is_counted_anew),
		DISK_TEST(test_reserved_fields_are_cleared),
		DISK_TEST(test_of_two_equal_regions_one_is_kept),
		DISK_TEST(test_of_two_regions_the_right_one_is_kept),
		DISK_TEST(test_of_two_bats_the_one_that_is_a_bat_is_kept),
		DISK_TEST(test_two_unknown_regions_of_one_name_are_left_when_both_may_be_right),
		DISK_TEST(test_of_two_unknown_regions_the_one_in_the_file_is_kept),
		DISK_TEST(test_a_missing_region_is_entered),
		DISK_TEST(test_an_empty_table_is_filled),
		DISK_TEST(test_an_unknown_region_that_is_required_is_left),
		DISK_TEST(test_a_region_outside_the_file_is_found),
		DISK_TEST(test_the_right_place_is_taken_from_the_other_table),
		DISK_TEST(test_a_place_that_may_be_either_of_two_is_left),
		DISK_TEST(test_a_region_that_ends_within_a_mebibyte_gets_the_rest),
		DISK_TEST(test_a_region_that_is_not_on_a_mebibyte_is_moved),
		DISK_TEST(test_a_log_over_a_region_is_made_anew),
		DISK_TEST(test_a_region_that_is_longer_than_it_need_be_is_cut),
		DISK_TEST(test_regions_that_share_their_first_mebibyte_are_left),
		DISK_TEST(test_an_unknown_region_is_not_cut),
		DISK_TEST(test_an_unknown_region_outside_the_file_is_taken_out),
		DISK_TEST(test_an_unknown_region_and_a_missing_mark_stay),
	};

	return RUN_TESTS(tests);
}
