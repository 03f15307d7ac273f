/* SPDX-License-Identifier: MIT */
/* The walk over all that a BAT holds by which a disk is made smaller: what stays, and what becomes of the rest. */
#ifndef VHDX_OPS_SURVEY_H
#define VHDX_OPS_SURVEY_H

#include "meta/spacemap.h"
#include "ops/content.h"

/* One entry of the BAT. */
struct surveyed {
	uint64_t index;
	uint64_t entry;	  /* as it is */
	bool is_bitmap;	  /* a bitmap block's, else a payload block's */
	uint64_t length;  /* of the space that it names; 0: none */
	bool stays;	  /* with its space */
	uint64_t becomes; /* unless it stays */
	bool loses_data;  /* it does not read as before: nothing uses what it held */
};

struct survey {
	struct vhdx *disk;
	struct content_reader reader;
	struct vhdx_compact_result result; /* but for the file's sizes, and what moved */
	vhdx_progress_fn *progress;	   /* may be NULL */
	void *opaque;
	uint64_t done;	/* bytes of payload blocks looked at ... */
	uint64_t total; /* ... of so many units of progress */
	/* Called for each entry that is not zero, in order. It may change that entry. */
	int (*act)(void *actor, const struct surveyed *surveyed);
	void *actor;
	uint64_t partial_chunk; /* of the last PARTIALLY_PRESENT block that stays */
};

/* As vhdx_compact takes them: how the disk is looked at. */
int vhdx_survey_begin(struct survey *survey, struct vhdx *disk,
		      const struct vhdx_compact_options *options);

/* Also of a zeroed one. */
void vhdx_survey_end(struct survey *survey);

/*
 * Proves that the file's structures do not overlap, and counts its present blocks. *ret_taken is what is
 * taken of it. No change of the disk may be under way. -EUCLEAN when it must be repaired first.
 */
int vhdx_survey_space(struct survey *survey, struct space_map *ret_taken);

/* Tells how far the operation is; -ECANCELED when it shall stop. */
int vhdx_survey_report(const struct survey *survey, uint64_t done);

/* Walks. The caller has the disk alone. */
int vhdx_survey_run(struct survey *survey);

/* The first entry of the BAT at or after *@index that is not zero: *@index is the end when there is none. */
int vhdx_survey_next_entry(struct vhdx *disk, uint64_t *index, uint64_t *ret_entry);

#endif
