/* SPDX-License-Identifier: MIT */
/* GUIDs: text and back (F 10.2), and new ones. */
#include <errno.h>

#include "base/guid.h"
#include "support/bytes.h"
#include "support/unit.h"

static const struct vhdx_guid bat = {{0x66, 0x77, 0xc2, 0x2d, 0x23, 0xf6, 0x00, 0x42, 0x9d, 0x64,
				      0x11, 0x5e, 0x9b, 0xfd, 0x4a, 0x08}};

static void test_text_swaps_the_first_three_groups(void **state)
{
	char text[VHDX_GUID_TEXT_SIZE];
	struct vhdx_guid other;

	(void)state;
	assert_string_equal(vhdx_guid_text(&bat, text), "2dc27766-f623-4200-9d64-115e9bfd4a08");
	put_hex(other.bytes, "b89dbc8ffd2cb84596881c6fedbc7230");
	assert_string_equal(vhdx_guid_text(&other, text), "8fbc9db8-2cfd-45b8-9688-1c6fedbc7230");
}

static void test_parse_takes_either_case_and_braces(void **state)
{
	static const char *const texts[] = {
		"2dc27766-f623-4200-9d64-115e9bfd4a08",
		"2DC27766-F623-4200-9D64-115E9BFD4A08",
		"{2dc27766-f623-4200-9d64-115e9bfd4a08}",
		"{2Dc27766-F623-4200-9d64-115E9bFd4a08}",
	};

	(void)state;
	for (size_t i = 0; i < 4; i++) {
		struct vhdx_guid guid = {{0}};

		assert_int_equal(vhdx_guid_parse(texts[i], &guid), 0);
		assert_memory_equal(&guid, &bat, sizeof(bat));
	}
}

static void test_parse_refuses_what_is_no_guid(void **state)
{
	static const char *const texts[] = {
		"",
		"{",
		"{}",
		"2dc27766-f623-4200-9d64-115e9bfd4a0",
		"2dc27766-f623-4200-9d64-115e9bfd4a088",
		"2dc27766-f623-4200-9d64-115e9bfd4a08}",
		"{2dc27766-f623-4200-9d64-115e9bfd4a08",
		"{2dc27766-f623-4200-9d64-115e9bfd4a08}}",
		"{2dc27766-f623-4200-9d64-115e9bfd4a08} ",
		" 2dc27766-f623-4200-9d64-115e9bfd4a08",
		"2dc27766f62342009d64115e9bfd4a08",
		"2dc27766-f6234-200-9d64-115e9bfd4a08",
		"2dc27766-f623-4200-9d64-115e9bfd4ag8",
		"2dc27766-f623-4200-9d64-115e9bfd4a:8",
		"2dc27766-f623-4200-9d64-115e9bfd4a`8",
		"-2dc2776-f623-4200-9d64-115e9bfd4a08",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		struct vhdx_guid guid = bat;

		assert_int_equal(vhdx_guid_parse(texts[i], &guid), -EINVAL);
		assert_memory_equal(&guid, &bat, sizeof(bat)); /* untouched */
	}
}

static void test_a_seed_decides_the_sequence(void **state)
{
	struct guid_source a = vhdx_guid_source("seed", 4);
	struct guid_source b = vhdx_guid_source("seed", 4);
	struct guid_source c = vhdx_guid_source("sefd", 4);
	struct vhdx_guid x;
	struct vhdx_guid y;
	struct vhdx_guid z;
	struct vhdx_guid before = {{0}};

	(void)state;
	for (int i = 0; i < 20; i++) {
		assert_int_equal(vhdx_guid_next(&a, &x), 0);
		assert_int_equal(vhdx_guid_next(&b, &y), 0);
		assert_int_equal(vhdx_guid_next(&c, &z), 0);
		assert_memory_equal(&x, &y, sizeof(x));
		assert_memory_not_equal(&x, &z, sizeof(x));
		assert_memory_not_equal(&x, &before, sizeof(x));
		before = x;
	}
}

static void test_an_empty_seed_is_a_seed(void **state)
{
	struct guid_source a = vhdx_guid_source("", 0);
	struct guid_source b = vhdx_guid_source("", 0);
	struct vhdx_guid x;
	struct vhdx_guid y;

	(void)state;
	assert_int_equal(vhdx_guid_next(&a, &x), 0);
	assert_int_equal(vhdx_guid_next(&b, &y), 0);
	assert_memory_equal(&x, &y, sizeof(x));
}

static void test_without_a_seed_they_are_random(void **state)
{
	struct guid_source a = vhdx_guid_source(NULL, 0);
	struct guid_source b = vhdx_guid_source(NULL, 0);
	struct vhdx_guid x;
	struct vhdx_guid y;

	(void)state;
	assert_int_equal(vhdx_guid_next(&a, &x), 0);
	assert_int_equal(vhdx_guid_next(&b, &y), 0);
	assert_memory_not_equal(&x, &y, sizeof(x));
	assert_false(guid_is_zero(&x));
}

static void test_new_guids_are_of_version_4(void **state)
{
	struct guid_source seeded = vhdx_guid_source("x", 1);
	struct guid_source random = vhdx_guid_source(NULL, 0);

	(void)state;
	for (int i = 0; i < 50; i++) {
		struct vhdx_guid guid;

		assert_int_equal(vhdx_guid_next(i % 2 ? &seeded : &random, &guid), 0);
		assert_int_equal(guid.bytes[7] & 0xf0, 0x40);
		assert_int_equal(guid.bytes[8] & 0xc0, 0x80);
	}
}

static void test_zero_is_zero_in_every_byte(void **state)
{
	struct vhdx_guid guid = {{0}};

	(void)state;
	assert_true(guid_is_zero(&guid));
	for (int i = 0; i < 16; i++) {
		guid.bytes[i] = 1;
		assert_false(guid_is_zero(&guid));
		guid.bytes[i] = 0;
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_text_swaps_the_first_three_groups),
		cmocka_unit_test(test_parse_takes_either_case_and_braces),
		cmocka_unit_test(test_parse_refuses_what_is_no_guid),
		cmocka_unit_test(test_a_seed_decides_the_sequence),
		cmocka_unit_test(test_an_empty_seed_is_a_seed),
		cmocka_unit_test(test_without_a_seed_they_are_random),
		cmocka_unit_test(test_new_guids_are_of_version_4),
		cmocka_unit_test(test_zero_is_zero_in_every_byte),
	};

	return RUN_TESTS(tests);
}
