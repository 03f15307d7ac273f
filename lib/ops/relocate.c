/* SPDX-License-Identifier: MIT */
/*
 * Moves what lies at the end of a file into the free space before it: copied, then named by the BAT through
 * the journal, payload first. Until that is durable, what is there stays.
 */
#include <errno.h>

#include "ops/relocate.h"
#include "store/io.h"
#include "vdisk/entries.h"

struct mover {
	struct survey *survey;
	const struct packed *packed;
	uint64_t first;	       /* progress that was made before */
	uint64_t blocks;       /* payload blocks that moved ... */
	uint64_t bitmaps;      /* ... and bitmap blocks */
	struct space_map left; /* by payload blocks, and still with their bytes */
};

static bool has_left_bytes(const struct mover *mover)
{
	return vhdx_space_map_end(&mover->left) &&
	       !(mover->survey->disk->open_flags & VHDX_OPEN_NO_HOLES);
}

/*
 * The changes become durable, and the space that was left becomes holes: on a file system that is full, a file
 * with holes could not move into them otherwise.
 */
static int make_room(struct mover *mover)
{
	struct vhdx *disk = mover->survey->disk;
	uint64_t end = vhdx_space_map_end(&mover->left);
	uint64_t at = vhdx_space_map_find(&mover->left, 0, true);
	int ret = vhdx_journal_commit(&disk->writer->journal);

	while (at < end && !ret) {
		uint64_t stop = vhdx_space_map_find(&mover->left, at, false);

		(void)vhdx_io_punch(&disk->file, at, stop - at);
		vhdx_space_map_clear(&mover->left, at, stop - at);
		at = vhdx_space_map_find(&mover->left, stop, true);
	}
	return ret;
}

/* What stays free before the end, for nothing that moves is small enough, shall take no room. */
static int clear_gaps(struct mover *mover)
{
	struct vhdx *disk = mover->survey->disk;
	const struct space_map *taken = &disk->writer->space.taken;
	uint64_t end = mover->packed->end;
	uint64_t at = vhdx_space_map_find(taken, 0, false);

	if (disk->open_flags & VHDX_OPEN_NO_HOLES)
		return 0;
	int ret = vhdx_journal_commit(&disk->writer->journal);

	while (at < end && !ret) {
		uint64_t stop = vhdx_space_map_find(taken, at, true);

		(void)vhdx_io_punch(&disk->file, at, min_u64(stop, end) - at);
		at = vhdx_space_map_find(taken, stop, false);
	}
	return ret;
}

/* Copies the space that @entry names to @place. */
static int copy(const struct mover *mover, uint64_t entry, const struct place *place)
{
	struct vhdx *disk = mover->survey->disk;

	return vhdx_content_copy(&mover->survey->reader,
				 &(struct content_copy){
					 .from = bat_entry_offset(entry),
					 .file = &disk->file,
					 .name = disk->name,
					 .to = place->offset,
					 .length = place->length,
					 .is_fresh = place->fresh,
					 .no_holes = disk->open_flags & VHDX_OPEN_NO_HOLES,
				 });
}

static int rename_place(const struct mover *mover, uint64_t index, uint64_t entry,
			const struct place *place, bool is_bitmap)
{
	return vhdx_entry_change(mover->survey->disk,
				 &(struct entry_change){
					 .index = index,
					 .entry = place->offset | (entry & (MIB - 1)),
					 .needed_end = place->offset + place->length,
					 .data_first = true,
					 .freed_offset = bat_entry_offset(entry),
					 .freed_length = place->length,
					 .held_metadata = is_bitmap,
				 });
}

/* Moves the space that an entry names to the lowest place that is free; there is always one. */
static int move_once(struct mover *mover, uint64_t index, uint64_t entry, uint64_t length,
		     bool is_bitmap)
{
	struct space *space = &mover->survey->disk->writer->space;
	struct place place;

	if (!vhdx_space_take_below(space, length, mover->packed->end, &place))
		return vhdx_fail(-ENOSPC, NO_PROBLEM, mover->survey->disk->name,
				 bat_entry_offset(entry),
				 "no place was found in the file for what lies at its end");
	int ret = copy(mover, entry, &place);

	if (!ret)
		ret = rename_place(mover, index, entry, &place, is_bitmap);
	if (ret)
		vhdx_space_give_back(space, &place);
	return ret;
}

