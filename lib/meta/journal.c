/* SPDX-License-Identifier: MIT */
/*
 * The journal (F 4.6): the only writer of logged metadata. A commit captures the open transaction, logs
 * it in one entry, makes that durable, and then applies it in place from the copies. docs/CRASH.md says
 * why every crash between two of these steps leaves a valid image.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "base/guid.h"
#include "base/rules.h"
#include "meta/headers.h"
#include "meta/journal.h"
#include "store/io.h"

/* A transaction takes at most this part of the log. */
#define LOG_PARTS 4u

/* Copies that may wait for their application, in pages: 8 MiB. */
#define MAX_WAITING_PAGES 2048u

/* Pages that are applied by one write. */
#define APPLY_PAGES 64u

/* An entry that is in the log and may still be needed there. */
struct logged {
	struct logged *next;
	uint32_t position;
	bool applied;
	struct capture capture; /* its pages are gone once it is applied */
};

/* ---- Failing ---- */

/* Keeps this thread's last error as the reason why nothing is written any more. Returns @ret. */
static int fail(struct journal *journal, int ret)
{
	LOCK_SCOPED(&journal->lock);
	if (!atomic_load(&journal->failed)) {
		vhdx_error_keep(&journal->failure);
		atomic_store_explicit(&journal->failed, true, memory_order_release);
	}
	return ret;
}

int vhdx_journal_abandon(struct journal *journal, int ret)
{
	return fail(journal, ret);
}

int vhdx_journal_check(const struct journal *journal)
{
	if (!atomic_load_explicit(&journal->failed, memory_order_acquire))
		return 0;
	return vhdx_error_raise(&journal->failure);
}

/* ---- What a completed flush proves ---- */

static void retire_applied(struct journal *journal)
{
	while (journal->oldest && journal->oldest->applied) {
		struct logged *logged = journal->oldest;

		journal->oldest = logged->next;
		if (!journal->oldest)
			journal->newest = &journal->oldest;
		free(logged);
	}
}

/* By the owner, so nothing is applied meanwhile. */
static int flush(struct journal *journal)
{
	int ret = vhdx_image_flush(journal->image);

	if (ret)
		return OBEYS(RULE_FAILURE_STOPS) ? fail(journal, ret) : ret;
	retire_applied(journal);
	return 0;
}

/* ---- Applying ---- */

/* Writes the captured pages from @first on that follow each other in the file: *ret_count of them. */
static int apply_run(struct journal *journal, const struct capture *capture, unsigned first,
		     unsigned *ret_count)
{
	struct iovec iov[APPLY_PAGES];
	uint64_t home = capture->pages[first].home;
	unsigned count = 0;

	while (first + count < capture->count && count < ARRAY_SIZE(iov)) {
		struct captured_page *page = &capture->pages[first + count];

		if (page->home != home + (uint64_t)count * PAGE_SIZE)
			break;
		iov[count++] = (struct iovec){
			OBEYS(RULE_CAPTURE_COPIES) ? page->bytes : page->page->bytes, PAGE_SIZE};
	}
	*ret_count = count;
	int ret = vhdx_io_writev(journal->image->file, iov, (int)count, 0,
				 (uint64_t)count * PAGE_SIZE, home);

	return ret ? vhdx_fail_io(ret, journal->image->name, home,
				  "metadata cannot be written in place")
		   : 0;
}

static int apply_entry(struct journal *journal, struct logged *logged)
{
	int ret = 0;

	for (unsigned i = 0, count; i < logged->capture.count && !ret; i += count)
		ret = apply_run(journal, &logged->capture, i, &count);
	if (error_is_no_space(ret) && !OBEYS(RULE_NO_SPACE_KEEPS))
		ret = 0;
	if (ret)
		return ret;
	vhdx_capture_release(&journal->transaction, &logged->capture);
	logged->applied = true;
	return 0;
}

/* In log order: an entry that finds no space waits, and so do those behind it. */
static int apply_all(struct journal *journal)
{
	int ret = 0;

	for (struct logged *logged = journal->oldest; logged && (!ret || !OBEYS(RULE_APPLY_ORDER));
	     logged = logged->next)
		if (!logged->applied)
			ret = apply_entry(journal, logged);
	return !ret || error_is_no_space(ret) ? ret : fail(journal, ret);
}

/* ---- Logging ---- */

static uint32_t oldest_position(const struct journal *journal)
{
	return journal->oldest ? journal->oldest->position : journal->ring.head;
}

