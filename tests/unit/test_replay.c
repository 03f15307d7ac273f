/* SPDX-License-Identifier: MIT */
/* The replay of a log in memory (F 4.4): sizes, targets, what is refused. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "meta/replay.h"
#include "store/io.h"
#include "support/log.h"
#include "support/store.h"
#include "support/unit.h"

/* A file of 8 MiB whose log is at 1 MiB. */
struct replay_case {
	struct sparse file;
	struct log_place place;
	struct test_store store;
	struct vhdx_io io;
	struct log_scan scan;
	struct vhdx_io view;
	uint64_t size;
	struct fault fault;
	uint64_t position; /* of the next entry */
	uint64_t sequence;
};

static int make(void **state)
{
	struct replay_case *c = calloc(1, sizeof(*c));

	c->place = (struct log_place){.offset = MIB, .length = MIB};
	put_guid(c->place.guid.bytes, "e6fc743c-81ed-4fe8-bf54-698ed57ba0b8");
	sparse_resize(&c->file, 8 * MIB);
	c->store.bytes = &c->file;
	c->io = test_store_io(&c->store, true);
	c->sequence = 1;
	*state = c;
	return 0;
}

static int drop(void **state)
{
	struct replay_case *c = *state;

	vhdx_io_close(&c->view);
	vhdx_log_scan_free(&c->scan);
	sparse_free(&c->file);
	free(c);
	return 0;
}

/* An entry that goes on from the one before, all of which are active. */
static void put(struct replay_case *c, uint64_t flushed, uint64_t last,
		const struct log_change_spec *changes, uint32_t count)
{
	struct log_entry_spec spec = {.sequence = c->sequence++, .flushed = flushed, .last = last};
	uint8_t *bytes;

	memcpy(spec.guid, c->place.guid.bytes, 16);
	size_t size = log_entry_make(&spec, changes, count, &bytes);

	log_put(&c->file, (struct area){MIB, MIB}, c->position, bytes, size);
	free(bytes);
	c->position += size;
}

static int replay(struct replay_case *c)
{
	assert_int_equal(vhdx_log_scan(&c->io, &c->place, &c->scan), 0);
	assert_true(c->scan.active_count > 0);
	return vhdx_replay_view(&c->io, c->file.size, &c->place, &c->scan, &c->view, &c->size,
				&c->fault);
}

static uint8_t view_byte(struct replay_case *c, uint64_t offset)
{
	uint8_t byte;

	assert_int_equal(vhdx_io_read(&c->view, &byte, 1, offset), 0);
	return byte;
}

static void test_a_file_shorter_than_its_log_says_is_refused(void **state)
{
	struct replay_case *c = *state;

	put(c, 9 * MIB, 9 * MIB, NULL, 0);
	assert_int_equal(replay(c), -EUCLEAN);
	assert_int_equal(c->fault.problem, PROBLEM_LOG_TRUNCATED_FILE);
	assert_non_null(strstr(c->fault.text, "expected"));
}

static void test_a_file_of_just_the_flushed_size_is_taken(void **state)
{
	struct replay_case *c = *state;

	put(c, 8 * MIB, 8 * MIB, NULL, 0);
	assert_int_equal(replay(c), 0);
	assert_int_equal(c->size, 8 * MIB);
}

static void test_a_file_one_byte_short_is_refused(void **state)
{
	struct replay_case *c = *state;

	put(c, 8 * MIB, 8 * MIB, NULL, 0);
	sparse_resize(&c->file, 8 * MIB - 1);
	assert_int_equal(replay(c), -EUCLEAN);
}

/* Only the head counts: an older entry may know a larger file. */
static void test_flushed_sizes_of_older_entries_do_not_count(void **state)
{
	struct replay_case *c = *state;

	put(c, 100 * MIB, 100 * MIB, NULL, 0);
	put(c, 8 * MIB, 8 * MIB, NULL, 0);
	assert_int_equal(replay(c), 0);
	assert_int_equal(c->size, 8 * MIB);
}

static void test_the_file_grows_to_the_last_offset_with_zeros(void **state)
{
	struct replay_case *c = *state;

	put(c, 4 * MIB, 36 * MIB, NULL, 0);
	assert_int_equal(replay(c), 0);
	assert_int_equal(c->size, 36 * MIB);
	assert_int_equal(view_byte(c, 36 * MIB - 1), 0);
}

static void test_the_file_never_shrinks(void **state)
{
	struct replay_case *c = *state;

	sparse_write(&c->file, "x", 1, 8 * MIB - 1);
	put(c, 2 * MIB, 2 * MIB, NULL, 0);
	assert_int_equal(replay(c), 0);
	assert_int_equal(c->size, 8 * MIB);
	assert_int_equal(view_byte(c, 8 * MIB - 1), 'x');
}

