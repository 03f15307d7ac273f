/* SPDX-License-Identifier: MIT */
/*
 * The rules of the BAT and the sector bitmaps (F 6, F 7), and the file's space as a whole: everything
 * that has a place in the file is marked in a map of its MiB, so overlaps and leaks show.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

#include "meta/batcheck.h"
#include "store/io.h"
#include "meta/bitmap.h"

#define MAX_NAMED_OVERLAPS 16 /* for more, the search for the other party would take too long */

struct bat_check {
	struct image *image;
	struct space_map space;
	uint64_t chunk;		/* that partial_block is in */
	uint64_t partial_block; /* its first PARTIALLY_PRESENT block, or NO_BLOCK */
	bool has_bitmap;	/* an entry for the bitmap of that chunk was seen */
	unsigned overlaps;
	bool padding_reported;
	bool far_reported;
	struct bat_counts counts;
};

#define NO_BLOCK UINT64_MAX

static uint64_t entry_place(const struct bat_check *check, uint64_t index)
{
	return check->image->bat.file_offset + index * BAT_ENTRY_SIZE;
}

/* Part of the disk that a block is. */
static uint64_t guest_offset(const struct bat_check *check, uint64_t block)
{
	return block * check->image->geometry.block_size;
}

static uint64_t guest_length(const struct bat_check *check, uint64_t block)
{
	const struct geometry *g = &check->image->geometry;

	return min_u64(g->block_size, g->virtual_size - guest_offset(check, block));
}

__attribute__((format(printf, 5, 6))) static void report_block(struct bat_check *check,
							       enum problem problem, uint64_t index,
							       uint64_t block, const char *format,
							       ...)
{
	char text[300] = "";
	va_list args;

	if (!vhdx_image_told_enough(check->image, problem)) {
		va_start(args, format);
		vsnprintf(text, sizeof(text), format, args);
		va_end(args);
	}
	vhdx_image_report_guest(check->image, problem, entry_place(check, index),
				guest_offset(check, block), guest_length(check, block),
				"BAT: block %" PRIu64 " %s", block, text);
}

/* ---- who else has that space ---- */

struct owner_search {
	const struct bat_check *check;
	uint64_t not_index; /* the one that asks */
	uint64_t offset;
	char *text;
	size_t size;
};

static bool is_placed(unsigned state)
{
	return state == BLOCK_FULLY_PRESENT || state == BLOCK_PARTIALLY_PRESENT ||
	       state == BLOCK_UNMAPPED || state == BLOCK_UNDEFINED;
}

static int match_entry(void *opaque, uint64_t index, uint64_t entry)
{
	struct owner_search *search = opaque;
	const struct geometry *g = &search->check->image->geometry;
	bool bitmap = bat_index_is_bitmap(g, index);
	uint64_t length = bitmap ? BITMAP_BLOCK_SIZE : g->block_size;
	uint64_t offset = bat_entry_offset(entry);

	if (index == search->not_index || !offset || search->offset < offset ||
	    search->offset - offset >= length ||
	    !(bitmap ? bat_entry_state(entry) == BITMAP_PRESENT
		     : is_placed(bat_entry_state(entry))))
		return 0;
	snprintf(search->text, search->size, "%s %" PRIu64,
		 bitmap ? "the bitmap of chunk" : "block",
		 bitmap ? bat_chunk_of_index(g, index) : bat_block_of_index(g, index));
	return 1;
}

static bool name_fixed_owner(const struct image *image, uint64_t offset, char *text, size_t size)
{
	char guid[VHDX_GUID_TEXT_SIZE];
	const char *name = NULL;

	if (offset < HEADER_SECTION_SIZE)
		name = "the header section";
	else if (image->current != NO_HEADER &&
		 ranges_meet(offset, MIB, image->log.offset, image->log.length))
		name = "the log";
	else if (ranges_meet(offset, MIB, image->bat.file_offset, image->bat.length))
		name = "the BAT region";
	else if (ranges_meet(offset, MIB, image->metadata.file_offset, image->metadata.length))
		name = "the metadata region";
	for (uint32_t i = 0; i < image->region_count && !name; i++)
		if (ranges_meet(offset, MIB, image->regions[i].file_offset,
				image->regions[i].length))
			name = vhdx_guid_text(&image->regions[i].guid, guid);
	if (name)
		snprintf(text, size, "%s", name);
	return name != NULL;
}

