/* SPDX-License-Identifier: MIT */
/*
 * vhdx_resize. A larger disk gets all that it will show, durable, behind its end, where nobody looks yet;
 * then one log entry changes its size. Until that entry is there the disk is as it was.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

#include "base/options.h"
#include "base/rules.h"
#include "base/sizetext.h"
#include "ops/batmove.h"
#include "ops/plan.h"
#include "ops/resize.h"
#include "store/fill.h"
#include "store/io.h"
#include "vdisk/discard.h"

#define RESIZE_FLAGS (VHDX_RESIZE_SHRINK | VHDX_RESIZE_FORCE)

/* What of a fixed disk's space is reserved before a cancel is noticed. */
#define RESERVE_STEP (256 * MIB)

int vhdx_resize_report(const struct resize *resize, uint64_t done)
{
	const struct vhdx_resize_options *options = &resize->options;

	if (options->progress && options->progress(options->opaque, done, resize->total))
		return vhdx_fail(-ECANCELED, NO_PROBLEM, resize->disk->name, VHDX_NO_OFFSET,
				 "stopped as asked");
	return 0;
}

/* ---- A fixed disk's new blocks ---- */

static int reserve_step(const struct vhdx *disk, const struct place *run, uint64_t at,
			uint64_t length)
{
	uint64_t offset = run->offset + at;
	int ret = run->fresh ? vhdx_io_reserve(&disk->file, offset, length) : -EOPNOTSUPP;

	if (ret == -EOPNOTSUPP)
		ret = vhdx_fill_zeros(&disk->file, offset, length);
	return ret ? vhdx_fail_io(ret, disk->name, offset,
				  "the space of %" PRIu64 " bytes of new blocks cannot be had",
				  length)
		   : 0;
}

static int reserve_blocks(const struct resize *resize, const struct place *run)
{
	int ret = 0;

	for (uint64_t at = 0; at < run->length && !ret; at += RESERVE_STEP) {
		uint64_t length = min_u64(RESERVE_STEP, run->length - at);

		ret = vhdx_resize_report(resize, min_u64(at, resize->total));
		if (!ret)
			ret = reserve_step(resize->disk, run, at, length);
	}
	return ret;
}

static int place_blocks(const struct resize *resize, struct growth *growth)
{
	uint64_t blocks = growth->to.blocks - growth->from.blocks;
	struct space *space = &resize->disk->writer->space;

	if (growth->kind != GROWTH_PLACED || !blocks)
		return 0;
	int ret = vhdx_space_take(space, blocks * growth->to.block_size, &growth->run);

	if (ret)
		return ret;
	ret = reserve_blocks(resize, &growth->run);
	if (ret) {
		vhdx_space_give_back(space, &growth->run);
		growth->run.length = 0;
	}
	return ret;
}

/* ---- New entries ---- */

struct entries_work {
	const struct resize *resize;
	const struct growth *growth;
};

/* Of a fixed disk all bytes were counted when they were reserved. */
static int report_entries(void *opaque, uint64_t entries)
{
	const struct entries_work *work = opaque;
	const struct growth *growth = work->growth;
	uint64_t end = bat_block_of_index(&growth->to, entries) * growth->to.block_size;
	uint64_t from = growth->from.virtual_size;
	uint64_t total = work->resize->total;

	if (growth->kind == GROWTH_PLACED)
		return vhdx_resize_report(work->resize, total);
	return vhdx_resize_report(work->resize, end > from ? min_u64(end - from, total) : 0);
}

/* Is the entry @index of the table one that changes? */
static int differs(const struct growth *growth, uint64_t index, uint64_t entry, bool *ret_differs)
{
	uint64_t now;

	*ret_differs = false;
	if (index < growth->first || index >= growth->to.entries)
		return 0;
	int ret = vhdx_bat_get(&growth->disk->bat, index, &now);

	*ret_differs = !ret && now != entry;
	return ret;
}

