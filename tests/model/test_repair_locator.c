/* SPDX-License-Identifier: MIT */
/* Damage to the parent locator: what repair makes of it, and what it refuses. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "support/repaircase.h"

/* A new locator: pairs of ASCII, packed behind the table, in room that nothing takes. */
#define PLACE 0x40000u

struct pair {
	const char *key;
	const char *value;
};

static void put_locator(struct repair_case *c, const struct pair *pairs, unsigned count)
{
	uint8_t item[4096] = {0};
	size_t used = 20 + 12 * count;

	put_guid(item, "B04AEFB7-D19E-4A81-B789-25B8E9445913");
	put_number(item + 18, count, 2);
	for (unsigned i = 0; i < count; i++)
		for (unsigned part = 0; part < 2; part++) {
			size_t length =
				put_utf16(item + used, part ? pairs[i].value : pairs[i].key);

			put_number(item + 20 + 12 * i + 4 * part, used, 4);
			put_number(item + 28 + 12 * i + 2 * part, length, 2);
			used += length;
		}
	sparse_write(&c->file, item, used, c->table + PLACE);
	case_put(c, case_entry(c, LOCATOR_ITEM) + 16, PLACE, 4);
	case_put(c, case_entry(c, LOCATOR_ITEM) + 20, used, 4);
}

/* The linkage that the parent is known by, from its current header. */
static const char *linkage(const struct repair_case *c, char ret_text[40])
{
	uint8_t header[2][48];
	char text[37];

	sparse_read(&c->parent, header[0], 48, 65536);
	sparse_read(&c->parent, header[1], 48, 2 * 65536);
	unsigned newer = get_number(header[1] + 8, 8) > get_number(header[0] + 8, 8);

	snprintf(ret_text, 40, "{%s}", guid_text(header[newer] + 32, text));
	return ret_text;
}

static void test_a_reserved_field_is_cleared(void **state)
{
	struct repair_case *c = *state;

	case_put(c, case_value(c, LOCATOR_ITEM) + 16, 0x101, 2);
	case_expect_mended(c, 809);
	assert_int_equal(case_get(c, case_value(c, LOCATOR_ITEM) + 16, 2), 0);
}

static void test_a_pair_that_stands_there_twice_is_removed_once(void **state)
{
	struct repair_case *c = *state;
	char text[40];
	struct pair pairs[] = {
		{"parent_linkage", linkage(c, text)},
		{"relative_path", ".\\parent.vhdx"},
		{"parent_linkage", linkage(c, text)},
		{"absolute_win32_path", "C:\\parent.vhdx"},
	};

	put_locator(c, pairs, 4);
	case_expect_mended(c, 808);
	assert_int_equal(case_get(c, case_value(c, LOCATOR_ITEM) + 18, 2), 3);
}

static void test_pairs_that_stand_there_often_are_kept_once_each(void **state)
{
	struct repair_case *c = *state;
	char text[40];
	struct pair pairs[] = {
		{"parent_linkage", linkage(c, text)}, {"relative_path", ".\\parent.vhdx"},
		{"parent_linkage", linkage(c, text)}, {"relative_path", ".\\parent.vhdx"},
		{"parent_linkage", linkage(c, text)},
	};

	put_locator(c, pairs, 5);
	case_expect_mended(c, 808);
	assert_int_equal(case_get(c, case_value(c, LOCATOR_ITEM) + 18, 2), 2);
}

static void test_a_key_with_two_values_is_left(void **state)
{
	struct repair_case *c = *state;
	char text[40];
	struct pair pairs[] = {
		{"parent_linkage", linkage(c, text)},
		{"relative_path", ".\\parent.vhdx"},
		{"relative_path", ".\\another.vhdx"},
	};

	put_locator(c, pairs, 3);
	case_expect_refused(c, 808, -EUCLEAN);
}

/* Strings that lie in the table would change with it. */
static void test_a_pair_is_left_when_strings_lie_in_the_table(void **state)
{
	struct repair_case *c = *state;
	char text[40];
	struct pair pairs[] = {
		{"parent_linkage", linkage(c, text)},
		{"relative_path", ".\\parent.vhdx"},
		{"relative_path", ".\\parent.vhdx"},
		{"volume_path", "x"},
	};

	put_locator(c, pairs, 4);
	/* One unit of the value, of which none is zero: the length of the first key. */
	case_put(c, c->table + PLACE + 20 + 3 * 12 + 4, 28, 4);
	case_expect_refused(c, 808, -EUCLEAN);
}

static void test_strings_at_odd_offsets_are_packed_anew(void **state)
{
	struct repair_case *c = *state;
	uint8_t item[4096];
	char text[40];
	struct pair pairs[] = {
		{"parent_linkage", linkage(c, text)},
		{"relative_path", ".\\parent.vhdx"},
	};
	const uint32_t strings = 20 + 2 * 12;

	put_locator(c, pairs, 2);
	uint64_t size = case_get(c, case_entry(c, LOCATOR_ITEM) + 20, 4);

	/* All of them one byte further on. */
	sparse_read(&c->file, item, size, c->table + PLACE);
	sparse_write(&c->file, item + strings, size - strings, c->table + PLACE + strings + 1);
	case_put(c, case_entry(c, LOCATOR_ITEM) + 20, size + 1, 4);
	for (unsigned at = 20; at < strings; at += 12) {
		case_put(c, c->table + PLACE + at, get_number(item + at, 4) + 1, 4);
		case_put(c, c->table + PLACE + at + 4, get_number(item + at + 4, 4) + 1, 4);
	}
	case_put(c, c->table + PLACE + 16, 1, 2);
	case_expect_mended(c, 812);
	assert_true(was_told(&c->mended, 809));
	assert_int_equal(case_get(c, case_entry(c, LOCATOR_ITEM) + 20, 4), size);
	sparse_read(&c->file, item + size, size, case_value(c, LOCATOR_ITEM));
	assert_memory_equal(item + size, item, size);
}

