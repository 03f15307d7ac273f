/* SPDX-License-Identifier: MIT */
/*
 * The enumerator tested: with any rule of the journal broken, some scenario fails. Linked with a build of the
 * library in which rules can be broken. VHDX_CRASH_RULE=NAME[:SCENARIO] tells what finds that one.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/rules.h"
#include "crash/runner.h"
#include "support/random.h"
#include "support/unit.h"

enum rule vhdx_broken_rule;

#define OTHER_DIVISOR 8	 /* of the states of scenarios that are not named first */
#define PATIENCE      60 /* seconds without a new state: a hang, which counts as found */

/* What finds the rule is tried first; the other scenarios follow. */
static const struct rule_case {
	enum rule rule;
	const char *name;
	const char *scenarios[4];
} cases[] = {
#define CASE(rule, ...) \
	{ \
		rule, #rule, \
		{ \
			__VA_ARGS__ \
		} \
	}
	CASE(RULE_ENTRY_BEFORE_HEADER, "first-write"),
	CASE(RULE_GUIDS_BEFORE_CHANGE, "first-write"),
	CASE(RULE_OTHER_HEADER_DURABLE, "third-header"),
	CASE(RULE_SAME_GUIDS, "first-write"),
	CASE(RULE_STOP_APPLIED, "first-write"),
	CASE(RULE_CUT_LAST, "flush-each"),
	CASE(RULE_WHOLE_TRANSACTION, "child-far-pages"),
	CASE(RULE_CAPTURE_COPIES, "child-log-full"),
	CASE(RULE_KEEP_LOGGED_PAGES, "pages-dropped"),
	CASE(RULE_DATA_FIRST, "leftover-space"),
	CASE(RULE_FLUSH_ENTRY, "first-write"),
	CASE(RULE_JOIN_NEXT_COMMIT, "flush-during-commit"),
	CASE(RULE_APPLY_DURABLE, "first-write"),
	CASE(RULE_APPLY_ORDER, "no-space-to-apply-twice"),
	CASE(RULE_TAIL, "wrap-with-small-commits"),
	CASE(RULE_DURABLE_TAIL, "no-space-to-apply"),
	CASE(RULE_RESERVED_SECTOR, "no-space-for-small-commits"),
	CASE(RULE_LAST_FILE_OFFSET, "first-write"),
	CASE(RULE_FLUSHED_FILE_OFFSET, "first-write"),
	CASE(RULE_FREED_DURABLE, "trim-then-reuse"),
	CASE(RULE_PUNCH_BEFORE_FREE, "punch-fails"),
	CASE(RULE_CLEAN_RECYCLED, "leftover-space"),
	CASE(RULE_NEW_BITMAP_ZERO, "child-recycled-space"),
	CASE(RULE_ALL_BITS, "child-stale-bits"),
	CASE(RULE_HIDE_PARENT, "child-hides-parent"),
	CASE(RULE_SWITCH_LAST, "grow-fixed"),
	CASE(RULE_CLEAR_BEHIND_END, "grow"),
	CASE(RULE_TABLES_TOGETHER, "grow-beyond-table"),
	CASE(RULE_LINK_BOTH, "commit"),
	CASE(RULE_LINK_DURABLE, "commit"),
	CASE(RULE_UNDO_FIRST, "repair-header"),
	CASE(RULE_UNDO_LAST, "repair-leak"),
	CASE(RULE_NO_SPACE_KEEPS, "no-space-for-a-page"),
	CASE(RULE_FAILURE_STOPS, "flush-fails"),
};

/* Shared with the process that runs a scenario. */
static struct shared {
	struct run_result result;
	char progress[RUN_ID];
} * shared;

static struct run_result *result;

/* Its exit status. A process that stands still for so long is killed. */
static int wait_for(pid_t child)
{
	char seen[RUN_ID] = "";
	int status;

	for (unsigned idle = 0; waitpid(child, &status, WNOHANG) == 0; idle++) {
		nanosleep(&(struct timespec){.tv_nsec = 5 * 1000 * 1000}, NULL);
		if (memcmp(seen, shared->progress, RUN_ID)) {
			memcpy(seen, shared->progress, RUN_ID);
			idle = 0;
		}
		if (idle >= PATIENCE * 200)
			kill(child, SIGKILL);
	}
	return status;
}