/* An entry of no pages, which needs no other. Durable when it returns. */
static int write_empty_entry(struct journal *journal, uint64_t needed_end)
{
	struct ring_entry entry = {.is_tail = true, .last_file_offset = needed_end};
	int ret = vhdx_log_ring_write(&journal->ring, &entry);

	if (!ret && OBEYS(RULE_ENTRY_BEFORE_HEADER))
		ret = flush(journal);
	if (!ret)
		vhdx_log_ring_durable(&journal->ring, &entry);
	return ret;
}

/* F 4.6: a log that is full is freed by an empty entry in the sector kept for it. */
static int make_room(struct journal *journal, const struct capture *capture)
{
	uint32_t length = vhdx_log_ring_entry_length(capture->count);

	if (length <= vhdx_log_ring_room(&journal->ring, oldest_position(journal)))
		return 0;
	int ret = apply_all(journal);

	if (!ret)
		ret = flush(journal);
	if (ret || length <= vhdx_log_ring_room(&journal->ring, oldest_position(journal)))
		return ret;
	return write_empty_entry(journal, capture->needed_end);
}

static int write_entry(struct journal *journal, const struct capture *capture,
		       struct ring_entry *ret_entry)
{
	int ret = make_room(journal, capture);

	if (ret)
		return ret;
	*ret_entry = (struct ring_entry){
		.capture = capture,
		.tail = oldest_position(journal),
		.is_tail = !journal->oldest || !OBEYS(RULE_TAIL),
		.last_file_offset = OBEYS(RULE_LAST_FILE_OFFSET) ? capture->needed_end
								 : journal->first_end,
	};
	return vhdx_log_ring_write(&journal->ring, ret_entry);
}

/*
 * Logs what was captured, and makes it durable. *ret_logged is set once the entry is in the log: what was
 * captured must not be taken back then.
 */
static int log_capture(struct journal *journal, struct logged *logged, bool *ret_logged)
{
	uint64_t number = logged->capture.number;
	struct ring_entry entry;
	int ret = 0;

	if (logged->capture.data_first && OBEYS(RULE_DATA_FIRST))
		ret = flush(journal);
	if (!ret)
		ret = write_entry(journal, &logged->capture, &entry);
	if (ret)
		return ret;

	*ret_logged = true;
	logged->position = entry.position;
	*journal->newest = logged;
	journal->newest = &logged->next;
	if (!OBEYS(RULE_APPLY_DURABLE))
		apply_all(journal);
	if (OBEYS(RULE_FLUSH_ENTRY))
		ret = flush(journal);
	if (ret)
		return ret;
	vhdx_log_ring_durable(&journal->ring, &entry);
	atomic_store_explicit(&journal->durable, number, memory_order_release);
	return 0;
}

/* Without changes there is nothing to log, and what was freed before is as durable as it was. */
static int commit_nothing(struct journal *journal, uint64_t number)
{
	int ret = flush(journal);

	if (!ret)
		atomic_store_explicit(&journal->durable, number, memory_order_release);
	return ret;
}

static int commit_transaction(struct journal *journal)
{
	struct logged *logged = calloc(1, sizeof(*logged));
	bool is_logged = false;

	if (!logged)
		return vhdx_fail_memory();
	int ret = vhdx_transaction_capture(&journal->transaction, &logged->capture);

	if (!ret && !logged->capture.count)
		ret = commit_nothing(journal, logged->capture.number);
	else if (!ret)
		ret = log_capture(journal, logged, &is_logged);
	if (is_logged)
		return ret;
	vhdx_transaction_take_back(&journal->transaction, &logged->capture);
	free(logged);
	return !ret || error_is_no_space(ret) || ret == -ENOMEM ? ret : fail(journal, ret);
}

/* ---- Rounds ---- */

static unsigned waiting_pages(const struct journal *journal)
{
	unsigned count = 0;

	for (const struct logged *logged = journal->oldest; logged; logged = logged->next)
		count += logged->capture.count;
	return count;
}

/* Ends what others can see of @group, whose turn came: whom it is to serve. Under the lock. */
static struct group_member *take_members(struct journal *journal, struct group *group)
{
	struct group_member *members = group->members;

	group->members = NULL;
	if (journal->begun == group)
		journal->begun = NULL;
	return members;
}

