/* SPDX-License-Identifier: MIT */
/*
 * A disk that a test writes: made at random or to order, opened, closed and killed, with what must hold
 * each time. Failures end the test, with the seed and the step.
 */
#ifndef TESTS_SUPPORT_TRIAL_H
#define TESTS_SUPPORT_TRIAL_H

#include "support/fixture.h"
#include "support/flat.h"
#include "support/writestore.h"
#include "support/written.h"

struct trial {
	/* The disk: its file is in @store, those of its parents in the chain. */
	struct chain chain;
	unsigned first_parent; /* in the chain */
	struct fixture parents;
	struct write_store store;
	struct flat flat;
	unsigned without; /* optional calls that the store lacks: STORE_BITs */
	struct vhdx_info info;
	uint64_t hot[16]; /* blocks where much goes on */

	/* The session. */
	struct vhdx *disk;
	bool no_holes;
	bool must_change; /* a guest's change must have been written */
	bool may_change;
	unsigned long changes_at_open;
	unsigned long punches_at_open;
	uint8_t guid_at_open[16]; /* DataWriteGuid */
	uint8_t guid[16];	  /* the session's own, once there is one */
	bool has_guid;
	uint64_t size_at_open;
	uint64_t most_free; /* bytes in the file that nothing may refer to at the end */
};

enum trial_kind {
	TRIAL_BASE,	    /* dynamic or fixed, made by vhdx_create_io */
	TRIAL_FOREIGN_BASE, /* the same, made by chain_make */
	TRIAL_CHILD, /* of vhdx_create_io, on parents made by chain_make; in a scratch folder */
	TRIAL_FOREIGN_CHILD,
};

void trial_make(struct rng *rng, enum trial_kind kind, const struct chain_style *style,
		struct trial *ret_trial);
void trial_free(struct trial *trial);

/* Opens it for writing; @flags: VHDX_OPEN_NO_HOLES. */
void trial_open(struct trial *trial, uint32_t flags);

/* As that, where it may fail: returns as vhdx_open_io. */
int trial_try_open(struct trial *trial, uint32_t flags);

/* As the process would be killed: nothing is closed, and the file stays as it is. */
void trial_kill(struct trial *trial);

/* Closes cleanly; looks at headers, sizes and everything that vhdx_check finds. */
void trial_close(struct trial *trial);

/* Notes whether the operation just done must or may have changed the disk, and looks at DataWriteGuid. */
void trial_note_change(struct trial *trial, bool must, bool may);

/* Every byte of the disk, by reads and by the map. */
void trial_compare(struct trial *trial);

/* The map of a part of the disk agrees with what is there; @flags: VHDX_EXTENTS_FILE_HOLES. */
void trial_check_map(struct trial *trial, uint64_t offset, uint64_t length, uint32_t flags);

/* Does this file or one of its parents hold data for a part of the range, zeros or not? */
bool trial_has_space(struct trial *trial, uint64_t offset, uint64_t length);

/* Bytes of blocks inside the range that have space in this file. */
uint64_t trial_whole_blocks(struct trial *trial, uint64_t offset, uint64_t length);

/* vhdx_check of the store as it is: no damage. Returns the leaked bytes. */
uint64_t trial_check_image(struct trial *trial);

#endif
