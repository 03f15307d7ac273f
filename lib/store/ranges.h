/* SPDX-License-Identifier: MIT */
/* A set of bytes, as ranges in order that neither meet nor touch. */
#ifndef VHDX_STORE_RANGES_H
#define VHDX_STORE_RANGES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Most ranges of a list: 16 MiB of them. */
#define MAX_RANGES (1u << 20)

struct range {
	uint64_t start;
	uint64_t end;
};

/* Zeroed: empty. */
struct range_list {
	struct range *ranges;
	size_t count;
	size_t capacity;
};

void vhdx_ranges_free(struct range_list *list);

/* Adds [start, end). -ENOMEM, or -EFBIG when there would be too many; then nothing was added. */
int vhdx_ranges_add(struct range_list *list, uint64_t start, uint64_t end);

/* The first part at or after @offset; false when there is none. */
bool vhdx_ranges_next(const struct range_list *list, uint64_t offset, struct range *ret_range);

#endif
