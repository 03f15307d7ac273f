/* SPDX-License-Identifier: MIT */
/* Puts a damaged header together again, with proof: its own checksum. */
#include <string.h>

#include "base/crc32c.h"
#include "ops/headerfit.h"

#define MAX_FIELD_SIZE 16u

#define FIELD(member, has_usual) \
	{ \
		offsetof(struct header_disk, member), sizeof(((struct header_disk *)0)->member), \
			has_usual \
	}

static const struct header_field {
	uint16_t offset;
	uint16_t size;
	bool has_usual; /* value, beside the other header's */
} fields[] = {
	FIELD(signature, true),	       FIELD(sequence_number, true), FIELD(file_write_guid, false),
	FIELD(data_write_guid, false), FIELD(log_guid, true),	     FIELD(log_version, true),
	FIELD(version, true),	       FIELD(log_length, false),     FIELD(log_offset, false),
};

/* What a field may have been. */
enum alternative {
	AS_OTHER, /* the number: one more */
	AS_USUAL, /* the number: one less than the other's; LogGuid: zero */
};

static uint8_t *field_bytes(struct header_disk *header, size_t field)
{
	return (uint8_t *)header + fields[field].offset;
}

static void put_alternative(struct header_disk *header, const struct header_disk *other,
			    size_t field, enum alternative alternative)
{
	static const struct header_disk usual = {.signature = HEADER_SIGNATURE,
						 .version = {{HEADER_VERSION}}};
	const struct header_disk *from = alternative == AS_OTHER ? other : &usual;
	uint64_t number = le64_get(other->sequence_number);

	if (fields[field].offset == offsetof(struct header_disk, sequence_number))
		header->sequence_number =
			le64_from(alternative == AS_OTHER ? number + 1 : number - 1);
	else
		memcpy(field_bytes(header, field), (const uint8_t *)from + fields[field].offset,
		       fields[field].size);
}

static bool is_fit(const struct header_disk *header)
{
	return vhdx_crc32c_structure(header, sizeof(*header)) == le32_get(header->checksum);
}

/* Tries all alternatives of the fields from @field on: there are 3888 at most. */
static bool fit_from(struct header_disk *header, const struct header_disk *other, size_t field)
{
	uint8_t found[MAX_FIELD_SIZE];

	if (field == ARRAY_SIZE(fields))
		return is_fit(header);
	size_t size = fields[field].size;

	memcpy(found, field_bytes(header, field), size);
	if (fit_from(header, other, field + 1))
		return true;
	for (unsigned i = AS_OTHER; i <= (fields[field].has_usual ? AS_USUAL : AS_OTHER); i++) {
		put_alternative(header, other, field, i);
		if (memcmp(found, field_bytes(header, field), size) != 0 &&
		    fit_from(header, other, field + 1))
			return true;
	}
	memcpy(field_bytes(header, field), found, size);
	return false;
}

bool vhdx_header_fit(struct header_disk *header, const struct header_disk *other)
{
	struct header_disk trial = *header;
	bool fits = fit_from(&trial, other, 0);

	if (!fits) {
		memset(trial.reserved, 0, sizeof(trial.reserved));
		fits = fit_from(&trial, other, 0);
	}
	if (fits)
		*header = trial;
	return fits;
}
