/* SPDX-License-Identifier: MIT */
/* Which sizes a disk had when: a resize is durable when it returns, and until then done or not. */
#include <inttypes.h>
#include <stdlib.h>

#include "crash/look.h"
#include "crash/sizes.h"

void sizes_begin(struct sizes *sizes, uint64_t begin, uint64_t size)
{
	if (sizes->count == MOST_SIZES)
		abort();
	sizes->changes[sizes->count++] = (struct size_change){begin, UINT64_MAX, size};
}

void sizes_end(struct sizes *sizes, uint64_t end)
{
	sizes->changes[sizes->count - 1].end = end;
}

bool sizes_changed(const struct sizes *sizes, uint64_t from, uint64_t to)
{
	for (unsigned i = 0; i < sizes->count; i++)
		if (sizes->changes[i].begin > from && sizes->changes[i].begin <= to)
			return true;
	return false;
}

char *sizes_judge(const struct sizes *sizes, uint64_t crash, uint64_t size)
{
	uint64_t durable = 0;

	for (unsigned i = 0; i < sizes->count; i++) {
		const struct size_change *change = &sizes->changes[i];

		if (change->end <= crash)
			durable = change->size;
		else if (change->begin <= crash && change->size == size)
			return NULL;
	}
	if (size == durable)
		return NULL;
	return fault_text("the disk has %" PRIu64 " bytes, and durable was %" PRIu64, size,
			  durable);
}
