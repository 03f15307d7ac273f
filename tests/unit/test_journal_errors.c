/* SPDX-License-Identifier: MIT */
/* The journal when storage fails: want of space loses nothing and is tried again, anything else ends writing. */
#include "support/alloc.h"
#include "support/journalcase.h"

static void fail_writes(struct journal_case *c, uint64_t start, uint64_t end, int error)
{
	c->bad_start = start;
	c->bad_end = end;
	c->error = error;
}

static void fill_log(struct journal_case *c)
{
	fail_writes(c, LOG_OFFSET, LOG_OFFSET + LOG_LENGTH, -ENOSPC);
}

static void fill_pages(struct journal_case *c)
{
	fail_writes(c, HOME, UINT64_MAX, -ENOSPC);
}

static void commit_fails(struct journal_case *c, int error)
{
	assert_int_equal(vhdx_journal_commit(&c->journal), error);
}

/* ---- No space for the log ---- */

static void test_no_space_for_the_log_keeps_the_pages_dirty(void **state)
{
	struct journal_case *c = *state;

	change_page(c, 5, 1);
	change_page(c, 7, 1);
	fill_log(c);
	commit_fails(c, -ENOSPC);
	expect_operations(c, "");
	assert_int_equal(durable(c), 0);
	assert_int_equal(c->journal.transaction.dirty_count, 2);
	assert_int_equal(vhdx_journal_check(&c->journal), 0);
	assert_page(&c->file, 5, 0);
	c->error = 0;
	commit(c);
	expect_operations(c, "LFPP");
	assert_page(&c->file, 5, 1);
	assert_page(&c->file, 7, 1);
}

static void test_an_entry_is_tried_again_at_its_place_with_its_number(void **state)
{
	struct journal_case *c = *state;

	change_page(c, 5, 1);
	/* The first of its two sectors is written, the second one is not. */
	fail_writes(c, LOG_OFFSET + 2 * LOG_SECTOR_SIZE, LOG_OFFSET + LOG_LENGTH, -ENOSPC);
	for (int i = 0; i < 3; i++)
		commit_fails(c, -ENOSPC);
	assert_int_equal(newest_entry(c).position, 0);
	c->error = 0;
	commit(c);
	struct log_span entry = newest_entry(c);

	assert_int_equal(entry.position, LOG_SECTOR_SIZE);
	assert_int_equal(entry.sequence_number, 2);
	assert_true(durable(c) == 4); /* each try was a transaction */
}

static void change_page_5_and_6(struct journal_case *c)
{
	change_page(c, 5, 2);
	change_page(c, 6, 2);
}

static void test_what_came_back_joins_what_changed_meanwhile(void **state)
{
	struct journal_case *c = *state;

	change_page(c, 4, 1);
	change_page(c, 5, 1);
	fill_log(c);
	c->before_next = change_page_5_and_6;
	commit_fails(c, -ENOSPC);
	assert_int_equal(c->journal.transaction.dirty_count, 3);
	c->error = 0;
	commit(c);
	assert_int_equal(newest_entry(c).descriptor_count, 3);
	assert_page(&c->file, 4, 1);
	assert_page(&c->file, 5, 2);
	assert_page(&c->file, 6, 2);
}

static void test_payload_still_goes_first_when_it_is_tried_again(void **state)
{
	struct journal_case *c = *state;

	change_page(c, 5, 1);
	want_data_first(c);
	fill_log(c);
	commit_fails(c, -ENOSPC);
	expect_operations(c, "F");
	c->error = 0;
	change_page(c, 6, 1);
	commit(c);
	expect_operations(c, "FLFP");
}

static uint64_t next_page;

/* As many changes as other threads may make while an entry is written. */
static void change_more(struct journal_case *c)
{
	struct change change;

	while (vhdx_transaction_reserve(&c->journal.transaction, 1, &change)) {
		struct page *page;
		uint64_t index = next_page++ % PAGES;

		assert_int_equal(vhdx_change_hold(&change, &c->map, index, HOME + index * PAGE_SIZE,
						  false, &page),
				 0);
		vhdx_change_enter(&change);
		fill_page(page, 0x77);
		vhdx_change_dirty(&change, page);
		vhdx_change_leave(&change);
		vhdx_change_end(&change);
	}
}

