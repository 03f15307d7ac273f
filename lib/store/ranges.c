/* SPDX-License-Identifier: MIT */
/* A set of bytes, as ranges in order that neither meet nor touch. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/arith.h"
#include "store/ranges.h"

void vhdx_ranges_free(struct range_list *list)
{
	free(list->ranges);
	*list = (struct range_list){0};
}

/* The first range that ends behind @offset, or at it where @touching. */
static size_t find_range(const struct range_list *list, uint64_t offset, bool touching)
{
	size_t low = 0;
	size_t high = list->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		uint64_t end = list->ranges[middle].end;

		if (end < offset || (end == offset && !touching))
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static int make_room(struct range_list *list)
{
	if (list->count < list->capacity)
		return 0;
	if (list->count == MAX_RANGES)
		return -EFBIG;
	size_t capacity = list->capacity ? 2 * list->capacity : 64;
	struct range *ranges = realloc(list->ranges, capacity * sizeof(*ranges));

	if (!ranges)
		return -ENOMEM;
	list->ranges = ranges;
	list->capacity = capacity;
	return 0;
}

int vhdx_ranges_add(struct range_list *list, uint64_t start, uint64_t end)
{
	size_t first = find_range(list, start, true);
	size_t behind = first;

	if (start >= end)
		return 0;
	while (behind < list->count && list->ranges[behind].start <= end)
		behind++;
	if (behind == first) {
		int ret = make_room(list);

		if (ret)
			return ret;
	} else {
		start = min_u64(start, list->ranges[first].start);
		end = max_u64(end, list->ranges[behind - 1].end);
	}
	memmove(list->ranges + first + 1, list->ranges + behind,
		(list->count - behind) * sizeof(struct range));
	list->count = list->count - (behind - first) + 1;
	list->ranges[first] = (struct range){start, end};
	return 0;
}

bool vhdx_ranges_next(const struct range_list *list, uint64_t offset, struct range *ret_range)
{
	size_t i = find_range(list, offset, false);

	if (i == list->count)
		return false;
	*ret_range = (struct range){max_u64(offset, list->ranges[i].start), list->ranges[i].end};
	return true;
}
