/* SPDX-License-Identifier: MIT */
/* Scenarios of several threads: what comes while a commit is between its capture, its flush and its apply. */
#include "crash/runner.h"

#define KIB GUEST_KIB
#define MIB GUEST_MIB

/* Recycled space, so that an entry that is not durable must not be seen. */
static const struct setup recycled = {.leftover = 9 * MIB, .virtual_size = 12 * MIB};

static void write_fifth(struct guest *guest)
{
	guest_write(guest, 5 * MIB + 4 * KIB, 4 * KIB);
}

static void write_sixth(struct guest *guest)
{
	guest_write(guest, 6 * MIB + 4 * KIB, 4 * KIB);
}

static void write_and_flush(struct guest *guest)
{
	guest_write(guest, 5 * MIB + 4 * KIB, 4 * KIB);
	guest_flush(guest);
}

static void flush_alone(struct guest *guest)
{
	guest_flush(guest);
}

static void trim_first(struct guest *guest)
{
	guest_trim(guest, 0, MIB);
}

static void trim_first_and_write(struct guest *guest)
{
	guest_trim(guest, 0, MIB);
	guest_write(guest, 5 * MIB + 4 * KIB, 4 * KIB);
}

static void begin(struct guest *guest, const struct setup *setup)
{
	guest_create(guest, setup);
	guest_open(guest);
	guest_write(guest, 7 * MIB, 4 * KIB);
	guest_flush(guest);
	guest_write(guest, 0, 128 * KIB);
	guest_write(guest, 1 * MIB + 4 * KIB, 4 * KIB);
}

static void end(struct guest *guest)
{
	guest_flush(guest);
	guest_join(guest);
	guest_write(guest, 3 * MIB + 4 * KIB, 4 * KIB);
	guest_flush(guest);
	guest_write(guest, 4 * MIB + 4 * KIB, 4 * KIB);
	guest_close(guest);
}

static void happens(struct guest *guest, struct event event, guest_act *act, bool leave)
{
	event.act = act;
	event.leave = leave;
	guest_when(guest, event);
}

static void write_after_capture(struct guest *guest)
{
	begin(guest, &recycled);
	happens(guest, guest_at_log(guest, STORE_BEFORE, 0), write_fifth, false);
	happens(guest, guest_at_log(guest, STORE_AFTER, 0), write_sixth, false);
	end(guest);
}

static void write_before_apply(struct guest *guest)
{
	begin(guest, &recycled);
	happens(guest, guest_at_bat(guest, STORE_BEFORE, 0), write_fifth, false);
	happens(guest, guest_at_bat(guest, STORE_AFTER, 0), write_sixth, false);
	end(guest);
}

static void write_around_flush(struct guest *guest)
{
	begin(guest, &recycled);
	happens(guest, guest_at_flush(STORE_BEFORE, 0), write_fifth, false);
	happens(guest, guest_at_flush(STORE_AFTER, 0), write_sixth, false);
	end(guest);
}

static void write_around_second_flush(struct guest *guest)
{
	begin(guest, &recycled);
	happens(guest, guest_at_flush(STORE_BEFORE, 1), write_fifth, false);
	happens(guest, guest_at_flush(STORE_AFTER, 1), write_sixth, false);
	end(guest);
}

static void flush_during_commit(struct guest *guest)
{
	begin(guest, &(struct setup){.virtual_size = 10 * MIB});
	happens(guest, guest_at_log(guest, STORE_AFTER, 0), write_and_flush, true);
	end(guest);
}

static void flush_during_flush(struct guest *guest)
{
	begin(guest, &recycled);
	happens(guest, guest_at_flush(STORE_AFTER, 0), write_and_flush, true);
	happens(guest, guest_at_flush(STORE_AFTER, 1), flush_alone, true);
	end(guest);
}

/* Another thread's data was written before its flush, and has no metadata of its own. */
static void overwrite_and_flush(struct guest *guest)
{
	guest_write(guest, 7 * MIB, 4 * KIB);
	guest_flush(guest);
}

static void overwrite_during_commit(struct guest *guest)
{
	begin(guest, &(struct setup){.virtual_size = 10 * MIB});
	happens(guest, guest_at_flush(STORE_AFTER, 0), overwrite_and_flush, true);
	end(guest);
}

