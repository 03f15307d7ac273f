/* SPDX-License-Identifier: MIT */
/* Pipes that are read and written in order: whoever waits for the other end is asked, and may give up. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "ops/stream.h"
#include "support/unit.h"

static bool without_nowait;

/* Takes libc's place: a system that cannot write to a pipe without waiting. */
ssize_t pwritev2(int fd, const struct iovec *iov, int count, off_t offset, int flags)
{
	if (without_nowait) {
		errno = EOPNOTSUPP;
		return -1;
	}
	return syscall(SYS_pwritev2, fd, iov, count, (long)offset, (long)offset, flags);
}

/* A pipe's two ends as streams, which are asked when they wait. */
struct pair {
	int fds[2];
	struct stream reader;
	struct stream writer;
	unsigned asked;
	unsigned patience;   /* so often the answer is to wait on */
	const char *deliver; /* is written at the first question; NULL: nothing is */
};

static int ask(void *opaque)
{
	struct pair *pair = opaque;

	if (pair->deliver && !pair->asked)
		assert_int_equal(write(pair->fds[1], pair->deliver, strlen(pair->deliver)),
				 strlen(pair->deliver));
	return pair->asked++ >= pair->patience;
}

static void close_end(struct pair *pair, unsigned end)
{
	if (pair->fds[end] >= 0)
		close(pair->fds[end]);
	pair->fds[end] = -1;
}

static int make_pair(void **state)
{
	struct pair *pair = calloc(1, sizeof(*pair));

	*state = pair;
	if (!pair || pipe(pair->fds))
		return -1;
	vhdx_stream_init(&pair->reader, pair->fds[0]);
	vhdx_stream_init(&pair->writer, pair->fds[1]);
	pair->reader.idle = pair->writer.idle = ask;
	pair->reader.opaque = pair->writer.opaque = pair;
	return 0;
}

static int drop_pair(void **state)
{
	struct pair *pair = *state;

	close_end(pair, 0);
	close_end(pair, 1);
	free(pair);
	without_nowait = false;
	return 0;
}

/* Fills the pipe with what vhdx_stream_write writes until it waits; returns the bytes. */
static size_t fill(struct pair *pair)
{
	static const char zeros[65536];
	size_t written = 0;

	for (;;) {
		ssize_t done = vhdx_stream_write(&pair->writer, zeros, sizeof(zeros));

		if (done < 0) {
			assert_int_equal(done, -ECANCELED);
			return written;
		}
		assert_true(done > 0 && (size_t)done <= sizeof(zeros));
		written += (size_t)done;
	}
}

static void test_what_is_there_is_read_without_a_question(void **state)
{
	struct pair *pair = *state;
	char buf[16];

	assert_int_equal(write(pair->fds[1], "abc", 3), 3);
	assert_int_equal(vhdx_stream_read(&pair->reader, buf, sizeof(buf)), 3);
	assert_memory_equal(buf, "abc", 3);
	assert_int_equal(pair->asked, 0);
}

static void test_the_end_is_0(void **state)
{
	struct pair *pair = *state;
	char buf[16];

	close_end(pair, 1);
	assert_int_equal(vhdx_stream_read(&pair->reader, buf, sizeof(buf)), 0);
	assert_int_equal(pair->asked, 0);
}

static void test_a_read_that_waits_gives_up_when_it_is_told_to(void **state)
{
	struct pair *pair = *state;
	char buf[16];

	assert_int_equal(vhdx_stream_read(&pair->reader, buf, sizeof(buf)), -ECANCELED);
	assert_int_equal(pair->asked, 1);
}

static void test_a_read_waits_on_as_long_as_it_is_told_to(void **state)
{
	struct pair *pair = *state;
	char buf[16];

	pair->patience = 2;
	assert_int_equal(vhdx_stream_read(&pair->reader, buf, sizeof(buf)), -ECANCELED);
	assert_int_equal(pair->asked, 3);
}

static void test_bytes_that_come_late_are_read(void **state)
{
	struct pair *pair = *state;
	char buf[16];

	pair->patience = 100;
	pair->deliver = "late";
	assert_int_equal(vhdx_stream_read(&pair->reader, buf, sizeof(buf)), 4);
	assert_memory_equal(buf, "late", 4);
	assert_int_equal(pair->asked, 1);
}

static void test_a_write_that_waits_gives_up_when_it_is_told_to(void **state)
{
	struct pair *pair = *state;

	assert_true(fill(pair) >= 4096);
	assert_int_equal(pair->asked, 1);
}

