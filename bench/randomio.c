/* SPDX-License-Identifier: MIT */
/*
 * Random requests of 4 KiB to a disk through the library, or to a raw file, from some threads. With
 * --against both are measured in short slices that take turns, so that what else the machine does meets
 * both alike; with --within the raw requests go to the disk's own bytes. Prints one line of JSON.
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <vhdx.h>

#define REQUEST	      4096u
#define FILL_SIZE     (1u << 20)
#define MAX_THREADS   64
#define MAX_SLICES    4096
#define SLICE_SECONDS 0.02
#define LOOKS	      32 /* requests between two looks at the clock */

enum op { OP_READ, OP_WRITE, OP_ALLOCATE };

struct target {
	const char *path;
	struct vhdx *disk; /* NULL: a raw file */
	int fd;
	uint64_t base; /* of a raw file: where its bytes begin */
	uint64_t size;
	uint64_t step;	       /* of allocations: a block */
	atomic_bool exhausted; /* every block was allocated */
};

struct slice {
	double seconds; /* of time */
	double cpu;	/* of all threads */
	uint64_t requests;
};

struct worker {
	pthread_t thread;
	unsigned number;
	uint64_t random;
	uint64_t allocated[2]; /* blocks so far, of each target */
	uint8_t *buf;
	double cpu; /* of the slice */
	uint64_t requests;
};

static struct target targets[2];
static unsigned target_count = 1;
static enum op op;
static unsigned threads = 1;
static struct worker workers[MAX_THREADS];
static pthread_barrier_t barrier;

/* Set by the main thread while the workers wait. */
static unsigned current;
static double deadline;
static bool finished;

static void die(const char *what)
{
	fprintf(stderr, "randomio: %s: %s\n", what, strerror(errno));
	exit(1);
}

static void die_of_library(void)
{
	fprintf(stderr, "randomio: %s\n", vhdx_last_error()->text);
	exit(1);
}

