/* SPDX-License-Identifier: MIT */
/* The search for the active sequence (F 4.3) in logs built entry by entry. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "meta/logscan.h"
#include "support/log.h"
#include "support/store.h"
#include "support/unit.h"

#define SECTOR 4096u

/* A log at 1 MiB of a file, empty at first. */
struct ring {
	struct sparse file;
	struct log_place place;
	struct test_store store;
	struct vhdx_io io;
	struct log_scan scan;
};

static int make_ring(void **state)
{
	struct ring *ring = calloc(1, sizeof(*ring));

	ring->place = (struct log_place){.offset = MIB, .length = MIB};
	put_guid(ring->place.guid.bytes, "e6fc743c-81ed-4fe8-bf54-698ed57ba0b8");
	sparse_resize(&ring->file, 2 * MIB);
	ring->store.bytes = &ring->file;
	ring->io = test_store_io(&ring->store, false);
	*state = ring;
	return 0;
}

static int drop_ring(void **state)
{
	struct ring *ring = *state;

	vhdx_log_scan_free(&ring->scan);
	sparse_free(&ring->file);
	free(ring);
	return 0;
}

/* Writes an entry of @data pages at sector @at; returns the sector behind it, not wrapped. */
static uint32_t put(struct ring *ring, uint32_t at, uint64_t sequence, uint32_t tail, uint32_t data)
{
	static const uint8_t page[4096] = {1, 2, 3};
	struct log_entry_spec spec = {
		.tail = tail * SECTOR, .sequence = sequence, .flushed = MIB, .last = 5 * MIB};
	struct log_change_spec *changes = calloc(data + 1, sizeof(*changes));
	uint8_t *bytes;

	for (uint32_t i = 0; i < data; i++)
		changes[i] = (struct log_change_spec){8 * MIB + i * 4096, 0, page};
	memcpy(spec.guid, ring->place.guid.bytes, 16);
	size_t size = log_entry_make(&spec, changes, data, &bytes);

	log_put(&ring->file, (struct area){ring->place.offset, ring->place.length},
		(uint64_t)at * SECTOR, bytes, size);
	free(changes);
	free(bytes);
	return at + (uint32_t)(size / SECTOR);
}

static void flip(struct ring *ring, uint32_t sector, uint32_t byte)
{
	uint8_t value;
	uint64_t at = ring->place.offset + (uint64_t)sector * SECTOR + byte;

	sparse_read(&ring->file, &value, 1, at);
	value ^= 1;
	sparse_write(&ring->file, &value, 1, at);
}

static void scan(struct ring *ring)
{
	vhdx_log_scan_free(&ring->scan);
	assert_int_equal(vhdx_log_scan(&ring->io, &ring->place, &ring->scan), 0);
}

/* The active sequence is those @count numbers that end with @head. */
static void check_active(struct ring *ring, uint64_t head, size_t count)
{
	scan(ring);
	assert_int_equal(ring->scan.active_count, count);
	for (size_t i = 0; i < count; i++)
		assert_true(ring->scan.spans[ring->scan.active[i]].sequence_number ==
			    head - count + 1 + i);
}

static void test_an_empty_log_has_no_sequence(void **state)
{
	check_active(*state, 0, 0);
}

static void test_one_empty_entry_is_a_sequence(void **state)
{
	put(*state, 17, 5, 17, 0);
	check_active(*state, 5, 1);
}

static void test_replay_begins_at_the_heads_tail(void **state)
{
	put(*state, put(*state, put(*state, put(*state, 0, 7, 0, 0), 8, 0, 1), 9, 3, 1), 10, 3, 1);
	check_active(*state, 10, 2); /* 9 at sector 3, and 10 */
}

static void test_a_sequence_goes_on_over_the_end_of_the_log(void **state)
{
	put(*state, put(*state, put(*state, 250, 100, 250, 2), 101, 250, 5) % 256, 102, 250, 3);
	check_active(*state, 102, 3);
}

static void test_an_entry_lies_over_the_end_of_the_log(void **state)
{
	put(*state, 255, 100, 255, 3);
	check_active(*state, 100, 1);
	assert_int_equal(((struct ring *)*state)->scan.spans[0].position, 255 * SECTOR);
}

static void test_a_full_log(void **state)
{
	for (uint32_t i = 0; i < 128; i++)
		put(*state, (2 * i + 51) % 256, 1000 + i, 51, 1);
	check_active(*state, 1127, 128);
}

static void test_a_full_log_whose_run_begins_at_its_start(void **state)
{
	for (uint32_t i = 0; i < 256; i++)
		put(*state, i, 1 + i, 0, 0);
	check_active(*state, 256, 256);
}

static void test_an_entry_that_fills_the_whole_log(void **state)
{
	assert_int_equal(put(*state, 9, 77, 9, 254), 9 + 256);
	check_active(*state, 77, 1);
}

