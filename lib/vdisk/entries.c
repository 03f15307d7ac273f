/* SPDX-License-Identifier: MIT */
/* Changing one entry of the BAT, and giving up the space that it named. */
#include <stdlib.h>

#include "base/rules.h"
#include "store/io.h"
#include "vdisk/entries.h"

/*
 * Space is punched before the change that frees it, and so before the flush that makes that durable: only
 * then it is fresh afterwards.
 */
static bool make_fresh(const struct vhdx *disk, const struct entry_change *change)
{
	if (!change->forget || disk->open_flags & VHDX_OPEN_NO_HOLES)
		return false;
	return !OBEYS(RULE_PUNCH_BEFORE_FREE) ||
	       !vhdx_io_punch(&disk->file, change->freed_offset, change->freed_length);
}

/* All stores of the change; @freed, NULL when nothing is, is taken over. */
static void store(struct vhdx *disk, const struct entry_change *change, struct change *stores,
		  struct page *page, struct freed *freed)
{
	uint64_t number = vhdx_change_enter(stores);

	vhdx_bat_set(stores, page, change->index, change->entry);
	vhdx_change_needs(stores, change->needed_end);
	if (change->data_first)
		vhdx_change_data_first(stores);
	if (freed)
		vhdx_space_free(&disk->writer->space, freed, number);
	vhdx_change_leave(stores);
}

static int change_entry(struct vhdx *disk, const struct entry_change *change, struct freed *freed)
{
	struct change stores;
	struct page *page;
	int ret = vhdx_journal_begin(&disk->writer->journal, 1, &stores);

	if (ret) {
		free(freed);
		return ret;
	}
	ret = vhdx_bat_hold(&disk->bat, &disk->image, &stores, change->index, &page);
	if (ret) {
		free(freed);
	} else {
		if (freed)
			freed->fresh = make_fresh(disk, change);
		store(disk, change, &stores, page, freed);
	}
	vhdx_change_end(&stores);
	return ret;
}

int vhdx_entry_change(struct vhdx *disk, const struct entry_change *change)
{
	struct freed *freed = NULL;

	if (change->freed_length) {
		freed = malloc(sizeof(*freed));
		if (!freed)
			return vhdx_fail_memory();
		*freed = (struct freed){
			.offset = change->freed_offset,
			.length = change->freed_length,
			.held_metadata = change->held_metadata,
		};
	}
	return change_entry(disk, change, freed);
}
