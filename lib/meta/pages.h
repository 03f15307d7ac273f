/* SPDX-License-Identifier: MIT */
/* 4 KiB pages of BATs and sector bitmaps, read on demand and kept within a limit. */
#ifndef VHDX_META_PAGES_H
#define VHDX_META_PAGES_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PAGE_SIZE   4096u
#define LEAF_PAGES  512u
#define CACHE_LIMIT 4096u /* pages: 16 MiB for all the files of a chain */

struct page_leaf;
struct page_map;

/* One page in memory. Its bytes come first: a page is known by their address. */
struct page {
	_Alignas(8) uint8_t bytes[PAGE_SIZE]; /* as the disk has them */
	uint64_t home;			      /* its file offset; known once it was held */
	struct page_leaf *leaf;
	struct page *next; /* of those that are dirty, or of those to be freed */
	unsigned holds;	   /* under the cache's lock; a page that is held stays */
	bool dirty;	   /* under the cache's lock: changed since the last capture */
};

struct page_leaf {
	_Atomic(struct page *) pages[LEAF_PAGES];
	size_t count;		/* itself and pages of its own, under the cache's lock */
	size_t holds;		/* of its pages, under the cache's lock */
	bool unlinked;		/* under the cache's lock */
	struct page_leaf *next; /* of those to be freed */
};

extern struct page vhdx_page_loading; /* stands for a page that a thread is reading */

/*
 * What a chain's page maps share: the number of pages that they hold, and the lock of their slow paths,
 * under which pages are changed too ("the pages lock"). Readers hold no lock but a stripe of the chain;
 * whoever frees pages first waits until every stripe has been free once.
 */
struct page_cache {
	pthread_mutex_t lock;
	pthread_cond_t changed; /* a page was loaded, a trim is over, a change has ended */
	atomic_size_t pages;	/* leaves too, each of which is as large as a page */
	struct page_map *maps;
	bool trimming;
};

/* What a loader is told, and what it tells, beside the bytes of a page. All are numbers of pages. */
struct page_zeros {
	uint64_t
		ahead; /* so many behind it are worth a look if it is zeros, as those before it are */
	uint64_t data_end; /* storage is known to hold all from it to here; may be moved on */
	uint64_t end;	   /* for the loader to set: all from it to here are zeros */
};

/* Reads page @index; it may leave @page alone when it sets @zeros->end to more than @index. */
typedef int page_loader(void *opaque, uint64_t index, void *page, struct page_zeros *zeros);

/* The pages of one structure: a table of leaves, a leaf of pages. */
struct page_map {
	struct page_cache *cache;
	page_loader *load;
	void *opaque;
	uint64_t count; /* pages of the structure */
	_Atomic(struct page_leaf *) *leaves;
	size_t leaf_count;
	size_t leaf_start;   /* leaves were made ... */
	size_t leaf_end;     /* ... nowhere else; under the cache's lock */
	size_t hand;	     /* the leaf that is looked at next when pages must go */
	uint64_t hole_start; /* pages known to be zeros ... */
	uint64_t hole_end;   /* ... under the cache's lock */
	uint64_t data_start; /* pages that the storage said to hold ... */
	uint64_t data_end;   /* ... under the cache's lock */
	uint64_t unlinked;   /* how often pages went; under the cache's lock */
	struct page_map *next;
};

void vhdx_page_cache_init(struct page_cache *cache);

/* Every map must have been destroyed. */
void vhdx_page_cache_destroy(struct page_cache *cache);

/* -ENOMEM. */
int vhdx_page_map_init(struct page_map *map, struct page_cache *cache, uint64_t count,
		       page_loader *load, void *opaque);

/* No reader may be left. A map that was never made is allowed. */
void vhdx_page_map_destroy(struct page_map *map);

/* As vhdx_page_get, of a page that is in memory; NULL when it is not. */
static inline const void *page_peek(const struct page_map *map, uint64_t index)
{
	struct page_leaf *leaf =
		atomic_load_explicit(&map->leaves[index / LEAF_PAGES], memory_order_acquire);
	const struct page *page =
		leaf ? atomic_load_explicit(&leaf->pages[index % LEAF_PAGES], memory_order_acquire)
		     : NULL;

	return page && page != &vhdx_page_loading ? page->bytes : NULL;
}

/*
 * The page @index, below the map's count; valid while the caller holds its stripe. Errors are those of
 * the loader, and -ENOMEM.
 */
int vhdx_page_get(struct page_map *map, uint64_t index, const void **ret_page);

/* How many pages from @index on, which vhdx_page_get gave, are known to be zeros; 0 when it is not. */
uint64_t vhdx_page_zero_run(struct page_map *map, uint64_t index, const void *page);

/*
 * Keeps the page @index in memory, as one of its own that may be changed, until vhdx_page_release.
 * @home is its place in the file. With @is_new it is all zeros and not read, if it is not there yet. The
 * caller holds a stripe, not the cache's lock. Errors as vhdx_page_get.
 */
int vhdx_page_hold(struct page_map *map, uint64_t index, uint64_t home, bool is_new,
		   struct page **ret_page);

/* Both under the cache's lock: one more hold of a page that is held, and one less. */
void vhdx_page_keep(struct page *page);
void vhdx_page_release(struct page *page);

/*
 * Frees pages that nobody holds when there are more than CACHE_LIMIT. @grace returns once every stripe has been free.
 * The caller holds no stripe.
 */
void vhdx_page_cache_trim(struct page_cache *cache, void (*grace)(void *opaque), void *opaque);

#endif
