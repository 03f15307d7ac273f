/* SPDX-License-Identifier: MIT */
/* What must hold for each state that a crash left. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "crash/guest.h"
#include "crash/history.h"
#include "crash/judge.h"
#include "support/random.h"

/* Of so many states, one is mended on a recorded store, and one is gone on with. */
#define NESTED_EVERY	32
#define CONTINUED_EVERY 4
#define MIB		((uint64_t)1 << 20)
#define NESTED_STATES	24

void judge_init(struct judge *judge, struct model *model, struct store *parent, uint64_t seed)
{
	*judge = (struct judge){.model = model, .parent = parent, .seed = seed, .sector_size = 512};
	judge->read_only = malloc((size_t)model->total + 1);
	judge->writable = malloc((size_t)model->total + 1);
	if (!judge->read_only || !judge->writable)
		abort();
}

void judge_free(struct judge *judge)
{
	free(judge->read_only);
	free(judge->writable);
	free(judge->fault);
}

static char *prefixed(const char *prefix, char *fault)
{
	char *text = fault ? fault_text("%s: %s", prefix, fault) : NULL;

	free(fault);
	return text;
}

static bool is_same_disk(const struct vhdx_info *a, const struct vhdx_info *b)
{
	return a->virtual_size == b->virtual_size &&
	       !memcmp(&a->data_write_guid, &b->data_write_guid, sizeof(a->data_write_guid));
}

/* Opens, reads all ranges, and closes. */
static char *read_disk(struct judge *judge, struct store *store, uint32_t flags, uint8_t *contents,
		       struct vhdx_info *info)
{
	struct vhdx *disk;
	int ret = look_open(store, judge->parent, flags, &disk);

	if (ret)
		return fault_call("opening", ret);
	char *fault = look_read(disk, judge->model, contents);

	info->size = sizeof(*info);
	vhdx_get_info(disk, info);
	ret = vhdx_close(disk);
	if (!fault && ret)
		fault = fault_call("closing", ret);
	return fault;
}

static char *look_read_only(struct judge *judge, const struct cow *image)
{
	struct store store;
	struct cow copy;

	cow_copy(image, &copy);
	store_init(&store, &copy);
	store.read_only = true;
	char *fault = read_disk(judge, &store, 0, judge->read_only, &judge->info);

	if (!fault)
		fault = look_check(&store, judge->parent, false);
	if (!fault && store.refused)
		fault = fault_text("a disk opened for reading was written");
	store_free(&store);
	return prefixed("read-only", fault);
}

/* The file's end, which a session leaves where the last structure ends, or where it was. */
static char *judge_end(struct store *store, const struct vhdx_info *info, uint64_t size_at_open)
{
	/* What is no whole MiB may be made one. */
	uint64_t rounded = (size_at_open + GUEST_MIB - 1) / GUEST_MIB * GUEST_MIB;

	if (store->now.size != size_at_open && store->now.size % GUEST_MIB)
		return fault_text("a clean close left a file of %#" PRIx64 " bytes",
				  store->now.size);
	uint64_t end = store->now.size > rounded ? look_end(store, info) : store->now.size;

	if (store->now.size > end)
		return fault_text("after a clean close the file goes on to %#" PRIx64
				  " behind its last structure's end at %#" PRIx64,
				  store->now.size, end);
	return NULL;
}

char *judge_closed(struct store *store, struct store *parent, const struct vhdx_info *info,
		   bool wrote, uint64_t size_at_open)
{
	char *fault = look_check(store, parent, wrote);

	if (!fault && wrote)
		fault = look_headers(store);
	if (!fault && parent)
		fault = look_bitmaps(store, info);
	return fault ? fault : judge_end(store, info, size_at_open);
}

/* ---- Going on after a crash ---- */

/* Part of a range that is whole sectors of the guest, and on the disk. */
static bool choose_range(const struct judge *judge, struct rng *rng, uint64_t *ret_offset,
			 uint64_t *ret_length, uint64_t *ret_at)
{
	const struct model *model = judge->model;
	size_t chosen = (size_t)rng_below(rng, model->range_count);
	uint64_t at = 0, sector = judge->sector_size;

	for (size_t i = 0; i < chosen; i++)
		at += model->ranges[i].length;
	const struct model_range *range = &model->ranges[chosen];
	uint64_t start = (range->offset + sector - 1) / sector * sector;
	uint64_t end = (range->offset + range->length) / sector * sector;

	end = end < judge->info.virtual_size ? end : judge->info.virtual_size;
	if (start >= end)
		return false;
	uint64_t first = start + rng_below(rng, (end - start) / sector) * sector;
	uint64_t length = rng_length(rng, (end - first) / sector) * sector;

	*ret_offset = first;
	*ret_length = length < 65536 ? length : 65536;
	*ret_at = at + first - range->offset;
	return true;
}

/* Writes or zeroes in some places, there and in what is expected. Zeros may be there already. */
static char *change_disk(struct judge *judge, struct vhdx *disk, uint8_t *expected, struct rng *rng,
			 bool *ret_written)
{
	for (uint64_t i = 0; i < 4; i++) {
		uint64_t offset, length, at;

		if (!choose_range(judge, rng, &offset, &length, &at))
			continue;
		bool zero = rng_chance(rng, 20);
		uint8_t *to = expected + at;

		for (uint64_t j = 0; j < length; j += ATOM)
			model_pattern(ORIGIN_JUDGE, i + 1, (offset + j) / ATOM, to + j);
		if (zero)
			memset(to, 0, (size_t)length);
		int ret = zero ? vhdx_zero(disk, offset, length,
					   rng_chance(rng, 50) ? VHDX_ZERO_MAY_UNMAP : 0)
			       : vhdx_pwrite(disk, to, (size_t)length, offset, 0);

		*ret_written |= !zero;
		if (!ret && rng_chance(rng, 30))
			ret = vhdx_flush(disk);
		if (ret)
			return fault_call("changing the disk after a crash", ret);
	}
	return NULL;
}

