/* SPDX-License-Identifier: MIT */
/* Text for people: sizes, aligned fields, and names that may hold anything. */
#ifndef CLI_TEXT_H
#define CLI_TEXT_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

/* Room for what text_size and text_bytes write. */
#define TEXT_SIZE_MAX 64

/* "64 MiB", "1.5 GiB", "700 bytes". Returns @ret_text. */
const char *text_size(uint64_t size_bytes, char ret_text[TEXT_SIZE_MAX]);

/* "64 MiB (67108864 bytes)". Returns @ret_text. */
const char *text_bytes(uint64_t size_bytes, char ret_text[TEXT_SIZE_MAX]);

/* Controls of either set, line separators, and what turns the direction of writing. */
bool text_is_unsafe(uint32_t character);

/* Writes @text with control characters and what is no UTF-8 escaped, so that it stays on its line. */
void text_write(FILE *out, const char *text);

/* Prints a line "Label:   text" to standard output; an empty label continues the field before it. */
void text_field(const char *label, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
