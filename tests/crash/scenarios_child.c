/* SPDX-License-Identifier: MIT */
/* Scenarios of differencing disks: bits, blocks that become whole, and a parent that must not show again. */
#include "crash/runner.h"

#define KIB GUEST_KIB
#define MIB GUEST_MIB

#define ZERO	 2
#define UNMAPPED 3

static const struct setup child = {
	.type = VHDX_DIFFERENCING, .virtual_size = 8 * MIB, .parent_filled = 4 * MIB};

static struct setup child_with(uint64_t leftover, uint32_t flags)
{
	struct setup setup = child;

	setup.leftover = leftover;
	setup.flags = flags;
	return setup;
}

static void child_writes(struct guest *guest)
{
	guest_create(guest, &child);
	guest_open(guest);
	guest_write(guest, 1 * MIB + 4 * KIB, 4 * KIB);
	guest_write(guest, 5 * MIB + 4 * KIB, 4 * KIB);
	guest_flush(guest);
	guest_write(guest, 1 * MIB + 64 * KIB, 4 * KIB);
	guest_write(guest, 3 * MIB - 4 * KIB, 8 * KIB);
	guest_flush(guest);
	guest_close(guest);
}

static void child_partial_then_full(struct guest *guest)
{
	guest_create(guest, &child);
	guest_open(guest);
	guest_write(guest, 1 * MIB, 512 * KIB);
	guest_flush(guest);
	guest_write(guest, 1 * MIB + 512 * KIB, 256 * KIB);
	guest_write(guest, 2 * MIB - 256 * KIB, 256 * KIB);
	guest_flush(guest);
	guest_write(guest, 2 * MIB, MIB);
	guest_flush(guest);
	guest_write(guest, 2 * MIB, 4 * KIB);
	guest_close(guest);
}

/* The rest of a sector is the parent's. */
static void child_parts_of_sectors(struct guest *guest)
{
	guest_create(guest, &child);
	guest_open(guest);
	guest_write(guest, 1 * MIB + 700, 100);
	guest_write(guest, 2 * MIB + 5000, 3000);
	guest_flush(guest);
	guest_write(guest, 1 * MIB + 1000, 3000);
	guest_flush(guest);
	guest_close(guest);
}

static void child_zero_and_trim(struct guest *guest)
{
	guest_create(guest, &child);
	guest_open(guest);
	guest_zero(guest, 1 * MIB + 4 * KIB, 8 * KIB, VHDX_ZERO_MAY_UNMAP);
	guest_trim(guest, 2 * MIB + 4 * KIB, 8 * KIB);
	guest_flush(guest);
	guest_trim(guest, 2 * MIB, MIB);
	guest_zero(guest, 0, MIB, VHDX_ZERO_MAY_UNMAP);
	guest_trim(guest, 1 * MIB, MIB);
	guest_flush(guest);
	guest_write(guest, 2 * MIB + 4 * KIB, 4 * KIB);
	guest_write(guest, 64 * KIB, 512);
	guest_write(guest, 1 * MIB + 64 * KIB, 512);
	guest_flush(guest);
	guest_close(guest);
}

/* Bits of an earlier life of the block must not count. */
static void child_stale_bits(struct guest *guest)
{
	guest_create(guest, &child);
	/* What another writer left: bits of a block that is the parent's. */
	guest_open(guest);
	guest_write(guest, 1 * MIB, 256 * KIB);
	guest_flush(guest);
	guest_close(guest);
	guest_forget_block(guest, 1);
	guest_open(guest);
	guest_write(guest, 1 * MIB + 512 * KIB, 4 * KIB);
	guest_flush(guest);
	guest_write(guest, 1 * MIB + 640 * KIB, 4 * KIB);
	guest_close(guest);
}

static void child_hides_parent(struct guest *guest)
{
	guest_create(guest, &child);
	guest_patch_entry(guest, 1, ZERO);
	guest_patch_entry(guest, 2, UNMAPPED);
	guest_hidden(guest, 1 * MIB, 2 * MIB);
	guest_open(guest);
	guest_write(guest, 1 * MIB + 4 * KIB, 4 * KIB);
	guest_write(guest, 2 * MIB + 4 * KIB, 4 * KIB);
	guest_flush(guest);
	guest_close(guest);
}

