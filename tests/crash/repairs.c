/* SPDX-License-Identifier: MIT */
/* Crashes of repairs: the image and its undo file, each of which loses what it has not flushed. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "crash/look.h"
#include "crash/repairs.h"
#include "crash/states.h"

#define MEBIBYTE REPAIR_MIB

/* Beside the states where the undo file has lost or kept all: so many are random. */
#define UNDO_STATES 4

/* Of so many states the putting back is crashed too, in about so many states. */
#define NESTED_EVERY  20
#define NESTED_STATES 12

struct repair_run {
	const struct repair_case *of_repair;
	uint64_t seed;
	const struct run_options *options;
	struct run_result *result;
	struct cow damaged;
	struct store image; /* these two recorded the repair */
	struct store undo;
	char *fault;
};

/* ---- The image ---- */

static uint8_t byte_of(uint64_t offset)
{
	return (uint8_t)(offset / 512 * 7 + offset + 1);
}

static char *write_disk(struct vhdx *disk)
{
	uint8_t bytes[REPAIR_BLOCK_DATA];

	for (uint64_t block = 0; block < REPAIR_BLOCKS; block++) {
		for (size_t i = 0; i < sizeof(bytes); i++)
			bytes[i] = byte_of(block * MEBIBYTE + i);
		int ret = vhdx_pwrite(disk, bytes, sizeof(bytes), block * MEBIBYTE, 0);

		if (ret)
			return fault_call("writing", ret);
	}
	return NULL;
}

static char *make_disk(struct store *store)
{
	struct vhdx_create_options options = {
		.size = sizeof(options),
		.flags = VHDX_CREATE_NO_SYNC,
		.virtual_size = REPAIR_DISK,
		.block_size = (uint32_t)MEBIBYTE,
		.seed = "disk",
		.seed_size = 4,
	};
	struct vhdx_io io = store_io(store);
	struct vhdx *disk;
	int ret = vhdx_create_io(&io, &options);

	if (ret)
		return fault_call("creating", ret);
	ret = look_open(store, NULL, VHDX_OPEN_WRITE, &disk);
	if (ret)
		return fault_call("opening", ret);
	char *fault = write_disk(disk);

	ret = vhdx_close(disk);
	return fault || !ret ? fault : fault_call("closing", ret);
}

static uint64_t get_number(const struct cow *image, uint64_t offset)
{
	uint8_t bytes[8];
	uint64_t value = 0;

	cow_read(image, bytes, sizeof(bytes), offset);
	for (int i = 7; i >= 0; i--)
		value = value << 8 | bytes[i];
	return value;
}

/* F 3: the BAT is the entry whose GUID begins so. */
static uint64_t find_bat(const struct cow *image)
{
	uint64_t entry = 192 * 1024 + 16;

	while ((uint32_t)get_number(image, entry) != 0x2dc27766)
		entry += 32;
	return get_number(image, entry + 16);
}

static char *make_damaged(struct repair_run *run)
{
	struct store store;
	struct cow empty = {0};

	store_init(&store, &empty);
	store.forgets = true;
	char *fault = make_disk(&store);

	cow_copy(&store.now, &run->damaged);
	store_free(&store);
	if (!fault)
		run->of_repair->damage(&run->damaged, find_bat(&run->damaged));
	return fault;
}

/* ---- What must hold ---- */

static char *repair(struct store *image, struct store *undo)
{
	struct vhdx_io io = store_io(image);
	struct vhdx_io undo_io = store_io(undo);
	struct vhdx_repair_options options = {.size = sizeof(options), .undo = &undo_io};
	struct vhdx_repair_result result = {.size = sizeof(result)};
	int ret = vhdx_repair_io(&io, "disk", &options, &result);

	if (ret)
		return fault_call("repairing", ret);
	if (result.left)
		return fault_text("repair leaves %" PRIu64 " faults", result.left);
	return NULL;
}

static char *compare(const struct repair_case *of_repair, struct vhdx *disk)
{
	uint8_t bytes[REPAIR_BLOCK_DATA];

	for (uint64_t block = 0; block < REPAIR_DISK / MEBIBYTE; block++) {
		int ret = vhdx_pread(disk, bytes, sizeof(bytes), block * MEBIBYTE);
		bool holds = block < REPAIR_BLOCKS && !(of_repair->lost >> block & 1);

		if (ret)
			return fault_call("reading", ret);
		for (size_t i = 0; i < sizeof(bytes); i++)
			if (bytes[i] != (holds ? byte_of(block * MEBIBYTE + i) : 0))
				return fault_text("byte %zu of block %" PRIu64 " is wrong", i,
						  block);
	}
	return NULL;
}

/* A repaired image is sound, and reads as it should. */
static char *look_at(const struct repair_case *of_repair, struct store *image)
{
	struct vhdx *disk;
	char *fault = look_check(image, NULL, true);

	if (fault)
		return fault;
	int ret = look_open(image, NULL, 0, &disk);

	if (ret)
		return fault_call("opening", ret);
	fault = compare(of_repair, disk);
	vhdx_close(disk);
	return fault;
}