static void name_owner(struct bat_check *check, uint64_t index, uint64_t offset, char *text,
		       size_t size)
{
	struct owner_search search = {check, index, offset, text, size};

	snprintf(text, size, "another structure");
	if (name_fixed_owner(check->image, offset, text, size) ||
	    check->overlaps++ >= MAX_NAMED_OVERLAPS)
		return;
	/* Should this read of the BAT fail, so will the check's own, which says so. */
	(void)vhdx_bat_walk(check->image, false, match_entry, &search, NULL, NULL);
}

/* Marks the space of an entry; text of the one that it overlaps, or false. */
static bool take_space(struct bat_check *check, uint64_t index, uint64_t offset, uint64_t length,
		       char *text, size_t size)
{
	uint64_t where;

	if (offset / MIB + length / MIB > MAX_MAPPED_FILE / MIB && !check->far_reported) {
		check->far_reported = true;
		vhdx_image_report(check->image, PROBLEM_SPACE_TOO_FAR, entry_place(check, index),
				  "BAT: an entry names file offset %#" PRIx64
				  " (overlaps are found up to %#" PRIx64 ")",
				  offset, (uint64_t)MAX_MAPPED_FILE);
	}
	if (!vhdx_space_map_mark(&check->space, offset, length, &where))
		return false;
	name_owner(check, index, where, text, size);
	return true;
}

/* ---- payload entries ---- */

static void check_place(struct bat_check *check, uint64_t index, uint64_t block, uint64_t entry)
{
	const struct image *image = check->image;
	uint64_t offset = bat_entry_offset(entry);
	uint64_t size = image->geometry.block_size;
	char other[64];

	if (offset < HEADER_SECTION_SIZE || offset >= image_view_size(image)) {
		report_block(check, PROBLEM_BLOCK_PLACE, index, block,
			     "is at %#" PRIx64 " (expected within the file's %#" PRIx64
			     " bytes, behind the first MiB)",
			     offset, image_view_size(image));
		return;
	}
	if (!range_within(offset, size, image_view_size(image)))
		report_block(check, PROBLEM_BLOCK_SHORT, index, block,
			     "at %#" PRIx64 " goes on behind the end of the file (%#" PRIx64
			     "): the missing part reads as zeros",
			     offset, image_view_size(image));
	if (take_space(check, index, offset, min_u64(size, image_end(image) - offset), other,
		       sizeof(other)))
		report_block(check, PROBLEM_BLOCK_OVERLAP, index, block,
			     "at %#" PRIx64 " overlaps %s (expected space of its own)", offset,
			     other);
}

static void note_partial(struct bat_check *check, uint64_t block)
{
	if (check->partial_block == NO_BLOCK)
		check->partial_block = block;
}