static void test_what_comes_back_again_and_again_still_fits_the_log(void **state)
{
	struct journal_case *c = *state;

	next_page = 0;
	change_more(c);
	fill_log(c);
	for (int i = 0; i < 20; i++) {
		c->before_next = change_more;
		commit_fails(c, -ENOSPC);
		assert_true(c->journal.transaction.dirty_count <= 2 * c->journal.transaction.limit);
		change_more(c);
	}
	c->error = 0;
	commit(c);
	for (size_t i = 0; i < c->recorder.count; i++)
		if (operation_letter(&c->recorder.operations[i]) == 'L')
			assert_true(c->recorder.operations[i].offset +
					    c->recorder.operations[i].length <=
				    LOG_OFFSET + LOG_LENGTH);
	for (uint64_t i = 0; i < next_page; i++)
		assert_page(&c->file, i, 0x77);
	change_page(c, 4000, 1); /* and all goes on */
	commit(c);
	assert_page(&c->file, 4000, 1);
}

/* What a commit takes before it writes: the entry's record, the copies, the entry, its descriptors. */
static void test_no_memory_for_a_commit_is_tried_again(void **state)
{
	struct journal_case *c = *state;

	for (unsigned long nth = 1; nth <= 4; nth++) {
		change_page(c, 5, (uint8_t)nth);
		alloc_fail_nth(nth);
		commit_fails(c, -ENOMEM);
		assert_true(alloc_has_failed());
		alloc_fail_nth(0);
		assert_int_equal(c->journal.transaction.dirty_count, 1);
		assert_int_equal(c->recorder.count, 0);
		commit(c);
		assert_page(&c->file, 5, (uint8_t)nth);
		recorder_clear(&c->recorder);
	}
}

/* ---- No space for what is applied ---- */

static void test_no_space_for_an_apply_does_not_concern_the_commit(void **state)
{
	struct journal_case *c = *state;

	fill_pages(c);
	for (uint8_t i = 1; i < 4; i++) {
		change_page(c, 5, i);
		change_page(c, 10 + i, i);
		commit(c);
		assert_int_equal(durable(c), i);
		assert_int_equal(newest_entry(c).tail, LOG_SECTOR_SIZE);
	}
	expect_operations(c, "LFLFLF");
	assert_page(&c->file, 5, 0);
	c->error = 0;
	commit(c);
	expect_operations(c, "PPPPPPF"); /* each entry, in their order */
	assert_page(&c->file, 5, 3);
	for (uint8_t i = 1; i < 4; i++)
		assert_page(&c->file, 10 + i, i);
}

static void test_an_entry_waits_for_those_before_it(void **state)
{
	struct journal_case *c = *state;

	fail_writes(c, HOME + 5 * PAGE_SIZE, HOME + 6 * PAGE_SIZE, -ENOSPC);
	change_page(c, 3, 1);
	change_page(c, 5, 1);
	commit(c);
	change_page(c, 3, 2);
	commit(c);
	assert_page(&c->file, 3, 1);
	assert_page(&c->file, 5, 0);
	c->error = 0;
	commit(c);
	assert_page(&c->file, 3, 2);
	assert_page(&c->file, 5, 1);
}

static void test_a_log_that_is_full_refuses_commits_and_an_empty_entry_frees_it(void **state)
{
	struct journal_case *c = *state;
	uint8_t committed = 0;
	int ret = 0;

	fill_pages(c);
	while (!ret) { /* each entry is 40 sectors of 256 */
		for (uint64_t i = 0; i < 39; i++)
			change_page(c, 2 * i, committed + 1);
		ret = vhdx_journal_commit(&c->journal);
		if (!ret)
			committed++;
	}
	assert_int_equal(ret, -ENOSPC);
	assert_int_equal(committed, 6);
	assert_int_equal(durable(c), 6);
	assert_int_equal(newest_entry(c).sequence_number, 7);
	assert_int_equal(newest_entry(c).tail, LOG_SECTOR_SIZE);
	commit_fails(c, -ENOSPC);
	assert_int_equal(c->journal.transaction.dirty_count, 39);
	c->error = 0;
	recorder_clear(&c->recorder);
	commit(c);
	assert_int_equal(newest_entry(c).sequence_number, 9); /* the empty one was the eighth */
	for (uint64_t i = 0; i < 39; i++)
		assert_page(&c->file, 2 * i, committed + 1);
}

static void test_a_stop_without_space_leaves_the_log_to_the_next_open(void **state)
{
	struct journal_case *c = *state;

	fill_pages(c);
	change_page(c, 5, 1);
	assert_int_equal(vhdx_journal_stop(&c->journal), -ENOSPC);
	expect_operations(c, "LF");
	assert_int_equal(newest_entry(c).descriptor_count, 1);
	c->error = 0;
	assert_int_equal(vhdx_journal_stop(&c->journal), 0);
	assert_page(&c->file, 5, 1);
}

/* ---- Any other failure ---- */