static void test_a_gap_ends_the_run(void **state)
{
	put(*state, put(*state, put(*state, 0, 5, 0, 1), 6, 0, 1), 99, 0,
	    1); /* 99 continues nothing, and its tail is not its own */
	check_active(*state, 6, 2);
}

static void test_after_a_gap_a_newer_sequence_stands_for_itself(void **state)
{
	put(*state, put(*state, put(*state, 0, 5, 0, 1), 6, 0, 1), 99, 4, 1);
	check_active(*state, 99, 1);
}

static void test_a_torn_head_leaves_the_sequence_before_it(void **state)
{
	struct ring *ring = *state;
	static const uint32_t bytes[] = {4, 12, 40, 80, 4095, 4096, 5000, 8191};

	put(ring, put(ring, put(ring, 0, 5, 0, 1), 6, 0, 1), 7, 2, 1);
	for (size_t i = 0; i < sizeof(bytes) / sizeof(bytes[0]); i++) {
		flip(ring, 4 + bytes[i] / SECTOR, bytes[i] % SECTOR);
		check_active(ring, 6, 2);
		flip(ring, 4 + bytes[i] / SECTOR, bytes[i] % SECTOR);
	}
	check_active(ring, 7, 2);
}

static void test_a_torn_middle_leaves_nothing_for_a_head_that_needs_it(void **state)
{
	put(*state, put(*state, put(*state, 0, 5, 0, 1), 6, 0, 1), 7, 0, 1);
	flip(*state, 2, 100);
	check_active(*state, 5, 1);
}

static void test_of_two_sequences_the_greater_number_counts(void **state)
{
	put(*state, put(*state, 0, 5, 0, 1), 6, 0, 1);
	put(*state, put(*state, 100, 3, 100, 1), 4, 100, 1);
	check_active(*state, 6, 2);
}

static void test_of_two_sequences_the_greater_number_counts_wherever_it_is(void **state)
{
	put(*state, put(*state, 0, 5, 0, 1), 6, 0, 1);
	put(*state, put(*state, 100, 7, 100, 1), 8, 100, 1);
	check_active(*state, 8, 2);
}

static void test_numbers_are_compared_without_sign(void **state)
{
	put(*state, 0, (uint64_t)1 << 63, 0, 1);
	put(*state, 100, 5, 100, 1);
	check_active(*state, (uint64_t)1 << 63, 1);
}

static void test_a_tail_outside_the_run_makes_it_incomplete(void **state)
{
	put(*state, 0, 50, 8, 1);
	put(*state, 8, 20, 8, 1);
	check_active(*state, 20, 1);
}

static void test_a_tail_inside_an_entry_makes_it_incomplete(void **state)
{
	put(*state, put(*state, 0, 5, 0, 3), 6, 2, 1);
	check_active(*state, 0, 0);
}

static void test_tails_of_older_entries_do_not_matter(void **state)
{
	put(*state, put(*state, put(*state, 0, 5, 200, 1), 6, 100, 1), 7, 2, 1);
	check_active(*state, 7, 2);
}

static void test_entries_of_other_sessions_are_not_seen(void **state)
{
	struct ring *ring = *state;

	ring->place.guid.bytes[5] ^= 1;
	put(ring, 10, 1000, 10, 1);
	ring->place.guid.bytes[5] ^= 1;
	put(ring, 0, 5, 0, 1);
	check_active(ring, 5, 1);
	assert_int_equal(ring->scan.count, 1);
}

static void test_the_greatest_number_has_no_successor(void **state)
{
	put(*state, put(*state, 0, UINT64_MAX - 1, 0, 1), UINT64_MAX, 0, 1);
	check_active(*state, UINT64_MAX, 2);
}

static void test_an_entry_whose_count_is_not_that_of_its_sectors_is_none(void **state)
{
	struct ring *ring = *state;
	uint8_t bytes[3 * 4096];

	put(ring, 0, 5, 0, 2);
	sparse_read(&ring->file, bytes, sizeof(bytes), MIB);
	put_number(bytes + 24, 1, 4); /* one descriptor, two data sectors */
	put_number(bytes + 4, slow_crc32c_structure(bytes, sizeof(bytes)), 4);
	sparse_write(&ring->file, bytes, sizeof(bytes), MIB);
	check_active(ring, 0, 0);
}

static void test_bytes_behind_the_last_descriptor_are_ignored(void **state)
{
	struct ring *ring = *state;
	uint8_t bytes[2 * 4096];

	put(ring, 0, 5, 0, 1);
	sparse_read(&ring->file, bytes, sizeof(bytes), MIB);
	memset(bytes + 96, 0xee, 4000);
	put_number(bytes + 4, slow_crc32c_structure(bytes, sizeof(bytes)), 4);
	sparse_write(&ring->file, bytes, sizeof(bytes), MIB);
	check_active(ring, 5, 1);
}

