/* SPDX-License-Identifier: MIT */
/* Walks two contents in step, reads what either holds, and tells in which sectors they differ. */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/zeros.h"
#include "ops/differ.h"

/* What is compared at once. It stays in a core's cache, and zeros are told apart by it. */
#define PART ((size_t)1024 * 1024)
/* Storage of the caller's own may be far away: much is asked for at once. */
#define FAR_BUFFER_SIZE (4 * PART)
#define STRIDE		((size_t)4096)
#define NO_MORE		UINT64_MAX

struct side {
	struct source *source;
	/* The range of data that holds or follows the place where the walk is; NO_MORE: none. */
	uint64_t start;
	uint64_t end;
	uint8_t *buf;
};

struct walk {
	const struct differ *differ;
	struct side sides[2];
	size_t buffer_size;
	uint64_t offset; /* all before is done */
};

/* What lies in the buffers, or a part of it. NULL: zeros. */
struct pair {
	const uint8_t *first;
	const uint8_t *second;
	uint64_t offset; /* of the disk */
	size_t size;
};

/* ---- Comparing what has been read ---- */

static bool is_same(const struct pair *pair, size_t at, size_t size)
{
	if (pair->first && pair->second)
		return !memcmp(pair->first + at, pair->second + at, size);
	return vhdx_is_zeros((pair->first ? pair->first : pair->second) + at, size);
}

/* How far they are the same from @at on, in whole sectors. */
static size_t skip_same(const struct pair *pair, size_t at, size_t sector_size)
{
	while (at < pair->size && is_same(pair, at, (size_t)min_u64(STRIDE, pair->size - at)))
		at += (size_t)min_u64(STRIDE, pair->size - at);
	while (at < pair->size && is_same(pair, at, sector_size))
		at += sector_size;
	return at;
}

static int give_run(const struct walk *walk, const struct pair *pair, size_t start, size_t end)
{
	const struct differ *differ = walk->differ;
	const uint8_t *bytes = pair->second ? pair->second + start : NULL;

	if (bytes && vhdx_is_zeros(bytes, end - start))
		bytes = NULL;
	return differ->found(differ->opaque, pair->offset + start, end - start, bytes);
}

static int find_runs(const struct walk *walk, const struct pair *pair)
{
	size_t sector_size = walk->differ->sector_size;
	size_t at = 0;
	int ret = 0;

	while (!ret && (at = skip_same(pair, at, sector_size)) < pair->size) {
		size_t start = at;

		do
			at += sector_size;
		while (at < pair->size && !is_same(pair, at, sector_size));
		ret = give_run(walk, pair, start, at);
	}
	return ret;
}

/* ---- Walking ---- */

static int advance(const struct walk *walk, struct side *side)
{
	uint64_t size = side->source->size;

	if (side->end > walk->offset && walk->offset < size)
		return 0;
	int ret = vhdx_source_next_data(side->source, walk->offset,
					min_u64(size, walk->differ->end), &side->start, &side->end);

	if (ret == -ENXIO)
		side->start = side->end = NO_MORE;
	return ret == -ENXIO ? 0 : ret;
}

/* How far what this side holds, or does not hold, goes on. */
static uint64_t same_until(const struct walk *walk, const struct side *side)
{
	return side->start > walk->offset ? side->start : side->end;
}

/* A hole reads as zeros without being read. */
static int read_side(const struct side *side, uint64_t offset, size_t size,
		     const uint8_t **ret_bytes)
{
	size_t done;

	*ret_bytes = side->start < offset + size ? side->buf : NULL;
	return *ret_bytes ? vhdx_source_read(side->source, side->buf, size, offset, &done) : 0;
}

static bool is_same_file(const struct vhdx *a, const struct vhdx *b)
{
	if (a == b)
		return true;
	return a->has_identity && b->has_identity && a->identity.device == b->identity.device &&
	       a->identity.inode == b->identity.inode;
}

/* Chains often have a file in common: how much of what both hold is the same bytes of the same file. */
static uint64_t count_shared(const struct walk *walk)
{
	struct source_place a, b;
	uint64_t offset = walk->offset;

	if (walk->sides[0].start > offset || walk->sides[1].start > offset ||
	    !vhdx_source_place(walk->sides[0].source, offset, &a) ||
	    !vhdx_source_place(walk->sides[1].source, offset, &b) || !a.layer || !b.layer ||
	    a.file_offset != b.file_offset || !is_same_file(a.layer, b.layer))
		return 0;
	return round_down(min_u64(a.length, b.length), walk->differ->sector_size);
}

