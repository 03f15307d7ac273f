/* SPDX-License-Identifier: MIT */
/*
 * A small disk, with or without a parent, whose BAT a test damages: what is found in it, what its repair
 * tells, and what a guest reads before and after.
 */
#ifndef TESTS_SUPPORT_MENDCASE_H
#define TESTS_SUPPORT_MENDCASE_H

#include "support/fixture.h"
#include "support/writestore.h"

#define CASE_BLOCKS	10u
#define CASE_BLOCK_SIZE (2 * T_MIB)
#define CASE_DISK_SIZE	(CASE_BLOCKS * CASE_BLOCK_SIZE - T_MIB) /* its last block is cut */
#define CASE_BAT	(3 * T_MIB)
#define CASE_BITMAP	(4 * T_MIB)
#define CASE_BITMAP_END (CASE_BITMAP + T_MIB)

/* Block @i has its space at this offset. */
#define CASE_PLACE(i) (CASE_BITMAP_END + (i)*CASE_BLOCK_SIZE)
#define CASE_END      CASE_PLACE(CASE_BLOCKS)

/* Blocks of the disk with this state; the others are FULLY_PRESENT, or the child's PARTIALLY_PRESENT. */
#define NOT_PRESENT_BLOCK 4u
#define ZERO_BLOCK	  5u
#define ANCHORED_BLOCK	  6u /* UNMAPPED, with an offset */

/* Sectors of a PARTIALLY_PRESENT block are in turn the parent's and its own. */
#define PARTIAL_BLOCK	  1u
#define NEXT_PARTIAL	  2u
#define ALL_OWN_BLOCK	  7u /* PARTIALLY_PRESENT, all sectors its own */
#define ALL_PARENTS_BLOCK 8u /* PARTIALLY_PRESENT, all sectors the parent's */

struct told {
	unsigned problem;
	uint64_t guest_offset;
	uint64_t guest_length;
	char text[300];
};

struct mend_case {
	struct chain chain; /* layer 1 is the parent, if there is one */
	uint64_t first;	    /* block of the disk that the case's block 0 is */
	uint8_t *before;    /* what the guest read when it was made */
	uint8_t *after;	    /* and what since the last mend_case_mend */
	struct told told[64];
	unsigned told_count;
	unsigned mended; /* of the things told, those of the BAT and the bitmaps */
	struct vhdx_repair_result result;
	bool reads_changed; /* DataWriteGuid is another one */
};

/* Setups, and the teardown. */
int mend_case_dynamic(void **state);
int mend_case_fixed(void **state);
int mend_case_child(void **state);
int mend_case_far_child(void **state); /* in its second chunk, not at its start */
int mend_case_drop(void **state);

/* The entry of any block of the disk, of one of the case, and of the bitmap of their chunk. */
void put_any_block(struct mend_case *c, uint64_t number, uint64_t entry);
void put_block(struct mend_case *c, uint64_t block, uint64_t entry);
uint64_t get_block(const struct mend_case *c, uint64_t block);
void put_bitmap(struct mend_case *c, uint64_t entry);
uint64_t get_bitmap(const struct mend_case *c);

/*
 * Check must find @problem and nothing worse than Windows' rules allow after the repair, which a second
 * repair leaves alone; the judge of what is read is the caller.
 */
void mend_case_mend(struct mend_case *c, unsigned problem);

/* The repair told so, as costing that much of the disk; offset 0 is where block 0 of the case begins. */
void expect_told(const struct mend_case *c, unsigned problem, uint64_t guest_offset,
		 uint64_t guest_length);

/* The guest reads of that block what he read before, or zeros. */
void expect_same(const struct mend_case *c, uint64_t block);
void expect_zeros(const struct mend_case *c, uint64_t block);

/* All blocks but @block read as before. */
void expect_others_same(const struct mend_case *c, uint64_t block);

#endif
