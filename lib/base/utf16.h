/* SPDX-License-Identifier: MIT */
/* UTF-16LE, the text encoding of the format, to and from UTF-8. */
#ifndef VHDX_BASE_UTF16_H
#define VHDX_BASE_UTF16_H

#include <stddef.h>
#include <stdint.h>

/* Most bytes of UTF-8 that @units units of UTF-16 become, and its NUL. */
#define UTF8_SIZE(units) (3 * (units) + 1)

/*
 * Converts @size bytes (an odd last one is left out) up to their end or a NUL; what is no UTF-16
 * becomes U+FFFD. ret_text needs UTF8_SIZE(size / 2). Returns 0, or -EILSEQ when something was
 * replaced; ret_text is complete either way.
 */
int vhdx_utf16_decode(const void *utf16, size_t size, char *ret_text);

/*
 * Converts UTF-8 into at most @size bytes. Returns 0, -EILSEQ when @text is no UTF-8, or -ENAMETOOLONG;
 * *ret_size is the bytes used.
 */
int vhdx_utf16_encode(const char *text, void *ret_utf16, size_t size, size_t *ret_size);

#endif
