/* SPDX-License-Identifier: MIT */
/* Which MiB of a disk are free: a bit each. */
#ifndef CLI_FREEMAP_H
#define CLI_FREEMAP_H

#include <stdbool.h>
#include <stdint.h>

#include "probecopy.h"

struct free_map {
	uint64_t size_bytes; /* of the disk */
	uint64_t *words;
};

/* All is in use. -ENOMEM. */
int free_map_make(uint64_t size_bytes, struct free_map *ret_map);

void free_map_free(struct free_map *map);

/* The MiB that lie wholly within @range are free. The disk's last one may be shorter. */
void free_map_release(struct free_map *map, struct range range);

/* The MiB that @range touches are in use. Any range is allowed. */
void free_map_occupy(struct free_map *map, struct range range);

/* Are all MiB that @range touches free? A range that is empty, or leaves the disk, is not. */
bool free_map_covers(const struct free_map *map, struct range range);

#endif
