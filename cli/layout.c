/* SPDX-License-Identifier: MIT */
/* Collects what an image's BAT and headers say of its space, entry by entry: nothing grows with the disk. */
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "arith.h"
#include "cleanup.h"
#include "layout.h"

#define HEADER_SECTION_SIZE ((uint64_t)1 << 20)
#define BITMAP_BLOCK_SIZE   ((uint64_t)1 << 20)
#define LEAST_CELL	    ((uint64_t)4096)

static const char *const kind_names[KINDS] = {
	[KIND_FREE] = "free",
	[KIND_PARENT] = "the parent's",
	[KIND_HEADER] = "headers",
	[KIND_LOG] = "log",
	[KIND_METADATA] = "metadata",
	[KIND_BAT] = "BAT",
	[KIND_BITMAP] = "sector bitmaps",
	[KIND_DATA] = "data",
	[KIND_PARTIAL] = "partial data",
	[KIND_ZERO] = "zero",
	[KIND_UNMAPPED] = "unmapped",
	[KIND_UNDEFINED] = "undefined",
	[KIND_DAMAGED] = "damaged",
};

const char *layout_kind_name(enum layout_kind kind)
{
	return kind_names[kind];
}

/* ---- Spaces ---- */

static void space_init(struct layout_space *space, uint64_t size)
{
	uint64_t cell = LEAST_CELL;

	while (cell * LAYOUT_CELLS < size)
		cell *= 2;
	*space = (struct layout_space){
		.size = size,
		.cell_size = cell,
		.count = (size_t)((size + cell - 1) / cell),
	};
}

/* What lies behind the end, as in a file that was cut short, is not shown. */
static void space_add(struct layout_space *space, enum layout_kind kind, uint64_t offset,
		      uint64_t length, double place)
{
	if (offset >= space->size)
		return;
	uint64_t end = offset + least(length, space->size - offset);

	space->totals[kind] += end - offset;
	while (offset < end) {
		struct layout_cell *cell = &space->cells[offset / space->cell_size];
		uint64_t part = least(end - offset, space->cell_size - offset % space->cell_size);

		cell->bytes[kind] += part;
		cell->places += place * (double)part;
		offset += part;
	}
}

/* ---- Runs ---- */

static bool follows(uint64_t before, uint64_t length, uint64_t offset)
{
	return before == VHDX_NO_OFFSET ? offset == VHDX_NO_OFFSET : before + length == offset;
}

static int keep_run(struct layout *layout, const struct layout_run *run)
{
	layout->all_runs++;
	if (layout->run_count == LAYOUT_RUNS)
		return 0;
	if (!(layout->run_count & (layout->run_count + 1))) { /* full at 0, 1, 3, 7, ... */
		size_t room = layout->run_count * 2 + 1;
		struct layout_run *grown = realloc(layout->runs, room * sizeof(*grown));

		if (!grown)
			return -ENOMEM;
		layout->runs = grown;
	}
	layout->runs[layout->run_count++] = *run;
	return 0;
}

static void add_run(struct layout *layout, const struct layout_run *run)
{
	struct layout_run *pending = &layout->pending;
	bool is_data = run->kind == KIND_DATA;
	double place = is_data ? (double)run->disk_offset : 0;

	if (is_data && run->disk_offset + run->length > layout->last_data)
		layout->last_data = run->disk_offset + run->length;
	if (run->file_offset != VHDX_NO_OFFSET)
		space_add(&layout->file, run->kind, run->file_offset, run->length, place);
	if (run->disk_offset != VHDX_NO_OFFSET)
		space_add(&layout->disk, run->kind, run->disk_offset, run->length, place);
	if (pending->length && pending->kind == run->kind &&
	    follows(pending->disk_offset, pending->length, run->disk_offset) &&
	    follows(pending->file_offset, pending->length, run->file_offset)) {
		pending->length += run->length;
		return;
	}
	if (pending->length && keep_run(layout, pending))
		layout->result = -ENOMEM;
	*pending = *run;
}

static void add_structure(struct layout *layout, enum layout_kind kind, uint64_t offset,
			  uint64_t length)
{
	if (length)
		add_run(layout, &(struct layout_run){kind, VHDX_NO_OFFSET, offset, length});
}

/* What lies on the disk between the blocks that were told, up to @end: no entry, or one that says as much. */
static void add_gap(struct layout *layout, uint64_t end)
{
	if (layout->info.type == VHDX_DIFFERENCING && layout->told < end)
		add_run(layout, &(struct layout_run){KIND_PARENT, layout->told, VHDX_NO_OFFSET,
						     end - layout->told});
	layout->told = end;
}

/* ---- The BAT, as the library dumps it ---- */

struct entries {
	struct layout *layout;
	bool is_bitmap;
	uint64_t number; /* of the block */
	uint64_t file_offset;
	enum layout_kind kind;
};

static void see_begin(void *opaque, const char *name)
{
	struct entries *entries = opaque;

	if (!name)
		*entries = (struct entries){.layout = entries->layout};
}

static bool has_space(enum layout_kind kind)
{
	return kind == KIND_DATA || kind == KIND_PARTIAL || kind == KIND_BITMAP;
}

/*
 * Only a child has partial blocks, and what the disk has of a block is in the file. A replay of the log may
 * still give the file a later end.
 */
