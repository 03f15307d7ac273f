/* SPDX-License-Identifier: MIT */
/* The journal (F 4.6): in which order it writes and flushes, what its entries say, and how it ends. */
#include "support/journalcase.h"

/* ---- Starting ---- */

static struct header header_on_disk(struct journal_case *c, unsigned slot)
{
	uint8_t disk[HEADER_SIZE];
	struct header header;

	sparse_read(&c->file, disk, sizeof(disk), header_offset(slot));
	vhdx_header_decode(disk, sizeof(disk), &header);
	assert_true(header_is_valid(&header));
	return header;
}

static void assert_guids(struct journal_case *c, const struct vhdx_guid *log,
			 const struct vhdx_guid *file_write, const struct vhdx_guid *data_write)
{
	for (unsigned slot = 0; slot < 2; slot++) {
		struct header header = header_on_disk(c, slot);

		assert_memory_equal(&header.log_guid, log, 16);
		assert_memory_equal(&header.file_write_guid, file_write, 16);
		assert_memory_equal(&header.data_write_guid, data_write, 16);
		assert_int_equal(header.log_offset, LOG_OFFSET);
		assert_int_equal(header.log_length, LOG_LENGTH);
	}
}

static void test_the_log_is_durable_before_a_header_names_it(void **state)
{
	struct journal_case *c = *state;

	c->image.header_unflushed = true; /* as of every image that was loaded */
	assert_int_equal(case_try_start(c), 0);
	expect_operations(c, "FLF1F2"); /* the first flush gives a size for FlushedFileOffset */
	assert_guids(c, &c->guids.log, &c->guids.file_write, &c->guids.data_write);
	assert_int_equal(header_on_disk(c, 0).sequence_number, 8);
	assert_int_equal(header_on_disk(c, 1).sequence_number, 9);
	struct log_span first = newest_entry(c);

	assert_int_equal(first.position, 0);
	assert_int_equal(first.tail, 0);
	assert_int_equal(first.descriptor_count, 0);
	assert_int_equal(first.flushed_file_offset, CASE_SIZE);
	assert_int_equal(first.last_file_offset, NEEDED_END);
}

static void test_a_size_that_is_known_to_be_durable_needs_no_flush(void **state)
{
	struct journal_case *c = *state;

	assert_int_equal(vhdx_image_flush(&c->image), 0);
	recorder_clear(&c->recorder);
	assert_int_equal(case_try_start(c), 0);
	expect_operations(c, "LF1F2");
}

static void test_a_session_of_metadata_keeps_the_data_write_guid(void **state)
{
	struct journal_case *c = *state;
	struct vhdx_guid old = c->image.headers[1].data_write_guid;

	c->guids.data_write = (struct vhdx_guid){{0}};
	assert_int_equal(case_try_start(c), 0);
	assert_guids(c, &c->guids.log, &c->guids.file_write, &old);
}

static void test_a_third_update_of_the_headers_brings_the_data_write_guid(void **state)
{
	struct journal_case *c = *state;
	struct vhdx_guid guid;

	put_guid(guid.bytes, "66666666-6666-6666-6666-666666666666");
	assert_int_equal(vhdx_journal_new_data(&c->journal, &guid), 0);
	expect_operations(c, "1F2");
	assert_guids(c, &c->guids.log, &c->guids.file_write, &guid);
	assert_int_equal(header_on_disk(c, 1).sequence_number, 11);
	change_page(c, 0, 1);
	commit(c); /* nobody keeps the journal */
}

static void test_a_header_is_not_written_before_the_other_one_is_durable(void **state)
{
	struct journal_case *c = *state;

	assert_int_equal(case_try_start(c), 0);
	recorder_clear(&c->recorder);
	assert_int_equal(vhdx_journal_new_data(&c->journal, &c->guids.file_write), 0);
	expect_operations(c, "F1F2");
}

/* ---- Committing ---- */

static void test_a_commit_of_nothing_is_one_flush(void **state)
{
	struct journal_case *c = *state;

	commit(c);
	expect_operations(c, "F");
	commit(c);
	expect_operations(c, "F");
}

static void test_a_commit_logs_flushes_and_applies(void **state)
{
	struct journal_case *c = *state;

	change_page(c, 5, 0xaa);
	change_page(c, 9, 0xbb);
	change_page(c, 5, 0xcc);
	expect_operations(c, ""); /* a change costs nothing */
	commit(c);
	expect_operations(c, "LFPP");
	assert_page(&c->file, 5, 0xcc);
	assert_page(&c->file, 9, 0xbb);
	assert_int_equal(newest_entry(c).descriptor_count, 2);
	commit(c); /* nothing is applied twice */
	expect_operations(c, "F");
}

