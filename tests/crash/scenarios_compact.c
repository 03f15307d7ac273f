/* SPDX-License-Identifier: MIT */
/* Scenarios of files that become smaller: blocks that go, blocks, bitmaps and a BAT that move, and the cut. */
#include "crash/runner.h"

#define KIB GUEST_KIB
#define MIB GUEST_MIB
#define GIB (1024 * MIB)

#define PARTIALLY_PRESENT 7

/* A block that is present and holds zeros. */
static void leave_zeros(struct guest *guest, uint64_t block)
{
	guest_write(guest, guest_block(guest, block), 4 * KIB);
	guest_zero(guest, guest_block(guest, block), 4 * KIB, 0);
}

static void zero_blocks(struct guest *guest)
{
	guest_create(guest, &(struct setup){0});
	guest_open(guest);
	guest_write(guest, 0, 8 * KIB);
	leave_zeros(guest, 1);
	guest_write(guest, 2 * MIB, 8 * KIB);
	leave_zeros(guest, 3);
	guest_flush(guest);
	guest_compact(guest);
	guest_write(guest, 1 * MIB, 4 * KIB);
	guest_close(guest);
}

/* What lies at the end moves to where zeros were. */
static void blocks_move(struct guest *guest)
{
	guest_create(guest, &(struct setup){0});
	guest_open(guest);
	leave_zeros(guest, 0);
	leave_zeros(guest, 1);
	leave_zeros(guest, 2);
	guest_write(guest, 3 * MIB, 64 * KIB);
	guest_write(guest, 4 * MIB + 100 * KIB, 8 * KIB);
	guest_write(guest, 6 * MIB - 8 * KIB, 8 * KIB);
	guest_close(guest);
	guest_open(guest);
	guest_compact(guest);
	guest_close(guest);
}

/* The space that they move to holds what others left, and of what moves most is not in the file. */
static void blocks_move_to_recycled_space(struct guest *guest)
{
	guest_create(guest, &(struct setup){.leftover = 3 * MIB});
	guest_open(guest);
	guest_write(guest, guest_block(guest, guest_pinned(guest)) + 64 * KIB, 4 * KIB);
	guest_write(guest, 1 * MIB + 64 * KIB, 4 * KIB);
	guest_close(guest);
	guest_open(guest);
	guest_compact(guest);
	guest_close(guest);
}

static void without_holes(struct guest *guest)
{
	guest_create(guest, &(struct setup){.flags = VHDX_OPEN_NO_HOLES});
	guest_open(guest);
	leave_zeros(guest, 0);
	leave_zeros(guest, 1);
	guest_write(guest, 2 * MIB, 64 * KIB);
	guest_write(guest, 3 * MIB, 64 * KIB);
	guest_compact(guest);
	guest_write(guest, 5 * MIB, 4 * KIB);
	guest_close(guest);
}

/* Where they move to, others' bytes are still there. */
static void move_over_what_was_trimmed(struct guest *guest)
{
	guest_create(guest, &(struct setup){.flags = VHDX_OPEN_NO_HOLES});
	guest_open(guest);
	guest_write(guest, 0, 2 * MIB);
	guest_write(guest, 2 * MIB + 8 * KIB, 8 * KIB);
	guest_write(guest, 3 * MIB + 8 * KIB, 8 * KIB);
	guest_flush(guest);
	guest_trim(guest, 0, 2 * MIB);
	guest_compact(guest);
	guest_close(guest);
}

/* Space that is cut off is grown into again. */
static void cut_and_grow(struct guest *guest)
{
	guest_create(guest, &(struct setup){0});
	guest_open(guest);
	leave_zeros(guest, 0);
	guest_write(guest, 1 * MIB, 4 * KIB);
	guest_write(guest, 2 * MIB, 4 * KIB);
	guest_flush(guest);
	guest_compact(guest);
	guest_write(guest, 3 * MIB, 8 * KIB);
	guest_write(guest, 0, 4 * KIB);
	guest_flush(guest);
	guest_trim(guest, 1 * MIB, MIB);
	guest_compact(guest);
	guest_close(guest);
}

static void unused_blocks(struct guest *guest)
{
	guest_create(guest, &(struct setup){0});
	guest_open(guest);
	guest_write(guest, 0, 8 * KIB);
	guest_write(guest, 1 * MIB, 64 * KIB);
	guest_write(guest, 2 * MIB, 64 * KIB);
	guest_write(guest, 3 * MIB, 8 * KIB);
	guest_close(guest);
	guest_open(guest);
	guest_compact_unused(guest, 1 * MIB, 2 * MIB);
	guest_close(guest);
}

static const struct setup child = {
	.type = VHDX_DIFFERENCING, .virtual_size = 8 * MIB, .parent_filled = 4 * MIB};

