/* SPDX-License-Identifier: MIT */
/* Copies of an image's metadata items (F 5), for a child of it or for a new image of the same disk. */
#ifndef VHDX_OPS_FORK_H
#define VHDX_OPS_FORK_H

#include "ops/plan.h"

/* The items; their bytes follow them in the same memory. */
struct forked_items {
	struct plan_item *items;
	unsigned count;
};

/* For a child: all that belong to the disk, but for the ones that every image has. -EFBIG when they take more memory than is given to them. */
int vhdx_fork_items(const struct vhdx *parent, struct forked_items *ret_forked);

/* For a new image of the same disk: those that it would not have anyway, the parent locator too. Errors as above. */
int vhdx_copy_items(const struct vhdx *disk, struct forked_items *ret_copied);

void vhdx_forked_items_free(struct forked_items *forked);

#endif
