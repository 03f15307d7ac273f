/* SPDX-License-Identifier: MIT */
/* Records that are log entries: valid by their form and checksums, hostile by what they say. */
#include <stdlib.h>
#include <string.h>

#include "fuzz/logrecord.h"
#include "support/log.h"

#define MOST_DESCRIPTORS 40u
#define DESCRIPTOR_BYTES 6u

/* Flags of an entry. */
#define TAIL_IS_SELF	 0x01u
#define FLUSHED_IS_SHORT 0x02u /* the argument in MiB, else the file's size */
#define LAST_IS_LONG	 0x04u /* the argument in MiB more than the file's size */
#define LAST_IS_HUGE	 0x08u /* 2 to the argument */
#define BREAKS_SEQUENCE	 0x10u

static uint64_t unit_offset(const struct layer *layer, unsigned unit)
{
	switch (unit) {
	case 0:
		return layer->bat.offset;
	case 1:
		return layer->metadata.offset;
	case 2:
		return 192 * T_KIB; /* region tables */
	case 3:
		return layer->log.offset;
	case 4:
		return layer->bitmap_count ? layer->bitmaps[0].offset : 0;
	case 5:
		return layer->data_end;
	case 6:
		return layer->list && layer->count ? layer->list[0].offset : 0;
	case 7:
		return (uint64_t)1 << 44;
	default:
		return 0;
	}
}

static void take_descriptor(const struct layer *layer, const struct cow *file,
			    const uint8_t *payload, uint8_t page[4096],
			    struct log_change_spec *ret_change)
{
	unsigned wrong = payload[0] >> 4 & 7;
	uint64_t pages = get_number(payload + 1, 2);
	size_t at = get_number(payload + 3, 2) % 4096;

	ret_change->target = unit_offset(layer, payload[0] & 15) + pages % 1024 * 4096;
	if (wrong == 1)
		ret_change->target += at; /* not aligned */
	if (payload[0] & 0x80) {
		ret_change->length = (uint64_t)(payload[5] + 1) * 4096;
		if (wrong == 2)
			ret_change->length = (uint64_t)1 << payload[5] % 64;
		return;
	}
	cow_read(file, page, 4096, ret_change->target);
	memset(page + at, payload[5], at <= 4096 - 8 ? 8 : 1);
	ret_change->page = page;
}

static void name_guid(struct cow *file, const uint8_t guid[16])
{
	for (unsigned slot = 0; slot < 2; slot++)
		cow_write(file, guid, 16, (64 + 64 * slot) * T_KIB + 48);
}

void fuzz_log_record(struct log_records *log, const struct layer *layer, struct cow *file,
		     const uint8_t *payload, unsigned length)
{
	static uint8_t pages[MOST_DESCRIPTORS][4096];
	struct log_change_spec changes[MOST_DESCRIPTORS] = {0};
	struct log_entry_spec spec = {.guid = "fuzzed sequence"};
	uint8_t flags = length ? payload[0] : 0;
	uint64_t argument = length > 1 ? payload[1] : 0;
	uint32_t count = 0;
	uint8_t *bytes;

	for (unsigned at = 2; at + DESCRIPTOR_BYTES <= length && count < MOST_DESCRIPTORS;
	     at += DESCRIPTOR_BYTES, count++)
		take_descriptor(layer, file, payload + at, pages[count], &changes[count]);
	spec.sequence = 100 + log->count + (flags & BREAKS_SEQUENCE ? argument : 0);
	spec.tail = flags & TAIL_IS_SELF ? (uint32_t)log->position : 0;
	spec.flushed = flags & FLUSHED_IS_SHORT ? argument * T_MIB : file->size / T_MIB * T_MIB;
	spec.last = (file->size + T_MIB - 1) / T_MIB * T_MIB;
	if (flags & LAST_IS_LONG)
		spec.last += argument * T_MIB;
	if (flags & LAST_IS_HUGE)
		spec.last = (uint64_t)1 << argument % 64;
	size_t size = log_entry_make(&spec, changes, count, &bytes);

	if (log->position + size <= layer->log.length) {
		for (size_t done = 0; done < size; done += 4096)
			cow_write(file, bytes + done, 4096,
				  layer->log.offset + log->position + done);
		log->position += size;
		log->count++;
		name_guid(file, spec.guid);
	}
	free(bytes);
}
