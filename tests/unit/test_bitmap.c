/* SPDX-License-Identifier: MIT */
/* Runs of bits of a sector bitmap page (F 7): least significant bit first, against a naive count. */
#include <string.h>

#include "meta/bitmap.h"
#include "support/random.h"
#include "support/unit.h"

#define BITS ((uint64_t)4096 * 8)

static bool naive_bit(const uint8_t *page, uint64_t bit)
{
	return page[bit / 8] & 1 << bit % 8;
}

static uint64_t naive_run(const uint8_t *page, uint64_t first, uint64_t limit)
{
	uint64_t count = 1;

	while (count < limit && naive_bit(page, first + count) == naive_bit(page, first))
		count++;
	return count;
}

static void check(const uint8_t *page, uint64_t first, uint64_t limit)
{
	bool value = !naive_bit(page, first);

	assert_int_equal(vhdx_bit_run(page, first, limit, &value), naive_run(page, first, limit));
	assert_int_equal(value, naive_bit(page, first));
}

static void test_the_least_significant_bit_comes_first(void **state)
{
	uint8_t page[4096] = {0x01, 0x80, 0xfe};
	bool value;

	(void)state;
	assert_int_equal(vhdx_bit_run(page, 0, 100, &value), 1);
	assert_true(value);
	assert_int_equal(vhdx_bit_run(page, 1, 100, &value), 14);
	assert_false(value);
	assert_int_equal(vhdx_bit_run(page, 15, 100, &value), 1);
	assert_true(value);
	assert_int_equal(vhdx_bit_run(page, 16, 100, &value), 1);
	assert_false(value);
	assert_int_equal(vhdx_bit_run(page, 17, 100, &value), 7);
	assert_true(value);
}

static void test_a_run_ends_at_its_limit(void **state)
{
	uint8_t page[4096];
	bool value;

	(void)state;
	memset(page, 0xff, sizeof(page));
	for (uint64_t limit = 1; limit < 300; limit++)
		for (uint64_t first = 0; first < 70; first += 7)
			assert_int_equal(vhdx_bit_run(page, first, limit, &value), limit);
	assert_int_equal(vhdx_bit_run(page, 0, BITS, &value), BITS);
	assert_int_equal(vhdx_bit_run(page, BITS - 1, 1, &value), 1);
}

static void test_one_different_bit_ends_a_run_wherever_it_is(void **state)
{
	(void)state;
	for (int fill = 0; fill < 2; fill++) {
		uint8_t page[4096];

		memset(page, fill ? 0xff : 0, sizeof(page));
		for (uint64_t at = 1; at < 300; at++) {
			page[at / 8] ^= (uint8_t)(1 << at % 8);
			for (uint64_t first = 0; first <= at; first += 5)
				check(page, first, 400);
			page[at / 8] ^= (uint8_t)(1 << at % 8);
		}
	}
}

static void test_random_runs_are_counted_as_a_naive_count_does(void **state)
{
	struct rng rng = rng_make(1);

	(void)state;
	for (int round = 0; round < 200; round++) {
		uint8_t page[4096];
		uint64_t at = 0;
		bool value = false;

		memset(page, 0, sizeof(page));
		while (at < BITS) {
			uint64_t run = rng_length(&rng, round % 2 ? BITS : 200);

			for (uint64_t i = at; i < at + run && i < BITS; i++)
				page[i / 8] |= (uint8_t)(value << i % 8);
			at += run;
			value = !value;
		}
		for (int i = 0; i < 100; i++) {
			uint64_t first = rng_below(&rng, BITS);

			check(page, first, rng_length(&rng, BITS - first));
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_the_least_significant_bit_comes_first),
		cmocka_unit_test(test_a_run_ends_at_its_limit),
		cmocka_unit_test(test_one_different_bit_ends_a_run_wherever_it_is),
		cmocka_unit_test(test_random_runs_are_counted_as_a_naive_count_does),
	};

	return RUN_TESTS(tests);
}