static void test_a_locator_of_an_unknown_type_is_left(void **state)
{
	struct repair_case *c = *state;

	case_put(c, case_value(c, LOCATOR_ITEM), 1, 1);
	case_put(c, case_value(c, LOCATOR_ITEM) + 16, 1, 2);
	case_expect_refused(c, 803, -ENOTSUP);
	assert_int_equal(c->mended.count, 0);
}

static void test_what_is_lost_of_a_locator_is_left(void **state)
{
	struct repair_case *c = *state;
	char text[40];
	struct pair no_path[] = {{"parent_linkage", linkage(c, text)}};
	struct pair no_linkage[] = {{"relative_path", ".\\parent.vhdx"}};
	struct pair bad_linkage[] = {{"parent_linkage", "{7584f8fb}"},
				     {"relative_path", ".\\parent.vhdx"}};

	put_locator(c, no_path, 1);
	case_expect_refused(c, 807, -EUCLEAN);
	put_locator(c, no_linkage, 1);
	case_expect_refused(c, 806, -EUCLEAN);
	put_locator(c, bad_linkage, 2);
	case_expect_refused(c, 806, -EUCLEAN);
	case_put(c, c->table + PLACE + 18, 300, 2);
	case_expect_refused(c, 804, -EUCLEAN);
	put_locator(c, bad_linkage, 2);
	case_put(c, c->table + PLACE + 28, 27, 2);
	case_expect_refused(c, 805, -EUCLEAN);
}

static void test_a_child_without_locator_is_left(void **state)
{
	struct repair_case *c = *state;

	case_put(c, case_entry(c, LOCATOR_ITEM) + 24, 1, 4); /* it is the user's */
	case_expect_refused(c, 801, -EUCLEAN);
}

/* Its blocks would lose what the parent holds of them. */
static void test_a_child_that_lost_its_flag_is_a_child_again(void **state)
{
	struct repair_case *c = *state;
	uint64_t flags = case_value(c, PARAMETERS_ITEM) + 4;

	case_put(c, flags, case_get(c, flags, 4) & ~2ull, 4);
	case_expect_mended(c, 802);
	assert_int_equal(case_get(c, flags, 4) & 2, 2);
	assert_int_not_equal(case_entry(c, LOCATOR_ITEM), 0);
}

static void test_a_locator_of_a_disk_without_parent_is_removed(void **state)
{
	struct repair_case *c = *state;

	case_add_item(c, LOCATOR_ITEM, PLACE, "0123456789012345678", 20, 4);
	case_expect_mended(c, 802);
	assert_int_equal(case_entry(c, LOCATOR_ITEM), 0);
}

/* Its bytes are another item's too. */
static void test_a_locator_that_overlaps_another_item_is_left(void **state)
{
	struct repair_case *c = *state;
	uint32_t place = (uint32_t)(case_value(c, LOCATOR_ITEM) - c->table);

	case_put(c, c->table + place + 16, 1, 2);
	case_fill_region(c);
	case_add_item(c, "01234567-89AB-CDEF-0123-456789ABCDEF", place + 16, NULL, 2, 0);
	assert_int_equal(case_repair(c, 0), 0);
	assert_true(was_told(&c->left, 809));
	assert_int_equal(c->recorder.count, 0);
}

#define DISK_TEST(test) cmocka_unit_test_setup_teardown(test, repair_case_make, repair_case_drop)
#define CHILD_TEST(test) \
	cmocka_unit_test_setup_teardown(test, repair_case_make_child, repair_case_drop)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CHILD_TEST(test_a_reserved_field_is_cleared),
		CHILD_TEST(test_a_child_that_lost_its_flag_is_a_child_again),
		CHILD_TEST(test_a_pair_that_stands_there_twice_is_removed_once),
		CHILD_TEST(test_pairs_that_stand_there_often_are_kept_once_each),
		CHILD_TEST(test_a_key_with_two_values_is_left),
		CHILD_TEST(test_a_pair_is_left_when_strings_lie_in_the_table),
		CHILD_TEST(test_strings_at_odd_offsets_are_packed_anew),
		CHILD_TEST(test_a_locator_of_an_unknown_type_is_left),
		CHILD_TEST(test_what_is_lost_of_a_locator_is_left),
		CHILD_TEST(test_a_locator_that_overlaps_another_item_is_left),
		CHILD_TEST(test_a_child_without_locator_is_left),
		DISK_TEST(test_a_locator_of_a_disk_without_parent_is_removed),
	};

	return RUN_TESTS(tests);
}
