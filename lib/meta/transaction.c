/* SPDX-License-Identifier: MIT */
/*
 * The open transaction: every change of metadata since the last capture. A change counts its pages in
 * before it is made, so that it is never split; all its stores are made at once under the pages lock.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/arith.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/rules.h"
#include "meta/transaction.h"

void vhdx_transaction_init(struct transaction *transaction, struct page_cache *cache,
			   unsigned limit, uint64_t needed_end)
{
	*transaction = (struct transaction){
		.cache = cache,
		.limit = limit,
		.room = limit,
		.number = 1,
		.needed_end = needed_end,
	};
}

bool vhdx_transaction_reserve(struct transaction *transaction, unsigned pages,
			      struct change *ret_change)
{
	assert(pages <= CHANGE_PAGES && pages <= transaction->limit);
	LOCK_SCOPED(&transaction->cache->lock);
	while (transaction->dirty_count + transaction->reserved + pages > transaction->room) {
		if (transaction->dirty_count || !transaction->reserved)
			return false;
		pthread_cond_wait(&transaction->cache->changed, &transaction->cache->lock);
	}
	transaction->reserved += pages;
	*ret_change = (struct change){.transaction = transaction, .reserved = pages};
	return true;
}

int vhdx_change_hold(struct change *change, struct page_map *map, uint64_t index, uint64_t home,
		     bool is_new, struct page **ret_page)
{
	struct page *page;
	int ret = vhdx_page_hold(map, index, home, is_new, &page);

	if (ret)
		return ret;
	assert(change->count < change->reserved);
	change->pages[change->count++] = page;
	*ret_page = page;
	return 0;
}

uint64_t vhdx_change_enter(struct change *change)
{
	pthread_mutex_lock(&change->transaction->cache->lock);
	return change->transaction->number;
}

void vhdx_change_leave(struct change *change)
{
	pthread_mutex_unlock(&change->transaction->cache->lock);
}

static void mark_dirty(struct transaction *transaction, struct page *page)
{
	page->dirty = true;
	page->next = transaction->dirty;
	transaction->dirty = page;
	transaction->dirty_count++;
}

void vhdx_change_dirty(struct change *change, struct page *page)
{
	if (page->dirty)
		return;
	vhdx_page_keep(page);
	mark_dirty(change->transaction, page);
}

void vhdx_change_data_first(struct change *change)
{
	change->transaction->data_first = true;
}

void vhdx_change_needs(struct change *change, uint64_t end)
{
	change->transaction->needed_end = max_u64(change->transaction->needed_end, end);
}

void vhdx_change_end(struct change *change)
{
	struct transaction *transaction = change->transaction;

	LOCK_SCOPED(&transaction->cache->lock);
	for (unsigned i = 0; i < change->count; i++)
		vhdx_page_release(change->pages[i]);
	transaction->reserved -= change->reserved;
	pthread_cond_broadcast(&transaction->cache->changed);
}

static int compare_homes(const void *a, const void *b)
{
	const struct captured_page *first = a;
	const struct captured_page *second = b;

	return (first->home > second->home) - (first->home < second->home);
}

int vhdx_transaction_capture(struct transaction *transaction, struct capture *ret_capture)
{
	LOCK_SCOPED(&transaction->cache->lock);
	unsigned dirty = transaction->dirty_count;
	unsigned count = OBEYS(RULE_WHOLE_TRANSACTION) ? dirty : (dirty + 1) / 2;
	struct captured_page *pages = count ? malloc(count * sizeof(*pages)) : NULL;

	if (count && !pages)
		return vhdx_fail_memory();
	for (unsigned i = 0; i < count; i++) {
		struct page *page = transaction->dirty;

		transaction->dirty = page->next;
		page->dirty = false;
		pages[i].page = page;
		pages[i].home = page->home;
		memcpy(pages[i].bytes, page->bytes, PAGE_SIZE);
		if (!OBEYS(RULE_KEEP_LOGGED_PAGES))
			vhdx_page_release(page);
	}
	if (count)
		qsort(pages, count, sizeof(*pages), compare_homes);
	*ret_capture = (struct capture){
		.number = transaction->number++,
		.needed_end = transaction->needed_end,
		.data_first = transaction->data_first,
		.count = count,
		.pages = pages,
	};
	transaction->room =
		(unsigned)min_u64(transaction->limit, (uint64_t)2 * transaction->limit - count);
	transaction->dirty_count = dirty - count;
	transaction->data_first = false;
	return 0;
}

static void drop_copies(struct capture *capture)
{
	free(capture->pages);
	capture->pages = NULL;
	capture->count = 0;
}

void vhdx_transaction_take_back(struct transaction *transaction, struct capture *capture)
{
	LOCK_SCOPED(&transaction->cache->lock);
	for (unsigned i = 0; i < capture->count; i++) {
		struct page *page = capture->pages[i].page;

		if (page->dirty || !OBEYS(RULE_NO_SPACE_KEEPS))
			vhdx_page_release(page);
		else
			mark_dirty(transaction, page);
	}
	transaction->data_first |= capture->data_first;
	drop_copies(capture);
}

void vhdx_capture_release(struct transaction *transaction, struct capture *capture)
{
	LOCK_SCOPED(&transaction->cache->lock);
	for (unsigned i = 0; i < capture->count && OBEYS(RULE_KEEP_LOGGED_PAGES); i++)
		vhdx_page_release(capture->pages[i].page);
	drop_copies(capture);
}
