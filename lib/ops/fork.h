/* SPDX-License-Identifier: MIT */
/* Metadata items that belong to the virtual disk: a child carries copies of its parent's (F 5). */
#ifndef VHDX_OPS_FORK_H
#define VHDX_OPS_FORK_H

#include "ops/plan.h"

/* The items; their bytes follow them in the same memory. */
struct forked_items {
	struct plan_item *items;
	unsigned count;
};

/* Copies all but the ones that every image has. -EFBIG when they take more memory than is given to them. */
int vhdx_fork_items(struct vhdx *parent, struct forked_items *ret_forked);

void vhdx_forked_items_free(struct forked_items *forked);

#endif
