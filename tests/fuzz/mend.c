/* SPDX-License-Identifier: MIT */
/* Checksums made right again after damage, so that inputs reach what lies behind them. */
#include <stdlib.h>
#include <string.h>

#include "base/crc32c.h"
#include "fuzz/input.h"

#define MOST_ENTRY (1 * T_MIB)

static void mend_structure(struct cow *file, uint64_t offset, size_t size, const char *signature)
{
	static uint8_t bytes[64 * 1024];
	uint8_t checksum[4];

	cow_read(file, bytes, size, offset);
	if (memcmp(bytes, signature, 4) != 0)
		return;
	put_number(checksum, vhdx_crc32c_structure(bytes, size), 4);
	if (memcmp(bytes + 4, checksum, 4) != 0)
		cow_write(file, checksum, 4, offset + 4);
}

static void mend_entry(struct cow *file, struct area log, uint64_t position)
{
	static uint8_t bytes[MOST_ENTRY];
	uint8_t checksum[4];

	cow_read(file, bytes, 64, log.offset + position);
	uint64_t size = get_number(bytes + 8, 4);

	if (memcmp(bytes, "loge", 4) != 0 || !size || size % 4096 || size > log.length ||
	    size > sizeof(bytes))
		return;
	for (uint64_t done = 0; done < size; done += 4096)
		cow_read(file, bytes + done, 4096, log.offset + (position + done) % log.length);
	put_number(checksum, vhdx_crc32c_structure(bytes, size), 4);
	if (memcmp(bytes + 4, checksum, 4) != 0)
		cow_write(file, checksum, 4, log.offset + position + 4);
}

void fuzz_mend_checksums(struct cow *file, struct area log)
{
	uint64_t size = file->size;

	mend_structure(file, 64 * T_KIB, 4096, "head");
	mend_structure(file, 128 * T_KIB, 4096, "head");
	mend_structure(file, 192 * T_KIB, 64 * T_KIB, "regi");
	mend_structure(file, 256 * T_KIB, 64 * T_KIB, "regi");
	for (uint64_t at = 0; at < log.length; at += 4096) {
		uint64_t start;
		uint64_t end;

		if (!cow_next(file, log.offset + at, &start, &end) ||
		    start >= log.offset + log.length)
			break;
		if (start > log.offset + at)
			at = (start - log.offset) / 4096 * 4096;
		mend_entry(file, log, at);
	}
	cow_resize(file, size); /* a short file stays short */
}
