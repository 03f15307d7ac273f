/* SPDX-License-Identifier: MIT */
/*
 * Storage that remembers what was done to it since its start, and when, by a clock that ticks at the begin and
 * at the end of every call; with hooks around each call, where a test runs other threads or injects errors.
 */
#ifndef TESTS_CRASH_STORE_H
#define TESTS_CRASH_STORE_H

#include <pthread.h>

#include <vhdx.h>

#include "crash/cow.h"

enum store_kind {
	STORE_WRITE,
	STORE_SIZE, /* length: the new size */
	STORE_PUNCH,
	STORE_ZERO,
	STORE_RESERVE,
	STORE_FLUSH,
};

#define NEVER UINT64_MAX

struct store_op {
	enum store_kind kind;
	bool failed; /* a flush: what it should have made durable never surely is */
	uint64_t offset;
	uint64_t length;
	uint8_t *bytes; /* of a write */
	uint64_t begin; /* by the clock */
	uint64_t end;	/* NEVER while in flight */
};

enum store_when { STORE_BEFORE, STORE_AFTER };

struct store_call {
	enum store_kind kind;
	enum store_when when;
	uint64_t offset;
	uint64_t length;
};

/* Runs in the caller's thread, without a lock. A negative errno before a call makes it fail. */
typedef int store_hook(void *opaque, const struct store_call *call);

struct store {
	pthread_mutex_t lock;
	struct cow base; /* durable when the recording began */
	struct cow now;
	struct store_op *ops; /* in the order of their begin; reserve is not among them */
	size_t count;
	size_t room;
	uint64_t clock;
	uint64_t *time; /* the clock that it goes by: its own, or another store's */
	bool forgets;	/* nothing is recorded */
	bool read_only; /* changes are refused and counted */
	bool dead;	/* the machine is off: every call fails */
	unsigned long refused;
	unsigned long flushes;
	unsigned long writes;
	store_hook *hook;
	void *opaque;
};

/* Takes @contents over. */
void store_init(struct store *store, struct cow *contents);
void store_free(struct store *store);

/*
 * From now on the store goes by the clock of @other, so that it can be told what was first. One thread at a
 * time may call either.
 */
void store_share_clock(struct store *store, struct store *other);

/* Begins the recording anew: all that was done until now is durable. No call may be in flight. */
void store_restart(struct store *store);

/* The table for the library. The store stays the caller's. */
struct vhdx_io store_io(struct store *store);

/* Lets the clock tick, and tells the time. */
uint64_t store_tick(struct store *store);

/* Reads what was written last. */
void store_peek(struct store *store, void *buf, size_t size, uint64_t offset);

#endif