static void test_payload_that_goes_first_costs_one_more_flush_once(void **state)
{
	struct journal_case *c = *state;

	change_page(c, 5, 0xaa);
	want_data_first(c);
	commit(c);
	expect_operations(c, "FLFP");
	change_page(c, 5, 0xab);
	commit(c);
	expect_operations(c, "LFP");
}

static void test_pages_that_follow_each_other_are_applied_by_one_write(void **state)
{
	struct journal_case *c = *state;
	static const uint64_t order[] = {12, 10, 11, 20, 13, 22};

	for (size_t i = 0; i < ARRAY_SIZE(order); i++)
		change_page(c, order[i], (uint8_t)order[i]);
	commit(c);
	assert_int_equal(c->recorder.count, 5);
	assert_int_equal(c->recorder.operations[2].offset, HOME + 10 * PAGE_SIZE);
	assert_int_equal(c->recorder.operations[2].length, 4 * PAGE_SIZE);
	expect_operations(c, "LFPPP");
	for (size_t i = 0; i < ARRAY_SIZE(order); i++)
		assert_page(&c->file, order[i], (uint8_t)order[i]);
}

static void change_page_5(struct journal_case *c)
{
	change_page(c, 5, 0x22);
	change_page(c, 6, 0x22);
}

static void change_at_flush(struct journal_case *c)
{
	c->before_next = change_page_5;
}

static void test_what_changes_after_the_capture_waits_for_the_next_commit(void **state)
{
	struct journal_case *c = *state;

	change_page(c, 5, 0x11);
	c->before_next = change_page_5; /* before the log is written */
	commit(c);
	assert_page(&c->file, 5, 0x11);
	assert_page(&c->file, 6, 0);
	assert_int_equal(newest_entry(c).descriptor_count, 1);
	commit(c);
	assert_page(&c->file, 5, 0x22);
	assert_page(&c->file, 6, 0x22);
	change_page(c, 5, 0x33);
	c->before_next = change_at_flush; /* between the log's write and its flush */
	commit(c);
	assert_page(&c->file, 5, 0x33);
	commit(c);
	assert_page(&c->file, 5, 0x22);
}

static void test_tail_names_the_oldest_entry_whose_application_may_be_lost(void **state)
{
	struct journal_case *c = *state;
	uint32_t positions[4];

	for (int i = 0; i < 4; i++) {
		change_page(c, 5, (uint8_t)i);
		if (i == 3)
			want_data_first(c); /* that flush covers what was applied before */
		commit(c);
		struct log_span entry = newest_entry(c);

		positions[i] = entry.position;
		assert_int_equal(entry.tail, positions[i == 0 || i == 3 ? i : i - 1]);
		assert_int_equal(entry.sequence_number, 2 + i);
	}
	commit(c); /* which is a flush, too */
	change_page(c, 5, 9);
	commit(c);
	struct log_span entry = newest_entry(c);

	assert_int_equal(entry.tail, entry.position);
}

static void test_the_number_says_what_is_durable(void **state)
{
	struct journal_case *c = *state;

	assert_int_equal(durable(c), 0);
	change_page(c, 5, 1);
	commit(c);
	assert_int_equal(durable(c), 1);
	change_page(c, 5, 2);
	commit(c);
	assert_int_equal(durable(c), 2);
	change_page(c, 5, 3);
	commit(c);
	assert_int_equal(durable(c), 3);
	commit(c); /* writes no entry */
	assert_int_equal(durable(c), 4);
	change_page(c, 5, 4);
	commit(c);
	assert_int_equal(durable(c), 5);
}

static void test_last_file_offset_is_that_of_what_was_captured(void **state)
{
	struct journal_case *c = *state;
	struct change change;

	change_page(c, 5, 1);
	assert_int_equal(vhdx_journal_begin(&c->journal, 1, &change), 0);
	vhdx_change_enter(&change);
	vhdx_change_needs(&change, NEEDED_END + 1);
	vhdx_change_needs(&change, HOME); /* less changes nothing */
	vhdx_change_leave(&change);
	vhdx_change_end(&change);
	commit(c);
	assert_int_equal(newest_entry(c).last_file_offset, NEEDED_END + MIB);
}

static void test_flushed_file_offset_is_the_size_when_the_last_flush_began(void **state)
{
	struct journal_case *c = *state;

	image_set_view_size(&c->image, 400 * MIB);
	change_page(c, 5, 1);
	commit(c);
	assert_int_equal(newest_entry(c).flushed_file_offset, CASE_SIZE);
	change_page(c, 5, 2);
	commit(c);
	assert_int_equal(newest_entry(c).flushed_file_offset, 400 * MIB);
}