static void check_payload(struct bat_check *check, uint64_t index, uint64_t entry)
{
	const struct image *image = check->image;
	uint64_t block = bat_block_of_index(&image->geometry, index);
	unsigned state = bat_entry_state(entry);
	uint64_t offset = bat_entry_offset(entry);

	if (bat_entry_reserved(entry))
		report_block(check, PROBLEM_ENTRY_RESERVED, index, block,
			     "has reserved bits %#" PRIx64 " set (expected 0)",
			     bat_entry_reserved(entry));
	if (state == BLOCK_RESERVED_4 || state == BLOCK_UNMAPPED_OLD)
		report_block(check,
			     state == BLOCK_RESERVED_4 ? PROBLEM_BLOCK_STATE
						       : PROBLEM_BLOCK_STATE_5,
			     index, block, "has state %u (expected 0 to 3, 6 or 7)", state);
	if ((state == BLOCK_NOT_PRESENT || state == BLOCK_ZERO) && offset)
		report_block(check, PROBLEM_BLOCK_LEFTOVER_OFFSET, index, block,
			     "has state %u and file offset %#" PRIx64 " (expected 0)", state,
			     offset);
	if (state == BLOCK_PARTIALLY_PRESENT && !image_has_parent(image))
		report_block(
			check, PROBLEM_BLOCK_PARTIAL_ALONE, index, block,
			"is PARTIALLY_PRESENT on a disk without a parent (expected FULLY_PRESENT)");
	else if (state == BLOCK_PARTIALLY_PRESENT)
		note_partial(check, block);
	bool present = state == BLOCK_FULLY_PRESENT || state == BLOCK_PARTIALLY_PRESENT;

	check->counts.present += present;
	if (present || (is_placed(state) && offset))
		check_place(check, index, block, entry);
}

/* ---- sector bitmap entries ---- */

static void report_missing_bitmap(struct bat_check *check)
{
	uint64_t index = bat_index_of_bitmap(&check->image->geometry, check->chunk);

	report_block(check, PROBLEM_BITMAP_MISSING, index, check->partial_block,
		     "is PARTIALLY_PRESENT, and chunk %" PRIu64
		     " has no sector bitmap (expected one)",
		     check->chunk);
}

static void check_bitmap_place(struct bat_check *check, uint64_t index, uint64_t chunk,
			       uint64_t entry)
{
	struct image *image = check->image;
	uint64_t offset = bat_entry_offset(entry);
	char other[64];

	if (!vhdx_bitmap_entry_is_usable(image, entry)) {
		vhdx_image_report(image, PROBLEM_BITMAP_PLACE, entry_place(check, index),
				  "BAT: the bitmap of chunk %" PRIu64 " is at %#" PRIx64
				  " (expected within the file's %#" PRIx64
				  " bytes, behind the first MiB)",
				  chunk, offset, image_view_size(image));
		return;
	}
	if (take_space(check, index, offset, BITMAP_BLOCK_SIZE, other, sizeof(other)))
		vhdx_image_report(image, PROBLEM_BITMAP_OVERLAP, entry_place(check, index),
				  "BAT: the bitmap of chunk %" PRIu64 " at %#" PRIx64
				  " overlaps %s (expected space of its own)",
				  chunk, offset, other);
}

static void check_bitmap(struct bat_check *check, uint64_t index, uint64_t entry)
{
	struct image *image = check->image;
	uint64_t chunk = bat_chunk_of_index(&image->geometry, index);
	unsigned state = bat_entry_state(entry);

	if (bat_entry_reserved(entry))
		vhdx_image_report(image, PROBLEM_ENTRY_RESERVED, entry_place(check, index),
				  "BAT: the bitmap entry of chunk %" PRIu64
				  " has reserved bits %#" PRIx64 " set (expected 0)",
				  chunk, bat_entry_reserved(entry));
	if (!image_has_parent(image)) {
		if (state != BITMAP_NOT_PRESENT || bat_entry_offset(entry))
			vhdx_image_report(image, PROBLEM_BITMAP_ENTRY_ALONE,
					  entry_place(check, index),
					  "BAT: the bitmap entry of chunk %" PRIu64
					  " has state %u and file offset %#" PRIx64
					  " on a disk without a parent (expected 0)",
					  chunk, state, bat_entry_offset(entry));
		return;
	}
	if (state == BITMAP_PRESENT) {
		check->has_bitmap = true;
		check_bitmap_place(check, index, chunk, entry);
	} else if (state != BITMAP_NOT_PRESENT) {
		vhdx_image_report(image, PROBLEM_BITMAP_STATE, entry_place(check, index),
				  "BAT: the bitmap entry of chunk %" PRIu64
				  " has state %u (expected 0 or 6)",
				  chunk, state);
	} else if (bat_entry_offset(entry)) {
		vhdx_image_report(image, PROBLEM_BITMAP_LEFTOVER_OFFSET, entry_place(check, index),
				  "BAT: the bitmap entry of chunk %" PRIu64
				  " is not present and has file offset %#" PRIx64 " (expected 0)",
				  chunk, bat_entry_offset(entry));
	}
}

