/* SPDX-License-Identifier: MIT */
/* Writes what a repair changed from its draft to the file, so that a crash leaves an image that can be mended. */
#ifndef VHDX_OPS_SETTLE_H
#define VHDX_OPS_SETTLE_H

#include "ops/mend.h"
#include "store/draft.h"

/*
 * Counts what changes in repair->result; then, unless it is a dry run, makes the undo file and writes @draft
 * to its base @io, durable on return.
 */
int vhdx_settle(struct repair *repair, struct draft *draft, const struct vhdx_io *io);

#endif
