/* SPDX-License-Identifier: MIT */
/* Scenarios that fill the log, which holds 255 pages: going round, transactions at their limit, old pages. */
#include "crash/runner.h"

#define KIB GUEST_KIB
#define MIB GUEST_MIB

/* A page of the BAT maps so many blocks. */
#define PAGE_BLOCKS ((uint64_t)512)

static const struct setup wide = {.virtual_size = 128 * 1024 * MIB, .spots = true};

/* Block number @index of those that lie in @pages pages of the BAT, in turn; chunks have one entry more. */
static uint64_t block_in_pages(uint64_t index, uint64_t pages)
{
	return (index % pages * PAGE_BLOCKS + index / pages) * MIB;
}

static void wrap_with_flushes(struct guest *guest)
{
	guest_create(guest, &wide);
	guest_open(guest);
	for (uint64_t i = 0; i < 400; i++) {
		guest_write(guest, block_in_pages(i, 40) + i % 200 * 4 * KIB, 4 * KIB);
		if (i % 40 == 39)
			guest_flush(guest);
	}
	guest_close(guest);
}

static void wrap_with_small_commits(struct guest *guest)
{
	guest_create(guest, &wide);
	guest_open(guest);
	for (uint64_t i = 0; i < 160; i++) {
		guest_write(guest, block_in_pages(i, 3) + i * 4 * KIB, 4 * KIB);
		guest_flush(guest);
	}
	guest_close(guest);
}

static void wrap_without_flush(struct guest *guest)
{
	guest_create(guest, &wide);
	guest_open(guest);
	for (uint64_t i = 0; i < 450; i++)
		guest_write(guest, block_in_pages(i, 200) + i % 200 * 4 * KIB, 4 * KIB);
	guest_close(guest);
}

/* A forced write while the log goes round on its own. */
static void wrap_mixed(struct guest *guest)
{
	guest_create(guest, &wide);
	guest_open(guest);
	for (uint64_t i = 0; i < 500; i++) {
		uint64_t offset = block_in_pages(i, 150) + i % 200 * 4 * KIB;

		if (i % 70 == 69)
			guest_write_fua(guest, offset, 4 * KIB);
		else
			guest_write(guest, offset, 4 * KIB);
		if (i % 9 == 8)
			guest_trim(guest, block_in_pages(i - 5, 150), MIB);
	}
	guest_flush(guest);
	guest_close(guest);
}

/* Blocks of 256 MiB: their bits take 16 pages each. */
static void transactions_at_limit(struct guest *guest)
{
	struct setup setup = {.type = VHDX_DIFFERENCING,
			      .virtual_size = 8 * 1024 * MIB,
			      .block_size = 256 << 20,
			      .parent_filled = MIB,
			      .spots = true};

	guest_create(guest, &setup);
	guest_open(guest);
	for (uint64_t i = 0; i < 20; i++) {
		guest_write(guest, i * 256 * MIB + 64 * KIB, 4 * KIB);
		if (i % 7 == 6)
			guest_flush(guest);
	}
	guest_flush(guest);
	for (uint64_t i = 0; i < 6; i++)
		guest_write(guest, i * 256 * MIB + 68 * KIB, 4 * KIB);
	guest_close(guest);
}

/* The pages of the bitmap that a child's writes touch, over and over. */
static void child_wrap(struct guest *guest)
{
	struct setup setup = {.type = VHDX_DIFFERENCING,
			      .virtual_size = 4 * 1024 * MIB,
			      .parent_filled = MIB,
			      .spots = true};

	guest_create(guest, &setup);
	guest_open(guest);
	for (uint64_t i = 0; i < 400; i++) {
		guest_write(guest, i % 100 * 16 * MIB + i / 100 * MIB + 8 * KIB, 4 * KIB);
		if (i % 90 == 89)
			guest_flush(guest);
	}
	guest_close(guest);
}

const struct scenario log_scenarios[] = {
	{"wrap-with-flushes", wrap_with_flushes, 4000},
	{"wrap-with-small-commits", wrap_with_small_commits, 4000},
	{"wrap-without-flush", wrap_without_flush, 4000},
	{"wrap-mixed", wrap_mixed, 1500},
	{"transactions-at-limit", transactions_at_limit, 2000},
	{"child-wrap", child_wrap, 3000},
	{0},
};
