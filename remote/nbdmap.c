/* SPDX-License-Identifier: MIT */
/* Where an NBD export holds data. Servers answer for as much as they like. */
#include "nbdmap.h"

#define ASK_MAX \
	((uint64_t)0xffff0000) /* the protocol counts in 32 bits; blocks have at most 64 KiB */

/* The last range may go on behind what was asked for, but not behind the export; a second answer counts not. */
static void take_entries(void *opaque, const uint32_t *entries, size_t nentries)
{
	struct rangemap *ranges = opaque;

	if (ranges->count)
		return;
	for (size_t i = 0; i + 1 < nentries; i += 2) {
		uint64_t left = ranges->size - rangemap_end(ranges);
		uint64_t length = entries[i] < left ? entries[i] : left;

		if (!length || !rangemap_add(ranges, length, !(entries[i + 1] & LIBNBD_STATE_ZERO)))
			return;
	}
}

/* Where the server gives no answer there may be data. */
static int ask(void *opaque, struct rangemap *ranges, uint64_t offset)
{
	struct nbdmap *map = opaque;
	uint64_t start = offset - offset % map->block;
	uint64_t left = ranges->size - start;
	struct nbdlink_request request = {
		.operation = NBDLINK_STATUS,
		.offset = start,
		.length = left < ASK_MAX ? left : ASK_MAX,
		.status = take_entries,
		.opaque = ranges,
	};

	rangemap_restart(ranges, start);
	nbdlink_submit(map->link, &request);
	int ret = nbdlink_wait(&request);
	int failure = ret ? nbdlink_failure(map->link) : 0;

	if (ret)
		rangemap_restart(ranges, start);
	if (!failure && rangemap_end(ranges) <= offset) {
		rangemap_restart(ranges, start);
		rangemap_add(ranges, request.length, true);
	}
	return failure;
}

bool nbdmap_init(struct nbdmap *map, struct nbdlink *link, uint64_t size, uint64_t block)
{
	map->link = link;
	map->block = block;
	return rangemap_init(&map->ranges, size, ask, map);
}

int nbdmap_next_data(struct nbdmap *map, uint64_t offset, uint64_t *ret_start, uint64_t *ret_end)
{
	return rangemap_next_data(&map->ranges, offset, ret_start, ret_end);
}

void nbdmap_free(struct nbdmap *map)
{
	rangemap_free(&map->ranges);
}
