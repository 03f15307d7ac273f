/* SPDX-License-Identifier: MIT */
/* The parent locator (F 8): what Windows writes, and each way in which it can be wrong. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "format/locator.h"
#include "support/bytes.h"
#include "support/unit.h"

/* An item of two pairs: keys "ab" and "k", values "value" and "w". */
struct item {
	uint8_t *bytes; /* malloc'ed to its exact size, so that a sanitizer sees a read beyond */
	size_t size;
};

#define KEY_0	20
#define KEY_1	32
#define STRINGS 44

static int make_item(void **state)
{
	struct item *item = malloc(sizeof(*item));
	uint8_t bytes[200] = {0};
	static const char *const strings[] = {"ab", "value", "k", "w"};
	size_t used = STRINGS;

	put_guid(bytes, "B04AEFB7-D19E-4A81-B789-25B8E9445913");
	put_number(bytes + 18, 2, 2);
	for (int i = 0; i < 4; i++) {
		uint8_t *pair = bytes + KEY_0 + 12 * (i / 2);

		put_number(pair + 4 * (i % 2), used, 4);
		put_number(pair + 8 + 2 * (i % 2), 2 * strlen(strings[i]), 2);
		used += put_utf16(bytes + used, strings[i]);
	}
	item->size = used;
	item->bytes = malloc(used);
	memcpy(item->bytes, bytes, used);
	*state = item;
	return 0;
}

static int drop_item(void **state)
{
	struct item *item = *state;

	free(item->bytes);
	free(item);
	return 0;
}

static void check_fault(const struct item *item, enum problem problem)
{
	struct locator locator = {.count = 77};
	struct fault fault = {0};

	assert_int_equal(vhdx_locator_decode(item->bytes, item->size, &locator, &fault), -EUCLEAN);
	assert_int_equal(fault.problem, problem);
	assert_string_not_equal(fault.text, "");
	assert_null(strchr(fault.text, '\n'));
	assert_int_equal(locator.count, 77);
}

static void test_pairs_are_found_by_their_keys(void **state)
{
	const struct item *item = *state;
	struct locator locator;
	struct fault fault;

	assert_int_equal(vhdx_locator_decode(item->bytes, item->size, &locator, &fault), 0);
	assert_int_equal(locator.count, 2);
	assert_memory_equal(&locator.type, &LOCATOR_TYPE_VHDX, 16);
	assert_string_equal(vhdx_locator_get(&locator, "ab"), "value");
	assert_string_equal(vhdx_locator_get(&locator, "k"), "w");
	assert_null(vhdx_locator_get(&locator, "K"));
	assert_null(vhdx_locator_get(&locator, "a"));
	vhdx_locator_free(&locator);
	vhdx_locator_free(&locator);
}

/* Places and lengths of the item of fat-differential.vhdx (F 8). */
static void test_what_windows_writes_encodes_to_the_same_places(void **state)
{
	static const struct locator_pair pairs[] = {
		{"parent_linkage", "{7584f8fb-36d3-4091-afb5-b1afe587bfa8}"},
		{"absolute_win32_path", "C:\\Projects\\dfvfs\\test_data\\fat-parent.vhdx"},
		{"relative_path", ".\\fat-parent.vhdx"},
		{"volume_path",
		 "\\\\?\\Volume{26a21bda-a627-11d7-9931-806e6f6e6963}\\Projects\\fat-parent.vhdx"},
		{"parent_linkage2", "{00000000-0000-0000-0000-000000000000}"},
	};
	uint8_t buf[1024];
	size_t size;
	struct locator locator;
	struct fault fault;

	(void)state;
	assert_int_equal(vhdx_locator_encode(pairs, 5, buf, sizeof(buf), &size), 0);
	assert_int_equal(get_number(buf + 20, 4), 80);
	assert_int_equal(get_number(buf + 20 + 12, 4), 184);
	assert_int_equal(vhdx_locator_decode(buf, size, &locator, &fault), 0);
	assert_int_equal(locator.count, 5);
	for (int i = 0; i < 5; i++)
		assert_string_equal(vhdx_locator_get(&locator, pairs[i].key), pairs[i].value);
	vhdx_locator_free(&locator);
	assert_int_equal(vhdx_locator_encode(pairs, 5, buf, size, &size), 0);
	assert_int_equal(vhdx_locator_encode(pairs, 5, buf, size - 1, &size), -ENAMETOOLONG);
}

