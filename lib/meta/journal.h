/* SPDX-License-Identifier: MIT */
/* The journal (F 4.6): the only writer of logged metadata. Commits transactions, applies them, starts and stops the log. */
#ifndef VHDX_META_JOURNAL_H
#define VHDX_META_JOURNAL_H

#include <stdatomic.h>

#include "meta/group.h"
#include "meta/logring.h"

struct logged;

/*
 * Who asks for a commit joins the group that waits, and one of them serves it when its turn comes. Where
 * there is nothing to log that is a flush, beside as many others as the storage allows; else it is a round: one thread owns the journal
 * from the capture to the end of the apply.
 */
struct journal {
	struct image *image;
	struct transaction transaction;
	/* Number of the last transaction that is durable in the log. */
	atomic_uint_least64_t durable;

	pthread_mutex_t lock;
	pthread_cond_t changed;
	bool owned;
	unsigned flushes;	   /* that run with nothing to log */
	struct group *waiting;	   /* its turn has not come, so it may be joined; NULL: none */
	struct group *begun;	   /* the last whose turn came, while it runs */
	atomic_bool failed;	   /* nothing may be written any more ... */
	struct kept_error failure; /* ... for this reason */

	/* The owner's */
	struct log_ring ring;
	struct logged *oldest; /* entries whose application is not yet durable, in log order */
	struct logged **newest;
	uint64_t first_end; /* needed_end when the journal started */
};

/* GUIDs of a session. */
struct session_guids {
	struct vhdx_guid log;
	struct vhdx_guid file_write;
	struct vhdx_guid data_write; /* zero: the guest's data will not change */
};

/*
 * Starts a log for @image, whose log is empty, and whose last structure ends at @needed_end: an entry
 * under the new LogGuid, then the headers with all of @guids. On failure it may be
 * freed and started anew, unless vhdx_journal_check fails: then a header may name the new log already.
 */
int vhdx_journal_start(struct journal *journal, struct image *image, struct page_cache *cache,
		       const struct session_guids *guids, uint64_t needed_end);

/* The guest's data will change after all: a new DataWriteGuid for both headers, durable. */
int vhdx_journal_new_data(struct journal *journal, const struct vhdx_guid *data_write);

/*
 * Makes everything durable that was changed before the call: at once with other callers. With nothing
 * dirty it only flushes. -ENOSPC and -ENOMEM leave everything to be tried again; after any other failure
 * nothing may be written any more (vhdx_journal_check).
 */
int vhdx_journal_commit(struct journal *journal);

/*
 * After @ret, of which this thread's last error tells: what is in memory must never reach the storage, so nothing may be
 * written any more. Returns @ret.
 */
int vhdx_journal_abandon(struct journal *journal, int ret);

/* 0, or the failure that ended writing. */
int vhdx_journal_check(const struct journal *journal);

/* Begins a change of at most @pages pages, CHANGE_PAGES at most; commits first when they would not fit. */
int vhdx_journal_begin(struct journal *journal, unsigned pages, struct change *ret_change);

/* Commits, applies all, and empties the log: both headers get LogGuid zero, durable. The caller is alone. */
int vhdx_journal_stop(struct journal *journal);

/* Frees what a journal, started or stopped, has in memory. */
void vhdx_journal_free(struct journal *journal);

#endif