/* Room for less than is written must not block the write, which nobody could stop. */
static void check_write_into_little_room(struct pair *pair)
{
	static const char zeros[65536];
	char buf[8192];

	fill(pair);
	assert_int_equal(read(pair->fds[0], buf, sizeof(buf)), sizeof(buf));
	alarm(20);
	ssize_t done = vhdx_stream_write(&pair->writer, zeros, sizeof(zeros));

	alarm(0);
	assert_true(done > 0 && (size_t)done <= sizeof(buf));
}

static void test_a_write_takes_what_room_there_is(void **state)
{
	check_write_into_little_room(*state);
}

static void test_a_write_takes_no_more_than_surely_fits(void **state)
{
	without_nowait = true;
	check_write_into_little_room(*state);
}

/* Many pages at a time, without a descriptor that blocks, and without one that the caller would see changed. */
static void test_a_pipe_that_was_entered_takes_all_that_it_has_room_for(void **state)
{
	struct pair *pair = *state;
	static const char zeros[65536];
	static char buf[65536];

	without_nowait = true;
	assert_true(vhdx_stream_enter_pipe(&pair->writer) >= 65536);
	assert_int_equal(vhdx_stream_write(&pair->writer, zeros, sizeof(zeros)), sizeof(zeros));
	fill(pair);
	assert_int_equal(read(pair->fds[0], buf, 8192), 8192);
	assert_int_equal(vhdx_stream_write(&pair->writer, zeros, sizeof(zeros)), 8192);
	assert_int_equal(fcntl(pair->fds[1], F_GETFL) & O_NONBLOCK, 0);
	vhdx_stream_leave_pipe(&pair->writer);
	close_end(pair, 1);
	while (read(pair->fds[0], buf, sizeof(buf)) > 0) /* comes to the end */
		;
}

static void test_zeros_come_out_of_a_pipe(void **state)
{
	struct pair *pair = *state;
	static char buf[65536];
	ssize_t left;

	vhdx_stream_enter_pipe(&pair->writer);
	left = vhdx_stream_write_zeros(&pair->writer, 50000);
	assert_true(left > 0 && left <= 50000);
	memset(buf, 1, sizeof(buf));
	assert_int_equal(read(pair->fds[0], buf, sizeof(buf)), left);
	while (left)
		assert_int_equal(buf[--left], 0);
	while (vhdx_stream_write_zeros(&pair->writer, UINT64_MAX) > 0)
		; /* until it would wait */
	assert_int_equal(pair->asked, 1);
	vhdx_stream_leave_pipe(&pair->writer);
}

static void test_a_reader_that_went_away_is_an_error(void **state)
{
	struct pair *pair = *state;

	signal(SIGPIPE, SIG_IGN);
	close_end(pair, 0);
	assert_int_equal(vhdx_stream_write(&pair->writer, "abc", 3), -EPIPE);
	assert_int_equal(pair->asked, 0);
}

static void test_a_pipe_that_does_not_block_is_waited_for_all_the_same(void **state)
{
	struct pair *pair = *state;
	char buf[16];

	for (int i = 0; i < 2; i++)
		assert_int_equal(fcntl(pair->fds[i], F_SETFL, O_NONBLOCK), 0);
	assert_int_equal(vhdx_stream_read(&pair->reader, buf, sizeof(buf)), -ECANCELED);
	fill(pair);
	assert_int_equal(pair->asked, 2);
}

int main(void)
{
#define WITH_PAIR(test) cmocka_unit_test_setup_teardown(test, make_pair, drop_pair)
	const struct CMUnitTest tests[] = {
		WITH_PAIR(test_what_is_there_is_read_without_a_question),
		WITH_PAIR(test_the_end_is_0),
		WITH_PAIR(test_a_read_that_waits_gives_up_when_it_is_told_to),
		WITH_PAIR(test_a_read_waits_on_as_long_as_it_is_told_to),
		WITH_PAIR(test_bytes_that_come_late_are_read),
		WITH_PAIR(test_a_write_that_waits_gives_up_when_it_is_told_to),
		WITH_PAIR(test_a_write_takes_what_room_there_is),
		WITH_PAIR(test_a_write_takes_no_more_than_surely_fits),
		WITH_PAIR(test_a_pipe_that_was_entered_takes_all_that_it_has_room_for),
		WITH_PAIR(test_zeros_come_out_of_a_pipe),
		WITH_PAIR(test_a_reader_that_went_away_is_an_error),
		WITH_PAIR(test_a_pipe_that_does_not_block_is_waited_for_all_the_same),
	};

	return RUN_TESTS(tests);
}
