/* SPDX-License-Identifier: MIT */
/* Which sizes a disk had when, and so which it may have after a crash. */
#ifndef TESTS_CRASH_SIZES_H
#define TESTS_CRASH_SIZES_H

#include <stdbool.h>
#include <stdint.h>

#define MOST_SIZES 16

struct size_change {
	uint64_t begin;
	uint64_t end; /* UINT64_MAX while in flight */
	uint64_t size;
};

struct sizes {
	struct size_change
		changes[MOST_SIZES]; /* the first is the size that the disk was made with */
	unsigned count;
};

void sizes_begin(struct sizes *sizes, uint64_t begin, uint64_t size);
void sizes_end(struct sizes *sizes, uint64_t end);

/* Has a change of size begun in that time? */
bool sizes_changed(const struct sizes *sizes, uint64_t from, uint64_t to);

/* NULL, or what is wrong with a disk of that size after a crash at that time; to be freed. */
char *sizes_judge(const struct sizes *sizes, uint64_t crash, uint64_t size);

#endif