static bool cannot_be(const struct vhdx_info *info, const struct layout_run *run)
{
	uint64_t needed = run->length;

	if (run->kind == KIND_PARTIAL && info->type != VHDX_DIFFERENCING)
		return true;
	if (run->disk_offset < info->virtual_size)
		needed = least(needed, info->virtual_size - run->disk_offset);
	return info->log_state != VHDX_LOG_DIRTY &&
	       (needed > info->file_size || run->file_offset > info->file_size - needed);
}

static void see_end(void *opaque)
{
	struct entries *entries = opaque;
	struct layout *layout = entries->layout;
	uint32_t block_size = layout->info.block_size;
	struct layout_run run = {
		.kind = entries->kind,
		.disk_offset = VHDX_NO_OFFSET,
		.file_offset = VHDX_NO_OFFSET,
		.length = BITMAP_BLOCK_SIZE,
	};

	if (entries->kind == KIND_FREE)
		return;
	if (!entries->is_bitmap) {
		run.disk_offset = entries->number * block_size;
		run.length = block_size;
		add_gap(layout, run.disk_offset);
		layout->told += block_size;
	}
	if (has_space(run.kind)) {
		run.file_offset = entries->file_offset;
		if (cannot_be(&layout->info, &run))
			run.kind = KIND_DAMAGED;
	}
	add_run(layout, &run);
}

static void see_end_array(void *opaque)
{
	(void)opaque;
}

static void see_number(void *opaque, const char *name, uint64_t value)
{
	struct entries *entries = opaque;

	if (!name)
		return;
	if (!strcmp(name, "block") || !strcmp(name, "chunk"))
		entries->number = value;
	entries->is_bitmap |= !strcmp(name, "chunk");
}

static void see_offset(void *opaque, const char *name, uint64_t value)
{
	struct entries *entries = opaque;

	if (name && !strcmp(name, "file-offset"))
		entries->file_offset = value;
}

static void see_boolean(void *opaque, const char *name, int value)
{
	(void)opaque;
	(void)name;
	(void)value;
}

static enum layout_kind kind_of(const char *state, bool is_bitmap)
{
	static const struct {
		const char *state;
		enum layout_kind kind;
	} kinds[] = {
		{"NOT_PRESENT", KIND_FREE},    {"ZERO", KIND_ZERO},
		{"UNMAPPED", KIND_UNMAPPED},   {"UNMAPPED (0.95)", KIND_UNMAPPED},
		{"FULLY_PRESENT", KIND_DATA},  {"PARTIALLY_PRESENT", KIND_PARTIAL},
		{"UNDEFINED", KIND_UNDEFINED},
	};

	if (is_bitmap)
		return strcmp(state, "BITMAP_PRESENT") ? KIND_FREE : KIND_BITMAP;
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++)
		if (!strcmp(kinds[i].state, state))
			return kinds[i].kind;
	return KIND_DAMAGED;
}

static void see_string(void *opaque, const char *name, const char *value)
{
	struct entries *entries = opaque;

	if (name && !strcmp(name, "state"))
		entries->kind = kind_of(value, entries->is_bitmap);
}

static int read_bat(struct layout *layout, struct vhdx *disk)
{
	struct entries entries = {.layout = layout};
	struct vhdx_dump_visitor visitor = {
		.size = sizeof(visitor),
		.begin_object = see_begin,
		.end_object = see_end,
		.begin_array = see_begin,
		.end_array = see_end_array,
		.number = see_number,
		.offset = see_offset,
		.boolean = see_boolean,
		.string = see_string,
		.opaque = &entries,
	};

	return vhdx_dump(disk, VHDX_DUMP_BAT, &visitor);
}

/* ---- All of it ---- */

/* What nothing was said of. */
static void fill_up(struct layout_space *space)
{
	for (size_t i = 0; i < space->count; i++) {
		struct layout_cell *cell = &space->cells[i];
		uint64_t room = least(space->cell_size, space->size - i * space->cell_size);
		uint64_t known = 0;

		for (int kind = KIND_FREE + 1; kind < KINDS; kind++)
			known += cell->bytes[kind];
		cell->bytes[KIND_FREE] = known < room ? room - known : 0;
		space->totals[KIND_FREE] += cell->bytes[KIND_FREE];
	}
}

static int collect(struct layout *layout, struct vhdx *disk)
{
	const struct vhdx_info *info = &layout->info;

	layout->info.size = sizeof(layout->info);
	layout->last_data = 1;
	int ret = vhdx_get_info(disk, &layout->info);

	if (ret)
		return ret;
	space_init(&layout->disk, info->virtual_size);
	space_init(&layout->file, info->file_size);
	add_structure(layout, KIND_HEADER, 0, HEADER_SECTION_SIZE);
	add_structure(layout, KIND_LOG, info->log_offset, info->log_length);
	add_structure(layout, KIND_METADATA, info->metadata_offset, info->metadata_length);
	add_structure(layout, KIND_BAT, info->bat_offset, info->bat_length);
	ret = read_bat(layout, disk);
	if (!ret)
		add_gap(layout, info->virtual_size);
	if (!ret && layout->pending.length)
		ret = keep_run(layout, &layout->pending);
	if (ret)
		return ret;
	fill_up(&layout->disk);
	fill_up(&layout->file);
	return layout->result;
}

int layout_make(struct vhdx *disk, struct layout **ret_layout)
{
	struct layout *layout = calloc(1, sizeof(*layout));
	int ret = layout ? collect(layout, disk) : -ENOMEM;

	if (ret)
		layout_free(layout);
	else
		*ret_layout = layout;
	return ret;
}

void layout_free(struct layout *layout)
{
	if (layout)
		free(layout->runs);
	free(layout);
}
