/* SPDX-License-Identifier: MIT */
/* Sizes as text: in the largest unit that fits, cut to hundredths, and to the byte. */
#include <string.h>

#include "base/sizetext.h"
#include "support/unit.h"

static void test_units_and_bytes(void **state)
{
	static const struct {
		uint64_t size;
		const char *text;
	} rows[] = {
		{0, "0 bytes"},
		{1023, "1023 bytes"},
		{1024, "1 KiB (1024 bytes)"},
		{UINT64_C(3) << 20, "3 MiB (3145728 bytes)"},
		{1536000, "1.46 MiB (1536000 bytes)"},
		{(UINT64_C(1) << 30) - 1, "1023.99 MiB (1073741823 bytes)"},
		{(UINT64_C(40) << 30) + 512, "40 GiB (42949673472 bytes)"},
		{UINT64_C(65) << 40, "65 TiB (71468255805440 bytes)"},
		{UINT64_MAX, "15.99 EiB (18446744073709551615 bytes)"},
	};
	char text[SIZE_TEXT_MAX];

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		assert_ptr_equal(vhdx_size_text(rows[i].size, text), text);
		assert_string_equal(text, rows[i].text);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_units_and_bytes),
	};

	return RUN_TESTS(tests);
}
