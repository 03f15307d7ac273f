/* SPDX-License-Identifier: MIT */
/*
 * Each decoder on bytes of any kind, in a buffer of exactly their size. The first byte chooses the decoder;
 * with PADDED zeros follow the bytes, as many as the largest structure has. What an encoder takes back must
 * decode to the same again.
 */
#include <stdlib.h>
#include <string.h>

#include "format/header.h"
#include "format/locator.h"
#include "format/logentry.h"
#include "format/metadata.h"
#include "format/region.h"
#include "fuzz/store.h"
#include "fuzz/target.h"
#include "meta/bat.h"

#define PADDED	    130u
#define PADDED_SIZE (64 * KIB)

typedef void decode_fn(const uint8_t *bytes, size_t size);

static void decode_identifier(const uint8_t *bytes, size_t size)
{
	struct identifier identifier;
	struct identifier again;
	uint8_t encoded[sizeof(struct identifier_disk)];

	if (vhdx_identifier_decode(bytes, size, &identifier) || !identifier.creator_is_text)
		return;
	if (strlen(identifier.creator) >= sizeof(identifier.creator))
		fuzz_fail("a creator without an end");
	if (vhdx_identifier_encode(identifier.creator, encoded, sizeof(encoded)) ||
	    vhdx_identifier_decode(encoded, sizeof(encoded), &again) ||
	    strcmp(identifier.creator, again.creator) != 0)
		fuzz_fail("a creator that does not come back: %s", identifier.creator);
}

static void decode_header(const uint8_t *bytes, size_t size)
{
	struct header header;
	struct header again;
	uint8_t encoded[HEADER_SIZE];

	if (vhdx_header_decode(bytes, size, &header))
		return;
	if (vhdx_header_encode(&header, encoded, sizeof(encoded)) ||
	    vhdx_header_decode(encoded, sizeof(encoded), &again) || !header_is_valid(&again) ||
	    again.log_offset != header.log_offset || again.log_length != header.log_length ||
	    again.sequence_number != header.sequence_number)
		fuzz_fail("a header that does not come back");
}

static void decode_regions(const uint8_t *bytes, size_t size)
{
	struct region_table table;
	struct region region;

	if (!vhdx_region_table_decode(bytes, size, &table) && region_table_is_valid(&table) &&
	    table.stored_checksum != table.checksum)
		fuzz_fail("a valid table with a wrong checksum");
	for (uint32_t i = 0; i <= MAX_REGIONS + 1; i++)
		if (!vhdx_region_decode(bytes, size, i, &region) && i >= MAX_REGIONS)
			fuzz_fail("region %u of at most %u", i, MAX_REGIONS);
	vhdx_region_decode(bytes, size, UINT32_MAX, &region);
}

static void decode_metadata(const uint8_t *bytes, size_t size)
{
	struct metadata_table table;
	struct metadata_item item;

	vhdx_metadata_table_decode(bytes, size, &table);
	for (unsigned i = 0; i <= MAX_ITEMS + 1; i++) {
		if (vhdx_metadata_item_decode(bytes, size, i, &item))
			continue;
		if (i >= MAX_ITEMS)
			fuzz_fail("item %u of at most %u", i, MAX_ITEMS);
		if (vhdx_known_item(&item.id) > KNOWN_ITEMS)
			fuzz_fail("an item of no kind");
	}
}

static void decode_parameters(const uint8_t *bytes, size_t size)
{
	struct file_parameters parameters;
	struct file_parameters_disk encoded;

	if (vhdx_file_parameters_decode(bytes, size, &parameters))
		return;
	vhdx_file_parameters_encode(&parameters, &encoded);
	if (memcmp(&encoded, bytes, sizeof(encoded)) != 0)
		fuzz_fail("file parameters that do not come back");
}

static void decode_locator(const uint8_t *bytes, size_t size)
{
	struct locator locator;
	struct fault fault;
	size_t length = 0;

	if (vhdx_locator_decode(bytes, size, &locator, &fault))
		return;
	if (locator.count > MAX_LOCATOR_PAIRS)
		fuzz_fail("%u pairs", locator.count);
	for (unsigned i = 0; i < locator.count; i++) {
		length += strlen(locator.pairs[i].key) + strlen(locator.pairs[i].value);
		vhdx_locator_get(&locator, locator.pairs[i].key);
	}
	if (length > locator.text_size)
		fuzz_fail("texts of %zu bytes in %zu", length, locator.text_size);
	vhdx_locator_free(&locator);
}

