/* SPDX-License-Identifier: MIT */
/*
 * A disk whose size changes, and a flat array of what it must hold. Its file is in a write_store; a child's
 * parent is a file in the scratch folder. Failures end the test, with the seed and the step.
 */
#ifndef TESTS_SUPPORT_RESIZECASE_H
#define TESTS_SUPPORT_RESIZECASE_H

#include "support/fixture.h"
#include "support/flat.h"
#include "support/writestore.h"

#define R_KIB ((uint64_t)1 << 10)
#define R_MIB ((uint64_t)1 << 20)
#define R_GIB ((uint64_t)1 << 30)
#define R_TIB ((uint64_t)1 << 40)

struct resize_setup {
	enum vhdx_type type;
	uint64_t virtual_size;
	uint32_t block_size;
	uint32_t sector_size;
	uint32_t flags;		/* VHDX_OPEN_NO_HOLES */
	unsigned without;	/* optional calls that the store lacks: STORE_BITs */
	uint32_t parent_block;	/* size of the parent's blocks */
	uint64_t parent_pieces; /* that are written into the parent, at random places ... */
	uint64_t parent_hot;	/* ... or about this one */
};

struct resize_case {
	struct resize_setup setup;
	struct write_store store;
	struct flat flat;
	struct vhdx *disk;
	struct vhdx_info info;
};

void resize_case_make(struct rng *rng, const struct resize_setup *setup,
		      struct resize_case *ret_case);
void resize_case_free(struct resize_case *c);

void resize_case_open(struct resize_case *c);

/* As that, where it may fail: returns as vhdx_open_io. */
int resize_case_try_open(struct resize_case *c);

/* Closes; then check finds nothing that matters, and after @resized the file ends behind its last structure. */
void resize_case_close(struct resize_case *c, bool resized);

/* The process ends: nothing is written any more. */
void resize_case_kill(struct resize_case *c);

/* What vhdx_check finds is no damage, and nothing that a resize must not leave. */
void resize_case_check(struct resize_case *c, bool whole);

/* Writes random bytes; nothing behind the disk's end. */
void resize_case_write(struct resize_case *c, struct rng *rng, uint64_t offset, uint64_t length);

void resize_case_zero(struct resize_case *c, uint64_t offset, uint64_t length, uint32_t flags);

/*
 * Resizes; what must come of that is looked at. Returns false when the disk refused to shrink over data.
 */
bool resize_case_resize(struct resize_case *c, uint64_t size, uint32_t flags);

/* The flat array has another size: what it grows by is zeros. */
void resize_case_resized(struct resize_case *c, uint64_t size);

/* Every byte of the disk, or, of what is zeros by the map, both ends. */
void resize_case_compare(struct resize_case *c);

#endif
