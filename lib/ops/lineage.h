/* SPDX-License-Identifier: MIT */
/* What a new differencing image says of its parent, and takes over from it (F 5, F 8). */
#ifndef VHDX_OPS_LINEAGE_H
#define VHDX_OPS_LINEAGE_H

#include "ops/fork.h"

/* All zero for images of other types. */
struct lineage {
	const struct vhdx *parent; /* must stay open until the child is there */
	struct vhdx_info info;	   /* the parent's */
	char *relative;		   /* path to it, for the locator */
	void *locator;
	struct forked_items forked;
	struct plan_item *items;
};

/* Begins with an open parent. -EINVAL when its chain is as long as any may be. */
int vhdx_lineage_begin(const struct vhdx *parent, struct lineage *ret_lineage);

/* Sector sizes are the parent's; a logical one may be named only if it is the same. */
int vhdx_lineage_sectors(const struct lineage *lineage, struct vhdx_create_options *options);

/*
 * Finds the way to the parent's file at @parent from the folder of the child at @child, or from the current
 * folder when that is NULL. Warns when no open of the child goes there without being told to.
 */
int vhdx_lineage_find(struct lineage *lineage, const char *child, const char *parent,
		      void (*warning)(void *opaque, const char *file, const char *text),
		      void *opaque);

/* Adds all that to the plan, which needs the lineage from then on. lineage->relative is set. */
int vhdx_lineage_complete(struct lineage *lineage, const struct vhdx_create_options *options,
			  struct image_plan *plan);

/* Also of a half-made or zeroed one. The parent stays open. */
void vhdx_lineage_free(struct lineage *lineage);

#define auto_lineage __attribute__((cleanup(vhdx_lineage_free)))

#endif