/* Whether the scenario fails in a process of its own, as it is or by dying or hanging. */
static bool scenario_fails(const struct scenario *scenario, enum rule broken, uint64_t divisor)
{
	struct run_options options = {
		.divisor = divisor, .shares = 1, .progress = shared->progress};

	fflush(NULL);
	pid_t child = fork();

	if (child < 0)
		return false;
	if (!child) {
		vhdx_broken_rule = broken;
		scenario_run(scenario, &options, result);
		_exit(*result->fault != '\0');
	}
	int status = wait_for(child);

	if (WIFSIGNALED(status))
		snprintf(result->fault, sizeof(result->fault), "ended by signal %d",
			 WTERMSIG(status));
	return !WIFEXITED(status) || WEXITSTATUS(status);
}

static bool is_first_choice(const struct rule_case *tried, const char *name)
{
	for (size_t i = 0; i < 4 && tried->scenarios[i]; i++)
		if (!strcmp(tried->scenarios[i], name))
			return true;
	return false;
}

/* The scenario that finds a broken rule; NULL: none does. */
static const struct scenario *first_to_fail(const struct rule_case *tried)
{
	const struct scenario *scenario;

	for (size_t i = 0; i < 4 && tried->scenarios[i]; i++) {
		const char *name = tried->scenarios[i];

		scenario = scenario_named(name, strlen(name));
		if (scenario && scenario_fails(scenario, tried->rule, 1))
			return scenario;
	}
	for (size_t i = 0; (scenario = scenario_at(i)); i++)
		if (!is_first_choice(tried, scenario->name) &&
		    scenario_fails(scenario, tried->rule, OTHER_DIVISOR))
			return scenario;
	return NULL;
}

static void a_broken_rule_is_found(void **state)
{
	const struct rule_case *tried = *state;
	const struct scenario *finder = first_to_fail(tried);

	if (!finder)
		fail_msg("%s is broken, and no scenario fails", tried->name);
	printf("# %s: found by %s: %s\n", tried->name, finder->name, result->fault);
}

static void every_rule_is_tried(void **state)
{
	(void)state;
	for (enum rule rule = NO_RULE + 1; rule < RULES; rule++) {
		bool found = false;

		for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++)
			found |= cases[i].rule == rule;
		if (!found)
			fail_msg("rule %d has no case here", (int)rule);
	}
}

/* Of this build, too: what a rule's case finds is due to the rule. */
static void without_a_broken_rule_no_scenario_fails(void **state)
{
	const struct scenario *scenario;

	(void)state;
	for (size_t i = 0; (scenario = scenario_at(i)); i++)
		if (scenario_fails(scenario, NO_RULE, 50))
			fail_msg("%s: %s: %s", scenario->name, result->id, result->fault);
}

/* NAME or NAME:SCENARIO: what each scenario says of it. */
static int run_chosen(const char *chosen)
{
	size_t length = strcspn(chosen, ":");
	const char *only = chosen[length] ? chosen + length + 1 : NULL;
	const struct scenario *scenario;
	enum rule broken = NO_RULE;

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++)
		if (strlen(cases[i].name) == length && !memcmp(cases[i].name, chosen, length))
			broken = cases[i].rule;
	for (size_t i = 0; (scenario = scenario_at(i)); i++)
		if ((!only || !strcmp(only, scenario->name)) &&
		    scenario_fails(scenario, broken, only ? 1 : OTHER_DIVISOR))
			fprintf(stderr, "%s: %s: %s\n", scenario->name, result->id, result->fault);
	return 0;
}

int main(void)
{
	static struct CMUnitTest tests[RULES + 2];
	const char *chosen = getenv("VHDX_CRASH_RULE");
	size_t count = 0;

	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
		      0);
	if (shared == MAP_FAILED)
		return 1;
	result = &shared->result;
	if (chosen)
		return run_chosen(chosen);
	tests[count++] = (struct CMUnitTest)cmocka_unit_test(every_rule_is_tried);
	tests[count++] =
		(struct CMUnitTest)cmocka_unit_test(without_a_broken_rule_no_scenario_fails);
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++)
		tests[count++] = (struct CMUnitTest){
			.name = cases[i].name,
			.test_func = a_broken_rule_is_found,
			.initial_state = (void *)(uintptr_t)&cases[i],
		};
	return _cmocka_run_group_tests("rules", tests, count, NULL, NULL);
}
