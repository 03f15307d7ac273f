/* SPDX-License-Identifier: MIT */
/* Scenarios of disks whose size changes: the BAT where it is or in another place, all types, space used again. */
#include "crash/runner.h"

#define KIB GUEST_KIB
#define MIB GUEST_MIB
#define GIB (1024 * MIB)

/* Blocks of 1 MiB whose entries need no more than the first MiB of the BAT, and so many that they do. */
#define SMALL_TABLE (100 * GIB)
#define LARGE_TABLE (200 * GIB)

/* Behind the disk's end, its last block holds what nobody may see. */
static void leave_behind_end(struct guest *guest, uint64_t block, uint64_t in_block)
{
	uint64_t at = guest_place(guest, block) + in_block;
	uint8_t bytes[ATOM];

	for (uint64_t i = 0; i < 8; i++) {
		model_pattern(ORIGIN_LEFTOVER, 1, i, bytes);
		guest_patch(guest, bytes, sizeof(bytes), at + i * ATOM);
	}
}

static void watch(struct guest *guest, uint64_t offset, uint64_t length)
{
	model_watch(&guest->model, offset, length);
}

static void grow(struct guest *guest)
{
	guest_create(guest,
		     &(struct setup){.virtual_size = 3 * MIB + 512 * KIB, .largest_size = 8 * MIB});
	guest_open(guest);
	guest_write(guest, 3 * MIB + 500 * KIB, 12 * KIB);
	guest_close(guest);
	leave_behind_end(guest, 3, 512 * KIB);
	watch(guest, 3 * MIB + 480 * KIB, 256 * KIB);
	watch(guest, 6 * MIB, 64 * KIB);
	guest_open(guest);
	guest_write(guest, 1 * MIB, 4 * KIB);
	guest_resize(guest, 7 * MIB, 0);
	guest_write(guest, 6 * MIB + 4 * KIB, 4 * KIB);
	guest_flush(guest);
	guest_close(guest);
}

static void grow_in_last_block(struct guest *guest)
{
	guest_create(guest,
		     &(struct setup){.virtual_size = 2 * MIB + 4 * KIB, .largest_size = 3 * MIB});
	guest_open(guest);
	guest_write(guest, 2 * MIB, 4 * KIB);
	guest_close(guest);
	leave_behind_end(guest, 2, 4 * KIB);
	leave_behind_end(guest, 2, 64 * KIB);
	watch(guest, 2 * MIB, 128 * KIB);
	guest_open(guest);
	guest_resize(guest, 2 * MIB + 8 * KIB, 0);
	guest_resize(guest, 3 * MIB, 0);
	guest_close(guest);
}

static void grow_large_sectors(struct guest *guest)
{
	guest_create(guest, &(struct setup){.virtual_size = 3 * MIB + 4 * KIB,
					    .largest_size = 8 * MIB,
					    .sector_size = 4096});
	guest_open(guest);
	guest_write(guest, 3 * MIB, 4 * KIB);
	guest_resize(guest, 8 * MIB, 0);
	guest_write(guest, 7 * MIB, 8 * KIB);
	guest_close(guest);
}

static void begin_moving(struct guest *guest)
{
	guest_create(guest, &(struct setup){.virtual_size = SMALL_TABLE,
					    .largest_size = LARGE_TABLE,
					    .spots = true});
	guest_open(guest);
	guest_write(guest, 0, 8 * KIB);
	guest_write(guest, SMALL_TABLE - MIB, 4 * KIB);
	guest_close(guest);
}

static void grow_beyond_table(struct guest *guest)
{
	begin_moving(guest);
	guest_open(guest);
	guest_write(guest, 2 * MIB, 8 * KIB);
	guest_resize(guest, LARGE_TABLE, 0);
	guest_flush(guest);
	guest_close(guest);
}

