/* SPDX-License-Identifier: MIT */
/* Where an NBD export holds data, as its server says: a batch of ranges is asked for and kept. */
#ifndef CLI_NBDMAP_H
#define CLI_NBDMAP_H

#include <pthread.h>
#include <stdint.h>

#include "nbdlink.h"

struct nbdmap_range {
	uint64_t end;
	bool is_data;
};

/* Ranges follow one another without gaps from @start on; neighbours are not alike. */
struct nbdmap {
	pthread_mutex_t lock;
	struct nbdlink *link;
	uint64_t size;	/* of the export */
	uint64_t block; /* what requests are aligned to, and the size is */
	uint64_t start;
	size_t count;
	struct nbdmap_range *ranges;
};

/* False: no memory. */
bool nbdmap_init(struct nbdmap *map, struct nbdlink *link, uint64_t size, uint64_t block);

/* As vhdx_io's next_data. A server that cannot tell holds data. Any thread. */
int nbdmap_next_data(struct nbdmap *map, uint64_t offset, uint64_t *ret_start, uint64_t *ret_end);

/* Of a zeroed one too. */
void nbdmap_free(struct nbdmap *map);

#endif
