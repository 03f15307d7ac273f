/* SPDX-License-Identifier: MIT */
/* The log's ring: entries that a reader finds wherever they begin and wrap, and the room that is left. */
#include "support/journalcase.h"
#include "support/random.h"

#define SECTORS (LOG_LENGTH / LOG_SECTOR_SIZE)

static struct log_ring make_ring(struct journal_case *c)
{
	struct log_ring ring;

	c->image.log.guid = c->guids.log;
	c->image.flushed_size = CASE_SIZE;
	vhdx_log_ring_init(&ring, &c->image);
	return ring;
}

/* Of @count pages, each filled with random bytes; to be freed. */
static struct capture make_capture(struct rng *rng, unsigned count)
{
	struct capture capture = {.count = count, .pages = calloc(count, sizeof(*capture.pages))};

	for (unsigned i = 0; i < count; i++) {
		capture.pages[i].home = HOME + 3 * i * PAGE_SIZE;
		rng_fill(rng, capture.pages[i].bytes, PAGE_SIZE);
	}
	return capture;
}

/* The entry in the log as it lies: its only valid one. */
static struct log_span find_only(struct journal_case *c)
{
	struct log_scan scan;
	struct log_span span;

	assert_int_equal(vhdx_log_scan(&c->io, &c->image.log, &scan), 0);
	assert_int_equal(scan.count, 1);
	span = scan.spans[0];
	vhdx_log_scan_free(&scan);
	return span;
}

/* What the entry says about each page is what was captured. */
static void check_changes(struct journal_case *c, const struct log_span *span,
			  const struct capture *capture)
{
	struct log_entry entry = {.sequence_number = span->sequence_number};
	uint64_t sectors = log_descriptor_sectors(capture->count);
	struct log_reader reader;
	int error = 0;

	assert_int_equal(span->descriptor_count, capture->count);
	assert_int_equal(vhdx_log_reader_open(&c->io, &c->image.log, &reader), 0);
	for (unsigned i = 0; i < capture->count; i++) {
		uint64_t at = 64 + 32 * (uint64_t)i; /* F 4.1 */
		const uint8_t *sector = vhdx_log_reader_sector(
			&reader, span->position + round_down(at, LOG_SECTOR_SIZE), &error);
		struct log_descriptor descriptor;
		uint8_t page[PAGE_SIZE];

		assert_non_null(sector);
		assert_int_equal(vhdx_log_descriptor_decode(sector + at % LOG_SECTOR_SIZE, 32,
							    &c->image.log, &entry, &descriptor),
				 0);
		assert_false(descriptor.is_zero);
		assert_int_equal(descriptor.file_offset, capture->pages[i].home);
		sector = vhdx_log_reader_sector(
			&reader, span->position + (sectors + i) * LOG_SECTOR_SIZE, &error);
		assert_true(
			vhdx_log_sector_belongs(sector, LOG_SECTOR_SIZE, span->sequence_number));
		vhdx_log_page_rebuild(&descriptor, (const struct log_sector_disk *)sector, page);
		assert_memory_equal(page, capture->pages[i].bytes, PAGE_SIZE);
	}
	vhdx_log_reader_close(&reader);
}

static void test_the_length_of_an_entry_counts_its_descriptors_sectors(void **state)
{
	static const struct {
		unsigned count;
		unsigned sectors;
	} rows[] = {{0, 1}, {1, 2}, {126, 127}, {127, 129}, {254, 256}, {255, 258}};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		assert_int_equal(vhdx_log_ring_entry_length(rows[i].count),
				 rows[i].sectors * LOG_SECTOR_SIZE);
}

