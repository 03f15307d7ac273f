/* SPDX-License-Identifier: MIT */
/* CRC-32C (F 10.1). */
#ifndef VHDX_BASE_CRC32C_H
#define VHDX_BASE_CRC32C_H

#include <stddef.h>
#include <stdint.h>

/* Continues @crc, the checksum of what went before (0 at the start), over @size bytes. */
uint32_t vhdx_crc32c(uint32_t crc, const void *buf, size_t size);

/* The same without ISA-L: used where the build has none, and always tested. */
uint32_t vhdx_crc32c_portable(uint32_t crc, const void *buf, size_t size);

/* Of a structure whose checksum field, the 32 bits at offset 4, counts as zero. @size is at least 8. */
uint32_t vhdx_crc32c_structure(const void *buf, size_t size);

#endif