static void test_characters_of_every_length_survive(void **state)
{
	static const struct locator_pair pairs[] = {{"k\xc3\xa9", "\xe2\x82\xac/\xf0\x9f\x98\x80"}};
	uint8_t buf[256];
	size_t size;
	struct locator locator;
	struct fault fault;

	(void)state;
	assert_int_equal(vhdx_locator_encode(pairs, 1, buf, sizeof(buf), &size), 0);
	assert_int_equal(size, 20 + 12 + 4 + 8);
	assert_int_equal(vhdx_locator_decode(buf, size, &locator, &fault), 0);
	assert_string_equal(vhdx_locator_get(&locator, pairs[0].key), pairs[0].value);
	vhdx_locator_free(&locator);
	assert_int_equal(vhdx_locator_encode(&(struct locator_pair){"k", "\xff"}, 1, buf,
					     sizeof(buf), &size),
			 -EILSEQ);
}

static void test_an_empty_locator_has_no_pairs(void **state)
{
	struct item *item = *state;
	struct locator locator;
	struct fault fault;

	put_number(item->bytes + 16, 0xabcd, 2);
	put_number(item->bytes + 18, 0, 2);
	assert_int_equal(vhdx_locator_decode(item->bytes, item->size, &locator, &fault), 0);
	assert_int_equal(locator.count, 0);
	assert_int_equal(locator.reserved, 0xabcd);
	assert_null(vhdx_locator_get(&locator, "k"));
	vhdx_locator_free(&locator);
}

static void test_an_item_shorter_than_its_header_is_refused(void **state)
{
	struct item *item = *state;
	uint8_t *bytes = malloc(19);

	memcpy(bytes, item->bytes, 19);
	check_fault(&(struct item){bytes, 19}, PROBLEM_LOCATOR_TABLE);
	check_fault(&(struct item){bytes, 0}, PROBLEM_LOCATOR_TABLE);
	free(bytes);
}

static void test_more_pairs_than_the_item_holds_are_refused(void **state)
{
	struct item *item = *state;

	put_number(item->bytes + 18, 256, 2);
	check_fault(item, PROBLEM_LOCATOR_TABLE);
	put_number(item->bytes + 18, 0xffff, 2);
	check_fault(item, PROBLEM_LOCATOR_TABLE);
}

static void test_strings_outside_the_item_are_refused(void **state)
{
	struct item *item = *state;
	static const uint32_t offsets[] = {0, 61, 1000, 0x7fffffff, 0xfffffffe, 0xffffffff};

	for (size_t i = 0; i < sizeof(offsets) / sizeof(offsets[0]); i++) {
		put_number(item->bytes + KEY_1, offsets[i], 4);
		check_fault(item, PROBLEM_LOCATOR_TABLE);
		put_number(item->bytes + KEY_1, 58, 4);
		put_number(item->bytes + KEY_0 + 4, offsets[i], 4);
		check_fault(item, PROBLEM_LOCATOR_TABLE);
		put_number(item->bytes + KEY_0 + 4, 48, 4);
	}
}

static void test_a_string_that_leaves_the_item_is_refused(void **state)
{
	struct item *item = *state;

	put_number(item->bytes + KEY_1 + 10, 4, 2);
	check_fault(item, PROBLEM_LOCATOR_TABLE);
	put_number(item->bytes + KEY_1 + 10, 0xfffe, 2);
	check_fault(item, PROBLEM_LOCATOR_TABLE);
}

static void test_empty_strings_are_refused(void **state)
{
	struct item *item = *state;

	put_number(item->bytes + KEY_0 + 8, 0, 2);
	check_fault(item, PROBLEM_LOCATOR_TABLE);
	put_number(item->bytes + KEY_0 + 8, 4, 2);
	put_number(item->bytes + KEY_0 + 10, 0, 2);
	check_fault(item, PROBLEM_LOCATOR_TABLE);
}

