/* SPDX-License-Identifier: MIT */
/*
 * The rules of the BAT and the sector bitmaps (F 6, F 7), and the file's space as a whole: everything
 * that has a place in the file is marked in a map of its MiB, so overlaps and leaks show.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

#include "meta/batcheck.h"
#include "meta/batloss.h"
#include "meta/batrules.h"
#include "meta/batspace.h"
#include "store/io.h"

struct bat_check {
	struct image *image;
	struct bat_space space;
	struct bat_loss loss;
	uint64_t chunk;	     /* the one at hand */
	uint64_t blocks_end; /* of the entries of blocks that the disk has */
	uint64_t plain_end;  /* up to here all entries are of blocks of the chunk at hand */
	bool has_bitmap;     /* an entry for its bitmap was seen */
	bool padding_reported;
	bool far_reported;
	uint64_t data_start; /* of the file, what was last seen to be on storage */
	uint64_t data_end;
	struct bat_counts counts;
};

/* A payload entry, and what its faults cost. */
struct payload {
	uint64_t index;
	struct bat_ruling ruling;
	struct guest_part part;
	struct block_loss loss;
};

static uint64_t entry_place(const struct bat_check *check, uint64_t index)
{
	return bat_entry_place(check->image, index);
}

/* Of the block, @part is affected. */
__attribute__((format(printf, 5, 6))) static void report_part(struct bat_check *check,
							      const struct payload *payload,
							      enum problem problem,
							      const struct guest_part *part,
							      const char *format, ...)
{
	char text[300] = "";
	va_list args;

	if (!vhdx_image_told_enough(check->image, problem)) {
		va_start(args, format);
		vsnprintf(text, sizeof(text), format, args);
		va_end(args);
	}
	vhdx_image_report_guest(check->image, problem, entry_place(check, payload->index), part,
				"BAT: block %" PRIu64 " %s", payload->ruling.number, text);
}

/* All of the block is affected, and @loss_bytes of it are the cost. */
#define report_block(check, payload, problem, loss, ...) \
	report_part(check, payload, problem, \
		    &(struct guest_part){(payload)->part.offset, (payload)->part.length, loss}, \
		    __VA_ARGS__)

/* ---- space of entries ---- */

static void check_far(struct bat_check *check, uint64_t index, uint64_t offset, uint64_t length)
{
	if (offset / MIB + length / MIB <= MAX_MAPPED_FILE / MIB || check->far_reported)
		return;
	check->far_reported = true;
	vhdx_image_report(check->image, PROBLEM_SPACE_TOO_FAR, entry_place(check, index),
			  "BAT: an entry names file offset %#" PRIx64 " (expected at most %#" PRIx64
			  ", up to where overlaps are found)",
			  offset, (uint64_t)MAX_MAPPED_FILE);
}

/* ---- payload entries ---- */

/*
 * Might it be that the file was longer once? Other places behind its end are damaged entries: all that
 * the disk can hold does not reach so far.
 */
static bool is_cut_off(const struct image *image, uint64_t offset)
{
	const struct geometry *g = &image->geometry;
	uint64_t end = image_view_size(image);

	return offset >= end && offset - end <= g->blocks * g->block_size + g->chunks * MIB;
}

static void report_outside(struct bat_check *check, struct payload *payload)
{
	const struct image *image = check->image;
	uint64_t offset = payload->ruling.offset;
	uint64_t lost = payload->ruling.is_anchor ? 0 : payload->part.length;

	report_block(check, payload, PROBLEM_BLOCK_PLACE, lost,
		     "is at %#" PRIx64 " (expected within the file's %#" PRIx64
		     " bytes, behind the first MiB)",
		     offset, image_view_size(image));
	payload->loss.lost = lost;
	if (lost && is_cut_off(image, offset)) {
		check->counts.cut_blocks++;
		check->counts.cut_bytes += lost;
	}
}

/* What of the block lies behind the end of the file, and before the disk's end. */
static void report_short(struct bat_check *check, struct payload *payload)
{
	const struct image *image = check->image;
	uint64_t offset = payload->ruling.offset;
	uint64_t held = image_view_size(image) - offset;
	struct guest_part part = {0};

	if (held < payload->part.length && !payload->ruling.is_anchor) {
		part.offset = payload->part.offset + held;
		part.length = payload->part.length - held;
		part.loss_bytes = part.length;
	}
	report_part(check, payload, PROBLEM_BLOCK_SHORT, &part,
		    "at %#" PRIx64
		    " goes on behind the end of the file (expected to end by %#" PRIx64
		    "): the missing part reads as zeros",
		    offset, image_view_size(image));
	payload->loss.lost = part.loss_bytes;
	check->counts.cut_blocks += part.loss_bytes != 0;
	check->counts.cut_bytes += part.loss_bytes;
}

