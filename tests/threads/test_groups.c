/* SPDX-License-Identifier: MIT */
/* Who shares a flush of the file, step by step: storage whose flushes run until the test ends them. */
#include <assert.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <time.h>

#include "support/journalcase.h"

#define CALLERS		 10u
#define MAX_FLUSHES	 32u
#define MAX_CALLERS	 64u
#define PARALLEL_FLUSHES 16u
#define PATIENCE	 10 /* seconds, for what happens at once unless it is broken */

/* One call of vhdx_journal_commit. */
struct caller {
	struct stage *stage;
	pthread_t thread;
	unsigned begun; /* flushes, before the call */
	bool served;	/* a flush that began after the call was over when it returned */
	bool joined;
	int ret;
	char text[200];
};

/* What a test sees and does of the storage's flushes, which are numbered from 1 as they begin. */
struct stage {
	struct journal_case *c;
	struct vhdx_io plain;
	pthread_mutex_t lock;
	pthread_cond_t changed;
	bool opened; /* flushes end by themselves */
	unsigned begun;
	bool may_end[MAX_FLUSHES];
	bool ended[MAX_FLUSHES];
	int results[MAX_FLUSHES];
	bool is_full; /* the next write of the log finds no space */
	struct caller callers[MAX_CALLERS];
	unsigned started;
};

static struct stage *the_stage;

static int staged_flush(void *opaque)
{
	struct stage *stage = the_stage;

	(void)opaque;
	pthread_mutex_lock(&stage->lock);
	unsigned number = ++stage->begun;

	assert(number < MAX_FLUSHES);
	pthread_cond_broadcast(&stage->changed);
	while (!stage->opened && !stage->may_end[number])
		pthread_cond_wait(&stage->changed, &stage->lock);
	int ret = stage->results[number];

	stage->ended[number] = true;
	pthread_mutex_unlock(&stage->lock);
	return ret;
}

static ssize_t staged_pwritev(void *opaque, const struct iovec *iov, int iovcnt, uint64_t offset)
{
	struct stage *stage = the_stage;
	ssize_t done = -ENOSPC;

	pthread_mutex_lock(&stage->lock);
	if (!stage->is_full || offset >= LOG_OFFSET + LOG_LENGTH)
		done = stage->plain.pwritev(opaque, iov, iovcnt, offset);
	stage->is_full = false;
	recorder_clear(&stage->c->recorder);
	pthread_mutex_unlock(&stage->lock);
	return done;
}

static ssize_t staged_preadv(void *opaque, const struct iovec *iov, int iovcnt, uint64_t offset)
{
	pthread_mutex_lock(&the_stage->lock);
	ssize_t done = the_stage->plain.preadv(opaque, iov, iovcnt, offset);

	pthread_mutex_unlock(&the_stage->lock);
	return done;
}

static int make(void **state)
{
	struct stage *stage = calloc(1, sizeof(*stage));
	void *made;

	case_start(&made);
	stage->c = made;
	stage->plain = stage->c->io;
	stage->c->io.preadv = staged_preadv;
	stage->c->io.pwritev = staged_pwritev;
	stage->c->io.flush = staged_flush;
	stage->c->io.parallel_flushes = PARALLEL_FLUSHES;
	pthread_mutex_init(&stage->lock, NULL);
	pthread_cond_init(&stage->changed, NULL);
	the_stage = stage;
	*state = stage;
	return 0;
}

static void open_stage(struct stage *stage)
{
	pthread_mutex_lock(&stage->lock);
	stage->opened = true;
	pthread_cond_broadcast(&stage->changed);
	pthread_mutex_unlock(&stage->lock);
}

/* Of a test that failed, calls may still run. */
static int drop(void **state)
{
	struct stage *stage = *state;
	void *made = stage->c;

	open_stage(stage);
	for (unsigned i = 0; i < stage->started; i++)
		if (!stage->callers[i].joined)
			pthread_join(stage->callers[i].thread, NULL);
	case_drop(&made);
	pthread_cond_destroy(&stage->changed);
	pthread_mutex_destroy(&stage->lock);
	free(stage);
	return 0;
}

/* ---- Steps ---- */

static void *call(void *opaque)
{
	struct caller *caller = opaque;
	struct stage *stage = caller->stage;

	caller->ret = vhdx_journal_commit(&stage->c->journal);
	if (caller->ret)
		snprintf(caller->text, sizeof(caller->text), "%s", vhdx_last_error()->text);
	pthread_mutex_lock(&stage->lock);
	for (unsigned i = caller->begun + 1; i <= stage->begun; i++)
		caller->served |= stage->ended[i];
	pthread_mutex_unlock(&stage->lock);
	return NULL;
}

static unsigned flushes_begun(struct stage *stage)
{
	pthread_mutex_lock(&stage->lock);
	unsigned begun = stage->begun;

	pthread_mutex_unlock(&stage->lock);
	return begun;
}

