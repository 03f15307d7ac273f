/* SPDX-License-Identifier: MIT */
/* Bytes with any number of holes: the files of test images, and what a guest must read from them. */
#ifndef TESTS_SUPPORT_SPARSE_H
#define TESTS_SUPPORT_SPARSE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SPARSE_PAGE	  ((uint64_t)4096)
#define SPARSE_LEAF_PAGES 512

struct sparse_leaf {
	uint64_t number; /* its first page is number * SPARSE_LEAF_PAGES */
	uint8_t *pages[SPARSE_LEAF_PAGES];
};

/* Pages that were never written, and what lies behind the size, read as zeros. */
struct sparse {
	struct sparse_leaf **leaves; /* by number */
	size_t count;
	size_t room;
	uint64_t size;
};

void sparse_free(struct sparse *sparse);

/* Reads any range. */
void sparse_read(const struct sparse *sparse, void *buf, uint64_t size, uint64_t offset);

/* Writes, and grows to hold it. Out of memory ends the program. */
void sparse_write(struct sparse *sparse, const void *buf, uint64_t size, uint64_t offset);

/* Makes zeros of a range, inside the size or not. */
void sparse_zero(struct sparse *sparse, uint64_t offset, uint64_t length);

/* Cuts or grows. */
void sparse_resize(struct sparse *sparse, uint64_t size);

/* Replaces a range of @to by a range of @from; @to keeps its size unless it must grow. */
void sparse_copy(struct sparse *to, uint64_t to_offset, const struct sparse *from,
		 uint64_t from_offset, uint64_t length);

/* The first page-aligned range at or after @offset that was written; false when there is none. */
bool sparse_next(const struct sparse *sparse, uint64_t offset, uint64_t *ret_start,
		 uint64_t *ret_end);

/* As sparse_next, of the first such page alone: without looking for the range's end. */
bool sparse_next_page(const struct sparse *sparse, uint64_t offset, uint64_t *ret_start);

#endif
