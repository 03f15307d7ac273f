/* SPDX-License-Identifier: MIT */
/* Storage in RAM. */
#include <errno.h>
#include <string.h>

#include "base/arith.h"
#include "store/io.h"
#include "store/memory.h"
#include "support/unit.h"

static struct vhdx_io io;

static int make(void **state)
{
	(void)state;
	return vhdx_memory_io("0123456789", 10, &io);
}

static int drop(void **state)
{
	(void)state;
	vhdx_io_close(&io);
	return 0;
}

static void check_bytes(const char *expected, size_t expected_size)
{
	size_t size;
	const void *bytes = vhdx_memory_bytes(&io, &size);

	assert_int_equal(size, expected_size);
	assert_memory_equal(bytes, expected, size);
}

static void test_it_begins_as_a_copy(void **state)
{
	(void)state;
	check_bytes("0123456789", 10);
}

static void test_without_contents_it_begins_as_zeros(void **state)
{
	struct vhdx_io zeros;
	size_t size;

	(void)state;
	assert_int_equal(vhdx_memory_io(NULL, 5, &zeros), 0);
	assert_memory_equal(vhdx_memory_bytes(&zeros, &size), "\0\0\0\0\0", 5);
	vhdx_io_close(&zeros);
	assert_int_equal(vhdx_memory_io(NULL, 0, &zeros), 0);
	vhdx_io_close(&zeros);
}

static void test_reads_are_short_only_at_the_end(void **state)
{
	char buf[8] = "xxxxxxx";
	struct iovec iov[2] = {{buf, 3}, {buf + 3, 4}};

	(void)state;
	assert_int_equal(io.preadv(io.opaque, iov, 2, 1), 7);
	assert_string_equal(buf, "1234567");
	assert_int_equal(io.preadv(io.opaque, iov, 2, 6), 4);
	assert_memory_equal(buf, "6789", 4);
	assert_int_equal(io.preadv(io.opaque, iov, 2, 10), 0);
	assert_int_equal(io.preadv(io.opaque, iov, 2, UINT64_MAX), 0);
}

static void test_writes_behind_the_end_grow_it(void **state)
{
	struct iovec iov[2] = {{(char[]){"ab"}, 2}, {(char[]){"c"}, 1}};

	(void)state;
	assert_int_equal(io.pwritev(io.opaque, iov, 2, 8), 3);
	check_bytes("01234567abc", 11);
	assert_int_equal(io.pwritev(io.opaque, iov, 1, 13), 2);
	check_bytes("01234567abc\0\0ab", 15);
	assert_int_equal(io.pwritev(io.opaque, iov, 1, UINT64_MAX - 1), -EFBIG);
}

static void test_it_is_cut_and_grows_with_zeros(void **state)
{
	(void)state;
	assert_int_equal(vhdx_io_set_size(&io, 3), 0);
	assert_int_equal(vhdx_io_set_size(&io, 6), 0);
	check_bytes("012\0\0\0", 6);
	assert_int_equal(vhdx_io_set_size(&io, UINT64_MAX), -EFBIG);
}

static void test_ranges_become_zero_within_its_size(void **state)
{
	(void)state;
	assert_int_equal(io.punch(io.opaque, 2, 3), 0);
	assert_int_equal(io.zero(io.opaque, 8, 100), 0);
	assert_int_equal(io.zero(io.opaque, 100, UINT64_MAX), 0);
	check_bytes("01\0\0\0"
		    "567\0\0",
		    10);
}

static void test_other_storage_has_no_bytes(void **state)
{
	struct vhdx_io other = {.size = sizeof(other)};
	size_t size;

	(void)state;
	assert_null(vhdx_memory_bytes(&other, &size));
}

int main(void)
{
#define WITH_IO(test) cmocka_unit_test_setup_teardown(test, make, drop)
	const struct CMUnitTest tests[] = {
		WITH_IO(test_it_begins_as_a_copy),
		cmocka_unit_test(test_without_contents_it_begins_as_zeros),
		WITH_IO(test_reads_are_short_only_at_the_end),
		WITH_IO(test_writes_behind_the_end_grow_it),
		WITH_IO(test_it_is_cut_and_grows_with_zeros),
		WITH_IO(test_ranges_become_zero_within_its_size),
		WITH_IO(test_other_storage_has_no_bytes),
	};

	return RUN_TESTS(tests);
}
