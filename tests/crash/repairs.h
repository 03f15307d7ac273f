/* SPDX-License-Identifier: MIT */
/*
 * Repairs that crash: image and undo file lose their unflushed writes independently. What the undo file brings
 * back must be the image as it was damaged, byte for byte, and a second repair must mend it.
 */
#ifndef TESTS_CRASH_REPAIRS_H
#define TESTS_CRASH_REPAIRS_H

#include "crash/runner.h"
#include "crash/store.h"

/* The image that is damaged: blocks of 1 MiB, of which the first hold data. */
#define REPAIR_MIB	  ((uint64_t)1 << 20)
#define REPAIR_DISK	  (8 * REPAIR_MIB)
#define REPAIR_BLOCKS	  4 /* present */
#define REPAIR_BLOCK_DATA ((uint64_t)16 << 10)

struct repair_case {
	/* Damages the image, whose BAT is at @bat. */
	void (*damage)(struct cow *image, uint64_t bat);
	unsigned lost; /* blocks that read as zeros afterwards, as bits */
};

/* Judges every state, or as the options say. The result has its name already. */
void repair_case_run(const struct repair_case *of_repair, uint64_t seed,
		     const struct run_options *options, struct run_result *result);

#endif
