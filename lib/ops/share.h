/* SPDX-License-Identifier: MIT */
/*
 * What of the contents need not pass through our memory: the file system shares blocks between two files, or a pipe
 * takes pages of a file. Remembers which files that works for.
 */
#ifndef VHDX_OPS_SHARE_H
#define VHDX_OPS_SHARE_H

#include <errno.h>

#include "ops/endpoint.h"

#define SHARE_PAIRS \
	16 /* files of a chain that are remembered; of a longer one, some are tried again */

/* One of the files that the contents come from, and the sink. */
struct share_pair {
	const struct vhdx_io *from;
	bool works;
	unsigned refusals; /* one after the other */
};

struct sharing {
	struct sink *sink;    /* NULL: nothing is shared */
	pthread_mutex_t lock; /* of the members here */
	struct share_pair pairs[SHARE_PAIRS];
	unsigned next;
};

struct shared_range {
	uint64_t offset; /* of the disk */
	uint64_t length;
	struct source_place from;
};

/* A refusal that holds for every range of these two; nothing was begun. */
static inline bool share_is_final(int refusal)
{
	return refusal == -EOPNOTSUPP || refusal == -EXDEV || refusal == -ENOTTY ||
	       refusal == -ENOSYS;
}

/* @flags: VHDX_CONVERT_*. End it with vhdx_sharing_end. */
void vhdx_sharing_begin(struct sharing *sharing, struct sink *sink, uint32_t flags);
void vhdx_sharing_end(struct sharing *sharing);

/*
 * The first part of [@start, @end), which vhdx_source_next_data told last, that may be shared. False when none may,
 * or it is too short to be worth it. As long as nobody knows whether it works, it is no longer than @most_tried.
 */
bool vhdx_sharing_find(struct sharing *sharing, const struct source *source, uint64_t start,
		       uint64_t end, uint64_t most_tried, struct shared_range *ret_range);

/* In the range's turn. *ret_shared is false when it must be read and written. */
int vhdx_sharing_do(struct sharing *sharing, const struct shared_range *range, bool *ret_shared);

#endif
