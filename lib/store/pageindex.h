/* SPDX-License-Identifier: MIT */
/* Where pages are kept: from the number of a page, in order, to the slot that holds it. 16 bytes a page at most. */
#ifndef VHDX_STORE_PAGEINDEX_H
#define VHDX_STORE_PAGEINDEX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MAX_PAGE_NUMBER ((UINT64_C(1) << 44) - 1)
#define MAX_PAGE_SLOT	((UINT32_C(1) << 20) - 1)

struct page_leaf;

/* Zeroed: empty. */
struct page_index {
	struct page_leaf **leaves; /* each sorted, and all of one before all of the next */
	size_t nleaves;
	size_t capacity;
	size_t count; /* of pages */
};

void vhdx_page_index_free(struct page_index *index);

/* The first page at or after @from; false when there is none. */
bool vhdx_page_index_next(const struct page_index *index, uint64_t from, uint64_t *ret_number,
			  uint32_t *ret_slot);

/* Adds a page that is not there yet. -ENOMEM. */
int vhdx_page_index_add(struct page_index *index, uint64_t number, uint32_t slot);

/* Removes the first page in [from, end) and tells its slot; false when there is none. */
bool vhdx_page_index_take(struct page_index *index, uint64_t from, uint64_t end,
			  uint32_t *ret_slot);

#endif
