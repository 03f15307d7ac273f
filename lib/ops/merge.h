/* SPDX-License-Identifier: MIT */
/* What the layers above an ancestor hold goes into the ancestor: contents, and items of the virtual disk. */
#ifndef VHDX_OPS_MERGE_H
#define VHDX_OPS_MERGE_H

#include "vdisk/disk.h"

struct merge {
	struct vhdx *leaf;
	struct vhdx *ancestor; /* open for writing, and at least as large as the leaf */
	unsigned layers;       /* from the leaf on, down to the ancestor's child */
	vhdx_progress_fn *progress;
	void *opaque;
};

/*
 * Writes into the ancestor what the layers say of the leaf's contents; what they say nothing about is
 * not looked at. Costs time by what the layers hold. May be repeated. -ECANCELED, -ENOMEM, or as reading and
 * writing fail.
 */
int vhdx_merge_contents(const struct merge *merge);

/* The ancestor gets the leaf's items that belong to the virtual disk in place of its own (F 5). */
int vhdx_merge_items(const struct merge *merge);

#endif
