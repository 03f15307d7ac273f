/* SPDX-License-Identifier: MIT */
/*
 * Which MiB of the file are free. Fresh space reads as zeros whatever happens: grown in this session and
 * never given out, or punched before what freed it was durable. Everything else may hold any bytes.
 */
#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "base/rules.h"
#include "store/fill.h"
#include "store/io.h"
#include "vdisk/space.h"

/*
 * The file grows by so many blocks at once, or by this part of what it has, within these bounds: to change
 * a file's size takes some file systems as long as several writes.
 */
#define GROWTH_BLOCKS 8u
#define GROWTH_PART   8u
#define MIN_GROWTH    (32 * MIB)
#define MAX_GROWTH    (256 * MIB)

static uint64_t file_end(const struct space *space)
{
	return image_view_size(space->image);
}

static int set_size(struct space *space, uint64_t size)
{
	int ret = vhdx_io_set_size(space->image->file, size);

	if (!ret)
		image_set_view_size(space->image, size);
	return ret;
}

/* Makes the file @length bytes longer; all of them zeros, and with @no_holes really there. */
static int extend(struct space *space, uint64_t length)
{
	const struct vhdx_io *file = space->image->file;
	uint64_t old = file_end(space);
	int ret = vhdx_io_set_size(file, old + length);

	if (!ret && space->no_holes) {
		ret = vhdx_io_reserve(file, old, length);
		if (ret == -EOPNOTSUPP)
			ret = vhdx_fill_zeros(file, old, length);
		if (ret)
			(void)vhdx_io_set_size(file, old);
	}
	return ret;
}

/* The end of a file that cannot become a whole number of MiB is left unused. */
static int round_file_up(struct space *space)
{
	uint64_t size = file_end(space);
	uint64_t rounded = max_u64(size, image_end(space->image));
	int ret = size < rounded ? extend(space, rounded - size) : 0;

	if (!ret)
		image_set_view_size(space->image, rounded);
	if (ret == -EOPNOTSUPP) {
		vhdx_space_map_mark(&space->taken, round_down(size, MIB), MIB, NULL);
		return 0;
	}
	return ret ? vhdx_fail_errno(ret, space->image->name,
				     "cannot be made a whole number of MiB long")
		   : 0;
}

int vhdx_space_init(struct space *space, struct image *image, const struct journal *journal,
		    bool no_holes, struct space_map *taken)
{
	*space = (struct space){
		.image = image,
		.journal = journal,
		.no_holes = no_holes,
		.taken = *taken,
	};
	*taken = (struct space_map){0};
	space->last_freed = &space->freed;
	pthread_mutex_init(&space->growth, NULL);
	pthread_mutex_init(&space->lock, NULL);
	int ret = vhdx_space_map_init(&space->fresh, image_end(image)); /* as large as taken */

	if (!ret)
		ret = round_file_up(space);
	space->first_size = file_end(space);
	if (ret)
		vhdx_space_destroy(space);
	return ret;
}

static void drop_list(struct freed *freed)
{
	while (freed) {
		struct freed *next = freed->next;

		free(freed);
		freed = next;
	}
}

void vhdx_space_destroy(struct space *space)
{
	drop_list(space->freed);
	drop_list(space->held_metadata);
	vhdx_space_map_free(&space->taken);
	vhdx_space_map_free(&space->fresh);
	pthread_mutex_destroy(&space->lock);
	pthread_mutex_destroy(&space->growth);
}

/* ---- Under the lock ---- */

static void lower_hints(struct space *space, uint64_t offset)
{
	for (int i = 0; i < 2; i++) {
		space->hints[i] = min_u64(space->hints[i], offset);
		space->fresh_hints[i] = min_u64(space->fresh_hints[i], offset);
	}
}

static void make_free(struct space *space, uint64_t offset, uint64_t length, bool fresh)
{
	vhdx_space_map_clear(&space->taken, offset, length);
	if (fresh)
		vhdx_space_map_mark(&space->fresh, offset, length, NULL);
	/* A free neighbour before it may make a run that is long enough. */
	lower_hints(space, offset - min_u64(offset, space->image->parameters.block_size));
}

/* The log is empty: nothing of it is ever applied again. The list is the caller's then. */
static struct freed *release_held_metadata(struct space *space)
{
	struct freed *held = space->held_metadata;

	for (const struct freed *freed = held; freed; freed = freed->next)
		make_free(space, freed->offset, freed->length, false);
	space->held_metadata = NULL;
	return held;
}

/* What was freed is free once that is durable: until then a crash brings back what lies there. */
static void settle_freed(struct space *space)
{
	uint64_t durable = atomic_load_explicit(&space->journal->durable, memory_order_acquire);

	while (space->freed && (space->freed->number <= durable || !OBEYS(RULE_FREED_DURABLE))) {
		struct freed *freed = space->freed;

		space->freed = freed->next;
		if (!space->freed)
			space->last_freed = &space->freed;
		make_free(space, freed->offset, freed->length, freed->fresh);
		free(freed);
	}
}

static uint64_t find(struct space *space, uint64_t length, bool fresh)
{
	const struct space_map *also = fresh ? &space->fresh : NULL;
	uint64_t *hint = &(fresh ? space->fresh_hints : space->hints)[length == MIB];
	uint64_t end = space->taken.mebibytes * MIB;

	if (length != MIB && length != space->image->parameters.block_size)
		return vhdx_space_map_find_run(&space->taken, also, 0, length);
	uint64_t offset = vhdx_space_map_find_run(&space->taken, also, *hint, length);

	/* Without a run, the next one can only begin where the file grows. */
	*hint = offset == UINT64_MAX ? end - min_u64(end, length) : offset;
	return offset;
}

