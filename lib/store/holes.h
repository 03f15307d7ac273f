/* SPDX-License-Identifier: MIT */
/*
 * Where storage holds data, for whoever walks it. To find where data end may cost the storage time by
 * their length, so it is asked once a range, and not once a block.
 */
#ifndef VHDX_STORE_HOLES_H
#define VHDX_STORE_HOLES_H

#include "store/io.h"

/* What it said last: zeros in [from, start), data in [start, end). Zeroed: nothing yet. */
struct known_data {
	const struct vhdx_io *io;
	uint64_t from;
	uint64_t start; /* UINT64_MAX: there are no more data ... */
	uint64_t end;	/* ... nor their end */
};

/*
 * The first range at or after @offset that may hold anything but zeros; both UINT64_MAX when there is none.
 * What others write meanwhile may go unnoticed, in either direction. 0 or as the storage fails.
 */
int vhdx_known_data(struct known_data *known, const struct vhdx_io *io, uint64_t offset,
		    uint64_t *ret_start, uint64_t *ret_end);

#endif
