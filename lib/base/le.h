/* SPDX-License-Identifier: MIT */
/* Little-endian integers as they stand on disk: the byte order is in the type, so none is forgotten. */
#ifndef VHDX_BASE_LE_H
#define VHDX_BASE_LE_H

#include <stdint.h>

struct le16 {
	uint8_t bytes[2];
};

struct le32 {
	uint8_t bytes[4];
};

struct le64 {
	uint8_t bytes[8];
};

static inline uint16_t le16_get(struct le16 v)
{
	return (uint16_t)(v.bytes[0] | v.bytes[1] << 8);
}

static inline uint32_t le32_get(struct le32 v)
{
	return (uint32_t)v.bytes[0] | (uint32_t)v.bytes[1] << 8 | (uint32_t)v.bytes[2] << 16 |
	       (uint32_t)v.bytes[3] << 24;
}

static inline uint64_t le64_get(struct le64 v)
{
	uint64_t value = 0;

	for (int i = 7; i >= 0; i--)
		value = value << 8 | v.bytes[i];
	return value;
}

static inline struct le16 le16_from(uint16_t value)
{
	return (struct le16){{(uint8_t)value, (uint8_t)(value >> 8)}};
}

static inline struct le32 le32_from(uint32_t value)
{
	return (struct le32){{(uint8_t)value, (uint8_t)(value >> 8), (uint8_t)(value >> 16),
			      (uint8_t)(value >> 24)}};
}

static inline struct le64 le64_from(uint64_t value)
{
	struct le64 v;

	for (int i = 0; i < 8; i++)
		v.bytes[i] = (uint8_t)(value >> (8 * i));
	return v;
}

#endif