static void test_a_change_that_does_not_fit_commits_the_others_first(void **state)
{
	struct journal_case *c = *state;
	unsigned limit = c->journal.transaction.limit;

	assert_int_equal(vhdx_log_ring_entry_length(limit), LOG_LENGTH / 4);
	for (unsigned i = 0; i < limit; i++)
		change_page(c, 2 * i, 1);
	expect_operations(c, "");
	change_page(c, 1001, 2);
	assert_int_equal(newest_entry(c).descriptor_count, limit);
	assert_int_equal(c->journal.transaction.dirty_count, 1);
	assert_page(&c->file, 1001, 0);
}

/* Ever new sizes, so that entries begin, wrap and end everywhere. */
static void test_the_log_goes_round_and_round(void **state)
{
	struct journal_case *c = *state;
	uint64_t at = 0;

	for (unsigned round = 0; round < 400; round++) {
		unsigned count = 1 + round * 7 % 60;
		uint8_t value = (uint8_t)(round + 1);

		for (unsigned i = 0; i < count; i++)
			change_page(c, (at + i) % PAGES, value);
		commit(c);
		struct log_span entry = newest_entry(c);

		assert_int_equal(entry.descriptor_count, count);
		for (unsigned i = 0; i < count; i++)
			assert_page(&c->file, (at + i) % PAGES, value);
		at += count;
		recorder_clear(&c->recorder);
	}
}

/* ---- Stopping ---- */

static void test_a_stop_applies_all_before_both_headers_forget_the_log(void **state)
{
	struct journal_case *c = *state;
	struct vhdx_guid none = {{0}};

	change_page(c, 5, 1);
	commit(c);
	change_page(c, 6, 2);
	recorder_clear(&c->recorder);
	assert_int_equal(vhdx_journal_stop(&c->journal), 0);
	expect_operations(c, "LFPF1F2F");
	assert_guids(c, &none, &c->guids.file_write, &c->guids.data_write);
	assert_page(&c->file, 5, 1);
	assert_page(&c->file, 6, 2);
	assert_false(c->image.header_unflushed);
}

static void test_a_stop_without_changes_writes_two_headers(void **state)
{
	struct journal_case *c = *state;

	assert_int_equal(vhdx_journal_stop(&c->journal), 0);
	expect_operations(c, "F1F2F");
}

static void test_after_a_stop_another_session_can_start(void **state)
{
	struct journal_case *c = *state;

	change_page(c, 5, 1);
	assert_int_equal(vhdx_journal_stop(&c->journal), 0);
	vhdx_journal_free(&c->journal);
	put_guid(c->guids.log.bytes, "77777777-7777-7777-7777-777777777777");
	recorder_clear(&c->recorder);
	assert_int_equal(case_try_start(c), 0);
	expect_operations(c, "LF1F2");
	change_page(c, 5, 2);
	commit(c);
	struct log_span entry = newest_entry(c);

	assert_int_equal(entry.position, LOG_SECTOR_SIZE);
	assert_int_equal(entry.sequence_number, 2);
	assert_page(&c->file, 5, 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		WITH_FILE(test_the_log_is_durable_before_a_header_names_it),
		WITH_FILE(test_a_size_that_is_known_to_be_durable_needs_no_flush),
		WITH_FILE(test_a_session_of_metadata_keeps_the_data_write_guid),
		WITH_JOURNAL(test_a_third_update_of_the_headers_brings_the_data_write_guid),
		WITH_FILE(test_a_header_is_not_written_before_the_other_one_is_durable),
		WITH_JOURNAL(test_a_commit_of_nothing_is_one_flush),
		WITH_JOURNAL(test_a_commit_logs_flushes_and_applies),
		WITH_JOURNAL(test_payload_that_goes_first_costs_one_more_flush_once),
		WITH_JOURNAL(test_pages_that_follow_each_other_are_applied_by_one_write),
		WITH_JOURNAL(test_what_changes_after_the_capture_waits_for_the_next_commit),
		WITH_JOURNAL(test_tail_names_the_oldest_entry_whose_application_may_be_lost),
		WITH_JOURNAL(test_the_number_says_what_is_durable),
		WITH_JOURNAL(test_last_file_offset_is_that_of_what_was_captured),
		WITH_JOURNAL(test_flushed_file_offset_is_the_size_when_the_last_flush_began),
		WITH_JOURNAL(test_a_change_that_does_not_fit_commits_the_others_first),
		WITH_JOURNAL(test_the_log_goes_round_and_round),
		WITH_JOURNAL(test_a_stop_applies_all_before_both_headers_forget_the_log),
		WITH_JOURNAL(test_a_stop_without_changes_writes_two_headers),
		WITH_JOURNAL(test_after_a_stop_another_session_can_start),
	};

	return RUN_TESTS(tests);
}
