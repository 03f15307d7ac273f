/* SPDX-License-Identifier: MIT */
/* Waiting for what may never come: it comes, it is silent, it gives signs of life, the user wants an end. */
#include <errno.h>
#include <semaphore.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "patience.h"
#include "support/unit.h"

static bool stop_asked;

static int is_stop_asked(void)
{
	return stop_asked;
}

/* What the thread that works shares with its test; it outlives both where it is given up. */
struct work {
	sem_t go;
	sem_t gone;
	int result;
	unsigned beats;
	bool was_wanted;
};

static struct work *work_new(int result)
{
	struct work *work = calloc(1, sizeof(*work));

	sem_init(&work->go, 0, 0);
	sem_init(&work->gone, 0, 0);
	work->result = result;
	return work;
}

static void work_free(struct work *work)
{
	sem_destroy(&work->go);
	sem_destroy(&work->gone);
	free(work);
}

static int end_at_once(struct task *task, void *opaque)
{
	const struct work *work = opaque;

	(void)task;
	return work->result;
}

/* Ends when the test says so. */
static int hang(struct task *task, void *opaque)
{
	struct work *work = opaque;

	sem_wait(&work->go);
	work->was_wanted = task_beat(task);
	sem_post(&work->gone);
	return work->result;
}

/* Longer than its time-out of two seconds. */
#define BEATS 25

static int live(struct task *task, void *opaque)
{
	const struct timespec pause = {.tv_nsec = 100000000};
	struct work *work = opaque;

	for (; work->beats < BEATS; work->beats++) {
		if (!task_beat(task))
			return -ECANCELED;
		nanosleep(&pause, NULL);
	}
	return work->result;
}

/* Until what was given up has ended: then the patience may go too. */
static void await_end(struct patience *patience, struct work *work)
{
	const struct timespec pause = {.tv_nsec = 1000000};

	sem_post(&work->go);
	sem_wait(&work->gone);
	while (patience->given_up)
		nanosleep(&pause, NULL);
}

static void test_the_result_of_a_call_is_passed_on(void **state)
{
	struct patience patience = {.timeout_s = 60};
	struct work *work = work_new(-ENOENT);

	(void)state;
	assert_int_equal(patience_call(&patience, end_at_once, work), -ENOENT);
	work->result = 0;
	assert_int_equal(patience_call(&patience, end_at_once, work), 0);
	assert_int_equal(patience_lost(&patience), 0);
	work_free(work);
}

static void test_what_is_silent_is_given_up(void **state)
{
	struct patience patience = {.timeout_s = 1};
	struct work *work = work_new(0);

	(void)state;
	work->was_wanted = true;
	assert_int_equal(patience_call(&patience, hang, work), -ETIMEDOUT);
	assert_int_equal(patience_lost(&patience), -ETIMEDOUT);
	assert_true(patience_was_lost());
	assert_int_equal(patience_silence(), 1);
	await_end(&patience, work);
	assert_false(work->was_wanted);
	work_free(work);
}

static void test_what_gives_signs_of_life_is_waited_for(void **state)
{
	struct patience patience = {.timeout_s = 2};
	struct work *work = work_new(0);

	(void)state;
	assert_int_equal(patience_call(&patience, live, work), 0);
	assert_int_equal(work->beats, BEATS);
	assert_int_equal(patience_lost(&patience), 0);
	work_free(work);
}

static void test_what_hangs_is_given_up_when_the_user_wants_an_end(void **state)
{
	struct patience patience = {.timeout_s = 3600, .stopped = is_stop_asked};
	struct work *work = work_new(0);

	(void)state;
	stop_asked = true;
	assert_int_equal(patience_call(&patience, hang, work), -ECANCELED);
	stop_asked = false;
	await_end(&patience, work);
	/* For good: what the user ended is not to say later that it timed out. */
	assert_int_equal(patience_call(&patience, end_at_once, work), -ECANCELED);
	work_free(work);
}

static void test_what_still_works_ends_itself_when_the_user_wants_an_end(void **state)
{
	struct patience patience = {.timeout_s = 3600, .stopped = is_stop_asked};
	struct work *work = work_new(0);

	(void)state;
	stop_asked = true;
	assert_int_equal(patience_call(&patience, live, work), -ECANCELED);
	assert_int_equal(work->beats, 0);
	assert_int_equal(patience_lost(&patience), 0);
	stop_asked = false;
	work_free(work);
}