/* All that @group asked for is durable; applying does not concern it. */
static void announce(struct journal *journal, struct group *group)
{
	pthread_mutex_lock(&journal->lock);
	struct group_member *members = take_members(journal, group);

	pthread_mutex_unlock(&journal->lock);
	vhdx_group_serve(members, 0);
}

static int run_round(struct journal *journal, struct group *group)
{
	int ret = apply_all(journal); /* what found no space before */

	if (error_is_no_space(ret) && waiting_pages(journal) < MAX_WAITING_PAGES)
		ret = 0;
	if (ret)
		return ret;
	do
		ret = commit_transaction(journal);
	while (!ret && !OBEYS(RULE_WHOLE_TRANSACTION) && journal->transaction.dirty_count);
	if (ret)
		return ret;
	announce(journal, group);
	/* A failure is kept, and want of space is tried again; the commit is done. */
	apply_all(journal);
	return 0;
}

/* A kernel that merges what many threads flush does it better than threads that wait for each other. */
static unsigned most_flushes(const struct journal *journal)
{
	return (unsigned)max_u64(journal->image->file->parallel_flushes, 1);
}

/* All under the lock. */
static bool is_taken(const struct journal *journal)
{
	return journal->owned || (most_flushes(journal) == 1 && journal->flushes);
}

static void own(struct journal *journal)
{
	while (is_taken(journal))
		pthread_cond_wait(&journal->changed, &journal->lock);
	journal->owned = true;
}

static void disown(struct journal *journal)
{
	journal->owned = false;
	pthread_cond_broadcast(&journal->changed);
}

/* Of a journal that nobody owns: a flush would have nothing to log, and nothing to tell it. */
static bool is_idle(struct journal *journal)
{
	LOCK_SCOPED(&journal->transaction.cache->lock);
	return !journal->transaction.dirty_count && !journal->oldest &&
	       !journal->image->header_unflushed;
}

static int flush_beside(struct journal *journal)
{
	int ret = vhdx_io_flush(journal->image->file);

	if (!ret)
		return 0;
	vhdx_fail_errno(ret, journal->image->name, "cannot be flushed");
	return OBEYS(RULE_FAILURE_STOPS) ? fail(journal, ret) : ret;
}

/* Begins the turn of the group that waits. Under the lock. */
static bool wait_for_turn(struct journal *journal, struct group *group)
{
	bool is_round = true;

	journal->waiting = group;
	while (is_taken(journal) ||
	       (!(is_round = !is_idle(journal)) && journal->flushes == most_flushes(journal)))
		pthread_cond_wait(&journal->changed, &journal->lock);
	journal->waiting = NULL;
	journal->begun = group;
	if (is_round)
		journal->owned = true;
	else
		journal->flushes++;
	return is_round;
}

static void end_turn(struct journal *journal, bool is_round)
{
	if (is_round)
		disown(journal);
	else if (journal->flushes-- == most_flushes(journal))
		pthread_cond_broadcast(&journal->changed);
}

/* Called with the lock held, which it releases. */
static int lead(struct journal *journal)
{
	struct group group = {NULL};
	bool is_round = wait_for_turn(journal, &group);

	pthread_mutex_unlock(&journal->lock);
	int ret = vhdx_journal_check(journal);

	if (!ret)
		ret = is_round ? run_round(journal, &group) : flush_beside(journal);
	pthread_mutex_lock(&journal->lock);
	struct group_member *members = take_members(journal, &group);

	end_turn(journal, is_round);
	pthread_mutex_unlock(&journal->lock);
	vhdx_group_serve(members, ret);
	return ret;
}

/* What has begun may have captured, and flushed, before the caller's change was made. */
static struct group *group_to_join(const struct journal *journal)
{
	return journal->begun && !OBEYS(RULE_JOIN_NEXT_COMMIT) ? journal->begun : journal->waiting;
}

int vhdx_journal_commit(struct journal *journal)
{
	struct group_member member;
	int ret = vhdx_journal_check(journal);

	if (ret)
		return ret;
	pthread_mutex_lock(&journal->lock);
	struct group *group = group_to_join(journal);

	if (!group)
		return lead(journal);
	vhdx_group_join(group, &member);
	pthread_mutex_unlock(&journal->lock);
	return vhdx_group_wait(&member);
}

int vhdx_journal_begin(struct journal *journal, unsigned pages, struct change *ret_change)
{
	int ret = vhdx_journal_check(journal);

	while (!ret && !vhdx_transaction_reserve(&journal->transaction, pages, ret_change))
		ret = vhdx_journal_commit(journal);
	return ret;
}

