/* SPDX-License-Identifier: MIT */
/* Changes inputs by their structure: records come, go and change, and aim at fields more than at bytes. */
#include <string.h>

#include "fuzz/input.h"
#include "fuzz/mutate.h"
#include "support/random.h"

#define MOST_RECORDS 64u
#define MOST_STEPS   4u

/* A field: every @stride bytes there is another, @count of them. */
struct field {
	uint8_t area;
	uint8_t width; /* 1, 2, 4 or 8 */
	uint16_t offset;
	uint16_t stride;
	uint16_t count;
};

static const struct field fields[] = {
	{AREA_IDENTIFIER, 8, 0, 0, 1},	   {AREA_HEADER_1, 4, 0, 0, 1}, /* signature */
	{AREA_HEADER_1, 4, 4, 0, 1},					/* checksum */
	{AREA_HEADER_1, 8, 8, 0, 1},					/* sequence number */
	{AREA_HEADER_1, 8, 16, 8, 6},					/* GUIDs */
	{AREA_HEADER_1, 2, 64, 2, 2},					/* versions */
	{AREA_HEADER_1, 4, 68, 0, 1},					/* log length */
	{AREA_HEADER_1, 8, 72, 0, 1},					/* log offset */
	{AREA_TABLE_1, 4, 0, 4, 4},    /* signature, checksum, count, reserved */
	{AREA_TABLE_1, 8, 16, 32, 3},  /* GUIDs */
	{AREA_TABLE_1, 8, 32, 32, 3},  /* offsets */
	{AREA_TABLE_1, 4, 40, 32, 3},  /* lengths */
	{AREA_TABLE_1, 4, 44, 32, 3},  /* required */
	{AREA_METADATA, 2, 8, 2, 2},   /* reserved, count */
	{AREA_METADATA, 8, 32, 32, 8}, /* IDs */
	{AREA_METADATA, 4, 48, 32, 8}, /* offsets */
	{AREA_METADATA, 4, 52, 32, 8}, /* lengths */
	{AREA_METADATA, 4, 56, 32, 8}, /* flags */
	{AREA_ITEM, 4, 0, 4096, 8},    /* block size, sector sizes, low half of the disk's size */
	{AREA_ITEM, 4, 4, 4096, 8},    /* flags */
	{AREA_ITEM, 8, 0, 4096, 8},	   {AREA_BAT, 8, 0, 8, 40},
	{AREA_BLOCK_ENTRY, 8, 0, 8, 40},   {AREA_BLOCK_ENTRY, 8, 0, 8, 40}, /* twice: they matter */
	{AREA_BITMAP_ENTRY, 8, 0, 0, 1},   {AREA_LOCATOR, 8, 0, 8, 2},
	{AREA_LOCATOR, 2, 16, 2, 2},	   /* reserved, count */
	{AREA_LOCATOR, 4, 20, 12, 5},	   /* key offsets */
	{AREA_LOCATOR, 4, 24, 12, 5},	   /* value offsets */
	{AREA_LOCATOR, 2, 28, 12, 5},	   /* key lengths */
	{AREA_LOCATOR, 2, 30, 12, 5},	   /* value lengths */
	{AREA_LOG_ENTRY, 4, 8, 4096, 12},  /* entry length */
	{AREA_LOG_ENTRY, 4, 12, 4096, 12}, /* tail */
	{AREA_LOG_ENTRY, 8, 16, 4096, 12}, /* sequence number */
	{AREA_LOG_ENTRY, 4, 24, 4096, 12}, /* descriptor count */
	{AREA_LOG_ENTRY, 8, 48, 4096, 12}, /* flushed */
	{AREA_LOG_ENTRY, 8, 56, 4096, 12}, /* last */
	{AREA_LOG_ENTRY, 8, 72, 32, 12},   /* zero lengths, leading bytes */
	{AREA_LOG_ENTRY, 8, 80, 32, 12},   /* targets */
};

#define FIELDS (sizeof(fields) / sizeof(fields[0]))

/* An input taken apart; the records lie in @bytes one behind the other. */
struct parts {
	uint8_t first;
	unsigned count;
	struct {
		uint8_t bytes[RECORD_HEAD + 255];
	} records[MOST_RECORDS];
};

