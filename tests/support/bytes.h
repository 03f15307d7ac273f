/* SPDX-License-Identifier: MIT */
/* Little-endian numbers, GUIDs and CRC-32C for test images: nothing here is shared with the library. */
#ifndef TESTS_SUPPORT_BYTES_H
#define TESTS_SUPPORT_BYTES_H

#include <stddef.h>
#include <stdint.h>

static inline void put_number(void *at, uint64_t value, unsigned bytes)
{
	for (unsigned i = 0; i < bytes; i++)
		((uint8_t *)at)[i] = (uint8_t)(value >> (8 * i));
}

static inline uint64_t get_number(const void *at, unsigned bytes)
{
	uint64_t value = 0;

	for (unsigned i = bytes; i-- > 0;)
		value = value << 8 | ((const uint8_t *)at)[i];
	return value;
}

/* The bytes on disk of a GUID's text (F 10.2), without braces. */
void put_guid(uint8_t ret_bytes[16], const char *text);

/* The text of a GUID as it stands on disk; 37 bytes. */
char *guid_text(const uint8_t bytes[16], char ret_text[37]);

/* ASCII as UTF-16LE. Returns the bytes written. */
size_t put_utf16(uint8_t *at, const char *text);

/* CRC-32C by its definition (F 10.1), continued from @crc. */
uint32_t slow_crc32c(uint32_t crc, const void *buf, size_t size);

/* Of a structure with its checksum at offset 4, which counts as zero. */
uint32_t slow_crc32c_structure(const void *buf, size_t size);

/* "0a 0B" and the like into bytes; spaces are skipped. Returns their number. */
size_t put_hex(void *at, const char *hex);

#endif