static struct caller *start(struct stage *stage)
{
	struct caller *caller = &stage->callers[stage->started];

	assert_true(stage->started < MAX_CALLERS);
	*caller = (struct caller){.stage = stage, .begun = flushes_begun(stage)};
	assert_int_equal(pthread_create(&caller->thread, NULL, call, caller), 0);
	stage->started++;
	return caller;
}

static void wait_for_flush(struct stage *stage, unsigned number)
{
	time_t end = time(NULL) + PATIENCE;

	while (flushes_begun(stage) < number && time(NULL) < end)
		sched_yield();
	assert_int_equal(flushes_begun(stage), number);
}

/* A caller whose flush of the file, or whose round's, has begun and runs. */
static struct caller *start_running(struct stage *stage)
{
	unsigned number = flushes_begun(stage) + 1;
	struct caller *caller = start(stage);

	wait_for_flush(stage, number);
	return caller;
}

static struct caller *start_all_running(struct stage *stage)
{
	struct caller *callers = &stage->callers[stage->started];

	for (unsigned i = 0; i < PARALLEL_FLUSHES; i++)
		start_running(stage);
	return callers;
}

static unsigned waiting(struct journal *journal)
{
	unsigned count = 0;

	pthread_mutex_lock(&journal->lock);
	if (journal->waiting) {
		count = 1;
		for (struct group_member *m = journal->waiting->members; m; m = m->next)
			count++;
	}
	pthread_mutex_unlock(&journal->lock);
	return count;
}

static void wait_until_waiting(struct stage *stage, unsigned count)
{
	time_t end = time(NULL) + PATIENCE;

	while (waiting(&stage->c->journal) < count && time(NULL) < end)
		sched_yield();
	assert_int_equal(waiting(&stage->c->journal), count);
}

/* Callers that come now, and wait, all in one group. */
static struct caller *start_waiting(struct stage *stage, unsigned count)
{
	struct caller *callers = &stage->callers[stage->started];

	for (unsigned i = 0; i < count; i++)
		start(stage);
	wait_until_waiting(stage, count);
	return callers;
}

static void end_flush(struct stage *stage, unsigned number, int result)
{
	pthread_mutex_lock(&stage->lock);
	stage->results[number] = result;
	stage->may_end[number] = true;
	pthread_cond_broadcast(&stage->changed);
	pthread_mutex_unlock(&stage->lock);
}

static void expect(struct caller *callers, unsigned count, int ret)
{
	for (unsigned i = 0; i < count; i++) {
		pthread_join(callers[i].thread, NULL);
		callers[i].joined = true;
		assert_int_equal(callers[i].ret, ret);
		assert_true(ret || callers[i].served);
		assert_true(!ret || callers[i].text[0]);
	}
}

/* ---- Commits ---- */

static void test_who_comes_during_a_commit_shares_the_next_one(void **state)
{
	struct stage *stage = *state;

	change_page(stage->c, 1, 1);
	struct caller *first = start_running(stage);
	for (unsigned i = 0; i < CALLERS; i++)
		change_page(stage->c, 10 + i, 2);
	struct caller *others = start_waiting(stage, CALLERS);
	assert_int_equal(flushes_begun(stage), 1);

	end_flush(stage, 1, 0);
	expect(first, 1, 0);
	assert_int_equal(durable(stage->c), 1);
	wait_for_flush(stage, 2);
	end_flush(stage, 2, 0);
	expect(others, CALLERS, 0);
	assert_int_equal(durable(stage->c), 2);
	assert_int_equal(flushes_begun(stage), 2);
}

static void test_who_has_changed_nothing_still_gets_a_flush_that_begins_later(void **state)
{
	struct stage *stage = *state;

	change_page(stage->c, 1, 1);
	struct caller *first = start_running(stage);
	struct caller *late = start_waiting(stage, 1);
	end_flush(stage, 1, 0);
	expect(first, 1, 0);
	wait_for_flush(stage, 2);
	end_flush(stage, 2, 0);
	expect(late, 1, 0);
}

static void test_a_commit_waits_for_no_change_that_comes_after_it(void **state)
{
	struct stage *stage = *state;

	change_page(stage->c, 1, 1);
	struct caller *first = start_running(stage);
	change_page(stage->c, 1, 2);
	end_flush(stage, 1, 0);
	expect(first, 1, 0);
	assert_int_equal(flushes_begun(stage), 1);
	assert_int_equal(stage->c->journal.transaction.dirty_count, 1);
}