static void test_an_entry_may_wrap_at_any_of_its_sectors(void **state)
{
	struct journal_case *c = *state;
	static const unsigned counts[] = {0, 1, 5, 127};
	struct rng rng = rng_make(1);

	for (size_t i = 0; i < ARRAY_SIZE(counts); i++) {
		struct capture capture = make_capture(&rng, counts[i]);
		uint32_t length = vhdx_log_ring_entry_length(counts[i]);

		for (uint32_t head = LOG_LENGTH - length;
		     head<LOG_LENGTH; head += counts[i]> 100 && !rng_chance(&rng, 30)
			     ? 2 * LOG_SECTOR_SIZE
			     : LOG_SECTOR_SIZE) {
			struct log_ring ring = make_ring(c);
			struct ring_entry entry = {.capture = &capture, .is_tail = true};

			sparse_zero(&c->file, LOG_OFFSET, LOG_LENGTH);
			ring.head = head;
			assert_int_equal(vhdx_log_ring_write(&ring, &entry), 0);
			struct log_span span = find_only(c);

			assert_int_equal(span.position, head);
			assert_int_equal(span.length, length);
			assert_int_equal(span.tail, head);
			assert_int_equal(entry.position, head);
			assert_int_equal(entry.length, length);
			assert_int_equal(ring.head, (head + length) % LOG_LENGTH);
			check_changes(c, &span, &capture);
		}
		free(capture.pages);
	}
}

static void test_nothing_beside_the_log_is_written(void **state)
{
	struct journal_case *c = *state;
	struct rng rng = rng_make(2);
	struct capture capture = make_capture(&rng, 60);
	struct log_ring ring = make_ring(c);

	for (int i = 0; i < 30; i++) {
		struct ring_entry entry = {.capture = &capture, .is_tail = true};

		assert_int_equal(vhdx_log_ring_write(&ring, &entry), 0);
	}
	for (size_t i = 0; i < c->recorder.count; i++) {
		const struct operation *operation = &c->recorder.operations[i];

		assert_int_equal(operation->kind, OPERATION_WRITE); /* and nothing is flushed */
		assert_true(operation->offset >= LOG_OFFSET);
		assert_true(operation->offset + operation->length <= LOG_OFFSET + LOG_LENGTH);
	}
	free(capture.pages);
}

static void test_an_entry_says_how_large_the_file_is_and_must_be(void **state)
{
	struct journal_case *c = *state;
	struct log_ring ring = make_ring(c);
	struct ring_entry entry = {.tail = 0x5000, .last_file_offset = 7 * MIB + 1};

	ring.head = 0x9000;
	ring.sequence_number = UINT32_MAX + (uint64_t)5;
	c->image.flushed_size = 5 * MIB - 1;
	assert_int_equal(vhdx_log_ring_write(&ring, &entry), 0);
	struct log_span span = find_only(c);

	assert_int_equal(span.tail, 0x5000);
	assert_int_equal(span.flushed_file_offset, 4 * MIB);
	assert_int_equal(span.last_file_offset, 8 * MIB);
	assert_int_equal(span.sequence_number, UINT32_MAX + (uint64_t)5);
	assert_int_equal(ring.sequence_number, UINT32_MAX + (uint64_t)6);
}

static void test_an_entry_that_fails_leaves_the_head_where_it_is(void **state)
{
	struct journal_case *c = *state;
	struct log_ring ring = make_ring(c);
	struct ring_entry entry = {.is_tail = true, .position = 77, .tail = 78};

	ring.head = 0x3000;
	c->error = -ENOSPC;
	c->bad_end = UINT64_MAX;
	assert_int_equal(vhdx_log_ring_write(&ring, &entry), -ENOSPC);
	assert_int_equal(ring.head, 0x3000);
	assert_int_equal(ring.sequence_number, 1);
	assert_int_equal(entry.position, 77);
	assert_int_equal(entry.tail, 78);
}

