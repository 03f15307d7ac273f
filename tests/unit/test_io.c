/* SPDX-License-Identifier: MIT */
/* Whole transfers over storage that does them in parts, interrupts them, or lacks functions. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/arith.h"
#include "store/io.h"
#include "store/memory.h"
#include "support/random.h"
#include "support/store.h"
#include "support/unit.h"

static void test_adopt_takes_members_beyond_the_size_as_null(void **state)
{
	struct test_store store = {0};
	struct vhdx_io io = test_store_io(&store, true);
	struct vhdx_io adopted;

	(void)state;
	io.size = offsetof(struct vhdx_io, set_size);
	assert_int_equal(vhdx_io_adopt(&io, &adopted), 0);
	assert_ptr_equal(adopted.preadv, io.preadv);
	assert_ptr_equal(adopted.get_size, io.get_size);
	assert_null(adopted.set_size);
	assert_null(adopted.next_data);
	assert_null(adopted.close);
	io.size = sizeof(io) + 100; /* a newer caller's */
	assert_int_equal(vhdx_io_adopt(&io, &adopted), 0);
	assert_int_equal(adopted.size, sizeof(adopted));
	assert_ptr_equal(adopted.close, io.close);
}

static void test_adopt_refuses_tables_without_the_needed_functions(void **state)
{
	struct test_store store = {0};
	struct vhdx_io io = test_store_io(&store, true);
	struct vhdx_io adopted = {.size = 77};

	(void)state;
	io.preadv = NULL;
	assert_int_equal(vhdx_io_adopt(&io, &adopted), -EINVAL);
	io = test_store_io(&store, true);
	io.get_size = NULL;
	assert_int_equal(vhdx_io_adopt(&io, &adopted), -EINVAL);
	io = test_store_io(&store, true);
	io.size = 0;
	assert_int_equal(vhdx_io_adopt(&io, &adopted), -EINVAL);
	assert_int_equal(vhdx_io_adopt(NULL, &adopted), -EINVAL);
	assert_int_equal(adopted.size, 77);
}

/* Random slices of random buffers, against the bytes themselves. */
static void check_reads(struct test_store *store, const uint8_t *contents, size_t size)
{
	struct vhdx_io io = test_store_io(store, false);
	struct rng rng = rng_make(5);

	for (int round = 0; round < 300; round++) {
		static uint8_t buf[4000];
		struct iovec iov[100];
		int n = (int)rng_between(&rng, 1, 100);
		uint64_t total = 0;

		for (int i = 0; i < n; i++) {
			uint64_t part = rng_below(&rng, 41);

			iov[i] = (struct iovec){buf + total, part};
			total += part;
		}
		uint64_t skip = rng_below(&rng, total + 1);
		uint64_t count = rng_below(&rng, total - skip + 1);
		uint64_t offset = rng_below(&rng, size + 50);
		uint8_t expected[4000];

		memset(buf, 0xcc, sizeof(buf));
		memset(expected, 0xcc, sizeof(expected));
		for (uint64_t i = 0; i < count; i++)
			expected[skip + i] = offset + i < size ? contents[offset + i] : 0;
		assert_int_equal(vhdx_io_readv(&io, iov, n, skip, count, offset), 0);
		assert_memory_equal(buf, expected, sizeof(buf));
	}
}

static void with_contents(size_t transfer, unsigned interrupt)
{
	struct rng rng = rng_make(6);
	struct sparse bytes = {0};
	struct test_store store = {.bytes = &bytes, .transfer = transfer, .interrupt = interrupt};
	uint8_t contents[10000];

	rng_fill(&rng, contents, sizeof(contents));
	sparse_write(&bytes, contents, sizeof(contents), 0);
	check_reads(&store, contents, sizeof(contents));
	sparse_free(&bytes);
}

static void test_slices_over_many_buffers(void **state)
{
	(void)state;
	with_contents(0, 0);
}

static void test_transfers_in_parts_are_whole_in_the_end(void **state)
{
	(void)state;
	with_contents(1, 0);
	with_contents(7, 0);
	with_contents(100, 0);
}

static void test_interrupted_transfers_go_on(void **state)
{
	(void)state;
	with_contents(13, 2);
	with_contents(0, 3);
}

