/* SPDX-License-Identifier: MIT */
/*
 * Writes what a repair changed from its draft to the file. The undo file makes any crash good; the order
 * makes the image usable at once after most of them, and never lets a new structure name old contents.
 */
#include <stdlib.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/rules.h"
#include "ops/settle.h"
#include "ops/undo.h"
#include "store/fill.h"
#include "store/io.h"

struct settling {
	struct repair *repair;
	const struct draft *draft;
	const struct vhdx_io *io;
	uint64_t old_size;
	uint64_t new_size;
	uint64_t from; /* what is written now: [from, end) */
	uint64_t end;
	uint8_t *run; /* of DRAFT_RUN_SIZE */
};

static int fail_write(const struct settling *settling, int ret, uint64_t offset)
{
	return vhdx_fail_io(ret, settling->repair->name, offset,
			    "cannot be written; a second repair begins anew");
}

static int count_range(void *opaque, const struct draft_range *range)
{
	struct settling *settling = opaque;
	struct vhdx_repair_result *result = &settling->repair->result;

	result->changed_bytes += range->length;
	if (range->released)
		result->released_bytes += range->length;
	return 0;
}

/* Data behind the new end. */
static int count_cut(struct settling *settling)
{
	uint64_t offset = settling->new_size;
	int ret = 0;

	while (!ret && offset < settling->old_size) {
		struct draft_range range = {.released = true};

		ret = vhdx_io_next_data(settling->io, offset, settling->old_size, &range.offset,
					&offset);
		range.length = offset - range.offset;
		if (!ret)
			ret = count_range(settling, &range);
	}
	return ret == -ENXIO ? 0 : ret;
}

/* Ends the walk early: nothing behind matters. */
#define WALKED_ENOUGH 1

static int write_range(void *opaque, const struct draft_range *range)
{
	struct settling *settling = opaque;
	uint64_t start = max_u64(range->offset, settling->from);
	uint64_t end = min_u64(range->offset + range->length, settling->end);

	if (range->offset >= settling->end)
		return WALKED_ENOUGH;
	if (range->released || start >= end)
		return 0;
	size_t size = (size_t)(end - start);
	int ret = vhdx_io_read(settling->repair->io, settling->run, size, start);

	if (!ret)
		ret = vhdx_io_write(settling->io, settling->run, size, start);
	return ret ? fail_write(settling, ret, start) : 0;
}

/* Writes what changed in [from, end). */
static int write_part(struct settling *settling, uint64_t from, uint64_t end)
{
	settling->from = from;
	settling->end = end;
	int ret = vhdx_draft_walk(settling->draft, write_range, settling);

	return ret == WALKED_ENOUGH ? 0 : ret;
}

static int flush(const struct settling *settling)
{
	int ret = vhdx_io_flush(settling->io);

	return ret ? fail_write(settling, ret, VHDX_NO_OFFSET) : 0;
}

static int write_and_flush(struct settling *settling, uint64_t from, uint64_t end)
{
	int ret = write_part(settling, from, end);

	return ret ? ret : flush(settling);
}

static int write_tables(struct settling *settling)
{
	int ret = 0;

	for (unsigned copy = 0; copy < 2 && !ret; copy++)
		ret = write_and_flush(settling, region_table_offset(copy),
				      region_table_offset(copy) + REGION_TABLE_SIZE);
	return ret;
}

/* The slot that was current last: until the other one is durable it may be all there is. */
static int write_headers(struct settling *settling)
{
	struct image image;
	int ret = vhdx_image_load(&image, settling->repair->name, settling->io, NULL, NULL);
	unsigned slot = image.current == 0 ? 1 : 0;

	vhdx_image_free(&image);
	for (int i = 0; i < 2 && !ret; i++, slot ^= 1)
		ret = write_and_flush(settling, header_offset(slot),
				      header_offset(slot) + HEADER_SIZE);
	return ret;
}

/* Everything but what names it, then the names, from the deepest on. */
static int write_all(struct settling *settling)
{
	int ret = write_part(settling, header_offset(0) + HEADER_SIZE, header_offset(1));

	if (!ret)
		ret = write_part(settling, header_offset(1) + HEADER_SIZE, region_table_offset(0));
	if (!ret)
		ret = write_and_flush(settling, region_table_offset(1) + REGION_TABLE_SIZE,
				      UINT64_MAX);
	if (!ret)
		ret = write_tables(settling);
	if (!ret)
		ret = write_headers(settling);
	return ret ? ret : write_and_flush(settling, IDENTIFIER_OFFSET, header_offset(0));
}

static int release_range(void *opaque, const struct draft_range *range)
{
	struct settling *settling = opaque;
	int ret = 0;

	if (range->released && repair_may(settling->repair, VHDX_REPAIR_NO_HOLES))
		ret = vhdx_fill_zeros(settling->io, range->offset, range->length);
	else if (range->released)
		ret = vhdx_fill_holes(settling->io, range->offset, range->length);
	return ret ? fail_write(settling, ret, range->offset) : 0;
}

/* Nothing on the disk names any of it by now. */
static int release_all(struct settling *settling)
{
	int ret = vhdx_draft_walk(settling->draft, release_range, settling);

	if (!ret && settling->new_size < settling->old_size) {
		ret = vhdx_io_set_size(settling->io, settling->new_size);
		if (ret)
			return fail_write(settling, ret, settling->new_size);
	}
	return ret || !OBEYS(RULE_UNDO_LAST) ? ret : flush(settling);
}

/* Durable before anything is written: a sector across the old end could else be half lost with the growth. */
static int grow(const struct settling *settling)
{
	if (settling->new_size <= settling->old_size)
		return 0;
	int ret = vhdx_io_set_size(settling->io, settling->new_size);

	return ret ? fail_write(settling, ret, settling->new_size) : flush(settling);
}

static int write_file(struct settling *settling)
{
	settling->repair->result.is_written = 1;
	int ret = grow(settling);

	if (!ret)
		ret = write_all(settling);
	return ret ? ret : release_all(settling);
}

static int write_with_undo(struct settling *settling)
{
	const struct repair *repair = settling->repair;
	const struct undo_place *place = repair->undo;
	const struct undo_work work = {
		.draft = settling->draft,
		.io = settling->io,
		.name = repair->name,
		.total = repair->result.changed_bytes,
		.progress = repair->options.progress,
		.opaque = repair->options.opaque,
	};
	const struct vhdx_io *undo;
	int ret = place->begin(place->opaque, &undo);

	if (!ret)
		ret = vhdx_undo_write(undo, place->name, &work);
	if (!ret)
		ret = place->publish(place->opaque);
	if (!ret)
		ret = write_file(settling);
	return ret ? ret : vhdx_undo_finish(undo, place->name);
}

int vhdx_settle(struct repair *repair, struct draft *draft, const struct vhdx_io *io)
{
	auto_free uint8_t *run = malloc(DRAFT_RUN_SIZE);
	struct settling settling = {.repair = repair, .draft = draft, .io = io, .run = run};
	int ret = run ? vhdx_io_get_size(io, &settling.old_size) : vhdx_fail_memory();

	if (!ret)
		ret = vhdx_io_get_size(repair->io, &settling.new_size);
	/* What was released and taken again counts once. */
	repair->result.released_bytes = 0;
	if (!ret)
		ret = vhdx_draft_walk(draft, count_range, &settling);
	if (!ret)
		ret = count_cut(&settling);
	if (ret || repair_may(repair, VHDX_REPAIR_DRY_RUN))
		return ret;
	return repair->undo ? write_with_undo(&settling) : write_file(&settling);
}