static int take_payload_space(struct bat_check *check, struct payload *payload)
{
	uint64_t offset = payload->ruling.offset;
	uint64_t length = payload->ruling.space;
	bool anchor = payload->ruling.is_anchor;
	enum space_use use;
	struct space_owner owner;

	check_far(check, payload->index, offset, length);
	int ret = vhdx_bat_space_take(&check->space, payload->index, offset, length, anchor, &use,
				      &owner);

	if (ret || use == SPACE_FREE)
		return ret;
	uint64_t doubtful = anchor || use == SPACE_OF_ANCHOR ? 0 : payload->part.length;

	report_block(check, payload, PROBLEM_BLOCK_OVERLAP, doubtful,
		     "at %#" PRIx64 " overlaps %s (expected space of its own)", offset, owner.name);
	payload->loss.doubtful = doubtful - min_u64(doubtful, payload->loss.lost);
	return 0;
}

static int check_place(struct bat_check *check, struct payload *payload)
{
	if (payload->ruling.place_fault == PROBLEM_BLOCK_PLACE)
		report_outside(check, payload);
	if (payload->ruling.place_fault == PROBLEM_BLOCK_SHORT)
		report_short(check, payload);
	return payload->ruling.space ? take_payload_space(check, payload) : 0;
}

static void check_state(struct bat_check *check, struct payload *payload)
{
	const struct bat_ruling *ruling = &payload->ruling;

	switch (ruling->state_fault) {
	case PROBLEM_BLOCK_STATE:
		payload->loss.lost = payload->part.length;
		report_block(check, payload, PROBLEM_BLOCK_STATE, payload->loss.lost,
			     "has state 4 (expected 0 to 3, 6 or 7)");
		break;
	case PROBLEM_BLOCK_STATE_5:
		report_block(check, payload, PROBLEM_BLOCK_STATE_5, 0,
			     "has state 5 (expected 0 to 3, 6 or 7)");
		break;
	case PROBLEM_BLOCK_LEFTOVER_OFFSET:
		report_block(check, payload, PROBLEM_BLOCK_LEFTOVER_OFFSET, 0,
			     "has state %u and file offset %#" PRIx64 " (expected 0)",
			     ruling->state, ruling->offset);
		break;
	case PROBLEM_BLOCK_PARTIAL_ALONE:
		report_block(
			check, payload, PROBLEM_BLOCK_PARTIAL_ALONE, 0,
			"is PARTIALLY_PRESENT on a disk without a parent (expected FULLY_PRESENT)");
		break;
	default:
		break;
	}
}

static int check_payload(struct bat_check *check, uint64_t index, uint64_t entry,
			 const struct bat_ruling *ruling)
{
	const struct geometry *g = &check->image->geometry;
	bool partial = ruling->state == BLOCK_PARTIALLY_PRESENT && image_has_parent(check->image);
	struct payload payload = {index, *ruling, vhdx_guest_part(g, ruling->number), {0}};

	if (bat_entry_reserved(entry))
		report_block(check, &payload, PROBLEM_ENTRY_RESERVED, 0,
			     "has reserved bits %#" PRIx64 " set (expected 0)",
			     bat_entry_reserved(entry));
	check_state(check, &payload);
	check->counts.present += ruling->present;
	int ret = check_place(check, &payload);

	if (partial || payload.loss.lost || payload.loss.doubtful)
		vhdx_bat_loss_add(&check->loss, g, ruling->number, &payload.loss, partial);
	return ret;
}

/* ---- sector bitmap entries ---- */

__attribute__((format(printf, 4, 5))) static void report_bitmap(struct bat_check *check,
								enum problem problem,
								const struct guest_part *part,
								const char *format, ...)
{
	uint64_t index = bat_index_of_bitmap(&check->image->geometry, check->chunk);
	uint64_t count = check->loss.partial.count;
	char text[400] = "";
	va_list args;

	if (!vhdx_image_told_enough(check->image, problem)) {
		va_start(args, format);
		vsnprintf(text, sizeof(text), format, args);
		va_end(args);
	}
	vhdx_image_report_guest(check->image, problem, entry_place(check, index), part,
				"BAT: %s; %" PRIu64 " block%s need%s it", text, count,
				count == 1 ? "" : "s", count == 1 ? "s" : "");
}

