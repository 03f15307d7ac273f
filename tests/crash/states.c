/* SPDX-License-Identifier: MIT */
/* Walks a history from flush to flush and builds the images that a crash between them may leave. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "crash/states.h"
#include "support/random.h"

/* How much of one operation reached the disk. */
enum fate {
	LOST,
	WHOLE,
	TORN,
};

struct pending {
	const struct store_op *op;
	enum fate fate;
	uint64_t seed; /* of the sectors that a torn one keeps */
};

struct walk {
	const struct store *store;
	const struct states_options *options;
	struct cow durable;
	bool *applied;	  /* by op: in durable */
	bool *doomed;	  /* by op: a failed flush was to make it durable */
	uint64_t covered; /* what was complete by then is durable */
	uint64_t start;	  /* the end of the flush that began this interval ... */
	uint64_t end;	  /* ... and the last moment before the next one's end */
	unsigned interval;
	struct pending *pending; /* in the order of their begin */
	size_t count;
	uint64_t *seen; /* hashes of this interval's images */
	size_t seen_count;
	size_t seen_room;
};

static uint64_t mix(uint64_t a, uint64_t b)
{
	uint64_t x = (a ^ b * 0x9e3779b97f4a7c15) * 0xbf58476d1ce4e5b9;

	return (x ^ x >> 29) * 0x94d049bb133111eb ^ x >> 32;
}

static void walk_init(struct walk *walk, const struct store *store,
		      const struct states_options *options)
{
	*walk = (struct walk){.store = store, .options = options};
	cow_copy(&store->base, &walk->durable);
	walk->applied = calloc(store->count + 1, sizeof(*walk->applied));
	walk->doomed = calloc(store->count + 1, sizeof(*walk->doomed));
	walk->pending = calloc(store->count + 1, sizeof(*walk->pending));
	if (!walk->applied || !walk->doomed || !walk->pending)
		abort();
}

static void walk_free(struct walk *walk)
{
	cow_free(&walk->durable);
	free(walk->applied);
	free(walk->doomed);
	free(walk->pending);
	free(walk->seen);
}

/* The flush that ends first after @time; NULL when none does. */
static const struct store_op *next_flush(const struct store *store, uint64_t time)
{
	const struct store_op *found = NULL;

	for (size_t i = 0; i < store->count; i++) {
		const struct store_op *op = &store->ops[i];

		if (op->kind == STORE_FLUSH && op->end != NEVER && op->end > time &&
		    (!found || op->end < found->end))
			found = op;
	}
	return found;
}

static void apply_piece(struct cow *image, const struct store_op *op, uint64_t skip, uint64_t size)
{
	if (op->kind == STORE_WRITE)
		cow_write(image, op->bytes + skip, (size_t)size, op->offset + skip);
	else if (op->kind == STORE_SIZE)
		cow_resize(image, op->length);
	else
		cow_zero(image, op->offset + skip, size);
}

/* Sectors that the operation touches. */
static uint64_t sectors_of(const struct store_op *op)
{
	if (op->kind == STORE_SIZE || !op->length)
		return 1;
	return (op->offset + op->length - 1) / ATOM - op->offset / ATOM + 1;
}

/* Which sectors a torn operation keeps: any, a beginning, an end, all but one, only one. */
static bool sector_kept(uint64_t seed, uint64_t index, uint64_t sectors)
{
	uint64_t at = mix(seed, 1) % sectors;

	switch (seed % 5) {
	case 0:
		return index < at;
	case 1:
		return index >= at;
	case 2:
		return index != at;
	case 3:
		return index == at;
	default:
		return mix(seed, index + 2) >> 60 & 1;
	}
}

static void apply_torn(struct cow *image, const struct store_op *op, uint64_t seed)
{
	uint64_t sectors = sectors_of(op);

	for (uint64_t i = 0, skip = 0; i < sectors; i++) {
		uint64_t left = op->length - skip;
		uint64_t size = ATOM - (op->offset + skip) % ATOM;

		size = size < left ? size : left;
		if (sector_kept(seed, i, sectors))
			apply_piece(image, op, skip, size);
		skip += size;
	}
}

static void apply_pending(struct cow *image, const struct pending *pending)
{
	if (pending->fate == WHOLE)
		apply_piece(image, pending->op, 0, pending->op->length);
	else if (pending->fate == TORN)
		apply_torn(image, pending->op, pending->seed);
}

/* The operations that the flush made durable, or never will. */
static void finish_flush(struct walk *walk, const struct store_op *flush)
{
	const struct store *store = walk->store;

	for (size_t i = 0; i < store->count; i++) {
		const struct store_op *op = &store->ops[i];

		if (op->kind == STORE_FLUSH || op->end > flush->begin || walk->applied[i] ||
		    walk->doomed[i])
			continue;
		if (flush->failed) {
			walk->doomed[i] = true;
			continue;
		}
		walk->applied[i] = true;
		apply_piece(&walk->durable, op, 0, op->length);
	}
}

