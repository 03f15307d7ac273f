/* SPDX-License-Identifier: MIT */
/*
 * Where pages are kept, in order of their numbers: sorted leaves of limited size, so that a new page
 * moves few of the others.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "store/pageindex.h"

#define LEAF_PAGES 511u
#define SLOT_BITS  20u

/* An entry is the page's number and, in its low bits, the slot. */
struct page_leaf {
	size_t count; /* 0 only while the index has no other leaf */
	uint64_t entries[LEAF_PAGES];
};

static uint64_t number_of(uint64_t entry)
{
	return entry >> SLOT_BITS;
}

void vhdx_page_index_free(struct page_index *index)
{
	for (size_t i = 0; i < index->nleaves; i++)
		free(index->leaves[i]);
	free(index->leaves);
	*index = (struct page_index){0};
}

/* The last leaf that begins at or before @number; the first one when none does. */
static size_t find_leaf(const struct page_index *index, uint64_t number)
{
	size_t low = 0;
	size_t high = index->nleaves;

	while (high - low > 1) {
		size_t middle = low + (high - low) / 2;

		if (number_of(index->leaves[middle]->entries[0]) <= number)
			low = middle;
		else
			high = middle;
	}
	return low;
}

/* The place in a leaf of the first page at or after @number; its count when there is none. */
static size_t find_place(const struct page_leaf *leaf, uint64_t number)
{
	size_t low = 0;
	size_t high = leaf->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (number_of(leaf->entries[middle]) < number)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

/* Leaf and place of the first page at or after @from. */
static bool find_next(const struct page_index *index, uint64_t from, size_t *ret_leaf,
		      size_t *ret_place)
{
	if (!index->nleaves)
		return false;
	size_t leaf = find_leaf(index, from);
	size_t place = find_place(index->leaves[leaf], from);

	if (place == index->leaves[leaf]->count) {
		leaf++;
		place = 0;
	}
	if (leaf == index->nleaves)
		return false;
	*ret_leaf = leaf;
	*ret_place = place;
	return true;
}

bool vhdx_page_index_next(const struct page_index *index, uint64_t from, uint64_t *ret_number,
			  uint32_t *ret_slot)
{
	size_t leaf;
	size_t place;

	if (!find_next(index, from, &leaf, &place))
		return false;
	uint64_t entry = index->leaves[leaf]->entries[place];

	*ret_number = number_of(entry);
	*ret_slot = (uint32_t)(entry & MAX_PAGE_SLOT);
	return true;
}

/* A new, empty leaf at @at. */
static struct page_leaf *insert_leaf(struct page_index *index, size_t at)
{
	if (index->nleaves == index->capacity) {
		size_t capacity = index->capacity ? 2 * index->capacity : 16;
		struct page_leaf **leaves =
			realloc(index->leaves, capacity * sizeof(struct page_leaf *));

		if (!leaves)
			return NULL;
		index->leaves = leaves;
		index->capacity = capacity;
	}
	struct page_leaf *leaf = malloc(sizeof(*leaf));

	if (!leaf)
		return NULL;
	leaf->count = 0;
	memmove(index->leaves + at + 1, index->leaves + at,
		(index->nleaves - at) * sizeof(struct page_leaf *));
	index->leaves[at] = leaf;
	index->nleaves++;
	return leaf;
}

/* Moves what stands in a leaf from @kept on to a new leaf behind it. */
static int split(struct page_index *index, size_t at, size_t kept)
{
	struct page_leaf *next = insert_leaf(index, at + 1);

	if (!next)
		return -ENOMEM;
	struct page_leaf *leaf = index->leaves[at];

	next->count = leaf->count - kept;
	memcpy(next->entries, leaf->entries + kept, next->count * sizeof(uint64_t));
	leaf->count = kept;
	return 0;
}

int vhdx_page_index_add(struct page_index *index, uint64_t number, uint32_t slot)
{
	if (!index->nleaves && !insert_leaf(index, 0))
		return -ENOMEM;
	size_t at = find_leaf(index, number);
	size_t place = find_place(index->leaves[at], number);

	if (index->leaves[at]->count == LEAF_PAGES) {
		/* Pages often come in order: then full leaves are left behind. */
		bool is_last = at + 1 == index->nleaves && place == LEAF_PAGES;
		size_t kept = is_last ? LEAF_PAGES : LEAF_PAGES / 2;

		if (split(index, at, kept))
			return -ENOMEM;
		if (is_last || place > kept) {
			at++;
			place -= kept;
		}
	}
	struct page_leaf *leaf = index->leaves[at];

	memmove(leaf->entries + place + 1, leaf->entries + place,
		(leaf->count - place) * sizeof(uint64_t));
	leaf->entries[place] = number << SLOT_BITS | slot;
	leaf->count++;
	index->count++;
	return 0;
}

static void remove_leaf(struct page_index *index, size_t at)
{
	free(index->leaves[at]);
	index->nleaves--;
	memmove(index->leaves + at, index->leaves + at + 1,
		(index->nleaves - at) * sizeof(struct page_leaf *));
}

bool vhdx_page_index_take(struct page_index *index, uint64_t from, uint64_t end, uint32_t *ret_slot)
{
	size_t at;
	size_t place;

	if (!find_next(index, from, &at, &place))
		return false;
	struct page_leaf *leaf = index->leaves[at];
	uint64_t entry = leaf->entries[place];

	if (number_of(entry) >= end)
		return false;
	leaf->count--;
	memmove(leaf->entries + place, leaf->entries + place + 1,
		(leaf->count - place) * sizeof(uint64_t));
	if (!leaf->count)
		remove_leaf(index, at);
	index->count--;
	*ret_slot = (uint32_t)(entry & MAX_PAGE_SLOT);
	return true;
}