static int find_first(const struct growth *growth, uint64_t first,
		      const uint64_t entries[BAT_PAGE_ENTRIES], unsigned *ret_at)
{
	unsigned at = 0;
	int ret = 0;

	for (; at < BAT_PAGE_ENTRIES; at++) {
		bool found;

		ret = differs(growth, first + at, entries[at], &found);
		if (ret || found)
			break;
	}
	*ret_at = at;
	return ret;
}

static int store_page(const struct growth *growth, uint64_t page,
		      const uint64_t entries[BAT_PAGE_ENTRIES], unsigned at)
{
	struct vhdx *disk = growth->disk;
	uint64_t first = page * BAT_PAGE_ENTRIES;
	uint64_t end = min_u64(BAT_PAGE_ENTRIES, growth->to.entries - first);
	struct change stores;
	struct page *held;
	int ret = vhdx_journal_begin(&disk->writer->journal, 1, &stores);

	if (ret)
		return ret;
	ret = vhdx_bat_hold(&disk->bat, &disk->image, &stores, first, &held);
	if (!ret) {
		vhdx_change_enter(&stores);
		for (; at < end; at++)
			vhdx_bat_set(&stores, held, first + at, entries[at]);
		vhdx_change_leave(&stores);
	}
	vhdx_change_end(&stores);
	return ret;
}

static int change_page(const struct growth *growth, uint64_t page)
{
	uint64_t entries[BAT_PAGE_ENTRIES];
	unsigned at;
	int ret = vhdx_growth_page(growth, page, entries);

	if (!ret)
		ret = find_first(growth, page * BAT_PAGE_ENTRIES, entries, &at);
	return ret || at == BAT_PAGE_ENTRIES ? ret : store_page(growth, page, entries, at);
}

/* Where the BAT is: behind the disk's end, in the table or in its padding. */
static int change_entries(const struct growth *growth, bat_progress *progress, void *opaque)
{
	struct chain_shared *shared = growth->disk->shared;
	int ret = 0;

	for (uint64_t page = growth->first / BAT_PAGE_ENTRIES; !ret; page++) {
		ret = vhdx_growth_next_page(growth, page, &page);
		if (ret || page == NO_BAT_PAGE)
			return ret;
		ret = change_page(growth, page);
		vhdx_page_cache_trim(&shared->cache, vhdx_stripes_grace, &shared->stripes);
		if (!ret && progress)
			ret = progress(opaque, (page + 1) * BAT_PAGE_ENTRIES);
	}
	return ret;
}

/* ---- The last block that there is ---- */

/* Behind the disk's end it may hold anything, and a parent may go on there. */
static int clear_rest_of_block(struct vhdx *disk, uint64_t new_size)
{
	struct image *image = &disk->image;
	uint64_t old_size = image->virtual_size;
	uint64_t end = min_u64(new_size, round_up(old_size, image->parameters.block_size));
	struct discard discard = {.disk = disk, .may_unmap = true};

	if (!OBEYS(RULE_CLEAR_BEHIND_END))
		return 0;
	image->virtual_size = end; /* the block ends there, for as long as this takes */
	int ret = vhdx_discard(&discard, old_size, end - old_size);

	image->virtual_size = old_size;
	return ret;
}

/* ---- Growing ---- */

/* Nothing of what was made for the larger disk is to be seen; what fails here leaves space that nobody uses. */
static void take_back(struct growth *growth, const struct place *place)
{
	struct space *space = &growth->disk->writer->space;
	struct kept_error kept;
	struct place run = growth->run;

	vhdx_error_keep(&kept);
	growth->kind = GROWTH_EMPTY;
	growth->run = (struct place){0};
	if (!place)
		(void)change_entries(growth, NULL, NULL);
	if (run.length)
		vhdx_space_give_back(space, &run);
	if (place)
		vhdx_space_give_back(space, place);
	vhdx_error_raise(&kept);
	vhdx_error_drop(&kept);
}

