/* SPDX-License-Identifier: MIT */
/* A file of headers, a log and one structure of pages, that a journal changes; its storage can be full. */
#ifndef TESTS_SUPPORT_JOURNALCASE_H
#define TESTS_SUPPORT_JOURNALCASE_H

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "meta/journal.h"
#include "store/io.h"
#include "support/bytes.h"
#include "support/recorder.h"
#include "support/unit.h"

#define LOG_OFFSET (1 * MIB)
#define LOG_LENGTH (1 * MIB)
#define HOME	   (2 * MIB) /* of the structure's first page */
#define PAGES	   4096u
#define NEEDED_END (HOME + PAGES * PAGE_SIZE)
#define CASE_SIZE  (NEEDED_END + 2 * MIB)

struct journal_case {
	struct sparse file;
	struct recorder recorder;
	struct vhdx_io io;
	struct image image;
	struct page_cache cache;
	struct page_map map;
	struct journal journal;
	struct session_guids guids;

	/* Writes that touch this range fail with error, when that is not 0. */
	uint64_t bad_start;
	uint64_t bad_end;
	int error;
	/* Called before the next write or flush, once. */
	void (*before_next)(struct journal_case *c);
};

static inline void run_before(struct journal_case *c)
{
	void (*before)(struct journal_case *) = c->before_next;

	c->before_next = NULL;
	if (before)
		before(c);
}

static inline ssize_t case_pwritev(void *opaque, const struct iovec *iov, int iovcnt,
				   uint64_t offset)
{
	struct journal_case *c = opaque;
	struct vhdx_io io = recorder_io(&c->recorder);
	uint64_t length = 0;

	run_before(c);
	for (int i = 0; i < iovcnt; i++)
		length += iov[i].iov_len;
	if (c->error && offset < c->bad_end && offset + length > c->bad_start)
		return c->error;
	return io.pwritev(&c->recorder, iov, iovcnt, offset);
}

static inline ssize_t case_preadv(void *opaque, const struct iovec *iov, int iovcnt,
				  uint64_t offset)
{
	struct journal_case *c = opaque;

	return recorder_io(&c->recorder).preadv(&c->recorder, iov, iovcnt, offset);
}

static inline int case_flush(void *opaque)
{
	struct journal_case *c = opaque;

	run_before(c);
	return recorder_io(&c->recorder).flush(&c->recorder);
}

static inline int case_get_size(void *opaque, uint64_t *ret_size)
{
	struct journal_case *c = opaque;

	*ret_size = c->file.size;
	return 0;
}

static inline int case_reserve(void *opaque, uint64_t offset, uint64_t length)
{
	struct journal_case *c = opaque;

	return recorder_io(&c->recorder).reserve(&c->recorder, offset, length);
}

static inline int case_next_data(void *opaque, uint64_t offset, uint64_t *ret_start,
				 uint64_t *ret_end)
{
	struct journal_case *c = opaque;

	return recorder_io(&c->recorder).next_data(&c->recorder, offset, ret_start, ret_end);
}

static inline int case_load(void *opaque, uint64_t index, void *page, struct page_zeros *zeros)
{
	struct journal_case *c = opaque;

	(void)zeros;
	return vhdx_io_read(&c->io, page, PAGE_SIZE, HOME + index * PAGE_SIZE);
}

static inline void case_put_header(struct journal_case *c, unsigned slot, uint64_t number)
{
	struct header header = {.sequence_number = number,
				.version = 1,
				.log_length = LOG_LENGTH,
				.log_offset = LOG_OFFSET};
	uint8_t disk[HEADER_SIZE];

	put_guid(header.file_write_guid.bytes, "11111111-1111-1111-1111-111111111111");
	put_guid(header.data_write_guid.bytes, "22222222-2222-2222-2222-222222222222");
	vhdx_header_encode(&header, disk, sizeof(disk));
	sparse_write(&c->file, disk, sizeof(disk), header_offset(slot));
}

/* Not yet started. */
static inline int case_make(void **state)
{
	struct journal_case *c = calloc(1, sizeof(*c));

	sparse_resize(&c->file, CASE_SIZE);
	c->recorder.bytes = &c->file;
	c->io = (struct vhdx_io){
		.size = sizeof(c->io),
		.opaque = c,
		.preadv = case_preadv,
		.pwritev = case_pwritev,
		.flush = case_flush,
		.get_size = case_get_size,
		.reserve = case_reserve,
		.next_data = case_next_data,
	};
	case_put_header(c, 0, 6);
	case_put_header(c, 1, 7);
	c->image = (struct image){
		.name = "disk.vhdx", .file = &c->io, .view = &c->io, .view_size = CASE_SIZE};
	assert_int_equal(vhdx_image_load_headers(&c->image), 0);
	c->image.log = (struct log_place){.offset = LOG_OFFSET, .length = LOG_LENGTH};
	put_guid(c->guids.log.bytes, "33333333-3333-3333-3333-333333333333");
	put_guid(c->guids.file_write.bytes, "44444444-4444-4444-4444-444444444444");
	put_guid(c->guids.data_write.bytes, "55555555-5555-5555-5555-555555555555");
	vhdx_page_cache_init(&c->cache);
	*state = c;
	return vhdx_page_map_init(&c->map, &c->cache, PAGES, case_load, c);
}