static void test_odd_lengths_are_refused(void **state)
{
	struct item *item = *state;

	put_number(item->bytes + KEY_0 + 8, 3, 2);
	check_fault(item, PROBLEM_LOCATOR_STRING);
	put_number(item->bytes + KEY_0 + 8, 4, 2);
	put_number(item->bytes + KEY_0 + 10, 9, 2);
	check_fault(item, PROBLEM_LOCATOR_STRING);
}

static void test_a_nul_inside_a_string_is_refused(void **state)
{
	struct item *item = *state;

	put_number(item->bytes + STRINGS + 2, 0, 2);
	check_fault(item, PROBLEM_LOCATOR_STRING);
}

static void test_a_string_that_is_no_utf16_is_refused(void **state)
{
	struct item *item = *state;

	put_number(item->bytes + STRINGS + 4, 0xdc00, 2);
	check_fault(item, PROBLEM_LOCATOR_STRING);
}

static void test_a_key_that_stands_there_twice_is_refused(void **state)
{
	struct item *item = *state;

	memcpy(item->bytes + KEY_1, item->bytes + KEY_0, 4);
	memcpy(item->bytes + KEY_1 + 8, item->bytes + KEY_0 + 8, 2);
	check_fault(item, PROBLEM_LOCATOR_DUPLICATE);
}

static void test_a_pair_that_repeats_another_is_dropped(void **state)
{
	const struct item *item = *state;
	struct locator locator;
	struct fault fault;

	memcpy(item->bytes + KEY_1, item->bytes + KEY_0, 12);
	assert_true(vhdx_locator_drop_repeat(item->bytes, item->size));
	assert_int_equal(vhdx_locator_decode(item->bytes, item->size, &locator, &fault), 0);
	assert_int_equal(locator.count, 1);
	assert_string_equal(vhdx_locator_get(&locator, "ab"), "value");
	vhdx_locator_free(&locator);
	assert_false(vhdx_locator_drop_repeat(item->bytes, item->size));
}

static void test_a_pair_with_another_value_is_not_dropped(void **state)
{
	const struct item *item = *state;
	uint8_t *value = malloc(item->size);

	put_number(item->bytes + KEY_1, get_number(item->bytes + KEY_0, 4), 4);
	put_number(item->bytes + KEY_1 + 8, 4, 2);
	memcpy(value, item->bytes, item->size);
	check_fault(item, PROBLEM_LOCATOR_DUPLICATE);
	assert_false(vhdx_locator_drop_repeat(item->bytes, item->size));
	assert_memory_equal(item->bytes, value, item->size);
	free(value);
}

static void test_256_pairs_are_taken_and_257_are_not(void **state)
{
	size_t size = 20 + 257 * 12 + 257 * 6 + 2;
	uint8_t *bytes = calloc(1, size);
	struct locator locator;
	struct fault fault;
	char key[16];

	(void)state;
	put_guid(bytes, "B04AEFB7-D19E-4A81-B789-25B8E9445913");
	put_utf16(bytes + size - 2, "v");
	for (int i = 0; i < 257; i++) {
		size_t at = 20 + 257 * 12 + (size_t)i * 6;

		snprintf(key, sizeof(key), "%03d", i);
		put_utf16(bytes + at, key);
		put_number(bytes + 20 + 12 * i, at, 4);
		put_number(bytes + 24 + 12 * i, size - 2, 4);
		put_number(bytes + 28 + 12 * i, 6, 2);
		put_number(bytes + 30 + 12 * i, 2, 2);
	}
	put_number(bytes + 18, 256, 2);
	assert_int_equal(vhdx_locator_decode(bytes, size, &locator, &fault), 0);
	assert_string_equal(vhdx_locator_get(&locator, "255"), "v");
	vhdx_locator_free(&locator);
	put_number(bytes + 18, 257, 2);
	check_fault(&(struct item){bytes, size}, PROBLEM_LOCATOR_TABLE);
	free(bytes);
}

