/* SPDX-License-Identifier: MIT */
/*
 * vhdx_compact: what holds nothing gives up its space, what lies at the end of the file moves into it, and
 * the file is cut. Each of the two steps is a session of its own, which leaves an empty log.
 */
#include <errno.h>
#include <string.h>

#include "base/options.h"
#include "ops/batmove.h"
#include "ops/compact.h"
#include "ops/relocate.h"
#include "vdisk/entries.h"

#define COMPACT_FLAGS (VHDX_COMPACT_DRY_RUN | VHDX_COMPACT_NO_HOLES)

struct compaction {
	struct survey survey;
	struct vhdx *disk;
	struct packing packing;
	bool dry_run;
};

/* ---- Space that is given up ---- */

/* Most of that space will be written or cut: it keeps its bytes until then. */
static int release(struct vhdx *disk, const struct surveyed *surveyed)
{
	int ret = vhdx_gate_pass(disk, surveyed->loses_data ? GATE_DATA : GATE_METADATA);

	if (ret)
		return ret;
	return vhdx_entry_change(disk, &(struct entry_change){
					       .index = surveyed->index,
					       .entry = surveyed->becomes,
					       .freed_offset = bat_entry_offset(surveyed->entry),
					       .freed_length = surveyed->length,
					       .held_metadata = surveyed->is_bitmap,
				       });
}

static int act(void *actor, const struct surveyed *surveyed)
{
	struct compaction *compaction = actor;
	uint64_t offset = bat_entry_offset(surveyed->entry);

	if (!surveyed->length)
		return 0;
	if (surveyed->stays) {
		if (!surveyed->is_bitmap)
			vhdx_packing_add_block(&compaction->packing, offset);
		return 0;
	}
	vhdx_packing_remove(&compaction->packing, offset, surveyed->length);
	return compaction->dry_run ? 0 : release(compaction->disk, surveyed);
}

/* ---- Sessions ---- */

static bool is_changed(const struct vhdx *disk)
{
	return disk->writer && atomic_load(&disk->writer->passed) != GATE_CLOSED;
}

/* Ends the session, if there is one, also when something failed in it: what was done is whole. */
static int end_session(struct vhdx *disk, int ret)
{
	struct kept_error cause;

	if (!is_changed(disk))
		return ret;
	if (!ret)
		return vhdx_disk_renew(disk);
	vhdx_error_keep(&cause);
	(void)vhdx_disk_renew(disk);
	ret = vhdx_error_raise(&cause);
	vhdx_error_drop(&cause);
	return ret;
}

/* Half of the progress is for what must be looked at, and half for what may have to move. */
static uint64_t bytes_to_see(const struct compaction *compaction)
{
	return compaction->survey.result.present * compaction->disk->image.geometry.block_size;
}

static int find_space(struct compaction *compaction)
{
	struct survey *survey = &compaction->survey;
	struct space_map taken;
	int ret = vhdx_survey_space(survey, &taken);

	if (!ret)
		ret = vhdx_packing_begin(&compaction->packing, &compaction->disk->image, &taken);
	if (ret)
		return ret;
	survey->total = bytes_to_see(compaction) * (compaction->dry_run ? 1 : 2);
	survey->act = act;
	survey->actor = compaction;
	return end_session(compaction->disk, vhdx_survey_run(survey));
}

/* In a session of its own: the disk follows the old table to its end. */
static int move_bat(struct vhdx *disk, const struct packed *packed)
{
	struct growth same = vhdx_growth_make(disk, disk->image.virtual_size);
	struct place place;
	int ret = vhdx_gate_pass(disk, GATE_METADATA);

	if (ret || !vhdx_space_take_below(&disk->writer->space, packing_bat_length(&disk->image),
					  packed->end, &place))
		return ret;
	ret = vhdx_bat_build(&same, &place, NULL, NULL);
	if (!ret)
		ret = vhdx_bat_switch(&same, &place);
	if (ret)
		vhdx_space_give_back(&disk->writer->space, &place);
	return end_session(disk, ret);
}