/* The bitmap cannot be read, and so neither can the partial blocks of its chunk. */
static struct guest_part lose_bitmap(struct bat_check *check)
{
	vhdx_bat_loss_bitmap(&check->loss, true);
	return check->loss.partial.part;
}

/* What is in doubt when the bitmap and @owner have the same space: the partial blocks of the chunk, or the owner. */
static struct guest_part doubt_bitmap(struct bat_check *check, enum space_use use,
				      const struct space_owner *owner)
{
	struct guest_part part = check->loss.partial.part;

	if (use == SPACE_OF_ANCHOR) {
		part.loss_bytes = 0;
		return part;
	}
	vhdx_bat_loss_bitmap(&check->loss, false);
	if (part.length || !owner->part.length)
		return part;
	check->loss.doubtful_bytes += owner->part.length;
	part = owner->part;
	part.loss_bytes = part.length;
	return part;
}

static int check_bitmap_place(struct bat_check *check, uint64_t index,
			      const struct bat_ruling *ruling)
{
	enum space_use use;
	struct space_owner owner;

	if (ruling->place_fault) {
		struct guest_part part = lose_bitmap(check);

		report_bitmap(check, ruling->place_fault, &part,
			      "the bitmap of chunk %" PRIu64 " is at %#" PRIx64
			      " (expected within the file's %#" PRIx64
			      " bytes, behind the first MiB)",
			      ruling->number, ruling->offset, image_view_size(check->image));
		check->counts.cut_bitmaps +=
			is_cut_off(check->image, ruling->offset + BITMAP_BLOCK_SIZE);
		return 0;
	}
	check_far(check, index, ruling->offset, ruling->space);
	int ret = vhdx_bat_space_take(&check->space, index, ruling->offset, ruling->space, false,
				      &use, &owner);

	if (ret || use == SPACE_FREE)
		return ret;
	struct guest_part part = doubt_bitmap(check, use, &owner);

	report_bitmap(check, PROBLEM_BITMAP_OVERLAP, &part,
		      "the bitmap of chunk %" PRIu64 " at %#" PRIx64
		      " overlaps %s (expected space of its own)",
		      ruling->number, ruling->offset, owner.name);
	return 0;
}

static void check_bitmap_state(struct bat_check *check, uint64_t index,
			       const struct bat_ruling *ruling)
{
	struct image *image = check->image;
	uint64_t place = entry_place(check, index);

	switch (ruling->state_fault) {
	case PROBLEM_BITMAP_ENTRY_ALONE:
		vhdx_image_report(image, ruling->state_fault, place,
				  "BAT: the bitmap entry of chunk %" PRIu64
				  " has state %u and file offset %#" PRIx64
				  " on a disk without a parent (expected 0)",
				  ruling->number, ruling->state, ruling->offset);
		break;
	case PROBLEM_BITMAP_STATE:
		vhdx_image_report(image, ruling->state_fault, place,
				  "BAT: the bitmap entry of chunk %" PRIu64
				  " has state %u (expected 0 or 6)",
				  ruling->number, ruling->state);
		break;
	case PROBLEM_BITMAP_LEFTOVER_OFFSET:
		vhdx_image_report(image, ruling->state_fault, place,
				  "BAT: the bitmap entry of chunk %" PRIu64
				  " is not present and has file offset %#" PRIx64 " (expected 0)",
				  ruling->number, ruling->offset);
		break;
	default:
		break;
	}
}

static int check_bitmap(struct bat_check *check, uint64_t index, uint64_t entry,
			const struct bat_ruling *ruling)
{
	if (bat_entry_reserved(entry))
		vhdx_image_report(check->image, PROBLEM_ENTRY_RESERVED, entry_place(check, index),
				  "BAT: the bitmap entry of chunk %" PRIu64
				  " has reserved bits %#" PRIx64 " set (expected 0)",
				  ruling->number, bat_entry_reserved(entry));
	check_bitmap_state(check, index, ruling);
	check->has_bitmap = ruling->present;
	return ruling->present ? check_bitmap_place(check, index, ruling) : 0;
}

/* A chunk's bitmap entry comes behind its blocks, so at the next chunk all of it has been seen. */
static void enter_chunk(struct bat_check *check, uint64_t chunk)
{
	if (chunk == check->chunk)
		return;
	if (check->loss.partial.count && !check->has_bitmap) {
		struct guest_part part = lose_bitmap(check);

		report_bitmap(check, PROBLEM_BITMAP_MISSING, &part,
			      "chunk %" PRIu64 " has no sector bitmap (expected one)",
			      check->chunk);
	}
	check->chunk = chunk;
	check->loss.partial = (struct partial_blocks){0};
	check->has_bitmap = false;
}

