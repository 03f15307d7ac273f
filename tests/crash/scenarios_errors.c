/* SPDX-License-Identifier: MIT */
/* Scenarios in which the storage fails: without space the disk goes on, after other errors it stops. */
#include <errno.h>

#include "crash/runner.h"

#define KIB GUEST_KIB
#define MIB GUEST_MIB

static void fail_at(struct guest *guest, struct event event, int error, unsigned times)
{
	event.error = error;
	event.times = times;
	guest_when(guest, event);
}

/* Space is there again: all must go well. */
static void recover(struct guest *guest)
{
	guest_quiet(guest);
	guest->tolerant = false;
	guest_flush(guest);
	guest_write(guest, 7 * MIB, 4 * KIB);
	guest_flush(guest);
	guest_close(guest);
}

static void no_space_for_log(struct guest *guest)
{
	guest_create(guest, &(struct setup){0});
	guest_open(guest);
	guest_write(guest, 0, 4 * KIB);
	guest_flush(guest);
	fail_at(guest, guest_at_log(guest, STORE_BEFORE, 0), -ENOSPC, 2);
	guest->tolerant = true;
	guest_write(guest, 1 * MIB, 4 * KIB);
	guest_flush(guest);
	guest_write(guest, 2 * MIB, 4 * KIB);
	guest_flush(guest);
	guest_write(guest, 3 * MIB, 4 * KIB);
	recover(guest);
}

/* What is durable in the log waits for its place, until the log is full of it. */
static void no_space_to_apply(struct guest *guest)
{
	guest_create(guest, &(struct setup){.virtual_size = 64 * 1024 * MIB, .spots = true});
	guest_open(guest);
	guest_write(guest, 0, 4 * KIB);
	guest_flush(guest);
	fail_at(guest, guest_at_bat(guest, STORE_BEFORE, 0), -ENOSPC, 100000);
	guest->tolerant = true;
	for (uint64_t i = 0; i < 360; i++) {
		guest_write(guest, (i % 30 * 512 + i / 30) * MIB + 8 * KIB, 4 * KIB);
		if (i % 30 == 29)
			guest_flush(guest);
	}
	recover(guest);
}

static void no_space_to_apply_once(struct guest *guest)
{
	guest_create(guest, &(struct setup){0});
	guest_open(guest);
	guest_write(guest, 0, 4 * KIB);
	guest_flush(guest);
	fail_at(guest, guest_at_bat(guest, STORE_BEFORE, 0), -ENOSPC, 1);
	guest->tolerant = true;
	guest_write(guest, 1 * MIB, 4 * KIB);
	guest_flush(guest);
	guest_write(guest, 2 * MIB, 4 * KIB);
	guest_flush(guest);
	recover(guest);
}

/* Entries of two sectors fill the log to its last one. */
static void no_space_for_small_commits(struct guest *guest)
{
	guest_create(guest, &(struct setup){.virtual_size = 200 * MIB, .spots = true});
	guest_open(guest);
	fail_at(guest, guest_at_bat(guest, STORE_BEFORE, 0), -ENOSPC, 100000);
	guest->tolerant = true;
	for (uint64_t i = 10; i < 150; i++) {
		guest_write(guest, i * MIB + i * 4 * KIB, 4 * KIB);
		guest_flush(guest);
	}
	recover(guest);
}

/*
 * The log is full of pages that wait. Then a transaction changes one of these pages and another: until it is
 * logged, none of it may be in place. The bits of block 1 are stale, and would hide the parent.
 */
static void child_log_full(struct guest *guest)
{
	guest_create(guest, &(struct setup){.type = VHDX_DIFFERENCING,
					    .virtual_size = 200 * MIB,
					    .parent_filled = 4 * MIB,
					    .spots = true});
	guest_open(guest);
	guest_write(guest, 1 * MIB, 128 * KIB);
	guest_close(guest);
	guest_forget_block(guest, 1);
	guest_open(guest);
	guest_write(guest, 20 * MIB, 4 * KIB);
	guest_flush(guest);
	fail_at(guest, guest_at_bat(guest, STORE_BEFORE, 0), -ENOSPC, 100000);
	guest->tolerant = true;
	for (uint64_t i = 21; i < 111; i++) {
		guest_write(guest, i * MIB, 4 * KIB);
		guest_flush(guest);
	}
	guest_quiet(guest);
	guest->tolerant = false;
	guest_write(guest, 1 * MIB + 512 * KIB, 4 * KIB);
	guest_flush(guest);
	guest_close(guest);
}

/* The first of two entries for one page finds no space three times, the second would at once. */
static void no_space_to_apply_twice(struct guest *guest)
{
	guest_create(guest, &(struct setup){0});
	guest_open(guest);
	guest_write(guest, 0, 4 * KIB);
	guest_flush(guest);
	fail_at(guest, guest_at_bat(guest, STORE_BEFORE, 0), -ENOSPC, 3);
	guest->tolerant = true;
	guest_write(guest, 1 * MIB, 4 * KIB);
	guest_flush(guest);
	guest_write(guest, 2 * MIB, 4 * KIB);
	guest_flush(guest);
	guest_quiet(guest);
	guest->tolerant = false;
	guest_flush(guest);
	guest_close(guest);
}

