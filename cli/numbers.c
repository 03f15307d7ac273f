/* SPDX-License-Identifier: MIT */
/* Numbers and sizes from the command line: nothing that wraps, and nothing left over behind them. */
#include <ctype.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "numbers.h"
#include "report.h"

#define SECTOR_LEAST 512

/* Fewer bytes are no disk, but a number whose unit was forgotten. */
#define UNLIKELY (1024 * 1024)

/* Reads decimal digits, at least one, and moves *@text behind them. */
static bool read_digits(const char **text, uint64_t *ret_number)
{
	uint64_t number = 0;
	const char *at = *text;

	for (; isdigit((unsigned char)*at); at++)
		if (__builtin_mul_overflow(number, 10, &number) ||
		    __builtin_add_overflow(number, (uint64_t)(*at - '0'), &number))
			return false;
	if (at == *text)
		return false;
	*text = at;
	*ret_number = number;
	return true;
}

/* The bits that a suffix shifts by; -1 when it is none. Units of 1000, "GB", are not guessed at. */
static int suffix_shift(const char *suffix)
{
	static const char letters[] = "KMGT";

	if (!*suffix)
		return 0;
	const char *letter = strchr(letters, toupper((unsigned char)*suffix));

	if (!letter || (suffix[1] && strcasecmp(suffix + 1, "iB")))
		return -1;
	return 10 * (int)(letter - letters + 1);
}

bool parse_size(const char *what, const char *text, uint64_t *ret_size_bytes)
{
	const char *at = text;
	uint64_t number;
	int shift = -1;

	if (read_digits(&at, &number))
		shift = suffix_shift(at);
	if (shift < 0) {
		report_error(
			NULL,
			"%s '%s' cannot be read (expected a whole number with K, M, G or T, as in 40G)",
			what, text);
		return false;
	}
	if (number > UINT64_MAX >> shift) {
		report_error(NULL, "%s '%s' is too large", what, text);
		return false;
	}
	*ret_size_bytes = number << shift;
	return true;
}

bool is_size(const char *text)
{
	uint64_t number;

	return read_digits(&text, &number) && suffix_shift(text) >= 0;
}

bool parse_disk_size(const char *text, uint64_t *ret_size_bytes)
{
	uint64_t size_bytes;

	if (!parse_size("size", text, &size_bytes))
		return false;
	if (size_bytes < UNLIKELY && size_bytes % SECTOR_LEAST &&
	    isdigit((unsigned char)text[strlen(text) - 1])) {
		report_error(NULL,
			     "size '%s' is %" PRIu64 " bytes (expected whole sectors of %d bytes, "
			     "or K, M, G or T, as in %sG)",
			     text, size_bytes, SECTOR_LEAST, text);
		return false;
	}
	*ret_size_bytes = size_bytes;
	return true;
}

bool parse_size32(const char *what, const char *text, uint32_t *ret_size_bytes)
{
	uint64_t size_bytes;

	if (!parse_size(what, text, &size_bytes))
		return false;
	if (!size_bytes || size_bytes > UINT32_MAX) {
		report_error(NULL, "%s '%s' is too %s (expected more than 0 and less than 4G)",
			     what, text, size_bytes ? "large" : "small");
		return false;
	}
	*ret_size_bytes = (uint32_t)size_bytes;
	return true;
}

bool parse_number(const char *what, const char *text, unsigned least, unsigned most,
		  unsigned *ret_number)
{
	const char *at = text;
	uint64_t number;

	if (!read_digits(&at, &number) || *at || number < least || number > most) {
		report_error(NULL, "%s '%s' is out of range (expected %u to %u)", what, text, least,
			     most);
		return false;
	}
	*ret_number = (unsigned)number;
	return true;
}

static uint8_t hex_value(char digit)
{
	return (uint8_t)(isdigit((unsigned char)digit) ? digit - '0'
						       : tolower((unsigned char)digit) - 'a' + 10);
}

bool parse_hex(const char *what, const char *text, uint8_t **ret_bytes, size_t *ret_size)
{
	size_t digits = strlen(text), size = (digits + 1) / 2;

	if (!digits || strspn(text, "0123456789abcdefABCDEF") != digits) {
		report_error(NULL, "%s '%s' cannot be read (expected hexadecimal digits)", what,
			     text);
		return false;
	}
	uint8_t *bytes = calloc(1, size);

	if (!bytes) {
		report_error(NULL, "out of memory");
		return false;
	}
	for (size_t i = 0; i < digits; i++) {
		uint8_t *byte = &bytes[(i + digits % 2) / 2];

		*byte = (uint8_t)(*byte << 4 | hex_value(text[i]));
	}
	*ret_bytes = bytes;
	*ret_size = size;
	return true;
}
