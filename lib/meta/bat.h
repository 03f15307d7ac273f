/* SPDX-License-Identifier: MIT */
/* The block allocation table (F 6): its geometry, look-ups through its pages, walks over all of it. */
#ifndef VHDX_META_BAT_H
#define VHDX_META_BAT_H

#include <stdbool.h>

#include "format/ondisk.h"
#include "meta/pages.h"
#include "meta/transaction.h"

struct geometry {
	uint64_t virtual_size;
	uint64_t blocks;      /* payload blocks: at most 2^26 */
	uint64_t chunks;      /* sector bitmap blocks of a differencing disk */
	uint64_t entries;     /* of the table */
	uint64_t chunk_ratio; /* payload blocks a chunk */
	uint32_t block_size;
	/* Both are powers of two, and a division by them would be the dearest step of a look-up. */
	uint8_t chunk_shift;
	uint8_t block_shift;
	uint32_t logical_sector_size;
};

/* F 6.1. All numbers must be within their limits. */
static inline struct geometry geometry_make(uint64_t virtual_size, uint32_t block_size,
					    uint32_t logical_sector_size, bool has_parent)
{
	struct geometry g = {
		.virtual_size = virtual_size,
		.blocks = div_round_up(virtual_size, block_size),
		.chunk_ratio = CHUNK_SECTORS * logical_sector_size / block_size,
		.block_size = block_size,
		.logical_sector_size = logical_sector_size,
	};

	g.block_shift = (uint8_t)__builtin_ctzll(block_size);
	g.chunk_shift = (uint8_t)__builtin_ctzll(g.chunk_ratio);
	g.chunks = div_round_up(g.blocks, g.chunk_ratio);
	g.entries = has_parent ? g.chunks * (g.chunk_ratio + 1)
			       : g.blocks + (g.blocks - 1) / g.chunk_ratio;
	return g;
}

static inline uint64_t bat_index_of_block(const struct geometry *g, uint64_t block)
{
	return block + (block >> g->chunk_shift);
}

static inline uint64_t bat_index_of_bitmap(const struct geometry *g, uint64_t chunk)
{
	return chunk * (g->chunk_ratio + 1) + g->chunk_ratio;
}

static inline bool bat_index_is_bitmap(const struct geometry *g, uint64_t index)
{
	return index % (g->chunk_ratio + 1) == g->chunk_ratio;
}

/* The inverse of bat_index_of_block, for an entry that is no bitmap's. */
static inline uint64_t bat_block_of_index(const struct geometry *g, uint64_t index)
{
	return index - index / (g->chunk_ratio + 1);
}

static inline uint64_t bat_chunk_of_index(const struct geometry *g, uint64_t index)
{
	return index / (g->chunk_ratio + 1);
}

struct image;

/* Sets up @map for the image's BAT, also for what lies in its region behind the last entry. */
int vhdx_bat_map_init(struct page_map *map, struct page_cache *cache, const struct image *image);

#define BAT_PAGE_ENTRIES (PAGE_SIZE / BAT_ENTRY_SIZE)

/* One load, so that an entry is never seen half changed; the page holds it as the disk does. */
static inline uint64_t bat_page_entry(const void *page, uint64_t index)
{
	uint64_t raw = __atomic_load_n((const uint64_t *)page + index % BAT_PAGE_ENTRIES,
				       __ATOMIC_ACQUIRE);

	return __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__ ? raw : __builtin_bswap64(raw);
}

/* The entry @index, below geometry.entries. The caller holds a stripe. */
int vhdx_bat_get(struct page_map *map, uint64_t index, uint64_t *ret_entry);

/* At least how many entries from @index on, that one included, are zero; 0 when it is not. */
int vhdx_bat_zero_run(struct page_map *map, uint64_t index, uint64_t *ret_count);

/* At least how many entries from @index on, that one included, are the same. */
int vhdx_bat_same_run(struct page_map *map, uint64_t index, uint64_t *ret_count);

/*
 * Holds the page of the entry @index for a change, with space for it in the file. -ENOSPC, -ENOMEM, or as
 * the storage fails.
 */
int vhdx_bat_hold(struct page_map *map, const struct image *image, struct change *change,
		  uint64_t index, struct page **ret_page);

/* Within the change: the entry @index, on the @page held for it. */
void vhdx_bat_set(struct change *change, struct page *page, uint64_t index, uint64_t entry);

/* Told of each entry that is not zero; another value than 0 ends the walk, which returns it. */
typedef int bat_visitor(void *opaque, uint64_t index, uint64_t entry);

/*
 * Reads all entries in order, padding included when @padding is set, outside the page cache, and skips
 * what the file does not hold. @progress, in bytes of BAT, may be NULL.
 */
int vhdx_bat_walk(const struct image *image, bool padding, bat_visitor *visit, void *opaque,
		  vhdx_progress_fn *progress, void *progress_opaque);

#endif
