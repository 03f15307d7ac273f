/* SPDX-License-Identifier: MIT */
/*
 * The states that a crash may leave of a recorded store: all that was complete when the last completed flush
 * began, then any subset of the later operations, and of each write and punch any subset of its sectors.
 *
 * An interval is the time between two completed flushes. Its states are numbered: where few operations are
 * not durable, each subset of them has the number whose bits say which are kept; torn ones follow.
 */
#ifndef TESTS_CRASH_STATES_H
#define TESTS_CRASH_STATES_H

#include "crash/store.h"

/* Subsets of at most so many operations are all tried. */
#define STATES_EXHAUSTIVE 12

struct states_options {
	uint64_t seed;
	uint64_t target; /* about so many states; each interval gets some */
	unsigned share;	 /* of the numbers, those that leave this rest ... */
	unsigned shares; /* ... divided by that */
	bool single;	 /* only this one, told on stderr */
	unsigned interval;
	uint64_t number;
};

struct state {
	const struct cow *image;
	unsigned interval;
	uint64_t number;
	uint64_t crash; /* by the store's clock */
};

/* Another value than 0 ends the enumeration, which returns it. */
typedef int state_fn(void *opaque, const struct state *state);

int states_each(const struct store *store, const struct states_options *options, state_fn *each,
		void *opaque);

/* The state that number @number of the last interval is, to go on from; @ret_image is a new copy. */
void states_last(const struct store *store, uint64_t seed, uint64_t number, struct cow *ret_image,
		 uint64_t *ret_crash);

/* Numbers of states_at; those behind them are any subset, and torn. */
#define STATE_LOST 0
#define STATE_KEPT 1

/*
 * For files that crash together: one of the states of this one when the power fails at @time. What was not
 * flushed is lost, or kept as far as it had begun, or any of it, as @number says.
 */
void states_at(const struct store *store, uint64_t seed, uint64_t time, uint64_t number,
	       struct cow *ret_image);

#endif
