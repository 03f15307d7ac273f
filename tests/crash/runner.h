/* SPDX-License-Identifier: MIT */
/* The scenarios, and running one: the guest does what it does, then every state that a crash left is judged. */
#ifndef TESTS_CRASH_RUNNER_H
#define TESTS_CRASH_RUNNER_H

#include "crash/guest.h"

struct scenario {
	const char *name; /* the behaviour */
	void (*run)(struct guest *guest);
	unsigned states;		     /* about so many; 0: RUN_STATES */
	const struct chain_case *of_chain;   /* instead of run: files that crash together */
	const struct repair_case *of_repair; /* instead of run: a repair with its undo file */
};

#define RUN_STATES 3000

/* Each ends with an entry without a name. */
extern const struct scenario basic_scenarios[];
extern const struct scenario space_scenarios[];
extern const struct scenario log_scenarios[];
extern const struct scenario child_scenarios[];
extern const struct scenario error_scenarios[];
extern const struct scenario inside_scenarios[];
extern const struct scenario thread_scenarios[];
extern const struct scenario resize_scenarios[];
extern const struct scenario chain_scenarios[];
extern const struct scenario compact_scenarios[];
extern const struct scenario repair_scenarios[];

/* Number @index of all, or NULL. */
const struct scenario *scenario_at(size_t index);
const struct scenario *scenario_named(const char *name, size_t length);

struct run_options {
	uint64_t divisor; /* of the number of states */
	unsigned share;	  /* of the states, see struct states_options */
	unsigned shares;
	const char *state; /* only this one: "INTERVAL/NUMBER[/INTERVAL/NUMBER]"; NULL: all */
	char *progress;	   /* RUN_ID bytes where the state under judgement is named; or NULL */
};

#define RUN_ID 96

struct run_result {
	unsigned long states;
	unsigned long nested;
	unsigned long continued;
	char id[RUN_ID];  /* of the state that failed */
	char fault[1000]; /* empty: none */
};

void scenario_run(const struct scenario *scenario, const struct run_options *options,
		  struct run_result *ret_result);

#endif
