/* SPDX-License-Identifier: MIT */
/* Text for people. File names and what stands in images may hold anything, so all of it is escaped. */
#include <inttypes.h>
#include <stdarg.h>
#include <stdbool.h>
#include <string.h>

#include "cleanup.h"
#include "text.h"
#include "utf8.h"

const char *text_size(uint64_t size_bytes, char ret_text[TEXT_SIZE_MAX])
{
	static const char *const units[] = {"bytes", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
	unsigned unit = 0;
	uint64_t whole = size_bytes, rest = 0;

	while (whole >= 1024) {
		rest = whole % 1024;
		whole /= 1024;
		unit++;
	}
	if (rest * 100 / 1024)
		snprintf(ret_text, TEXT_SIZE_MAX, "%" PRIu64 ".%02" PRIu64 " %s", whole,
			 rest * 100 / 1024, units[unit]);
	else
		snprintf(ret_text, TEXT_SIZE_MAX, "%" PRIu64 " %s", whole, units[unit]);
	return ret_text;
}

const char *text_bytes(uint64_t size_bytes, char ret_text[TEXT_SIZE_MAX])
{
	text_size(size_bytes, ret_text);
	size_t used = strlen(ret_text);

	if (size_bytes >= 1024)
		snprintf(ret_text + used, TEXT_SIZE_MAX - used, " (%" PRIu64 " bytes)", size_bytes);
	return ret_text;
}

bool text_is_unsafe(uint32_t character)
{
	return character < 0x20 || (character >= 0x7f && character < 0xa0) ||
	       (character >= 0x2028 && character <= 0x202e) ||
	       (character >= 0x2066 && character <= 0x2069);
}

static void write_character(FILE *out, const char **text)
{
	const char *start = *text;
	uint32_t character;

	if (!utf8_next(text, &character))
		fprintf(out, "\\x%02" PRIx32, character);
	else if (text_is_unsafe(character))
		fprintf(out, character < 0x100 ? "\\x%02" PRIx32 : "\\u%04" PRIx32, character);
	else
		fwrite(start, 1, (size_t)(*text - start), out);
}

void text_write(FILE *out, const char *text)
{
	while (*text) {
		size_t plain = utf8_count_plain(text);

		fwrite(text, 1, plain, out);
		text += plain;
		if (*text)
			write_character(out, &text);
	}
}

void text_field(const char *label, const char *format, ...)
{
	auto_free char *text = NULL;
	va_list args;
	int length;

	va_start(args, format);
	length = vasprintf(&text, format, args);
	va_end(args);
	if (length < 0) {
		text = NULL;
		return;
	}
	int used = printf("%s%s", label, *label ? ":" : "");

	printf("%*s", used < 18 ? 18 - used : 1, "");
	text_write(stdout, text);
	putchar('\n');
}
