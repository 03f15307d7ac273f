/* SPDX-License-Identifier: MIT */
/* The open transaction: every change of metadata since the last capture, all of which one log entry will hold. */
#ifndef VHDX_META_TRANSACTION_H
#define VHDX_META_TRANSACTION_H

#include "meta/pages.h"

/*
 * The pages of a payload entry and of its bitmap's entry, and those of the largest block's bits (256 MiB in
 * sectors of 512 bytes): 18. Or both region tables, and a few of the metadata: 40, which any log can take.
 */
#define CHANGE_PAGES 40u

/* Pages that a transaction has at most where the log would take more. */
#define TRANSACTION_PAGES 256u

/* All members are under the pages lock, the cache's. */
struct transaction {
	struct page_cache *cache;
	unsigned limit; /* pages that fit */
	unsigned room;	/* of which this one may take so many: what was captured may come back */
	struct page *dirty;   /* in no order */
	unsigned dirty_count; /* at most the room; twice the limit when captured pages came back */
	unsigned reserved;    /* pages of changes that are under way */
	bool data_first;      /* payload must be durable before the entry is written */
	uint64_t number;      /* of this transaction: the captures before it, plus 1 */
	uint64_t needed_end;  /* the end of the last structure, in the file */
};

/* One change: pages that are held, and counted in the transaction. */
struct change {
	struct transaction *transaction;
	unsigned reserved;
	unsigned count;
	struct page *pages[CHANGE_PAGES];
};

/* A page as it was captured. It is logged, and held, until it is released or came back. */
struct captured_page {
	struct page *page;
	uint64_t home;
	uint8_t bytes[PAGE_SIZE];
};

struct capture {
	uint64_t number;
	uint64_t needed_end;
	bool data_first;
	unsigned count;
	struct captured_page *pages; /* by home; NULL when count is 0 */
};

void vhdx_transaction_init(struct transaction *transaction, struct page_cache *cache,
			   unsigned limit, uint64_t needed_end);

/*
 * Counts @pages in, at most CHANGE_PAGES, waiting for changes of others. False when only a commit can
 * make room.
 */
bool vhdx_transaction_reserve(struct transaction *transaction, unsigned pages,
			      struct change *ret_change);

/*
 * Holds a page for the change, as vhdx_page_hold. @home must have its space in the file: an apply must
 * not fail for want of it.
 */
int vhdx_change_hold(struct change *change, struct page_map *map, uint64_t index, uint64_t home,
		     bool is_new, struct page **ret_page);

/*
 * Between these two lie all stores of a change, and only they; no I/O. Returns the number of the
 * transaction that the change belongs to.
 */
uint64_t vhdx_change_enter(struct change *change);
void vhdx_change_leave(struct change *change);

/* Within the change: @page, which it holds, is changed; payload goes first; the file is used up to @end. */
void vhdx_change_dirty(struct change *change, struct page *page);
void vhdx_change_data_first(struct change *change);
void vhdx_change_needs(struct change *change, uint64_t end);

/* Ends a change, made or not. */
void vhdx_change_end(struct change *change);

/* Copies every dirty page, and begins the next transaction. -ENOMEM leaves all as it was. */
int vhdx_transaction_capture(struct transaction *transaction, struct capture *ret_capture);

/* The entry could not be written: the pages are dirty again, in what is now the open transaction. */
void vhdx_transaction_take_back(struct transaction *transaction, struct capture *capture);

/* What was captured is applied. */
void vhdx_capture_release(struct transaction *transaction, struct capture *capture);

#endif
