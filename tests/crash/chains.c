/* SPDX-License-Identifier: MIT */
/* Crashes of operations on chains: every file loses what it has not flushed, each by itself. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "crash/chains.h"
#include "crash/states.h"
#include "support/random.h"

#define FILES 5

/* Every state is read whole. */
#define MOST_BYTES (4 * T_MIB)

/* Beside the states where each file has lost or kept all: so many of each moment are random. */
#define RANDOM_STATES 8

/* Of so many states the second run is crashed too, at so many moments. */
#define NESTED_EVERY  40
#define NESTED_STATES 6

struct files {
	unsigned count;
	struct store stores[FILES]; /* by one clock, the first's */
};

struct chain_run {
	const struct chain_case *of_chain;
	uint64_t seed;
	struct cow base[FILES]; /* before the operation */
	char names[FILES][32];
	unsigned count;
	uint8_t *before; /* what the leaf reads as, always */
	uint64_t size;
	uint8_t *after; /* what the other file reads as in the end */
	uint64_t other_size;
	uint8_t *buf;
	struct run_result *result;
	unsigned long states;
};

/* ---- The files ---- */

static void from_sparse(const struct sparse *from, struct cow *to)
{
	uint64_t start = 0, end = 0;
	uint8_t page[COW_PAGE];

	*to = (struct cow){0};
	for (; sparse_next(from, end, &start, &end) && start < from->size;)
		for (uint64_t at = start; at < end; at += COW_PAGE) {
			sparse_read(from, page, COW_PAGE, at);
			cow_write(to, page, COW_PAGE, at);
		}
	cow_resize(to, from->size);
}

static void put_file(struct chain_run *run, const struct layer *layer, const char *name)
{
	from_sparse(&layer->file, &run->base[run->count]);
	snprintf(run->names[run->count++], sizeof(run->names[0]), "%s", name);
}

static void read_view(const struct sparse *view, uint64_t size, uint8_t **ret_bytes)
{
	*ret_bytes = malloc((size_t)size + 1);
	if (!*ret_bytes)
		abort();
	sparse_read(view, *ret_bytes, size, 0);
}

static bool is_small(const struct chain *chain)
{
	for (unsigned i = 0; i < chain->depth; i++)
		if (chain->layers[i].virtual_size > MOST_BYTES)
			return false;
	return true;
}

static void make_suitable(struct rng *rng, const struct chain_case *of_chain, unsigned depth,
			  uint32_t sector_size, struct chain *ret_chain)
{
	const struct chain_style style = {.max_depth = depth, .tidy = true, .small_blocks = true};

	for (;; chain_free(ret_chain)) {
		chain_make(rng, &style, ret_chain);
		if (ret_chain->depth != depth || !is_small(ret_chain) ||
		    (sector_size && ret_chain->layers[0].sector_size != sector_size))
			continue;
		if (depth == 1 || !of_chain->suits || of_chain->suits(ret_chain))
			return;
	}
}

/* What the files read as, from the parents on: the merged one gets what the leaf has. */
static void put_views(struct chain_run *run, const struct chain *chain)
{
	const struct chain_case *of_chain = run->of_chain;
	struct sparse view = {0};

	for (unsigned i = chain->depth; i-- > of_chain->leaf;) {
		uint64_t size = chain->layers[i].virtual_size;

		layer_compose(&chain->layers[i], &view);
		if (i == of_chain->other) {
			uint64_t leaf = chain->layers[of_chain->leaf].virtual_size;

			run->other_size = size < leaf ? leaf : size;
			read_view(&view, run->other_size, &run->after);
			if (size < leaf) /* it grows by zeros */
				memset(run->after + size, 0, (size_t)(leaf - size));
		}
	}
	run->size = chain->layers[of_chain->leaf].virtual_size;
	read_view(&view, run->size, &run->before);
	if (run->after)
		memcpy(run->after, run->before, (size_t)run->size);
	sparse_free(&view);
}

static void make_files(struct chain_run *run)
{
	const struct chain_case *of_chain = run->of_chain;
	struct rng rng = rng_make(run->seed);
	struct chain chain = {0};
	struct chain beside = {0};

	make_suitable(&rng, of_chain, of_chain->depth, 0, &chain);
	for (unsigned i = 0; i < chain.depth; i++)
		put_file(run, &chain.layers[i], chain.layers[i].name);
	put_views(run, &chain);
	if (of_chain->other >= chain.depth) {
		make_suitable(&rng, of_chain, 1, chain.layers[0].sector_size, &beside);
		put_file(run, &beside.layers[0], "beside.vhdx");
	}
	uint64_t most = run->size > run->other_size ? run->size : run->other_size;

	run->buf = malloc((size_t)most + 1);
	if (!run->buf)
		abort();
	chain_free(&chain);
	chain_free(&beside);
}