static int do_piece(struct walk *walk, size_t size)
{
	struct pair all = {.offset = walk->offset, .size = size};
	int ret = read_side(&walk->sides[0], all.offset, size, &all.first);

	if (!ret)
		ret = read_side(&walk->sides[1], all.offset, size, &all.second);
	for (size_t at = 0; at < size && !ret; at += (size_t)(PART - (all.offset + at) % PART)) {
		struct pair part = {
			.first = all.first ? all.first + at : NULL,
			.second = all.second ? all.second + at : NULL,
			.offset = all.offset + at,
			.size = (size_t)min_u64(size - at, PART - (all.offset + at) % PART),
		};

		ret = find_runs(walk, &part);
	}
	walk->offset += size;
	return ret;
}

static uint64_t known_size(const struct source *source)
{
	return source->size == SIZE_UNKNOWN ? 0 : source->size;
}

static int report(const struct walk *walk, uint64_t done)
{
	const struct differ *differ = walk->differ;
	uint64_t total = max_u64(known_size(differ->first), known_size(differ->second));

	total = min_u64(total, differ->end);
	if (differ->progress &&
	    differ->progress(differ->progress_opaque, min_u64(done, total), total))
		return vhdx_fail(-ECANCELED, NO_PROBLEM, NULL, VHDX_NO_OFFSET, "stopped as asked");
	return 0;
}

static int report_idle(void *opaque)
{
	const struct walk *walk = opaque;

	return report(walk, walk->offset);
}

/* Where the piece ends that begins where the walk is: whole sectors, all of one kind but for their ends. */
static uint64_t end_of_piece(const struct walk *walk)
{
	uint64_t stop =
		min_u64(same_until(walk, &walk->sides[0]), same_until(walk, &walk->sides[1]));

	stop = round_up_saturated(stop, walk->differ->sector_size);
	return min_u64(stop, round_down(walk->offset, walk->buffer_size) + walk->buffer_size);
}

static int walk_all(struct walk *walk)
{
	struct side *a = &walk->sides[0];
	struct side *b = &walk->sides[1];

	while (walk->offset < walk->differ->end) {
		int ret = advance(walk, a);

		if (!ret)
			ret = advance(walk, b);
		if (ret)
			return ret;
		if (a->start == NO_MORE && b->start == NO_MORE)
			break;
		uint64_t start = round_down(min_u64(a->start, b->start), walk->differ->sector_size);

		walk->offset = max_u64(walk->offset, start);
		uint64_t shared = count_shared(walk);

		walk->offset += shared;
		if (!shared)
			ret = do_piece(walk, (size_t)(end_of_piece(walk) - walk->offset));
		if (!ret)
			ret = report(walk, walk->offset);
		if (ret)
			return ret;
	}
	return report(walk, UINT64_MAX); /* what is left is holes */
}

static bool is_own_storage(const struct source *source)
{
	return source->io.preadv && !source->owns_io;
}

int vhdx_differ(const struct differ *differ)
{
	bool is_far = is_own_storage(differ->first) || is_own_storage(differ->second);
	struct walk walk = {
		.differ = differ,
		.sides = {{.source = differ->first}, {.source = differ->second}},
		.buffer_size = is_far ? FAR_BUFFER_SIZE : PART,
	};
	auto_free uint8_t *first = malloc(walk.buffer_size);
	auto_free uint8_t *second = malloc(walk.buffer_size);

	assert(is_power_of_two(differ->sector_size) && differ->sector_size <= STRIDE);
	assert(differ->end == UINT64_MAX || is_aligned(differ->end, differ->sector_size));
	if (!first || !second)
		return vhdx_fail_memory();
	walk.sides[0].buf = first;
	walk.sides[1].buf = second;
	for (int i = 0; i < 2; i++) {
		walk.sides[i].source->stream.idle = report_idle;
		walk.sides[i].source->stream.opaque = &walk;
	}
	return walk_all(&walk);
}