static void take(struct space *space, uint64_t offset, uint64_t length)
{
	vhdx_space_map_mark(&space->taken, offset, length, NULL);
	vhdx_space_map_clear(&space->fresh, offset, length);
}

static bool take_free(struct space *space, uint64_t length, struct place *ret_place)
{
	bool fresh = true;
	uint64_t offset;

	LOCK_SCOPED(&space->lock);
	settle_freed(space);
	offset = find(space, length, true);
	if (offset == UINT64_MAX) {
		fresh = false;
		offset = find(space, length, false);
	}
	if (offset == UINT64_MAX)
		return false;
	take(space, offset, length);
	*ret_place = (struct place){offset, length, fresh};
	return true;
}

/* The file is @size bytes long now, and all of that from @old on is fresh. */
static int map_growth(struct space *space, uint64_t old, uint64_t size)
{
	LOCK_SCOPED(&space->lock);
	/* What is not taken can be given out: that map grows last, when nothing can fail any more. */
	if (vhdx_space_map_grow(&space->fresh, size) || vhdx_space_map_grow(&space->taken, size))
		return -ENOMEM;
	vhdx_space_map_mark(&space->fresh, old, size - old, NULL);
	image_set_view_size(space->image, size);
	return 0;
}

/* ---- Growth ---- */

/* Under the growth lock. */
static int grow_file(struct space *space, uint64_t length)
{
	uint64_t block_size = space->image->parameters.block_size;
	uint64_t old = file_end(space);
	uint64_t part = space->no_holes ? 0 : round_down(old / GROWTH_PART, MIB);
	uint64_t wanted = max_u64(max_u64(GROWTH_BLOCKS * block_size, part), MIN_GROWTH);
	uint64_t step = min_u64(wanted, MAX_GROWTH);

	if (!range_within(old, length, MAX_GROWN_FILE))
		return -EFBIG;
	step = max_u64(length, min_u64(step, MAX_GROWN_FILE - old));
	int ret = extend(space, step);

	if ((error_is_no_space(ret) || ret == -EFBIG) && step > length) {
		step = length;
		ret = extend(space, step);
	}
	if (ret)
		return ret == -EOPNOTSUPP ? -ENOSPC : ret;
	ret = map_growth(space, old, old + step);
	if (ret)
		(void)vhdx_io_set_size(space->image->file, old);
	return ret;
}

/* Unless somebody else made the file longer than @seen meanwhile. */
static int grow(struct space *space, uint64_t length, uint64_t seen)
{
	LOCK_SCOPED(&space->growth);
	int ret = file_end(space) > seen ? 0 : grow_file(space, length);

	return ret ? vhdx_fail_errno(ret, space->image->name,
				     "cannot grow by the %" PRIu64 " bytes that are needed", length)
		   : 0;
}

int vhdx_space_take(struct space *space, uint64_t length, struct place *ret_place)
{
	int ret = 0;

	assert(length && is_aligned(length, MIB));
	while (!ret) {
		uint64_t seen = file_end(space);

		if (take_free(space, length, ret_place))
			return 0;
		ret = grow(space, length, seen);
	}
	return ret;
}

bool vhdx_space_take_below(struct space *space, uint64_t length, uint64_t limit,
			   struct place *ret_place)
{
	LOCK_SCOPED(&space->lock);
	settle_freed(space);
	uint64_t offset = find(space, length, false);

	if (offset == UINT64_MAX || !range_within(offset, length, limit))
		return false;
	bool fresh = vhdx_space_map_find_run(&space->taken, &space->fresh, offset, length) ==
		     offset;

	take(space, offset, length);
	*ret_place = (struct place){offset, length, fresh};
	return true;
}

void vhdx_space_give_back(struct space *space, const struct place *place)
{
	LOCK_SCOPED(&space->lock);
	make_free(space, place->offset, place->length, false);
}

void vhdx_space_free(struct space *space, struct freed *freed, uint64_t number)
{
	LOCK_SCOPED(&space->lock);
	if (freed->held_metadata) {
		freed->next = space->held_metadata;
		space->held_metadata = freed;
		return;
	}
	freed->number = number;
	freed->next = NULL;
	*space->last_freed = freed;
	space->last_freed = &freed->next;
	settle_freed(space); /* or a disk that is only trimmed would remember every block of it */
}

void vhdx_space_allow_cut(struct space *space)
{
	LOCK_SCOPED(&space->lock);
	space->may_cut = true;
}

static int cut_file(struct space *space, uint64_t end)
{
	if (end >= file_end(space))
		return 0;
	int ret = set_size(space, end);

	if (ret == -EOPNOTSUPP)
		return 0;
	return ret ? vhdx_fail_errno(ret, space->image->name,
				     "cannot be cut to the %" PRIu64 " bytes that are in use", end)
		   : vhdx_image_flush(space->image);
}

/* What lies there only takes room now; if that cannot be given back, it does. */
static void punch_free(const struct space *space, const struct freed *freed)
{
	for (; freed && !space->no_holes; freed = freed->next)
		if (range_within(freed->offset, freed->length, file_end(space)))
			(void)vhdx_io_punch(space->image->file, freed->offset, freed->length);
}

int vhdx_space_cut(struct space *space)
{
	pthread_mutex_lock(&space->lock);
	settle_freed(space);
	struct freed *held = release_held_metadata(space);
	uint64_t end = vhdx_space_map_end(&space->taken);

	if (!space->may_cut)
		end = max_u64(end, space->first_size);
	pthread_mutex_unlock(&space->lock);
	int ret = cut_file(space, end);

	punch_free(space, held);
	drop_list(held);
	return ret;
}