/* Goes on to the next interval: from the end of @flush, NULL for the first. Returns the flush that ends it. */
static const struct store_op *enter_interval(struct walk *walk, const struct store_op *flush)
{
	const struct store *store = walk->store;

	if (flush) {
		finish_flush(walk, flush);
		walk->start = flush->end;
		walk->interval++;
	}
	const struct store_op *next = next_flush(store, walk->start);

	walk->end = next ? next->end - 1 : *store->time;
	walk->count = 0;
	walk->seen_count = 0;
	for (size_t i = 0; i < store->count; i++)
		if (store->ops[i].kind != STORE_FLUSH && !walk->applied[i] &&
		    store->ops[i].begin <= walk->end)
			walk->pending[walk->count++].op = &store->ops[i];
	return next;
}

/* Fates by the bits of @number. Returns the time of the crash. */
static uint64_t choose_subset(struct walk *walk, uint64_t number)
{
	for (size_t i = 0; i < walk->count; i++)
		walk->pending[i].fate = number >> i & 1 ? WHOLE : LOST;
	return walk->end;
}

/* A crash just before operation @begun of the pending ones, or at the interval's end. */
static uint64_t crash_after(const struct walk *walk, size_t begun)
{
	uint64_t time = begun < walk->count ? walk->pending[begun].op->begin - 1 : walk->end;

	return time > walk->start ? time : walk->start;
}

static uint64_t choose_torn(struct walk *walk, uint64_t number)
{
	struct rng rng = rng_make(mix(mix(walk->options->seed, walk->interval), number));
	size_t begun = rng_chance(&rng, 50) ? walk->count
					    : (size_t)rng_below(&rng, walk->count + 1);
	static const unsigned kept[] = {100, 90, 50, 10};
	unsigned chance = kept[rng_below(&rng, 4)];
	size_t odd = (size_t)rng_below(&rng, begun + 1);

	/* The operation last begun is the likeliest to be cut through. */
	if (begun && rng_chance(&rng, 30))
		odd = begun - 1;
	for (size_t i = 0; i < walk->count; i++) {
		struct pending *pending = &walk->pending[i];

		pending->seed = rng_next(&rng);
		pending->fate = i < begun && rng_chance(&rng, chance) ? WHOLE : LOST;
		if (i >= begun || pending->op->kind == STORE_SIZE)
			continue;
		if (i == odd || rng_chance(&rng, chance == 100 ? 0 : 20))
			pending->fate = TORN;
	}
	return crash_after(walk, begun);
}

static uint64_t subsets(const struct walk *walk)
{
	return walk->count <= STATES_EXHAUSTIVE ? (uint64_t)1 << walk->count : 0;
}

static uint64_t choose(struct walk *walk, uint64_t number)
{
	return number < subsets(walk) ? choose_subset(walk, number) : choose_torn(walk, number);
}

static void build(const struct walk *walk, struct cow *ret_image)
{
	cow_copy(&walk->durable, ret_image);
	for (size_t i = 0; i < walk->count; i++)
		apply_pending(ret_image, &walk->pending[i]);
}

/* Whether an equal image of this interval, with as much time passed, was seen before; now it is. */
static bool seen_before(struct walk *walk, const struct cow *image, uint64_t crash)
{
	uint64_t key = mix(mix(image->hash, image->size), crash);

	for (size_t i = 0; i < walk->seen_count; i++)
		if (walk->seen[i] == key)
			return true;
	if (walk->seen_count == walk->seen_room) {
		walk->seen_room = walk->seen_room * 2 + 64;
		walk->seen = realloc(walk->seen, walk->seen_room * sizeof(*walk->seen));
		if (!walk->seen)
			abort();
	}
	walk->seen[walk->seen_count++] = key;
	return false;
}

static void tell(const struct walk *walk, uint64_t crash)
{
	static const char *const kinds[] = {"write", "size", "punch", "zero", "reserve", "flush"};
	static const char *const fates[] = {"lost", "kept", "torn"};

	fprintf(stderr, "interval %u, crash at %" PRIu64 ", durable size %#" PRIx64 "\n",
		walk->interval, crash, walk->durable.size);
	for (size_t i = 0; i < walk->count; i++) {
		const struct pending *pending = &walk->pending[i];
		const struct store_op *op = pending->op;
		uint64_t sectors = sectors_of(op);

		fprintf(stderr, "  %" PRIu64 "-%" PRIu64 " %s %#" PRIx64 "+%#" PRIx64 " %s",
			op->begin, op->end, kinds[op->kind], op->offset, op->length,
			op->begin > crash ? "later" : fates[pending->fate]);
		if (op->kind == STORE_WRITE)
			fprintf(stderr, " '%.4s'", op->length >= 4 ? (char *)op->bytes : "");
		for (uint64_t j = 0; j < sectors && sectors <= 64 && pending->fate == TORN; j++)
			fprintf(stderr, "%s%c", j ? "" : " ",
				sector_kept(pending->seed, j, sectors) ? '1' : '0');
		fprintf(stderr, "\n");
	}
}

