/* SPDX-License-Identifier: MIT */
/*
 * How many commits a second: threads that write 4 KiB and flush, again and again, to a disk of ours and to
 * raw files, in alternating slices of one run. Prints one line of JSON.
 */
#include <err.h>
#include <getopt.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "support/random.h"
#include "targets.h"

#define MIB		((uint64_t)1 << 20)
#define WRITE_SIZE	4096u
#define BLOCK_SIZE	MIB
#define PRESENT		(16 * MIB) /* what is overwritten: the disk's beginning, a part for each thread */
#define DISK_SIZE	(4096 * 1024 * MIB)
#define MAX_THREADS	64
#define MAX_TARGETS	3
#define MAX_SLICES	1000
#define MIXED_ALLOCATES 10 /* percent */

struct settings {
	const char *path;
	unsigned threads;
	double seconds; /* of each target */
	unsigned slices;
	unsigned allocates; /* percent of the writes that do */
	unsigned targets;
	const char *names[MAX_TARGETS];
};

/* Of one target, over all slices. */
struct result {
	struct target *target;
	atomic_uint_least64_t next_block; /* nothing is present from here on */
	double rates[MAX_SLICES];
	double elapsed;
	uint64_t *times; /* of commits, in nanoseconds */
	size_t commits;
	size_t room;
};

struct worker {
	pthread_t thread;
	const struct settings *settings;
	struct result *result;
	unsigned index;
	struct rng rng;
	uint64_t deadline;
	uint64_t *times;
	size_t commits;
	size_t room;
};

static uint64_t now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static void need_room(uint64_t **times, size_t *room, size_t count)
{
	if (count <= *room)
		return;
	*room = 2 * count + 1024;
	*times = realloc(*times, *room * sizeof(**times));
	if (!*times)
		err(EXIT_FAILURE, "realloc");
}

/* ---- Work ---- */

static uint64_t next_place(struct worker *worker)
{
	uint64_t part = PRESENT / worker->settings->threads / WRITE_SIZE;

	if (rng_chance(&worker->rng, worker->settings->allocates))
		return atomic_fetch_add(&worker->result->next_block, 1) * BLOCK_SIZE;
	return (worker->index * part + rng_below(&worker->rng, part)) * WRITE_SIZE;
}

static void *commit_until_deadline(void *opaque)
{
	struct worker *worker = opaque;
	struct target *target = worker->result->target;
	uint8_t bytes[WRITE_SIZE];
	uint64_t begin = now();

	rng_fill(&worker->rng, bytes, sizeof(bytes));
	while (begin < worker->deadline) {
		if (target->write(target, bytes, sizeof(bytes), next_place(worker)) ||
		    target->flush(target))
			errx(EXIT_FAILURE, "%s: a write or a flush failed", target->name);
		uint64_t end = now();

		need_room(&worker->times, &worker->room, worker->commits + 1);
		worker->times[worker->commits++] = end - begin;
		begin = end;
	}
	return NULL;
}

static void collect(struct result *result, struct worker *worker)
{
	pthread_join(worker->thread, NULL);
	need_room(&result->times, &result->room, result->commits + worker->commits);
	if (worker->commits)
		memcpy(result->times + result->commits, worker->times,
		       worker->commits * sizeof(*worker->times));
	result->commits += worker->commits;
	free(worker->times);
}

static void run_slice(const struct settings *settings, struct result *result, unsigned slice)
{
	struct worker workers[MAX_THREADS];
	size_t before = result->commits;
	uint64_t begin = now();
	uint64_t length = (uint64_t)(settings->seconds * 1e9 / settings->slices);

	for (unsigned i = 0; i < settings->threads; i++) {
		workers[i] = (struct worker){
			.settings = settings,
			.result = result,
			.index = i,
			.rng = rng_make(slice * MAX_THREADS + i + 1),
			.deadline = begin + length,
		};
		if (pthread_create(&workers[i].thread, NULL, commit_until_deadline, &workers[i]))
			errx(EXIT_FAILURE, "no thread");
	}
	for (unsigned i = 0; i < settings->threads; i++)
		collect(result, &workers[i]);
	double elapsed = (double)(now() - begin) / 1e9;

	result->elapsed += elapsed;
	result->rates[slice] = (double)(result->commits - before) / elapsed;
}

/* The beginning is present, and the session's first change is past. */
static void prepare(const struct settings *settings, struct result *result, const char *name)
{
	struct target *target = target_make(name, settings->path, DISK_SIZE, BLOCK_SIZE);
	uint8_t *bytes = malloc(MIB);

	if (!bytes)
		err(EXIT_FAILURE, "malloc");
	memset(bytes, 1, MIB);
	for (uint64_t offset = 0; offset < PRESENT; offset += MIB)
		if (target->write(target, bytes, MIB, offset))
			errx(EXIT_FAILURE, "%s: it cannot be filled", name);
	if (target->flush(target))
		errx(EXIT_FAILURE, "%s: it cannot be flushed", name);
	free(bytes);
	target->counts = (struct counts){0};
	result->target = target;
	result->next_block = PRESENT / BLOCK_SIZE;
}

