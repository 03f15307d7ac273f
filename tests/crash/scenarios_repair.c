/* SPDX-License-Identifier: MIT */
/* Scenarios of damaged images that are repaired: in their headers, their tables, their space, at their end. */
#include "crash/repairs.h"

#define KIB ((uint64_t)1 << 10)

static void put(struct cow *image, uint64_t offset, uint64_t value)
{
	uint8_t bytes[8];

	for (int i = 0; i < 8; i++)
		bytes[i] = (uint8_t)(value >> (8 * i));
	cow_write(image, bytes, sizeof(bytes), offset);
}

static void bad_header(struct cow *image, uint64_t bat)
{
	(void)bat;
	put(image, 128 * KIB + 100, 1);
}

/* Nothing that names anything is right. */
static void bad_names(struct cow *image, uint64_t bat)
{
	(void)bat;
	put(image, 0, 0);
	put(image, 64 * KIB + 100, 1);
	put(image, 256 * KIB + 100, 1);
}

/* Block 1 is given up, and its space stays behind. */
static void leak(struct cow *image, uint64_t bat)
{
	put(image, bat + 8, 0);
}

/* Half of the last block is not there, and block 1 lies nowhere. */
static void cut_short(struct cow *image, uint64_t bat)
{
	cow_resize(image, image->size - REPAIR_MIB / 2 - 100);
	put(image, bat + 8, (uint64_t)0x12345 << 20 | 6);
}

static const struct repair_case of_header = {.damage = bad_header};
static const struct repair_case of_names = {.damage = bad_names};
static const struct repair_case of_leak = {.damage = leak, .lost = 1 << 1};
static const struct repair_case of_short_file = {.damage = cut_short, .lost = 1 << 1};

const struct scenario repair_scenarios[] = {
	{.name = "repair-header", .of_repair = &of_header},
	{.name = "repair-names", .of_repair = &of_names},
	{.name = "repair-leak", .of_repair = &of_leak},
	{.name = "repair-short-file", .of_repair = &of_short_file},
	{.name = NULL},
};