static int visit(struct walk *walk, uint64_t number, state_fn *each, void *opaque)
{
	uint64_t crash = choose(walk, number);
	struct cow image;
	int ret = 0;

	build(walk, &image);
	if (walk->options->single)
		tell(walk, crash);
	if (!seen_before(walk, &image, crash)) {
		struct state state = {&image, walk->interval, number, crash};

		ret = each(opaque, &state);
	}
	cow_free(&image);
	return ret;
}

/* How many states there are, and how likely each subset is to be among them. */
struct plan {
	uint64_t torn;	 /* in all intervals, ... */
	uint64_t weight; /* ... by their weights of this sum */
	uint64_t kept;	 /* of 2^32 */
};

/* An interval gets torn states by the sectors that may be torn: a few have few states. */
#define MAX_WEIGHT 64u

static uint64_t weight_of(const struct walk *walk)
{
	uint64_t sectors = 0;

	for (size_t i = 0; i < walk->count; i++)
		sectors += sectors_of(walk->pending[i].op);
	return sectors < MAX_WEIGHT ? sectors : MAX_WEIGHT;
}

static struct plan make_plan(const struct store *store, const struct states_options *options)
{
	struct plan plan = {.kept = (uint64_t)1 << 32, .weight = 1};
	uint64_t exhaustive = 0, target = options->target;
	struct walk walk;

	walk_init(&walk, store, options);
	for (const struct store_op *flush = enter_interval(&walk, NULL);;
	     flush = enter_interval(&walk, flush)) {
		exhaustive += subsets(&walk);
		plan.weight += weight_of(&walk);
		if (!flush)
			break;
	}
	walk_free(&walk);
	if (exhaustive > 2 * target)
		plan.kept = (2 * target << 32) / exhaustive;
	plan.torn = exhaustive < target / 2 ? target - exhaustive : target / 2;
	return plan;
}

static int visit_interval(struct walk *walk, const struct plan *plan, state_fn *each, void *opaque)
{
	const struct states_options *options = walk->options;
	uint64_t whole = subsets(walk), weight = weight_of(walk);
	uint64_t torn = weight ? plan->torn * weight / plan->weight + 1 : 0;
	int ret = 0;

	for (uint64_t number = 0; number < whole + torn && !ret; number++) {
		uint64_t chance = mix(mix(options->seed, walk->interval), number) >> 32;

		if (number % options->shares != options->share ||
		    (number + 1 < whole && chance >= plan->kept))
			continue;
		ret = visit(walk, number, each, opaque);
	}
	return ret;
}

int states_each(const struct store *store, const struct states_options *options, state_fn *each,
		void *opaque)
{
	struct plan plan = make_plan(store, options);
	struct walk walk;
	int ret = 0;

	walk_init(&walk, store, options);
	for (const struct store_op *flush = enter_interval(&walk, NULL);;
	     flush = enter_interval(&walk, flush)) {
		if (!options->single)
			ret = visit_interval(&walk, &plan, each, opaque);
		else if (walk.interval == options->interval)
			ret = visit(&walk, options->number, each, opaque);
		if (!flush || ret)
			break;
	}
	walk_free(&walk);
	return ret;
}

void states_last(const struct store *store, uint64_t seed, uint64_t number, struct cow *ret_image,
		 uint64_t *ret_crash)
{
	struct states_options options = {.seed = seed};
	struct walk walk;

	walk_init(&walk, store, &options);
	for (const struct store_op *flush = enter_interval(&walk, NULL); flush;)
		flush = enter_interval(&walk, flush);
	*ret_crash = choose(&walk, number);
	build(&walk, ret_image);
	walk_free(&walk);
}

static void choose_at(struct walk *walk, uint64_t time, uint64_t number)
{
	struct rng rng = rng_make(mix(mix(walk->options->seed, time), number));
	unsigned chance = number == STATE_LOST ? 0 : number == STATE_KEPT ? 100 : 50;

	for (size_t i = 0; i < walk->count; i++) {
		struct pending *pending = &walk->pending[i];
		bool begun = pending->op->begin <= time;

		pending->seed = rng_next(&rng);
		pending->fate = begun && rng_chance(&rng, chance) ? WHOLE : LOST;
		if (begun && number > STATE_KEPT && pending->op->kind != STORE_SIZE &&
		    rng_chance(&rng, 30))
			pending->fate = TORN;
	}
}

void states_at(const struct store *store, uint64_t seed, uint64_t time, uint64_t number,
	       struct cow *ret_image)
{
	struct states_options options = {.seed = seed};
	struct walk walk;

	walk_init(&walk, store, &options);
	const struct store_op *flush = enter_interval(&walk, NULL);

	while (flush && flush->end <= time)
		flush = enter_interval(&walk, flush);
	choose_at(&walk, time, number);
	build(&walk, ret_image);
	walk_free(&walk);
}
