/* SPDX-License-Identifier: MIT */
/* Scenarios of one thread on one disk: writing, zeroing, trimming, flushing, closing. */
#include "crash/runner.h"

#define KIB GUEST_KIB
#define MIB GUEST_MIB

static void first_write(struct guest *guest)
{
	guest_create(guest, &(struct setup){0});
	guest_open(guest);
	guest_write(guest, 3 * MIB + 8 * KIB, 4 * KIB);
	guest_flush(guest);
	guest_close(guest);
}

static void many_allocations(struct guest *guest)
{
	guest_create(guest, &(struct setup){.virtual_size = 24 * MIB, .spots = true});
	guest_open(guest);
	for (uint64_t i = 0; i < 20; i++)
		guest_write(guest, i * MIB + i * 16 * KIB, 4 * KIB);
	guest_flush(guest);
	guest_close(guest);
}

static void flush_each(struct guest *guest)
{
	guest_create(guest, &(struct setup){.virtual_size = 12 * MIB, .spots = true});
	guest_open(guest);
	for (uint64_t i = 0; i < 10; i++) {
		guest_write(guest, (9 - i) * MIB + i * 4 * KIB, 4 * KIB);
		guest_flush(guest);
	}
	guest_close(guest);
}

static void overwrites(struct guest *guest)
{
	guest_create(guest, &(struct setup){0});
	guest_open(guest);
	guest_write(guest, 2 * MIB, 16 * KIB);
	guest_flush(guest);
	guest_write(guest, 2 * MIB + 4 * KIB, 4 * KIB);
	guest_write(guest, 2 * MIB + 6 * KIB, 4 * KIB);
	guest_flush(guest);
	guest_write(guest, 2 * MIB, 8 * KIB);
	guest_write(guest, 2 * MIB + 700, 100);
	guest_write(guest, 2 * MIB + 800, 3000);
	guest_flush(guest);
	guest_close(guest);
}

static void whole_blocks(struct guest *guest)
{
	guest_create(guest, &(struct setup){0});
	guest_open(guest);
	guest_write(guest, 1 * MIB, MIB);
	guest_write(guest, 2 * MIB + 512 * KIB, MIB);
	guest_flush(guest);
	guest_write(guest, 1 * MIB + 256 * KIB, 2 * MIB + 128 * KIB);
	guest_flush(guest);
	guest_close(guest);
}

static void zeroes(struct guest *guest)
{
	guest_create(guest, &(struct setup){0});
	guest_open(guest);
	guest_write(guest, 0, 64 * KIB);
	guest_write(guest, 1 * MIB, 64 * KIB);
	guest_write(guest, 2 * MIB, 64 * KIB);
	guest_flush(guest);
	guest_zero(guest, 8 * KIB, 8 * KIB, 0);
	guest_zero(guest, 32 * KIB + 100, 1000, VHDX_ZERO_MAY_UNMAP);
	guest_zero(guest, 1 * MIB, MIB, 0);
	guest_zero(guest, 2 * MIB, MIB, VHDX_ZERO_MAY_UNMAP);
	guest_flush(guest);
	guest_write(guest, 1 * MIB + 4 * KIB, 4 * KIB);
	guest_write(guest, 2 * MIB + 4 * KIB, 4 * KIB);
	guest_zero(guest, 0, 3 * MIB, VHDX_ZERO_MAY_UNMAP);
	guest_zero(guest, 6 * MIB, 4 * KIB, 0);
	guest_flush(guest);
	guest_close(guest);
}

static void trims(struct guest *guest)
{
	guest_create(guest, &(struct setup){0});
	guest_open(guest);
	guest_write(guest, 0, 64 * KIB);
	guest_write(guest, 1 * MIB, 64 * KIB);
	guest_flush(guest);
	guest_trim(guest, 8 * KIB, 16 * KIB);
	guest_trim(guest, 1 * MIB, MIB);
	guest_flush(guest);
	guest_write(guest, 1 * MIB + 8 * KIB, 4 * KIB);
	guest_trim(guest, 0, MIB);
	guest_flush(guest);
	guest_write(guest, 4 * KIB, 4 * KIB);
	guest_flush(guest);
	guest_close(guest);
}

/* Holes are not asked for: freed space keeps what it held. */
static void no_holes(struct guest *guest)
{
	guest_create(guest, &(struct setup){.flags = VHDX_OPEN_NO_HOLES});
	guest_open(guest);
	guest_write(guest, 0, MIB);
	guest_write(guest, 1 * MIB, MIB);
	guest_flush(guest);
	guest_trim(guest, 0, MIB);
	guest_zero(guest, 1 * MIB, MIB, VHDX_ZERO_MAY_UNMAP);
	guest_write(guest, 2 * MIB + 4 * KIB, 4 * KIB);
	guest_flush(guest);
	guest_write(guest, 3 * MIB + 4 * KIB, 4 * KIB);
	guest_write(guest, 4 * MIB + 64 * KIB, 4 * KIB);
	guest_flush(guest);
	guest_close(guest);
}