/* What lay where the BAT was is payload soon after. */
static void write_where_table_was(struct guest *guest)
{
	begin_moving(guest);
	guest_open(guest);
	guest_write(guest, 2 * MIB, 8 * KIB);
	guest_flush(guest);
	guest_resize(guest, LARGE_TABLE, 0);
	guest_write(guest, 5 * MIB, 64 * KIB);
	guest_write(guest, LARGE_TABLE - 2 * MIB, 64 * KIB);
	guest_flush(guest);
	guest_write(guest, 7 * MIB, 16 * KIB);
	guest_trim(guest, 5 * MIB, MIB);
	guest_flush(guest);
	guest_close(guest);
}

/* The new BAT lies where others left their bytes. */
static void move_into_recycled_space(struct guest *guest)
{
	guest_create(guest, &(struct setup){.virtual_size = SMALL_TABLE / 16,
					    .largest_size = LARGE_TABLE,
					    .leftover = 5 * MIB,
					    .spots = true});
	watch(guest, LARGE_TABLE - MIB, 4 * KIB);
	guest_open(guest);
	guest_write(guest, MIB, 4 * KIB);
	guest_resize(guest, LARGE_TABLE, 0);
	guest_write(guest, LARGE_TABLE - MIB, 4 * KIB);
	guest_close(guest);
}

static void grow_fixed(struct guest *guest)
{
	guest_create(guest, &(struct setup){.type = VHDX_FIXED,
					    .virtual_size = 2 * MIB + 64 * KIB,
					    .largest_size = 6 * MIB});
	watch(guest, 2 * MIB, 3 * MIB);
	guest_open(guest);
	guest_write(guest, 2 * MIB, 64 * KIB);
	guest_close(guest);
	leave_behind_end(guest, 2, 64 * KIB);
	guest_open(guest);
	guest_resize(guest, 5 * MIB, 0);
	guest_write(guest, 4 * MIB, 4 * KIB);
	guest_close(guest);
}

static void grow_fixed_into_leftovers(struct guest *guest)
{
	guest_create(guest, &(struct setup){.type = VHDX_FIXED,
					    .virtual_size = 3 * MIB,
					    .largest_size = 6 * MIB,
					    .leftover = 3 * MIB});
	watch(guest, 3 * MIB, 2 * MIB);
	guest_open(guest);
	guest_resize(guest, 5 * MIB, 0);
	guest_write(guest, 3 * MIB + 4 * KIB, 4 * KIB);
	guest_flush(guest);
	guest_close(guest);
}

static void shrink(struct guest *guest)
{
	guest_create(guest, &(struct setup){0});
	guest_open(guest);
	guest_write(guest, 1 * MIB, 4 * KIB);
	for (uint64_t block = 3; block < 8; block++)
		guest_write(guest, block * MIB, 8 * KIB);
	guest_flush(guest);
	guest_zero(guest, 3 * MIB + 4 * KIB, 5 * MIB - 4 * KIB, 0);
	guest_resize(guest, 3 * MIB + 4 * KIB, VHDX_RESIZE_SHRINK);
	guest_write(guest, 2 * MIB, 4 * KIB);
	guest_flush(guest);
	guest_close(guest);
}

static void shrink_fixed(struct guest *guest)
{
	guest_create(guest, &(struct setup){.type = VHDX_FIXED, .virtual_size = 6 * MIB});
	guest_open(guest);
	guest_write(guest, 1 * MIB, 4 * KIB);
	guest_write(guest, 4 * MIB, 4 * KIB);
	guest_flush(guest);
	guest_zero(guest, 4 * MIB, 4 * KIB, 0);
	guest_resize(guest, 2 * MIB, VHDX_RESIZE_SHRINK);
	guest_resize(guest, 4 * MIB, 0);
	guest_write(guest, 3 * MIB, 4 * KIB);
	guest_close(guest);
}

static void begin_child(struct guest *guest)
{
	guest_create(guest, &(struct setup){.type = VHDX_DIFFERENCING,
					    .virtual_size = 8 * MIB,
					    .parent_filled = 8 * MIB});
}

