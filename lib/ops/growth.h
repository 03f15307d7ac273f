/* SPDX-License-Identifier: MIT */
/* The BAT of a disk that is to have another geometry: the entries that stay, and those that are new. */
#ifndef VHDX_OPS_GROWTH_H
#define VHDX_OPS_GROWTH_H

#include "vdisk/writer.h"

#define NO_BAT_PAGE UINT64_MAX

/* What the new entries are. */
enum growth_kind {
	GROWTH_EMPTY,  /* zero: there are none, or what is not there reads as zeros */
	GROWTH_HIDING, /* ZERO where a parent would show, else zero */
	GROWTH_PLACED, /* FULLY_PRESENT, one behind the other in the file */
};

struct growth {
	struct vhdx *disk;
	enum growth_kind kind;
	struct geometry from; /* as the disk is */
	struct geometry to;   /* not smaller */
	struct place run;     /* PLACED: of all new blocks */
	uint64_t first;	      /* from this index on entries are new, but for bitmaps' of @from */
};

/* For a disk that is to have @virtual_size bytes; with the size that it has, all entries stay. */
struct growth vhdx_growth_make(struct vhdx *disk, uint64_t virtual_size);

/*
 * The first page of the table, @page or one behind it, that holds anything but zeros now or shall do so;
 * NO_BAT_PAGE when there is none. Errors as vhdx_map.
 */
int vhdx_growth_next_page(const struct growth *growth, uint64_t page, uint64_t *ret_page);

/* What that page shall hold. */
int vhdx_growth_page(const struct growth *growth, uint64_t page,
		     uint64_t ret_entries[BAT_PAGE_ENTRIES]);

#endif