static void test_errors_of_the_storage_come_through(void **state)
{
	struct sparse bytes = {.size = 100};
	struct test_store store = {
		.bytes = &bytes, .fail_from = 2, .fail_to = 2, .error = -ENXIO, .transfer = 10};
	struct vhdx_io io = test_store_io(&store, false);
	char buf[30];

	(void)state;
	assert_int_equal(vhdx_io_read(&io, buf, sizeof(buf), 0), -ENXIO);
}

static void test_reads_of_nothing_ask_for_nothing(void **state)
{
	struct sparse bytes = {0};
	struct test_store store = {.bytes = &bytes};
	struct vhdx_io io = test_store_io(&store, false);

	(void)state;
	assert_int_equal(vhdx_io_read(&io, NULL, 0, 5), 0);
	assert_int_equal(store.calls, 0);
}

/* Writes a byte at a time, every second one interrupted. */
struct slow_writer {
	char bytes[32];
	unsigned calls;
	ssize_t stuck; /* returned instead, when not 1 */
};

static ssize_t slow_pwritev(void *opaque, const struct iovec *iov, int iovcnt, uint64_t offset)
{
	struct slow_writer *writer = opaque;

	(void)iovcnt;
	if (writer->stuck != 1)
		return writer->stuck;
	if (writer->calls++ % 2)
		return -EINTR;
	writer->bytes[offset] = *(const char *)iov->iov_base;
	return 1;
}

static void test_writes_in_parts_are_whole_in_the_end(void **state)
{
	struct slow_writer writer = {.stuck = 1};
	struct vhdx_io io = {.size = sizeof(io), .opaque = &writer, .pwritev = slow_pwritev};

	(void)state;
	assert_int_equal(vhdx_io_write(&io, "hello", 5, 3), 0);
	assert_memory_equal(writer.bytes, "\0\0\0hello\0", 9);
}

/* Takes at most a few bytes and buffers at a time, as it likes. */
struct part_writer {
	struct rng rng;
	uint8_t bytes[4100];
	size_t transfer;
	int most_buffers; /* that it was given at once */
};

static ssize_t part_pwritev(void *opaque, const struct iovec *iov, int iovcnt, uint64_t offset)
{
	struct part_writer *writer = opaque;
	size_t left = (size_t)rng_between(&writer->rng, 1, writer->transfer);
	ssize_t done = 0;

	if (rng_chance(&writer->rng, 20))
		return -EINTR;
	if (iovcnt > writer->most_buffers)
		writer->most_buffers = iovcnt;
	for (int i = 0; i < iovcnt && left; i++) {
		size_t part = iov[i].iov_len < left ? iov[i].iov_len : left;

		assert_true(part > 0 && offset + part <= sizeof(writer->bytes));
		memcpy(writer->bytes + offset, iov[i].iov_base, part);
		offset += part;
		left -= part;
		done += (ssize_t)part;
	}
	return done;
}

/* Random slices of random buffers arrive at their place, and nothing beside them is written. */
static void check_writes(size_t transfer)
{
	static uint8_t buf[4000], expected[4100];
	struct part_writer writer = {.rng = rng_make(7), .transfer = transfer};
	struct vhdx_io io = {.size = sizeof(io), .opaque = &writer, .pwritev = part_pwritev};
	struct rng rng = rng_make(8);

	for (int round = 0; round < 300; round++) {
		struct iovec iov[100];
		int n = (int)rng_between(&rng, 1, 100);
		uint64_t total = 0;

		rng_fill(&rng, buf, sizeof(buf));
		for (int i = 0; i < n; i++) {
			uint64_t part = rng_below(&rng, 41);

			iov[i] = (struct iovec){buf + total, part};
			total += part;
		}
		uint64_t skip = rng_below(&rng, total + 1);
		uint64_t count = rng_below(&rng, total - skip + 1);
		uint64_t offset = rng_below(&rng, 100);

		memset(writer.bytes, 0xcc, sizeof(writer.bytes));
		memset(expected, 0xcc, sizeof(expected));
		memcpy(expected + offset, buf + skip, count);
		assert_int_equal(vhdx_io_writev(&io, iov, n, skip, count, offset), 0);
		assert_memory_equal(writer.bytes, expected, sizeof(expected));
	}
	assert_true(writer.most_buffers > 1);
}