/* What the parent has behind the child's end must not come back. */
static void shrink_and_grow_child(struct guest *guest)
{
	begin_child(guest);
	guest_open(guest);
	guest_write(guest, 1 * MIB, 4 * KIB);
	guest_write(guest, 5 * MIB, 4 * KIB);
	guest_zero(guest, 4 * MIB + 256 * KIB, 4 * MIB - 256 * KIB, VHDX_ZERO_MAY_UNMAP);
	guest_flush(guest);
	guest_resize(guest, 4 * MIB + 256 * KIB, VHDX_RESIZE_SHRINK);
	guest_flush(guest);
	guest_resize(guest, 7 * MIB, 0);
	guest_write(guest, 6 * MIB, 4 * KIB);
	guest_close(guest);
}

/* The last block is all the parent's, who goes on behind the child's end. */
static void grow_child_below_parent(struct guest *guest)
{
	begin_child(guest);
	guest_open(guest);
	guest_zero(guest, 4 * MIB + 256 * KIB, 4 * MIB - 256 * KIB, VHDX_ZERO_MAY_UNMAP);
	guest_resize(guest, 4 * MIB + 256 * KIB, VHDX_RESIZE_SHRINK);
	guest_close(guest);
	guest_hidden(guest, 4 * MIB + 256 * KIB, 4 * MIB - 256 * KIB);
	guest_forget_block(guest, 4);
	watch(guest, 4 * MIB + 128 * KIB, 256 * KIB);
	guest_open(guest);
	guest_write(guest, 2 * MIB, 4 * KIB);
	guest_resize(guest, 8 * MIB, 0);
	guest_close(guest);
}

static void many_sizes(struct guest *guest)
{
	guest_create(guest, &(struct setup){.largest_size = 16 * MIB});
	guest_open(guest);
	guest_write(guest, 2 * MIB, 64 * KIB);
	guest_resize(guest, 16 * MIB, 0);
	guest_write(guest, 15 * MIB, 8 * KIB);
	guest_trim(guest, 15 * MIB, MIB);
	guest_resize(guest, 4 * MIB, VHDX_RESIZE_SHRINK);
	guest_write(guest, 3 * MIB, 8 * KIB);
	guest_resize(guest, 5 * MIB, 0);
	guest_write(guest, 4 * MIB, 8 * KIB);
	guest_close(guest);
}

/* A resize that a crash cut short is done again. */
static void again_after_crash(struct guest *guest)
{
	guest_create(guest, &(struct setup){.type = VHDX_FIXED,
					    .virtual_size = 2 * MIB,
					    .largest_size = 6 * MIB});
	watch(guest, 2 * MIB, 4 * MIB);
	guest_open(guest);
	guest_resize(guest, 4 * MIB, 0);
	guest_write(guest, 3 * MIB, 4 * KIB);
	guest_crash(guest, 5);
	guest_open(guest);
	guest_resize(guest, 6 * MIB, 0);
	guest_write(guest, 5 * MIB, 4 * KIB);
	guest_close(guest);
}

const struct scenario resize_scenarios[] = {
	{"grow", grow, 0},
	{"grow-in-last-block", grow_in_last_block, 0},
	{"grow-large-sectors", grow_large_sectors, 0},
	{"grow-beyond-table", grow_beyond_table, 0},
	{"write-where-table-was", write_where_table_was, 0},
	{"move-into-recycled-space", move_into_recycled_space, 0},
	{"grow-fixed", grow_fixed, 2000},
	{"grow-fixed-into-leftovers", grow_fixed_into_leftovers, 2000},
	{"shrink", shrink, 0},
	{"shrink-fixed", shrink_fixed, 0},
	{"shrink-and-grow-child", shrink_and_grow_child, 0},
	{"grow-child-below-parent", grow_child_below_parent, 0},
	{"many-sizes", many_sizes, 0},
	{"again-after-crash", again_after_crash, 0},
	{0},
};