/* Into the table where it is, or into another at @place. */
static int make_entries(const struct resize *resize, const struct growth *growth,
			const struct place *place)
{
	struct entries_work work = {resize, growth};

	return place ? vhdx_bat_build(growth, place, report_entries, &work)
		     : change_entries(growth, report_entries, &work);
}

static int grow_table(const struct resize *resize, struct growth *growth, const struct place *place)
{
	int ret = place_blocks(resize, growth);

	if (!ret)
		ret = make_entries(resize, growth, place);
	if (!ret)
		ret = vhdx_gate_pass(resize->disk, GATE_DATA);
	if (!ret)
		ret = vhdx_bat_switch(growth, place);
	if (ret)
		take_back(growth, place);
	return ret;
}

static int grow(const struct resize *resize)
{
	struct vhdx *disk = resize->disk;
	struct growth growth = vhdx_growth_make(disk, resize->virtual_size);
	uint64_t needed = round_up(growth.to.entries * BAT_ENTRY_SIZE, MIB);
	bool moves = needed > disk->image.bat.length;
	struct place place;
	int ret = vhdx_resize_report(resize, 0);

	if (!ret)
		ret = vhdx_gate_pass(disk, GATE_METADATA);
	if (ret)
		return ret;
	vhdx_space_allow_cut(&disk->writer->space);
	ret = clear_rest_of_block(disk, resize->virtual_size);
	if (!ret && moves)
		ret = vhdx_space_take(&disk->writer->space, needed, &place);
	return ret ? ret : grow_table(resize, &growth, moves ? &place : NULL);
}

/* ---- Both directions ---- */

static int check_disk(const struct vhdx *disk)
{
	if (!disk->writer)
		return vhdx_fail(-EROFS, NO_PROBLEM, disk->name, VHDX_NO_OFFSET,
				 "is not open for writing");
	if (image_has_parent(&disk->image) && !disk->parent)
		return vhdx_fail(-EROFS, NO_PROBLEM, disk->name, VHDX_NO_OFFSET,
				 "cannot be resized without its parent");
	return disk_check_readable(disk);
}

static int check_sizes(const struct resize *resize)
{
	const struct image *image = &resize->disk->image;
	uint64_t now = image->virtual_size;
	char text[2][SIZE_TEXT_MAX];

	if (resize->options.flags & ~RESIZE_FLAGS)
		return vhdx_fail_argument("vhdx_resize_options: unknown flags %#x",
					  resize->options.flags & ~RESIZE_FLAGS);
	if (resize->virtual_size < now && !(resize->options.flags & VHDX_RESIZE_SHRINK))
		return vhdx_fail_argument(
			"%s are less than the disk has, %s (VHDX_RESIZE_SHRINK allows that)",
			vhdx_size_text(resize->virtual_size, text[0]),
			vhdx_size_text(now, text[1]));
	return vhdx_plan_check_size(resize->virtual_size, image->logical_sector_size);
}

int vhdx_resize(struct vhdx *disk, uint64_t virtual_size, const struct vhdx_resize_options *options)
{
	struct resize resize = {.disk = disk, .virtual_size = virtual_size};

	if (!disk)
		return vhdx_fail_argument("vhdx_resize: no disk");
	int ret = vhdx_adopt_options(options, "vhdx_resize_options", sizeof(resize.options),
				     &resize.options);

	if (!ret)
		ret = check_disk(disk);
	if (!ret)
		ret = check_sizes(&resize);
	uint64_t now = disk->image.virtual_size;

	if (ret || virtual_size == now)
		return ret;
	resize.total = max_u64(virtual_size, now) - min_u64(virtual_size, now);
	ret = virtual_size > now ? grow(&resize) : vhdx_shrink(&resize);
	return ret ? ret : vhdx_disk_renew(disk);
}
