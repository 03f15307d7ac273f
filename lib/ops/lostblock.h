/* SPDX-License-Identifier: MIT */
/* What a child's PARTIALLY_PRESENT block without usable space of its own has lost: its bitmap still tells. */
#ifndef VHDX_OPS_LOSTBLOCK_H
#define VHDX_OPS_LOSTBLOCK_H

#include "ops/batclaims.h"

/* Which sectors of a block its own space should hold. */
struct own_sectors {
	bool is_known; /* its chunk has a usable bitmap */
	uint64_t count;
	uint64_t total;	 /* of the block, up to the disk's end */
	uint64_t offset; /* of the disk: of the first of them ... */
	uint64_t length; /* ... up to the end of the last */
};

/* A page of a bitmap that was read last. */
struct bitmap_reader {
	const struct image *image;
	const struct bat_claims *claims;
	uint64_t offset; /* in the file; 0: none yet */
	_Alignas(8) uint8_t bytes[PAGE_SIZE];
};

int vhdx_find_own_sectors(struct bitmap_reader *reader, uint64_t block,
			  struct own_sectors *ret_sectors);

#endif