/* The page that waits is not changed again. */
static void no_space_for_a_page(struct guest *guest)
{
	guest_create(guest, &(struct setup){.virtual_size = 2048 * MIB, .spots = true});
	guest_open(guest);
	guest_write(guest, 0, 4 * KIB);
	guest_flush(guest);
	fail_at(guest, guest_at_bat(guest, STORE_BEFORE, 0), -ENOSPC, 1);
	guest->tolerant = true;
	guest_write(guest, 1500 * MIB, 4 * KIB);
	guest_flush(guest);
	recover(guest);
}

static void no_space_to_grow(struct guest *guest)
{
	guest_create(guest, &(struct setup){0});
	guest_open(guest);
	guest_write(guest, 0, 4 * KIB);
	guest_flush(guest);
	fail_at(guest, (struct event){.kind = STORE_SIZE}, -ENOSPC, 100);
	fail_at(guest,
		(struct event){.kind = STORE_WRITE,
			       .from = guest->info.bat_offset + 2 * MIB,
			       .to = guest->info.bat_offset + 64 * MIB},
		-ENOSPC, 5);
	guest->tolerant = true;
	for (uint64_t i = 1; i < 7; i++)
		guest_write(guest, i * MIB, 64 * KIB);
	guest_flush(guest);
	recover(guest);
}

/* Nothing may be changed any more, and close says so. */
static void expect_stopped(struct guest *guest)
{
	if (!guest_write(guest, 5 * MIB, 4 * KIB))
		guest_fail(guest, fault_text("a write was taken after the storage had failed"));
	if (!guest_flush(guest))
		guest_fail(guest, fault_text("a flush succeeded after the storage had failed"));
	if (!guest_trim(guest, 0, MIB))
		guest_fail(guest, fault_text("a trim was taken after the storage had failed"));
	if (!guest_close(guest))
		guest_fail(guest, fault_text("close hid that the storage had failed"));
}

static void fails_after(struct guest *guest, bool at_flush, struct event event)
{
	guest_write(guest, 0, 4 * KIB);
	guest_write(guest, 1 * MIB, 4 * KIB);
	guest_flush(guest);
	guest_write(guest, 2 * MIB, 4 * KIB);
	guest_write(guest, 0, 8 * KIB);
	fail_at(guest, at_flush ? guest_at_flush(STORE_BEFORE, 0) : event, -EIO, 1);
	guest->tolerant = true;
	guest_flush(guest);
	expect_stopped(guest);
}

static void flush_fails(struct guest *guest)
{
	guest_create(guest, &(struct setup){0});
	guest_open(guest);
	fails_after(guest, true, (struct event){0});
}

static void log_write_fails(struct guest *guest)
{
	guest_create(guest, &(struct setup){0});
	guest_open(guest);
	fails_after(guest, false, guest_at_log(guest, STORE_BEFORE, 0));
}

static void apply_fails(struct guest *guest)
{
	guest_create(guest, &(struct setup){0});
	guest_open(guest);
	fails_after(guest, false, guest_at_bat(guest, STORE_BEFORE, 0));
}

static void data_flush_fails(struct guest *guest)
{
	guest_create(guest, &(struct setup){.leftover = 3 * MIB});
	guest_open(guest);
	fails_after(guest, true, (struct event){0});
}

/* A clean close that fails at each of its flushes leaves what was flushed. */
static void close_fails(struct guest *guest, unsigned skip)
{
	guest_create(guest, &(struct setup){0});
	guest_open(guest);
	guest_write(guest, 0, 4 * KIB);
	guest_flush(guest);
	guest_write(guest, 1 * MIB, 4 * KIB);
	fail_at(guest, guest_at_flush(STORE_BEFORE, skip), -EIO, 1);
	guest->tolerant = true;
	if (!guest_close(guest))
		guest_fail(guest, fault_text("close hid that a flush had failed"));
	guest_quiet(guest);
	guest->tolerant = false;
	guest_crash(guest, 0xfff);
	guest_open(guest);
	guest_write(guest, 2 * MIB, 4 * KIB);
	guest_close(guest);
}

static void close_fails_at_commit(struct guest *guest)
{
	close_fails(guest, 0);
}

static void close_fails_at_header(struct guest *guest)
{
	close_fails(guest, 2);
}

static void first_write_fails(struct guest *guest)
{
	guest_create(guest, &(struct setup){0});
	guest_open(guest);
	fail_at(guest, guest_at_flush(STORE_BEFORE, 1), -EIO, 1);
	guest->tolerant = true;
	guest_write(guest, 0, 4 * KIB);
	guest_flush(guest);
	guest_close(guest);
}

const struct scenario error_scenarios[] = {
	{"no-space-for-log", no_space_for_log, 0},
	{"no-space-to-apply", no_space_to_apply, 0},
	{"no-space-to-apply-once", no_space_to_apply_once, 0},
	{"no-space-to-apply-twice", no_space_to_apply_twice, 0},
	{"no-space-for-small-commits", no_space_for_small_commits, 2000},
	{"child-log-full", child_log_full, 2000},
	{"no-space-for-a-page", no_space_for_a_page, 0},
	{"no-space-to-grow", no_space_to_grow, 0},
	{"flush-fails", flush_fails, 0},
	{"log-write-fails", log_write_fails, 0},
	{"apply-fails", apply_fails, 0},
	{"data-flush-fails", data_flush_fails, 0},
	{"close-fails-at-commit", close_fails_at_commit, 0},
	{"close-fails-at-header", close_fails_at_header, 0},
	{"first-write-fails", first_write_fails, 0},
	{0},
};
