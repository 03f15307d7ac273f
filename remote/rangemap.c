/* SPDX-License-Identifier: MIT */
/* Where storage holds data: the ranges that its server told last. */
#include <errno.h>
#include <stdlib.h>

#include "cleanup.h"
#include "rangemap.h"

#define RANGES_MAX ((size_t)64 * 1024)

bool rangemap_init(struct rangemap *map, uint64_t size, rangemap_ask_fn *ask, void *opaque)
{
	*map = (struct rangemap){.size = size, .ask = ask, .opaque = opaque};
	pthread_mutex_init(&map->lock, NULL);
	map->ranges = calloc(RANGES_MAX, sizeof(*map->ranges));
	return map->ranges;
}

void rangemap_restart(struct rangemap *map, uint64_t start)
{
	map->start = start;
	map->count = 0;
}

uint64_t rangemap_end(const struct rangemap *map)
{
	return map->count ? map->ranges[map->count - 1].end : map->start;
}

bool rangemap_add(struct rangemap *map, uint64_t length, bool is_data)
{
	uint64_t end = rangemap_end(map);
	struct rangemap_range *last = map->count ? &map->ranges[map->count - 1] : NULL;

	if (last && last->is_data == is_data)
		last->end += length;
	else if (map->count < RANGES_MAX)
		map->ranges[map->count++] = (struct rangemap_range){end + length, is_data};
	else
		return false;
	return true;
}

/* The first range that ends behind @offset, which the map covers. */
static const struct rangemap_range *find(const struct rangemap *map, uint64_t offset)
{
	size_t low = 0, high = map->count - 1;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (map->ranges[middle].end > offset)
			high = middle;
		else
			low = middle + 1;
	}
	return &map->ranges[low];
}

int rangemap_next_data(struct rangemap *map, uint64_t offset, uint64_t *ret_start,
		       uint64_t *ret_end)
{
	LOCK_SCOPED(&map->lock);
	while (offset < map->size) {
		bool is_known = offset >= map->start && offset < rangemap_end(map);
		int ret = is_known ? 0 : map->ask(map->opaque, map, offset);

		if (ret)
			return ret;
		const struct rangemap_range *range = find(map, offset);

		if (range->is_data) {
			*ret_start = offset;
			*ret_end = range->end;
			return 0;
		}
		offset = range->end;
	}
	return -ENXIO;
}

void rangemap_free(struct rangemap *map)
{
	if (map->ranges)
		pthread_mutex_destroy(&map->lock);
	free(map->ranges);
}
