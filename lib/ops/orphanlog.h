/* SPDX-License-Identifier: MIT */
/* A log of which no header tells any more where it is, and whether it must be replayed. */
#ifndef VHDX_OPS_ORPHANLOG_H
#define VHDX_OPS_ORPHANLOG_H

#include "meta/image.h"

/*
 * Where the log of @image may be: space that neither its regions nor its blocks claim and that holds log
 * entries; else the first MiB behind the header section, when it is free and empty; else length 0. The
 * GUID is left out. As the storage fails.
 */
int vhdx_find_orphan_log(const struct image *image, struct log_place *ret_place);

/*
 * What a log says by itself. Entries stay in a log when it is closed, so sessions can be found there that
 * nobody needs any more, and whose replay would undo what later ones did.
 */
enum orphan_verdict {
	ORPHAN_CLOSED,	/* no complete session would change anything: there is nothing to replay */
	ORPHAN_OPEN,	/* there is but one complete session, and its replay changes something */
	ORPHAN_UNCLEAR, /* several, some of which would change something */
};

/* *ret_guid is the session's of an open log, else zero. -ENOMEM, or as the storage fails. */
int vhdx_judge_orphan_log(const struct image *image, const struct log_place *place,
			  enum orphan_verdict *ret_verdict, struct vhdx_guid *ret_guid);

#endif