static void nothing_is_written_any_more(struct journal_case *c, int error)
{
	struct change change;
	size_t before = c->recorder.count;

	c->recorder.error = 0;
	c->error = 0;
	assert_int_equal(vhdx_journal_check(&c->journal), error);
	assert_int_equal(vhdx_last_error()->errnum, error);
	assert_int_equal(vhdx_journal_begin(&c->journal, 1, &change), error);
	assert_int_equal(vhdx_journal_commit(&c->journal), error);
	assert_int_equal(vhdx_journal_stop(&c->journal), error);
	assert_int_equal(c->recorder.count, before);
}

/* Of F L F P, the operations of a commit, the one that is @nth, from 0 on. */
static void fail_operation(struct journal_case *c, size_t nth, int expected)
{
	change_page(c, 5, 1);
	want_data_first(c);
	c->recorder.fail_at = nth;
	c->recorder.fails_once = true;
	c->recorder.error = -EIO;
	assert_int_equal(vhdx_journal_commit(&c->journal), expected);
	assert_true(c->recorder.failed);
	nothing_is_written_any_more(c, -EIO);
}

static void test_a_failed_flush_of_payload_ends_writing(void **state)
{
	fail_operation(*state, 0, -EIO);
}

static void test_a_failed_write_of_the_log_ends_writing(void **state)
{
	fail_operation(*state, 1, -EIO);
}

static void test_a_failed_flush_of_the_log_ends_writing(void **state)
{
	struct journal_case *c = *state;

	fail_operation(c, 2, -EIO);
	assert_int_equal(durable(c), 0);
}

static void test_a_failed_apply_ends_writing_after_a_commit_that_succeeded(void **state)
{
	struct journal_case *c = *state;

	fail_operation(c, 3, 0);
	assert_int_equal(durable(c), 1);
}

/* Who knows what the cache of a disk dropped that has no space for it. */
static void test_a_flush_without_space_ends_writing(void **state)
{
	struct journal_case *c = *state;

	change_page(c, 5, 1);
	c->recorder.fail_at = 1;
	c->recorder.error = -ENOSPC;
	commit_fails(c, -ENOSPC);
	nothing_is_written_any_more(c, -ENOSPC);
}

/* ---- Starting ---- */

static void test_a_start_without_space_for_the_log_can_be_tried_again(void **state)
{
	struct journal_case *c = *state;

	fill_log(c);
	assert_int_equal(case_try_start(c), -ENOSPC);
	assert_int_equal(vhdx_journal_check(&c->journal), 0);
	expect_operations(c, "F"); /* no header */
	vhdx_journal_free(&c->journal);
	c->error = 0;
	assert_int_equal(case_try_start(c), 0);
	assert_int_equal(newest_entry(c).position, 0);
}

static void test_a_start_that_fails_at_a_header_ends_writing(void **state)
{
	struct journal_case *c = *state;

	fail_writes(c, HEADER_2_OFFSET, HEADER_2_OFFSET + 1, -ENOSPC);
	assert_int_equal(case_try_start(c), -ENOSPC);
	expect_operations(c, "FLF1F"); /* one header names the log, whose first entry is there */
	nothing_is_written_any_more(c, -ENOSPC);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		WITH_JOURNAL(test_no_space_for_the_log_keeps_the_pages_dirty),
		WITH_JOURNAL(test_an_entry_is_tried_again_at_its_place_with_its_number),
		WITH_JOURNAL(test_what_came_back_joins_what_changed_meanwhile),
		WITH_JOURNAL(test_payload_still_goes_first_when_it_is_tried_again),
		WITH_JOURNAL(test_what_comes_back_again_and_again_still_fits_the_log),
		WITH_JOURNAL(test_no_memory_for_a_commit_is_tried_again),
		WITH_JOURNAL(test_no_space_for_an_apply_does_not_concern_the_commit),
		WITH_JOURNAL(test_an_entry_waits_for_those_before_it),
		WITH_JOURNAL(test_a_log_that_is_full_refuses_commits_and_an_empty_entry_frees_it),
		WITH_JOURNAL(test_a_stop_without_space_leaves_the_log_to_the_next_open),
		WITH_JOURNAL(test_a_failed_flush_of_payload_ends_writing),
		WITH_JOURNAL(test_a_failed_write_of_the_log_ends_writing),
		WITH_JOURNAL(test_a_failed_flush_of_the_log_ends_writing),
		WITH_JOURNAL(test_a_failed_apply_ends_writing_after_a_commit_that_succeeded),
		WITH_JOURNAL(test_a_flush_without_space_ends_writing),
		WITH_FILE(test_a_start_without_space_for_the_log_can_be_tried_again),
		WITH_FILE(test_a_start_that_fails_at_a_header_ends_writing),
	};

	return RUN_TESTS(tests);
}
