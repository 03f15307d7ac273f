/* SPDX-License-Identifier: MIT */
/*
 * Contents that a script names: one byte over and over, or stamps. A stamp is 16 bytes, a seed and the number
 * of a 512-byte sector of the disk, repeated: each sector tells who wrote it, and where it belongs.
 */
#ifndef TESTS_TOOLS_STAMPS_H
#define TESTS_TOOLS_STAMPS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct pattern {
	bool stamped;
	uint8_t byte;
	uint64_t seed;
};

/* Reads "0" to "255", "0x00" to "0xff", or "seed:NUMBER". */
bool pattern_parse(const char *text, struct pattern *ret_pattern);

/* What @pattern puts into @size bytes at @offset of the disk. */
void pattern_fill(const struct pattern *pattern, uint64_t offset, void *buf, size_t size);

/* The first of @size bytes read at @offset that is not as @pattern says; @size when there is none. */
size_t pattern_differs(const struct pattern *pattern, uint64_t offset, const void *buf,
		       size_t size);

/* Room for what pattern_describe writes. */
#define DESCRIPTION_SIZE 96

/* Says what stands at byte @at of what was read at @offset: a stamp, or bytes. */
const char *pattern_describe(uint64_t offset, const void *buf, size_t size, size_t at,
			     char ret_text[DESCRIPTION_SIZE]);

#endif
