/* SPDX-License-Identifier: MIT */
/* Numbers as text, two decimal digits at a time. */
#include <string.h>

#include "digits.h"

static const char pairs[] = "00010203040506070809101112131415161718192021222324"
			    "25262728293031323334353637383940414243444546474849"
			    "50515253545556575859606162636465666768697071727374"
			    "75767778798081828384858687888990919293949596979899";

size_t digits_decimal(uint64_t value, char ret_text[DIGITS_MAX])
{
	char text[2 * DIGITS_MAX] = ""; /* so that the copy has a length known to the compiler */
	size_t at = DIGITS_MAX;

	for (; value >= 100; value /= 100) {
		at -= 2;
		memcpy(text + at, pairs + 2 * (value % 100), 2);
	}
	at -= 2;
	memcpy(text + at, pairs + 2 * value, 2);
	at += value < 10;
	memcpy(ret_text, text + at, DIGITS_MAX);
	return DIGITS_MAX - at;
}

size_t digits_hex(uint64_t value, char ret_text[DIGITS_MAX])
{
	size_t count = value ? (size_t)(67 - __builtin_clzll(value)) / 4 : 1;

	for (size_t i = count; i--; value >>= 4)
		ret_text[i] = "0123456789abcdef"[value & 15];
	return count;
}
