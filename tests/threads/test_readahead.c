/* SPDX-License-Identifier: MIT */
/* Reading ahead of storage far away: every byte is right for every thread, and none is asked for twice in a walk. */
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "readahead.h"
#include "support/image.h"
#include "support/random.h"
#include "support/unit.h"

#define THREADS	 8
#define READS	 1000
#define SIZE	 (24 * T_MIB + 1234)
#define MOST	 (200 * T_KIB)
#define STEP	 (4 * T_KIB)
#define BIG_STEP (512 * T_KIB)

/* Its words tell their places. */
static struct {
	atomic_ulong reads;
	atomic_ullong bytes;
	atomic_int error; /* what reads return, negative; 0: they succeed */
	atomic_uint closes;
} far;

static struct vhdx_io io;

static uint8_t byte_at(uint64_t offset)
{
	return (uint8_t)(offset / 8 >> offset % 8 * 8 ^ offset / 4096);
}

static ssize_t far_preadv(void *opaque, const struct iovec *iov, int iovcnt, uint64_t offset)
{
	uint64_t left = offset < SIZE ? SIZE - offset : 0;
	uint64_t part = iov->iov_len < left ? iov->iov_len : left;
	uint8_t *bytes = iov->iov_base;

	(void)opaque;
	(void)iovcnt;
	far.reads++;
	if (far.error)
		return far.error;
	/* Storage may give less than it is asked for. */
	if (part > 100 * T_KIB)
		part = 100 * T_KIB;
	for (uint64_t i = 0; i < part; i++)
		bytes[i] = byte_at(offset + i);
	far.bytes += part;
	return (ssize_t)part;
}

static int far_get_size(void *opaque, uint64_t *ret_size)
{
	(void)opaque;
	*ret_size = SIZE;
	return 0;
}

static void far_close(void *opaque)
{
	(void)opaque;
	far.closes++;
}

static int wrap(void **state)
{
	(void)state;
	memset(&far, 0, sizeof(far));
	io = (struct vhdx_io){
		.size = sizeof(io),
		.preadv = far_preadv,
		.get_size = far_get_size,
		.close = far_close,
	};
	return readahead_wrap(&io, 1);
}

static int unwrap(void **state)
{
	(void)state;
	io.close(io.opaque);
	return far.closes != 1;
}

/* Returns what the storage returned first that was no success, or 0; *ret_right: all bytes are as they should be. */
static ssize_t read_all(uint8_t *buf, uint64_t length, uint64_t offset, bool *ret_right)
{
	uint64_t done = 0;

	while (done < length) {
		struct iovec rest = {buf + done, length - done};
		ssize_t part = io.preadv(io.opaque, &rest, 1, offset + done);

		if (part <= 0)
			return part ? part : -ENODATA;
		done += (uint64_t)part;
	}
	*ret_right = true;
	for (uint64_t i = 0; i < length; i++)
		*ret_right = *ret_right && buf[i] == byte_at(offset + i);
	return 0;
}

static atomic_uint wrong;

static void *read_randomly(void *opaque)
{
	struct rng rng = rng_make((uint64_t)(uintptr_t)opaque);
	uint8_t *buf = malloc(MOST);

	for (uint64_t i = 0; i < sampled(READS); i++) {
		uint64_t length = rng_between(&rng, 1, rng_chance(&rng, 80) ? STEP : MOST);
		uint64_t offset = rng_below(&rng, SIZE - length);
		bool right;

		if (read_all(buf, length, offset, &right) || !right)
			wrong++;
	}
	free(buf);
	return NULL;
}

static void test_threads_read_what_is_there(void **state)
{
	pthread_t threads[THREADS];

	(void)state;
	wrong = 0;
	for (uintptr_t i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, read_randomly, (void *)(i + 1)),
				 0);
	for (unsigned i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	assert_int_equal(wrong, 0);
}

static void test_a_walk_asks_for_each_byte_once_and_for_many_at_a_time(void **state)
{
	uint8_t buf[STEP];
	bool right;

	(void)state;
	/* On the way lies what is known already. */
	assert_int_equal(read_all(buf, STEP, T_MIB + T_MIB / 2, &right), 0);
	for (uint64_t at = T_MIB; at < SIZE; at += STEP) {
		assert_int_equal(read_all(buf, SIZE - at < STEP ? SIZE - at : STEP, at, &right), 0);
		assert_true(right);
	}
	assert_int_equal(far.bytes, SIZE - T_MIB);
	/* The storage gives at most 100 KiB at a time. */
	assert_true(far.reads < SIZE / BIG_STEP * 6 + 30);
}

static void test_what_is_large_is_passed_on(void **state)
{
	uint8_t *buf = malloc(MOST);
	bool right;

	(void)state;
	assert_int_equal(read_all(buf, MOST, 5 * T_MIB + 17, &right), 0);
	assert_true(right);
	assert_int_equal(far.bytes, MOST);
	free(buf);
}

static void test_a_failure_is_told_and_not_kept(void **state)
{
	uint8_t buf[STEP];
	bool right;

	(void)state;
	far.error = -EIO;
	assert_int_equal(read_all(buf, STEP, T_MIB, &right), -EIO);
	assert_int_equal(read_all(buf, STEP, T_MIB, &right), -EIO);
	far.error = 0;
	assert_int_equal(read_all(buf, STEP, T_MIB, &right), 0);
	assert_true(right);
}

static void test_the_end_is_where_the_storage_ends(void **state)
{
	uint8_t buf[STEP];
	struct iovec iov = {buf, sizeof(buf)};

	(void)state;
	assert_int_equal(io.preadv(io.opaque, &iov, 1, SIZE - 100), 100);
	assert_int_equal(buf[99], byte_at(SIZE - 1));
	assert_int_equal(io.preadv(io.opaque, &iov, 1, SIZE), 0);
	assert_int_equal(io.preadv(io.opaque, &iov, 1, UINT64_MAX - 5), 0);
}

int main(void)
{
#define WRAPPED(test) cmocka_unit_test_setup_teardown(test, wrap, unwrap)
	const struct CMUnitTest tests[] = {
		WRAPPED(test_threads_read_what_is_there),
		WRAPPED(test_a_walk_asks_for_each_byte_once_and_for_many_at_a_time),
		WRAPPED(test_what_is_large_is_passed_on),
		WRAPPED(test_a_failure_is_told_and_not_kept),
		WRAPPED(test_the_end_is_where_the_storage_ends),
	};

	return RUN_TESTS(tests);
}
