/* SPDX-License-Identifier: MIT */
/* UTF-16LE to and from UTF-8. */
#include <errno.h>
#include <stdbool.h>

#include "base/utf16.h"

#define REPLACEMENT 0xfffdu

static uint32_t unit_at(const uint8_t *bytes, size_t index)
{
	return bytes[2 * index] | (uint32_t)bytes[2 * index + 1] << 8;
}

static bool is_high(uint32_t unit)
{
	return unit >= 0xd800 && unit < 0xdc00;
}

static bool is_low(uint32_t unit)
{
	return unit >= 0xdc00 && unit < 0xe000;
}

static char *put_utf8(char *out, uint32_t c)
{
	if (c < 0x80) {
		*out++ = (char)c;
		return out;
	}
	if (c < 0x800) {
		*out++ = (char)(0xc0 | c >> 6);
	} else {
		if (c < 0x10000) {
			*out++ = (char)(0xe0 | c >> 12);
		} else {
			*out++ = (char)(0xf0 | c >> 18);
			*out++ = (char)(0x80 | (c >> 12 & 0x3f));
		}
		*out++ = (char)(0x80 | (c >> 6 & 0x3f));
	}
	*out++ = (char)(0x80 | (c & 0x3f));
	return out;
}

int vhdx_utf16_decode(const void *utf16, size_t size, char *ret_text)
{
	const uint8_t *bytes = utf16;
	size_t units = size / 2;
	int result = 0;

	for (size_t i = 0; i < units; i++) {
		uint32_t c = unit_at(bytes, i);

		if (!c)
			break;
		if (is_high(c) && i + 1 < units && is_low(unit_at(bytes, i + 1))) {
			c = 0x10000 + ((c - 0xd800) << 10) + (unit_at(bytes, ++i) - 0xdc00);
		} else if (is_high(c) || is_low(c)) {
			c = REPLACEMENT;
			result = -EILSEQ;
		}
		ret_text = put_utf8(ret_text, c);
	}
	*ret_text = 0;
	return result;
}

/* Takes one character off *@text. Returns false when it is no UTF-8, overlong and surrogates included. */
static bool get_utf8(const uint8_t **text, uint32_t *ret_c)
{
	static const uint32_t least[4] = {0, 0x80, 0x800, 0x10000};
	const uint8_t *p = *text;
	int more = *p < 0x80 ? 0 : *p >> 5 == 6 ? 1 : *p >> 4 == 14 ? 2 : *p >> 3 == 30 ? 3 : -1;

	if (more < 0)
		return false;
	uint32_t c = more ? *p & (0x3fu >> more) : *p;

	p++;
	for (int i = 0; i < more; i++, p++) {
		if (*p >> 6 != 2)
			return false;
		c = c << 6 | (*p & 0x3f);
	}
	if (c < least[more] || c > 0x10ffff || is_high(c) || is_low(c))
		return false;
	*text = p;
	*ret_c = c;
	return true;
}

int vhdx_utf16_encode(const char *text, void *ret_utf16, size_t size, size_t *ret_size)
{
	const uint8_t *in = (const uint8_t *)text;
	uint8_t *out = ret_utf16;
	size_t used = 0;

	while (*in) {
		uint32_t c;

		if (!get_utf8(&in, &c))
			return -EILSEQ;
		uint32_t units[2] = {c, 0};

		if (c >= 0x10000) {
			units[0] = 0xd800 + ((c - 0x10000) >> 10);
			units[1] = 0xdc00 + (c & 0x3ff);
		}
		for (int i = 0; i < 1 + (c >= 0x10000); i++) {
			if (size - used < 2)
				return -ENAMETOOLONG;
			out[used++] = (uint8_t)units[i];
			out[used++] = (uint8_t)(units[i] >> 8);
		}
	}
	*ret_size = used;
	return 0;
}
