/* SPDX-License-Identifier: MIT */
/*
 * Waits for what a cluster may never answer, and gives up: after a time without a sign of life, or soon after the
 * user wants an end. What was given up goes on, for nothing can call it back; so its memory is left to it.
 */
#ifndef REMOTE_PATIENCE_H
#define REMOTE_PATIENCE_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

/* Of one connection. The last three members are patience_lost's. */
struct patience {
	unsigned timeout_s;
	int (*stopped)(void); /* may be NULL */
	atomic_int lost;
	atomic_uint given_up; /* tasks that go on */
	int64_t lost_until;
};

/*
 * 0, or why nothing is to be asked: -ECANCELED for good, as the user wanted an end; -ETIMEDOUT while something
 * that was given up goes on, and then until an answer to that has come, or the time-out has passed once more.
 */
int patience_lost(struct patience *patience);

struct task {
	pthread_mutex_t lock;
	pthread_cond_t ended;
	bool is_ended;
	bool is_given_up;
	int64_t result;
	int64_t begun;
	int64_t still; /* of the time since then: this process did not run */
	atomic_uint beats;
	struct patience *patience;
	void (*drop)(struct task *); /* frees one that was given up, when it ends; NULL: it stays */
};

void task_begin(struct task *task, struct patience *patience);

/* By whoever does it, once. The task may be gone afterwards. */
void task_end(struct task *task, int64_t result);

/* A sign of life, by whoever does it. False: nobody waits for the end any more, or the user wants one. */
bool task_beat(struct task *task);

/*
 * Waits for the end. 0: it came, with *ret_result, and the task is the caller's again. -ETIMEDOUT and -ECANCELED:
 * given up, and @patience lost.
 */
int task_wait(struct task *task, struct patience *patience, int64_t *ret_result);

/*
 * Of one that ended with -ETIMEDOUT: was it timed by a clock that went on while this process did not? Then it may be
 * done once more.
 */
bool task_ended_early(const struct task *task);

/* Of one that was not given up. */
void task_free(struct task *task);

/*
 * Does on a thread of its own what blocks. Returns what @run does, or as task_wait. Where @patience is lost
 * afterwards, @opaque may be the thread's for good.
 */
int patience_call(struct patience *patience, int (*run)(struct task *task, void *opaque),
		  void *opaque);

/* Was anything given up in this process? Then its end must not wait for threads that hang. */
bool patience_was_lost(void);

/* The seconds without an answer that were the last reason to give up; 0: none. */
unsigned patience_silence(void);

#endif
