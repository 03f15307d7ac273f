/* SPDX-License-Identifier: MIT */
/*
 * Where storage holds data, as its server says: what it says of a batch of ranges is kept, for they are asked for
 * in order.
 */
#ifndef REMOTE_RANGEMAP_H
#define REMOTE_RANGEMAP_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct rangemap;

/*
 * Begins the map anew, at or before @offset, and adds ranges up to behind @offset at least. Returns 0 or a
 * negative errno.
 */
typedef int rangemap_ask_fn(void *opaque, struct rangemap *map, uint64_t offset);

struct rangemap_range {
	uint64_t end;
	bool is_data;
};

/* Ranges follow one another without gaps from @start on; neighbours are not alike. */
struct rangemap {
	pthread_mutex_t lock;
	rangemap_ask_fn *ask;
	void *opaque;
	uint64_t size; /* of the storage */
	uint64_t start;
	size_t count;
	struct rangemap_range *ranges;
};

/* False: no memory. */
bool rangemap_init(struct rangemap *map, uint64_t size, rangemap_ask_fn *ask, void *opaque);

/* As vhdx_io's next_data. Any thread. */
int rangemap_next_data(struct rangemap *map, uint64_t offset, uint64_t *ret_start,
		       uint64_t *ret_end);

/* For the asked: forgets all, and begins at @start. */
void rangemap_restart(struct rangemap *map, uint64_t start);

/* For the asked: what follows. False when no more can be kept. */
bool rangemap_add(struct rangemap *map, uint64_t length, bool is_data);

uint64_t rangemap_end(const struct rangemap *map);

/* Of a zeroed one too. */
void rangemap_free(struct rangemap *map);

#endif