/* Takes the images over. */
static void files_init(struct files *files, unsigned count, struct cow *images)
{
	files->count = count;
	for (unsigned i = 0; i < count; i++) {
		store_init(&files->stores[i], &images[i]);
		store_share_clock(&files->stores[i], &files->stores[0]);
	}
}

static void files_free(struct files *files)
{
	for (unsigned i = 0; i < files->count; i++)
		store_free(&files->stores[i]);
}

/* ---- What is done to them ---- */

struct way {
	const struct chain_run *run;
	struct files *files;
};

static int open_parent(void *opaque, const char *child, const char *key, const char *path,
		       struct vhdx_io *ret_io)
{
	const struct way *way = opaque;
	size_t length = strlen(path);

	(void)child;
	(void)key;
	for (unsigned i = 0; i < way->run->count; i++) {
		const char *name = way->run->names[i];

		if (length >= strlen(name) && !strcmp(path + length - strlen(name), name)) {
			*ret_io = store_io(&way->files->stores[i]);
			return 0;
		}
	}
	return -ENOENT;
}

static struct vhdx_open_options options_of(struct way *way, uint32_t flags)
{
	return (struct vhdx_open_options){
		.size = sizeof(struct vhdx_open_options),
		.flags = flags,
		.open_parent = open_parent,
		.opaque = way,
		.name = "disk",
	};
}

static int open_file(struct way *way, unsigned index, uint32_t flags, unsigned write_parents,
		     struct vhdx **ret_disk)
{
	struct vhdx_io io = store_io(&way->files->stores[index]);
	struct vhdx_open_options options = options_of(way, flags);

	options.write_parents = write_parents;
	return vhdx_open_io(&io, &options, ret_disk);
}

static int merge(struct way *way, struct vhdx *disk)
{
	const struct chain_case *of_chain = way->run->of_chain;
	struct vhdx_commit_options options = {.size = sizeof(options), .into = disk};

	for (unsigned i = of_chain->leaf; i < of_chain->other; i++)
		options.into = vhdx_get_parent(options.into);
	return vhdx_commit(disk, &options);
}

static int rebase(struct way *way, struct vhdx *disk)
{
	struct vhdx_open_options how = options_of(way, 0);
	struct vhdx_rebase_options options = {
		.size = sizeof(options),
		.parent = way->run->names[way->run->of_chain->other],
		.parent_options = &how,
	};

	return vhdx_rebase(disk, &options);
}

/* NULL, or what failed. */
static char *act(const struct chain_run *run, struct files *files)
{
	const struct chain_case *of_chain = run->of_chain;
	struct way way = {run, files};
	struct vhdx *disk;
	int ret = open_file(&way, of_chain->leaf, VHDX_OPEN_WRITE,
			    of_chain->is_rebase ? 0 : of_chain->other - of_chain->leaf, &disk);

	if (ret)
		return fault_call("opening for writing", ret);
	ret = of_chain->is_rebase ? rebase(&way, disk) : merge(&way, disk);
	char *fault = ret ? fault_call("the operation", ret) : NULL;

	ret = vhdx_close(disk);
	if (!fault && ret)
		fault = fault_call("closing", ret);
	return fault;
}

/* ---- What must hold ---- */

static char *compare(const struct chain_run *run, struct vhdx *disk, const uint8_t *expected,
		     uint64_t size)
{
	int ret = vhdx_pread(disk, run->buf, (size_t)size, 0);

	if (ret)
		return fault_call("reading", ret);
	uint64_t at = memcmp(run->buf, expected, (size_t)size) ? 0 : size;

	for (; at < size; at++)
		if (run->buf[at] != expected[at])
			return fault_text("byte %#" PRIx64 " is %#x, expected %#x", at,
					  run->buf[at], expected[at]);
	return NULL;
}

static void take_finding(void *opaque, const struct vhdx_finding *finding)
{
	char **fault = opaque;

	if (!*fault && finding->problem->severity > VHDX_LEAK)
		*fault = fault_text("check finds %s in %s: %s", finding->problem->name,
				    finding->file, finding->text);
}

