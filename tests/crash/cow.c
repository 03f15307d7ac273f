/* SPDX-License-Identifier: MIT */
/* Sparse bytes in reference-counted pages and leaves of pages. */
#include <stdlib.h>
#include <string.h>

#include "crash/cow.h"

struct cow_page {
	size_t users;
	uint64_t hash;
	uint8_t bytes[COW_PAGE];
};

struct cow_leaf {
	size_t users;
	struct cow_page *pages[COW_PER_LEAF];
};

static void *get_memory(size_t size)
{
	void *memory = calloc(1, size);

	if (!memory)
		abort();
	return memory;
}

static uint64_t hash_word(uint64_t hash, uint64_t word)
{
	hash = (hash ^ word) * 0xff51afd7ed558ccd;
	return hash ^ hash >> 32;
}

/* In lanes, which do not wait for each other. */
static uint64_t hash_page(const uint8_t *bytes, uint64_t number)
{
	uint64_t hash = number * 0x9e3779b97f4a7c15 + 1;
	uint64_t lanes[8] = {1, 2, 3, 4, 5, 6, 7, 8};

	for (size_t i = 0; i < COW_PAGE; i += sizeof(lanes)) {
		uint64_t words[8];

		memcpy(words, bytes + i, sizeof(words));
		for (size_t lane = 0; lane < 8; lane++)
			lanes[lane] = hash_word(lanes[lane], words[lane]);
	}
	for (size_t lane = 0; lane < 8; lane++)
		hash = hash_word(hash, lanes[lane]);
	return hash;
}

static bool all_zeros(const uint8_t *bytes)
{
	return !bytes[0] && !memcmp(bytes, bytes + 1, COW_PAGE - 1);
}

static void drop_page(struct cow_page *page)
{
	if (page && --page->users == 0)
		free(page);
}

static void drop_leaf(struct cow_leaf *leaf)
{
	if (!leaf || --leaf->users)
		return;
	for (size_t i = 0; i < COW_PER_LEAF; i++)
		drop_page(leaf->pages[i]);
	free(leaf);
}

void cow_copy(const struct cow *from, struct cow *ret_copy)
{
	*ret_copy = *from;
	ret_copy->leaves = get_memory((from->count + 1) * sizeof(*from->leaves));
	memcpy(ret_copy->leaves, from->leaves ? from->leaves : ret_copy->leaves,
	       from->count * sizeof(*from->leaves));
	for (size_t i = 0; i < from->count; i++)
		if (from->leaves[i])
			from->leaves[i]->users++;
}

void cow_free(struct cow *cow)
{
	for (size_t i = 0; i < cow->count; i++)
		drop_leaf(cow->leaves[i]);
	free(cow->leaves);
	*cow = (struct cow){0};
}

static const struct cow_page *find_page(const struct cow *cow, uint64_t number)
{
	size_t leaf = (size_t)(number / COW_PER_LEAF);

	if (leaf >= cow->count || !cow->leaves[leaf])
		return NULL;
	return cow->leaves[leaf]->pages[number % COW_PER_LEAF];
}

/* Where the pointer to a page is, in a leaf that is this copy's alone. */
static struct cow_page **own_slot(struct cow *cow, uint64_t number)
{
	size_t index = (size_t)(number / COW_PER_LEAF);

	if (index >= cow->count) {
		size_t count = index + 16;

		cow->leaves = realloc(cow->leaves, count * sizeof(*cow->leaves));
		if (!cow->leaves)
			abort();
		memset(cow->leaves + cow->count, 0, (count - cow->count) * sizeof(*cow->leaves));
		cow->count = count;
	}
	struct cow_leaf *leaf = cow->leaves[index];

	if (!leaf || leaf->users > 1) {
		struct cow_leaf *own = get_memory(sizeof(*own));

		if (leaf) {
			*own = *leaf;
			for (size_t i = 0; i < COW_PER_LEAF; i++)
				if (own->pages[i])
					own->pages[i]->users++;
			leaf->users--;
		}
		own->users = 1;
		cow->leaves[index] = own;
		leaf = own;
	}
	return &leaf->pages[number % COW_PER_LEAF];
}

