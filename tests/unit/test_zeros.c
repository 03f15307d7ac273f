/* SPDX-License-Identifier: MIT */
/* Zero detection: every length, alignment, and place of the one byte that is not zero. */
#include <stdlib.h>
#include <string.h>

#include "base/zeros.h"
#include "support/unit.h"

typedef bool zeros_function(const void *buf, size_t size);

static void check_all(zeros_function *is_zeros)
{
	for (size_t length = 0; length <= 300; length++)
		for (size_t alignment = 0; alignment < 4; alignment++) {
			uint8_t *memory = malloc(alignment + length + 1);
			uint8_t *buf = memory + alignment + 1;

			memset(memory, 0xff, alignment + 1);
			memset(buf, 0, length);
			assert_true(is_zeros(buf, length));
			for (size_t at = 0; at < length; at++) {
				buf[at] = at % 2 ? 1 : 0x80;
				assert_false(is_zeros(buf, length));
				buf[at] = 0;
			}
			free(memory);
		}
}

static void test_one_byte_is_found_wherever_it_is(void **state)
{
	(void)state;
	check_all(vhdx_is_zeros);
}

static void test_one_byte_is_found_wherever_it_is_portable(void **state)
{
	(void)state;
	check_all(vhdx_is_zeros_portable);
}

static void test_large_buffers(void **state)
{
	size_t size = 3 << 20;
	uint8_t *buf = calloc(1, size);

	(void)state;
	assert_true(vhdx_is_zeros(buf, size));
	assert_true(vhdx_is_zeros_portable(buf, size));
	buf[size - 1] = 1;
	assert_false(vhdx_is_zeros(buf, size));
	assert_false(vhdx_is_zeros_portable(buf, size));
	free(buf);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_one_byte_is_found_wherever_it_is),
		cmocka_unit_test(test_one_byte_is_found_wherever_it_is_portable),
		cmocka_unit_test(test_large_buffers),
	};

	return RUN_TESTS(tests);
}