static int cut(struct compaction *compaction, const struct packed *packed)
{
	struct vhdx *disk = compaction->disk;
	int ret = packed->bat ? move_bat(disk, packed) : 0;

	if (!ret)
		ret = vhdx_gate_pass(disk, GATE_METADATA);

	if (ret)
		return ret;
	vhdx_space_allow_cut(&disk->writer->space);
	ret = vhdx_relocate(&compaction->survey, packed, bytes_to_see(compaction),
			    &compaction->survey.result.moved);
	return end_session(disk, ret);
}

static bool has_given_up(const struct vhdx_compact_result *result)
{
	return result->zero || result->unused || result->other_bytes;
}

static int in_place(struct compaction *compaction)
{
	struct vhdx_compact_result *result = &compaction->survey.result;
	struct vhdx *disk = compaction->disk;
	int ret = find_space(compaction);

	if (ret)
		return ret;
	struct packed packed = vhdx_packing_plan(&compaction->packing);
	uint64_t size = image_view_size(&disk->image);

	result->file_size_after = min_u64(packed.end, size);
	result->moved = packed.blocks;
	if (!compaction->dry_run && (packed.end < size || has_given_up(result))) {
		vhdx_packing_end(&compaction->packing);
		ret = cut(compaction, &packed);
		result->file_size_after = image_view_size(&disk->image);
	}
	return ret;
}

/* A fixed disk's blocks are all there for good, whatever they hold. */
static int compact(struct compaction *compaction, const struct vhdx_compact_options *options)
{
	struct vhdx *disk = compaction->disk;
	struct vhdx_compact_result *result = &compaction->survey.result;

	result->file_size_before = image_view_size(&disk->image);
	result->file_size_after = result->file_size_before;
	if (options->output || options->output_io)
		return vhdx_rewrite(&compaction->survey, options);
	if (image_type(&disk->image) != VHDX_FIXED)
		return in_place(compaction);
	result->keeps_blocks = 1;
	return 0;
}

static int check(struct vhdx *disk, const struct vhdx_compact_options *options)
{
	if (options->flags & ~COMPACT_FLAGS)
		return vhdx_fail_argument("vhdx_compact_options: unknown flags %#x",
					  options->flags & ~COMPACT_FLAGS);
	if (options->output && options->output_io)
		return vhdx_fail_argument("vhdx_compact_options: set one of output and output_io");
	int ret = disk_check_readable(disk);

	if (ret || disk->writer || options->flags & VHDX_COMPACT_DRY_RUN || options->output ||
	    options->output_io)
		return ret;
	return vhdx_fail(-EROFS, NO_PROBLEM, disk->name, VHDX_NO_OFFSET, "is not open for writing");
}

static void give(struct vhdx_compact_result *result, struct vhdx_compact_result *ret_result)
{
	result->size = (size_t)min_u64(sizeof(*result), ret_result->size);
	memcpy(ret_result, result, result->size);
}

int vhdx_compact(struct vhdx *disk, const struct vhdx_compact_options *options,
		 struct vhdx_compact_result *ret_result)
{
	struct vhdx_compact_options own;

	if (!disk || !ret_result || ret_result->size < sizeof(ret_result->size))
		return vhdx_fail_argument(
			"vhdx_compact: no disk, or the size of struct vhdx_compact_result is not set");
	int ret = vhdx_adopt_options(options, "vhdx_compact_options", sizeof(own), &own);

	if (!ret)
		ret = check(disk, &own);
	/* What was written before must be where it belongs: the BAT is read as the file holds it. */
	if (!ret)
		ret = end_session(disk, 0);
	if (ret)
		return ret;
	struct compaction compaction = {
		.disk = disk,
		.dry_run = own.flags & VHDX_COMPACT_DRY_RUN,
	};

	ret = vhdx_survey_begin(&compaction.survey, disk, &own);
	if (!ret)
		ret = compact(&compaction, &own);
	if (!ret)
		give(&compaction.survey.result, ret_result);
	vhdx_packing_end(&compaction.packing);
	vhdx_survey_end(&compaction.survey);
	return ret;
}
