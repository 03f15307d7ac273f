/* SPDX-License-Identifier: MIT */
/* CRC-32C (F 10.1) by ISA-L where the build has it, else eight table look-ups a step. */
#include <limits.h>
#include <pthread.h>

#include "base/arith.h"
#include "base/crc32c.h"
#include "base/le.h"

#ifdef HAVE_ISAL
#include <isa-l/crc.h>
#endif

#define POLYNOMIAL 0x82f63b78u /* 0x1EDC6F41, reflected */

static uint32_t tables[8][256];
static pthread_once_t tables_once = PTHREAD_ONCE_INIT;

static void make_tables(void)
{
	for (uint32_t byte = 0; byte < 256; byte++) {
		uint32_t crc = byte;

		for (int bit = 0; bit < 8; bit++)
			crc = crc >> 1 ^ (crc & 1 ? POLYNOMIAL : 0);
		tables[0][byte] = crc;
	}
	for (int t = 1; t < 8; t++)
		for (uint32_t byte = 0; byte < 256; byte++)
			tables[t][byte] = tables[0][tables[t - 1][byte] & 0xff] ^
					  tables[t - 1][byte] >> 8;
}

static uint32_t eight_bytes(uint32_t crc, const uint8_t *p)
{
	uint32_t low = crc ^ le32_get(*(const struct le32 *)p);

	return tables[7][low & 0xff] ^ tables[6][low >> 8 & 0xff] ^ tables[5][low >> 16 & 0xff] ^
	       tables[4][low >> 24] ^ tables[3][p[4]] ^ tables[2][p[5]] ^ tables[1][p[6]] ^
	       tables[0][p[7]];
}

uint32_t vhdx_crc32c_portable(uint32_t crc, const void *buf, size_t size)
{
	const uint8_t *p = buf;

	pthread_once(&tables_once, make_tables);
	crc = ~crc;
	for (; size >= 8; size -= 8, p += 8)
		crc = eight_bytes(crc, p);
	while (size--)
		crc = tables[0][(crc ^ *p++) & 0xff] ^ crc >> 8;
	return ~crc;
}

uint32_t vhdx_crc32c(uint32_t crc, const void *buf, size_t size)
{
#ifdef HAVE_ISAL
	const uint8_t *p = buf;

	crc = ~crc; /* ISA-L leaves both inversions to the caller, and counts in int */
	while (size) {
		size_t n = min_u64(size, INT_MAX / 2);

		crc = crc32_iscsi((unsigned char *)(uintptr_t)p, (int)n, crc);
		p += n;
		size -= n;
	}
	return ~crc;
#else
	return vhdx_crc32c_portable(crc, buf, size);
#endif
}

uint32_t vhdx_crc32c_structure(const void *buf, size_t size)
{
	static const uint8_t no_checksum[4];
	uint32_t crc = vhdx_crc32c(0, buf, 4);

	crc = vhdx_crc32c(crc, no_checksum, sizeof(no_checksum));
	return vhdx_crc32c(crc, (const uint8_t *)buf + 8, size - 8);
}
