/* SPDX-License-Identifier: MIT */
/* Sizes in errors, as people read them and to the byte. */
#include <inttypes.h>
#include <stdio.h>

#include "base/sizetext.h"

const char *vhdx_size_text(uint64_t size_bytes, char ret_text[SIZE_TEXT_MAX])
{
	static const char *const units[] = {"bytes", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
	unsigned unit = 0;
	uint64_t whole = size_bytes, rest = 0;

	for (; whole >= 1024; whole /= 1024, unit++)
		rest = whole % 1024 * 100 / 1024;
	if (!unit)
		snprintf(ret_text, SIZE_TEXT_MAX, "%" PRIu64 " bytes", whole);
	else if (rest)
		snprintf(ret_text, SIZE_TEXT_MAX,
			 "%" PRIu64 ".%02" PRIu64 " %s (%" PRIu64 " bytes)", whole, rest,
			 units[unit], size_bytes);
	else
		snprintf(ret_text, SIZE_TEXT_MAX, "%" PRIu64 " %s (%" PRIu64 " bytes)", whole,
			 units[unit], size_bytes);
	return ret_text;
}