static char *check(struct vhdx *disk)
{
	char *fault = NULL;
	struct vhdx_check_options options = {.size = sizeof(options),
					     .flags = VHDX_CHECK_CHAIN,
					     .finding = take_finding,
					     .opaque = &fault};
	struct vhdx_check_result result = {.size = sizeof(result)};
	int ret = vhdx_check(disk, &options, &result);

	return ret && !fault ? fault_call("checking", ret) : fault;
}

/* The file opens, reads as it must, and its chain is sound. */
static char *look_at(const struct chain_run *run, struct files *files, unsigned index,
		     const uint8_t *expected, uint64_t size)
{
	struct way way = {run, files};
	struct vhdx *disk;
	int ret = open_file(&way, index, 0, 0, &disk);

	if (ret)
		return fault_call("opening", ret);
	char *fault = compare(run, disk, expected, size);

	if (!fault)
		fault = check(disk);
	vhdx_close(disk);
	return fault;
}

/* When all is over, the child names its parent as it is, and nothing else. */
static char *look_at_link(const struct chain_run *run, struct files *files)
{
	const struct chain_case *of_chain = run->of_chain;
	unsigned child = of_chain->is_rebase ? of_chain->leaf : of_chain->other - 1;
	struct way way = {run, files};
	struct vhdx_info info = {.size = sizeof(info)};
	struct vhdx_info parent = {.size = sizeof(parent)};
	char text[VHDX_GUID_TEXT_SIZE];
	char *fault = NULL;
	struct vhdx *disk;
	int ret = open_file(&way, child, 0, 0, &disk);

	if (ret)
		return fault_call("opening the child", ret);
	vhdx_get_info(disk, &info);
	vhdx_get_info(vhdx_get_parent(disk), &parent);
	if (!strstr(parent.path, run->names[of_chain->other]))
		fault = fault_text("the parent is %s, expected %s", parent.path,
				   run->names[of_chain->other]);
	else if (!strstr(info.parent_linkage, vhdx_guid_text(&parent.data_write_guid, text)))
		fault = fault_text("parent_linkage is %s, expected %s", info.parent_linkage, text);
	else if (info.parent_linkage2 && strspn(info.parent_linkage2, "{}0-") != 38)
		fault = fault_text("parent_linkage2 is %s, expected none", info.parent_linkage2);
	vhdx_close(disk);
	return fault;
}

static char *look_when_done(const struct chain_run *run, struct files *files)
{
	const struct chain_case *of_chain = run->of_chain;
	char *fault = look_at(run, files, of_chain->leaf, run->before, run->size);

	if (!fault && !of_chain->is_rebase)
		fault = look_at(run, files, of_chain->other, run->after, run->other_size);
	return fault ? fault : look_at_link(run, files);
}

/* ---- The states ---- */

static void copy_images(const struct files *files, struct cow *ret_images)
{
	for (unsigned i = 0; i < files->count; i++)
		cow_copy(&files->stores[i].now, &ret_images[i]);
}

/* Reads a state without writing it. */
static char *judge_before(const struct chain_run *run, struct cow *images)
{
	struct cow copies[FILES];
	struct files files;
	char *fault;

	for (unsigned i = 0; i < run->count; i++)
		cow_copy(&images[i], &copies[i]);
	files_init(&files, run->count, copies);
	for (unsigned i = 0; i < run->count; i++)
		files.stores[i].read_only = true;
	fault = look_at(run, &files, run->of_chain->leaf, run->before, run->size);
	for (unsigned i = 0; i < run->count && !fault; i++)
		if (files.stores[i].refused)
			fault = fault_text("%s, opened for reading, was written", run->names[i]);
	files_free(&files);
	return fault;
}

/* Does it all again. Takes the images over; @ret_files has recorded what was done then. */
static char *judge_after(const struct chain_run *run, struct cow *images, struct files *ret_files)
{
	files_init(ret_files, run->count, images);
	char *fault = act(run, ret_files);
	struct cow copies[FILES];
	struct files files;

	if (fault)
		return fault;
	copy_images(ret_files, copies);
	files_init(&files, run->count, copies);
	fault = look_when_done(run, &files);
	files_free(&files);
	return fault;
}

static char *prefixed(const char *prefix, char *fault)
{
	char *text = fault ? fault_text("%s: %s", prefix, fault) : NULL;

	free(fault);
	return text;
}