/* Sixteen pairs whose values are the same bytes; only the last value's length is @last. */
static size_t make_shared(uint8_t *bytes, uint64_t last)
{
	const uint64_t table_end = 20 + 16 * 12;
	const uint64_t value_at = table_end + 16 * 6;
	char key[16];

	put_guid(bytes, "B04AEFB7-D19E-4A81-B789-25B8E9445913");
	put_number(bytes + 18, 16, 2);
	for (unsigned i = 0; i < 16; i++) {
		uint8_t *pair = bytes + 20 + (size_t)12 * i;

		snprintf(key, sizeof(key), "%03u", i);
		put_utf16(bytes + table_end + (size_t)6 * i, key);
		put_number(pair, table_end + (uint64_t)6 * i, 4);
		put_number(pair + 4, value_at, 4);
		put_number(pair + 8, 6, 2);
		put_number(pair + 10, i == 15 ? last : 65534, 2);
	}
	for (uint64_t at = value_at; at < value_at + 65534; at += 2) /* 3 bytes each as UTF-8 */
		put_number(bytes + at, 0x6f22, 2);
	return value_at + 65534;
}

#define SHARED_KEYS   (16 * 6)
#define SHARED_VALUES (15 * 65534)

static void test_strings_may_share_bytes_up_to_1_mib(void **state)
{
	uint8_t *bytes = calloc(1, 70000);
	size_t size = make_shared(bytes, MIB - SHARED_KEYS - SHARED_VALUES);
	struct locator locator;
	struct fault fault;

	(void)state;
	bytes = realloc(bytes, size);
	assert_int_equal(vhdx_locator_decode(bytes, size, &locator, &fault), 0);
	assert_int_equal(strlen(vhdx_locator_get(&locator, "000")), 65534 / 2 * 3);
	assert_int_equal(strlen(vhdx_locator_get(&locator, "014")), 65534 / 2 * 3);
	vhdx_locator_free(&locator);
	free(bytes);
}

static void test_strings_of_more_than_1_mib_are_refused(void **state)
{
	uint8_t *bytes = calloc(1, 70000);
	size_t size = make_shared(bytes, MIB - SHARED_KEYS - SHARED_VALUES + 2);

	(void)state;
	check_fault(&(struct item){bytes, size}, PROBLEM_LOCATOR_TABLE);
	free(bytes);
}

int main(void)
{
#define WITH_ITEM(test) cmocka_unit_test_setup_teardown(test, make_item, drop_item)
	const struct CMUnitTest tests[] = {
		WITH_ITEM(test_pairs_are_found_by_their_keys),
		cmocka_unit_test(test_what_windows_writes_encodes_to_the_same_places),
		cmocka_unit_test(test_characters_of_every_length_survive),
		WITH_ITEM(test_an_empty_locator_has_no_pairs),
		WITH_ITEM(test_an_item_shorter_than_its_header_is_refused),
		WITH_ITEM(test_more_pairs_than_the_item_holds_are_refused),
		WITH_ITEM(test_strings_outside_the_item_are_refused),
		WITH_ITEM(test_a_string_that_leaves_the_item_is_refused),
		WITH_ITEM(test_empty_strings_are_refused),
		WITH_ITEM(test_odd_lengths_are_refused),
		WITH_ITEM(test_a_nul_inside_a_string_is_refused),
		WITH_ITEM(test_a_string_that_is_no_utf16_is_refused),
		WITH_ITEM(test_a_key_that_stands_there_twice_is_refused),
		WITH_ITEM(test_a_pair_that_repeats_another_is_dropped),
		WITH_ITEM(test_a_pair_with_another_value_is_not_dropped),
		cmocka_unit_test(test_256_pairs_are_taken_and_257_are_not),
		cmocka_unit_test(test_strings_may_share_bytes_up_to_1_mib),
		cmocka_unit_test(test_strings_of_more_than_1_mib_are_refused),
	};

	return RUN_TESTS(tests);
}
