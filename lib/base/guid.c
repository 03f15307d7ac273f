/* SPDX-License-Identifier: MIT */
/* GUIDs (F 10.2): on disk, the first three groups of the text are little-endian integers. */
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <sys/random.h>

#include "base/guid.h"

/* Place on disk of each of the 16 bytes, in the order of the text. */
static const uint8_t disk_order[16] = {3, 2, 1, 0, 5, 4, 7, 6, 8, 9, 10, 11, 12, 13, 14, 15};

static bool dash_before(int byte)
{
	return byte == 4 || byte == 6 || byte == 8 || byte == 10;
}

char *vhdx_guid_text(const struct vhdx_guid *guid, char ret_text[VHDX_GUID_TEXT_SIZE])
{
	char *at = ret_text;

	for (int i = 0; i < 16; i++) {
		if (dash_before(i))
			*at++ = '-';
		at += snprintf(at, 3, "%02x", guid->bytes[disk_order[i]]);
	}
	return ret_text;
}

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c = (char)tolower((unsigned char)c);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

int vhdx_guid_parse(const char *text, struct vhdx_guid *ret_guid)
{
	struct vhdx_guid guid;
	bool braces = *text == '{';

	text += braces;
	for (int i = 0; i < 16; i++) {
		if (dash_before(i) && *text++ != '-')
			return -EINVAL;
		int high = hex_digit(text[0]);
		int low = high < 0 ? -1 : hex_digit(text[1]);

		if (low < 0)
			return -EINVAL;
		guid.bytes[disk_order[i]] = (uint8_t)(high << 4 | low);
		text += 2;
	}
	if (strcmp(text, braces ? "}" : "") != 0)
		return -EINVAL;
	*ret_guid = guid;
	return 0;
}

/* FNV-1a, to fold bytes of any length. */
void vhdx_guid_source_mix(struct guid_source *source, const void *bytes, size_t size)
{
	const uint8_t *byte = bytes;

	for (size_t i = 0; i < size; i++)
		source->state = (source->state ^ byte[i]) * 0x100000001b3;
}

struct guid_source vhdx_guid_source(const void *seed, size_t size)
{
	struct guid_source source = {.seeded = seed != NULL, .state = 0xcbf29ce484222325};

	vhdx_guid_source_mix(&source, seed, size);
	return source;
}

/* splitmix64 */
static uint64_t next_random(struct guid_source *source)
{
	uint64_t z = source->state += 0x9e3779b97f4a7c15;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
	z = (z ^ z >> 27) * 0x94d049bb133111eb;
	return z ^ z >> 31;
}

int vhdx_guid_next(struct guid_source *source, struct vhdx_guid *ret_guid)
{
	struct vhdx_guid guid;

	if (source->seeded) {
		for (int i = 0; i < 16; i += 8) {
			uint64_t value = next_random(source);

			for (int j = 0; j < 8; j++)
				guid.bytes[i + j] = (uint8_t)(value >> (8 * j));
		}
	} else if (getrandom(guid.bytes, sizeof(guid.bytes), 0) != sizeof(guid.bytes)) {
		return errno ? -errno : -EIO;
	}
	guid.bytes[7] = (guid.bytes[7] & 0x0f) | 0x40;
	guid.bytes[8] = (guid.bytes[8] & 0x3f) | 0x80;
	*ret_guid = guid;
	return 0;
}