static void test_written_slices_of_many_buffers_arrive_in_their_place(void **state)
{
	(void)state;
	check_writes(1);
	check_writes(50);
	check_writes(10000);
}

static void test_storage_that_is_only_read_cannot_be_written(void **state)
{
	struct vhdx_io io = {.size = sizeof(io)};

	(void)state;
	assert_int_equal(vhdx_io_write(&io, "hello", 5, 3), -EROFS);
}

static void test_writes_that_get_nowhere_fail(void **state)
{
	struct slow_writer writer = {.stuck = 0};
	struct vhdx_io io = {.size = sizeof(io), .opaque = &writer, .pwritev = slow_pwritev};

	(void)state;
	assert_int_equal(vhdx_io_write(&io, "hello", 5, 3), -EIO);
	writer.stuck = -ENOSPC;
	assert_int_equal(vhdx_io_write(&io, "hello", 5, 3), -ENOSPC);
}

static void test_filling_copies_over_the_ends_of_buffers(void **state)
{
	char a[3] = "aaa";
	char b[4] = "bbbb";
	struct iovec iov[] = {{a, sizeof(a)}, {NULL, 0}, {b, sizeof(b)}};

	(void)state;
	vhdx_iov_fill(iov, 3, 2, "xyz", 3);
	assert_memory_equal(a, "aax", 3);
	assert_memory_equal(b, "yzbb", 4);
}

static void test_missing_functions_have_answers(void **state)
{
	struct vhdx_io io = {.size = sizeof(io)};
	uint64_t start;
	uint64_t end;

	(void)state;
	assert_int_equal(vhdx_io_write(&io, "x", 1, 0), -EROFS);
	assert_int_equal(vhdx_io_flush(&io), 0);
	assert_int_equal(vhdx_io_set_size(&io, 1), -EOPNOTSUPP);
	assert_int_equal(vhdx_io_next_data(&io, 5, 10, &start, &end), 0);
	assert_int_equal(start, 5);
	assert_int_equal(end, 10);
	vhdx_io_close(&io);
	assert_int_equal(vhdx_io_reserve(&io, 0, 1), -EOPNOTSUPP);
}

static unsigned interruptions;

static int is_interrupted(void)
{
	return interruptions++ % 2 ? 0 : -EINTR;
}

static int interrupted_flush(void *opaque)
{
	(void)opaque;
	return is_interrupted();
}

static int interrupted_get_size(void *opaque, uint64_t *ret_size)
{
	(void)opaque;
	*ret_size = 7;
	return is_interrupted();
}

static int interrupted_set_size(void *opaque, uint64_t size)
{
	(void)opaque;
	(void)size;
	return is_interrupted();
}

static int interrupted_range(void *opaque, uint64_t offset, uint64_t length)
{
	(void)opaque;
	(void)offset;
	(void)length;
	return is_interrupted();
}

static int interrupted_next_data(void *opaque, uint64_t offset, uint64_t *ret_start,
				 uint64_t *ret_end)
{
	(void)opaque;
	*ret_start = offset;
	*ret_end = offset + 1;
	return is_interrupted();
}

static void test_what_a_signal_interrupts_is_done_again(void **state)
{
	struct vhdx_io io = {
		.size = sizeof(io),
		.flush = interrupted_flush,
		.get_size = interrupted_get_size,
		.set_size = interrupted_set_size,
		.punch = interrupted_range,
		.zero = interrupted_range,
		.reserve = interrupted_range,
		.next_data = interrupted_next_data,
	};
	uint64_t start;
	uint64_t end;

	(void)state;
	interruptions = 0;
	assert_int_equal(vhdx_io_flush(&io), 0);
	assert_int_equal(vhdx_io_get_size(&io, &end), 0);
	assert_int_equal(vhdx_io_set_size(&io, 1), 0);
	assert_int_equal(vhdx_io_punch(&io, 0, 1), 0);
	assert_int_equal(vhdx_io_zero(&io, 0, 1), 0);
	assert_int_equal(vhdx_io_reserve(&io, 0, 1), 0);
	assert_int_equal(vhdx_io_next_data(&io, 0, 10, &start, &end), 0);
	assert_int_equal(interruptions, 14);
}