/* The states of all files at one moment: the low bits of a small number say who keeps all. */
static void build_images(const struct chain_run *run, const struct files *files, uint64_t time,
			 uint64_t number, struct cow *ret_images)
{
	bool is_random = number >> run->count;

	for (unsigned i = 0; i < run->count; i++)
		states_at(&files->stores[i], run->seed + i, time,
			  is_random	    ? number + 2
			  : number >> i & 1 ? STATE_KEPT
					    : STATE_LOST,
			  &ret_images[i]);
}

static char *judge_moment(struct chain_run *run, const struct files *files, uint64_t time,
			  uint64_t number, unsigned depth);

static char *judge_nested(struct chain_run *run, const struct files *files, uint64_t seed)
{
	struct rng rng = rng_make(run->seed ^ seed);
	char *fault = NULL;

	for (unsigned i = 0; i < NESTED_STATES && !fault; i++) {
		uint64_t time = rng_below(&rng, files->stores[0].clock + 1);
		uint64_t number = rng_below(&rng, ((uint64_t)1 << run->count) + RANDOM_STATES);

		fault = judge_moment(run, files, time, number, 1);
		run->result->nested++;
	}
	return prefixed("crash of the second run", fault);
}

static char *judge_moment(struct chain_run *run, const struct files *files, uint64_t time,
			  uint64_t number, unsigned depth)
{
	struct cow images[FILES];
	struct files again = {0};
	uint64_t chosen = (number + time * 7919) * 0x9e3779b97f4a7c15 >> 33;

	run->result->states++;
	build_images(run, files, time, number, images);
	char *fault = prefixed("after a crash", judge_before(run, images));

	if (fault) {
		for (unsigned i = 0; i < run->count; i++)
			cow_free(&images[i]);
		return fault;
	}
	fault = prefixed("done again", judge_after(run, images, &again));
	if (!fault && !depth && chosen % NESTED_EVERY == 0)
		fault = judge_nested(run, &again, chosen);
	files_free(&again);
	return fault;
}

static void judge_numbered(struct chain_run *run, const struct files *files, uint64_t time,
			   uint64_t number, const struct run_options *options)
{
	struct run_result *result = run->result;
	size_t length = strcspn(result->id, "/");
	char id[64];

	snprintf(id, sizeof(id), "/%" PRIu64 "/%" PRIu64, time, number);
	if (length + strlen(id) < sizeof(result->id))
		memcpy(result->id + length, id, strlen(id) + 1);
	if (options->progress)
		memcpy(options->progress, result->id, RUN_ID);
	char *fault = judge_moment(run, files, time, number, 0);

	if (fault)
		snprintf(result->fault, sizeof(result->fault), "%s", fault);
	free(fault);
}

/* Of all moments and numbers so many as are asked for. */
static void judge_all(struct chain_run *run, const struct files *files,
		      const struct run_options *options)
{
	uint64_t times = files->stores[0].clock + 1;
	uint64_t numbers = ((uint64_t)1 << run->count) + RANDOM_STATES;
	struct rng rng = rng_make(run->seed);
	uint64_t wanted = RUN_STATES / options->divisor + 1;

	for (uint64_t time = 0; time < times; time++)
		for (uint64_t number = 0; number < numbers && !*run->result->fault; number++)
			if (rng_below(&rng, times * numbers) < wanted &&
			    (time + number) % options->shares == options->share)
				judge_numbered(run, files, time, number, options);
}

static void run_free(struct chain_run *run)
{
	for (unsigned i = 0; i < run->count; i++)
		cow_free(&run->base[i]);
	free(run->before);
	free(run->after);
	free(run->buf);
}

void chain_case_run(const struct chain_case *of_chain, uint64_t seed,
		    const struct run_options *options, struct run_result *result)
{
	struct chain_run run = {.of_chain = of_chain, .seed = seed, .result = result};
	struct cow images[FILES];
	struct files files;
	uint64_t time, number;

	make_files(&run);
	for (unsigned i = 0; i < run.count; i++)
		cow_copy(&run.base[i], &images[i]);
	char *fault = judge_after(&run, images, &files);

	if (fault)
		snprintf(result->fault, sizeof(result->fault), "%s", fault);
	else if (options->state &&
		 sscanf(options->state, "%" SCNu64 "/%" SCNu64, &time, &number) == 2)
		judge_numbered(&run, &files, time, number, options);
	else
		judge_all(&run, &files, options);
	free(fault);
	files_free(&files);
	run_free(&run);
}
