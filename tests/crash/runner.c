/* SPDX-License-Identifier: MIT */
/* Runs scenarios and judges what a crash may leave of them. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "crash/chains.h"
#include "crash/judge.h"
#include "crash/repairs.h"
#include "crash/runner.h"

const struct scenario *scenario_at(size_t index)
{
	static const struct scenario *const tables[] = {
		basic_scenarios, space_scenarios,   child_scenarios,  inside_scenarios,
		error_scenarios, thread_scenarios,  log_scenarios,    resize_scenarios,
		chain_scenarios, compact_scenarios, repair_scenarios,
	};

	for (size_t i = 0; i < sizeof(tables) / sizeof(*tables); i++)
		for (const struct scenario *scenario = tables[i]; scenario->name; scenario++)
			if (index-- == 0)
				return scenario;
	return NULL;
}

const struct scenario *scenario_named(const char *name, size_t length)
{
	const struct scenario *scenario;

	for (size_t i = 0; (scenario = scenario_at(i)); i++)
		if (strlen(scenario->name) == length && !memcmp(scenario->name, name, length))
			return scenario;
	return NULL;
}

static uint64_t seed_of(const char *name)
{
	uint64_t seed = 0xcbf29ce484222325;

	for (; *name; name++)
		seed = (seed ^ (uint8_t)*name) * 0x100000001b3;
	return seed;
}

struct visit {
	struct judge *judge;
	char *progress;
	const char *name;
};

static int visit_state(void *opaque, const struct state *state)
{
	struct visit *visit = opaque;

	if (visit->progress)
		snprintf(visit->progress, RUN_ID, "%s/%u/%" PRIu64, visit->name, state->interval,
			 state->number);
	return judge_state(visit->judge, state);
}

static void judge_states(struct guest *guest, const struct scenario *scenario,
			 const struct run_options *options, struct run_result *result)
{
	struct judge judge;
	struct visit visit = {&judge, options->progress, scenario->name};
	unsigned states = scenario->states ? scenario->states : RUN_STATES;
	struct states_options enumerate = {
		.seed = guest->seed,
		.target = states / options->divisor + 1,
		.share = options->share,
		.shares = options->shares,
	};

	model_freeze(&guest->model);
	judge_init(&judge, &guest->model,
		   guest->setup.type == VHDX_DIFFERENCING ? &guest->parent : NULL, guest->seed);
	judge.flags = guest->setup.flags;
	judge.sector_size = guest->setup.sector_size;
	if (options->state) {
		int found = sscanf(options->state, "%u/%" SCNu64 "/%u/%" SCNu64,
				   &enumerate.interval, &enumerate.number, &judge.nested_interval,
				   &judge.nested_number);

		enumerate.single = true;
		judge.nested_single = found == 4;
	}
	if (states_each(&guest->store, &enumerate, visit_state, &visit)) {
		snprintf(result->id, sizeof(result->id), "%s/%s", scenario->name, judge.id);
		snprintf(result->fault, sizeof(result->fault), "%s", judge.fault);
	}
	result->states = judge.states;
	result->nested = judge.nested;
	result->continued = judge.continued;
	if (!*result->fault && guest->parent.refused)
		snprintf(result->fault, sizeof(result->fault), "the parent was written");
	judge_free(&judge);
}

void scenario_run(const struct scenario *scenario, const struct run_options *options,
		  struct run_result *ret_result)
{
	struct guest guest = {.seed = seed_of(scenario->name)};

	*ret_result = (struct run_result){0};
	snprintf(ret_result->id, sizeof(ret_result->id), "%s", scenario->name);
	if (options->progress)
		snprintf(options->progress, RUN_ID, "%s", scenario->name);
	if (scenario->of_chain) {
		chain_case_run(scenario->of_chain, guest.seed, options, ret_result);
		return;
	}
	if (scenario->of_repair) {
		repair_case_run(scenario->of_repair, guest.seed, options, ret_result);
		return;
	}
	scenario->run(&guest);
	guest_join(&guest);
	if (guest.fault)
		snprintf(ret_result->fault, sizeof(ret_result->fault), "%s", guest.fault);
	else
		judge_states(&guest, scenario, options, ret_result);
	guest_free(&guest);
}
