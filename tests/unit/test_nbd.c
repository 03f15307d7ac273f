/* SPDX-License-Identifier: MIT */
/* An NBD export as storage, asked as no command asks: for nothing, behind the end, of a server that stands still. */
#include <errno.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "remote.h"
#include "support/scratch.h"
#include "support/unit.h"

#define SIZE	 ((uint64_t)1 << 20)
#define DEADLINE 30 /* seconds for a server to begin */

static pid_t server;
static struct vhdx_io io;

static bool begins(void)
{
	server = fork();
	if (!server) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		execlp("nbdkit", "nbdkit", "-f", "-U", "socket", "-P", "pid", "memory", "1M",
		       (char *)NULL);
		_exit(127);
	}
	for (int i = 0; i < DEADLINE * 100; i++) {
		if (!access("pid", F_OK))
			return true;
		if (waitpid(server, NULL, WNOHANG))
			return false;
		usleep(10000);
	}
	return false;
}

static int serve(void **state)
{
	struct remote_options options = {.timeout_s = 1};
	struct remote_error error;

	io = (struct vhdx_io){0};
	if (scratch_enter(state))
		return -1;
	if (!begins()) {
		server = 0;
		return 0;
	}
	return remote_open("nbd+unix:///?socket=socket", true, &options, &io, &error);
}

static int unserve(void **state)
{
	if (io.close)
		io.close(io.opaque);
	if (server) {
		kill(server, SIGKILL);
		waitpid(server, NULL, 0);
	}
	return scratch_leave(state);
}

static void need_server(void)
{
	if (!server)
		skip();
}

static ssize_t write_at(size_t length, uint64_t offset)
{
	static char bytes[4096];
	struct iovec iov[] = {{bytes, 0}, {bytes, length}};

	return io.pwritev(io.opaque, iov, 2, offset);
}

static ssize_t read_at(uint64_t offset)
{
	static char bytes[4096];
	struct iovec iov = {bytes, sizeof(bytes)};

	return io.preadv(io.opaque, &iov, 1, offset);
}

static void test_writing_nothing_succeeds_wherever_it_is(void **state)
{
	(void)state;
	need_server();
	assert_int_equal(write_at(0, 0), 0);
	assert_int_equal(write_at(0, SIZE), 0);
	assert_int_equal(io.pwritev(io.opaque, NULL, 0, SIZE), 0);
}

static void test_writing_behind_the_end_finds_no_space(void **state)
{
	(void)state;
	need_server();
	assert_int_equal(write_at(4096, SIZE), -ENOSPC);
	assert_int_equal(write_at(4096, SIZE - 512), 512);
}

static void test_reading_ends_when_the_server_stands_still(void **state)
{
	(void)state;
	need_server();
	assert_int_equal(read_at(0), 4096);
	assert_int_equal(kill(server, SIGSTOP), 0);
	assert_int_equal(waitpid(server, NULL, WUNTRACED), server);
	for (int i = 0; i < 8; i++)
		assert_int_equal(read_at(0), -ETIMEDOUT);
	assert_int_equal(io.flush(io.opaque), -ETIMEDOUT);
}

/* The server goes on after twice the time that a read may take. */
static void test_a_flush_may_take_longer_than_anything_else(void **state)
{
	(void)state;
	need_server();
	assert_int_equal(kill(server, SIGSTOP), 0);
	pid_t waker = fork();

	if (!waker) {
		sleep(2);
		kill(server, SIGCONT);
		_exit(0);
	}
	assert_int_equal(io.flush(io.opaque), 0);
	assert_int_equal(waitpid(waker, NULL, 0), waker);
}

int main(void)
{
#define WITH_SERVER(test) cmocka_unit_test_setup_teardown(test, serve, unserve)
	const struct CMUnitTest tests[] = {
		WITH_SERVER(test_writing_nothing_succeeds_wherever_it_is),
		WITH_SERVER(test_writing_behind_the_end_finds_no_space),
		WITH_SERVER(test_reading_ends_when_the_server_stands_still),
		WITH_SERVER(test_a_flush_may_take_longer_than_anything_else),
	};

	return RUN_TESTS(tests);
}