/* Opens a mended state again, changes the disk, closes it, and looks at what came of that. */
static char *go_on(struct judge *judge, struct store *store, uint64_t number)
{
	struct rng rng = rng_make(judge->seed ^ number << 20);
	uint64_t size = store->now.size;
	unsigned long writes = store->writes;
	struct vhdx_info info = {.size = sizeof(info)};
	struct vhdx *disk;
	int ret = look_open(store, judge->parent, judge->flags | VHDX_OPEN_WRITE, &disk);

	if (ret)
		return fault_call("opening again", ret);
	vhdx_get_info(disk, &info);
	bool written = false;
	char *fault = change_disk(judge, disk, judge->writable, &rng, &written);

	if (!fault)
		fault = look_read(disk, judge->model, judge->read_only);
	if (!fault)
		fault = look_compare(judge->model, judge->read_only, judge->writable);
	ret = vhdx_close(disk);
	if (!fault && ret)
		fault = fault_call("closing after going on", ret);
	if (!fault)
		fault = judge_closed(store, judge->parent, &info, store->writes > writes, size);
	if (!fault)
		fault = read_disk(judge, store, 0, judge->read_only, &info);
	if (!fault)
		fault = look_compare(judge->model, judge->read_only, judge->writable);
	if (!fault && written &&
	    !memcmp(&info.data_write_guid, &judge->info.data_write_guid,
		    sizeof(info.data_write_guid)))
		fault = fault_text("a new session kept the DataWriteGuid");
	judge->continued++;
	return prefixed("going on", fault);
}

/* ---- One state ---- */

static char *examine(struct judge *judge, const struct cow *image, uint64_t crash,
		     const uint8_t *expected, struct store *store)
{
	struct cow copy;
	struct vhdx_info info;
	char *fault = look_read_only(judge, image);

	judge->states++;
	if (!fault && expected)
		fault = look_compare(judge->model, judge->read_only, expected);
	else if (!fault)
		fault = model_judge(judge->model, crash, judge->read_only, &judge->info);
	if (fault)
		return fault;
	cow_copy(image, &copy);
	store_init(store, &copy);
	fault = read_disk(judge, store, judge->flags | VHDX_OPEN_WRITE, judge->writable, &info);
	if (!fault && !is_same_disk(&info, &judge->info))
		fault = fault_text("mending changed the DataWriteGuid or the size");
	if (!fault)
		fault = look_compare(judge->model, judge->writable, judge->read_only);
	if (!fault)
		fault = judge_closed(store, judge->parent, &info, store->writes > 0,
				     store->now.size);
	if (!fault)
		fault = history_judge(store, 0, &info);
	if (fault)
		store_free(store);
	return prefixed("for writing", fault);
}

struct nest {
	struct judge *judge;
	uint8_t *expected;
	struct vhdx_info info;
	const struct state *outer;
	char *fault;
};

static int judge_nested(void *opaque, const struct state *state)
{
	struct nest *nest = opaque;
	struct judge *judge = nest->judge;
	struct store store;

	snprintf(judge->current, sizeof(judge->current), "%u/%" PRIu64 "/%u/%" PRIu64,
		 nest->outer->interval, nest->outer->number, state->interval, state->number);
	judge->nested++;
	nest->fault = examine(judge, state->image, 0, nest->expected, &store);
	if (nest->fault)
		return 1;
	if (!is_same_disk(&judge->info, &nest->info))
		nest->fault =
			fault_text("a crash while mending changed the DataWriteGuid or the size");
	store_free(&store);
	return nest->fault != NULL;
}

/* The crash states of a state's mending, which is recorded in @store. */
static char *judge_mending(struct judge *judge, const struct store *store,
			   const struct state *state)
{
	struct states_options options = {
		.seed = judge->seed ^ state->number,
		.target = NESTED_STATES,
		.shares = 1,
		.single = judge->nested_single,
		.interval = judge->nested_interval,
		.number = judge->nested_number,
	};
	struct nest nest = {judge, malloc((size_t)judge->model->total + 1), judge->info, state,
			    NULL};

	if (!nest.expected)
		abort();
	memcpy(nest.expected, judge->writable, (size_t)judge->model->total);
	states_each(store, &options, judge_nested, &nest);
	free(nest.expected);
	return prefixed("crash while mending", nest.fault);
}

int judge_state(void *opaque, const struct state *state)
{
	struct judge *judge = opaque;
	struct store store;

	snprintf(judge->current, sizeof(judge->current), "%u/%" PRIu64, state->interval,
		 state->number);
	char *fault = examine(judge, state->image, state->crash, NULL, &store);

	if (!fault) {
		uint64_t chosen = (state->number + state->interval * 7919) * 0x9e3779b97f4a7c15 >>
				  33;

		if (judge->nested_single || chosen % NESTED_EVERY == 0)
			fault = judge_mending(judge, &store, state);
		else if (chosen % CONTINUED_EVERY == 1)
			fault = go_on(judge, &store, state->number);
		store_free(&store);
	}
	if (!fault)
		return 0;
	judge->fault = fault;
	memcpy(judge->id, judge->current, sizeof(judge->id));
	return 1;
}