static void test_want_of_space_is_told_to_all_of_its_group_and_to_no_other(void **state)
{
	struct stage *stage = *state;

	change_page(stage->c, 1, 1);
	struct caller *first = start_running(stage);
	want_data_first(stage->c);
	change_page(stage->c, 1, 2);
	struct caller *second = start_waiting(stage, CALLERS);
	end_flush(stage, 1, 0);
	expect(first, 1, 0);
	wait_for_flush(stage, 2); /* of payload, before the entry */
	struct caller *third = start_waiting(stage, CALLERS);

	pthread_mutex_lock(&stage->lock);
	stage->is_full = true;
	pthread_mutex_unlock(&stage->lock);
	end_flush(stage, 2, 0);
	expect(second, CALLERS, -ENOSPC);
	open_stage(stage);
	expect(third, CALLERS, 0);
	assert_int_equal(flushes_begun(stage), 4);
	assert_int_equal(stage->c->journal.transaction.dirty_count, 0);
}

static void test_a_failed_flush_is_told_to_its_group_and_ends_writing(void **state)
{
	struct stage *stage = *state;

	change_page(stage->c, 1, 1);
	struct caller *first = start_running(stage);
	struct caller *second = start_waiting(stage, CALLERS);
	end_flush(stage, 1, 0);
	expect(first, 1, 0);
	wait_for_flush(stage, 2);
	struct caller *third = start_waiting(stage, CALLERS);
	end_flush(stage, 2, -EIO);
	expect(second, CALLERS, -EIO);
	open_stage(stage);
	expect(third, CALLERS, -EIO);
	assert_int_equal(flushes_begun(stage), 2);
}

/* ---- With nothing to log ---- */

static void test_flushes_of_an_idle_journal_run_beside_each_other_up_to_a_number(void **state)
{
	struct stage *stage = *state;

	struct caller *running = start_all_running(stage);
	struct caller *others = start_waiting(stage, CALLERS);
	assert_int_equal(flushes_begun(stage), PARALLEL_FLUSHES);

	end_flush(stage, 2, 0); /* which of them does not matter */
	wait_for_flush(stage, PARALLEL_FLUSHES + 1);
	expect(&running[1], 1, 0);
	end_flush(stage, PARALLEL_FLUSHES + 1, 0);
	expect(others, CALLERS, 0);
	assert_int_equal(flushes_begun(stage), PARALLEL_FLUSHES + 1);
	open_stage(stage);
	expect(&running[0], 1, 0);
	expect(&running[2], PARALLEL_FLUSHES - 2, 0);
}

static void test_a_change_is_committed_beside_flushes_that_came_before_it(void **state)
{
	struct stage *stage = *state;

	struct caller *running = start_all_running(stage);
	change_page(stage->c, 1, 1);
	struct caller *committing = start_running(stage);
	end_flush(stage, PARALLEL_FLUSHES + 1, 0);
	expect(committing, 1, 0);
	assert_int_equal(durable(stage->c), 1);
	open_stage(stage);
	expect(running, PARALLEL_FLUSHES, 0);
}

static void test_a_flush_that_fails_beside_others_is_told_to_its_own_group(void **state)
{
	struct stage *stage = *state;

	struct caller *first = start_running(stage);
	struct caller *second = start_running(stage);
	end_flush(stage, 2, -EIO);
	expect(second, 1, -EIO);
	end_flush(stage, 1, 0);
	expect(first, 1, 0);
	assert_int_equal(vhdx_journal_check(&stage->c->journal), -EIO);
}

static void test_storage_that_does_not_ask_for_more_is_flushed_one_at_a_time(void **state)
{
	struct stage *stage = *state;

	stage->c->io.parallel_flushes = 0;
	struct caller *first = start_running(stage);
	struct caller *second = start_waiting(stage, 1);
	change_page(stage->c, 1, 1);
	struct caller *third = start(stage);
	wait_until_waiting(stage, 2);
	assert_int_equal(flushes_begun(stage), 1);

	end_flush(stage, 1, 0);
	expect(first, 1, 0);
	wait_for_flush(stage, 2);
	assert_int_equal(flushes_begun(stage), 2);
	open_stage(stage);
	expect(second, 1, 0);
	expect(third, 1, 0);
}

int main(void)
{
#define ON_STAGE(test) cmocka_unit_test_setup_teardown(test, make, drop)
	const struct CMUnitTest tests[] = {
		ON_STAGE(test_who_comes_during_a_commit_shares_the_next_one),
		ON_STAGE(test_who_has_changed_nothing_still_gets_a_flush_that_begins_later),
		ON_STAGE(test_a_commit_waits_for_no_change_that_comes_after_it),
		ON_STAGE(test_want_of_space_is_told_to_all_of_its_group_and_to_no_other),
		ON_STAGE(test_a_failed_flush_is_told_to_its_group_and_ends_writing),
		ON_STAGE(test_flushes_of_an_idle_journal_run_beside_each_other_up_to_a_number),
		ON_STAGE(test_a_change_is_committed_beside_flushes_that_came_before_it),
		ON_STAGE(test_a_flush_that_fails_beside_others_is_told_to_its_own_group),
		ON_STAGE(test_storage_that_does_not_ask_for_more_is_flushed_one_at_a_time),
	};

	return RUN_TESTS(tests);
}
