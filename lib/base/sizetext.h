/* SPDX-License-Identifier: MIT */
/* Sizes in errors, as people read them and to the byte. */
#ifndef VHDX_BASE_SIZETEXT_H
#define VHDX_BASE_SIZETEXT_H

#include <stdint.h>

#define SIZE_TEXT_MAX 48

/* "1.50 MiB (1572864 bytes)", or of less than 1024 "512 bytes". Returns @ret_text. */
const char *vhdx_size_text(uint64_t size_bytes, char ret_text[SIZE_TEXT_MAX]);

#endif
