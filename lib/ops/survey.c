/* SPDX-License-Identifier: MIT */
/* The walk over all that a BAT holds by which a disk is made smaller: what stays, and what becomes of the rest. */
#include <errno.h>

#include "meta/batcheck.h"
#include "ops/survey.h"

#define NO_CHUNK UINT64_MAX

int vhdx_survey_begin(struct survey *survey, struct vhdx *disk,
		      const struct vhdx_compact_options *options)
{
	*survey = (struct survey){
		.disk = disk,
		.progress = options->progress,
		.opaque = options->opaque,
		.partial_chunk = NO_CHUNK,
	};
	int ret = vhdx_content_begin(&survey->reader, disk);

	survey->reader.is_free = options->is_free;
	survey->reader.opaque = options->is_free_opaque;
	return ret;
}

void vhdx_survey_end(struct survey *survey)
{
	vhdx_content_end(&survey->reader);
}

int vhdx_survey_space(struct survey *survey, struct space_map *ret_taken)
{
	struct image *image = &survey->disk->image;
	struct bat_counts counts;
	int ret = vhdx_check_bat(image, NULL, NULL, &counts, ret_taken);

	if (!ret && image->is_locked) {
		vhdx_space_map_free(ret_taken);
		ret = vhdx_error_raise(&image->lock_reason);
	}
	if (!ret)
		survey->result.present = counts.present;
	return ret;
}

int vhdx_survey_report(const struct survey *survey, uint64_t done)
{
	if (survey->progress && survey->progress(survey->opaque, done, survey->total))
		return vhdx_fail(-ECANCELED, NO_PROBLEM, survey->disk->name, VHDX_NO_OFFSET,
				 "stopped as asked");
	return 0;
}

int vhdx_survey_next_entry(struct vhdx *disk, uint64_t *index, uint64_t *ret_entry)
{
	uint64_t end = disk->image.geometry.entries;
	uint64_t at = *index;
	uint64_t run = 1;
	int ret = 0;

	while (at < end && run && !ret) {
		ret = vhdx_bat_zero_run(&disk->bat, at, &run);
		if (!ret)
			at += run;
	}
	if (!ret && at < end)
		ret = vhdx_bat_get(&disk->bat, at, ret_entry);
	if (!ret)
		*index = min_u64(at, end);
	return ret;
}

/* ---- One entry ---- */

/* Contents that go leave zeros, unless all of them were the parent's. */
static void drop(struct survey *survey, enum content content, struct surveyed *surveyed)
{
	surveyed->becomes =
		bat_entry_make(content == CONTENT_PARENT ? BLOCK_NOT_PRESENT : BLOCK_ZERO, 0);
	surveyed->loses_data = content == CONTENT_UNUSED;
	if (surveyed->loses_data)
		survey->result.unused++;
	else
		survey->result.zero++;
}

static void keep(struct survey *survey, struct surveyed *surveyed)
{
	surveyed->stays = true;
	survey->result.kept_bytes += surveyed->length;
	if (bat_entry_state(surveyed->entry) == BLOCK_PARTIALLY_PRESENT)
		survey->partial_chunk =
			bat_chunk_of_index(&survey->disk->image.geometry, surveyed->index);
}

static int judge_present(struct survey *survey, struct surveyed *surveyed)
{
	const struct geometry *g = &survey->disk->image.geometry;
	enum content content;
	int ret = vhdx_content_of_block(&survey->reader, bat_block_of_index(g, surveyed->index),
					surveyed->entry, &content);

	if (ret)
		return ret;
	surveyed->length = g->block_size;
	if (content == CONTENT_DATA)
		keep(survey, surveyed);
	else
		drop(survey, content, surveyed);
	survey->done += g->block_size;
	return vhdx_survey_report(survey, survey->done);
}

static int judge_payload(struct survey *survey, struct surveyed *surveyed)
{
	unsigned state = bat_entry_state(surveyed->entry);
	bool anchored = (state == BLOCK_UNMAPPED || state == BLOCK_UNDEFINED) &&
			bat_entry_offset(surveyed->entry);

	if (state == BLOCK_FULLY_PRESENT || state == BLOCK_PARTIALLY_PRESENT)
		return judge_present(survey, surveyed);
	surveyed->stays = !anchored;
	surveyed->becomes = bat_entry_make(state, 0);
	surveyed->length = anchored ? survey->disk->image.geometry.block_size : 0;
	survey->result.other_bytes += surveyed->length;
	return 0;
}

/* The entry of a chunk's bitmap comes behind those of its blocks. */
static void judge_bitmap(struct survey *survey, struct surveyed *surveyed)
{
	const struct image *image = &survey->disk->image;
	uint64_t chunk = bat_chunk_of_index(&image->geometry, surveyed->index);

	if (!image_has_parent(image) || bat_entry_state(surveyed->entry) != BITMAP_PRESENT) {
		surveyed->stays = true; /* it has no space, whatever it says */
		return;
	}
	surveyed->length = BITMAP_BLOCK_SIZE;
	surveyed->stays = chunk == survey->partial_chunk;
	surveyed->becomes = bat_entry_make(BITMAP_NOT_PRESENT, 0);
	if (!surveyed->stays)
		survey->result.other_bytes += surveyed->length;
}

static int judge(struct survey *survey, struct surveyed *surveyed)
{
	if (!surveyed->is_bitmap)
		return judge_payload(survey, surveyed);
	judge_bitmap(survey, surveyed);
	return 0;
}

int vhdx_survey_run(struct survey *survey)
{
	struct vhdx *disk = survey->disk;
	const struct geometry *g = &disk->image.geometry;
	int ret = 0;

	for (uint64_t index = 0; index < g->entries && !ret; index++) {
		struct surveyed surveyed = {0};

		ret = vhdx_survey_next_entry(disk, &index, &surveyed.entry);
		if (ret || index == g->entries)
			break;
		surveyed.index = index;
		surveyed.is_bitmap = bat_index_is_bitmap(g, index);
		/* The last chunk of a child has entries for blocks that its disk does not have. */
		if (!surveyed.is_bitmap && bat_block_of_index(g, index) >= g->blocks)
			continue;
		ret = judge(survey, &surveyed);
		if (!ret)
			ret = survey->act(survey->actor, &surveyed);
		vhdx_page_cache_trim(&disk->shared->cache, vhdx_stripes_grace,
				     &disk->shared->stripes);
	}
	return ret;
}
