/* SPDX-License-Identifier: MIT */
/*
 * What the faults of a BAT cost of the disk. Each byte is counted once, however many faults its block
 * and its chunk's bitmap have: as lost when one of them loses it, else as in doubt.
 */
#ifndef VHDX_META_BATLOSS_H
#define VHDX_META_BATLOSS_H

#include "meta/image.h"

/* Bytes of a block; what is lost is not in doubt. */
struct block_loss {
	uint64_t lost;
	uint64_t doubtful;
};

/* The PARTIALLY_PRESENT blocks of a chunk, which cannot do without its bitmap. */
struct partial_blocks {
	uint64_t count;
	struct guest_part part; /* from the first to the last; loss_bytes: theirs */
	struct block_loss loss; /* that their own faults cost */
	uint64_t lost_blocks;
};

struct bat_loss {
	uint64_t lost_bytes;
	uint64_t doubtful_bytes;
	uint64_t lost_blocks;
	struct partial_blocks partial; /* of the chunk at hand */
};

/* The part of the disk that a payload block is, lost or not. */
struct guest_part vhdx_guest_part(const struct geometry *g, uint64_t block);

/* @loss of the payload block @block, and that it is a partial one of the chunk at hand. */
void vhdx_bat_loss_add(struct bat_loss *all, const struct geometry *g, uint64_t block,
		       const struct block_loss *loss, bool is_partial);

/* The chunk at hand has a bitmap that cannot be read, or one that may be wrong: its partial blocks suffer. */
void vhdx_bat_loss_bitmap(struct bat_loss *all, bool is_lost);

#endif
