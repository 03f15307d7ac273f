/* SPDX-License-Identifier: MIT */
/* Moves what lies at the end of a file into the free space before it. */
#ifndef VHDX_OPS_RELOCATE_H
#define VHDX_OPS_RELOCATE_H

#include "ops/packing.h"
#include "ops/survey.h"

/*
 * Moves what @packed says, and makes holes of what is free before the end. The disk is in a session of its own, behind the gate, in which nothing has changed;
 * what moved is durable when the session ends. @first, of the survey's total, is done. *ret_moved counts payload
 * blocks, also after a failure.
 */
int vhdx_relocate(struct survey *survey, const struct packed *packed, uint64_t first,
		  uint64_t *ret_moved);

#endif
