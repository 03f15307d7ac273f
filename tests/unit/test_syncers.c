/* SPDX-License-Identifier: MIT */
/* Flushes of one file at once: descriptions of their own, and errors that nobody misses. */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/arith.h"
#include "store/syncers.h"
#include "support/unit.h"

static int make_file(void)
{
	char path[] = "/tmp/vhdx-syncers-XXXXXX";
	int fd = mkstemp(path);

	assert_true(fd >= 0);
	unlink(path);
	return fd;
}

/* One flush that found another busy. */
struct late {
	struct syncers *syncers;
	pthread_t thread;
	int ret;
};

static void *flush_late(void *opaque)
{
	struct late *late = opaque;

	late->ret = vhdx_syncers_flush(late->syncers);
	return NULL;
}

static void wait_until_met(struct syncers *syncers)
{
	bool met = false;

	while (!met) {
		sched_yield();
		pthread_mutex_lock(&syncers->lock);
		met = syncers->met;
		pthread_mutex_unlock(&syncers->lock);
	}
}

/* A flush that comes while another runs, which then returns @ret. Returns what the late one does. */
static int meet(struct syncers *syncers, int ret)
{
	struct late late = {.syncers = syncers};

	pthread_mutex_lock(&syncers->lock);
	syncers->busy = syncers->count;
	pthread_mutex_unlock(&syncers->lock);
	assert_int_equal(pthread_create(&late.thread, NULL, flush_late, &late), 0);
	wait_until_met(syncers);
	pthread_mutex_lock(&syncers->lock);
	syncers->busy = 0;
	syncers->failed = ret;
	pthread_cond_broadcast(&syncers->changed);
	pthread_mutex_unlock(&syncers->lock);
	pthread_join(late.thread, NULL);
	return late.ret;
}

static void test_flushes_that_never_meet_need_one_description(void **state)
{
	struct syncers syncers;
	int fd = make_file();

	(void)state;
	vhdx_syncers_init(&syncers, fd);
	for (int i = 0; i < 3; i++)
		assert_int_equal(vhdx_syncers_flush(&syncers), 0);
	assert_int_equal(syncers.count, 1);
	vhdx_syncers_destroy(&syncers);
	close(fd);
}

static void assert_same_file(int a, int b)
{
	struct stat first, second;

	assert_int_equal(fstat(a, &first), 0);
	assert_int_equal(fstat(b, &second), 0);
	assert_int_equal(first.st_ino, second.st_ino);
	assert_int_equal(first.st_dev, second.st_dev);
}

/* What is set on one description does not show on another. */
static bool is_own_description(int fd, int other)
{
	assert_int_equal(lseek(fd, 7, SEEK_SET), 7);
	assert_int_equal(lseek(other, 9, SEEK_SET), 9);
	return lseek(fd, 0, SEEK_CUR) == 7;
}

static void test_flushes_that_met_have_descriptions_of_their_own(void **state)
{
	struct syncers syncers;
	int fd = make_file();

	(void)state;
	vhdx_syncers_init(&syncers, fd);
	assert_int_equal(meet(&syncers, 0), 0);
	assert_int_equal(syncers.count, SYNCERS);
	assert_int_equal(syncers.busy, 0);
	for (unsigned i = 0; i < SYNCERS; i++) {
		assert_same_file(syncers.fds[i], fd);
		for (unsigned k = 0; k < i; k++)
			assert_true(is_own_description(syncers.fds[i], syncers.fds[k]));
	}
	vhdx_syncers_destroy(&syncers);
	assert_int_equal(fcntl(fd, F_GETFD), 0);
	for (unsigned i = 0; i < SYNCERS; i++)
		if (syncers.fds[i] != fd)
			assert_int_equal(fcntl(syncers.fds[i], F_GETFD), -1);
	close(fd);
}