/* The place of a log comes first, for entries must lie in it. */
static void decode_log(const uint8_t *bytes, size_t size)
{
	struct log_place place = {.offset = MIB, .length = MIB};
	struct log_entry entry;
	struct log_descriptor descriptor;
	static uint8_t page[LOG_SECTOR_SIZE];

	if (size < LOG_SECTOR_SIZE)
		return;
	memcpy(&place.guid, bytes + offsetof(struct log_entry_disk, log_guid), sizeof(place.guid));
	if (vhdx_log_entry_decode(bytes, size, &place, &entry))
		return;
	if (!entry.entry_length || entry.entry_length > place.length ||
	    log_descriptor_sectors(entry.descriptor_count) * LOG_SECTOR_SIZE > entry.entry_length)
		fuzz_fail("an entry that holds more than its length");
	for (size_t at = sizeof(struct log_entry_disk);
	     at + sizeof(struct log_descriptor_disk) <= size;
	     at += sizeof(struct log_descriptor_disk)) {
		if (vhdx_log_descriptor_decode(bytes + at, sizeof(struct log_descriptor_disk),
					       &place, &entry, &descriptor))
			continue;
		if (descriptor.file_offset < LOG_FIRST_TARGET || !descriptor.length ||
		    descriptor.file_offset > UINT64_MAX - descriptor.length)
			fuzz_fail("a target at %#llx", (unsigned long long)descriptor.file_offset);
		if (!descriptor.is_zero &&
		    vhdx_log_sector_belongs(bytes, size, entry.sequence_number))
			vhdx_log_page_rebuild(&descriptor, (const void *)bytes, page);
	}
}

static void decode_utf16(const uint8_t *bytes, size_t size)
{
	char *text = malloc(UTF8_SIZE(size / 2));
	uint8_t *encoded = malloc(size + 2);
	size_t length;
	int ret = vhdx_utf16_decode(bytes, size, text);

	if (!ret && (vhdx_utf16_encode(text, encoded, size + 2, &length) || length > size ||
		     memcmp(encoded, bytes, length) != 0))
		fuzz_fail("UTF-16 that does not come back");
	free(text);
	free(encoded);
}

static void encode_utf8(const uint8_t *bytes, size_t size)
{
	char *text = calloc(1, size + 1);
	char *again = malloc(UTF8_SIZE(size));
	uint8_t *encoded = malloc(2 * size + 2);
	size_t length;

	memcpy(text, bytes, size);
	if (!vhdx_utf16_encode(text, encoded, 2 * size, &length) &&
	    (vhdx_utf16_decode(encoded, length, again) || strcmp(text, again) != 0))
		fuzz_fail("UTF-8 that does not come back");
	free(text);
	free(again);
	free(encoded);
}

/* Any geometry within its limits: each entry is of one block or one chunk. */
static void decode_bat(const uint8_t *bytes, size_t size)
{
	uint64_t entry;
	uint64_t disk_size;

	if (size < 2 + sizeof(entry) + sizeof(disk_size))
		return;
	memcpy(&entry, bytes + 2, sizeof(entry));
	memcpy(&disk_size, bytes + 2 + sizeof(entry), sizeof(disk_size));
	struct geometry g = geometry_make(disk_size % MAX_DISK_SIZE + 1,
					  MIN_BLOCK_SIZE << bytes[0] % 9, bytes[1] & 2 ? 4096 : 512,
					  bytes[1] & 1);
	uint64_t index = entry % g.entries;
	uint64_t back = bat_index_is_bitmap(&g, index)
				? bat_index_of_bitmap(&g, bat_chunk_of_index(&g, index))
				: bat_index_of_block(&g, bat_block_of_index(&g, index));

	if (back != index || g.entries > (uint64_t)1 << 27)
		fuzz_fail("entry %llu of %llu", (unsigned long long)index,
			  (unsigned long long)g.entries);
	if ((bat_entry_offset(entry) | bat_entry_reserved(entry) | bat_entry_state(entry)) != entry)
		fuzz_fail("an entry of more than its parts");
}

static decode_fn *const decoders[] = {
	decode_identifier, decode_header, decode_regions, decode_metadata, decode_parameters,
	decode_locator,	   decode_log,	  decode_utf16,	  encode_utf8,	   decode_bat,
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (!size)
		return 0;
	bool is_padded = data[0] >= PADDED;
	size_t length = is_padded && size <= PADDED_SIZE ? PADDED_SIZE + 1 : size;
	uint8_t *bytes = calloc(1, length);
	unsigned choice = is_padded ? data[0] - PADDED : data[0];

	if (!bytes)
		return 0;
	memcpy(bytes, data, size);
	decoders[choice % (sizeof(decoders) / sizeof(decoders[0]))](bytes + 1, length - 1);
	free(bytes);
	return 0;
}
