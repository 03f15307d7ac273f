/* SPDX-License-Identifier: MIT */
/* Identifier, headers, region tables and metadata of test images (F 1 to F 3, F 5, F 8). */
#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "support/image.h"

#define TABLE_SIZE (64 * T_KIB)

/* The table and its items while they are made. */
struct table {
	uint8_t bytes[TABLE_SIZE];
	unsigned count;
	uint64_t used; /* of the region */
};

/* Adds an item behind a gap of any size: items need no alignment. */
static uint64_t add_item(struct rng *rng, struct layer *layer, struct table *table, const char *id,
			 const void *value, uint32_t length, uint32_t flags)
{
	uint8_t *entry = table->bytes + 32 + 32 * table->count++;

	table->used += rng_chance(rng, 40) ? 0 : rng_below(rng, 5000);
	put_guid(entry, id);
	put_number(entry + 16, length ? table->used : 0, 4);
	put_number(entry + 20, length, 4);
	put_number(entry + 24, flags, 4);
	uint64_t at = layer->metadata.offset + table->used;

	sparse_write(&layer->file, value, length, at);
	table->used += length;
	return at;
}

static void add_number(struct rng *rng, struct layer *layer, struct table *table, const char *id,
		       uint64_t value, unsigned bytes)
{
	uint8_t disk[8];

	put_number(disk, value, bytes);
	add_item(rng, layer, table, id, disk, bytes, 6);
}

static void add_parameters(struct rng *rng, struct layer *layer, struct table *table)
{
	uint8_t disk[8];
	uint32_t leave = layer->is_fixed || (layer->has_parent && rng_chance(rng, 10));

	put_number(disk, layer->block_size, 4);
	put_number(disk + 4, leave | (layer->has_parent ? 2u : 0), 4);
	add_item(rng, layer, table, "CAA16737-FA36-4D43-B3B6-33F0AA44E76B", disk, 8, 4);
}

/* Appends a string somewhere behind what is there, and its place to a pair of the table. */
static size_t add_string(struct rng *rng, uint8_t *item, size_t used, uint8_t *offset_at,
			 uint8_t *length_at, const char *text)
{
	used += rng_chance(rng, 70) ? 0 : 2 * rng_below(rng, 20);
	size_t length = put_utf16(item + used, text);

	put_number(offset_at, used, 4);
	put_number(length_at, length, 2);
	return used + length;
}

struct pair {
	const char *key;
	char value[96];
};

static void make_linkage(struct rng *rng, const struct layer *parent, char ret_text[96])
{
	char text[37];

	snprintf(ret_text, 96, "{%s}", guid_text(parent->data_write_guid, text));
	for (char *at = ret_text; *at && rng_chance(rng, 90); at++)
		if (rng_chance(rng, 30))
			*at = (char)toupper((unsigned char)*at);
}

static unsigned make_pairs(struct rng *rng, const struct layer *parent, struct pair pairs[6])
{
	unsigned n = 0;
	unsigned paths = (unsigned)rng_between(rng, 1, 7);
	bool second = rng_chance(rng, 15); /* only parent_linkage2 matches */

	pairs[n].key = "parent_linkage";
	make_linkage(rng, parent, pairs[n].value);
	if (second)
		strcpy(pairs[n].value, "{12345678-1234-1234-1234-123456789abc}");
	n++;
	if (second || rng_chance(rng, 30)) {
		pairs[n].key = "parent_linkage2";
		strcpy(pairs[n].value, "{00000000-0000-0000-0000-000000000000}");
		if (second)
			make_linkage(rng, parent, pairs[n].value);
		n++;
	}
	if (paths & 1) {
		pairs[n].key = "relative_path";
		snprintf(pairs[n++].value, 96, ".\\%s", parent->name);
	}
	if (paths & 2) {
		pairs[n].key = "absolute_win32_path";
		snprintf(pairs[n++].value, 96, "C:\\vm\\%s", parent->name);
	}
	if (paths & 4) {
		pairs[n].key = "volume_path";
		snprintf(pairs[n++].value, 96,
			 "\\\\?\\Volume{26a21bda-a627-11d7-9931-806e6f6e6963}\\%s", parent->name);
	}
	return n;
}

