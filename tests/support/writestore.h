/* SPDX-License-Identifier: MIT */
/* A struct vhdx_io over sparse bytes that can be written by many threads, counts, fails and dies on demand. */
#ifndef TESTS_SUPPORT_WRITESTORE_H
#define TESTS_SUPPORT_WRITESTORE_H

#include <pthread.h>
#include <stdatomic.h>

#include <vhdx.h>

#include "support/sparse.h"

enum store_call {
	STORE_READ,
	STORE_WRITE,
	STORE_FLUSH,
	STORE_GET_SIZE,
	STORE_SET_SIZE,
	STORE_PUNCH,
	STORE_ZERO,
	STORE_RESERVE,
	STORE_NEXT_DATA,
	STORE_CALLS,
};

/* Calls as bits of a set. */
#define STORE_BIT(call) (1u << (call))
#define STORE_ANY	(STORE_BIT(STORE_CALLS) - 1)
#define STORE_TAKES_SPACE \
	(STORE_BIT(STORE_WRITE) | STORE_BIT(STORE_SET_SIZE) | STORE_BIT(STORE_RESERVE))
#define STORE_CHANGES \
	(STORE_TAKES_SPACE | STORE_BIT(STORE_FLUSH) | STORE_BIT(STORE_PUNCH) | \
	 STORE_BIT(STORE_ZERO))

/* A change that is not durable yet. */
struct store_change {
	enum store_call call; /* WRITE, SET_SIZE, or PUNCH for whatever makes zeros */
	uint64_t offset;      /* SET_SIZE: the size */
	uint64_t length;
	uint8_t *bytes; /* WRITE */
	struct store_change *next;
};

struct write_store {
	struct sparse bytes;
	pthread_rwlock_t lock; /* of the bytes, and of what is durable */
	atomic_ulong count[STORE_CALLS];
	atomic_ulong closes;
	atomic_ullong written_bytes;
	atomic_bool dead; /* as after a kill: changes fail and do nothing */

	/* Of the calls in @fail_calls the one number @fail_from fails, and all up to @fail_to; 0: none. */
	unsigned fail_calls;
	atomic_ulong fail_seen;
	uint64_t fail_behind; /* calls before this place of the file do not count, ... */
	uint64_t fail_before; /* ... nor calls from this one on, unless it is 0 */
	unsigned long fail_from;
	unsigned long fail_to;
	int error;	    /* with which errno, negative */
	bool tears;	    /* a write that fails has written half of its 512-byte sectors */
	atomic_uint failed; /* calls that did fail, as STORE_BITs */

	uint64_t transfer; /* most bytes of a read or write; 0: any */
	uint64_t limit;	   /* no space behind this offset: -ENOSPC; 0: there is */

	/* Called before each call of the store, unless NULL. */
	void (*hook)(void *opaque, enum store_call call);
	void *hook_opaque;

	/* What is there after the power fails, where write_store_track was called. */
	bool tracks;
	struct sparse durable;
	struct store_change *first;
	struct store_change **last;
	unsigned long completed; /* changes, ever */
	unsigned long retired;	 /* of them, durable */
};

void write_store_init(struct write_store *store);
void write_store_free(struct write_store *store);

/* @without: optional calls that the store does not have, as STORE_BITs. The store stays the caller's. */
struct vhdx_io write_store_io(struct write_store *store, unsigned without);

/* Keeps from now on what would be there after the power fails with every unflushed change lost. */
void write_store_track(struct write_store *store);

/* A copy of that, in a sparse that is zeroed. */
void write_store_durable(struct write_store *store, struct sparse *ret_bytes);

/* Calls so far that change something or make it durable. */
unsigned long write_store_changes(const struct write_store *store);

/* The sum of calls of the kinds in the set @calls. */
unsigned long write_store_count(const struct write_store *store, unsigned calls);

#endif
