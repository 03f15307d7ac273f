/* SPDX-License-Identifier: MIT */
/* Sector bitmap blocks (F 7): which sectors of PARTIALLY_PRESENT blocks are here, which are the parent's. */
#ifndef VHDX_META_BITMAP_H
#define VHDX_META_BITMAP_H

#include "meta/image.h"
#include "meta/transaction.h"

/* The bitmaps of one image: page i is page i % 256 of chunk i / 256's bitmap block. */
struct bitmaps {
	struct page_map pages;
	struct page_map *bat;
	const struct image *image;
};

int vhdx_bitmaps_init(struct bitmaps *bitmaps, struct page_cache *cache, struct page_map *bat,
		      const struct image *image);

/* Ones never made are allowed. */
void vhdx_bitmaps_destroy(struct bitmaps *bitmaps);

/*
 * Whether @sector of the disk is here, and how many sectors from it on, at most @limit, are the same; the
 * run may end early. -EUCLEAN when the chunk's bitmap is not there. The caller holds a stripe.
 */
int vhdx_bitmap_run(struct bitmaps *bitmaps, uint64_t sector, uint64_t limit, bool *ret_here,
		    uint64_t *ret_count);

/* Sectors of one block, and the pages of their bits, held for a change. */
struct held_bits {
	uint64_t sector; /* the first, of the disk */
	uint64_t count;
	unsigned npages;
	struct page *pages[CHANGE_PAGES];
};

/*
 * Holds the pages of the bits of @count sectors from @sector on, of one block. @new_place is where the
 * chunk's bitmap block will be when this change makes it, all zero there; 0: there is one. Errors as
 * vhdx_bitmap_run.
 */
int vhdx_bitmap_hold(struct bitmaps *bitmaps, struct change *change, uint64_t sector,
		     uint64_t count, uint64_t new_place, struct held_bits *ret_bits);

/* Within the change: the bits of @count sectors from @sector on, all of them held. */
void vhdx_bitmap_set(struct change *change, const struct held_bits *bits, uint64_t sector,
		     uint64_t count, bool value);

/* Within the change: are all that are held set? */
bool vhdx_bitmap_is_full(const struct held_bits *bits);

/* Pages that bits of @count sectors from @sector on take. */
unsigned vhdx_bitmap_pages(uint64_t sector, uint64_t count);

/* As vhdx_bitmap_run, over the @bits bits of a page. */
uint64_t vhdx_bit_run(const void *page, uint64_t first, uint64_t limit, bool *ret_value);

/* May a bitmap block of @image begin at the offset of that entry? */
bool vhdx_bitmap_entry_is_usable(const struct image *image, uint64_t entry);

#endif