static double seconds_of(clockid_t clock)
{
	struct timespec now;

	clock_gettime(clock, &now);
	return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

/* ---- Requests ---- */

/* Inlined with constants for @raw and @writes, so that neither side is asked which one it is. */
__attribute__((always_inline)) static inline void request(const struct target *target, void *buf,
							  uint64_t offset, bool raw, bool writes)
{
	if (raw) {
		off_t place = (off_t)(target->base + offset);
		ssize_t done = writes ? pwrite(target->fd, buf, REQUEST, place)
				      : pread(target->fd, buf, REQUEST, place);

		if (done != REQUEST)
			die(target->path);
	} else if (writes ? vhdx_pwrite(target->disk, buf, REQUEST, offset, 0)
			  : vhdx_pread(target->disk, buf, REQUEST, offset)) {
		die_of_library();
	}
}

static inline uint64_t next_random(struct worker *worker)
{
	uint64_t x = worker->random;

	x ^= x << 13;
	x ^= x >> 7;
	x ^= x << 17;
	return worker->random = x;
}

__attribute__((always_inline)) static inline void run_random(struct worker *worker,
							     const struct target *target, bool raw,
							     bool writes)
{
	uint64_t places = target->size / REQUEST;
	uint64_t requests = 0;

	do {
		for (unsigned i = 0; i < LOOKS; i++) {
			/* Of 32 random bits, by multiplication: a division takes as long as all of ours. */
			uint64_t place = (next_random(worker) >> 32) * places >> 32;

			request(target, worker->buf, place * REQUEST, raw, writes);
		}
		requests += LOOKS;
	} while (seconds_of(CLOCK_MONOTONIC) < deadline);
	worker->requests = requests;
}

/* The threads take the blocks in turn, so that the file grows as by one writer. */
__attribute__((always_inline)) static inline void run_allocate(struct worker *worker,
							       struct target *target,
							       uint64_t *allocated, bool raw)
{
	uint64_t requests = 0;

	do {
		for (unsigned i = 0; i < LOOKS; i++) {
			uint64_t offset =
				((*allocated)++ * threads + worker->number) * target->step;

			if (offset + REQUEST > target->size) {
				atomic_store(&target->exhausted, true);
				worker->requests = requests;
				return;
			}
			request(target, worker->buf, offset, raw, true);
			requests++;
		}
	} while (seconds_of(CLOCK_MONOTONIC) < deadline);
	worker->requests = requests;
}

static void run_slice_of(struct worker *worker)
{
	struct target *target = &targets[current];
	uint64_t *allocated = &worker->allocated[current];
	double start = seconds_of(CLOCK_THREAD_CPUTIME_ID);
	bool raw = !target->disk;

	if (op == OP_ALLOCATE && raw)
		run_allocate(worker, target, allocated, true);
	else if (op == OP_ALLOCATE)
		run_allocate(worker, target, allocated, false);
	else if (op == OP_READ && raw)
		run_random(worker, target, true, false);
	else if (op == OP_READ)
		run_random(worker, target, false, false);
	else if (raw)
		run_random(worker, target, true, true);
	else
		run_random(worker, target, false, true);
	worker->cpu = seconds_of(CLOCK_THREAD_CPUTIME_ID) - start;
}

static void *work(void *opaque)
{
	struct worker *worker = opaque;

	for (;;) {
		pthread_barrier_wait(&barrier);
		if (finished)
			return NULL;
		run_slice_of(worker);
		pthread_barrier_wait(&barrier);
	}
}

/* ---- Slices ---- */

static void start_workers(void)
{
	pthread_barrier_init(&barrier, NULL, threads + 1);
	for (unsigned i = 0; i < threads; i++) {
		workers[i].number = i;
		workers[i].random = UINT64_C(0x9e3779b97f4a7c15) * (i + 1);
		workers[i].buf = aligned_alloc(REQUEST, REQUEST);
		if (!workers[i].buf)
			die("memory");
		memset(workers[i].buf, (int)i + 1, REQUEST);
		errno = pthread_create(&workers[i].thread, NULL, work, &workers[i]);
		if (errno)
			die("threads");
	}
}

static void stop_workers(void)
{
	finished = true;
	pthread_barrier_wait(&barrier);
	for (unsigned i = 0; i < threads; i++) {
		pthread_join(workers[i].thread, NULL);
		free(workers[i].buf);
	}
}

static struct slice measure(unsigned target, double seconds)
{
	struct slice slice = {0};
	double start = seconds_of(CLOCK_MONOTONIC);

	current = target;
	deadline = start + seconds;
	pthread_barrier_wait(&barrier);
	pthread_barrier_wait(&barrier);
	slice.seconds = seconds_of(CLOCK_MONOTONIC) - start;
	for (unsigned i = 0; i < threads; i++) {
		slice.cpu += workers[i].cpu;
		slice.requests += workers[i].requests;
	}
	return slice;
}

static bool is_exhausted(void)
{
	return atomic_load(&targets[0].exhausted) || atomic_load(&targets[1].exhausted);
}

/* Slices of each target, in an order that turns. The first of each is none of them: it warms up. */
static unsigned measure_all(double seconds, struct slice slices[2][MAX_SLICES])
{
	double end = seconds_of(CLOCK_MONOTONIC) + seconds;
	double length = target_count == 1 ? seconds : SLICE_SECONDS;
	unsigned count = 0;

	for (unsigned i = 0; i < target_count && op != OP_ALLOCATE; i++)
		(void)measure(i, SLICE_SECONDS);
	do {
		for (unsigned i = 0; i < target_count; i++) {
			unsigned target = (i + count) % target_count;

			slices[target][count] = measure(target, length);
		}
		count++;
	} while (seconds_of(CLOCK_MONOTONIC) < end && count < MAX_SLICES && !is_exhausted());
	return count;
}

/* ---- Targets ---- */

/* Alike for both kinds: how large the kernel's pieces of the page cache are depends on how they were written. */
static void fill(const struct target *target)
{
	void *buf = malloc(FILL_SIZE);

	if (!buf)
		die("memory");
	memset(buf, 0x5a, FILL_SIZE);
	for (uint64_t at = 0; at < target->size; at += FILL_SIZE) {
		if (target->disk && vhdx_pwrite(target->disk, buf, FILL_SIZE, at, 0))
			die_of_library();
		if (!target->disk && pwrite(target->fd, buf, FILL_SIZE, (off_t)at) != FILL_SIZE)
			die(target->path);
	}
	free(buf);
}

static void open_target(struct target *target, const char *path, bool raw, uint64_t size)
{
	struct vhdx_open_options options = {.size = sizeof(options), .flags = VHDX_OPEN_WRITE};
	struct vhdx_info info = {.size = sizeof(info)};

	target->path = path;
	target->step = targets[0].step;
	if (raw) {
		target->fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
		if (target->fd < 0 || ftruncate(target->fd, (off_t)size))
			die(path);
		target->size = size;
		return;
	}
	if (vhdx_open(path, &options, &target->disk) || vhdx_get_info(target->disk, &info))
		die_of_library();
	target->step = info.block_size;
	target->size = op != OP_ALLOCATE && size < info.virtual_size ? size : info.virtual_size;
}

/*
 * The bytes of @disk as they lie in its file, which was filled in order. No other file has its pages in
 * the same memory, and how far that is away differs by more than what is measured here.
 */
static void open_within(struct target *target, const struct target *disk)
{
	struct vhdx_extent extent;
	size_t count = 1;

	if (vhdx_extents(disk->disk, 0, disk->size, 0, &extent, &count))
		die_of_library();
	errno = EINVAL;
	if (extent.type != VHDX_EXTENT_DATA || extent.length != disk->size)
		die("the disk does not lie in one piece");
	target->path = disk->path;
	target->base = extent.file_offset;
	target->size = disk->size;
	target->fd = open(disk->path, O_RDWR | O_CLOEXEC);
	if (target->fd < 0)
		die(disk->path);
}

static void close_target(struct target *target)
{
	if (target->disk && vhdx_close(target->disk))
		die_of_library();
	if (!target->disk)
		close(target->fd);
}

/* ---- Results ---- */

static int compare_doubles(const void *a, const void *b)
{
	double x = *(const double *)a;
	double y = *(const double *)b;

	return (x > y) - (x < y);
}

static double median(double *values, unsigned count)
{
	qsort(values, count, sizeof(*values), compare_doubles);
	return count % 2 ? values[count / 2] : (values[count / 2 - 1] + values[count / 2]) / 2;
}

/* Medians of the slices. */
static void print_target(const struct slice *slices, unsigned count)
{
	static double rates[MAX_SLICES];
	static double cpu[MAX_SLICES];
	uint64_t requests = 0;

	for (unsigned i = 0; i < count; i++) {
		rates[i] = (double)slices[i].requests / slices[i].seconds;
		cpu[i] = slices[i].cpu / (double)slices[i].requests;
		requests += slices[i].requests;
	}
	double rate = median(rates, count);

	printf("\"rate\": %.1f, \"ops\": %" PRIu64 ", \"ns\": %.1f, \"cpu_ns\": %.1f", rate,
	       requests, 1e9 * threads / rate, 1e9 * median(cpu, count));
}

/* Medians of the ratios of slices that were neighbours. */
static void print_ratios(struct slice slices[2][MAX_SLICES], unsigned count)
{
	static double rate[MAX_SLICES];
	static double cpu[MAX_SLICES];

	for (unsigned i = 0; i < count; i++) {
		const struct slice *a = &slices[0][i];
		const struct slice *b = &slices[1][i];
		double requests = (double)a->requests / (double)b->requests;

		rate[i] = requests * b->seconds / a->seconds;
		cpu[i] = a->cpu / b->cpu / requests;
	}
	printf("\"ratio\": %.4f, \"cpu_ratio\": %.4f", median(rate, count), median(cpu, count));
}

static void print_results(struct slice slices[2][MAX_SLICES], unsigned count)
{
	printf("{");
	print_target(slices[0], count);
	if (target_count == 2) {
		printf(", ");
		print_ratios(slices, count);
		printf(", \"against\": {");
		print_target(slices[1], count);
		printf("}");
	}
	printf("}\n");
}

/* ---- Words ---- */

static void usage(void)
{
	fprintf(stderr,
		"usage: randomio [--raw] --op read|write|allocate [--threads N] [--seconds S]\n"
		"                [--size BYTES] [--step BYTES] [--against RAWFILE | --within] FILE\n");
	exit(2);
}

static enum op parse_op(const char *word)
{
	if (!strcmp(word, "read"))
		return OP_READ;
	if (!strcmp(word, "write"))
		return OP_WRITE;
	if (strcmp(word, "allocate"))
		usage();
	return OP_ALLOCATE;
}

/* What is asked for, beside @op, @threads and the first target's step. */
struct plan {
	const char *path;
	const char *against;
	double seconds;
	uint64_t size;
	bool raw;
	bool within;
};

static struct plan parse(int argc, char **argv)
{
	static const struct option options[] = {
		{"raw", no_argument, NULL, 'r'},
		{"within", no_argument, NULL, 'w'},
		{"op", required_argument, NULL, 'o'},
		{"threads", required_argument, NULL, 't'},
		{"seconds", required_argument, NULL, 's'},
		{"size", required_argument, NULL, 'z'},
		{"step", required_argument, NULL, 'p'},
		{"against", required_argument, NULL, 'a'},
		{0},
	};
	struct plan plan = {.seconds = 1};

	targets[0].step = 2u << 20;
	for (int c; (c = getopt_long(argc, argv, "", options, NULL)) != -1;) {
		if (c == 'r')
			plan.raw = true;
		else if (c == 'w')
			plan.within = true;
		else if (c == 'o')
			op = parse_op(optarg);
		else if (c == 't')
			threads = (unsigned)atoi(optarg);
		else if (c == 's')
			plan.seconds = atof(optarg);
		else if (c == 'z')
			plan.size = strtoull(optarg, NULL, 0);
		else if (c == 'p')
			targets[0].step = strtoull(optarg, NULL, 0);
		else if (c == 'a')
			plan.against = optarg;
		else
			usage();
	}
	if (optind + 1 != argc || !threads || threads > MAX_THREADS || plan.seconds <= 0 ||
	    (plan.within && (plan.raw || plan.against || op == OP_ALLOCATE)))
		usage();
	if (!plan.size)
		plan.size = op == OP_ALLOCATE ? UINT64_C(1) << 40 : UINT64_C(256) << 20;
	plan.path = argv[optind];
	return plan;
}

int main(int argc, char **argv)
{
	static struct slice slices[2][MAX_SLICES];
	struct plan plan = parse(argc, argv);

	open_target(&targets[0], plan.path, plan.raw, plan.size);
	if (plan.against)
		open_target(&targets[target_count++], plan.against, true, targets[0].size);
	for (unsigned i = 0; i < target_count && op != OP_ALLOCATE; i++)
		fill(&targets[i]);
	if (plan.within)
		open_within(&targets[target_count++], &targets[0]);
	start_workers();
	unsigned count = measure_all(plan.seconds, slices);

	stop_workers();
	for (unsigned i = 0; i < target_count; i++)
		close_target(&targets[i]);
	print_results(slices, count);
	return 0;
}