static void unflushed_close(struct guest *guest)
{
	guest_create(guest, &(struct setup){0});
	guest_open(guest);
	guest_write(guest, 0, 4 * KIB);
	guest_write(guest, 5 * MIB, 4 * KIB);
	guest_close(guest);
}

static void two_sessions(struct guest *guest)
{
	guest_create(guest, &(struct setup){0});
	guest_open(guest);
	guest_write(guest, 1 * MIB, 8 * KIB);
	guest_flush(guest);
	guest_write(guest, 2 * MIB, 4 * KIB);
	guest_close(guest);
	guest_open(guest);
	guest_close(guest);
	guest_open(guest);
	guest_write(guest, 1 * MIB + 4 * KIB, 8 * KIB);
	guest_trim(guest, 2 * MIB, MIB);
	guest_write(guest, 3 * MIB, 4 * KIB);
	guest_flush(guest);
	guest_write(guest, 4 * MIB, 4 * KIB);
	guest_close(guest);
}

static void large_sectors(struct guest *guest)
{
	guest_create(guest, &(struct setup){.sector_size = 4096});
	guest_open(guest);
	guest_write(guest, 1 * MIB + 4 * KIB, 8 * KIB);
	guest_write(guest, 2 * MIB - 4 * KIB, 8 * KIB);
	guest_flush(guest);
	guest_zero(guest, 1 * MIB + 8 * KIB, 4 * KIB, 0);
	guest_write(guest, 5 * MIB, 12 * KIB);
	guest_trim(guest, 2 * MIB, MIB);
	guest_flush(guest);
	guest_close(guest);
}

static void large_blocks(struct guest *guest)
{
	guest_create(
		guest,
		&(struct setup){.virtual_size = 160 * MIB, .block_size = 32 << 20, .spots = true});
	guest_open(guest);
	guest_write(guest, 1 * MIB, 4 * KIB);
	guest_write(guest, 32 * MIB - 4 * KIB, 8 * KIB);
	guest_flush(guest);
	guest_write(guest, 96 * MIB, 4 * KIB);
	guest_trim(guest, 32 * MIB, 32 * MIB);
	guest_flush(guest);
	guest_close(guest);
}

static void fixed_disk(struct guest *guest)
{
	guest_create(guest, &(struct setup){.type = VHDX_FIXED, .virtual_size = 4 * MIB});
	guest_open(guest);
	guest_write(guest, 1 * MIB, 8 * KIB);
	guest_flush(guest);
	guest_zero(guest, 1 * MIB + 4 * KIB, 8 * KIB, VHDX_ZERO_MAY_UNMAP);
	guest_trim(guest, 1 * MIB, MIB);
	guest_write(guest, 2 * MIB, 4 * KIB);
	guest_flush(guest);
	guest_zero(guest, 2 * MIB, MIB, 0);
	guest_close(guest);
}

static void forced_writes(struct guest *guest)
{
	guest_create(guest, &(struct setup){0});
	guest_open(guest);
	guest_write_fua(guest, 1 * MIB, 4 * KIB);
	guest_write(guest, 2 * MIB, 4 * KIB);
	guest_write_fua(guest, 1 * MIB + 2 * KIB, 4 * KIB);
	guest_write_fua(guest, 4 * MIB, 4 * KIB);
	guest_close(guest);
}

static void flushes_alone(struct guest *guest)
{
	guest_create(guest, &(struct setup){0});
	guest_open(guest);
	guest_flush(guest);
	guest_trim(guest, 0, 8 * MIB);
	guest_zero(guest, 1 * MIB, 4 * MIB, 0);
	guest_flush(guest);
	guest_write(guest, 1 * MIB, 4 * KIB);
	guest_flush(guest);
	guest_flush(guest);
	guest_close(guest);
}

const struct scenario basic_scenarios[] = {
	{"first-write", first_write, 0},
	{"many-allocations", many_allocations, 5000},
	{"flush-each", flush_each, 0},
	{"overwrites", overwrites, 0},
	{"whole-blocks", whole_blocks, 1500},
	{"zeroes", zeroes, 4000},
	{"trims", trims, 4000},
	{"no-holes", no_holes, 3000},
	{"unflushed-close", unflushed_close, 0},
	{"two-sessions", two_sessions, 4000},
	{"large-sectors", large_sectors, 0},
	{"large-blocks", large_blocks, 0},
	{"fixed", fixed_disk, 2000},
	{"forced-writes", forced_writes, 0},
	{"flushes-alone", flushes_alone, 0},
	{0},
};
