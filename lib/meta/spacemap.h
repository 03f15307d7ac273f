/* SPDX-License-Identifier: MIT */
/* Which MiB of a file are taken: one bit each. */
#ifndef VHDX_META_SPACEMAP_H
#define VHDX_META_SPACEMAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct space_map {
	uint64_t *words;
	uint64_t mebibytes; /* of the file that are mapped: at most MAX_MAPPED_FILE */
};

/* For a file of @size bytes, cut to MAX_MAPPED_FILE. Memory is only used where something is marked. -ENOMEM. */
int vhdx_space_map_init(struct space_map *map, uint64_t size);

void vhdx_space_map_free(struct space_map *map);

/*
 * Marks every MiB that a range touches, as far as the map goes. Returns whether one of them was marked
 * before; *ret_where, which may be NULL, is then the file offset of the first.
 */
bool vhdx_space_map_mark(struct space_map *map, uint64_t offset, uint64_t length,
			 uint64_t *ret_where);

/* Marks the range if nothing of it, as far as the map goes, was marked; else marks nothing and returns false. */
bool vhdx_space_map_take(struct space_map *map, uint64_t offset, uint64_t length);

/* Is a MiB marked that the range touches, as far as the map goes? */
bool vhdx_space_map_meets(const struct space_map *map, uint64_t offset, uint64_t length);

void vhdx_space_map_clear(struct space_map *map, uint64_t offset, uint64_t length);

/* Is the MiB of that offset marked? None behind the map's end is. */
static inline bool vhdx_space_map_has(const struct space_map *map, uint64_t offset)
{
	uint64_t at = offset >> 20;

	return at < map->mebibytes && map->words[at / 64] >> at % 64 & 1;
}

/* Makes the map one of @size bytes, unless it is larger already. -ENOMEM. */
int vhdx_space_map_grow(struct space_map *map, uint64_t size);

/*
 * The first @length bytes, whole MiB, at or after @offset that are not marked in @map and, unless that is
 * NULL, all marked in @also, which is as large or larger; UINT64_MAX when there are none.
 */
uint64_t vhdx_space_map_find_run(const struct space_map *map, const struct space_map *also,
				 uint64_t offset, uint64_t length);

/* The end of the last MiB that is marked, as a file offset. */
uint64_t vhdx_space_map_end(const struct space_map *map);

/* The first MiB at or after @offset that is marked or not, as a file offset; the map's end when there is none. */
uint64_t vhdx_space_map_find(const struct space_map *map, uint64_t offset, bool marked);

#endif
