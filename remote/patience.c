/* SPDX-License-Identifier: MIT */
/* Waits for what a cluster may never answer, and gives up. */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>

#include "cleanup.h"
#include "clock.h"
#include "patience.h"

#define LOOK_AROUND   (NS_A_SECOND / 10) /* for signals, and signs of life */
#define STANDSTILL    NS_A_SECOND	 /* other processes alone do not hold this one up so long */
#define GRACE_SECONDS 2 /* for a cluster that answers, when the user wants an end */

static pthread_mutex_t losses = PTHREAD_MUTEX_INITIALIZER; /* of every patience */
static atomic_bool was_lost;
static atomic_uint silence_s;

bool patience_was_lost(void)
{
	return was_lost;
}

unsigned patience_silence(void)
{
	return silence_s;
}

static bool is_stopped(const struct patience *patience)
{
	return patience->stopped && patience->stopped();
}

/* ---- Losses ---- */

int patience_lost(struct patience *patience)
{
	if (!patience->lost)
		return 0;
	LOCK_SCOPED(&losses);
	if (patience->lost == -ETIMEDOUT && !patience->given_up &&
	    clock_now() >= patience->lost_until)
		patience->lost = 0;
	return patience->lost;
}

/* With losses held. */
static void lose(struct patience *patience, int why)
{
	if (patience->lost != -ECANCELED)
		patience->lost = why;
	patience->lost_until = clock_now() + patience->timeout_s * NS_A_SECOND;
	was_lost = true;
	if (why == -ETIMEDOUT)
		silence_s = patience->timeout_s;
}

static void lose_to_silence(struct patience *patience)
{
	LOCK_SCOPED(&losses);
	lose(patience, -ETIMEDOUT);
}

/* What was given up ended. Once losses is released the patience may be gone. */
static void regain(struct patience *patience, bool is_answered)
{
	LOCK_SCOPED(&losses);
	if (is_answered)
		patience->lost_until = 0;
	patience->given_up--;
}

/* ---- Tasks ---- */

void task_begin(struct task *task, struct patience *patience)
{
	pthread_condattr_t attributes;

	*task = (struct task){.patience = patience, .begun = clock_now()};
	pthread_mutex_init(&task->lock, NULL);
	pthread_condattr_init(&attributes);
	pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
	pthread_cond_init(&task->ended, &attributes);
	pthread_condattr_destroy(&attributes);
}

void task_free(struct task *task)
{
	pthread_cond_destroy(&task->ended);
	pthread_mutex_destroy(&task->lock);
}

/* Once the lock is released the waiter may free the task. */
void task_end(struct task *task, int64_t result)
{
	pthread_mutex_lock(&task->lock);
	struct patience *patience = task->is_given_up ? task->patience : NULL;
	void (*drop)(struct task *) = task->drop;

	task->result = result;
	task->is_ended = true;
	pthread_cond_signal(&task->ended);
	pthread_mutex_unlock(&task->lock);
	if (!patience)
		return;
	if (drop)
		drop(task);
	regain(patience, result != -ETIMEDOUT);
}

bool task_beat(struct task *task)
{
	task->beats++;
	if (is_stopped(task->patience))
		return false;
	LOCK_SCOPED(&task->lock);
	return !task->is_given_up;
}

/* With the lock held. */
static void sleep_on(struct task *task, int64_t until)
{
	struct timespec at = {until / NS_A_SECOND, until % NS_A_SECOND};

	pthread_cond_timedwait(&task->ended, &task->lock, &at);
}

static int give_up(struct task *task, struct patience *patience, bool is_stopping)
{
	LOCK_SCOPED(&losses);
	task->is_given_up = true;
	patience->given_up++;
	/* One that is given up because another was has waited for nothing itself. */
	if (is_stopping || !patience->lost)
		lose(patience, is_stopping ? -ECANCELED : -ETIMEDOUT);
	return patience->lost;
}

bool task_ended_early(const struct task *task)
{
	return task->still >= STANDSTILL;
}

int task_wait(struct task *task, struct patience *patience, int64_t *ret_result)
{
	unsigned beats = task->beats;
	int64_t before, time = task->begun;
	int64_t end = time + patience->timeout_s * NS_A_SECOND;
	bool is_stopping = false;

	LOCK_SCOPED(&task->lock);
	while (!task->is_ended) {
		before = time;
		sleep_on(task, before + LOOK_AROUND);
		time = clock_now();
		/* A process that was stopped meanwhile could not have seen a sign. */
		if (time > before + 2 * LOOK_AROUND) {
			task->still += time - before - LOOK_AROUND;
			end += time - before - LOOK_AROUND;
		}
		if (task->beats != beats)
			end = time +
			      (is_stopping ? GRACE_SECONDS : patience->timeout_s) * NS_A_SECOND;
		beats = task->beats;
		if (!is_stopping && is_stopped(patience)) {
			is_stopping = true;
			end = time + GRACE_SECONDS * NS_A_SECOND;
		}
		/* Who waits for the same cluster has nothing to hope for either. */
		if ((time >= end || patience_lost(patience)) && !task->is_ended)
			return give_up(task, patience, is_stopping);
	}
	/* The cluster's own time-out: what is asked next would hang as long. */
	if (task->result == -ETIMEDOUT && !task_ended_early(task))
		lose_to_silence(patience);
	*ret_result = task->result;
	return 0;
}

/* ---- Calls ---- */

struct call {
	struct task task;
	int (*run)(struct task *task, void *opaque);
	void *opaque;
};

static void drop_call(struct task *task)
{
	task_free(task);
	free(task); /* the first member */
}

static void *run_call(void *opaque)
{
	struct call *call = opaque;

	task_end(&call->task, call->run(&call->task, call->opaque));
	return NULL;
}

/* Signals are for the caller's threads, and not for those that a library starts here either. */
static int start(struct call *call)
{
	pthread_t thread;
	sigset_t all, old;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	int errnum = pthread_create(&thread, NULL, run_call, call);

	pthread_sigmask(SIG_SETMASK, &old, NULL);
	if (!errnum)
		pthread_detach(thread);
	return -errnum;
}

int patience_call(struct patience *patience, int (*run)(struct task *task, void *opaque),
		  void *opaque)
{
	int64_t result = 0;
	int ret = patience_lost(patience);

	if (ret)
		return ret;
	struct call *call = calloc(1, sizeof(*call));

	if (!call)
		return -ENOMEM;
	task_begin(&call->task, patience);
	call->task.drop = drop_call;
	call->run = run;
	call->opaque = opaque;
	ret = start(call);
	if (!ret)
		ret = task_wait(&call->task, patience, &result);
	if (ret == -ETIMEDOUT || ret == -ECANCELED)
		return ret;
	drop_call(&call->task);
	return ret ? ret : (int)result;
}
