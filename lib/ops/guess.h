/* SPDX-License-Identifier: MIT */
/* Guesses at a ruined image: what its blocks, and where they lie, tell of its geometry. */
#ifndef VHDX_OPS_GUESS_H
#define VHDX_OPS_GUESS_H

#include "ops/salvage.h"

/*
 * The place at a whole MiB that looks most like a BAT, of whatever geometry. -ENOENT when none does; or as
 * the storage fails.
 */
int vhdx_guess_bat(const struct salvage *s, struct region *ret_region);

/*
 * Sets what is not known of block size, sector size and the disk's type, by the BAT: blocks do not
 * overlap, lie in the file, and only a child has bitmaps.
 */
int vhdx_guess_spacing(struct salvage *s);

/* Sets the disk's size, if it is not known, by a partition table or else by the last block of the BAT. */
int vhdx_guess_size(struct salvage *s);

/* Without a BAT: where the first block lies, and what else is not known of the geometry. */
int vhdx_guess_order(struct salvage *s);

#endif
