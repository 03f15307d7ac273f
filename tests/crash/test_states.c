/* SPDX-License-Identifier: MIT */
/*
 * Every state that a crash may leave of every scenario. VHDX_CRASH_STATE=SCENARIO/INTERVAL/NUMBER judges one
 * of them alone and tells what it kept; VHDX_CRASH_STATE=SCENARIO, all of one scenario. Arguments name scenarios,
 * which are then sampled as otherwise all are.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "crash/runner.h"
#include "support/random.h"
#include "support/unit.h"

#define WORKERS	      2
#define MAX_SCENARIOS 128

/* Shared with the workers: each judges its share of the states of every scenario. */
struct shared {
	struct run_result results[MAX_SCENARIOS][WORKERS];
	bool done[MAX_SCENARIOS][WORKERS];
	char progress[WORKERS][RUN_ID];
};

static struct shared *shared;
static char **wanted; /* names; none: all */

static bool is_wanted(const struct scenario *scenario)
{
	for (char **name = wanted; *name; name++)
		if (!strcmp(*name, scenario->name))
			return true;
	return !*wanted;
}

static void run_share(unsigned worker)
{
	const struct scenario *scenario;

	for (size_t i = 0; (scenario = scenario_at(i)); i++) {
		struct run_options options = {
			.divisor = 0,
			.share = worker,
			.shares = WORKERS,
			.progress = shared->progress[worker],
		};

		if (!is_wanted(scenario))
			continue;
		options.divisor = 1000 / sampled(1000);
		scenario_run(scenario, &options, &shared->results[i][worker]);
		shared->done[i][worker] = true;
	}
}

static int run_all(void **state)
{
	pid_t workers[WORKERS];

	(void)state;
	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
		      0);
	if (shared == MAP_FAILED)
		return -1;
	for (unsigned i = 0; i < WORKERS; i++) {
		fflush(NULL);
		workers[i] = fork();
		if (workers[i] < 0)
			return -1;
		if (!workers[i]) {
			run_share(i);
			exit(0);
		}
	}
	for (unsigned i = 0; i < WORKERS; i++)
		waitpid(workers[i], NULL, 0);
	return 0;
}

static void no_state_breaks_a_promise(void **state)
{
	size_t index = (size_t)(uintptr_t)*state;
	unsigned long states = 0, nested = 0, continued = 0;

	for (unsigned i = 0; i < WORKERS; i++) {
		const struct run_result *result = &shared->results[index][i];

		states += result->states;
		nested += result->nested;
		continued += result->continued;
		if (*result->fault)
			fail_msg("VHDX_CRASH_STATE=%s: %s", result->id, result->fault);
		if (!shared->done[index][i])
			fail_msg("a worker died at VHDX_CRASH_STATE=%s", shared->progress[i]);
	}
	printf("# %s: %lu states, %lu of them nested, %lu gone on with\n", scenario_at(index)->name,
	       states, nested, continued);
}

static void there_are_many_states(void **state)
{
	unsigned long states = 0;

	(void)state;
	for (size_t i = 0; scenario_at(i); i++)
		for (unsigned j = 0; j < WORKERS; j++)
			states += shared->results[i][j].states;
	printf("# %lu states\n", states);
	assert_true(states >= sampled(100000));
}

static int run_chosen(const char *id)
{
	size_t length = strcspn(id, "/");
	const struct scenario *scenario = scenario_named(id, length);
	struct run_options options = {
		.divisor = 1, .shares = 1, .state = id[length] ? id + length + 1 : NULL};
	struct run_result result;

	if (!scenario) {
		fprintf(stderr, "no scenario %.*s\n", (int)length, id);
		return 2;
	}
	scenario_run(scenario, &options, &result);
	fprintf(stderr, "%lu states, %lu of them nested, %lu gone on with\n", result.states,
		result.nested, result.continued);
	if (*result.fault)
		fprintf(stderr, "VHDX_CRASH_STATE=%s: %s\n", result.id, result.fault);
	return *result.fault != '\0';
}

/* A name that no scenario has would be a case that tries nothing. */
static bool all_names_are_known(void)
{
	for (char **name = wanted; *name; name++)
		if (!scenario_named(*name, strlen(*name))) {
			fprintf(stderr, "no scenario '%s'\n", *name);
			return false;
		}
	return true;
}

int main(int argc, char **argv)
{
	static struct CMUnitTest tests[MAX_SCENARIOS];
	const char *chosen = getenv("VHDX_CRASH_STATE");
	const struct scenario *scenario;
	size_t count = 0;

	if (chosen)
		return run_chosen(chosen);
	wanted = argv + 1;
	if (!all_names_are_known())
		return 2;
	for (size_t i = 0; (scenario = scenario_at(i)); i++) {
		if (count == MAX_SCENARIOS - 1)
			abort();
		if (!is_wanted(scenario))
			continue;
		tests[count++] = (struct CMUnitTest){
			.name = scenario->name,
			.test_func = no_state_breaks_a_promise,
			.initial_state = (void *)(uintptr_t)i,
		};
	}
	if (argc == 1)
		tests[count++] = (struct CMUnitTest){.name = "there are many states",
						     .test_func = there_are_many_states};
	return _cmocka_run_group_tests("crash states", tests, count, run_all, NULL);
}