static size_t record_size(const uint8_t *record)
{
	return RECORD_HEAD + record[4];
}

static void take_apart(const uint8_t *data, size_t size, struct parts *ret_parts)
{
	ret_parts->first = size ? data[0] : INPUT_MEND;
	ret_parts->count = 0;
	for (size_t at = 1; at + RECORD_HEAD <= size && ret_parts->count < MOST_RECORDS;) {
		uint8_t *record = ret_parts->records[ret_parts->count++].bytes;
		size_t length = data[at + 4];

		if (length > size - at - RECORD_HEAD)
			length = size - at - RECORD_HEAD;
		memcpy(record, data + at, RECORD_HEAD + length);
		record[4] = (uint8_t)length;
		at += RECORD_HEAD + length;
	}
}

static size_t put_together(const struct parts *parts, uint8_t *out, size_t room)
{
	size_t size = 1;

	if (!room)
		return 0;
	out[0] = parts->first;
	for (unsigned i = 0; i < parts->count; i++) {
		size_t length = record_size(parts->records[i].bytes);

		if (length > room - size)
			break;
		memcpy(out + size, parts->records[i].bytes, length);
		size += length;
	}
	return size;
}

static unsigned width_code(unsigned width)
{
	return width == 1 ? 0 : width == 2 ? 1 : width == 4 ? 2 : 3;
}

static void make_head(uint8_t *record, enum record_kind kind, unsigned layer, unsigned area,
		      uint32_t offset, unsigned length)
{
	record[0] = (uint8_t)((unsigned)kind << 6 | (layer & 3) << 4 | (area & 15));
	put_number(record + 1, offset, 3);
	record[4] = (uint8_t)length;
}

static void make_value(struct rng *rng, uint8_t *record)
{
	const struct field *field = &fields[rng_below(rng, FIELDS)];
	unsigned area = field->area;
	uint32_t offset = field->offset + field->stride * (uint32_t)rng_below(rng, field->count);
	struct record_value value = {
		.width = (uint8_t)width_code(field->width),
		.symbol = (uint8_t)rng_below(rng, SYMBOLS),
		.argument = (uint8_t)(rng_chance(rng, 60) ? rng_below(rng, 8) : rng_next(rng)),
		.delta = (int8_t)(rng_chance(rng, 50) ? 0 : rng_between(rng, 0, 8) - 4),
		.unit = (uint8_t)rng_below(rng, 4),
		.bits = (uint8_t)(area == AREA_BAT || area == AREA_BLOCK_ENTRY ||
						  area == AREA_BITMAP_ENTRY
					  ? rng_below(rng, 8)
					  : 0),
	};

	if ((area == AREA_HEADER_1 || area == AREA_TABLE_1) && rng_chance(rng, 50))
		area++;
	make_head(record, RECORD_VALUE, (unsigned)rng_below(rng, 3), area, offset, sizeof(value));
	memcpy(record + RECORD_HEAD, &value, sizeof(value));
}

static void make_bytes(struct rng *rng, uint8_t *record)
{
	unsigned length = (unsigned)rng_length(rng, 48);

	make_head(record, RECORD_BYTES, (unsigned)rng_below(rng, 3),
		  (unsigned)rng_below(rng, AREAS),
		  (uint32_t)(rng_chance(rng, 50) ? rng_below(rng, 512) : rng_next(rng)), length);
	if (rng_chance(rng, 50))
		rng_fill(rng, record + RECORD_HEAD, length);
	else
		memset(record + RECORD_HEAD, rng_chance(rng, 50) ? 0 : 0xff, length);
}

static void make_log(struct rng *rng, uint8_t *record)
{
	unsigned count = (unsigned)rng_below(rng, 9);
	uint8_t *payload = record + RECORD_HEAD;

	make_head(record, RECORD_LOG, 0, 0, 0, 2 + 6 * count);
	payload[0] = (uint8_t)(rng_chance(rng, 50) ? 0 : rng_below(rng, 32));
	payload[1] = (uint8_t)rng_below(rng, 64);
	for (unsigned i = 0; i < count; i++) {
		uint8_t *descriptor = payload + 2 + (size_t)6 * i;

		descriptor[0] = (uint8_t)(rng_below(rng, 9) | (rng_chance(rng, 30) ? 0x80 : 0) |
					  (rng_chance(rng, 10) ? rng_below(rng, 3) << 4 : 0));
		put_number(descriptor + 1, rng_chance(rng, 60) ? 0 : rng_below(rng, 600), 2);
		put_number(descriptor + 3, rng_length(rng, 4096) - 1, 2);
		descriptor[5] = (uint8_t)rng_next(rng);
	}
}

