/* SPDX-License-Identifier: MIT */
/* Ranges that must read as zeros: which of the storage's means is used, and what is when it fails. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/arith.h"
#include "store/fill.h"
#include "support/recorder.h"
#include "support/unit.h"

#define FILE_SIZE (1 * MIB)

/* A file of ones. */
struct fill_case {
	struct sparse file;
	struct recorder recorder;
	struct vhdx_io io;
};

static int refuse(void *opaque, uint64_t offset, uint64_t length)
{
	(void)opaque;
	(void)offset;
	(void)length;
	return -EOPNOTSUPP;
}

static int make(void **state)
{
	struct fill_case *c = calloc(1, sizeof(*c));
	uint8_t *ones = malloc(FILE_SIZE);

	memset(ones, 0xff, FILE_SIZE);
	sparse_write(&c->file, ones, FILE_SIZE, 0);
	free(ones);
	c->recorder.bytes = &c->file;
	c->io = recorder_io(&c->recorder);
	*state = c;
	return 0;
}

static int drop(void **state)
{
	struct fill_case *c = *state;

	recorder_clear(&c->recorder);
	sparse_free(&c->file);
	free(c);
	return 0;
}

/* All ones but [@offset, @offset + @length). */
static void assert_zeros(const struct fill_case *c, uint64_t offset, uint64_t length)
{
	uint8_t *bytes = malloc(FILE_SIZE);

	sparse_read(&c->file, bytes, FILE_SIZE, 0);
	for (uint64_t i = 0; i < FILE_SIZE; i++)
		if (bytes[i] != (i - offset < length ? 0 : 0xff))
			fail_msg("byte %zu is %u", (size_t)i, bytes[i]);
	assert_int_equal(c->file.size, FILE_SIZE);
	free(bytes);
}

static void assert_only(const struct fill_case *c, enum operation_kind kind)
{
	assert_true(c->recorder.count > 0);
	assert_int_equal(recorder_count(&c->recorder, kind), c->recorder.count);
}

static void test_zeros_that_keep_their_space_are_never_punched(void **state)
{
	struct fill_case *c = *state;

	assert_int_equal(vhdx_fill_zeros(&c->io, 4096, 100000), 0);
	assert_only(c, OPERATION_ZERO);
	assert_int_equal(c->recorder.count, 1);
	assert_zeros(c, 4096, 100000);
}

static void test_holes_are_punched_where_that_can_be_done(void **state)
{
	struct fill_case *c = *state;

	assert_int_equal(vhdx_fill_holes(&c->io, 4096, 100000), 0);
	assert_only(c, OPERATION_PUNCH);
	assert_int_equal(c->recorder.count, 1);
	assert_zeros(c, 4096, 100000);
}

static void test_what_cannot_be_punched_is_zeroed(void **state)
{
	struct fill_case *c = *state;

	c->io.punch = refuse;
	assert_int_equal(vhdx_fill_holes(&c->io, 512, 1024), 0);
	assert_only(c, OPERATION_ZERO);
	assert_zeros(c, 512, 1024);
}

static void test_without_any_means_zeros_are_written(void **state)
{
	struct fill_case *c = *state;

	c->io.punch = NULL;
	c->io.zero = NULL;
	assert_int_equal(vhdx_fill_holes(&c->io, 511, 300001), 0);
	assert_only(c, OPERATION_WRITE);
	assert_zeros(c, 511, 300001);
}

static void test_where_all_means_are_refused_zeros_are_written(void **state)
{
	struct fill_case *c = *state;

	c->io.punch = refuse;
	c->io.zero = refuse;
	assert_int_equal(vhdx_fill_zeros(&c->io, 511, 64 * KIB), 0);
	assert_only(c, OPERATION_WRITE);
	assert_zeros(c, 511, 64 * KIB);
}

static void test_the_fast_way_writes_nothing(void **state)
{
	struct fill_case *c = *state;

	c->io.zero = refuse;
	assert_int_equal(vhdx_fill_fast(&c->io, 0, 4096, false), -EOPNOTSUPP);
	c->io.zero = NULL;
	assert_int_equal(vhdx_fill_fast(&c->io, 0, 4096, false), -EOPNOTSUPP);
	assert_int_equal(c->recorder.count, 0);
	assert_int_equal(vhdx_fill_fast(&c->io, 0, 4096, true), 0);
	assert_only(c, OPERATION_PUNCH);
}

static void test_nothing_is_done_about_no_bytes(void **state)
{
	struct fill_case *c = *state;

	assert_int_equal(vhdx_fill_fast(&c->io, 4096, 0, true), 0);
	assert_int_equal(vhdx_fill_zeros(&c->io, 4096, 0), 0);
	assert_int_equal(vhdx_fill_holes(&c->io, 4096, 0), 0);
	assert_int_equal(c->recorder.count, 0);
	c->io.punch = NULL;
	c->io.zero = NULL;
	assert_int_equal(vhdx_fill_fast(&c->io, 4096, 0, true), 0);
}

static void test_a_write_that_fails_says_what_is_wrong(void **state)
{
	struct fill_case *c = *state;

	c->recorder.error = -EIO;
	assert_int_equal(vhdx_fill_holes(&c->io, 0, 4096), -EIO);
	c->io.zero = NULL;
	c->recorder.error = -ENOSPC;
	c->recorder.fail_at = 1; /* the second piece of 64 KiB */
	assert_int_equal(vhdx_fill_zeros(&c->io, 0, 200000), -ENOSPC);
	assert_zeros(c, 0, 64 * KIB);
}

int main(void)
{
#define WITH_FILE(test) cmocka_unit_test_setup_teardown(test, make, drop)
	const struct CMUnitTest tests[] = {
		WITH_FILE(test_zeros_that_keep_their_space_are_never_punched),
		WITH_FILE(test_holes_are_punched_where_that_can_be_done),
		WITH_FILE(test_what_cannot_be_punched_is_zeroed),
		WITH_FILE(test_without_any_means_zeros_are_written),
		WITH_FILE(test_where_all_means_are_refused_zeros_are_written),
		WITH_FILE(test_the_fast_way_writes_nothing),
		WITH_FILE(test_nothing_is_done_about_no_bytes),
		WITH_FILE(test_a_write_that_fails_says_what_is_wrong),
	};

	return RUN_TESTS(tests);
}