/* A disk that was trimmed may have 67 million blocks in a state that has neither space nor a fault. */
static bool is_plain(const struct bat_check *check, uint64_t index, uint64_t entry)
{
	return entry <= BLOCK_UNMAPPED && index < check->plain_end;
}

static int check_entry(void *opaque, uint64_t index, uint64_t entry)
{
	struct bat_check *check = opaque;
	const struct geometry *g = &check->image->geometry;

	if (is_plain(check, index, entry))
		return 0;
	struct bat_ruling ruling = vhdx_bat_rule(check->image, index, entry);

	if (ruling.kind == BAT_PADDING) {
		if (!check->padding_reported)
			vhdx_image_report(
				check->image, PROBLEM_BAT_PADDING, entry_place(check, index),
				"BAT: padding entry %" PRIu64 " is %#" PRIx64 " (0 is usual)",
				index, entry);
		check->padding_reported = true;
		return 0;
	}
	enter_chunk(check, bat_chunk_of_index(g, index));
	check->plain_end = min_u64(bat_index_of_bitmap(g, check->chunk), check->blocks_end);
	return ruling.kind == BAT_BITMAP ? check_bitmap(check, index, entry, &ruling)
					 : check_payload(check, index, entry, &ruling);
}

/* ---- the file's space ---- */

/*
 * Does it take room on storage? If that cannot be told, it does. Gaps are asked about in their order, so what
 * the last answer said holds for many: a file has up to 64 million of them.
 */
static bool takes_room(struct bat_check *check, uint64_t start, uint64_t end)
{
	uint64_t file_end = image_end(check->image);

	if (start >= check->data_end) {
		int ret = vhdx_io_next_data(check->image->view, start, file_end, &check->data_start,
					    &check->data_end);

		if (ret == -ENXIO)
			check->data_start = check->data_end = UINT64_MAX;
		else if (ret)
			return true;
	}
	return check->data_start < end;
}

static void report_gap(struct bat_check *check, uint64_t start, uint64_t end)
{
	struct image *image = check->image;

	if (!takes_room(check, start, end)) {
		vhdx_image_report(image, PROBLEM_SPACE_UNUSED, start,
				  "file: nothing refers to %" PRIu64 " bytes at %#" PRIx64
				  ", which take no room",
				  end - start, start);
		return;
	}
	vhdx_image_report(image, PROBLEM_SPACE_LEAKED, start,
			  "file: nothing refers to %" PRIu64 " bytes at %#" PRIx64, end - start,
			  start);
	check->counts.leaked_bytes += end - start;
}

/*
 * Gaps between structures are leaks where they take room. What lies behind the last may be there for growth, and is
 * no fault. When not all structures could be found, nothing can be said.
 */
static void report_gaps(struct bat_check *check)
{
	struct image *image = check->image;
	uint64_t end = min_u64(image_end(image), check->space.taken.mebibytes * MIB);
	uint64_t at = 0;

	while (!image->has_fault) {
		uint64_t start = vhdx_space_map_find(&check->space.taken, at, false);
		uint64_t next = vhdx_space_map_find(&check->space.taken, start, true);

		if (start >= end)
			return;
		if (next >= end) {
			vhdx_image_report(image, PROBLEM_FILE_TRAILING_SPACE, start,
					  "file goes on for %" PRIu64
					  " bytes behind its last structure",
					  max_u64(image_view_size(image), start) - start);
			return;
		}
		report_gap(check, start, next);
		at = next;
	}
}

int vhdx_check_bat(struct image *image, vhdx_progress_fn *progress, void *opaque,
		   struct bat_counts *ret_counts, struct space_map *ret_space)
{
	struct bat_check check = {
		.image = image,
		.blocks_end = bat_index_of_block(&image->geometry, image->geometry.blocks - 1) + 1,
	};
	int ret = vhdx_bat_space_open(&check.space, image);

	if (!ret)
		ret = vhdx_bat_walk(image, true, check_entry, &check, progress, opaque);
	if (!ret) {
		enter_chunk(&check, image->geometry.chunks);
		report_gaps(&check);
		check.counts.lost_bytes = check.loss.lost_bytes;
		check.counts.doubtful_bytes = check.loss.doubtful_bytes;
		check.counts.lost_blocks = check.loss.lost_blocks;
		*ret_counts = check.counts;
	}
	if (!ret && ret_space) {
		*ret_space = check.space.taken;
		check.space.taken = (struct space_map){0};
	}
	vhdx_bat_space_close(&check.space);
	return ret;
}