static void make_action(struct rng *rng, uint8_t *record)
{
	unsigned area = rng_chance(rng, 10) ? ACTION_SIZE : (unsigned)rng_below(rng, ACTION_SIZE);

	make_head(record, RECORD_ACTION, (unsigned)rng_below(rng, 4), area, (uint32_t)rng_next(rng),
		  area == ACTION_SIZE ? 0 : (unsigned)rng_length(rng, 32) - 1);
	rng_fill(rng, record + RECORD_HEAD, record[4]);
	if (area == ACTION_SIZE) /* up to 32 MiB, mostly whole MiB */
		put_number(record + 1,
			   rng_chance(rng, 60) ? rng_below(rng, 32) * 2048 : rng_below(rng, 65536),
			   3);
}

static void make_record(struct rng *rng, uint8_t *record)
{
	switch (rng_below(rng, 10)) {
	case 0:
	case 1:
		make_bytes(rng, record);
		break;
	case 2:
		make_log(rng, record);
		break;
	case 3:
	case 4:
		make_action(rng, record);
		break;
	default:
		make_value(rng, record);
		break;
	}
}

static void change_record(struct rng *rng, uint8_t *record)
{
	size_t size = record_size(record);
	size_t at = rng_below(rng, size);

	if (at == 4) { /* longer by zeros, or shorter */
		unsigned length = (unsigned)rng_below(rng, 64);

		if (length > record[4])
			memset(record + size, 0, length - record[4]);
		record[4] = (uint8_t)length;
	} else if (rng_chance(rng, 50)) {
		record[at] ^= (uint8_t)(1 << rng_below(rng, 8));
	} else {
		record[at] = (uint8_t)rng_next(rng);
	}
}

static void step(struct rng *rng, struct parts *parts)
{
	size_t size = sizeof(parts->records[0]);
	unsigned at = parts->count ? (unsigned)rng_below(rng, parts->count) : 0;
	uint64_t what = rng_below(rng, 100);

	if (what < 8) {
		parts->first ^= (uint8_t)(1 << rng_below(rng, 8));
	} else if (what < 10) {
		parts->first |= INPUT_MEND;
	} else if (what < 50 || !parts->count) {
		if (parts->count == MOST_RECORDS)
			return;
		memmove(&parts->records[at + 1], &parts->records[at], (parts->count++ - at) * size);
		make_record(rng, parts->records[at].bytes);
	} else if (what < 65) {
		memmove(&parts->records[at], &parts->records[at + 1], (--parts->count - at) * size);
	} else if (what < 70 && parts->count < MOST_RECORDS) {
		parts->records[parts->count++] = parts->records[at];
	} else {
		change_record(rng, parts->records[at].bytes);
	}
}

size_t fuzz_mutate(uint8_t *data, size_t size, size_t room, unsigned seed)
{
	static struct parts parts;
	struct rng rng = rng_make(seed);
	uint64_t steps = rng_between(&rng, 1, MOST_STEPS);

	take_apart(data, size, &parts);
	if (rng_chance(&rng, 60))
		parts.first |= INPUT_MEND;
	for (uint64_t i = 0; i < steps; i++)
		step(&rng, &parts);
	return put_together(&parts, data, room);
}

size_t fuzz_cross(const uint8_t *a, size_t a_size, const uint8_t *b, size_t b_size, uint8_t *out,
		  size_t room, unsigned seed)
{
	static struct parts to;
	static struct parts from;
	struct rng rng = rng_make(seed);

	take_apart(a, a_size, &to);
	take_apart(b, b_size, &from);
	for (unsigned i = 0; i < from.count && to.count < MOST_RECORDS; i++)
		if (rng_chance(&rng, 50))
			to.records[to.count++] = from.records[i];
	return put_together(&to, out, room);
}
