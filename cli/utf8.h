/* SPDX-License-Identifier: MIT */
/* UTF-8, read one character at a time from text that nobody vouches for. */
#ifndef CLI_UTF8_H
#define CLI_UTF8_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Reads the character at *@text, which is not the terminating NUL, and moves *@text behind it. False
 * when there is no valid one: then *ret_character is the one byte that was skipped.
 */
bool utf8_next(const char **text, uint32_t *ret_character);

/* How many bytes @text begins with that mean themselves everywhere: printable ASCII without quotes and backslashes. */
size_t utf8_count_plain(const char *text);

#endif