/* ---- Starting and stopping ---- */

static unsigned transaction_limit(const struct image *image)
{
	uint32_t part = image->log.length / LOG_PARTS;
	unsigned count = TRANSACTION_PAGES;

	while (vhdx_log_ring_entry_length(count) > part)
		count--;
	return count;
}

/* Both headers get @contents; the first is durable when this returns, the second with the next flush. */
static int update_both_headers(struct journal *journal, struct header *contents)
{
	int ret = vhdx_headers_update(journal->image, contents);

	if (!ret && OBEYS(RULE_GUIDS_BEFORE_CHANGE))
		ret = flush(journal);
	if (!OBEYS(RULE_SAME_GUIDS))
		contents->data_write_guid.bytes[0] ^= 1;
	if (!ret)
		ret = vhdx_headers_update(journal->image, contents);
	return ret ? fail(journal, ret) : 0;
}

static struct header current_header(const struct image *image)
{
	return image->headers[image->current];
}

static void init(struct journal *journal, struct image *image, struct page_cache *cache,
		 uint64_t needed_end)
{
	*journal = (struct journal){.image = image, .first_end = needed_end};
	journal->newest = &journal->oldest;
	pthread_mutex_init(&journal->lock, NULL);
	pthread_cond_init(&journal->changed, NULL);
	vhdx_transaction_init(&journal->transaction, cache, transaction_limit(image), needed_end);
	vhdx_log_ring_init(&journal->ring, image);
}

/* Until a header names the LogGuid, the log is nobody's, and a failure changes nothing. */
static int start_log(struct journal *journal)
{
	int ret = journal->image->flushed_size ? 0 : flush(journal);

	if (!ret)
		ret = write_empty_entry(journal, journal->first_end);
	return !ret || error_is_no_space(ret) || ret == -ENOMEM ? ret : fail(journal, ret);
}

int vhdx_journal_start(struct journal *journal, struct image *image, struct page_cache *cache,
		       const struct session_guids *guids, uint64_t needed_end)
{
	struct header header = current_header(image);

	header.log_guid = guids->log;
	header.file_write_guid = guids->file_write;
	if (!guid_is_zero(&guids->data_write))
		header.data_write_guid = guids->data_write;
	init(journal, image, cache, needed_end);
	image->log.guid = guids->log;
	int ret = OBEYS(RULE_ENTRY_BEFORE_HEADER) ? start_log(journal) : 0;

	if (!ret)
		ret = update_both_headers(journal, &header);
	if (!ret && !OBEYS(RULE_ENTRY_BEFORE_HEADER))
		ret = start_log(journal);
	return ret;
}

/* Runs @act as the owner of the journal. */
static int as_owner(struct journal *journal, struct header *header,
		    int (*act)(struct journal *journal, struct header *header))
{
	pthread_mutex_lock(&journal->lock);
	own(journal);
	pthread_mutex_unlock(&journal->lock);
	int ret = act(journal, header);

	LOCK_SCOPED(&journal->lock);
	disown(journal);
	return ret;
}

int vhdx_journal_new_data(struct journal *journal, const struct vhdx_guid *data_write)
{
	struct header header = current_header(journal->image);

	header.data_write_guid = *data_write;
	return as_owner(journal, &header, update_both_headers);
}

/* All is committed. */
static int empty_log(struct journal *journal, struct header *header)
{
	int ret = apply_all(journal);

	if (!ret && journal->oldest && OBEYS(RULE_STOP_APPLIED))
		ret = flush(journal);
	return ret ? ret : update_both_headers(journal, header);
}

int vhdx_journal_stop(struct journal *journal)
{
	struct header header = current_header(journal->image);
	int ret = vhdx_journal_commit(journal);

	header.log_guid = (struct vhdx_guid){{0}};
	if (!ret) /* its apply may have failed, which it does not tell */
		ret = vhdx_journal_check(journal);
	if (!ret)
		ret = as_owner(journal, &header, empty_log);
	return ret ? ret : flush(journal);
}

void vhdx_journal_free(struct journal *journal)
{
	while (journal->oldest) {
		struct logged *logged = journal->oldest;

		journal->oldest = logged->next;
		free(logged->capture.pages);
		free(logged);
	}
	vhdx_error_drop(&journal->failure);
	pthread_cond_destroy(&journal->changed);
	pthread_mutex_destroy(&journal->lock);
}
