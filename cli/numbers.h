/* SPDX-License-Identifier: MIT */
/* Numbers and sizes from the command line. Each function reports what it cannot read. */
#ifndef CLI_NUMBERS_H
#define CLI_NUMBERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Reads "64", "64K", "10G", "10GiB": suffixes K M G T of either case. @what names it in errors. */
bool parse_size(const char *what, const char *text, uint64_t *ret_size_bytes);

/* As parse_size, of a disk: bytes that are no whole sectors lack their unit. */
bool parse_disk_size(const char *text, uint64_t *ret_size_bytes);

/* Would parse_size take it? */
bool is_size(const char *text);

/* As parse_size, for a size of more than 0 and less than 4 GiB. */
bool parse_size32(const char *what, const char *text, uint32_t *ret_size_bytes);

/* Reads a decimal number from @least to @most. */
bool parse_number(const char *what, const char *text, unsigned least, unsigned most,
		  unsigned *ret_number);

/*
 * Reads hexadecimal digits, an odd first one alone, into bytes. *ret_bytes is the caller's to free. At
 * least one digit.
 */
bool parse_hex(const char *what, const char *text, uint8_t **ret_bytes, size_t *ret_size);

#endif