static void test_next_data_is_cut_to_its_range(void **state)
{
	struct sparse bytes = {0};
	struct test_store store = {.bytes = &bytes};
	struct vhdx_io io = test_store_io(&store, true);
	uint64_t start = 77;
	uint64_t end = 77;

	(void)state;
	sparse_resize(&bytes, 100000);
	sparse_write(&bytes, "x", 1, 20000); /* data in [16384, 20480) */
	assert_int_equal(vhdx_io_next_data(&io, 0, 16384, &start, &end), -ENXIO);
	assert_int_equal(vhdx_io_next_data(&io, 20480, 100000, &start, &end), -ENXIO);
	assert_int_equal(vhdx_io_next_data(&io, 5, 5, &start, &end), -ENXIO);
	assert_int_equal(start, 77);
	assert_int_equal(vhdx_io_next_data(&io, 0, 18000, &start, &end), 0);
	assert_int_equal(start, 16384);
	assert_int_equal(end, 18000);
	assert_int_equal(vhdx_io_next_data(&io, 17000, 100000, &start, &end), 0);
	assert_int_equal(start, 17000);
	assert_int_equal(end, 20480);
	store.error = -EIO;
	store.fail_from = 1;
	store.fail_to = 100;
	assert_int_equal(vhdx_io_next_data(&io, 0, 18000, &start, &end), -EIO);
	sparse_free(&bytes);
}

static void test_sizes_of_buffers_that_wrap_are_refused(void **state)
{
	char byte;
	struct iovec iov[3] = {{&byte, SIZE_MAX}, {&byte, SIZE_MAX}, {&byte, 1}};
	uint64_t size = 77;

	(void)state;
	assert_int_equal(vhdx_iov_size(iov, -1, &size), -EINVAL);
	if (sizeof(size_t) == 8)
		assert_int_equal(vhdx_iov_size(iov, 3, &size), -EINVAL);
	assert_int_equal(vhdx_iov_size(iov + 2, 1, &size), 0);
	assert_int_equal(size, 1);
	assert_int_equal(vhdx_iov_size(NULL, 0, &size), 0);
	assert_int_equal(size, 0);
}

static void test_zeroing_stays_inside_its_slice(void **state)
{
	char buf[10];
	struct iovec iov[3] = {{buf, 3}, {buf + 3, 0}, {buf + 3, 7}};

	(void)state;
	memset(buf, 'x', sizeof(buf));
	iov_zero(iov, 3, 2, 3);
	assert_memory_equal(buf, "xx\0\0\0xxxxx", 10);
	iov_zero(iov, 3, 9, 100);
	assert_memory_equal(buf, "xx\0\0\0xxxx\0", 10);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_adopt_takes_members_beyond_the_size_as_null),
		cmocka_unit_test(test_adopt_refuses_tables_without_the_needed_functions),
		cmocka_unit_test(test_slices_over_many_buffers),
		cmocka_unit_test(test_transfers_in_parts_are_whole_in_the_end),
		cmocka_unit_test(test_interrupted_transfers_go_on),
		cmocka_unit_test(test_errors_of_the_storage_come_through),
		cmocka_unit_test(test_reads_of_nothing_ask_for_nothing),
		cmocka_unit_test(test_writes_in_parts_are_whole_in_the_end),
		cmocka_unit_test(test_written_slices_of_many_buffers_arrive_in_their_place),
		cmocka_unit_test(test_storage_that_is_only_read_cannot_be_written),
		cmocka_unit_test(test_writes_that_get_nowhere_fail),
		cmocka_unit_test(test_filling_copies_over_the_ends_of_buffers),
		cmocka_unit_test(test_missing_functions_have_answers),
		cmocka_unit_test(test_what_a_signal_interrupts_is_done_again),
		cmocka_unit_test(test_next_data_is_cut_to_its_range),
		cmocka_unit_test(test_sizes_of_buffers_that_wrap_are_refused),
		cmocka_unit_test(test_zeroing_stays_inside_its_slice),
	};

	return RUN_TESTS(tests);
}
