/* SPDX-License-Identifier: MIT */
/* Where an NBD export holds data, as its server says. */
#ifndef REMOTE_NBDMAP_H
#define REMOTE_NBDMAP_H

#include "nbdlink.h"
#include "rangemap.h"

struct nbdmap {
	struct nbdlink *link;
	uint64_t block; /* what requests are aligned to, and the size is */
	struct rangemap ranges;
};

/* False: no memory. @size is the export's. */
bool nbdmap_init(struct nbdmap *map, struct nbdlink *link, uint64_t size, uint64_t block);

/* As vhdx_io's next_data. A server that cannot tell holds data. Any thread. */
int nbdmap_next_data(struct nbdmap *map, uint64_t offset, uint64_t *ret_start, uint64_t *ret_end);

/* Of a zeroed one too. */
void nbdmap_free(struct nbdmap *map);

#endif