static inline int case_drop(void **state)
{
	struct journal_case *c = *state;

	if (c->journal.image)
		vhdx_journal_free(&c->journal);
	vhdx_page_map_destroy(&c->map);
	vhdx_page_cache_destroy(&c->cache);
	vhdx_image_free(&c->image);
	recorder_clear(&c->recorder);
	sparse_free(&c->file);
	free(c);
	return 0;
}

static inline int case_try_start(struct journal_case *c)
{
	return vhdx_journal_start(&c->journal, &c->image, &c->cache, &c->guids, NEEDED_END);
}

/* Started, with what that did forgotten, and all of it durable. */
static inline int case_start(void **state)
{
	case_make(state);
	struct journal_case *c = *state;

	assert_int_equal(case_try_start(c), 0);
	assert_int_equal(vhdx_image_flush(&c->image), 0);
	recorder_clear(&c->recorder);
	return 0;
}

static inline void fill_page(struct page *page, uint8_t value)
{
	memset(page->bytes, value, PAGE_SIZE);
}

/* The page @index gets that value, in every byte. */
static inline void change_page(struct journal_case *c, uint64_t index, uint8_t value)
{
	struct change change;
	struct page *page;

	assert_int_equal(vhdx_journal_begin(&c->journal, 1, &change), 0);
	assert_int_equal(
		vhdx_change_hold(&change, &c->map, index, HOME + index * PAGE_SIZE, false, &page),
		0);
	vhdx_change_enter(&change);
	fill_page(page, value);
	vhdx_change_dirty(&change, page);
	vhdx_change_leave(&change);
	vhdx_change_end(&change);
}

static inline void want_data_first(struct journal_case *c)
{
	struct change change;

	assert_int_equal(vhdx_journal_begin(&c->journal, 1, &change), 0);
	vhdx_change_enter(&change);
	vhdx_change_data_first(&change);
	vhdx_change_leave(&change);
	vhdx_change_end(&change);
}

static inline void commit(struct journal_case *c)
{
	assert_int_equal(vhdx_journal_commit(&c->journal), 0);
}

static inline void assert_page(const struct sparse *file, uint64_t index, uint8_t value)
{
	uint8_t bytes[PAGE_SIZE];
	uint8_t expected[PAGE_SIZE];

	memset(expected, value, sizeof(expected));
	sparse_read(file, bytes, sizeof(bytes), HOME + index * PAGE_SIZE);
	assert_memory_equal(bytes, expected, sizeof(bytes));
}

/* ---- What was done to the file, one letter an operation ---- */

/* L: the log, 1 and 2: a header, P: pages, F: flush. */
static inline char operation_letter(const struct operation *operation)
{
	if (operation->kind == OPERATION_FLUSH)
		return 'F';
	if (operation->kind != OPERATION_WRITE)
		return '?';
	if (operation->offset == HEADER_1_OFFSET)
		return '1';
	if (operation->offset == HEADER_2_OFFSET)
		return '2';
	return operation->offset >= HOME ? 'P' : 'L';
}

/* The operations since the last call are those. */
static inline void expect_operations(struct journal_case *c, const char *letters)
{
	char seen[100] = "";

	for (size_t i = 0; i < c->recorder.count && i + 1 < sizeof(seen); i++)
		seen[i] = operation_letter(&c->recorder.operations[i]);
	assert_string_equal(seen, letters);
	recorder_clear(&c->recorder);
}

/* The active sequence of the log as it lies; to be freed. */
static inline struct log_scan scan_log(struct journal_case *c)
{
	struct log_scan scan;

	assert_int_equal(vhdx_log_scan(&c->io, &c->image.log, &scan), 0);
	assert_true(scan.active_count > 0);
	return scan;
}

/* The newest entry of the log. */
static inline struct log_span newest_entry(struct journal_case *c)
{
	struct log_scan scan = scan_log(c);
	struct log_span newest = scan.spans[scan.active[scan.active_count - 1]];

	vhdx_log_scan_free(&scan);
	return newest;
}

static inline uint64_t durable(const struct journal_case *c)
{
	return atomic_load(&c->journal.durable);
}

#define WITH_FILE(test)	   cmocka_unit_test_setup_teardown(test, case_make, case_drop)
#define WITH_JOURNAL(test) cmocka_unit_test_setup_teardown(test, case_start, case_drop)

#endif
