/* SPDX-License-Identifier: MIT */
/* Checked arithmetic: nothing wraps unseen. */
#include "base/arith.h"
#include "base/le.h"
#include "support/unit.h"

static void test_add_sees_a_wrap(void **state)
{
	uint64_t sum = 7;

	(void)state;
	assert_true(add_fits(UINT64_MAX - 1, 1, &sum));
	assert_true(sum == UINT64_MAX);
	assert_false(add_fits(UINT64_MAX, 1, &sum));
	assert_false(add_fits(UINT64_MAX, UINT64_MAX, &sum));
	assert_true(add_fits(0, 0, &sum));
	assert_int_equal(sum, 0);
}

static void test_a_range_lies_within_a_limit(void **state)
{
	(void)state;
	assert_true(range_within(0, 10, 10));
	assert_true(range_within(10, 0, 10));
	assert_true(range_within(9, 1, 10));
	assert_false(range_within(9, 2, 10));
	assert_false(range_within(11, 0, 10));
	assert_false(range_within(UINT64_MAX, 2, 10));
	assert_false(range_within(2, UINT64_MAX, 10));
	assert_true(range_within(0, UINT64_MAX, UINT64_MAX));
	assert_false(range_within(1, UINT64_MAX, UINT64_MAX));
}

static void test_ranges_meet_in_a_byte(void **state)
{
	(void)state;
	assert_true(ranges_meet(0, 2, 1, 1));
	assert_true(ranges_meet(1, 1, 0, 2));
	assert_true(ranges_meet(5, 1, 5, 1));
	assert_false(ranges_meet(0, 1, 1, 1));
	assert_false(ranges_meet(1, 1, 0, 1));
	assert_true(ranges_meet(0, 10, 3, 2));
	assert_true(ranges_meet(UINT64_MAX - 1, 1, 0, UINT64_MAX));
}

static void test_an_empty_range_meets_nothing(void **state)
{
	(void)state;
	assert_false(ranges_meet(5, 0, 0, 10));
	assert_false(ranges_meet(0, 10, 5, 0));
	assert_false(ranges_meet(5, 0, 5, 0));
}

static void test_rounding(void **state)
{
	(void)state;
	assert_int_equal(round_down(4095, 4096), 0);
	assert_int_equal(round_down(4096, 4096), 4096);
	assert_int_equal(round_up(0, 4096), 0);
	assert_int_equal(round_up(1, 4096), 4096);
	assert_int_equal(round_up(4096, 4096), 4096);
	assert_int_equal(div_round_up(0, 10), 0);
	assert_int_equal(div_round_up(1, 10), 1);
	assert_int_equal(div_round_up(10, 10), 1);
	assert_int_equal(div_round_up(11, 10), 2);
	assert_true(div_round_up(UINT64_MAX, 1) == UINT64_MAX);
	assert_true(div_round_up(UINT64_MAX, 2) == (uint64_t)1 << 63);
}

static void test_rounding_up_stops_before_it_wraps(void **state)
{
	(void)state;
	assert_true(round_up_saturated(UINT64_MAX, MIB) == UINT64_MAX - (MIB - 1));
	assert_true(round_up_saturated(UINT64_MAX - MIB, MIB) == UINT64_MAX - (MIB - 1));
	assert_true(round_up_saturated(UINT64_MAX - MIB + 2, MIB) == UINT64_MAX - (MIB - 1));
	assert_int_equal(round_up_saturated(1, MIB), MIB);
	assert_int_equal(round_up_saturated(MIB, MIB), MIB);
}

static void test_powers_of_two(void **state)
{
	(void)state;
	assert_false(is_power_of_two(0));
	assert_true(is_power_of_two(1));
	assert_false(is_power_of_two(3));
	assert_true(is_power_of_two((uint64_t)1 << 63));
	assert_false(is_power_of_two(UINT64_MAX));
}

static void test_little_endian_numbers(void **state)
{
	static const uint8_t bytes[8] = {0x08, 0x07, 0x06, 0x05, 0x04, 0x03, 0x02, 0x81};
	struct le64 eight = le64_from(0x8102030405060708);
	struct le32 four = le32_from(0x85060708);
	struct le16 two = le16_from(0x8708);

	(void)state;
	assert_memory_equal(&eight, bytes, 8);
	assert_true(le64_get(eight) == 0x8102030405060708);
	assert_memory_equal(&four, "\x08\x07\x06\x85", 4);
	assert_true(le32_get(four) == 0x85060708);
	assert_memory_equal(&two, "\x08\x87", 2);
	assert_int_equal(le16_get(two), 0x8708);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_add_sees_a_wrap),
		cmocka_unit_test(test_a_range_lies_within_a_limit),
		cmocka_unit_test(test_ranges_meet_in_a_byte),
		cmocka_unit_test(test_an_empty_range_meets_nothing),
		cmocka_unit_test(test_rounding),
		cmocka_unit_test(test_rounding_up_stops_before_it_wraps),
		cmocka_unit_test(test_powers_of_two),
		cmocka_unit_test(test_little_endian_numbers),
	};

	return RUN_TESTS(tests);
}
