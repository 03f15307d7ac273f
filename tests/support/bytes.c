/* SPDX-License-Identifier: MIT */
/* Numbers, GUIDs and CRC-32C for test images, written from the format document alone. */
#include <stdio.h>
#include <string.h>

#include "support/bytes.h"

/* F 10.2: AABBCCDD-EEFF-GGHH-... is stored DD CC BB AA FF EE HH GG ... */
static const int guid_order[16] = {3, 2, 1, 0, 5, 4, 7, 6, 8, 9, 10, 11, 12, 13, 14, 15};

static int nibble(char c)
{
	return c <= '9' ? c - '0' : (c | 0x20) - 'a' + 10;
}

size_t put_hex(void *at, const char *hex)
{
	uint8_t *out = at;
	size_t digits = 0;

	for (; *hex; hex++) {
		if (*hex == ' ' || *hex == '-')
			continue;
		if (digits % 2)
			out[digits / 2] = (uint8_t)(out[digits / 2] | nibble(*hex));
		else
			out[digits / 2] = (uint8_t)(nibble(*hex) << 4);
		digits++;
	}
	return digits / 2;
}

void put_guid(uint8_t ret_bytes[16], const char *text)
{
	uint8_t in_text[16];

	put_hex(in_text, text);
	for (int i = 0; i < 16; i++)
		ret_bytes[guid_order[i]] = in_text[i];
}

char *guid_text(const uint8_t bytes[16], char ret_text[37])
{
	char *at = ret_text;

	for (int i = 0; i < 16; i++)
		at += sprintf(at, i == 4 || i == 6 || i == 8 || i == 10 ? "-%02x" : "%02x",
			      bytes[guid_order[i]]);
	return ret_text;
}

size_t put_utf16(uint8_t *at, const char *text)
{
	size_t used = 0;

	for (; *text; text++) {
		at[used++] = (uint8_t)*text;
		at[used++] = 0;
	}
	return used;
}

/* Of each value of a byte, one bit after the other; then of that byte with 1 to 7 zeros behind it. */
static uint32_t (*byte_tables(void))[256]
{
	static uint32_t tables[8][256];

	if (tables[7][1])
		return tables;
	for (uint32_t byte = 256; byte-- > 0;) {
		uint32_t crc = byte;

		for (int bit = 0; bit < 8; bit++)
			crc = crc & 1 ? crc >> 1 ^ 0x82f63b78u : crc >> 1;
		tables[0][byte] = crc;
	}
	for (size_t zeros = 1; zeros < 8; zeros++)
		for (uint32_t byte = 256; byte-- > 0;) {
			uint32_t crc = tables[zeros - 1][byte];

			tables[zeros][byte] = tables[0][crc & 0xff] ^ crc >> 8;
		}
	return tables;
}

uint32_t slow_crc32c(uint32_t crc, const void *buf, size_t size)
{
	uint32_t(*tables)[256] = byte_tables();
	const uint8_t *bytes = buf;

	crc ^= 0xffffffffu;
	for (; size >= 8; size -= 8, bytes += 8) {
		uint32_t sum = 0;

		for (size_t i = 0; i < 4; i++)
			sum ^= tables[7 - i][(crc >> 8 * i & 0xff) ^ bytes[i]];
		for (size_t i = 4; i < 8; i++)
			sum ^= tables[7 - i][bytes[i]];
		crc = sum;
	}
	for (size_t i = 0; i < size; i++)
		crc = tables[0][(crc ^ bytes[i]) & 0xff] ^ crc >> 8;
	return crc ^ 0xffffffffu;
}

uint32_t slow_crc32c_structure(const void *buf, size_t size)
{
	uint32_t crc = slow_crc32c(0, buf, 4);

	crc = slow_crc32c(crc, "\0\0\0", 4);
	return slow_crc32c(crc, (const uint8_t *)buf + 8, size - 8);
}