/* The second part of one that wraps. */
static void test_an_entry_that_fails_behind_the_wrap_leaves_the_head_too(void **state)
{
	struct journal_case *c = *state;
	struct rng rng = rng_make(3);
	struct capture capture = make_capture(&rng, 3);
	struct log_ring ring = make_ring(c);
	struct ring_entry entry = {.capture = &capture, .is_tail = true};

	ring.head = LOG_LENGTH - LOG_SECTOR_SIZE;
	c->error = -ENOSPC;
	c->bad_start = LOG_OFFSET;
	c->bad_end = LOG_OFFSET + 1;
	assert_int_equal(vhdx_log_ring_write(&ring, &entry), -ENOSPC);
	assert_int_equal(ring.head, LOG_LENGTH - LOG_SECTOR_SIZE);
	free(capture.pages);
}

static void test_room_is_what_the_durable_tail_leaves_but_one_sector(void **state)
{
	struct journal_case *c = *state;
	struct log_ring ring = make_ring(c);
	static const struct {
		uint32_t head, tail, used; /* in sectors */
	} rows[] = {
		{0, 0, 0},
		{1, 0, 1},
		{10, 3, 7},
		{SECTORS - 1, 0, SECTORS - 1},
		{0, SECTORS - 1, 1},
		{3, 10, SECTORS - 7},
		{9, 10, SECTORS - 1},
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		ring.head = rows[i].head * LOG_SECTOR_SIZE;
		ring.durable_tail = rows[i].tail * LOG_SECTOR_SIZE;
		assert_int_equal(vhdx_log_ring_room(&ring, ring.head), /* memory knows better */
				 (SECTORS - rows[i].used - 1) * LOG_SECTOR_SIZE);
	}
}

static void test_a_log_filled_to_the_last_sector_is_freed_by_an_empty_entry(void **state)
{
	struct journal_case *c = *state;
	struct rng rng = rng_make(4);
	struct log_ring ring = make_ring(c);
	struct ring_entry first = {.is_tail = true};

	assert_int_equal(vhdx_log_ring_write(&ring, &first), 0);
	vhdx_log_ring_durable(&ring, &first);
	while (vhdx_log_ring_room(&ring, ring.head)) {
		uint32_t room = vhdx_log_ring_room(&ring, ring.head) / LOG_SECTOR_SIZE;
		struct capture capture = make_capture(&rng, room > 100 ? 60 : (room - 1) % 50);
		struct ring_entry entry = {.capture = &capture, .tail = 0};

		assert_int_equal(vhdx_log_ring_write(&ring, &entry), 0);
		vhdx_log_ring_durable(&ring, &entry);
		free(capture.pages);
	}
	assert_int_equal(ring.head, LOG_LENGTH - LOG_SECTOR_SIZE);
	struct ring_entry last = {.is_tail = true};

	assert_int_equal(vhdx_log_ring_write(&ring, &last), 0);
	assert_int_equal(last.position, LOG_LENGTH - LOG_SECTOR_SIZE);
	assert_int_equal(ring.head, 0);
	struct log_span newest = newest_entry(c);

	assert_int_equal(newest.position, last.position);
	assert_int_equal(newest.tail, last.position);
	vhdx_log_ring_durable(&ring, &last);
	assert_int_equal(vhdx_log_ring_room(&ring, ring.head), LOG_LENGTH - 2 * LOG_SECTOR_SIZE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_the_length_of_an_entry_counts_its_descriptors_sectors),
		WITH_FILE(test_an_entry_may_wrap_at_any_of_its_sectors),
		WITH_FILE(test_nothing_beside_the_log_is_written),
		WITH_FILE(test_an_entry_says_how_large_the_file_is_and_must_be),
		WITH_FILE(test_an_entry_that_fails_leaves_the_head_where_it_is),
		WITH_FILE(test_an_entry_that_fails_behind_the_wrap_leaves_the_head_too),
		WITH_FILE(test_room_is_what_the_durable_tail_leaves_but_one_sector),
		WITH_FILE(test_a_log_filled_to_the_last_sector_is_freed_by_an_empty_entry),
	};

	return RUN_TESTS(tests);
}
