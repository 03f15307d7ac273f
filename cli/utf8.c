/* SPDX-License-Identifier: MIT */
/* UTF-8, read one character at a time: overlong forms, surrogates and stray bytes are not valid. */
#include "utf8.h"

/* How many bytes follow the first one, and which values they may make; -1: no first byte. */
static int following(unsigned char first, uint32_t *ret_bits, uint32_t *ret_least)
{
	if (first < 0x80)
		return *ret_bits = first, *ret_least = 0, 0;
	if (first >= 0xc2 && first < 0xe0)
		return *ret_bits = first & 0x1f, *ret_least = 0x80, 1;
	if (first >= 0xe0 && first < 0xf0)
		return *ret_bits = first & 0x0f, *ret_least = 0x800, 2;
	if (first >= 0xf0 && first < 0xf5)
		return *ret_bits = first & 0x07, *ret_least = 0x10000, 3;
	return -1;
}

bool utf8_next(const char **text, uint32_t *ret_character)
{
	const unsigned char *at = (const unsigned char *)*text;
	uint32_t character = 0, least = 0;
	int count = following(at[0], &character, &least);

	(*text)++;
	*ret_character = at[0];
	if (count < 0)
		return false;
	for (int i = 1; i <= count; i++) {
		if ((at[i] & 0xc0) != 0x80)
			return false;
		character = character << 6 | (at[i] & 0x3f);
	}
	if (character < least || character > 0x10ffff ||
	    (character >= 0xd800 && character < 0xe000))
		return false;
	*text += count;
	*ret_character = character;
	return true;
}

size_t utf8_count_plain(const char *text)
{
	size_t count = 0;

	while (text[count] >= 0x20 && text[count] < 0x7f && text[count] != '"' &&
	       text[count] != '\\')
		count++;
	return count;
}
