/* SPDX-License-Identifier: MIT */
/* UTF-16LE to UTF-8 and back: pairs, lone surrogates, overlong forms, NUL, limits. */
#include <errno.h>
#include <string.h>

#include "base/utf16.h"
#include "support/bytes.h"
#include "support/unit.h"

static void check_decode(const char *hex, int result, const char *expected)
{
	uint8_t utf16[64];
	char text[UTF8_SIZE(32)];
	size_t size = put_hex(utf16, hex);

	memset(text, 'x', sizeof(text));
	assert_int_equal(vhdx_utf16_decode(utf16, size, text), result);
	assert_string_equal(text, expected);
}

static void check_encode(const char *text, const char *hex)
{
	uint8_t expected[64];
	uint8_t utf16[64];
	size_t size = 0;
	size_t expected_size = put_hex(expected, hex);

	assert_int_equal(vhdx_utf16_encode(text, utf16, sizeof(utf16), &size), 0);
	assert_int_equal(size, expected_size);
	assert_memory_equal(utf16, expected, size);
}

static void test_characters_of_one_to_four_bytes(void **state)
{
	(void)state;
	check_decode("4100 e900 ac20 3dd8 00de", 0, "A\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80");
	check_encode("A\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80", "4100 e900 ac20 3dd8 00de");
}

static void test_ends_of_each_length(void **state)
{
	(void)state;
	check_decode("7f00 8000 ff07 0008 ffd7 00e0 ffff", 0,
		     "\x7f\xc2\x80\xdf\xbf\xe0\xa0\x80\xed\x9f\xbf\xee\x80\x80\xef\xbf\xbf");
	check_encode("\x7f\xc2\x80\xdf\xbf\xe0\xa0\x80\xed\x9f\xbf\xee\x80\x80\xef\xbf\xbf",
		     "7f00 8000 ff07 0008 ffd7 00e0 ffff");
	check_decode("00d8 00dc ffdb ffdf", 0, "\xf0\x90\x80\x80\xf4\x8f\xbf\xbf");
	check_encode("\xf0\x90\x80\x80\xf4\x8f\xbf\xbf", "00d8 00dc ffdb ffdf");
}

static void test_decode_stops_at_nul_or_the_end(void **state)
{
	(void)state;
	check_decode("4100 0000 4200", 0, "A");
	check_decode("4100 4200", 0, "AB");
	check_decode("", 0, "");
	check_decode("0000", 0, "");
}

static void test_decode_leaves_an_odd_last_byte_out(void **state)
{
	(void)state;
	check_decode("4100 42", 0, "A");
	check_decode("41", 0, "");
}

static void test_decode_replaces_lone_surrogates(void **state)
{
	(void)state;
	check_decode("00d8 4100", -EILSEQ,
		     "\xef\xbf\xbd"
		     "A");
	check_decode("4100 00dc 4200", -EILSEQ,
		     "A\xef\xbf\xbd"
		     "B");
	check_decode("4100 00d8", -EILSEQ, "A\xef\xbf\xbd");
	check_decode("00dc 00d8", -EILSEQ, "\xef\xbf\xbd\xef\xbf\xbd");
	check_decode("00d8 3dd8 00de", -EILSEQ, "\xef\xbf\xbd\xf0\x9f\x98\x80");
	check_decode("00d8 0000", -EILSEQ, "\xef\xbf\xbd");
}

static void test_decode_never_needs_more_room_than_promised(void **state)
{
	uint8_t utf16[512];
	char text[UTF8_SIZE(256) + 1];

	(void)state;
	memset(utf16, 0xff, sizeof(utf16)); /* U+FFFF: three bytes a unit */
	text[UTF8_SIZE(256)] = 'x';
	assert_int_equal(vhdx_utf16_decode(utf16, sizeof(utf16), text), 0);
	assert_int_equal(strlen(text), UTF8_SIZE(256) - 1);
	assert_int_equal(text[UTF8_SIZE(256)], 'x');
}

static void test_encode_refuses_what_is_no_utf8(void **state)
{
	static const char *const texts[] = {
		"\x80",			/* goes on, with nothing before */
		"\xc3",			/* ends inside a character */
		"\xe2\x82",		/* the same */
		"\xf0\x9f\x98",		/* the same */
		"\xc3\x41",		/* does not go on */
		"\xc0\xaf",		/* overlong */
		"\xc1\xbf",		/* overlong */
		"\xe0\x9f\xbf",		/* overlong */
		"\xf0\x8f\xbf\xbf",	/* overlong */
		"\xed\xa0\x80",		/* a surrogate */
		"\xed\xbf\xbf",		/* a surrogate */
		"\xf4\x90\x80\x80",	/* above U+10FFFF */
		"\xf8\x88\x80\x80\x80", /* five bytes */
		"\xff",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		uint8_t utf16[64];
		size_t size = 77;

		assert_int_equal(vhdx_utf16_encode(texts[i], utf16, sizeof(utf16), &size), -EILSEQ);
		assert_int_equal(size, 77);
	}
}

static void test_encode_stays_within_its_room(void **state)
{
	uint8_t utf16[5] = {0, 0, 0, 0, 0xee};
	size_t size = 77;

	(void)state;
	assert_int_equal(vhdx_utf16_encode("ab", utf16, 4, &size), 0);
	assert_int_equal(size, 4);
	assert_int_equal(vhdx_utf16_encode("abc", utf16, 4, &size), -ENAMETOOLONG);
	assert_int_equal(vhdx_utf16_encode("abc", utf16, 5, &size), -ENAMETOOLONG);
	assert_int_equal(vhdx_utf16_encode("a\xf0\x9f\x98\x80", utf16, 4, &size), -ENAMETOOLONG);
	assert_int_equal(utf16[4], 0xee);
	assert_int_equal(vhdx_utf16_encode("", utf16, 0, &size), 0);
	assert_int_equal(size, 0);
}

static void test_every_character_there_and_back(void **state)
{
	(void)state;
	for (uint32_t c = 1; c < 0x110000; c += c < 0x3000 ? 1 : 37) {
		uint8_t utf16[4];
		uint8_t again[4];
		char text[UTF8_SIZE(2)];
		size_t size;
		size_t used = c < 0x10000 ? 2 : 4;

		if (c >= 0xd800 && c < 0xe000)
			continue;
		put_number(utf16, c < 0x10000 ? c : 0xd800 + ((c - 0x10000) >> 10), 2);
		put_number(utf16 + 2, 0xdc00 + ((c - 0x10000) & 0x3ff), 2);
		assert_int_equal(vhdx_utf16_decode(utf16, used, text), 0);
		assert_int_equal(vhdx_utf16_encode(text, again, sizeof(again), &size), 0);
		assert_int_equal(size, used);
		assert_memory_equal(again, utf16, used);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_characters_of_one_to_four_bytes),
		cmocka_unit_test(test_ends_of_each_length),
		cmocka_unit_test(test_decode_stops_at_nul_or_the_end),
		cmocka_unit_test(test_decode_leaves_an_odd_last_byte_out),
		cmocka_unit_test(test_decode_replaces_lone_surrogates),
		cmocka_unit_test(test_decode_never_needs_more_room_than_promised),
		cmocka_unit_test(test_encode_refuses_what_is_no_utf8),
		cmocka_unit_test(test_encode_stays_within_its_room),
		cmocka_unit_test(test_every_character_there_and_back),
	};

	return RUN_TESTS(tests);
}
