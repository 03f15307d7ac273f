/* SPDX-License-Identifier: MIT */
/* A ruined file as storage: its missing beginning is there as zeros, what cannot be read as RUIN_BYTEs. */
#ifndef VHDX_STORE_RUIN_H
#define VHDX_STORE_RUIN_H

#include <stdbool.h>

#include <vhdx.h>

#define RUIN_PIECE 4096u /* what cannot be read is told by so many bytes */

/* Of these no structure is right, and no entry of a BAT means anything. */
#define RUIN_BYTE 0xff

/* Set base, missing and strict; they may be changed between reads. */
struct ruin {
	const struct vhdx_io *base;
	uint64_t missing; /* bytes before the first one of the base */
	bool strict;	  /* fail with -EIO as the base does, instead */
};

/* Read-only storage; @ruin must outlive it. Its close does nothing. */
struct vhdx_io vhdx_ruin_io(struct ruin *ruin);

#endif