static void clear_page(struct cow *cow, uint64_t number)
{
	const struct cow_page *page = find_page(cow, number);

	if (!page)
		return;
	cow->hash ^= page->hash;
	struct cow_page **slot = own_slot(cow, number);

	drop_page(*slot);
	*slot = NULL;
}

/* Replaces a part of a page; NULL: by zeros. */
static void set_part(struct cow *cow, uint64_t number, size_t skip, const uint8_t *from,
		     size_t size)
{
	if (!from && (size == COW_PAGE || !find_page(cow, number))) {
		clear_page(cow, number);
		return;
	}
	struct cow_page **slot = own_slot(cow, number);
	struct cow_page *page = *slot;

	if (page)
		cow->hash ^= page->hash;
	if (!page || page->users > 1) {
		struct cow_page *own = get_memory(sizeof(*own));

		if (page) {
			memcpy(own->bytes, page->bytes, COW_PAGE);
			page->users--;
		}
		own->users = 1;
		*slot = own;
		page = own;
	}
	if (from)
		memcpy(page->bytes + skip, from, size);
	else
		memset(page->bytes + skip, 0, size);
	if (all_zeros(page->bytes)) {
		drop_page(page);
		*slot = NULL;
		return;
	}
	page->hash = hash_page(page->bytes, number);
	cow->hash ^= page->hash;
}

static void set_range(struct cow *cow, const uint8_t *from, uint64_t size, uint64_t offset)
{
	while (size) {
		size_t skip = (size_t)(offset % COW_PAGE);
		size_t part = (size_t)(COW_PAGE - skip < size ? COW_PAGE - skip : size);

		set_part(cow, offset / COW_PAGE, skip, from, part);
		from = from ? from + part : NULL;
		offset += part;
		size -= part;
	}
}

void cow_read(const struct cow *cow, void *buf, size_t size, uint64_t offset)
{
	uint8_t *to = buf;

	while (size) {
		size_t skip = (size_t)(offset % COW_PAGE);
		size_t part = COW_PAGE - skip < size ? COW_PAGE - skip : size;
		const struct cow_page *page = find_page(cow, offset / COW_PAGE);

		if (page)
			memcpy(to, page->bytes + skip, part);
		else
			memset(to, 0, part);
		to += part;
		offset += part;
		size -= part;
	}
}

void cow_write(struct cow *cow, const void *buf, size_t size, uint64_t offset)
{
	set_range(cow, buf, size, offset);
	if (offset + size > cow->size)
		cow->size = offset + size;
}

void cow_zero(struct cow *cow, uint64_t offset, uint64_t length)
{
	uint64_t end = offset + length < cow->size ? offset + length : cow->size;

	while (offset < end) {
		uint64_t start, stop;

		if (!cow_next(cow, offset, &start, &stop) || start >= end)
			return;
		stop = stop < end ? stop : end;
		set_range(cow, NULL, stop - start, start);
		offset = stop;
	}
}

void cow_resize(struct cow *cow, uint64_t size)
{
	if (size < cow->size)
		cow_zero(cow, size, cow->size - size);
	cow->size = size;
}

bool cow_next(const struct cow *cow, uint64_t offset, uint64_t *ret_start, uint64_t *ret_end)
{
	uint64_t pages = (cow->size + COW_PAGE - 1) / COW_PAGE;
	uint64_t page = offset / COW_PAGE;

	while (page < pages && !find_page(cow, page)) {
		size_t leaf = (size_t)(page / COW_PER_LEAF);

		if (leaf >= cow->count)
			return false;
		page = cow->leaves[leaf] ? page + 1 : (leaf + 1) * COW_PER_LEAF;
	}
	if (page >= pages)
		return false;
	*ret_start = page * COW_PAGE > offset ? page * COW_PAGE : offset;
	while (page < pages && find_page(cow, page))
		page++;
	*ret_end = page * COW_PAGE < cow->size ? page * COW_PAGE : cow->size;
	return *ret_start < *ret_end;
}

bool cow_same(const struct cow *a, const struct cow *b)
{
	return a->size == b->size && a->hash == b->hash;
}