/* The bitmap block lies behind blocks that go, and so do blocks of some sectors. */
static void bitmap_moves(struct guest *guest)
{
	guest_create(guest, &child);
	guest_open(guest);
	guest_write(guest, 4 * MIB, MIB);
	guest_write(guest, 5 * MIB, MIB);
	guest_write(guest, 1 * MIB + 4 * KIB, 4 * KIB);
	guest_write(guest, 3 * MIB - 4 * KIB, 8 * KIB);
	guest_zero(guest, 4 * MIB, 2 * MIB, 0);
	guest_flush(guest);
	guest_compact(guest);
	guest_write(guest, 1 * MIB + 64 * KIB, 4 * KIB);
	guest_close(guest);
}

/* No block needs its bits any more, and zeros hide the parent. */
static void bitmap_goes(struct guest *guest)
{
	guest_create(guest, &child);
	guest_open(guest);
	guest_write(guest, 1 * MIB, 512 * KIB);
	guest_write(guest, 1 * MIB + 512 * KIB, 512 * KIB);
	guest_write(guest, 2 * MIB, MIB);
	guest_zero(guest, 2 * MIB, MIB, 0);
	guest_flush(guest);
	guest_compact(guest);
	guest_write(guest, 3 * MIB + 4 * KIB, 4 * KIB);
	guest_flush(guest);
	guest_close(guest);
}

/* Zeros that a bitmap alone keeps before the parent's data go, and the bitmap with them. */
static void bitmap_goes_with_block(struct guest *guest)
{
	guest_create(guest, &child);
	guest_open(guest);
	guest_zero(guest, 2 * MIB, 512 * KIB, 0);
	guest_zero(guest, 2 * MIB + 512 * KIB, 512 * KIB, 0);
	guest_close(guest);
	guest_patch_entry(guest, 2, guest_place(guest, 2) | PARTIALLY_PRESENT);
	guest_open(guest);
	guest_compact(guest);
	guest_write(guest, 5 * MIB + 4 * KIB, 4 * KIB);
	guest_close(guest);
}

/* A table that has moved to the end moves back, and what it left is payload soon after. */
static void table_moves(struct guest *guest)
{
	uint64_t small = 100 * GIB, large = 200 * GIB;

	guest_create(guest,
		     &(struct setup){.virtual_size = small, .largest_size = large, .spots = true});
	guest_open(guest);
	leave_zeros(guest, 0);
	leave_zeros(guest, 1);
	leave_zeros(guest, 2);
	guest_write(guest, 5 * MIB, 4 * KIB);
	guest_resize(guest, large, 0);
	guest_write(guest, large - MIB, 4 * KIB);
	guest_close(guest);
	guest_open(guest);
	guest_compact(guest);
	guest_write(guest, 7 * MIB, 4 * KIB);
	guest_flush(guest);
	guest_write(guest, 8 * MIB, 4 * KIB);
	guest_close(guest);
}

static void fill_blocks(struct guest *guest, uint64_t first, uint64_t count)
{
	for (uint64_t block = first; block < first + count; block++)
		guest_write(guest, block * MIB + 8 * KIB, 8 * KIB);
}

static void large_blocks_move(struct guest *guest)
{
	guest_create(guest, &(struct setup){.virtual_size = 16 * MIB, .block_size = 2 * MIB});
	guest_open(guest);
	fill_blocks(guest, 0, 12);
	guest_flush(guest);
	guest_trim(guest, 2 * MIB, 4 * MIB);
	guest_compact(guest);
	guest_write(guest, 3 * MIB, 8 * KIB);
	guest_close(guest);
}

/* One that a crash cut short is done again. */
static void again_after_crash(struct guest *guest)
{
	guest_create(guest, &(struct setup){0});
	guest_open(guest);
	fill_blocks(guest, 0, 7);
	guest_zero(guest, 0, MIB, 0);
	guest_flush(guest);
	guest_compact(guest);
	guest_crash(guest, 3);
	guest_open(guest);
	guest_compact(guest);
	guest_write(guest, 0, 4 * KIB);
	guest_trim(guest, 1 * MIB, 2 * MIB);
	guest_compact(guest);
	guest_close(guest);
}

const struct scenario compact_scenarios[] = {
	{"compact-zero-blocks", zero_blocks, 0},
	{"compact-blocks-move", blocks_move, 0},
	{"compact-recycled-space", blocks_move_to_recycled_space, 0},
	{"compact-without-holes", without_holes, 0},
	{"compact-over-trimmed", move_over_what_was_trimmed, 0},
	{"compact-cut-and-grow", cut_and_grow, 0},
	{"compact-unused-blocks", unused_blocks, 0},
	{"compact-bitmap-moves", bitmap_moves, 0},
	{"compact-bitmap-goes", bitmap_goes, 0},
	{"compact-bitmap-and-block", bitmap_goes_with_block, 0},
	{"compact-table-moves", table_moves, 0},
	{"compact-large-blocks", large_blocks_move, 0},
	{"compact-again", again_after_crash, 0},
	{0},
};