static int move(struct mover *mover, uint64_t index, uint64_t entry, uint64_t length,
		bool is_bitmap)
{
	int ret = move_once(mover, index, entry, length, is_bitmap);

	if (error_is_no_space(ret) && has_left_bytes(mover)) {
		ret = make_room(mover);
		if (!ret)
			ret = move_once(mover, index, entry, length, is_bitmap);
	}
	/* Of a bitmap block, old images of its pages may still be in the log: only the cut ends it. */
	if (!ret && !is_bitmap)
		vhdx_space_map_mark(&mover->left, bat_entry_offset(entry), length, NULL);
	return ret;
}

/* Does the space that an entry names go on behind the new end? */
static bool lies_behind(const struct mover *mover, uint64_t entry, uint64_t length)
{
	return bat_entry_offset(entry) + length > mover->packed->end;
}

static int report(const struct mover *mover)
{
	const struct survey *survey = mover->survey;
	uint64_t all = mover->packed->blocks;
	uint64_t share = all ? (survey->total - mover->first) / all : 0;

	return vhdx_survey_report(survey, mover->first + share * mover->blocks);
}

static int move_block(struct mover *mover, uint64_t index, uint64_t entry)
{
	const struct geometry *g = &mover->survey->disk->image.geometry;
	unsigned state = bat_entry_state(entry);

	if (bat_index_is_bitmap(g, index) || bat_block_of_index(g, index) >= g->blocks ||
	    (state != BLOCK_FULLY_PRESENT && state != BLOCK_PARTIALLY_PRESENT) ||
	    !lies_behind(mover, entry, g->block_size))
		return 0;
	int ret = move(mover, index, entry, g->block_size, false);

	if (ret)
		return ret;
	mover->blocks++;
	return report(mover);
}

static int move_blocks(struct mover *mover)
{
	struct vhdx *disk = mover->survey->disk;
	uint64_t entries = disk->image.geometry.entries;
	int ret = 0;

	for (uint64_t index = 0; index < entries && mover->blocks < mover->packed->blocks && !ret;
	     index++) {
		uint64_t entry;

		ret = vhdx_survey_next_entry(disk, &index, &entry);
		if (!ret && index < entries)
			ret = move_block(mover, index, entry);
		vhdx_page_cache_trim(&disk->shared->cache, vhdx_stripes_grace,
				     &disk->shared->stripes);
	}
	return ret;
}

static int move_bitmap(struct mover *mover, uint64_t chunk)
{
	struct vhdx *disk = mover->survey->disk;
	uint64_t index = bat_index_of_bitmap(&disk->image.geometry, chunk);
	uint64_t entry;
	int ret = vhdx_bat_get(&disk->bat, index, &entry);

	if (ret || bat_entry_state(entry) != BITMAP_PRESENT ||
	    !lies_behind(mover, entry, BITMAP_BLOCK_SIZE))
		return ret;
	mover->bitmaps++;
	return move(mover, index, entry, BITMAP_BLOCK_SIZE, true);
}

/* Behind the payload blocks, for which not every place is large enough. */
static int move_bitmaps(struct mover *mover)
{
	struct vhdx *disk = mover->survey->disk;
	int ret = 0;

	for (uint64_t chunk = 0;
	     chunk < disk->image.geometry.chunks && mover->bitmaps < mover->packed->bitmaps && !ret;
	     chunk++) {
		ret = move_bitmap(mover, chunk);
		vhdx_page_cache_trim(&disk->shared->cache, vhdx_stripes_grace,
				     &disk->shared->stripes);
	}
	return ret;
}

int vhdx_relocate(struct survey *survey, const struct packed *packed, uint64_t first,
		  uint64_t *ret_moved)
{
	struct mover mover = {.survey = survey, .packed = packed, .first = first};
	int ret = vhdx_space_map_init(&mover.left, image_end(&survey->disk->image));

	if (!ret)
		ret = move_blocks(&mover);
	if (!ret)
		ret = move_bitmaps(&mover);
	if (!ret)
		ret = clear_gaps(&mover);
	vhdx_space_map_free(&mover.left);
	*ret_moved = mover.blocks;
	return ret;
}