static void child_recycled_space(struct guest *guest)
{
	struct setup setup = child_with(4 * MIB, 0);

	guest_create(guest, &setup);
	guest_open(guest);
	guest_write(guest, 1 * MIB + 4 * KIB, 4 * KIB);
	guest_flush(guest);
	guest_write(guest, 2 * MIB + 64 * KIB, 512);
	guest_write(guest, 5 * MIB + 4 * KIB, 4 * KIB);
	guest_flush(guest);
	guest_close(guest);
}

/* The bitmap block takes the space of a block that was freed. */
static void child_bitmap_in_freed_space(struct guest *guest)
{
	struct setup setup = child_with(0, VHDX_OPEN_NO_HOLES);

	guest_create(guest, &setup);
	guest_open(guest);
	guest_write(guest, 1 * MIB, MIB);
	guest_write(guest, 2 * MIB, MIB);
	guest_flush(guest);
	guest_trim(guest, 1 * MIB, MIB);
	guest_zero(guest, 2 * MIB, MIB, VHDX_ZERO_MAY_UNMAP);
	guest_flush(guest);
	guest_write(guest, 3 * MIB + 4 * KIB, 4 * KIB);
	guest_flush(guest);
	guest_write(guest, 64 * KIB, 4 * KIB);
	guest_close(guest);
}

static void child_large_sectors(struct guest *guest)
{
	struct setup setup = child;

	setup.sector_size = 4096;
	guest_create(guest, &setup);
	guest_open(guest);
	guest_write(guest, 1 * MIB + 4 * KIB, 4 * KIB);
	guest_write(guest, 2 * MIB + 1000, 100);
	guest_flush(guest);
	guest_zero(guest, 2 * MIB + 64 * KIB, 4 * KIB, 0);
	guest_write(guest, 1 * MIB + 6 * KIB, 4 * KIB);
	guest_flush(guest);
	guest_close(guest);
}

static void child_two_sessions(struct guest *guest)
{
	guest_create(guest, &child);
	guest_open(guest);
	guest_write(guest, 1 * MIB + 4 * KIB, 4 * KIB);
	guest_close(guest);
	guest_open(guest);
	guest_write(guest, 1 * MIB + 8 * KIB, 4 * KIB);
	guest_write(guest, 2 * MIB + 8 * KIB, 4 * KIB);
	guest_flush(guest);
	guest_write(guest, 1 * MIB, MIB);
	guest_close(guest);
}

/* Blocks whose payload entry and bitmap entry are in different pages of the BAT. */
static void child_far_pages(struct guest *guest)
{
	struct setup setup = {.type = VHDX_DIFFERENCING,
			      .virtual_size = 12 * 1024 * MIB,
			      .parent_filled = MIB,
			      .spots = true};

	guest_create(guest, &setup);
	guest_open(guest);
	for (uint64_t i = 0; i < 6; i++)
		guest_write(guest, i * 2048 * MIB + i * MIB + 4 * KIB, 4 * KIB);
	guest_flush(guest);
	for (uint64_t i = 0; i < 6; i++)
		guest_write(guest, i * 2048 * MIB + 1030 * MIB + 4 * KIB, 4 * KIB);
	guest_flush(guest);
	guest_close(guest);
}

const struct scenario child_scenarios[] = {
	{"child-writes", child_writes, 5000},
	{"child-partial-then-full", child_partial_then_full, 1500},
	{"child-parts-of-sectors", child_parts_of_sectors, 0},
	{"child-zero-and-trim", child_zero_and_trim, 0},
	{"child-stale-bits", child_stale_bits, 0},
	{"child-hides-parent", child_hides_parent, 0},
	{"child-recycled-space", child_recycled_space, 0},
	{"child-bitmap-in-freed-space", child_bitmap_in_freed_space, 0},
	{"child-large-sectors", child_large_sectors, 0},
	{"child-two-sessions", child_two_sessions, 0},
	{"child-far-pages", child_far_pages, 0},
	{0},
};
