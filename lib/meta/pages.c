/* SPDX-License-Identifier: MIT */
/*
 * 4 KiB pages of BATs and sector bitmaps, read on demand by one thread while others wait for it, and
 * looked up without a lock. When there are too many, those that nobody holds are unlinked, and freed
 * when no reader can see them any more.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/arith.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "meta/pages.h"

/* What a trim unlinked, to be freed after the grace period. */
struct unlinked {
	struct page_leaf *leaves;
	struct page *pages;
};

static struct page zero_page; /* stands for every page of zeros */
struct page vhdx_page_loading;

#define ZEROS	(&zero_page)
#define LOADING (&vhdx_page_loading)

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
		.leaf_start = leaf_count,
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
		struct page *page = atomic_load(&leaf->pages[i]);

		if (page != ZEROS)
			free(page);
	}
	free(leaf);
}

static void free_unlinked(struct unlinked *unlinked)
{
	while (unlinked->leaves) {
		struct page_leaf *leaf = unlinked->leaves;

		unlinked->leaves = leaf->next;
		free_leaf(leaf);
	}
	while (unlinked->pages) {
		struct page *page = unlinked->pages;

		unlinked->pages = page->next;
		free(page);
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
	for (size_t i = map->leaf_start; i < map->leaf_end; i++) {
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
	size_t number = (size_t)(index / LEAF_PAGES);
	_Atomic(struct page_leaf *) *slot = &map->leaves[number];
	struct page_leaf *leaf = atomic_load(slot);

	if (!leaf) {
		leaf = calloc(1, sizeof(*leaf));
		if (!leaf)
			return NULL;
		map->leaf_start = number < map->leaf_start ? number : map->leaf_start;
		map->leaf_end = number < map->leaf_end ? map->leaf_end : number + 1;
		leaf->count = 1; /* itself: it is as large as a page */
		atomic_fetch_add(&map->cache->pages, 1);
		atomic_store_explicit(slot, leaf, memory_order_release);
	}
	return leaf;
}

static struct page *make_page(struct page_leaf *leaf)
{
	struct page *page = malloc(sizeof(*page));

	if (page) {
		page->leaf = leaf;
		page->holds = 0;
		page->dirty = false;
	}
	return page;
}

/* Reads the page without the lock. A page of zeros is the shared one. */
static int read_page(struct page_map *map, uint64_t index, struct page_leaf *leaf,
		     struct page **ret_page, struct page_zeros *zeros)
{
	struct page *page = make_page(leaf);

	if (!page)
		return vhdx_fail_memory();
	int ret = map->load(map->opaque, index, page->bytes, zeros);

	if (ret || zeros->end > index) {
		free(page);
		page = ZEROS;
	}
	*ret_page = page;
	return ret;
}

static bool is_known_hole(const struct page_map *map, uint64_t index)
{
	return index >= map->hole_start && index < map->hole_end;
}

/* The first page at or behind @index, and before @end, that has bytes of its own in memory. */
static uint64_t first_own_page(const struct page_map *map, uint64_t index, uint64_t end)
{
	while (index < end && index / LEAF_PAGES < map->leaf_end) {
		const struct page_leaf *leaf = atomic_load(&map->leaves[index / LEAF_PAGES]);

		if (!leaf) {
			index = round_down(index, LEAF_PAGES) + LEAF_PAGES;
			continue;
		}
		const struct page *page = atomic_load(&leaf->pages[index % LEAF_PAGES]);

		if (page && page != ZEROS)
			return index;
		index++;
	}
	return end;
}

/*
 * The file has zeros from @index on. A page that is there in memory may not be in the file yet, and one
 * that went since @unlinked was counted may have come to the file behind the loader's back.
 */
static void note_hole(struct page_map *map, uint64_t index, uint64_t hole_end, uint64_t unlinked)
{
	if (map->unlinked != unlinked)
		return;
	if (map->hole_end != index) /* else it goes on */
		map->hole_start = index;
	map->hole_end = first_own_page(map, index + 1, min_u64(hole_end, map->count));
}

/* Who comes behind zeros may be on a walk, and the longer they were, the more there may be. */
static struct page_zeros known_zeros(const struct page_map *map, uint64_t index)
{
	bool in_data = index >= map->data_start && index < map->data_end;

	return (struct page_zeros){
		.ahead = map->hole_end == index ? map->hole_end - map->hole_start : 0,
		.data_end = in_data ? map->data_end : index,
		.end = index,
	};
}

static void note_data(struct page_map *map, uint64_t index, const struct page_zeros *zeros)
{
	if (zeros->data_end <= map->data_end && index >= map->data_start)
		return;
	map->data_start = index;
	map->data_end = zeros->data_end;
}

/* The page will hold more than zeros: what is left of the hole is the larger part beside it. */
static void leave_hole(struct page_map *map, uint64_t index)
{
	if (!is_known_hole(map, index))
		return;
	if (index - map->hole_start > map->hole_end - index - 1)
		map->hole_end = index;
	else
		map->hole_start = index + 1;
}

static void count_page(struct page_map *map, struct page_leaf *leaf)
{
	leaf->count++;
	if (!leaf->unlinked)
		atomic_fetch_add(&map->cache->pages, 1);
}

/* Called and returns with the lock held; this thread has marked the slot. */
static int fill_slot(struct page_map *map, uint64_t index, struct page_leaf *leaf,
		     _Atomic(struct page *) *slot)
{
	struct page *page = NULL;
	struct page_zeros zeros = known_zeros(map, index);
	uint64_t unlinked = map->unlinked;

	pthread_mutex_unlock(&map->cache->lock);
	int ret = read_page(map, index, leaf, &page, &zeros);

	pthread_mutex_lock(&map->cache->lock);
	if (!ret && zeros.end > index)
		note_hole(map, index, zeros.end, unlinked);
	else if (!ret)
		count_page(map, leaf);
	if (!ret && zeros.data_end > index)
		note_data(map, index, &zeros);
	atomic_store_explicit(slot, ret ? NULL : page, memory_order_release);
	pthread_cond_broadcast(&map->cache->changed);
	return ret;
}

/*
 * Under the lock, which it may leave for a while. The page @index, which may be ZEROS, or NULL in a leaf
 * for a page that is known to be zeros.
 */
static int find_page(struct page_map *map, uint64_t index, struct page_leaf **ret_leaf,
		     struct page **ret_page)
{
	for (;;) {
		struct page_leaf *leaf = make_leaf(map, index);

		if (!leaf)
			return vhdx_fail_memory();
		_Atomic(struct page *) *slot = &leaf->pages[index % LEAF_PAGES];
		struct page *page = atomic_load(slot);

		if (page == LOADING) {
			pthread_cond_wait(&map->cache->changed, &map->cache->lock);
			continue;
		}
		if (!page && !is_known_hole(map, index)) {
			atomic_store(slot, LOADING);
			int ret = fill_slot(map, index, leaf, slot);

			if (ret)
				return ret;
			page = atomic_load(slot);
		}
		*ret_leaf = leaf;
		*ret_page = page;
		return 0;
	}
}

static int get_slowly(struct page_map *map, uint64_t index, const void **ret_page)
{
	struct page_leaf *leaf;
	struct page *page = NULL;

	LOCK_SCOPED(&map->cache->lock);
	int ret = find_page(map, index, &leaf, &page);

	if (!ret)
		*ret_page = page ? page->bytes : ZEROS->bytes;
	return ret;
}

int vhdx_page_get(struct page_map *map, uint64_t index, const void **ret_page)
{
	const void *page = page_peek(map, index);

	if (!page)
		return get_slowly(map, index, ret_page);
	*ret_page = page;
	return 0;
}

/* Under the lock: a page of zeros in the place of none, or of the shared one. */
static struct page *add_zero_page(struct page_map *map, uint64_t index)
{
	struct page_leaf *leaf = make_leaf(map, index);
	struct page *page = leaf ? make_page(leaf) : NULL;

	if (!page)
		return NULL;
	memset(page->bytes, 0, sizeof(page->bytes));
	count_page(map, leaf);
	leave_hole(map, index);
	atomic_store_explicit(&leaf->pages[index % LEAF_PAGES], page, memory_order_release);
	return page;
}

/* Under the lock: nothing in memory, and nothing that a thread is reading. */
static bool is_absent(const struct page_map *map, uint64_t index)
{
	const struct page_leaf *leaf = atomic_load(&map->leaves[index / LEAF_PAGES]);

	return !leaf || !atomic_load(&leaf->pages[index % LEAF_PAGES]);
}

int vhdx_page_hold(struct page_map *map, uint64_t index, uint64_t home, bool is_new,
		   struct page **ret_page)
{
	struct page_leaf *leaf = NULL;
	struct page *page = NULL;
	int ret = 0;

	LOCK_SCOPED(&map->cache->lock);
	if (!is_new || !is_absent(map, index)) {
		do /* a leaf that was unlinked while its page was read is nobody's any more */
			ret = find_page(map, index, &leaf, &page);
		while (!ret && leaf->unlinked);
	}
	if (ret)
		return ret;
	if (!page || page == ZEROS)
		page = add_zero_page(map, index);
	if (!page)
		return vhdx_fail_memory();
	page->home = home;
	vhdx_page_keep(page);
	*ret_page = page;
	return 0;
}

void vhdx_page_keep(struct page *page)
{
	page->holds++;
	page->leaf->holds++;
}

void vhdx_page_release(struct page *page)
{
	page->holds--;
	page->leaf->holds--;
}

uint64_t vhdx_page_zero_run(struct page_map *map, uint64_t index, const void *page)
{
	if (page != ZEROS->bytes)
		return 0;
	LOCK_SCOPED(&map->cache->lock);
	return is_known_hole(map, index) ? min_u64(map->hole_end, map->count) - index : 1;
}

static void unlink_leaf(struct page_map *map, _Atomic(struct page_leaf *) *slot,
			struct unlinked *unlinked)
{
	struct page_leaf *leaf = atomic_load(slot);

	atomic_store(slot, NULL);
	atomic_fetch_sub(&map->cache->pages, leaf->count);
	leaf->unlinked = true;
	leaf->next = unlinked->leaves;
	unlinked->leaves = leaf;
}

/* Of a leaf with pages that are held, all the others. */
static void unlink_pages(struct page_map *map, struct page_leaf *leaf, struct unlinked *unlinked)
{
	for (size_t i = 0; i < LEAF_PAGES; i++) {
		struct page *page = atomic_load(&leaf->pages[i]);

		if (!page || page == ZEROS || page == LOADING || page->holds)
			continue;
		atomic_store(&leaf->pages[i], NULL);
		leaf->count--;
		atomic_fetch_sub(&map->cache->pages, 1);
		page->next = unlinked->pages;
		unlinked->pages = page;
	}
}

/* Unlinks pages of one map, from its hand on, until the cache is down to half its limit. */
static void unlink_some(struct page_map *map, struct unlinked *unlinked)
{
	for (size_t i = 0; i < map->leaf_count; i++) {
		if (atomic_load(&map->cache->pages) <= CACHE_LIMIT / 2)
			return;
		_Atomic(struct page_leaf *) *slot = &map->leaves[map->hand];
		struct page_leaf *leaf = atomic_load(slot);

		map->hand = (map->hand + 1) % map->leaf_count;
		if (!leaf)
			continue;
		map->unlinked++;
		if (leaf->holds)
			unlink_pages(map, leaf, unlinked);
		else
			unlink_leaf(map, slot, unlinked);
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
	struct unlinked unlinked = {0};

	if (atomic_load_explicit(&cache->pages, memory_order_relaxed) <= CACHE_LIMIT)
		return;
	pthread_mutex_lock(&cache->lock);
	bool mine = wait_for_trimmer(cache); /* who went on would fill the cache without limit */

	for (struct page_map *map = cache->maps; map && mine; map = map->next)
		unlink_some(map, &unlinked);
	mine = unlinked.leaves || unlinked.pages;
	cache->trimming = mine;
	pthread_mutex_unlock(&cache->lock);
	if (!mine)
		return;
	grace(opaque);
	free_unlinked(&unlinked);
	LOCK_SCOPED(&cache->lock);
	cache->trimming = false;
	pthread_cond_broadcast(&cache->changed);
}
