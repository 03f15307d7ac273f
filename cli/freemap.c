/* SPDX-License-Identifier: MIT */
/* Blocks of a VHDX are whole MiB, so a finer map would free nothing more. */
#include <errno.h>
#include <stdlib.h>

#include "freemap.h"

#define MIB_SHIFT 20
#define WORD_BITS 64

static uint64_t count_mib(uint64_t size_bytes)
{
	return (size_bytes >> MIB_SHIFT) + ((size_bytes & ((1u << MIB_SHIFT) - 1)) != 0);
}

int free_map_make(uint64_t size_bytes, struct free_map *ret_map)
{
	uint64_t nwords = count_mib(size_bytes) / WORD_BITS + 1;
	uint64_t *words =
		nwords > SIZE_MAX / sizeof(*words) ? NULL : calloc((size_t)nwords, sizeof(*words));

	if (!words)
		return -ENOMEM;
	*ret_map = (struct free_map){size_bytes, words};
	return 0;
}

void free_map_free(struct free_map *map)
{
	free(map->words);
	map->words = NULL;
}

static uint64_t end_of(const struct free_map *map, struct range range)
{
	if (range.start >= map->size_bytes)
		return map->size_bytes;
	return range.length > map->size_bytes - range.start ? map->size_bytes
							    : range.start + range.length;
}

/* Bits from @bit on, before @end, in its word; *ret_next: where the next word begins. */
static uint64_t mask_of(uint64_t bit, uint64_t end, uint64_t *ret_next)
{
	uint64_t mask = UINT64_MAX << (bit % WORD_BITS);
	uint64_t next = (bit / WORD_BITS + 1) * WORD_BITS;

	if (end < next)
		mask &= UINT64_MAX >> (next - end);
	*ret_next = next;
	return mask;
}

void free_map_release(struct free_map *map, struct range range)
{
	uint64_t end_bytes = end_of(map, range);
	uint64_t end = end_bytes == map->size_bytes ? count_mib(end_bytes) : end_bytes >> MIB_SHIFT;
	uint64_t next;

	if (range.start >= map->size_bytes)
		return;
	for (uint64_t bit = count_mib(range.start); bit < end; bit = next)
		map->words[bit / WORD_BITS] |= mask_of(bit, end, &next);
}

void free_map_occupy(struct free_map *map, struct range range)
{
	uint64_t end = count_mib(end_of(map, range));
	uint64_t next;

	if (range.start >= map->size_bytes || !range.length)
		return;
	for (uint64_t bit = range.start >> MIB_SHIFT; bit < end; bit = next)
		map->words[bit / WORD_BITS] &= ~mask_of(bit, end, &next);
}

bool free_map_covers(const struct free_map *map, struct range range)
{
	uint64_t end = count_mib(end_of(map, range));
	uint64_t next;

	if (range.start >= map->size_bytes || !range.length ||
	    range.length > map->size_bytes - range.start)
		return false;
	for (uint64_t bit = range.start >> MIB_SHIFT; bit < end; bit = next) {
		uint64_t mask = mask_of(bit, end, &next);

		if ((map->words[bit / WORD_BITS] & mask) != mask)
			return false;
	}
	return true;
}
