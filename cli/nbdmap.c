/* SPDX-License-Identifier: MIT */
/*
 * Where an NBD export holds data. Servers answer for as much as they like; what they say of a batch is
 * kept, for ranges are asked for in order.
 */
#include <errno.h>
#include <stdlib.h>

#include "cleanup.h"
#include "nbdmap.h"

#define RANGES_MAX ((size_t)64 * 1024)
#define ASK_MAX \
	((uint64_t)0xffff0000) /* the protocol counts in 32 bits; blocks have at most 64 KiB */

bool nbdmap_init(struct nbdmap *map, struct nbdlink *link, uint64_t size, uint64_t block)
{
	*map = (struct nbdmap){.link = link, .size = size, .block = block};
	pthread_mutex_init(&map->lock, NULL);
	map->ranges = calloc(RANGES_MAX, sizeof(*map->ranges));
	return map->ranges;
}

static uint64_t known_end(const struct nbdmap *map)
{
	return map->count ? map->ranges[map->count - 1].end : map->start;
}

/* Returns false when no more can be kept. */
static bool add(struct nbdmap *map, uint64_t length, bool is_data)
{
	uint64_t end = known_end(map);
	struct nbdmap_range *last = map->count ? &map->ranges[map->count - 1] : NULL;

	if (last && last->is_data == is_data)
		last->end += length;
	else if (map->count < RANGES_MAX)
		map->ranges[map->count++] = (struct nbdmap_range){end + length, is_data};
	else
		return false;
	return true;
}

/* The last range may go on behind what was asked for, but not behind the export; a second answer counts not. */
static void take_entries(void *opaque, const uint32_t *entries, size_t nentries)
{
	struct nbdmap *map = opaque;

	if (map->count)
		return;
	for (size_t i = 0; i + 1 < nentries; i += 2) {
		uint64_t left = map->size - known_end(map);
		uint64_t length = entries[i] < left ? entries[i] : left;

		if (!length || !add(map, length, !(entries[i + 1] & LIBNBD_STATE_ZERO)))
			return;
	}
}

/* Makes the map begin at @offset. Where the server gives no answer there may be data. */
static int ask(struct nbdmap *map, uint64_t offset)
{
	uint64_t start = offset - offset % map->block;
	uint64_t left = map->size - start;
	struct nbdlink_request request = {
		.operation = NBDLINK_STATUS,
		.offset = start,
		.length = left < ASK_MAX ? left : ASK_MAX,
		.status = take_entries,
		.opaque = map,
	};

	map->start = start;
	map->count = 0;
	nbdlink_submit(map->link, &request);
	int ret = nbdlink_wait(&request);
	int failure = ret ? nbdlink_failure(map->link) : 0;

	if (ret)
		map->count = 0;
	if (!failure && known_end(map) <= offset) {
		map->count = 0;
		add(map, request.length, true);
	}
	return failure;
}

/* The first range that ends behind @offset, which the map covers. */
static const struct nbdmap_range *find(const struct nbdmap *map, uint64_t offset)
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

int nbdmap_next_data(struct nbdmap *map, uint64_t offset, uint64_t *ret_start, uint64_t *ret_end)
{
	LOCK_SCOPED(&map->lock);
	while (offset < map->size) {
		int ret = offset < map->start || offset >= known_end(map) ? ask(map, offset) : 0;

		if (ret)
			return ret;
		const struct nbdmap_range *range = find(map, offset);

		if (range->is_data) {
			*ret_start = offset;
			*ret_end = range->end;
			return 0;
		}
		offset = range->end;
	}
	return -ENXIO;
}

void nbdmap_free(struct nbdmap *map)
{
	if (map->ranges)
		pthread_mutex_destroy(&map->lock);
	free(map->ranges);
}
