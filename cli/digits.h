/* SPDX-License-Identifier: MIT */
/* Numbers as text, for output of millions of lines: printf takes five times as long. */
#ifndef CLI_DIGITS_H
#define CLI_DIGITS_H

#include <stddef.h>
#include <stdint.h>

/* Most digits of a number, decimal or not. */
#define DIGITS_MAX 20

/* Each returns how many digits @ret_text begins with; what lies behind them there is undefined. */
size_t digits_decimal(uint64_t value, char ret_text[DIGITS_MAX]);
size_t digits_hex(uint64_t value, char ret_text[DIGITS_MAX]);

#endif
