/* SPDX-License-Identifier: MIT */
/* Logged changes of the region tables and of the metadata region, as ranges of bytes. */
#ifndef VHDX_META_PATCH_H
#define VHDX_META_PATCH_H

#include "meta/journal.h"

enum patch_area {
	PATCH_TABLE_1, /* region table 1, and 2 */
	PATCH_TABLE_2,
	PATCH_METADATA, /* the metadata region */
	PATCH_AREAS,
};

/* Bytes that take the place of others. */
struct patch {
	enum patch_area area;
	uint32_t offset; /* in the area */
	uint32_t length; /* not 0; within the area */
	const void *bytes;
};

struct area {
	struct page_map pages;
	const struct image *image;
	uint64_t base; /* file offset */
	const char *name;
};

/* The areas of an image, through pages. */
struct patch_areas {
	struct area area[PATCH_AREAS];
};

/* Pages that the patches of one call may touch, each patch counted for itself: both region tables, and some. */
#define PATCH_PAGES CHANGE_PAGES

/* -ENOMEM. Zeroed areas may be destroyed. */
int vhdx_patch_areas_init(struct patch_areas *areas, struct page_cache *cache,
			  const struct image *image);
void vhdx_patch_areas_destroy(struct patch_areas *areas);

/*
 * Makes all of @count patches in one change, which one log entry will hold: PATCH_PAGES at most. Durable
 * after the next commit. The caller has the disk alone. Errors as vhdx_journal_begin, or as the storage fails.
 */
int vhdx_patch(struct journal *journal, struct patch_areas *areas, const struct patch *patches,
	       unsigned count);

#endif
