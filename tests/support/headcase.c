/* SPDX-License-Identifier: MIT */
/* Damage to the headers, the log and the region tables of a repair_case. */
#include <stdlib.h>
#include <string.h>

#include "support/headcase.h"

static const struct area usual_log = {T_MIB, T_MIB};

unsigned head_current(const struct repair_case *c)
{
	return case_get(c, head(1) + HEAD_NUMBER, 8) > case_get(c, head(0) + HEAD_NUMBER, 8);
}

void head_fit(struct repair_case *c)
{
	image_mend_checksums(&c->file, usual_log.offset, usual_log.length);
}

void head_put(struct repair_case *c, uint64_t field, uint64_t value, unsigned width)
{
	case_put(c, head(0) + field, value, width);
	case_put(c, head(1) + field, value, width);
	head_fit(c);
}

void head_flip(struct repair_case *c, uint64_t offset)
{
	case_put(c, offset, case_get(c, offset, 1) ^ 0x5a, 1);
}

void head_zero(struct repair_case *c, uint64_t offset, uint64_t length)
{
	sparse_zero(&c->file, offset, length);
}

uint64_t region_entry(const struct repair_case *c, unsigned copy, const char *guid)
{
	uint8_t wanted[16];
	uint8_t found[16];

	put_guid(wanted, guid);
	for (uint64_t at = regions(copy) + 16; at < regions(copy + 1); at += 32) {
		sparse_read(&c->file, found, sizeof(found), at);
		if (!memcmp(found, wanted, sizeof(wanted)))
			return at;
	}
	return 0;
}

void region_put(struct repair_case *c, const char *guid, uint64_t field, uint64_t value,
		unsigned width)
{
	for (unsigned copy = 0; copy < 2; copy++)
		case_put(c, region_entry(c, copy, guid) + field, value, width);
	head_fit(c);
}

void region_add(struct repair_case *c, const char *guid, uint64_t offset, uint64_t length,
		uint32_t required)
{
	uint8_t entry[32];

	put_guid(entry, guid);
	put_number(entry + 16, offset, 8);
	put_number(entry + 24, length, 4);
	put_number(entry + 28, required, 4);
	for (unsigned copy = 0; copy < 2; copy++) {
		uint64_t count = case_get(c, regions(copy) + 8, 4);

		sparse_write(&c->file, entry, sizeof(entry), regions(copy) + 16 + 32 * count);
		case_put(c, regions(copy) + 8, count + 1, 4);
	}
	head_fit(c);
}

void head_log_put(struct repair_case *c, const struct head_log *log,
		  const struct log_change_spec *changes, uint32_t count)
{
	struct log_entry_spec spec = {
		.tail = (uint32_t)log->tail,
		.sequence = log->sequence,
		.flushed = log->flushed ? log->flushed : c->file.size / T_MIB * T_MIB,
		.last = log->last ? log->last : c->file.size / T_MIB * T_MIB,
	};
	uint8_t *bytes;

	memset(spec.guid, log->guid, sizeof(spec.guid));
	size_t size = log_entry_make(&spec, changes, count, &bytes);

	log_put(&c->file, usual_log, log->position, bytes, size);
	free(bytes);
}

void head_log_open(struct repair_case *c, uint8_t guid)
{
	uint8_t bytes[16];

	memset(bytes, guid, sizeof(bytes));
	head_zero(c, usual_log.offset, usual_log.length);
	sparse_write(&c->file, bytes, sizeof(bytes), head(0) + HEAD_LOG_GUID);
	sparse_write(&c->file, bytes, sizeof(bytes), head(1) + HEAD_LOG_GUID);
	head_fit(c);
}

void head_log_bat(struct repair_case *c, struct head_log log)
{
	uint8_t page[4096];
	struct log_change_spec change = {.target = c->bat, .page = page};

	sparse_read(&c->file, page, sizeof(page), c->bat);
	head_log_put(c, &log, &change, 1);
	head_zero(c, c->bat, sizeof(page));
}