static char *repair_again(const struct repair_run *run, const struct cow *contents)
{
	struct cow copy, empty = {0};
	struct store image, undo;

	cow_copy(contents, &copy);
	store_init(&image, &copy);
	store_init(&undo, &empty);
	image.forgets = undo.forgets = true;
	char *fault = repair(&image, &undo);

	if (!fault)
		fault = look_at(run->of_repair, &image);
	store_free(&image);
	store_free(&undo);
	return fault;
}

static char *put_back(const struct repair_run *run, struct store *image, struct store *undo)
{
	struct vhdx_io io = store_io(image);
	struct vhdx_io undo_io = store_io(undo);
	int ret = vhdx_undo_repair_io(&io, "disk", &undo_io, "undo");

	/* Before the undo file is one, nothing is written. */
	if (ret && ret != -EUCLEAN)
		return fault_call("putting back", ret);
	if (!cow_same(&image->now, &run->damaged))
		return ret ? fault_text("the image was changed, and the undo file is of no use")
			   : fault_text("what was put back is not what was there");
	return NULL;
}

struct nested {
	const struct repair_run *run;
	const struct store *undo;
	char *fault;
};

/* The putting back was crashed: it is done again. */
static int judge_nested(void *opaque, const struct state *state)
{
	struct nested *nested = opaque;
	struct cow image, contents;
	struct store again, undo;

	cow_copy(state->image, &image);
	store_init(&again, &image);
	states_at(nested->undo, nested->run->seed, state->crash, state->number, &contents);
	store_init(&undo, &contents);
	again.forgets = undo.forgets = true;
	nested->fault = put_back(nested->run, &again, &undo);
	store_free(&again);
	store_free(&undo);
	nested->run->result->nested++;
	return nested->fault != NULL;
}

static char *judge_images(const struct repair_run *run, struct cow *image_contents,
			  struct cow *undo_contents, bool nest)
{
	struct store image, undo;

	store_init(&image, image_contents);
	store_init(&undo, undo_contents);
	store_share_clock(&undo, &image);
	char *fault = put_back(run, &image, &undo);

	if (!fault && nest) {
		struct nested nested = {run, &undo, NULL};
		struct states_options options = {
			.seed = run->seed, .target = NESTED_STATES, .shares = 1};

		states_each(&image, &options, judge_nested, &nested);
		fault = nested.fault;
	}
	store_free(&undo);
	store_free(&image);
	return fault;
}

static uint32_t undo_state(const struct cow *undo)
{
	return (uint32_t)get_number(undo, 16);
}

#define UNDO_FINISHED 2

/* One state of the image, with one of the undo file. */
static char *judge_pair(const struct repair_run *run, const struct state *state, uint64_t number,
			bool nest)
{
	struct cow image, undo;

	states_at(&run->undo, run->seed, state->crash, number, &undo);
	if (undo_state(&undo) == UNDO_FINISHED && !cow_same(state->image, &run->image.now)) {
		cow_free(&undo);
		return fault_text("the undo file tells of an end that the image does not have");
	}
	cow_copy(state->image, &image);
	return judge_images(run, &image, &undo, nest);
}

static int judge_state(void *opaque, const struct state *state)
{
	struct repair_run *run = opaque;
	struct run_result *result = run->result;
	bool nest = result->states++ % NESTED_EVERY == 0;
	size_t length = strcspn(result->id, "/");

	snprintf(result->id + length, sizeof(result->id) - length, "/%u/%" PRIu64, state->interval,
		 state->number);
	if (run->options->progress)
		memcpy(run->options->progress, result->id, RUN_ID);
	for (uint64_t number = 0; number < 2 + UNDO_STATES && !run->fault; number++)
		run->fault = judge_pair(run, state, number, nest);
	/* The order alone keeps it from harm, too, where the undo file is lost. */
	if (!run->fault)
		run->fault = repair_again(run, state->image);
	return run->fault != NULL;
}

static void judge_all(struct repair_run *run)
{
	const struct run_options *options = run->options;
	struct states_options enumerate = {
		.seed = run->seed,
		.target = RUN_STATES / 2 / options->divisor + 1,
		.share = options->share,
		.shares = options->shares,
	};

	if (options->state)
		enumerate.single = sscanf(options->state, "%u/%" SCNu64, &enumerate.interval,
					  &enumerate.number) == 2;
	states_each(&run->image, &enumerate, judge_state, run);
}

void repair_case_run(const struct repair_case *of_repair, uint64_t seed,
		     const struct run_options *options, struct run_result *result)
{
	struct repair_run run = {
		.of_repair = of_repair, .seed = seed, .options = options, .result = result};
	struct cow image, empty = {0};

	run.fault = make_damaged(&run);
	cow_copy(&run.damaged, &image);
	store_init(&run.image, &image);
	store_init(&run.undo, &empty);
	store_share_clock(&run.undo, &run.image);
	if (!run.fault)
		run.fault = repair_again(&run, &run.damaged);
	if (!run.fault)
		run.fault = repair(&run.image, &run.undo);
	if (!run.fault)
		judge_all(&run);
	if (run.fault)
		snprintf(result->fault, sizeof(result->fault), "%s", run.fault);
	free(run.fault);
	store_free(&run.undo);
	store_free(&run.image);
	cow_free(&run.damaged);
}