static void add_locator(struct rng *rng, struct layer *layer, const struct layer *parent,
			struct table *table)
{
	struct pair pairs[6];
	unsigned n = make_pairs(rng, parent, pairs);
	uint8_t item[4096] = {0};
	size_t used = 20 + 12 * n;
	unsigned first = (unsigned)rng_below(rng, n);

	put_guid(item, "B04AEFB7-D19E-4A81-B789-25B8E9445913");
	put_number(item + 18, n, 2);
	for (unsigned i = 0; i < n; i++) {
		const struct pair *pair = &pairs[(first + i) % n];
		uint8_t *entry = item + 20 + 12 * i;

		used = add_string(rng, item, used, entry, entry + 8, pair->key);
		used = add_string(rng, item, used, entry + 4, entry + 10, pair->value);
	}
	layer->locator.length = used;
	layer->locator.offset = add_item(rng, layer, table, "A8D35F2D-B30B-454D-ABF7-D3D84834AB0C",
					 item, (uint32_t)used, 4);
}

static void write_table(struct rng *rng, struct layer *layer, const struct layer *parent)
{
	struct table table = {.used = TABLE_SIZE};
	uint8_t id[16];
	unsigned first = (unsigned)rng_below(rng, 8);

	memcpy(table.bytes, "metadata", 8);
	rng_fill(rng, id, sizeof(id));
	for (unsigned i = 0; i < 8; i++)
		switch ((first + i) % 8) {
		case 0:
			add_parameters(rng, layer, &table);
			break;
		case 1:
			add_number(rng, layer, &table, "2FA54224-CD1B-4876-B211-5DBED83BF4B8",
				   layer->virtual_size, 8);
			break;
		case 2:
			add_number(rng, layer, &table, "8141BF1D-A96F-4709-BA47-F233A8FAAB5F",
				   layer->sector_size, 4);
			break;
		case 3:
			add_number(rng, layer, &table, "CDA348C7-445D-4471-9CC9-E9885251C556",
				   layer->physical_sector_size, 4);
			break;
		case 4:
			add_item(rng, layer, &table, "BECA12AB-B2E6-4523-93EF-C309E000C746", id, 16,
				 6);
			break;
		case 5:
			if (parent)
				add_locator(rng, layer, parent, &table);
			break;
		case 6: /* unknown, not required, of the user or the system, empty or not */
			if (rng_chance(rng, 30))
				add_item(rng, layer, &table, "01234567-89AB-CDEF-0123-456789ABCDEF",
					 id, rng_chance(rng, 50) ? 16 : 0,
					 (uint32_t)rng_below(rng, 4));
			break;
		default: /* the user's, of a GUID that is known as the system's */
			if (rng_chance(rng, 10))
				add_item(rng, layer, &table, "2FA54224-CD1B-4876-B211-5DBED83BF4B8",
					 id, 8, 1);
			break;
		}
	put_number(table.bytes + 10, table.count, 2);
	if (rng_chance(rng, 50)) /* Windows leaves a stale entry behind the last (F 5) */
		memcpy(table.bytes + 32 + 32 * table.count,
		       table.bytes + 32 + 32 * (table.count - 1), 32);
	sparse_write(&layer->file, table.bytes, TABLE_SIZE, layer->metadata.offset);
}

static void put_region(uint8_t *entry, const char *guid, struct area area, uint32_t required)
{
	put_guid(entry, guid);
	put_number(entry + 16, area.offset, 8);
	put_number(entry + 24, area.length, 4);
	put_number(entry + 28, required, 4);
}

static void write_region_tables(struct rng *rng, const struct chain_style *style,
				struct layer *layer)
{
	uint8_t table[TABLE_SIZE] = "regi";
	uint32_t required = style->tidy || rng_chance(rng, 70);
	unsigned n = 0;
	bool bat_first = rng_chance(rng, 50);