static void test_after_one_flush_failed_all_do(void **state)
{
	struct syncers syncers;
	int file = make_file();
	int ends[2];

	(void)state;
	assert_int_equal(pipe(ends), 0);
	vhdx_syncers_init(&syncers, ends[0]);
	assert_int_equal(vhdx_syncers_flush(&syncers), -EINVAL); /* a pipe is on no disk */
	assert_int_equal(dup2(file, ends[0]), ends[0]);
	assert_int_equal(fdatasync(ends[0]), 0);
	assert_int_equal(vhdx_syncers_flush(&syncers), -EINVAL);
	vhdx_syncers_destroy(&syncers);
	close(ends[0]);
	close(ends[1]);
	close(file);
}

static void test_a_flush_that_waited_for_one_that_failed_fails(void **state)
{
	struct syncers syncers;
	int fd = make_file();

	(void)state;
	vhdx_syncers_init(&syncers, fd);
	assert_int_equal(meet(&syncers, -EIO), -EIO);
	assert_int_equal(syncers.count, 1);
	vhdx_syncers_destroy(&syncers);
	close(fd);
}

/* All who wait learn of it at once: nobody comes after them who would wake the next. */
static void test_a_flush_that_fails_wakes_all_who_wait(void **state)
{
	struct late late[2];
	struct syncers syncers;
	int file = make_file();
	int ends[2];

	(void)state;
	assert_int_equal(pipe(ends), 0);
	vhdx_syncers_init(&syncers, file);
	syncers.fds[0] = ends[0];
	syncers.busy = 1;
	for (unsigned i = 0; i < ARRAY_SIZE(late); i++) {
		late[i] = (struct late){.syncers = &syncers};
		assert_int_equal(pthread_create(&late[i].thread, NULL, flush_late, &late[i]), 0);
	}
	wait_until_met(&syncers);
	usleep(20000); /* for the other one to wait as well */
	pthread_mutex_lock(&syncers.lock);
	syncers.busy = 0;
	pthread_mutex_unlock(&syncers.lock);
	assert_int_equal(vhdx_syncers_flush(&syncers), -EINVAL); /* a pipe is on no disk */
	for (unsigned i = 0; i < ARRAY_SIZE(late); i++) {
		pthread_join(late[i].thread, NULL);
		assert_int_equal(late[i].ret, -EINVAL);
	}
	syncers.fds[0] = file;
	vhdx_syncers_destroy(&syncers);
	close(ends[0]);
	close(ends[1]);
	close(file);
}

/* What was opened meanwhile may not know of an error that was told before. */
static void test_new_descriptions_are_used_once_a_flush_of_an_old_one_succeeded(void **state)
{
	struct syncers syncers;
	int fd = make_file();

	(void)state;
	vhdx_syncers_init(&syncers, fd);
	syncers.met = true;
	syncers.fds[0] = -1; /* its flush fails */
	assert_int_equal(vhdx_syncers_flush(&syncers), -EBADF);
	assert_int_equal(syncers.count, 1);
	syncers.fds[0] = fd;
	vhdx_syncers_destroy(&syncers);
	close(fd);
}

static void test_without_descriptions_to_be_had_one_does(void **state)
{
	struct rlimit limit, none;
	struct syncers syncers;
	int fd = make_file();

	(void)state;
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
	none = limit;
	none.rlim_cur = (rlim_t)fd + 1;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
	vhdx_syncers_init(&syncers, fd);
	int ret = meet(&syncers, 0);

	assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
	assert_int_equal(ret, 0);
	assert_int_equal(syncers.count, 1);
	assert_int_equal(vhdx_syncers_flush(&syncers), 0);
	vhdx_syncers_destroy(&syncers);
	close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_flushes_that_never_meet_need_one_description),
		cmocka_unit_test(test_flushes_that_met_have_descriptions_of_their_own),
		cmocka_unit_test(test_after_one_flush_failed_all_do),
		cmocka_unit_test(test_a_flush_that_waited_for_one_that_failed_fails),
		cmocka_unit_test(test_a_flush_that_fails_wakes_all_who_wait),
		cmocka_unit_test(
			test_new_descriptions_are_used_once_a_flush_of_an_old_one_succeeded),
		cmocka_unit_test(test_without_descriptions_to_be_had_one_does),
	};

	return RUN_TESTS(tests);
}
