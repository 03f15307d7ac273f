/* SPDX-License-Identifier: MIT */
/*
 * 4 KiB pages of BATs and sector bitmaps, read on demand by one thread while others wait for it, and
 * looked up without a lock. Whole leaves are unlinked when there are too many pages, and freed when no
 * reader can see them any more.
 */
#include <errno.h>
#include <stdlib.h>

#include "base/arith.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "meta/pages.h"

struct page_leaf {
	_Atomic(void *) pages[LEAF_PAGES];
	size_t count;		/* itself and pages of its own, under the cache's lock */
	bool unlinked;		/* under the cache's lock */
	struct page_leaf *next; /* of those to be freed */
};

static _Alignas(8) uint8_t zero_page[PAGE_SIZE]; /* BAT entries are loaded whole */
static uint8_t loading_mark; /* its address stands for a page that a thread is reading */

#define LOADING ((void *)&loading_mark)

void vhdx_page_cache_init(struct page_cache *cache)
{
	*cache = (struct page_cache){0};
	pthread_mutex_init(&cache->lock, NULL);
	pthread_cond_init(&cache->changed, NULL);
}

void vhdx_page_cache_destroy(struct page_cache *cache)
{
	pthread_cond_destroy(&cache->changed);
	pthread_mutex_destroy(&cache->lock);
}

int vhdx_page_map_init(struct page_map *map, struct page_cache *cache, uint64_t count,
		       page_loader *load, void *opaque)
{
	size_t leaf_count = (size_t)div_round_up(count, LEAF_PAGES);

	*map = (struct page_map){
		.load = load,
		.opaque = opaque,
		.count = count,
		.leaves = calloc(leaf_count + 1, sizeof(*map->leaves)),
		.leaf_count = leaf_count,
	};
	if (!map->leaves)
		return vhdx_fail_memory();
	map->cache = cache;
	LOCK_SCOPED(&cache->lock);
	map->next = cache->maps;
	cache->maps = map;
	return 0;
}

static void free_leaf(struct page_leaf *leaf)
{
	for (size_t i = 0; i < LEAF_PAGES; i++) {
		void *page = atomic_load(&leaf->pages[i]);

		if (page != zero_page)
			free(page);
	}
	free(leaf);
}

static void free_leaves(struct page_leaf *leaf)
{
	while (leaf) {
		struct page_leaf *next = leaf->next;

		free_leaf(leaf);
		leaf = next;
	}
}

void vhdx_page_map_destroy(struct page_map *map)
{
	if (!map->cache)
		return;
	pthread_mutex_lock(&map->cache->lock);
	struct page_map **link = &map->cache->maps;

	while (*link != map)
		link = &(*link)->next;
	*link = map->next;
	pthread_mutex_unlock(&map->cache->lock);
	for (size_t i = 0; i < map->leaf_count; i++) {
		struct page_leaf *leaf = atomic_load(&map->leaves[i]);

		if (leaf) {
			atomic_fetch_sub(&map->cache->pages, leaf->count);
			free_leaf(leaf);
		}
	}
	free(map->leaves);
	*map = (struct page_map){0};
}

/* Under the cache's lock. */
static struct page_leaf *make_leaf(struct page_map *map, uint64_t index)
{
	_Atomic(struct page_leaf *) *slot = &map->leaves[index / LEAF_PAGES];
	struct page_leaf *leaf = atomic_load(slot);

	if (!leaf) {
		leaf = calloc(1, sizeof(*leaf));
		if (!leaf)
			return NULL;
		leaf->count = 1; /* itself: it is as large as a page */
		atomic_fetch_add(&map->cache->pages, 1);
		atomic_store_explicit(slot, leaf, memory_order_release);
	}
	return leaf;
}

/* Reads the page without the lock. A page in a hole is the shared page of zeros. */
static int read_page(struct page_map *map, uint64_t index, void **ret_page, uint64_t *ret_hole_end)
{
	uint64_t hole_end = index;
	void *page = malloc(PAGE_SIZE);

	if (!page)
		return vhdx_fail_memory();
	int ret = map->load(map->opaque, index, page, &hole_end);

	if (ret || hole_end > index) {
		free(page);
		page = zero_page;
	}
	*ret_page = page;
	*ret_hole_end = hole_end;
	return ret;
}

static bool is_known_hole(const struct page_map *map, uint64_t index)
{
	return index >= map->hole_start && index < map->hole_end;
}

