/* SPDX-License-Identifier: MIT */
/* Which MiB of a file are taken: one bit each. */
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "format/ondisk.h"
#include "meta/spacemap.h"

int vhdx_space_map_init(struct space_map *map, uint64_t size)
{
	uint64_t mebibytes = div_round_up(min_u64(size, MAX_MAPPED_FILE), MIB);

	/* calloc of this much maps pages that take no memory until they are written. */
	*map = (struct space_map){calloc(mebibytes / 64 + 1, sizeof(*map->words)), mebibytes};
	return map->words ? 0 : vhdx_fail_memory();
}

void vhdx_space_map_free(struct space_map *map)
{
	free(map->words);
	*map = (struct space_map){0};
}

bool vhdx_space_map_mark(struct space_map *map, uint64_t offset, uint64_t length,
			 uint64_t *ret_where)
{
	uint64_t first = offset / MIB;
	uint64_t end = length ? min_u64(map->mebibytes, (offset + length - 1) / MIB + 1) : first;
	bool was_marked = false;

	for (uint64_t i = first; i < end; i++) {
		uint64_t bit = (uint64_t)1 << i % 64;

		if (map->words[i / 64] & bit && !was_marked) {
			was_marked = true;
			if (ret_where)
				*ret_where = i * MIB;
		}
		map->words[i / 64] |= bit;
	}
	return was_marked;
}

bool vhdx_space_map_meets(const struct space_map *map, uint64_t offset, uint64_t length)
{
	uint64_t end = min_u64(map->mebibytes, div_round_up(offset + length, MIB));

	for (uint64_t i = offset / MIB; i < end; i++)
		if (map->words[i / 64] >> i % 64 & 1)
			return true;
	return false;
}

bool vhdx_space_map_take(struct space_map *map, uint64_t offset, uint64_t length)
{
	if (vhdx_space_map_meets(map, offset, length))
		return false;
	vhdx_space_map_mark(map, offset, length, NULL);
	return true;
}

void vhdx_space_map_clear(struct space_map *map, uint64_t offset, uint64_t length)
{
	uint64_t end = min_u64(map->mebibytes, div_round_up(offset + length, MIB));

	for (uint64_t i = offset / MIB; i < end; i++)
		map->words[i / 64] &= ~((uint64_t)1 << i % 64);
}

int vhdx_space_map_grow(struct space_map *map, uint64_t size)
{
	uint64_t mebibytes = div_round_up(size, MIB);
	uint64_t old_words = map->mebibytes / 64 + 1;
	uint64_t words = mebibytes / 64 + 1;

	if (mebibytes <= map->mebibytes)
		return 0;
	uint64_t *grown = realloc(map->words, words * sizeof(*grown));

	if (!grown)
		return vhdx_fail_memory();
	memset(grown + old_words, 0, (words - old_words) * sizeof(*grown));
	*map = (struct space_map){grown, mebibytes};
	return 0;
}

uint64_t vhdx_space_map_find_run(const struct space_map *map, const struct space_map *also,
				 uint64_t offset, uint64_t length)
{
	uint64_t needed = length / MIB;
	uint64_t run = 0;

	for (uint64_t at = offset / MIB; at < map->mebibytes; at++) {
		uint64_t word = map->words[at / 64] | (also ? ~also->words[at / 64] : 0);

		if (word == UINT64_MAX) {
			at = at / 64 * 64 + 63;
			run = 0;
			continue;
		}
		run = word >> at % 64 & 1 ? 0 : run + 1;
		if (run == needed)
			return (at + 1 - needed) * MIB;
	}
	return UINT64_MAX;
}

uint64_t vhdx_space_map_end(const struct space_map *map)
{
	uint64_t words = map->mebibytes / 64 + 1;

	while (words && !map->words[words - 1])
		words--;
	if (!words)
		return 0;
	return (words * 64 - (uint64_t)__builtin_clzll(map->words[words - 1])) * MIB;
}

uint64_t vhdx_space_map_find(const struct space_map *map, uint64_t offset, bool marked)
{
	uint64_t at = offset / MIB;

	while (at < map->mebibytes) {
		uint64_t word = map->words[at / 64];

		if (word == (marked ? 0 : UINT64_MAX)) {
			at = round_down(at, 64) + 64;
			continue;
		}
		if ((word >> at % 64 & 1) == marked)
			break;
		at++;
	}
	return min_u64(at, map->mebibytes) * MIB;
}
