/* SPDX-License-Identifier: MIT */
/* Contents that a script names: made, compared, and recognized. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tools/session.h"
#include "tools/stamps.h"

#define SECTOR 512
#define STAMP  16

bool pattern_parse(const char *text, struct pattern *ret_pattern)
{
	struct pattern pattern = {.stamped = !strncmp(text, "seed:", 5)};
	uint64_t number;

	if (!parse_number(pattern.stamped ? text + 5 : text, &number))
		return false;
	if (!pattern.stamped && number > UINT8_MAX)
		return false;
	pattern.byte = (uint8_t)number;
	pattern.seed = number;
	*ret_pattern = pattern;
	return true;
}

static void put_le64(uint8_t *bytes, uint64_t value)
{
	for (int i = 0; i < 8; i++)
		bytes[i] = (uint8_t)(value >> (8 * i));
}

static uint64_t get_le64(const uint8_t *bytes)
{
	uint64_t value = 0;

	for (int i = 7; i >= 0; i--)
		value = value << 8 | bytes[i];
	return value;
}

/* The byte at @offset of the disk; @stamp is the sector's. */
static void stamp_of(uint64_t seed, uint64_t offset, uint8_t stamp[STAMP])
{
	put_le64(stamp, seed);
	put_le64(stamp + 8, offset / SECTOR);
}

void pattern_fill(const struct pattern *pattern, uint64_t offset, void *buf, size_t size)
{
	uint8_t *bytes = buf;
	uint8_t stamp[STAMP];

	if (!pattern->stamped) {
		memset(buf, pattern->byte, size);
		return;
	}
	stamp_of(pattern->seed, offset, stamp);
	for (size_t i = 0; i < size; i++, offset++) {
		if (offset % SECTOR == 0)
			stamp_of(pattern->seed, offset, stamp);
		bytes[i] = stamp[offset % STAMP];
	}
}

size_t pattern_differs(const struct pattern *pattern, uint64_t offset, const void *buf, size_t size)
{
	const uint8_t *bytes = buf;
	uint8_t expected[SECTOR];

	for (size_t done = 0; done < size;) {
		size_t part = SECTOR - (size_t)((offset + done) % SECTOR);

		if (part > size - done)
			part = size - done;
		pattern_fill(pattern, offset + done, expected, part);
		for (size_t i = 0; i < part; i++) {
			if (bytes[done + i] != expected[i])
				return done + i;
		}
		done += part;
	}
	return size;
}

/* A stamp of this sector, or of another one, fills at least 16 bytes from @at on. */
static bool find_stamp(uint64_t offset, const uint8_t *bytes, size_t size, size_t at,
		       uint64_t *ret_seed, uint64_t *ret_sector)
{
	size_t first = at + (size_t)(-(offset + at) % STAMP);

	if (first + STAMP > size)
		return false;
	*ret_seed = get_le64(bytes + first);
	*ret_sector = get_le64(bytes + first + 8);
	return *ret_seed < UINT32_MAX && *ret_sector < (UINT64_C(1) << 37) && *ret_seed;
}

const char *pattern_describe(uint64_t offset, const void *buf, size_t size, size_t at,
			     char ret_text[DESCRIPTION_SIZE])
{
	const uint8_t *bytes = buf;
	uint64_t seed, sector;

	if (find_stamp(offset, bytes, size, at, &seed, &sector))
		snprintf(ret_text, DESCRIPTION_SIZE,
			 "the stamp of seed %" PRIu64 " for offset %" PRIu64, seed,
			 sector * SECTOR);
	else
		snprintf(ret_text, DESCRIPTION_SIZE, "byte 0x%02x", bytes[at]);
	return ret_text;
}