static void test_later_changes_cover_earlier_ones(void **state)
{
	struct replay_case *c = *state;
	static const uint8_t ones[4096] = {1, [4095] = 1};
	static const uint8_t twos[4096] = {2, [4095] = 2};
	struct log_change_spec first[] = {
		{4 * MIB, 0, ones}, {5 * MIB, 0, ones}, {5 * MIB, 8192, NULL}};
	struct log_change_spec second[] = {{4 * MIB, 0, twos}};

	put(c, 8 * MIB, 8 * MIB, first, 3);
	put(c, 8 * MIB, 8 * MIB, second, 1);
	assert_int_equal(replay(c), 0);
	assert_int_equal(view_byte(c, 4 * MIB), 2);
	assert_int_equal(view_byte(c, 4 * MIB + 4095), 2);
	assert_int_equal(view_byte(c, 5 * MIB), 0);
}

static void test_a_target_behind_the_end_of_the_file_is_refused(void **state)
{
	struct replay_case *c = *state;
	static const uint8_t page[4096] = {1};
	struct log_change_spec change = {9 * MIB, 0, page};

	put(c, 8 * MIB, 9 * MIB, &change, 1);
	assert_int_equal(replay(c), -EUCLEAN);
	assert_int_equal(c->fault.problem, PROBLEM_LOG_TARGET);
}

static void test_a_target_in_what_the_log_adds_to_the_file_is_taken(void **state)
{
	struct replay_case *c = *state;
	static const uint8_t page[4096] = {7};
	struct log_change_spec change = {9 * MIB, 0, page};

	put(c, 8 * MIB, 10 * MIB, &change, 1);
	assert_int_equal(replay(c), 0);
	assert_int_equal(view_byte(c, 9 * MIB), 7);
}

static void test_zeros_over_the_end_of_the_file_are_refused(void **state)
{
	struct replay_case *c = *state;
	struct log_change_spec change = {8 * MIB - 4096, 8192, NULL};

	put(c, 8 * MIB, 8 * MIB, &change, 1);
	assert_int_equal(replay(c), -EUCLEAN);
	assert_int_equal(c->fault.problem, PROBLEM_LOG_TARGET);
}

static void test_the_last_page_of_a_file_of_any_length_can_be_a_target(void **state)
{
	struct replay_case *c = *state;
	static const uint8_t page[4096] = {7, [99] = 8};
	struct log_change_spec change = {8 * MIB, 0, page};

	sparse_resize(&c->file, 8 * MIB + 100);
	put(c, 8 * MIB, 8 * MIB, &change, 1);
	assert_int_equal(replay(c), 0);
	assert_int_equal(c->size, 8 * MIB + 100);
	assert_int_equal(view_byte(c, 8 * MIB + 99), 8);
}

static void test_the_file_itself_stays_as_it_is(void **state)
{
	struct replay_case *c = *state;
	static const uint8_t page[4096] = {7};
	struct log_change_spec change = {4 * MIB, 0, page};
	uint8_t byte;

	put(c, 8 * MIB, 9 * MIB, &change, 1);
	assert_int_equal(replay(c), 0);
	sparse_read(&c->file, &byte, 1, 4 * MIB);
	assert_int_equal(byte, 0);
	assert_int_equal(c->store.changes, 0);
	assert_null(c->view.pwritev);
}

int main(void)
{
#define WITH_LOG(test) cmocka_unit_test_setup_teardown(test, make, drop)
	const struct CMUnitTest tests[] = {
		WITH_LOG(test_a_file_shorter_than_its_log_says_is_refused),
		WITH_LOG(test_a_file_of_just_the_flushed_size_is_taken),
		WITH_LOG(test_a_file_one_byte_short_is_refused),
		WITH_LOG(test_flushed_sizes_of_older_entries_do_not_count),
		WITH_LOG(test_the_file_grows_to_the_last_offset_with_zeros),
		WITH_LOG(test_the_file_never_shrinks),
		WITH_LOG(test_later_changes_cover_earlier_ones),
		WITH_LOG(test_a_target_behind_the_end_of_the_file_is_refused),
		WITH_LOG(test_a_target_in_what_the_log_adds_to_the_file_is_taken),
		WITH_LOG(test_zeros_over_the_end_of_the_file_are_refused),
		WITH_LOG(test_the_last_page_of_a_file_of_any_length_can_be_a_target),
		WITH_LOG(test_the_file_itself_stays_as_it_is),
	};

	return RUN_TESTS(tests);
}