/* Called and returns with the lock held; this thread has marked the slot. */
static int fill_slot(struct page_map *map, uint64_t index, struct page_leaf *leaf,
		     _Atomic(void *) *slot)
{
	void *page = NULL;
	uint64_t hole_end = index;

	pthread_mutex_unlock(&map->cache->lock);
	int ret = read_page(map, index, &page, &hole_end);

	pthread_mutex_lock(&map->cache->lock);
	if (!ret && hole_end > index) {
		map->hole_start = index;
		map->hole_end = hole_end;
	} else if (!ret) {
		leaf->count++;
		if (!leaf->unlinked)
			atomic_fetch_add(&map->cache->pages, 1);
	}
	atomic_store_explicit(slot, ret ? NULL : page, memory_order_release);
	pthread_cond_broadcast(&map->cache->changed);
	return ret;
}

static int get_slowly(struct page_map *map, uint64_t index, const void **ret_page)
{
	LOCK_SCOPED(&map->cache->lock);
	for (;;) {
		struct page_leaf *leaf = make_leaf(map, index);

		if (!leaf)
			return vhdx_fail_memory();
		_Atomic(void *) *slot = &leaf->pages[index % LEAF_PAGES];
		void *page = atomic_load(slot);

		if (page && page != LOADING) {
			*ret_page = page;
			return 0;
		}
		if (page == LOADING) {
			pthread_cond_wait(&map->cache->changed, &map->cache->lock);
			continue;
		}
		if (is_known_hole(map, index)) {
			*ret_page = zero_page;
			return 0;
		}
		atomic_store(slot, LOADING);
		int ret = fill_slot(map, index, leaf, slot);

		if (ret)
			return ret;
		*ret_page = atomic_load(slot);
		return 0;
	}
}

int vhdx_page_get(struct page_map *map, uint64_t index, const void **ret_page)
{
	struct page_leaf *leaf =
		atomic_load_explicit(&map->leaves[index / LEAF_PAGES], memory_order_acquire);

	if (leaf) {
		void *page = atomic_load_explicit(&leaf->pages[index % LEAF_PAGES],
						  memory_order_acquire);

		if (page && page != LOADING) {
			*ret_page = page;
			return 0;
		}
	}
	return get_slowly(map, index, ret_page);
}

uint64_t vhdx_page_zero_run(struct page_map *map, uint64_t index, const void *page)
{
	if (page != zero_page)
		return 0;
	LOCK_SCOPED(&map->cache->lock);
	return is_known_hole(map, index) ? min_u64(map->hole_end, map->count) - index : 1;
}

/* Unlinks leaves of one map, from its hand on, until the cache is down to half its limit. */
static void unlink_leaves(struct page_map *map, struct page_leaf **unlinked)
{
	for (size_t i = 0; i < map->leaf_count; i++) {
		if (atomic_load(&map->cache->pages) <= CACHE_LIMIT / 2)
			return;
		_Atomic(struct page_leaf *) *slot = &map->leaves[map->hand];
		struct page_leaf *leaf = atomic_load(slot);

		map->hand = (map->hand + 1) % map->leaf_count;
		if (!leaf)
			continue;
		atomic_store(slot, NULL);
		atomic_fetch_sub(&map->cache->pages, leaf->count);
		leaf->unlinked = true;
		leaf->next = *unlinked;
		*unlinked = leaf;
	}
}

/* Under the lock. Returns whether there is still too much, once nobody else is at it. */
static bool wait_for_trimmer(struct page_cache *cache)
{
	while (cache->trimming)
		pthread_cond_wait(&cache->changed, &cache->lock);
	return atomic_load(&cache->pages) > CACHE_LIMIT;
}

void vhdx_page_cache_trim(struct page_cache *cache, void (*grace)(void *opaque), void *opaque)
{
	struct page_leaf *unlinked = NULL;

	if (atomic_load_explicit(&cache->pages, memory_order_relaxed) <= CACHE_LIMIT)
		return;
	pthread_mutex_lock(&cache->lock);
	bool mine = wait_for_trimmer(cache); /* who went on would fill the cache without limit */

	for (struct page_map *map = cache->maps; map && mine; map = map->next)
		unlink_leaves(map, &unlinked);
	cache->trimming = mine;
	pthread_mutex_unlock(&cache->lock);
	if (!mine)
		return;
	grace(opaque);
	free_leaves(unlinked);
	LOCK_SCOPED(&cache->lock);
	cache->trimming = false;
	pthread_cond_broadcast(&cache->changed);
}