/* ---- Telling ---- */

static int compare_times(const void *a, const void *b)
{
	uint64_t first = *(const uint64_t *)a;
	uint64_t second = *(const uint64_t *)b;

	return (first > second) - (first < second);
}

static int compare_rates(const void *a, const void *b)
{
	double first = *(const double *)a;
	double second = *(const double *)b;

	return (first > second) - (first < second);
}

static double median_of(const double *values, unsigned count)
{
	double sorted[MAX_SLICES];

	memcpy(sorted, values, count * sizeof(*values));
	qsort(sorted, count, sizeof(*sorted), compare_rates);
	return (sorted[count / 2] + sorted[(count - 1) / 2]) / 2;
}

static void print_result(const struct settings *settings, struct result *result,
			 const struct result *first)
{
	struct counts *counts = &result->target->counts;
	double commits = (double)result->commits;
	double ratios[MAX_SLICES];

	for (unsigned i = 0; i < settings->slices; i++)
		ratios[i] = first->rates[i] / result->rates[i];
	qsort(result->times, result->commits, sizeof(*result->times), compare_times);
	printf("\"%s\": {\"commits\": %zu, \"per_second\": %.1f, \"flushes_per_commit\": %.3f, "
	       "\"writes_per_commit\": %.3f, \"median_us\": %.1f, \"p99_us\": %.1f, \"ratio\": "
	       "%.3f}",
	       result->target->name, result->commits, median_of(result->rates, settings->slices),
	       (double)atomic_load(&counts->flushes) / commits,
	       (double)atomic_load(&counts->writes) / commits,
	       (double)result->times[result->commits / 2] / 1e3,
	       (double)result->times[result->commits * 99 / 100] / 1e3,
	       median_of(ratios, settings->slices));
}

static void run(const struct settings *settings)
{
	static struct result results[MAX_TARGETS];
	unsigned count = settings->targets;

	for (unsigned i = 0; i < count; i++)
		prepare(settings, &results[i], settings->names[i]);
	/* Each begins in turn: what the one before left to the device is no one's alone. */
	for (unsigned slice = 0; slice < settings->slices; slice++)
		for (unsigned i = 0; i < count; i++)
			run_slice(settings, &results[(slice + i) % count], slice);
	printf("{\"threads\": %u, \"allocates\": %u", settings->threads, settings->allocates);
	for (unsigned i = 0; i < count; i++) {
		printf(", ");
		print_result(settings, &results[i], &results[0]);
	}
	printf("}\n");
	for (unsigned i = 0; i < count; i++) {
		target_drop(results[i].target, settings->path);
		free(results[i].times);
	}
}

/* ---- Arguments ---- */

static void usage(void)
{
	errx(EXIT_FAILURE,
	     "usage: commits [--target vhdx|raw|shared]... [--kind overwrite|allocate|mix] "
	     "[--threads N] [--seconds S] [--slices N] PATH");
}

static unsigned parse_kind(const char *word)
{
	if (!strcmp(word, "overwrite"))
		return 0;
	if (!strcmp(word, "allocate"))
		return 100;
	if (strcmp(word, "mix") != 0)
		usage();
	return MIXED_ALLOCATES;
}

static unsigned parse_count(const char *word, unsigned limit)
{
	long value = strtol(word, NULL, 10);

	if (value < 1 || value > (long)limit)
		errx(EXIT_FAILURE, "%s: 1 to %u is possible", word, limit);
	return (unsigned)value;
}

static void parse_option(struct settings *settings, int option)
{
	switch (option) {
	case 't':
		settings->threads = parse_count(optarg, MAX_THREADS);
		break;
	case 's':
		settings->seconds = strtod(optarg, NULL);
		break;
	case 'n':
		settings->slices = parse_count(optarg, MAX_SLICES);
		break;
	case 'k':
		settings->allocates = parse_kind(optarg);
		break;
	case 'p':
		if (settings->targets == MAX_TARGETS)
			usage();
		settings->names[settings->targets++] = optarg;
		break;
	default:
		usage();
	}
}

int main(int argc, char **argv)
{
	static const struct option options[] = {{"threads", required_argument, NULL, 't'},
						{"seconds", required_argument, NULL, 's'},
						{"slices", required_argument, NULL, 'n'},
						{"kind", required_argument, NULL, 'k'},
						{"target", required_argument, NULL, 'p'},
						{NULL, 0, NULL, 0}};
	struct settings settings = {.threads = 1, .seconds = 1, .slices = 1};

	for (int option; (option = getopt_long(argc, argv, "", options, NULL)) != -1;)
		parse_option(&settings, option);
	if (optind != argc - 1 || !(settings.seconds > 0))
		usage();
	if (!settings.targets)
		settings.names[settings.targets++] = "vhdx";
	settings.path = argv[optind];
	run(&settings);
	return 0;
}