/* A chunk's bitmap entry comes behind its blocks, so at the next chunk all of it has been seen. */
static void enter_chunk(struct bat_check *check, uint64_t chunk)
{
	if (chunk == check->chunk)
		return;
	if (check->partial_block != NO_BLOCK && !check->has_bitmap)
		report_missing_bitmap(check);
	check->chunk = chunk;
	check->partial_block = NO_BLOCK;
	check->has_bitmap = false;
}

static int check_entry(void *opaque, uint64_t index, uint64_t entry)
{
	struct bat_check *check = opaque;
	const struct geometry *g = &check->image->geometry;
	bool bitmap = bat_index_is_bitmap(g, index);

	/* The last chunk of a child has entries for blocks that its disk does not have. */
	if (index >= g->entries || (!bitmap && bat_block_of_index(g, index) >= g->blocks)) {
		if (!check->padding_reported)
			vhdx_image_report(
				check->image, PROBLEM_BAT_PADDING, entry_place(check, index),
				"BAT: padding entry %" PRIu64 " is %#" PRIx64 " (0 is usual)",
				index, entry);
		check->padding_reported = true;
		return 0;
	}
	enter_chunk(check, bat_chunk_of_index(g, index));
	if (bitmap)
		check_bitmap(check, index, entry);
	else
		check_payload(check, index, entry);
	return 0;
}

/* ---- the file's space ---- */

/* Overlaps among these have been reported with the regions. */
static void take_fixed_space(struct bat_check *check)
{
	const struct image *image = check->image;

	vhdx_space_map_mark(&check->space, 0, HEADER_SECTION_SIZE, NULL);
	if (image->current != NO_HEADER &&
	    range_within(image->log.offset, image->log.length, image_end(image)))
		vhdx_space_map_mark(&check->space, image->log.offset, image->log.length, NULL);
	for (uint32_t i = 0; i < image->region_count; i++)
		if (range_within(image->regions[i].file_offset, image->regions[i].length,
				 image_end(image)))
			vhdx_space_map_mark(&check->space, image->regions[i].file_offset,
					    image->regions[i].length, NULL);
}

/* Does it take room on storage? If that cannot be told, it does. */
static bool takes_room(const struct image *image, uint64_t start, uint64_t end)
{
	uint64_t data_start;
	uint64_t data_end;

	return vhdx_io_next_data(image->view, start, end, &data_start, &data_end) != -ENXIO;
}

static void report_gap(struct bat_check *check, uint64_t start, uint64_t end)
{
	struct image *image = check->image;

	if (!takes_room(image, start, end)) {
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
	uint64_t end = min_u64(image_end(image), check->space.mebibytes * MIB);
	uint64_t at = 0;

	while (!image->has_fault) {
		uint64_t start = vhdx_space_map_find(&check->space, at, false);
		uint64_t next = vhdx_space_map_find(&check->space, start, true);

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
	struct bat_check check = {.image = image, .partial_block = NO_BLOCK};
	int ret = vhdx_space_map_init(&check.space, image_end(image));

	if (ret)
		return ret;
	take_fixed_space(&check);
	ret = vhdx_bat_walk(image, true, check_entry, &check, progress, opaque);
	if (!ret) {
		enter_chunk(&check, image->geometry.chunks);
		report_gaps(&check);
		*ret_counts = check.counts;
	}
	if (!ret && ret_space)
		*ret_space = check.space;
	else
		vhdx_space_map_free(&check.space);
	return ret;
}
