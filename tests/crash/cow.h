/* SPDX-License-Identifier: MIT */
/*
 * The bytes of a file, sparse and shared: a copy costs a pointer a MiB, and shares every page until one of
 * the two is written. Copies that share pages belong to one thread at a time.
 */
#ifndef TESTS_CRASH_COW_H
#define TESTS_CRASH_COW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define COW_PAGE     ((uint64_t)4096)
#define COW_LEAF     ((uint64_t)1 << 20)
#define COW_PER_LEAF (COW_LEAF / COW_PAGE)
#define ATOM	     ((uint64_t)512) /* what storage writes whole or not at all */

struct cow_leaf;

struct cow {
	struct cow_leaf **leaves; /* one a MiB; NULL: zeros */
	size_t count;
	uint64_t size; /* of the file; nothing but zeros behind it */
	uint64_t hash; /* of the contents, without the size */
};

/* Shares @from's pages. @ret_copy is not looked at. */
void cow_copy(const struct cow *from, struct cow *ret_copy);
void cow_free(struct cow *cow);

/* What lies behind the end reads as zeros. */
void cow_read(const struct cow *cow, void *buf, size_t size, uint64_t offset);

/* Grows to hold it. Out of memory ends the program. */
void cow_write(struct cow *cow, const void *buf, size_t size, uint64_t offset);

/* Makes zeros of what lies inside the size. */
void cow_zero(struct cow *cow, uint64_t offset, uint64_t length);

/* Cuts or grows. */
void cow_resize(struct cow *cow, uint64_t size);

/* The first range at or after @offset that may hold other bytes than zeros; false when there is none. */
bool cow_next(const struct cow *cow, uint64_t offset, uint64_t *ret_start, uint64_t *ret_end);

/* The same contents and size. By their hashes: a test may judge one of two states, not err on one. */
bool cow_same(const struct cow *a, const struct cow *b);

#endif