	if (layer->unknown.length && rng_chance(rng, 50))
		put_region(table + 16 + 32 * n++, "FEDCBA98-7654-3210-FEDC-BA9876543210",
			   layer->unknown, 0);
	else
		layer->unknown.length = 0;
	for (int i = 0; i < 2; i++)
		if (bat_first == (i == 0))
			put_region(table + 16 + 32 * n++, "2DC27766-F623-4200-9D64-115E9BFD4A08",
				   layer->bat, required);
		else
			put_region(table + 16 + 32 * n++, "8B7CA206-4790-4B9A-B8FE-575F050F886E",
				   layer->metadata, required);
	put_number(table + 8, n, 4);
	put_number(table + 4, slow_crc32c_structure(table, TABLE_SIZE), 4);
	sparse_write(&layer->file, table, TABLE_SIZE, 192 * T_KIB);
	sparse_write(&layer->file, table, TABLE_SIZE, 256 * T_KIB);
}

void layer_write_metadata(struct rng *rng, const struct chain_style *style, struct layer *layer,
			  const struct layer *parent)
{
	uint8_t identifier[520] = "vhdxfile";

	put_utf16(identifier + 8, "a test's own image");
	sparse_write(&layer->file, identifier, sizeof(identifier), 0);
	rng_fill(rng, layer->data_write_guid, sizeof(layer->data_write_guid));
	write_table(rng, layer, parent);
	write_region_tables(rng, style, layer);
}

static void make_header(struct rng *rng, const struct layer *layer, uint64_t sequence,
			uint8_t header[4096])
{
	memset(header, 0, 4096);
	memcpy(header, "head", 4);
	put_number(header + 8, sequence, 8);
	rng_fill(rng, header + 16, 16);
	memcpy(header + 32, layer->data_write_guid, 16);
	memcpy(header + 48, layer->log_guid, 16);
	put_number(header + 66, 1, 2);
	put_number(header + 68, layer->log.length, 4);
	put_number(header + 72, layer->log.offset, 8);
	put_number(header + 4, slow_crc32c_structure(header, 4096), 4);
}

/* The older header of a real image may say anything, as long as its checksum is right. */
static void make_old_header(struct rng *rng, const struct layer *layer, uint64_t sequence,
			    uint8_t header[4096])
{
	struct layer other = *layer;

	rng_fill(rng, other.data_write_guid, 16);
	rng_fill(rng, other.log_guid, 16);
	other.log.offset = 7 * T_MIB;
	make_header(rng, &other, sequence, header);
}

static void flip_bit(struct rng *rng, struct sparse *file, uint64_t offset, uint64_t length)
{
	uint64_t at = offset + rng_below(rng, length);
	uint8_t byte;

	sparse_read(file, &byte, 1, at);
	byte = (uint8_t)(byte ^ 1 << rng_below(rng, 8));
	sparse_write(file, &byte, 1, at);
}

/* A flipped bit somewhere, or all of it lost. */
static void damage_table(struct rng *rng, struct sparse *file, uint64_t offset)
{
	if (rng_chance(rng, 50))
		flip_bit(rng, file, offset, TABLE_SIZE);
	else
		sparse_zero(file, offset, TABLE_SIZE);
}

void layer_write_headers(struct rng *rng, const struct chain_style *style, struct layer *layer)
{
	uint8_t current[4096];
	uint8_t other[4096];
	uint64_t sequence = rng_chance(rng, 50) ? rng_below(rng, 100) + 1 : rng_next(rng) | 1;
	uint64_t slot = rng_below(rng, 2);
	unsigned kind = style->tidy ? 0 : (unsigned)rng_below(rng, 6);

	make_header(rng, layer, sequence, current);
	memcpy(other, current, sizeof(other));
	if (kind == 1) { /* two equal headers: the first one counts */
		slot = 0;
	} else if (kind == 2) {
		make_old_header(rng, layer, rng_below(rng, sequence), other);
	} else {
		put_number(other + 8, sequence - 1, 8);
		put_number(other + 4, slow_crc32c_structure(other, 4096), 4);
	}
	layer->current_header = (unsigned)slot + 1;
	sparse_write(&layer->file, current, 4096, slot ? 128 * T_KIB : 64 * T_KIB);
	sparse_write(&layer->file, other, 4096, slot ? 64 * T_KIB : 128 * T_KIB);
	if (kind == 3)
		flip_bit(rng, &layer->file, slot ? 64 * T_KIB : 128 * T_KIB, 4096);
	if (kind >= 3 && rng_chance(rng, 40))
		damage_table(rng, &layer->file, rng_chance(rng, 50) ? 192 * T_KIB : 256 * T_KIB);
}