static void test_more_than_126_descriptors_go_on_in_more_sectors(void **state)
{
	static const uint32_t counts[] = {126, 127, 128, 200, 251};

	for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
		put(*state, 200, 5 + i, 200, counts[i]);
		check_active(*state, 5 + i, 1);
		assert_int_equal(((struct ring *)*state)->scan.spans[0].descriptor_count,
				 counts[i]);
	}
}

static void test_a_storage_error_ends_the_search(void **state)
{
	struct ring *ring = *state;

	put(ring, 0, 5, 0, 1);
	ring->store.fail_from = 2;
	ring->store.fail_to = 2;
	ring->store.error = -EIO;
	assert_int_equal(vhdx_log_scan(&ring->io, &ring->place, &ring->scan), -EIO);
	assert_int_equal(ring->scan.count, 0);
}

/* A log of 16 MiB, full of single entries. */
static void test_thousands_of_entries_are_read_a_few_times_at_most(void **state)
{
	struct ring *ring = *state;

	ring->place.length = 16 * MIB;
	sparse_resize(&ring->file, 17 * MIB);
	for (uint32_t i = 0; i < 4095; i++)
		put(ring, i, 1 + i, 0, 0);
	check_active(ring, 4095, 4095);
	assert_true(ring->store.read_bytes <= 3 * 16 * MIB);
}

/* A log of 1 GiB, of which the file holds one entry, over its end. */
static void test_the_holes_of_a_log_are_not_read(void **state)
{
	struct ring *ring = *state;

	ring->io = test_store_io(&ring->store, true);
	ring->place = (struct log_place){16 * MIB, 1024 * MIB, ring->place.guid};
	sparse_resize(&ring->file, 1040 * MIB);
	put(ring, 262143, 5, 262143, 3);
	check_active(ring, 5, 1);
	assert_true(ring->store.read_bytes <= 2 * MIB);
}

/* Each sector claims to be a large entry, and what follows never bears it out. */
static void test_false_beginnings_cost_no_more_than_a_few_passes(void **state)
{
	struct ring *ring = *state;
	uint8_t sector[4096] = {0};

	ring->place.length = 16 * MIB;
	sparse_resize(&ring->file, 17 * MIB);
	put(ring, 0, 5, 0, 200);
	for (uint32_t at = 0; at + 256 < 4096; at += 100) {
		put(ring, at, 5, at, 99 - 1); /* whole but for its checksum */
		flip(ring, at + 99, 100);
		sparse_read(&ring->file, sector, 4096, MIB + (uint64_t)at * SECTOR);
	}
	check_active(ring, 0, 0);
	assert_true(ring->store.read_bytes <= 6 * 16 * MIB);
}

int main(void)
{
#define WITH_RING(test) cmocka_unit_test_setup_teardown(test, make_ring, drop_ring)
	const struct CMUnitTest tests[] = {
		WITH_RING(test_an_empty_log_has_no_sequence),
		WITH_RING(test_one_empty_entry_is_a_sequence),
		WITH_RING(test_replay_begins_at_the_heads_tail),
		WITH_RING(test_a_sequence_goes_on_over_the_end_of_the_log),
		WITH_RING(test_an_entry_lies_over_the_end_of_the_log),
		WITH_RING(test_a_full_log),
		WITH_RING(test_a_full_log_whose_run_begins_at_its_start),
		WITH_RING(test_an_entry_that_fills_the_whole_log),
		WITH_RING(test_a_gap_ends_the_run),
		WITH_RING(test_after_a_gap_a_newer_sequence_stands_for_itself),
		WITH_RING(test_a_torn_head_leaves_the_sequence_before_it),
		WITH_RING(test_a_torn_middle_leaves_nothing_for_a_head_that_needs_it),
		WITH_RING(test_of_two_sequences_the_greater_number_counts),
		WITH_RING(test_of_two_sequences_the_greater_number_counts_wherever_it_is),
		WITH_RING(test_numbers_are_compared_without_sign),
		WITH_RING(test_a_tail_outside_the_run_makes_it_incomplete),
		WITH_RING(test_a_tail_inside_an_entry_makes_it_incomplete),
		WITH_RING(test_tails_of_older_entries_do_not_matter),
		WITH_RING(test_entries_of_other_sessions_are_not_seen),
		WITH_RING(test_the_greatest_number_has_no_successor),
		WITH_RING(test_an_entry_whose_count_is_not_that_of_its_sectors_is_none),
		WITH_RING(test_bytes_behind_the_last_descriptor_are_ignored),
		WITH_RING(test_more_than_126_descriptors_go_on_in_more_sectors),
		WITH_RING(test_a_storage_error_ends_the_search),
		WITH_RING(test_thousands_of_entries_are_read_a_few_times_at_most),
		WITH_RING(test_the_holes_of_a_log_are_not_read),
		WITH_RING(test_false_beginnings_cost_no_more_than_a_few_passes),
	};

	return RUN_TESTS(tests);
}
