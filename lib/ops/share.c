/* SPDX-License-Identifier: MIT */
/* What of the contents need not pass through our memory, and between which files that works. */
#include <errno.h>

#include "base/cleanup.h"
#include "ops/share.h"

/* What is shorter is sooner copied than shared, and a file in fewer extents is sooner read. */
#define LEAST_SHARED ((uint64_t)64 * 1024)
/* One after the other, after which no range of that file is tried again: it is not for their alignment. */
#define MOST_REFUSALS 8u

void vhdx_sharing_begin(struct sharing *sharing, struct sink *sink, uint32_t flags)
{
	/* Pages that a pipe takes are the page cache's; blocks that files share are nobody's memory. */
	uint32_t against = VHDX_CONVERT_NO_CLONE | (sink->in_order ? VHDX_CONVERT_DIRECT : 0);
	bool unwanted = flags & against;

	*sharing = (struct sharing){
		.sink = sink->share_unit && !unwanted ? sink : NULL,
		.lock = PTHREAD_MUTEX_INITIALIZER,
	};
}

void vhdx_sharing_end(struct sharing *sharing)
{
	pthread_mutex_destroy(&sharing->lock);
}

/* The caller holds the lock. What was forgotten is tried again. */
static struct share_pair *pair_of(struct sharing *sharing, const struct vhdx_io *from)
{
	for (unsigned i = 0; i < SHARE_PAIRS; i++)
		if (sharing->pairs[i].from == from)
			return &sharing->pairs[i];
	struct share_pair *pair = &sharing->pairs[sharing->next++ % SHARE_PAIRS];

	*pair = (struct share_pair){.from = from};
	return pair;
}

/* How much may be shared at once; 0: nothing. */
static uint64_t most_at_once(struct sharing *sharing, const struct vhdx_io *from,
			     uint64_t most_tried)
{
	LOCK_SCOPED(&sharing->lock);
	const struct share_pair *pair = pair_of(sharing, from);

	if (pair->refusals >= MOST_REFUSALS)
		return 0;
	return pair->works ? sharing->sink->share_most : most_tried;
}

bool vhdx_sharing_find(struct sharing *sharing, const struct source *source, uint64_t start,
		       uint64_t end, uint64_t most_tried, struct shared_range *ret_range)
{
	const struct sink *sink = sharing->sink;
	struct source_place from;

	if (!sink || start >= sink->share_end || !vhdx_source_place(source, start, &from) ||
	    !from.io || !is_aligned(from.file_offset - start, sink->share_unit))
		return false;
	end = min_u64(min_u64(end, sink->share_end), start + from.length);
	uint64_t first = round_up_saturated(start, sink->share_unit);
	uint64_t last = round_down(end, sink->share_unit);
	uint64_t most = most_at_once(sharing, from.io, most_tried);

	if (!most || last <= first || last - first < LEAST_SHARED)
		return false;
	uint64_t cut = round_up_saturated(first + 1, most);

	/* How a range is cut must not decide what becomes of its end. */
	if (cut < last && last - cut >= LEAST_SHARED)
		last = cut;
	from.file_offset += first - start;
	from.length -= first - start;
	*ret_range = (struct shared_range){first, last - first, from};
	return true;
}

static void note(struct sharing *sharing, const struct vhdx_io *from, int refusal)
{
	LOCK_SCOPED(&sharing->lock);
	struct share_pair *pair = pair_of(sharing, from);

	pair->works = !refusal;
	if (!refusal)
		pair->refusals = 0;
	else
		pair->refusals = share_is_final(refusal) ? MOST_REFUSALS : pair->refusals + 1;
}

int vhdx_sharing_do(struct sharing *sharing, const struct shared_range *range, bool *ret_shared)
{
	struct sink *sink = sharing->sink;
	int refusal = 0;

	*ret_shared = false;
	if (!most_at_once(sharing, range->from.io, range->length)) /* known since it was found */
		return 0;
	int ret =
		sink->functions->share(sink, &range->from, range->offset, range->length, &refusal);

	if (ret)
		return ret;
	note(sharing, range->from.io, refusal);
	*ret_shared = !refusal;
	return 0;
}