/* Then a flush has nothing to log, and runs beside what others do. */
static void begin_idle(struct guest *guest)
{
	guest_create(guest, &recycled);
	guest_open(guest);
	guest_write(guest, 7 * MIB, 4 * KIB);
	guest_write(guest, 6 * MIB, 4 * KIB);
	guest_flush(guest);
	guest_flush(guest);
	guest_write(guest, 6 * MIB, 2 * KIB);
}

static void overwrite_beside_flush(struct guest *guest)
{
	begin_idle(guest);
	happens(guest, guest_at_flush(STORE_BEFORE, 0), overwrite_and_flush, false);
	guest_flush(guest);
	guest_write(guest, 6 * MIB, 2 * KIB);
	happens(guest, guest_at_flush(STORE_AFTER, 0), overwrite_and_flush, true);
	end(guest);
}

static void commit_beside_flush(struct guest *guest)
{
	begin_idle(guest);
	happens(guest, guest_at_flush(STORE_BEFORE, 0), write_and_flush, false);
	guest_flush(guest);
	happens(guest, guest_at_flush(STORE_AFTER, 0), trim_first_and_write, false);
	end(guest);
}

static void trim_during_commit(struct guest *guest)
{
	begin(guest, &(struct setup){.virtual_size = 10 * MIB});
	happens(guest, guest_at_log(guest, STORE_AFTER, 0), trim_first, false);
	end(guest);
}

static void trim_and_reuse_during_commit(struct guest *guest)
{
	begin(guest, &(struct setup){.virtual_size = 10 * MIB, .flags = VHDX_OPEN_NO_HOLES});
	happens(guest, guest_at_log(guest, STORE_AFTER, 0), trim_first_and_write, false);
	happens(guest, guest_at_flush(STORE_AFTER, 0), write_sixth, false);
	end(guest);
}

static void trim_before_apply(struct guest *guest)
{
	begin(guest, &(struct setup){.virtual_size = 10 * MIB, .flags = VHDX_OPEN_NO_HOLES});
	happens(guest, guest_at_bat(guest, STORE_BEFORE, 0), trim_first_and_write, false);
	end(guest);
}

static void child_write_after_capture(struct guest *guest)
{
	struct setup setup = {.type = VHDX_DIFFERENCING,
			      .virtual_size = 10 * MIB,
			      .parent_filled = 8 * MIB,
			      .leftover = 4 * MIB};

	setup.parent_filled = 7 * MIB;
	begin(guest, &setup);
	happens(guest, guest_at_log(guest, STORE_BEFORE, 0), write_fifth, false);
	happens(guest, guest_at_bat(guest, STORE_BEFORE, 0), write_sixth, false);
	end(guest);
}

static void write_evens(struct guest *guest)
{
	for (uint64_t i = 0; i < 8; i += 2) {
		guest_write(guest, i * MIB + 16 * KIB, 4 * KIB);
		guest_flush(guest);
	}
}

static void write_odds(struct guest *guest)
{
	for (uint64_t i = 1; i < 8; i += 2) {
		guest_write(guest, i * MIB + 16 * KIB, 4 * KIB);
		guest_flush(guest);
	}
}

static void write_and_trim(struct guest *guest)
{
	for (uint64_t i = 0; i < 3; i++) {
		guest_write(guest, 8 * MIB + i * 4 * KIB, 4 * KIB);
		guest_trim(guest, 8 * MIB, MIB);
	}
}

static void three_threads(struct guest *guest)
{
	guest_create(guest, &(struct setup){.virtual_size = 10 * MIB, .spots = true});
	guest_open(guest);
	guest_start(guest, write_evens);
	guest_start(guest, write_odds);
	guest_start(guest, write_and_trim);
	guest_join(guest);
	guest_close(guest);
}

const struct scenario thread_scenarios[] = {
	{"write-after-capture", write_after_capture, 0},
	{"write-before-apply", write_before_apply, 0},
	{"write-around-flush", write_around_flush, 0},
	{"write-around-second-flush", write_around_second_flush, 0},
	{"flush-during-commit", flush_during_commit, 0},
	{"flush-during-flush", flush_during_flush, 0},
	{"overwrite-during-commit", overwrite_during_commit, 0},
	{"overwrite-beside-flush", overwrite_beside_flush, 0},
	{"commit-beside-flush", commit_beside_flush, 0},
	{"trim-during-commit", trim_during_commit, 0},
	{"trim-and-reuse-during-commit", trim_and_reuse_during_commit, 0},
	{"trim-before-apply", trim_before_apply, 0},
	{"child-write-after-capture", child_write_after_capture, 0},
	{"three-threads", three_threads, 4000},
	{0},
};
