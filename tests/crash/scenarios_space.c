/* SPDX-License-Identifier: MIT */
/* Scenarios of space in the file that held something else before: freed, left over by a crash, anchored. */
#include <errno.h>

#include "crash/runner.h"

#define KIB GUEST_KIB
#define MIB GUEST_MIB

#define UNMAPPED 3

static void trim_then_reuse(struct guest *guest)
{
	guest_create(guest, &(struct setup){0});
	guest_open(guest);
	guest_write(guest, 0, MIB);
	guest_flush(guest);
	guest_trim(guest, 0, MIB);
	guest_write(guest, 1 * MIB + 4 * KIB, 4 * KIB);
	guest_flush(guest);
	guest_write(guest, 2 * MIB + 4 * KIB, 4 * KIB);
	guest_flush(guest);
	guest_write(guest, 3 * MIB + 4 * KIB, 4 * KIB);
	guest_flush(guest);
	guest_close(guest);
}

static void trim_then_reuse_unpunched(struct guest *guest)
{
	guest_create(guest, &(struct setup){.flags = VHDX_OPEN_NO_HOLES});
	guest_open(guest);
	guest_write(guest, 0, MIB);
	guest_flush(guest);
	guest_trim(guest, 0, MIB);
	guest_write(guest, 1 * MIB + 4 * KIB, 4 * KIB);
	guest_flush(guest);
	guest_write(guest, 2 * MIB + 4 * KIB, 4 * KIB);
	guest_write(guest, 3 * MIB + 4 * KIB, 4 * KIB);
	guest_flush(guest);
	guest_close(guest);
}

static void punch_fails(struct guest *guest)
{
	guest_create(guest, &(struct setup){0});
	guest_open(guest);
	guest_when(guest, (struct event){.kind = STORE_PUNCH, .times = 1000, .error = -EOPNOTSUPP});
	guest_write(guest, 0, MIB);
	guest_write(guest, 1 * MIB, MIB);
	guest_flush(guest);
	guest_trim(guest, 0, MIB);
	guest_zero(guest, 1 * MIB, MIB, VHDX_ZERO_MAY_UNMAP);
	guest_flush(guest);
	guest_write(guest, 2 * MIB + 4 * KIB, 4 * KIB);
	guest_flush(guest);
	guest_write(guest, 3 * MIB + 64 * KIB, 8 * KIB);
	guest_write(guest, 4 * MIB + 64 * KIB, 8 * KIB);
	guest_flush(guest);
	guest_close(guest);
}

/* A block moves from hand to hand. */
static void many_lives(struct guest *guest)
{
	guest_create(guest, &(struct setup){.flags = VHDX_OPEN_NO_HOLES});
	guest_open(guest);
	for (uint64_t i = 0; i < 5; i++) {
		guest_write(guest, i * MIB + i * 8 * KIB, 256 * KIB);
		if (i % 2)
			guest_flush(guest);
		guest_trim(guest, i * MIB, MIB);
	}
	guest_write(guest, 0, 4 * KIB);
	guest_write(guest, 5 * MIB, 4 * KIB);
	guest_flush(guest);
	guest_close(guest);
}

static void leftover_space(struct guest *guest)
{
	guest_create(guest, &(struct setup){.leftover = 3 * MIB});
	guest_open(guest);
	guest_write(guest, 1 * MIB + 4 * KIB, 4 * KIB);
	guest_write(guest, 2 * MIB + 700, 5000);
	guest_flush(guest);
	guest_write(guest, 3 * MIB - 4 * KIB, 8 * KIB);
	guest_write(guest, 0, 4 * KIB);
	guest_flush(guest);
	guest_close(guest);
}

/* Blocks whose payload reached the disk, and whose entries did not. */
static void after_crash(struct guest *guest, uint64_t kept)
{
	guest_create(guest, &(struct setup){0});
	guest_open(guest);
	guest_write(guest, 6 * MIB, 4 * KIB);
	guest_flush(guest);
	guest_write(guest, 0, MIB);
	guest_write(guest, 1 * MIB, MIB);
	guest_crash(guest, kept);
	guest_open(guest);
	guest_write(guest, 2 * MIB + 4 * KIB, 4 * KIB);
	guest_write(guest, 3 * MIB - 512, 1024);
	guest_flush(guest);
	guest_write(guest, 4 * MIB + 64 * KIB, 512);
	guest_close(guest);
}

static void after_crash_with_all(struct guest *guest)
{
	after_crash(guest, 0xfff);
}

static void after_crash_torn(struct guest *guest)
{
	after_crash(guest, 5003);
}

/* The entry of an UNMAPPED block keeps its space. */
static void anchored(struct guest *guest)
{
	guest_create(guest, &(struct setup){.leftover = 2 * MIB});
	guest_patch_entry(guest, 1, (guest->store.now.size - 3 * MIB) | UNMAPPED);
	guest_open(guest);
	guest_write(guest, 0 * MIB + 4 * KIB, 4 * KIB);
	guest_write(guest, 2 * MIB + 4 * KIB, 4 * KIB);
	guest_flush(guest);
	guest_write(guest, 1 * MIB + 4 * KIB, 4 * KIB);
	guest_flush(guest);
	guest_trim(guest, 1 * MIB, MIB);
	guest_write(guest, 3 * MIB + 4 * KIB, 4 * KIB);
	guest_flush(guest);
	guest_write(guest, 4 * MIB + 4 * KIB, 4 * KIB);
	guest_close(guest);
}

static void anchored_zeroed(struct guest *guest)
{
	guest_create(guest, &(struct setup){.leftover = 2 * MIB});
	guest_patch_entry(guest, 1, (guest->store.now.size - 3 * MIB) | UNMAPPED);
	guest_open(guest);
	guest_zero(guest, 1 * MIB, MIB, VHDX_ZERO_MAY_UNMAP);
	guest_write(guest, 4 * KIB, 4 * KIB);
	guest_flush(guest);
	guest_write(guest, 2 * MIB + 4 * KIB, 4 * KIB);
	guest_write(guest, 3 * MIB + 4 * KIB, 4 * KIB);
	guest_close(guest);
}

/* The file's end, after its cut, is where the next session grows again. */
static void cut_and_grow(struct guest *guest)
{
	guest_create(guest, &(struct setup){0});
	guest_open(guest);
	guest_write(guest, 0, MIB);
	guest_write(guest, 1 * MIB, MIB);
	guest_flush(guest);
	guest_trim(guest, 1 * MIB, MIB);
	guest_close(guest);
	guest_open(guest);
	guest_write(guest, 3 * MIB + 4 * KIB, 4 * KIB);
	guest_flush(guest);
	guest_write(guest, 4 * MIB + 4 * KIB, 4 * KIB);
	guest_close(guest);
}

const struct scenario space_scenarios[] = {
	{"trim-then-reuse", trim_then_reuse, 4000},
	{"trim-then-reuse-unpunched", trim_then_reuse_unpunched, 4000},
	{"punch-fails", punch_fails, 0},
	{"many-lives", many_lives, 0},
	{"leftover-space", leftover_space, 0},
	{"after-crash-with-all", after_crash_with_all, 0},
	{"after-crash-torn", after_crash_torn, 0},
	{"anchored", anchored, 0},
	{"anchored-zeroed", anchored_zeroed, 0},
	{"cut-and-grow", cut_and_grow, 0},
	{0},
};
