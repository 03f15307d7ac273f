/* SPDX-License-Identifier: MIT */
/* Whether the replay of a log would change anything that is read. */
#ifndef VHDX_OPS_LOGEFFECT_H
#define VHDX_OPS_LOGEFFECT_H

#include "meta/logscan.h"

struct log_effect {
	const struct vhdx_io *file; /* as it lies */
	const char *name;	    /* for messages */
	uint64_t compared;	    /* bytes, in all that was asked */
};

/*
 * Compares the file with @view, which shows @scan's active sequence replayed. Returns 1 when they differ
 * where an entry changes something, or when too much would have to be compared; 0; or as the storage
 * fails.
 */
int vhdx_log_changes_anything(struct log_effect *effect, const struct vhdx_io *view,
			      const struct log_place *session, const struct log_scan *scan);

#endif