static void test_a_time_out_of_the_other_side_counts_as_a_loss(void **state)
{
	struct patience patience = {.timeout_s = 60};
	struct work *work = work_new(-ETIMEDOUT);

	(void)state;
	assert_int_equal(patience_call(&patience, end_at_once, work), -ETIMEDOUT);
	assert_int_equal(patience_lost(&patience), -ETIMEDOUT);
	work_free(work);
}

static void test_while_something_hangs_nothing_is_asked(void **state)
{
	struct patience patience = {.timeout_s = 1};
	struct work *work = work_new(0);

	(void)state;
	assert_int_equal(patience_call(&patience, hang, work), -ETIMEDOUT);
	patience.lost_until = 0; /* as if the time-out had passed again */
	assert_int_equal(patience_call(&patience, end_at_once, work), -ETIMEDOUT);
	await_end(&patience, work);
	work_free(work);
}

static void test_a_late_answer_ends_a_loss(void **state)
{
	struct patience patience = {.timeout_s = 1};
	struct work *work = work_new(0);

	(void)state;
	assert_int_equal(patience_call(&patience, hang, work), -ETIMEDOUT);
	patience.lost_until = INT64_MAX; /* time does not */
	await_end(&patience, work);
	assert_int_equal(patience_call(&patience, end_at_once, work), 0);
	work_free(work);
}

static void test_after_another_time_out_it_is_tried_again(void **state)
{
	struct patience patience = {.timeout_s = 3600};
	struct work *work = work_new(-ETIMEDOUT);

	(void)state;
	assert_int_equal(patience_call(&patience, end_at_once, work), -ETIMEDOUT);
	work->result = 0;
	assert_int_equal(patience_call(&patience, end_at_once, work), -ETIMEDOUT);
	patience.lost_until = 0;
	assert_int_equal(patience_call(&patience, end_at_once, work), 0);
	work_free(work);
}

/* ---- A process that is stopped for longer than the time-out ---- */

static sem_t continued;

static void on_continued(int number)
{
	(void)number;
	sem_post(&continued);
}

static pid_t start_stopper(void)
{
	const struct timespec pause = {.tv_sec = 2, .tv_nsec = 500000000};
	pid_t parent = getpid(), pid = fork();

	if (pid)
		return pid;
	kill(parent, SIGSTOP);
	nanosleep(&pause, NULL);
	kill(parent, SIGCONT);
	_exit(0);
}

static int answer_after_continuing(struct task *task, void *opaque)
{
	const struct timespec pause = {.tv_nsec = 500000000};

	(void)task;
	(void)opaque;
	while (sem_wait(&continued))
		;
	nanosleep(&pause, NULL);
	return 0;
}

static void test_time_in_which_the_process_is_stopped_does_not_count(void **state)
{
	struct patience patience = {.timeout_s = 2};

	(void)state;
	sem_init(&continued, 0, 0);
	signal(SIGCONT, on_continued);
	pid_t stopper = start_stopper();

	assert_true(stopper > 0);
	assert_int_equal(patience_call(&patience, answer_after_continuing, NULL), 0);
	assert_int_equal(waitpid(stopper, NULL, 0), stopper);
	signal(SIGCONT, SIG_DFL);
	sem_destroy(&continued);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_the_result_of_a_call_is_passed_on),
		cmocka_unit_test(test_what_is_silent_is_given_up),
		cmocka_unit_test(test_what_gives_signs_of_life_is_waited_for),
		cmocka_unit_test(test_what_hangs_is_given_up_when_the_user_wants_an_end),
		cmocka_unit_test(test_what_still_works_ends_itself_when_the_user_wants_an_end),
		cmocka_unit_test(test_a_time_out_of_the_other_side_counts_as_a_loss),
		cmocka_unit_test(test_while_something_hangs_nothing_is_asked),
		cmocka_unit_test(test_a_late_answer_ends_a_loss),
		cmocka_unit_test(test_after_another_time_out_it_is_tried_again),
		cmocka_unit_test(test_time_in_which_the_process_is_stopped_does_not_count),
	};

	return RUN_TESTS(tests);
}
