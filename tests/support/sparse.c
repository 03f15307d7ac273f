/* SPDX-License-Identifier: MIT */
/* Bytes with any number of holes: pages in leaves, leaves in an array in the order of their place. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "support/sparse.h"

static void *must(void *memory)
{
	if (!memory) {
		fputs("tests/support: out of memory\n", stderr);
		abort();
	}
	return memory;
}

static uint64_t min(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

/* The first leaf whose number is at least @number. */
static size_t lower_bound(const struct sparse *sparse, uint64_t number)
{
	size_t low = 0;
	size_t high = sparse->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (sparse->leaves[middle]->number < number)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static struct sparse_leaf *find_leaf(const struct sparse *sparse, uint64_t number)
{
	size_t at = lower_bound(sparse, number);

	return at < sparse->count && sparse->leaves[at]->number == number ? sparse->leaves[at]
									  : NULL;
}

static struct sparse_leaf *make_leaf(struct sparse *sparse, uint64_t number)
{
	size_t at = lower_bound(sparse, number);

	if (at < sparse->count && sparse->leaves[at]->number == number)
		return sparse->leaves[at];
	if (sparse->count == sparse->room) {
		sparse->room = sparse->room ? 2 * sparse->room : 16;
		sparse->leaves =
			must(realloc(sparse->leaves, sparse->room * sizeof(*sparse->leaves)));
	}
	memmove(&sparse->leaves[at + 1], &sparse->leaves[at],
		(sparse->count - at) * sizeof(*sparse->leaves));
	sparse->leaves[at] = must(calloc(1, sizeof(struct sparse_leaf)));
	sparse->leaves[at]->number = number;
	sparse->count++;
	return sparse->leaves[at];
}

static const uint8_t *find_page(const struct sparse *sparse, uint64_t page)
{
	const struct sparse_leaf *leaf = find_leaf(sparse, page / SPARSE_LEAF_PAGES);

	return leaf ? leaf->pages[page % SPARSE_LEAF_PAGES] : NULL;
}

static uint8_t *make_page(struct sparse *sparse, uint64_t page)
{
	uint8_t **slot =
		&make_leaf(sparse, page / SPARSE_LEAF_PAGES)->pages[page % SPARSE_LEAF_PAGES];

	if (!*slot)
		*slot = must(calloc(1, SPARSE_PAGE));
	return *slot;
}

void sparse_free(struct sparse *sparse)
{
	for (size_t i = 0; i < sparse->count; i++) {
		for (size_t p = 0; p < SPARSE_LEAF_PAGES; p++)
			free(sparse->leaves[i]->pages[p]);
		free(sparse->leaves[i]);
	}
	free(sparse->leaves);
	*sparse = (struct sparse){0};
}

void sparse_read(const struct sparse *sparse, void *buf, uint64_t size, uint64_t offset)
{
	const struct sparse_leaf *leaf = NULL;
	uint64_t known = UINT64_MAX;
	uint8_t *out = buf;

	while (size) {
		uint64_t part = min(size, SPARSE_PAGE - offset % SPARSE_PAGE);
		uint64_t number = offset / SPARSE_PAGE / SPARSE_LEAF_PAGES;

		if (number != known)
			leaf = find_leaf(sparse, number);
		known = number;
		const uint8_t *page = leaf ? leaf->pages[offset / SPARSE_PAGE % SPARSE_LEAF_PAGES]
					   : NULL;

		if (page)
			memcpy(out, page + offset % SPARSE_PAGE, part);
		else
			memset(out, 0, part);
		out += part;
		offset += part;
		size -= part;
	}
}

void sparse_write(struct sparse *sparse, const void *buf, uint64_t size, uint64_t offset)
{
	const uint8_t *in = buf;

	while (size) {
		uint64_t part = min(size, SPARSE_PAGE - offset % SPARSE_PAGE);

		memcpy(make_page(sparse, offset / SPARSE_PAGE) + offset % SPARSE_PAGE, in, part);
		in += part;
		offset += part;
		size -= part;
	}
	if (offset > sparse->size)
		sparse->size = offset;
}

static void drop_pages(struct sparse *sparse, uint64_t first, uint64_t end)
{
	for (size_t i = lower_bound(sparse, first / SPARSE_LEAF_PAGES); i < sparse->count; i++) {
		struct sparse_leaf *leaf = sparse->leaves[i];

		for (uint64_t p = 0; p < SPARSE_LEAF_PAGES; p++) {
			uint64_t page = leaf->number * SPARSE_LEAF_PAGES + p;

			if (page >= end)
				return;
			if (page >= first) {
				free(leaf->pages[p]);
				leaf->pages[p] = NULL;
			}
		}
	}
}

static void zero_within_page(struct sparse *sparse, uint64_t offset, uint64_t length)
{
	if (length && find_page(sparse, offset / SPARSE_PAGE))
		memset(make_page(sparse, offset / SPARSE_PAGE) + offset % SPARSE_PAGE, 0, length);
}

void sparse_zero(struct sparse *sparse, uint64_t offset, uint64_t length)
{
	uint64_t end = offset + length;
	uint64_t first = (offset + SPARSE_PAGE - 1) / SPARSE_PAGE;
	uint64_t last = end / SPARSE_PAGE;

	if (first > last) { /* inside one page */
		zero_within_page(sparse, offset, length);
		return;
	}
	zero_within_page(sparse, offset, first * SPARSE_PAGE - offset);
	drop_pages(sparse, first, last);
	zero_within_page(sparse, last * SPARSE_PAGE, end - last * SPARSE_PAGE);
}

void sparse_resize(struct sparse *sparse, uint64_t size)
{
	if (size < sparse->size)
		sparse_zero(sparse, size, sparse->size - size);
	sparse->size = size;
}

void sparse_copy(struct sparse *to, uint64_t to_offset, const struct sparse *from,
		 uint64_t from_offset, uint64_t length)
{
	uint64_t start;
	uint64_t end;
	uint64_t at = from_offset;

	sparse_zero(to, to_offset, length);
	while (at < from_offset + length && sparse_next(from, at, &start, &end) &&
	       start < from_offset + length) {
		at = start > at ? start : at;
		end = min(end, from_offset + length);
		while (at < end) {
			uint8_t page[SPARSE_PAGE];
			uint64_t part = min(SPARSE_PAGE - at % SPARSE_PAGE, end - at);

			sparse_read(from, page, part, at);
			sparse_write(to, page, part, to_offset + (at - from_offset));
			at += part;
		}
	}
}

/* The page @page or the first one behind it that is there; UINT64_MAX when there is none. */
static uint64_t next_page(const struct sparse *sparse, uint64_t page)
{
	for (size_t i = lower_bound(sparse, page / SPARSE_LEAF_PAGES); i < sparse->count; i++) {
		const struct sparse_leaf *leaf = sparse->leaves[i];
		uint64_t base = leaf->number * SPARSE_LEAF_PAGES;

		for (uint64_t p = page > base ? page - base : 0; p < SPARSE_LEAF_PAGES; p++)
			if (leaf->pages[p])
				return base + p;
	}
	return UINT64_MAX;
}

/* The first page behind @page that is not there. */
static uint64_t next_hole(const struct sparse *sparse, uint64_t page)
{
	for (size_t i = lower_bound(sparse, page / SPARSE_LEAF_PAGES);
	     i < sparse->count && sparse->leaves[i]->number == page / SPARSE_LEAF_PAGES; i++) {
		const struct sparse_leaf *leaf = sparse->leaves[i];

		for (uint64_t p = page % SPARSE_LEAF_PAGES; p < SPARSE_LEAF_PAGES; p++, page++)
			if (!leaf->pages[p])
				return page;
	}
	return page;
}

bool sparse_next_page(const struct sparse *sparse, uint64_t offset, uint64_t *ret_start)
{
	uint64_t page = next_page(sparse, offset / SPARSE_PAGE);

	if (page == UINT64_MAX)
		return false;
	*ret_start = page * SPARSE_PAGE;
	return true;
}

bool sparse_next(const struct sparse *sparse, uint64_t offset, uint64_t *ret_start,
		 uint64_t *ret_end)
{
	uint64_t page = next_page(sparse, offset / SPARSE_PAGE);

	if (page == UINT64_MAX)
		return false;
	*ret_start = page * SPARSE_PAGE;
	*ret_end = next_hole(sparse, page) * SPARSE_PAGE;
	return true;
}
